//! What the kernel and workers tell the control side of as it happens. Must not know: what is done about it.

use crate::control::control_api::{ApiCall, ApiSide};
use crate::kernel::{Events, ShieldSample, ShieldSamples, TargetEvent};

pub(super) async fn next_event(events: &mut Option<Events>) -> Option<TargetEvent> {
    match events {
        Some(events) => events.next().await,
        None => std::future::pending().await,
    }
}

pub(super) async fn next_sample(samples: &mut Option<ShieldSamples>) -> ShieldSample {
    match samples {
        Some(samples) => samples.next().await,
        None => std::future::pending().await,
    }
}

/// The next call; never where the API is not served.
pub(super) async fn next_call(api: &mut Option<ApiSide>) -> Option<ApiCall> {
    match api {
        Some(api) => api.calls.recv().await,
        None => std::future::pending().await,
    }
}
