//! A client of the ELBv2 API: calls that are signed, over a connection that stays. Must not know: what is measured.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use ring::{digest, hmac};

/// The key of the lab.
pub(super) const KEY: (&str, &str) = ("LAB", "a-secret-of-the-lab-alone");
const SCOPE: [&str; 3] = ["us-east-1", "elasticloadbalancing", "aws4_request"];
/// A call that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection.
pub(super) struct ApiClient {
    stream: BufReader<TcpStream>,
    address: SocketAddr,
    /// When all is signed: signatures are good for longer than the lab takes.
    time: String,
}

impl ApiClient {
    pub(super) fn connect(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let told = Command::new("date").args(["-u", "+%Y%m%dT%H%M%SZ"]).output().context("date")?;
        let time = String::from_utf8_lossy(&told.stdout).trim().to_owned();
        Ok(Self { stream: BufReader::new(stream), address, time })
    }

    /// What a call is answered that has to succeed. The same call twice is one: parameters have to differ.
    pub(super) fn call(&mut self, action: &str, parameters: &str) -> Result<String> {
        let body = format!("Action={action}&Version=2015-12-01{parameters}");
        let request = self.signed(&body);
        self.stream.get_mut().write_all(request.as_bytes())?;
        let (status, answer) = self.answer()?;
        if status != 200 {
            bail!("{action}: {status} {answer}");
        }
        Ok(answer)
    }

    fn signed(&self, body: &str) -> String {
        let (time, host) = (&self.time, self.address);
        let day = time.get(..8).unwrap_or_default();
        let hash = |text: &str| hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref());
        let canonical =
            format!("POST\n/\n\nhost:{host}\nx-amz-date:{time}\n\nhost;x-amz-date\n{}", hash(body));
        let scope = format!("{day}/{}", SCOPE.join("/"));
        let text = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hash(&canonical));
        let sign = |key: &[u8], text: &str| {
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
        };
        let first = sign(format!("AWS4{}", KEY.1).as_bytes(), day);
        let key = SCOPE.iter().fold(first, |key, part| sign(&key, part));
        let signature = hex(&sign(&key, &text));
        format!(
            "POST / HTTP/1.1\r\nHost: {host}\r\nX-Amz-Date: {time}\r\nAuthorization: AWS4-HMAC-SHA256 Credential={}/{scope}, \
             SignedHeaders=host;x-amz-date, Signature={signature}\r\nContent-Length: {}\r\n\r\n{body}",
            KEY.0,
            body.len()
        )
    }

    fn answer(&mut self) -> Result<(u16, String)> {
        let (mut status, mut length) = (0, 0);
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line)? == 0 {
                bail!("the API has closed the connection");
            }
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(rest) = line.strip_prefix("http/1.1 ") {
                status = rest.get(..3).and_then(|code| code.parse().ok()).context("a status")?;
            }
            if let Some(rest) = line.strip_prefix("content-length: ") {
                length = rest.parse().context("a length")?;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }
}

/// The text of the first element of this name.
pub(super) fn element<'a>(answer: &'a str, name: &str) -> Result<&'a str> {
    let found = answer.split_once(&format!("<{name}>")).and_then(|(_, rest)| Some(rest.split_once('<')?.0));
    found.with_context(|| format!("no {name} in {answer}"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
