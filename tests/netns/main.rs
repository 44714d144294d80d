//! Tests that need root and the kernel side. Without them they skip themselves and say so.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first thing that is not as it should be"
)]

mod address;
mod dark;
mod ecmp;
mod figures;
mod hosts;
mod lossy;
mod outages;
mod shield;
