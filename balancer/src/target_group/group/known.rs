//! What a group tells another process of the instance of its targets, and what it takes up of another one's. Must not know: how that gets
//! there.

use std::time::Instant;

use super::{Group, Life};
use crate::target_group::{
    CheckHistory,
    memory::{KnownLife, KnownTarget, span},
};

impl Group {
    /// What is known of its targets.
    pub(in crate::target_group) fn remember(&self, now: Instant, into: &mut Vec<KnownTarget>) {
        for target in &self.targets {
            let life = match &target.life {
                Life::Registered { history, founder, returned, exempt, slow_since } => {
                    KnownLife::Registered {
                        checked: self.is_checked(),
                        history: history.remember(),
                        founder: *founder,
                        returned: *returned,
                        exempt: *exempt,
                        slow: slow_since.map(|since| span(since, now)),
                    }
                }
                Life::Draining { until, sound } => {
                    KnownLife::Draining { left: until.saturating_duration_since(now), sound: *sound }
                }
            };
            into.push(KnownTarget::new(self.name(), &target.endpoint, life, target.hold));
        }
    }

    /// Takes up what another process knew of a target, as if it had been known here all the time.
    pub(in crate::target_group) fn recall(&mut self, known: &KnownTarget, now: Instant) {
        let endpoint = known.endpoint();
        let (is_checked, has_slow_start) = (self.is_checked(), self.settings.slow_start.is_some());
        let Some(target) = self.targets.iter_mut().find(|target| target.endpoint == endpoint) else { return };
        target.hold = known.hold;
        self.view = None;
        target.life = match &known.life {
            KnownLife::Draining { left, sound } => Life::Draining { until: now + *left, sound: *sound },
            KnownLife::Registered { checked, history, founder, returned, exempt, slow }
                if *checked == is_checked =>
            {
                Life::Registered {
                    history: CheckHistory::recall(history),
                    founder: *founder,
                    returned: *returned,
                    exempt: *exempt,
                    slow_since: slow.filter(|_| has_slow_start).and_then(|slow| now.checked_sub(slow)),
                }
            }
            // As after a reload that begins or ends checks: see `reconfigure`.
            KnownLife::Registered { .. } => return,
        };
    }
}
