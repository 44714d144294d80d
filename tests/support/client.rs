//! Clients: a connection on which every byte is the test's own, and a client with a cookie jar.

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    time::Duration,
};

use crate::http::{Reader, Response};

/// A connection to the balancer. Reads give up after 20 s unless told otherwise.
#[derive(Debug)]
pub struct Connection {
    reader: Reader<TcpStream>,
}

impl Connection {
    /// Connects.
    ///
    /// # Panics
    /// When nobody accepts.
    #[must_use]
    pub fn open(address: SocketAddr) -> Self {
        let stream =
            TcpStream::connect(address).unwrap_or_else(|error| panic!("connect to {address}: {error}"));
        Self::over(stream)
    }

    /// Over a stream that is connected already.
    #[must_use]
    pub fn over(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
        Self { reader: Reader::new(stream) }
    }

    /// The socket.
    pub fn stream(&mut self) -> &mut TcpStream {
        self.reader.stream()
    }

    /// The framing reader.
    pub fn reader(&mut self) -> &mut Reader<TcpStream> {
        &mut self.reader
    }

    /// Sends these very bytes. An error is left for the next read to show: the other side may have answered and closed.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.stream().write_all(bytes.as_ref()).unwrap_or_default();
        self
    }

    /// Sends these very bytes.
    ///
    /// # Errors
    /// The stream's.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream().write_all(bytes.as_ref())
    }

    /// Reads a response to a GET or POST.
    ///
    /// # Panics
    /// When there is none.
    pub fn response(&mut self) -> Response {
        self.response_to("GET")
    }

    /// Reads a response to a request of `method`.
    ///
    /// # Panics
    /// When there is none.
    pub fn response_to(&mut self, method: &str) -> Response {
        self.reader.response(method).unwrap_or_else(|error| panic!("no whole response: {error}"))
    }

    /// Reads a response, if a whole one comes.
    ///
    /// # Errors
    /// The stream's, its end, and what is no response.
    pub fn try_response(&mut self) -> io::Result<Response> {
        self.reader.response("GET")
    }

    /// GET with more field lines (each ending in CR LF).
    ///
    /// # Panics
    /// When there is no response.
    pub fn get(&mut self, path: &str, fields: &str) -> Response {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: example.test\r\n{fields}\r\n"));
        self.response()
    }

    /// POST with a body of known length.
    ///
    /// # Panics
    /// When there is no response.
    pub fn post(&mut self, path: &str, body: &[u8]) -> Response {
        self.send(format!(
            "POST {path} HTTP/1.1\r\nHost: example.test\r\nContent-Length: {}\r\n\r\n",
            body.len()
        ));
        self.send(body);
        self.response()
    }

    /// Whether the other side has ended the connection, waiting for it for up to 10 s.
    pub fn is_closed(&mut self) -> bool {
        self.is_closed_within(Duration::from_secs(10))
    }

    /// Whether the other side ends the connection within this time, sending nothing more.
    pub fn is_closed_within(&mut self, time: Duration) -> bool {
        self.stream().set_read_timeout(Some(time)).unwrap();
        match self.stream().read(&mut [0; 1]) {
            Ok(length) => length == 0,
            Err(error) => !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut),
        }
    }

    /// Says that nothing more will be sent.
    pub fn finish(&mut self) {
        self.stream().shutdown(Shutdown::Write).unwrap();
    }

    /// Goes away by a reset.
    ///
    /// # Panics
    /// When the socket option cannot be set.
    pub fn reset(mut self) {
        rustix::net::sockopt::set_socket_linger(&mut *self.stream(), Some(Duration::ZERO)).unwrap();
    }
}

/// A client that keeps cookies and its connection, as a browser does.
#[derive(Debug)]
pub struct Client {
    address: SocketAddr,
    host: &'static str,
    /// Its cookies, by name.
    pub jar: BTreeMap<String, String>,
    /// Cookies that it does not send back.
    pub withheld: Vec<String>,
    connection: Option<Connection>,
}

impl Client {
    /// A client of the server there.
    #[must_use]
    pub fn new(address: SocketAddr) -> Self {
        Self::asking("example.test", address)
    }

    /// A client that calls the server there by this name.
    #[must_use]
    pub fn asking(host: &'static str, address: SocketAddr) -> Self {
        Self { address, host, jar: BTreeMap::new(), withheld: Vec::new(), connection: None }
    }

    /// The `Cookie` field line of the next request, or nothing.
    #[must_use]
    pub fn cookie_line(&self) -> String {
        let sent =
            self.jar.iter().filter(|(name, _)| !self.withheld.iter().any(|held| name.starts_with(held)));
        let pairs: Vec<String> = sent.map(|(name, value)| format!("{name}={value}")).collect();
        if pairs.is_empty() { String::new() } else { format!("Cookie: {}\r\n", pairs.join("; ")) }
    }

    /// GET; the connection is kept where the server keeps it.
    ///
    /// # Errors
    /// When no whole response comes.
    pub fn try_get(&mut self, path: &str) -> io::Result<Response> {
        let cookies = self.cookie_line();
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::over(TcpStream::connect(self.address)?),
        };
        connection.try_send(format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{cookies}\r\n", self.host))?;
        let response = connection.try_response()?;
        if !response.header("connection").eq_ignore_ascii_case("close") {
            self.connection = Some(connection);
        }
        self.store(&response);
        Ok(response)
    }

    /// GET; the connection is kept where the server keeps it.
    ///
    /// # Panics
    /// When no whole response comes.
    pub fn get(&mut self, path: &str) -> Response {
        self.try_get(path).unwrap_or_else(|error| panic!("GET {path}: {error}"))
    }

    /// POST without a body, on a connection of its own.
    ///
    /// # Panics
    /// When no whole response comes.
    pub fn post(&mut self, path: &str) -> Response {
        let cookies = self.cookie_line();
        let mut connection = Connection::open(self.address);
        let host = self.host;
        connection
            .send(format!("POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n{cookies}\r\n"));
        let response = connection.response();
        self.store(&response);
        response
    }

    /// Ends the connection and keeps the cookies.
    pub fn disconnect(&mut self) {
        self.connection = None;
    }

    fn store(&mut self, response: &Response) {
        for line in response.headers.all("set-cookie") {
            let pair = line.split(';').next().unwrap_or_default();
            if let Some((name, value)) = pair.split_once('=') {
                self.jar.insert(name.trim().to_owned(), value.trim().to_owned());
            }
        }
    }
}
