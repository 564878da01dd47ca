//! `[tls]`: the secured listener.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::section::Section;
use super::value;

/// `[tls]`: the encrypted listener, which secured queues need.
#[derive(Debug, Clone, PartialEq)]
pub struct Tls {
    /// The address of HTTPS; none: off. Port 0 lets the system choose one.
    pub listen: Option<SocketAddr>,
    /// The file of the certificate chain, PEM.
    pub cert: PathBuf,
    /// The file of the certificate's private key, PEM.
    pub key: PathBuf,
    /// How long a client may take for its handshake, 100 ms to 1 min.
    pub handshake_timeout: Duration,
    /// Handshakes in progress at once, of the whole process, 1 to 1 000 000; further connections wait in the kernel.
    pub max_handshakes: usize,
}

impl Tls {
    pub(super) fn read(section: &mut Section) -> Self {
        let default = Self::default();
        let allowed = "\"\" or an IP address and a port, such as 0.0.0.0:3002";
        Self {
            listen: section.parsed("listen", default.listen, allowed, value::show, |value| {
                match value.as_str()? {
                    "" => Some(None),
                    text => text.parse().ok().map(Some),
                }
            }),
            cert: section.path("cert", default.cert),
            key: section.path("key", default.key),
            handshake_timeout: section.duration(
                "handshake_timeout",
                default.handshake_timeout,
                Duration::from_millis(100)..=Duration::from_mins(1),
            ),
            max_handshakes: section.count("max_handshakes", default.max_handshakes, 1..=1_000_000),
        }
    }
}

impl Default for Tls {
    fn default() -> Self {
        Self {
            listen: None,
            cert: PathBuf::from("server.crt"),
            key: PathBuf::from("server.key"),
            handshake_timeout: Duration::from_secs(10),
            max_handshakes: 1_024,
        }
    }
}
