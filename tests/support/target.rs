//! Targets that follow a script: real sockets, one thread a connection, answers under the test's control.

use std::{
    collections::HashMap,
    io::Write,
    net::{Shutdown, SocketAddr, TcpListener},
    os::{fd::AsFd, unix::net::UnixListener},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    thread,
};

use crate::{
    http::{Reader, Request},
    stream::Stream,
};

/// What a target does with the connection once the handler is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Waits for the next request.
    KeepAlive,
    /// Closes it.
    Close,
    /// Closes it by a reset.
    Reset,
}

/// One request and the connection it came on.
#[derive(Debug)]
pub struct Exchange {
    /// The request; its body has been read unless the target was started with [`Target::heads`].
    pub request: Request,
    /// The connection.
    pub reader: Reader<Stream>,
    /// How many requests came on this connection before.
    pub earlier: usize,
}

impl Exchange {
    /// Sends these very bytes. An error means that the balancer has gone, which the test sees by other signs.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.reader.stream().write_all(bytes.as_ref()).unwrap_or_default();
    }

    /// Answers 200 with this body and more field lines (each ending in CR LF).
    pub fn ok(&mut self, fields: &str, body: &str) -> Answer {
        self.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{fields}\r\n{body}", body.len()));
        Answer::KeepAlive
    }
}

#[derive(Debug, Default)]
struct Shared {
    healthy: AtomicBool,
    dead: AtomicBool,
    heads_only: bool,
    requests: Mutex<Vec<Request>>,
    count: AtomicUsize,
    checks: AtomicUsize,
    connections: AtomicUsize,
    /// A second handle to every open connection, by its number.
    open: Mutex<HashMap<usize, Stream>>,
}

#[derive(Debug)]
enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    fn accept(&self) -> std::io::Result<Stream> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept()?;
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }
            Self::Unix(listener) => Ok(Stream::Unix(listener.accept()?.0)),
        }
    }

    fn stop(&self) {
        let ended = match self {
            Self::Tcp(listener) => rustix::net::shutdown(listener.as_fd(), rustix::net::Shutdown::Both),
            Self::Unix(listener) => rustix::net::shutdown(listener.as_fd(), rustix::net::Shutdown::Both),
        };
        ended.unwrap_or_default();
    }
}

/// A target. It answers `/healthz` by itself: 200 while it is healthy, 500 while not; such requests are not counted.
#[derive(Debug)]
pub struct Target {
    /// As a configuration writes it.
    pub address: String,
    listener: Arc<Listener>,
    shared: Arc<Shared>,
}

type Handler = dyn Fn(&mut Exchange) -> Answer + Send + Sync;

impl Target {
    /// A target that says when `/slow` was asked for, and answers that once it is told to; all else it answers at once.
    /// `fields` are field lines of its answers (each ending in CR LF).
    #[must_use]
    pub fn gated(fields: &'static str) -> (Self, mpsc::Sender<()>, mpsc::Receiver<()>) {
        let ((go, wait), (arrived, has_arrived)) = (mpsc::channel::<()>(), mpsc::channel());
        let wait = Mutex::new(wait);
        let target = Self::start(move |exchange| {
            if exchange.request.target == "/slow" {
                arrived.send(()).unwrap();
                if wait.lock().unwrap().recv().is_err() {
                    return Answer::Close;
                }
            }
            exchange.ok(fields, "finished")
        });
        (target, go, has_arrived)
    }

    /// A target that answers with its own address in `X-Target` and as the body.
    #[must_use]
    pub fn plain() -> Self {
        Self::start(|exchange| {
            let name = local_name(exchange);
            exchange.ok(&format!("X-Target: {name}\r\n"), &name)
        })
    }

    /// A target that sends the request's body back, and its trailers after a chunked one.
    #[must_use]
    pub fn echo() -> Self {
        Self::start(|exchange| {
            let body = std::mem::take(&mut exchange.request.body);
            exchange.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()));
            exchange.send(body);
            Answer::KeepAlive
        })
    }

    /// A target that keeps sessions in memory under the cookie `SESSIONID`, and says in `X-Lost` when a client
    /// comes with a session that is not its own.
    #[must_use]
    pub fn sessions() -> Self {
        let known: Mutex<std::collections::HashSet<String>> = Mutex::default();
        let made = AtomicUsize::new(0);
        Self::start(move |exchange| {
            let name = local_name(exchange);
            let came_with = exchange.request.cookie("SESSIONID");
            let mut known = known.lock().unwrap();
            let mut fields = format!("X-Target: {name}\r\n");
            if came_with.as_ref().is_none_or(|id| !known.contains(id)) {
                let id = format!("{}-{}", name.replace(['.', ':'], "x"), made.fetch_add(1, SeqCst));
                fields.push_str(&format!("Set-Cookie: SESSIONID={id}; Path=/; HttpOnly\r\n"));
                if came_with.is_some() {
                    fields.push_str("X-Lost: yes\r\n");
                }
                known.insert(id);
            }
            drop(known);
            exchange.ok(&fields, &name)
        })
    }

    /// A target that does what `handler` says, on a free port of 127.0.0.1.
    #[must_use]
    pub fn start(handler: impl Fn(&mut Exchange) -> Answer + Send + Sync + 'static) -> Self {
        Self::at("127.0.0.1:0", false, handler)
    }

    /// The same, but the handler gets requests before their bodies are read.
    #[must_use]
    pub fn heads(handler: impl Fn(&mut Exchange) -> Answer + Send + Sync + 'static) -> Self {
        Self::at("127.0.0.1:0", true, handler)
    }

    /// A target at this address and port.
    ///
    /// # Panics
    /// When the address cannot be had.
    #[must_use]
    pub fn at(
        address: &str,
        heads_only: bool,
        handler: impl Fn(&mut Exchange) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        Self::serve(address.to_string(), Listener::Tcp(listener), heads_only, Arc::new(handler))
    }

    /// A target at a Unix socket.
    ///
    /// # Panics
    /// When the socket cannot be made.
    #[must_use]
    pub fn unix(path: &Path, handler: impl Fn(&mut Exchange) -> Answer + Send + Sync + 'static) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let address = format!("unix:{}", path.display());
        Self::serve(address, Listener::Unix(listener), false, Arc::new(handler))
    }

    fn serve(address: String, listener: Listener, heads_only: bool, handler: Arc<Handler>) -> Self {
        let shared = Arc::new(Shared { healthy: true.into(), heads_only, ..Shared::default() });
        let listener = Arc::new(listener);
        let (accepting, state) = (Arc::clone(&listener), Arc::clone(&shared));
        thread::spawn(move || {
            for number in 0.. {
                let Ok(stream) = accepting.accept() else { return };
                let mut open = state.open.lock().unwrap();
                if state.dead.load(SeqCst) {
                    return;
                }
                open.insert(number, stream.try_clone().unwrap());
                drop(open);
                let (state, handler) = (Arc::clone(&state), Arc::clone(&handler));
                thread::spawn(move || serve_connection(stream, number, &state, &*handler));
            }
        });
        Self { address, listener, shared }
    }

    /// Its port.
    ///
    /// # Panics
    /// When it is at a Unix socket.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.rsplit(':').next().unwrap().parse().unwrap()
    }

    /// How many requests came, health checks aside.
    #[must_use]
    pub fn count(&self) -> usize {
        self.shared.count.load(SeqCst)
    }

    /// How many health checks came.
    #[must_use]
    pub fn checks(&self) -> usize {
        self.shared.checks.load(SeqCst)
    }

    /// How many connections came on which something else than a health check was asked.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.connections.load(SeqCst)
    }

    /// The latest requests (at most 1,000), health checks aside.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// The latest request.
    ///
    /// # Panics
    /// When there was none.
    #[must_use]
    pub fn last(&self) -> Request {
        self.requests().pop().expect("a request")
    }

    /// Whether it passes health checks from now on.
    pub fn set_healthy(&self, healthy: bool) {
        self.shared.healthy.store(healthy, SeqCst);
    }

    /// Dies as a killed process does: the port refuses, every connection ends.
    pub fn kill(&self) {
        self.shared.dead.store(true, SeqCst);
        self.listener.stop();
        self.drop_connections();
    }

    /// Ends every connection, idle ones included, and goes on listening.
    pub fn drop_connections(&self) {
        for (_, stream) in self.shared.open.lock().unwrap().drain() {
            stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The address that the connection came to.
fn local_name(exchange: &mut Exchange) -> String {
    match exchange.reader.stream() {
        Stream::Tcp(stream) => stream.local_addr().map(|address| address.to_string()).unwrap_or_default(),
        Stream::Unix(_) => "unix".to_owned(),
    }
}

fn serve_connection(stream: Stream, number: usize, shared: &Shared, handler: &Handler) {
    let mut reader = Reader::new(stream);
    let mut earlier = 0;
    while let Ok(Some(mut request)) = reader.request_head() {
        let is_probe = request.target == "/healthz";
        if (is_probe || !shared.heads_only) && reader.request_body(&mut request).is_err() {
            break;
        }
        if is_probe {
            shared.checks.fetch_add(1, SeqCst);
            let status = if shared.healthy.load(SeqCst) { "200 OK" } else { "500 Internal Server Error" };
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            reader.stream().write_all(answer.as_bytes()).unwrap_or_default();
            break;
        }
        if earlier == 0 {
            shared.connections.fetch_add(1, SeqCst);
        }
        shared.count.fetch_add(1, SeqCst);
        {
            let mut requests = shared.requests.lock().unwrap();
            if requests.len() >= 1000 {
                requests.drain(..500);
            }
            requests.push(request.clone());
        }
        let mut exchange = Exchange { request, reader, earlier };
        let answer = handler(&mut exchange);
        reader = exchange.reader;
        match answer {
            Answer::KeepAlive => earlier += 1,
            Answer::Close => break,
            Answer::Reset => {
                rustix::net::sockopt::set_socket_linger(
                    reader.stream().as_fd(),
                    Some(std::time::Duration::ZERO),
                )
                .unwrap();
                // The other handle must go too, or the reset waits for it.
                shared.open.lock().unwrap().remove(&number);
                return;
            }
        }
    }
    reader.stream().shutdown(Shutdown::Both);
    shared.open.lock().unwrap().remove(&number);
}
