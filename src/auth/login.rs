//! What a client says of itself: a user and a password.

use std::fmt;

use base64ct::{Base64, Base64Unpadded, Encoding};

/// Bytes of a user's name, the colon and the password.
const LOGIN_BYTES_MAX: usize = 4096;

/// A user and a password, not checked yet.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// Who it is said to be.
    pub user: Box<str>,
    /// Not necessarily UTF-8: HTTP does not promise that.
    pub password: Box<[u8]>,
}

impl Login {
    /// What `Authorization: Basic …` says (RFC 7617); none for another scheme and for what cannot be read.
    pub fn from_header(value: &str) -> Option<Self> {
        let (scheme, token) = value.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        let token = token.trim().trim_end_matches('=');
        if token.len() > LOGIN_BYTES_MAX / 3 * 4 {
            return None;
        }
        let login = Base64Unpadded::decode_vec(token).ok()?;
        let colon = memchr::memchr(b':', &login)?;
        let (user, password) = login.split_at_checked(colon)?;
        Some(Self {
            user: std::str::from_utf8(user).ok()?.into(),
            password: password.get(1..)?.into(),
        })
    }

    /// The same in Base64 with padding, as clients of an old server sent it.
    pub(super) fn token(&self) -> String {
        Base64::encode_string(&[self.user.as_bytes(), b":", &self.password].concat())
    }
}

impl fmt::Debug for Login {
    /// The password does not belong in a log.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Login")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(user: &str, password: &[u8]) -> Login {
        Login {
            user: user.into(),
            password: password.into(),
        }
    }

    #[test]
    fn a_header_is_read() {
        // `u:p`, `u:p:q`, `:`, `é:` and a password that is not UTF-8.
        for (value, expected) in [
            ("Basic dTpw", login("u", b"p")),
            ("basic   dTpwOnE=", login("u", b"p:q")),
            ("BASIC dTpwOnE", login("u", b"p:q")),
            ("Basic Og==", login("", b"")),
            ("Basic w6k6", login("é", b"")),
            ("Basic dTr/", login("u", b"\xff")),
        ] {
            assert_eq!(Login::from_header(value), Some(expected), "{value}");
        }
    }

    #[test]
    fn anything_else_is_no_login() {
        let long = format!("Basic {}", "dTpw".repeat(LOGIN_BYTES_MAX));
        for value in [
            "",
            "Basic",
            "Basic ",
            "Bearer dTpw",
            "dTpw",
            "Basic dQ==",
            "Basic d!pw",
            "Basic /zpw",
            &long,
        ] {
            assert_eq!(Login::from_header(value), None, "{value}");
        }
    }

    #[test]
    fn no_password_is_shown() {
        assert!(!format!("{:?}", login("u", b"secret")).contains("secret"));
    }
}
