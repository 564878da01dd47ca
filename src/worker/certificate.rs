//! What the server shows of itself to those who connect over TLS: read from files, and read again when told to.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use rustls::{
    CertificateError as Reason, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject},
    server::{ParsedCertificate, ProducesTickets},
};

use crate::config;

/// A certificate in use, which may be replaced while connections go on.
#[derive(Debug)]
pub(super) struct Certificate {
    cert: PathBuf,
    key: PathBuf,
    /// Outlives the certificate, so that sessions that were begun with an earlier one can be resumed.
    ticketer: Arc<dyn ProducesTickets>,
    current: RwLock<Arc<ServerConfig>>,
}

/// Why a certificate cannot be used; it names the key of the configuration.
#[derive(Debug, thiserror::Error)]
pub(super) enum CertificateError {
    #[error("tls.cert = {0:?}: expected a readable file with a PEM certificate chain: {1}")]
    Chain(PathBuf, pem::Error),
    #[error("tls.cert = {0:?}: expected a PEM certificate chain, found no certificate")]
    NoCertificate(PathBuf),
    #[error(
        "tls.cert = {path:?}: expected a chain of certificates, number {number} cannot be used: {reason}"
    )]
    Faulty {
        path: PathBuf,
        number: usize,
        reason: Reason,
    },
    #[error("tls.key = {0:?}: expected a readable file with a PEM private key: {1}")]
    Key(PathBuf, pem::Error),
    #[error("tls.key = {0:?}: expected a private key of RSA, ECDSA or Ed25519: {1}")]
    UnknownKey(PathBuf, rustls::Error),
    #[error(
        "tls.key = {key:?}: expected the private key of the first certificate in tls.cert = {cert:?}"
    )]
    Mismatch { cert: PathBuf, key: PathBuf },
    #[error("TLS cannot be set up: {0}")]
    Setup(rustls::Error),
}

impl Certificate {
    /// Reads the files that the configuration names.
    pub(super) fn open(tls: &config::Tls) -> Result<Self, CertificateError> {
        let ticketer = ring::Ticketer::new().map_err(CertificateError::Setup)?;
        let current = read(&tls.cert, &tls.key, Arc::clone(&ticketer))?;
        Ok(Self {
            cert: tls.cert.clone(),
            key: tls.key.clone(),
            ticketer,
            current: RwLock::new(Arc::new(current)),
        })
    }

    /// Reads the files again, for the connections that come from now on. Where that fails, the earlier stays in use.
    pub(super) fn reload(&self) -> Result<(), CertificateError> {
        let read = read(&self.cert, &self.key, Arc::clone(&self.ticketer))?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(read);
        Ok(())
    }

    /// What a new connection begins with.
    pub(super) fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn read(
    cert: &Path,
    key: &Path,
    ticketer: Arc<dyn ProducesTickets>,
) -> Result<ServerConfig, CertificateError> {
    let chain = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| CertificateError::Chain(cert.into(), error))?;
    if chain.is_empty() {
        return Err(CertificateError::NoCertificate(cert.into()));
    }
    let faulty = |number, reason| CertificateError::Faulty {
        path: cert.into(),
        number,
        reason,
    };
    for (number, certificate) in (1..).zip(&chain) {
        // Of the rest of the chain it is the clients who say whether they like it.
        if let Err(rustls::Error::InvalidCertificate(reason @ Reason::BadEncoding)) =
            ParsedCertificate::try_from(certificate)
        {
            return Err(faulty(number, reason));
        }
    }
    let private = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| CertificateError::Key(key.into(), error))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(CertificateError::Setup)?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => CertificateError::Mismatch {
                cert: cert.into(),
                key: key.into(),
            },
            rustls::Error::InvalidCertificate(reason) => faulty(1, reason),
            error => CertificateError::UnknownKey(key.into(), error),
        })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Tickets need no memory here, however many clients come and go.
    config.ticketer = ticketer;
    Ok(config)
}
