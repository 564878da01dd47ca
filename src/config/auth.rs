//! `[auth]`: who may do what.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use argon2::password_hash::PasswordHash;
use toml::Value;

use super::section::Section;
use super::user::User;

/// `[auth]`: who may do what.
#[derive(Debug, Clone, PartialEq)]
pub struct Auth {
    /// Who may use every secured queue, and do everything else; none: nobody.
    pub admin: Option<Credentials>,
    /// Who may make secured queues where there are no users.
    pub create_queues: CreateQueues,
    /// Users with roles; once there are any, what has a role is theirs.
    pub users: Vec<User>,
    /// How many failed logins a minute an address has for each queue, 1 to 1 000 000.
    pub max_failures: usize,
    /// How long a login that was right is not checked again, 1 s to 1 h.
    pub verified_life: Duration,
    /// Logins that are known to be right at once, 1 to 10 000 000; the oldest are forgotten first.
    pub max_verified: usize,
    /// Threads that check logins, 1 to 64.
    pub verifiers: usize,
    /// Logins that wait to be checked, 1 to 1 000 000; one more is refused.
    pub max_verifications: usize,
}

/// Who may make secured queues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreateQueues {
    /// Whoever reaches the TLS listener; where there are users, operators.
    Anyone,
    /// The admin alone.
    Admin,
}

/// A user and the hash of a password, written `user:<PHC string>`.
#[derive(Clone, PartialEq)]
pub struct Credentials {
    /// The name.
    pub user: String,
    /// The Argon2 hash, a string in the PHC format.
    pub hash: String,
}

/// A text that is not credentials. Does not say which, because it may be a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected user:<hash> as popbox hash-password prints it")]
pub struct NotCredentials;

impl Auth {
    pub(super) fn read(section: &mut Section) -> Self {
        let default = Self::default();
        let allowed = "\"\" or user:<hash> as popbox hash-password prints it";
        let auth = Self {
            admin: section.parsed("admin", None, allowed, hidden, |value| {
                match value.as_str()? {
                    "" => Some(None),
                    text => text.parse().ok().map(Some),
                }
            }),
            create_queues: section.choice(
                "create_queues",
                default.create_queues,
                &[
                    ("anyone", CreateQueues::Anyone),
                    ("admin", CreateQueues::Admin),
                ],
            ),
            users: section.parsed(
                "users",
                default.users,
                User::LIST_FORM,
                hidden,
                User::read_list,
            ),
            max_failures: section.count("max_failures", default.max_failures, 1..=1_000_000),
            verified_life: section.duration(
                "verified_life",
                default.verified_life,
                Duration::from_secs(1)..=Duration::from_hours(1),
            ),
            max_verified: section.count("max_verified", default.max_verified, 1..=10_000_000),
            verifiers: section.count("verifiers", default.verifiers, 1..=64),
            max_verifications: section.count(
                "max_verifications",
                default.max_verifications,
                1..=1_000_000,
            ),
        };
        if let Some(admin) = &auth.admin {
            let is_own = auth
                .users
                .iter()
                .all(|it| it.credentials.user != admin.user);
            section.compare(
                "users",
                "(hidden)",
                "admin",
                is_own,
                "none of the name of auth.admin",
            );
        }
        auth
    }
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            admin: None,
            create_queues: CreateQueues::Anyone,
            users: Vec::new(),
            max_failures: 60,
            verified_life: Duration::from_mins(1),
            max_verified: 100_000,
            verifiers: 1,
            max_verifications: 1_024,
        }
    }
}

/// Faults go to logs, and a wrong value may well be a password that was not hashed.
fn hidden(_: &Value) -> String {
    "(hidden)".to_owned()
}

impl Credentials {
    /// Whether a user may have this name: HTTP separates it from the password by a colon, and carries no control
    /// characters.
    pub fn is_user(name: &str) -> bool {
        !name.is_empty() && !name.contains(|letter: char| letter == ':' || letter.is_control())
    }
}

impl FromStr for Credentials {
    type Err = NotCredentials;

    fn from_str(text: &str) -> Result<Self, NotCredentials> {
        let (user, hash) = text.split_once(':').ok_or(NotCredentials)?;
        let parsed = PasswordHash::new(hash).map_err(|_| NotCredentials)?;
        let is_argon2 = argon2::Algorithm::try_from(parsed.algorithm).is_ok();
        if Self::is_user(user) && is_argon2 && parsed.salt.is_some() && parsed.hash.is_some() {
            Ok(Self {
                user: user.to_owned(),
                hash: hash.to_owned(),
            })
        } else {
            Err(NotCredentials)
        }
    }
}

impl fmt::Display for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.user, self.hash)
    }
}

impl fmt::Debug for Credentials {
    /// The hash does not belong in a log.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Credentials")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI";

    #[test]
    fn credentials_are_a_user_and_an_argon2_hash() {
        let credentials: Credentials = format!("root:{HASH}").parse().unwrap();
        assert_eq!(credentials.user, "root");
        assert_eq!(credentials.hash, HASH);
        assert_eq!(credentials.to_string(), format!("root:{HASH}"));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            HASH.to_owned(),
            format!(":{HASH}"),
            format!("a\nb:{HASH}"),
            "root:secret".to_owned(),
            "root:$argon2id$v=19$m=19456,t=2,p=1".to_owned(),
            "root:$pbkdf2-sha256$i=1000$c29tZXNhbHRzb21lc2FsdA$MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI".to_owned(),
        ] {
            assert_eq!(text.parse::<Credentials>(), Err(NotCredentials), "{text}");
        }
    }

    #[test]
    fn a_debug_text_holds_no_hash() {
        let credentials: Credentials = format!("root:{HASH}").parse().unwrap();
        assert!(!format!("{credentials:?}").contains("argon2"));
    }
}
