//! One client connection: reads heads, has each request carried out, and ends the connection in a way
//! that lets the client read what it was sent.

use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    rc::Rc,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};

use tokio::io::AsyncWriteExt as _;

use super::{
    Context,
    connected::{Connected, Shown},
    context::Taken,
    entry::Entry,
    exchange::{After, exchange},
    forward::Route,
    h2::{self, Handover},
    plan::{Plan, Refusal, cause_of},
};
use crate::{
    clock::monotonic_now,
    model::MutualAuthentication,
    response::answer::Answer,
    snapshot::{ListenerId, ListenerView},
    telemetry::counters::{Cause, ListenerShard},
    tls::ClientCertificate,
    upstream::Bound,
    wire::{
        buffer::{BUFFER_SIZE, Buffer},
        client_stream::ClientStream,
        deadline::{Interrupt, Watch, Watched},
        head::{Framing, HeadError, HeadScanner, MAX_REQUEST_HEAD},
        meter::PREFACE,
    },
};

/// How long a connection that was ended after an answer may still send, so that the answer is not lost
/// (RFC 9112, section 9.6), and how much.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 1 << 20;

/// A connection as accepted.
#[derive(Debug)]
pub struct Accepted {
    /// The connection, past its handshake.
    pub stream: ClientStream,
    /// The client.
    pub peer: SocketAddr,
    /// The listener that accepted it.
    pub listener: ListenerId,
    /// The certificate that the client was shown.
    pub certificate: Option<Arc<str>>,
    /// The certificate that the client has shown.
    pub identity: Option<ClientCertificate>,
    /// What it was asked for.
    pub asked: Option<MutualAuthentication>,
}

/// One client connection.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) stream: ClientStream,
    pub(super) buffer: Buffer,
    pub(super) context: Rc<Context>,
    /// Memory for the head to the target and the head to the client.
    pub(super) scratch: [Vec<u8>; 2],
    pub(super) listener: Arc<ListenerView>,
    /// Connections to targets that are its alone.
    pub(super) bound: Bound,
    /// The entry of the request that is under way.
    pub(super) entry: Entry,
    /// When it began; nothing once it is a tunnel.
    pub(super) began: Option<Instant>,
    connected: Rc<Connected>,
    snapshot: Rc<Taken>,
    watched: Watched,
    born_millis: u64,
    /// Whether the time for the next head runs already.
    armed: bool,
}

/// What a connection begins with.
enum Begins {
    Http1,
    Http2,
    /// Nothing came, or the client is gone.
    Nothing,
}

/// What reading a head came to.
enum Reading {
    Head(usize),
    Nothing,
    Refused(Cause),
}

/// Serves the connection to its end.
pub async fn serve(context: Rc<Context>, accepted: Accepted) {
    if let Some(mut client) = Client::new(&context, accepted) {
        let may_be_http2 = !client.stream.is_secure()
            && client.listener.http2_prior_knowledge
            && client.listener.load_balancer.enable_http2;
        let begins = match (client.stream.is_http2(), may_be_http2) {
            (true, _) => Begins::Http2,
            (false, true) => client.begins().await,
            (false, false) => Begins::Http1,
        };
        match begins {
            Begins::Http2 => return h2::serve(Rc::clone(&context), client.hand_over()).await,
            Begins::Http1 => client.run().await,
            Begins::Nothing => {}
        }
        context.buffers.give(std::mem::take(&mut client.buffer));
    }
}

impl Client {
    fn new(context: &Rc<Context>, accepted: Accepted) -> Option<Self> {
        let snapshot = context.snapshot();
        let listener = Arc::clone(snapshot.listener(accepted.listener)?);
        let local = accepted.stream.socket().local_addr().ok()?;
        accepted.stream.socket().set_nodelay(true).ok()?;
        let connected = Connected::new(
            &accepted.stream,
            accepted.peer,
            local,
            accepted.certificate,
            Shown { identity: accepted.identity, asked: accepted.asked },
        );
        let watched = context.watches.register();
        watched.watch().set_listener(accepted.listener.0);
        watched.watch().set_ipv6(connected.is_ipv6());
        Some(Self {
            stream: accepted.stream,
            buffer: Buffer::default(),
            context: Rc::clone(context),
            scratch: [Vec::new(), Vec::new()],
            bound: Bound::default(),
            entry: Entry::default(),
            began: None,
            connected: Rc::new(connected),
            listener,
            snapshot,
            watched,
            born_millis: context.clock.millis(),
            armed: false,
        })
    }

    /// Looks whether the first bytes are those that HTTP/2 begins with (RFC 9113, section 3.3). The time for them is part
    /// of that for a first head of HTTP/1.1.
    async fn begins(&mut self) -> Begins {
        let watch = Rc::clone(self.watch());
        self.arm_idle();
        self.armed = true;
        watch.set_idle(true);
        let readable = watch.within(poll_fn(|cx| self.stream.poll_read_ready(cx))).await;
        watch.set_idle(false);
        if !matches!(readable, Ok(Ok(()))) {
            return Begins::Nothing;
        }
        self.buffer = self.context.buffers.take();
        loop {
            // Readiness can be announced in error: idle is who has sent nothing.
            watch.set_idle(self.buffer.is_empty());
            let Self { buffer, stream, .. } = self;
            let filled = watch.within(poll_fn(|cx| buffer.poll_fill(cx, stream, BUFFER_SIZE))).await;
            watch.set_idle(false);
            let bytes = self.buffer.bytes();
            match filled {
                Ok(Ok(1..)) if bytes.starts_with(PREFACE) => return Begins::Http2,
                Ok(Ok(1..)) if PREFACE.starts_with(bytes) => {}
                Ok(Ok(1..)) => return Begins::Http1,
                _ if bytes.is_empty() => return Begins::Nothing,
                // What there is may be the beginning of a head of HTTP/1.1, which has taken its time.
                Err(Interrupt::TimedOut) => {
                    self.arm(Duration::ZERO);
                    return Begins::Http1;
                }
                _ => return Begins::Http1,
            }
        }
    }

    fn hand_over(self) -> Handover<ClientStream> {
        let Self { stream, buffer: before, connected, snapshot, listener, watched, born_millis, .. } = self;
        let secure = stream.is_secure();
        Handover { stream, secure, before, connected, snapshot, listener, watched, born_millis }
    }

    /// This worker's shard of the listener's figures.
    pub(super) fn shard(&self) -> &ListenerShard {
        self.context.listener_shard(&self.listener)
    }

    pub(super) fn watch(&self) -> &Rc<Watch> {
        self.watched.watch()
    }

    /// Waits may last for the idle timeout from now.
    pub(super) fn arm_idle(&self) {
        self.watch().arm(self.context.clock.millis(), self.listener.load_balancer.idle_timeout);
    }

    pub(super) fn arm(&self, span: Duration) {
        self.watch().arm(self.context.clock.millis(), span);
    }

    pub(super) fn connect_timeout(&self) -> Duration {
        self.listener.load_balancer.connect_timeout
    }

    /// Whether the connection may serve another request: its age allows it (ALB: client keep-alive
    /// duration), its listener is there and asks for nothing else, and the process is not ending.
    pub(super) fn may_stay(&self) -> bool {
        let age = self.context.clock.millis().saturating_sub(self.born_millis);
        let most = self.listener.load_balancer.client_keep_alive.as_millis();
        u128::from(age) < most
            && !self.context.draining.get()
            && self.context.snapshot().listener(self.listener.id).is_some_and(|now| self.connected.suits(now))
    }

    async fn run(&mut self) {
        loop {
            let length = match self.read_head().await {
                Reading::Head(length) => length,
                Reading::Nothing => {
                    self.entry.forget();
                    return;
                }
                Reading::Refused(cause) => {
                    self.count_received(self.buffer.len() as u64);
                    self.answer_error(cause, false, false).await;
                    self.end_request();
                    return self.linger().await;
                }
            };
            let snapshot = self.context.snapshot();
            if let Some(listener) = snapshot.listener(self.listener.id) {
                self.listener = Arc::clone(listener);
                self.snapshot = snapshot;
            }
            // Who has not shown what is asked for now has to come again.
            if !self.connected.suits(&self.listener) {
                return;
            }
            let after = match self.plan(length) {
                Ok(plan) => exchange(self, plan).await,
                Err(refusal) => self.refuse(refusal).await,
            };
            self.watch().set_registration(None);
            self.end_request();
            match after {
                After::Reuse => {}
                After::Close => return self.linger().await,
                After::Gone => return,
            }
        }
    }

    fn plan(&mut self, length: usize) -> Result<Plan, Refusal> {
        let (bytes, body) = self.buffer.bytes().split_at_checked(length).unwrap_or_default();
        let route = Route {
            load_balancer: &self.listener.load_balancer,
            port: self.listener.port,
            secure: self.stream.is_secure(),
            connected: &self.connected,
            tls_fields: &self.listener.tls_fields,
            body,
        };
        let memory = std::mem::take(&mut self.scratch[0]);
        let snapshot = Rc::clone(&self.snapshot);
        let plan =
            Plan::make(&self.context, snapshot, &self.listener, &route, bytes, memory, &mut self.entry);
        self.buffer.consume(length);
        self.count_received(length as u64);
        plan
    }

    async fn refuse(&mut self, refusal: Refusal) -> After {
        let keep = refusal.wishes.is_some_and(|wishes| wishes.keep_alive && wishes.framing == Framing::Empty);
        let to_head = refusal.wishes.is_some_and(|wishes| wishes.to_head);
        self.answer(&refusal.answer, keep && self.may_stay(), to_head).await
    }

    /// Sends the page of an error and counts it.
    pub(super) async fn answer_error(&mut self, cause: Cause, keep_alive: bool, to_head: bool) -> After {
        self.answer(&Answer::error(cause), keep_alive, to_head).await
    }

    /// Sends an answer of the balancer's own and counts it.
    pub(super) async fn answer(&mut self, answer: &Answer, keep_alive: bool, to_head: bool) -> After {
        self.context.count_answer(&self.listener, answer);
        self.entry.own(answer);
        let page = answer.render(&self.listener.response_fields, &self.context.clock, keep_alive, to_head);
        self.arm_idle();
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
        self.shard().bytes_received.add(bytes);
        self.count_ipv6(bytes);
        self.entry.received(bytes);
    }

    /// Counts bytes of a response.
    pub(super) fn count_returned(&mut self, bytes: u64) {
        self.shard().bytes_sent.add(bytes);
        self.count_ipv6(bytes);
        self.entry.returned(bytes);
    }

    /// Counts bytes of a request that the watch was shown while they moved.
    pub(super) fn settle_received(&mut self, total: u64) {
        let left = self.watch().received().settle(Some(total));
        self.shard().bytes_received.add(left);
        self.count_ipv6(left);
        self.entry.received(total);
    }

    /// Counts bytes of a response that the watch was shown while they moved.
    pub(super) fn settle_returned(&mut self, total: u64) {
        let left = self.watch().sent().settle(Some(total));
        self.shard().bytes_sent.add(left);
        self.count_ipv6(left);
        self.entry.returned(total);
    }

    fn count_ipv6(&self, bytes: u64) {
        if self.connected.is_ipv6() {
            self.shard().ipv6_bytes.add(bytes);
        }
    }

    /// Writes all of `bytes`, up to the socket.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<io::Result<()>, Interrupt> {
        let watch = Rc::clone(self.watch());
        let stream = &mut self.stream;
        let sent = async {
            stream.write_all(bytes).await?;
            stream.flush().await
        };
        watch.within(sent).await
    }

    /// Reads until a whole head is buffered.
    async fn read_head(&mut self) -> Reading {
        let mut scanner = HeadScanner::default();
        let mut begun = false;
        let watch = Rc::clone(self.watch());
        if !std::mem::take(&mut self.armed) {
            self.arm_idle();
        }
        if self.buffer.is_empty() {
            if !self.may_stay() && self.context.clock.millis() > self.born_millis {
                return Reading::Nothing;
            }
            self.context.buffers.give(std::mem::take(&mut self.buffer));
            watch.set_idle(true);
            let readable = watch.within(poll_fn(|cx| self.stream.poll_read_ready(cx))).await;
            if !matches!(readable, Ok(Ok(()))) {
                return Reading::Nothing;
            }
            self.buffer = self.context.buffers.take();
        }
        loop {
            self.skip_empty_lines();
            // Readiness can be announced in error: idle is who has sent nothing.
            watch.set_idle(self.buffer.is_empty());
            if !self.buffer.is_empty() && !std::mem::replace(&mut begun, true) {
                self.begin_entry();
            }
            match scanner.find_end(self.buffer.bytes()) {
                Ok(Some(length)) => return Reading::Head(length),
                Ok(None) => {}
                // What a lone CR begins is not known yet.
                Err(HeadError::Malformed) if self.buffer.bytes() == b"\r" => {}
                Err(error) => return Reading::Refused(cause_of(error)),
            }
            let Self { buffer, stream, .. } = self;
            let limit = MAX_REQUEST_HEAD + BUFFER_SIZE;
            match watch.within(poll_fn(|cx| buffer.poll_fill(cx, stream, limit))).await {
                Ok(Ok(1..)) => {}
                Ok(_) => return Reading::Nothing,
                Err(Interrupt::TimedOut) if !self.buffer.is_empty() => {
                    return Reading::Refused(Cause::RequestTimedOut);
                }
                Err(_) => return Reading::Nothing,
            }
        }
    }

    /// A request is over.
    fn end_request(&mut self) {
        self.entry = Entry::default();
        if let Some(began) = self.began.take() {
            self.shard().request_duration.observe(monotonic_now().saturating_duration_since(began));
        }
    }

    /// A request begins, which is logged as the configuration of now has it.
    fn begin_entry(&mut self) {
        let snapshot = self.context.snapshot();
        let listener = snapshot.listener(self.listener.id).unwrap_or(&self.listener);
        self.began = Some(monotonic_now());
        self.entry = Entry::begin(&self.context, listener, &self.connected);
    }

    /// Empty lines before a request line are ignored (RFC 9112, section 2.2).
    fn skip_empty_lines(&mut self) {
        while self.buffer.bytes().starts_with(b"\r\n") {
            self.buffer.consume(2);
        }
    }

    /// Says that nothing more comes, and reads what the client still sends, so that closing does not
    /// destroy the answer on its way.
    async fn linger(&mut self) {
        self.arm(LINGER);
        let watch = Rc::clone(self.watch());
        if !matches!(watch.within(self.stream.shutdown()).await, Ok(Ok(()))) {
            return;
        }
        let Self { buffer, stream, .. } = self;
        let mut read = 0;
        let drain = poll_fn(|cx| {
            loop {
                buffer.consume(usize::MAX);
                match buffer.poll_fill(cx, stream, BUFFER_SIZE) {
                    Poll::Ready(Ok(n @ 1..)) if read < LINGER_BYTES => read += n,
                    Poll::Ready(_) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                }
            }
        });
        let _ = watch.within(drain).await;
    }

    /// Ends the connection so that the client cannot take what it got for whole.
    pub(super) fn abort(&self) -> After {
        self.stream.reset_on_close();
        After::Gone
    }
}
