//! HTTP/1.1 on the wire: buffers, heads, framing, pumps and deadlines, used towards clients and towards
//! targets alike. Must not know: listeners, groups, cookies, which side it works for.

pub mod buffer;
pub mod chunked;
pub mod client_stream;
pub mod deadline;
pub mod desync;
pub mod fields;
pub mod head;
pub mod meter;
pub mod pump;
pub mod stream;
pub mod trailers;
