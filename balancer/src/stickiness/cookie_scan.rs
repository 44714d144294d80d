//! Finds cookies in raw `Cookie` field lines (RFC 6265, section 4.2.1, read as leniently as servers do) with
//! no copy and no allocation. Must not know: what any cookie means.
//!
//! A pair reaches from the line's start or a `;` to the next `;`, whatever quotes say. White space around name
//! and value is dropped, and so is one pair of quotes around the whole value. What has no `=` is no
//! cookie. Names are case-sensitive; values are opaque bytes.

use memchr::{memchr, memmem};

use crate::model::RequestHead;

/// Looks for cookies whose name starts in one way.
pub(super) struct CookieScan {
    finder: memmem::Finder<'static>,
}

impl CookieScan {
    /// For names that start with `name_start`, which must not be empty.
    pub(super) fn new(name_start: &str) -> Self {
        Self { finder: memmem::Finder::new(name_start).into_owned() }
    }

    /// Every cookie whose name starts so, in the order received: the rest of its name, and its value.
    pub(super) fn find<'h>(&'h self, head: &RequestHead<'h>) -> impl Iterator<Item = (&'h [u8], &'h [u8])> {
        head.headers.iter().filter(|field| field.is(b"cookie")).flat_map(|field| Pairs {
            finder: &self.finder,
            rest: field.value,
            at_pair_start: true,
        })
    }

    /// The values of the cookies whose whole name is what this scan looks for, in the order received.
    pub(super) fn values<'h>(&'h self, head: &RequestHead<'h>) -> impl Iterator<Item = &'h [u8]> {
        self.find(head).filter_map(|(rest_of_name, value)| rest_of_name.is_empty().then_some(value))
    }
}

/// A name or value as it counts: without white space around it and without quotes around all of it.
pub(super) fn trim_value(value: &[u8]) -> &[u8] {
    match value.trim_ascii() {
        [b'"', inner @ .., b'"'] => inner,
        bare => bare,
    }
}

struct Pairs<'h> {
    finder: &'h memmem::Finder<'static>,
    rest: &'h [u8],
    /// Whether `rest` begins where a pair does.
    at_pair_start: bool,
}

impl<'h> Iterator for Pairs<'h> {
    type Item = (&'h [u8], &'h [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let hit = self.finder.find(self.rest)?;
            let before = self.rest.get(..hit)?.trim_ascii_end();
            let starts_pair = before.last().map_or(self.at_pair_start, |&byte| byte == b';');
            let from_name_start = self.rest.get(hit + self.finder.needle().len()..)?;
            let (pair, rest) = match memchr(b';', from_name_start) {
                Some(end) => (from_name_start.get(..end)?, from_name_start.get(end + 1..)?),
                None => (from_name_start, &[][..]),
            };
            self.rest = rest;
            self.at_pair_start = true;
            // Of most the name is no longer.
            let equals = if pair.first() == Some(&b'=') { Some(0) } else { memchr(b'=', pair) };
            if let Some(equals) = equals.filter(|_| starts_pair) {
                return Some((pair.get(..equals)?.trim_ascii_end(), trim_value(pair.get(equals + 1..)?)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{HeaderField, Version};

    fn scan(name_start: &str, lines: &[&[u8]]) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut headers = vec![HeaderField { name: b"Host", value: b"AWSALB=host" }];
        headers.extend(lines.iter().map(|value| HeaderField { name: b"cOOkie", value }));
        let head = RequestHead { method: b"GET", target: b"/", version: Version::Http11, headers: &headers };
        CookieScan::new(name_start).find(&head).map(|(n, v)| (n.to_vec(), v.to_vec())).collect()
    }

    /// What the scan finds of `AWSALB…`, as text.
    fn found(line: &str) -> String {
        let pairs = scan("AWSALB", &[line.as_bytes()]);
        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        pairs.iter().map(|(n, v)| format!("[{}={}]", text(n), text(v))).collect()
    }

    #[test]
    fn cookies_are_found_wherever_they_stand() {
        assert_eq!(found("AWSALB=v"), "[=v]");
        assert_eq!(found("a=b; AWSALB=v; c=d"), "[=v]");
        assert_eq!(found("a=b;AWSALB=v;AWSALBCORS=w;c=d"), "[=v][CORS=w]");
        assert_eq!(found("AWSALBAPP-0=x; AWSALBAPP-1=_remove_"), "[APP-0=x][APP-1=_remove_]");
        let lines: [&[u8]; 3] = [b"AWSALB=1; x=y", b"AWSALB=2", b"z=AWSALB=3"];
        assert_eq!(scan("AWSALB", &lines), [(vec![], b"1".to_vec()), (vec![], b"2".to_vec())]);
    }

    #[test]
    fn odd_white_space_quotes_and_equals_signs_are_survived() {
        assert_eq!(found("  AWSALB \t =  v \t ;\tAWSALBCORS=\"w\" "), "[=v][CORS=w]");
        assert_eq!(found("AWSALB=a=b=="), "[=a=b==]");
        assert_eq!(found("AWSALB="), "[=]");
        assert_eq!(found("AWSALB=\"; AWSALB=\"\"; AWSALB=\"v"), "[=\"][=][=\"v]");
        assert_eq!(found("AWSALB=%2B%2f"), "[=%2B%2f]");
        assert_eq!(found(";;; ;AWSALB=v;;"), "[=v]");
    }

    #[test]
    fn names_that_merely_contain_ours_are_not_ours() {
        assert_eq!(found("XAWSALB=v"), "");
        assert_eq!(found("a=AWSALB=v; b=\"AWSALB=w\""), "");
        assert_eq!(found("a=b, AWSALB=v"), "", "a comma parts no cookies");
        assert_eq!(found("AWSALBX=v"), "[X=v]", "told apart by the rest of the name");
        assert_eq!(found("awsalb=v"), "");
        assert_eq!(found("AWSALBAWSALB=v"), "[AWSALB=v]");
    }

    #[test]
    fn what_has_no_equals_sign_is_no_cookie() {
        assert_eq!(found("a=b; AWSALB"), "");
        assert_eq!(found("AWSALB; AWSALB=v"), "[=v]");
        assert_eq!(found("AWSALB CORS=v"), "[ CORS=v]", "another name than AWSALBCORS");
        assert_eq!(found(""), "");
        assert_eq!(found("AWSAL"), "");
    }

    #[test]
    fn huge_and_non_ascii_lines_are_survived() {
        let mut line = vec![b'x'; 16_000];
        line.extend_from_slice(b"=\xff\xfe; AWSALB=\xe2\x82\xac");
        assert_eq!(scan("AWSALB", &[&line]), [(vec![], b"\xe2\x82\xac".to_vec())]);
        assert_eq!(scan("AWSALB", &[&b"AWSALB".repeat(2_700)]).len(), 0);
        assert_eq!(scan("AWSALB", &[&b"AWSALB=;".repeat(2_000)]).len(), 2_000);
    }

    #[test]
    fn values_are_those_of_the_exact_name() {
        let headers = [HeaderField { name: b"cookie", value: b"sid=1; sid2=x; ssid=y; sid=\"2\"" }];
        let head = RequestHead { method: b"GET", target: b"/", version: Version::Http11, headers: &headers };
        let scan = CookieScan::new("sid");
        assert_eq!(scan.values(&head).collect::<Vec<_>>(), [b"1", b"2"]);
    }

    /// The same by splitting and trimming, which is slower and plainly right.
    fn by_splitting(name_start: &[u8], line: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
        line.split(|&byte| byte == b';')
            .filter_map(|pair| {
                let equals = pair.iter().position(|&byte| byte == b'=')?;
                let name = pair[..equals].trim_ascii().strip_prefix(name_start)?;
                Some((name.trim_ascii_end().to_vec(), trim_value(&pair[equals + 1..]).to_vec()))
            })
            .collect()
    }

    proptest! {
        #[test]
        fn the_scan_agrees_with_splitting(line in "[ab=; \"\t]{0,40}", start in "a|ab|aa|aba") {
            prop_assert_eq!(scan(&start, &[line.as_bytes()]), by_splitting(start.as_bytes(), line.as_bytes()));
        }

        #[test]
        fn no_bytes_upset_it(line: Vec<u8>) {
            prop_assert_eq!(scan("a", &[&line]), by_splitting(b"a", &line));
        }
    }
}
