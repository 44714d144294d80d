//! Load balancers and listeners.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use super::{Action, DesyncMode, ListenerRule, ResponseFields};

/// Attributes of a load balancer (`load_balancer`, `aws_lb`).
#[derive(Clone, Debug, PartialEq)]
pub struct LoadBalancer {
    /// Its name; `default` for the implicit one.
    pub name: String,
    /// `internal`: whether it is for its own network alone (ALB: scheme). It says so and keeps nobody out.
    pub internal: bool,
    /// `idle_timeout`: both sides, 1 to 4000 s, default 60 s (ALB: load balancer attributes).
    pub idle_timeout: Duration,
    /// `client_keep_alive`: age of a client connection, 60 to 604800 s, default 3600 s.
    pub client_keep_alive: Duration,
    /// `connect_timeout`: 1 to 60 s, default 10 s; fixed on ALB.
    pub connect_timeout: Duration,
    /// `xff_header_processing_mode`, default append.
    pub xff_mode: XffMode,
    /// `enable_xff_client_port`: the client's port beside its address in X-Forwarded-For; default false.
    pub xff_client_port: bool,
    /// `enable_http2`: whether clients may speak HTTP/2; default true.
    pub enable_http2: bool,
    /// `enable_tls_version_and_cipher_suite_headers`: whether targets are told of both; default false.
    pub tls_version_and_cipher_suite: bool,
    /// `routing_http_x_amzn_tls_kx_enabled`: whether targets are told how keys were exchanged; default false.
    pub tls_key_exchange: bool,
    /// `preserve_host_header`: leave Host as received; default false: lower-cased, port made to fit the listener.
    pub preserve_host_header: bool,
    /// `drop_invalid_header_fields`: pass on no field whose name has other characters than letters, digits and hyphens;
    /// default false.
    pub drop_invalid_header_fields: bool,
    /// `desync_mitigation_mode`, default defensive.
    pub desync_mitigation_mode: DesyncMode,
    /// `upgrade_protocols`: what clients may change to by Upgrade (RFC 9110, section 7.8), without versions; default
    /// `websocket`. Not on ALB.
    pub upgrade_protocols: Vec<String>,
    /// `access_logs`: a line for each request; default none.
    pub access_logs: Option<super::LogOutput>,
    /// `health_check_logs`: a line for each check of a target of its groups; default none.
    pub health_check_logs: Option<super::LogOutput>,
}

/// `xff_header_processing_mode` (ALB: X-Forwarded headers).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XffMode {
    /// Append the peer's address.
    Append,
    /// Leave the header as it came, absent included.
    Preserve,
    /// Remove the header.
    Remove,
}

/// A listener (`listener`, `aws_lb_listener`).
#[derive(Clone, Debug, PartialEq)]
pub struct Listener {
    /// Its block label.
    pub name: String,
    /// Where it accepts; `address` defaults to `0.0.0.0`.
    pub address: SocketAddr,
    /// Index into [`super::Configuration::load_balancers`].
    pub load_balancer: usize,
    /// `http2_prior_knowledge`: whether clients may begin with HTTP/2 without TLS (RFC 9113, section 3.3);
    /// default false. Not on ALB.
    pub http2_prior_knowledge: bool,
    /// TLS, when `protocol` is HTTPS.
    pub tls: Option<super::ListenerTls>,
    /// What it puts into responses.
    pub response_fields: ResponseFields,
    /// `routing_http_request_x_amzn_…_header_name`: names of the fields that tell targets of its clients' TLS, by
    /// [`super::TlsFact::index`].
    pub tls_field_names: [String; 9],
    /// Its rules, by rising priority, which no two share.
    pub rules: Vec<ListenerRule>,
    /// What is done with a request that no rule takes.
    pub default_action: Action,
}

impl Listener {
    /// Every action that a request may come to, the default one last.
    pub fn actions(&self) -> impl Iterator<Item = &Action> {
        self.rules.iter().map(|rule| &rule.action).chain([&self.default_action])
    }
}

/// Whether a client can connect to both: the port is the same, and the address, or one of them is every address.
#[must_use]
pub fn addresses_meet(one: SocketAddr, other: SocketAddr) -> bool {
    let covers = |one: IpAddr, other: IpAddr| one == other || one.is_unspecified() || other.is_unspecified();
    one.port() == other.port() && one.is_ipv4() == other.is_ipv4() && covers(one.ip(), other.ip())
}
