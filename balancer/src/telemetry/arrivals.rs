//! What `/arrivals` serves: a sample of the requests that sticky groups got lately, for `balancer doctor`, which plays them again.
//! No promise to anybody else. Nothing of clients is in it. Must not know: where it comes from, what is made of it.

use serde::{Deserialize, Serialize};

/// The sample of a balancer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ArrivalsDocument {
    /// Its sticky groups.
    pub target_groups: Vec<GroupArrivals>,
}

/// The sample of a group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GroupArrivals {
    /// Its name.
    pub name: String,
    /// Its targets, as they are now.
    pub targets: Vec<String>,
    /// Requests to these, in no order.
    pub requests: Vec<SampledRequest>,
}

/// One of them, as a row without names: there are many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u64, u64, usize, bool, u64, u64, u64)", into = "(u64, u64, usize, bool, u64, u64, u64)")]
pub struct SampledRequest {
    /// Microseconds since it was sent.
    pub ago: u64,
    /// From there to the head of its response, in microseconds.
    pub took: u64,
    /// Which of the targets it was sent to.
    pub target: usize,
    /// Whether its session said so.
    pub bound: bool,
    /// How many others that target had in flight when it answered.
    pub others: u64,
    /// How many requests it stands for, with those that came before it.
    pub stands_for: u64,
    /// In how many microseconds those came.
    pub within: u64,
}

type RequestCells = (u64, u64, usize, bool, u64, u64, u64);

impl From<RequestCells> for SampledRequest {
    fn from((ago, took, target, bound, others, stands_for, within): RequestCells) -> Self {
        Self { ago, took, target, bound, others, stands_for, within }
    }
}

impl From<SampledRequest> for RequestCells {
    fn from(request: SampledRequest) -> Self {
        let SampledRequest { ago, took, target, bound, others, stands_for, within } = request;
        (ago, took, target, bound, others, stands_for, within)
    }
}
