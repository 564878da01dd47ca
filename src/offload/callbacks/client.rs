//! One attempt: a POST, and what comes back.

use std::sync::Arc;
use std::time::Duration;

use hmac::digest::InvalidLength;
use reqwest::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use reqwest::{ClientBuilder, Response, redirect};
use rustls::crypto::ring;
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use super::callback::Callback;
use super::failure::Failure;
use super::kept::{IDLE_MAX, IDLE_PER_HOST_MAX};
use super::resolver::Resolver;
use super::signature::Signer;
use crate::config;

/// Posts callbacks. Cheap to clone.
#[derive(Clone, Debug)]
pub(in crate::offload) struct Client {
    http: reqwest::Client,
    signer: Option<Signer>,
    timeout: Duration,
    allow_private: bool,
}

/// Why there can be none.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// There is nothing to send with.
    #[error("cannot be sent by this process: {0:?}")]
    Http(#[from] reqwest::Error),
    /// There is nothing to sign with.
    #[error("callbacks.secret is no key: {0}")]
    Secret(#[from] InvalidLength),
}

const SIGNATURE: &str = "X-Popbox-Signature";

/// What is read of an answer's body, so that its connection can be used again. With more the connection is closed.
const ANSWER_BYTES_MAX: usize = 4096;

impl Client {
    pub(in crate::offload) fn new(settings: &config::Callbacks) -> Result<Self, ClientError> {
        Self::with_resolver(settings, Resolver::new(settings.allow_private))
    }

    /// Looks names up with this resolver.
    pub(super) fn with_resolver(
        settings: &config::Callbacks,
        resolver: Resolver,
    ) -> Result<Self, ClientError> {
        // Another part of the process may have done it.
        let _ = ring::default_provider().install_default();
        let resolver = Arc::new(resolver);
        let builder = || {
            ClientBuilder::new()
                .dns_resolver(Arc::clone(&resolver))
                .redirect(redirect::Policy::none())
                .retry(reqwest::retry::never())
                .no_proxy()
                .http1_only()
                .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
                .pool_idle_timeout(IDLE_MAX)
                .user_agent("popbox")
        };
        let http = builder().build().or_else(|error| {
            warn!(%error, "the system has no certificates to trust: callbacks to https will fail");
            builder().tls_certs_only([]).build()
        })?;
        Ok(Self {
            http,
            signer: settings.secret.as_ref().map(Signer::new).transpose()?,
            timeout: settings.timeout,
            allow_private: settings.allow_private,
        })
    }

    /// Tells a producer once. With `keeps`, the connection may be used again.
    pub(super) async fn post(self, callback: Callback, keeps: bool) -> Result<(), Failure> {
        if !self.allow_private {
            callback.target.admit()?;
        }
        let deadline = Instant::now() + self.timeout;
        let body = callback.body();
        let mut request = self
            .http
            .post(callback.target.url().clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(signer) = &self.signer {
            request = request.header(SIGNATURE, signer.sign(&body));
        }
        if !keeps {
            request = request.header(CONNECTION, HeaderValue::from_static("close"));
        }
        let sent = timeout_at(deadline, request.body(body).send()).await;
        let response = sent.map_err(|_| Failure::Late)??;
        let status = response.status();
        // The head says it all. Of the rest only the end is of interest, and whether it comes does not matter.
        let _ = timeout_at(deadline, read_rest(response)).await;
        if status.is_success() {
            Ok(())
        } else {
            Err(Failure::Status(status.as_u16()))
        }
    }
}

async fn read_rest(mut response: Response) {
    let mut left = ANSWER_BYTES_MAX;
    while let Ok(Some(chunk)) = response.chunk().await {
        if chunk.len() > left {
            return;
        }
        left -= chunk.len();
    }
}
