//! The thread that sources are asked on, a task each. What a source does wrong, a bug of its own included, concerns no other.
//! Must not know: what is done with targets.

use std::{collections::HashMap, io, sync::Arc, thread, time::Duration};

use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::{AbortHandle, JoinSet},
};

use super::{judgement::SourceVerdict, lister::SourceFault, listers};
use crate::{
    counters::{ControlCounters, SourceNews},
    logs::quiet::LineKind,
    model::{FoundTarget, TargetSource},
};

/// How soon a source that failed by a bug is begun anew.
const AFTER_A_BUG: Duration = Duration::from_secs(5);

/// What the control side wants of the thread.
#[derive(Debug)]
pub(super) enum SourceOrder {
    /// Ask this source.
    Begin {
        /// By which it is known.
        number: u64,
        group: String,
        source: Box<TargetSource>,
    },
    /// Ask it no more.
    End { number: u64 },
}

/// What the control side hears.
#[derive(Debug)]
pub(super) struct SourceReport {
    pub(super) number: u64,
    /// Its targets, where they are others than before.
    pub(super) targets: Option<Vec<FoundTarget>>,
}

/// Starts the thread, which ends when nobody is left to give it orders.
pub(super) fn begin(
    reports: UnboundedSender<SourceReport>,
    counters: Arc<ControlCounters>,
) -> io::Result<UnboundedSender<SourceOrder>> {
    let (orders, receiver) = unbounded_channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name("sources".to_owned()).spawn(move || {
        runtime.block_on(serve(receiver, &reports, &counters));
        // One that waits for a disk must not hold up the end.
        runtime.shutdown_background();
    })?;
    Ok(orders)
}

async fn serve(
    mut orders: UnboundedReceiver<SourceOrder>,
    reports: &UnboundedSender<SourceReport>,
    counters: &Arc<ControlCounters>,
) {
    let mut tasks: HashMap<u64, AbortHandle> = HashMap::new();
    while let Some(order) = orders.recv().await {
        match order {
            SourceOrder::Begin { number, group, source } => {
                let teller = Teller {
                    number,
                    group,
                    reports: reports.clone(),
                    counters: Arc::clone(counters),
                    is_first: true,
                };
                tasks.insert(number, tokio::spawn(attend(*source, teller)).abort_handle());
            }
            SourceOrder::End { number } => {
                if let Some(task) = tasks.remove(&number) {
                    task.abort();
                }
            }
        }
    }
}

/// Listens to a source, and begins anew when it ended by a bug.
async fn attend(source: TargetSource, teller: Teller) {
    let group = teller.group.clone();
    loop {
        let (source, mut teller) = (source.clone(), teller.clone());
        // Goes with this task.
        let mut task = JoinSet::new();
        task.spawn(async move { listers::listen(&source, |verdict| teller.tell(verdict)).await });
        task.join_next().await;
        tracing::error!(group, "the source of a group's targets failed by a bug, and is begun anew");
        tokio::time::sleep(AFTER_A_BUG).await;
    }
}

/// Tells what came of listening to a source: the control side, who looks at the status, and the log.
#[derive(Clone, Debug)]
struct Teller {
    number: u64,
    group: String,
    reports: UnboundedSender<SourceReport>,
    counters: Arc<ControlCounters>,
    is_first: bool,
}

impl Teller {
    fn tell(&mut self, SourceVerdict { changed, count, fault, left_out }: SourceVerdict) {
        let news = SourceNews {
            targets: u64::try_from(count).unwrap_or(u64::MAX),
            fault: fault.as_ref().map(|fault| (fault.cause, fault.why.as_str())),
            left_out: &left_out,
        };
        let is_news = self.counters.notes.tell_of_source(&self.group, &news);
        if is_news && LineKind::TargetSource.admits() {
            let group = self.group.as_str();
            match &fault {
                Some(SourceFault { cause, why }) => {
                    tracing::warn!(
                        group,
                        cause,
                        error = why,
                        targets = count,
                        "the source of a group's targets fails, the last ones stay"
                    );
                }
                None if left_out.is_empty() => {
                    tracing::info!(group, targets = count, "the source of a group's targets is read");
                }
                None => {
                    tracing::warn!(
                        group,
                        targets = count,
                        left_out,
                        "the source of a group's targets is read in part"
                    );
                }
            }
        }
        if changed.is_some() || std::mem::take(&mut self.is_first) {
            let _ = self.reports.send(SourceReport { number: self.number, targets: changed });
        }
    }
}
