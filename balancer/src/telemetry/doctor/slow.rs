//! Targets that take longer for their answers than the others of their group. Must not know: how load is spread.

use super::{
    complaint::{Complaint, Severity},
    cost::span,
    observation::{Observation, ObservedTarget},
};

/// Responses that are enough to tell how long one takes in the mean, of the target and of the others.
const FEW_RESPONSES: u64 = 50;
/// Times of what the others take, and so much more, in seconds.
const SLOWER: f64 = 3.0;
const SLOWER_BY: f64 = 0.020;

pub(super) fn examine(observation: &Observation, complaints: &mut Vec<Complaint>) {
    for group in observation.groups() {
        let all: Vec<(ObservedTarget<'_>, Taken)> =
            group.targets().map(|target| (target, Taken::by(&target))).collect();
        let sum = all.iter().fold(Taken::default(), |sum, (_, taken)| sum.and(taken));
        for (target, taken) in &all {
            let others = sum.without(taken);
            let (Some(mean), Some(of_others)) = (taken.mean(), others.mean()) else { continue };
            if mean < of_others * SLOWER || mean < of_others + SLOWER_BY {
                continue;
            }
            complaints.push(
                Complaint::new(
                    Severity::Warning,
                    "slow_target",
                    target.about(&group),
                    format!(
                        "it took {} for the head of a response in the mean of {}, the others of its group {}",
                        span(mean),
                        taken.responses,
                        span(of_others)
                    ),
                    "Compare its host, its version and what it waits for with those of its peers. With least_outstanding_requests it gets \
                     less; sessions that are bound to it stay there.",
                )
                .about_so_many(taken.responses),
            );
        }
    }
}

/// Time that responses took, and how many there were.
#[derive(Clone, Copy, Default)]
struct Taken {
    seconds: f64,
    responses: u64,
}

impl Taken {
    fn by(target: &ObservedTarget<'_>) -> Self {
        Self {
            seconds: target.rise_of_seconds(),
            responses: target.rise(|target| target.figures.responses.values().sum()),
        }
    }

    fn and(self, other: &Self) -> Self {
        Self { seconds: self.seconds + other.seconds, responses: self.responses + other.responses }
    }

    fn without(self, other: &Self) -> Self {
        Self {
            seconds: self.seconds - other.seconds,
            responses: self.responses.saturating_sub(other.responses),
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "a figure for people")]
    fn mean(self) -> Option<f64> {
        (self.responses >= FEW_RESPONSES).then(|| self.seconds / self.responses as f64)
    }
}
