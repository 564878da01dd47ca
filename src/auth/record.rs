//! What is kept of a user's password: a slow hash, or what an old server kept.

use std::fs::File;
use std::io::{self, Read as _};

use argon2::{
    Argon2, PasswordVerifier as _,
    password_hash::{self, PasswordHash, PasswordHasher as _, SaltString},
};
use base64ct::{Base64, Encoding as _};
use sha1::{Digest as _, Sha1};
use subtle::ConstantTimeEq as _;

use super::Login;
use crate::config::Credentials;

/// Characters of what an old server kept, which is Base64.
const OLD_LENGTH: usize = 28;

/// Bytes of it: those of a SHA-1. As many characters can be a byte more.
const OLD_BYTES: usize = 20;

/// What is kept of who may use a secured queue.
#[derive(Debug)]
pub enum Record {
    /// A user and an Argon2 hash.
    Hashed(Credentials),
    /// `base64(sha1(base64("user:password")))`, as an old server kept it.
    Old(Box<str>),
}

/// Why a password was not hashed.
#[derive(Debug, thiserror::Error)]
pub enum HashError {
    /// The system gave no random bytes.
    #[error("no random salt from the system: {0}")]
    Random(io::Error),
    /// The password is too long for the hash, or the like.
    #[error("hashing: {0}")]
    Hash(password_hash::Error),
}

impl Record {
    /// Reads what a store kept; none where it is neither.
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(credentials) = text.parse() {
            return Some(Self::Hashed(credentials));
        }
        let is_digest = |bytes: Vec<u8>| bytes.len() == OLD_BYTES;
        let is_old = text.len() == OLD_LENGTH && Base64::decode_vec(text).is_ok_and(is_digest);
        is_old.then(|| Self::Old(text.into()))
    }

    /// Whether the login is the one that was recorded. As slow for the wrong user as for the wrong password.
    pub fn verify(&self, login: &Login) -> bool {
        match self {
            Self::Hashed(credentials) => verify(credentials, login),
            Self::Old(digest) => {
                let found = Base64::encode_string(&Sha1::digest(login.token()));
                found.as_bytes().ct_eq(digest.as_bytes()).into()
            }
        }
    }
}

/// Whether a login is that of these credentials.
pub(super) fn verify(credentials: &Credentials, login: &Login) -> bool {
    // What is parsed once is an Argon2 hash for good.
    let is_password = PasswordHash::new(&credentials.hash).is_ok_and(|hash| {
        Argon2::default()
            .verify_password(&login.password, &hash)
            .is_ok()
    });
    let is_user = credentials.user.as_bytes().ct_eq(login.user.as_bytes());
    is_password & bool::from(is_user)
}

/// The Argon2id hash of a password with a salt of its own, as a PHC string.
pub fn hash(password: &[u8]) -> Result<String, HashError> {
    let mut bytes = [0; 16];
    random(&mut bytes).map_err(HashError::Random)?;
    let salt = SaltString::encode_b64(&bytes).map_err(HashError::Hash)?;
    let hash = Argon2::default()
        .hash_password(password, &salt)
        .map_err(HashError::Hash)?;
    Ok(hash.to_string())
}

/// Fills a buffer with randomness of the system.
pub(super) fn random(bytes: &mut [u8]) -> io::Result<()> {
    File::open("/dev/urandom")?.read_exact(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(user: &str, password: &str) -> Login {
        Login {
            user: user.into(),
            password: password.as_bytes().into(),
        }
    }

    #[test]
    fn a_hash_knows_its_login() {
        let record = format!("u:{}", hash(b"p").unwrap());
        let record = Record::parse(&record).unwrap();
        assert!(matches!(record, Record::Hashed(_)));
        assert!(record.verify(&login("u", "p")));
        for (user, password) in [("u", "q"), ("v", "p"), ("", "p"), ("u", "")] {
            assert!(!record.verify(&login(user, password)), "{user}:{password}");
        }
    }

    /// Made with Python: `b64encode(sha1(b64encode(b"u:p")).digest())`.
    #[test]
    fn what_an_old_server_kept_knows_its_login() {
        let record = Record::parse("oNCYGJ8dkoDeNoWJrGLZMQ0UiSw=").unwrap();
        assert!(matches!(record, Record::Old(_)));
        assert!(record.verify(&login("u", "p")));
        assert!(!record.verify(&login("u", "q")));
    }

    #[test]
    fn nothing_else_is_a_record() {
        for text in [
            "",
            "u:p",
            "u:$argon2id$",
            "2jmj7l5rSw0yVb/vlWAYkK/YBwk",
            "2jmj7l5rSw0yVb/vlWAYkK/YBwkx",
            "!jmj7l5rSw0yVb/vlWAYkK/YBwk=",
        ] {
            assert!(Record::parse(text).is_none(), "{text}");
        }
    }
}
