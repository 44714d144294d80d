//! A configuration that may take effect and all that it needs, got before anything is changed. Must not know: what runs.

use std::{
    collections::HashMap,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    sync::Arc,
};

use super::api_change::ApiChange;
use crate::{
    control::{
        cluster::Proposal,
        control_api::{Beside, NextApiAccess},
        log_files::OpenedLogs,
    },
    model::{Configuration, Listener, TargetGroup},
    stickiness::Keyring,
    tls::{ServerError, Servers, TargetTls},
};

/// A configuration that is in order, and what was got for it.
pub(super) struct Pending {
    pub(super) configuration: Configuration,
    /// None: the one in force.
    pub(super) keyring: Option<Keyring>,
    /// Sockets of listeners that are new.
    pub(super) bound: Vec<(SocketAddr, Vec<TcpListener>)>,
    /// TLS of listeners that have it.
    pub(super) tls: ServerConfigs,
    /// TLS to the targets of groups that have it.
    pub(super) target_tls: TargetTlss,
    /// Its log files.
    pub(super) logs: OpenedLogs,
    /// Who may ask the ELBv2 API, where it is served.
    pub(super) api_access: Option<NextApiAccess>,
    /// Whether one that was read later was refused.
    pub(super) newer_refused: bool,
    /// What files say, where they were read anew.
    pub(super) beside: Option<Beside>,
    /// What was made through the API, where that is what changes.
    pub(super) change: Option<ApiChange>,
    /// The documents that it was read from, and who waits for what becomes of them.
    pub(super) candidate: Option<Proposal>,
}

impl Pending {
    /// Whether it has sockets at `address`, of a listener that is new.
    pub(super) fn has_bound(&self, address: SocketAddr) -> bool {
        self.bound.iter().any(|(bound, _)| *bound == address)
    }

    /// Takes the sockets of listeners that are new in `overtaken` and in this one; the others are closed.
    pub(super) fn take_sockets(&mut self, overtaken: Self) {
        let Self { configuration, bound, .. } = self;
        let is_wanted =
            |address: SocketAddr| configuration.listeners.iter().any(|listener| listener.address == address);
        bound.extend(overtaken.bound.into_iter().filter(|(address, _)| is_wanted(*address)));
    }
}

/// TLS by the address of its listener.
pub(super) type ServerConfigs = HashMap<SocketAddr, Arc<rustls::ServerConfig>>;

pub(super) fn server_configs(
    servers: &Servers,
    configuration: &Configuration,
) -> Result<ServerConfigs, ServerError> {
    let each = |listener: &Listener| {
        let balancer = configuration.load_balancers.get(listener.load_balancer);
        let http2 = balancer.is_some_and(|balancer| balancer.enable_http2);
        listener.tls.as_ref().map(|tls| servers.build(tls, http2).map(|config| (listener.address, config)))
    };
    configuration.listeners.iter().filter_map(each).collect()
}

/// TLS to targets by the name of their group.
pub(super) type TargetTlss = HashMap<String, Arc<TargetTls>>;

pub(super) fn target_tls(configuration: &Configuration) -> Result<TargetTlss, ServerError> {
    let each = |group: &TargetGroup| {
        let tls = TargetTls::new(group.tls.as_ref()?, group.protocol_version);
        Some(tls.map(|tls| (group.name.clone(), Arc::new(tls))))
    };
    configuration.target_groups.iter().filter_map(each).collect()
}

/// What of the API's settings stays as it was at the start: where it is served, how, and where its state is.
pub(super) fn api_place(configuration: &Configuration) -> Option<(SocketAddr, PathBuf)> {
    configuration.control_api.as_ref().map(|api| (api.address, api.state_file.clone()))
}
