//! A client of HTTP/2 as one side of an exchange. Must not know: which version of HTTP the target speaks, but that there are
//! two.

use std::{
    convert::Infallible,
    os::fd::RawFd,
    task::{Context as TaskContext, Poll},
};

use super::{client::Http2Client, target::Http2Target};
use crate::{
    counters::{Cause, Failure},
    http::{
        decide::plan::Plan,
        exchange::{ClientSide, Http1Target, RequestState, Retries, attempt},
    },
    model::{EditOp, HeaderEdits, ProtocolVersion},
    response::{answer::Answer, compose},
    upstream::{Connection, Destination},
    wire::{
        body::{BodyError, Source as _, Untaken},
        head::{Framing, Response},
        http2::{ErrorCode, HeadWriter, Http2Stream, StreamFault},
    },
};

impl ClientSide for Http2Client {
    type After = ();
    const OVER: () = ();
    type Body = Http2Stream;

    fn state(&self) -> &RequestState {
        &self.state
    }

    fn state_mut(&mut self) -> &mut RequestState {
        &mut self.state
    }

    fn body(&mut self) -> &mut Http2Stream {
        &mut self.stream
    }

    fn socket(&self) -> Option<RawFd> {
        self.stream.waits_for_connection().then_some(self.socket)
    }

    async fn attempt(&mut self, plan: &mut Plan, tries: &Retries) -> Result<(), Failure> {
        if plan.group().settings.protocol_version == ProtocolVersion::Http1 {
            return attempt::<Self, Http1Target>(self, plan, tries).await;
        }
        if plan.request.upgrade {
            return Err(Cause::ProtocolsIncompatible.into());
        }
        attempt::<Self, Http2Target>(self, plan, tries).await
    }

    /// Whether the client reset the request.
    fn poll_gone(&mut self, cx: &mut TaskContext<'_>, _: bool) -> Poll<()> {
        self.stream.poll_fault(cx).map(|_| ())
    }

    fn gone(&mut self) -> Failure {
        match self.stream.fault() {
            Some(fault @ StreamFault::Malformed) => invalid(fault),
            _ => Failure::gone(self.stream.is_read()),
        }
    }

    #[cold]
    fn body_failed(error: &BodyError<StreamFault>) -> Failure {
        match error {
            BodyError::Source(fault @ StreamFault::Malformed) => invalid(*fault),
            _ => Failure::gone(false),
        }
    }

    async fn invite(&mut self, _: &Plan) -> bool {
        if std::mem::replace(&mut self.invited, true) {
            return true;
        }
        self.send_interim_head(100)
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
        // A 100 was said already.
        if response.status != 100 {
            let size = self.head(response, &HeaderEdits::new(), response.status, false)?;
            self.state.entry.returned(size);
        }
        Ok(Vec::new())
    }

    async fn send_interim(&mut self, _: Vec<u8>) -> bool {
        true
    }

    fn respond(&mut self, _: &Plan, response: &Response<'_>, edits: &HeaderEdits) -> Result<(), Failure> {
        let switching = response.status == 101;
        let status = if switching { 200 } else { response.status };
        self.state.entry.responding(status);
        let ends = response.framing == Framing::Empty && !switching;
        let size = self.head(response, edits, status, ends)?;
        self.state.entry.returned(size);
        Ok(())
    }

    fn bound(&mut self, _: &Destination, _: bool) -> Option<Connection> {
        None
    }

    /// Its requests run side by side: none has a connection to itself.
    fn bind(&mut self, _: &Destination, _: Connection) {}

    fn progressed(&mut self) {
        self.state.arm_moving();
    }

    fn settle_received(&mut self) {
        self.state.entry.received(self.stream.taken());
    }

    fn settle_returned(&mut self) {
        self.state.entry.returned(self.stream.moved());
    }

    fn after(&self, _: bool) {}

    async fn cut_short(&mut self, plan: &Plan, failure: &Failure) {
        self.break_off(plan, failure);
    }

    fn end_tunnel(&mut self, is_whole: bool) {
        if !is_whole {
            // A connection that broke is told as RFC 8441, section 5.2, has it.
            self.stream.reset(ErrorCode::Cancel);
        }
    }

    async fn answer_error(&mut self, plan: &Plan, failure: &Failure) {
        if let Some(code) = plan.forwarded_reset(failure) {
            return self.forward_reset(failure.cause, code);
        }
        self.answer(&Answer::error(failure.cause), plan.request.to_head).await;
    }
}

impl Http2Client {
    /// Sends the head of a response: fields of a connection left out, edits applied. Gives back the bytes of its names and
    /// values.
    fn head(
        &mut self,
        response: &Response<'_>,
        edits: &HeaderEdits,
        status: u16,
        ends: bool,
    ) -> Result<u64, Failure> {
        let clock = &self.state.context.clock;
        let switching = response.status == 101;
        let fields = |head: &mut HeadWriter<'_>| {
            // A 101 needs no date, and a 200 does.
            let mut has_date = !switching;
            let put = |name: &[u8], value: &[u8]| -> Result<(), Infallible> {
                if !(switching && name.eq_ignore_ascii_case(b"sec-websocket-accept")) {
                    head.field(name, value);
                    has_date |= switching && name.eq_ignore_ascii_case(b"date");
                }
                Ok(())
            };
            let Ok(()) = compose::fields(response, edits, clock, false, put);
            if !has_date {
                clock.with_date(|date| head.field(b"date", date.as_bytes()));
            }
            for edit in edits.iter().filter(|edit| edit.op != EditOp::Remove) {
                head.field(edit.name.as_bytes(), edit.value);
            }
        };
        self.stream.send_head(status, ends, fields).map_err(|why| match why {
            Untaken::Malformed => Cause::TargetHeaderInvalid.into(),
            Untaken::Closed => Failure::gone(self.stream.is_read()),
        })
    }
}

fn invalid(fault: StreamFault) -> Failure {
    Failure::with(Cause::RequestBodyInvalid, &fault)
}
