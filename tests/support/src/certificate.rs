//! The certificate by which clients know the servers of the tests: made once for each process that runs tests.

use std::sync::{Arc, LazyLock};

use rcgen::CertifiedKey;
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};

/// For the loopback address, signed by itself.
pub(crate) struct Certificate {
    /// PEM.
    pub(crate) cert: String,
    /// Its private key, PEM.
    pub(crate) key: String,
    /// What clients need to trust it, and nobody else.
    pub(crate) trust: Arc<ClientConfig>,
}

/// The one of this process.
pub(crate) fn certificate() -> &'static Certificate {
    static CERTIFICATE: LazyLock<Certificate> = LazyLock::new(|| {
        let CertifiedKey { cert, key_pair } =
            rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(cert.der().clone()).unwrap();
        let trust = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Certificate {
            cert: cert.pem(),
            key: key_pair.serialize_pem(),
            trust: Arc::new(trust),
        }
    });
    &CERTIFICATE
}
