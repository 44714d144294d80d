//! HTTP/1.1 and HTTP/2 on the wire: buffers, heads, framing, pumps and deadlines, used towards clients and towards
//! targets alike. Must not know: listeners, groups, cookies, which side it works for.

pub mod authentication;
pub mod authority;
pub mod body;
pub mod buffer;
pub mod chunked;
pub mod chunked_body;
pub mod client_stream;
pub mod deadline;
pub mod desync;
#[cfg(test)]
pub(crate) mod doubling;
pub mod fields;
pub mod head;
pub mod head_in_pieces;
pub mod http1;
pub mod http2;
pub mod interim;
mod many_bytes;
pub mod observed;
pub mod splice;
pub mod stream;
pub mod trailers;
pub mod upgrade;
pub mod websocket;
