//! The server under load.

use std::{
    fmt,
    net::{SocketAddr, ToSocketAddrs},
    str::FromStr,
};

use rustls::pki_types::ServerName;

use crate::exchange::Protocol;

/// Where to connect to, and what to speak there: `http://host:port` is a popbox, `https://host:port` the same over TLS,
/// `redis://host:port` a plain Redis, and so are `nchan://`, `beanstalk://` and `webdis://` what they are called.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// What is spoken.
    pub(crate) protocol: Protocol,
    /// Where.
    pub(crate) address: SocketAddr,
    /// The same as it was given, for the header `Host`.
    pub(crate) host: String,
    /// Whom its certificate is to be of; none: nothing is encrypted.
    pub(crate) encrypted: Option<ServerName<'static>>,
}

/// What a target begins with, what is spoken there, and at which port if none is given.
const SCHEMES: [(&str, Protocol, u16); 6] = [
    ("http", Protocol::Popbox, 80),
    (ENCRYPTED, Protocol::Popbox, 443),
    ("redis", Protocol::Redis, 6379),
    ("nchan", Protocol::Nchan, 80),
    ("beanstalk", Protocol::Beanstalk, 11_300),
    ("webdis", Protocol::Webdis, 7379),
];

/// The one that is spoken over TLS.
const ENCRYPTED: &str = "https";

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (scheme, rest) = text
            .split_once("://")
            .ok_or("a target is written as http://host:port, or with another scheme")?;
        let &(_, protocol, default_port) = SCHEMES
            .iter()
            .find(|(known, ..)| *known == scheme)
            .ok_or_else(|| {
                let known: Vec<&str> = SCHEMES.iter().map(|(known, ..)| *known).collect();
                format!("{scheme}: none of {}", known.join(", "))
            })?;
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        let is_default_path = path.is_empty() || (protocol == Protocol::Redis && path == "0");
        if !is_default_path || host.contains('@') {
            return Err("a target has neither a user nor a path".to_owned());
        }
        let has_port = host.rsplit_once(':').is_some_and(|(_, port)| {
            !port.is_empty() && port.bytes().all(|it| it.is_ascii_digit())
        });
        let host = if has_port {
            host.to_owned()
        } else {
            format!("{host}:{default_port}")
        };
        let address = host
            .to_socket_addrs()
            .map_err(|error| format!("{host}: {error}"))?
            .next()
            .ok_or_else(|| format!("{host}: has no address"))?;
        let encrypted = (scheme == ENCRYPTED)
            .then(|| server_name(&host))
            .transpose()?;
        Ok(Self {
            protocol,
            address,
            host,
            encrypted,
        })
    }
}

/// What a certificate calls the host of `host:port`.
fn server_name(host: &str) -> Result<ServerName<'static>, String> {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let name = name.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(name.to_owned()).map_err(|error| format!("{host}: {error}"))
}

impl fmt::Display for Target {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = SCHEMES.iter().find(|(scheme, protocol, _)| {
            *protocol == self.protocol && (*scheme == ENCRYPTED) == self.encrypted.is_some()
        });
        let scheme = scheme.map_or("", |(scheme, ..)| scheme);
        write!(formatter, "{scheme}://{}", self.host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        for (text, shown) in [
            ("http://127.0.0.1:3001", "http://127.0.0.1:3001"),
            ("http://127.0.0.1:3001/", "http://127.0.0.1:3001"),
            ("http://127.0.0.1", "http://127.0.0.1:80"),
            ("https://127.0.0.1:3002/", "https://127.0.0.1:3002"),
            ("https://[::1]", "https://[::1]:443"),
            ("redis://127.0.0.1/0", "redis://127.0.0.1:6379"),
            ("redis://[::1]:7000", "redis://[::1]:7000"),
            ("nchan://127.0.0.1", "nchan://127.0.0.1:80"),
            ("beanstalk://127.0.0.1", "beanstalk://127.0.0.1:11300"),
            ("webdis://127.0.0.1/", "webdis://127.0.0.1:7379"),
        ] {
            let target: Target = text.parse().unwrap();
            assert_eq!(target.to_string(), shown);
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "127.0.0.1:3001",
            "https://127.0.0.1:3001/queue",
            "beanstalk://127.0.0.1:3001/0",
            "http://127.0.0.1:3001/queue",
            "redis://:secret@127.0.0.1:6379",
            "redis://127.0.0.1:6379/1",
            "http://127.0.0.1:99999",
        ] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }
}
