//! The entry of a request in the access log, from its first byte to the end, however that comes: the line is
//! written when the entry goes. Without a log all of this is a test of one pointer.
//! Must not know: what a line looks like.

use std::{io::Write as _, net::SocketAddr, rc::Rc, sync::Arc};

use memchr::memchr;

use super::{
    connected::Connected,
    context::Context,
    decide::forward::{self, Route, TargetUri},
};
use crate::{
    clock::Nanos,
    counters::Cause,
    digits::{decimal, socket_address},
    internal_errors::Part as _,
    logs::access_log::{AccessLog, Executed, Record, RecordText},
    model::Version,
    response::answer::{Answer, AnswerKind},
    rules::{Act, Chosen, CompiledTransforms},
    snapshot::ListenerView,
    stickiness::GroupOutcome,
    target_group::TargetView,
    wire::{desync, head::Request},
};

/// One request's entry; nothing where nothing is logged.
#[derive(Debug, Default)]
pub(super) struct AccessEntry(Option<LoggedRequest>);

#[derive(Debug)]
struct LoggedRequest {
    context: Rc<Context>,
    log: Arc<AccessLog>,
    record: Box<Record>,
    /// Of the listener.
    port: u16,
}

impl LoggedRequest {
    /// Stands for what the request does not name.
    fn here(&self) -> SocketAddr {
        SocketAddr::new(self.record.ends.address, self.port)
    }
}

impl AccessEntry {
    /// Of a request whose first bytes came when it `began`.
    pub(super) fn begin(
        context: &Rc<Context>,
        listener: &ListenerView,
        connected: &Connected,
        began: Nanos,
    ) -> Self {
        let Some(log) = &listener.access_log else { return Self(None) };
        let created = context.clock.unix_micros(began);
        let ends = connected.ends(&context.connection_ids);
        let mut record = match context.spare_records.borrow_mut().pop() {
            Some(mut record) => {
                record.renew(created, began, ends);
                record
            }
            None => Box::new(Record::new(created, began, ends)),
        };
        record.tls.clone_from(&connected.tls);
        Self(Some(LoggedRequest {
            context: Rc::clone(context),
            log: Arc::clone(log),
            record,
            port: listener.port,
        }))
    }

    /// What came is no request, and is not logged.
    pub(super) fn forget(&mut self) {
        self.0 = None;
    }

    /// Sets what nobody else here does; not called without a log.
    pub(super) fn note(&mut self, set: impl FnOnce(&mut Record)) {
        if let Some(facts) = &mut self.0 {
            set(&mut facts.record);
        }
    }

    /// The request was read.
    pub(super) fn request(&mut self, request: &Request<'_>, route: &Route<'_>) {
        let Some(facts) = &mut self.0 else { return };
        let (here, record) = (facts.here(), &mut facts.record);
        record.version = Some(request.version);
        // Lines tell calls of gRPC apart over HTTP/2 alone.
        record.is_grpc = request.version == Version::Http2 && request.view().is_grpc();
        record.write(RecordText::Request, |out| request_line(request, route.secure, here, out));
        if let Some(agent) = request.view().values("user-agent").next() {
            record.set_user_agent(agent);
        }
    }

    /// It is not compliant, for this reason.
    pub(super) fn classified(&mut self, reason: desync::Reason) {
        self.note(|record| record.classification = (reason.class().name(), reason.name()));
    }

    /// It is to have this value of X-Amzn-Trace-Id.
    pub(super) fn trace(&mut self, value: &[u8]) {
        self.note(|record| record.set(RecordText::TraceId, value));
    }

    /// A rule took it, or the default action.
    pub(super) fn rule(&mut self, chosen: &Chosen<'_>) {
        self.note(|record| {
            record.rule_priority = Some(i32::from(chosen.priority.unwrap_or(0)));
            record.action = Some(match chosen.act {
                Act::Forward(_) => Executed::Forward,
                Act::Redirect(_) => Executed::Redirect,
                Act::FixedResponse(_) => Executed::FixedResponse,
            });
        });
    }

    /// What the transforms of its rule made of it; nothing: they failed.
    pub(super) fn rewritten(&mut self, transforms: &CompiledTransforms, target: Option<&TargetUri<'_>>) {
        if transforms.host.is_none() && transforms.url.is_none() {
            return;
        }
        self.note(|record| {
            record.is_rewritten = true;
            record.transform_status =
                if target.is_some() { "TransformSuccess" } else { "TransformReplaceError" };
            if let (Some(target), true) = (target, transforms.host.is_some()) {
                record.set(RecordText::TransformedHost, target.authority().unwrap_or_default());
            }
            if let (Some(target), true) = (target, transforms.url.is_some()) {
                record.set(RecordText::TransformedUri, target.path());
            }
        });
    }

    /// What its cookies said of the group that it belongs to.
    pub(super) fn group_decision(&mut self, outcome: GroupOutcome) {
        if matches!(outcome, GroupOutcome::Malformed | GroupOutcome::Forged) {
            self.note(|record| record.error_reason = "AWSALBTGCookieInvalid");
        }
    }

    /// It is for a target of this group.
    pub(crate) fn group(&mut self, name: &str) {
        self.note(|record| name.clone_into(&mut record.target_group));
    }

    /// It is tried with this target.
    pub(super) fn target(&mut self, target: &TargetView) {
        self.note(|record| record.set_target(&target.endpoint, &target.runtime.name));
    }

    /// The target is being sent the request, `now`.
    pub(super) fn sent(&mut self, now: Nanos) {
        self.note(|record| record.sent = Some(now));
    }

    /// The head of the target's response is here, `now`.
    pub(super) fn answered(&mut self, status: u16, now: Nanos) {
        self.note(|record| {
            record.answered = Some(now);
            record.target_status = Some(status);
        });
    }

    /// The client is being sent a head of this status: the target's, or the balancer's own.
    pub(super) fn responding(&mut self, status: u16) {
        self.note(|record| {
            record.elb_status = Some(status);
            record.responded = Some(Nanos::now());
        });
    }

    /// It was not answered as it should have been.
    pub(super) fn failed(&mut self, cause: Cause) {
        self.note(|record| record.error_reason = cause.as_str());
    }

    /// The client is being sent an answer of the balancer's own.
    pub(super) fn own(&mut self, answer: &Answer) {
        self.responding(answer.status);
        if let AnswerKind::Error(cause) = answer.reason {
            self.failed(cause);
        }
        if let Some(location) = answer.location() {
            self.note(|record| record.set(RecordText::RedirectUrl, location));
        }
    }

    /// The client is gone before there was anything to send.
    pub(super) fn client_gone(&mut self, cause: Cause) {
        self.note(|record| record.elb_status = Some(cause.status().code()));
        self.failed(cause);
    }

    /// It became a tunnel.
    pub(super) fn tunnel(&mut self) {
        self.note(|record| record.is_tunnel = true);
    }

    /// So many bytes came from the client.
    pub(super) fn received(&mut self, bytes: u64) {
        self.note(|record| record.received_bytes += bytes);
    }

    /// So many bytes went to the client.
    pub(super) fn returned(&mut self, bytes: u64) {
        self.note(|record| record.sent_bytes += bytes);
    }

    /// Whether anything is logged, where finding out what costs something.
    pub(super) fn is_open(&self) -> bool {
        self.0.is_some()
    }
}

impl Drop for AccessEntry {
    fn drop(&mut self) {
        let Some(facts) = self.0.take() else { return };
        let here = facts.here();
        let LoggedRequest { context, log, mut record, .. } = facts;
        if record.text(RecordText::Request).is_empty() {
            // It could not be read (ALB does the same).
            let scheme = if record.tls.is_some() { "https" } else { "http" };
            // Writing to a vector does not fail.
            record.write(RecordText::Request, |out| _ = write!(out, "- {scheme}://{here}- -"));
        }
        if record.tells_end() {
            record.ended = Some(Nanos::now());
        }
        let dropped = context.logs.borrow_mut().add(&log.sink, |out| log.line(&record, out));
        context.counters.log_lines_dropped.add(dropped);
        let mut spare = context.spare_records.borrow_mut();
        if spare.len() < SPARE_RECORDS {
            spare.push(record);
        }
    }
}

/// Logs a request that was refused on a connection on which it could not be read.
pub fn log_unread(
    context: &Rc<Context>,
    listener: &ListenerView,
    [peer, local]: [SocketAddr; 2],
    cause: Cause,
    [received, sent]: [u64; 2],
) {
    let mut entry = AccessEntry::begin(context, listener, &Connected::plain(peer, local), Nanos::now());
    entry.responding(cause.status().code());
    entry.failed(cause);
    entry.received(received);
    entry.returned(sent);
}

/// Most records that a worker keeps for requests to come.
const SPARE_RECORDS: usize = 64;

/// What stands behind user information, which may be a password: nobody may send it (RFC 9110, section 4.2.4).
fn without_user(authority: &[u8]) -> &[u8] {
    authority.rsplit(|byte| *byte == b'@').next().unwrap_or_default()
}

/// Authority and path of what can be the target of no request, as far as they can be told apart.
#[cold]
fn parts_of_refused<'a>(target: &'a [u8], host: Option<&'a [u8]>) -> (Option<&'a [u8]>, &'a [u8]) {
    const MARK: &[u8] = b"://";
    let is_end = |byte: &u8| matches!(byte, b'/' | b'?' | b'#');
    let mark = target.windows(MARK.len()).position(|part| part == MARK);
    let rest = mark.map_or(target, |at| target.part(at + MARK.len()..));
    let end = rest.iter().position(is_end).unwrap_or(rest.len());
    let (authority, path) = (rest.part(..end), rest.part(end..));
    match mark {
        Some(_) => (Some(without_user(authority)), path),
        None => (host, target.part(authority.len() - without_user(authority).len()..)),
    }
}

/// `METHOD protocol://host:port/uri HTTP/version`, with the host and the URI as they came, but for user information.
/// `here` stands for what the request does not name.
fn request_line(request: &Request<'_>, secure: bool, here: SocketAddr, out: &mut Vec<u8>) {
    out.extend_from_slice(request.method);
    out.extend_from_slice(if secure { b" https://" } else { b" http://" });
    let target = TargetUri::of(request).ok();
    let (authority, path) = match &target {
        // One that can be a request's has no user information.
        Some(target) => (target.authority(), target.path()),
        None => parts_of_refused(request.target, request.host),
    };
    match authority.filter(|authority| !authority.is_empty()) {
        Some(authority) => {
            out.extend_from_slice(authority);
            // Most have no colon, which is seen at once.
            if memchr(b':', authority).is_none() || !forward::has_port(authority) {
                out.push(b':');
                decimal(here.port(), out);
            }
        }
        None => socket_address(here, out),
    }
    out.extend_from_slice(path);
    out.extend_from_slice(match request.version {
        Version::Http10 => b" HTTP/1.0",
        Version::Http11 => b" HTTP/1.1",
        Version::Http2 => b" HTTP/2.0",
    });
}

#[cfg(test)]
mod tests;
