//! A server over a socket of this host whose peer is the `h2` crate's client, and bodies to move.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    convert::Infallible,
    future::poll_fn,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::net::{TcpListener, TcpStream};

use crate::{
    model::HeaderField,
    wire::{
        body::{BodyError, Sink, Source, Trailers, Untaken, poll_move},
        buffer::{Buffer, BufferStore},
        client_stream::ClientStream,
        http2::{Block, Event, Http2Stream, Server, StreamFault, Violation},
        splice::Pipe,
        trailers::TrailerFilter,
    },
};

pub(super) type Fields = Vec<(String, Vec<u8>)>;

/// A message, as it is sent and as it has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) line: String,
    pub(super) fields: Fields,
    pub(super) body: Vec<u8>,
    pub(super) trailers: Fields,
    /// Whether it is broken off where its trailers would be.
    pub(super) breaks_off: bool,
}

/// Both ends of a connection.
pub(super) async fn connected() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (near, far) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
    (near.unwrap(), far.unwrap().0)
}

/// What a server has seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) requests: RefCell<HashMap<String, Result<Message, StreamFault>>>,
    pub(super) violation: RefCell<Option<Violation>>,
    /// How often the connection has rested.
    pub(super) rests: Cell<u32>,
}

/// Serves a connection to its end: each request is answered with what `answers` has for its path. Between requests it rests where
/// it can.
pub(super) async fn serve(stream: TcpStream, answers: Rc<HashMap<String, Message>>, seen: Rc<Seen>) {
    let buffers = BufferStore::default();
    let mut server = Server::new(ClientStream::Plain(stream), Buffer::default(), 0);
    let mut has_rested = false;
    loop {
        let next = poll_fn(|cx| {
            if !has_rested && server.may_rest() {
                return Poll::Ready(None);
            }
            server.poll_event(cx, &buffers, 0).map(Some)
        });
        let Some(event) = next.await else {
            let (stream, resting) = server.rest();
            server = Server::resumed(stream, resting);
            has_rested = true;
            seen.rests.set(seen.rests.get() + 1);
            continue;
        };
        match event {
            Event::Request(stream, head) => {
                has_rested = false;
                let (answers, seen) = (Rc::clone(&answers), Rc::clone(&seen));
                tokio::task::spawn_local(async move {
                    let path = String::from_utf8_lossy(head.path().unwrap_or_default()).into_owned();
                    let taken = exchange(stream, head, answers.get(&path)).await;
                    seen.requests.borrow_mut().insert(path, taken);
                });
            }
            Event::Violated(violation) => *seen.violation.borrow_mut() = Some(violation),
            Event::Over => return,
        }
    }
}

pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

pub(super) fn owned<'a>(fields: impl Iterator<Item = HeaderField<'a>>) -> Fields {
    fields.map(|field| (text(field.name), field.value.to_vec())).collect()
}

async fn exchange(
    mut stream: Http2Stream,
    head: Box<Block>,
    answer: Option<&Message>,
) -> Result<Message, StreamFault> {
    let line = format!("{} {}", text(head.method()), text(head.path().unwrap_or_default()));
    let mut message = Message { line, fields: owned(head.lines()), ..Message::default() };
    stream.expect(stream.is_whole(), &Arc::new(TrailerFilter::default()));
    stream.recycle(head);
    let mut taken = Taken::default();
    poll_fn(|cx| poll_move(cx, &mut stream, &mut taken)).await.map_err(|error| match error {
        BodyError::Source(fault) => fault,
        other => panic!("{other}"),
    })?;
    (message.body, message.trailers) = (taken.content, taken.trailers);
    let Some(answer) = answer else { return Ok(message) };
    let ends = answer.body.is_empty() && answer.trailers.is_empty() && !answer.breaks_off;
    let sent = stream.send_head(answer.line.parse().unwrap(), ends, |head| {
        answer.fields.iter().for_each(|(name, value)| head.field(name.as_bytes(), value));
    });
    if sent.is_ok() && !ends {
        let mut given = Given::new(answer);
        let _ = poll_fn(|cx| poll_move(cx, &mut given, &mut stream)).await;
    }
    if answer.breaks_off {
        stream.reset(super::super::ErrorCode::Internal);
    }
    Ok(message)
}

/// Takes a body.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub(super) content: Vec<u8>,
    pub(super) trailers: Fields,
}

impl Sink for Taken {
    fn is_chunked(&self) -> bool {
        false
    }

    fn is_ready(&self) -> bool {
        true
    }

    fn poll_room(&mut self, _: &mut Context<'_>, wanted: usize) -> Poll<Result<usize, Untaken>> {
        // Little at a time, now and then.
        Poll::Ready(Ok(if self.content.len().is_multiple_of(3) { wanted } else { wanted.div_ceil(2) }))
    }

    fn begin(&mut self, _: usize, _: bool) {}

    fn poll_take(&mut self, _: &mut Context<'_>, source: &mut impl Source) -> Poll<Result<(), Untaken>> {
        self.content.extend_from_slice(source.given());
        source.consume(source.given().len());
        Poll::Ready(Ok(()))
    }

    fn end(&mut self, trailers: Trailers<'_>, _: bool) -> Result<(), Untaken> {
        if let Trailers::Fields(fields) = trailers {
            self.trailers = owned(fields.iter().copied());
        }
        Ok(())
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Untaken>> {
        Poll::Ready(Ok(()))
    }

    fn is_clear(&self) -> bool {
        true
    }

    fn progress(&self) -> u64 {
        self.content.len() as u64
    }

    fn pipe(&mut self) -> Option<&mut Option<Pipe>> {
        None
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

/// Gives a body.
pub(super) struct Given {
    message: Message,
    at: usize,
    given: usize,
    is_over: bool,
}

impl Given {
    pub(super) fn new(message: &Message) -> Self {
        Self { message: message.clone(), at: 0, given: 0, is_over: false }
    }
}

impl Source for Given {
    type Error = Infallible;

    fn is_read(&self) -> bool {
        self.is_over
    }

    fn has_begun(&self) -> bool {
        true
    }

    fn has_input(&self) -> bool {
        self.given == 0 && self.at < self.message.body.len()
    }

    fn content(&self) -> usize {
        self.message.body.len() - self.at
    }

    fn give(&mut self, room: usize, sink: &mut impl Sink) -> Result<bool, BodyError<Infallible>> {
        self.given = room;
        let plain = self.message.trailers.is_empty() && !self.message.breaks_off;
        self.is_over = plain && self.at + room == self.message.body.len();
        sink.begin(room, self.is_over);
        Ok(true)
    }

    fn poll_read(
        &mut self,
        _: &mut Context<'_>,
        sink: &mut impl Sink,
    ) -> Poll<Result<(), BodyError<Infallible>>> {
        if self.message.breaks_off {
            return Poll::Ready(Err(BodyError::Truncated));
        }
        let fields = self.message.trailers.iter();
        let fields: Vec<_> =
            fields.map(|(name, value)| HeaderField { name: name.as_bytes(), value }).collect();
        self.is_over = true;
        Poll::Ready(sink.end(Trailers::Fields(&fields), false).map_err(BodyError::from))
    }

    fn given(&self) -> &[u8] {
        &self.message.body[self.at..self.at + self.given]
    }

    fn consume(&mut self, length: usize) {
        self.at += length;
        self.given -= length;
    }

    fn is_held_up(&self) -> bool {
        self.given > 0
    }

    fn switch(&mut self) {}
}
