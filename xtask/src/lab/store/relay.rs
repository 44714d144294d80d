//! A way to the store that is as long as it is told: what comes in goes on so much later, in both directions. Must not know: what goes
//! through it.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::Result;

/// The way's beginning. Its threads end with their connections.
pub(super) struct Relay {
    pub(super) address: SocketAddr,
}

impl Relay {
    pub(super) fn start(to: SocketAddr, distance: Duration) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(to) else { continue };
                let both = [&client, &server].map(TcpStream::try_clone);
                let [Ok(client_too), Ok(server_too)] = both else { continue };
                go(client, server, distance);
                go(server_too, client_too, distance);
            }
        });
        Ok(Self { address })
    }
}

fn go(mut from: TcpStream, mut to: TcpStream, distance: Duration) {
    let _ = to.set_nodelay(true);
    let (sender, pieces) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        let mut buffer = [0; 65_536];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            let piece = buffer.get(..length).unwrap_or_default().to_vec();
            if sender.send((Instant::now() + distance, piece)).is_err() {
                return;
            }
        }
    });
    thread::spawn(move || {
        for (due, piece) in pieces {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            if to.write_all(&piece).is_err() {
                break;
            }
        }
        // Who has closed says so at the other end.
        let _ = to.shutdown(Shutdown::Both);
    });
}
