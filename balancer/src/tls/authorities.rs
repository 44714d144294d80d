//! Files of authorities' certificates: read, and known to be usable before anything is held against them.

use std::path::Path;

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject as _},
};

use super::certificate::{CertificateFault, read};
use crate::model::Authorities;

/// Reads the certificates of authorities in PEM form.
///
/// # Errors
/// What is wrong with the file.
pub fn load_authorities(file: &Path) -> Result<Authorities, CertificateFault> {
    let (text, _) = read(file)?;
    let malformed = || CertificateFault::Malformed { path: file.to_owned() };
    let certificates =
        CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>().map_err(|_| malformed())?;
    if certificates.is_empty() {
        return Err(CertificateFault::NothingThere { path: file.to_owned(), what: "certificate" });
    }
    let mut store = RootCertStore::empty();
    for certificate in &certificates {
        store.add(certificate.clone()).map_err(|_| malformed())?;
    }
    Ok(Authorities { file: file.to_owned(), certificates })
}
