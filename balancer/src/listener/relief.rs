//! Looks after those who wait for a worker that stands still: a thread of its own sees which worker is at one thing for too long,
//! accepts at that one's sockets, and gives whom it finds there to the others. They wait some thirty milliseconds, whatever
//! holds the worker up, and whether or not the kernel side chooses workers: it sends nobody more to one that it has found to be
//! stuck, but those who have come before are in that one's queue. While no worker is at work the thread sleeps.
//! Must not know: how a connection is served.

use std::{
    io,
    net::TcpListener,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::sync::mpsc::UnboundedSender;

use crate::{
    kernel::WorkerLoads,
    snapshot::{ListenerId, WorkerMessage},
};

/// How often workers are looked at while one is at work.
const LOOK: Duration = Duration::from_millis(5);

/// So many looks in a row find a worker at the same thing until it is held to stand still. Looks, and not a time: where the
/// whole process was stopped, this thread was as well.
const STUCK: u32 = 4;

/// So many until it is told of.
const TOLD: u32 = 200;

/// Most that are accepted at a socket in a look: who changes the sockets waits for that.
const MOST: usize = 64;

/// A worker, and where it accepts.
#[derive(Debug)]
pub struct Post {
    /// Where it hears.
    pub worker: UnboundedSender<WorkerMessage>,
    /// Its sockets. They do not block.
    pub sockets: Vec<(ListenerId, Arc<TcpListener>)>,
}

/// The thread, which ends with this.
#[derive(Debug)]
pub struct Relief {
    shared: Arc<ReliefState>,
    thread: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct ReliefState {
    /// By the number of the worker.
    posts: Mutex<Vec<Post>>,
    is_over: AtomicBool,
}

impl Relief {
    /// Starts it for workers of which each has no more than `most_clients` connections open. There is nobody to accept yet.
    ///
    /// # Errors
    /// The system's, when there is no thread to be had.
    pub fn begin(loads: WorkerLoads, most_clients: usize) -> io::Result<Self> {
        let shared = Arc::new(ReliefState::default());
        let watched = Arc::clone(&shared);
        let most_clients = u64::try_from(most_clients).unwrap_or(u64::MAX);
        let thread = thread::Builder::new()
            .name("relief".to_owned())
            .spawn(move || Watchdog { loads, most_clients, seen: Vec::new() }.go_on(&watched))?;
        Ok(Self { shared, thread })
    }

    /// From now on these are the workers, and nothing is done at other sockets than theirs any more.
    pub fn set(&self, posts: Vec<Post>) {
        let before = std::mem::replace(&mut *self.shared.posts(), posts);
        drop(before);
    }
}

impl Drop for Relief {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Relaxed);
        self.thread.thread().unpark();
    }
}

impl ReliefState {
    fn posts(&self) -> std::sync::MutexGuard<'_, Vec<Post>> {
        self.posts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is known of the workers.
struct Watchdog {
    loads: WorkerLoads,
    most_clients: u64,
    seen: Vec<WorkerProgress>,
}

/// What a worker was found at.
#[derive(Clone, Copy, Default)]
struct WorkerProgress {
    moves: u64,
    /// How many looks in a row after the first.
    looks: u32,
    /// How many connections it was given in this look.
    given: u64,
}

impl Watchdog {
    fn go_on(mut self, shared: &ReliefState) {
        while !shared.is_over.load(Relaxed) {
            if self.look(shared) {
                thread::sleep(LOOK);
            } else {
                self.loads.rest(LOOK, || shared.is_over.load(Relaxed));
            }
        }
    }

    /// Whether any worker is at work.
    fn look(&mut self, shared: &ReliefState) -> bool {
        let posts = shared.posts();
        self.seen.resize(posts.len(), WorkerProgress::default());
        let mut is_any_at_work = false;
        for (worker, seen) in self.seen.iter_mut().enumerate() {
            let moves = self.loads.moves(worker);
            let is_at_work = WorkerLoads::is_at_work(moves);
            seen.given = 0;
            is_any_at_work |= is_at_work;
            if is_at_work && moves == seen.moves {
                seen.looks = seen.looks.saturating_add(1);
            } else {
                *seen = WorkerProgress { moves, ..WorkerProgress::default() };
            }
        }
        for worker in self.to_be_told(&posts) {
            tracing::warn!(worker, "a worker stands still, and who connects is served by the others");
        }
        for (worker, post) in posts.iter().enumerate() {
            if self.is_stuck(worker) {
                post.sockets
                    .iter()
                    .for_each(|(listener, socket)| self.relieve(&posts, worker, *listener, socket));
            }
        }
        is_any_at_work
    }

    fn is_stuck(&self, worker: usize) -> bool {
        self.seen.get(worker).is_some_and(|seen| seen.looks >= STUCK)
    }

    /// The workers that have just stood still for so long that it is told: nobody comes to one that accepts no more, and one that
    /// has ended is told of as that.
    fn to_be_told(&self, posts: &[Post]) -> impl Iterator<Item = usize> {
        let posts = posts.iter().zip(&self.seen).enumerate();
        posts.filter_map(|(worker, (post, seen))| {
            let accepts = !post.sockets.is_empty() && !post.worker.is_closed();
            (seen.looks == TOLD && accepts).then_some(worker)
        })
    }

    /// Gives those who wait at the socket of `stuck` to others.
    fn relieve(&mut self, posts: &[Post], stuck: usize, listener: ListenerId, socket: &TcpListener) {
        for _ in 0..MOST {
            // Who cannot be given to anybody waits on.
            if self.least(posts).is_none() {
                return;
            }
            let (stream, peer) = match socket.accept() {
                Ok(accepted) => accepted,
                // Gone before it was accepted (accept(2), "Error handling").
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(_) => return,
            };
            if stream.set_nonblocking(true).is_err() {
                continue;
            }
            let mut message = WorkerMessage::TakeOver(listener, stream, peer);
            while let Some((worker, post)) = self.least(posts) {
                match post.worker.send(message) {
                    Ok(()) => {
                        self.loads.give_on(stuck, worker);
                        self.seen.get_mut(worker).into_iter().for_each(|seen| seen.given += 1);
                        break;
                    }
                    // It has just ended.
                    Err(unsent) => message = unsent.0,
                }
            }
        }
    }

    /// The worker with least to do of those that get on and have room. As the kernel's program weighs it: connections count
    /// most, and one that is at work, or was, counts as having a few more.
    fn least<'a>(&self, posts: &'a [Post]) -> Option<(usize, &'a Post)> {
        let can = |(worker, post): &(usize, &Post)| !self.is_stuck(*worker) && !post.worker.is_closed();
        let weighed = posts.iter().enumerate().filter(can).filter_map(|(worker, post)| {
            let seen = self.seen.get(worker)?;
            let load = self.loads.read(worker);
            let connections = load.connections.saturating_add(seen.given);
            let busy = load.busy_share + f64::from(u8::from(WorkerLoads::is_at_work(seen.moves)));
            let weight = connections as f64 + (2 + connections / 64) as f64 * busy;
            (connections < self.most_clients).then_some((weight, worker, post))
        });
        let least = weighed.min_by(|(one, ..), (other, ..)| one.total_cmp(other));
        least.map(|(_, worker, post)| (worker, post))
    }
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpStream};

    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    use super::*;

    struct Bed {
        loads: WorkerLoads,
        watch: Watchdog,
        shared: ReliefState,
        heard: Vec<UnboundedReceiver<WorkerMessage>>,
        addresses: Vec<SocketAddr>,
    }

    const LISTENER: ListenerId = ListenerId(7);

    /// Workers with a socket each.
    fn bed(workers: usize) -> Bed {
        let loads = WorkerLoads::in_memory().unwrap();
        let (mut posts, mut heard, mut addresses) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..workers {
            let socket = TcpListener::bind("127.0.0.1:0").unwrap();
            socket.set_nonblocking(true).unwrap();
            addresses.push(socket.local_addr().unwrap());
            let (worker, hears) = unbounded_channel();
            posts.push(Post { worker, sockets: vec![(LISTENER, Arc::new(socket))] });
            heard.push(hears);
        }
        let watch = Watchdog { loads: loads.clone(), most_clients: 3, seen: Vec::new() };
        let shared = ReliefState { posts: Mutex::new(posts), ..ReliefState::default() };
        Bed { loads, watch, shared, heard, addresses }
    }

    impl Bed {
        fn looks(&mut self, count: u32) {
            for _ in 0..count {
                self.watch.look(&self.shared);
            }
        }

        /// Peers of connections that a worker was given.
        fn given(&mut self, worker: usize) -> Vec<SocketAddr> {
            let mut peers = Vec::new();
            while let Ok(message) = self.heard[worker].try_recv() {
                let WorkerMessage::TakeOver(LISTENER, stream, peer) = message else { panic!("{message:?}") };
                assert_eq!(stream.peer_addr().unwrap(), peer);
                peers.push(peer);
            }
            peers
        }
    }

    #[test]
    fn who_waits_for_a_worker_that_stands_still_is_given_to_the_one_with_least() {
        let mut bed = bed(3);
        bed.loads.worker(0).wakes();
        bed.loads.worker(1).came();
        let clients: Vec<_> = (0..3).map(|_| TcpStream::connect(bed.addresses[0]).unwrap()).collect();
        bed.looks(STUCK);
        assert!(bed.given(1).is_empty() && bed.given(2).is_empty(), "it has just begun");
        bed.looks(1);
        let (second, third) = (bed.given(1), bed.given(2));
        assert_eq!((second.len(), third.len()), (1, 2), "each has 2 then");
        let mut all: Vec<_> = [second, third].concat();
        let mut wanted: Vec<_> = clients.iter().map(|client| client.local_addr().unwrap()).collect();
        all.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(all, wanted);
    }

    #[test]
    fn one_that_stands_still_is_told_of_once_and_none_that_has_ended_or_accepts_no_more() {
        let mut bed = bed(3);
        (0..3).for_each(|worker| bed.loads.worker(worker).wakes());
        drop(bed.heard.remove(1));
        bed.shared.posts.get_mut().unwrap()[2].sockets.clear();
        let mut told = Vec::new();
        for _ in 0..3 * TOLD {
            bed.looks(1);
            told.extend(bed.watch.to_be_told(&bed.shared.posts()));
        }
        assert_eq!(told, [0]);
    }

    #[test]
    fn one_that_gets_on_or_sleeps_keeps_who_waits_for_it() {
        let mut bed = bed(2);
        let _client = TcpStream::connect(bed.addresses[0]).unwrap();
        let worker = bed.loads.worker(0);
        worker.wakes();
        for _ in 0..3 * STUCK {
            bed.looks(STUCK);
            worker.moves_on();
        }
        worker.sleeps();
        assert!(!bed.watch.look(&bed.shared), "nobody is at work");
        bed.looks(3 * STUCK);
        assert!(bed.given(1).is_empty());
    }

    #[test]
    fn who_can_be_given_to_nobody_waits() {
        let mut bed = bed(3);
        let clients: Vec<_> = (0..5).map(|_| TcpStream::connect(bed.addresses[0]).unwrap()).collect();
        bed.loads.worker(0).wakes();
        bed.loads.worker(1).wakes();
        // The third has ended, and the second stands still as well.
        drop(bed.heard.remove(2));
        bed.looks(3 * STUCK);
        assert!(bed.given(1).is_empty());
        bed.loads.worker(1).moves_on();
        bed.looks(1);
        assert_eq!(bed.given(1).len(), 3, "it has room for no more");
        (0..3).for_each(|_| bed.loads.worker(1).came());
        bed.looks(1);
        assert!(bed.given(1).is_empty());
        (0..2).for_each(|_| bed.loads.worker(1).went());
        bed.loads.worker(1).moves_on();
        bed.looks(1);
        assert_eq!(bed.given(1).len(), clients.len() - 3);
    }

    #[test]
    fn nothing_is_accepted_at_sockets_that_were_taken_away_and_the_thread_ends() {
        let loads = WorkerLoads::in_memory().unwrap();
        let relief = Relief::begin(loads.clone(), 100).unwrap();
        let (worker, mut hears) = unbounded_channel();
        let (stuck, _deaf) = unbounded_channel();
        let socket = Arc::new(TcpListener::bind("127.0.0.1:0").unwrap());
        socket.set_nonblocking(true).unwrap();
        let address = socket.local_addr().unwrap();
        let other = Post { worker, sockets: Vec::new() };
        relief.set(vec![Post { worker: stuck, sockets: vec![(LISTENER, Arc::clone(&socket))] }, other]);
        // It sleeps, or is about to: this wakes it.
        loads.worker(0).wakes();
        let client = TcpStream::connect(address).unwrap();
        let Some(WorkerMessage::TakeOver(_, _, peer)) = hears.blocking_recv() else { panic!("nobody") };
        assert_eq!(peer, client.local_addr().unwrap());
        relief.set(Vec::new());
        assert_eq!(Arc::strong_count(&socket), 1, "it has let go by the time that it is told");
        assert!(hears.blocking_recv().is_none());
        let shared = Arc::downgrade(&relief.shared);
        drop(relief);
        while shared.strong_count() > 0 {
            thread::yield_now();
        }
    }
}
