//! Expressions and what they come to as JSON, or [`REFUSED`]. The same is asked of Terraform where it can be had.

mod forms;

pub(super) use self::forms::OF_FORMS;

/// What stands for an expression that is no value.
pub(super) const REFUSED: &str = "refused";

/// What the expressions may lead to.
pub(super) const CONFIGURATION: &str = concat!(
    include_str!("cases/keys.tf"),
    r#"
variable "secret" {
  type      = string
  default   = "s"
  sensitive = true
}
variable "ports" {
  type    = set(number)
  default = [80, 443, 8080, 9]
}
variable "names" {
  type    = list(string)
  default = ["b", "a"]
}
variable "apps" {
  type = map(object({ port = number, path = optional(string, "/"), hosts = optional(set(string), []) }))
  default = {
    web = { port = "80", hosts = ["b", "a", "b"] }
    api = { port = 81, path = "/api" }
  }
}
variable "nothing" {
  type    = string
  default = null
}
locals {
  m = { b = 1, a = "x", "k-1" = true }
  l = ["x", "y", "z"]
  t = "%%{ for x in xs }$${x}-%%{ endfor }$${upper(y)}"
  n = [{ id = 1, tags = ["p", "q"] }, { id = 2, tags = [] }]
  s = "x-${var.secret}"
  o = { a = var.secret, b = 1 }
}
"#
);

pub(super) const CASES: &[(&str, &str)] = &[
    // Maps go by their keys, sets by their elements, lists as they are written.
    ("[for k, v in { b = 1, a = 2 } : \"${k}${v}\"]", r#"["a2","b1"]"#),
    ("[for x in var.ports : x]", "[9,80,443,8080]"),
    ("[for x in toset([\"b\", \"a\", 1]) : x]", r#"["1","a","b"]"#),
    ("[for i, x in [\"b\", \"a\"] : \"${i}${x}\"]", r#"["0b","1a"]"#),
    ("[for k, v in var.apps : \"${k}${v.port}${v.path}\"]", r#"["api81/api","web80/"]"#),
    ("[for h in var.apps.web.hosts : h]", r#"["a","b"]"#),
    ("{ for x in local.l : x => upper(x) if x != \"y\" }", r#"{"x":"X","z":"Z"}"#),
    ("{ for x in [\"a\", \"b\", \"a\"] : x => 1 }", REFUSED),
    ("{ for i, x in [\"a\", \"b\", \"a\"] : x => i... }", r#"{"a":[0,2],"b":[1]}"#),
    ("{ for n in local.n : n.id => length(n.tags) }", r#"{"1":2,"2":0}"#),
    ("[for x in null : x]", REFUSED),
    ("[for x in 5 : x]", REFUSED),
    // Arms of a conditional are of one type.
    ("true ? 1 : \"a\"", r#""1""#),
    ("false ? 1 : \"a\"", r#""a""#),
    ("true ? [1] : [\"a\", \"b\"]", r#"["1"]"#),
    ("true ? { a = 1 } : {}", r#"{"a":1}"#),
    ("true ? { a = 1, b = \"x\" } : {}", r#"{"a":"1","b":"x"}"#),
    ("true ? { a = 1 } : { a = \"x\" }", r#"{"a":"1"}"#),
    ("true ? [] : [{ a = 1 }]", "[]"),
    ("true ? \"a\" : [1]", REFUSED),
    ("true ? true : 1", REFUSED),
    ("true ? null : 1", "null"),
    ("null ? 1 : 2", REFUSED),
    ("\"true\" ? 1 : 2", "1"),
    ("\"yes\" ? 1 : 2", REFUSED),
    ("true ? 1 : [][0]", "1"),
    ("length(local.l) > 2 ? local.l[2] : \"none\"", r#""z""#),
    // Null.
    ("\"a${null}\"", REFUSED),
    ("\"${null}\"", "null"),
    ("var.nothing == null", "true"),
    ("\"\" == null", "false"),
    ("null == null", "true"),
    ("null + 1", REFUSED),
    ("coalesce(null, \"\", \"a\")", r#""a""#),
    ("coalesce(1, \"a\")", r#""1""#),
    ("coalesce(null, \"\")", REFUSED),
    ("coalescelist([], [1])", "[1]"),
    ("coalescelist([], [])", REFUSED),
    // Operators.
    ("1 + 2 * 3 - 4 / 2", "5"),
    ("(1 + 2) * 3", "9"),
    ("7 % 3", "1"),
    ("-7 % 3", "-1"),
    ("0.1 + 0.2", "0.3"),
    ("1 / 4", "0.25"),
    ("1 / 3 * 3", "1"),
    ("1 / 0", REFUSED),
    ("\"2\" + 1", "3"),
    ("\"x\" + 1", REFUSED),
    ("true + 1", REFUSED),
    ("18446744073709551615 + 1", "18446744073709551616"),
    ("9007199254740993 * 3", "27021597764222979"),
    ("1 == \"1\"", "false"),
    ("1 == 1.0", "true"),
    ("\"a\" != \"b\"", "true"),
    ("[1] == [2]", "false"),
    ("[1] == 1", "false"),
    ("2 > \"1\"", "true"),
    ("\"a\" < \"b\"", REFUSED),
    ("2 >= 2 && 1 <= 0 || !false", "true"),
    ("true && \"true\"", "true"),
    ("!\"false\"", "true"),
    ("!1", REFUSED),
    ("-\"3\"", "-3"),
    // Steps.
    ("local.m.a", r#""x""#),
    ("local.m[\"k-1\"]", "true"),
    ("local.m.c", REFUSED),
    ("local.l[1]", r#""y""#),
    ("local.l[\"1\"]", r#""y""#),
    ("local.l.1", r#""y""#),
    ("local.l[3]", REFUSED),
    ("local.l[-1]", REFUSED),
    ("local.l[0.5]", REFUSED),
    ("local.n[*].id", "[1,2]"),
    ("local.n.*.id", "[1,2]"),
    ("local.n[*].tags[0]", REFUSED),
    ("[local.n[0]][*].tags[0]", r#"["p"]"#),
    ("local.n.*.tags[0]", r#"["p","q"]"#),
    ("local.n.*.tags.0", REFUSED),
    ("[local.n[0]].*.tags.0", r#"["p"]"#),
    ("null[*]", "[]"),
    ("5[*]", "[5]"),
    ("local.m[*].a", r#"["x"]"#),
    ("var.apps[\"web\"].port", "80"),
    ("var.ports[0]", REFUSED),
    ("values(var.apps)[0].path", r#""/api""#),
    ("[for n in local.n : n.tags][0][1]", r#""q""#),
    ("{ (local.l[0]) = 1, \"${local.l[1]}\" = 2, z = 3 }", r#"{"x":1,"y":2,"z":3}"#),
    ("{ null = 1 }", r#"{"null":1}"#),
    ("{ (null) = 1 }", REFUSED),
    // Texts.
    ("\"a${1 + 1}b${true}\"", r#""a2btrue""#),
    ("\"$${x} %%{y}\"", r#""${x} %{y}""#),
    ("\"%{ if true }a%{ else }b%{ endif }c\"", r#""ac""#),
    ("\"%{ if false }a%{ endif }c\"", r#""c""#),
    ("\"%{ for x in local.l }${x},%{ endfor }\"", r#""x,y,z,""#),
    ("\"%{ for i, x in local.l ~} ${i}${x} %{~ endfor }\"", r#""0x1y2z""#),
    ("\"a %{~ if true ~} b %{~ else ~} c %{~ endif ~} d\"", r#""abd""#),
    ("\"%{ if true }${5}%{ endif }\"", r#""5""#),
    ("\"${[1]}-\"", REFUSED),
    ("\"${5}\"", "5"),
    // Functions on collections.
    ("length([1, 2])", "2"),
    ("length({ a = 1 })", "1"),
    ("length(\"h\u{e9}llo\")", "5"),
    ("length(5)", REFUSED),
    ("merge({ a = 1, b = 2 }, { b = 3 }, null)", r#"{"a":1,"b":3}"#),
    ("merge({ a = 1 }, { a = [1] })", r#"{"a":[1]}"#),
    ("element([\"a\", \"b\"], 3)", r#""b""#),
    ("element([], 0)", REFUSED),
    ("element(toset([1]), 0)", REFUSED),
    ("lookup({ a = 1 }, \"a\", 2)", "1"),
    ("lookup({ a = 1 }, \"b\", 2)", "2"),
    ("lookup({ a = 1 }, \"b\")", REFUSED),
    ("keys({ b = 1, a = 2 })", r#"["a","b"]"#),
    ("values({ b = 1, a = 2 })", "[2,1]"),
    ("try(local.m.c, \"none\")", r#""none""#),
    ("try(local.l[5], local.l[0])", r#""x""#),
    ("can(local.m.c)", "false"),
    ("can(local.m.a)", "true"),
    ("toset([\"b\", \"a\", \"b\"])", r#"["a","b"]"#),
    ("tolist(toset([\"b\", \"a\"]))", r#"["a","b"]"#),
    ("tolist([1, \"a\"])", r#"["1","a"]"#),
    ("tomap({ a = 1, b = \"x\" })", r#"{"a":"1","b":"x"}"#),
    ("tostring(1.50)", r#""1.5""#),
    ("tonumber(\"1e3\")", "1000"),
    ("tonumber(\"x\")", REFUSED),
    ("tobool(\"1\")", "true"),
    ("tobool(\"true\")", "true"),
    ("tostring(null)", "null"),
    ("slice([1, 2, 3], 1, 3)", "[2,3]"),
    ("slice([1, 2, 3], 2, 1)", REFUSED),
    ("slice([1, 2, 3], 0, 4)", REFUSED),
    ("concat([1], [\"a\"], [])", r#"[1,"a"]"#),
    ("concat([1], 2)", REFUSED),
    ("compact([\"a\", \"\", null, \"b\"])", r#"["a","b"]"#),
    ("reverse([1, 2, 3])", "[3,2,1]"),
    ("flatten([[1, [2]], [], 3])", "[1,2,3]"),
    ("flatten([toset([2, 1]), [[]]])", "[1,2]"),
    ("distinct([\"a\", \"b\", \"a\"])", r#"["a","b"]"#),
    ("distinct([1, \"1\"])", r#"["1"]"#),
    ("slice(toset([1, 2]), 0, 1)", REFUSED),
    ("reverse(toset([1, 2]))", "[2,1]"),
    ("sort([\"b\", \"a\", \"10\", \"9\"])", r#"["10","9","a","b"]"#),
    ("contains([\"a\", \"b\"], \"b\")", "true"),
    ("contains([\"1\"], 1)", "false"),
    ("index([\"a\", \"b\"], \"b\")", "1"),
    ("index([\"a\"], \"b\")", REFUSED),
    ("chunklist([1, 2, 3], 2)", "[[1,2],[3]]"),
    ("zipmap([\"a\", \"b\"], [1, 2])", r#"{"a":1,"b":2}"#),
    ("zipmap([\"a\"], [1, 2])", REFUSED),
    ("transpose({ a = [\"x\", \"y\"], b = [\"x\"] })", r#"{"x":["a","b"],"y":["a"]}"#),
    ("matchkeys([\"p\", \"q\"], [\"a\", \"b\"], [\"b\"])", r#"["q"]"#),
    ("one([5])", "5"),
    ("one([])", "null"),
    ("one([1, 2])", REFUSED),
    ("alltrue([true, \"true\"])", "true"),
    ("alltrue([])", "true"),
    ("anytrue([false, true])", "true"),
    ("anytrue([])", "false"),
    ("setproduct([\"a\", \"b\"], [1, 2])", r#"[["a",1],["a",2],["b",1],["b",2]]"#),
    ("setunion([\"b\"], [\"a\"])", r#"["a","b"]"#),
    ("setintersection([\"a\", \"b\"], [\"b\", \"c\"])", r#"["b"]"#),
    ("setsubtract([\"a\", \"b\"], [\"b\"])", r#"["a"]"#),
    // Functions on numbers.
    ("max(1, 5, 3)", "5"),
    ("min(local.n[*].id...)", "1"),
    ("abs(-3)", "3"),
    ("ceil(1.2)", "2"),
    ("floor(-1.2)", "-2"),
    ("signum(-7)", "-1"),
    ("pow(2, 10)", "1024"),
    ("sum([1, 2.5])", "3.5"),
    ("sum([])", REFUSED),
    ("parseint(\"ff\", 16)", "255"),
    ("parseint(\"z\", 10)", REFUSED),
    ("range(3)", "[0,1,2]"),
    ("range(1, 4)", "[1,2,3]"),
    ("range(0, 10, 4)", "[0,4,8]"),
    ("range(3, 0)", "[3,2,1]"),
    ("range(1, 5, -1)", REFUSED),
    ("range(2000)", REFUSED),
    // Functions on texts.
    ("join(\"-\", [\"a\", 1], [true])", r#""a-1-true""#),
    ("join(\",\", [])", r#""""#),
    ("join(\",\", [null])", REFUSED),
    ("split(\",\", \"a,b,\")", r#"["a","b",""]"#),
    ("split(\"\", \"abc\")", r#"["a","b","c"]"#),
    ("split(\",\", \"\")", r#"[""]"#),
    ("substr(\"hello\", 1, 3)", r#""ell""#),
    ("substr(\"hello\", -3, -1)", r#""llo""#),
    ("substr(\"hello\", -10, 2)", r#""he""#),
    ("substr(\"hello\", 9, 2)", r#""""#),
    ("replace(\"a-b-c\", \"-\", \"_\")", r#""a_b_c""#),
    ("replace(\"a1b22\", \"/[0-9]+/\", \"#\")", r#""a#b#""#),
    ("replace(\"ab\", \"/(a)(b)/\", \"$2$1\")", r#""ba""#),
    ("upper(\"a\u{e9}\")", "\"A\u{c9}\""),
    ("lower(\"AB\")", r#""ab""#),
    ("title(\"hello wOrld-x it's\")", r#""Hello WOrld-X It'S""#),
    ("trim(\"!a!\", \"!\")", r#""a""#),
    ("trimspace(\"  a\\n\")", r#""a""#),
    ("trimprefix(\"aab\", \"a\")", r#""ab""#),
    ("trimsuffix(\"a.b\", \".b\")", r#""a""#),
    ("chomp(\"a\\n\\n\")", r#""a""#),
    ("indent(2, \"a\\nb\")", r#""a\n  b""#),
    ("strrev(\"abc\")", r#""cba""#),
    ("startswith(\"abc\", \"ab\")", "true"),
    ("endswith(\"abc\", \"ab\")", "false"),
    ("strcontains(\"abc\", \"b\")", "true"),
    ("regex(\"[a-z]+\", \"12ab3\")", r#""ab""#),
    ("regex(\"([a-z])([0-9])\", \"a1\")", r#"["a","1"]"#),
    ("regex(\"(?P<l>[a-z])(?P<d>[0-9])\", \"a1\").d", r#""1""#),
    ("regex(\"x\", \"a\")", REFUSED),
    ("regexall(\"[0-9]\", \"a1b2\")", r#"["1","2"]"#),
    ("length(regexall(\"prod\", \"dev\")) > 0", "false"),
    ("basename(\"/a/b.txt\")", r#""b.txt""#),
    ("dirname(\"/a/b.txt\")", r#""/a""#),
    ("format(\"%s-%03d-%t\", \"a\", 7, true)", r#""a-007-true""#),
    (
        "format(\"%05.1f|%-5s|%5s|%q|%v|%d\", 3.14159, \"ab\", \"c\", \"q\", [1], 7)",
        r#""003.1|ab   |    c|\"q\"|[1]|7""#,
    ),
    ("format(\"%[2]s%[1]s %%\", \"a\", \"b\")", r#""ba %""#),
    ("format(\"%s\", 1.5)", r#""1.5""#),
    ("format(\"%x %X %o %b\", 255, 255, 8, 5)", r#""ff FF 10 101""#),
    ("format(\"%s\")", REFUSED),
    ("format(\"a\", 1)", REFUSED),
    ("formatlist(\"%s-%s\", \"a\", [1, 2])", r#"["a-1","a-2"]"#),
    // Other forms, and networks.
    ("jsonencode({ b = [1, null], a = \"<\" })", "\"{\\\"a\\\":\\\"\\\\u003c\\\",\\\"b\\\":[1,null]}\""),
    ("jsondecode(\"{\\\"a\\\": [1, 2.5, null]}\").a[1]", "2.5"),
    ("base64encode(\"h\u{e9}\")", r#""aMOp""#),
    ("base64decode(\"YWI=\")", r#""ab""#),
    ("urlencode(\"a b&c/\u{e9}\")", r#""a+b%26c%2F%C3%A9""#),
    ("sha256(\"a\")", r#""ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb""#),
    ("sha1(\"a\")", r#""86f7e437faa5a7fce15d1ddcb9eaeaea377667b8""#),
    ("cidrsubnet(\"10.0.0.0/16\", 8, 2)", r#""10.0.2.0/24""#),
    ("cidrsubnet(\"10.0.3.7/16\", 4, 15)", r#""10.0.240.0/20""#),
    ("cidrsubnet(\"10.0.0.0/16\", 8, 256)", REFUSED),
    ("cidrsubnet(\"10.0.0.0/30\", 8, 0)", REFUSED),
    ("cidrsubnet(\"fd00::/48\", 16, 162)", r#""fd00:0:0:a2::/64""#),
    ("cidrhost(\"10.0.0.0/24\", 5)", r#""10.0.0.5""#),
    ("cidrhost(\"10.0.0.0/24\", -2)", r#""10.0.0.254""#),
    ("cidrhost(\"10.0.0.0/24\", 256)", REFUSED),
    ("cidrnetmask(\"10.0.0.0/20\")", r#""255.255.240.0""#),
    ("cidrsubnets(\"10.0.0.0/16\", 4, 8, 4)", r#"["10.0.0.0/20","10.0.16.0/24","10.0.32.0/20"]"#),
    ("distinct([for key in local.rsa_keys : rsadecrypt(local.encrypted, key)])", "[\"h\u{e9} secret\"]"),
    ("rsadecrypt(\"%\", local.rsa_keys.pkcs1)", REFUSED),
    ("rsadecrypt(local.encrypted, \"key\")", REFUSED),
    ("rsadecrypt(local.encrypted, upper(local.rsa_keys.pkcs1))", REFUSED),
    ("rsadecrypt(base64encode(\"x\"), local.rsa_keys.pkcs8)", REFUSED),
    ("rsadecrypt(\"\", local.rsa_keys.pkcs8)", REFUSED),
    (
        "[for n in [0, 1, 3, 10, 40, 200] : base64gzip(substr(\"the quick brown fox jumps over the lazy dog\", 0, n))]",
        r#"["H4sIAAAAAAAA/wAAAP//AQAA//8AAAAAAAAAAA==","H4sIAAAAAAAA/yoBAAAA//8BAAD//6haaoUBAAAA","H4sIAAAAAAAA/yrJSAUAAAD//wEAAP//5m1FPAMAAAA=","H4sIAAAAAAAA/yrJSFUoLM1MzlYAAAAA//8BAAD//+QXsewKAAAA","H4sIAAAAAAAA/yrJSFUoLM1MzlZIKsovz1NIy69QyCrNLShWyC9LLVIASeckVlUqAAAAAP//AQAA///IW5nuKAAAAA==","H4sIAAAAAAAA/yrJSFUoLM1MzlZIKsovz1NIy69QyCrNLShWyC9LLVIASeckVlUqpOSnAwAAAP//AQAA//8UUQzOKwAAAA=="]"#,
    ),
    (
        "[for n in [1, 10, 100] : sha256(base64gzip(join(join(\" \", range(300)), range(n))))]",
        r#"["5ce637b8e120053c7d361de97a860d028b97e4247888f23a6d0a9ddcc79846b4","66eaef71636c4023370b596c37792aa30d67ae7b57e354e3effcc4b3d195f7a6","39db2bee30ef586b897f394d113950cdfbadb3d65442807f24711190fcc34d3d"]"#,
    ),
    (
        "[for n in [1, 4, 100] : sha256(base64gzip(join(join(\"\", [for i in range(16) : sha256(tostring(i))]), [for j in range(n) : sha256(tostring(100 + j))])))]",
        r#"["2b5501e2f418eb8ba2e091bb5efe3898f9a4db494009e1c91834d8825078b671","f5bc1b6339860f8e4350c4eaaa82168d47f4286420aa3875903eae68016e4f01","75de3749b49fb4b0d02f57197cd6ab44a81556b086881bb48670cd7592e5c6a2"]"#,
    ),
    // What is sensitive, and what is made of it.
    ("[issensitive(var.secret), issensitive(var.names), issensitive(local.s)]", "[true,false,true]"),
    (
        "[issensitive(sensitive(1)), issensitive(nonsensitive(var.secret)), issensitive(\"a\")]",
        "[true,false,false]",
    ),
    ("[issensitive(local.o), issensitive([var.secret]), issensitive(\"a${local.s}\")]", "[false,false,true]"),
    ("[issensitive(sensitive(1) + 1), issensitive(-1), issensitive(!sensitive(true))]", "[true,false,true]"),
    (
        "[issensitive(null), issensitive(upper(\"a\")), issensitive(issensitive(var.secret))]",
        "[false,false,false]",
    ),
    ("issensitive({ (var.secret) = 1 })", "true"),
    ("issensitive()", REFUSED),
    ("no_such_function(1)", REFUSED),
];
