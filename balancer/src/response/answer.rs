//! Answers of the balancer's own: error pages, redirects, fixed responses. Must not know: which HTTP version carries
//! them, beyond the form of a head of HTTP/1.1.

use std::borrow::Cow;

use super::{error_pages, listener_fields::ListenerFields};
use crate::{clock::CoarseClock, counters::Cause, model::FixedResponse};

/// Why the balancer answers by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerKind {
    /// The request cannot be done.
    Error(Cause),
    /// A `redirect` action.
    Redirect,
    /// A `fixed-response` action.
    FixedResponse,
}

/// An answer of the balancer's own.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Why there is one.
    pub reason: AnswerKind,
    /// The status.
    pub status: u16,
    /// The body; nothing where the status allows none.
    pub body: Cow<'static, str>,
    content_type: Cow<'static, str>,
    location: Option<Vec<u8>>,
}

impl Answer {
    /// The page of an error.
    #[must_use]
    pub fn error(cause: Cause) -> Self {
        let status = cause.status();
        Self {
            reason: AnswerKind::Error(cause),
            status: status.code(),
            body: error_pages::body(status.code(), error_pages::reason(status)).into(),
            content_type: "text/html".into(),
            location: None,
        }
    }

    /// To another place; `status` is 301 or 302.
    #[must_use]
    pub fn redirect(status: u16, location: Vec<u8>) -> Self {
        let reason = phrase(status);
        Self {
            reason: AnswerKind::Redirect,
            status,
            body: error_pages::body(status, reason).into(),
            content_type: "text/html".into(),
            location: Some(location),
        }
    }

    /// As configured. ALB tells the character set of every body.
    #[must_use]
    pub fn fixed(response: &FixedResponse) -> Self {
        Self {
            reason: AnswerKind::FixedResponse,
            status: response.status,
            body: if allows_body(response.status) { response.body.clone().into() } else { "".into() },
            content_type: format!("{}; charset=utf-8", response.content_type).into(),
            location: None,
        }
    }

    /// The same without a body.
    #[must_use]
    pub fn without_body(self) -> Self {
        Self { body: "".into(), ..self }
    }

    /// The reason phrase; empty for a status that has none.
    #[must_use]
    pub fn phrase(&self) -> &'static str {
        match self.reason {
            AnswerKind::Error(cause) => error_pages::reason(cause.status()),
            AnswerKind::Redirect | AnswerKind::FixedResponse => phrase(self.status),
        }
    }

    /// Where a redirect leads.
    #[must_use]
    pub fn location(&self) -> Option<&[u8]> {
        self.location.as_deref()
    }

    /// Calls `field` with every header field but those of the connection, those of the listener first.
    pub fn fields(&self, listener: &ListenerFields, date: &str, mut field: impl FnMut(&'static str, &[u8])) {
        for (name, value) in listener.own() {
            field(name, value.as_bytes());
        }
        field("Date", date.as_bytes());
        // A body of no bytes has no type.
        if allows_body(self.status) && (!self.body.is_empty() || self.reason != AnswerKind::FixedResponse) {
            field("Content-Type", self.content_type.as_bytes());
        }
        // Of 204 alone the head says that there is no body (RFC 9112, section 6.3).
        if self.status != 204 {
            field("Content-Length", self.body.len().to_string().as_bytes());
        }
        if let Some(location) = &self.location {
            field("Location", location);
        }
        if let AnswerKind::Error(cause) = self.reason
            && let Some(methods) = error_pages::allow(cause.status())
        {
            field("Allow", methods.as_bytes());
        }
    }

    /// The whole answer for HTTP/1.1; without its body when it answers HEAD.
    #[must_use]
    pub fn render(
        &self,
        listener: &ListenerFields,
        clock: &CoarseClock,
        keep_alive: bool,
        to_head: bool,
    ) -> Vec<u8> {
        let mut out = Vec::with_capacity(256 + self.body.len());
        out.extend_from_slice(format!("HTTP/1.1 {} {}\r\n", self.status, self.phrase()).as_bytes());
        clock.with_date(|date| {
            self.fields(listener, date, |name, value| {
                out.extend_from_slice(name.as_bytes());
                out.extend_from_slice(b": ");
                out.extend_from_slice(value);
                out.extend_from_slice(b"\r\n");
            });
        });
        let connection = if keep_alive { "keep-alive" } else { "close" };
        out.extend_from_slice(format!("Connection: {connection}\r\n\r\n").as_bytes());
        if !to_head {
            out.extend_from_slice(self.body.as_bytes());
        }
        out
    }
}

/// The registered reason phrase (RFC 9110, section 15).
fn phrase(status: u16) -> &'static str {
    http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or_default()
}

/// Whether responses of this status have a body (RFC 9110, sections 15.3.5 and 15.3.6).
fn allows_body(status: u16) -> bool {
    !matches!(status, 204 | 205)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::head::{Framing, Response};

    fn rendered(answer: &Answer) -> String {
        String::from_utf8(answer.render(&ListenerFields::default(), &CoarseClock::new(), true, false))
            .unwrap()
    }

    #[test]
    fn every_page_is_a_valid_response_without_cookies() {
        for cause in Cause::ALL {
            let page =
                Answer::error(cause).render(&ListenerFields::default(), &CoarseClock::new(), false, false);
            let response = Response::parse(&page, false).expect("valid").expect("complete");
            assert_eq!(response.status, cause.status().code());
            assert_eq!(response.framing, Framing::Length((page.len() - response.length) as u64));
            assert!(response.view().values("set-cookie").next().is_none());
        }
    }

    #[test]
    fn a_redirect_tells_where_to() {
        let text = rendered(&Answer::redirect(302, b"https://a:443/".to_vec()));
        assert!(text.starts_with("HTTP/1.1 302 Found\r\n"), "{text}");
        assert!(text.contains("\r\nLocation: https://a:443/\r\n"), "{text}");
    }

    #[test]
    fn a_fixed_response_is_as_configured() {
        let fixed = |status, body: &str| {
            rendered(&Answer::fixed(&FixedResponse {
                status,
                content_type: "application/json".into(),
                body: body.into(),
            }))
        };
        let text = fixed(503, "{\"a\": \"ä\"}");
        assert!(text.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{text}");
        assert!(text.contains("\r\nContent-Type: application/json; charset=utf-8\r\n"), "{text}");
        assert!(text.contains("\r\nContent-Length: 11\r\n") && text.ends_with("{\"a\": \"ä\"}"), "{text}");
        let text = fixed(299, "");
        assert!(text.starts_with("HTTP/1.1 299 \r\n") && text.contains("Content-Length: 0"), "{text}");
        assert!(!text.contains("Content-Type"), "{text}");
        let text = fixed(204, "gone");
        assert!(!text.contains("Content-Length") && text.ends_with("\r\n\r\n"), "{text}");
    }
}
