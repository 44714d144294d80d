//! What a target of each name does with bytes. Each says what must hold of any bytes, beyond that nothing panics.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "each program has one of them, and they stop at the first thing that is not as it should be"
)]

use std::{path::PathBuf, sync::Arc, sync::atomic::AtomicU64};

use balancer::{
    clock::UnixSeconds,
    config,
    id::TargetId,
    model::{
        CookieAttributes, CookiePick, CookieRenewal, EditOp, GroupStickinessSettings, HeaderEdits,
        HeaderField, RequestHead, ResponseHead, StickinessExtras, StickinessKind, StickinessSettings,
        Version,
    },
    stickiness::{
        Answered, Decision, GroupCookie, GroupOutcome, GroupStickiness, Keyring, SECRET_LEN, SessionTable,
        Standing, TargetLookup,
    },
    wire::{
        chunked::{ChunkedScanner, Scan},
        head::{Framing, HeadError, HeadScanner, MAX_RESPONSE_HEAD, Request, Response, is_token_byte},
    },
};

/// A head of a request and of a response: its end is found where it is in however many pieces it comes, and what is taken
/// for good has nothing in it that somebody else could read in another way.
pub(crate) fn head(data: &[u8]) {
    let Some((piece, bytes)) = data.split_first() else { return };
    let whole = HeadScanner::default().find_end(bytes);
    assert_eq!(in_pieces(bytes, usize::from(*piece) + 1), whole, "in pieces of {}", usize::from(*piece) + 1);
    if let Ok(Some(end)) = whole {
        request(&bytes[..end]);
    }
    for to_head in [false, true] {
        response(bytes, to_head);
    }
}

fn in_pieces(bytes: &[u8], piece: usize) -> Result<Option<usize>, HeadError> {
    let mut scanner = HeadScanner::default();
    for end in (piece..bytes.len()).step_by(piece) {
        if let Some(end) = scanner.find_end(&bytes[..end])? {
            return Ok(Some(end));
        }
    }
    scanner.find_end(bytes)
}

fn request(bytes: &[u8]) {
    let Ok(request) = Request::parse(bytes) else { return };
    assert!(!request.method.is_empty() && request.method.iter().all(|byte| is_token_byte(*byte)));
    assert!(!request.target.is_empty() && request.target.iter().all(u8::is_ascii_graphic));
    let lines = request.view().headers;
    are_fields(lines);
    let named = |name: &[u8]| lines.iter().filter(|line| line.name.eq_ignore_ascii_case(name)).count();
    let (length, coding, host) = (named(b"content-length"), named(b"transfer-encoding"), named(b"host"));
    assert!(length + coding.min(1) <= 1, "a length in two ways");
    assert!(coding == 0 || (request.framing == Framing::Chunked && request.version == Version::Http11));
    assert!(host <= 1 && (host == 1 || request.version == Version::Http10));
    assert_ne!(request.framing, Framing::UntilClose);
}

fn response(bytes: &[u8], to_head: bool) {
    let Ok(Some(response)) = Response::parse(bytes, to_head) else { return };
    assert!(response.length <= bytes.len().min(MAX_RESPONSE_HEAD) && (100..=999).contains(&response.status));
    are_fields(response.fields.lines());
    assert!(!to_head || matches!(response.framing, Framing::Empty), "{:?}", response.framing);
    let alone = Response::parse(&bytes[..response.length], to_head).unwrap().unwrap();
    assert_eq!((alone.status, alone.framing), (response.status, response.framing), "what follows has no say");
    let cut = Response::parse(&bytes[..response.length - 1], to_head);
    assert!(!matches!(cut, Ok(Some(_))), "it ends where it says");
}

fn are_fields(lines: &[HeaderField<'_>]) {
    for HeaderField { name, value } in lines {
        assert!(!name.is_empty() && name.iter().all(|byte| is_token_byte(*byte)), "{name:?}");
        assert!(!value.iter().any(|byte| b"\r\n\0".contains(byte)), "{value:?}");
    }
}

/// A chunked body is the same in however many pieces it comes.
pub(crate) fn chunked(data: &[u8]) {
    let Some((piece, bytes)) = data.split_first() else { return };
    assert_eq!(decode(bytes, usize::from(*piece) + 1), decode(bytes, usize::MAX));
}

/// Content, and how it ends: at this place with a trailer section, with a violation, or not yet.
fn decode(bytes: &[u8], piece: usize) -> (Vec<u8>, Option<usize>, bool) {
    let (mut scanner, mut content, mut at) = (ChunkedScanner::default(), Vec::new(), 0);
    while at < bytes.len() {
        let input = &bytes[at..at.saturating_add(piece).min(bytes.len())];
        match scanner.scan(input) {
            Ok(Scan::Framing(length)) => {
                assert!((1..=input.len()).contains(&length));
                at += length;
            }
            Ok(Scan::Data(length)) => {
                assert!((1..=input.len()).contains(&length));
                content.extend(&input[..length]);
                at += length;
            }
            Ok(Scan::Trailers) => return (content, Some(at), false),
            Err(_) => return (content, None, true),
        }
    }
    (content, None, false)
}

/// What a client of HTTP/2 may send, in pieces; after its first bytes, which all send.
#[cfg(fuzzing)]
pub(crate) fn http2(data: &[u8]) {
    let [piece, deed, bytes @ ..] = data else { return };
    let sent = [&balancer::wire::http2::PREFACE[..], bytes].concat();
    balancer::wire::http2::play::play(&sent, usize::from(*piece) + 1, *deed);
}

/// The same of what a target says.
#[cfg(fuzzing)]
pub(crate) fn http2_answers(data: &[u8]) {
    let [piece, deed, bytes @ ..] = data else { return };
    balancer::wire::http2::play::play_answers(bytes, usize::from(*piece) + 1, *deed);
}

const NOW: UnixSeconds = UnixSeconds(1_700_000_000);
const HOME: TargetId = TargetId(0x1234_5678_9ABC_DEF0);

struct Home;

impl TargetLookup for Home {
    fn find(&self, id: TargetId) -> Option<(usize, Standing)> {
        (id == HOME).then_some((0, Standing::Routable))
    }
}

type Table = SessionTable<Vec<AtomicU64>>;

fn ring() -> Arc<Keyring> {
    Arc::new(Keyring::from_bytes(&[7; SECRET_LEN]).unwrap())
}

/// By the balancer's cookie, with a lifetime and without, and by the application's.
fn groups() -> [GroupStickiness; 3] {
    let application = || StickinessKind::ApplicationCookie { cookie_name: "SID".into() };
    let settings = |kind, max_lifetime| StickinessSettings {
        kind,
        duration_seconds: 1000,
        attributes: CookieAttributes::default(),
        renewal: CookieRenewal::Always,
        pick: CookiePick::First,
        extras: StickinessExtras { max_lifetime, ..StickinessExtras::default() },
    };
    [
        settings(StickinessKind::LoadBalancerCookie, None),
        settings(StickinessKind::LoadBalancerCookie, Some(5000)),
        settings(application(), None),
    ]
    .map(|settings| GroupStickiness::compile("app", &settings, ring()))
}

fn decide(group: &GroupStickiness, lines: &[Vec<u8>], table: &Table) -> Decision {
    let field = |line| HeaderField { name: b"cookie", value: line };
    let headers: Vec<_> = lines.iter().map(|line| field(line)).collect();
    let head = RequestHead { method: b"GET", target: b"/", version: Version::Http11, headers: &headers };
    group.decide(&head, &Home, table, NOW)
}

/// The cookies that a response sets, `name=value` each, which has set these itself.
fn set_by(group: &GroupStickiness, decision: &Decision, table: &Table, own: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let headers: Vec<_> = own.iter().map(|value| HeaderField { name: b"set-cookie", value }).collect();
    let response = ResponseHead { status: 200, headers: &headers };
    let mut edits = HeaderEdits::new();
    group.respond(decision, Answered::at_home(HOME), &response, false, table, NOW, &mut edits);
    let set =
        edits.iter().filter(|edit| edit.op == EditOp::Append && edit.name.eq_ignore_ascii_case("set-cookie"));
    set.map(|edit| edit.value.split(|byte| *byte == b';').next().unwrap().to_vec()).collect()
}

/// The cookies that a group sets for a new client, but for those that it is to forget.
fn first_set(group: &GroupStickiness, table: &Table) -> Vec<Vec<u8>> {
    let begun = decide(group, &[], table);
    let mut set = set_by(group, &begun, table, &[b"SID=1".to_vec()]);
    set.retain(|cookie| !cookie.ends_with(b"=_remove_"));
    set
}

/// A cookie that the balancer has set is known again, and changed in any way it is nobody's. The first byte says which
/// one; then come pairs of a place and of what stands there.
pub(crate) fn token(data: &[u8]) {
    let Some((which, edits)) = data.split_first() else { return };
    let groups = groups();
    let group = &groups[usize::from(*which) % 3];
    let table = SessionTable::new(Vec::new());
    // The fuzzer sees what is compared, and writes what another group sets, too: that was given out as well.
    let others: Vec<_> = groups.iter().flat_map(|group| first_set(group, &table)).collect();
    let is_of_another = |text: &[u8]| {
        let values = others.iter().filter_map(|cookie| cookie.splitn(2, |byte| *byte == b'=').nth(1));
        values.into_iter().any(|value| contains(text, value))
    };
    let set = first_set(group, &table);
    let cookie = &set[usize::from(*which) / 3 % set.len()];
    let equals = cookie.iter().position(|byte| *byte == b'=').unwrap();
    let (name, value) = cookie.split_at(equals + 1);
    let mut changed = value.to_vec();
    for edit in edits.as_chunks::<2>().0 {
        let length = changed.len();
        changed[usize::from(edit[0]) % length] = edit[1];
    }
    let is_same = trimmed(&changed) == value;
    let line = [name, &changed, b"; SID=1"].concat();
    let found = decide(group, &[line], &table).target;
    let told = String::from_utf8_lossy(&changed);
    assert!(found.is_some() == is_same || !is_same && is_of_another(&changed), "{told:?}");
    // And what a stranger writes in its place.
    let line = [name, edits, b"; SID=1"].concat();
    let is_same = edits.split(|byte| *byte == b';').next().is_some_and(|edits| trimmed(edits) == value);
    let found = decide(group, &[line], &table).target;
    assert!(found.is_none() || is_same || is_of_another(edits), "{:?}", String::from_utf8_lossy(edits));
}

/// Without white space and quotes around it.
fn trimmed(value: &[u8]) -> &[u8] {
    match value.trim_ascii() {
        [b'"', inner @ .., b'"'] => inner,
        bare => bare,
    }
}

fn contains(text: &[u8], wanted: &[u8]) -> bool {
    text.windows(wanted.len()).any(|window| window == wanted)
}

/// Lines of cookies, a line each, of a request, and then as what an application sets: nobody is known by them who was not
/// told a value.
pub(crate) fn cookies(data: &[u8]) {
    let lines: Vec<Vec<u8>> = data
        .split(|byte| *byte == b'\n')
        .map(|line| line.iter().filter(|b| **b != b'\r').copied().collect())
        .collect();
    for group in groups() {
        let table: Table = SessionTable::new((0..32).map(|_| AtomicU64::new(0)).collect());
        let decision = decide(&group, &lines, &table);
        assert_eq!(decision.target, None, "{:?}", decision.outcome);
        for cookie in set_by(&group, &decision, &table, &lines) {
            assert!(!cookie.iter().any(|byte| b"\r\n\0".contains(byte)), "{cookie:?}");
        }
    }
    let settings = GroupStickinessSettings {
        duration_seconds: 1000,
        sliding: true,
        attributes: CookieAttributes::default(),
    };
    let drawn = GroupCookie::new(&settings, ["a", "b"].into_iter(), ring());
    let headers: Vec<_> = lines.iter().map(|value| HeaderField { name: b"cookie", value }).collect();
    let head = RequestHead { method: b"GET", target: b"/", version: Version::Http11, headers: &headers };
    assert_ne!(drawn.decide(&head, NOW).outcome, GroupOutcome::Pinned);
}

/// A text as each kind of file: an answer, with a place for each fault.
pub(crate) fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for name in ["x.hcl", "x.tf", "x.tf.json", "x_override.tf", "x.auto.tfvars"] {
        match config::parse(&[(PathBuf::from(name), text.to_owned())]) {
            Ok(configuration) => drop(config::warnings(&configuration)),
            Err(errors) => assert!(!errors.to_string().is_empty()),
        }
    }
}
