//! Where MongoDB is reached, and as whom.

use std::fmt;
use std::str::FromStr;

use mongodb::options::{Acknowledgment, ConnectionString};

/// A connection string of MongoDB. Its debug text is empty of it, as there may be a password in it.
#[derive(Clone, PartialEq, Eq)]
pub struct MongoUri(String);

/// A text that is no [`MongoUri`]. Does not say which, because it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {}", MongoUri::FORM)]
pub struct NotAMongoUri;

impl MongoUri {
    /// What one looks like. With `w=0` nobody would know what is in.
    pub const FORM: &str = "a connection string mongodb://[user:password@]host[:port][/?options] or mongodb+srv://..., \
        without w=0";

    /// As it was written, with its password.
    pub fn secret(&self) -> &str {
        &self.0
    }
}

impl FromStr for MongoUri {
    type Err = NotAMongoUri;

    fn from_str(text: &str) -> Result<Self, NotAMongoUri> {
        let parsed = ConnectionString::parse(text).map_err(|_| NotAMongoUri)?;
        let acknowledgment = parsed.write_concern.and_then(|concern| concern.w);
        if acknowledgment == Some(Acknowledgment::Nodes(0)) {
            return Err(NotAMongoUri);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Debug for MongoUri {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("MongoUri").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_driver_says_what_is_one() {
        for text in [
            "mongodb://127.0.0.1",
            "mongodb://user:p%40ss@a:1,b:2/admin?replicaSet=rs0&w=majority",
            "mongodb+srv://user:secret@cluster.example.com/?appName=x",
        ] {
            let uri: MongoUri = text.parse().unwrap();
            assert_eq!(uri.secret(), text);
            assert!(!format!("{uri:?}").contains("secret"));
        }
        for text in [
            "127.0.0.1:27017",
            "redis://127.0.0.1",
            "mongodb://",
            "mongodb://a:b:c",
            "mongodb://user:p@ss@host",
            "mongodb://a:99999999/",
            "mongodb://a/?w=0",
            "mongodb://a/?w=-1",
            "mongodb://a/?connectTimeoutMS=soon",
            "mongodb+srv://a:27017",
        ] {
            assert_eq!(text.parse::<MongoUri>(), Err(NotAMongoUri), "{text}");
        }
    }
}
