//! HCL text → raw blocks. A fault of syntax does not end the search: the block it stands in is skipped and what
//! follows is read, so that one run names the faults of all blocks.

use hcl_edit::parser::parse_body;

use super::{fault::Faults, raw, raw::RawBody, source::Place};

/// Most faults of syntax told for one file.
const MAX_SYNTAX_FAULTS: usize = 20;

/// Parses one file; faults go to `faults`, what could be read is returned.
///
/// The parser limits nesting to 64 levels and chains of operators to 128, so that hostile text cannot exhaust
/// the stack here, in [`raw::convert`] or on drop; a test holds it to that.
pub(super) fn parse(file: usize, text: &str, faults: &Faults<'_>) -> RawBody {
    let mut whole = RawBody::default();
    let mut start = 0;
    for _ in 0..MAX_SYNTAX_FAULTS {
        let rest = text.get(start..).unwrap_or_default();
        let error = match parse_body(rest) {
            Ok(body) => {
                append(&mut whole, raw::convert(&body, file, start));
                break;
            }
            Err(error) => error,
        };
        faults.note_unread_text();
        let at = start.saturating_add(error.location().offset());
        if at.saturating_add(1) >= text.len() && error.message().contains('}') {
            faults.add(Place { file, offset: text.len() }, "the file ends inside a block; a `}` is missing");
        } else {
            // What people write most often: `stickiness { type = "lb_cookie" enabled = true }`.
            let several = error.message().starts_with("invalid block body");
            let hint = if several { " (several attributes in a block need a line each)" } else { "" };
            faults.add(Place { file, offset: at }, format!("syntax error: {}{hint}", error.message()));
        }

        // Blocks before the faulty one were whole; reading goes on with the one after it.
        let faulty = last_header(text, start, at).unwrap_or(start);
        if faulty > start
            && let Some(Ok(body)) = text.get(start..faulty).map(parse_body)
        {
            append(&mut whole, raw::convert(&body, file, start));
        }
        let Some(next) = next_header(text, at) else { break };
        start = next;
    }
    whole
}

fn append(whole: &mut RawBody, part: RawBody) {
    whole.attributes.extend(part.attributes);
    whole.blocks.extend(part.blocks);
}

/// Whether a line looks like the first of a top-level block: a word in its first column, and a brace with no
/// equals sign before it.
fn is_header(line: &str) -> bool {
    line.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && line.split_once('{').is_some_and(|(before, _)| !before.contains('='))
}

/// Where the last header line in `from..=to` begins.
fn last_header(text: &str, from: usize, to: usize) -> Option<usize> {
    header_lines(text, from).take_while(|&start| start <= to).last()
}

/// Where the first header line after `at` begins.
fn next_header(text: &str, at: usize) -> Option<usize> {
    let line_end = text.as_bytes().get(at..)?.iter().position(|&byte| byte == b'\n')?;
    header_lines(text, at + line_end + 1).next()
}

/// Starts of header lines; `from` must be the start of a line.
fn header_lines(text: &str, from: usize) -> impl Iterator<Item = usize> + '_ {
    let mut offset = from;
    text.get(from..).unwrap_or_default().split_inclusive('\n').filter_map(move |line| {
        let start = offset;
        offset += line.len();
        is_header(line).then_some(start)
    })
}
