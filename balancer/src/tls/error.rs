//! Why TLS cannot be had. Must not know: who asks.

/// Why TLS could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("TLS could not be set up: {0}")]
pub struct ServerError(#[from] rustls::Error);
