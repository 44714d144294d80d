//! Every shape of the grammar of RFC 6265, section 5.1.1, and calendars against the one of the clock.

use proptest::prelude::*;

use super::*;
use crate::clock::{UnixSeconds, imf_date};

/// Sunday, the sixth of November 1994, 08:49:37.
const AT: i64 = 784_111_777;

fn at(text: &str) -> Option<i64> {
    parse(text.as_bytes())
}

#[test]
fn the_forms_that_servers_write() {
    for text in [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Sun, 06-Nov-1994 08:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 +0000",
        "Sun Nov 06 1994 08:49:37 GMT+0000 (Coordinated Universal Time)",
        "06 Nov 1994 08:49:37",
        "Nov 06 1994 08:49:37 GMT",
        "sunday, 6-november-1994 8:49:37 gmt",
    ] {
        assert_eq!(at(text), Some(AT), "{text}");
    }
}

#[test]
fn parts_stand_in_any_order() {
    // Among numbers of two digits the day is the first, so that a year of two digits has to follow it.
    for parts in [["06", "Nov", "1994", "08:49:37"], ["06", "NOVEMBER", "94", "8:49:37"]] {
        for order in [
            [0, 1, 2, 3],
            [0, 2, 1, 3],
            [0, 2, 3, 1],
            [1, 0, 2, 3],
            [1, 0, 3, 2],
            [1, 3, 0, 2],
            [3, 0, 1, 2],
            [3, 0, 2, 1],
            [3, 1, 0, 2],
            [0, 3, 1, 2],
            [0, 3, 2, 1],
            [0, 1, 3, 2],
        ] {
            let text = order.map(|index| parts[index]).join(" ");
            assert_eq!(at(&text), Some(AT), "{text}");
        }
    }
    assert_eq!(at("1994 Nov 06 08:49:37"), Some(AT), "four digits are no day");
    assert_eq!(at("08:49:37 1994 06 Nov"), Some(AT));
}

#[test]
fn any_delimiter_parts_tokens_and_nothing_else_does() {
    for byte in 0..=255_u8 {
        let delimiter = matches!(byte, b'\t' | b' '..=b'/' | b';'..=b'@' | b'['..=b'`' | b'{'..=b'~');
        let text = [b"06", &b"Nov"[..], b"1994", b"08:49:37"].join(&[byte][..]);
        assert_eq!(parse(&text).is_some(), delimiter, "{byte:#x}");
        if delimiter {
            let ends = [&[byte; 3][..], b"06 Nov 1994 08:49:37", &[byte; 3]].concat();
            assert_eq!(parse(&ends), Some(AT), "{byte:#x} at the ends");
        }
    }
}

#[test]
fn what_follows_a_part_in_its_token_does_not_matter() {
    for text in [
        "06th Nov 1994 08:49:37",
        "06 Novembre 1994 08:49:37",
        "06 novX 1994 08:49:37",
        "06 Nov 1994AD 08:49:37",
        "06 Nov 1994 08:49:37GMT",
        "06 Nov 1994 08:49:37:99",
        "06:1 Nov 1994 08:49:37",
        "06 Nov 1994:5 08:49:37",
        "06\u{e9} Nov\u{e9} 1994\u{e9} 08:49:37\u{e9}",
        "6 Nov 1994 8:49:37",
    ] {
        assert_eq!(at(text), Some(AT), "{text}");
    }
    assert_eq!(at("06 Nov 1994 8:9:7"), Some(AT - 40 * 60 - 30));
}

#[test]
fn tokens_that_are_no_part_are_passed_over() {
    for text in [
        "x y z 06 Nov 1994 08:49:37 q",
        "Montag 06 Nov 1994 08:49:37",
        "06 no nov 1994 08:49:37",
        "123 06 Nov 1994 08:49:37",
        "06 Nov 12345 1994 08:49:37",
        "06 Nov 1994 8:49 08:49:37",
        "06 Nov 1994 008:49:37 08:49:37",
        "06 Nov 1994 8:049:37 08:49:37",
        "06 Nov 1994 8:49:037 08:49:37",
        "06 Nov 1 1994 08:49:37",
    ] {
        let wanted = if text.starts_with("123") { at("06 Nov 123 08:49:37") } else { Some(AT) };
        assert_eq!(at(text), wanted, "{text}");
    }
}

#[test]
fn of_several_parts_of_a_kind_the_first_counts() {
    for text in [
        "06 Nov 1994 08:49:37 09:00:00",
        "06 Nov 1994 08:49:37 Dec",
        "06 Nov 1994 08:49:37 1995",
        "06 Nov 1994 07 08:49:37",
        "06 Nov 1994 08:49:37 12 13 14",
    ] {
        assert_eq!(at(text), Some(AT), "{text}");
    }
}

#[test]
fn years_of_two_digits_are_of_a_century_and_others_as_they_stand() {
    let year = |text: &str| at(&format!("01 Jan {text} 00:00:00")).map(|seconds| seconds / DAY);
    for (text, full) in
        [("70", "1970"), ("99", "1999"), ("00", "2000"), ("69", "2069"), ("069", "2069"), ("0070", "1970")]
    {
        assert!(year(text).is_some() && year(text) == year(full), "{text}");
    }
    assert_eq!((year("1970"), year("2000"), year("1969")), (Some(0), Some(10_957), Some(-365)));
    assert!(year("1601").is_some() && year("9999").is_some());
    for text in ["1600", "0100", "100", "999", "1", "10000", "20000"] {
        assert_eq!(year(text), None, "{text}");
    }
}

#[test]
fn what_lacks_a_part_or_is_out_of_range_is_no_date() {
    for text in [
        "",
        " ",
        "whenever",
        "0",
        "-1",
        "784111777",
        "06 Nov 1994",
        "Nov 1994 08:49:37",
        "06 1994 08:49:37",
        "06 Nov 08:49:37",
        "06 11 1994 08:49:37",
        "1994-11-06T08:49:37Z",
        "06 Nov 1994 08:49",
        "06 Nov 1994 24:00:00",
        "06 Nov 1994 23:60:00",
        "06 Nov 1994 23:59:60",
        "00 Nov 1994 08:49:37",
        "32 Jan 1994 08:49:37",
        "31 Nov 1994 08:49:37",
        "29 Feb 1900 08:49:37",
        "29 Feb 1994 08:49:37",
        "30 Feb 2000 08:49:37",
    ] {
        assert_eq!(at(text), None, "{text}");
    }
    assert!(at("29 Feb 2000 08:49:37").is_some() && at("29 Feb 1996 08:49:37").is_some());
    assert_eq!(at("31 Dec 1969 23:59:59"), Some(-1));
    assert_eq!(at("01 Jan 1601 00:00:00"), Some(-11_644_473_600));
    assert_eq!(at("31 Dec 9999 23:59:59"), Some(253_402_300_799));
}

/// The grammar itself, with more steps than are needed.
fn by_the_grammar(text: &[u8]) -> [Option<Vec<i64>>; 4] {
    let non_delimiter = |byte: u8| matches!(byte, 0..=8 | 0x0A..=0x1F | b'0'..=b'9' | b':' | b'a'..=b'z' | b'A'..=b'Z' | 0x7F..);
    let mut tokens = vec![Vec::new()];
    for &byte in text {
        if non_delimiter(byte) {
            tokens.last_mut().unwrap().push(byte);
        } else {
            tokens.push(Vec::new());
        }
    }
    // How many digits there are from `from` on, and whether the token goes on with something else.
    let digits = |token: &[u8], from: usize| token[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let value = |token: &[u8]| std::str::from_utf8(token).unwrap().parse::<i64>().unwrap();
    let mut found: [Option<Vec<i64>>; 4] = Default::default();
    'tokens: for token in tokens.iter().filter(|token| !token.is_empty()) {
        if found[0].is_none() {
            let (mut from, mut fields) = (0, Vec::new());
            for part in 0..3 {
                let length = digits(token, from);
                if length == 0 || length > 2 || (part < 2 && token.get(from + length) != Some(&b':')) {
                    break;
                }
                fields.push(value(&token[from..from + length]));
                from += length + 1;
            }
            if fields.len() == 3 {
                found[0] = Some(fields);
                continue 'tokens;
            }
        }
        let length = digits(token, 0);
        if found[1].is_none() && (1..=2).contains(&length) {
            found[1] = Some(vec![value(&token[..length])]);
        } else if found[2].is_none()
            && let Some(month) = MONTHS.iter().position(|m| token.to_ascii_lowercase().starts_with(&m[..]))
        {
            found[2] = Some(vec![i64::try_from(month).unwrap()]);
        } else if found[3].is_none() && (2..=4).contains(&length) {
            found[3] = Some(vec![value(&token[..length])]);
        }
    }
    found
}

proptest! {
    #[test]
    fn every_second_of_the_clock_is_read_as_it_is_written(second: u32, two_digits in 0..2) {
        let date = imf_date(UnixSeconds(second)).to_string();
        prop_assert_eq!(at(&date), Some(i64::from(second)));
        let year = &date[12..16];
        if two_digits == 1 && ("1970".."2070").contains(&year) {
            let short = format!("{}, {}-{}-{} {}", "Someday", &date[5..7], &date[8..11], &year[2..], &date[17..]);
            prop_assert_eq!(at(&short), Some(i64::from(second)), "{}", short);
        }
    }

    #[test]
    fn what_is_found_is_what_the_grammar_says(text in "([0-9]{1,5}|[0-9]{1,3}:[0-9]{1,3}:[0-9]{1,3}[a:9]?|[a-z:]{1,4}|\
        (jan|Feb|MAR|apr)[a-z]{0,2}|[ ,;/-]|\u{e9}){0,14}") {
        let mut found = DateParts::default();
        text.as_bytes().split(|byte| is_delimiter(*byte)).filter(|t| !t.is_empty()).for_each(|t| found.take(t));
        let one = |part: Option<i64>| part.map(|part| vec![part]);
        let month = found.month.map(|month| i64::try_from(month).unwrap());
        let found = [found.time.map(Vec::from), one(found.day_of_month), one(month), one(found.year)];
        prop_assert_eq!(found, by_the_grammar(text.as_bytes()), "{}", text);
    }

    #[test]
    fn no_bytes_upset_it(text: Vec<u8>) {
        let _ = parse(&text);
    }
}
