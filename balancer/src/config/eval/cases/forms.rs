//! The same of YAML, CSV, digests, dates and names of files.

use super::REFUSED;

pub(in crate::config::eval) const OF_FORMS: &[(&str, &str)] = &[
    (
        "yamldecode(\"a: 1\\nb: [x, y]\\nc: ~\\nd: yes\\ne: 0x1F\\nf: 1_000\\ng: 0o17\\nh: 017\\ni: 1.50\\nl: '1'\\n\")",
        r#"{"a":1,"b":["x",true],"c":null,"d":true,"e":31,"f":"1_000","g":15,"h":17,"i":1.5,"l":"1"}"#,
    ),
    (
        "[for s in [\".5\", \"5.\", \"-0x10\", \"1e\", \"+.5\", \"1E3\", \"0o8\", \"nUll\", \"1.2.3.4\", \"10.0.0.0/16\", \"80:80\", \"0.10\", \"-5\", \"6e-2\", \"0XFF\", \"00\"] : yamldecode(\"a: ${s}\").a]",
        r#"[0.5,5,"-0x10","1e",0.5,1000,"0o8","nUll","1.2.3.4","10.0.0.0/16","80:80",0.1,-5,0.06,"0XFF",0]"#,
    ),
    (
        "[for s in [\"y\", \"No\", \"ON\", \"off\", \"True\", \"TRUE\", \"yES\", \"n/a\"] : yamldecode(s)]",
        r#"[true,false,true,false,true,true,"yES","n/a"]"#,
    ),
    (
        "yamldecode(\"a: &x {k: 1}\\nb:\\n  <<: *x\\n  k: 2\\n  c: *x\\n\")",
        r#"{"a":{"k":1},"b":{"c":{"k":1},"k":2}}"#,
    ),
    ("yamldecode(\"- a\\n- - b\\n  - {c: d}\\n-\\n\")", r#"["a",["b",{"c":"d"}],null]"#),
    (
        "yamldecode(\"a: |\\n  x\\n  y\\nb: >-\\n  x\\n  y\\nc: \\\"x\\\\ty\\\"\\nd: 'it''s'\\n\")",
        r#"{"a":"x\ny\n","b":"x y","c":"x\ty","d":"it's"}"#,
    ),
    ("yamldecode(\"a: 1\\na: 2\\n\")", r#"{"a":2}"#),
    ("yamldecode(\"1: x\\ntrue: z\\n# comment\\n\")", r#"{"1":"x","true":"z"}"#),
    ("yamldecode(\"a: !!str 1\\n\")", r#"{"a":"1"}"#),
    ("yamldecode(\"\")", REFUSED),
    ("yamldecode(\"a: *b\")", REFUSED),
    ("yamldecode(\"a: 1\\n---\\nb: 2\\n\")", REFUSED),
    ("yamldecode(\"[1]: x\")", REFUSED),
    (
        "yamlencode({ a = 1, b = [1, \"x\", null, true], c = {}, d = [], f = \"yes\", h = 1.5, \"k: 1\" = \"it's \\\"q\\\"\" })",
        r#""\"a\": 1\n\"b\":\n- 1\n- \"x\"\n- null\n- true\n\"c\": {}\n\"d\": []\n\"f\": \"yes\"\n\"h\": 1.5\n\"k: 1\": \"it's \\\"q\\\"\"\n""#,
    ),
    (
        "yamlencode({ a = { b = { c = [{ d = 1, e = [2] }] } } })",
        r#""\"a\":\n  \"b\":\n    \"c\":\n    - \"d\": 1\n      \"e\":\n      - 2\n""#,
    ),
    (
        "yamlencode([[1, 2], [3, { a = [{ b = 1, c = 2 }] }], [], {}])",
        r#""- - 1\n  - 2\n- - 3\n  - \"a\":\n    - \"b\": 1\n      \"c\": 2\n- []\n- {}\n""#,
    ),
    (
        "yamlencode([\"a\\nb\", { x = \"c\\nd\\n\" }, \"e\\n\\nf\\n\\n\"])",
        r#""- |-\n  a\n  b\n- \"x\": |\n    c\n    d\n- |+\n  e\n\n  f\n\n""#,
    ),
    ("yamlencode(\"x\")", r#""\"x\"\n""#),
    ("yamlencode(1.5)", r#""1.5\n...\n""#),
    ("yamlencode(null)", r#""null\n...\n""#),
    ("yamlencode(toset([2, 1]))", r#""- 1\n- 2\n""#),
    ("yamlencode({ a = \"x\\ny\\n\", b = 1 })", r#""\"a\": |\n  x\n  y\n\"b\": 1\n""#),
    ("yamlencode({ b = { c = \"x\\n\\ny\" } })", r#""\"b\":\n  \"c\": |-\n    x\n\n    y\n""#),
    (
        "yamldecode(yamlencode({ a = [1, { b = \"x\\ny\\n\" }], c = \"\\\\ \\\"q\\\" é\" }))",
        r#"{"a":[1,{"b":"x\ny\n"}],"c":"\\ \"q\" é"}"#,
    ),
    ("md5(\"a\\u00e9\")", r#""128fda53c8c07c8c66f2a4812187d92f""#),
    ("base64sha256(\"a\")", r#""ypeBEsobvcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs=""#),
    (
        "base64sha512(\"\")",
        r#""z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==""#,
    ),
    (
        "sha512(\"a\")",
        r#""1f40fc92da241694750979ee6cf582f2d5d7d28e18335de05abc54d0560e0f5302860c652bf08d560252aa5e74210546f369fbbbce8c12cfc7957b2652fe9a75""#,
    ),
    (
        "[for f in [\"DD MMM YYYY hh:mm ZZZ\", \"EEEE, D-MMMM-YY H'h'AA aa m s\", \"YYYY-MM-DD'T'hh:mm:ssZ\", \"'it''s' M HH EEE\", \"ZZZZ ZZZZZ\"] : formatdate(f, \"2018-01-02T23:12:01+02:00\")]",
        r#"["02 Jan 2018 23:12 +0200","Tuesday, 2-January-18 11hPM pm 12 1","2018-01-02T23:12:01+02:00","it's 1 11 Tue","+0200 +02:00"]"#,
    ),
    (
        "[for f in [\"ssss\", \"YYY\", \"Q\", \"'open\", \"A\", \"EE\"] : try(formatdate(f, \"2018-01-02T23:12:01Z\"), \"no\")]",
        r#"["no","no","no","no","no","no"]"#,
    ),
    (
        "[for t in [\"2020-02-29T00:05:06Z\", \"2020-02-03T00:05:06.123-08:30\", \"0000-01-01T00:00:00Z\", \"1969-12-31T23:59:59Z\"] : formatdate(\"YYYY-MM-DD hh:mm:ss ZZZ EEE HHaa\", t)]",
        r#"["2020-02-29 00:05:06 UTC Sat 12am","2020-02-03 00:05:06 -0830 Mon 12am","0000-01-01 00:00:00 UTC Sat 12am","1969-12-31 23:59:59 UTC Wed 11pm"]"#,
    ),
    (
        "[for t in [\"2019-02-29T00:00:00Z\", \"2020-02-03\", \"2020-02-03T24:00:00Z\", \"2020-02-03t00:05:06z\", \"2020-02-03T00:05:60Z\", \"2020-02-03T00:05:06+0100\", \"2020-13-01T00:00:00Z\", \"x\"] : try(formatdate(\"YYYY\", t), \"no\")]",
        r#"["no","no","no","no","no","no","no","no"]"#,
    ),
    (
        "[for d in [\"1h\", \"1.5h\", \"-30m\", \"1h30m\", \"1ms\", \"0\", \"+5s\", \"100000h\", \".5s\", \"5.s\"] : timeadd(\"2020-02-28T23:59:59Z\", d)]",
        r#"["2020-02-29T00:59:59Z","2020-02-29T01:29:59Z","2020-02-28T23:29:59Z","2020-02-29T01:29:59Z","2020-02-28T23:59:59Z","2020-02-28T23:59:59Z","2020-02-29T00:00:04Z","2031-07-27T15:59:59Z","2020-02-28T23:59:59Z","2020-02-29T00:00:04Z"]"#,
    ),
    (
        "[for d in [\"\", \"1\", \"-\", \"1 h\", \"1d\", \"1h-5m\", \"9999999999h\"] : try(timeadd(\"2020-02-28T23:59:59Z\", d), \"no\")]",
        r#"["no","no","no","no","no","no","no"]"#,
    ),
    ("timeadd(\"2017-11-22T00:00:00+01:00\", \"-1h30m1.5s\")", r#""2017-11-21T22:29:58+01:00""#),
    (
        "[timecmp(\"2017-11-22T00:00:00Z\", \"2017-11-22T01:00:00+01:00\"), timecmp(\"2017-11-22T00:00:00Z\", \"2017-11-23T00:00:00Z\"), timecmp(\"2020-01-01T00:00:00.5Z\", \"2020-01-01T00:00:00Z\")]",
        r#"[0,-1,1]"#,
    ),
    (
        "csvdecode(\"a,b,c\\n1,2,3\\n4,\\\"5,\\\"\\\"x\\\",6\\n\\n\")",
        r#"[{"a":"1","b":"2","c":"3"},{"a":"4","b":"5,\"x","c":"6"}]"#,
    ),
    ("csvdecode(\"a, b\\r\\n1, 2\")", r#"[{" b":" 2","a":"1"}]"#),
    (
        "[for s in [\"a\\n\", \"\", \"a,a\\n1,2\", \"a,b\\n1\\n\", \"a\\nx\\\"y\\n\", \"a\\n\\\"x\\n\"] : try(csvdecode(s), \"no\")]",
        r#"[[],"no","no","no","no","no"]"#,
    ),
    ("fileset(\".\", \"*.none\")", r#"[]"#),
    ("fileset(\"none\", \"*\")", r#"[]"#),
    ("filemd5(\"none\")", REFUSED),
    ("uuidv5(\"dns\", \"www.terraform.io\")", r#""a5008fae-b28c-5ba5-96cd-82b4c53552d6""#),
    (
        "[for s in [\"url\", \"oid\", \"x500\", \"{6ba7b810-9dad-11d1-80b4-00c04fd430c8}\", \"6ba7b8109dad11d180b400c04fd430c8\", \"URN:UUID:6BA7B810-9DAD-11D1-80B4-00C04FD430C8\"] : uuidv5(s, \"é\")]",
        r#"["10e1d6de-dc68-53f0-883a-30ec870dd739","4c9d8941-1dcb-56d3-9fe5-b5aef28ef637","d13e05fb-cfd5-575b-8154-f5979b02b254","ebfe0af8-3997-5ade-b634-ba92cf69f557","ebfe0af8-3997-5ade-b634-ba92cf69f557","ebfe0af8-3997-5ade-b634-ba92cf69f557"]"#,
    ),
    (
        "[for s in [\"DNS\", \"\", \"6ba7b810-9dad-11d1-80b4-00c04fd430c\", \"6ba7b810x9dad-11d1-80b4-00c04fd430c8\", \"6ba7b810-9dad-11d1-80b4-00c04fd430cg\", \"6ba7b810-9dad-11d1-80b400-c04fd430c8\"] : try(uuidv5(s, \"x\"), \"no\")]",
        r#"["no","no","no","no","no","no"]"#,
    ),
    (
        "[for e in [\"UTF-16LE\", \"utf-16be\", \"UTF-8\", \"csUTF16LE\", \"csUTF8\", \"csUTF16BE\"] : textencodebase64(\"hé𝄞\", e)]",
        r#"["aADpADTYHt0=","AGgA6dg03R4=","aMOp8J2Eng==","aADpADTYHt0=","aMOp8J2Eng==","AGgA6dg03R4="]"#,
    ),
    (
        "[for e in [\"ISO-8859-1\", \"latin1\", \"L1\", \"ISO_8859-1\", \"iso-ir-100\", \"IBM819\", \"CP819\"] : textencodebase64(\"hé\", e)]",
        r#"["aOk=","aOk=","aOk=","aOk=","aOk=","aOk=","aOk="]"#,
    ),
    ("textencodebase64(\"€\", \"ISO-8859-1\")", REFUSED),
    (
        "[for p in [[\"aABsAA==\", \"UTF-16LE\"], [\"//5oAA==\", \"UTF-16LE\"], [\"AGgA6Q==\", \"UTF-16BE\"], [\"6Gk=\", \"ISO-8859-1\"], [\"w6k=\", \"UTF-8\"]] : urlencode(textdecodebase64(p[0], p[1]))]",
        r#"["hl","%EF%BB%BFh","h%C3%A9","%C3%A8i","%C3%A9"]"#,
    ),
    (
        "[for p in [[\"aABs\", \"UTF-16LE\"], [\"ANhoAA==\", \"UTF-16LE\"], [\"6Gk=\", \"UTF-8\"], [\"x\", \"UTF-8\"]] : try(textdecodebase64(p[0], p[1]), \"no\")]",
        r#"["no","no","no","no"]"#,
    ),
    (
        "[for p in [[8, 2], [10, 10], [100, 10], [5, 2], [1, 3], [0.5, 2], [1000, 10], [16, 4], [125, 5], [7, 3], [2, 10], [10000000000, 7], [3, 1.5], [0.001, 10], [255, 16], [6, 0.5], [1024, 2], [81, 3], [59049, 9], [123456789, 2], [0.7, 3]] : log(p[0], p[1])]",
        r#"[3,1,2,2.321928094887362,0,-1,2.9999999999999996,2,3.0000000000000004,1.7712437491614224,0.30102999566398114,11.832946624549384,2.7095112913514545,-2.9999999999999996,1.9985883592147144,-2.584962500721156,10,4.000000000000001,4.999999999999999,26.879430932860476,-0.3246595251279624]"#,
    ),
    (
        "[for n in range(1, 40) : ceil(log(pow(2, n), 2))]",
        r#"[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,30,30,32,32,33,34,35,36,37,38,40]"#,
    ),
    ("log(-1, 10)", REFUSED),
    ("log(0, 10)", REFUSED),
    ("log(5, 1)", REFUSED),
    ("templatestring(local.t, { xs = [1, \"b\"], y = \"z\" })", r#""1-b-Z""#),
    ("templatestring(local.t, 1)", REFUSED),
    ("templatestring(local.t, { xs = [1] })", REFUSED),
    ("try(templatestring(local.t, { y = \"z\" }), \"no\")", r#""no""#),
    ("try(templatestring(local.t, { xs = [], y = \"z\", unused = 1 }), \"no\")", r#""Z""#),
    (
        "[for p in [\"/a/../b//c/.\", \"/\", \"/../..\", \"/a/b/..\"] : abspath(p)]",
        r#"["/b/c","/","/","/a"]"#,
    ),
    ("[for p in [\"a/~\", \"\", \"/x/../y\", \"a/./b\"] : pathexpand(p)]", r#"["a/~","","/x/../y","a/./b"]"#),
    ("pathexpand(\"~other/x\")", REFUSED),
];
