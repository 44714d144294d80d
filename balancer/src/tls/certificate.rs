//! Certificates and keys as PEM files: read, understood, and held against each other.
//! No error text holds anything of a key.

use std::{
    fs::Metadata,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use rustls::{
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::CertifiedKey,
};
use x509_parser::{
    certificate::X509Certificate, extensions::GeneralName, prelude::FromDer as _, public_key::PublicKey,
    x509::X509Version,
};

use crate::{
    model::CertificateFacts,
    regular_file::{self, FileFault},
};

/// Longest file that is read; chains are a few KB.
pub(super) const MAX_FILE: u64 = 1 << 20;

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateFault {
    /// The file cannot be read.
    #[error("{} {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: FileFault,
    },
    /// The file holds something else.
    #[error("{} holds no {what} in PEM form", path.display())]
    NothingThere {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// The key cannot be used without a passphrase, and there is nobody to ask for it.
    #[error(
        "the key in {0} is encrypted with a passphrase (`openssl pkey -in {0} -out NEW` makes one without)",
        path.display()
    )]
    Encrypted {
        /// The file.
        path: PathBuf,
    },
    /// The certificate cannot be understood.
    #[error("{} holds what is no X.509 certificate", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// The certificate is of a form that is not used for TLS.
    #[error(
        "the certificate in {} is of version {version} of X.509, which TLS does not take: it has to be of version 3 \
         (`openssl x509 -req` makes one where it is given extensions, with -extfile)",
        path.display()
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// Of X.509, as people count: 1 or 2.
        version: u32,
    },
    /// The certificate is understood and yet cannot be shown to clients.
    #[error("the certificate in {} cannot be used: {why}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The file holds what is no revocation list that can be used.
    #[error("{} holds what is no whole revocation list of X.509, version 2", path.display())]
    NoRevocations {
        /// The file.
        path: PathBuf,
    },
    /// A revocation list is of somebody else.
    #[error("{} holds a revocation list of an authority that is not in {}", path.display(), authorities.display())]
    Stranger {
        /// The file.
        path: PathBuf,
        /// Where its authority should be.
        authorities: PathBuf,
    },
    /// They are not a pair.
    #[error("the key in {} is not that of the first certificate in {}", key.display(), certificate.display())]
    Mismatch {
        /// The file of the key.
        key: PathBuf,
        /// The file of the certificate.
        certificate: PathBuf,
    },
    /// The key is of a kind that is not done.
    #[error("the key in {} cannot be used: only RSA from 2048 bits on, ECDSA P-256 and P-384 and Ed25519 can", path.display())]
    KeyKind {
        /// The file.
        path: PathBuf,
    },
}

impl CertificateFault {
    /// Whether what is wrong is with the file of this key.
    #[must_use]
    pub fn is_about(&self, key: &Path) -> bool {
        match self {
            Self::Mismatch { .. } | Self::KeyKind { .. } | Self::Encrypted { .. } => true,
            Self::Unreadable { path, .. } | Self::NothingThere { path, .. } => path == key,
            Self::Malformed { .. }
            | Self::Version { .. }
            | Self::Unusable { .. }
            | Self::NoRevocations { .. }
            | Self::Stranger { .. } => false,
        }
    }
}

/// A certificate that can be shown to clients.
#[derive(Debug)]
pub struct LoadedCertificate {
    /// The certificate and its chain.
    pub chain: Vec<CertificateDer<'static>>,
    /// Its key.
    pub key: PrivateKeyDer<'static>,
    /// Whether everybody on this host can read the key.
    pub key_is_public: bool,
    /// What it says.
    pub facts: CertificateFacts,
}

pub(super) fn read(path: &Path, most: u64) -> Result<(Vec<u8>, Metadata), CertificateFault> {
    regular_file::read(path, most)
        .map_err(|source| CertificateFault::Unreadable { path: path.to_owned(), source })
}

/// Reads a certificate with its chain and its key, which may stand in the same file.
///
/// # Errors
/// What is wrong with which file.
pub fn load(certificate: &Path, key: &Path) -> Result<LoadedCertificate, CertificateFault> {
    let (text, _) = read(certificate, MAX_FILE)?;
    let malformed = || CertificateFault::Malformed { path: certificate.to_owned() };
    let chain =
        CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>().map_err(|_| malformed())?;
    if chain.is_empty() {
        return Err(CertificateFault::NothingThere { path: certificate.to_owned(), what: "certificate" });
    }
    let facts = understood(&chain, certificate)?;
    let (text, metadata) = read(key, MAX_FILE)?;
    let private = PrivateKeyDer::from_pem_slice(&text).map_err(|_| {
        let path = key.to_owned();
        if is_encrypted(&text) {
            CertificateFault::Encrypted { path }
        } else {
            CertificateFault::NothingThere { path, what: "private key" }
        }
    })?;
    let provider = rustls::crypto::ring::default_provider();
    match CertifiedKey::from_der(chain.clone(), private.clone_key(), &provider) {
        Ok(_) => {}
        Err(rustls::Error::InconsistentKeys(_)) => {
            return Err(CertificateFault::Mismatch {
                key: key.to_owned(),
                certificate: certificate.to_owned(),
            });
        }
        Err(error @ rustls::Error::InvalidCertificate(_)) => {
            return Err(CertificateFault::Unusable { path: certificate.to_owned(), why: error.to_string() });
        }
        Err(_) => return Err(CertificateFault::KeyKind { path: key.to_owned() }),
    }
    let key_is_public = metadata.permissions().mode() & 0o004 != 0;
    Ok(LoadedCertificate { chain, key: private, key_is_public, facts })
}

/// Whether there is a key that needs a passphrase: of PKCS #8 (RFC 5958), or of the form before it (RFC 1421).
fn is_encrypted(pem: &[u8]) -> bool {
    String::from_utf8_lossy(pem).lines().any(|line| {
        line.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----")
            || line.strip_prefix("Proc-Type:").is_some_and(|kind| kind.trim_end().ends_with("ENCRYPTED"))
    })
}

/// What the first certificate of a chain says. A client takes none of a chain when one is no certificate.
fn understood(chain: &[CertificateDer<'_>], path: &Path) -> Result<CertificateFacts, CertificateFault> {
    let malformed = || CertificateFault::Malformed { path: path.to_owned() };
    let chain = chain.iter().map(parse).collect::<Option<Vec<_>>>().ok_or_else(malformed)?;
    let first = chain.first().ok_or_else(malformed)?;
    match first.version() {
        X509Version::V3 => Ok(facts(first)),
        X509Version(before) => {
            Err(CertificateFault::Version { path: path.to_owned(), version: before.saturating_add(1) })
        }
    }
}

/// The certificate that these bytes are, if they are one and nothing else.
fn parse<'d>(der: &'d CertificateDer<'_>) -> Option<X509Certificate<'d>> {
    let (rest, parsed) = X509Certificate::from_der(der).ok()?;
    rest.is_empty().then_some(parsed)
}

fn facts(parsed: &X509Certificate<'_>) -> CertificateFacts {
    let key = parsed.public_key().parsed().ok();
    let hash_bits = match parsed.signature_algorithm.algorithm.to_id_string().as_str() {
        "1.2.840.113549.1.1.5" | "1.2.840.10045.4.1" => 160,
        "1.2.840.113549.1.1.11" | "1.2.840.10045.4.3.2" => 256,
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => 384,
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => 512,
        _ => 0,
    };
    CertificateFacts {
        names: names(parsed),
        is_ecdsa: matches!(key, Some(PublicKey::EC(_))),
        hash_bits,
        key_bits: key.map_or(0, |key| key.key_size()),
        not_before: parsed.validity().not_before.timestamp(),
        not_after: parsed.validity().not_after.timestamp(),
    }
}

/// The DNS names of a certificate; its common name where it lists no names at all.
fn names(parsed: &X509Certificate<'_>) -> Vec<String> {
    let listed = parsed.subject_alternative_name().ok().flatten();
    let names: Vec<String> = match listed {
        Some(extension) => extension
            .value
            .general_names
            .iter()
            .filter_map(|name| match name {
                GeneralName::DNSName(name) => Some((*name).to_owned()),
                _ => None,
            })
            .collect(),
        None => parsed
            .subject()
            .iter_common_name()
            .filter_map(|name| name.as_str().ok())
            .map(str::to_owned)
            .collect(),
    };
    names.iter().map(|name| name.trim_end_matches('.').to_ascii_lowercase()).collect()
}
