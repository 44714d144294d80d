use proptest::prelude::*;

use super::*;

/// A literal: with `0x40` it enters the table.
fn literal(mode: u8, name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut out = vec![mode];
    for text in [name, value] {
        out.push(u8::try_from(text.len()).unwrap());
        out.extend_from_slice(text);
    }
    out
}

fn look(blocks: &mut HeaderBlocks, block: &[u8]) -> Looked {
    blocks.look(block, Section::Response).expect("it can be read")
}

#[test]
fn what_is_sound_stays_as_it_is() {
    // RFC 7541, appendix C.3 and C.4: three requests each, in plain and in code.
    let plain: [&[u8]; 3] = [
        b"\x82\x86\x84\x41\x0fwww.example.com",
        b"\x82\x86\x84\xbe\x58\x08no-cache",
        b"\x82\x87\x85\xbf\x40\x0acustom-key\x0ccustom-value",
    ];
    let coded: [&[u8]; 3] = [
        b"\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff",
        b"\x82\x86\x84\xbe\x58\x86\xa8\xeb\x10\x64\x9c\xbf",
        b"\x82\x87\x85\xbf\x40\x88\x25\xa8\x49\xe9\x5b\xa9\x7d\x7f\x89\x25\xa8\x49\xe9\x5b\xb8\xe8\xb4\xbf",
    ];
    for requests in [plain, coded] {
        let mut blocks = HeaderBlocks::default();
        for block in requests {
            assert_eq!(look(&mut blocks, block), Looked::default());
        }
        assert_eq!(look(&mut blocks, b"\xbe\xbf\xc0"), Looked::default(), "three entries");
        assert_eq!(blocks.look(b"\xc1", Section::Response), Err(Unreadable), "and no fourth");
    }
}

#[test]
fn a_field_that_is_ill_formed_is_replaced_by_one_of_its_size() {
    for (name, value) in [
        (&b"X-Upper"[..], &b"value"[..]),
        (b"with space", b"value"),
        (b"colon:", b"v"),
        (b":unknown", b"v"),
        (b"", b"value"),
        (b"name\0", b""),
        (b"name", b"a\r\nb"),
        (b"name", b"\0"),
        (b"name", b"\x7f"),
        (b":method", b"GE T"),
        (b":method", b""),
        (b":status", b"20"),
        (b":status", b"2000"),
        (b":authority", b"\xff"),
        (b":scheme", b"\xc3"),
        (b":path", b"\xff"),
    ] {
        let mut blocks = HeaderBlocks::default();
        let block = [&b"\x82"[..], &literal(0x40, name, value), b"\x84"].concat();
        let instead = look(&mut blocks, &block).instead.unwrap_or_else(|| panic!("{name:?} {value:?}"));
        assert_eq!(instead.len(), block.len() + MALFORMED.len(), "{name:?} {value:?}: {instead:x?}");
        assert!(instead.starts_with(b"\x82") && instead.ends_with(&[b"\x84", MALFORMED].concat()));
        // What stands in for it is sound itself, and in a table of the same size.
        let mut engine = HeaderBlocks::default();
        let shown = &instead[..instead.len() - MALFORMED.len()];
        assert_eq!(look(&mut engine, shown), Looked::default(), "{name:?} {value:?}");
        assert_eq!(
            engine.table.get(62).unwrap().value_length + engine.table.get(62).unwrap().name_length,
            name.len() + value.len()
        );
        // Whoever means it again means what is ill-formed.
        assert!(look(&mut blocks, b"\xbe").instead.unwrap().ends_with(MALFORMED));
    }
}

#[test]
fn a_name_that_is_ill_formed_is_so_with_any_value() {
    let mut blocks = HeaderBlocks::default();
    look(&mut blocks, &literal(0x40, b"X-Upper", b"1"));
    for again in [&b"\x7e\x012"[..], b"\x0f\x2f\x012"] {
        assert!(look(&mut blocks, again).instead.unwrap().ends_with(MALFORMED), "{again:x?}");
    }
    let mut blocks = HeaderBlocks::default();
    look(&mut blocks, &literal(0x40, b":status", b"200"));
    let instead = look(&mut blocks, b"\x7e\x012").instead.unwrap();
    assert_eq!(instead, [&literal(0x40, b"xxxxxxx", b"x"), MALFORMED].concat(), "named by the table");
    let mut blocks = HeaderBlocks::default();
    look(&mut blocks, &literal(0x40, b"name", b"\n"));
    assert_eq!(look(&mut blocks, b"\x7e\x012"), Looked::default(), "a name that is sound is so with another");
}

#[test]
fn trailers_have_no_pseudo_fields() {
    let head =
        [&b"\x82\x86\x84"[..], &literal(0x40, b":authority", b"a"), &literal(0x40, b"x", b"y")].concat();
    for (block, malformed) in [
        (&b"\x82"[..], true),
        (b"\x88", true),
        (b"\xbf", true),
        (b"\xbe", false),
        (b"\x04\x02/a", true),
        (b"\x41\x01a", true),
        (&literal(0, b":path", b"/"), true),
        (&literal(0, b"path", b"/"), false),
        (b"\xbe\x82", true),
        (b"", false),
    ] {
        let mut blocks = HeaderBlocks::default();
        assert_eq!(look(&mut blocks, &head), Looked::default());
        let looked = blocks.look(block, Section::Trailers).unwrap();
        assert_eq!(looked.instead.is_some_and(|block| block.ends_with(MALFORMED)), malformed, "{block:x?}");
    }
}

/// A head of `bytes` bytes as the engine counts it, in fields of `each`, written in `mode`.
fn head_of(bytes: usize, each: usize, mode: u8) -> Vec<u8> {
    let mut block = b"\x82\x86\x84\x01\x01a".to_vec();
    for _ in 0..bytes / (each + 32) {
        field::write_field(&mut block, mode, b"name", &vec![b'v'; each - 4]);
    }
    block
}

#[test]
fn little_that_stands_for_much_is_left_out() {
    let mut blocks = HeaderBlocks::default();
    let mut bomb = b"\x82\x86\x84\x01\x01a".to_vec();
    field::write_field(&mut bomb, 0x40, b"name", &[b'v'; 3000]);
    bomb.extend([0xbe; 10_000]);
    let looked = look(&mut blocks, &bomb);
    let kept = looked.instead.unwrap().iter().filter(|byte| **byte == 0xbe).count();
    assert_eq!(
        (kept, looked.left_out),
        (MOST_OF_RESPONSE / 3036 - 1, (10_001 - MOST_OF_RESPONSE / 3036) * 3004)
    );
    // The same by names, which enter the table each time.
    let mut bomb = b"\x82\x86\x84\x01\x01a".to_vec();
    field::write_field(&mut bomb, 0x40, &[b'n'; 3000], b"");
    bomb.extend(b"\x7e\x00".repeat(1000));
    let instead = look(&mut HeaderBlocks::default(), &bomb).instead.unwrap();
    assert!(instead.ends_with(MALFORMED));
}

#[test]
fn trailers_that_the_engine_would_leave_out_of_are_malformed() {
    for (bytes, is_malformed) in [(59 << 10, false), (61 << 10, true), (300 << 10, true)] {
        let block = &head_of(bytes, 1000, 0)[6..];
        let looked = HeaderBlocks::default().look(block, Section::Trailers).unwrap();
        assert_eq!(looked.instead.is_some_and(|block| block.ends_with(MALFORMED)), is_malformed, "{bytes}");
    }
}

#[test]
fn of_a_response_that_is_far_too_large_the_engine_gets_enough_to_see_it() {
    for (each, mode) in [(8, 0), (1000, 0), (4000, 0x10), (90_000, 0), (1000, 0x40), (5000, 0x40)] {
        for kibibytes in [30, 64, 100, 300] {
            let block = [b"\x88", &head_of(kibibytes << 10, each, mode)[6..]].concat();
            let looked = HeaderBlocks::default().look(&block, Section::Response).unwrap();
            let case = format!("{kibibytes} KiB of {each} in mode {mode:x}");
            let instead = looked.instead.unwrap_or_else(|| block.clone());
            assert_eq!(looked.left_out > 0, instead.ends_with(&[b'x'; MAX_RESPONSE_HEAD]), "{case}");
            assert!(looked.left_out > 0 || block.len() < 130 << 10 || instead.ends_with(MALFORMED), "{case}");
            assert!(instead.len() < (160 << 10) + 5000 || instead.ends_with(MALFORMED), "{case}");
        }
    }
}

#[test]
fn interim_responses_are_known() {
    let mut blocks = HeaderBlocks::default();
    let mut is_interim = |block: &[u8]| blocks.look(block, Section::Response).unwrap().is_interim;
    assert!(!is_interim(b"\x88") && !is_interim(b"\x08\x03200") && !is_interim(b"\x48\x82\x64\x02"));
    assert!(is_interim(b"\x08\x03103") && is_interim(b"\x48\x03100") && is_interim(b"\xbe"));
    // 103 in code.
    assert!(is_interim(b"\x08\x82\x08\x19"));
}

#[test]
fn the_engine_gets_one_length_and_only_of_a_response() {
    let interim = b"\x08\x03103";
    let length = |mode: u8, value: &[u8]| literal(mode, b"content-length", value);
    let placeholder = |size: usize| literal(0x40, IN_ITS_PLACE, &vec![b'x'; size]);
    let mut blocks = HeaderBlocks::default();
    let mut handed = |block: &[u8]| {
        let looked = blocks.look(block, Section::Response).unwrap();
        looked.instead.unwrap_or_else(|| block.to_vec())
    };
    // As it is, whatever writes it; the last two are in code: 5 and 10.
    for plain in
        [length(0, b"5"), length(0x10, b"5"), b"\x0f\x0d\x015".to_vec(), b"\x0f\x0d\x81\x6f".to_vec()]
    {
        let final_head = [b"\x88", &plain[..]].concat();
        assert_eq!(handed(&final_head), final_head);
        assert_eq!(handed(&[interim, &plain[..], b"\x90"].concat()), [&interim[..], b"\x90"].concat());
    }
    for list in [length(0, b"5, 5"), length(0x10, b"5,5,\t5"), b"\x0f\x0d\x045, 5".to_vec()] {
        assert_eq!(handed(&[b"\x88", &list[..]].concat()), [b"\x88", &length(0, b"5")[..]].concat());
        assert_eq!(handed(&[interim, &list[..]].concat()), interim);
    }
    for none in [&b"5, 6"[..], b"5,", b",", b"five", b"5, five", b"", b"99999999999999999999,5"] {
        let head = [b"\x88", &length(0, none)[..]].concat();
        assert_eq!(handed(&head), head, "the engine says what it thinks of it");
    }
    // What enters the table stands there under another name, and is told as it was meant.
    assert_eq!(
        handed(&[interim, &length(0x40, b"7")[..]].concat()),
        [&interim[..], &placeholder(1)].concat()
    );
    assert_eq!(handed(b"\x88\xbe"), [b"\x88", &length(0, b"7")[..]].concat());
    assert_eq!(handed(&[&interim[..], b"\xbe"].concat()), interim);
    assert_eq!(
        handed(b"\x88\x7e\x013"),
        [b"\x88", &placeholder(1)[..], &length(0, b"3")].concat(),
        "a name of the table that is another one there"
    );
    assert_eq!(handed(b"\x88\xbe\x90"), [b"\x88", &length(0, b"3")[..], b"\x90"].concat());
    assert_eq!(
        handed(&[b"\x88", &length(0x40, b"4,4")[..]].concat()),
        [b"\x88", &placeholder(3)[..], &length(0, b"4")].concat()
    );
    assert_eq!(handed(b"\x88\xbe"), [b"\x88", &length(0, b"4")[..]].concat());
    // One that the engine has as it is.
    let known = [b"\x88", &length(0x40, b"8")[..]].concat();
    assert_eq!(handed(&known), known);
    assert_eq!(handed(b"\x88\xbe"), b"\x88\xbe");
    assert_eq!(handed(&[&interim[..], b"\xbe\x90"].concat()), [&interim[..], b"\x90"].concat());
}

#[test]
fn the_table_forgets_as_the_engines_does() {
    let mut blocks = HeaderBlocks::default();
    let large = literal(0x40, b"name", &[b'v'; 120]);
    for _ in 0..100 {
        assert_eq!(look(&mut blocks, &large), Looked::default());
    }
    // 4096 / (4 + 120 + 32) of them.
    assert!(blocks.look(&[0x80 | (61 + 26)], Section::Response).is_ok());
    assert!(blocks.look(&[0x80 | (61 + 27)], Section::Response).is_err());
    assert_eq!(look(&mut blocks, b"\x20"), Looked::default(), "a table of size 0");
    assert!(blocks.look(b"\xbe", Section::Response).is_err());
    assert!(blocks.look(b"\x3f\xff\x7f", Section::Response).is_err(), "larger than was allowed");
}

#[test]
fn what_cannot_be_read_is_said_to_be() {
    for block in [
        &b"\x80"[..],
        b"\x40",
        b"\x40\x05abc",
        b"\x00\x81\xff\x00",
        b"\xff\xff\xff\xff\xff\x0f",
        b"\x00\x01a",
    ] {
        assert_eq!(HeaderBlocks::default().look(block, Section::Response), Err(Unreadable), "{block:x?}");
    }
}

proptest! {
    #[test]
    fn nothing_panics(blocks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..8)) {
        let mut state = HeaderBlocks::default();
        for block in blocks {
            for section in [Section::Response, Section::Trailers] {
                let _ = state.look(&block, section);
            }
        }
    }

    #[test]
    fn of_any_head_the_engine_gets_no_more_than_it_takes_and_what_its_table_needs(
        fields in proptest::collection::vec((0..4_u8, 1..6_usize, 0..9000_usize), 1..60),
        bound in 0..4000_usize,
    ) {
        let names = [&b"name"[..], b":path", b"content-length", b":method", b"other"];
        let mut block = Vec::new();
        integer::write_integer(&mut block, 0x20, 5, bound);
        for (mode, name, size) in fields {
            let value = vec![b'0'; size];
            match mode {
                0 => field::write_field(&mut block, 0, names[name - 1], &value),
                1 => field::write_field(&mut block, 0x40, names[name - 1], &value),
                2 => field::write_field(&mut block, 0x40, b"small", &value[..size / 10]),
                _ => integer::write_integer(&mut block, 0x80, 7, 61 - name),
            }
        }
        let (mut blocks, mut engine) = (HeaderBlocks::default(), HeaderBlocks::default());
        let looked = look(&mut blocks, &block);
        let instead = looked.instead.unwrap_or_else(|| block.clone());
        let shown = instead.strip_suffix(MALFORMED).unwrap_or(&instead);
        look(&mut engine, shown);
        for index in 62..200 {
            let of = |blocks: &HeaderBlocks| blocks.table.get(index).map(|entry| (entry.length(), entry.name)).ok();
            if let Some(entry) = of(&blocks) {
                prop_assert_eq!(Some(entry), of(&engine), "{}", index);
            }
        }
    }

    #[test]
    fn what_is_written_anew_can_be_read(
        fields in proptest::collection::vec((any::<bool>(), "[a-zA-Z: ]{1,6}", "[ -~\n]{0,6}"), 1..8),
    ) {
        let block: Vec<u8> = fields
            .iter()
            .flat_map(|(enters, name, value)| literal(if *enters { 0x40 } else { 0 }, name.as_bytes(), value.as_bytes()))
            .collect();
        let (mut blocks, mut engine) = (HeaderBlocks::default(), HeaderBlocks::default());
        if let Some(instead) = look(&mut blocks, &block).instead {
            let shown = instead.strip_suffix(MALFORMED).unwrap_or(&instead);
            prop_assert_eq!(look(&mut engine, shown).instead, None);
            // Both tables are as large, entry for entry.
            for index in 62..72 {
                let size = |blocks: &HeaderBlocks| blocks.table.get(index).map(|entry| entry.name_length + entry.value_length).ok();
                prop_assert_eq!(size(&blocks), size(&engine));
            }
        }
    }
}
