//! One check of one target: a connection of its own, one GET, the head of the answer (ALB: health checks
//! for target groups). Must not know: schedules, thresholds, other targets.

use std::{
    fmt, io,
    net::SocketAddr,
    os::fd::{AsFd, BorrowedFd},
    path::Path,
    time::Duration,
};

use http_body_util::{BodyExt, Empty};
use hyper::{
    Method, Request, Response, StatusCode, Uri,
    body::{Body, Bytes, Incoming},
    client::conn::http1,
    header,
};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpSocket, UnixStream},
    time::{sleep, timeout},
};
use tokio_rustls::TlsConnector;

use crate::{
    model::{Endpoint, HealthCheck, HealthCheckPort, ProbeProtocol},
    target_group::{CheckResult, Reason},
};

/// As ALB's `ELB-HealthChecker/2.0`, under our own name.
const USER_AGENT: &str = concat!("balancer-health-check/", env!("CARGO_PKG_VERSION"));
/// Longest head of an answer that is read: ALB's limit for responses is 32 K.
const MAX_HEAD: usize = 32 * 1024;
/// What is read of a body so that the target sees its answer taken and not a reset, and for how long.
const POLITE_BYTES: usize = 64 * 1024;
const POLITE_TIME: Duration = Duration::from_secs(1);
/// A Unix socket whose queue is full refuses at once instead of waiting; it is asked again after this.
const UNIX_RETRY: Duration = Duration::from_millis(10);

/// Keeps a socket out of the kernel's counts of connections to targets. Called before it connects.
pub type Exempt = Box<dyn Fn(BorrowedFd<'_>) + Send + Sync>;

/// Makes checks.
pub struct Prober {
    exempt: Exempt,
    tls: TlsConnector,
}

impl fmt::Debug for Prober {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prober").finish_non_exhaustive()
    }
}

/// Why a check did not get a status code.
#[derive(Debug)]
enum ProbeError {
    /// This host could not even try: says nothing about the target.
    Local(io::Error),
    /// The target refused, closed, reset, or answered what is not HTTP.
    Target,
}

impl From<io::Error> for ProbeError {
    fn from(error: io::Error) -> Self {
        const SHORTAGES: [i32; 5] =
            [libc::EMFILE, libc::ENFILE, libc::ENOBUFS, libc::ENOMEM, libc::EADDRNOTAVAIL];
        match error.raw_os_error() {
            Some(code) if SHORTAGES.contains(&code) => Self::Local(error),
            _ => Self::Target,
        }
    }
}

impl From<hyper::Error> for ProbeError {
    fn from(_: hyper::Error) -> Self {
        Self::Target
    }
}

impl Prober {
    /// A prober that hands every TCP socket to `exempt` before it connects.
    ///
    /// # Errors
    /// TLS could not be set up.
    pub fn new(exempt: Exempt) -> Result<Self, rustls::Error> {
        Ok(Self { exempt, tls: super::tls::connector()? })
    }

    /// Checks the target at `endpoint`. The settings' timeout covers connecting, TLS and the response head.
    ///
    /// # Errors
    /// The check could not be made for want of something on this host, such as file descriptors.
    pub async fn check(&self, endpoint: &Endpoint, settings: &HealthCheck) -> io::Result<CheckResult> {
        let endpoint = probed_endpoint(endpoint, settings.port);
        match timeout(settings.timeout, self.status(&endpoint, settings)).await {
            Ok(Ok(status)) if settings.matcher.matches(status.as_u16()) => Ok(CheckResult::Pass),
            Ok(Ok(status)) => Ok(CheckResult::Fail(Reason::ResponseCodeMismatch(status.as_u16()))),
            Ok(Err(ProbeError::Target)) => Ok(CheckResult::Fail(Reason::FailedHealthChecks)),
            Ok(Err(ProbeError::Local(error))) => Err(error),
            Err(_) => Ok(CheckResult::Fail(Reason::Timeout)),
        }
    }

    async fn status(&self, endpoint: &Endpoint, settings: &HealthCheck) -> Result<StatusCode, ProbeError> {
        let request = request(endpoint, settings)?;
        match endpoint {
            Endpoint::Tcp(address) => {
                let stream = self.connect_tcp(*address).await?;
                self.ask(stream, endpoint, settings.protocol, request).await
            }
            Endpoint::Unix(path) => {
                let stream = connect_unix(path).await?;
                self.ask(stream, endpoint, settings.protocol, request).await
            }
        }
    }

    async fn connect_tcp(&self, address: SocketAddr) -> io::Result<tokio::net::TcpStream> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        (self.exempt)(socket.as_fd());
        socket.connect(address).await
    }

    async fn ask(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        endpoint: &Endpoint,
        protocol: ProbeProtocol,
        request: Request<Empty<Bytes>>,
    ) -> Result<StatusCode, ProbeError> {
        match protocol {
            ProbeProtocol::Http => exchange(stream, request).await,
            ProbeProtocol::Https => {
                let name = match endpoint {
                    Endpoint::Tcp(address) => ServerName::from(address.ip()),
                    Endpoint::Unix(_) => ServerName::try_from("localhost").map_err(|_| ProbeError::Target)?,
                };
                exchange(self.tls.connect(name, stream).await?, request).await
            }
        }
    }
}

/// Where the check goes: the target itself, or another port of its host. A Unix socket has no ports.
fn probed_endpoint(endpoint: &Endpoint, port: HealthCheckPort) -> Endpoint {
    match (endpoint, port) {
        (Endpoint::Tcp(address), HealthCheckPort::Port(port)) => {
            let mut address = *address;
            address.set_port(port);
            Endpoint::Tcp(address)
        }
        _ => endpoint.clone(),
    }
}

/// `Host` of a check: address and port, or the bare address on the protocol's own port (ALB:
/// troubleshooting, health check requests).
fn host(endpoint: &Endpoint, protocol: ProbeProtocol) -> String {
    let default_port = match protocol {
        ProbeProtocol::Http => 80,
        ProbeProtocol::Https => 443,
    };
    match endpoint {
        Endpoint::Unix(_) => "localhost".into(),
        Endpoint::Tcp(address) if address.port() != default_port => address.to_string(),
        Endpoint::Tcp(SocketAddr::V4(address)) => address.ip().to_string(),
        Endpoint::Tcp(SocketAddr::V6(address)) => format!("[{}]", address.ip()),
    }
}

fn request(endpoint: &Endpoint, settings: &HealthCheck) -> Result<Request<Empty<Bytes>>, ProbeError> {
    let invalid = |error: String| ProbeError::Local(io::Error::new(io::ErrorKind::InvalidInput, error));
    let uri: Uri = settings.path.parse().map_err(|_| invalid("the path of the check is not valid".into()))?;
    Request::builder()
        .method(Method::GET)
        .uri(uri)
        .header(header::HOST, host(endpoint, settings.protocol))
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::CONNECTION, "close")
        .body(Empty::new())
        .map_err(|error| invalid(error.to_string()))
}

async fn connect_unix(path: &Path) -> io::Result<UnixStream> {
    loop {
        match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(UNIX_RETRY).await,
            connected => return connected,
        }
    }
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    request: Request<Empty<Bytes>>,
) -> Result<StatusCode, ProbeError> {
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .handshake::<_, Empty<Bytes>>(TokioIo::new(stream))
        .await?;
    let mut connection = Box::pin(connection);
    let (response, open) = {
        let answer = sender.send_request(request);
        tokio::pin!(answer);
        tokio::select! {
            biased;
            answer = &mut answer => (answer?, true),
            ended = &mut connection => {
                ended?;
                (answer.await?, false)
            }
        }
    };
    let status = response.status();
    if open && !response.body().is_end_stream() {
        tokio::spawn(timeout(POLITE_TIME, async move {
            tokio::select! {
                () = drain(response) => {}
                _ = connection => {}
            }
        }));
    }
    Ok(status)
}

async fn drain(mut response: Response<Incoming>) {
    let mut left = POLITE_BYTES;
    while let Some(Ok(frame)) = response.frame().await {
        left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
        if left == 0 {
            return;
        }
    }
}
