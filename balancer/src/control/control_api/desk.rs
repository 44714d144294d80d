//! Hands calls to the controller, each change once, and writes down who changed what. Must not know: connections, signatures as
//! such, what an operation does.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicBool},
    time::Duration,
};

use tokio::{
    sync::{
        mpsc::{Sender, error::TrySendError},
        oneshot, watch,
    },
    time::timeout,
};

use super::{
    access::ApiAccess,
    call::{ApiCall, ApiReply},
};
use crate::{
    clock::{UnixSeconds, unix_now},
    counters::{ApiOutcome, ControlCounters},
    elbv2::{ApiFailure, Element, Params, SignatureUse, UsedSignatures},
    internal_errors,
};

/// Time for the controller to answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Signatures that can be remembered: more than a hundred changes a second for as long as a signature is good.
const MOST_SIGNATURES: usize = 200_000;

/// Where the answer of a change will be found.
type ChangeReply = watch::Receiver<Option<ApiReply>>;

/// What all connections are answered from.
pub(super) struct ApiDesk {
    pub(super) access: Arc<ApiAccess>,
    /// Whether the endpoint has ended, so that a connection has its last answer.
    pub(super) is_leaving: AtomicBool,
    pub(super) counters: Arc<ControlCounters>,
    calls: Sender<ApiCall>,
    used: Mutex<UsedSignatures<ChangeReply>>,
}

/// What somebody asks who may.
pub(super) struct AskedCall {
    pub(super) action: String,
    pub(super) is_change: bool,
    pub(super) params: Params,
    pub(super) key_id: String,
    pub(super) request_id: String,
    pub(super) client: SocketAddr,
    pub(super) signature: [u8; 32],
    pub(super) valid_until: UnixSeconds,
}

impl ApiDesk {
    pub(super) fn new(
        access: Arc<ApiAccess>,
        calls: Sender<ApiCall>,
        counters: Arc<ControlCounters>,
    ) -> Self {
        Self {
            access,
            is_leaving: AtomicBool::new(false),
            counters,
            calls,
            used: Mutex::new(UsedSignatures::new(MOST_SIGNATURES)),
        }
    }

    fn first_use(&self, asked: &AskedCall, reply: ChangeReply) -> SignatureUse<ChangeReply> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        // Not while it is under way: it may yet be done.
        let was_refused = |reply: &ChangeReply| reply.borrow().as_ref().is_some_and(Result::is_err);
        used.take(asked.signature, asked.valid_until, unix_now(), reply, was_refused)
    }
}

/// Asks the controller, and counts what came of it.
pub(super) async fn ask(desk: &ApiDesk, asked: AskedCall) -> ApiReply {
    let is_change = asked.is_change;
    let reply = answered(desk, asked).await;
    let outcome = ApiOutcome::of_status(reply.as_ref().map_or_else(|failure| failure.status, |_| 200));
    let counters = &desk.counters;
    if is_change { &counters.api_changes } else { &counters.api_reads }.count(outcome);
    reply
}

async fn answered(desk: &ApiDesk, asked: AskedCall) -> ApiReply {
    if !asked.is_change {
        return carry(&desk.calls, &asked).await;
    }
    let (answered, reply) = watch::channel(None);
    match desk.first_use(&asked, reply.clone()) {
        SignatureUse::First => {
            let calls = desk.calls.clone();
            // Whether its client waits for it or not, a change is done, and told of.
            tokio::spawn(async move {
                let reply = carry(&calls, &asked).await;
                audit(&asked, &reply);
                let _ = answered.send(Some(reply));
            });
            found(reply).await
        }
        SignatureUse::Again(reply) => found(reply).await,
        SignatureUse::Spent => Err(ApiFailure::forbidden(
            "RequestExpired",
            "This signed request was carried out already. What changes something is carried out once: sign it anew.",
        )),
        SignatureUse::Full => Err(ApiFailure::new("Throttling", "Rate exceeded")),
    }
}

async fn found(mut reply: ChangeReply) -> ApiReply {
    let found = reply.wait_for(Option::is_some).await.ok().and_then(|reply| (*reply).clone());
    found.unwrap_or_else(|| {
        internal_errors::note("a change of the API has no answer");
        Err(ApiFailure { status: 500, code: "InternalFailure", message: "An internal error".into() })
    })
}

async fn carry(calls: &Sender<ApiCall>, asked: &AskedCall) -> ApiReply {
    let unavailable = |message: &str| {
        Err(ApiFailure { status: 503, code: "ServiceUnavailable", message: message.to_owned() })
    };
    let (reply, answer) = oneshot::channel();
    let call = ApiCall {
        action: asked.action.clone(),
        params: asked.params.clone(),
        key_id: asked.key_id.clone(),
        request_id: asked.request_id.clone(),
        reply,
    };
    match calls.try_send(call) {
        Ok(()) => {}
        Err(TrySendError::Full(_)) => return Err(ApiFailure::new("Throttling", "Rate exceeded")),
        Err(TrySendError::Closed(_)) => return unavailable("This balancer is ending"),
    }
    match timeout(PATIENCE, answer).await {
        Ok(Ok(reply)) => reply,
        Ok(Err(_)) => unavailable("Another process of this balancer takes over: try again"),
        Err(_) => unavailable("The balancer did not answer in time; what was asked may yet be done"),
    }
}

/// A line for each change, whether it was done or not.
pub(super) fn audit(asked: &AskedCall, reply: &ApiReply) {
    let resource = resource(&asked.params);
    let (client, key, request_id) = (asked.client, &asked.key_id, &asked.request_id);
    let action = &asked.action;
    match reply {
        Ok(result) => {
            let made = action.starts_with("Create").then(|| arn_in(result)).flatten();
            tracing::info!(action, resource, made, key, request_id, %client, "a change by the ELBv2 API");
        }
        Err(failure) => {
            let code = failure.code;
            tracing::info!(action, resource, code, key, request_id, %client, "a change by the ELBv2 API was refused");
        }
    }
}

/// The ARN of what was made.
fn arn_in(result: &Element) -> Option<&str> {
    ["RuleArn", "ListenerArn", "TargetGroupArn", "LoadBalancerArn", "TrustStoreArn"]
        .into_iter()
        .find_map(|name| result.find(name))
}

/// What it is about, as far as parameters say it.
fn resource(params: &Params) -> String {
    const NAMES: [&str; 10] = [
        "RuleArn",
        "ListenerArn",
        "TargetGroupArn",
        "LoadBalancerArn",
        "TrustStoreArn",
        "ResourceArn",
        "ResourceArns.member.1",
        "RulePriorities.member.1.RuleArn",
        "Name",
        "Names.member.1",
    ];
    let text = NAMES.into_iter().find_map(|name| params.text(name)).unwrap_or_default();
    text.chars().map(|letter| if letter.is_control() { '?' } else { letter }).take(256).collect()
}
