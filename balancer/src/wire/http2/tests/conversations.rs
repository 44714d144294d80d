use std::{collections::HashMap, future::poll_fn, rc::Rc, time::Duration};

use bytes::Bytes;
use proptest::prelude::*;
use tokio::task::{LocalSet, spawn_local};

use super::harness::{Fields, Message, Seen, connected, serve};
use crate::wire::http2::StreamFault;

/// What a client is like. Smaller windows would have it send more frames for them than it may.
#[derive(Clone, Debug)]
struct Client {
    window: u32,
    connection_window: u32,
    frame: u32,
    table: u32,
    /// Bytes of a body that it sends at a time.
    piece: usize,
    /// Whether it asks for one thing after the other, so that the connection rests between them.
    in_turn: bool,
}

fn fields() -> impl Strategy<Value = Fields> {
    let name = prop_oneof![Just("x-same"), Just("x-other"), Just("cache-control"), Just("via"), Just("etag")];
    let value =
        prop_oneof![Just(Vec::new()), Just(b"same".to_vec()), "[!-~]{1,40}".prop_map(String::into_bytes)];
    proptest::collection::vec((name.prop_map(str::to_owned), value), 0..6)
}

fn body() -> impl Strategy<Value = Vec<u8>> {
    let length = prop_oneof![Just(0_usize), 1..100_usize, Just(16_384), 0..200_000_usize];
    (length, any::<u8>())
        .prop_map(|(length, seed)| (0..length).map(|at| u8::try_from(at / 7 % 256).unwrap() ^ seed).collect())
}

pub(super) fn message(line: impl Strategy<Value = String>) -> impl Strategy<Value = Message> {
    let ends = (proptest::option::of(fields()), proptest::bool::weighted(0.1));
    (line, fields(), body(), ends).prop_map(|(line, fields, body, (trailers, breaks_off))| Message {
        line,
        fields,
        body,
        trailers: if breaks_off { Vec::new() } else { trailers.unwrap_or_default() },
        breaks_off,
    })
}

fn client() -> impl Strategy<Value = Client> {
    let window = || prop_oneof![Just(65_535_u32), 400..3000_u32, Just(1 << 20)];
    (window(), 65_535..200_000_u32, 16_384..70_000_u32, 0..9000_u32, 1..40_000_usize, any::<bool>()).prop_map(
        |(window, connection_window, frame, table, piece, in_turn)| Client {
            window,
            connection_window,
            frame,
            table,
            piece,
            in_turn,
        },
    )
}

pub(super) fn exchanges() -> impl Strategy<Value = Vec<(Message, Message)>> {
    let status = prop_oneof![Just(200_u16), Just(404), Just(299), 200..600_u16].prop_map(|s| s.to_string());
    let method = prop_oneof![Just("GET".to_owned()), Just("POST".to_owned())];
    proptest::collection::vec((message(method), message(status)), 1..12)
}

pub(super) fn sorted(mut fields: Fields) -> Fields {
    // Of fields of one name the order counts.
    fields.sort_by(|one, other| one.0.cmp(&other.0));
    fields
}

pub(super) fn of_map(map: &http::HeaderMap) -> Fields {
    sorted(map.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect())
}

pub(super) fn map(fields: &Fields) -> http::HeaderMap {
    let name = |name: &str| http::HeaderName::from_bytes(name.as_bytes()).unwrap();
    fields.iter().map(|(of, value)| (name(of), http::HeaderValue::from_bytes(value).unwrap())).fold(
        http::HeaderMap::new(),
        |mut map, (name, value)| {
            map.append(name, value);
            map
        },
    )
}

pub(super) async fn send_body(
    mut sending: h2::SendStream<Bytes>,
    message: &Message,
    piece: usize,
) -> Result<(), h2::Error> {
    let plain = message.trailers.is_empty() && !message.breaks_off;
    let mut rest = message.body.as_slice();
    while !rest.is_empty() {
        sending.reserve_capacity(rest.len().min(piece));
        let room = poll_fn(|cx| sending.poll_capacity(cx)).await.transpose()?.unwrap_or_default();
        let (part, more) = rest.split_at(room.min(rest.len()).min(piece));
        sending.send_data(Bytes::copy_from_slice(part), plain && more.is_empty())?;
        rest = more;
    }
    if message.breaks_off {
        sending.send_reset(h2::Reason::CANCEL);
    } else if !plain {
        sending.send_trailers(map(&message.trailers))?;
    }
    Ok(())
}

/// Sends a request and takes the response; nothing: it broke off.
async fn ask(
    client: h2::client::SendRequest<Bytes>,
    path: String,
    message: Message,
    piece: usize,
) -> Option<Message> {
    let uri = format!("http://a.test{path}");
    let mut request = http::Request::builder().method(&*message.line).uri(uri).body(()).unwrap();
    *request.headers_mut() = map(&message.fields);
    let ends = message.body.is_empty() && message.trailers.is_empty() && !message.breaks_off;
    let mut client = client.ready().await.unwrap();
    let (response, sending) = client.send_request(request, ends).unwrap();
    let sent = async {
        if !ends {
            // The response may be there before.
            let _ = send_body(sending, &message, piece).await;
        }
    };
    let taken = async {
        let (head, mut body) = response.await.ok()?.into_parts();
        let mut taken = Message {
            line: head.status.as_u16().to_string(),
            fields: of_map(&head.headers),
            ..Message::default()
        };
        while let Some(data) = body.data().await {
            let data = data.ok()?;
            body.flow_control().release_capacity(data.len()).unwrap();
            taken.body.extend_from_slice(&data);
        }
        taken.trailers = body.trailers().await.ok()?.as_ref().map(of_map).unwrap_or_default();
        Some(taken)
    };
    tokio::join!(sent, taken).1
}

pub(super) fn as_it_comes(message: &Message, line: String) -> Message {
    let (fields, trailers) = (sorted(message.fields.clone()), sorted(message.trailers.clone()));
    Message { line, fields, trailers, ..message.clone() }
}

async fn converse(client: Client, exchanges: Vec<(Message, Message)>) {
    let paths = || (0..).map(|number| format!("/{number}"));
    let answers = paths().zip(exchanges.iter().map(|(_, answer)| answer.clone())).collect::<HashMap<_, _>>();
    let (near, far) = connected().await;
    let seen = Rc::new(Seen::default());
    let serving = spawn_local(serve(far, Rc::new(answers), Rc::clone(&seen)));
    let mut settings = h2::client::Builder::new();
    settings
        .initial_window_size(client.window)
        .initial_connection_window_size(client.connection_window)
        .max_frame_size(client.frame)
        .header_table_size(client.table);
    let (sender, connection) = settings.handshake::<_, Bytes>(near).await.unwrap();
    let driving = spawn_local(connection);
    let mut asking = Vec::new();
    for (path, (request, _)) in paths().zip(&exchanges) {
        let one = spawn_local(ask(sender.clone(), path, request.clone(), client.piece));
        while client.in_turn && !one.is_finished() {
            tokio::task::yield_now().await;
        }
        asking.push(one);
    }
    for ((path, (request, answer)), asking) in paths().zip(&exchanges).zip(asking) {
        let taken = asking.await.unwrap();
        let seen = seen.requests.borrow_mut().remove(&path);
        if request.breaks_off {
            assert!(!matches!(seen, Some(Ok(_))) && taken.is_none(), "{path}");
            continue;
        }
        let wanted = as_it_comes(request, format!("{} {path}", request.line));
        let seen = seen.unwrap().map(|mut message| {
            (message.fields, message.trailers) = (sorted(message.fields), sorted(message.trailers));
            message
        });
        assert_eq!(seen, Ok(wanted), "what came of {path}");
        let wanted = (!answer.breaks_off).then(|| as_it_comes(answer, answer.line.clone()));
        assert_eq!(taken, wanted, "what came back of {path}");
    }
    drop(sender);
    driving.await.unwrap().unwrap();
    serving.await.unwrap();
    assert_eq!(*seen.violation.borrow(), None);
    // Who breaks off and goes may do both at once.
    let any_whole = exchanges.iter().any(|(request, _)| !request.breaks_off);
    assert!(!client.in_turn || !any_whole || seen.rests.get() > 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn what_one_side_says_the_other_hears(client in client(), exchanges in exchanges()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let conversation = async { tokio::time::timeout(Duration::from_secs(60), converse(client, exchanges)).await };
        LocalSet::new().block_on(&runtime, conversation).expect("it comes to an end");
    }
}

#[test]
fn a_fault_says_what_it_is() {
    assert_eq!(StreamFault::Reset(8).to_string(), "the stream was reset by the other side");
}
