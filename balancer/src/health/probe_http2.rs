//! A check over HTTP/2: one request, and what its answer says: the status, or for gRPC the status of the call
//! (ALB: target group health checks, gRPC). Must not know: connecting, thresholds.

use std::{
    future::{Future as _, poll_fn},
    pin::{Pin, pin},
    task::Poll,
};

use h2::client;
use http::{HeaderMap, Method, Request, header};
use hyper::body::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    probe_error::{POLITE_BYTES, ProbeError, USER_AGENT},
    probe_stream::Remembering,
};
use crate::{
    counters::{Cause, Failure, causes_of},
    wire::{head::Response, interim::Interim},
};

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
        let (mut response, mut body) = sender.send_request(request, !is_grpc)?;
        if is_grpc {
            body.send_data(Bytes::from_static(EMPTY_MESSAGE), true)?;
        }
        let mut interim = Interim::default();
        let response = poll_fn(|cx| {
            while let Poll::Ready(Some(Ok(informational))) = response.poll_informational(cx) {
                if !interim.admits(&view(&informational, true)?) {
                    return Poll::Ready(Err(ProbeError::Target(Cause::TargetInterimTooLarge.into())));
                }
            }
            Pin::new(&mut response).poll(cx).map_err(ProbeError::from)
        })
        .await?;
        let bodiless = matches!(response.status().as_u16(), 204 | 304) || response.body().is_end_stream();
        view(&response, bodiless)?;
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

/// The head of a response, held to the rules that those of answers to requests are held to.
fn view<B>(response: &http::Response<B>, bodiless: bool) -> Result<Response<'_>, ProbeError> {
    Response::of_http2(response, bodiless).map_err(|error| ProbeError::Target(causes_of(error).1.into()))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of a check whose target sends `interim` responses with a link of so many bytes, and then the fields.
    async fn checked(interim: usize, link: usize, fields: Vec<(String, &str)>) -> Result<u16, Cause> {
        let (near, far) = tokio::io::duplex(1 << 20);
        let target = async move {
            let mut connection = h2::server::handshake(far).await.unwrap();
            let (_, mut respond) = connection.accept().await.unwrap().unwrap();
            for _ in 0..interim {
                let hint = http::Response::builder().status(103).header("link", "a".repeat(link));
                // It may have had enough.
                let _ = respond.send_informational(hint.body(()).unwrap());
            }
            let mut response = http::Response::builder().status(200);
            for (name, value) in &fields {
                response = response.header(name, *value);
            }
            let _ = respond.send_response(response.body(()).unwrap(), true);
            while connection.accept().await.is_some() {}
        };
        let asking = exchange(near, request("http://a/", false).unwrap(), false);
        let checked = tokio::select! {
            checked = asking => checked,
            () = target => panic!("the check ends first"),
        };
        match checked {
            Ok(status) => Ok(status),
            Err(ProbeError::Target(failure)) => Err(failure.cause),
            Err(error) => panic!("{error:?}"),
        }
    }

    #[tokio::test]
    async fn answers_are_held_to_the_rules_of_answers_to_requests() {
        let fields = |count: usize| (0..count).map(|number| (format!("x-{number}"), "y")).collect::<Vec<_>>();
        assert_eq!(checked(3, 10, fields(3)).await, Ok(200));
        assert_eq!(checked(0, 0, fields(210)).await, Err(Cause::TargetHeaderCountTooLarge));
        assert_eq!(
            checked(0, 0, vec![("content-length".to_owned(), "")]).await,
            Err(Cause::TargetContentLengthInvalid)
        );
        assert_eq!(checked(101, 1, fields(0)).await, Err(Cause::TargetInterimTooLarge));
        assert_eq!(checked(3, 12_000, fields(0)).await, Err(Cause::TargetInterimTooLarge));
    }
}
