//! Which targets fail more than their peers, and how much less they are to get for it (ALB: Automatic Target
//! Weights: anomaly detection and mitigation). ALB does not publish its statistic; this is ours.
//!
//! Every round (five seconds) each target brings two shares: **errors**, its 5xx responses and the connections to
//! it that failed, of the requests sent to it; and **trouble**, resets and TCP retransmissions, of the same. Of
//! what came before half is forgotten each round, so that a share is that of the last ten seconds or so. For
//! each kind of share the targets are put in order. The better half of them is taken for sound and pooled. The
//! others are compared with the pool one by one, from the best on: one that is like it joins it, one that stands
//! out is anomalous. So one bad target cannot hide behind another, and at most half of them are found bad. Where the two kinds
//! together find more, the clearest cases stand.
//!
//! To stand out, a target's share must be larger in every sense: several times that of the pool, some
//! percentage points above it, and so that chance cannot be blamed. The last is the log-likelihood ratio of two
//! proportions against one, which grows with the sample; `e^-ratio` bounds the probability that targets that are
//! all alike come to look so. It is asked to be less than one in a million, divided by the number of targets.
//!
//! An anomalous target is cut to what is needed to go on measuring it. Once it stands out no more its weight
//! rises by a tenth each round until it has parity. At most half of the targets get less than parity.
//!
//! Must not know: what a target is, where the figures come from, time.

use super::PARITY;

/// Fewer targets than this are never compared (ALB: at least three healthy targets).
const LEAST_TARGETS: usize = 3;

/// What a figure is multiplied with each round before the new ones are added.
const KEPT: f64 = 0.5;

/// What the log-likelihood ratio must reach, beside the logarithm of the number of targets, so that
/// chance is ruled out: e^14 is 1.2 million.
const CERTAIN: f64 = 14.0;

/// An anomalous target stays so until its ratio is below this.
const DOUBTFUL: f64 = 3.0;

/// Requests in a round that are enough to measure an anomalous target by.
const MEASURED_BY: f64 = 20.0;

/// Least and greatest weight of an anomalous target.
const MEASURING: std::ops::RangeInclusive<f64> = 10.0..=100.0;

/// How much weight a target that has recovered gains each round.
const RECOVERY: u16 = PARITY / 10;

/// What happened at one target in one round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// Requests sent to it.
    pub requests: u64,
    /// Those of them that it answered with a 5xx or failed to take.
    pub errors: u64,
    /// Connections to it that it reset, and segments that had to be sent to it again.
    pub trouble: u64,
    /// Requests that went over the connections that `trouble` is of.
    pub trouble_requests: u64,
}

/// What is known of one target.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AnomalyState {
    errors: FailureShare,
    trouble: FailureShare,
    /// How clearly it stands out; none: it is normal.
    anomalous: Option<f64>,
    weight: u16,
}

impl Default for AnomalyState {
    fn default() -> Self {
        Self {
            errors: FailureShare::default(),
            trouble: FailureShare::default(),
            anomalous: None,
            weight: PARITY,
        }
    }
}

impl AnomalyState {
    /// Whether it fails more than its peers.
    #[must_use]
    pub const fn is_anomalous(&self) -> bool {
        self.anomalous.is_some()
    }

    /// Whether it gets less than its peers for having failed.
    #[must_use]
    pub const fn is_mitigated(&self) -> bool {
        self.weight < PARITY
    }

    /// What it gets, [`PARITY`] being as much as any other.
    #[must_use]
    pub const fn weight(&self) -> u16 {
        self.weight
    }
}

/// A count of things and of those that went wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct FailureShare {
    all: f64,
    bad: f64,
}

impl FailureShare {
    #[allow(clippy::cast_precision_loss, reason = "counts of a round are far below 2^53")]
    fn take_in(&mut self, all: u64, bad: u64) {
        self.all = self.all.mul_add(KEPT, all as f64);
        // More things may go wrong than there were requests: then all went wrong.
        self.bad = self.bad.mul_add(KEPT, bad.min(all) as f64);
    }

    fn join(self, other: Self) -> Self {
        Self { all: self.all + other.all, bad: self.bad + other.bad }
    }

    fn value(self) -> f64 {
        if self.all > 0.0 { self.bad / self.all } else { 0.0 }
    }

    /// The log-likelihood ratio of two shares of their own against one in common; 0 when they are equal.
    fn ratio(self, other: Self) -> f64 {
        let common = self.join(other).value();
        self.all
            .mul_add(divergence(self.value(), common), other.all * divergence(other.value(), common))
            .max(0.0)
    }
}

/// How badly `expected` explains `seen` (the Kullback-Leibler divergence of two coins).
fn divergence(seen: f64, expected: f64) -> f64 {
    let term = |seen: f64, expected: f64| {
        if seen <= 0.0 || expected <= 0.0 { 0.0 } else { seen * (seen / expected).ln() }
    };
    term(seen, expected) + term(1.0 - seen, 1.0 - expected)
}

/// How far a share must be above that of the peers.
#[derive(Clone, Copy, Debug)]
struct Margins {
    times: f64,
    above: f64,
    /// What [`CERTAIN`] is multiplied with.
    caution: f64,
}

/// Of errors.
const ERRORS: Margins = Margins { times: 3.0, above: 0.02, caution: 1.0 };

/// Of trouble. One lossy moment makes many retransmissions, so that they count for less than as many errors.
const TROUBLE: Margins = Margins { times: 5.0, above: 0.1, caution: 4.0 };

/// Takes a round of all healthy targets of a group in; says whether any result or weight has changed. `mitigate`:
/// whether those that stand out get less.
pub fn assess(targets: &mut [(&mut AnomalyState, Round)], mitigate: bool) -> bool {
    let before: Vec<_> = targets.iter().map(|(watch, _)| (watch.is_anomalous(), watch.weight)).collect();
    for (watch, round) in targets.iter_mut() {
        watch.errors.take_in(round.requests, round.errors);
        watch.trouble.take_in(round.trouble_requests, round.trouble);
    }
    let errors = compare(targets.iter().map(|(watch, _)| (watch.errors, watch.is_anomalous())), ERRORS);
    let trouble = compare(targets.iter().map(|(watch, _)| (watch.trouble, watch.is_anomalous())), TROUBLE);
    for ((watch, _), (errors, trouble)) in targets.iter_mut().zip(errors.into_iter().zip(trouble)) {
        watch.anomalous = match (errors, trouble) {
            (Some(errors), Some(trouble)) => Some(errors.max(trouble)),
            (one, other) => one.or(other),
        };
    }
    keep_clearest(targets);
    if mitigate && targets.len() >= LEAST_TARGETS {
        weigh(targets);
    } else {
        targets.iter_mut().for_each(|(watch, _)| watch.weight = PARITY);
    }
    let after = targets.iter().map(|(watch, _)| (watch.is_anomalous(), watch.weight));
    !after.eq(before)
}

/// Each kind of share finds half of the targets at most; both together do, too.
fn keep_clearest(targets: &mut [(&mut AnomalyState, Round)]) {
    let most = targets.len() / 2;
    let mut found: Vec<&mut Option<f64>> =
        targets.iter_mut().map(|(watch, _)| &mut watch.anomalous).filter(|found| found.is_some()).collect();
    found.sort_by(|one, other| other.unwrap_or(0.0).total_cmp(&one.unwrap_or(0.0)));
    for less_clear in found.into_iter().skip(most) {
        *less_clear = None;
    }
}

/// How clearly each share stands out from the others, comparable between kinds; none where it does not. With each share comes whether its
/// target was anomalous before.
fn compare(shares: impl Iterator<Item = (FailureShare, bool)>, limits: Margins) -> Vec<Option<f64>> {
    let shares: Vec<_> = shares.collect();
    let mut found = vec![None; shares.len()];
    let mut order: Vec<_> =
        shares.iter().copied().enumerate().filter(|(_, (share, _))| share.all > 0.0).collect();
    if order.len() < LEAST_TARGETS {
        return found;
    }
    order.sort_by(|(_, (one, _)), (_, (other, _))| one.value().total_cmp(&other.value()));
    let (better, rest) = order.split_at(order.len().div_ceil(2));
    let mut pool = better.iter().fold(FailureShare::default(), |pool, (_, (share, _))| pool.join(*share));
    #[allow(clippy::cast_precision_loss, reason = "a group has at most a few thousand targets")]
    let certain = limits.caution * (CERTAIN + (shares.len() as f64).ln());
    for (index, (share, was_anomalous)) in rest {
        let ratio = share.ratio(pool);
        let stands_out = ratio >= certain
            && share.value() >= limits.times * pool.value()
            && share.value() >= pool.value() + limits.above;
        let stays_out = *was_anomalous && ratio >= DOUBTFUL * limits.caution && share.value() > pool.value();
        if stands_out || stays_out {
            if let Some(found) = found.get_mut(*index) {
                *found = Some(ratio / limits.caution);
            }
        } else {
            pool = pool.join(*share);
        }
    }
    found
}

/// Cuts the weights of anomalous targets and raises those of recovered ones, the clearest cases first where not
/// all may have less than parity.
fn weigh(targets: &mut [(&mut AnomalyState, Round)]) {
    let cut = measuring_weight(targets);
    let most = targets.len() / 2;
    let mut order: Vec<usize> = (0..targets.len()).collect();
    let clearness = |index: &usize| targets.get(*index).and_then(|(watch, _)| watch.anomalous).unwrap_or(0.0);
    order.sort_by(|one, other| clearness(other).total_cmp(&clearness(one)));
    let mut below_parity = 0;
    for index in order {
        let Some((watch, _)) = targets.get_mut(index) else { continue };
        let wanted =
            if watch.is_anomalous() { cut } else { watch.weight.saturating_add(RECOVERY).min(PARITY) };
        watch.weight = if below_parity < most { wanted } else { PARITY };
        below_parity += usize::from(watch.is_mitigated());
    }
}

/// The weight by which a target gets about as many requests a round as are needed to measure it.
fn measuring_weight(targets: &[(&mut AnomalyState, Round)]) -> u16 {
    let at_parity = targets.iter().filter(|(watch, _)| !watch.is_mitigated());
    let (count, requests) =
        at_parity.fold((0_u64, 0), |(count, sum), (_, round)| (count + 1, sum + round.requests));
    #[allow(clippy::cast_precision_loss, reason = "counts of a round are far below 2^53")]
    let each = requests as f64 / count.max(1) as f64;
    let weight = f64::from(PARITY) * MEASURED_BY / each.max(1.0);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped just here")]
    let weight = weight.clamp(*MEASURING.start(), *MEASURING.end()) as u16;
    weight
}

#[cfg(test)]
mod tests;
