//! JSON: text → values with their positions, and texts as Terraform's `jsonencode` writes them.
//! Must not know what any name means.

use std::fmt::Write;

use super::raw::Number;

/// Deepest nesting, as in HCL.
const MAX_DEPTH: usize = 64;

/// A value and the byte where it begins.
#[derive(Debug, PartialEq)]
pub(super) struct Node {
    pub(super) offset: usize,
    pub(super) json: Json,
}

/// What a value is.
#[derive(Debug, PartialEq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Object(Vec<Member>),
}

/// A member of an object, in the order of the text; names may come twice.
#[derive(Debug, PartialEq)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) offset: usize,
    pub(super) node: Node,
}

/// Why a text is no JSON, and at which byte.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct JsonError {
    pub(super) offset: usize,
    pub(super) expected: &'static str,
}

/// Reads a text (RFC 8259).
///
/// # Errors
/// The first fault.
pub(super) fn parse(text: &str) -> Result<Node, JsonError> {
    let mut reader = Reader { text, at: 0 };
    let node = reader.value(0)?;
    reader.skip_blanks();
    if reader.at < text.len() { Err(reader.expected("the end of the file")) } else { Ok(node) }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn expected(&self, expected: &'static str) -> JsonError {
        JsonError { offset: self.at, expected }
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Steps over a byte after blanks, if it is there.
    fn take(&mut self, byte: u8) -> bool {
        self.skip_blanks();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, depth: usize) -> Result<Node, JsonError> {
        self.skip_blanks();
        let offset = self.at;
        if depth > MAX_DEPTH {
            return Err(self.expected("at most 64 nested levels"));
        }
        let json = match self.peek() {
            Some(b'{') => Json::Object(self.object(depth)?),
            Some(b'[') => Json::List(self.list(depth)?),
            Some(b'"') => Json::Text(self.text()?),
            Some(b'-' | b'0'..=b'9') => Json::Number(self.number()?),
            _ => self.word()?,
        };
        Ok(Node { offset, json })
    }

    fn word(&mut self) -> Result<Json, JsonError> {
        for (word, json) in [("null", Json::Null), ("true", Json::Bool(true)), ("false", Json::Bool(false))] {
            if self.rest().starts_with(word) {
                self.at += word.len();
                return Ok(json);
            }
        }
        Err(self.expected("a value"))
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node>, JsonError> {
        self.at += 1;
        let mut items = Vec::new();
        if self.take(b']') {
            return Ok(items);
        }
        loop {
            items.push(self.value(depth + 1)?);
            if self.take(b']') {
                return Ok(items);
            }
            if !self.take(b',') {
                return Err(self.expected("`,` or `]`"));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Vec<Member>, JsonError> {
        self.at += 1;
        let mut members = Vec::new();
        if self.take(b'}') {
            return Ok(members);
        }
        loop {
            self.skip_blanks();
            let offset = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.expected("a name in quotes"));
            }
            let name = self.text()?;
            if !self.take(b':') {
                return Err(self.expected("`:`"));
            }
            members.push(Member { name, offset, node: self.value(depth + 1)? });
            if self.take(b'}') {
                return Ok(members);
            }
            if !self.take(b',') {
                return Err(self.expected("`,` or `}`"));
            }
        }
    }

    fn number(&mut self) -> Result<Number, JsonError> {
        let rest = self.rest();
        let is_part = |letter: char| letter.is_ascii_digit() || matches!(letter, '-' | '+' | '.' | 'e' | 'E');
        let written = rest.split(|letter| !is_part(letter)).next().unwrap_or_default();
        let digits = written.trim_start_matches('-');
        let has_zero = digits.len() > 1
            && digits.starts_with('0')
            && digits.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
        let number = written
            .parse::<u64>()
            .map(Number::from)
            .or_else(|_| written.parse::<i64>().map(Number::from))
            .ok()
            .or_else(|| Number::from_f64(written.parse().ok()?));
        let number = number.filter(|_| !has_zero).ok_or_else(|| self.expected("a number"))?;
        self.at += written.len();
        Ok(number)
    }

    fn text(&mut self) -> Result<String, JsonError> {
        self.at += 1;
        let mut text = String::new();
        loop {
            let rest = self.rest();
            let plain =
                rest.find(|letter| matches!(letter, '"' | '\\' | '\0'..='\u{1f}')).unwrap_or(rest.len());
            text.push_str(rest.get(..plain).unwrap_or_default());
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => text.push(self.escape()?),
                Some(b'\n' | b'\r') => {
                    return Err(self.expected("`\"` before the end of the line, or \\n for one in the text"));
                }
                Some(b'\t') => return Err(self.expected("\\t for a tab in a text")),
                Some(_) => return Err(self.expected("no control characters in a text")),
                None => return Err(self.expected("`\"`")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        const KNOWN: &str = "an escape: \\\" \\\\ \\/ \\b \\f \\n \\r \\t or \\uXXXX";
        self.at += 1;
        let letter = match self.peek() {
            Some(letter @ (b'"' | b'\\' | b'/')) => char::from(letter),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode().ok_or_else(|| self.expected(KNOWN)),
            _ => return Err(self.expected(KNOWN)),
        };
        self.at += 1;
        Ok(letter)
    }

    /// `uXXXX`, and a second `\uXXXX` where the first is half of a pair.
    fn unicode(&mut self) -> Option<char> {
        let unit = |at: usize| {
            let digits = self.text.get(at..at + 4)?;
            digits
                .bytes()
                .all(|byte| byte.is_ascii_hexdigit())
                .then(|| u16::from_str_radix(digits, 16).ok())?
        };
        let first = unit(self.at + 1)?;
        let second =
            (self.text.get(self.at + 5..self.at + 7) == Some("\\u")).then(|| unit(self.at + 7)).flatten();
        let is_pair = (0xd800..0xdc00).contains(&first);
        let units = [Some(first), second.filter(|_| is_pair)];
        self.at += if is_pair { 11 } else { 5 };
        char::decode_utf16(units.into_iter().flatten()).next()?.ok()
    }
}

fn write_display(number: std::fmt::Arguments<'_>, text: &mut String) {
    // Writing to a String cannot fail.
    let _ = text.write_fmt(number);
}

/// A text as JSON of Terraform has it: `<`, `>` and `&` escaped.
pub(super) fn write_text(content: &str, text: &mut String) {
    text.push('"');
    for letter in content.chars() {
        match letter {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                write_display(format_args!("\\u{:04x}", u32::from(letter)), text);
            }
            _ => text.push(letter),
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(text: &str) -> Option<String> {
        match parse(text).ok()?.json {
            Json::Text(text) => Some(text),
            _ => None,
        }
    }

    #[test]
    fn values_are_read_with_their_positions() {
        let node = parse(" {\"a\": [1, -2.5, true, null], \"a\": {}}\n").unwrap();
        let Json::Object(members) = &node.json else { panic!("{node:?}") };
        let indices: Vec<(&str, usize, usize)> =
            members.iter().map(|member| (member.name.as_str(), member.offset, member.node.offset)).collect();
        assert_eq!((node.offset, indices), (1, vec![("a", 2, 7), ("a", 30, 35)]));
        let Json::List(items) = &members[0].node.json else { panic!("{members:?}") };
        let items: Vec<&Json> = items.iter().map(|item| &item.json).collect();
        let number = |number: f64| Json::Number(Number::from_f64(number).unwrap());
        assert_eq!(items[1..], [&number(-2.5), &Json::Bool(true), &Json::Null]);
        assert_eq!(*items[0], Json::Number(Number::from(1u64)));
    }

    #[test]
    fn escapes() {
        assert_eq!(
            text(r#""\"\\\/\b\f\n\r\t\u00e9\uD83D\uDE00""#).as_deref(),
            Some("\"\\/\u{8}\u{c}\n\r\té😀")
        );
        for wrong in
            [r#""\x""#, r#""\u12""#, r#""\ud83d""#, r#""\ud83dx""#, r#""\udc00""#, "\"a\nb\"", "\"a", "\"\\"]
        {
            assert_eq!(text(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn faults_are_placed() {
        for (text, offset, expected) in [
            ("", 0, "a value"),
            ("[1,]", 3, "a value"),
            ("[1 2]", 3, "`,` or `]`"),
            ("{a: 1}", 1, "a name in quotes"),
            ("{\"a\" 1}", 5, "`:`"),
            ("{\"a\": 1", 7, "`,` or `}`"),
            ("01", 0, "a number"),
            ("1e999", 0, "a number"),
            ("{} x", 3, "the end of the file"),
            ("nul", 0, "a value"),
        ] {
            assert_eq!(parse(text), Err(JsonError { offset, expected }), "{text}");
        }
        assert!(parse(&"[".repeat(100_000)).is_err());
        assert!(parse(&format!("{}1{}", "[".repeat(60), "]".repeat(60))).is_ok());
    }

    proptest! {
        #[test]
        fn any_text_gets_an_answer(text in "(?s).{0,80}") {
            let _ = parse(&text);
        }

        #[test]
        fn any_row_of_tokens_gets_an_answer(tokens in prop::collection::vec(
            prop::sample::select(vec!["{", "}", "[", "]", ",", ":", "\"", "\"a\"", "\\u", "d83d", "1", "-", "e5", "null", " ", "é"]),
            0..40,
        )) {
            let _ = parse(&tokens.concat());
        }

        #[test]
        fn what_is_written_is_read_as_it_was(content in "(?s).{0,40}") {
            let mut written = String::new();
            write_text(&content, &mut written);
            prop_assert_eq!(text(&written), Some(content));
        }
    }
}
