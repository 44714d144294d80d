//! A call on its way to the controller. Must not know: how it came.

use tokio::sync::oneshot;

use crate::elbv2::{ApiFailure, Element, Params};

/// What a call is answered: the inside of the result of its action, or why there is none.
pub type ApiReply = Result<Element, ApiFailure>;

/// A call of who may make it: its signature is good, its action known, and of a key that only reads it is none that changes
/// anything.
#[derive(Debug)]
pub struct ApiCall {
    /// An operation of the API.
    pub action: String,
    /// Its parameters, `Action` and `Version` among them.
    pub params: Params,
    /// Which access key it was signed with.
    pub key_id: String,
    /// The number of the request, as its client is told it.
    pub request_id: String,
    /// Where the answer goes. Dropped without one, the client is told to try again.
    pub reply: oneshot::Sender<ApiReply>,
}
