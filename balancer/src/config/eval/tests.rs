//! Expressions, held against a table, and the table against Terraform.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use proptest::prelude::*;

use super::{
    cases::{CASES, CONFIGURATION, OF_FORMS, REFUSED},
    encoding, evaluate,
};
use crate::config::{
    bindings::{Env, Val},
    eval::{call::Call, resolve},
    fault::Faults,
    scope::{Scope, Unknown},
    source::{Position, SourceFile},
    syntax,
};

/// What a local `x` of this value comes to, beside a configuration.
fn worked_out(configuration: &str, expression: &str) -> Result<Val, Unknown> {
    let text = format!("{configuration}\nlocals {{\n  xxx = {expression}\n}}\n");
    let sources = [SourceFile::new(Path::new("x.tf"), &text)];
    let faults = Faults::new(&sources, false);
    let bodies = [syntax::parse(0, sources[0].text(), &faults)];
    assert!(faults.is_empty(), "{expression}");
    let calls = crate::config::calls::ModuleCalls::default();
    let mut scope = Scope::collect(&bodies, &calls, &faults);
    scope.fill_in();
    let local = bodies[0].blocks.iter().rev().find(|block| block.kind == "locals").unwrap();
    let value = &local.body.attributes[0].value;
    let found = evaluate(&scope, value, &Env::default());
    let _ = resolve(&scope, value, &Env::default());
    found
}

fn json(value: &Val) -> String {
    let position = Position { file: 0, offset: 0 };
    encoding::json(&Call { name: "jsonencode", values: &[], position }, value).unwrap_or_default()
}

#[test]
fn expressions_come_to_what_terraform_makes_of_them() {
    let mut wrong = Vec::new();
    for (expression, expected) in CASES.iter().chain(OF_FORMS) {
        let found = match worked_out(CONFIGURATION, expression) {
            Ok(value) => json(&value),
            Err(unknown) => {
                let message = unknown.message();
                assert!(message.is_none_or(|message| message.contains("; allowed: ")), "{expression}");
                REFUSED.to_owned()
            }
        };
        if found != *expected {
            wrong.push(format!("{expression}: {found}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Those whose refusal Terraform has before it works anything out.
const NOT_ASKED: [&str; 1] = ["no_such_function(1)"];

#[test]
fn terraform_says_the_same() {
    let asked: Vec<&(&str, &str)> =
        CASES.iter().chain(OF_FORMS).filter(|(case, _)| !NOT_ASKED.contains(case)).collect();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("main.tf"), CONFIGURATION).unwrap();
    let started = Command::new("terraform")
        .arg("console")
        .current_dir(folder.path())
        .env("CHECKPOINT_DISABLE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut console) = started else {
        eprintln!("skipped: terraform_says_the_same: there is no program `terraform` here");
        return;
    };
    let questions =
        asked.iter().map(|(case, _)| format!("try(base64encode(jsonencode({case})), \"{REFUSED}\")"));
    let question = format!("join(\" \", [{}])\n", questions.collect::<Vec<_>>().join(", "));
    console.stdin.take().unwrap().write_all(question.as_bytes()).unwrap();
    let output = console.wait_with_output().unwrap();
    let answer = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<&str> = answer.trim().trim_matches('"').split(' ').collect();
    assert_eq!(answers.len(), asked.len(), "{answer}\n{}", String::from_utf8_lossy(&output.stderr));
    let mut wrong = Vec::new();
    for ((case, expected), answer) in asked.into_iter().zip(answers) {
        let answer = match answer {
            REFUSED => REFUSED.to_owned(),
            answer => String::from_utf8(STANDARD.decode(answer).unwrap()).unwrap(),
        };
        if answer != *expected {
            wrong.push(format!("{case}: Terraform says {answer}, the table {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is not told apart here, though Terraform has a value for some of it.
#[test]
fn what_is_not_told_apart_is_not_guessed() {
    for expression in [
        "yamldecode(\"a: 2020-01-01\")",
        "yamldecode(\"a: .inf\")",
        "yamldecode(\"a: !foo 1\")",
        "yamldecode(\"<<: [{a: 1}, {a: 2}]\")",
        "yamldecode(\"{\")",
        "yamlencode(\"tab\\t\")",
        "yamlencode(\"a \\nb\")",
        "yamlencode(join(\" \", range(100)))",
        "fileset(\".\", \"{a,{b}}\")",
        "issensitive(upper(sensitive(\"a\")))",
        "issensitive({ a = sensitive(1) }.a)",
        "textencodebase64(\"a\", \"UTF-16\")",
        "textdecodebase64(\"YQ==\", \"windows-1252\")",
    ] {
        assert!(matches!(worked_out("", expression), Err(Unknown::NotHere(_))), "{expression}");
    }
    // What a few bytes make much of, and what goes deep.
    let many = (0..40).map(|level| match level {
        0 => "a0: &a0 [x]\\n".to_owned(),
        level => format!("a{level}: &a{level} [*a{0}, *a{0}, *a{0}, *a{0}]\\n", level - 1),
    });
    let many = format!("yamldecode(\"{}\")", many.collect::<String>());
    for expression in [many, format!("yamldecode(\"{}\")", "[".repeat(10_000))] {
        assert!(worked_out("", &expression).is_err());
    }
}

#[test]
fn what_is_not_known_goes_on_under_its_name() {
    let by = |expression: &str| match worked_out(CONFIGURATION, expression) {
        Ok(value) => value.unknown().map(|by| by.to_string()),
        Err(unknown) => unknown.message(),
    };
    for (expression, name) in [
        ("aws_vpc.main.id", "aws_vpc.main.id"),
        ("data.aws_vpc.main.id", "data.aws_vpc.main.id"),
        ("module.vpc.public_subnets[0]", "module.vpc.public_subnets[0]"),
        ("aws_instance.web[\"a\"].id", "aws_instance.web[\"a\"].id"),
        ("aws_subnet.public[*].id", "aws_subnet.public[*].id"),
        ("\"x-${aws_vpc.main.id}\"", "aws_vpc.main.id"),
        ("upper(aws_vpc.main.id)", "aws_vpc.main.id"),
        ("element(data.aws_subnets.x.ids, 0)", "data.aws_subnets.x.ids"),
        ("length(module.x.y)", "module.x.y"),
        ("join(\"\", [aws_lb.x.arn])", "aws_lb.x.arn"),
        ("join(\"-\", [\"a\", aws_lb.x.arn])", "aws_lb.x.arn"),
        ("concat([\"a\"], [aws_lb.x.arn])[1]", "aws_lb.x.arn"),
        ("coalesce(\"\", aws_lb.x.arn)", "aws_lb.x.arn"),
        ("true ? aws_lb.x.arn : \"\"", "aws_lb.x.arn"),
        ("data.x.y.z ? 1 : 2", "data.x.y.z"),
        ("data.x.y.z == 1", "data.x.y.z"),
        ("[for x in data.x.y.z : x]", "data.x.y.z"),
        ("try(aws_lb.x.arn, \"\")", "aws_lb.x.arn"),
        ("timestamp()", "timestamp()"),
        (
            "[base64gzip(\"x\"), 1][0]",
            "what cannot be worked out here (`base64gzip` is a function that is not worked out here)",
        ),
        (
            "[no_such_function(\"x\"), 1][0]",
            "what cannot be worked out here (there is no function `no_such_function`)",
        ),
    ] {
        assert_eq!(by(expression).as_deref(), Some(name), "{expression}");
    }
    for (expression, known) in [
        ("data.x.y.z ? 1 : 1", "1"),
        ("false && data.x.y.z", "false"),
        ("data.x.y.z || true", "true"),
        ("length([aws_lb.x.arn])", "1"),
        ("aws_lb.x.arn == null", "false"),
        ("contains([aws_lb.x.arn, \"a\"], \"a\")", "true"),
        ("[no_such_function(\"x\"), 1][1]", "1"),
    ] {
        assert_eq!(json(&worked_out(CONFIGURATION, expression).unwrap()), known, "{expression}");
    }
    // Nobody may try what cannot be worked out here.
    for expression in [
        "try(no_such_function(\"x\"), \"a\")",
        "try(rsadecrypt(\"x\", \"k\"), 1)",
        "can(yamldecode(\"[\"))",
        "try(var.missing, 1)",
    ] {
        assert!(matches!(worked_out("", expression), Err(Unknown::NotHere(_))), "{expression}");
    }
}

#[test]
fn blocks_whose_number_is_not_known_go_by_their_names() {
    let blocks = "resource \"aws_instance\" \"web\" {\n  count = length(data.x.y.z)\n}\n\
                  balancer {\n  terraform_values = {\n    \"aws_instance.web\" = [\"10.0.0.1\", \"10.0.0.2\"]\n    \
                  \"module.m.ids\" = [\"a\"]\n    \"var.x\" = 5\n  }\n}\n";
    for (expression, expected) in [
        ("aws_instance.web[1].id", "\"10.0.0.2\""),
        ("length(aws_instance.web)", "2"),
        ("aws_instance.web[*].id", "[\"10.0.0.1\",\"10.0.0.2\"]"),
        ("[for i in aws_instance.web : i.private_ip]", "[\"10.0.0.1\",\"10.0.0.2\"]"),
        ("module.m.ids[0]", "\"a\""),
        ("var.x + 1", "6"),
    ] {
        let found = worked_out(blocks, expression).map(|value| json(&value));
        assert_eq!(found.map_err(Unknown::message), Ok(expected.to_owned()), "{expression}");
    }
}

#[test]
fn blocks_are_as_many_as_they_say() {
    let blocks = "resource \"aws_instance\" \"web\" {\n  count = 2\n  ami = \"a-${count.index}\"\n}\n\
                  resource \"aws_lb_target_group\" \"app\" {\n  for_each = { b = 81, a = 80 }\n  port = each.value\n}\n\
                  resource \"aws_lb\" \"one\" {\n  idle_timeout = 60 + 1\n}\nresource \"aws_lb\" \"none\" {\n  count = 0\n}\n";
    let written = |expression: &str| match worked_out(blocks, expression) {
        Ok(Val::List(items)) => items
            .iter()
            .map(|(item, _)| item.unknown().map_or_else(|| json(item), |by| by.to_string()))
            .collect::<Vec<_>>()
            .join(" "),
        Ok(value) => value.unknown().map_or_else(|| json(&value), |by| by.to_string()),
        Err(unknown) => unknown.message().unwrap_or_default(),
    };
    for (expression, expected) in [
        ("aws_instance.web[*].id", "aws_instance.web[0].id aws_instance.web[1].id"),
        ("aws_instance.web.*.id", "aws_instance.web[0].id aws_instance.web[1].id"),
        ("aws_instance.web[1].ami", "\"a-1\""),
        ("length(aws_instance.web)", "2"),
        (
            "[for g in aws_lb_target_group.app : g.arn]",
            "aws_lb_target_group.app[\"a\"].arn aws_lb_target_group.app[\"b\"].arn",
        ),
        ("values(aws_lb_target_group.app)[*].port", "80 81"),
        ("keys(aws_lb_target_group.app)", "\"a\" \"b\""),
        ("aws_alb_target_group.app[\"b\"].port", "81"),
        ("aws_lb.one[*].arn", "aws_lb.one.arn"),
        ("aws_lb.one.idle_timeout", "61"),
        ("one(aws_lb.none[*].arn)", "null"),
        ("try(aws_lb.none[0].arn, aws_lb.one.arn)", "aws_lb.one.arn"),
        ("length(aws_lb.none) > 0 ? aws_lb.none[0].arn : aws_lb.one.arn", "aws_lb.one.arn"),
    ] {
        assert_eq!(written(expression), expected, "{expression}");
    }
    // One of a counted block needs no index, as before Terraform 0.12.
    let single = blocks.replace("count = 2", "count = 1");
    let one = worked_out(&single, "aws_instance.web.id").unwrap();
    assert_eq!(one.unknown().as_deref(), Some("aws_instance.web[0].id"));
    assert_eq!(json(&worked_out(&single, "aws_instance.web.ami").unwrap()), "\"a-0\"");
    assert!(
        written("aws_instance.web[2].id").contains("goes into a part of what there is that is not there")
    );
    assert!(written("aws_instance.web.id").contains("is asked of a block that is several"));
    assert!(written("aws_lb.one[0].arn").contains("is one, and has no index"));
}

#[test]
fn paths_are_of_the_folder_and_of_the_user() {
    let here = std::env::current_dir().unwrap();
    let text = |expression: &str| match worked_out("", expression) {
        Ok(Val::Text(text)) => text.to_string(),
        other => panic!("{expression}: {other:?}"),
    };
    assert_eq!(text("abspath(\"a/../b\")"), here.join("b").to_str().unwrap());
    assert_eq!(text("abspath(path.module)"), here.to_str().unwrap());
    assert_eq!(text("\"${path.cwd}\""), here.to_str().unwrap());
    let home = std::env::var("HOME").unwrap();
    assert_eq!(text("pathexpand(\"~/.ssh/id\")"), format!("{home}/.ssh/id"));
    assert_eq!(text("pathexpand(\"~\")"), home);
}

#[test]
fn rendered_templates_are_what_the_old_provider_made() {
    let blocks = "data \"template_file\" \"page\" {\n  template = \"$${title} $${upper(n)} $$${x}\"\n  vars = {\n    title = \"T\"\n    \
                  n = 5\n  }\n}\ndata \"template_file\" \"old\" {\n  template = \"$${a}\"\n  vars {\n    a = \"b\"\n  }\n}\n\
                  data \"template_file\" \"plain\" {\n  template = \"x\"\n}\n\
                  data \"template_file\" \"many\" {\n  count = 2\n  template = \"n$${i}\"\n  vars = { i = count.index }\n}\n\
                  data \"template_file\" \"of_aws\" {\n  template = \"$${db}\"\n  vars = { db = aws_db_instance.x.address }\n}\n\
                  data \"template_file\" \"itself\" {\n  template = \"$${t}\"\n  vars = { t = data.template_file.itself.rendered }\n}\n";
    for (expression, expected) in [
        ("data.template_file.page.rendered", "\"T 5 ${x}\""),
        ("data.template_file.old.rendered", "\"b\""),
        ("data.template_file.plain.rendered", "\"x\""),
        ("data.template_file.many[1].rendered", "\"n1\""),
        ("data.template_file.many.*.rendered", "[\"n0\",\"n1\"]"),
    ] {
        let found = worked_out(blocks, expression).map(|value| json(&value));
        assert_eq!(found.map_err(Unknown::message), Ok(expected.to_owned()), "{expression}");
    }
    let of_aws = worked_out(blocks, "data.template_file.of_aws.rendered").unwrap();
    assert_eq!(of_aws.unknown().as_deref(), Some("aws_db_instance.x.address"));
    assert!(worked_out(blocks, "data.template_file.itself.rendered").is_err());
}

#[test]
fn a_template_knows_nothing_but_what_it_is_given() {
    let blocks = "variable \"v\" {\n  default = 1\n}\nresource \"aws_lb\" \"main\" {}\nlocals {\n  a = \"$${name}\"\n  b = \"$${var.v}\"\n  \
                  c = \"$${aws_lb.main.arn}\"\n  d = \"%%{ for x in [1] }$${x}$${y}%%{ endfor }\"\n}\n";
    for (local, name) in [("a", "name"), ("b", "var"), ("c", "aws_lb"), ("d", "y")] {
        let wrong = worked_out(blocks, &format!("templatestring(local.{local}, {{ x = 1 }})")).unwrap_err();
        let told = format!("a template has `{name}`, which it is not given; allowed: ");
        assert!(wrong.message().is_some_and(|wrong| wrong.starts_with(&told)), "{local}");
    }
}

/// Expressions that are put together at random.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "1",
        "0",
        "-1",
        "1e30",
        "0.5",
        "null",
        "true",
        "\"\"",
        "\"a\"",
        "\"/a*/\"",
        "[]",
        "{}",
        "var.apps",
        "var.ports",
        "local.m",
        "local.l",
        "local.n",
        "aws_lb.x.arn",
        "data.x.y",
        "9223372036854775807",
        "\"%999999s\"",
        "xxx",
        "each.key",
        "local.xxx",
        "\"10.0.0.0/8\"",
        "\"fd00::/16\"",
        "340282366920938463463374607431768211455",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(4, 40, 4, |inner| {
        let name = prop::sample::select(vec![
            "length",
            "merge",
            "element",
            "join",
            "lookup",
            "keys",
            "try",
            "toset",
            "substr",
            "split",
            "slice",
            "format",
            "concat",
            "compact",
            "coalesce",
            "reverse",
            "values",
            "base64encode",
            "flatten",
            "replace",
            "jsonencode",
            "cidrsubnet",
            "cidrhost",
            "cidrsubnets",
            "upper",
            "title",
            "indent",
            "regex",
            "regexall",
            "range",
            "pow",
            "chunklist",
            "zipmap",
            "setproduct",
            "setunion",
            "sum",
            "max",
            "parseint",
            "formatlist",
            "transpose",
            "matchkeys",
            "distinct",
            "index",
            "contains",
            "one",
            "alltrue",
            "tomap",
            "tolist",
            "tonumber",
            "jsondecode",
            "templatefile",
            "file",
            "sort",
            "floor",
            "ceil",
            "can",
            "urlencode",
            "strrev",
            "list",
            "map",
        ]);
        let one = inner.clone();
        prop_oneof![
            (name, prop::collection::vec(inner.clone(), 0..4), any::<bool>()).prop_map(
                |(name, arguments, spreads)| {
                    let dots = if spreads && !arguments.is_empty() { "..." } else { "" };
                    format!("{name}({}{dots})", arguments.join(", "))
                }
            ),
            (
                inner.clone(),
                inner.clone(),
                prop::sample::select(vec!["+", "-", "*", "/", "%", "==", "<", "&&", "||"])
            )
                .prop_map(|(one, other, by)| format!("({one} {by} {other})")),
            (inner.clone(), inner.clone(), inner.clone())
                .prop_map(|(by, one, other)| format!("({by} ? {one} : {other})")),
            (inner.clone(), inner.clone()).prop_map(|(of, value)| format!("[for k, v in {of} : {value}]")),
            (inner.clone(), inner.clone())
                .prop_map(|(of, value)| format!("{{ for v in {of} : v => {value}... }}")),
            (inner.clone(), inner.clone()).prop_map(|(of, index)| format!("{of}[{index}]")),
            prop::collection::vec(inner, 0..4).prop_map(|items| format!("[{}]", items.join(", "))),
            one.clone().prop_map(|value| format!("\"x${{{value}}}%{{ if {value} }}a%{{ endif }}\"")),
            one.prop_map(|value| format!("({value})[*].a.0")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn any_expression_gets_an_answer(expression in expression()) {
        let text = format!("{CONFIGURATION}\nlocals {{\n  xxx = {expression}\n}}\n");
        let sources = [SourceFile::new(Path::new("x.tf"), &text)];
        let faults = Faults::new(&sources, false);
        let bodies = [syntax::parse(0, sources[0].text(), &faults)];
        let calls = crate::config::calls::ModuleCalls::default();
    let mut scope = Scope::collect(&bodies, &calls, &faults);
        scope.fill_in();
        for block in bodies[0].blocks.iter().filter(|block| block.kind == "locals") {
            for attribute in &block.body.attributes {
                if let Err(unknown) = resolve(&scope, &attribute.value, &Env::default()) {
                    prop_assert!(unknown.message().is_none_or(|message| message.contains("; allowed: ")));
                }
            }
        }
    }
}

#[test]
fn what_grows_without_an_end_is_refused() {
    let doubling = (1..40).fold("locals {\n  l0 = [1, 2]\n".to_owned(), |text, level| {
        let below = level - 1;
        text + &format!("  l{level} = concat(local.l{below}, local.l{below})\n")
    }) + "}\n";
    let texts = (1..60).fold("locals {\n  t0 = \"xx\"\n".to_owned(), |text, level| {
        let below = level - 1;
        text + &format!("  t{level} = replace(\"aa\", \"a\", local.t{below})\n")
    }) + "}\n";
    for (configuration, expression) in [
        (doubling.as_str(), "local.l39"),
        (texts.as_str(), "local.t59"),
        ("", "format(\"%999999999s\", \"a\")"),
        ("", "indent(999999999, \"a\\nb\")"),
        ("", "[for a in range(1000) : [for b in range(1000) : [for c in range(1000) : c]]]"),
        ("", "setproduct(range(1000), range(1000))"),
        ("", "pow(10, 1000000000)"),
        ("locals {\n  a = local.b\n  b = local.a\n}\n", "local.a"),
    ] {
        let message = worked_out(configuration, expression).unwrap_err().message().unwrap();
        assert!(message.contains("; allowed: "), "{expression}: {message}");
    }
}
