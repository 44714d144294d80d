use h2::Reason;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

use super::*;

const PING: u8 = 6;
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

/// What a client's engine makes of the frames of a target: of the first response, and of one on stream 3.
async fn responses(bytes: Vec<u8>) -> [Result<Option<String>, Option<Reason>>; 2] {
    async fn serve(mut server: DuplexStream, bytes: Vec<u8>) {
        server.write_all(&frame(4, 0, 0, &[])).await.unwrap();
        // The requests, of which nothing else matters, come first.
        let mut preface = vec![0; 24];
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
    let interim = &mut screened.screen.responses.interim;
    assert!(!(0..=MAX_INTERIM).any(|_| is_too_many(interim, 1)) && is_too_many(interim, 1));
    assert!(!is_too_many(interim, 1), "it is reset once");
    assert!(!(3..2 * u32::try_from(MOST_ANSWERED).unwrap()).any(|stream| is_too_many(interim, stream)));
    assert!(interim.len() <= MOST_ANSWERED);
}

#[tokio::test]
async fn blocks_in_several_frames_are_looked_at_as_one() {
    let block = [&b"\x88"[..], &literal(0x40, b"X-Upper", b"value")].concat();
    let padded = [&[3][..], &block, &[0; 3]].concat();
    let weighed = [&[0, 0, 0, 0, 9][..], &block].concat();
    let instead = [&b"\x88"[..], &literal(0x40, b"xxxxxxx", b"xxxxx"), MALFORMED].concat();
    let behind = frame(PING, 0, 0, &[7; 8]);
    let wanted = [frame(HEADERS, END_BOTH, 1, &instead), behind.clone()].concat();
    for (way, bytes) in [
        [frame(HEADERS, END_STREAM, 1, &block[..4]), frame(CONTINUATION, END_HEADERS, 1, &block[4..])]
            .concat(),
        [
            frame(HEADERS, END_STREAM, 1, &block[..5]),
            frame(CONTINUATION, 0, 1, &[]),
            frame(CONTINUATION, 0, 1, &block[5..9]),
            frame(CONTINUATION, END_HEADERS, 1, &block[9..]),
        ]
        .concat(),
        frame(HEADERS, END_BOTH | PADDED, 1, &padded),
        frame(HEADERS, END_BOTH | PRIORITY, 1, &weighed),
    ]
    .iter()
    .enumerate()
    {
        for piece in [1, 3, 1000] {
            let bytes = [&bytes[..], &behind].concat();
            assert_eq!(handed_on(&bytes, piece).await, wanted, "{way} in pieces of {piece}");
        }
    }
}

#[tokio::test]
async fn what_the_engine_ends_a_connection_for_it_is_to_see() {
    for bytes in [
        frame(HEADERS, END_BOTH, 0, b"\x88"),
        frame(HEADERS, END_BOTH, 1, &vec![0; MOST_PAYLOAD + 1]),
        frame(HEADERS, END_BOTH | PADDED, 1, b"\x09\x88"),
        [frame(HEADERS, END_STREAM, 1, b"\x88"), frame(DATA, 0, 1, b"x")].concat(),
        [
            frame(HEADERS, END_STREAM, 1, b"\x88"),
            frame(CONTINUATION, 0, 1, &vec![0; MOST_PAYLOAD]).repeat(40),
        ]
        .concat(),
    ] {
        assert_eq!(handed_on(&bytes, 1000).await, bytes, "{:x?}", &bytes[..20.min(bytes.len())]);
    }
    for block in [b"\x80", b"\xc0"] {
        let bytes = frame(HEADERS, END_BOTH, 1, block);
        assert_eq!(
            handed_on(&bytes, 1000).await,
            frame(HEADERS, END_HEADERS, 1, b"\x80"),
            "no field has this index"
        );
    }
}

#[tokio::test]
async fn a_block_may_come_in_any_number_of_frames() {
    for frames in [3, 40, 5000] {
        let head = [frame(HEADERS, 0, 1, b"\x88"), frame(CONTINUATION, 0, 1, &[]).repeat(frames)].concat();
        let last = frame(CONTINUATION, END_HEADERS, 1, &literal(0, b"a", b"b"));
        let end = [frame(DATA, END_STREAM, 1, b"x"), frame(HEADERS, END_BOTH, 3, b"\x88")].concat();
        assert_eq!(responses([head, last, end].concat()).await, [Ok(None), Ok(None)], "{frames}");
    }
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
