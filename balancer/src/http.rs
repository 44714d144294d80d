//! Client connections: requests come in, are decided, forwarded and answered. Takes a request from the
//! first byte to the last of its response. Must not know: how targets are watched, how cookies are made.

mod accepted;
mod connected;
mod connection;
mod context;
mod decide;
mod entry;
mod exchange;
mod h1;
mod h2;
mod parked;
mod presence;
mod request_store;

pub use self::{
    accepted::Accepted,
    connected::ClientAuthentication,
    connection::{spawn, wake_parked},
    context::Context,
    entry::log_unread,
    presence::Present,
};
