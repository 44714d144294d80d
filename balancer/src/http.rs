//! Client connections: requests come in, are decided, forwarded and answered. Takes a request from the
//! first byte to the last of its response. Must not know: how targets are watched, how cookies are made.

mod admission;
mod again;
mod attempts;
mod client;
mod connected;
mod context;
mod entry;
mod exchange;
mod failure;
mod forward;
mod h2;
mod pick;
mod plan;
mod reach;
mod trace;
mod tried;
mod tunnel;

pub use self::{
    client::{Accepted, serve},
    context::Context,
    entry::log_unread,
};
