//! A listener's side of TLS, made ready for handshakes. Sessions are resumed by tickets alone, whose keys rotate
//! and are held once a process: every worker accepts the tickets of every other, and so does a later
//! configuration, and the process that takes this one's place.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use rustls::{
    CipherSuite, NamedGroup, ServerConfig, SupportedCipherSuite, SupportedProtocolVersion,
    crypto::{CryptoProvider, ring},
    server::{NoServerSessionStorage, WebPkiClientVerifier},
    version,
};

use super::{client_auth, error::ServerError, names::cipher_name, selection::Selection, tickets::TicketKeys};
use crate::model::{AlpnPolicy, ListenerTls, MutualAuthentication, SecurityPolicy};

/// What all listeners of a process share.
pub struct Servers {
    tickets: Mutex<Vec<Tickets>>,
}

/// The tickets of listeners that ask the same of their clients: a session that was begun where nothing was asked, or
/// something else, must not be taken up where something is.
struct Tickets {
    asked: Option<MutualAuthentication>,
    keys: Arc<TicketKeys>,
}

impl fmt::Debug for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Servers").finish_non_exhaustive()
    }
}

impl Servers {
    /// With ticket keys of its own, or those that another process has [told](Self::remember).
    ///
    /// # Errors
    /// No randomness was to be had.
    pub fn new(known: serde_json::Value) -> Result<Self, ServerError> {
        let keys = Arc::new(TicketKeys::recall(known).map_or_else(random, Ok)?);
        Ok(Self { tickets: Mutex::new(vec![Tickets { asked: None, keys }]) })
    }

    /// For another process: the ticket keys of listeners that ask nothing of their clients. Of who asks for something it is
    /// asked anew there.
    #[must_use]
    pub fn remember(&self) -> serde_json::Value {
        let all = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        let keys = all.iter().find(|tickets| tickets.asked.is_none());
        keys.map(|tickets| tickets.keys.remember()).unwrap_or_default()
    }

    /// Those of listeners that ask this of their clients, later configurations included.
    fn tickets(&self, asked: Option<&MutualAuthentication>) -> Result<Arc<TicketKeys>, ServerError> {
        let mut all = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.iter().find(|tickets| tickets.asked.as_ref() == asked) {
            return Ok(Arc::clone(&known.keys));
        }
        let keys = Arc::new(random()?);
        all.push(Tickets { asked: asked.cloned(), keys: Arc::clone(&keys) });
        Ok(keys)
    }

    /// Forgets the tickets of who asks for what is not in `asked`.
    pub fn forget_all_but<'a>(&self, asked: impl Iterator<Item = &'a MutualAuthentication>) {
        let asked: Vec<_> = asked.collect();
        let mut all = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|tickets| tickets.asked.as_ref().is_none_or(|mine| asked.contains(&mine)));
    }

    /// The side of a listener, which may settle on HTTP/2 where `http2` is true.
    ///
    /// # Errors
    /// A key or a policy that cannot be used, which reading the configuration has ruled out.
    pub fn build(&self, tls: &ListenerTls, http2: bool) -> Result<Arc<ServerConfig>, ServerError> {
        let provider = Arc::new(provider(&tls.policy));
        let selection = Selection::new(tls, &provider)?;
        let asked = tls.mutual_authentication.as_ref();
        let verifier = asked.map_or_else(
            || Ok(WebPkiClientVerifier::no_client_auth()),
            |asked| client_auth::verifier(asked, &provider),
        )?;
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&versions(&tls.policy))?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(Arc::new(selection));
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = self.tickets(asked)?;
        config.alpn_protocols = protocols(tls.alpn, http2);
        Ok(Arc::new(config))
    }
}

fn random() -> Result<TicketKeys, ServerError> {
    TicketKeys::random().map_err(|_| ServerError::from(rustls::Error::FailedToGetRandomBytes))
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

/// OpenSSL's names of the suites of a policy, the preferred one first.
#[must_use]
pub fn suites(policy: &SecurityPolicy) -> Vec<&'static str> {
    let versions = versions(policy);
    let is_spoken =
        |suite: &&SupportedCipherSuite| versions.iter().any(|version| suite.version() == *version);
    provider(policy).cipher_suites.iter().filter(is_spoken).map(|suite| cipher_name(suite.suite())).collect()
}

/// ALB's policies have no ChaCha20-Poly1305 in TLS 1.2, those of FIPS have none at all, and those of RFC 9151 have one
/// suite a version and one curve.
pub(super) fn provider(policy: &SecurityPolicy) -> CryptoProvider {
    let mut provider = ring::default_provider();
    provider.cipher_suites.retain(|suite| match suite.suite() {
        CipherSuite::TLS13_AES_256_GCM_SHA384 | CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 => true,
        _ if policy.rfc9151 => false,
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => !policy.without_chacha20,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
        | CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 => false,
        _ => true,
    });
    if policy.rfc9151 {
        provider.kx_groups.retain(|group| group.name() == NamedGroup::secp384r1);
    }
    provider
}
