//! Which of the candidates gets a request that is bound to none? Each algorithm is a pure function of
//! the candidates, their load or weights, and a turn or a random number that comes from outside.
//! Must not know: cookies, HTTP, sockets, what time it is.

pub mod anomaly;
mod bounded_load;
mod least_outstanding;
mod parts;
mod round_robin;
mod slow_start;
mod weighted_random;

pub use self::{
    bounded_load::is_too_busy,
    least_outstanding::least_outstanding,
    parts::{TargetParts, at_turn},
    round_robin::round_robin,
    slow_start::{SlowStart, share_in_thousandths},
    weighted_random::{PARITY, Random, WeightedTargets},
};
