use proptest::prelude::*;

use super::*;
use crate::wire::doubling::least;

fn huge(text: &str) -> Vec<&str> {
    scan(text, 0).huge.into_iter().map(|range| &text[range]).collect()
}

#[test]
fn what_is_in_order_is_not_odd() {
    let text = r##"
# it's a comment with a “quote” and a { brace
// and 'another'
/* and { "one more
   of several lines */
target_group "app" {
  name    = "it's “quoted” \" and }"
  count   = "a${var.b["c"]}d%{ if x }e%{ endif }f$${g"
  body    = <<-EOT
    "half a quote { and ${a}
    EOT
  targets = [
    "127.0.0.1:80", # first
  ]
  other = (1 + 2) * x2-y3
}
"##;
    let found = scan(text, 0);
    assert_eq!((found.oddity, found.unclosed, found.huge), (None, None, Vec::new()));
}

#[test]
fn numbers_that_do_not_fit_are_found_where_they_are_numbers() {
    assert_eq!(huge("a = 18446744073709551615"), [""; 0]);
    assert_eq!(huge("a = 18446744073709551616"), ["18446744073709551616"]);
    assert_eq!(
        huge("a = [1, 99999999999999999999, 1e308, 1e309, 2.5e400]"),
        ["99999999999999999999", "1e309", "2.5e400"]
    );
    assert_eq!(huge("a99999999999999999999 = \"99999999999999999999\" # 99999999999999999999"), [""; 0]);
    assert_eq!(huge("a = \"${99999999999999999999}\""), ["99999999999999999999"]);
}

#[test]
fn hostile_text_is_looked_at_in_bearable_time() {
    for piece in
        ["{", "{\n", "\"${", "[", "<<a\n", "}", " }\n", "a {\n }\n  {", "“", "/*", "9", "a \"b\" {\n", "\"\n"]
    {
        let text = piece.repeat(400_000 / piece.len());
        let closed = format!("{text}{}", "}\n ]".repeat(100_000));
        let took = least(1, || drop((scan(&text, 0), scan(&closed, 0))));
        assert!(took.as_secs() < 20, "{piece:?}: {took:?}");
    }
}

proptest! {
    #[test]
    fn any_text_is_looked_at_to_its_end(text in r#"[a-z"{}\[\]()$%\\#/*<>=' \n“\u{a0}0-9e.-]{0,80}"#) {
        let found = scan(&text, 0);
        for last in 0..text.len() {
            let up_to = |found: Scanned| found.oddity.filter(|oddity| oddity.at <= last);
            prop_assert_eq!(up_to(scan_up_to(&text, 0, last)), up_to(scan(&text, 0)), "up to {}", last);
        }
        for range in found.huge {
            prop_assert!(text.get(range).is_some());
        }
        let places = found.oddity.into_iter().chain(found.unclosed.map(|(oddity, _)| oddity));
        for oddity in places {
            prop_assert!(text.is_char_boundary(oddity.at), "{oddity:?}");
        }
    }
}
