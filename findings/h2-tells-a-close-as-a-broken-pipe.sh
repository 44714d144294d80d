#!/usr/bin/env bash
# h2 0.4.20 (crates.io), client side: a server that closes its connection in order (FIN) before it answers is told to the
# request as an error of the kind BrokenPipe, with no error of the system behind it and the same as a write into a broken
# connection has, while the connection itself ends with Ok. A reset comes as ConnectionReset, without the system's number
# and text in either place.
# For a load balancer: "broken pipe" in a log sends people after the wrong end. Who wants to tell closes from resets has to
# take BrokenPipe for a close, and cannot have the errno.
# Seen 2026-11-28 with Rust 1.95:
#   close: request kind=BrokenPipe errno=None "stream closed because of a broken pipe"; connection Ok(())
#   reset: request kind=ConnectionReset errno=None "connection reset"; connection Err
set -euo pipefail
command -v cargo >/dev/null || exit 77
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "seen"
version = "0.0.0"
edition = "2021"
[dependencies]
h2 = "=0.4.20"
http = "1"
socket2 = "=0.6.1"
tokio = { version = "1", features = ["net", "rt", "io-util", "macros", "time"] }
[workspace]
TOML
cat >src/main.rs <<'RUST'
use std::{io::{Read, Write}, net::TcpListener, thread, time::Duration};

/// Answers the preface with empty settings, reads a request's first bytes, and ends the connection.
fn server(reset: bool) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let mut bytes = [0; 4096];
        let mut seen = 0;
        // All that comes is read: what is not would make a reset of the close.
        while let Ok(length @ 1..) = stream.read(&mut bytes) {
            seen += length;
        }
        assert!(seen > 24);
        if reset {
            socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
        }
    });
    address
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    for (name, reset) in [("close", false), ("reset", true)] {
        let stream = tokio::net::TcpStream::connect(server(reset)).await.unwrap();
        let (sender, connection) = h2::client::handshake(stream).await.unwrap();
        let ends = tokio::spawn(connection);
        let mut sender = sender.ready().await.unwrap();
        let request = http::Request::get("http://a.test/").body(()).unwrap();
        let (response, _) = sender.send_request(request, true).unwrap();
        let error = response.await.unwrap_err();
        let io = error.get_io().unwrap();
        let ended = ends.await.unwrap();
        let ended = if ended.is_ok() { "Ok(())" } else { "Err" };
        println!("{name}: request kind={:?} errno={:?} {:?}; connection {ended}", io.kind(), io.raw_os_error(), io.to_string());
    }
}
RUST
env -u CARGO_TARGET_DIR cargo run --quiet >seen || exit 77
cat seen
cat >wanted <<'TEXT'
close: request kind=BrokenPipe errno=None "stream closed because of a broken pipe"; connection Ok(())
reset: request kind=ConnectionReset errno=None "connection reset"; connection Err
TEXT
diff wanted seen
