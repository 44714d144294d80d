//! Which certificate a client gets (ALB: HTTPS listener certificates): among those that have the name it asks
//! for, one that is valid now, ECDSA before RSA, then the better hash, the longer key, the longer validity;
//! without such a one the default certificate. ALB puts the kind of key before validity; here no expired
//! certificate is shown where a valid one would do.

use std::{cell::RefCell, cmp::Reverse, collections::HashMap, fmt, sync::Arc};

use rustls::{
    SignatureScheme,
    crypto::CryptoProvider,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use crate::{
    clock::unix_now,
    model::{Certificate, CertificateFacts, ListenerTls},
};

thread_local! {
    /// The name of the certificate that this thread chose last.
    static CHOSEN: RefCell<Option<Arc<str>>> = const { RefCell::new(None) };
}

/// The name of the certificate that was chosen on this thread since the last call. The engine does not say it:
/// whoever drives a handshake asks after each step.
#[must_use]
pub fn take_chosen() -> Option<Arc<str>> {
    CHOSEN.take()
}

struct Candidate {
    name: Arc<str>,
    facts: CertificateFacts,
    key: Arc<CertifiedKey>,
}

impl Candidate {
    fn new(certificate: &Certificate, provider: &CryptoProvider) -> Result<Self, rustls::Error> {
        let key = CertifiedKey::from_der(certificate.chain.clone(), certificate.key.clone_key(), provider)?;
        let name = certificate.name.as_str().into();
        Ok(Self { name, facts: certificate.facts.clone(), key: Arc::new(key) })
    }

    fn is_valid_at(&self, now: i64) -> bool {
        (self.facts.not_before..=self.facts.not_after).contains(&now)
    }

    fn suits(&self, schemes: &[SignatureScheme]) -> bool {
        self.key.key.choose_scheme(schemes).is_some()
    }
}

/// The certificates of one listener by name.
pub(super) struct Selection {
    default: Candidate,
    /// Best first within a name, validity aside.
    by_name: HashMap<String, Vec<Arc<Candidate>>>,
}

impl fmt::Debug for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Selection").field("names", &self.by_name.keys()).finish_non_exhaustive()
    }
}

impl Selection {
    /// # Errors
    /// A key that does not fit its certificate, which loading has ruled out.
    pub(super) fn new(tls: &ListenerTls, provider: &CryptoProvider) -> Result<Self, rustls::Error> {
        let mut candidates = Vec::new();
        for certificate in tls.certificates.iter().chain([&tls.default_certificate]) {
            candidates.push(Arc::new(Candidate::new(certificate, provider)?));
        }
        candidates.sort_by_key(|candidate| {
            let facts = &candidate.facts;
            Reverse((facts.is_ecdsa, facts.hash_bits, facts.key_bits, facts.not_after))
        });
        let mut by_name: HashMap<String, Vec<Arc<Candidate>>> = HashMap::new();
        for candidate in &candidates {
            for name in &candidate.facts.names {
                by_name.entry(name.clone()).or_default().push(Arc::clone(candidate));
            }
        }
        Ok(Self { default: Candidate::new(&tls.default_certificate, provider)?, by_name })
    }

    fn choose(&self, name: Option<&str>, schemes: &[SignatureScheme], now: i64) -> &Candidate {
        let name = name.map(|name| name.trim_end_matches('.').to_ascii_lowercase());
        let exact = name.as_ref().and_then(|name| self.by_name.get(name));
        let parent = name.as_ref().and_then(|name| name.split_once('.')).map(|(_, parent)| parent);
        let wild = parent.and_then(|parent| self.by_name.get(&format!("*.{parent}")));
        let found =
            [exact, wild].into_iter().flatten().flatten().filter(|candidate| candidate.suits(schemes));
        // `min_by_key` keeps the first of equals: the exact name, and within a name the order of above.
        let best = found.min_by_key(|candidate| {
            let facts = &candidate.facts;
            let rank = (facts.is_ecdsa, facts.hash_bits, facts.key_bits, facts.not_after);
            (!candidate.is_valid_at(now), Reverse(rank))
        });
        best.map_or(&self.default, |candidate| candidate)
    }
}

impl ResolvesServerCert for Selection {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let now = i64::from(unix_now().0);
        let chosen = self.choose(hello.server_name(), hello.signature_schemes(), now);
        CHOSEN.set(Some(Arc::clone(&chosen.name)));
        Some(Arc::clone(&chosen.key))
    }
}
