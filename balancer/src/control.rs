//! The control side: everything that is not a request. Runs on the control thread, never on a worker.
//! Must not know: how a request is decided.

pub mod admin;
pub mod cluster;
pub mod control_api;
pub mod controller;
mod crew;
pub mod descriptors;
mod discovery;
pub mod key_file;
pub mod log_files;
pub mod notify;
pub mod preflight;
pub mod privileges;
mod resolver;
pub mod signals;
pub mod system_calls;
pub mod upgrade;
mod watch_pace;
