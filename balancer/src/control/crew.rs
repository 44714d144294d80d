//! The workers as the control side has them: one that ends by itself is replaced, and the next one serves on where it
//! was: from the snapshot in force, at sockets that stayed open meanwhile, so that no client was refused.
//! Must not know: what a worker does.

use std::{collections::HashMap, net::TcpListener, sync::Arc, time::Duration};

use tokio::sync::mpsc::UnboundedSender;

use crate::snapshot::{ListenerId, Snapshot, WorkerMessage};

/// Longest time that requests in flight may take when the process ends: the longest that ALB's
/// deregistration delay can be set to.
const DRAIN_MOST: Duration = Duration::from_secs(3600);

/// Where workers hear, and what they listen on.
#[derive(Debug, Default)]
pub(super) struct Crew {
    workers: Vec<UnboundedSender<WorkerMessage>>,
    /// One socket a worker.
    sockets: HashMap<ListenerId, Vec<TcpListener>>,
    ending: bool,
}

impl Crew {
    pub(super) fn new(workers: Vec<UnboundedSender<WorkerMessage>>) -> Self {
        Self { workers, ..Self::default() }
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
        for (worker, socket) in self.workers.iter().zip(&sockets) {
            hand_over(worker, id, socket);
        }
        self.sockets.insert(id, sockets);
    }

    /// Has all stop accepting for this listener, once they have a snapshot without it. Their hold on its sockets is the last
    /// one, so that none closes with somebody waiting at it.
    pub(super) fn unlisten(&mut self, id: ListenerId) {
        self.sockets.remove(&id);
        self.tell(|| WorkerMessage::Unlisten(id));
    }

    /// The process ends: nothing is accepted any more. A worker's hold on its sockets is the last one, so that none closes
    /// with somebody waiting at it.
    pub(super) fn end(&mut self) {
        self.ending = true;
        self.sockets.clear();
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
            if let Some(socket) = sockets.get(index) {
                hand_over(&messages, *id, socket);
            }
        }
        if let Some(ended) = self.workers.get_mut(index) {
            *ended = messages;
        }
    }
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

    #[test]
    fn who_takes_over_gets_the_snapshot_and_the_sockets_of_who_has_ended() {
        let (messages, mut first) = unbounded_channel();
        let mut crew = Crew::new(vec![messages]);
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
        assert!(std::net::TcpStream::connect(address).is_err(), "nobody listens any more");
        crew.listen(ListenerId(4), vec![TcpListener::bind("127.0.0.1:0").unwrap()]);
        assert!(second.try_recv().is_err(), "nothing is begun while the process ends");
    }
}
