//! A check over HTTP/2: one request, and what its answer says: the status, or for gRPC the status of the call
//! (ALB: target group health checks, gRPC). Must not know: connecting, thresholds.

use std::pin::pin;

use h2::client;
use http::{HeaderMap, Method, Request, header};
use hyper::body::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    probe_error::{POLITE_BYTES, ProbeError, USER_AGENT},
    probe_stream::Remembering,
};
use crate::counters::{Cause, Failure};

/// Longest head of an answer that is read: ALB's limit for responses is 32 K.
const MAX_HEAD: u32 = 32 * 1024;

/// A message of gRPC that says nothing: not compressed, of length 0.
const EMPTY_MESSAGE: &[u8] = &[0; 5];

/// The request of a check; `uri` is absolute.
pub(super) fn request(uri: &str, is_grpc: bool) -> Option<Request<()>> {
    let request = Request::builder().uri(uri).header(header::USER_AGENT, USER_AGENT);
    let request = if is_grpc {
        request
            .method(Method::POST)
            .header(header::CONTENT_TYPE, "application/grpc")
            .header(header::TE, "trailers")
    } else {
        request.method(Method::GET)
    };
    request.body(()).ok()
}

/// Asks, and gives back the code that the matcher is for.
pub(super) async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    request: Request<()>,
    is_grpc: bool,
) -> Result<u16, ProbeError> {
    let (stream, broken) = Remembering::new(stream);
    let answer = ask(stream, request, is_grpc).await;
    match (answer, broken.get()) {
        (Err(ProbeError::Target(failure)), Some(error)) if failure.cause == Cause::TargetClosedBeforeHead => {
            Err(ProbeError::Target(Failure::of_ended(Some(error), false)))
        }
        (answer, _) => answer,
    }
}

async fn ask(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    request: Request<()>,
    is_grpc: bool,
) -> Result<u16, ProbeError> {
    let (sender, connection) = client::Builder::new()
        .enable_push(false)
        .max_header_list_size(MAX_HEAD)
        .handshake::<_, Bytes>(stream)
        .await?;
    let asking = async move {
        let mut sender = sender.ready().await?;
        let (response, mut body) = sender.send_request(request, !is_grpc)?;
        if is_grpc {
            body.send_data(Bytes::from_static(EMPTY_MESSAGE), true)?;
        }
        let response = response.await?;
        if !is_grpc {
            return Ok(response.status().as_u16());
        }
        if response.status() != http::StatusCode::OK {
            return Err(invalid(&format!("status {}", response.status().as_u16())));
        }
        match grpc_status(response.headers()) {
            Some(status) => Ok(status),
            None => grpc_status(&trailers(response.into_body()).await?)
                .ok_or_else(|| invalid(&"there is no grpc-status")),
        }
    };
    let mut asking = pin!(asking);
    tokio::select! {
        biased;
        answer = &mut asking => return answer,
        // Over: what it brought at the last, or why it did not, the request is told.
        _ended = connection => {}
    }
    asking.await
}

/// An answer to a call of gRPC that says nothing of the call.
fn invalid(why: &dyn std::fmt::Display) -> ProbeError {
    ProbeError::Target(Failure::with(Cause::TargetResponseInvalid, why))
}

fn grpc_status(fields: &HeaderMap) -> Option<u16> {
    fields.get("grpc-status")?.to_str().ok()?.parse().ok()
}

async fn trailers(mut body: h2::RecvStream) -> Result<HeaderMap, ProbeError> {
    let mut left = POLITE_BYTES;
    while let Some(data) = body.data().await {
        let data = data?;
        left = left.checked_sub(data.len()).ok_or_else(|| invalid(&"its body is too long"))?;
        body.flow_control().release_capacity(data.len())?;
    }
    body.trailers().await?.ok_or_else(|| invalid(&"there is no grpc-status"))
}
