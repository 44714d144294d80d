//! Connections to targets: making them, counting them, keeping them for the next request.
//! Must not know: clients, cookies, why a target was chosen.

mod connection;
pub mod multiplex;
mod pool;

pub use self::{
    connection::{ConnectError, Connection, Counting},
    pool::Pool,
};
