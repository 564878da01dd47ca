//! Where a Redis server is reached, and as whom.

use std::fmt;
use std::str::FromStr;

use percent_encoding::percent_decode_str;

/// A Redis server, written as [`RedisAddress::FORM`]. Neither its display nor its debug text has the password in it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RedisAddress {
    /// A name, or an IP address without brackets.
    pub host: String,
    /// The port, 6379 if the text names none.
    pub port: u16,
    /// Who logs in; none: the default user, if there is a password.
    pub user: Option<String>,
    /// What that user logs in with; none: nobody logs in.
    pub password: Option<String>,
    /// The number of the database, 0 if the text names none.
    pub database: u32,
}

/// A text that is no [`RedisAddress`]. Does not say which, because it may hold a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {}", RedisAddress::FORM)]
pub struct NotARedisAddress;

/// Where Redis listens unless it is told otherwise.
const PORT: u16 = 6379;

impl RedisAddress {
    /// How an address is written. User and password are percent-encoded, so that they may have any characters.
    pub const FORM: &str = "redis://[[user]:password@]host[:port][/database]";
}

impl Default for RedisAddress {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: PORT,
            user: None,
            password: None,
            database: 0,
        }
    }
}

impl FromStr for RedisAddress {
    type Err = NotARedisAddress;

    fn from_str(text: &str) -> Result<Self, NotARedisAddress> {
        parse(text).ok_or(NotARedisAddress)
    }
}

fn parse(text: &str) -> Option<RedisAddress> {
    let rest = text.strip_prefix("redis://")?;
    let (authority, database) = match rest.split_once('/') {
        Some((authority, "")) => (authority, 0),
        Some((authority, database)) => (authority, number(database)?),
        None => (rest, 0),
    };
    // The last one, so that a password with an `@` that nobody encoded does not become part of the host.
    let (login, place) = match authority.rsplit_once('@') {
        Some((login, place)) => (Some(login), place),
        None => (None, authority),
    };
    let (user, password) = match login {
        // A user without a password could not log in.
        Some(login) => login.split_once(':').and_then(|(user, password)| {
            let user = decoded(user)?;
            let password = decoded(password).filter(|it| !it.is_empty())?;
            Some(((!user.is_empty()).then_some(user), Some(password)))
        })?,
        None => (None, None),
    };
    let (host, port) = host_and_port(place)?;
    Some(RedisAddress {
        host: host.to_owned(),
        port,
        user,
        password,
        database,
    })
}

fn host_and_port(place: &str) -> Option<(&str, u16)> {
    let (host, port) = if let Some(bracketed) = place.strip_prefix('[') {
        let (host, rest) = bracketed.split_once(']')?;
        host.parse::<std::net::Ipv6Addr>().ok()?;
        match rest {
            "" => (host, None),
            _ => (host, Some(rest.strip_prefix(':')?)),
        }
    } else {
        match place.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        }
    };
    let is_of_a_host = |letter: char| letter.is_ascii_alphanumeric() || "-._:".contains(letter);
    if host.is_empty() || !host.chars().all(is_of_a_host) {
        return None;
    }
    let port = match port {
        Some(port) => number(port).and_then(|port| u16::try_from(port).ok())?,
        None => PORT,
    };
    (port > 0).then_some((host, port))
}

/// Digits alone: the parser of the standard library would also take a sign.
fn number(text: &str) -> Option<u32> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

fn decoded(text: &str) -> Option<String> {
    let decoded = percent_decode_str(text).decode_utf8().ok()?;
    Some(decoded.into_owned())
}

impl fmt::Display for RedisAddress {
    /// Enough to know the server by.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            host,
            port,
            database,
            ..
        } = self;
        if host.contains(':') {
            write!(formatter, "redis://[{host}]:{port}/{database}")
        } else {
            write!(formatter, "redis://{host}:{port}/{database}")
        }
    }
}

impl fmt::Debug for RedisAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> RedisAddress {
        text.parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn a_whole_address() {
        let address = read("redis://us%3Aer:p%40ss%2F%2C@redis.example:1234/7");
        assert_eq!(address.host, "redis.example");
        assert_eq!(address.port, 1234);
        assert_eq!(address.user.as_deref(), Some("us:er"));
        assert_eq!(address.password.as_deref(), Some("p@ss/,"));
        assert_eq!(address.database, 7);
    }

    #[test]
    fn what_is_left_out_has_its_default() {
        for text in [
            "redis://127.0.0.1",
            "redis://127.0.0.1/",
            "redis://127.0.0.1:6379",
            "redis://127.0.0.1:6379/0",
        ] {
            assert_eq!(read(text), RedisAddress::default(), "{text}");
        }
        let address = read("redis://:secret@host");
        assert_eq!(
            (address.user, address.password),
            (None, Some("secret".into()))
        );
        let address = read("redis://[::1]:7/2");
        assert_eq!(
            (&*address.host, address.port, address.database),
            ("::1", 7, 2)
        );
        assert_eq!(read("redis://[::1]").port, 6379);
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "redis://",
            "redis:///0",
            "rediss://host",
            "http://host",
            "host:6379",
            "redis://host:",
            "redis://host:0",
            "redis://host:65536",
            "redis://host:+1",
            "redis://host:a",
            "redis://host/x",
            "redis://host/-1",
            "redis://host/0/1",
            "redis://host/0?a=b",
            "redis://ho st",
            "redis://user@host",
            "redis://user:@host",
            "redis://a:%ff@host",
            "redis://::1",
            "redis://[::1",
            "redis://[x]:1",
            "redis://[::1]x",
        ] {
            assert_eq!(
                text.parse::<RedisAddress>(),
                Err(NotARedisAddress),
                "{text}"
            );
        }
    }

    #[test]
    fn its_texts_name_the_server_and_no_secret() {
        for text in [
            "redis://user:secret@host:1/2",
            "redis://u:%73ecret@[::1]:1/2",
        ] {
            let address = read(text);
            let shown = address.to_string();
            assert_eq!(shown, format!("{address:?}"));
            assert!(!shown.contains("secret"), "{shown}");
            let again = read(&shown);
            assert_eq!(
                (again.host, again.port, again.database),
                (address.host, 1, 2)
            );
        }
    }
}
