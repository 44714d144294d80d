//! Header blocks (RFC 7541): read straight into the arena of a [`super::Block`], and written to the end of what goes out.
//! Must not know: frames.

mod decoder;
mod encoder;
mod huffman;
mod integer;
mod known;
mod names;
mod static_table;
mod table;
mod text;

pub(super) use self::{
    decoder::Decoder,
    encoder::{Encoder, RestingEncoder},
    names::{FieldClass, FieldName},
};

/// Size of a table that nobody has said anything about (RFC 9113, section 6.5.2), and what is used of one at most. This side
/// says nothing about its own.
pub(super) const TABLE: usize = 4096;
/// What a field counts more than its name and value (RFC 7541, section 4.1).
pub(super) const EXTRA: usize = 32;

#[cfg(test)]
mod tests;
