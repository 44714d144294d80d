//! HTTP/1.1 and 1.0 with clients. Must not know: what else a connection could have spoken.

mod client;
mod requests;
mod side;

pub(crate) use self::requests::serve;
