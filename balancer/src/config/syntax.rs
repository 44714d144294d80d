//! HCL text → raw blocks. A fault of syntax does not end the search: the block it stands in is skipped and what
//! follows is read, so that one run names the faults of all blocks.

mod explain;
mod keys;
mod scan;

use std::borrow::Cow;

use hcl_edit::parser::parse_body;

use super::{fault::Faults, raw, raw::RawBody, source::Position};

pub(super) use self::explain::HUGE;

/// Most faults of syntax told for one file.
const MAX_SYNTAX_FAULTS: usize = 20;

/// Parses one file; faults go to `faults`, what could be read is returned.
///
/// The parser limits nesting to 64 levels and chains of operators to 128, so that hostile text cannot exhaust
/// the stack here, in [`raw::convert`] or on drop; a test holds it to that.
pub(super) fn parse(file: usize, text: &str, faults: &Faults<'_>) -> RawBody {
    let text = &*as_the_parser_takes_it(text);
    let mut whole = RawBody::default();
    let mut start = 0;
    let mut given = keys::TextToRename::new(text);
    for _ in 0..MAX_SYNTAX_FAULTS {
        let error = match given.parse(start) {
            Ok(body) => {
                append(
                    &mut whole,
                    raw::convert::convert(&body, text.get(start..).unwrap_or_default(), file, start),
                );
                break;
            }
            Err(error) => error,
        };
        faults.note_unread_text();
        let noticed = start.saturating_add(error.location().offset());
        let explain::SyntaxFault { at, message, resume } =
            explain::fault(text, start, noticed, error.message());
        faults.add(Position { file, offset: at }, message);

        // Blocks before the faulty one were whole; reading goes on with the one after it.
        let faulty = last_header(text, start, at).unwrap_or(start);
        if faulty > start
            && let Some(Ok(body)) = given.as_str().get(start..faulty).map(parse_body)
        {
            append(
                &mut whole,
                raw::convert::convert(&body, text.get(start..).unwrap_or_default(), file, start),
            );
        }
        let Some(next) = resume.or_else(|| next_header(text, at)) else { break };
        start = next;
    }
    whole
}

/// Most heredocs of a file that get another word.
const MAX_REWORDED: usize = 100;

/// Puts [`HUGE`] in the place of numbers that are beyond the parser, which would take them for faults of syntax also
/// where nobody looks at them. A heredoc gets another word where the parser would take one of its lines for its end:
/// Terraform ends it where nothing else is in the line. Names of blocks and attributes in quotes, which were taken up to
/// Terraform 0.11, lose them. Every place in the text stays what it was.
fn as_the_parser_takes_it(text: &str) -> Cow<'_, str> {
    let scan::Scanned { huge, misleading, quoted, .. } = scan::scan(text, 0);
    if huge.is_empty() && misleading.is_empty() && quoted.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut mended = text.to_owned();
    for words in misleading.into_iter().take(MAX_REWORDED) {
        let length = words.first().map_or(0, ExactSizeIterator::len);
        let others = (b'A'..=b'Z').map(|letter| char::from(letter).to_string().repeat(length));
        let Some(other) = others.into_iter().find(|other| !text.contains(other.as_str())) else { continue };
        words.into_iter().for_each(|word| mended.replace_range(word, &other));
    }
    for (number, range) in quoted.into_iter().enumerate() {
        let name = text.get(range.start + 1..range.end - 1).unwrap_or_default();
        let mended_name = if is_identifier(name) {
            format!(" {name} ")
        } else {
            // A key of a map that was written as a block, such as that of a tag: no name that means anything.
            keys::letters(number, range.len())
        };
        mended.replace_range(range, &mended_name);
    }
    for range in huge {
        let width = range.len();
        mended.replace_range(range, &format!("{HUGE:<width$e}"));
    }
    Cow::Owned(mended)
}

fn is_identifier(name: &str) -> bool {
    let is_letter = |letter: char| letter.is_alphabetic() || letter == '_';
    name.starts_with(is_letter)
        && name.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '-'))
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
