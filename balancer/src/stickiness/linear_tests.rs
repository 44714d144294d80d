//! What a client or a target may send many of, of n and of twice as many: the time that it takes must not grow faster.

use std::{hint::black_box, sync::atomic::AtomicU64, time::Instant};

use super::{
    issued_cookie::{IssuedCookie, PathMark},
    *,
};
use crate::{
    id::TargetId,
    model::{CookiePick, GroupStickinessSettings, HeaderField, StickinessKind, Version},
    response::cookies::keep_private,
};

const NOW: UnixSeconds = UnixSeconds(1_700_000_000);

/// Twice as much takes about twice as long; a square would take four times.
const MOST: f64 = 2.6;

struct Nowhere;

impl TargetLookup for Nowhere {
    fn find(&self, _: TargetId) -> Option<(usize, Standing)> {
        None
    }
}

/// The least time of several runs: what disturbs one only makes it longer.
fn time(mut work: impl FnMut()) -> f64 {
    let mut once = || {
        let start = Instant::now();
        work();
        start.elapsed().as_secs_f64()
    };
    (0..15).map(|_| once()).fold(f64::MAX, f64::min)
}

/// Tried again when something else has had the processor: a square stays one however often it is looked at.
fn is_linear(what: &str, mut of: impl FnMut(usize) -> f64) {
    let mut ratios = Vec::new();
    while ratios.len() < 8 {
        let (n, twice) = (of(400), of(800));
        ratios.push(twice / n);
        if twice / n < MOST {
            return;
        }
    }
    panic!("{what}: {ratios:?}");
}

fn ring() -> Arc<Keyring> {
    // As many keys as there may be.
    let bytes: Vec<u8> = (0..MAX_SECRETS).flat_map(|key| [u8::try_from(key).unwrap(); SECRET_LEN]).collect();
    Arc::new(Keyring::from_bytes(&bytes).unwrap())
}

fn settings(kind: StickinessKind, pick: CookiePick) -> StickinessSettings {
    StickinessSettings {
        kind,
        duration_seconds: 1000,
        attributes: Default::default(),
        renewal: crate::model::CookieRenewal::Always,
        pick,
        extras: Default::default(),
    }
}

/// `Cookie` lines: all in one, and one each.
fn lines(pair: &str, count: usize) -> [Vec<String>; 2] {
    [vec![vec![pair; count].join("; ")], vec![pair.to_owned(); count]]
}

fn with_head<T>(lines: &[String], work: impl FnOnce(&RequestHead<'_>) -> T) -> T {
    let headers: Vec<_> =
        lines.iter().map(|line| HeaderField { name: b"cookie", value: line.as_bytes() }).collect();
    work(&RequestHead { method: b"GET", target: b"/a/b?c", version: Version::Http2, headers: &headers })
}

/// Well-formed and not ours, so that all of them are opened.
const FORGED: &str = "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn pairs() -> Vec<String> {
    let mut pairs: Vec<String> =
        ["AWSALB", "AWSALBCORS", "AWSALBTG", "AWSALBTGCORS", "AWSALBAPP-0", "AWSALBAPP-1", "SID"]
            .map(|name| format!("{name}={FORGED}"))
            .into();
    pairs.extend(
        ["AWSALBAWSALBAWSALB", "x=y", "AWSALB \t \t =", "SID=", "AWSALBAPP-3=_remove_", "SIDSID=SID"]
            .map(str::to_owned),
    );
    pairs
}

#[test]
fn cookies_take_time_that_grows_with_their_number_alone() {
    let table = SessionTable::new((0..1024).map(|_| AtomicU64::new(0)).collect::<Vec<_>>());
    let application = |pick| settings(StickinessKind::ApplicationCookie { cookie_name: "SID".into() }, pick);
    let groups = [
        settings(StickinessKind::LoadBalancerCookie, CookiePick::First),
        application(CookiePick::First),
        application(CookiePick::Last),
    ]
    .map(|settings| GroupStickiness::compile("app", &settings, ring()));
    let draw =
        GroupStickinessSettings { duration_seconds: 60, sliding: true, attributes: Default::default() };
    let draw = GroupCookie::new(&draw, ["a", "b", "c", "d", "e"].into_iter(), ring());
    for pair in pairs() {
        for shape in 0..2 {
            for (number, group) in groups.iter().enumerate() {
                is_linear(&format!("{pair}, shape {shape}, group {number}"), |count| {
                    let [one, many] = lines(&pair, count);
                    with_head(if shape == 0 { &one } else { &many }, |head| {
                        time(|| drop(black_box(group.decide(head, &Nowhere, &table, NOW))))
                    })
                });
            }
            is_linear(&format!("{pair}, shape {shape}, draw"), |count| {
                let [one, many] = lines(&pair, count);
                with_head(if shape == 0 { &one } else { &many }, |head| {
                    time(|| {
                        black_box(draw.decide(head, NOW));
                    })
                })
            });
        }
    }
}

#[test]
fn lines_of_a_response_take_time_that_grows_with_their_number_alone() {
    let response = |name: &'static [u8], lines: &[String], work: &mut dyn FnMut(&ResponseHead<'_>)| {
        let headers: Vec<_> = lines.iter().map(|line| HeaderField { name, value: line.as_bytes() }).collect();
        let response = ResponseHead { status: 200, headers: &headers };
        time(|| work(&response))
    };
    let issued = IssuedCookie::new("SID");
    for form in
        ["", "; Path=/", "; Path=/{}", "; Domain={}.example", "; Max-Age=0; Path=/{}", "; Expires={} {} {}"]
    {
        is_linear(&format!("Set-Cookie {form}"), |count| {
            let lines: Vec<String> =
                (0..count).map(|n| format!("SID=x{}", form.replace("{}", &n.to_string()))).collect();
            response(b"set-cookie", &lines, &mut |response| {
                black_box(issued.live_values(response, PathMark::of_default(b"/a/b"), NOW).count());
            })
        });
    }
    for attribute in ["; Path=/x", "; Expires=1 jan 70 00:00:00", "; x", ";", "; Max-Age=0"] {
        is_linear(&format!("attributes {attribute}"), |count| {
            let lines = [format!("SID=x{}", attribute.repeat(count))];
            response(b"set-cookie", &lines, &mut |response| {
                black_box(issued.live_values(response, PathMark::of_default(b"/a/b"), NOW).count());
            })
        });
    }
    for directive in ["public", "private=\"x\"", "max-age=1", "\"\\\"", ","] {
        for shape in 0..2 {
            is_linear(&format!("Cache-Control {directive}, shape {shape}"), |count| {
                let [one, many] = lines(directive, count);
                let one = [one[0].replace("; ", ", ")];
                response(b"cache-control", if shape == 0 { &one } else { &many }, &mut |response| {
                    let mut edits = HeaderEdits::new();
                    keep_private(response, &mut edits);
                    black_box(edits);
                })
            });
        }
    }
}
