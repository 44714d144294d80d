//! From a request to its answer: who signed it, what it asks, the words around what is answered. Must not know: connections, what
//! an operation does.

use std::{net::SocketAddr, sync::atomic::Ordering::Relaxed, time::Duration};

use http_body_util::Full;
use hyper::{
    Method, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{self, HeaderValue},
    http::request,
};

use super::{
    access::Admitted,
    bodies,
    call::ApiReply,
    desk::{ApiDesk, AskedCall, ask, audit},
    request_id,
    waiting::ApiWaiting,
};
use crate::{
    clock::unix_now,
    counters::ApiRejection,
    elbv2::{
        AccessKey, ApiFailure, Params, SignatureClaim, SignedRequest, envelope, form, is_change, is_known,
    },
    logs::quiet::LineKind,
};

/// The version of the API.
const VERSION: &str = "2015-12-01";

pub(super) type ApiResponse = Response<Full<Bytes>>;

/// Answers a request.
pub(super) async fn of(
    desk: &ApiDesk,
    client: SocketAddr,
    head: &request::Parts,
    body: Incoming,
    waits: &ApiWaiting,
    limit: Duration,
) -> ApiResponse {
    let request_id = request_id::new();
    let asked = admit(desk, client, head, body, &request_id, limit).await;
    let (action, reply) = match asked {
        Ok(asked) => {
            waits.begin();
            (asked.action.clone(), ask(desk, asked).await)
        }
        Err(failure) => {
            desk.counters.api_rejections.count(ApiRejection::of_code(failure.code));
            note_refusal(client, &failure);
            (String::new(), Err(failure))
        }
    };
    let mut response = respond(&action, &reply, &request_id);
    // Who is refused without having been told to go on may send its body all the same, or not: that cannot be known.
    let is_unsure = reply.is_err() && bodies::is_held_back(head);
    if is_unsure || desk.is_leaving.load(Relaxed) {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// What is asked, by somebody who may.
async fn admit(
    desk: &ApiDesk,
    client: SocketAddr,
    head: &request::Parts,
    body: Incoming,
    request_id: &str,
    limit: Duration,
) -> Result<AskedCall, ApiFailure> {
    let headers: Vec<(&str, &[u8])> =
        head.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let query = head.uri.query().unwrap_or_default();
    let request = SignedRequest { method: head.method.as_str(), query, headers: &headers };
    let admitted = desk.access.now();
    let (claim, key) = match identify(&admitted, head, &request) {
        Ok(identified) => identified,
        Err(failure) => {
            bodies::pass_over(body, bodies::is_held_back(head), limit).await;
            return Err(failure);
        }
    };
    let body = bodies::read(body, bodies::is_held_back(head), limit).await?;
    claim.verify(&request, &body, &key.secret)?;
    let params = form::read(query, &body)?;
    let action = action(&params)?.to_owned();
    let asked = AskedCall {
        is_change: is_change(&action),
        action,
        params,
        key_id: claim.key_id().to_owned(),
        request_id: request_id.to_owned(),
        client,
        signature: claim.signature(),
        valid_until: claim.valid_until(),
    };
    if key.read_only && asked.is_change {
        let failure = ApiFailure::forbidden(
            "AccessDenied",
            format!(
                "User: arn:aws:iam::{}:user/{} is not authorized to perform: elasticloadbalancing:{} because its access key is \
                 read-only",
                admitted.account_id, asked.key_id, asked.action
            ),
        );
        audit(&asked, &Err(failure.clone()));
        return Err(failure);
    }
    Ok(asked)
}

/// Who says that it signed the request, and its key, as far as its head tells.
fn identify<'a>(
    admitted: &'a Admitted,
    head: &request::Parts,
    request: &SignedRequest<'_>,
) -> Result<(SignatureClaim, &'a AccessKey), ApiFailure> {
    if head.uri.path() != "/" {
        return Err(refused(404, "There is nothing at this path; allowed: /"));
    }
    if !matches!(head.method, Method::POST | Method::GET) {
        return Err(refused(405, "Allowed are the methods POST and GET"));
    }
    let claim = SignatureClaim::read(request)?;
    let key = admitted.keys.get(claim.key_id()).filter(|_| !claim.is_of_a_session(request));
    let key = key.ok_or_else(|| {
        ApiFailure::forbidden(
            "InvalidClientTokenId",
            "The security token included in the request is invalid: its access key is not one of those that may ask here, or it \
             is one of a session.",
        )
    })?;
    claim.check(&admitted.region, unix_now())?;
    Ok((claim, key))
}

/// The action, one of this version.
fn action(params: &Params) -> Result<&str, ApiFailure> {
    let missing = |name: &str| {
        let words = format!("The request must contain the parameter {name}");
        ApiFailure::new(if name == "Action" { "MissingAction" } else { "MissingParameter" }, words)
    };
    let action = params.text("Action").ok_or_else(|| missing("Action"))?;
    let version = params.text("Version").ok_or_else(|| missing("Version"))?;
    if version != VERSION || !is_known(action) {
        let [action, version]: [String; 2] = [action, version].map(|text| text.chars().take(100).collect());
        let words =
            format!("Could not find operation {action} for version {version}; the version here is {VERSION}");
        return Err(ApiFailure::new("InvalidAction", words));
    }
    Ok(action)
}

fn refused(status: u16, message: &str) -> ApiFailure {
    ApiFailure { status, code: "InvalidAction", message: message.to_owned() }
}

/// Who is not let in is told of: nothing of what was sent, which may be a secret in the wrong place.
fn note_refusal(client: SocketAddr, failure: &ApiFailure) {
    if failure.status == 403 && LineKind::ControlApi.admits() {
        tracing::warn!(%client, code = failure.code, "the ELBv2 API refused a request");
    }
}

fn respond(action: &str, reply: &ApiReply, request_id: &str) -> ApiResponse {
    let (status, document) = match reply {
        Ok(result) => (200, envelope::success(action, result, request_id)),
        Err(failure) => (failure.status, envelope::failure(failure, request_id)),
    };
    let mut response = Response::new(Full::new(Bytes::from(document)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/xml"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert("x-amzn-requestid", id);
    }
    if matches!(status, 405) {
        headers.insert(header::ALLOW, HeaderValue::from_static("GET, POST"));
    }
    // What is left of a body that was not read is not taken for another request.
    if matches!(status, 408 | 413) {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
