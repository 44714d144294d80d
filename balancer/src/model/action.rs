//! What is done with a request: the actions of listeners and rules, and the transforms of rules.

use std::{fmt, sync::Arc};

use super::CookieAttributes;

/// What is done with a request (ALB: actions of listener rules).
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// `forward`: to a target of one of some groups.
    Forward(Forward),
    /// `redirect`: the client is told where to go instead.
    Redirect(Redirect),
    /// `fixed-response`: the balancer answers by itself.
    FixedResponse(Arc<FixedResponse>),
}

/// `forward`: one group, or several by weight.
#[derive(Clone, Debug, PartialEq)]
pub struct Forward {
    /// 1 to 5 groups, all different.
    pub groups: Vec<WeightedGroup>,
    /// Whether clients stick to the group that was drawn for them.
    pub stickiness: Option<GroupStickinessSettings>,
}

/// A group and its share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WeightedGroup {
    /// Index into [`super::Configuration::target_groups`].
    pub group: usize,
    /// 0 to 999; a group of weight 0 gets no clients that have no group yet.
    pub weight: u16,
}

/// `forward { stickiness { … } }` that is enabled (ALB: TargetGroupStickinessConfig).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupStickinessSettings {
    /// `duration`: 1 to 604800 s.
    pub duration_seconds: u32,
    /// Whether each response begins the duration anew.
    pub sliding: bool,
    /// How the cookies are marked; what is added to the prefix is `TG` and `TGCORS`.
    pub attributes: CookieAttributes,
}

/// `redirect`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// 301 or 302.
    pub status: u16,
    /// `http`, `https`, or that of the request.
    pub protocol: Template,
    /// The host.
    pub host: Template,
    /// The port.
    pub port: Template,
    /// The path, which begins with a slash.
    pub path: Template,
    /// The query without its question mark; an empty one leaves that out too.
    pub query: Template,
}

/// Text with placeholders, fit to stand in a URI.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template(pub Vec<Piece>);

/// A piece of a [`Template`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// As it stands.
    Text(String),
    /// A part of the request's URI.
    Component(UriComponent),
}

/// A part of the request's URI that a placeholder stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UriComponent {
    /// `#{protocol}`: `http` or `https`.
    Protocol,
    /// `#{host}`: without the port.
    Host,
    /// `#{port}`: that of the listener.
    Port,
    /// `#{path}`: without the leading slash.
    Path,
    /// `#{query}`: without the question mark.
    Query,
}

/// `fixed-response`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedResponse {
    /// 200 to 299 or 400 to 599.
    pub status: u16,
    /// `content_type`.
    pub content_type: String,
    /// `message_body`: at most 1024 bytes.
    pub body: String,
}

/// `transform` blocks of a rule (ALB: transforms for listener rules).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transforms {
    /// `host-header-rewrite`.
    pub host: Option<Rewrite>,
    /// `url-rewrite`: of path and query.
    pub url: Option<Rewrite>,
}

/// What is replaced, and by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrite {
    /// 1 to 1024 characters, known to compile.
    pub regex: String,
    /// Up to 1024 characters; `$1` is what the first group of the expression caught. It names no group that the expression
    /// has not.
    pub replace: String,
}

impl Action {
    /// To all of one group.
    #[must_use]
    pub fn forward_to(group: usize) -> Self {
        Self::Forward(Forward { groups: vec![WeightedGroup { group, weight: 1 }], stickiness: None })
    }

    /// The groups that requests may go to.
    pub fn groups(&self) -> impl Iterator<Item = usize> {
        let groups = match self {
            Self::Forward(forward) => forward.groups.as_slice(),
            Self::Redirect(_) | Self::FixedResponse(_) => &[],
        };
        groups.iter().map(|group| group.group)
    }

    /// In one line, for people; `name` tells the name of a group.
    #[must_use]
    pub fn describe(&self, name: impl Fn(usize) -> String) -> String {
        match self {
            Self::Forward(forward) => forward.describe(name),
            Self::Redirect(redirect) => redirect.to_string(),
            Self::FixedResponse(response) => {
                format!("fixed-response {} {}", response.status, response.content_type)
            }
        }
    }
}

impl Forward {
    fn describe(&self, name: impl Fn(usize) -> String) -> String {
        let mut text = match self.groups.as_slice() {
            [one] => name(one.group),
            several => several
                .iter()
                .map(|group| format!("{} {}", name(group.group), group.weight))
                .collect::<Vec<_>>()
                .join(", "),
        };
        if let Some(stickiness) = &self.stickiness {
            text.push_str(&format!(", group stickiness {} s", stickiness.duration_seconds));
        }
        text
    }
}

impl UriComponent {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Protocol, Self::Host, Self::Port, Self::Path, Self::Query];

    /// As it is written.
    #[must_use]
    pub const fn placeholder(self) -> &'static str {
        match self {
            Self::Protocol => "#{protocol}",
            Self::Host => "#{host}",
            Self::Port => "#{port}",
            Self::Path => "#{path}",
            Self::Query => "#{query}",
        }
    }
}

impl Template {
    /// Whether it is the placeholder alone.
    #[must_use]
    pub fn is(&self, part: UriComponent) -> bool {
        self.0 == [Piece::Component(part)]
    }

    /// The text, when there is no placeholder in it.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.0 {
            f.write_str(match piece {
                Piece::Text(text) => text,
                Piece::Component(part) => part.placeholder(),
            })?;
        }
        Ok(())
    }
}

impl fmt::Display for Redirect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { status, protocol, host, port, path, query } = self;
        write!(f, "redirect {status} {protocol}://{host}:{port}{path}")?;
        if query.as_text() == Some("") { Ok(()) } else { write!(f, "?{query}") }
    }
}
