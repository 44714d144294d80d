//! Options that a message's Connection fields name and that a proxy acts on (RFC 9110, section 7.6.1).

use super::super::fields::list;

/// Options of a connection that a proxy acts on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ConnectionOptions {
    /// `close`
    pub(super) close: bool,
    /// `keep-alive`
    pub(super) keep_alive: bool,
    /// `upgrade`
    pub(super) upgrade: bool,
    /// Whether anything else is said, which may be names of fields.
    pub(super) more: bool,
}

impl ConnectionOptions {
    /// Those of a message whose Connection fields have these values.
    pub(super) fn of<'v>(values: impl Iterator<Item = &'v [u8]>) -> Self {
        let mut options = Self::default();
        for value in values {
            // What nearly all of them are.
            match value {
                b"keep-alive" => options.keep_alive = true,
                b"close" => options.close = true,
                _ => list(value).for_each(|member| options.note(member)),
            }
        }
        options
    }

    fn note(&mut self, member: &[u8]) {
        match member.len() {
            5 if member.eq_ignore_ascii_case(b"close") => self.close = true,
            7 if member.eq_ignore_ascii_case(b"upgrade") => self.upgrade = true,
            10 if member.eq_ignore_ascii_case(b"keep-alive") => self.keep_alive = true,
            _ => self.more = true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{fields::Kind, head::Request};

    #[test]
    fn options_are_found_in_any_place_and_case() {
        let options = |lines: &str| {
            let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
            let request = Request::parse(text.as_bytes()).expect("valid");
            ConnectionOptions::of(request.fields.of(Kind::Connection))
        };
        let none = ConnectionOptions::default();
        assert_eq!(options(""), none);
        assert_eq!(
            options("Connection: closed, keepalive\r\nClose: close\r\n"),
            ConnectionOptions { more: true, ..none }
        );
        assert_eq!(
            options("Connection: x, CLOSE\r\n"),
            ConnectionOptions { close: true, more: true, ..none }
        );
        assert_eq!(
            options("Connection: Upgrade\r\nconnection: ,Keep-Alive,\r\n"),
            ConnectionOptions { keep_alive: true, upgrade: true, ..none }
        );
    }
}
