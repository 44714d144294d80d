//! Faults of syntax: what is wrong and where it was made, not where it was noticed; the blocks after it are read.
use std::path::PathBuf;

use balancer::{config, model::Configuration};

fn parse(text: &str) -> Result<Configuration, String> {
    config::parse(&[(PathBuf::from("x.hcl"), text.to_owned())]).map_err(|errors| errors.to_string())
}

/// A block after the fault, with a fault of its own: it has to be found as well.
const NEXT: &str = "target_group \"next\" {\n  por = 80\n}\n";

/// The text is refused with one fault, which begins so, and the block after it is read.
fn told(text: &str, begin: &str) {
    let faults = parse(text).expect_err(text);
    assert!(faults.starts_with(&format!("x.hcl:{begin}")) && faults.lines().count() == 1, "{faults}\n{text}");
    let both = parse(&format!("{text}{NEXT}")).expect_err(text);
    let own = faults.split(" before ").next().unwrap_or_default();
    let next = format!("x.hcl:{}:3: unknown attribute `por`", text.lines().count() + 2);
    let (first, second) = both.split_once('\n').unwrap_or_default();
    assert!(
        first.starts_with(own) && second.starts_with(&next) && both.lines().count() == 2,
        "{both}\n{text}"
    );
}

#[test]
fn a_quotation_mark_that_is_missing_is_told_in_its_line() {
    let unclosed = "the text that begins here is not closed in its line; a \" is missing";
    for (text, place) in [
        ("target_group \"a\" {\n  name = \"a\n  protocol = \"HTTP\"\n}\n", "2:10"),
        ("target_group \"a\" {\n  name = \"a\n}\n", "2:10"),
        ("target_group \"a\" {\n  name = a\"\n}\n", "2:11"),
        ("target_group \"a {\n  protocol = \"HTTP\"\n}\n", "1:14"),
        ("target_group a\" {\n  protocol = \"HTTP\"\n}\n", "1:15"),
        ("target_group \"a\" {\n  targets = [\"h:1\", \"h:2, \"h:3\"]\n}\n", "2:31"),
        ("target_group \"a\" {\n  targets = [\n    \"h:1,\n    \"h:2\",\n  ]\n}\n", "3:5"),
        ("target_group \"a\" {\r\n  name = \"a\r\n  protocol = \"HTTP\"\r\n}\r\n", "2:10"),
        ("target_group \"a\" {\n  name = \"a\\\"\n  protocol = \"HTTP\"\n}\n", "2:10"),
    ] {
        told(text, &format!("{place}: {unclosed}"));
    }
    told("target_group \"a\" {\n  name = \"a${var.b\"\n}\n", "2:12: the `${` that begins here is not closed");
}

#[test]
fn a_bracket_that_is_missing_is_told_where_its_other_is() {
    for (text, begin) in [
        (
            "target_group \"a\" {\n  port = 80\n",
            "1:1: the block `target_group \"a\"` in line 1 is not closed; a `}` is missing before",
        ),
        (
            "target_group \"a\" {\n  stickiness {\n    type = \"lb_cookie\"\n  }\n\n",
            "1:1: the block `target_group \"a\"` in line 1 is not closed",
        ),
        // Which one was forgotten shows in how the lines are indented.
        (
            "target_group \"a\" {\n  stickiness {\n    type = \"lb_cookie\"\n}\n",
            "2:3: the block `stickiness` in line 2 is not closed",
        ),
        (
            "listener \"a\" {\n  port = 80\n  default_action {\n    fixed_response {\n      status_code = 200\n  }\n}\n",
            "4:5: the block `fixed_response` in line 4 is not closed",
        ),
        ("locals {\n  a = {\n    b = 1\n}\n", "2:3: the `{` after `a =` in line 2 is not closed"),
        (
            "target_group \"a\" {\n  targets = [\"h:1\", \"h:2\"\n}\n",
            "2:13: the `[` after `targets =` in line 2 is not closed; a `]` is missing before the `}` in line 3",
        ),
        (
            "target_group \"a\" {\n  targets = [\n    \"h:1\",\n  port = 80\n}\n",
            "2:13: the `[` after `targets =` in line 2 is not closed",
        ),
        ("target_group \"a\" {\n  port = (80\n}\n", "2:10: the `(` after `port =` in line 2 is not closed"),
        ("target_group \"a\" {\n  port = 80\n}\n}\n", "4:1: this `}` closes nothing"),
        ("target_group \"a\" {\n  targets = \"h:1\"]\n}\n", "2:18: this `]` closes nothing"),
    ] {
        told(text, begin);
    }
    let text = format!("target_group \"a\" {{\n  port = 80\n{NEXT}");
    let faults = parse(&text).unwrap_err();
    assert!(faults.contains("is not closed; a `}` is missing before line 3\n"), "{faults}");
}

#[test]
fn what_has_no_end_is_told_where_it_begins() {
    for (text, begin) in [
        (
            "target_group \"a\" {\n  name = <<EOT\na\n}\n",
            "2:10: the text that begins here with <<EOT has no end; a line `EOT`",
        ),
        (
            "target_group \"a\" {\n  name = <<-END\na\n  END.\n}\n",
            "2:10: the text that begins here with <<END has no end",
        ),
        ("target_group \"a\" {\n  /* port = 80\n}\n", "2:3: the comment that begins here has no end; a `*/`"),
    ] {
        let faults = parse(text).unwrap_err();
        assert!(faults.starts_with(&format!("x.hcl:{begin}")) && faults.lines().count() == 1, "{faults}");
    }
}

#[test]
fn characters_that_look_like_others_are_told() {
    for (text, begin) in [
        ("target_group “a” {\n}\n", "1:14: “ is no quotation mark here; allowed: the plain \""),
        ("target_group \"a\" {\n  name = “a”\n}\n", "2:10: “ is no quotation mark"),
        ("target_group \"a\" {\n  name = 'a'\n}\n", "2:10: ' is no quotation mark"),
        ("target_group \"a\" {\n  name = `a`\n}\n", "2:10: ` is no quotation mark"),
        (
            "target_group \"a\" {\n  name = \"a”\n}\n",
            "2:10: the text that begins here ends with ”; allowed: the plain \"",
        ),
        ("target_group \"a\" {\n\u{a0} name = \"a\"\n}\n", "2:1: the character U+00A0 looks like a space"),
        ("target_group \"a\" {\n  name\u{200b} = \"a\"\n}\n", "2:7: the character U+200B looks like a space"),
    ] {
        told(text, begin);
    }
    // Within a text or a comment they are as good as others.
    parse("# it's “fine”\ntarget_group \"a\" {\n  tags = { a = \"it's “fine”\u{a0}\" }\n}\n").unwrap();
}

#[test]
fn signs_that_are_missing_or_too_many_are_told_in_words() {
    for (line, begin) in [
        ("port 80", "2:6: syntax error: a `=` is missing after `port`; allowed: `port = …`"),
        ("port: 80", "2:5: syntax error: `:` gives no value; allowed: `port = …`"),
        ("port : 80", "2:6: syntax error: `:` gives no value; allowed: `port = …`"),
        ("port := 80", "2:6: syntax error: `:` gives no value"),
        ("port == 80", "2:7: syntax error: one `=` too many"),
        ("port =", "2:7: syntax error: the value of `port` is missing"),
        ("port = # later", "2:8: syntax error: the value of `port` is missing"),
        ("port = 80,", "2:10: syntax error: `,` has no place after a value; allowed: an attribute a line"),
        ("port = 80;", "2:10: syntax error: `;` has no place after a value"),
        (
            "port = 80 name = \"x\"",
            "2:11: syntax error: the value ends before this; allowed: an attribute a line",
        ),
        (
            "deregistration_delay = 300s",
            "2:27: syntax error: a number ends before this; allowed: digits alone",
        ),
        ("targets = [\"h:1\" \"h:2\"]", "2:18: syntax error: a `,` is missing before this"),
        ("targets = [\n\"h:1\"\n\"h:2\"\n]", "4:1: syntax error: a `,` is missing before this"),
        ("  protocol \"HTTP\"", "2:18: syntax error: a `=` or a `{` is missing after `protocol`"),
        (
            "stickiness { other { a = 1 } }",
            "2:20: syntax error: a block cannot begin within a block of one line; allowed: each `{` at the end",
        ),
        (
            "stickiness { other \"x\" { a = 1 } }",
            "2:20: syntax error: a block cannot begin within a block of one",
        ),
    ] {
        told(&format!("target_group \"a\" {{\n{line}\n}}\n"), begin);
    }
    told(
        "target_group \"a\"\n{\n}\n",
        "1:17: syntax error: a `{` is missing; allowed: `target_group … {` in one line",
    );
    let json = parse("{\n  \"target_group\": {}\n}\n").unwrap_err();
    assert!(json.starts_with("x.hcl:1:1: syntax error: this looks like JSON; allowed: HCL"), "{json}");
}

#[test]
fn numbers_beyond_any_range_are_told_at_their_place_where_they_are_looked_at() {
    for (text, fault) in [
        (
            "port = 18446744073709551616",
            "2:8: `port` = 18446744073709551616 is out of range; allowed: a whole number from 1",
        ),
        (
            "port = 99999999999999999999999999999999",
            "2:8: `port` = 99999999999999999999999999999999 is out of range",
        ),
        ("port = 1e999", "2:8: `port` = 1e999 is out of range"),
        ("port = -18446744073709551616", "2:8: `port` = -18446744073709551616 is out of range"),
        ("slow_start = 18446744073709551616", "2:14: `slow_start` = 18446744073709551616; allowed: 0, or"),
        ("port = var.huge", "2:8: `port` = a number that is too large is out of range"),
        ("name = 18446744073709551616", "2:8: `name` = a number that is too large is no text"),
        ("targets = [18446744073709551616]", "2:12: a number that is too large is no target"),
    ] {
        let variable = "variable \"huge\" {\n  default = 18446744073709551616\n}\n";
        told(&format!("target_group \"a\" {{\n{text}\n}}\n{variable}"), fault);
    }
    for unseen in [
        "provider \"x\" {\n  account = 18446744073709551616\n}\n",
        "resource \"aws_instance\" \"x\" {\n  list = [1, 123456789012345678901234567890, { a = 1e400 }]\n}\n",
        "output \"x\" {\n  value = \"${18446744073709551616}\"\n}\n",
        "locals {\n  unused = 18446744073709551616\n}\n",
    ] {
        parse(&format!("{unseen}target_group \"a\" {{\n  tags = {{ n = 18446744073709551616 }}\n}}\n"))
            .unwrap();
    }
}

#[test]
fn numbers_are_told_with_their_unit() {
    for (text, allowed) in [
        ("deregistration_delay = 3601", "allowed: a whole number from 0 to 3600 seconds"),
        ("deregistration_delay = \"300s\"", "allowed: a whole number from 0 to 3600 seconds"),
        ("slow_start = 901", "allowed: 0, or a whole number from 30 to 900 seconds"),
        (
            "stickiness {\n  type = \"lb_cookie\"\n  cookie_duration = 0\n}",
            "allowed: a whole number from 1 to 604800 seconds",
        ),
        (
            "stickiness {\n  type = \"lb_cookie\"\n  load_factor = 1\n}",
            "allowed: 0, or a whole number from 110 to 1000 percent",
        ),
        ("health_check {\n  interval = 1\n}", "allowed: a whole number from 5 to 300 seconds"),
        ("health_check {\n  healthy_threshold = 1\n}", "allowed: a whole number from 2 to 10"),
        ("port = 0", "allowed: a whole number from 1 to 65535"),
    ] {
        let faults = parse(&format!("target_group \"a\" {{\n{text}\n}}\n")).unwrap_err();
        assert!(faults.ends_with(allowed) && faults.lines().count() == 1, "{faults}");
    }
}

#[test]
fn a_fault_that_follows_from_another_is_not_told() {
    let listener = "listener \"web\" {\n  port = 80\n  default_action {\n    type = \"forward\"\n    \
                    target_group_arn = target_group.app.arn\n  }\n}\n";
    let sticky = "listener \"web\" {\n  port = 80\n  default_action {\n    type = \"forward\"\n    forward {\n      \
                  target_group { arn = target_group.app.arn }\n      target_group { arn = target_group.b.arn }\n      \
                  stickiness {\n        enabled = true\n        duration = 60\n      }\n    }\n  }\n}\n\
                  target_group \"b\" {\n  stickiness {\n    type = \"lb_cookie\"\n  }\n}\n";
    let rule = "listener_rule \"r\" {\n  listener_arn = listener.web.arn\n  action {\n    type = \"forward\"\n    \
                target_group_arn = target_group.app.arn\n  }\n  condition {\n    path_pattern { values = [\"/a\"] }\n  }\n}\n\
                target_group \"app\" {}\n";
    for (rest, faulty) in [
        // Misspelt kinds and labels: what they would have defined is not known.
        (listener, "target_gruop \"app\" {\n}\n"),
        (listener, "resource \"aws_lb_target_gruop\" \"app\" {\n}\n"),
        (listener, "resource \"aws_lb_target_group\" {\n}\n"),
        (listener, "target_group {\n}\n"),
        (listener, "target_group \"app\" \"two\" {\n}\n"),
        // Values.
        (listener, "target_group \"app\" {\n  name = \"-\"\n}\n"),
        (listener, "target_group \"app\" {\n  port = 0\n  targets = [\"127.0.0.1\"]\n}\n"),
        (listener, "target_group \"app\" {\n  protocol = \"FTP\"\n  target_tls_verification = \"off\"\n}\n"),
        (listener, "target_group \"app\" {\n  health_check {\n    interval = 1\n  }\n}\n"),
        (listener, "target_group \"app\" {\n  stickiness {\n    type = \"cookie\"\n  }\n}\n"),
        (
            listener,
            "target_group \"app\" {\n  stickiness {\n    type = \"cookie\"\n    cookie_name = \"A\"\n  }\n}\n",
        ),
        (
            listener,
            "target_group \"app\" {\n  health_check {\n    interval = 400\n    timeout = 100\n  }\n}\n",
        ),
        (
            listener,
            "target_group \"app\" {\n  load_balancing_algorithm_type = \"random\"\n  load_balancing_anomaly_mitigation = \"on\"\n}\n",
        ),
        (
            listener,
            "target_group \"app\" {\n  protocol = \"HTPS\"\n  target_tls_server_name = \"a.test\"\n}\n",
        ),
        (
            rule,
            "listener \"web\" {\n  port = 443\n  protocol = \"HTPS\"\n  certificate_arn = \"x\"\n  alpn_policy = \"HTTP2Only\"\n  mutual_authentication {\n    mode = \"passthrough\"\n  }\n  default_action {\n    type = \"forward\"\n    target_group_arn = \"app\"\n  }\n}\n",
        ),
        (
            rule,
            "listener \"web\" {\n  port = 80\n  default_action {\n    type = \"redirct\"\n    redirect { status_code = \"HTTP_301\" }\n  }\n}\n",
        ),
        (sticky, "target_group \"app\" {\n  stickiness {\n    type = \"cookie\"\n  }\n}\n"),
        (sticky, "target_group \"app\" {\n  stickiness {\n    type = \"app_cookie\"\n  }\n}\n"),
        (
            sticky,
            "target_group \"app\" {\n  stickiness {\n    type = \"lb_cookie\"\n    cookie_duration = 0\n  }\n}\n",
        ),
        (
            rule,
            "listener \"web\" {\n  port = 0\n  default_action {\n    type = \"forward\"\n    target_group_arn = \"app\"\n  }\n}\n",
        ),
        (rule, "listener \"web\" {\n  port = 80\n}\n"),
        (
            rule,
            "listener \"web\" {\n  port = 80\n  protocol = \"FTP\"\n  ssl_policy = \"ELBSecurityPolicy-TLS13-1-2-2021-06\"\n  default_action {\n    type = \"forward\"\n    target_group_arn = \"app\"\n  }\n}\n",
        ),
        (
            rule,
            "listener \"web\" {\n  port = 443\n  protocol = \"HTTPS\"\n  certificate_arn = certificate.c.arn\n  default_action {\n    type = \"forward\"\n    target_group_arn = \"app\"\n  }\n}\ncertificate \"c\" {\n  certificate_file = \"/nowhere.pem\"\n  private_key_file = \"/nowhere.key\"\n}\n",
        ),
    ] {
        let faults = parse(&format!("{rest}{faulty}")).unwrap_err();
        assert_eq!(faults.lines().count(), 1, "{faults}\n{faulty}");
    }
}

#[test]
fn attributes_given_twice_and_texts_without_quotes_are_told_in_words() {
    told(
        "target_group \"a\" {\n  port = 80\n  port = 81\n}\n",
        "3:3: syntax error: `port` is given twice in the block; allowed: once",
    );
    told(
        "target_group \"a\" {\n  targets = [10.0.0.1:80]\n}\n",
        "2:22: syntax error: addresses and names are texts",
    );
    told(
        "target_group \"a\" {\n  targets = [app.internal:80]\n}\n",
        "2:26: syntax error: addresses and names are texts",
    );
}

#[test]
fn another_language_is_called_by_its_name() {
    for (text, place) in [
        ("[listener.web]\nport = 80\n", "1:1"),
        ("# of ours\n\n[listener.web]\nport = 80\n", "3:1"),
        ("port = 80\n[[rules]] # first\n", "2:1"),
        ("[web]\nport = [80\n", "1:1"),
    ] {
        let faults = parse(text).unwrap_err();
        let told = format!("x.hcl:{place}: syntax error: this looks like TOML; allowed: HCL");
        assert!(faults.lines().any(|line| line.starts_with(&told)), "{text}\n{faults}");
        assert!(!faults.contains("JSON"), "{text}\n{faults}");
    }
    for (text, place) in [
        ("{\n  \"listener\": {}\n}\n", "1:1"),
        ("\n  {\"listener\": {}}\n", "2:3"),
        ("[\n  {}\n]\n", "1:1"),
        ("[1]\n", "1:1"),
        ("[\"a\"]\n", "1:1"),
        ("[{\"a\": 1}]\n", "1:1"),
    ] {
        let faults = parse(text).unwrap_err();
        let told = format!("x.hcl:{place}: syntax error: this looks like JSON; allowed: HCL");
        assert!(faults.starts_with(&told), "{text}\n{faults}");
    }
    // A list in its place is neither.
    let list = parse("target_group \"a\" {\n  targets = [\n[a] [b]\n  ]\n}\n").unwrap_err();
    assert!(!list.contains("TOML") && !list.contains("JSON"), "{list}");
}

/// Control characters, but for the ends of lines and tabs.
fn controls() -> impl Iterator<Item = char> {
    ('\0'..='\u{9f}').filter(|letter| letter.is_control() && !matches!(letter, '\t' | '\n'))
}

/// Faults of a file of this name and text.
fn faults_of(name: &str, text: &str) -> Option<String> {
    config::parse(&[(name.into(), text.to_owned())]).err().map(|errors| errors.to_string())
}

#[test]
fn a_control_character_is_taken_or_named_with_its_place() {
    // In texts and comments they say nothing, as for Terraform.
    let hcl = "@listener \"a\" {\n  port@ = 8080@\n  # @\n  default_action {@\n    type = \"fixed-response\"\n    \
               fixed_response@ {\n      content_type @= \"text/plain\"\n      status_code = 2@00\n      message_body = \
               \"x@y\"\n    }\n  }\n}@\n";
    let json = "@{\"listener\"@: {\"a\": {\"port\": @8080,\n \"default_action\": {@\"type\": \"fixed-response\", \
                \"fixed_response\": {\"content_type\": \"text/plain\"@, \"status_code\": 2@00, \"message_body\": \
                \"x@y\"}}}}@}\n@";
    for (name, text) in [("x.hcl", hcl), ("x.tf.json", json)] {
        let places: Vec<usize> = text.match_indices('@').map(|(at, _)| at).collect();
        assert_eq!(faults_of(name, &text.replace('@', "")), None);
        let mut taken = 0;
        // Of JSON, blank space.
        let is_blank = |control: &char| *control == '\r' && name.ends_with("json");
        let controls = || controls().filter(|control| !is_blank(control));
        for (control, at) in controls().flat_map(|control| places.iter().map(move |at| (control, *at))) {
            let before = text[..at].replace('@', "");
            let written = format!("{before}{control}{}", text[at..].replace('@', ""));
            let Some(said) = faults_of(name, &written) else {
                taken += 1;
                continue;
            };
            let code = u32::from(control);
            let named = if control.is_ascii() { format!("0x{code:02x}") } else { format!("U+{code:04X}") };
            let (line, column) = (
                1 + before.matches('\n').count(),
                1 + before.chars().rev().take_while(|it| *it != '\n').count(),
            );
            let place = format!("{name}:{line}:{column}: ");
            assert!(
                said.starts_with(&place) && said.contains(&named) && said.lines().count() == 1,
                "{name} {named} at {at}: {place}{said}"
            );
        }
        let all = controls().count() * places.len();
        assert!(taken * 2 < all, "{name}: {taken} of {all} are taken");
    }
}

#[test]
fn a_file_that_ends_in_bytes_of_zero_is_one_fault() {
    let text = format!("balancer {{\n}}\n{}", "\0".repeat(4096));
    let said = faults_of("x.hcl", &text).unwrap();
    assert_eq!(said, "x.hcl:3:1: the byte 0x00 is a control character and not text; allowed: HCL in UTF-8");
}

#[test]
fn what_is_not_seen_is_named() {
    for unseen in ['\u{ad}', '\u{200e}', '\u{202e}', '\u{2066}', '\u{feff}'] {
        let said = faults_of("x.hcl", &format!("balancer {{\n  workers {unseen}= 1\n}}\n")).unwrap();
        let begin = format!("x.hcl:2:11: the character U+{:04X} looks like a space", u32::from(unseen));
        assert!(said.starts_with(&begin) && said.lines().count() == 1, "{said}");
    }
}

#[test]
fn a_text_of_json_that_its_line_does_not_close_is_told_as_that() {
    let said = faults_of("x.tf.json", "{\"balancer\": {\n  \"instance\": \"a\n}}").unwrap();
    assert!(
        said.starts_with("x.tf.json:2:17: syntax error in JSON; expected `\"` before the end of the line"),
        "{said}"
    );
    let said = faults_of("x.tf.json", "{\"balancer\": {\"instance\": \"a\tb\"}}").unwrap();
    assert!(said.contains("1:29: syntax error in JSON; expected \\t for a tab in a text"), "{said}");
}
