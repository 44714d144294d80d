//! Frames in places and states that the main tables do not cover: what is allowed and must work, streams that are
//! closed in one way or another, and header blocks in every representation.

use super::{
    COMPRESSION, Ends, FRAME_SIZE, GET, PROTOCOL, STREAM_CLOSED, Served, Status, Stream, block, flag, frame,
    join, kind, open, play, settings, window, with,
};

const CANCEL: [u8; 4] = [0, 0, 0, 8];

fn data(bytes: &[u8], last: bool) -> Vec<u8> {
    frame(kind::DATA, u8::from(last), 1, bytes)
}

fn reset() -> Vec<u8> {
    frame(kind::RST_STREAM, 0, 1, &CANCEL)
}

fn priority(stream: u32, on: u32, weight: u8) -> Vec<u8> {
    frame(kind::PRIORITY, 0, stream, &[&on.to_be_bytes()[..], &[weight]].concat())
}

#[test]
fn what_is_allowed_works() {
    let most = vec![b'x'; 16_384];
    play(&[
        ("9113 4.2: DATA of the size allowed", join(&[open(&[]), data(&most, true)]), Status(200)),
        ("9113 5.1: PRIORITY on an idle stream", join(&[priority(1, 0, 0), with(&[])]), Status(200)),
        (
            "9113 5.1: PRIORITY on an open stream",
            join(&[open(&[]), priority(1, 0, 255), data(b"x", true)]),
            Status(200),
        ),
        (
            "9113 5.1: PRIORITY on a half-closed stream",
            join(&[with(&[]), priority(1, 0x8000_0000, 9)]),
            Status(200),
        ),
        ("9113 5.1: WINDOW_UPDATE on a half-closed stream", join(&[with(&[]), window(1, 100)]), Status(200)),
        ("9113 5.1: RST_STREAM on a half-closed stream", join(&[with(&[]), reset()]), Served),
        ("9113 5.1: PRIORITY on a closed stream", join(&[open(&[]), reset(), priority(1, 0, 9)]), Served),
        ("9113 5.1: WINDOW_UPDATE on a closed stream", join(&[open(&[]), reset(), window(1, 9)]), Served),
        ("9113 5.1: RST_STREAM on a closed stream", join(&[open(&[]), reset(), reset()]), Served),
        (
            "9113 6.1: a body in several frames",
            join(&[
                open(&[("content-length", "4")]),
                data(b"te", false),
                data(b"", false),
                data(b"st", true),
            ]),
            Status(200),
        ),
        (
            "9113 6.1: padding of nothing but its length",
            join(&[open(&[]), frame(kind::DATA, flag::PADDED | flag::END_STREAM, 1, &[0])]),
            Status(200),
        ),
        (
            "9113 6.2: padded HEADERS",
            frame(kind::HEADERS, 0x0d, 1, &[&[4][..], &block(GET), &[0; 4]].concat()),
            Status(200),
        ),
        (
            "9113 6.5.3: the last of two values counts",
            join(&[settings(5, 16_384), settings(5, 20_000)]),
            Served,
        ),
        ("9113 6.7: PING with ACK", frame(kind::PING, flag::ACK, 0, b"12345678"), Served),
        (
            "9113 6.9: WINDOW_UPDATE",
            join(&[open(&[]), window(0, 9), window(1, 9), data(b"x", true)]),
            Status(200),
        ),
        (
            "9113 7: an unknown code",
            join(&[open(&[]), frame(kind::RST_STREAM, 0, 1, &[0, 0, 0, 0xff])]),
            Served,
        ),
        (
            "9113 8.1: trailers",
            join(&[open(&[]), data(b"x", false), frame(kind::HEADERS, 5, 1, &block(&[("x-sum", "1")]))]),
            Status(200),
        ),
        (
            "9110 9.3.2: HEAD",
            frame(kind::HEADERS, 5, 1, &block(&[&[(":method", "HEAD")][..], &GET[1..]].concat())),
            Status(200),
        ),
    ]);
}

#[test]
fn what_is_out_of_place_is_refused() {
    let half = frame(kind::HEADERS, flag::END_STREAM, 1, &block(&GET[..2]));
    let rest = |stream: u32| frame(kind::CONTINUATION, flag::END_HEADERS, stream, &block(&GET[2..]));
    play(&[
        (
            "9113 4.3: a block that cannot be decoded",
            frame(kind::HEADERS, 5, 1, &[0xff; 16]),
            Ends(&[COMPRESSION]),
        ),
        (
            "9113 4.3: PRIORITY within a header block",
            join(&[half.clone(), priority(1, 0, 9)]),
            Ends(&[PROTOCOL]),
        ),
        (
            "9113 4.3: HEADERS of another stream within a header block",
            join(&[half.clone(), frame(kind::HEADERS, 5, 3, &block(GET))]),
            Ends(&[PROTOCOL]),
        ),
        ("9113 4.3: DATA within a header block", join(&[half.clone(), data(b"x", true)]), Ends(&[PROTOCOL])),
        ("9113 5.1: CONTINUATION on an idle stream", rest(1), Ends(&[PROTOCOL])),
        (
            "9113 5.1: CONTINUATION on a half-closed stream",
            join(&[with(&[]), rest(1)]),
            Ends(&[STREAM_CLOSED, PROTOCOL]),
        ),
        (
            "9113 5.1: CONTINUATION on a closed stream",
            join(&[open(&[]), reset(), rest(1)]),
            Ends(&[PROTOCOL]),
        ),
        (
            "9113 5.5: an unknown frame within a header block",
            join(&[half.clone(), frame(0x16, 0, 1, b"x")]),
            Ends(&[PROTOCOL]),
        ),
        (
            "9113 6.3: PRIORITY of a wrong length",
            join(&[open(&[]), frame(kind::PRIORITY, 0, 1, &[0; 4])]),
            Ends(&[FRAME_SIZE]),
        ),
        (
            "7540 5.3.1: HEADERS of a stream that depends on itself",
            frame(kind::HEADERS, 5 | flag::PRIORITY, 1, &[&[0, 0, 0, 1, 10][..], &block(GET)].concat()),
            Stream(PROTOCOL),
        ),
        (
            "7540 5.3.1: HEADERS with padding, in two frames, of a stream that depends on itself alone",
            join(&[
                frame(
                    kind::HEADERS,
                    0x29,
                    1,
                    &[&[1, 0x80, 0, 0, 1, 10][..], &block(GET)[..9], &[0]].concat(),
                ),
                frame(kind::CONTINUATION, 4, 1, &block(GET)[9..]),
            ]),
            Stream(PROTOCOL),
        ),
        (
            "7540 5.3.1: PRIORITY of an open stream on itself",
            join(&[open(&[]), priority(1, 1, 9)]),
            Stream(PROTOCOL),
        ),
        ("7540 5.3.1: PRIORITY of an idle stream on itself", priority(1, 1, 9), Ends(&[PROTOCOL])),
        (
            "7540 5.3.1: PRIORITY of a closed stream on itself",
            join(&[open(&[]), reset(), priority(1, 1, 9)]),
            Served,
        ),
        ("9113 6.10: CONTINUATION on the connection", join(&[half.clone(), rest(0)]), Ends(&[PROTOCOL])),
        (
            "9113 6.10: CONTINUATION after CONTINUATION with the end",
            join(&[half.clone(), rest(1), rest(1)]),
            Ends(&[PROTOCOL, STREAM_CLOSED]),
        ),
        (
            "9113 6.10: CONTINUATION after DATA",
            join(&[open(&[]), data(b"x", false), rest(1)]),
            Ends(&[PROTOCOL]),
        ),
        ("9113 8.3.1: :scheme twice", with(&[(":scheme", "http")]), Stream(PROTOCOL)),
    ]);
}

#[test]
fn header_blocks_in_every_representation() {
    let raw = |bytes: &[u8]| frame(kind::HEADERS, 5, 1, bytes);
    let get = block(GET);
    // 0x82, 0x86, 0x84: GET, http and / of the static table; 41 0x01: :authority by its name's index.
    let begin = |rest: &[u8]| raw(&[&[0x82, 0x86, 0x84][..], rest].concat());
    let literal = |first: u8| [&[first, 1][..], b"x", &[1], b"y"].concat();
    let authority = |first: u8| [&[first, 6][..], b"a.test"].concat();
    let coded =
        [&[0x41, 0x8c][..], &[0xf1, 0xe3, 0xc2, 0xe5, 0xf2, 0x3a, 0x6b, 0xa0, 0xab, 0x90, 0xf4, 0xff]]
            .concat();
    let end = |value: &[u8]| raw(&[&get[..], &[0, 1], b"x", value].concat());
    play(&[
        (
            "7541 6.2.1: a literal that enters the table, its name by index",
            begin(&authority(0x41)),
            Status(200),
        ),
        (
            "7541 6.2.1: a literal that enters the table, and the entry",
            begin(&[&authority(0x41)[..], &literal(0x40), &[0xbe]].concat()),
            Status(200),
        ),
        (
            "7541 6.2.2: a literal that enters no table, its name by index",
            begin(&authority(0x01)),
            Status(200),
        ),
        (
            "7541 6.2.3: a literal that never enters a table",
            begin(&[&authority(0x11)[..], &literal(0x10)].concat()),
            Status(200),
        ),
        ("7541 5.2: a Huffman-coded value", begin(&coded), Status(200)),
        ("7541 6.3: a change of the table's size", raw(&[&[0x20][..], &get].concat()), Status(200)),
        (
            "7541 4.2: two changes of the table's size",
            raw(&[&[0x20, 0x3f, 0xe1, 0x1f][..], &get].concat()),
            Status(200),
        ),
        (
            "7541 4.4: an entry that was evicted",
            begin(&[&authority(0x41)[..], &literal(0x40), &[0xc0]].concat()),
            Ends(&[COMPRESSION]),
        ),
        // 'a' is 00011; what is left of its byte has to be ones.
        ("7541 5.2: Huffman padding of zeroes", end(&[0x81, 0x18]), Ends(&[COMPRESSION])),
        ("7541 5.2: Huffman padding of ones", end(&[0x81, 0x1f]), Status(200)),
        ("7541 5.2: the end-of-string symbol", end(&[0x84, 0xff, 0xff, 0xff, 0xff]), Ends(&[COMPRESSION])),
        (
            "7541 2.3.3: an entry of an empty table",
            begin(&[&authority(0x01)[..], &[0xbe]].concat()),
            Ends(&[COMPRESSION]),
        ),
    ]);
}
