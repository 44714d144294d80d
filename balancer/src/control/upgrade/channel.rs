//! Messages between two processes, each with its length in front, and descriptors along with them (unix(7), SCM_RIGHTS).
//!
//! The system may give bytes that were sent before in one go with those that came with descriptors: so a message says how many
//! descriptors are its own, and they are kept in the order in which they came. Every one of them is closed with the value
//! that holds it. Must not know: what is said.

use std::{
    collections::VecDeque,
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
};

use rustix::{
    cmsg_space,
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use tokio::{io::Interest, net::UnixStream};

/// Most descriptors of one message; the system's own bound is 253.
pub(super) const MOST_DESCRIPTORS: usize = 64;
/// Most bytes of one message: what is known of all targets that there can be is one.
const LONGEST: usize = 64 * 1024 * 1024;
/// Length and number of descriptors.
const HEAD: usize = size_of::<u32>() + size_of::<u16>();

/// One end of a conversation.
#[derive(Debug)]
pub(super) struct Channel {
    stream: UnixStream,
    unread: Vec<u8>,
    descriptors: VecDeque<OwnedFd>,
}

fn garbled(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

impl Channel {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self { stream, unread: Vec::new(), descriptors: VecDeque::new() }
    }

    /// Who is at the other end.
    pub(super) fn peer(&self) -> io::Result<tokio::net::unix::UCred> {
        self.stream.peer_cred()
    }

    /// Says `message`, along with at most [`MOST_DESCRIPTORS`] descriptors.
    pub(super) async fn say(
        &mut self,
        message: &impl Serialize,
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        let text = serde_json::to_vec(message)?;
        let length = u32::try_from(text.len()).map_err(|_| garbled("a message is too long"))?;
        let count = u16::try_from(descriptors.len()).map_err(|_| garbled("too many descriptors"))?;
        let mut bytes = Vec::with_capacity(HEAD + text.len());
        bytes.extend(length.to_le_bytes());
        bytes.extend(count.to_le_bytes());
        bytes.extend(text);
        // With the first bytes go all descriptors.
        let mut left = self.send(&bytes, descriptors).await?;
        while left < bytes.len() {
            let rest = bytes.get(left..).unwrap_or_default();
            left += self.send(rest, &[]).await?;
        }
        Ok(())
    }

    async fn send(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<usize> {
        let send = || {
            let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
                return Err(garbled("too many descriptors"));
            }
            Ok(sendmsg(self.stream.as_fd(), &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?)
        };
        self.stream.async_io(Interest::WRITABLE, send).await
    }

    /// Hears the next message and its descriptors; nothing when the other end is gone.
    ///
    /// # Errors
    /// The system's; `InvalidData` for what is no such message.
    pub(super) async fn hear<M: DeserializeOwned>(&mut self) -> io::Result<Option<(M, Vec<OwnedFd>)>> {
        loop {
            if let Some(heard) = self.take()? {
                return Ok(Some(heard));
            }
            if self.receive().await? == 0 {
                return if self.unread.is_empty() {
                    Ok(None)
                } else {
                    Err(io::ErrorKind::UnexpectedEof.into())
                };
            }
        }
    }

    /// A message that is here as a whole.
    fn take<M: DeserializeOwned>(&mut self) -> io::Result<Option<(M, Vec<OwnedFd>)>> {
        let Some((length, rest)) = self.unread.split_first_chunk() else { return Ok(None) };
        let Some((count, rest)) = rest.split_first_chunk() else { return Ok(None) };
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        if length > LONGEST {
            return Err(garbled("a message is too long"));
        }
        let Some(text) = rest.get(..length) else { return Ok(None) };
        let message = serde_json::from_slice(text)?;
        let count = usize::from(u16::from_le_bytes(*count));
        if count > self.descriptors.len() {
            return Err(garbled("a message came without its descriptors"));
        }
        self.unread.drain(..HEAD + length);
        Ok(Some((message, self.descriptors.drain(..count).collect())))
    }

    async fn receive(&mut self) -> io::Result<usize> {
        let Self { stream, unread, descriptors } = self;
        let receive = || {
            let mut bytes = [0; 4096];
            let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
            let mut control = RecvAncillaryBuffer::new(&mut space);
            let parts = &mut [IoSliceMut::new(&mut bytes)];
            let received = recvmsg(stream.as_fd(), parts, &mut control, RecvFlags::CMSG_CLOEXEC)?;
            for part in control.drain() {
                if let RecvAncillaryMessage::ScmRights(rights) = part {
                    descriptors.extend(rights);
                }
            }
            if received.flags.contains(ReturnFlags::CTRUNC) {
                return Err(garbled("descriptors were lost: the bound on open files may be too low"));
            }
            unread.extend_from_slice(bytes.get(..received.bytes).unwrap_or_default());
            Ok(received.bytes)
        };
        stream.async_io(Interest::READABLE, receive).await
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Read as _, io::Write as _, os::fd::AsFd as _};

    use super::*;

    fn pair() -> (Channel, Channel) {
        let (one, other) = UnixStream::pair().unwrap();
        (Channel::new(one), Channel::new(other))
    }

    #[tokio::test]
    async fn messages_come_in_order_each_with_its_own_descriptors() {
        let (mut one, mut other) = pair();
        let mut files: Vec<File> = (0..3).map(|_| tempfile::tempfile().unwrap()).collect();
        for (index, file) in files.iter_mut().enumerate() {
            write!(file, "{index}").unwrap();
        }
        // Sent before anything is read: the first has none, and its bytes come along with those of the second.
        one.say(&"none", &[]).await.unwrap();
        one.say(&"two", &[files[0].as_fd(), files[1].as_fd()]).await.unwrap();
        one.say(&"x".repeat(10_000), &[files[2].as_fd()]).await.unwrap();
        drop(one);
        let mut seen = Vec::new();
        while let Some((text, descriptors)) = other.hear::<String>().await.unwrap() {
            let read = |descriptor: OwnedFd| {
                use std::os::unix::fs::FileExt as _;
                let mut byte = [0];
                File::from(descriptor).read_exact_at(&mut byte, 0).unwrap();
                byte[0]
            };
            seen.push((text.len(), descriptors.into_iter().map(read).collect::<Vec<_>>()));
        }
        assert_eq!(seen, [(4, vec![]), (3, vec![b'0', b'1']), (10_000, vec![b'2'])]);
    }

    #[tokio::test]
    async fn what_is_no_message_is_an_error_and_what_came_with_it_is_closed() {
        for bytes in [&[255; 6][..], &[1, 0, 0, 0, 0, 0, b'x'], &[2, 0, 0, 0, 1, 0, b'"', b'"'], &[9, 0]] {
            let (one, mut other) = pair();
            let (mut end, descriptor) = {
                let (reader, writer) = std::io::pipe().unwrap();
                (reader, OwnedFd::from(writer))
            };
            // A message of no descriptors that comes with one.
            let given: &[BorrowedFd<'_>] = if bytes.len() == 2 { &[descriptor.as_fd()] } else { &[] };
            one.send(bytes, given).await.unwrap();
            drop((one, descriptor));
            other.hear::<String>().await.expect_err("no message");
            drop(other);
            assert_eq!(end.read(&mut [0]).unwrap(), 0, "nobody has the other end any more");
        }
    }
}
