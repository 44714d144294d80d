//! A small web application that keeps sessions in memory, as applications do that need sticky sessions:
//! it counts a visitor's visits, and a visitor who comes to another of its kind is not known there.
//! Must not know: that there is a balancer, but for the header that tells requests through one from others.

use std::{
    collections::HashMap,
    convert::Infallible,
    fmt::Write,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{self, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
};

/// The application's cookie.
pub(super) const SESSION_COOKIE: &str = "SESSION";

/// Sessions kept; when there are more, all are forgotten.
const SESSIONS: usize = 100_000;
/// How long requests under way have when the application ends.
const GRACE: Duration = Duration::from_secs(1);

/// A running application, on a thread of its own. Dropping it ends it.
#[derive(Debug)]
pub(super) struct DemoTarget {
    /// What it calls itself.
    pub(super) name: &'static str,
    /// Where it listens.
    pub(super) address: SocketAddr,
    end: Arc<watch::Sender<bool>>,
    thread: Option<JoinHandle<()>>,
}

struct App {
    name: &'static str,
    visits: Mutex<HashMap<String, u64>>,
    end: Arc<watch::Sender<bool>>,
}

impl DemoTarget {
    /// Starts an application on a free port of the loopback interface.
    pub(super) fn start(name: &'static str) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = {
            let _runtime = runtime.enter();
            TcpListener::from_std(listener)?
        };
        let end = Arc::new(watch::Sender::new(false));
        let app = Arc::new(App { name, visits: Mutex::default(), end: Arc::clone(&end) });
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || runtime.block_on(serve(listener, app)))?;
        Ok(Self { name, address, end, thread: Some(thread) })
    }
}

impl Drop for DemoTarget {
    fn drop(&mut self) {
        self.end.send_replace(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(listener: TcpListener, app: Arc<App>) {
    let mut ended = app.end.subscribe();
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            biased;
            _ = ended.wait_for(|ended| *ended) => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve_connection(stream, Arc::clone(&app)));
                }
                // File descriptors have run out: they come back when connections end.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
        }
    }
    // From here on it is gone for whoever comes; who is here gets the answer under way.
    drop(listener);
    let _ = tokio::time::timeout(GRACE, async { while connections.join_next().await.is_some() {} }).await;
}

async fn serve_connection(stream: TcpStream, app: Arc<App>) {
    let mut ended = app.end.subscribe();
    let service = service_fn(move |request| {
        let response = app.answer(&request);
        async move { Ok::<_, Infallible>(response) }
    });
    let mut connection =
        std::pin::pin!(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        _ = &mut connection => return,
        _ = ended.wait_for(|ended| *ended) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

impl App {
    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/healthz") => text(StatusCode::OK, "ok\n".to_owned()),
            (&Method::POST, "/kill") => self.kill(request),
            (_, "/favicon.ico") => text(StatusCode::NOT_FOUND, "none\n".to_owned()),
            _ => self.visit(request),
        }
    }

    /// Ends this application; not for those who come through a balancer, who would not know which one they end.
    fn kill(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if request.headers().contains_key("x-forwarded-for") {
            return text(StatusCode::FORBIDDEN, "ask the target itself, not the balancer\n".to_owned());
        }
        self.end.send_replace(true);
        text(StatusCode::OK, format!("target {} ends, and its sessions with it\n", self.name))
    }

    fn visit(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let brought = session_cookie(request);
        let mut visits = self.visits.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = brought.and_then(|session| visits.get_mut(session)) {
            *count += 1;
            return text(StatusCode::OK, format!("target {}: visit {count} of your session\n", self.name));
        }
        let Ok(session) = new_session() else {
            return text(StatusCode::INTERNAL_SERVER_ERROR, "no randomness to be had\n".to_owned());
        };
        if visits.len() >= SESSIONS {
            visits.clear();
        }
        visits.insert(session.clone(), 1);
        let why = if brought.is_some() { "session not known here, " } else { "" };
        let mut response =
            text(StatusCode::OK, format!("target {}: {why}a new session starts, visit 1\n", self.name));
        let cookie = format!("{SESSION_COOKIE}={session}; Path=/; HttpOnly");
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            response.headers_mut().insert(header::SET_COOKIE, cookie);
        }
        response
    }
}

fn session_cookie(request: &Request<Incoming>) -> Option<&str> {
    request
        .headers()
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == SESSION_COOKIE)
        .map(|(_, value)| value)
}

fn new_session() -> io::Result<String> {
    let mut bytes = [0; 16];
    crate::random::fill(&mut bytes)?;
    Ok(bytes.iter().fold(String::with_capacity(32), |mut session, byte| {
        // Writing to a String cannot fail.
        let _ = write!(session, "{byte:02x}");
        session
    }))
}

fn text(status: StatusCode, words: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(words)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write as _},
        net::TcpStream,
    };

    use super::*;
    use crate::clock::test_support::until_refused;

    fn ask(target: &DemoTarget, head: &str) -> String {
        let mut stream = TcpStream::connect(target.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn visit(target: &DemoTarget, cookies: &str) -> String {
        ask(target, &format!("GET / HTTP/1.1\r\nHost: x\r\nCookie: {cookies}\r\n"))
    }

    fn session(answer: &str) -> String {
        let (_, rest) = answer.split_once("set-cookie: ").unwrap();
        rest.split_once(';').unwrap().0.to_owned()
    }

    #[test]
    fn visits_are_counted_by_session_and_only_where_the_session_is() {
        let (alpha, bravo) = (DemoTarget::start("alpha").unwrap(), DemoTarget::start("bravo").unwrap());
        let first = ask(&alpha, "GET / HTTP/1.1\r\nHost: x\r\n");
        assert!(first.ends_with("target alpha: a new session starts, visit 1\n"), "{first}");
        let session = session(&first);
        for count in 2..5 {
            let again = visit(&alpha, &format!("AWSALB=x; {session}; other=\"y\""));
            assert!(again.ends_with(&format!("target alpha: visit {count} of your session\n")), "{again}");
            assert!(!again.contains("set-cookie"), "{again}");
        }
        let astray = visit(&bravo, &session);
        assert!(
            astray.ends_with("target bravo: session not known here, a new session starts, visit 1\n"),
            "{astray}"
        );
        assert_ne!(self::session(&astray), session);
        assert!(ask(&alpha, "GET /healthz HTTP/1.1\r\nHost: x\r\n").ends_with("\r\n\r\nok\n"));
    }

    #[test]
    fn a_target_ends_when_it_is_told_to_and_not_by_way_of_a_balancer() {
        let target = DemoTarget::start("alpha").unwrap();
        let idle = TcpStream::connect(target.address).unwrap();
        let through = ask(&target, "POST /kill HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 1.2.3.4\r\n");
        assert!(through.starts_with("HTTP/1.1 403 "), "{through}");
        let killed = ask(&target, "POST /kill HTTP/1.1\r\nHost: x\r\n");
        assert!(killed.starts_with("HTTP/1.1 200 ") && killed.contains("target alpha ends"), "{killed}");
        drop(idle);
        let address = target.address;
        drop(target);
        until_refused(address);
    }
}
