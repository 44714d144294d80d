//! Where sessions are shared with other balancers. Must not know: how a store is spoken to.

use std::{fmt, time::Duration};

use super::Authorities;

/// The `session_store` block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionStoreSettings {
    /// What stands at the hosts.
    pub mode: StoreMode,
    /// Hosts of `url`: one server, or sentinels, or some nodes of a cluster.
    pub hosts: Vec<StoreHost>,
    /// Number of the database; 0 in a cluster.
    pub database: u16,
    /// TLS to all of them; nothing: plain.
    pub tls: Option<StoreTlsSettings>,
    /// The user (ACL); nothing: the default one.
    pub username: Option<String>,
    /// Its password; nothing: none is asked for.
    pub password: Option<StorePassword>,
    /// How long a request waits for an answer; 1 to 1000 ms, default 20 ms.
    pub lookup_timeout: Duration,
    /// Whether one balancer checks the health of targets for all.
    pub health_check_leader: bool,
}

impl SessionStoreSettings {
    /// Whether the same store is spoken to in the same way, whatever it is used for.
    #[must_use]
    pub fn is_same_store(&self, other: &Self) -> bool {
        let Self { lookup_timeout, health_check_leader, .. } = *other;
        Self { lookup_timeout, health_check_leader, ..self.clone() } == *other
    }
}

/// `mode`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreMode {
    /// One server.
    Server,
    /// Sentinels, which know the primary of this service.
    Sentinel {
        /// Its name.
        service: String,
        /// As whom sentinels are asked; nothing: as nobody.
        account: Option<StoreAccount>,
    },
    /// A cluster.
    Cluster,
}

/// A user with a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreAccount {
    /// The user (ACL); nothing: the default one.
    pub username: Option<String>,
    /// Its password.
    pub password: StorePassword,
}

/// A host of `url`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreHost {
    /// Name or address, without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
}

impl fmt::Display for StoreHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// TLS to the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreTlsSettings {
    /// Whose certificates will do.
    pub authorities: Authorities,
    /// What certificates are held against; nothing: the host that was connected to.
    pub server_name: Option<String>,
}

/// A password, which shows itself to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct StorePassword(String);

impl StorePassword {
    /// Keeps it.
    #[must_use]
    pub const fn new(password: String) -> Self {
        Self(password)
    }

    /// The password, for the store and for nobody else.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for StorePassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StorePassword")
    }
}
