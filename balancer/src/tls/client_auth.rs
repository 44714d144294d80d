//! What is asked of clients' certificates (ALB: mutual TLS), and why one was refused, in the words of ALB's
//! connection log. Must not know: sockets, listeners.

use std::{io, sync::Arc, time::Duration};

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, InvalidMessage, OtherError,
    RootCertStore, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, UnixTime},
    server::{
        WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _};

use super::error::ServerError;
use crate::{
    counters::ClientCertRefusal,
    model::{MutualAuthentication, TrustStore},
};

/// Most certificates that a client may show (ALB: quotas, certificate chain depth).
const MOST_CERTIFICATES: usize = 4;

/// What holds a client's certificate against what is asked.
///
/// # Errors
/// A trust store that cannot be used, which reading the configuration has ruled out.
pub(super) fn verifier(
    asked: &MutualAuthentication,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, ServerError> {
    match asked {
        MutualAuthentication::Passthrough => Ok(Arc::new(Passthrough(Arc::clone(provider)))),
        MutualAuthentication::Verify { trust_store, ignore_expiry, advertise_names } => {
            let inner = by_trust_store(trust_store, provider)?;
            let names = if *advertise_names { inner.root_hint_subjects().to_vec() } else { Vec::new() };
            Ok(Arc::new(Verify { inner, names, ignore_expiry: *ignore_expiry }))
        }
    }
}

fn by_trust_store(
    store: &TrustStore,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, ServerError> {
    let mut roots = RootCertStore::empty();
    for certificate in &store.authorities.certificates {
        roots.add(certificate.clone())?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .with_crls(store.revocations.iter().map(|revocation| revocation.list.clone()))
        // Authorities without a list have taken nothing back.
        .allow_unknown_revocation_status()
        .build()
        .map_err(|error| Error::General(error.to_string()))?;
    Ok(verifier)
}

/// A chain that is longer than it may be.
#[derive(Debug, thiserror::Error)]
#[error("more than {MOST_CERTIFICATES} certificates")]
struct TooLong;

#[derive(Debug)]
struct Verify {
    inner: Arc<dyn ClientCertVerifier>,
    names: Vec<DistinguishedName>,
    ignore_expiry: bool,
}

impl ClientCertVerifier for Verify {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.names
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        if intermediates.len() >= MOST_CERTIFICATES {
            return Err(CertificateError::Other(OtherError(Arc::new(TooLong))).into());
        }
        // Judged as of its last second: everything but its own end still counts.
        let now = match last_second(end_entity) {
            Some(last) if self.ignore_expiry && last.as_secs() < now.as_secs() => last,
            _ => now,
        };
        let verified = self.inner.verify_client_cert(end_entity, intermediates, now);
        // One that vouches for itself is often an authority's, by the defaults of openssl, and is refused as that before it is
        // looked at whose it is. What matters is that nobody here trusts it.
        match &verified {
            Err(Error::InvalidCertificate(CertificateError::Other(_))) if self.is_strangers(end_entity) => {
                Err(CertificateError::UnknownIssuer.into())
            }
            _ => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}

impl Verify {
    /// Whether a certificate vouches for itself and is none of the authorities.
    #[cold]
    fn is_strangers(&self, certificate: &CertificateDer<'_>) -> bool {
        let Ok((_, parsed)) = X509Certificate::from_der(certificate) else { return false };
        let subject = parsed.subject().as_raw();
        let is_named = |name: &DistinguishedName| name.as_ref() == subject;
        parsed.issuer().as_raw() == subject && !self.inner.root_hint_subjects().iter().any(is_named)
    }
}

fn last_second(certificate: &CertificateDer<'_>) -> Option<UnixTime> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let seconds = u64::try_from(parsed.validity().not_after.timestamp()).ok()?;
    Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
}

/// Takes any certificate and none; whoever shows one has to have its key.
#[derive(Debug)]
struct Passthrough(Arc<CryptoProvider>);

impl ClientCertVerifier for Passthrough {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Why a handshake failed, when it was for the client's certificate.
#[must_use]
pub fn refusal(error: &io::Error) -> Option<ClientCertRefusal> {
    let refusal = match error.get_ref()?.downcast_ref::<Error>()? {
        Error::NoCertificatesPresented => ClientCertRefusal::Missing,
        Error::InvalidMessage(InvalidMessage::CertificatePayloadTooLarge) => {
            ClientCertRefusal::MaxSizeExceeded
        }
        Error::InvalidCertRevocationList(_) => ClientCertRefusal::CrlProcessingError,
        Error::InvalidCertificate(why) => match why {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => ClientCertRefusal::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                ClientCertRefusal::NotYetValid
            }
            CertificateError::Revoked => ClientCertRefusal::CrlHit,
            CertificateError::UnknownRevocationStatus
            | CertificateError::ExpiredRevocationList
            | CertificateError::ExpiredRevocationListContext { .. } => ClientCertRefusal::CrlProcessingError,
            CertificateError::UnknownIssuer => ClientCertRefusal::Untrusted,
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                ClientCertRefusal::PurposeInvalid
            }
            CertificateError::Other(OtherError(other)) if other.is::<TooLong>() => {
                ClientCertRefusal::MaxChainDepthExceeded
            }
            _ => ClientCertRefusal::Invalid,
        },
        _ => return None,
    };
    Some(refusal)
}
