//! By which a receiver knows that a callback is ours.

use std::fmt::Write;

use hmac::digest::InvalidLength;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::config::Secret;

/// Makes the value of `X-Popbox-Signature`.
#[derive(Clone, Debug)]
pub(super) struct Signer(Hmac<Sha256>);

impl Signer {
    pub(super) fn new(secret: &Secret) -> Result<Self, InvalidLength> {
        Hmac::new_from_slice(secret.expose().as_bytes()).map(Self)
    }

    /// `sha256=` and the HMAC of a body in hexadecimal digits.
    pub(super) fn sign(&self, body: &[u8]) -> String {
        let digest = self.0.clone().chain_update(body).finalize().into_bytes();
        let mut text = String::from("sha256=");
        for byte in digest {
            let _ = write!(text, "{byte:02x}"); // a string takes all
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 2; one with a key longer than a block.
    #[test]
    fn known_vectors() {
        for (key, text, expected) in [
            (
                "Jefe".to_owned(),
                "what do ya want for nothing?",
                "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                "k".repeat(131),
                "Test Using Larger Than Block-Size Key - Hash Key First",
                "sha256=70e4b005732fa7ff79392aa24fb240159b925dbc9f1398420c0f45e6763dcf14",
            ),
        ] {
            let signer = Signer::new(&Secret::new(&key)).unwrap();
            assert_eq!(signer.sign(text.as_bytes()), expected);
            assert!(!format!("{signer:?}").contains(&key));
        }
    }
}
