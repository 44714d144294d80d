//! TLS of listeners: certificates, security policies, and what a listener shows its clients.

use std::{path::PathBuf, sync::Arc};

use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use super::{TlsFact, WrittenAt};

/// A certificate with its chain and key (`certificate`), read and known to fit together.
#[derive(Clone, Debug, PartialEq)]
pub struct Certificate {
    /// Its name.
    pub name: String,
    /// `arn`: what it is called through the API and in files of Terraform, where it was given.
    pub arn: Option<String>,
    /// Where its block is.
    pub position: WrittenAt,
    /// Where it and its chain were read from.
    pub certificate_file: PathBuf,
    /// Where its key was read from.
    pub private_key_file: PathBuf,
    /// Whether everybody on this host can read the key.
    pub key_is_public: bool,
    /// The certificate itself, then what leads from it to an authority.
    pub chain: Vec<CertificateDer<'static>>,
    /// The private key; its `Debug` form does not show it.
    pub key: Arc<PrivateKeyDer<'static>>,
    /// What it says, for choosing among several.
    pub facts: CertificateFacts,
}

/// What choosing among several certificates goes by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    /// Names it holds for, in lower case; `*.` in front stands for one label.
    pub names: Vec<String>,
    /// Whether its key is an elliptic-curve one.
    pub is_ecdsa: bool,
    /// Bits of the hash that it is signed with; 0: not known.
    pub hash_bits: u16,
    /// Bits of its key.
    pub key_bits: usize,
    /// Seconds since 1970 from which on it is valid.
    pub not_before: i64,
    /// Seconds since 1970 after which it is not valid.
    pub not_after: i64,
}

/// A named set of protocol versions and cipher suites (ALB: security policies).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SecurityPolicy {
    /// ALB's name.
    pub name: &'static str,
    /// Whether TLS 1.2 is spoken.
    pub tls12: bool,
    /// Whether TLS 1.3 is spoken.
    pub tls13: bool,
    /// Whether it leaves out ChaCha20-Poly1305, as ALB's FIPS policies do.
    pub without_chacha20: bool,
    /// Whether it keeps to RFC 9151: AES-256 with SHA-384, the curve P-384 for keys to be agreed on and to sign with.
    pub rfc9151: bool,
    /// What ALB's policy of the name has and this one has not; empty: nothing.
    pub missing: &'static str,
}

/// `alpn_policy`: which protocols TLS offers (RFC 7301), HTTP/2 only where the load balancer has it on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlpnPolicy {
    /// None: HTTP/1.1 it is.
    None,
    /// HTTP/1.1.
    Http1Only,
    /// HTTP/2.
    Http2Only,
    /// HTTP/1.1 before HTTP/2.
    Http2Optional,
    /// HTTP/2 before HTTP/1.1; the default.
    Http2Preferred,
}

/// Certificates of authorities that others are held against, read and known to be usable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorities {
    /// The file that they were read from.
    pub file: PathBuf,
    /// The certificates, in the order of the file.
    pub certificates: Vec<CertificateDer<'static>>,
    /// Seconds since 1970 after which the first of them expires.
    pub not_after: i64,
}

/// TLS towards the targets of a group (`protocol = "HTTPS"`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetTlsSettings {
    /// `target_tls_server_name`: what targets are asked for (SNI) and their certificates are held against; none
    /// by default: nothing is asked for, and a certificate has to be for the target's address.
    pub server_name: Option<String>,
    /// `target_tls_ca_file`, with `target_tls_verification`: who may have signed a target's certificate. None by
    /// default: any certificate will do, as on ALB.
    pub authorities: Option<Authorities>,
}

/// TLS of a listener (`protocol = "HTTPS"`).
#[derive(Clone, Debug, PartialEq)]
pub struct ListenerTls {
    /// `ssl_policy`.
    pub policy: SecurityPolicy,
    /// `alpn_policy`.
    pub alpn: AlpnPolicy,
    /// `certificate_arn`: shown to clients whose name no certificate has.
    pub default_certificate: Arc<Certificate>,
    /// Those of `listener_certificate` blocks.
    pub certificates: Vec<Arc<Certificate>>,
    /// `mutual_authentication`, unless its mode is off.
    pub mutual_authentication: Option<MutualAuthentication>,
}

/// What is asked of clients (`mutual_authentication`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MutualAuthentication {
    /// `passthrough`: they may show a certificate; targets get it as it is and are to judge it.
    Passthrough,
    /// `verify`: they have to show one that is in order.
    Verify {
        /// `trust_store_arn`: who may have signed it.
        trust_store: Arc<TrustStore>,
        /// `ignore_client_certificate_expiry`: whether one that was in order until it expired will do; default false.
        ignore_expiry: bool,
        /// `advertise_trust_store_ca_names`: whether clients are told who may have signed it; default off.
        advertise_names: bool,
    },
}

impl MutualAuthentication {
    /// Whether targets are told this of a client's certificate (ALB: mutual TLS, HTTP headers).
    #[must_use]
    pub const fn tells(&self, fact: TlsFact) -> bool {
        match self {
            Self::Passthrough => matches!(fact, TlsFact::Chain),
            Self::Verify { .. } => !fact.is_of_connection() && !matches!(fact, TlsFact::Chain),
        }
    }
}

/// Whom clients' certificates may be from (`trust_store`), read and known to be usable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustStore {
    /// Its name.
    pub name: String,
    /// Where its block is.
    pub position: WrittenAt,
    /// `ca_certificates_bundle_file`.
    pub authorities: Authorities,
    /// Those of `trust_store_revocation` blocks.
    pub revocations: Vec<RevocationList>,
}

/// What an authority has taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevocationList {
    /// `revocations_file`.
    pub file: PathBuf,
    /// The list.
    pub list: CertificateRevocationListDer<'static>,
    /// Seconds since 1970 by which a newer one was to be there; none: it does not say.
    pub next_update: Option<i64>,
}
