//! HTTP/2 with clients (RFC 9113): an accepted byte stream is served as a connection whose requests run side
//! by side in its task, each decided as HTTP/1.1's are.
//! Must not know: how the bytes came (TLS or not).

mod client;
mod connection;
mod forwarded;
mod head;
mod lease;
mod request_set;
mod session;
mod side;
mod stream;
mod target;
mod websocket_key;

pub(crate) use self::connection::serve;
