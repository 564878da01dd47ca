//! TLS to a server under load.

use std::{
    io::{self, Read as _, Write as _},
    str::FromStr,
    sync::Arc,
};

use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::ring,
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject as _},
};

/// What all connections of a run have in common. Its text is the file of the authorities that certificates are verified
/// against; empty: they are taken as they are.
#[derive(Clone, Debug)]
pub(crate) struct Tls(Arc<ClientConfig>);

impl FromStr for Tls {
    type Err = String;

    fn from_str(file: &str) -> Result<Self, String> {
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let config = if file.is_empty() {
            config
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AnyCertificate))
        } else {
            config.with_root_certificates(authorities(file)?)
        };
        let mut config = config.with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // Each handshake is a whole one, as that of a client that has not been here before.
        config.resumption = Resumption::disabled();
        Ok(Self(Arc::new(config)))
    }
}

fn authorities(file: &str) -> Result<RootCertStore, String> {
    let mut authorities = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| error.to_string())? {
        let certificate = certificate.map_err(|error| error.to_string())?;
        authorities
            .add(certificate)
            .map_err(|error| error.to_string())?;
    }
    if authorities.is_empty() {
        return Err("no certificate in it".to_owned());
    }
    Ok(authorities)
}

impl Tls {
    /// A session with the server of this name, of which nothing has been said yet.
    pub(crate) fn session(
        &self,
        server: &ServerName<'static>,
    ) -> Result<ClientConnection, rustls::Error> {
        ClientConnection::new(Arc::clone(&self.0), server.clone())
    }
}

/// The session of a connection that does not wait: between what the kernel has and what is asked and answered.
#[derive(Debug)]
pub(crate) struct Session(ClientConnection);

impl Session {
    /// Begins one; what is to be sent for it is appended `to` that.
    pub(crate) fn begin(
        tls: &Tls,
        server: &ServerName<'static>,
        to: &mut Vec<u8>,
    ) -> io::Result<Self> {
        let mut session = tls.session(server).map_err(io::Error::other)?;
        // A request is encrypted whole, and is bounded itself.
        session.set_buffer_limit(None);
        let mut session = Self(session);
        session.give(to)?;
        Ok(session)
    }

    /// Whether it can be asked something.
    pub(crate) fn is_open(&self) -> bool {
        !self.0.is_handshaking()
    }

    /// Encrypts a request.
    pub(crate) fn encrypt(&mut self, request: &[u8], to: &mut Vec<u8>) -> io::Result<()> {
        self.0.writer().write_all(request)?;
        self.give(to)
    }

    /// Decrypts what has come; what is to be sent in return is appended `to` that. Whether this is the end.
    pub(crate) fn decrypt(
        &mut self,
        mut came: &[u8],
        decrypted: &mut Vec<u8>,
        to: &mut Vec<u8>,
    ) -> io::Result<bool> {
        let mut is_end = false;
        while !came.is_empty() && !is_end {
            self.0.read_tls(&mut came)?;
            let state = self.0.process_new_packets().map_err(io::Error::other)?;
            let count = state.plaintext_bytes_to_read() as u64;
            self.0.reader().take(count).read_to_end(decrypted)?;
            is_end = state.peer_has_closed();
        }
        self.give(to)?;
        Ok(is_end)
    }

    fn give(&mut self, to: &mut Vec<u8>) -> io::Result<()> {
        while self.0.wants_write() {
            self.0.write_tls(to)?;
        }
        Ok(())
    }
}

/// Takes every certificate, and leaves out what verifying costs: that may be the server's processor time.
#[derive(Debug)]
struct AnyCertificate;

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        ring::default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
