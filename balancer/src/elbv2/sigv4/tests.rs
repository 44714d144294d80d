use super::*;
use crate::{clock::UnixSeconds, elbv2::ApiFailure};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const DATE: &str = "20150830T123600Z";
/// The same time.
const NOW: UnixSeconds = UnixSeconds(1_440_938_160);
const SCOPE: &str = "AKIDEXAMPLE/20150830/us-east-1/service/aws4_request";
const OURS: &str = "AKIDEXAMPLE/20150830/us-east-1/elasticloadbalancing/aws4_request";

fn authorization(credential: &str, signed: &str, signature: &str) -> String {
    format!("AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={signed}, Signature={signature}")
}

/// A request to `example.amazonaws.com` with these fields besides, and what is asked of it.
fn with_request<T>(
    method: &str,
    query: &str,
    fields: &[(&str, &str)],
    ask: impl FnOnce(&SignedRequest<'_>) -> T,
) -> T {
    let mut headers: Vec<(&str, &[u8])> = vec![("host", b"example.amazonaws.com")];
    headers.extend(fields.iter().map(|(name, value)| (*name, value.as_bytes())));
    ask(&SignedRequest { method, query, headers: &headers })
}

fn verify(
    (method, query): (&str, &str),
    fields: &[(&str, &str)],
    body: &[u8],
    secret: &str,
) -> Result<(), ApiFailure> {
    with_request(method, query, fields, |request| {
        SignatureClaim::read(request)?.verify(request, body, secret)
    })
}

/// The requests of AWS' test suite for version 4 that go to `/`: key, time, region and service are the suite's, and the
/// signatures are those that botocore 1.44 makes of them.
#[test]
fn requests_of_the_published_suite_have_its_signatures() {
    const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
    let unreserved = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let unreserved = format!("{unreserved}={unreserved}");
    let spaces = [("my-header1", " value1"), ("my-header2", " \"a   b   c\" ")];
    let plain = "host;x-amz-date";
    type Row<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], &'a [u8], &'a str, &'a str);
    let rows: [Row<'_>; 9] = [
        ("GET", "", &[], b"", plain, "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        (
            "GET",
            "Param2=value2&Param1=value1",
            &[],
            b"",
            plain,
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        (
            "GET",
            "Param1=value2&Param1=Value1",
            &[],
            b"",
            plain,
            "eedbc4e291e521cf13422ffca22be7d2eb8146eecf653089df300a15b2382bd1",
        ),
        (
            "GET",
            &unreserved,
            &[],
            b"",
            plain,
            "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
        ),
        (
            "GET",
            "%E1%88%B4=bar",
            &[],
            b"",
            plain,
            "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
        ),
        ("POST", "", &[], b"", plain, "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        (
            "POST",
            "",
            &[FORM],
            b"Param1=value1",
            "content-type;host;x-amz-date",
            "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        ),
        (
            "POST",
            "",
            &[("content-type", "application/x-www-form-urlencoded; charset=utf-8")],
            b"Param1=value1",
            "content-type;host;x-amz-date",
            "2f3b42f35f135abf9c562afcbbc44fc03df96dcfd4332ecebad8b39a7d4b6125",
        ),
        (
            "GET",
            "",
            &spaces,
            b"",
            "host;my-header1;my-header2;x-amz-date",
            "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        ),
    ];
    for (method, query, fields, body, signed, signature) in rows {
        let told = authorization(SCOPE, signed, signature);
        let all = [fields, &[("x-amz-date", DATE), ("authorization", &told)]].concat();
        verify((method, query), &all, body, SECRET).unwrap_or_else(|failure| panic!("{query}: {failure:?}"));
        // Whatever is changed, the signature is another.
        for (query, body, secret) in [
            ("A=b", body, SECRET),
            (query, &b"changed"[..], SECRET),
            (query, body, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEX"),
        ] {
            let failure = verify((method, query), &all, body, secret).unwrap_err();
            assert_eq!((failure.status, failure.code), (403, "SignatureDoesNotMatch"));
        }
        let other = if method == "GET" { "POST" } else { "GET" };
        verify((other, query), &all, body, SECRET).unwrap_err();
    }
}

const PRESIGNED: &str = "Action=DescribeLoadBalancers&Version=2015-12-01&Names.member.1=a%20b%2Bc\
     &X-Amz-Algorithm=AWS4-HMAC-SHA256\
     &X-Amz-Credential=AKIDEXAMPLE%2F20150830%2Fus-east-1%2Felasticloadbalancing%2Faws4_request\
     &X-Amz-Date=20150830T123600Z&X-Amz-Expires=300&X-Amz-SignedHeaders=host\
     &X-Amz-Signature=721b29bda46292aec40c9e75113db466f2e9568fa965f1a12997b3c35f349210";

#[test]
fn presigned_requests_are_good_for_their_life() {
    with_request("POST", PRESIGNED, &[], |request| {
        let claim = SignatureClaim::read(request).unwrap();
        assert_eq!(claim.key_id(), "AKIDEXAMPLE");
        claim.verify(request, b"", SECRET).unwrap();
        claim.verify(request, b"A=b", SECRET).unwrap_err();
        for at in [NOW, NOW.plus(300)] {
            claim.check("us-east-1", at).unwrap();
        }
        let late = claim.check("us-east-1", NOW.plus(301)).unwrap_err();
        assert_eq!((late.status, late.code), (403, "RequestExpired"));
        assert!(late.message.contains("20150830T124100Z"), "{}", late.message);
    });
    // The space of the name may be written as a form does.
    verify(("POST", &PRESIGNED.replace("%20", "+")), &[], b"", SECRET).unwrap();
    verify(("POST", &PRESIGNED.replace("Expires=300", "Expires=301")), &[], b"", SECRET).unwrap_err();
}

fn claim_at(credential: &str, date: &str) -> SignatureClaim {
    let told = authorization(credential, "host;x-amz-date", &"0".repeat(64));
    let fields = [("x-amz-date", date), ("authorization", &*told)];
    with_request("POST", "", &fields, SignatureClaim::read).unwrap()
}

#[test]
fn scope_and_time_are_what_they_have_to_be_here_and_now() {
    let good = claim_at(OURS, DATE);
    for at in [NOW, NOW.plus(900), UnixSeconds(NOW.0 - 900)] {
        good.check("us-east-1", at).unwrap();
    }
    let failure = |credential: &str, region: &str, at: UnixSeconds| {
        let failure = claim_at(credential, DATE).check(region, at).unwrap_err();
        assert_eq!((failure.status, failure.code), (403, "SignatureDoesNotMatch"));
        failure.message
    };
    let old = failure(OURS, "us-east-1", NOW.plus(901));
    assert_eq!(
        old,
        "Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z (20150830T125101Z - 15 min.)"
    );
    let early = failure(OURS, "us-east-1", UnixSeconds(NOW.0 - 901));
    assert!(early.starts_with("Signature not yet current: 20150830T123600Z is still later than"), "{early}");
    assert!(
        failure(OURS, "eu-west-1", NOW).contains("valid region, not 'us-east-1'; allowed is 'eu-west-1'")
    );
    assert!(failure(SCOPE, "us-east-1", NOW).contains("correct service: 'elasticloadbalancing'"));
    let other_end = OURS.replace("aws4_request", "aws4");
    assert!(failure(&other_end, "us-east-1", NOW).contains("valid terminator: 'aws4_request'"));
    let other_day = OURS.replace("20150830", "20150831");
    assert!(failure(&other_day, "us-east-1", NOW).contains("'20150831' != '20150830T123600Z'"));
}

#[test]
fn what_is_lacking_is_named_and_nothing_of_it_told_back() {
    let good = authorization(OURS, "host;x-amz-date", &"a".repeat(64));
    let read = |query: &str, fields: &[(&str, &str)]| {
        with_request("POST", query, fields, |request| SignatureClaim::read(request).unwrap_err())
    };
    let of_field = |field: &str| read("", &[("authorization", field), ("x-amz-date", DATE)]);
    assert_eq!(read("", &[]).code, "MissingAuthenticationToken");
    for (field, words) in [
        ("Basic c2VjcmV0", "Unsupported algorithm"),
        ("AWS4-ECDSA-P256-SHA256 Credential=a", "Unsupported algorithm"),
        ("", "Unsupported algorithm"),
        (
            "AWS4-HMAC-SHA256",
            "requires 'Credential' parameter. Authorization header requires 'SignedHeaders'",
        ),
        ("AWS4-HMAC-SHA256 Credential=a/b,SignedHeaders=host", "requires 'Signature' parameter."),
        (&good.replace("/us-east-1", ""), "exactly 5 slash-delimited"),
        (&good.replace("/us-east-1", "/us/east"), "exactly 5 slash-delimited"),
        (&good.replace("host;x-amz-date", "x-amz-date;host"), "sorted"),
        (&good.replace("host;x-amz-date", "host;host;x-amz-date"), "each of them once"),
        (&good.replace("host;x-amz-date", "Host;x-amz-date"), "lower case"),
        (&good.replace("host;x-amz-date", ""), "lower case"),
    ] {
        let failure = of_field(field);
        assert_eq!((failure.status, failure.code), (403, "IncompleteSignature"), "{field}");
        assert!(failure.message.contains(words), "{field}: {}", failure.message);
        assert!(!failure.message.contains("c2VjcmV0"));
    }
    for (field, words) in [
        (good.replace("host;x-amz-date", "x-amz-date"), "'Host'"),
        (good.replace("host;x-amz-date", "host"), "'x-amz-date' must be a 'SignedHeader'"),
        (good.replace(&"a".repeat(64), "abc"), "64 hexadecimal digits"),
        (good.replace(&"a".repeat(64), &"A".repeat(64)), "64 hexadecimal digits"),
        (good.replace(&"a".repeat(64), &"é".repeat(32)), "64 hexadecimal digits"),
    ] {
        let failure = of_field(&field);
        assert_eq!((failure.status, failure.code), (403, "SignatureDoesNotMatch"), "{field}");
        assert!(failure.message.contains(words), "{field}: {}", failure.message);
    }
    let twice = read("", &[("authorization", &good), ("authorization", &good), ("x-amz-date", DATE)]);
    assert!(twice.message.contains("given twice"));
    let undated = read("", &[("authorization", &good)]);
    assert!(undated.message.contains("'X-Amz-Date' or a 'Date'"));
    let misdated = read("", &[("authorization", &good), ("x-amz-date", "yesterday")]);
    assert!(misdated.message.contains("Got 'yesterday'"));
    let both = read(PRESIGNED, &[("authorization", &good), ("x-amz-date", DATE)]);
    assert!(both.message.contains("not both"));
    for name in ["Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature"] {
        let name = format!("X-Amz-{name}");
        let lacking = read(&PRESIGNED.replace(&name, "X-Amz-Nothing"), &[]);
        assert!(lacking.message.contains(&format!("must include '{name}'")), "{}", lacking.message);
    }
    for life in ["0", "604801", "-1", "x", ""] {
        let failure = read(&PRESIGNED.replace("Expires=300", &format!("Expires={life}")), &[]);
        assert!(failure.message.contains("between 1 and 604800"), "{life}");
    }
}

#[test]
fn a_hash_of_the_body_that_is_told_has_to_be_its_hash() {
    let told = authorization(OURS, "host;x-amz-content-sha256;x-amz-date", &"a".repeat(64));
    let fields =
        [("x-amz-date", DATE), ("authorization", &*told), ("x-amz-content-sha256", "UNSIGNED-PAYLOAD")];
    let failure = verify(("POST", ""), &fields, b"Action=X", SECRET).unwrap_err();
    assert!(failure.message.contains("'x-amz-content-sha256' is not the SHA-256"), "{}", failure.message);
}

proptest::proptest! {
    #[test]
    fn whatever_stands_there_is_answered(field in ".{0,200}", query in ".{0,200}", date in ".{0,30}") {
        let fields = [("authorization", &*field), ("x-amz-date", &*date)];
        let _ = verify(("POST", &query), &fields, b"", SECRET);
        let _ = verify(("GET", &format!("{PRESIGNED}{query}")), &[], b"", SECRET);
    }
}
