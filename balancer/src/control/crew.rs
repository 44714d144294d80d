//! The workers as the control side has them: one that ends by itself is replaced, and the next one serves on where it
//! was: from the snapshot in force, at sockets that stayed open meanwhile, so that no client was refused.
//! Must not know: what a worker does.

use std::{
    collections::HashMap,
    io,
    net::{SocketAddr, TcpListener},
    os::fd::{AsFd as _, OwnedFd},
    sync::{Arc, Weak},
    time::Duration,
};

use tokio::sync::mpsc::UnboundedSender;

use crate::{
    kernel::pass_over,
    listener::{Post, Relief},
    snapshot::{Heirs, ListenerId, Snapshot, WorkerMessage},
};

/// Longest time that requests in flight may take when the process ends: the longest that ALB's
/// deregistration delay can be set to.
const DRAIN_MOST: Duration = Duration::from_secs(3600);

/// Where workers hear, and what they listen on.
#[derive(Debug, Default)]
pub(super) struct Crew {
    workers: Vec<UnboundedSender<WorkerMessage>>,
    /// One socket a worker, or a worker's several; where there are fewer, some share one. In the order in which they began to listen.
    sockets: HashMap<ListenerId, Vec<Arc<TcpListener>>>,
    /// Sees to those who wait for a worker that stands still, if it can be had and there is more than one.
    relief: Option<Relief>,
    ending: bool,
}

impl Crew {
    pub(super) fn new(workers: Vec<UnboundedSender<WorkerMessage>>, relief: Option<Relief>) -> Self {
        Self { workers, relief, ..Self::default() }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.workers.len()
    }

    /// Tells all of them.
    pub(super) fn tell(&self, message: impl Fn() -> WorkerMessage) {
        for worker in &self.workers {
            // One that has ended is being replaced.
            let _ = worker.send(message());
        }
    }

    /// Has each accept on one of these sockets.
    pub(super) fn listen(&mut self, id: ListenerId, sockets: Vec<TcpListener>) {
        if self.ending {
            return;
        }
        let sockets: Vec<_> = sockets.into_iter().map(Arc::new).collect();
        for (index, worker) in self.workers.iter().enumerate() {
            for socket in shares(&sockets, index, self.workers.len()) {
                hand_over(worker, id, socket);
            }
        }
        self.sockets.insert(id, sockets);
        self.tell_relief();
    }

    /// Says which worker accepts where.
    fn tell_relief(&self) {
        let Some(relief) = &self.relief else { return };
        let post = |(index, worker): (usize, &UnboundedSender<WorkerMessage>)| Post {
            worker: worker.clone(),
            sockets: self
                .sockets
                .iter()
                .flat_map(|(id, sockets)| {
                    shares(sockets, index, self.workers.len()).map(|socket| (*id, Arc::clone(socket)))
                })
                .collect(),
        };
        relief.set(self.workers.iter().enumerate().map(post).collect());
    }

    /// The sockets of a listener, for another process.
    pub(super) fn lend(&self, id: ListenerId) -> io::Result<Vec<OwnedFd>> {
        let sockets = self.sockets.get(&id).into_iter().flatten();
        sockets.map(|socket| Ok(socket.try_clone()?.into())).collect()
    }

    /// Where the sockets of a listener are bound.
    pub(super) fn bound(&self, id: ListenerId) -> Option<SocketAddr> {
        self.sockets.get(&id)?.first()?.local_addr().ok()
    }

    /// Another process accepts for these listeners from here on, and others of it listen in the place of those `aside`; this one
    /// has so long to finish what it has.
    pub(super) fn hand_over(&mut self, listeners: &Arc<[ListenerId]>, aside: &[ListenerId], most: Duration) {
        self.ending = true;
        for id in aside {
            // Or else it is closed as one that nobody goes on with.
            let _ = self.step_aside(*id, &Heirs::elsewhere());
        }
        self.sockets.clear();
        self.tell_relief();
        self.tell(|| WorkerMessage::HandOver(Arc::clone(listeners), most));
    }

    /// Has all stop accepting for this listener, once they have a snapshot without it. Their hold on its sockets is the last
    /// one, so that none closes with somebody waiting at it. What is returned is held until they are closed.
    pub(super) fn unlisten(&mut self, id: ListenerId) -> Weak<()> {
        let held = Arc::new(());
        self.sockets.remove(&id);
        self.tell_relief();
        self.tell(|| WorkerMessage::Unlisten(id, Arc::clone(&held)));
        Arc::downgrade(&held)
    }

    /// Others listen in the place of this listener, whose sockets the system passes over from now on: nobody new comes to them, and
    /// none of those who have come, or are about to, is turned away. False, with nothing done, where the system does not do that.
    #[must_use]
    pub(super) fn step_aside(&mut self, id: ListenerId, heirs: &Heirs) -> bool {
        let sockets: Vec<_> =
            self.sockets.get(&id).into_iter().flatten().map(|socket| socket.as_fd()).collect();
        if let Err(error) = pass_over(&sockets) {
            tracing::debug!(%error, "new connections go on coming to a socket that others take the place of");
            return false;
        }
        self.sockets.remove(&id);
        self.tell_relief();
        self.tell(|| WorkerMessage::StepAside(id, heirs.clone()));
        true
    }

    /// The process ends: nothing is accepted any more. A worker's hold on its sockets is the last one, so that none closes
    /// with somebody waiting at it.
    pub(super) fn end(&mut self) {
        self.ending = true;
        self.sockets.clear();
        self.tell_relief();
        self.tell(|| WorkerMessage::Drain(DRAIN_MOST));
    }

    /// Whether the process ends.
    pub(super) fn is_ending(&self) -> bool {
        self.ending
    }

    /// Another worker is in the place of one that has ended.
    pub(super) fn replace(
        &mut self,
        index: usize,
        messages: UnboundedSender<WorkerMessage>,
        current: &Arc<Snapshot>,
    ) {
        let _ = messages.send(WorkerMessage::Snapshot(Arc::clone(current)));
        for (id, sockets) in &self.sockets {
            for socket in shares(sockets, index, self.workers.len()) {
                hand_over(&messages, *id, socket);
            }
        }
        if let Some(ended) = self.workers.get_mut(index) {
            *ended = messages;
        }
        self.tell_relief();
    }
}

/// The sockets of worker `index` of so many: every socket has a worker, and every worker a socket.
fn shares<Socket>(sockets: &[Socket], index: usize, workers: usize) -> impl Iterator<Item = &Socket> {
    let own = sockets.iter().skip(index).step_by(workers.max(1));
    let shared = index.checked_rem(sockets.len()).filter(|_| index >= sockets.len());
    own.chain(shared.and_then(|index| sockets.get(index)))
}

fn hand_over(worker: &UnboundedSender<WorkerMessage>, id: ListenerId, socket: &TcpListener) {
    match socket.try_clone() {
        Ok(socket) => {
            let _ = worker.send(WorkerMessage::Listen(id, socket));
        }
        Err(error) => tracing::error!(%error, "a worker gets no socket to listen on"),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use tokio::sync::mpsc::unbounded_channel;

    use super::*;
    use crate::clock::test_support::until_refused;

    #[test]
    fn every_socket_has_a_worker_and_every_worker_a_socket() {
        let sockets: Vec<_> = (0..3).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let number = |socket: &TcpListener| sockets.iter().position(|it| std::ptr::eq(it, socket)).unwrap();
        let shared = |workers| -> Vec<Vec<usize>> {
            (0..workers).map(|worker| shares(&sockets, worker, workers).map(number).collect()).collect()
        };
        assert_eq!(shared(1), [[0, 1, 2]]);
        assert_eq!(shared(2), [vec![0, 2], vec![1]]);
        assert_eq!(shared(3), [[0], [1], [2]]);
        assert_eq!(shared(5), [[0], [1], [2], [0], [1]]);
        assert_eq!(shares::<TcpListener>(&[], 0, 1).count(), 0);
    }

    #[test]
    fn who_takes_over_gets_the_snapshot_and_the_sockets_of_who_has_ended() {
        let (messages, mut first) = unbounded_channel();
        let mut crew = Crew::new(vec![messages], None);
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        crew.listen(ListenerId(3), vec![socket]);
        assert!(matches!(first.try_recv(), Ok(WorkerMessage::Listen(ListenerId(3), _))));
        drop(first);
        // Who comes meanwhile waits.
        let mut client = std::net::TcpStream::connect(address).unwrap();
        client.write_all(b"x").unwrap();
        let (messages, mut second) = unbounded_channel();
        let snapshot = Arc::new(Snapshot { listeners: Vec::new(), groups: Vec::new() });
        crew.replace(0, messages, &snapshot);
        assert!(matches!(second.try_recv(), Ok(WorkerMessage::Snapshot(_))));
        let Ok(WorkerMessage::Listen(ListenerId(3), socket)) = second.try_recv() else { panic!("no socket") };
        assert_eq!(socket.accept().unwrap().1, client.local_addr().unwrap());
        crew.tell(|| WorkerMessage::Stop);
        assert!(matches!(second.try_recv(), Ok(WorkerMessage::Stop)));
        crew.end();
        assert!(matches!(second.try_recv(), Ok(WorkerMessage::Drain(_))));
        drop(socket);
        until_refused(address);
        crew.listen(ListenerId(4), vec![TcpListener::bind("127.0.0.1:0").unwrap()]);
        assert!(second.try_recv().is_err(), "nothing is begun while the process ends");
    }
}
