//! Files of authorities' certificates and of what they have taken back: read, and known to be usable before anything
//! is held against them.

use std::{path::Path, sync::Arc};

use rustls::{
    RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, CertificateRevocationListDer, pem::PemObject as _},
    server::WebPkiClientVerifier,
};
use x509_parser::{
    certificate::X509Certificate, prelude::FromDer as _, revocation_list::CertificateRevocationList,
};

use super::certificate::{CertificateFault, MAX_FILE, read};
use crate::model::{Authorities, RevocationList};

/// Longest file of revocation lists (ALB: quotas of trust stores).
const MAX_REVOCATIONS: u64 = 50 << 20;

/// Reads the certificates of authorities in PEM form.
///
/// # Errors
/// What is wrong with the file.
pub fn load_authorities(file: &Path) -> Result<Authorities, CertificateFault> {
    let (text, _) = read(file, MAX_FILE)?;
    parse_authorities(&text, file)
}

/// The certificates of authorities in the text of a file.
///
/// # Errors
/// What is wrong with it.
pub fn parse_authorities(text: &[u8], file: &Path) -> Result<Authorities, CertificateFault> {
    let malformed = || CertificateFault::Malformed { path: file.to_owned() };
    let certificates =
        CertificateDer::pem_slice_iter(text).collect::<Result<Vec<_>, _>>().map_err(|_| malformed())?;
    let mut store = RootCertStore::empty();
    let mut not_after = i64::MAX;
    for certificate in &certificates {
        store.add(certificate.clone()).map_err(|_| malformed())?;
        let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| malformed())?;
        not_after = not_after.min(parsed.validity().not_after.timestamp());
    }
    if certificates.is_empty() {
        return Err(CertificateFault::NothingThere { path: file.to_owned(), what: "certificate" });
    }
    Ok(Authorities { file: file.to_owned(), certificates, not_after })
}

/// Reads revocation lists in PEM form, each of one of `authorities`.
///
/// # Errors
/// What is wrong with the file.
pub fn load_revocations(
    file: &Path,
    authorities: &Authorities,
) -> Result<Vec<RevocationList>, CertificateFault> {
    let (text, _) = read(file, MAX_REVOCATIONS)?;
    parse_revocations(&text, file, authorities)
}

/// The revocation lists in the text of a file, each of one of `authorities`.
///
/// # Errors
/// What is wrong with it.
pub fn parse_revocations(
    text: &[u8],
    file: &Path,
    authorities: &Authorities,
) -> Result<Vec<RevocationList>, CertificateFault> {
    let malformed = || CertificateFault::NoRevocations { path: file.to_owned() };
    let lists = CertificateRevocationListDer::pem_slice_iter(text)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| malformed())?;
    if lists.is_empty() {
        return Err(CertificateFault::NothingThere { path: file.to_owned(), what: "revocation list" });
    }
    let mut roots = RootCertStore::empty();
    for certificate in &authorities.certificates {
        roots.add(certificate.clone()).map_err(|_| malformed())?;
    }
    let roots = Arc::new(roots);
    let mut loaded = Vec::new();
    for list in lists {
        // What cannot be used would otherwise be found out by the first client.
        let provider = Arc::new(ring::default_provider());
        WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), provider)
            .with_crls([list.clone()])
            .build()
            .map_err(|_| malformed())?;
        let (_, parsed) = CertificateRevocationList::from_der(&list).map_err(|_| malformed())?;
        let is_issuer = |certificate: &CertificateDer<'_>| {
            X509Certificate::from_der(certificate)
                .is_ok_and(|(_, authority)| authority.subject().as_raw() == parsed.issuer().as_raw())
        };
        if !authorities.certificates.iter().any(is_issuer) {
            return Err(CertificateFault::Stranger {
                path: file.to_owned(),
                authorities: authorities.file.clone(),
            });
        }
        let next_update = parsed.next_update().map(|time| time.timestamp());
        loaded.push(RevocationList { file: file.to_owned(), list, next_update });
    }
    Ok(loaded)
}

/// How many certificates revocation lists take back.
#[must_use]
pub fn count_revoked(lists: &[RevocationList]) -> u64 {
    let count = |list: &RevocationList| {
        let parsed = CertificateRevocationList::from_der(&list.list).ok();
        parsed.map_or(0, |(_, parsed)| parsed.iter_revoked_certificates().count())
    };
    u64::try_from(lists.iter().map(count).sum::<usize>()).unwrap_or(u64::MAX)
}
