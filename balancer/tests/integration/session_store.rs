//! The thread that speaks to the session store, beside a real one.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use balancer::{
    counters::Lookup,
    id::TargetId,
    model::{SessionStoreSettings, StoreHost, StoreMode},
    session_store::{
        Asked, Expectation, Keys, LocalSessions, SessionWrite, Sharing, StorePort, StoreState, StoredSession,
    },
};
use support::{Redis, Relay, until};

/// How long a piece of the table takes, and how many there are.
const PIECE: Duration = Duration::from_millis(2);
const BUCKETS: usize = 1 << 20;

/// A large table on a slow machine, with no sessions in it: each piece takes so long.
struct SlowTable(Duration);

impl LocalSessions for SlowTable {
    fn adopt(&self, _key: u128, _session: StoredSession, _is_returned: bool) {}

    fn moved(&self, _key: u128, _session: StoredSession) {}

    fn page(&self, from: usize, _buckets: usize) -> Option<Vec<SessionWrite>> {
        thread::sleep(self.0);
        (from < BUCKETS).then(Vec::new)
    }

    fn counts(&self) -> Vec<(TargetId, u64)> {
        Vec::new()
    }
}

fn settings(store: SocketAddr) -> SessionStoreSettings {
    SessionStoreSettings {
        mode: StoreMode::Server,
        hosts: vec![StoreHost { host: store.ip().to_string(), port: store.port() }],
        database: 0,
        tls: None,
        username: None,
        password: None,
        lookup_timeout: Duration::from_millis(20),
        health_check_leader: false,
    }
}

fn shared(local: impl LocalSessions + 'static, store: SocketAddr) -> Sharing {
    shared_within(20, local, store)
}

/// With so many milliseconds for an answer.
fn shared_within(most: u64, local: impl LocalSessions + 'static, store: SocketAddr) -> Sharing {
    let mut sharing = Sharing::off(Box::new(local));
    let lookup_timeout = Duration::from_millis(most);
    sharing.apply(Some(&SessionStoreSettings { lookup_timeout, ..settings(store) })).unwrap();
    sharing
}

fn wait_up(port: &StorePort) {
    until("the store is there", 20.0, || (port.state() == StoreState::Up).then_some(()));
}

/// What comes of a question for a session that nobody has, and how long that took.
fn asked(port: &StorePort, key: u128) -> (Asked, Duration) {
    let began = Instant::now();
    let answer = port.ask(&Keys::from_iter([key << 64 | key])).unwrap();
    (answer.blocking_recv().unwrap(), began.elapsed())
}

/// While the store is told of the whole table again, who asks waits for a piece of that and not for a tenth of a second's worth.
#[test]
fn a_question_does_not_wait_until_the_table_was_told_again() {
    let redis = Redis::start("");
    let sharing = shared(SlowTable(PIECE), redis.address);
    let port = sharing.port().clone();
    wait_up(&port);
    let mut took: Vec<Duration> = (1..=40)
        .map(|key| {
            let (answer, took) = asked(&port, key);
            assert!(matches!(answer, Asked::Nothing(_)));
            took
        })
        .collect();
    took.sort_unstable();
    // The table takes 128 pieces a tick.
    assert!(took[20] < 32 * PIECE, "{took:?}");
    sharing.end();
}

/// Threads that do not come round are no store that is slow, and a store that is slow is found out by the thread that speaks to it.
#[test]
fn a_question_waits_for_the_store_and_not_for_the_thread_that_asks_it() {
    let redis = Redis::start("");
    let way = Relay::to(redis.address);
    // Twice as long as a request waits for the store, whenever the thread is to look at a piece.
    let sharing = shared_within(200, SlowTable(Duration::from_millis(400)), way.address);
    let port = sharing.port().clone();
    wait_up(&port);
    way.slow(Duration::from_millis(10));
    let mut late = 0;
    for key in 1..400 {
        let (answer, took) = asked(&port, key);
        assert_eq!(answer, Asked::Nothing(Lookup::Absent), "after {took:?}");
        late += usize::from(took > Duration::from_millis(300));
        if late == 4 {
            break;
        }
    }
    assert_eq!(late, 4, "the thread was at work");
    sharing.end();
    // One that has no table to tell of.
    let sharing = shared_within(100, FullTable(0), way.address);
    let port = sharing.port().clone();
    wait_up(&port);
    way.slow(Duration::from_millis(400));
    let (answer, took) = asked(&port, 1 << 40);
    assert_eq!(answer, Asked::Nothing(Lookup::TimedOut));
    assert!(took < Duration::from_millis(300), "{took:?}");
    assert_eq!(port.state(), StoreState::Up);
    sharing.end();
}

/// Sessions of a balancer that it has to tell again, and balancers.
const TABLE: usize = 1500;
const BALANCERS: usize = 24;
/// What the store takes, in sessions a second, and how many bytes one takes: a tenth of what Redis takes on a small machine, so that these
/// are as many balancers as two hundred and forty would be, and a request waits for ten times as long.
const RATE: f64 = 10_000.0;
const BYTES: f64 = 240.0;

/// The table of one of them.
struct FullTable(usize);

impl LocalSessions for FullTable {
    fn adopt(&self, _key: u128, _session: StoredSession, _is_returned: bool) {}

    fn moved(&self, _key: u128, _session: StoredSession) {}

    fn page(&self, from: usize, buckets: usize) -> Option<Vec<SessionWrite>> {
        let session = StoredSession { target: TargetId(1), started: 0 };
        let write = |at: usize| SessionWrite {
            key: (self.0 * TABLE + at) as u128,
            expected: Expectation::Nothing,
            session,
            keep_for: 600,
        };
        (from < TABLE).then(|| (from..(from + buckets).min(TABLE)).map(write).collect())
    }

    fn counts(&self) -> Vec<(TargetId, u64)> {
        Vec::new()
    }
}

/// A store that takes so much a second and no more, however many tell it something: who comes first is served first.
fn busy_store(store: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let free = Arc::new(Mutex::new(Instant::now()));
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let Ok(server) = TcpStream::connect(store) else { continue };
            let (back, there) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            let free = Arc::clone(&free);
            thread::spawn(move || pass(back, there, |_| {}));
            thread::spawn(move || {
                pass(client, server, |bytes| {
                    let due = {
                        let mut free = free.lock().unwrap();
                        let begins = Instant::now().max(*free);
                        *free = begins + Duration::from_secs_f64(bytes as f64 / BYTES / RATE);
                        *free
                    };
                    thread::sleep(due.saturating_duration_since(Instant::now()));
                });
            });
        }
    });
    address
}

fn pass(mut from: TcpStream, mut to: TcpStream, wait: impl Fn(usize)) {
    // As much as Redis reads from one before it turns to the next.
    let mut bytes = [0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        wait(count);
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    drop((from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both)));
}

/// A store is back, and many balancers tell it of their tables at the same time: none of them takes it for one that is away, and who asks
/// meanwhile gets an answer.
#[test]
fn many_balancers_that_tell_their_tables_again_leave_room_for_each_other() {
    let redis = Redis::start("");
    let store = busy_store(redis.address);
    let all: Vec<Sharing> = (0..BALANCERS).map(|number| shared(FullTable(number), store)).collect();
    let asking = shared_within(200, FullTable(BALANCERS), store);
    all.iter().chain([&asking]).for_each(|sharing| wait_up(sharing.port()));
    let since: Vec<Instant> = all.iter().map(|sharing| sharing.port().place().1).collect();
    let mut took = Vec::new();
    until("all is told", 60.0, || {
        let (answer, after) = asked(asking.port(), 1 << 40 | took.len() as u128);
        took.push((after, answer));
        (redis.sessions().len() >= (BALANCERS + 1) * TABLE).then_some(())
    });
    for (sharing, since) in all.iter().zip(since) {
        assert_eq!(sharing.port().place().1, since, "it was away meanwhile");
    }
    took.sort_unstable_by_key(|(after, _)| *after);
    let answered = took.iter().filter(|(_, answer)| *answer == Asked::Nothing(Lookup::Absent)).count();
    assert!(10 * answered > 9 * took.len(), "{answered} of {} had an answer in time: {took:?}", took.len());
    all.into_iter().chain([asking]).for_each(Sharing::end);
}
