use std::{
    io::Write as _,
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::Arc,
    time::Duration,
};

use super::*;
use crate::{
    counters::{ListenerRuntime, Openable},
    wire::client_stream::ClientStream,
};

/// The other ends of parked connections.
struct Bed {
    parked: ParkedClients,
    runtime: Arc<ListenerRuntime>,
    listener: TcpListener,
}

impl Bed {
    fn new() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        Self { parked: ParkedClients::default(), runtime: Arc::new(ListenerRuntime::new(1)), listener }
    }

    /// Parks one more of this listener, whose wait is this.
    fn park(&self, listener: u32, wait: Wait) -> TcpStream {
        let (client, parked) = self.make(listener, wait);
        self.parked.park(parked).map_err(drop).unwrap();
        client
    }

    fn make(&self, listener: u32, wait: Wait) -> (TcpStream, ParkedClient) {
        let client = TcpStream::connect(self.listener.local_addr().unwrap()).unwrap();
        let (stream, peer) = self.listener.accept().unwrap();
        stream.set_nonblocking(true).unwrap();
        let connected = Rc::new(Connected::plain(peer, stream.local_addr().unwrap()));
        let open = OpenNow::begin(&self.runtime, 0, Openable::Connection);
        let _parked = open.along(Openable::Parked);
        let (stream, listener) = (ParkedStream::Plain(stream), ListenerId(listener));
        let http2 = None;
        (client, ParkedClient { stream, connected, open, _parked, listener, born_millis: 0, wait, http2 })
    }

    /// How many there are, as the listener counts them: open, and parked.
    fn counted(&self) -> (u64, u64) {
        let shard = self.runtime.shard(0);
        (shard.connections_active.get(), shard.connections_parked.get())
    }
}

fn wait(since_millis: u64, until_millis: u64) -> Wait {
    Wait { since_millis, until_millis, is_new: false }
}

#[tokio::test]
async fn what_comes_wakes_whom_it_comes_to_and_nobody_is_woken_twice() {
    let bed = Bed::new();
    assert!(!bed.parked.lot.is_open());
    let alarm = bed.parked.lot.open().unwrap();
    let mut clients: Vec<TcpStream> = (0..200).map(|_| bed.park(1, wait(0, 60_000))).collect();
    assert_eq!((bed.parked.len(), bed.counted()), (200, (200, 200)));
    let mut woken = Vec::new();
    for round in [0..3, 50..190] {
        let round = &mut clients[round];
        let wanted = round.len();
        round.iter_mut().for_each(|client| client.write_all(b"x").unwrap());
        while woken.len() < wanted {
            bed.parked.lot.woken(&alarm, &mut woken).await;
        }
        let mut seen: Vec<_> = woken.drain(..).map(|client| client.connected.peer).collect();
        let mut wanted: Vec<_> = round.iter().map(|client| client.local_addr().unwrap()).collect();
        seen.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(seen, wanted);
    }
    assert_eq!((bed.parked.len(), bed.counted()), (57, (57, 57)));
    // The end is news as well, and so is what was there before.
    drop(clients.remove(199));
    bed.parked.lot.woken(&alarm, &mut woken).await;
    assert_eq!(woken.len(), 1);
    let (mut early, client) = bed.make(1, wait(0, 60_000));
    early.write_all(b"x").unwrap();
    bed.parked.park(client).map_err(drop).unwrap();
    woken.clear();
    bed.parked.lot.woken(&alarm, &mut woken).await;
    assert_eq!(woken[0].connected.peer, early.local_addr().unwrap());
    let nothing =
        tokio::time::timeout(Duration::from_millis(20), bed.parked.lot.woken(&alarm, &mut woken)).await;
    assert!(nothing.is_err(), "nothing else has come");
}

#[tokio::test]
async fn a_stream_goes_out_of_the_runtime_and_back() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (stream, _) = listener.accept().unwrap();
    stream.set_nonblocking(true).unwrap();
    let mut stream = ClientStream::Plain(tokio::net::TcpStream::from_std(stream).unwrap());
    assert!(stream.is_still());
    let parked = stream.park().unwrap();
    assert!(!parked.has_input_now());
    client.write_all(b"abc").unwrap();
    assert!(parked.has_input_now());
    let mut stream = parked.unpark().unwrap();
    let mut read = [0; 3];
    tokio::io::AsyncReadExt::read_exact(&mut stream, &mut read).await.unwrap();
    assert_eq!(&read, b"abc");
}

#[tokio::test]
async fn deadlines_pass_together_and_who_has_sent_something_stays() {
    let bed = Bed::new();
    let _alarm = bed.parked.lot.open().unwrap();
    assert_eq!(bed.parked.next_due(), u64::MAX);
    let clients = [(1, 4_100), (1, 4_900), (2, 9_000), (2, u64::MAX)]
        .map(|(listener, until)| bed.park(listener, wait(0, until)));
    assert_eq!(bed.parked.next_due(), 5_000);
    assert_eq!(bed.parked.sweep(4_999), 0);
    (&clients[1]).write_all(b"x").unwrap();
    assert_eq!((bed.parked.sweep(5_000), bed.counted()), (1, (3, 3)), "its request has come");
    assert!(bed.parked.has(ListenerId(1)) && bed.parked.has(ListenerId(2)) && !bed.parked.has(ListenerId(3)));
    assert_eq!(
        (
            bed.parked.close_idle(Some(ListenerId(1)), false),
            bed.parked.close_idle(Some(ListenerId(2)), false)
        ),
        (0, 2)
    );
    assert_eq!((bed.parked.close_all(), bed.parked.next_due(), bed.counted()), (1, 5_000, (0, 0)));
    assert_eq!((bed.parked.sweep(5_000), bed.parked.next_due()), (0, u64::MAX));
}

#[tokio::test]
async fn room_is_made_by_those_that_are_idle_for_longest_parked_or_not() {
    let bed = Bed::new();
    let _alarm = bed.parked.lot.open().unwrap();
    let new = |since_millis| Wait { since_millis, until_millis: u64::MAX, is_new: true };
    let _clients =
        [new(900), new(300), wait(100, u64::MAX), wait(200, u64::MAX)].map(|wait| bed.park(1, wait));
    let watches = Rc::new(Watches::default());
    let live = [(500, false), (50, true)].map(|(armed, heard)| {
        let watched = watches.register();
        watched.watch().arm(armed, Duration::from_secs(60));
        watched.watch().set_idle(true);
        if heard {
            watched.watch().set_heard();
        }
        watched
    });
    let left = || {
        let mut left = Vec::new();
        bed.parked.lot.each(|_, client| left.push(client.wait.since_millis));
        left
    };
    assert_eq!((bed.parked.close_longest_idle(&watches, 0, 10_000), left().len()), (0, 4));
    let mut asks = bed.park(1, new(10));
    asks.write_all(b"x").unwrap();
    assert_eq!(
        (bed.parked.close_longest_idle(&watches, 1, 10_000), left().len()),
        (0, 5),
        "its request has come"
    );
    drop(bed.parked.lot.extract(|client| client.wait.since_millis == 10));
    assert_eq!((bed.parked.close_longest_idle(&watches, 1, 10_000), left()), (1, vec![900, 100, 200]));
    live[0].watch().arm(950, Duration::from_secs(60));
    assert_eq!(
        (bed.parked.close_longest_idle(&watches, 1, 10_000), left()),
        (1, vec![100, 200]),
        "a new one first"
    );
    drop(live);
    assert_eq!(
        (bed.parked.close_longest_idle(&watches, 9, 10_000), left()),
        (2, Vec::new()),
        "then who is idle for longest"
    );
}
