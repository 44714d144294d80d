//! What the control side has heard of other balancers. Must not know: what is done with it.

use std::{collections::HashMap, time::Instant};

use tokio::sync::mpsc;

use crate::session_store::{Council, CouncilNews, HealthVerdict};

/// What was heard of others.
pub(super) struct CouncilSide {
    news: Option<mpsc::Receiver<CouncilNews>>,
    /// What was said of registrations, and until when that counts.
    pub(super) heard: HashMap<u64, (HealthVerdict, Instant)>,
}

impl CouncilSide {
    pub(super) fn of(council: &Council) -> Self {
        Self { news: council.take_news(), heard: HashMap::new() }
    }
}

/// The next of what others say; dropping the future loses nothing.
pub(super) async fn next_news(side: &mut CouncilSide) -> Option<CouncilNews> {
    match &mut side.news {
        Some(news) => news.recv().await,
        None => std::future::pending().await,
    }
}
