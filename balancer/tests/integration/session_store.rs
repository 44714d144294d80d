//! The thread that speaks to the session store, beside a real one.

use std::{
    thread,
    time::{Duration, Instant},
};

use balancer::{
    id::TargetId,
    model::{SessionStoreSettings, StoreHost, StoreMode},
    session_store::{Asked, Keys, LocalSessions, SessionWrite, Sharing, StoreState, StoredSession},
};
use support::{Redis, until};

/// How long a piece of the table takes, and how many there are.
const PIECE: Duration = Duration::from_millis(2);
const BUCKETS: usize = 1 << 20;

/// A large table on a slow machine, with no sessions in it.
struct SlowTable;

impl LocalSessions for SlowTable {
    fn adopt(&self, _key: u128, _session: StoredSession, _is_returned: bool) {}

    fn moved(&self, _key: u128, _session: StoredSession) {}

    fn page(&self, from: usize, _buckets: usize) -> Option<Vec<SessionWrite>> {
        thread::sleep(PIECE);
        (from < BUCKETS).then(Vec::new)
    }

    fn counts(&self) -> Vec<(TargetId, u64)> {
        Vec::new()
    }
}

fn settings(redis: &Redis) -> SessionStoreSettings {
    SessionStoreSettings {
        mode: StoreMode::Server,
        hosts: vec![StoreHost { host: redis.address.ip().to_string(), port: redis.address.port() }],
        database: 0,
        tls: None,
        username: None,
        password: None,
        lookup_timeout: Duration::from_millis(20),
        health_check_leader: false,
    }
}

/// While the store is told of the whole table again, who asks waits for a piece of that and not for a tenth of a second's worth.
#[test]
fn a_question_does_not_wait_until_the_table_was_told_again() {
    let redis = Redis::start("");
    let mut sharing = Sharing::off(Box::new(SlowTable));
    sharing.apply(Some(&settings(&redis))).unwrap();
    let port = sharing.port().clone();
    until("the store is there", 20.0, || (port.state() == StoreState::Up).then_some(()));
    let mut took: Vec<Duration> = (1..=40_u128)
        .map(|key| {
            let began = Instant::now();
            let answer = port.ask(&Keys::from_iter([key << 64 | key])).unwrap();
            assert!(matches!(answer.blocking_recv().unwrap(), Asked::Nothing(_)));
            began.elapsed()
        })
        .collect();
    took.sort_unstable();
    // The table takes 128 pieces a tick.
    assert!(took[20] < 32 * PIECE, "{took:?}");
    sharing.end();
}
