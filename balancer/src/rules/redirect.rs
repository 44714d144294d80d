//! `redirect` made ready: the Location of a request (ALB: redirect actions). Must not know: HTTP messages.

use crate::model::{self, Piece, Template, UriComponent};

/// Longest Location, in bytes (ALB: `HTTP_Redirect_Url_Limit_Exceeded_Count`).
pub const MAX_LOCATION: usize = 8 * 1024;

/// The URI of a request, in the parts that placeholders stand for.
#[derive(Clone, Copy, Debug)]
pub struct RequestUri<'a> {
    /// Whether the client's connection is encrypted.
    pub secure: bool,
    /// The host without its port.
    pub host: &'a [u8],
    /// The listener's port.
    pub port: u16,
    /// The path as received, with its leading slash.
    pub path: &'a [u8],
    /// The query as received, without its question mark.
    pub query: &'a [u8],
}

/// A `redirect` action.
#[derive(Clone, Debug)]
pub struct CompiledRedirect(model::Redirect);

impl CompiledRedirect {
    pub(super) fn compile(redirect: &model::Redirect) -> Self {
        Self(redirect.clone())
    }

    /// 301 or 302.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.0.status
    }

    /// Where a request is sent; nothing when that is longer than [`MAX_LOCATION`].
    #[must_use]
    pub fn location(&self, uri: &RequestUri<'_>) -> Option<Vec<u8>> {
        let model::Redirect { protocol, host, port, path, query, .. } = &self.0;
        let mut out = Vec::with_capacity(64 + uri.path.len() + uri.query.len());
        expand(protocol, uri, &mut out);
        out.extend_from_slice(b"://");
        expand(host, uri, &mut out);
        out.push(b':');
        expand(port, uri, &mut out);
        expand(path, uri, &mut out);
        let mark = out.len();
        out.push(b'?');
        expand(query, uri, &mut out);
        if out.len() == mark + 1 {
            out.truncate(mark);
        }
        (out.len() <= MAX_LOCATION).then_some(out)
    }
}

fn expand(template: &Template, uri: &RequestUri<'_>, out: &mut Vec<u8>) {
    for piece in &template.0 {
        match piece {
            Piece::Text(text) => out.extend_from_slice(text.as_bytes()),
            Piece::Component(UriComponent::Protocol) => {
                out.extend_from_slice(if uri.secure { b"https" } else { b"http" });
            }
            Piece::Component(UriComponent::Host) => out.extend_from_slice(uri.host),
            Piece::Component(UriComponent::Port) => out.extend_from_slice(uri.port.to_string().as_bytes()),
            Piece::Component(UriComponent::Path) => {
                out.extend_from_slice(uri.path.strip_prefix(b"/").unwrap_or(uri.path));
            }
            Piece::Component(UriComponent::Query) => out.extend_from_slice(uri.query),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Template {
        Template(vec![Piece::Text(text.to_owned())])
    }

    fn part(part: UriComponent) -> Template {
        Template(vec![Piece::Component(part)])
    }

    fn redirect(edit: impl FnOnce(&mut model::Redirect)) -> CompiledRedirect {
        let mut redirect = model::Redirect {
            status: 301,
            protocol: part(UriComponent::Protocol),
            host: part(UriComponent::Host),
            port: part(UriComponent::Port),
            path: Template(vec![Piece::Text("/".into()), Piece::Component(UriComponent::Path)]),
            query: part(UriComponent::Query),
        };
        edit(&mut redirect);
        CompiledRedirect::compile(&redirect)
    }

    fn location(redirect: &CompiledRedirect, path: &str, query: &str) -> Option<String> {
        let uri = RequestUri {
            secure: false,
            host: b"a.example",
            port: 8080,
            path: path.as_bytes(),
            query: query.as_bytes(),
        };
        redirect.location(&uri).map(|location| String::from_utf8(location).unwrap())
    }

    #[test]
    fn what_is_not_changed_is_kept() {
        let to_tls = redirect(|redirect| {
            redirect.protocol = text("https");
            redirect.port = text("443");
        });
        assert_eq!(location(&to_tls, "/a/b", "c=d&e").unwrap(), "https://a.example:443/a/b?c=d&e");
        assert_eq!(location(&to_tls, "/", "").unwrap(), "https://a.example:443/");
        let to_host = redirect(|redirect| redirect.host = text("b.example"));
        assert_eq!(location(&to_host, "/x", "").unwrap(), "http://b.example:8080/x");
    }

    #[test]
    fn placeholders_stand_for_their_parts() {
        let redirect = redirect(|redirect| {
            redirect.host = Template(vec![
                Piece::Text("www.".into()),
                Piece::Component(UriComponent::Host),
                Piece::Text(".net".into()),
            ]);
            redirect.path = Template(vec![
                Piece::Text("/".into()),
                Piece::Component(UriComponent::Host),
                Piece::Text("/".into()),
                Piece::Component(UriComponent::Port),
                Piece::Text("/".into()),
                Piece::Component(UriComponent::Path),
            ]);
            redirect.query = Template(vec![
                Piece::Component(UriComponent::Query),
                Piece::Text("&from=".into()),
                Piece::Component(UriComponent::Protocol),
            ]);
        });
        assert_eq!(
            location(&redirect, "/x/y", "q").unwrap(),
            "http://www.a.example.net:8080/a.example/8080/x/y?q&from=http"
        );
    }

    #[test]
    fn a_location_has_its_limit() {
        let to_host = redirect(|redirect| redirect.host = text("b.example"));
        let rest = MAX_LOCATION - "http://b.example:8080/".len();
        assert!(location(&to_host, &format!("/{}", "p".repeat(rest)), "").is_some());
        assert!(location(&to_host, &format!("/{}", "p".repeat(rest + 1)), "").is_none());
    }
}
