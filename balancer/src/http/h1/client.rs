//! The client of an HTTP/1.1 connection: its state, and what it is sent that needs no target. Must not know: what is done
//! with a request.

use std::{io, rc::Rc};

use tokio::io::AsyncWriteExt as _;

use crate::{
    http::{
        accepted::{ClientConnection, may_stay},
        connected::Connected,
        context::{Context, WorkerSnapshot},
        entry::AccessEntry,
        exchange::RequestState,
    },
    response::answer::Answer,
    upstream::Bound,
    wire::{client_stream::ClientStream, deadline::Interrupt, http1::Http1},
};

/// What becomes of the client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// It serves the next request.
    Reuse,
    /// The same, behind the rest of this one, which nobody wants.
    Unread,
    /// It is closed after what was sent is read.
    Close,
    /// It is over.
    Gone,
}

/// One client connection.
#[derive(Debug)]
pub(super) struct Http1Client {
    pub(super) http1: Http1<ClientStream>,
    /// The request that is under way.
    pub(super) state: RequestState,
    /// Whether the connection stays after its response.
    pub(super) stays: bool,
    /// Whether the client has said that it sends nothing behind the request.
    pub(super) is_last: bool,
    /// Connections to targets that are its alone.
    pub(super) bound: Bound,
    pub(super) connected: Rc<Connected>,
    pub(super) snapshot: Rc<WorkerSnapshot>,
    pub(super) born_millis: u64,
    /// Whether the time for the next head runs already.
    pub(super) armed: bool,
}

impl Http1Client {
    pub(super) fn new(context: Rc<Context>, connection: ClientConnection) -> Self {
        let ClientConnection {
            stream,
            buffer,
            connected,
            snapshot,
            listener,
            watched,
            born_millis,
            armed,
            ..
        } = connection;
        let secure = stream.is_secure();
        let entry = AccessEntry::default();
        Self {
            http1: Http1::new(stream, buffer),
            state: RequestState { context, listener, secure, entry, began: None, now: None, watched },
            stays: false,
            is_last: false,
            bound: Bound::default(),
            connected,
            snapshot,
            born_millis,
            armed,
        }
    }

    /// Whether nothing of the connection is lost when its stream and a few words are kept. To be asked between requests.
    pub(super) fn can_park(&mut self) -> bool {
        self.bound.is_empty() && self.state.context.parked.lot.is_open() && self.http1.stream.is_still()
    }

    /// What it was made of.
    pub(super) fn into_connection(self) -> ClientConnection {
        let Self { http1, state, connected, snapshot, born_millis, armed, .. } = self;
        let RequestState { listener, watched, .. } = state;
        let Http1 { stream, buffer, .. } = http1;
        let http2 = None;
        ClientConnection { stream, buffer, connected, snapshot, listener, watched, born_millis, armed, http2 }
    }

    /// Whether the connection may serve another request.
    pub(super) fn may_stay(&self) -> bool {
        may_stay(&self.state.context, &self.state.listener, &self.connected, self.born_millis)
    }

    /// Sends an answer of the balancer's own and counts it.
    pub(super) async fn answer(&mut self, answer: &Answer, keep_alive: bool, to_head: bool) -> After {
        let RequestState { context, listener, entry, .. } = &mut self.state;
        context.count_answer(listener, answer);
        entry.own(answer);
        let page = answer.render(&listener.response_fields, &context.clock, keep_alive, to_head);
        self.state.arm_idle();
        match self.send(&page).await {
            Ok(Ok(())) => {
                self.count_returned(page.len() as u64);
                if keep_alive { After::Reuse } else { After::Close }
            }
            _ => After::Gone,
        }
    }

    /// Counts bytes of a request.
    pub(super) fn count_received(&mut self, bytes: u64) {
        self.count_moved(bytes, 0);
        self.state.entry.received(bytes);
    }

    /// Counts bytes of a response.
    pub(super) fn count_returned(&mut self, bytes: u64) {
        self.count_moved(0, bytes);
        self.state.entry.returned(bytes);
    }

    /// Counts bytes of the listener, where the watch was not shown them.
    pub(super) fn count_moved(&self, received: u64, sent: u64) {
        let shard = self.state.shard();
        shard.bytes_received.add(received);
        shard.bytes_sent.add(sent);
        if self.connected.is_ipv6() {
            shard.ipv6_bytes.add(received + sent);
        }
    }

    /// Writes all of `bytes`, up to the socket.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<io::Result<()>, Interrupt> {
        self.state.has_waited();
        let watch = Rc::clone(self.state.watch());
        let stream = &mut self.http1.stream;
        let sent = async {
            stream.write_all(bytes).await?;
            stream.flush().await
        };
        watch.within(sent).await
    }
}
