//! A listener's side of TLS, made ready for handshakes. Sessions are resumed by tickets alone, whose keys rotate
//! and are held once a process: every worker accepts the tickets of every other, and so does a later
//! configuration.

use std::{fmt, sync::Arc};

use rustls::{
    CipherSuite, ServerConfig, SupportedProtocolVersion,
    crypto::{CryptoProvider, ring},
    server::{NoServerSessionStorage, ProducesTickets},
    version,
};

use super::selection::Selection;
use crate::model::{AlpnPolicy, ListenerTls, SecurityPolicy};

/// Why TLS could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("TLS could not be set up: {0}")]
pub struct ServerError(#[from] rustls::Error);

/// What all listeners of a process share.
pub struct Servers {
    tickets: Arc<dyn ProducesTickets>,
}

impl fmt::Debug for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Servers").finish_non_exhaustive()
    }
}

impl Servers {
    /// With ticket keys of its own.
    ///
    /// # Errors
    /// No randomness was to be had.
    pub fn new() -> Result<Self, ServerError> {
        Ok(Self { tickets: ring::Ticketer::new()? })
    }

    /// The side of a listener, which may settle on HTTP/2 where `http2` is true.
    ///
    /// # Errors
    /// A key or a policy that cannot be used, which reading the configuration has ruled out.
    pub fn build(&self, tls: &ListenerTls, http2: bool) -> Result<Arc<ServerConfig>, ServerError> {
        let provider = Arc::new(provider(&tls.policy));
        let selection = Selection::new(tls, &provider)?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&versions(&tls.policy))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(selection));
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = Arc::clone(&self.tickets);
        config.alpn_protocols = protocols(tls.alpn, http2);
        Ok(Arc::new(config))
    }
}

/// The protocols to offer, the preferred one first.
fn protocols(policy: AlpnPolicy, http2: bool) -> Vec<Vec<u8>> {
    let offered: &[&[u8]] = match policy {
        AlpnPolicy::None => &[],
        AlpnPolicy::Http1Only => &[b"http/1.1"],
        AlpnPolicy::Http2Only => &[b"h2"],
        AlpnPolicy::Http2Optional => &[b"http/1.1", b"h2"],
        AlpnPolicy::Http2Preferred => &[b"h2", b"http/1.1"],
    };
    offered.iter().filter(|protocol| http2 || **protocol != b"h2").map(|protocol| protocol.to_vec()).collect()
}

fn versions(policy: &SecurityPolicy) -> Vec<&'static SupportedProtocolVersion> {
    let versions = [(policy.tls13, &version::TLS13), (policy.tls12, &version::TLS12)];
    versions.into_iter().filter(|(wanted, _)| *wanted).map(|(_, version)| version).collect()
}

/// ALB's policies have no ChaCha20-Poly1305 in TLS 1.2, and those of FIPS have none at all.
fn provider(policy: &SecurityPolicy) -> CryptoProvider {
    let mut provider = ring::default_provider();
    provider.cipher_suites.retain(|suite| match suite.suite() {
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => !policy.without_chacha20,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
        | CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => false,
        _ => true,
    });
    provider
}
