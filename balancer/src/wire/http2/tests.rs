//! Whole conversations: with the `h2` crate's client at the other end, and with bytes of such conversations that were changed.

mod conversations;
mod harness;
mod mutations;
mod states;
