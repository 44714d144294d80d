//! One request and its response, the same for every version of HTTP on either side: targets are tried until one takes the
//! request, both bodies move at once, and a request is sent again only where nothing can have been done twice.
//! Must not know: which version of HTTP anybody speaks.

mod connect;
mod engine;
mod http1_target;
mod request_state;
mod retries;
mod sides;
mod transfer;
mod tunnel;

pub(crate) use self::{
    connect::{TLS_HANDSHAKE, connector, of_interrupt},
    engine::{attempt, exchange},
    http1_target::Http1Target,
    request_state::RequestState,
    retries::Retries,
    sides::{ClientSide, TargetSide, unless_gone},
};
