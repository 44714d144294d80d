//! Whole conversations: with the `h2` crate at the other end, and with bytes of such conversations that were changed.

mod answers;
mod asking;
mod conversations;
mod harness;
mod mutations;
mod pressure;
mod resting;
mod states;
