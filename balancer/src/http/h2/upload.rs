//! The body of an HTTP/2 request on its way to an HTTP/1.1 target. What is read and not written yet is one
//! DATA frame: window is given back to the client as the target takes its bytes.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes};
use h2::RecvStream;
use tokio::io::AsyncWrite;

use super::head::{filter_trailers, trailer_lines};
use crate::wire::{head::Framing, pump::poll_write, trailers::TrailerFilter};

/// Why a body could not be moved.
#[derive(Debug)]
pub(super) enum UploadError {
    /// The client reset the stream, is gone, or did not keep to the length it gave.
    Client,
    /// Writing failed.
    Target,
}

/// A head and a body.
#[derive(Debug)]
pub(super) struct Upload {
    head: Vec<u8>,
    head_written: usize,
    data: Bytes,
    tail: &'static [u8],
    filter: Option<Arc<TrailerFilter>>,
    chunked: bool,
    read: bool,
    begun: bool,
    moved: u64,
    done: bool,
    taken: u64,
}

impl Upload {
    /// Writes `head`, then a body in chunks or as it comes.
    pub(super) fn new(head: Vec<u8>, framing: Framing) -> Self {
        Self {
            head,
            head_written: 0,
            data: Bytes::new(),
            tail: b"",
            filter: None,
            chunked: framing == Framing::Chunked,
            read: framing == Framing::Empty,
            begun: false,
            moved: 0,
            done: false,
            taken: 0,
        }
    }

    /// Lets trailers go on that keep to this; without it none do.
    pub(super) fn filter(&mut self, filter: &Arc<TrailerFilter>) {
        if self.chunked {
            self.filter = Some(Arc::clone(filter));
        }
    }

    /// Whether everything is written, and nothing of it waits in the sink: until then [`Self::poll`] has to go on.
    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    /// Whether the body was taken to its end.
    pub(super) fn is_read(&self) -> bool {
        self.read
    }

    /// Whether the target is what is waited for: it has not taken what was read already.
    pub(super) fn is_held_up(&self) -> bool {
        !self.is_flushed()
    }

    /// Whether anything of the body was taken.
    pub(super) fn has_begun(&self) -> bool {
        self.begun
    }

    /// Bytes of the body that came from the client.
    pub(super) fn taken(&self) -> u64 {
        self.taken
    }

    /// Bytes written so far.
    pub(super) fn moved(&self) -> u64 {
        self.moved
    }

    /// The head's memory: the head itself as long as no body has begun.
    pub(super) fn into_memory(self) -> Vec<u8> {
        self.head
    }

    fn is_flushed(&self) -> bool {
        self.head_written == self.head.len() && self.data.is_empty() && self.tail.is_empty()
    }

    /// Moves on as far as both sides allow; ready when all is written.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut RecvStream,
        sink: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<Result<(), UploadError>> {
        loop {
            ready!(self.poll_flush(cx, source, sink)).map_err(|_| UploadError::Target)?;
            // A sink inside TLS may hold what it took; others have nothing to flush.
            let flushed = Pin::new(&mut *sink).poll_flush(cx).map_err(|_| UploadError::Target)?;
            if self.read {
                ready!(flushed);
                self.done = true;
                return Poll::Ready(Ok(()));
            }
            match ready!(source.poll_data(cx)) {
                Some(Ok(data)) if data.is_empty() => {}
                Some(Ok(data)) => self.begin(data),
                Some(Err(_)) => return Poll::Ready(Err(UploadError::Client)),
                None => {
                    let trailers = ready!(source.poll_trailers(cx)).map_err(|_| UploadError::Client)?;
                    self.read = true;
                    if self.chunked {
                        self.head.clear();
                        self.head_written = 0;
                        self.begun = true;
                        self.head.extend_from_slice(b"0\r\n");
                        if let (Some(mut trailers), Some(filter)) = (trailers, &self.filter) {
                            filter_trailers(&mut trailers, filter);
                            trailer_lines(&trailers, &mut self.head);
                        }
                        self.head.extend_from_slice(b"\r\n");
                    }
                }
            }
        }
    }

    fn begin(&mut self, data: Bytes) {
        self.taken += data.len() as u64;
        self.begun = true;
        self.head.clear();
        self.head_written = 0;
        if self.chunked {
            self.head.extend_from_slice(format!("{:x}\r\n", data.len()).as_bytes());
            self.tail = b"\r\n";
        }
        self.data = data;
    }

    fn poll_flush(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut RecvStream,
        sink: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<io::Result<()>> {
        while !self.is_flushed() {
            let head = self.head.get(self.head_written..).unwrap_or_default();
            let written = ready!(poll_write(cx, sink, [head, &self.data, self.tail]))?;
            let (head, data) = (head.len(), self.data.len());
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.moved += written as u64;
            let of_head = written.min(head);
            let of_data = (written - of_head).min(data);
            self.head_written += of_head;
            self.data.advance(of_data);
            self.tail = self.tail.get(written - of_head - of_data..).unwrap_or_default();
            if of_data > 0 {
                let _ = source.flow_control().release_capacity(of_data);
            }
        }
        Poll::Ready(Ok(()))
    }
}
