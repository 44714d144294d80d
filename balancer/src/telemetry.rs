//! What the balancer counts and how it tells: counters, metrics text, status document, log set-up.
//! Must not know: how a request is decided.

pub mod counters;
