//! A watch: it says that something has changed. What has is not looked at: whoever is told reads what there is now, so that nothing
//! can be missed, however the changes come. Must not know: what keys mean.

use std::time::{Duration, Instant};

use tokio::time::{timeout, timeout_at};

use super::{
    grpc::{CallError, Caller, GrpcCall, Wire},
    messages::{self, WatchAnswer},
};
use crate::clock::monotonic_now;

/// How long it may take until it is watched.
const BEGINNING: Duration = Duration::from_secs(5);
/// After how long without a word it is asked whether all is well, and how long the answer may take.
const QUIET: Duration = Duration::from_secs(5);
const ANSWER: Duration = Duration::from_secs(5);

/// The watch.
pub struct KeyWatch {
    call: GrpcCall,
    /// When it said something last.
    heard: Instant,
    /// When it was asked, and has not answered yet.
    asked: Option<Instant>,
}

impl std::fmt::Debug for KeyWatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyWatch").finish_non_exhaustive()
    }
}

impl KeyWatch {
    pub(super) async fn begin(
        stream: Box<dyn Wire>,
        caller: Caller<'_>,
        ranges: &[(Vec<u8>, Vec<u8>)],
        revision: i64,
    ) -> Result<Self, CallError> {
        let begun = async {
            let mut call = GrpcCall::begin(stream, caller, messages::WATCH)?;
            for (from, end) in ranges {
                call.send(&messages::watch(from, end, revision), false).await;
            }
            Ok(Self { call, heard: monotonic_now(), asked: None })
        };
        timeout(BEGINNING, begun)
            .await
            .unwrap_or_else(|_| Err(CallError::Broken(format!("no watch within {BEGINNING:?}"))))
    }

    /// Waits until something has changed. It is asked now and then whether it still would hear of it. Dropping the future loses
    /// nothing, nor does it begin the time anew after which it is asked.
    ///
    /// # Errors
    /// Why it does not any more.
    pub async fn changed(&mut self) -> Result<(), String> {
        loop {
            let due = self.asked.map_or(self.heard + QUIET, |asked| asked + ANSWER);
            match timeout_at(due.into(), self.call.next()).await {
                Ok(Ok(message)) => {
                    (self.heard, self.asked) = (monotonic_now(), None);
                    if has_events(&message)? {
                        return Ok(());
                    }
                }
                Ok(Err(CallError::Broken(why) | CallError::Status(_, why))) => return Err(why),
                Err(_) if self.asked.is_some() => {
                    return Err(format!("the watch says nothing, and was asked {ANSWER:?} ago"));
                }
                Err(_) => {
                    self.asked = Some(monotonic_now());
                    let progress = messages::watch_progress();
                    timeout(ANSWER, self.call.send(&progress, false))
                        .await
                        .map_err(|_| "the watch takes nothing".to_owned())?;
                }
            }
        }
    }
}

fn has_events(message: &[u8]) -> Result<bool, String> {
    let told = WatchAnswer::read(message).map_err(|_| "what the watch says is no message".to_owned())?;
    if told.compacted_to > 0 {
        return Err(format!(
            "the watch is too late: all before revision {} has been compacted",
            told.compacted_to
        ));
    }
    if told.is_over {
        return Err(format!(
            "the watch was ended: {}",
            if told.reason.is_empty() { "no reason" } else { &told.reason }
        ));
    }
    Ok(told.events > 0)
}
