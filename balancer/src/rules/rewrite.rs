//! Transforms of a rule made ready: what of a request is rewritten before its target gets it (ALB: transforms for
//! listener rules). The choice of the rule is not made again. Must not know: HTTP messages.

use regex::bytes::{Captures, Regex};

use super::pattern::{Case, regex};
use crate::{
    internal_errors::Part as _,
    model::{self, Rewrite},
};

/// Longest result, in bytes: that of a request line (ALB: quotas).
const MAX_RESULT: usize = 16 * 1024;

/// The transforms of one rule.
#[derive(Debug, Default)]
pub struct CompiledTransforms {
    /// Of the host, without its port.
    pub host: Option<Rewriter>,
    /// Of path and query.
    pub url: Option<Rewriter>,
}

impl CompiledTransforms {
    pub(super) fn compile(transforms: &model::Transforms) -> Self {
        let ready = |rewrite: &Option<Rewrite>, case| {
            rewrite.as_ref().and_then(|rewrite| Rewriter::compile(rewrite, case))
        };
        Self { host: ready(&transforms.host, Case::Ignored), url: ready(&transforms.url, Case::Exact) }
    }
}

/// The text matched and what came of it can be no such part of a request (ALB: such a request gets 500).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a transform of the rule failed")]
pub struct RewriteError;

/// An expression and what replaces its first match.
#[derive(Debug)]
pub struct Rewriter {
    regex: Regex,
    pieces: Vec<RewritePiece>,
}

/// A piece of a replacement.
#[derive(Debug, PartialEq, Eq)]
enum RewritePiece {
    Text(Vec<u8>),
    Group(usize),
}

impl Rewriter {
    /// Nothing when the expression does not compile, which no configuration holds.
    fn compile(rewrite: &Rewrite, case: Case) -> Option<Self> {
        Some(Self { regex: regex(&rewrite.regex, case).ok()?, pieces: pieces(&rewrite.replace) })
    }

    /// `text` with its first match replaced; nothing when there is no match.
    ///
    /// # Errors
    /// The result is longer than a request line may be.
    pub fn apply(&self, text: &[u8]) -> Result<Option<Vec<u8>>, RewriteError> {
        let Some(captures) = self.regex.captures(text) else { return Ok(None) };
        let Some(whole) = captures.get(0) else { return Ok(None) };
        let mut out = Vec::with_capacity(text.len());
        out.extend_from_slice(text.part(..whole.start()));
        self.expand(&captures, &mut out)?;
        out.extend_from_slice(text.part(whole.end()..));
        if out.len() > MAX_RESULT { Err(RewriteError) } else { Ok(Some(out)) }
    }

    fn expand(&self, captures: &Captures<'_>, out: &mut Vec<u8>) -> Result<(), RewriteError> {
        for piece in &self.pieces {
            match piece {
                RewritePiece::Text(text) => out.extend_from_slice(text),
                // A group that took no part in the match caught nothing.
                RewritePiece::Group(group) => {
                    out.extend_from_slice(captures.get(*group).map_or(&[], |caught| caught.as_bytes()));
                }
            }
            if out.len() > MAX_RESULT {
                return Err(RewriteError);
            }
        }
        Ok(())
    }
}

/// `$` and one or two digits stand for a group; any other `$` is one.
fn pieces(replacement: &str) -> Vec<RewritePiece> {
    let mut pieces = Vec::new();
    let mut text = Vec::new();
    let mut rest = replacement.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let digits = after.iter().take(2).take_while(|byte| byte.is_ascii_digit());
        let count = digits.clone().count();
        if byte != b'$' || count == 0 {
            text.push(byte);
            continue;
        }
        if !text.is_empty() {
            pieces.push(RewritePiece::Text(std::mem::take(&mut text)));
        }
        pieces
            .push(RewritePiece::Group(digits.fold(0, |group, digit| group * 10 + usize::from(digit - b'0'))));
        rest = after.part(count..);
    }
    if !text.is_empty() {
        pieces.push(RewritePiece::Text(text));
    }
    pieces
}

/// Whether the replacement names groups of the expression alone.
///
/// # Errors
/// The first group that the expression has not.
pub(crate) fn check_replacement(expression: &str, replacement: &str) -> Result<(), usize> {
    let groups = regex(expression, Case::Exact).map_or(0, |regex| regex.captures_len());
    let missing = |piece: &RewritePiece| match piece {
        RewritePiece::Group(group) if *group >= groups => Some(*group),
        _ => None,
    };
    pieces(replacement).iter().find_map(missing).map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(regex: &str, replace: &str, text: &str) -> Option<String> {
        let rewrite = Rewrite { regex: regex.into(), replace: replace.into() };
        let rewriter = Rewriter::compile(&rewrite, Case::Exact).unwrap();
        rewriter.apply(text.as_bytes()).unwrap().map(|out| String::from_utf8(out).unwrap())
    }

    #[test]
    fn the_first_match_is_replaced_and_nothing_else() {
        assert_eq!(rewritten("^/api/", "/", "/api/v1/x?y=/api/").as_deref(), Some("/v1/x?y=/api/"));
        assert_eq!(rewritten("o", "0", "/foo").as_deref(), Some("/f0o"));
        assert_eq!(rewritten("^/dp/([A-Za-z0-9]+)/?$", "/p?id=$1", "/dp/B0/").as_deref(), Some("/p?id=B0"));
        assert_eq!(rewritten("^/dp/([A-Za-z0-9]+)/?$", "/p?id=$1", "/dp/").as_deref(), None);
    }

    #[test]
    fn groups_are_named_by_number() {
        assert_eq!(rewritten("(a)(b)?(c)", "$3$2$1$", "xacy").as_deref(), Some("xca$y"));
        assert_eq!(rewritten("(a)", "$1x$$1", "a").as_deref(), Some("ax$a"));
        assert_eq!(rewritten("a", "$0$0", "a").as_deref(), Some("aa"));
        assert_eq!(rewritten("(a)", "$015", "a").as_deref(), Some("a5"), "two digits at most");
    }

    #[test]
    fn groups_that_are_not_there_are_told() {
        assert_eq!(check_replacement("(a)(b)", "$1-$2-$0"), Ok(()));
        assert_eq!(check_replacement("(a)", "$1$2"), Err(2));
        assert_eq!(check_replacement("a", "$x$"), Ok(()));
    }

    #[test]
    fn a_result_has_its_limit() {
        let rewrite = Rewrite { regex: "(.*)".into(), replace: "$1$1$1$1$1$1$1$1$1$1".into() };
        let rewriter = Rewriter::compile(&rewrite, Case::Exact).unwrap();
        assert!(rewriter.apply(&[b'a'; 1000]).is_ok());
        assert_eq!(rewriter.apply(&[b'a'; 4000]), Err(RewriteError));
    }
}
