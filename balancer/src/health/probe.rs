//! One check of one target: a connection of its own, one GET, the head of the answer (ALB: health checks
//! for target groups). Must not know: schedules, thresholds, other targets.

use std::{
    fmt, io,
    net::SocketAddr,
    os::fd::{AsFd, BorrowedFd},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpSocket, UnixStream},
    time::{sleep, timeout},
};
use tokio_rustls::TlsConnector;

use super::{probe_error::ProbeError, probe_http1, probe_http2};
use crate::{
    counters::{Cause, Failure},
    model::{self, Endpoint, HealthCheck, HealthCheckPort, ProbeProtocol, ProtocolVersion},
    target_group::{CheckResult, CheckTarget, HealthReason},
    tls::{ServerError, TargetTls},
};

/// A Unix socket whose queue is full refuses at once instead of waiting; it is asked again after this.
const UNIX_RETRY: Duration = Duration::from_millis(10);

/// How long it may take to find out whether somebody takes connections on this host, where the answer comes at once.
const LOCAL_PATIENCE: Duration = Duration::from_millis(250);

/// Keeps a socket out of the kernel's counts of connections to targets. Called before it connects.
pub type Exempt = Box<dyn Fn(BorrowedFd<'_>) + Send + Sync>;

/// Makes checks.
pub struct Prober {
    exempt: Exempt,
    tls: Arc<TargetTls>,
    tls_http2: Arc<TargetTls>,
}

impl fmt::Debug for Prober {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prober").finish_non_exhaustive()
    }
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// What it says of the target.
    pub result: CheckResult,
    /// The code that the target answered with, of HTTP or gRPC.
    pub status: Option<u16>,
    /// Why there is none.
    pub failure: Option<Failure>,
    /// Where it takes connections instead, which it does not where it was checked.
    pub elsewhere: Option<SocketAddr>,
}

impl Checked {
    fn failed(reason: HealthReason, failure: Failure) -> Self {
        Self { result: CheckResult::Fail(reason), status: None, failure: Some(failure), elsewhere: None }
    }
}

impl Prober {
    /// A prober that hands every TCP socket to `exempt` before it connects.
    ///
    /// # Errors
    /// TLS could not be set up.
    pub fn new(exempt: Exempt) -> Result<Self, ServerError> {
        let any = model::TargetTlsSettings { server_name: None, authorities: None };
        let tls = |version| Ok::<_, ServerError>(Arc::new(TargetTls::new(&any, version)?));
        Ok(Self { exempt, tls: tls(ProtocolVersion::Http1)?, tls_http2: tls(ProtocolVersion::Http2)? })
    }

    /// Checks a target. The settings' timeout covers connecting, TLS and the response head; connecting may take no longer than
    /// `patience`, where there is one. Where requests go over TLS, a check over TLS asks for what they ask for.
    ///
    /// # Errors
    /// The check could not be made for want of something on this host, such as file descriptors.
    pub async fn check(&self, target: &CheckTarget, patience: Option<Duration>) -> io::Result<Checked> {
        let settings = &target.settings.health_check;
        let endpoint = probed_endpoint(&target.endpoint, settings.port);
        let stage = Stage::default();
        let asked = self.status(&endpoint, settings, (target.tls.as_ref(), patience), &stage);
        match timeout(settings.timeout, asked).await {
            Ok(Ok(status)) if settings.matcher.matches(status) => Ok(Checked {
                result: CheckResult::Pass,
                status: Some(status),
                failure: None,
                elsewhere: None,
            }),
            Ok(Ok(status)) => {
                let result = CheckResult::Fail(HealthReason::ResponseCodeMismatch(status));
                Ok(Checked { result, status: Some(status), failure: None, elsewhere: None })
            }
            Ok(Err(ProbeError::Target(failure))) => {
                let elsewhere = self.elsewhere(target).await;
                Ok(Checked { elsewhere, ..Checked::failed(HealthReason::FailedHealthChecks, failure) })
            }
            Ok(Err(ProbeError::Local(error))) => Err(error),
            Ok(Err(ProbeError::Silent(patience))) => {
                let limit = format!("{patience:?} (it had left other connections without an answer before)");
                Ok(Checked::failed(
                    HealthReason::Timeout,
                    Failure::with(Cause::TargetConnectionTimedOut, &limit),
                ))
            }
            Err(_) => {
                let limit = format!("{:?} (health check timeout)", settings.timeout);
                Ok(Checked::failed(HealthReason::Timeout, Failure::with(stage.late(), &limit)))
            }
        }
    }

    async fn status(
        &self,
        endpoint: &Endpoint,
        settings: &HealthCheck,
        (tls, patience): (Option<&Arc<TargetTls>>, Option<Duration>),
        stage: &Stage,
    ) -> Result<u16, ProbeError> {
        match endpoint {
            Endpoint::Tcp(address) => {
                let connecting = self.connect_tcp(*address);
                let stream = match patience {
                    Some(patience) => {
                        timeout(patience, connecting).await.map_err(|_| ProbeError::Silent(patience))??
                    }
                    None => connecting.await?,
                };
                self.ask(stream, endpoint, settings, tls, stage).await
            }
            Endpoint::Unix(path) => {
                let stream = connect_unix(path).await?;
                self.ask(stream, endpoint, settings, tls, stage).await
            }
        }
    }

    /// Where the application takes connections, when it does not where requests go.
    async fn elsewhere(&self, target: &CheckTarget) -> Option<SocketAddr> {
        let Endpoint::Tcp(here) = target.endpoint else { return None };
        if target.elsewhere.is_empty() || self.takes_connections(here).await {
            return None;
        }
        for other in &target.elsewhere {
            if self.takes_connections(*other).await {
                return Some(*other);
            }
        }
        None
    }

    async fn takes_connections(&self, address: SocketAddr) -> bool {
        matches!(timeout(LOCAL_PATIENCE, self.connect_tcp(address)).await, Ok(Ok(_)))
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
        settings: &HealthCheck,
        tls: Option<&Arc<TargetTls>>,
        stage: &Stage,
    ) -> Result<u16, ProbeError> {
        match settings.protocol {
            ProbeProtocol::Http => {
                stage.set(Stage::ASKED);
                speak(stream, endpoint, settings).await
            }
            ProbeProtocol::Https => {
                stage.set(Stage::CONNECTED);
                let tls = tls.unwrap_or(match settings.protocol_version {
                    ProtocolVersion::Http1 => &self.tls,
                    ProtocolVersion::Http2 | ProtocolVersion::Grpc => &self.tls_http2,
                });
                let address = match endpoint {
                    Endpoint::Tcp(address) => Some(address.ip()),
                    Endpoint::Unix(_) => None,
                };
                let name = tls
                    .name(address)
                    .ok_or_else(|| tls_failed(&"the target has no name to hold its certificate against"))?;
                // Each check shakes hands in full: a certificate that has become bad is to be found out.
                let stream = TlsConnector::from(Arc::clone(tls.config())).connect(name, stream).await;
                let stream = stream.map_err(|error| tls_failed(&error))?;
                if !tls.suits(stream.get_ref().1.alpn_protocol()) {
                    return Err(tls_failed(&"it did not settle on HTTP/2"));
                }
                stage.set(Stage::ASKED);
                speak(stream, endpoint, settings).await
            }
        }
    }
}

/// How far a check has come.
#[derive(Debug, Default)]
struct Stage(AtomicU8);

impl Stage {
    const CONNECTED: u8 = 1;
    const ASKED: u8 = 2;

    fn set(&self, stage: u8) {
        self.0.store(stage, Relaxed);
    }

    /// What the end of the time means.
    fn late(&self) -> Cause {
        match self.0.load(Relaxed) {
            Self::ASKED => Cause::TargetTimedOut,
            Self::CONNECTED => Cause::TargetTlsTimedOut,
            _ => Cause::TargetConnectionTimedOut,
        }
    }
}

fn tls_failed(why: &dyn fmt::Display) -> ProbeError {
    ProbeError::Target(Failure::with(Cause::TargetTlsFailed, why))
}

/// One check in the version of the group.
async fn speak(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    endpoint: &Endpoint,
    settings: &HealthCheck,
) -> Result<u16, ProbeError> {
    let host = host(endpoint, settings.protocol);
    let is_grpc = match settings.protocol_version {
        ProtocolVersion::Http1 => {
            let request = probe_http1::request(&settings.path, &host).ok_or_else(invalid_path)?;
            return probe_http1::exchange(stream, &request).await;
        }
        ProtocolVersion::Http2 => false,
        ProtocolVersion::Grpc => true,
    };
    let secure = settings.protocol == ProbeProtocol::Https;
    let request = probe_http2::CheckRequest { secure, host: &host, path: &settings.path, is_grpc };
    probe_http2::exchange(stream, request).await?.ok_or_else(invalid_path)
}

fn invalid_path() -> ProbeError {
    let error = "the path of the check is not valid";
    ProbeError::Local(io::Error::new(io::ErrorKind::InvalidInput, error))
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

async fn connect_unix(path: &Path) -> io::Result<UnixStream> {
    loop {
        match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(UNIX_RETRY).await,
            connected => return connected,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::TcpListener,
        sync::{Mutex, atomic::AtomicUsize},
        thread,
    };

    use super::{super::probe_error::USER_AGENT, *};
    use crate::{
        clock::test_support::refusing,
        model::TargetGroup,
        target_group::test_support::{group, health_check},
    };

    /// A server that answers every connection with `answer`, keeps what it was asked, and then closes it.
    fn server(answer: &'static [u8]) -> (Endpoint, Arc<Mutex<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(String::new()));
        let seen = Arc::clone(&asked);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut head = Vec::new();
                let mut byte = [0];
                while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n == 1) {
                    head.push(byte[0]);
                }
                *seen.lock().unwrap() = String::from_utf8_lossy(&head).into_owned();
                if answer.is_empty() {
                    thread::park();
                }
                let _ = stream.write_all(answer);
            }
        });
        (Endpoint::Tcp(address), asked)
    }

    fn prober() -> Prober {
        Prober::new(Box::new(|_| {})).unwrap()
    }

    fn target(endpoint: Endpoint, health_check: HealthCheck) -> CheckTarget {
        let settings = TargetGroup { health_check, ..group("app", &[]) };
        CheckTarget {
            registration: 1,
            endpoint,
            settings: Arc::new(settings),
            tls: None,
            elsewhere: Vec::new(),
            proven: false,
        }
    }

    async fn check(answer: &'static [u8]) -> CheckResult {
        let (endpoint, _) = server(answer);
        let settings = HealthCheck { timeout: Duration::from_millis(500), ..health_check(2, 2) };
        prober().check(&target(endpoint, settings), None).await.unwrap().result
    }

    #[tokio::test]
    async fn answers_are_judged_by_their_status() {
        assert_eq!(check(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await, CheckResult::Pass);
        for (answer, code) in [
            (&b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n"[..], 302),
            (b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", 500),
        ] {
            assert_eq!(check(answer).await, CheckResult::Fail(HealthReason::ResponseCodeMismatch(code)));
        }
        let many = format!("HTTP/1.1 200 OK\r\n{}Content-Length: 0\r\n\r\n", "X: y\r\n".repeat(199));
        assert_eq!(check(many.leak().as_bytes()).await, CheckResult::Pass);
        for invalid in [
            &b"garbage\r\n\r\n"[..],
            // What a request would get a 502 for.
            b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        ] {
            assert_eq!(check(invalid).await, CheckResult::Fail(HealthReason::FailedHealthChecks));
        }
        assert_eq!(check(b"").await, CheckResult::Fail(HealthReason::Timeout));
    }

    #[tokio::test]
    async fn a_check_is_a_get_that_names_its_maker_and_its_socket_is_exempted_first() {
        let (endpoint, asked) = server(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        let exempted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&exempted);
        let prober = Prober::new(Box::new(move |_| _ = count.fetch_add(1, Relaxed))).unwrap();
        let settings = HealthCheck { path: "/live?deep=1".into(), ..health_check(2, 2) };
        assert_eq!(
            prober.check(&target(endpoint.clone(), settings), None).await.unwrap(),
            Checked { result: CheckResult::Pass, status: Some(200), failure: None, elsewhere: None }
        );
        let asked = asked.lock().unwrap().to_ascii_lowercase();
        assert!(asked.starts_with("get /live?deep=1 http/1.1\r\n"), "{asked}");
        assert!(asked.contains(&format!("\r\nhost: {endpoint}\r\n")), "{asked}");
        assert!(asked.contains(&format!("\r\nuser-agent: {USER_AGENT}\r\n")), "{asked}");
        assert_eq!(exempted.load(Relaxed), 1);
    }

    #[tokio::test]
    async fn where_else_the_application_listens_is_found_when_it_does_not_here() {
        let ((_one, one), (_other, other)) = (refusing(), refusing());
        let listening = TcpListener::bind("127.0.0.1:0").unwrap();
        let there = listening.local_addr().unwrap();
        let found = async |here, elsewhere: &[SocketAddr]| {
            let target = target(Endpoint::Tcp(here), health_check(2, 2));
            let target = CheckTarget { elsewhere: elsewhere.to_vec(), ..target };
            prober().check(&target, None).await.unwrap().elsewhere
        };
        assert_eq!(found(one, &[other, there]).await, Some(there));
        assert_eq!(found(one, &[other]).await, None);
        assert_eq!(found(one, &[]).await, None);
        let (Endpoint::Tcp(bad), _) = server(b"garbage\r\n\r\n") else { panic!("TCP") };
        assert_eq!(found(bad, &[there]).await, None, "it takes connections where it is");
    }

    #[tokio::test]
    async fn nobody_there_fails_at_once() {
        let (_socket, address) = refusing();
        let checked =
            prober().check(&target(Endpoint::Tcp(address), health_check(2, 2)), None).await.unwrap();
        assert_eq!(checked.result, CheckResult::Fail(HealthReason::FailedHealthChecks));
        let failure = checked.failure.unwrap();
        assert_eq!(failure.cause, Cause::TargetConnectionRefused);
        assert!(failure.to_string().ends_with(": Connection refused (os error 111)"), "{failure}");
        let unix = Endpoint::Unix("/nonexistent/socket".into());
        let result = prober().check(&target(unix, health_check(2, 2)), None).await.unwrap().result;
        assert_eq!(result, CheckResult::Fail(HealthReason::FailedHealthChecks));
    }
}
