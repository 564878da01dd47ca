//! `[tls]`: the secured listener.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::section::Section;
use super::value;

/// `[tls]`: the encrypted listener, which secured queues need.
#[derive(Debug, Clone, PartialEq)]
pub struct Tls {
    /// The address of HTTPS; none: off, the only value this version allows.
    pub listen: Option<SocketAddr>,
    /// The file of the certificate chain, PEM.
    pub cert: PathBuf,
    /// The file of the certificate's private key, PEM.
    pub key: PathBuf,
}

impl Tls {
    pub(super) fn read(section: &mut Section) -> Self {
        let default = Self::default();
        let allowed = "\"\" (this version serves no TLS)";
        Self {
            // An address that would be accepted and then not served would leave secured queues open to nobody
            // and their operator puzzled.
            listen: section.parsed("listen", default.listen, allowed, value::show, |value| {
                (value.as_str() == Some("")).then_some(None)
            }),
            cert: section.path("cert", default.cert),
            key: section.path("key", default.key),
        }
    }
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            listen: None,
            cert: PathBuf::from("server.crt"),
            key: PathBuf::from("server.key"),
        }
    }
}
