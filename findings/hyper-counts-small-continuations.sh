#!/usr/bin/env bash
# Versions: hyper 1.12.0 with h2 0.4.20 (crates.io), Rust 1.95. HTTP/2 server with its defaults: CONTINUATION frames of one head are counted, whatever
# is in them, against a number that comes from the largest head that is taken (16 KiB by default: five frames that do not end the
# head). A head of 3 KB that comes in eight pieces of 376 bytes is legal (RFC 9113, section 6.10: any number may follow) and far
# below every limit in bytes: it ends the connection, with all requests on it, by ENHANCE_YOUR_CALM, and is not answered 431.
# The same head in fewer, larger frames is answered 200.
# For a load balancer: whoever passes heads on may cut them where it likes, and some cut small. One that does ends
# connections to servers of hyper (and of what is built on it), of which others are served by the same connection.
# Seen 2026-11-29:
#   1 + 6 frames of 430 bytes: 200
#   1 + 7 frames of 376 bytes: goaway 11
set -euo pipefail
command -v cargo >/dev/null || exit 77
command -v python3 >/dev/null || exit 77
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null; rm -rf "$folder"' EXIT
cd "$folder"
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "seen"
version = "0.0.0"
edition = "2021"
[dependencies]
h2 = "=0.4.20"
http-body-util = "0.1"
hyper = { version = "=1.12.0", features = ["http2", "server"] }
hyper-util = { version = "=0.1.21", features = ["tokio"] }
tokio = { version = "1", features = ["net", "rt", "macros"] }
[workspace]
TOML
cat >src/main.rs <<'RUST'
use std::convert::Infallible;

use http_body_util::Empty;
use hyper::{body::Bytes, server::conn::http2, service::service_fn, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap().port());
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let answer = service_fn(|_| async { Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())) });
        tokio::spawn(http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), answer));
    }
}
RUST
cat >client.py <<'PYTHON'
import socket
import sys

port, frames = int(sys.argv[1]), int(sys.argv[2])


def frame(kind, flags, stream, payload):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def literal(name, value):
    # A field that enters no table (RFC 7541, section 6.2.2); lengths below 127.
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


# GET, http, /, an authority, and 26 fields of 100 bytes.
block = b"\x82\x86\x84" + literal(b":authority", b"a") + b"".join(literal(b"x-%02d" % n, b"v" * 108) for n in range(26))
size = -(-len(block) // (frames + 1))
parts = [block[at:at + size] for at in range(0, len(block), size)]
assert len(parts) == frames + 1
head = [frame(1, 1, 1, parts[0])] + [frame(9, 0, 1, part) for part in parts[1:-1]] + [frame(9, 4, 1, parts[-1])]
client = socket.create_connection(("127.0.0.1", port), 10)
client.settimeout(10)
client.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"") + b"".join(head))
reader = client.makefile("rb")
while True:
    size, kind, payload = reader.read(9), None, None
    kind, payload = size[3], reader.read(int.from_bytes(size[:3], "big"))
    if kind == 1:
        # The status is the first field: number 8 of the static table is 200.
        print(f"1 + {frames} frames of {len(parts[0])} bytes:", "200" if payload[0] == 0x88 else payload[:4].hex())
        break
    if kind == 7:
        print(f"1 + {frames} frames of {len(parts[0])} bytes: goaway", int.from_bytes(payload[4:8], "big"))
        break
PYTHON
cargo build --quiet --target-dir built 2>build.log || { tail -n 3 build.log; exit 77; }
built/debug/seen >port &
server=$!
for _ in $(seq 100); do [ -s port ] && break; sleep 0.05; done
few=$(python3 client.py "$(cat port)" 6)
many=$(python3 client.py "$(cat port)" 7)
printf '%s\n%s\n' "$few" "$many"
case "$few/$many" in *": 200/"*": goaway 11") ;; *) exit 1 ;; esac
