//! HTTP/1.1 messages as the tests read them: strictly, from bytes, sharing no code with the balancer.

use std::io::{self, Read};

/// Field lines in the order received.
#[derive(Clone, Debug, Default)]
pub struct Headers(pub Vec<(String, String)>);

impl Headers {
    /// The value of the first line of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The values of all lines of this name.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

/// A request as a target received it.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its method.
    pub method: String,
    /// Its request target.
    pub target: String,
    /// `HTTP/1.1` or another.
    pub version: String,
    /// Its fields.
    pub headers: Headers,
    /// Its whole body, chunks put together; empty when the target was told not to read it.
    pub body: Vec<u8>,
    /// Fields after a chunked body.
    pub trailers: Headers,
    /// Its head, byte for byte.
    pub head: Vec<u8>,
}

impl Request {
    /// The value of the first cookie of this name.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<String> {
        let pairs = self.headers.all("cookie").flat_map(|value| value.split("; "));
        pairs
            .filter_map(|pair| pair.split_once('='))
            .find(|(found, _)| *found == name)
            .map(|(_, value)| value.into())
    }
}

/// A response as a client received it.
#[derive(Clone, Debug)]
pub struct Response {
    /// Its status code.
    pub status: u16,
    /// `HTTP/1.1` or another.
    pub version: String,
    /// Its fields.
    pub headers: Headers,
    /// Its whole body, chunks put together.
    pub body: Vec<u8>,
    /// Fields after a chunked body.
    pub trailers: Headers,
    /// Its head, byte for byte.
    pub head: Vec<u8>,
}

impl Response {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The first field of this name, or an empty text.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_default()
    }

    /// The `Set-Cookie` line of this cookie.
    #[must_use]
    pub fn set_cookie(&self, name: &str) -> Option<&str> {
        self.headers.all("set-cookie").find(|line| line.split('=').next() == Some(name))
    }

    /// The value that this cookie is set to.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let pair = self.set_cookie(name)?.split(';').next()?;
        pair.split_once('=').map(|(_, value)| value)
    }
}

/// A buffered reader that knows how messages are framed.
#[derive(Debug)]
pub struct Reader<S> {
    stream: S,
    /// Received and not read yet.
    pub buffer: Vec<u8>,
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

impl<S: Read> Reader<S> {
    /// Reads from this stream.
    pub fn new(stream: S) -> Self {
        Self { stream, buffer: Vec::new() }
    }

    /// The stream itself.
    pub fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Reads more; false at the end of the stream.
    ///
    /// # Errors
    /// The stream's.
    pub fn fill(&mut self) -> io::Result<bool> {
        let mut chunk = [0; 16 * 1024];
        let length = self.stream.read(&mut chunk)?;
        self.buffer.extend_from_slice(&chunk[..length]);
        Ok(length > 0)
    }

    fn fill_more(&mut self) -> io::Result<()> {
        if self.fill()? { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// Exactly this many bytes.
    ///
    /// # Errors
    /// The stream's, and its end.
    pub fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() < length {
            self.fill_more()?;
        }
        Ok(self.buffer.drain(..length).collect())
    }

    /// All there is until the end of the stream.
    ///
    /// # Errors
    /// The stream's.
    pub fn to_end(&mut self) -> io::Result<Vec<u8>> {
        while self.fill()? {}
        Ok(std::mem::take(&mut self.buffer))
    }

    /// One line without its CR LF.
    ///
    /// # Errors
    /// The stream's, its end, and a bare LF.
    pub fn line(&mut self) -> io::Result<String> {
        let end = loop {
            match self.buffer.iter().position(|&byte| byte == b'\n') {
                Some(end) => break end,
                None => self.fill_more()?,
            }
        };
        let line: Vec<u8> = self.buffer.drain(..=end).collect();
        let line = line.strip_suffix(b"\r\n").ok_or_else(|| broken("bare LF"))?;
        Ok(String::from_utf8_lossy(line).into_owned())
    }

    /// Field lines up to and with the empty line.
    ///
    /// # Errors
    /// The stream's, its end, and lines that are no fields.
    pub fn fields(&mut self) -> io::Result<Headers> {
        let mut fields = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok(Headers(fields));
            }
            let (name, value) = line.split_once(':').ok_or_else(|| broken(&format!("no field: {line:?}")))?;
            fields.push((name.to_owned(), value.trim().to_owned()));
        }
    }

    /// A start line, fields, and the bytes that they were. None when the stream ends before the first byte.
    ///
    /// # Errors
    /// The stream's, and its end within the head.
    pub fn head(&mut self) -> io::Result<Option<(String, Headers, Vec<u8>)>> {
        let end = loop {
            if let Some(end) = self.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            if !self.fill()? {
                return if self.buffer.is_empty() {
                    Ok(None)
                } else {
                    Err(broken("the stream ends within a head"))
                };
            }
        };
        let bytes = self.buffer[..end].to_vec();
        let start = self.line()?;
        Ok(Some((start, self.fields()?, bytes)))
    }

    /// A chunked body, chunks put together, and its trailers.
    ///
    /// # Errors
    /// The stream's, its end within the body, and bad chunks.
    pub fn chunked(&mut self) -> io::Result<(Vec<u8>, Headers)> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let size = line.split(';').next().unwrap_or_default();
            let size =
                usize::from_str_radix(size, 16).map_err(|_| broken(&format!("no chunk size: {line:?}")))?;
            if size == 0 {
                return Ok((body, self.fields()?));
            }
            body.extend(self.exactly(size)?);
            if self.exactly(2)? != b"\r\n" {
                return Err(broken("a chunk without its end"));
            }
        }
    }

    fn body(&mut self, headers: &Headers) -> io::Result<Option<(Vec<u8>, Headers)>> {
        if headers.get("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            return self.chunked().map(Some);
        }
        let Some(length) = headers.get("content-length") else { return Ok(None) };
        let length = length.parse().map_err(|_| broken("no length"))?;
        Ok(Some((self.exactly(length)?, Headers::default())))
    }

    /// A request without its body. None when the stream ends before it.
    ///
    /// # Errors
    /// The stream's, and what is no request.
    pub fn request_head(&mut self) -> io::Result<Option<Request>> {
        let Some((start, headers, head)) = self.head()? else { return Ok(None) };
        let mut words = start.splitn(3, ' ').map(str::to_owned);
        let mut word = || words.next().ok_or_else(|| broken("no request line"));
        let (method, target, version) = (word()?, word()?, word()?);
        Ok(Some(Request {
            method,
            target,
            version,
            headers,
            head,
            body: Vec::new(),
            trailers: Headers::default(),
        }))
    }

    /// The body of a request whose head was read.
    ///
    /// # Errors
    /// The stream's, its end within the body, and bad chunks.
    pub fn request_body(&mut self, request: &mut Request) -> io::Result<()> {
        if let Some((body, trailers)) = self.body(&request.headers)? {
            (request.body, request.trailers) = (body, trailers);
        }
        Ok(())
    }

    /// The head of a response. None when the stream ends before it.
    ///
    /// # Errors
    /// The stream's, and what is no response.
    pub fn response_head(&mut self) -> io::Result<Option<Response>> {
        let Some((start, headers, head)) = self.head()? else { return Ok(None) };
        let mut words = start.splitn(3, ' ');
        let version = words.next().unwrap_or_default().to_owned();
        let status =
            words.next().and_then(|status| status.parse().ok()).ok_or_else(|| broken("no status"))?;
        Ok(Some(Response { status, version, headers, head, body: Vec::new(), trailers: Headers::default() }))
    }

    /// A whole response to a request of `method`.
    ///
    /// # Errors
    /// The stream's; its end before or within the response; what is no response.
    pub fn response(&mut self, method: &str) -> io::Result<Response> {
        let mut response = self.response_head()?.ok_or(io::ErrorKind::UnexpectedEof)?;
        let bodiless =
            method == "HEAD" || (100..200).contains(&response.status) || matches!(response.status, 204 | 304);
        if !bodiless {
            match self.body(&response.headers)? {
                Some((body, trailers)) => (response.body, response.trailers) = (body, trailers),
                None => response.body = self.to_end()?,
            }
        }
        Ok(response)
    }
}
