//! The addresses that the server is reached at, with a listener of each for every worker.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
};

use super::{
    certificate::{Certificate, CertificateError},
    listener,
};
use crate::{config::Config, mailbox::Realm};

/// All of them, bound.
pub(super) struct Entrances {
    /// Of each worker.
    pub(super) of_workers: Vec<Vec<Entrance>>,
    /// Where plain HTTP is served.
    pub(super) plain: SocketAddr,
    /// Where HTTPS is served, and with what.
    pub(super) secured: Option<(SocketAddr, Arc<Certificate>)>,
}

/// A listener of one worker.
#[derive(Debug)]
pub(super) struct Entrance {
    pub(super) listener: TcpListener,
    /// What it shows of itself; none: it is for plain HTTP.
    pub(super) certificate: Option<Arc<Certificate>>,
}

/// Why there is no entrance.
#[derive(Debug, thiserror::Error)]
pub(super) enum EntranceError {
    #[error("cannot listen on {0} ({1}): {2}")]
    Listen(SocketAddr, &'static str, io::Error),
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

impl Entrances {
    /// Binds what the configuration names.
    pub(super) fn open(config: &Config, workers: usize) -> Result<Self, EntranceError> {
        let certificate = match config.tls.listen {
            Some(address) => Some((address, Arc::new(Certificate::open(&config.tls)?))),
            None => None,
        };
        let (listeners, plain) = listen(config.server.listen, "server.listen", workers)?;
        let mut of_workers: Vec<_> = listeners
            .into_iter()
            .map(|listener| {
                vec![Entrance {
                    listener,
                    certificate: None,
                }]
            })
            .collect();
        let mut secured = None;
        if let Some((address, certificate)) = certificate {
            let (listeners, address) = listen(address, "tls.listen", workers)?;
            for (entrances, listener) in of_workers.iter_mut().zip(listeners) {
                entrances.push(Entrance {
                    listener,
                    certificate: Some(Arc::clone(&certificate)),
                });
            }
            secured = Some((address, certificate));
        }
        Ok(Self {
            of_workers,
            plain,
            secured,
        })
    }
}

impl Entrance {
    /// Which queues are reached through it.
    pub(super) fn realm(&self) -> Realm {
        match self.certificate {
            None => Realm::Plain,
            Some(_) => Realm::Secured,
        }
    }
}

/// One listener for each worker on the address of a key, and which address that is.
fn listen(
    address: SocketAddr,
    key: &'static str,
    workers: usize,
) -> Result<(Vec<TcpListener>, SocketAddr), EntranceError> {
    let failed = |error| EntranceError::Listen(address, key, error);
    let listeners = listener::bind(address, workers).map_err(failed)?;
    let bound = listeners.first().map(TcpListener::local_addr);
    let bound = bound.transpose().map_err(failed)?;
    Ok((listeners, bound.unwrap_or(address)))
}
