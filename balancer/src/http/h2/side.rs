//! A client of HTTP/2 as one side of an exchange. Must not know: which version of HTTP the target speaks, but that there are
//! two.

use std::task::{Context as TaskContext, Poll};

use h2::Reason;

use super::{
    body::{Http2, is_verdict},
    client::Http2Client,
    head,
    target::Http2Target,
};
use crate::{
    counters::{Cause, Failure},
    http::{
        decide::plan::Plan,
        exchange::{ClientSide, Http1Target, RequestState, attempt},
    },
    model::{HeaderEdits, ProtocolVersion},
    response::answer::Answer,
    upstream::{Connection, Destination},
    wire::{
        body::{BodyError, Source as _},
        head::{Framing, Response},
    },
};

impl ClientSide for Http2Client {
    type After = ();
    const OVER: () = ();
    type Body = Http2;

    fn state(&self) -> &RequestState {
        &self.state
    }

    fn state_mut(&mut self) -> &mut RequestState {
        &mut self.state
    }

    fn body(&mut self) -> &mut Http2 {
        &mut self.http2
    }

    async fn attempt(&mut self, plan: &mut Plan, fresh: bool) -> Result<(), Failure> {
        if plan.group().settings.protocol_version == ProtocolVersion::Http1 {
            return attempt::<Self, Http1Target>(self, plan, fresh).await;
        }
        if plan.request.upgrade {
            return Err(Cause::ProtocolsIncompatible.into());
        }
        // In a box, so that requests for HTTP/1.1 do not carry its room.
        Box::pin(attempt::<Self, Http2Target>(self, plan, fresh)).await
    }

    /// Whether the client reset the request.
    fn poll_gone(&mut self, cx: &mut TaskContext<'_>, _: bool) -> Poll<()> {
        match &mut self.http2.outgoing {
            Some(outgoing) => outgoing.poll_reset(cx).map(|_| ()),
            None => self.respond.poll_reset(cx).map(|_| ()),
        }
    }

    fn gone(&mut self) -> Failure {
        match self.http2.verdict() {
            Some(error) => invalid(&error),
            None => Failure::gone(self.http2.is_read()),
        }
    }

    #[cold]
    fn body_failed(error: &BodyError<h2::Error>) -> Failure {
        match error {
            BodyError::Source(error) if is_verdict(error) => invalid(error),
            _ => Failure::gone(false),
        }
    }

    async fn invite(&mut self, _: &Plan) -> bool {
        if std::mem::replace(&mut self.invited, true) {
            return true;
        }
        let mut invitation = http::Response::new(());
        *invitation.status_mut() = http::StatusCode::CONTINUE;
        self.send_interim_head(invitation)
    }

    fn check(&self, _: &Plan, response: &Response<'_>, _: bool) -> Result<(), Cause> {
        match (&self.key, response.status) {
            (None, 101) => Err(Cause::TargetUpgradeInvalid),
            (Some(key), 101) if key.is_accepted_by(response) => Ok(()),
            // To who asked for a WebSocket, 2xx would say that there is one (RFC 8441, section 4).
            (Some(_), 101 | 200..300) => Err(Cause::TargetWebSocketInvalid),
            _ => Ok(()),
        }
    }

    fn interim(&mut self, _: &Plan, response: &Response<'_>) -> Result<Vec<u8>, Failure> {
        let interim = head::response(response, &HeaderEdits::new(), &self.state.context.clock)
            .ok_or(Cause::TargetHeaderInvalid)?;
        // A 100 was said already.
        if response.status != 100 && !self.send_interim_head(interim) {
            return Err(Failure::gone(self.http2.is_read()));
        }
        Ok(Vec::new())
    }

    async fn send_interim(&mut self, _: Vec<u8>) -> bool {
        true
    }

    fn respond(&mut self, _: &Plan, response: &Response<'_>, edits: &HeaderEdits) -> Result<(), Failure> {
        let mut head =
            head::response(response, edits, &self.state.context.clock).ok_or(Cause::TargetHeaderInvalid)?;
        let switching = response.status == 101;
        if switching {
            *head.status_mut() = http::StatusCode::OK;
            head.headers_mut().remove("sec-websocket-accept");
            // A 101 needs none, and a 200 does.
            let date = self.state.context.clock.with_date(http::HeaderValue::from_str);
            if let (Ok(date), false) = (date, head.headers().contains_key("date")) {
                head.headers_mut().insert("date", date);
            }
        }
        self.state.entry.responding(head.status().as_u16());
        self.count_head(head.headers());
        let ends = response.framing == Framing::Empty && !switching;
        let outgoing =
            self.respond.send_response(head, ends).map_err(|_| Failure::gone(self.http2.is_read()))?;
        self.http2.outgoing = Some(outgoing);
        Ok(())
    }

    fn bound(&mut self, _: &Destination, _: bool) -> Option<Connection> {
        None
    }

    /// Its requests run side by side: none has a connection to itself.
    fn bind(&mut self, _: &Destination, _: Connection) {}

    fn progressed(&mut self) {
        self.state.arm_idle();
    }

    fn settle_received(&mut self) {
        self.state.entry.received(self.http2.taken());
    }

    fn settle_returned(&mut self) {
        self.state.entry.returned(self.http2.moved());
    }

    fn after(&self, _: bool) {}

    async fn cut_short(&mut self) {
        self.break_off().await;
    }

    fn end_tunnel(&mut self, is_whole: bool) {
        if !is_whole {
            // A connection that broke is told as RFC 8441, section 5.2, has it.
            self.reset(Reason::CANCEL);
        }
    }

    async fn answer_error(&mut self, plan: &Plan, cause: Cause) {
        self.answer(&Answer::error(cause), plan.request.to_head);
    }
}

fn invalid(error: &h2::Error) -> Failure {
    Failure::with(Cause::RequestBodyInvalid, error)
}
