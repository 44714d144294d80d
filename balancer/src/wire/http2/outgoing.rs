//! What streams say: heads, content, trailers. It is put behind all that was said before. Must not know: what it means.

use super::{
    core::Core,
    frame::{self, FrameHead, HEAD, flag, kind},
    hpack::{EXTRA, Encoder},
};
use crate::wire::body::Untaken;

/// Bytes of the name and the value of a status.
const STATUS: u64 = ":status".len() as u64 + 3;
/// Bytes of the names that a request begins with, and of its scheme.
const REQUEST: usize = ":method:scheme:authority:pathhttps".len();

/// Takes the fields of a header block.
#[derive(Debug)]
pub struct HeadWriter<'c> {
    encoder: &'c mut Encoder,
    out: &'c mut Vec<u8>,
    size: u64,
    fields: usize,
    is_formless: bool,
}

impl HeadWriter<'_> {
    /// A field; its name may be in any case. One that has no form in HTTP/2 is the end of the whole block.
    #[inline]
    pub fn field(&mut self, name: &[u8], value: &[u8]) {
        self.size += (name.len() + value.len()) as u64;
        self.fields += 1;
        self.is_formless |= self.encoder.field(name, value, self.out).is_err();
    }

    /// What a request begins with (RFC 9113, section 8.3.1).
    pub fn request(&mut self, method: &[u8], is_secure: bool, authority: &[u8], path: &[u8]) {
        self.size += (REQUEST + method.len() + authority.len() + path.len()) as u64;
        self.fields += 4;
        self.is_formless |= Encoder::method(method, self.out).is_err();
        Encoder::scheme(is_secure, self.out);
        self.is_formless |= self.encoder.authority(authority, self.out).is_err();
        self.is_formless |= Encoder::path(path, self.out).is_err();
    }
}

/// Bytes of a header block that was written.
#[derive(Clone, Copy, Debug)]
pub(super) struct WrittenBlock {
    /// Those of names and values.
    pub(super) size: u64,
    /// As the other side counts them (RFC 9113, section 6.5.2).
    pub(super) list: usize,
}

impl Core {
    /// Sends a header block on the stream at `place`: a response's head when there is a `status`, otherwise trailers. Gives back
    /// the bytes of its names and values.
    pub(super) fn send_block(
        &mut self,
        place: usize,
        status: Option<u16>,
        ends: bool,
        fields: impl FnOnce(&mut HeadWriter<'_>),
    ) -> Result<u64, Untaken> {
        let stream = self.streams.get(place).filter(|stream| stream.is_sending).ok_or(Untaken::Closed)?;
        let id = stream.id;
        let start = self.out.len();
        let written = self.write_block(status, fields)?;
        self.close_block(start, id, ends);
        if ends {
            self.streams.end_sending(place);
        }
        self.stir();
        Ok(written.size)
    }

    /// Writes a header block behind room for the head of its frame; see [`Self::close_block`].
    #[inline]
    pub(super) fn write_block(
        &mut self,
        status: Option<u16>,
        fields: impl FnOnce(&mut HeadWriter<'_>),
    ) -> Result<WrittenBlock, Untaken> {
        let start = self.out.len();
        self.out.extend_from_slice(&[0; HEAD]);
        self.encoder.begin(&mut self.out);
        if let Some(status) = status {
            Encoder::status(status, &mut self.out);
        }
        let Self { encoder, out, .. } = self;
        let size = status.map_or(0, |_| STATUS);
        let mut writer = HeadWriter { encoder, out, size, fields: 0, is_formless: false };
        fields(&mut writer);
        let HeadWriter { size, fields, is_formless, .. } = writer;
        if is_formless {
            self.unwrite(start);
            return Err(Untaken::Malformed);
        }
        let list = usize::try_from(size).unwrap_or(usize::MAX).saturating_add(fields.saturating_mul(EXTRA));
        Ok(WrittenBlock { size, list })
    }

    /// The block that was begun at `start` is not sent.
    #[cold]
    pub(super) fn unwrite(&mut self, start: usize) {
        self.out.truncate(start);
        self.encoder.abandon();
    }

    /// Makes frames of the block that was begun at `start`.
    #[inline]
    pub(super) fn close_block(&mut self, start: usize, id: u32, ends: bool) {
        let length = frame::payload_since(&self.out, start);
        let flags = flag::END_HEADERS | if ends { flag::END_STREAM } else { 0 };
        let head = FrameHead { length, kind: kind::HEADERS, flags, stream: id };
        if length > self.most_payload {
            frame::split_block(&mut self.out, start, head, self.most_payload);
        } else {
            frame::close(&mut self.out, start, head);
        }
    }

    /// Sends content, no more than there is room for; `ends`: and that is all.
    pub(super) fn send_data(&mut self, place: usize, content: &[u8], ends: bool) -> Result<(), Untaken> {
        let Some(stream) = self.streams.get_mut(place).filter(|stream| stream.is_sending) else {
            return Err(Untaken::Closed);
        };
        let id = stream.id;
        stream.window.spend(content.len());
        self.window.spend(content.len());
        self.content_sent = self.content_sent.saturating_add(content.len() as u64);
        let mut rest = content;
        loop {
            let (part, more) = rest.split_at_checked(self.most_payload).unwrap_or((rest, &[]));
            let flags = if ends && more.is_empty() { flag::END_STREAM } else { 0 };
            frame::write(&mut self.out, kind::DATA, flags, id, part);
            if more.is_empty() {
                break;
            }
            rest = more;
        }
        if ends {
            self.streams.end_sending(place);
        }
        self.stir();
        Ok(())
    }
}
