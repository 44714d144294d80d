//! Answers of the admin endpoint. Must not know: what is asked.

use http_body_util::{Either, Full};
use hyper::{
    Response, StatusCode,
    body::Bytes,
    header::{self, HeaderValue},
};

use super::viewers::EventStream;

/// What is answered: something whole, or what somebody sees who looks at the dashboard.
pub(super) type AdminReply = Response<Either<Full<Bytes>, EventStream>>;

pub(super) fn text(status: StatusCode, words: &'static str) -> Response<Full<Bytes>> {
    body(status, "text/plain; charset=utf-8", words.to_owned())
}

pub(super) fn body(status: StatusCode, content_type: &'static str, content: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(content)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
