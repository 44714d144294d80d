//! Targets as they are written, and where they are.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

/// A target as written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetSpec {
    /// Where it is.
    pub address: TargetAddress,
    /// Its port, the group's when none is given; 0 for Unix sockets.
    pub port: u16,
}

/// Where a target is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TargetAddress {
    /// An IPv4 or IPv6 address.
    Ip(IpAddr),
    /// A host name: every address it resolves to is a target.
    Host(String),
    /// A Unix socket on this host.
    Unix(PathBuf),
}

/// The address as it is written (an IPv4 address mapped into IPv6 is the IPv4 address), when it can be that of a host.
#[must_use]
pub fn address_of_host(address: IpAddr) -> Option<IpAddr> {
    let address = address.to_canonical();
    let is_broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    (!address.is_unspecified() && !address.is_multicast() && !is_broadcast).then_some(address)
}

/// What a connection is made to: a target after resolution.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Endpoint {
    /// Over TCP.
    Tcp(SocketAddr),
    /// Over a Unix stream socket.
    Unix(PathBuf),
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl Endpoint {
    /// The target's id as ALB shows it: the bare address, or `unix:/path`.
    #[must_use]
    pub fn id(&self) -> String {
        match self {
            Self::Tcp(address) => address.ip().to_string(),
            Self::Unix(_) => self.to_string(),
        }
    }

    /// The port; 0 for Unix sockets.
    #[must_use]
    pub fn port(&self) -> u16 {
        match self {
            Self::Tcp(address) => address.port(),
            Self::Unix(_) => 0,
        }
    }
}
