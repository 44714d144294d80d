//! TLS with clients: security policies, certificates and which of them a client gets, tickets; and with targets:
//! which of their certificates will do. Must not know: sockets, requests, which listener or group it is for.

mod authorities;
mod certificate;
mod client_auth;
mod client_certificate;
mod error;
mod names;
mod policy;
mod selection;
mod server;
mod store;
mod target;
mod tickets;

pub use self::{
    authorities::{count_revoked, load_authorities, load_revocations, parse_authorities, parse_revocations},
    certificate::{CertificateFault, load},
    client_auth::refusal,
    client_certificate::ClientCertificate,
    error::ServerError,
    names::{cipher_name, protocol_name},
    policy::{DEFAULT_POLICY, POLICIES, policy},
    selection::take_chosen,
    server::{Servers, suites},
    store::store_client,
    target::TargetTls,
};
