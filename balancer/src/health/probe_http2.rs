//! A check over HTTP/2: one request, and what its answer says: the status, or for gRPC the status of the call
//! (ALB: target group health checks, gRPC). Must not know: connecting, thresholds.

use tokio::io::{AsyncRead, AsyncWrite};

use super::probe_error::{POLITE_BYTES, ProbeError, USER_AGENT};
use crate::{
    counters::{Cause, Failure, causes_of},
    wire::{
        head::{HeadError, Response},
        http2::{Block, HeadWriter, Single, Unsent},
        interim::Interim,
    },
};

/// A message of gRPC that says nothing: not compressed, of length 0.
const EMPTY_MESSAGE: &[u8] = &[0; 5];

/// The request of a check.
#[derive(Clone, Copy, Debug)]
pub(super) struct CheckRequest<'a> {
    pub(super) secure: bool,
    pub(super) host: &'a str,
    pub(super) path: &'a str,
    /// Whether it is an empty call of gRPC.
    pub(super) is_grpc: bool,
}

impl CheckRequest<'_> {
    fn write(&self, head: &mut HeadWriter<'_>) {
        let path = self.path.split('#').next().unwrap_or_default();
        let method: &[u8] = if self.is_grpc { b"POST" } else { b"GET" };
        head.request(method, self.secure, self.host.as_bytes(), path.as_bytes());
        head.field(b"user-agent", USER_AGENT.as_bytes());
        if self.is_grpc {
            head.field(b"content-type", b"application/grpc");
            head.field(b"te", b"trailers");
        }
    }
}

/// Asks, and gives back the code that the matcher is for. Nothing: the request has no form.
pub(super) async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    request: CheckRequest<'_>,
) -> Result<Option<u16>, ProbeError> {
    let mut asked = Single::new(stream);
    let content = if request.is_grpc { EMPTY_MESSAGE } else { b"" };
    match asked.send(content, |head| request.write(head)) {
        Ok(()) => {}
        Err(Unsent::Malformed | Unsent::TooLarge) => return Ok(None),
        Err(Unsent::Ended | Unsent::Full) => return Err(Failure::from(Cause::TargetHttp2Failed).into()),
    }
    let mut interim = Interim::default();
    let head = loop {
        let head = asked.answer().await?;
        if !matches!(head.status(), 100 | 102..200) {
            break head;
        }
        if !interim.admits(&view(&head, true)?) {
            return Err(Failure::from(Cause::TargetInterimTooLarge).into());
        }
    };
    view(&head, matches!(head.status(), 204 | 304) || asked.is_whole())?;
    if !request.is_grpc {
        return Ok(Some(head.status()));
    }
    if head.status() != 200 {
        return Err(invalid(&format!("status {}", head.status())));
    }
    let status = match grpc_status(&head) {
        Some(status) => Some(status),
        None => asked.trailers(POLITE_BYTES).await?.as_ref().and_then(|fields| grpc_status(fields)),
    };
    status.map(Some).ok_or_else(|| invalid(&"there is no grpc-status"))
}

/// The head of a response, held to the rules that those of answers to requests are held to.
fn view(head: &Block, bodiless: bool) -> Result<Response<'_>, ProbeError> {
    let of_target = |error: HeadError| ProbeError::from(Failure::from(causes_of(error).1));
    if head.left_out() > 0 {
        return Err(of_target(HeadError::TooLarge));
    }
    Response::of_fields(head.status(), head.lines(), bodiless).map_err(of_target)
}

/// An answer to a call of gRPC that says nothing of the call.
fn invalid(why: &dyn std::fmt::Display) -> ProbeError {
    ProbeError::Target(Failure::with(Cause::TargetResponseInvalid, why))
}

fn grpc_status(fields: &Block) -> Option<u16> {
    let field = fields.lines().find(|field| field.name == b"grpc-status")?;
    std::str::from_utf8(field.value).ok()?.parse().ok()
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
        let request = CheckRequest { secure: false, host: "a", path: "/", is_grpc: false };
        let asking = exchange(near, request);
        let checked = tokio::select! {
            checked = asking => checked,
            () = target => panic!("the check ends first"),
        };
        match checked {
            Ok(status) => Ok(status.unwrap()),
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
