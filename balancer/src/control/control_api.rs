//! The endpoint of the ELBv2 API: `POST /`, or `GET /`, over HTTP/1.1, signed. Who may not ask learns that and nothing else. Runs on
//! the control thread; what is asked goes to the controller, one call after the other.
//!
//! Bounded by construction: connections, bytes of a head and of a body, the time for each, calls that wait for the controller,
//! signatures that are remembered. Must not know: what an operation does.

mod call;

pub use self::call::{ApiCall, ApiReply};
