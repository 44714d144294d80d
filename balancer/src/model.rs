//! The vocabulary: what a validated configuration says, and the borrowed views of a message that the
//! deciding rooms see. A value of these types cannot be out of range: `config` refuses such input.
//! Must not know: where a configuration came from, sockets, time.

mod action;
mod balancer;
mod control_api;
mod desync;
mod discovery;
mod endpoint;
mod header_edits;
mod listener;
mod logs;
mod request_head;
mod response_fields;
mod rule;
mod session_store;
mod shield;
mod target_group;
mod tls;
mod tls_fact;
mod written_at;

pub use self::{
    action::{
        Action, FixedResponse, Forward, GroupStickinessSettings, Piece, Redirect, Rewrite, Template,
        Transforms, UriComponent, WeightedGroup,
    },
    balancer::{BalancerSettings, KernelAssist, LogFormat, LogLevel},
    control_api::{ControlApiSettings, Inventory},
    desync::{Classification, DesyncMode},
    discovery::{EtcdPlace, FoundTarget, HttpPlace, KubernetesPlace, SourcePlace, TargetShare, TargetSource},
    endpoint::{Endpoint, TargetAddress, TargetSpec, address_of_host},
    header_edits::{EditOp, HeaderEdit, HeaderEdits},
    listener::{Listener, LoadBalancer, XffMode, addresses_meet},
    logs::{LineFormat, LogDestination, LogOutput},
    request_head::{HeaderField, RequestHead, ResponseHead, Version, is_same_name},
    response_fields::ResponseFields,
    rule::{Condition, IpRange, ListenerRule, QueryPattern, TextPattern},
    session_store::{
        SessionStoreSettings, StoreAccount, StoreHost, StoreMode, StorePassword, StoreTlsSettings,
    },
    shield::{IpPrefix, PrefixError, ShieldMode, ShieldSettings},
    target_group::{
        Algorithm, CookieAttributes, CookiePick, CookieRenewal, HealthCheck, HealthCheckPort,
        MAX_COOKIE_DURATION, MAX_TARGETS, Matcher, MinimumHealthy, ProbeProtocol, ProtocolVersion,
        StickinessExtras, StickinessKind, StickinessSettings, TargetGroup,
    },
    tls::{
        AlpnPolicy, Authorities, Certificate, CertificateFacts, ListenerTls, MutualAuthentication,
        RevocationList, SecurityPolicy, TargetTlsSettings, TrustStore,
    },
    tls_fact::{TlsFact, TlsFields},
    written_at::WrittenAt,
};

/// A whole validated configuration. References between blocks are indices that are known to exist.
#[derive(Clone, Debug, PartialEq)]
pub struct Configuration {
    /// The process-wide settings (`balancer` block).
    pub balancer: BalancerSettings,
    /// Who may speak to listeners at all (`shield` block); nothing where everybody may.
    pub shield: Option<ShieldSettings>,
    /// Where sessions are shared with other balancers (`session_store` block); nothing where they are not.
    pub session_store: Option<SessionStoreSettings>,
    /// Where the ELBv2 API is served (`control_api` block); nothing where it is not.
    pub control_api: Option<ControlApiSettings>,
    /// Load balancers; the last is the implicit default one when files give none.
    pub load_balancers: Vec<LoadBalancer>,
    /// Listeners, each with a distinct address and port.
    pub listeners: Vec<Listener>,
    /// Target groups, each with a distinct name.
    pub target_groups: Vec<TargetGroup>,
    /// What is told of files through that API.
    pub inventory: Inventory,
    /// What the files say that is not done, one line each with its position.
    pub remarks: Vec<String>,
}
