//! Sockets that accept, and the worker threads that serve what they accept.
//! Must not know: what a request says.

mod bind;
mod handshake;
mod listening;
mod relief;
mod rest;
mod worker;

pub use self::{
    bind::{admit_again, bind, bind_beside_own, bind_more, explain, look_at, open},
    listening::may_listen,
    relief::{Post, Relief},
    worker::{Worker, spawn},
};
