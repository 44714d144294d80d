//! Where a target group learns of targets that its configuration does not list, and what it learns of each.
//! Must not know: how a source is asked.

use std::{fmt, path::PathBuf, time::Duration};

use super::endpoint::{Endpoint, TargetAddress, TargetSpec};

/// Which of a group's new requests a target gets, by its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TargetShare {
    /// Targets of a higher number get requests when none of a lower one can.
    pub priority: u32,
    /// Its part among those of its priority; 0: none as long as there is another target.
    pub weight: u32,
    /// Whether it is about to go: it keeps its sessions, and gets nobody new as long as there is another target.
    pub leaving: bool,
}

impl Default for TargetShare {
    fn default() -> Self {
        Self { priority: 0, weight: 1, leaving: false }
    }
}

impl TargetShare {
    /// Targets of the lowest rank that can get requests do. Those that are not to have any are behind all priorities.
    #[must_use]
    pub fn rank(self) -> u64 {
        if self.is_last_resort() { u64::MAX } else { u64::from(self.priority) }
    }

    /// Whether it gets nobody new as long as there is another target.
    #[must_use]
    pub fn is_last_resort(self) -> bool {
        self.leaving || self.weight == 0
    }
}

/// A target that a source tells of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FoundTarget {
    /// Where it is. Host names are resolved as those of a configuration are.
    pub spec: TargetSpec,
    /// What it gets.
    pub share: TargetShare,
}

impl From<Endpoint> for FoundTarget {
    fn from(endpoint: Endpoint) -> Self {
        let port = endpoint.port();
        let address = match endpoint {
            Endpoint::Tcp(address) => TargetAddress::Ip(address.ip()),
            Endpoint::Unix(path) => TargetAddress::Unix(path),
        };
        Self { spec: TargetSpec { address, port }, share: TargetShare::default() }
    }
}

/// `targets_from` of a group, with its `target_discovery` block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetSource {
    /// What is asked.
    pub place: SourcePlace,
    /// `interval`: how often a source is asked that does not tell by itself; 1 to 3600 s, default 30 s.
    pub interval: Duration,
    /// `timeout`: how long an answer may take; 1 to 60 s, default 5 s.
    pub timeout: Duration,
    /// `empty_is_error`, default true: a source that has no targets at all is held to be mistaken.
    pub empty_is_error: bool,
    /// The port of targets that are told of without one: the group's, where it is given.
    pub port: Option<u16>,
}

/// What is asked for targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourcePlace {
    /// A list in a file, in the form of Prometheus' file_sd.
    File(PathBuf),
    /// The records of a service in DNS (SRV).
    DnsService(String),
    /// A list at a URL, in the form of Prometheus' http_sd.
    Http(HttpPlace),
    /// The EndpointSlices of a Service of Kubernetes.
    Kubernetes(KubernetesPlace),
    /// Keys of etcd, which targets keep there themselves.
    Etcd(EtcdPlace),
}

/// A place that is asked over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpPlace {
    /// Whether over TLS.
    pub tls: bool,
    /// A host name, or an address without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Path and query, or what comes before a path.
    pub path: String,
    /// `ca_file`: the authorities that its certificate is held against; the system's by default.
    pub ca_file: Option<PathBuf>,
    /// `token_file`: what is sent as a bearer token, read again each time; none by default.
    pub token_file: Option<PathBuf>,
}

impl HttpPlace {
    /// Host and port, as a request names them.
    #[must_use]
    pub fn authority(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }
}

/// A Service of Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubernetesPlace {
    /// `server`; by default that of the cluster that the process is a pod of.
    pub server: Option<HttpPlace>,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub service: String,
    /// Which of its targets' ports, by name or number; none: the only one.
    pub port: Option<String>,
}

/// Keys of etcd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdPlace {
    /// What the keys begin with.
    pub prefix: String,
    /// `server`: URLs of one cluster; at least one.
    pub servers: Vec<String>,
    /// `ca_file`: the authorities that their certificates are held against.
    pub ca_file: Option<PathBuf>,
    /// `user` and `password_file`.
    pub user: Option<(String, PathBuf)>,
    /// `certificate_file` and `private_key_file`: what is shown to them.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

impl SourcePlace {
    /// A word for its kind.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::DnsService(_) => "dns",
            Self::Http(_) => "http",
            Self::Kubernetes(_) => "kubernetes",
            Self::Etcd(_) => "etcd",
        }
    }
}

/// For people: no password and no key, which a query may have in it.
impl fmt::Display for SourcePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::DnsService(name) => write!(f, "dns+srv:{name}"),
            Self::Http(place) => {
                let path = place.path.split('?').next().unwrap_or_default();
                write!(f, "{}://{}{path}", if place.tls { "https" } else { "http" }, place.authority())
            }
            Self::Kubernetes(KubernetesPlace { namespace, service, port, .. }) => {
                write!(f, "kubernetes:{namespace}/{service}")?;
                port.iter().try_for_each(|port| write!(f, ":{port}"))
            }
            Self::Etcd(place) => write!(f, "etcd:{}", place.prefix),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_shown_without_what_may_be_secret() {
        let place = HttpPlace {
            tls: true,
            host: "fd00::1".into(),
            port: 444,
            path: "/targets?token=secret".into(),
            ca_file: None,
            token_file: None,
        };
        assert_eq!(SourcePlace::Http(place).to_string(), "https://[fd00::1]:444/targets");
    }
}
