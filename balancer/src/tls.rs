//! TLS with clients: security policies, certificates and which of them a client gets, tickets.
//! Must not know: sockets, requests, which listener it is for.

mod certificate;
mod policy;
mod selection;
mod server;

pub use self::{
    certificate::{CertificateFault, load},
    policy::{DEFAULT_POLICY, POLICIES, policy},
    server::{ServerError, Servers},
};
