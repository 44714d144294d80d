//! Clients that speak TLS and nothing that costs more than what they measure: one suite, X25519, no look at certificates.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use rustls::{
    CipherSuite, ClientConfig, ClientConnection, DigitallySignedStruct, Error, HandshakeKind, NamedGroup,
    SignatureScheme, StreamOwned,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::ring,
    pki_types::{CertificateDer, ServerName, UnixTime},
    version,
};

/// A kind of handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handshake {
    /// Version 1.2; else 1.3.
    pub(crate) tls12: bool,
    /// By what an earlier connection left.
    pub(crate) resumed: bool,
}

impl Handshake {
    /// A full one of TLS 1.3.
    pub(crate) const FULL: Self = Self { tls12: false, resumed: false };
}

/// A client that makes handshakes of one kind, with AES-128-GCM; it remembers sessions if it resumes them.
pub(crate) struct Client(Arc<ClientConfig>);

impl Client {
    pub(crate) fn new(handshake: Handshake) -> Result<Self> {
        let mut provider = ring::default_provider();
        let (suite, version) = if handshake.tls12 {
            (CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, &version::TLS12)
        } else {
            (CipherSuite::TLS13_AES_128_GCM_SHA256, &version::TLS13)
        };
        provider.cipher_suites.retain(|known| known.suite() == suite);
        // Before TLS 1.3 the curve of a certificate has to be among those that a client names.
        let is_known =
            |group| group == NamedGroup::X25519 || (handshake.tls12 && group == NamedGroup::secp256r1);
        provider.kx_groups.retain(|group| is_known(group.name()));
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[version])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody))
            .with_no_client_auth();
        config.resumption =
            if handshake.resumed { Resumption::in_memory_sessions(64) } else { Resumption::disabled() };
        Ok(Self(Arc::new(config)))
    }

    /// The same that speaks HTTP/2.
    pub(crate) fn of_http2(handshake: Handshake) -> Result<Self> {
        let Self(config) = Self::new(handshake)?;
        let mut config = Arc::unwrap_or_clone(config);
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Self(Arc::new(config)))
    }

    /// TLS over a connection; the handshake is made when something is sent.
    pub(crate) fn wrap(&self, stream: TcpStream) -> Result<StreamOwned<ClientConnection, TcpStream>> {
        let name = ServerName::try_from("bench.test")?;
        Ok(StreamOwned::new(ClientConnection::new(Arc::clone(&self.0), name)?, stream))
    }

    /// One new connection with a full handshake and one GET; the whole response.
    pub(crate) fn get(&self, address: SocketAddr, cookie: &str) -> Result<String> {
        let (answer, kind) = self.exchange(address, cookie)?;
        if kind != HandshakeKind::Full {
            bail!("not a full handshake in one round trip: {kind:?}");
        }
        Ok(answer)
    }

    /// One new connection and one GET; the whole response, and how the connection came about.
    pub(crate) fn exchange(&self, address: SocketAddr, cookie: &str) -> Result<(String, HandshakeKind)> {
        let stream = TcpStream::connect(address).context("cannot connect")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let mut stream = self.wrap(stream)?;
        let cookie = if cookie.is_empty() { String::new() } else { format!("Cookie: {cookie}\r\n") };
        let request = format!("GET / HTTP/1.1\r\nHost: bench.test\r\n{cookie}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).context("cannot send")?;
        let mut response = Vec::new();
        match stream.read_to_end(&mut response) {
            // Some close without a word of TLS: the response tells whether it is whole.
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof && is_whole(&response) => {}
            outcome => drop(outcome.context("no whole response")?),
        }
        let kind = stream.conn.handshake_kind().context("no handshake")?;
        Ok((String::from_utf8_lossy(&response).into_owned(), kind))
    }
}

/// Whether a response has all the bytes that its head tells of.
fn is_whole(response: &[u8]) -> bool {
    let text = String::from_utf8_lossy(response);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    let length = fields.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    length
        .and_then(|(_, value)| value.trim().parse::<usize>().ok())
        .is_some_and(|length| body.len() == length)
}

/// Takes everybody for whom they say they are.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256, SignatureScheme::RSA_PSS_SHA256]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_responses_are_told_from_others() {
        let whole = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        assert!(is_whole(whole.as_bytes()));
        for part in ["", "HTTP/1.1 200 OK\r\n", &whole[..whole.len() - 1], "HTTP/1.1 200 OK\r\n\r\n"] {
            assert!(!is_whole(part.as_bytes()), "{part}");
        }
    }
}
