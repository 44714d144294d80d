//! Connections to targets: making them, counting them, keeping them for the next request.
//! Must not know: clients, cookies, why a target was chosen.

mod bound;
mod connection;
mod counted;
pub mod http2_failure;
mod ledgers;
pub mod multiplex;
mod pool;
mod sessions;
mod silence;

pub use self::{
    bound::Bound,
    connection::{ConnectError, Connection, Destination, HandshakeError},
    counted::Counting,
    pool::Pool,
    sessions::TlsSessions,
};
