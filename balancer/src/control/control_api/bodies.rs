//! Bodies of requests, of a length and in a time that are bounded. Must not know: what is in them.

use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::{
    body::{Body as _, Incoming},
    header,
    http::request,
};
use tokio::time::timeout;

use crate::elbv2::ApiFailure;

/// Most bytes of a body.
const LONGEST: usize = 1024 * 1024;
/// Bytes of one that is too long, or not wanted, that are read all the same: a client that is still sending would not see why
/// it is refused.
const HEARD: usize = 16 * LONGEST;

/// Whether a client keeps its body back until it is told to go on, which the first look at the body does.
pub(super) fn is_held_back(head: &request::Parts) -> bool {
    head.headers.contains_key(header::EXPECT)
}

/// All of it.
pub(super) async fn read(
    mut body: Incoming,
    held_back: bool,
    limit: Duration,
) -> Result<Vec<u8>, ApiFailure> {
    if held_back && body.size_hint().lower() > LONGEST as u64 {
        return Err(too_large());
    }
    let (mut bytes, mut length) = (Vec::new(), 0_usize);
    let whole = async {
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            length = length.saturating_add(data.len());
            if length <= LONGEST {
                bytes.extend_from_slice(&data);
            } else if length <= HEARD {
                bytes.clear();
            } else {
                break;
            }
        }
        Ok::<_, hyper::Error>(())
    };
    let end = timeout(limit, whole).await;
    let refused = |status, code, message: &str| Err(ApiFailure { status, code, message: message.to_owned() });
    match end {
        _ if length > LONGEST => Err(too_large()),
        Ok(Ok(())) => Ok(bytes),
        Ok(Err(_)) => refused(400, "IncompleteBody", "The body ended before its end"),
        Err(_) => refused(408, "RequestTimeout", "The body did not come in time"),
    }
}

fn too_large() -> ApiFailure {
    let message = format!("The body is larger than {LONGEST} bytes");
    ApiFailure { status: 413, code: "RequestEntityTooLarge", message }
}

/// Nothing of it. What is left of one that is too long ends its connection, and so does one that is held back.
pub(super) async fn pass_over(mut body: Incoming, held_back: bool, limit: Duration) {
    if held_back {
        return;
    }
    let mut length = 0_usize;
    let whole = async {
        while let Some(Ok(frame)) = body.frame().await {
            length = length.saturating_add(frame.data_ref().map_or(0, |data| data.len()));
            if length > HEARD {
                return;
            }
        }
    };
    let _ = timeout(limit, whole).await;
}
