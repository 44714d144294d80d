//! Heads of any shape, twice as long: reading one takes time that grows with its length alone.

use proptest::prelude::*;

use super::*;
use crate::wire::{
    chunked::ChunkedScanner, chunked_body::can_begin_chunked, desync, doubling::assert_linear,
};

/// Everything that is made of a head before anybody decides, with the head in pieces of `piece` bytes.
fn read(bytes: &[u8], piece: usize) {
    let mut scanner = HeadScanner::default();
    let ends = (piece..bytes.len()).step_by(piece).chain([bytes.len()]);
    let found = ends.map(|end| scanner.find_end(&bytes[..end])).find(|found| *found != Ok(None));
    if let Some(Ok(Some(end))) = found {
        match Request::parse(&bytes[..end]) {
            Ok(request) => {
                let _ = (Nominated::of(&request.fields), desync::of_request(&request));
            }
            Err(_) => _ = desync::of_head(&bytes[..end]),
        }
    }
    let _ = desync::of_head(bytes);
    if let Ok(Some(response)) = Response::parse(bytes, false) {
        let _ = Nominated::of(&response.fields);
    }
    let _ = (trailers(bytes), can_begin_chunked(bytes), ChunkedScanner::default().scan(b"0"));
}

/// A head with `unit` as often as `size` bytes have room for it.
fn head(before: &str, unit: &str, after: &str, size: usize) -> Vec<u8> {
    let times = size / unit.len().max(1);
    format!("{before}{}{after}\r\n\r\n", unit.repeat(times)).into_bytes()
}

const LINE: &str = "GET / HTTP/1.1\r\nHost: a\r\n";

#[test]
fn twice_the_head_is_twice_the_work_whatever_it_repeats() {
    let bodies = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (before, unit, after) in [
        ("GET /", "../", " HTTP/1.1\r\nHost: a"),
        ("GET /", "%2e/", " HTTP/1.1\r\nHost: a"),
        ("GET / HTTP/1.1\r\nHost: ", "a.", ""),
        (
            LINE,
            "Connection: a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r,s,t,u,v,w,x,y,z,aa,bb,cc,dd\r\nX: y\r\n",
            "Z: z",
        ),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: ", "a,", "\r\nA: b"),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: ", ",", "\r\nA: b"),
        ("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: ", "chunked,", ""),
        ("GET / HTTP/1.1\r\nHost: a\r\nTransfer_Encoding: ", "gzip,", ""),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: ", " ", "y"),
        (LINE, "Content-Length: 1\r\nContent_Length: 1\r\n", "X: y"),
        (LINE, "X: y\r\n folded\r\n", "X: y"),
        (LINE, " \r\n", ""),
        (LINE, "X: a_long_value_so_that_there_is_room_for_all_of_them_in_two_hundred_lines\r\n", "Z: z"),
        ("", "\r\n", "GET / HTTP/1.1"),
        ("GET", " ", "/ HTTP/1.1"),
        (bodies, "1\r\na\r\n", "0"),
        (bodies, "1;e=f\r\na\r\n", "0"),
        (bodies, "0\r\nX: y\r\n", "\r\n"),
        ("HTTP/1.1 200 OK\r\n", "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n", "Connection: x"),
    ] {
        for piece in [usize::MAX, 97] {
            assert_linear(|size| head(before, unit, after, size), 7000, |bytes| read(bytes, piece));
        }
    }
}

#[test]
fn a_line_that_comes_byte_by_byte_is_searched_once() {
    let line = |size| [LINE.as_bytes(), b"X: ", &vec![b'x'; size]].concat();
    assert_linear(line, 8000, |bytes| {
        let mut scanner = HeadScanner::default();
        assert!((1..=bytes.len()).all(|end| scanner.find_end(&bytes[..end]) == Ok(None)));
        assert_eq!(scanner.line_start + scanner.searched, bytes.len());
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn twice_any_head_is_twice_the_work(
        before in "(GET|POST|OPTIONS) /[a-z%./?&=]{0,12} HTTP/1\\.[01]\r\n(Host: [a-z.:\\[\\]]{0,9}\r\n)?([A-Z][a-z-]{0,9}: )?",
        unit in "([A-Za-z_-]{1,12}: ?|[ -~]{0,6}[,;=&%./ ]|\r\n|\t| ){1,4}",
        after in "([ -~]{0,6}|\r\n[A-Z]: [ -~]{0,6}){0,2}",
    ) {
        assert_linear(|size| head(&before, &unit, &after, size), 7000, |bytes| read(bytes, usize::MAX));
    }
}
