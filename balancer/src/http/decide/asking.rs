//! Requests whose session may be known to other balancers: who is asked, for how long, and what comes of it. Everything here
//! is off the way of requests whose sessions are known.
//! Must not know: how others are asked.

use std::{rc::Rc, time::Duration};

use tokio::sync::oneshot;

use crate::{
    clock::monotonic_now,
    counters::Lookup,
    http::context::{Context, WorkerGroup, WorkerSnapshot},
    kernel::Timers,
    model::RequestHead,
    rules::CompiledForward,
    session_store::{Asked, Keys, StoredSession},
    stickiness::Decision,
    target_group::GroupView,
};

/// How much longer a request waits than the store may take, where threads of this host do not get round to say that it has taken so
/// long: they see to it that an answer counts which is there in time.
const LATE: Duration = Duration::from_millis(200);

/// What a request waits for before it is sent.
#[derive(Debug)]
pub(super) struct SessionQuestions {
    questions: Vec<Question>,
    timeout: Duration,
    /// Whether it is of gRPC.
    pub(super) is_grpc: bool,
}

/// Whether the request's session in one group is known to others.
#[derive(Debug)]
pub(super) struct Question {
    /// Index of the group in the action.
    pub(super) index: usize,
    pub(super) group: Rc<WorkerGroup>,
    pub(super) decision: Decision,
    pub(super) keys: Keys,
    answer: Result<oneshot::Receiver<Asked>, Lookup>,
}

/// What others know: the session that one of the keys names.
pub(super) struct AlreadyKnown {
    pub(super) question: Question,
    pub(super) key: u128,
    pub(super) session: StoredSession,
}

/// Asks for the request's session in the group that it would go to, and, where that was `drawn`, in the others that it might
/// have gone to and that speak its protocol. None: there is nothing to wait for.
#[cold]
pub(super) fn ask(
    context: &Context,
    snapshot: &WorkerSnapshot,
    forward: &CompiledForward,
    view: &RequestHead<'_>,
    (index, is_drawn, decision): (usize, bool, Option<&Decision>),
    (is_grpc, may_go): (bool, &dyn Fn(&GroupView) -> bool),
) -> Option<Box<SessionQuestions>> {
    let mut timeout = None;
    let mut questions = Vec::new();
    for at in (0..forward.len()).filter(|at| is_drawn || *at == index) {
        let group = forward.group(at).and_then(|at| snapshot.group(at)).filter(|group| may_go(group));
        let Some((group, sticky)) = group.and_then(|group| Some((group, group.stickiness.as_ref()?))) else {
            continue;
        };
        let targets: &GroupView = group;
        let decision = match decision.filter(|_| at == index) {
            Some(decision) => decision.clone(),
            None => sticky.decide(view, targets, &context.sessions, context.clock.unix()),
        };
        let Some((port, keys)) = sticky.question(view, &decision) else { continue };
        timeout = Some(port.timeout());
        let (group, answer) = (Rc::clone(group), port.ask(&keys));
        questions.push(Question { index: at, group, decision, keys, answer });
    }
    if questions.iter().all(|question| question.answer.is_err()) {
        if let Some(Err(lookup)) = questions.first().map(|question| &question.answer) {
            context.counters.session_store.lookups.count(*lookup);
        }
        return None;
    }
    Some(Box::new(SessionQuestions { questions, timeout: timeout?, is_grpc }))
}

/// The first of the questions that others know an answer to, and what came of asking.
pub(super) async fn wait(timers: &Timers, asked: SessionQuestions) -> (Option<AlreadyKnown>, Lookup) {
    let until = monotonic_now() + asked.timeout + LATE;
    let mut first = None;
    for mut question in asked.questions {
        let came = match &mut question.answer {
            Ok(answer) => match timers.within(until, answer).await {
                Some(Ok(Asked::Found(key, session))) => {
                    return (Some(AlreadyKnown { question, key, session }), Lookup::Found);
                }
                Some(Ok(Asked::Nothing(lookup))) => lookup,
                // The way to the store ended meanwhile.
                Some(Err(_)) => Lookup::Away,
                None => Lookup::TimedOut,
            },
            Err(lookup) => *lookup,
        };
        first = first.or(Some(came));
    }
    (None, first.unwrap_or(Lookup::Absent))
}
