//! What is put into a response before it goes back to the client.
//! Must not know: how its target was chosen.

pub mod answer;
pub mod compose;
pub mod cookies;
pub mod error_pages;
pub mod listener_fields;
