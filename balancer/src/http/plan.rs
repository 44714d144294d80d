//! From a request head to what is going to be done with it. Everything here happens at once, on borrowed
//! bytes: what has to outlive the head is taken out of it.

use std::{cell::Cell, net::IpAddr, rc::Rc, time::Instant};

use super::{
    Context,
    admission::{admit, unreadable},
    attempts::Reach,
    context::Taken,
    entry::Entry,
    failure,
    forward::{self, Route, Target},
    pick::{pick, spill},
    tried::Tried,
};
use crate::{
    clock::{UnixSeconds, monotonic_now},
    id::Slot,
    model::{HeaderEdits, ProtocolVersion, RequestHead, ResponseHead, Version},
    panics,
    response::answer::Answer,
    rules::{Act, Chosen, Forward},
    snapshot::{ListenerId, ListenerView},
    stickiness::{Answered, Decision, GroupDecision, Outcome, Renewal},
    target_group::{GroupView, TargetState, TargetView},
    telemetry::counters::Cause,
    upstream::Destination,
    wire::{
        authentication::is_of_connection,
        fields::Kind,
        head::{Framing, HeadError, Request, Response},
        upgrade::is_accepted,
    },
};

/// What of the request is still needed once its head is gone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wishes {
    /// Version.
    pub(super) version: Version,
    /// How the body is framed.
    pub(super) framing: Framing,
    /// Whether the client wants the connection kept.
    pub(super) keep_alive: bool,
    /// Whether the method is HEAD.
    pub(super) to_head: bool,
    /// Whether doing it twice is the same as doing it once (RFC 9110, section 9.2.2).
    pub(super) idempotent: bool,
    /// Whether the client waits for a 100.
    pub(super) expects_continue: bool,
    /// Whether the client asks for another protocol that it may have.
    pub(super) upgrade: bool,
    /// Whether the connection to the target is closed after it (ALB: desync mitigation).
    pub(super) apart: bool,
    /// Whether the client authenticates itself in a way that may hold for all that follows on the target's connection.
    pub(super) authenticates: bool,
}

/// The group that a client is told to stick to.
#[derive(Clone, Copy, Debug)]
struct GroupChoice {
    listener: ListenerId,
    /// Place of the action among those of the listener.
    action: usize,
    /// Place of the group in the action.
    place: usize,
    decision: GroupDecision,
}

/// What is going to be done.
#[derive(Debug)]
pub(super) struct Plan {
    snapshot: Rc<Taken>,
    group: usize,
    target: usize,
    /// What it has tried, once there is something.
    tried: Option<Box<Tried>>,
    turn: Option<u32>,
    group_choice: Option<GroupChoice>,
    decision: Option<Decision>,
    /// Whether the request goes elsewhere because the target of its session is too busy.
    spilled: bool,
    /// Where its client is.
    peer: IpAddr,
    /// What tells its client from others, where the count of sessions needs it; else 0.
    client: u64,
    /// The protocols that the target is offered.
    upgrade: Option<Box<[u8]>>,
    /// When it was sent to the target, as soon as it was.
    sent: Cell<Option<Instant>>,
    /// What the client wants.
    pub(super) wishes: Wishes,
    /// The head for the target.
    pub(super) head: Vec<u8>,
}

/// Why there is no plan.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    /// The answer.
    pub(super) answer: Answer,
    /// What the client wants, where that is known: without it the connection is closed.
    pub(super) wishes: Option<Wishes>,
}

impl Refusal {
    /// The page of an error.
    pub(super) fn error(cause: Cause, wishes: Wishes) -> Self {
        Self { answer: Answer::error(cause), wishes: Some(wishes) }
    }
}

/// Why the head of a request is refused.
pub(super) fn cause_of(error: HeadError) -> Cause {
    match error {
        HeadError::TooLarge | HeadError::TooManyFields => Cause::RequestHeadTooLarge,
        HeadError::LineTooLong => Cause::RequestLineTooLong,
        HeadError::Version => Cause::HttpVersionUnknown,
        HeadError::TransferCoding => Cause::TransferCodingUnknown,
        _ => Cause::RequestInvalid,
    }
}

impl From<HeadError> for Refusal {
    fn from(error: HeadError) -> Self {
        Self { answer: Answer::error(cause_of(error)), wishes: None }
    }
}

impl Wishes {
    pub(super) fn of(request: &Request<'_>) -> Self {
        Self {
            version: request.version,
            framing: request.framing,
            keep_alive: request.keep_alive,
            to_head: request.method == b"HEAD",
            idempotent: matches!(request.method, b"GET" | b"HEAD" | b"OPTIONS" | b"PUT" | b"DELETE"),
            expects_continue: request.expects_continue && request.framing != Framing::Empty,
            upgrade: request.upgrade.is_some(),
            apart: false,
            authenticates: is_of_connection(request.fields.of(Kind::Credentials)),
        }
    }
}

/// Whether the protocols of client and targets go together (ALB: protocol versions of target groups).
fn go_together(head: &RequestHead<'_>, targets: ProtocolVersion) -> bool {
    match (head.version, targets) {
        (Version::Http10 | Version::Http11, targets) => targets == ProtocolVersion::Http1,
        (Version::Http2, ProtocolVersion::Http1) => !is_grpc(head),
        (Version::Http2, ProtocolVersion::Http2) => true,
        (Version::Http2, ProtocolVersion::Grpc) => head.method == b"POST",
    }
}

/// Whether the request is a call of gRPC; gRPC-Web, which any HTTP carries, is another type.
pub(super) fn is_grpc(head: &RequestHead<'_>) -> bool {
    head.values("content-type").any(|value| {
        let kind = b"application/grpc";
        value.split_at_checked(kind.len()).is_some_and(|(front, rest)| {
            front.eq_ignore_ascii_case(kind) && matches!(rest, [] | [b'+' | b';' | b' ', ..])
        })
    })
}

impl Plan {
    /// Decides over the request whose HTTP/1.1 head is `bytes`. `memory` becomes the head for the target.
    ///
    /// # Errors
    /// What the client is to be told instead.
    pub(super) fn make(
        context: &Context,
        snapshot: Rc<Taken>,
        listener: &ListenerView,
        route: &Route<'_>,
        bytes: &[u8],
        memory: Vec<u8>,
        entry: &mut Entry,
    ) -> Result<Self, Refusal> {
        // Looked at where it stands: with room for all its fields it is too large to be moved about.
        match &mut Request::parse(bytes) {
            Ok(request) => Self::decide(context, snapshot, listener, route, request, memory, entry),
            Err(error) => {
                let shard = context.listener_shard(listener);
                Err(unreadable(shard, route.connected.peer, bytes, *error, entry))
            }
        }
    }

    /// Decides over `request`, whatever version it came in.
    ///
    /// # Errors
    /// What the client is to be told instead.
    pub(super) fn decide(
        context: &Context,
        snapshot: Rc<Taken>,
        listener: &ListenerView,
        route: &Route<'_>,
        request: &mut Request<'_>,
        mut memory: Vec<u8>,
        entry: &mut Entry,
    ) -> Result<Self, Refusal> {
        panics::provoke(request.target);
        let shard = context.listener_shard(listener);
        shard.requests.inc();
        entry.request(request, route);
        if route.connected.peer.ip().to_canonical().is_ipv6() {
            shard.ipv6_requests.inc();
        }
        let wishes = admit(shard, route, request, entry)?;
        let target = Target::of(request)?;
        let view = request.view();
        let chosen = listener.rules.choose(&view, route.connected.peer.ip());
        shard.rule_evaluations.add(chosen.evaluated as u64);
        entry.rule(&chosen);
        let forward = forward_of(&chosen, &target, route, wishes)?;
        let target = match chosen.transforms {
            Some(transforms) => {
                let rewritten = target.rewrite(transforms);
                entry.rewritten(transforms, rewritten.as_ref().ok());
                rewritten.map_err(|_| Refusal::error(Cause::TransformFailed, wishes))?
            }
            None => target,
        };
        memory.clear();
        let trace = context.trace_ids.borrow_mut().draw(context.clock.unix());
        let traced = forward::head(request, &target, route, &trace, &mut memory);
        entry.trace(memory.get(traced).unwrap_or_default());
        let way = (listener, &chosen, forward, route.connected.peer.ip());
        let mut plan = Self::route(context, snapshot, way, &view, wishes, memory, entry)?;
        plan.upgrade = request.upgrade.as_deref().map(Box::from);
        Ok(plan)
    }

    /// Whether `response` (101) changes to a protocol that its target was offered.
    pub(super) fn is_switched_by(&self, response: &Response<'_>) -> bool {
        let values = response.fields.of(Kind::Upgrade);
        self.upgrade.as_deref().is_some_and(|offered| is_accepted(offered, values))
    }

    /// Decides which group and which target get the request.
    fn route(
        context: &Context,
        snapshot: Rc<Taken>,
        (listener, chosen, forward, peer): (&ListenerView, &Chosen<'_>, &Forward, IpAddr),
        view: &RequestHead<'_>,
        wishes: Wishes,
        head: Vec<u8>,
        entry: &mut Entry,
    ) -> Result<Self, Refusal> {
        let refuse = |cause| Refusal::error(cause, wishes);
        let routed = forward.route(view, context.clock.unix());
        if let Some(decision) = &routed.decision {
            entry.group_decision(decision.outcome);
            context.listener_shard(listener).group_stickiness.count(decision.outcome);
        }
        // No client has a group yet, and none has a weight: nobody is there.
        let place = routed.place.ok_or_else(|| {
            failure::tell_refusal_by_weight(&listener.name);
            refuse(Cause::NoTargetGroup)
        })?;
        let group_choice = routed.decision.map(|decision| GroupChoice {
            listener: listener.id,
            action: chosen.place,
            place,
            decision,
        });
        let (index, group) = forward
            .group(place)
            .and_then(|index| Some((index, snapshot.groups.get(index)?)))
            .ok_or_else(|| refuse(Cause::NoTargetGroup))?;
        entry.group(&group.settings.name);
        let shard = context.group_shard(group);
        let refuse = |cause| {
            failure::tell_refusal(group, cause);
            shard.inspect(|shard| shard.answers.failures.count(cause));
            refuse(cause)
        };
        if !go_together(view, group.settings.protocol_version) {
            return Err(refuse(Cause::ProtocolsIncompatible));
        }
        shard.inspect(|shard| shard.routing.requests.inc());
        if view.version == Version::Http2 && is_grpc(view) {
            context.listener_shard(listener).grpc_requests.inc();
            shard.inspect(|shard| shard.answers.grpc_requests.inc());
        }
        let decision = group
            .stickiness
            .as_ref()
            .map(|sticky| sticky.decide(view, &**group, &context.sessions, context.clock.unix()));
        if let (Some(decision), Some(shard)) = (&decision, shard) {
            shard.stickiness.decisions.count(decision.outcome);
        }
        if decision.as_ref().is_some_and(|decision| decision.outcome == Outcome::Unhealthy) && fails(group) {
            shard.inspect(|shard| shard.stickiness.refused_requests.inc());
            return Err(refuse(Cause::StickyTargetUnhealthy));
        }
        let pinned = decision.as_ref().and_then(|decision| decision.target);
        let elsewhere = pinned.and_then(|home| spill(context, group, home));
        if let (Some(_), Some(shard)) = (elsewhere, shard) {
            shard.stickiness.spilled_requests.inc();
        }
        let turn = pinned.is_none().then(|| group.runtime.next_turn());
        let target = elsewhere
            .or(pinned)
            .or_else(|| pick(context, group, turn?, &[]))
            .ok_or_else(|| refuse(Cause::NoTarget))?;
        shard.inspect(|shard| shard.answers.requests_with_target.inc());
        Ok(Self {
            client: match elsewhere.is_some() || moves(group, decision.as_ref(), context.clock.unix()) {
                true => client_mark(group, &head, peer),
                false => 0,
            },
            peer,
            upgrade: None,
            sent: Cell::new(None),
            group: index,
            target,
            tried: None,
            turn,
            group_choice,
            decision,
            spilled: elsewhere.is_some(),
            wishes,
            head,
            snapshot,
        })
    }

    /// The group.
    pub(super) fn group(&self) -> Option<&GroupView> {
        self.snapshot.groups.get(self.group).map(|group| &**group)
    }

    /// The target that is to get the request.
    #[must_use]
    pub(super) fn target(&self) -> Option<&TargetView> {
        self.group()?.targets.get(self.target)
    }

    /// Has the request go to a target that is preferred, where no session says where to and it takes requests.
    #[cold]
    pub(super) fn prefer(&mut self, is_preferred: impl Fn(Slot) -> bool) {
        let Some(group) = self.snapshot.groups.get(self.group).filter(|_| self.turn.is_some()) else {
            return;
        };
        let preferred =
            |place: &usize| group.targets.get(*place).is_some_and(|target| is_preferred(target.slot));
        if let Some(place) = group.routable.iter().map(|place| *place as usize).find(preferred) {
            self.target = place;
        }
    }

    /// Its place in the group.
    pub(super) fn place(&self) -> usize {
        self.target
    }

    /// Where that target is.
    pub(super) fn destination(&self) -> Option<Destination> {
        let tls = self.group()?.tls.clone();
        self.target().map(|target| Destination { slot: target.slot, endpoint: target.endpoint.clone(), tls })
    }

    /// Whether the request goes to the target that its client is bound to.
    fn is_at_home(&self) -> bool {
        self.decision.as_ref().is_some_and(|decision| decision.target == Some(self.target))
    }

    /// The target cannot be had: another one within `reach`, if there is one that was not tried and the session may move.
    /// The turn stays, so that trying again does not put the others out of turn.
    #[cold]
    pub(super) fn turn_elsewhere(&mut self, context: &Context, reach: Reach) -> bool {
        let Some(group) = self.snapshot.groups.get(self.group) else { return false };
        if self.is_at_home() && fails(group) {
            return false;
        }
        let turn = *self.turn.get_or_insert_with(|| group.runtime.next_turn());
        let tried = self.tried.get_or_insert_with(|| Box::new(Tried::new(group.refusing(monotonic_now()))));
        tried.add(self.target);
        let Some(target) = tried.next(reach, |excluded| pick(context, group, turn, excluded)) else {
            return false;
        };
        self.target = target;
        if self.client == 0 && self.decision.is_some() {
            self.client = client_mark(group, &self.head, self.peer);
        }
        true
    }

    /// What the head of the target's response is given on its way to the client. Counts the response.
    pub(super) fn respond(
        &self,
        context: &Context,
        response: &ResponseHead<'_>,
        secure: bool,
    ) -> HeaderEdits {
        let mut edits = HeaderEdits::new();
        let (Some(group), Some(target)) = (self.group(), self.target()) else { return edits };
        self.keep_group(context, response, secure, &mut edits);
        if let (Some(decision), Some(sticky)) = (&self.decision, &group.stickiness) {
            let (sessions, now) = (&context.sessions, context.clock.unix());
            // Being busy for a moment is no reason to move a session.
            let home = decision.target.filter(|_| self.spilled).and_then(|home| group.targets.get(home));
            let home = home.unwrap_or(target);
            let nonce = u16::try_from(context.random.borrow_mut().draw() >> 48).unwrap_or_default();
            let answered = Answered { by: target.id, home: home.id, nonce };
            let renewal = sticky.respond(decision, answered, response, secure, sessions, now, &mut edits);
            if let Renewal::Bound(bound) = renewal {
                let bound = if bound == home.id { home } else { target };
                count_session(group, bound, decision, (now, self.client));
            }
        }
        self.count_response(context, group, target, response.status);
        edits
    }

    fn count_response(&self, context: &Context, group: &GroupView, target: &TargetView, status: u16) {
        let class = usize::from(status / 100).saturating_sub(1);
        if let Some(counter) = context.target_shard(target).and_then(|shard| shard.responses.get(class)) {
            counter.inc();
        }
        let Some(shard) = context.group_shard(group) else { return };
        if let Some(counter) = shard.answers.responses.get(class) {
            counter.inc();
        }
        if let Some(sent) = self.sent.get() {
            shard.answers.response_time.observe(monotonic_now().saturating_duration_since(sent));
        }
    }

    /// Binds the client to the group that answered, where the action says so.
    fn keep_group(
        &self,
        context: &Context,
        response: &ResponseHead<'_>,
        secure: bool,
        edits: &mut HeaderEdits,
    ) {
        let Some(GroupChoice { listener, action, place, decision }) = &self.group_choice else { return };
        let act = self.snapshot.listener(*listener).and_then(|listener| listener.rules.act(*action));
        if let Some(Act::Forward(forward)) = act
            && let Some(cookie) = forward.cookie()
        {
            cookie.respond(decision, *place, response, secure, context.clock.unix(), edits);
        }
    }

    /// Counts a request that is sent to a target that is not healthy for want of healthy ones.
    pub(super) fn count_sending(&self, context: &Context) {
        self.sent.set(Some(monotonic_now()));
        let (Some(group), Some(target)) = (self.group(), self.target()) else { return };
        if let Some(shard) = context.target_shard(target) {
            shard.requests.inc();
        }
        let healthy = matches!(target.state, TargetState::Healthy | TargetState::Unavailable);
        if let (Some(shard), true) = (context.group_shard(group), group.failing_open && !healthy) {
            shard.routing.unhealthy_routing_requests.inc();
        }
    }
}

/// The groups that the request may go to, unless the action answers it.
fn forward_of<'c>(
    chosen: &Chosen<'c>,
    target: &Target<'_>,
    route: &Route<'_>,
    wishes: Wishes,
) -> Result<&'c Forward, Refusal> {
    let answer = match chosen.act {
        Act::Forward(forward) => return Ok(forward),
        Act::Redirect(redirect) => match target.redirect(redirect, route) {
            Some(location) => Answer::redirect(redirect.status(), location),
            None => Answer::error(Cause::RedirectTooLong),
        },
        Act::FixedResponse(response) => Answer::fixed(response),
    };
    Err(Refusal { answer, wishes: Some(wishes) })
}

/// Whether the request's session moves in the ledger of its target, as far as is known before it is sent.
fn moves(group: &GroupView, decision: Option<&Decision>, now: UnixSeconds) -> bool {
    decision.is_some_and(|decision| {
        decision.proved().is_some_and(|(id, issued)| {
            let target = group.find(id);
            decision.target.is_none()
                || target.is_some_and(|(_, target)| target.runtime.sessions.is_due(issued, now))
        })
    })
}

/// What tells the client of a session from others whose cookies were set in the same second: its cookies, what it calls
/// itself, and its address. Never 0. Worked out only where a session moves in the ledger of its target, which is seldom.
#[cold]
fn client_mark(group: &GroupView, head: &[u8], peer: IpAddr) -> u64 {
    let mut rest = head;
    let lines = std::iter::from_fn(|| {
        let (line, after) = rest.split_at_checked(memchr::memchr(b'\n', rest)? + 1)?;
        rest = after;
        Some(line)
    });
    let telling = lines.filter(|line| {
        let name: &[u8] = match line.first() {
            Some(b'c' | b'C') => b"cookie:",
            Some(b'u' | b'U') => b"user-agent:",
            _ => return false,
        };
        line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
    });
    let address = match peer.to_canonical() {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    group.runtime.mark(telling.chain([&address.octets()[..]])) | 1
}

/// Counts a client that was bound to `chosen` just now, where it is bound and where it was before.
fn count_session(
    group: &GroupView,
    chosen: &TargetView,
    decision: &Decision,
    (now, client): (UnixSeconds, u64),
) {
    let before = decision.proved().map(|(id, issued)| (group.find(id).map(|(_, old)| old), issued));
    match before {
        Some((Some(old), issued)) if old.id == chosen.id => {
            chosen.runtime.sessions.renew(issued, now, (client != 0).then_some(client))
        }
        Some((Some(old), issued)) => {
            if old.runtime.sessions.leave(issued, now, client) {
                chosen.runtime.sessions.begin(now);
            }
        }
        Some((None, _)) | None => chosen.runtime.sessions.begin(now),
    }
}

/// Whether sessions of the group would rather fail than move from a target that is not there for them.
fn fails(group: &GroupView) -> bool {
    group.settings.stickiness.as_ref().is_some_and(|sticky| sticky.extras.fails_when_unhealthy)
}
