//! The two ways to the store, for questions and for all else: each of them may end without a word, as where something between drops what
//! it has not heard of for a while.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{
            AtomicBool, AtomicUsize,
            Ordering::{Relaxed, SeqCst},
        },
    },
    thread,
};

use support::{Redis, until};

use super::{Nodes, targets, wait_up};

/// A way to a store, through which one kind of connections can be made to swallow everything.
#[derive(Default)]
struct Between {
    accepted: AtomicUsize,
    /// Connections up to this number swallow what they are given, if they are of this kind.
    dead: AtomicUsize,
    of_questions: AtomicBool,
}

impl Between {
    fn start(store: SocketAddr) -> (Arc<Self>, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let between = Arc::new(Self::default());
        let own = Arc::clone(&between);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let number = own.accepted.fetch_add(1, SeqCst) + 1;
                let Ok(server) = TcpStream::connect(store) else { continue };
                let (back, there) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                thread::spawn(move || pass(back, there, |_| true));
                let own = Arc::clone(&own);
                thread::spawn(move || {
                    // Scripts go by the other way.
                    let mut asks = true;
                    pass(client, server, |bytes| {
                        asks &= !bytes.windows(6).any(|word| word == b"SCRIPT");
                        number > own.dead.load(Relaxed) || asks != own.of_questions.load(Relaxed)
                    });
                });
            }
        });
        (between, address)
    }

    /// All connections of a kind that are there.
    fn kill(&self, of_questions: bool) {
        self.of_questions.store(of_questions, SeqCst);
        self.dead.store(self.accepted.load(SeqCst), SeqCst);
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, mut passes: impl FnMut(&[u8]) -> bool) {
    let mut bytes = [0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if passes(&bytes[..count]) && to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    drop((from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both)));
}

/// However much goes by the other: who asks next is not to find it out.
#[test]
fn a_way_that_has_ended_without_a_word_is_found_out_before_somebody_needs_it() {
    let redis = Redis::start("");
    let (between, address) = Between::start(redis.address);
    // Who leads says so each second.
    let lines = format!("url = \"redis://{address}\"\nhealth_check_leader = true");
    let nodes = Nodes::start(1, targets(1), &lines);
    let balancer = &nodes.balancers[0];
    for of_questions in [true, false] {
        until("it leads", 20.0, || (balancer.status().0["session_store"]["leads"] == true).then_some(()));
        let before = between.accepted.load(SeqCst);
        between.kill(of_questions);
        until("it has connected anew", 20.0, || (between.accepted.load(SeqCst) > before).then_some(()));
        wait_up(balancer);
    }
}
