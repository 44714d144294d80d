use proptest::prelude::*;

use super::{
    encoder::Encoder,
    huffman,
    integer::{integer, write_integer},
    *,
};
use crate::wire::{
    head::Request,
    http2::block::{Block, BlockSection},
};

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

type Fields = Vec<(String, String)>;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The fields of a block, pseudo-fields in front; those of responses are left out.
fn fields(decoder: &mut Decoder, block: &[u8]) -> Option<Fields> {
    let mut read = Block::default();
    read.begin(BlockSection::Request);
    decoder.read(block, &mut read).ok()?;
    let pseudo = [
        (":method", Some(read.method()).filter(|method| !method.is_empty())),
        (":path", read.path()),
        (":authority", read.authority()),
    ];
    let pseudo = pseudo.into_iter().filter_map(|(name, value)| Some((name.to_owned(), text(value?))));
    Some(pseudo.chain(read.lines().map(|field| (text(field.name), text(field.value)))).collect())
}

fn list(fields: &[(&str, &str)]) -> Fields {
    fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn numbers_of_appendix_c_1() {
    for (number, prefix, hex) in [(10, 5, "0a"), (1337, 5, "1f9a0a"), (42, 8, "2a")] {
        let mut out = Vec::new();
        write_integer(&mut out, 0, prefix, number);
        assert_eq!(out, bytes(hex));
        let mut rest = out.as_slice();
        assert_eq!(integer(&mut rest, prefix), Ok(number));
        assert!(rest.is_empty());
    }
}

#[test]
fn single_fields_of_appendix_c_2() {
    let mut encoder = Encoder::new();
    let mut out = Vec::new();
    encoder.field(b"Custom-Key", b"custom-header", &mut out).unwrap();
    let custom = bytes("400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572");
    assert_eq!(out, custom, "C.2.1");
    encoder.field(b"CUSTOM-key", b"custom-header", &mut out).unwrap();
    assert_eq!(out[custom.len()..], [0xbe], "and then its index");
    for (hex, wanted) in [
        ("400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572", ("custom-key", "custom-header")),
        ("040c 2f73 616d 706c 652f 7061 7468", (":path", "/sample/path")),
        ("1008 7061 7373 776f 7264 0673 6563 7265 74", ("password", "secret")),
        ("82", (":method", "GET")),
    ] {
        assert_eq!(fields(&mut Decoder::new(), &bytes(hex)), Some(list(&[wanted])));
    }
}

#[test]
fn fields_stand_in_a_block_as_in_a_head_of_http_1() {
    let mut encoder = Encoder::new();
    let fields: [(&[u8], &[u8]); 6] = [
        (b"User-Agent", b"a"),
        (b"x-own", b""),
        (b"accept", b"*/*"),
        (b"cookie", b"a=b"),
        (b"content-length", b"0"),
        (b"cookie", b"c=d"),
    ];
    let mut decoder = Decoder::new();
    // The second block is of indices.
    for _ in 0..2 {
        let mut out = vec![0x82, 0x84, 0x86];
        fields.iter().for_each(|(name, value)| encoder.field(name, value, &mut out).unwrap());
        encoder.field(b"x-last", b"z", &mut out).unwrap();
        let mut block = Block::default();
        block.begin(BlockSection::Request);
        decoder.read(&out, &mut block).unwrap();
        assert!(block.is_well_formed());
        let size = block.length();
        block.join_cookies();
        let all = "user-agent: a\r\nx-own: \r\naccept: */*\r\ncookie: a=b\r\ncontent-length: 0\r\ncookie: c=d\r\n\
            x-last: z\r\ncookie: a=b; c=d\r\n";
        assert!(text(block.source()).ends_with(all), "{}", text(block.source()));
        let lines: String =
            block.lines().map(|field| format!("{}: {}\r\n", text(field.name), text(field.value))).collect();
        assert_eq!(
            lines,
            "user-agent: a\r\nx-own: \r\naccept: */*\r\ncontent-length: 0\r\nx-last: z\r\ncookie: a=b; c=d\r\n"
        );
        let names = ":method:path:schemeuser-agentx-ownacceptcookiecontent-lengthcookiex-last".len();
        assert_eq!(size, (names + "GET/httpa*/*a=b0c=dz".len()) as u64);
        let mut request = Request::default();
        request.take_fields(b"GET", b"/", Some(b"h"), (block.lines(), block.source()), true).unwrap();
        let (mut copied, mut copier) = (Vec::new(), request.fields.copier());
        request.fields.lines().iter().for_each(|field| copier.put(field.name, field.value, &mut copied));
        copier.finish(&mut copied);
        assert_eq!(text(&copied), lines + "host: h\r\n");
    }
}

#[test]
fn requests_of_appendix_c_3_and_c_4() {
    let first = [(":method", "GET"), (":path", "/"), (":authority", "www.example.com")];
    let wanted = [
        list(&first),
        list(&[&first[..], &[("cache-control", "no-cache")]].concat()),
        list(&[
            (":method", "GET"),
            (":path", "/index.html"),
            (":authority", "www.example.com"),
            ("custom-key", "custom-value"),
        ]),
    ];
    let plain = [
        "8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "8286 84be 5808 6e6f 2d63 6163 6865",
        "8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65",
    ];
    let coded = [
        "8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff",
        "8286 84be 5886 a8eb 1064 9cbf",
        "8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf",
    ];
    for blocks in [plain, coded] {
        let mut decoder = Decoder::new();
        for (block, wanted) in blocks.iter().zip(&wanted) {
            assert_eq!(fields(&mut decoder, &bytes(block)).as_ref(), Some(wanted));
        }
    }
}

#[test]
fn responses_of_appendix_c_5_and_c_6_which_evict() {
    let cookie = "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";
    let fields_of = |control: &str, date: &str, location: &str| {
        list(&[("cache-control", control), ("date", date), ("location", location)])
    };
    let first = fields_of("private", "Mon, 21 Oct 2013 20:13:21 GMT", "https://www.example.com");
    let third = [
        fields_of("private", "Mon, 21 Oct 2013 20:13:22 GMT", "https://www.example.com"),
        list(&[("content-encoding", "gzip"), ("set-cookie", cookie)]),
    ]
    .concat();
    let wanted = [first.clone(), first, third];
    let plain = [
        "4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 \
         3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d",
        "4803 3330 37c1 c0bf",
        "88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 \
         7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 \
         6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31",
    ];
    let coded = [
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad \
         1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
        "4883 640e ffc1 c0bf",
        "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 \
         e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07",
    ];
    for blocks in [plain, coded] {
        let mut decoder = Decoder::new();
        // The table has 256 bytes.
        assert_eq!(fields(&mut decoder, &bytes("3fe101")), Some(Vec::new()));
        for (block, wanted) in blocks.iter().zip(&wanted) {
            assert_eq!(fields(&mut decoder, &bytes(block)).as_ref(), Some(wanted));
        }
        // Three are left, with 215 bytes: the newest first.
        let left = list(
            &[wanted[2][4].clone(), wanted[2][3].clone(), wanted[2][1].clone()]
                .each_ref()
                .map(|field| (&*field.0, &*field.1)),
        );
        assert_eq!(fields(&mut decoder, &bytes("bebfc0")), Some(left));
        assert_eq!(fields(&mut decoder, &bytes("c1")), None);
    }
}

#[test]
fn what_cannot_be_read_is_told() {
    for hex in
        ["80", "c6", "be", "0005", "000561", "ff ff ff ff ff 7f", "3fe21f", "8220", "400185ff ff ff ff ff 00"]
    {
        assert_eq!(fields(&mut Decoder::new(), &bytes(hex)), None, "{hex}");
    }
    assert!(fields(&mut Decoder::new(), &bytes("3fe11f")).is_some(), "4096");
}

#[test]
fn sizes_of_the_table_are_told_as_they_have_changed() {
    let mut encoder = Encoder::new();
    let mut told = |sizes: &[u32]| {
        let mut out = Vec::new();
        sizes.iter().for_each(|size| encoder.allow(*size));
        encoder.begin(&mut out);
        out
    };
    assert_eq!(told(&[]), bytes(""));
    assert_eq!(told(&[4096, u32::MAX]), bytes(""));
    assert_eq!(told(&[0]), bytes("20"));
    assert_eq!(told(&[0]), bytes(""));
    assert_eq!(told(&[30]), bytes("3e"));
    assert_eq!(told(&[0, 10_000]), bytes("203fe11f"));
    assert_eq!(told(&[100, 50]), bytes("3f13"));
    assert_eq!(told(&[100, 50, 70]), bytes("3f27"));
}

#[test]
fn a_field_without_a_form_leaves_nothing_behind() {
    let mut encoder = Encoder::new();
    for (name, value) in [
        (&b""[..], &b"v"[..]),
        (b"a b", b"v"),
        (b"a:", b"v"),
        (b"\xff", b"v"),
        (b"a", b"v\n"),
        (b"date", b"\0"),
    ] {
        let mut out = vec![7];
        assert!(encoder.field(name, value, &mut out).is_err() && out == [7], "{name:?} {value:?}");
    }
    let mut out = Vec::new();
    encoder.field(b"a", b"b", &mut out).unwrap();
    encoder.abandon();
    let mut out = Vec::new();
    encoder.begin(&mut out);
    encoder.field(b"a", b"b", &mut out).unwrap();
    assert_eq!(out, bytes("20 3fe11f 40 0161 0162"));
}

fn some_fields() -> impl Strategy<Value = Vec<(String, String)>> {
    let name = prop_oneof![
        Just("Date".to_owned()),
        Just("content-type".to_owned()),
        Just("Server".to_owned()),
        Just("Set-Cookie".to_owned()),
        "[a-zA-Z0-9!#$%&'*+.^_`|~-]{1,80}",
    ];
    let value = prop_oneof![
        Just(String::new()),
        Just("text/plain".to_owned()),
        "[ -~\t]{0,60}",
        "[a-c]{900}",
        "a{4090}"
    ];
    proptest::collection::vec((name, value), 0..12)
}

proptest! {
    #[test]
    fn what_is_written_is_read(blocks in proptest::collection::vec((some_fields(), 0_u32..6000, any::<bool>(), any::<bool>()), 1..30)) {
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
        for (block, size, resizes, rests) in blocks {
            if rests {
                encoder = Encoder::resumed(encoder.rest());
                decoder.shrink();
            }
            if resizes {
                encoder.allow(size);
            }
            let mut out = Vec::new();
            encoder.begin(&mut out);
            for (name, value) in &block {
                encoder.field(name.as_bytes(), value.as_bytes(), &mut out).unwrap();
            }
            // Fields that are of a connection are read, and no part of a request.
            let is_left = |name: &str| !matches!(FieldName::of(name.as_bytes()), FieldName::Bad | FieldName::Te);
            let wanted: Fields = block
                .into_iter()
                .map(|(name, value)| (name.to_ascii_lowercase(), value))
                .filter(|(name, _)| is_left(name))
                .collect();
            prop_assert_eq!(fields(&mut decoder, &out), Some(wanted));
        }
    }

    #[test]
    fn nothing_that_comes_panics_or_grows(blocks in proptest::collection::vec(
        proptest::collection::vec(prop_oneof![any::<u8>(), 0x40_u8..0x44, 0x80_u8..0xc4, 0_u8..5], 0..60), 1..40,
    )) {
        let mut decoder = Decoder::new();
        let mut read = Block::default();
        for block in blocks {
            read.begin(BlockSection::Request);
            if decoder.read(&block, &mut read).is_err() {
                break;
            }
            let _ = (read.is_well_formed(), read.lines().count());
        }
    }

    #[test]
    fn coded_strings_are_read_as_before(coded in proptest::collection::vec(any::<u8>(), 0..80)) {
        let mut out = b"x".to_vec();
        let read = huffman::decode_into(&coded, &mut out);
        prop_assert_eq!(read.map(|()| out[1..].to_vec()), slow(&coded));
    }
}

/// Word by word, bit by bit (RFC 7541, section 5.2).
fn slow(coded: &[u8]) -> Option<Vec<u8>> {
    let bits: Vec<u8> = coded.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let (mut out, mut place) = (Vec::new(), 0);
    while place < bits.len() {
        let found = (5..=30).find_map(|length| {
            let word =
                bits.get(place..place + length)?.iter().fold(0, |word, bit| word << 1 | u32::from(*bit));
            huffman::symbol(word, length).map(|symbol| (symbol, length))
        });
        match found {
            Some((256, _)) => return None,
            Some((symbol, length)) => {
                out.push(u8::try_from(symbol).unwrap());
                place += length;
            }
            None if bits.len() - place < 8 && bits[place..].iter().all(|bit| *bit == 1) => break,
            None => return None,
        }
    }
    Some(out)
}
