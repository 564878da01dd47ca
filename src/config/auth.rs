//! `[auth]`: who may administer.

use std::fmt;
use std::str::FromStr;

use argon2::password_hash::PasswordHash;

use super::section::Section;

/// `[auth]`: who may administer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Auth {
    /// Who may use every secured queue; none: nobody.
    pub admin: Option<Credentials>,
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
        let allowed = "\"\" or user:<hash> as popbox hash-password prints it";
        // Faults go to logs, and a wrong value may well be a password that was not hashed.
        let show = |_: &_| "(hidden)".to_owned();
        Self {
            admin: section.parsed("admin", None, allowed, show, |value| {
                match value.as_str()? {
                    "" => Some(None),
                    text => text.parse().ok().map(Some),
                }
            }),
        }
    }
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
