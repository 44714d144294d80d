//! How the balancer tells what it has counted: status document, metrics text.
//! Must not know: how a request is decided.

pub mod arrivals;
pub mod doctor;
#[cfg(test)]
mod figures_tests;
pub mod inspect;
pub mod metrics;
pub mod status;
pub mod status_text;
pub mod summary;
