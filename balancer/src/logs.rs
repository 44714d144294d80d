//! What the balancer writes line by line: access logs and its own; none makes a worker wait.
//! Must not know: sockets, what is counted.

pub mod access_log;
pub mod own;
pub mod quiet;
pub mod sink;
