//! What is wrong with a running balancer, in plain words: what its figures say, most severe first, each with the figure and
//! with what to do. Must not know: where the status comes from, how complaints are printed.

mod complaint;
mod cost;
mod instance;
mod observation;
mod replay;
mod sessions;
mod skew;
mod targets;
#[cfg(test)]
mod tests;

pub use self::{
    complaint::{Complaint, Severity},
    cost::{PlayedFigures, StickinessCost, costs},
    observation::Observation,
};

/// All that is wrong, what stickiness costs (see [`costs`]) included, the worst first; of like severity that which costs clients something now comes before what may.
#[must_use]
pub fn examine(observation: &Observation, costs: &[StickinessCost]) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    targets::examine(observation, &mut complaints);
    sessions::examine(observation, &mut complaints);
    skew::examine(observation, &mut complaints);
    cost::examine(costs, &mut complaints);
    instance::examine(observation, &mut complaints);
    complaints.sort_by_key(|complaint| complaint.severity);
    complaints
}
