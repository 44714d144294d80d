//! What is wrong with a running balancer, in plain words: what its figures say, most severe first, each with the figure and
//! with what to do. Must not know: where the status comes from, how complaints are printed.

mod complaint;
mod cost;
mod failures;
mod instance;
mod observation;
mod rank;
mod replay;
mod sessions;
mod sharing;
mod skew;
mod slow;
mod targets;
#[cfg(test)]
mod tests;
mod workers;

pub use self::{
    complaint::{Complaint, Severity},
    cost::{PlayedFigures, StickinessCost, costs},
    observation::Observation,
};

/// All that is wrong, what stickiness costs (see [`costs`]) included, the worst first (see `rank`).
#[must_use]
pub fn examine(observation: &Observation, costs: &[StickinessCost]) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    targets::examine(observation, &mut complaints);
    failures::examine(observation, &mut complaints);
    sessions::examine(observation, &mut complaints);
    skew::examine(observation, &mut complaints);
    slow::examine(observation, &mut complaints);
    cost::examine(costs, &mut complaints);
    sharing::examine(observation, &mut complaints);
    instance::examine(observation, &mut complaints);
    complaints.sort_by_key(rank::rank);
    rank::shorten(complaints)
}
