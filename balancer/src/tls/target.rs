//! The balancer's side of TLS towards targets: which certificates will do, what is asked for, what is offered.
//! By default any certificate will do, expired and self-signed ones included (ALB: target groups, routing
//! configuration). Must not know: sockets, which target it is.

use std::{fmt, net::IpAddr, sync::Arc};

use rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        Resumption, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use super::error::ServerError;
use crate::model::{self, ProtocolVersion};

/// Where a target has no address and no name is configured: neither sent nor checked.
const NO_NAME: &str = "localhost";

/// TLS to the targets of a group, made ready for handshakes. Equal ones may share connections.
pub struct TargetTls {
    settings: model::TargetTlsSettings,
    http2: bool,
    config: Arc<ClientConfig>,
}

impl fmt::Debug for TargetTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TargetTls").field("http2", &self.http2).finish_non_exhaustive()
    }
}

impl PartialEq for TargetTls {
    fn eq(&self, other: &Self) -> bool {
        self.http2 == other.http2 && self.settings == other.settings
    }
}

impl TargetTls {
    /// TLS by these settings, for targets that speak this version.
    ///
    /// # Errors
    /// Authorities that cannot be used, which reading the configuration has ruled out.
    pub fn new(settings: &model::TargetTlsSettings, version: ProtocolVersion) -> Result<Self, ServerError> {
        let provider = Arc::new(ring::default_provider());
        let verifier: Arc<dyn ServerCertVerifier> = match &settings.authorities {
            None => Arc::new(AnyCertificate(Arc::clone(&provider))),
            Some(authorities) => {
                let mut roots = RootCertStore::empty();
                for certificate in &authorities.certificates {
                    roots.add(certificate.clone())?;
                }
                WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                    .build()
                    .map_err(|error| Error::General(error.to_string()))?
            }
        };
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        let http2 = version != ProtocolVersion::Http1;
        config.alpn_protocols = vec![if http2 { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
        config.enable_sni = settings.server_name.is_some();
        config.resumption = Resumption::disabled();
        Ok(Self { settings: settings.clone(), http2, config: Arc::new(config) })
    }

    /// For handshakes that resume nothing.
    #[must_use]
    pub fn config(&self) -> &Arc<ClientConfig> {
        &self.config
    }

    /// For handshakes with one target, whose sessions are kept for the next ones.
    #[must_use]
    pub fn with_sessions(&self) -> Arc<ClientConfig> {
        let mut config = ClientConfig::clone(&self.config);
        config.resumption = Resumption::in_memory_sessions(1);
        Arc::new(config)
    }

    /// What the certificate of the target at `address` has to be for; a Unix socket has none.
    #[must_use]
    pub fn name(&self, address: Option<IpAddr>) -> Option<ServerName<'static>> {
        match (&self.settings.server_name, address) {
            (Some(name), _) => ServerName::try_from(name.clone()).ok(),
            (None, Some(address)) => Some(ServerName::from(address)),
            (None, None) => ServerName::try_from(NO_NAME).ok(),
        }
    }

    /// Whether a handshake that settled on `protocol` (ALPN) did for what the group speaks: HTTP/2 has to be
    /// settled on (RFC 9113, section 3.2), HTTP/1.1 need not be.
    #[must_use]
    pub fn suits(&self, protocol: Option<&[u8]>) -> bool {
        !self.http2 || protocol == Some(b"h2")
    }
}

/// Accepts whatever the target shows.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tls(server_name: Option<&str>, version: ProtocolVersion) -> TargetTls {
        let settings =
            model::TargetTlsSettings { server_name: server_name.map(str::to_owned), authorities: None };
        TargetTls::new(&settings, version).unwrap()
    }

    #[test]
    fn a_name_is_sent_only_where_one_is_configured() {
        let address = Some([127, 0, 0, 1].into());
        let without = tls(None, ProtocolVersion::Http1);
        assert!(!without.config().enable_sni);
        assert_eq!(without.name(address).unwrap(), ServerName::from(IpAddr::from([127, 0, 0, 1])));
        assert!(without.name(None).is_some());
        let with = tls(Some("app.test"), ProtocolVersion::Http1);
        assert!(with.config().enable_sni);
        assert_eq!(with.name(address), ServerName::try_from("app.test").ok());
    }

    #[test]
    fn connections_are_shared_by_what_is_equal() {
        let (one, two) = (tls(None, ProtocolVersion::Http1), tls(None, ProtocolVersion::Http1));
        assert_eq!(one, two);
        assert_ne!(one, tls(None, ProtocolVersion::Grpc));
        assert_ne!(one, tls(Some("app.test"), ProtocolVersion::Http1));
        assert!(one.suits(None) && one.suits(Some(b"http/1.1")));
        assert!(!tls(None, ProtocolVersion::Http2).suits(None));
        assert!(tls(None, ProtocolVersion::Http2).suits(Some(b"h2")));
    }
}
