use h2::Reason;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::*;

const PING: u8 = 6;
const GOAWAY: u8 = 7;
const END_BOTH: u8 = END_STREAM | END_HEADERS;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    Frame { length: 0, kind, flags, stream }.write(payload, &mut out);
    out
}

fn literal(mode: u8, name: &[u8], value: &[u8]) -> Vec<u8> {
    [&[mode, u8::try_from(name.len()).unwrap()][..], name, &[u8::try_from(value.len()).unwrap()], value]
        .concat()
}

fn request(stream: u32, more: &[u8]) -> Vec<u8> {
    frame(HEADERS, END_BOTH, stream, &[b"\x82\x86\x84\x01\x01a", more].concat())
}

/// What the engine makes of `bytes`, which come in pieces of `piece` bytes: the streams of the requests that it
/// hands over, those that it resets with PROTOCOL_ERROR, and whether it ends the connection.
async fn engine(bytes: Vec<u8>, piece: usize, screened: bool) -> (Vec<u32>, Vec<u32>, bool) {
    let (mut client, server) = duplex(1 << 20);
    let (mut taken, mut reset) = (Vec::new(), Vec::new());
    let serve = async {
        let stream: Box<dyn Both> = match screened {
            true => Box::new(Screened::of_client(server, Rc::default())),
            false => Box::new(server),
        };
        let Ok(mut connection) = h2::server::handshake(stream).await else { return };
        while let Some(Ok((_request, respond))) = connection.accept().await {
            taken.push(u32::from(respond.stream_id()));
            // Kept: what is dropped is reset.
            std::mem::forget(respond);
        }
    };
    let send = async {
        let preface = [&PREFACE[..], &frame(4, 0, 0, &[])].concat();
        for part in [preface, bytes].concat().chunks(piece) {
            let _ = client.write_all(part).await;
            tokio::task::yield_now().await;
        }
        let mut ended = false;
        // The first answer may overtake what was said before it, the second cannot.
        for _ in 0..2 {
            let _ = client.write_all(&frame(PING, 0, 0, &[7; 8])).await;
            loop {
                let mut head = [0; FRAME_HEAD];
                if client.read_exact(&mut head).await.is_err() {
                    return ended;
                }
                let frame = Frame::read(&head).unwrap();
                let mut payload = vec![0; frame.length];
                client.read_exact(&mut payload).await.unwrap();
                match frame.kind {
                    RST_STREAM if payload == 1_u32.to_be_bytes() => reset.push(frame.stream),
                    GOAWAY => ended |= payload[7] != 0,
                    PING if frame.flags & ACK != 0 => break,
                    _ => {}
                }
            }
        }
        drop(client);
        ended
    };
    let ((), ended) = tokio::join!(serve, send);
    (taken, reset, ended)
}

trait Both: AsyncRead + AsyncWrite + Unpin {}
impl<S: AsyncRead + AsyncWrite + Unpin> Both for S {}

#[tokio::test]
async fn an_ill_formed_field_resets_its_stream_and_no_other() {
    for (name, value) in [
        (&b"X-Upper"[..], &b"v"[..]),
        (b"name", b"a\nb"),
        (b":what", b"v"),
        (b":method", b"A B"),
        (b"", b"x"),
    ] {
        let bytes = [
            request(1, &literal(0x40, b"first", b"1")),
            request(3, &literal(0x40, name, value)),
            // Of the table: the first field of the first request, which is there for as long as both tables agree.
            request(5, b"\xbf"),
            request(7, b"\xbe"),
            request(9, &literal(0x40, b"last", b"1")),
        ]
        .concat();
        for piece in [1, 7, 1000] {
            let came = engine(bytes.clone(), piece, true).await;
            assert_eq!(came, (vec![1, 5, 9], vec![3, 7], false), "{name:?} in pieces of {piece}");
        }
        assert!(engine(bytes, 1000, false).await.2, "without, the engine ends the connection");
    }
}

#[tokio::test]
async fn blocks_in_several_frames_are_looked_at_as_one() {
    let block = [&b"\x82\x86\x84\x01\x01a"[..], &literal(0x40, b"X-Upper", b"value")].concat();
    let padded = [&[3][..], &block, &[0; 3]].concat();
    let weighed = [&[0, 0, 0, 0, 9][..], &block].concat();
    let ways = [
        [frame(HEADERS, END_STREAM, 1, &block[..4]), frame(CONTINUATION, END_HEADERS, 1, &block[4..])]
            .concat(),
        [
            frame(HEADERS, END_STREAM, 1, &block[..9]),
            frame(CONTINUATION, 0, 1, &[]),
            frame(CONTINUATION, 0, 1, &block[9..11]),
            frame(CONTINUATION, END_HEADERS, 1, &block[11..]),
        ]
        .concat(),
        frame(HEADERS, END_BOTH | PADDED, 1, &padded),
        frame(HEADERS, END_BOTH | PRIORITY, 1, &weighed),
    ];
    for (way, bytes) in ways.iter().enumerate() {
        for piece in [1, 3, 1000] {
            let bytes = [&bytes[..], &request(3, b"")].concat();
            assert_eq!(engine(bytes, piece, true).await, (vec![3], vec![1], false), "{way} {piece}");
        }
    }
}

#[tokio::test]
async fn a_block_may_come_in_any_number_of_frames() {
    let block = [&b"\x82\x86\x84\x01\x01a"[..], &literal(0x40, b"name", b"value")].concat();
    for (frames, size) in [(3, 6), (40, 1), (5000, 0)] {
        let mut bytes = frame(HEADERS, END_STREAM, 1, &block[..3]);
        bytes.extend(frame(CONTINUATION, 0, 1, &[]).repeat(if size == 0 { frames } else { 0 }));
        bytes.extend(block[3..].chunks(size.max(1)).flat_map(|part| frame(CONTINUATION, 0, 1, part)));
        bytes.extend(frame(CONTINUATION, END_HEADERS, 1, &[]));
        bytes.extend(request(3, b"\xbe"));
        for piece in [7, 10_000] {
            assert_eq!(engine(bytes.clone(), piece, true).await, (vec![1, 3], vec![], false), "{frames}");
        }
        let head = [frame(HEADERS, 0, 1, b"\x88"), frame(CONTINUATION, 0, 1, &[]).repeat(frames)].concat();
        let last = frame(CONTINUATION, END_HEADERS, 1, &literal(0, b"a", b"b"));
        let end = [frame(DATA, END_STREAM, 1, b"x"), frame(HEADERS, END_BOTH, 3, b"\x88")].concat();
        assert_eq!(responses([head, last, end].concat()).await, [Ok(None), Ok(None)], "{frames}");
    }
}

#[tokio::test]
async fn what_the_engine_ends_a_connection_for_it_still_does() {
    let long = vec![0; MOST_PAYLOAD + 1];
    for bytes in [
        frame(HEADERS, END_BOTH, 1, b"\x80"),
        frame(HEADERS, END_BOTH, 1, b"\xc0"),
        frame(HEADERS, END_BOTH, 0, b"\x82"),
        frame(HEADERS, END_BOTH, 1, &long),
        frame(HEADERS, END_BOTH | PADDED, 1, b"\x09\x82"),
        [frame(HEADERS, END_STREAM, 1, b"\x82"), frame(DATA, 0, 1, b"x")].concat(),
        [frame(HEADERS, END_STREAM, 1, b"\x82"), frame(CONTINUATION, 0, 1, &long[1..]).repeat(40)].concat(),
    ] {
        let (taken, _, ended) = engine(bytes.clone(), 1000, true).await;
        assert!(ended && taken.is_empty(), "{:x?}", &bytes[..20.min(bytes.len())]);
    }
}

#[tokio::test]
async fn trailers_with_pseudo_fields_reset_their_stream() {
    let bytes = [
        frame(HEADERS, END_HEADERS, 1, b"\x83\x86\x84\x01\x01a"),
        frame(DATA, 0, 1, b"body"),
        frame(HEADERS, END_BOTH, 1, b"\x84"),
        frame(HEADERS, END_HEADERS, 3, b"\x83\x86\x84\x01\x01a"),
        frame(HEADERS, END_BOTH, 3, &literal(0, b"sum", b"1")),
    ]
    .concat();
    for piece in [1, 1000] {
        assert_eq!(engine(bytes.clone(), piece, true).await, (vec![1, 3], vec![1], false));
    }
}

#[tokio::test]
async fn odd_paths_are_put_aside() {
    let (mut client, server) = duplex(1 << 16);
    let asides = Rc::new(Asides::default());
    let mut screened = Screened::of_client(server, Rc::clone(&asides));
    let bytes = [&PREFACE[..], &frame(HEADERS, END_BOTH, 5, &literal(0, b":path", b"/a#b"))].concat();
    client.write_all(&bytes).await.unwrap();
    drop(client);
    let mut came = Vec::new();
    screened.read_to_end(&mut came).await.unwrap();
    assert!(came.ends_with(b"\x05:path\x04////"));
    assert_eq!((asides.take(3).path, asides.take(5).path.as_deref()), (None, Some(&b"/a#b"[..])));
    assert_eq!(asides.take(5), Aside::default());
}

#[tokio::test]
async fn an_odd_path_too_many_is_refused_and_pushes_none_out() {
    let (mut client, server) = duplex(1 << 16);
    let asides = Rc::new(Asides::default());
    let mut screened = Screened::of_client(server, Rc::clone(&asides));
    let stream = |index: usize| u32::try_from(2 * index + 1).unwrap();
    let mut bytes = PREFACE.to_vec();
    for index in 0..=MOST_ASIDES {
        let path = format!("/a#{index:05}");
        bytes.extend(frame(HEADERS, END_BOTH, stream(index), &literal(0, b":path", path.as_bytes())));
    }
    client.write_all(&bytes).await.unwrap();
    drop(client);
    let mut came = Vec::new();
    screened.read_to_end(&mut came).await.unwrap();
    assert!(came.ends_with(MALFORMED), "the last one is refused");
    assert_eq!(asides.take(stream(0)).path.as_deref(), Some(&b"/a#00000"[..]));
    // Who is asked for later has passed those between, which makes room.
    assert_eq!(asides.take(stream(100)).path.as_deref(), Some(&b"/a#00100"[..]));
    assert_eq!((asides.take(stream(50)).path, asides.0.borrow().len()), (None, MOST_ASIDES - 101));
    assert_eq!(asides.take(stream(MOST_ASIDES)), Aside::default());
    assert!(asides.put(stream(MOST_ASIDES), Aside { path: Some(b"/"[..].into()), left_out: 0 }));
}

/// What a client's engine makes of the frames of a target: of the first response, and of one on stream 3.
async fn responses(bytes: Vec<u8>) -> [Result<Option<String>, Option<Reason>>; 2] {
    async fn serve(mut server: DuplexStream, bytes: Vec<u8>) {
        server.write_all(&frame(4, 0, 0, &[])).await.unwrap();
        // The requests, of which nothing else matters, come first.
        let mut preface = PREFACE.to_vec();
        server.read_exact(&mut preface).await.unwrap();
        let mut requests = 0;
        while requests < 2 {
            let mut head = [0; FRAME_HEAD];
            server.read_exact(&mut head).await.unwrap();
            let frame = Frame::read(&head).unwrap();
            server.read_exact(&mut vec![0; frame.length]).await.unwrap();
            requests += usize::from(frame.kind == HEADERS);
        }
        server.write_all(&bytes).await.unwrap();
        let mut came = [0; 200];
        while matches!(server.read(&mut came).await, Ok(1..)) {}
    }
    let (client, server) = duplex(1 << 16);
    let ask = async {
        let (sender, connection) = h2::client::handshake(Screened::of_target(client)).await.unwrap();
        let mut asked = Vec::new();
        for _ in 0..2 {
            let mut sender = sender.clone();
            asked.push(async move {
                let request = http::Request::builder().uri("http://a/").body(()).unwrap();
                let (response, _) = sender.send_request(request, true).map_err(|error| error.reason())?;
                let mut body = response.await.map_err(|error| error.reason())?.into_body();
                while let Some(data) = body.data().await {
                    data.map_err(|error| error.reason())?;
                }
                let trailers = body.trailers().await.map_err(|error| error.reason())?;
                Ok(trailers.map(|trailers| format!("{trailers:?}")))
            });
        }
        drop(sender);
        let (second, first) = (asked.pop().unwrap(), asked.pop().unwrap());
        let both = async { tokio::join!(first, second) };
        tokio::select! {
            biased;
            both = both => [both.0, both.1],
            _ = connection => panic!("the connection ended"),
        }
    };
    tokio::select! {
        came = ask => came,
        () = serve(server, bytes) => panic!("the target ended"),
    }
}

#[tokio::test]
async fn of_targets_too_only_the_stream_is_reset() {
    let trailers = |block: &[u8]| {
        [
            frame(HEADERS, END_HEADERS, 1, b"\x08\x03103"),
            frame(HEADERS, END_HEADERS, 1, b"\x88"),
            frame(DATA, 0, 1, b"x"),
            frame(HEADERS, END_BOTH, 1, block),
        ]
        .concat()
    };
    let good =
        [frame(HEADERS, END_HEADERS, 3, b"\x88"), frame(HEADERS, END_BOTH, 3, &literal(0, b"sum", b"1"))]
            .concat();
    let reset = Err(Some(Reason::PROTOCOL_ERROR));
    let sum = Ok(Some("{\"sum\": \"1\"}".to_owned()));
    for (bytes, first) in [
        (trailers(b"\x88"), reset.clone()),
        (trailers(&literal(0, b":path", b"/")), reset.clone()),
        (trailers(&literal(0, b"Upper", b"/")), reset.clone()),
        (trailers(&literal(0, b"sum", b"1")), sum.clone()),
        (
            frame(HEADERS, END_BOTH, 1, &[&b"\x88"[..], &literal(0x40, b"Upper", b"1")].concat()),
            reset.clone(),
        ),
        (frame(HEADERS, END_BOTH, 1, b"\x88"), Ok(None)),
    ] {
        assert_eq!(responses([bytes, good.clone()].concat()).await, [first, sum.clone()]);
    }
}

#[tokio::test]
async fn the_length_of_an_interim_response_is_not_that_of_the_stream() {
    let content = |stream: u32, head: &[u8]| {
        [frame(HEADERS, END_HEADERS, stream, head), frame(DATA, END_STREAM, stream, b"four")].concat()
    };
    let length = |mode: u8, value: &[u8]| literal(mode, b"content-length", value);
    for mode in [0, 0x10, 0x40] {
        for (interim, head) in [
            (&b"0"[..], b"\x88".to_vec()),
            (b"5", b"\x88".to_vec()),
            (b"5, 5", [b"\x88", &length(mode, b"4")[..]].concat()),
            (b"5, 6", [b"\x88", &length(mode, b"4, 4")[..]].concat()),
        ] {
            let bytes = [
                frame(HEADERS, END_HEADERS, 1, &[&b"\x08\x03103"[..], &length(mode, interim)].concat()),
                content(1, &head),
                content(3, &[b"\x88", &length(mode, b"4")[..]].concat()),
            ];
            assert_eq!(responses(bytes.concat()).await, [Ok(None), Ok(None)], "{mode:x} {interim:?}");
        }
    }
}

#[tokio::test]
async fn of_interim_responses_the_engine_gets_no_more_than_are_asked_for() {
    let interim = |stream: u32| frame(HEADERS, END_HEADERS, stream, b"\x08\x03103");
    let end = |stream: u32| frame(HEADERS, END_BOTH, stream, b"\x88");
    let reset = Err(Some(Reason::PROTOCOL_ERROR));
    for (number, first) in [(MAX_INTERIM + 1, Ok(None)), (MAX_INTERIM + 2, reset)] {
        let bytes = [interim(1).repeat(number), interim(3).repeat(MAX_INTERIM), end(1), end(3)].concat();
        assert_eq!(responses(bytes).await, [first, Ok(None)], "{number}");
    }
    // Those of an exchange that is over count no more.
    let bytes = interim(1).repeat(3 * MAX_INTERIM);
    let mut screened = Screened::of_target(&bytes[..]);
    let Peer::Target { interim, .. } = &mut screened.screen.peer else { panic!("a target's") };
    assert!(!(0..=MAX_INTERIM).any(|_| is_too_many(interim, 1)) && is_too_many(interim, 1));
    assert!(!is_too_many(interim, 1), "it is reset once");
    assert!(!(3..2 * u32::try_from(MOST_ANSWERED).unwrap()).any(|stream| is_too_many(interim, stream)));
    assert!(interim.len() <= MOST_ANSWERED);
}

/// What is handed on of `bytes`, which come in pieces of `piece` bytes.
async fn handed_on(bytes: &[u8], piece: usize) -> Vec<u8> {
    let (mut peer, stream) = duplex(1 << 16);
    let mut screened = Screened::of_target(stream);
    let send = async move {
        for part in bytes.chunks(piece) {
            peer.write_all(part).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let mut out = Vec::new();
    let (_, read) = tokio::join!(send, screened.read_to_end(&mut out));
    read.unwrap();
    out
}

#[tokio::test]
async fn a_peer_allows_no_table_beyond_the_usual() {
    let settings = |size: u32| {
        let size = size.to_be_bytes();
        // Another setting before it, one behind.
        [&[0, 3, 0, 0, 0, 9, 0, 1][..], &size, &[0, 1], &size, &[0, 4, 255, 255, 255, 255]].concat()
    };
    for (told, handed) in [(0, 0), (4095, 4095), (4096, 4096), (4097, 4096), (u32::MAX, 4096)] {
        let behind = frame(PING, 0, 0, &[7; 8]);
        let bytes = [frame(SETTINGS, 0, 0, &settings(told)), behind.clone()].concat();
        let wanted = [frame(SETTINGS, 0, 0, &settings(handed)), behind].concat();
        for piece in [1, 11, 1000] {
            assert_eq!(handed_on(&bytes, piece).await, wanted, "{told} in pieces of {piece}");
        }
    }
    // What is ill-formed the engine is to see as it came.
    for bytes in [
        frame(SETTINGS, 0, 0, &[0, 1, 255, 255, 255]),
        frame(SETTINGS, 0, 0, &[]),
        frame(SETTINGS, ACK, 0, &[0, 1, 255, 255, 255, 255]),
        frame(SETTINGS, 0, 3, &[9; 30]),
    ] {
        assert_eq!(handed_on(&bytes, 4).await, bytes);
    }
}
