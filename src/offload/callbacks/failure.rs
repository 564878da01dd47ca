//! Why a callback did not get through.

use std::error::Error;
use std::fmt::Write;
use std::io;

/// What became of one attempt that failed, or of a callback that cannot be tried at all. Its text has no URL in it.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("its URL is none")]
    NotAUrl,
    #[error("its URL is too long")]
    TooLong,
    #[error("its URL is neither http nor https")]
    Scheme,
    #[error("its address is private or this machine's, and callbacks.allow_private is false")]
    Refused,
    #[error("names cannot be looked up now: too many are being")]
    LookupsBusy,
    #[error("the answer was {0}")]
    Status(u16),
    #[error("no answer within callbacks.timeout")]
    Late,
    #[error("{0}")]
    Exchange(Box<str>),
}

/// What a receiver sends may be part of an error.
const TEXT_CHARACTERS_MAX: usize = 300;

impl Failure {
    /// Whether another attempt would fail for the same reason.
    pub(super) fn is_final(&self) -> bool {
        match self {
            Self::NotAUrl | Self::TooLong | Self::Scheme | Self::Refused => true,
            Self::LookupsBusy | Self::Status(_) | Self::Late | Self::Exchange(_) => false,
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Exchange(error.to_string().into())
    }
}

impl From<reqwest::Error> for Failure {
    fn from(error: reqwest::Error) -> Self {
        let error = error.without_url();
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            // What our resolver says of a name.
            if let Some(failure) = cause.downcast_ref::<Self>() {
                return failure.clone();
            }
            let _ = write!(text, ": {cause}"); // a string takes all
            source = cause.source();
        }
        Self::Exchange(text.chars().take(TEXT_CHARACTERS_MAX).collect())
    }
}
