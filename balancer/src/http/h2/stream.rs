//! One request of an HTTP/2 connection: decided, carried out by the leg that its target's version asks for,
//! answered. Sends a request again only where nothing can have been done twice.

use std::rc::Rc;

use bytes::Bytes;
use h2::{Reason, RecvStream, server::SendResponse};

use super::{
    body::Http2,
    client::Http2Client,
    head::Head,
    session::{Open, SharedState},
};
use crate::{
    clock::monotonic_now,
    http::{
        decide::{forward::Route, plan::Plan, refusal::Refusal},
        entry::AccessEntry,
        exchange::{RequestState, exchange},
    },
    model::Version,
    wire::head::Framing,
};

/// Serves one request to its end.
pub(super) async fn serve(
    session: Rc<SharedState>,
    request: http::Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) {
    let _open = Open::begin(&session);
    let context = Rc::clone(&session.context);
    let began = monotonic_now();
    session.look_again();
    let (snapshot, listener) = session.view();
    // Who has not shown what is asked for now has to come again, with this request too.
    if !session.connected.suits(&listener) {
        return respond.send_reset(Reason::REFUSED_STREAM);
    }
    let mut entry = AccessEntry::begin(&context, &listener, &session.connected);
    entry.note(|record| record.version = Some(Version::Http2));
    let aside = session.asides.take(respond.stream_id().into());
    let (head, body) = Head::new(request, aside);
    if entry.is_open() {
        entry.received(head.size());
    }
    let route = Route {
        load_balancer: &listener.load_balancer,
        port: listener.port,
        secure: session.secure,
        connected: &session.connected,
        tls_fields: &listener.tls_fields,
        body: b"",
    };
    let planned = head.request().map_err(Refusal::from).and_then(|mut request| {
        Plan::decide(&context, &snapshot, &listener, &route, &mut request, context.heads.take(), &mut entry)
    });
    let key = head.key();
    drop(head);
    let watched = context.watches.register();
    watched.watch().set_listener(listener.id.0);
    let framing = planned.as_ref().map_or(Framing::Empty, |plan| plan.request.framing);
    let mut http2 = Http2::default();
    http2.expect(body, framing == Framing::Empty);
    http2.filter(&listener.trailers);
    let mut client = Http2Client {
        http2,
        state: RequestState {
            context,
            listener,
            secure: session.secure,
            entry,
            began: Some(began),
            now: Some(began),
            watched,
        },
        respond,
        key,
        invited: false,
        meter: Rc::clone(&session.meter),
    };
    match planned {
        Ok(mut plan) => {
            exchange(&mut client, &mut plan).await;
            client.state.context.heads.give(plan.head);
        }
        Err(Refusal { answer, traits }) => {
            client.answer(&answer, traits.is_some_and(|traits| traits.to_head));
        }
    }
    client.state.end();
    if client.http2.is_unread() {
        Box::pin(client.linger()).await;
    }
}
