//! Targets of HTTP/2 on which every frame is the test's own, and whatever else takes connections.

use std::{
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread,
};

use crate::http2::{Connection, Frame, flag, kind};

/// Takes connections and does with each as `serve` says, in a thread of its own. Gives back where.
///
/// # Panics
/// When there is no port.
#[must_use]
pub fn listen(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serve = Arc::new(serve);
    thread::spawn(move || {
        while let Ok((stream, _)) = listener.accept() {
            let serve = Arc::clone(&serve);
            thread::spawn(move || serve(stream));
        }
    });
    address
}

/// Speaks HTTP/2 with these settings; `serve` gets each frame that is of a request, and says whether to go on.
pub fn speak(
    stream: TcpStream,
    settings: &[(u16, u32)],
    mut serve: impl FnMut(&mut Connection, &Frame) -> bool,
) {
    attend(stream, settings, |connection, frame| {
        !matches!(frame.kind, kind::HEADERS | kind::DATA) || serve(connection, frame)
    });
}

/// The same, and `serve` gets whatever is no acknowledgement, after it was acknowledged.
pub fn attend(
    stream: TcpStream,
    settings: &[(u16, u32)],
    mut serve: impl FnMut(&mut Connection, &Frame) -> bool,
) {
    let mut connection = Connection::accepted(stream);
    connection.settings(settings);
    while let Some(frame) = connection.read() {
        match frame.kind {
            kind::SETTINGS | kind::PING if frame.flags & flag::ACK != 0 => continue,
            kind::SETTINGS => {
                connection.frame(kind::SETTINGS, flag::ACK, 0, []);
            }
            kind::PING => {
                connection.frame(kind::PING, flag::ACK, 0, &frame.payload);
            }
            _ => {}
        }
        if !serve(&mut connection, &frame) {
            return;
        }
    }
}

/// The same for all who come: `answer` is called when the head of a request is there.
#[must_use]
pub fn answering(
    settings: &'static [(u16, u32)],
    answer: impl Fn(&mut Connection, u32) -> bool + Send + Sync + 'static,
) -> String {
    listen(move |stream| {
        speak(stream, settings, |connection, frame| {
            frame.kind != kind::HEADERS || answer(connection, frame.stream)
        });
    })
}
