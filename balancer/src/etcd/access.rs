//! Where etcd is and how to get in: endpoints, TLS, user and password. Must not know: what is asked for.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};
use tokio::{net::lookup_host, time::timeout};
use tokio_rustls::TlsConnector;

use super::grpc::Wire;
use crate::{dial, regular_file};

/// Where etcd serves clients by default.
const PORT: u16 = 2379;
/// Most endpoints that are given.
const MOST_ENDPOINTS: usize = 20;
/// Most bytes of a file with certificates, and of one with a password.
const MOST_PEM: u64 = 4 << 20;
const MOST_PASSWORD: u64 = 1024;
/// How long connecting to one endpoint may take, TLS included.
const CONNECTING: Duration = Duration::from_secs(2);

/// An endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    secure: bool,
    host: String,
    port: u16,
}

impl Url {
    /// What is allowed.
    pub const ALLOWED: &str = "http://HOST:PORT or https://HOST:PORT, such as https://10.0.0.1:2379, without a path, and without a \
                               user or a password";

    /// Reads one.
    ///
    /// # Errors
    /// What is allowed.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fault = || format!("allowed: {}", Self::ALLOWED);
        let (secure, rest) = match text.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            _ => return Err(fault()),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, port)) => (host, Some(port.strip_prefix(':').ok_or_else(fault)?)),
            None => match rest.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (rest, None),
            },
        };
        let port = port.map_or(Ok(PORT), |port| port.parse().map_err(|_| fault()))?;
        let is_host = rest.starts_with('[') == host.contains(':') && ServerName::try_from(host).is_ok();
        if port == 0 || !is_host {
            return Err(fault());
        }
        Ok(Self { secure, host: host.to_owned(), port })
    }

    /// Host and port, as a request names them.
    pub(super) fn authority(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }

    /// Of no endpoint.
    pub(super) fn nowhere() -> Self {
        Self { secure: false, host: String::new(), port: 0 }
    }

    pub(super) fn is_secure(&self) -> bool {
        self.secure
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http{}://{}", if self.secure { "s" } else { "" }, self.authority())
    }
}

/// What a user gives.
#[derive(Clone, Debug, Default)]
pub struct AccessFiles {
    /// Endpoints of one cluster.
    pub endpoints: Vec<Url>,
    /// The user.
    pub user: Option<String>,
    /// The file with the user's password.
    pub password: Option<PathBuf>,
    /// The file with certificates of authorities that the endpoints' certificates are signed by.
    pub authorities: Option<PathBuf>,
    /// The files with the certificate and the key to show.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

/// What is wrong with that.
#[derive(Debug, thiserror::Error)]
pub enum AccessFault {
    /// A file cannot be used.
    #[error("{file}: {why}", file = .0.display(), why = .1)]
    File(PathBuf, String),
    /// What belongs together is not there together.
    #[error("{0}")]
    Incomplete(&'static str),
    /// TLS refuses what it is given.
    #[error("TLS to etcd: {0}")]
    Tls(#[from] rustls::Error),
}

/// All of it, read.
#[derive(Clone)]
pub struct Access {
    pub(super) endpoints: Vec<Url>,
    /// User and password.
    pub(super) user: Option<(String, String)>,
    tls: Option<Arc<ClientConfig>>,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access").field("endpoints", &self.endpoints).finish_non_exhaustive()
    }
}

impl Access {
    /// Reads the files.
    ///
    /// # Errors
    /// What is wrong with which of them.
    pub fn read(files: &AccessFiles) -> Result<Self, AccessFault> {
        if files.endpoints.is_empty() || files.endpoints.len() > MOST_ENDPOINTS {
            return Err(AccessFault::Incomplete("--etcd: allowed: 1 to 20 endpoints of one cluster"));
        }
        let user = match (&files.user, &files.password) {
            (None, None) => None,
            (Some(user), Some(path)) => Some((user.clone(), password(path)?)),
            _ => {
                return Err(AccessFault::Incomplete("--etcd-user and --etcd-password-file go together"));
            }
        };
        let secure = files.endpoints.iter().filter(|url| url.secure).count();
        if secure == 0 && (files.authorities.is_some() || files.certificate.is_some()) {
            return Err(AccessFault::Incomplete(
                "--etcd-ca and --etcd-cert are for https:// endpoints, and there is none",
            ));
        }
        let tls = if secure > 0 { Some(tls(files)?) } else { None };
        Ok(Self { endpoints: files.endpoints.clone(), user, tls })
    }

    /// A stream to an endpoint.
    pub(super) async fn connect(&self, url: &Url) -> Result<Box<dyn Wire>, String> {
        let connected = timeout(CONNECTING, self.connect_to(url)).await;
        connected.unwrap_or_else(|_| Err(format!("no connection within {CONNECTING:?}")))
    }

    async fn connect_to(&self, url: &Url) -> Result<Box<dyn Wire>, String> {
        let failed = |error: io::Error| format!("cannot connect: {error}");
        let addresses = lookup_host((url.host.as_str(), url.port)).await.map_err(failed)?;
        let stream = dial::stream(addresses).await.map_err(failed)?;
        // Small messages are waited for.
        stream.set_nodelay(true).map_err(failed)?;
        let Some(config) = self.tls.as_ref().filter(|_| url.secure) else { return Ok(Box::new(stream)) };
        let name = ServerName::try_from(url.host.clone()).map_err(|error| error.to_string())?;
        let stream = TlsConnector::from(Arc::clone(config))
            .connect(name, stream)
            .await
            .map_err(|error| format!("TLS: {error}"))?;
        Ok(Box::new(stream))
    }
}

fn tls(files: &AccessFiles) -> Result<Arc<ClientConfig>, AccessFault> {
    let Some(path) = &files.authorities else {
        return Err(AccessFault::Incomplete(
            "--etcd-ca: https:// endpoints need the file with the certificates of the authorities that signed theirs",
        ));
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| AccessFault::File(path.to_owned(), error.to_string()))?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots);
    let mut config = match &files.certificate {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let bytes = read(key, MOST_PEM)?;
            let private = PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| {
                AccessFault::File(key.clone(), "holds no private key in PEM form that can be used".to_owned())
            })?;
            builder.with_client_auth_cert(certificates(certificate)?, private)?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, AccessFault> {
    let bytes = read(path, MOST_PEM)?;
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match read {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(AccessFault::File(path.to_owned(), "holds no certificates in PEM form".to_owned())),
    }
}

fn password(path: &Path) -> Result<String, AccessFault> {
    let fault = |why: &str| AccessFault::File(path.to_owned(), why.to_owned());
    let text = String::from_utf8(read(path, MOST_PASSWORD)?).map_err(|_| fault("is not text"))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() { Err(fault("is empty; allowed: a password")) } else { Ok(text.to_owned()) }
}

fn read(path: &Path, most: u64) -> Result<Vec<u8>, AccessFault> {
    let read = regular_file::read(path, most)
        .map_err(|fault| AccessFault::File(path.to_owned(), fault.to_string()))?;
    Ok(read.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_urls_without_a_path_or_a_password() {
        for (text, shown) in [
            ("http://127.0.0.1:2379", "http://127.0.0.1:2379"),
            ("https://etcd-1.example/", "https://etcd-1.example:2379"),
            ("http://[::1]:99", "http://[::1]:99"),
            ("http://[::1]", "http://[::1]:2379"),
        ] {
            assert_eq!(Url::parse(text).unwrap().to_string(), shown);
        }
        for text in [
            "",
            "127.0.0.1:2379",
            "http://",
            "http://a:0",
            "http://a:x",
            "http://a/b",
            "http://u:p@a:1",
            "etcd://a",
            "http://::1:2379",
            "http://[a]:1",
            "http://[::1]x",
            "http:// a",
        ] {
            let fault = Url::parse(text).unwrap_err();
            assert!(fault.contains("allowed") && !fault.contains("u:p"), "{text}: {fault}");
        }
    }

    #[test]
    fn what_belongs_together_is_given_together_and_no_password_is_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        std::fs::write(&file, "secret\n").unwrap();
        let plain =
            AccessFiles { endpoints: vec![Url::parse("http://a").unwrap()], ..AccessFiles::default() };
        let with = AccessFiles { user: Some("u".into()), password: Some(file.clone()), ..plain.clone() };
        let access = Access::read(&with).unwrap();
        assert_eq!(access.user.as_ref().unwrap().1, "secret");
        assert!(!format!("{access:?}").contains("secret"));
        for wrong in [
            AccessFiles::default(),
            AccessFiles { user: Some("u".into()), ..plain.clone() },
            AccessFiles { password: Some(file.clone()), ..plain.clone() },
            AccessFiles { authorities: Some(file.clone()), ..plain.clone() },
            AccessFiles { endpoints: vec![Url::parse("https://a").unwrap()], ..plain.clone() },
            AccessFiles { user: Some("u".into()), password: Some("/none".into()), ..plain.clone() },
            AccessFiles {
                endpoints: vec![Url::parse("https://a").unwrap()],
                authorities: Some(file),
                ..plain
            },
        ] {
            let fault = Access::read(&wrong).unwrap_err().to_string();
            assert!(!fault.contains("secret"), "{fault}");
        }
    }
}
