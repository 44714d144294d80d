//! One request of an HTTP/2 connection: decided, carried out by the leg that its target's version asks for,
//! answered. Sends a request again only where nothing can have been done twice.

use std::rc::Rc;

use super::{
    client::Http2Client,
    head::Head,
    session::{Open, SharedState},
};
use crate::{
    clock::Nanos,
    http::{
        context::WorkerSnapshot,
        decide::{forward::Route, head_notes::HeadNotes, plan::Plan, refusal::Refusal},
        entry::AccessEntry,
        exchange::{ClientSide as _, RequestState, exchange},
    },
    model::Version,
    snapshot::ListenerView,
    wire::{
        head::{Framing, Request},
        http2::{Block, ErrorCode, Http2Stream, StreamFault},
    },
};

/// Serves one request to its end.
pub(super) async fn serve(session: Rc<SharedState>, mut stream: Http2Stream, head: Box<Block>) {
    let _open = Open::begin(&session);
    let context = Rc::clone(&session.context);
    let began = Nanos::now();
    session.look_again();
    let (snapshot, listener) = session.view();
    // Who has not shown what is asked for now has to come again, with this request too.
    if !session.connected.suits(&listener) {
        return stream.reset(ErrorCode::Refused);
    }
    let mut entry = AccessEntry::begin(&context, &listener, &session.connected, began);
    entry.note(|record| record.version = Some(Version::Http2));
    let is_bodiless = head.is_all() || stream.is_whole();
    let head = Head::new(head, is_bodiless, entry.is_open());
    if entry.is_open() {
        entry.received(head.size());
    }
    let (key, is_malformed) = (head.key(), head.is_malformed());
    let watched = context.watches.register();
    watched.watch().set_listener(listener.id.0);
    // Stays where it is made, before the request is looked at: it is large.
    let mut client = Http2Client {
        stream,
        state: RequestState {
            context,
            listener,
            secure: session.secure,
            entry,
            began: Some(began),
            now: Some(began),
            watched,
        },
        socket: session.socket,
        key,
        invited: false,
        notes: HeadNotes::begin(true),
    };
    let Http2Client { stream, state: RequestState { listener, entry, .. }, notes, .. } = &mut client;
    let mut planned = plan(&session, &snapshot, listener, &head, (notes, entry));
    stream.recycle(head.into_block());
    let framing = planned.as_ref().map_or(Framing::Empty, |plan| plan.request.framing);
    stream.expect(framing == Framing::Empty, &listener.trailers);
    match &mut planned {
        Ok(plan) => {
            match client.stream.fault() {
                // Its client is gone already: no target needs to hear of it.
                Some(StreamFault::Reset(_) | StreamFault::Lost) => {
                    let failure = client.gone();
                    client.state.client_gone(failure.cause);
                }
                _ => exchange(&mut client, plan).await,
            }
            client.state.context.heads.give(std::mem::take(&mut plan.head));
        }
        Err(Refusal { answer, .. }) if is_malformed => client.refuse(answer),
        Err(Refusal { answer, traits }) => {
            client.answer(answer, traits.is_some_and(|traits| traits.to_head)).await;
        }
    }
    client.state.end();
    if client.stream.is_unread() {
        Box::pin(client.linger()).await;
    }
}

/// What is done with the request.
fn plan(
    session: &SharedState,
    snapshot: &Rc<WorkerSnapshot>,
    listener: &ListenerView,
    head: &Head,
    (notes, entry): (&mut HeadNotes, &mut AccessEntry),
) -> Result<Plan, Refusal> {
    let route = Route {
        load_balancer: &listener.load_balancer,
        port: listener.port,
        secure: session.secure,
        connected: &session.connected,
        tls_fields: &listener.tls_fields,
        body: b"",
    };
    let context = &session.context;
    let mut request = Request::default();
    head.read(&mut request)?;
    Plan::decide(context, snapshot, listener, &route, &mut request, (context.heads.take(), notes), entry)
}
