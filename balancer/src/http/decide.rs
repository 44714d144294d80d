//! What is done with a request: whether it is taken, which rule, group and target get it, what head the target gets and
//! what of its answer the client is told. The same for every version of HTTP. Must not know: how it is sent.

pub(crate) mod admission;
mod asking;
pub(crate) mod failed;
pub(crate) mod forward;
pub(crate) mod head_notes;
mod pick;
pub(crate) mod plan;
pub(crate) mod refusal;
pub(crate) mod request_traits;
mod respond;
mod session_moves;
mod settle;
pub(crate) mod trace;
pub(crate) mod tried;
