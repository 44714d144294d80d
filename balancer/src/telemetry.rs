//! What the balancer counts and how it tells: counters, status document, metrics text, log set-up.
//! Must not know: how a request is decided.

pub mod access_log;
pub mod counters;
pub mod health_check_log;
pub mod histogram;
pub mod inspect;
pub mod log;
pub mod metrics;
pub mod notes;
pub mod quiet;
pub mod sink;
pub mod status;
pub mod status_text;
