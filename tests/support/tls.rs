//! TLS as the tests meet it: certificates made on the spot, and the openssl program as a client.

use std::{
    fs,
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio},
    thread,
    time::{Duration, SystemTime},
};

use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use crate::http::{Reader, Response};

/// A certificate and its key as files.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate; it has signed itself, so that clients can trust it as it is.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

impl Certificate {
    /// An ECDSA one for these names.
    #[must_use]
    pub fn make(folder: &Path, file: &str, names: &[&str]) -> Self {
        Self::until(folder, file, names, 4000)
    }

    /// An ECDSA one for these names that ends with this year.
    ///
    /// # Panics
    /// When it cannot be made or written.
    #[must_use]
    pub fn until(folder: &Path, file: &str, names: &[&str], year: i32) -> Self {
        Self::ending(folder, file, names, |params| params.not_after = date_time_ymd(year, 12, 31))
    }

    fn ending(folder: &Path, file: &str, names: &[&str], ends: impl FnOnce(&mut CertificateParams)) -> Self {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, file);
        params.not_before = date_time_ymd(2000, 1, 1);
        ends(&mut params);
        let key = KeyPair::generate().unwrap();
        let made = Self::paths(folder, file);
        fs::write(&made.certificate, params.self_signed(&key).unwrap().pem()).unwrap();
        fs::write(&made.key, key.serialize_pem()).unwrap();
        made.private()
    }

    /// One that ends so many days from now.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "what is valid for so long is so from now on")]
    pub fn for_days(folder: &Path, file: &str, names: &[&str], days: u64) -> Self {
        let ends = SystemTime::now() + Duration::from_secs(days * 86_400);
        Self::ending(folder, file, names, |params| params.not_after = ends.into())
    }

    /// An RSA one for this name.
    ///
    /// # Panics
    /// When openssl cannot make it.
    #[must_use]
    pub fn rsa(folder: &Path, file: &str, name: &str) -> Self {
        let made = Self::paths(folder, file);
        let mut command = Command::new("openssl");
        command.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30"]);
        command.args(["-subj", &format!("/CN={file}"), "-addext", &format!("subjectAltName=DNS:{name}")]);
        command.arg("-keyout").arg(&made.key).arg("-out").arg(&made.certificate);
        assert!(command.stderr(Stdio::null()).status().unwrap().success());
        made.private()
    }

    fn paths(folder: &Path, file: &str) -> Self {
        Self { certificate: folder.join(format!("{file}.pem")), key: folder.join(format!("{file}.key")) }
    }

    fn private(self) -> Self {
        fs::set_permissions(&self.key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        self
    }

    /// Its block in a configuration.
    #[must_use]
    pub fn block(&self, label: &str) -> String {
        format!(
            "certificate \"{label}\" {{\n  certificate_file = \"{}\"\n  private_key_file = \"{}\"\n}}\n",
            self.certificate.display(),
            self.key.display()
        )
    }
}

fn openssl(address: SocketAddr, arguments: &[&str]) -> Command {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &address.to_string()]).args(arguments);
    command
}

/// What `openssl s_client` says of a handshake, standard error included.
///
/// # Panics
/// When it cannot be run.
#[must_use]
pub fn handshake(address: SocketAddr, arguments: &[&str]) -> String {
    let Output { stdout, stderr, .. } = openssl(address, arguments).stdin(Stdio::null()).output().unwrap();
    String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr)
}

/// A connection that the openssl program encrypts.
#[derive(Debug)]
pub struct Session {
    child: Child,
    input: Option<ChildStdin>,
    reader: Reader<ChildStdout>,
}

impl Session {
    /// Connects, with more arguments of `openssl s_client`.
    ///
    /// # Panics
    /// When the program cannot be run.
    #[must_use]
    pub fn open(address: SocketAddr, arguments: &[&str]) -> Self {
        let mut command = openssl(address, arguments);
        command.arg("-quiet").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let (input, output) = (child.stdin.take(), child.stdout.take().unwrap());
        Self { child, input, reader: Reader::new(output) }
    }

    /// Sends these very bytes.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.input.as_mut().unwrap().write_all(bytes.as_ref()).unwrap_or_default();
    }

    /// The framing reader.
    pub fn reader(&mut self) -> &mut Reader<ChildStdout> {
        &mut self.reader
    }

    /// GET on this connection.
    ///
    /// # Panics
    /// When there is no response.
    pub fn get(&mut self, path: &str, fields: &str) -> Response {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: example.test\r\n{fields}\r\n"));
        self.reader.response("GET").unwrap_or_else(|error| panic!("no whole response: {error}"))
    }

    /// Whether the other side has ended the connection, sending nothing more.
    pub fn is_closed(&mut self) -> bool {
        matches!(self.reader.stream().read(&mut [0; 1]), Ok(0) | Err(_))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.child.kill().unwrap_or_default();
        drop(self.child.wait());
    }
}

/// A socket whose bytes the openssl program encrypts, with more arguments of `openssl s_client`.
///
/// # Panics
/// When the program cannot be run.
#[must_use]
pub fn encrypted(address: SocketAddr, arguments: &[&str]) -> TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut theirs, _) = listener.accept().unwrap();
    let mut sent = theirs.try_clone().unwrap();
    let mut session = Session::open(address, arguments);
    let mut input = session.input.take().unwrap();
    thread::spawn(move || relay(&mut sent, &mut input));
    thread::spawn(move || {
        relay(session.reader.stream(), &mut theirs);
        let _ = theirs.shutdown(Shutdown::Both);
    });
    ours
}

/// Passes on whatever comes as it comes; the kernel, by which `io::copy` would do it, waits for more.
fn relay(from: &mut impl Read, to: &mut impl Write) {
    let mut bytes = vec![0; 16_384];
    while let Ok(length @ 1..) = from.read(&mut bytes) {
        if to.write_all(&bytes[..length]).is_err() {
            return;
        }
    }
}

/// Runs curl against the balancer under this host name, trusting this certificate alone.
///
/// # Errors
/// Its exit code and what it said.
pub fn curl(
    address: SocketAddr,
    host: &str,
    trusted: &Certificate,
    path: &str,
    arguments: &[&str],
) -> Result<Vec<u8>, (i32, String)> {
    let port = address.port();
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "60", "--noproxy", "*"]);
    command.args(["--resolve", &format!("{host}:{port}:{}", address.ip())]);
    command.arg("--cacert").arg(&trusted.certificate).args(arguments);
    command.arg(format!("https://{host}:{port}{path}"));
    let output = command.stdin(Stdio::null()).output().unwrap();
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err((output.status.code().unwrap_or(-1), String::from_utf8_lossy(&output.stderr).into_owned()))
}

/// Runs a script of Python's standard library with these arguments; gives back what it prints.
///
/// # Errors
/// What it complained of.
pub fn python(script: &str, arguments: &[&str]) -> io::Result<String> {
    let output = Command::new("python3").arg("-c").arg(script).args(arguments).output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()))
}
