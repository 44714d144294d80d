//! A load of new TLS connections: each makes a full handshake (TLS 1.3, X25519, never resumed), sends one request and
//! reads the response to its end. It checks no certificate, so that it costs less than what it measures.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use clap::Args;
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

/// `cargo xtask handshakes`.
#[derive(Args)]
pub(crate) struct Options {
    /// What is loaded.
    #[arg(long)]
    to: SocketAddr,
    /// Connections at a time.
    #[arg(long, default_value_t = 16)]
    connections: usize,
    /// For how long, seconds.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// The `Cookie` field of each request.
    #[arg(long, default_value = "")]
    cookie: String,
}

/// Runs the load and says how many connections it made and how long they took.
///
/// # Errors
/// When one of them fails.
pub(crate) fn run(options: &Options) -> Result<()> {
    let client = Client::new()?;
    let started = Instant::now();
    let deadline = started + Duration::from_secs(options.seconds);
    let took: Result<Vec<Vec<Duration>>> = thread::scope(|scope| {
        let threads: Vec<_> =
            (0..options.connections).map(|_| scope.spawn(|| client.until(deadline, options))).collect();
        threads.into_iter().map(|one| one.join().unwrap_or_else(|_| bail!("a thread panicked"))).collect()
    });
    let mut took = took?.concat();
    took.sort_unstable();
    let percentile = |percent: usize| {
        let place = (took.len() * percent / 100).min(took.len().saturating_sub(1));
        took.get(place).map_or(0, Duration::as_micros)
    };
    println!(
        "{} connections in {} us, p50 {} us, p99 {} us",
        took.len(),
        started.elapsed().as_micros(),
        percentile(50),
        percentile(99)
    );
    Ok(())
}

/// A client that speaks TLS 1.3 with `TLS_AES_128_GCM_SHA256` and nothing else.
pub(crate) struct Client(Arc<ClientConfig>);

impl Client {
    pub(crate) fn new() -> Result<Self> {
        let mut provider = ring::default_provider();
        provider.cipher_suites.retain(|suite| suite.suite() == CipherSuite::TLS13_AES_128_GCM_SHA256);
        provider.kx_groups.retain(|group| group.name() == NamedGroup::X25519);
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Anybody))
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        Ok(Self(Arc::new(config)))
    }

    /// Connects again and again; how long each connection took.
    fn until(&self, deadline: Instant, options: &Options) -> Result<Vec<Duration>> {
        let mut took = Vec::new();
        while Instant::now() < deadline {
            let began = Instant::now();
            let answer = self.get(options.to, &options.cookie)?;
            if !answer.starts_with("HTTP/1.1 200") {
                bail!("no answer but: {answer}");
            }
            took.push(began.elapsed());
        }
        Ok(took)
    }

    /// TLS over a connection; the handshake is made when something is sent.
    pub(crate) fn wrap(&self, stream: TcpStream) -> Result<StreamOwned<ClientConnection, TcpStream>> {
        let name = ServerName::try_from("bench.test")?;
        Ok(StreamOwned::new(ClientConnection::new(Arc::clone(&self.0), name)?, stream))
    }

    /// One new connection and one GET; the whole response.
    pub(crate) fn get(&self, address: SocketAddr, cookie: &str) -> Result<String> {
        let stream = TcpStream::connect(address).context("cannot connect")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        let mut stream = self.wrap(stream)?;
        let cookie = if cookie.is_empty() { String::new() } else { format!("Cookie: {cookie}\r\n") };
        let request = format!("GET / HTTP/1.1\r\nHost: bench.test\r\n{cookie}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).context("cannot send")?;
        let mut response = Vec::new();
        stream.read_to_end(&mut response).context("no whole response")?;
        if stream.conn.handshake_kind() != Some(HandshakeKind::Full) {
            bail!("not a full handshake in one round trip: {:?}", stream.conn.handshake_kind());
        }
        Ok(String::from_utf8_lossy(&response).into_owned())
    }
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
        Err(Error::General("TLS 1.2 was not offered".to_owned()))
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
