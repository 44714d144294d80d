//! Requests to the `h2` crate's server, and what it answers.

use std::{cell::RefCell, collections::HashMap, future::poll_fn, rc::Rc, task::Poll, time::Duration};

use bytes::Bytes;
use proptest::prelude::*;
use tokio::{
    net::TcpStream,
    task::{LocalSet, spawn_local, yield_now},
};

use super::{
    conversations::{as_it_comes, exchanges, map, of_map, send_body, sorted},
    harness::{Given, Message, Taken, connected, owned},
};
use crate::wire::{
    body::poll_move,
    buffer::BufferStore,
    http2::{Client, ErrorCode, Http2Stream, Requester, StreamEnd, Unsent},
};

/// What a target is like.
#[derive(Clone, Debug)]
struct Settings {
    window: u32,
    connection_window: u32,
    frame: u32,
    streams: u32,
    /// Interim answers before each.
    interim: usize,
    piece: usize,
}

fn settings() -> impl Strategy<Value = Settings> {
    let window = || prop_oneof![Just(65_535_u32), 400..3000_u32, Just(1 << 20)];
    (window(), 65_535..200_000_u32, 16_384..70_000_u32, 1..20_u32, 0..3_usize, 1..40_000_usize).prop_map(
        |(window, connection_window, frame, streams, interim, piece)| Settings {
            window,
            connection_window,
            frame,
            streams,
            interim,
            piece,
        },
    )
}

type Requests = Rc<RefCell<HashMap<String, Option<Message>>>>;

async fn taken(request: http::Request<h2::RecvStream>) -> Option<Message> {
    let (head, mut body) = request.into_parts();
    let line = format!("{} {}", head.method, head.uri.path());
    assert_eq!(head.uri.authority().map(|authority| authority.as_str()), Some("a.test"));
    let mut message = Message { line, fields: of_map(&head.headers), ..Message::default() };
    while let Some(data) = body.data().await {
        let data = data.ok()?;
        body.flow_control().release_capacity(data.len()).unwrap();
        message.body.extend_from_slice(&data);
    }
    message.trailers = body.trailers().await.ok()?.as_ref().map(of_map).unwrap_or_default();
    Some(message)
}

async fn answer(
    request: http::Request<h2::RecvStream>,
    mut respond: h2::server::SendResponse<Bytes>,
    answer: Message,
    settings: Settings,
    seen: Requests,
) {
    let path = request.uri().path().to_owned();
    let message = taken(request).await;
    let is_whole = message.is_some();
    seen.borrow_mut().insert(path, message);
    if !is_whole {
        return;
    }
    for _ in 0..settings.interim {
        let hints = http::Response::builder().status(103).header("link", "</a>").body(()).unwrap();
        respond.send_informational(hints).unwrap();
    }
    let mut response =
        http::Response::builder().status(answer.line.parse::<u16>().unwrap()).body(()).unwrap();
    *response.headers_mut() = map(&answer.fields);
    let ends = answer.body.is_empty() && answer.trailers.is_empty() && !answer.breaks_off;
    let sending = respond.send_response(response, ends).unwrap();
    if !ends {
        let _ = send_body(sending, &answer, settings.piece).await;
    }
}

async fn serve(stream: TcpStream, settings: Settings, answers: HashMap<String, Message>, seen: Requests) {
    let mut builder = h2::server::Builder::new();
    builder
        .initial_window_size(settings.window)
        .initial_connection_window_size(settings.connection_window)
        .max_frame_size(settings.frame)
        .max_concurrent_streams(settings.streams);
    let mut connection = builder.handshake::<_, Bytes>(stream).await.unwrap();
    while let Some(accepted) = connection.accept().await {
        // Who asks closes the connection behind its last word; what is still said then, as window for more, goes to nobody.
        let (request, respond) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => return assert!(error.is_io(), "{error}"),
        };
        let said = answers[request.uri().path()].clone();
        spawn_local(answer(request, respond, said, settings.clone(), Rc::clone(&seen)));
    }
}

async fn sent(requester: &Requester, path: &str, message: &Message, ends: bool) -> Http2Stream {
    loop {
        let mut stream = requester.reserve();
        let sent = stream.send_request((ends, false, usize::MAX), |head| {
            head.request(message.line.as_bytes(), false, b"a.test", path.as_bytes());
            message.fields.iter().for_each(|(name, value)| head.field(name.as_bytes(), value));
        });
        match sent {
            Ok(_) => return stream,
            Err(Unsent::Full) => yield_now().await,
            Err(other) => panic!("{other:?}"),
        }
    }
}

/// Asks, and gives back what came, and how many interim answers before it.
async fn ask(
    requester: Rc<Requester>,
    path: String,
    message: Message,
) -> Result<(Message, usize), StreamEnd> {
    let ends = message.body.is_empty() && message.trailers.is_empty() && !message.breaks_off;
    let mut stream = sent(&requester, &path, &message, ends).await;
    let mut given = (!ends).then(|| Given::new(&message));
    let mut upload = |cx: &mut std::task::Context<'_>, stream: &mut Http2Stream| {
        if let Some(body) = &mut given
            && poll_move(cx, body, stream).is_ready()
        {
            if message.breaks_off {
                stream.reset(ErrorCode::Cancel);
            }
            given = None;
        }
    };
    let mut interim = 0;
    let head = loop {
        let come = poll_fn(|cx| {
            upload(cx, &mut stream);
            stream.poll_answer(cx)
        });
        come.await.map_err(|fault| stream.ending(fault))?;
        match stream.take_answer().unwrap() {
            head if head.status() >= 200 => break head,
            _ => interim += 1,
        }
    };
    let mut answer =
        Message { line: head.status().to_string(), fields: owned(head.lines()), ..Message::default() };
    stream.expect_answer(stream.is_whole());
    stream.recycle(head);
    let mut body = Taken::default();
    let moved = poll_fn(|cx| {
        upload(cx, &mut stream);
        poll_move(cx, &mut stream, &mut body)
    });
    if let Err(error) = moved.await {
        return Err(match error {
            crate::wire::body::BodyError::Source(fault) => stream.ending(fault),
            other => panic!("{other}"),
        });
    }
    (answer.body, answer.trailers) = (body.content, body.trailers);
    Ok((answer, interim))
}

async fn converse(settings: Settings, exchanges: Vec<(Message, Message)>) {
    let paths = || (0..).map(|number| format!("/{number}"));
    let answers = paths().zip(exchanges.iter().map(|(_, answer)| answer.clone())).collect::<HashMap<_, _>>();
    let (near, far) = connected().await;
    let seen = Requests::default();
    let serving = spawn_local(serve(far, settings.clone(), answers, Rc::clone(&seen)));
    let (mut client, requester) = Client::new(near, 0);
    let buffers = BufferStore::default();
    // What the target allows is known before it is asked.
    let begun = poll_fn(|cx| match client.poll(cx, &buffers, 0) {
        Poll::Pending if !client.is_greeted() => Poll::Pending,
        polled => Poll::Ready(polled.is_pending()),
    });
    assert!(begun.await, "{}", client.ending());
    let driving = spawn_local(async move {
        poll_fn(|cx| client.poll(cx, &buffers, 0)).await;
        client.ending()
    });
    let requester = Rc::new(requester);
    let asking: Vec<_> = paths()
        .zip(&exchanges)
        .map(|(path, (request, _))| spawn_local(ask(Rc::clone(&requester), path, request.clone())))
        .collect();
    for ((path, (request, answer)), asking) in paths().zip(&exchanges).zip(asking) {
        let come = asking.await.unwrap();
        let seen = seen.borrow_mut().remove(&path);
        if request.breaks_off {
            assert!(!matches!(seen, Some(Some(_))) && come.is_err(), "{path}");
            continue;
        }
        let wanted = as_it_comes(request, format!("{} {path}", request.line));
        assert_eq!(seen, Some(Some(wanted)), "what came of {path}");
        match come {
            Ok((mut come, interim)) => {
                (come.fields, come.trailers) = (sorted(come.fields), sorted(come.trailers));
                assert_eq!(
                    (&come, interim),
                    (&as_it_comes(answer, answer.line.clone()), settings.interim),
                    "{path}"
                );
            }
            Err(ending) => {
                assert!(answer.breaks_off && matches!(ending, StreamEnd::Reset(8)), "{path}: {ending}");
            }
        }
    }
    drop(requester);
    let ending = driving.await.unwrap();
    assert!(matches!(ending, StreamEnd::Closed), "{ending}");
    serving.await.unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn what_is_asked_is_heard_and_what_is_answered_comes_back(settings in settings(), exchanges in exchanges()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let conversation = async { tokio::time::timeout(Duration::from_secs(60), converse(settings, exchanges)).await };
        LocalSet::new().block_on(&runtime, conversation).expect("it comes to an end");
    }
}
