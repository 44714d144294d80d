//! What was killed is started again after a while in which it is missed, as whatever looks after processes does. Must not know: clients.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::parts::{Cluster, Part};

/// How long it is missed.
const MISSED: Duration = Duration::from_secs(5);

/// Since when which parts are missed.
#[derive(Default)]
pub(super) struct Revival(HashMap<Part, Instant>);

impl Revival {
    /// Starts again what has been dead for long enough, and says so.
    pub(super) fn look(&mut self, cluster: &mut Cluster) {
        for part in cluster.dead() {
            let since = *self.0.entry(part).or_insert_with(Instant::now);
            if since.elapsed() < MISSED {
                continue;
            }
            self.0.remove(&part);
            match cluster.start_again(part) {
                Ok(()) => println!("started again:\n{}", cluster.line(part)),
                Err(why) => println!("it does not start again: {why:#}"),
            }
        }
    }
}
