//! TLS with clients: security policies, certificates and which of them a client gets, tickets; and with targets:
//! which of their certificates will do. Must not know: sockets, requests, which listener or group it is for.

mod authorities;
mod certificate;
mod policy;
mod selection;
mod server;
mod target;

pub use self::{
    authorities::load_authorities,
    certificate::{CertificateFault, load},
    policy::{DEFAULT_POLICY, POLICIES, policy},
    server::{ServerError, Servers},
    target::TargetTls,
};
