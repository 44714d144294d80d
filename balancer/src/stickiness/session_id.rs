//! Where the application's own name of a session stands: in a cookie of its, or in a header field that it gives out and that
//! comes back. Must not know: what a session is bound to.

use super::{
    cookie_scan::CookieScan,
    issued_cookie::{IssuedCookie, PathMark},
};
use crate::{
    clock::UnixSeconds,
    model::{RequestHead, ResponseHead, StickinessKind},
};

/// The application's name of a session, in requests and in responses.
pub(super) struct SessionId {
    name: String,
    bearer: Bearer,
}

/// What bears the value.
enum Bearer {
    /// The value of a cookie.
    Cookie { scan: Box<CookieScan>, issued: IssuedCookie },
    /// The value of a header field.
    Header,
}

impl SessionId {
    /// None where the balancer goes by a cookie of its own alone.
    pub(super) fn of(kind: &StickinessKind) -> Option<Self> {
        match kind {
            StickinessKind::LoadBalancerCookie => None,
            StickinessKind::ApplicationCookie { cookie_name } => Some(Self {
                name: cookie_name.clone(),
                bearer: Bearer::Cookie {
                    scan: Box::new(CookieScan::new(cookie_name)),
                    issued: IssuedCookie::new(cookie_name),
                },
            }),
            StickinessKind::ApplicationHeader { header_name } => {
                Some(Self { name: header_name.to_ascii_lowercase(), bearer: Bearer::Header })
            }
        }
    }

    /// What its values are hashed with, so that a value in two places is two sessions. No cookie has a colon in its name.
    pub(super) fn hashed_name(&self) -> String {
        match self.bearer {
            Bearer::Cookie { .. } => self.name.clone(),
            Bearer::Header => format!("{}:", self.name),
        }
    }

    /// Whether each request says which session it is of, of several that its client may have. Cookies beside it tell no more
    /// than where one of them was last: a jar keeps those of all answers.
    pub(super) fn goes_before_cookies(&self) -> bool {
        matches!(self.bearer, Bearer::Header)
    }

    fn is_field(&self, name: &[u8]) -> bool {
        matches!(self.bearer, Bearer::Header) && name.eq_ignore_ascii_case(self.name.as_bytes())
    }

    /// The values that a request comes with, in its order.
    pub(super) fn values<'h>(&'h self, head: &RequestHead<'h>) -> impl Iterator<Item = &'h [u8]> {
        let (cookies, lines) = match &self.bearer {
            Bearer::Cookie { scan, .. } => (Some(scan.values(head)), &[][..]),
            Bearer::Header => (None, head.headers),
        };
        let fields = lines.iter().filter(|field| self.is_field(field.name) && !field.value.is_empty());
        cookies.into_iter().flatten().chain(fields.map(|field| field.value))
    }

    /// The values that the client has once it has read the whole response, the last one first. A field counts where the request
    /// was done (2xx) alone: servers put ids of sessions that are over at once on what they refuse.
    pub(super) fn live_values<'l>(
        &self,
        response: &ResponseHead<'l>,
        default_path: PathMark,
        now: UnixSeconds,
    ) -> impl Iterator<Item = &'l [u8]> {
        let (cookies, lines) = match &self.bearer {
            Bearer::Cookie { issued, .. } => (Some(issued.live_values(response, default_path, now)), &[][..]),
            Bearer::Header if (200..300).contains(&response.status) => (None, response.headers),
            Bearer::Header => (None, &[][..]),
        };
        let fields = lines.iter().rev().filter(|field| self.is_field(field.name) && !field.value.is_empty());
        cookies.into_iter().flatten().chain(fields.map(|field| field.value))
    }
}
