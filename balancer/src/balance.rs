//! Which of the candidates gets a request that is bound to none? Each algorithm is a pure function of
//! the candidates, their load and a turn number. Must not know: cookies, HTTP, sockets, time.

mod least_outstanding;
mod round_robin;

pub use self::{least_outstanding::least_outstanding, round_robin::round_robin};
