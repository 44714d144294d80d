//! Asks a server of HTTP/1.1 for a list, over TLS where that is wanted. Every answer is bounded in size and time by who asks.
//! Nothing that it says of a fault has a path, a query or a token in it. Must not know: what is in an answer.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use http_body_util::Empty;
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    header::{self, HeaderMap, HeaderValue},
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::JoinSet};
use tokio_rustls::TlsConnector;

use super::lister::SourceFault;
use crate::{
    control::resolver::{LookupOutcome, NameService},
    dial,
    model::{Authorities, HttpPlace, ProtocolVersion, TargetTlsSettings},
    regular_file,
    tls::{TargetTls, load_authorities},
};

/// Most bytes of a token.
const MAX_TOKEN: u64 = 64 * 1024;
/// Most characters that are shown of a word of the server's.
const MOST_SHOWN: usize = 40;
/// Where systems keep the authorities that they trust: Debian, Fedora, openSUSE, Alpine.
const SYSTEM_AUTHORITIES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// An answer whose body is still to come, and the connection that it comes on.
pub(super) struct SourceAnswer {
    pub(super) response: Response<Incoming>,
    _connection: JoinSet<()>,
}

trait ByteStream: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send {}

impl<T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send> ByteStream for T {}

/// Sends a GET for `path` and gives the answer, once its head is there. To be given up by who waits for it.
pub(super) async fn get(
    place: &HttpPlace,
    path: &str,
    fields: HeaderMap,
) -> Result<SourceAnswer, SourceFault> {
    let stream = connect(place).await?;
    let stream: Box<dyn ByteStream> =
        if place.tls { Box::new(secure(stream, place).await?) } else { Box::new(stream) };
    let broken = |error: hyper::Error| SourceFault::away(format!("{}: {error}", place.authority()));
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    let mut connections = JoinSet::new();
    connections.spawn(async move {
        let _ = connection.await;
    });
    let mut request = Request::get(path)
        .body(Empty::<Bytes>::new())
        .map_err(|_| SourceFault::away("its path cannot be asked for"))?;
    *request.headers_mut() = fields;
    let host = HeaderValue::from_str(&place.authority())
        .map_err(|_| SourceFault::away("its name cannot be asked for"))?;
    request.headers_mut().insert(header::HOST, host);
    request.headers_mut().insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    // Who says nothing takes any coding (RFC 9110, section 12.5.3).
    request.headers_mut().insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    request.headers_mut().insert(
        header::USER_AGENT,
        HeaderValue::from_static(concat!("balancer/", env!("CARGO_PKG_VERSION"))),
    );
    if let Some(file) = &place.token_file {
        request.headers_mut().insert(header::AUTHORIZATION, authorization(file.clone()).await?);
    }
    let response = sender.send_request(request).await.map_err(broken)?;
    if let Some(coding) =
        response.headers().get(header::CONTENT_ENCODING).filter(|coding| *coding != "identity")
    {
        let coding: String = String::from_utf8_lossy(coding.as_bytes()).chars().take(MOST_SHOWN).collect();
        return Err(SourceFault::garbage(format!(
            "{} answers in content-encoding {coding:?}, which was not asked for",
            place.authority()
        )));
    }
    Ok(SourceAnswer { response, _connection: connections })
}

/// The token, which others may have written anew since it was read last.
async fn authorization(file: PathBuf) -> Result<HeaderValue, SourceFault> {
    let read = tokio::task::spawn_blocking(move || token(&file)).await;
    read.map_err(|error| SourceFault { cause: "token", why: error.to_string() })?
}

/// The field that a token is sent in.
pub(super) fn token(file: &Path) -> Result<HeaderValue, SourceFault> {
    let shown = file.display();
    let wrong = |what: &str| SourceFault { cause: "token", why: format!("token_file {shown} {what}") };
    let (bytes, _) = regular_file::read(file, MAX_TOKEN).map_err(|fault| wrong(&fault.to_string()))?;
    let token = String::from_utf8(bytes).map_err(|_| wrong("is no text"))?;
    if token.trim().is_empty() {
        return Err(wrong("is empty; allowed: a token"));
    }
    let mut value =
        HeaderValue::from_str(&format!("Bearer {}", token.trim())).map_err(|_| wrong("is no token"))?;
    value.set_sensitive(true);
    Ok(value)
}

async fn connect(place: &HttpPlace) -> Result<TcpStream, SourceFault> {
    let addresses = match place.host.parse::<IpAddr>() {
        Ok(address) => vec![address],
        Err(_) => addresses(&place.host).await?,
    };
    let addresses = addresses.into_iter().map(|address| SocketAddr::new(address, place.port));
    let stream = dial::stream(addresses)
        .await
        .map_err(|error| SourceFault::away(format!("{}: {}", place.authority(), plain(&error))))?;
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

async fn addresses(host: &str) -> Result<Vec<IpAddr>, SourceFault> {
    let most = Duration::from_secs(300);
    let answers = NameService::of_system().look_up(host, Duration::from_secs(5), most).await;
    let (mut found, mut faults) = (Vec::new(), Vec::new());
    for answer in answers {
        match answer {
            LookupOutcome::Found { addresses, .. } => found.extend(addresses),
            LookupOutcome::Nothing => {}
            LookupOutcome::Failed(why) => faults.push(why),
        }
    }
    if found.is_empty() {
        let why = if faults.is_empty() { "it has no addresses".to_owned() } else { faults.join("; ") };
        return Err(SourceFault::away(format!("{host}: {why}")));
    }
    Ok(found)
}

fn tls_fault(place: &HttpPlace, why: &str) -> SourceFault {
    SourceFault { cause: "tls", why: format!("{}: {why}", place.authority()) }
}

/// Who may have signed the certificate of a place: those that are named, or the system's.
pub(super) fn authorities(place: &HttpPlace) -> Result<Authorities, SourceFault> {
    let of_system = || SYSTEM_AUTHORITIES.map(PathBuf::from).into_iter().find(|file| file.is_file());
    let file = place.ca_file.clone().or_else(of_system);
    let none = || tls_fault(place, "the system has no list of authorities; allowed: `ca_file`");
    load_authorities(&file.ok_or_else(none)?).map_err(|fault| tls_fault(place, &fault.to_string()))
}

async fn secure(
    stream: TcpStream,
    place: &HttpPlace,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, SourceFault> {
    let failed = |why: String| tls_fault(place, &why);
    let asked = place.clone();
    let authorities = tokio::task::spawn_blocking(move || authorities(&asked)).await;
    let authorities = authorities.map_err(|error| failed(error.to_string()))??;
    let address: Option<IpAddr> = place.host.parse().ok();
    let server_name = address.is_none().then(|| place.host.clone());
    let settings = TargetTlsSettings { server_name, authorities: Some(authorities) };
    let tls = TargetTls::new(&settings, ProtocolVersion::Http1).map_err(|error| failed(error.to_string()))?;
    let name = tls.name(address).ok_or_else(|| failed("its name is none of TLS".to_owned()))?;
    let connector = TlsConnector::from(std::sync::Arc::clone(tls.config()));
    connector.connect(name, stream).await.map_err(|error| failed(error.to_string()))
}

fn plain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "the connection is refused".to_owned(),
        _ => error.to_string(),
    }
}
