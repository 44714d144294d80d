//! Much at a time: downloads, uploads, WebSockets.

pub(crate) mod backend;
pub(crate) mod client;
