//! From a request head to what is going to be done with it. Everything here happens at once, on borrowed
//! bytes: what has to outlive the head is taken out of it.

use std::{cell::Cell, net::IpAddr, rc::Rc};

use super::{
    admission::{admit, unreadable},
    asking::{SessionQuestions, ask},
    forward::{self, Route, TargetUri},
    head_notes::HeadNotes,
    pick::{pick, spill},
    refusal::{Refusal, tell_refusal, tell_refusal_by_weight},
    request_traits::RequestTraits,
    session_moves::{client_mark, fields_of, moves},
    tried::{Reach, Tried},
};
use crate::{
    clock::{Nanos, monotonic_now},
    counters::{Cause, GroupShard},
    http::{
        context::{Context, WorkerSnapshot, WorkerTarget},
        entry::AccessEntry,
    },
    id::Slot,
    internal_errors::{self, Part as _},
    model::{ProtocolVersion, RequestHead, Version},
    panics,
    response::answer::Answer,
    rules::{Act, Chosen, CompiledForward},
    snapshot::{ListenerId, ListenerView},
    stickiness::{Decision, GroupDecision, Outcome},
    target_group::{GroupView, TargetState, TargetView},
    upstream::Destination,
    wire::{
        fields::Kind,
        head::{Request, Response},
        upgrade::is_accepted,
    },
};

/// The group that a client is told to stick to.
#[derive(Debug)]
pub(super) struct GroupChoice {
    pub(super) snapshot: Rc<WorkerSnapshot>,
    pub(super) listener: ListenerId,
    /// Index of the action among those of the listener.
    pub(super) action: usize,
    /// Index of the group in the action.
    pub(super) index: usize,
    pub(super) decision: GroupDecision,
}

/// What is going to be done.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The target that gets the request.
    target: WorkerTarget,
    /// What it has tried, once there is something.
    tried: Option<Box<Tried>>,
    turn: Option<u32>,
    pub(super) group_choice: Option<GroupChoice>,
    pub(super) decision: Option<Decision>,
    /// Whether the request goes elsewhere because the target of its session is too busy.
    pub(super) spilled: bool,
    /// Where its client is.
    peer: IpAddr,
    /// What tells its client from others, where the count of sessions needs it; else 0.
    pub(super) client: u64,
    /// The protocols that the target is offered.
    upgrade: Option<Box<[u8]>>,
    /// What has to be waited for before it is sent: what others know of its session.
    pub(super) asking: Option<Box<SessionQuestions>>,
    /// When it was sent to the target, as soon as it was.
    pub(super) sent: Cell<Option<Nanos>>,
    /// What is still needed of the request.
    pub(crate) request: RequestTraits,
    /// The head for the target.
    pub(crate) head: Vec<u8>,
}

/// Whether the protocols of client and targets go together (ALB: protocol versions of target groups).
fn go_together(head: &RequestHead<'_>, is_grpc: bool, targets: ProtocolVersion) -> bool {
    match (head.version, targets) {
        (Version::Http10 | Version::Http11, targets) => targets == ProtocolVersion::Http1,
        (Version::Http2, ProtocolVersion::Http1) => !is_grpc,
        (Version::Http2, ProtocolVersion::Http2) => true,
        (Version::Http2, ProtocolVersion::Grpc) => head.method == b"POST",
    }
}

/// Whether a request may go to a target of HTTP/2, for which its head is taken apart.
fn has_http2_group(snapshot: &WorkerSnapshot, forward: &CompiledForward) -> bool {
    let mut groups = (0..forward.len()).filter_map(|index| snapshot.group(forward.group(index)?));
    groups.any(|group| group.settings.protocol_version != ProtocolVersion::Http1)
}

/// The group that knows the session of a client which returns no cookie of its group's: index in the action.
fn home_of(
    context: &Context,
    snapshot: &WorkerSnapshot,
    forward: &CompiledForward,
    view: &RequestHead<'_>,
) -> Option<usize> {
    let knows = |index: &usize| {
        let group = forward.group(*index).and_then(|index| snapshot.group(index));
        let sticky = group.and_then(|group| group.stickiness.as_ref());
        sticky.is_some_and(|sticky| sticky.knows(view, &context.sessions, context.clock.unix()))
    };
    (0..forward.len()).find(knows)
}

impl Plan {
    /// Decides over the request whose HTTP/1.1 head is `bytes`. `memory` becomes the head for the target.
    ///
    /// # Errors
    /// What the client is to be told instead.
    pub(crate) fn make(
        context: &Context,
        snapshot: &Rc<WorkerSnapshot>,
        listener: &ListenerView,
        route: &Route<'_>,
        bytes: &[u8],
        memory: Vec<u8>,
        entry: &mut AccessEntry,
    ) -> Result<Self, Refusal> {
        let mut request = Request::default();
        match request.read(bytes) {
            Ok(()) => {
                // Clients of HTTP/1.1 go to targets of HTTP/1.1 alone, which get the head as it is.
                let mut notes = HeadNotes::begin(false);
                let head = (memory, &mut notes);
                Self::decide(context, snapshot, listener, route, &mut request, head, entry)
            }
            Err(error) => {
                let shard = context.listener_shard(listener);
                Err(unreadable(shard, route.connected.peer, bytes, error, entry))
            }
        }
    }

    /// Decides over `request`, whatever version it came in. `memory` becomes the head for the target, and `notes` say what is where
    /// in it.
    ///
    /// # Errors
    /// What the client is to be told instead.
    pub(crate) fn decide(
        context: &Context,
        snapshot: &Rc<WorkerSnapshot>,
        listener: &ListenerView,
        route: &Route<'_>,
        request: &mut Request<'_>,
        (mut memory, notes): (Vec<u8>, &mut HeadNotes),
        entry: &mut AccessEntry,
    ) -> Result<Self, Refusal> {
        panics::provoke(request.target);
        let shard = context.listener_shard(listener);
        shard.requests.inc();
        entry.request(request, route);
        if route.connected.peer.ip().to_canonical().is_ipv6() {
            shard.ipv6_requests.inc();
        }
        let traits = admit(shard, route, request, entry)?;
        let target = TargetUri::of(request)?;
        let view = request.view();
        let chosen = listener.rules.choose(&view, route.connected.peer.ip());
        shard.rule_evaluations.add(chosen.evaluated as u64);
        listener.rules.count(&chosen, context.worker);
        entry.rule(&chosen);
        let forward = forward_of(&chosen, &target, route, traits)?;
        let target = match chosen.transforms {
            Some(transforms) => {
                let rewritten = target.rewrite(transforms);
                entry.rewritten(transforms, rewritten.as_ref().ok());
                rewritten.map_err(|_| Refusal::error(Cause::TransformFailed, traits))?
            }
            None => target,
        };
        if notes.are_wanted() && !has_http2_group(snapshot, forward) {
            notes.leave_off();
        }
        memory.clear();
        let trace = context.trace_ids.borrow_mut().draw(context.clock.unix());
        let traced = forward::head(request, &target, route, &trace, (&mut memory, notes));
        entry.trace(memory.part(traced));
        let way = (listener, &chosen, forward, route.connected.peer.ip());
        let upgrade = request.upgrade.as_deref().map(Box::from);
        Self::route(context, snapshot, way, &view, (traits, upgrade), memory, entry)
    }

    /// Whether `response` (101) changes to a protocol that its target was offered.
    pub(crate) fn is_switched_by(&self, response: &Response<'_>) -> bool {
        let values = response.fields.of(Kind::Upgrade);
        self.upgrade.as_deref().is_some_and(|offered| is_accepted(offered, values))
    }

    /// Whether what it may change to is WebSocket alone.
    pub(crate) fn is_websocket(&self) -> bool {
        self.upgrade.as_deref().is_some_and(|offered| offered.eq_ignore_ascii_case(b"websocket"))
    }

    /// Decides which group and which target get the request.
    fn route(
        context: &Context,
        snapshot: &Rc<WorkerSnapshot>,
        (listener, chosen, forward, peer): (&ListenerView, &Chosen<'_>, &CompiledForward, IpAddr),
        view: &RequestHead<'_>,
        (traits, upgrade): (RequestTraits, Option<Box<[u8]>>),
        head: Vec<u8>,
        entry: &mut AccessEntry,
    ) -> Result<Self, Refusal> {
        let refuse = |cause| Refusal::error(cause, traits);
        let routed = forward.route(view, context.clock.unix());
        if let Some(decision) = &routed.decision {
            entry.group_decision(decision.outcome);
            context.listener_shard(listener).group_stickiness.count(decision.outcome);
        }
        let is_drawn = routed.decision.as_ref().is_some_and(|decision| decision.index.is_none());
        let home = if is_drawn { home_of(context, snapshot, forward, view) } else { None };
        // No client has a group yet, and none has a weight: nobody is there.
        let index = home.or(routed.index).ok_or_else(|| {
            tell_refusal_by_weight(&listener.name);
            refuse(Cause::NoTargetGroup)
        })?;
        let group_choice = routed.decision.map(|decision| GroupChoice {
            snapshot: Rc::clone(snapshot),
            listener: listener.id,
            action: chosen.index,
            index,
            decision,
        });
        let Some(held) = forward.group(index).and_then(|index| snapshot.group(index)) else {
            internal_errors::note("the groups of an action are those of its snapshot");
            return Err(refuse(Cause::NoTargetGroup));
        };
        let group: &GroupView = held;
        entry.group(&group.settings.name);
        let shard = context.group_shard(group);
        let refuse = |cause| {
            tell_refusal(group, cause);
            shard.inspect(|shard| shard.answers.failures.count(cause));
            refuse(cause)
        };
        let is_grpc = view.version == Version::Http2 && view.is_grpc();
        if !go_together(view, is_grpc, group.settings.protocol_version) {
            return Err(refuse(Cause::ProtocolsIncompatible));
        }
        if is_grpc {
            context.listener_shard(listener).grpc_requests.inc();
        }
        let decision = group
            .stickiness
            .as_ref()
            .map(|sticky| sticky.decide(view, group, &context.sessions, context.clock.unix()));
        let pinned = decision.as_ref().and_then(|decision| decision.target);
        let is_drawn = is_drawn && home.is_none();
        let asking = if pinned.is_none() && (decision.is_some() || is_drawn) && !group.routable.is_empty() {
            let protocols = |group: &GroupView| go_together(view, is_grpc, group.settings.protocol_version);
            ask(context, snapshot, forward, view, (index, is_drawn, decision.as_ref()), (is_grpc, &protocols))
        } else {
            None
        };
        // Else it is known by then which group it is.
        if asking.is_none() {
            count_routed(shard, decision.as_ref(), is_grpc);
        }
        let has_to_fail = decision.as_ref().is_some_and(|decision| decision.outcome == Outcome::Unhealthy);
        if has_to_fail && asking.is_none() && fails(group) {
            shard.inspect(|shard| shard.stickiness.refused_requests.inc());
            return Err(refuse(Cause::StickyTargetUnhealthy));
        }
        let elsewhere = pinned.and_then(|home| spill(context, group, home));
        if let (Some(_), Some(shard)) = (elsewhere, shard) {
            shard.stickiness.spilled_requests.inc();
        }
        let turn = pinned.is_none().then(|| group.runtime.next_turn());
        let target = elsewhere
            .or(pinned)
            .or_else(|| pick(context, group, turn?, &[]))
            .and_then(|index| WorkerTarget::new(held, index))
            .ok_or_else(|| refuse(Cause::NoTarget))?;
        if asking.is_none() {
            shard.inspect(|shard| shard.answers.requests_with_target.inc());
        }
        Ok(Self {
            client: match elsewhere.is_some() || moves(group, decision.as_ref(), context.clock.unix()) {
                true => client_mark(group, view.headers.iter().copied(), peer),
                false => 0,
            },
            peer,
            upgrade,
            asking,
            sent: Cell::new(None),
            target,
            tried: None,
            turn,
            group_choice,
            decision,
            spilled: elsewhere.is_some(),
            request: traits,
            head,
        })
    }

    /// The group.
    pub(crate) fn group(&self) -> &GroupView {
        self.target.group()
    }

    /// The target that is to get the request.
    pub(crate) fn target(&self) -> &TargetView {
        &self.target
    }

    /// Has the request go to a target that is preferred, where no session says where to and it takes requests.
    #[cold]
    pub(crate) fn prefer(&mut self, is_preferred: impl Fn(Slot) -> bool) {
        if self.turn.is_none() {
            return;
        }
        let group = self.target.group();
        let preferred =
            |index: &usize| group.targets.get(*index).is_some_and(|target| is_preferred(target.slot));
        if let Some(index) = group.routable.iter().map(|index| *index as usize).find(preferred) {
            self.target.turn_to(index);
        }
    }

    /// Where its client is.
    pub(super) fn peer(&self) -> IpAddr {
        self.peer
    }

    /// Goes to `target`, where its session is, in the group with this index in the action.
    #[cold]
    pub(super) fn bind_to(&mut self, target: WorkerTarget, index: usize) {
        self.target = target;
        self.turn = None;
        if let Some(choice) = &mut self.group_choice {
            choice.index = index;
        }
    }

    /// Where its target is.
    pub(crate) fn destination(&self) -> Destination {
        let target = self.target();
        Destination { slot: target.slot, endpoint: target.endpoint.clone(), tls: self.group().tls.clone() }
    }

    /// Whether the request goes to the target that its client is bound to.
    fn is_at_home(&self) -> bool {
        self.decision.as_ref().is_some_and(|decision| decision.target == Some(self.target.index()))
    }

    /// Whether the request's session rather fails than moves. Not from a target that drains: nothing would find out that
    /// it is there again, and its sessions are to move anyway.
    #[cold]
    fn is_bound(&self) -> bool {
        self.is_at_home() && fails(self.group()) && self.target().state != TargetState::Draining
    }

    /// The target cannot be had: another one within `reach`, if there is one that was not tried and the session may move.
    /// The turn stays, so that trying again does not put the others out of turn.
    #[cold]
    pub(crate) fn turn_elsewhere(&mut self, context: &Context, reach: Reach) -> bool {
        if self.is_bound() {
            return false;
        }
        let group = self.target.group();
        let turn = *self.turn.get_or_insert_with(|| group.runtime.next_turn());
        let tried = self.tried.get_or_insert_with(|| Box::new(Tried::new(group.refusing(monotonic_now()))));
        tried.add(self.target.index());
        let next = tried.next(reach, |excluded| pick(context, group, turn, excluded));
        let has_turned = next.is_some_and(|index| self.target.turn_to(index));
        if has_turned && self.client == 0 && self.decision.is_some() {
            self.client = client_mark(self.group(), fields_of(&self.head), self.peer);
        }
        has_turned
    }
}

/// The groups that the request may go to, unless the action answers it.
fn forward_of<'c>(
    chosen: &Chosen<'c>,
    target: &TargetUri<'_>,
    route: &Route<'_>,
    traits: RequestTraits,
) -> Result<&'c CompiledForward, Refusal> {
    let answer = match chosen.act {
        Act::Forward(forward) => return Ok(forward),
        Act::Redirect(redirect) => match target.redirect(redirect, route) {
            Some(location) => Answer::redirect(redirect.status(), location),
            None => Answer::error(Cause::RedirectTooLong),
        },
        Act::FixedResponse(response) => Answer::fixed(response),
    };
    Err(Refusal { answer, traits: Some(traits) })
}

/// Counts a request of a group, and what its cookies say.
pub(super) fn count_routed(shard: Option<&GroupShard>, decision: Option<&Decision>, is_grpc: bool) {
    let Some(shard) = shard else { return };
    shard.routing.requests.inc();
    if is_grpc {
        shard.answers.grpc_requests.inc();
    }
    if let Some(decision) = decision {
        shard.stickiness.decisions.count(decision.outcome);
    }
}

/// Whether sessions of the group would rather fail than move from a target that is not there for them.
pub(super) fn fails(group: &GroupView) -> bool {
    group.settings.stickiness.as_ref().is_some_and(|sticky| sticky.extras.fails_when_unhealthy)
}
