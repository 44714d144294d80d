//! What an operator asks to be done over the admin endpoint, and whether that may be: with the token alone, which a page of
//! another site does not know and a form cannot send, and not from such a page either.
//! Must not know: how it is done.

use std::{fmt, net::SocketAddr};

use http_body_util::{BodyExt as _, Either, Limited};
use hyper::{
    Request, StatusCode,
    body::{Body as _, Incoming},
    header::{self, HeaderValue},
};
use serde::Deserialize;
use tokio::sync::oneshot;

use super::{
    reply::{AdminReply, body, text},
    token::AdminToken,
};
use crate::logs::quiet::LineKind;

/// Most bytes of what is asked.
const LONGEST: usize = 4096;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub enum AdminAction {
    /// A target is to get no new sessions.
    Drain {
        /// Its group.
        group: String,
        /// The target, as the status names it.
        target: String,
    },
    /// It gets them again.
    Undrain {
        /// Its group.
        group: String,
        /// The target, as the status names it.
        target: String,
    },
    /// A target is to get so many percent of its weight; none: all of it.
    Weight {
        /// Its group.
        group: String,
        /// The target, as the status names it.
        target: String,
        /// 1 to 100.
        percent: Option<u8>,
    },
    /// The shield is to deny a prefix, for so many seconds or until that is taken back.
    Deny {
        /// The prefix.
        prefix: String,
        /// Seconds.
        seconds: Option<u64>,
    },
    /// That is taken back.
    Undeny {
        /// The prefix.
        prefix: String,
    },
}

/// What is asked for, and by whom.
#[derive(Debug)]
pub struct AdminRequest {
    /// What.
    pub action: AdminAction,
    /// By whom.
    pub client: SocketAddr,
    /// Told what was done, or why nothing was.
    pub answer: oneshot::Sender<Result<String, String>>,
}

/// What does what is asked for.
pub type ActionTaker = Box<dyn Fn(AdminRequest) + Send + Sync>;

/// Who may ask for something to be done, and who does it.
pub(super) struct Actions {
    pub(super) token: AdminToken,
    pub(super) act: ActionTaker,
}

impl fmt::Debug for Actions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Actions")
    }
}

/// Does what is asked, or says why not.
pub(super) async fn take(
    request: Request<Incoming>,
    actions: Option<&Actions>,
    client: SocketAddr,
) -> AdminReply {
    let Some(actions) = actions else {
        let words = "read-only: nothing can be changed here without admin_token_file\n";
        return text(StatusCode::FORBIDDEN, words).map(Either::Left);
    };
    if let Some(refused) = refusal(&request, actions) {
        if LineKind::Admin.admits() {
            tracing::warn!(%client, status = refused.status().as_u16(), "an action at the admin endpoint is refused");
        }
        return refused;
    }
    let asked = request.into_body();
    let is_too_long = asked.size_hint().lower() > LONGEST as u64;
    // A look at the body has a client send it that waits to be told so (`Expect`).
    let asked = if is_too_long { None } else { Limited::new(asked, LONGEST).collect().await.ok() };
    let Some(asked) = asked else {
        return text(StatusCode::PAYLOAD_TOO_LARGE, "an action has at most 4096 bytes\n").map(Either::Left);
    };
    let action = match serde_json::from_slice(&asked.to_bytes()) {
        Ok(action) => action,
        Err(error) => {
            let words = format!("not an action: {error}\n");
            return body(StatusCode::BAD_REQUEST, PLAIN, words).map(Either::Left);
        }
    };
    let (answer, done) = oneshot::channel();
    (actions.act)(AdminRequest { action, client, answer });
    let (status, words) = match done.await {
        Ok(Ok(done)) => (StatusCode::OK, done),
        Ok(Err(refused)) => (StatusCode::CONFLICT, refused),
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "the process is ending".to_owned()),
    };
    body(status, PLAIN, words + "\n").map(Either::Left)
}

const PLAIN: &str = "text/plain; charset=utf-8";

/// Why it is not even looked at.
fn refusal(request: &Request<Incoming>, actions: &Actions) -> Option<AdminReply> {
    if is_from_elsewhere(request) || has_foreign_origin(request) {
        let words = "an action is not taken from a page of another site\n";
        return Some(text(StatusCode::FORBIDDEN, words).map(Either::Left));
    }
    let field = |name| request.headers().get(name).map(HeaderValue::as_bytes);
    let is_json = field(header::CONTENT_TYPE)
        .is_some_and(|kind: &[u8]| kind.trim_ascii().eq_ignore_ascii_case(b"application/json"));
    if !is_json {
        let words = "an action is sent as application/json\n";
        return Some(text(StatusCode::UNSUPPORTED_MEDIA_TYPE, words).map(Either::Left));
    }
    let told = field(header::AUTHORIZATION).and_then(|field: &[u8]| field.strip_prefix(b"Bearer "));
    if told.is_some_and(|told| actions.token.is(told)) {
        return None;
    }
    let words = "an action takes the token of admin_token_file, as Authorization: Bearer TOKEN\n";
    let mut refused = text(StatusCode::UNAUTHORIZED, words);
    refused.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    Some(refused.map(Either::Left))
}

/// Whether a browser names another origin than the one that it asks.
fn has_foreign_origin(request: &Request<Incoming>) -> bool {
    let own = request.headers().get(header::HOST).map(HeaderValue::as_bytes).unwrap_or_default();
    let is_own = |origin: &HeaderValue| {
        let origin = origin.as_bytes();
        let host = origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
        host.is_some_and(|host| host.eq_ignore_ascii_case(own))
    };
    request.headers().get_all(header::ORIGIN).iter().any(|origin| !is_own(origin))
}

/// Whether a browser says that a page of another site asks.
pub(super) fn is_from_elsewhere(request: &Request<Incoming>) -> bool {
    let sites = request.headers().get_all("sec-fetch-site");
    sites.iter().any(|site| !matches!(site.as_bytes(), b"same-origin" | b"none"))
}
