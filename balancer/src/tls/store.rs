//! The balancer's side of TLS towards a session store: its certificate has to be of a known authority and for its name.
//! Must not know: sockets.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore, crypto::ring};

use super::error::ServerError;
use crate::model::Authorities;

/// For handshakes with a store whose certificate is of one of `authorities`.
///
/// # Errors
/// Authorities that cannot be used, which reading the configuration has ruled out.
pub fn store_client(authorities: &Authorities) -> Result<Arc<ClientConfig>, ServerError> {
    let mut roots = RootCertStore::empty();
    for certificate in &authorities.certificates {
        roots.add(certificate.clone())?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
