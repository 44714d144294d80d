//! The configuration language against text nobody meant: an answer every time, never a panic or an overflow.

use std::{path::PathBuf, time::Duration};

use balancer::{config, model::Configuration};
use proptest::prelude::*;

fn parse(text: &str) -> Result<Configuration, config::ConfigErrors> {
    config::parse(&[(PathBuf::from("x.hcl"), text.to_owned())])
}

/// The same text as each kind of file that a folder may hold, beside one that is in order.
fn parse_as(name: &str, text: &str) -> Result<Configuration, config::ConfigErrors> {
    let main = (PathBuf::from("a.tf"), "target_group \"app\" {\n  port = 80\n}\n".to_owned());
    config::parse(&[main, (PathBuf::from(name), text.to_owned())])
}

/// How long this thread has been at work, whatever else the processors had to do.
fn time_at_work() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.try_into().unwrap(), now.tv_nsec.try_into().unwrap())
}

const KINDS: [&str; 5] = ["b.tf", "b.tf.json", "b_override.tf", "b.auto.tfvars", "b.auto.tfvars.json"];

const VALID: [&str; 2] =
    [include_str!("../../fixtures/config/native.hcl"), include_str!("../../fixtures/config/terraform.tf")];

#[test]
fn deep_nesting_is_refused_on_a_small_stack() {
    const DEPTH: usize = 100_000;
    let attribute = |value: String| format!("target_group \"a\" {{\n  port = {value}\n}}\n");
    let nested = |open: &str, middle: &str, close: &str| {
        attribute(format!("{}{middle}{}", open.repeat(DEPTH), close.repeat(DEPTH)))
    };
    let hostile = [
        nested("[", "", "]"),
        nested("[", "", ""),
        nested("(", "1", ")"),
        nested("{a=", "1", "}"),
        nested("!", "true", ""),
        nested("-", "1", ""),
        nested("\"${", "1", "}\""),
        nested("f(", "1", ")"),
        nested("[for x in ", "[]", ": x]"),
        nested("a[", "0", "]"),
        nested("true ? 1 : ", "1", ""),
        nested("1 + ", "1", ""),
        nested("1 + (", "1", ")"),
        nested("a.", "b", ""),
        nested("%{if true}", "", "%{endif}"),
        attribute(format!("\"{}\"", "%{if true}".repeat(DEPTH))),
        nested("{a = 1 + f([for x in !(\"${a[", "1", "]}\") : x])}"),
        nested("true ? {a = {a = ", "1", "}} : 1"),
        "a {\n".repeat(DEPTH),
        format!("{}{}", "a {\n".repeat(DEPTH), "}\n".repeat(DEPTH)),
        format!("a {} {{}}\n", "\"l\" ".repeat(DEPTH)),
        "target_group \"a\" {\n".repeat(DEPTH),
        "/*".repeat(DEPTH),
        "<<A\n".repeat(DEPTH),
    ];
    let json = [
        format!("{}1{}", "[".repeat(DEPTH), "]".repeat(DEPTH)),
        "{\"a\":".repeat(DEPTH),
        format!("{{\"locals\": {{\"a\": \"{}\"}}}}", "${a(".repeat(DEPTH)),
    ];
    // What a thread of the balancer has, and the main thread has more.
    let small = std::thread::Builder::new().stack_size(2 * 1024 * 1024);
    let checked = small
        .spawn(move || {
            let json = json.iter().filter(|text| parse_as("b.tf.json", text).is_err()).count();
            hostile.iter().filter(|text| parse(text).is_err()).count() + json
        })
        .unwrap();
    assert_eq!(checked.join().unwrap(), 27);
}

#[test]
fn text_that_doubles_itself_by_references_is_refused() {
    let mut texts = String::from("locals {\n  t0 = \"xxxxxxxx\"\n  l0 = [\"10.0.0.1:80\"]\n");
    for level in 1..15 {
        let below = level - 1;
        texts.push_str(&format!(
            "  t{level} = \"${{local.t{below}}}${{local.t{below}}}${{local.t{below}}}\"\n"
        ));
        texts.push_str(&format!("  l{level} = [local.l{below}, local.l{below}, local.l{below}]\n"));
    }
    texts.push_str("}\ntarget_group \"a\" {\n  name    = local.t14\n  targets = local.l14\n}\n");
    let errors = parse(&texts).unwrap_err().to_string();
    assert!(
        errors.contains("the text is too long") && errors.contains("too many variables or parts"),
        "{errors}"
    );
}

/// Large files of what could take time that grows with the square of their size.
#[test]
fn large_files_are_answered_in_bearable_time() {
    const BYTES: usize = 1_000_000;
    let fill = |piece: &dyn Fn(usize) -> String| {
        let mut text = String::new();
        for number in 0.. {
            text.push_str(&piece(number));
            if text.len() > BYTES {
                break;
            }
        }
        text
    };
    let within = |text: &str| format!("target_group \"a\" {{\n  port = 80\n{text}}}\n");
    let texts = [
        fill(&|n| format!("target_group \"a{n}\" {{}}\n")),
        fill(&|n| format!("listener \"a{n}\" {{}}\n")),
        fill(&|n| format!("load_balancer \"a{n}\" {{}}\n")),
        fill(&|_| "balancer {}\n".to_owned()),
        fill(&|n| format!("target_group_attachment \"a{n}\" {{\ntarget_group_arn = \"b{n}\"\n}}\n")),
        fill(&|n| {
            format!("variable \"a{n}\" {{}}\ntarget_group_attachment \"a{n}\" {{\nport = var.b{n}\n}}\n")
        }),
        within(&fill(&|n| format!("  x{n} = 1\n"))),
        within(&fill(&|n| format!("  b{n} {{}}\n"))),
        within(&fill(&|_| "stickiness {}\n".to_owned())),
        within(&format!("targets = [{}]\n", fill(&|n| format!("\"h{n}\",")))),
        format!("locals {{\n{}}}\n", fill(&|n| format!("  x{n} = local.x{}\n", n + 1))),
        "x".repeat(BYTES),
        "x {\n".to_owned() + &"\n".repeat(BYTES),
        fill(&|_| "a {\n b = =\n}\n".to_owned()),
    ];
    let started = time_at_work();
    for text in &texts {
        assert!(parse(text).is_err());
    }
    // Some 10 s on a slow core without optimisation; what is quadratic takes many minutes.
    let took = time_at_work() - started;
    assert!(took < Duration::from_secs(120), "{took:?}");
}

/// The same of the other kinds of files, and of what is looked for in them.
#[test]
fn large_files_of_other_kinds_are_answered_in_bearable_time() {
    const BYTES: usize = 300_000;
    let fill = |piece: &dyn Fn(usize) -> String| {
        let mut text = String::new();
        for number in 0.. {
            text.push_str(&piece(number));
            if text.len() > BYTES {
                break;
            }
        }
        text
    };
    let started = time_at_work();
    for (name, text) in [
        ("b.tf", format!("locals {{\n  x = {{\n{}  }}\n}}\n", fill(&|_| "a = 1\n".to_owned()))),
        ("b.tf", fill(&|n| format!("module \"m{n}\" {{\n  x = local.x{n}\n}}\n"))),
        (
            "b.tf",
            format!(
                "variable \"x\" {{\n  type = object({{ {} }})\n  default = {{ {} }}\n}}\n",
                fill(&|n| format!("x{n} = optional(any), ")),
                fill(&|n| format!("x{n} = 1, "))
            ),
        ),
        (
            "b.tf",
            format!(
                "target_group \"a\" {{\n  count = length(target_group.a)\n  targets = [{}]\n}}\n",
                fill(&|_| "f(each.key, target_group.a[0]), ".to_owned())
            ),
        ),
        (
            "b.tf",
            format!(
                "locals {{\n{}}}\nmodule \"m\" {{\n  x = local.x0\n}}\n",
                fill(&|n| format!("  x{n} = [local.x{}, local.x{}]\n", n + 1, n + 2))
            ),
        ),
        ("b.tf.json", format!("{{\"resource\": [{}]}}", fill(&|_| "{},".to_owned()))),
        (
            "b.tf.json",
            format!("{{\"listener\": {{\"a\": {{{}\"z\": 1}}}}}}", fill(&|n| format!("\"x{n}\": 1,"))),
        ),
        ("b_override.tf", fill(&|n| format!("locals {{\n  x{n} = 1\n}}\n"))),
        ("b_override.tf", format!("locals {{\n{}}}\n", fill(&|n| format!("  x{n} = 1\n")))),
        ("b_override.tf", fill(&|n| format!("listener \"a{n}\" {{}}\n"))),
        ("b.auto.tfvars", fill(&|n| format!("x{n} = 1\n"))),
        ("b.auto.tfvars.json", format!("{{{}\"z\": 1}}", fill(&|n| format!("\"x{n}\": [1],")))),
    ] {
        let _ = parse_as(name, &text);
    }
    // Some 5 s without optimisation; what is quadratic takes minutes.
    let took = time_at_work() - started;
    assert!(took < Duration::from_secs(120), "{took:?}");
}

/// Pieces of the language, so that random text gets past the parser often enough.
fn token() -> impl Strategy<Value = String> {
    let words = [
        "target_group",
        "listener",
        "load_balancer",
        "balancer",
        "resource",
        "target_group_attachment",
        "stickiness",
        "health_check",
        "default_action",
        "listener_rule",
        "condition",
        "path_pattern",
        "query_string",
        "forward",
        "targets",
        "port",
        "name",
        "type",
        "enabled",
        "target_group_arn",
        "\"aws_lb_target_group\"",
        "\"app\"",
        "\"b\"",
        "\"lb_cookie\"",
        "\"app_cookie\"",
        "\"unix:/x\"",
        "\"${",
        "}\"",
        "local.x",
        "var.x",
        "locals",
        "target_group.app.arn",
        "null",
        "true",
        "-1",
        "80",
        "1e400",
        "99999999999999999999",
        "{",
        "}",
        "[",
        "]",
        "(",
        ")",
        "=",
        ",",
        ".",
        "\n",
        "\r\n",
        " ",
        "#",
        "//",
        "/*",
        "*/",
        "<<E\n",
        "\nE\n",
        "%{",
        "\"",
        "\\",
        "\0",
        "é",
        "\u{feff}",
        "jsonencode(",
        "a = 1\na = 2\n",
        "<<-E\n",
        "module \"m\" {",
        "terraform_values",
        "[0]",
        "[*]",
        "\"a\": ",
        "{\"resource\": {",
        "\"${aws_lb.a.arn}\"",
    ];
    prop_oneof![4 => proptest::sample::select(words.to_vec()).prop_map(str::to_owned), 1 => ".{0,8}"]
}

/// One change to a text: a stretch of it is replaced.
fn mutate(text: &str, at: usize, length: usize, replacement: &str) -> String {
    let start = text.floor_char_boundary(at % (text.len() + 1));
    let end = text.floor_char_boundary((start + length).min(text.len())).max(start);
    format!("{}{replacement}{}", &text[..start], &text[end..])
}

fn check(text: &str) -> Result<(), TestCaseError> {
    for name in KINDS.iter().skip(text.len() % KINDS.len()).take(1) {
        if let Err(errors) = parse_as(name, text) {
            prop_assert!(!errors.0.is_empty());
            for error in &errors.0 {
                prop_assert!(error.line >= 1 && error.column >= 1, "{error}");
                prop_assert!(!error.to_string().contains(['\n', '\r', '\0']), "{error:?}");
            }
        }
    }
    match parse(text) {
        Ok(configuration) => {
            // What is accepted can be described and has sound references.
            let groups = configuration.target_groups.len();
            for listener in &configuration.listeners {
                let mut used = listener.actions().flat_map(balancer::model::Action::groups);
                prop_assert!(used.all(|group| group < groups));
                prop_assert!(listener.load_balancer < configuration.load_balancers.len());
            }
            let _ = config::warnings(&configuration);
        }
        Err(errors) => {
            prop_assert!(!errors.0.is_empty());
            for error in &errors.0 {
                prop_assert!(error.line >= 1 && error.column >= 1, "{error}");
                prop_assert!(error.line <= text.lines().count() + 1, "{error}");
                prop_assert!(!error.to_string().contains(['\n', '\r', '\0']), "{error:?}");
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_text_gets_an_answer(text in "(?s).{0,200}") {
        check(&text)?;
    }

    #[test]
    fn any_row_of_tokens_gets_an_answer(tokens in prop::collection::vec(token(), 0..60)) {
        check(&tokens.join(" "))?;
        check(&tokens.concat())?;
    }

    #[test]
    fn changed_valid_text_gets_an_answer(
        which in 0..VALID.len(),
        changes in prop::collection::vec((any::<usize>(), 0..40usize, token()), 1..4),
    ) {
        let mut text = VALID[which].to_owned();
        for (at, length, replacement) in changes {
            text = mutate(&text, at, length, &replacement);
        }
        check(&text)?;
    }
}
