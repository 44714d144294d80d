//! TLS with clients: security policies, certificates and which of them a client gets, tickets.
//! Must not know: sockets, requests, which listener it is for.

mod certificate;
mod names;
mod policy;
mod selection;
mod server;

pub use self::{
    certificate::{CertificateFault, load},
    names::{cipher_name, protocol_name},
    policy::{DEFAULT_POLICY, POLICIES, policy},
    selection::take_chosen,
    server::{ServerError, Servers},
};
