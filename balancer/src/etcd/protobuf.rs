//! Messages of Protocol Buffers: fields behind their numbers, of which two kinds are in use here. Must not know: which messages
//! there are.

/// A number of up to ten bytes of seven bits.
const VARINT: u64 = 0;
/// A length and as many bytes.
const BYTES: u64 = 2;

/// Writes a message. Fields that are empty or 0 are left out, which is the same.
#[derive(Debug, Default)]
pub(super) struct ProtoMessage(Vec<u8>);

impl ProtoMessage {
    pub(super) fn number(mut self, field: u64, value: i64) -> Self {
        if value != 0 {
            self.varint((field << 3) | VARINT);
            // What is below zero takes all ten bytes.
            self.varint(u64::from_ne_bytes(value.to_ne_bytes()));
        }
        self
    }

    pub(super) fn flag(self, field: u64, value: bool) -> Self {
        self.number(field, i64::from(value))
    }

    pub(super) fn bytes(self, field: u64, value: &[u8]) -> Self {
        if value.is_empty() { self } else { self.part(field, value) }
    }

    /// A message within, also one that is empty.
    pub(super) fn message(self, field: u64, value: &Self) -> Self {
        self.part(field, &value.0)
    }

    fn part(mut self, field: u64, value: &[u8]) -> Self {
        self.varint((field << 3) | BYTES);
        self.varint(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.0.push(value.to_le_bytes()[0]);
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// A field that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MessageField<'a> {
    Number(i64),
    Bytes(&'a [u8]),
    /// Of a kind that nothing here has.
    Other,
}

impl<'a> MessageField<'a> {
    pub(super) fn number(self) -> i64 {
        if let Self::Number(number) = self { number } else { 0 }
    }

    pub(super) fn bytes(self) -> &'a [u8] {
        if let Self::Bytes(bytes) = self { bytes } else { &[] }
    }
}

/// What is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Garbled;

/// Goes through the fields of a message.
pub(super) fn each_field<'a>(
    mut rest: &'a [u8],
    mut take: impl FnMut(u64, MessageField<'a>),
) -> Result<(), Garbled> {
    while !rest.is_empty() {
        let key = take_varint(&mut rest)?;
        let field = match key & 7 {
            VARINT => MessageField::Number(i64::from_ne_bytes(take_varint(&mut rest)?.to_ne_bytes())),
            BYTES => {
                let length = usize::try_from(take_varint(&mut rest)?).map_err(|_| Garbled)?;
                MessageField::Bytes(take_bytes(&mut rest, length)?)
            }
            1 => take_bytes(&mut rest, 8).map(|_| MessageField::Other)?,
            5 => take_bytes(&mut rest, 4).map(|_| MessageField::Other)?,
            _ => return Err(Garbled),
        };
        take(key >> 3, field);
    }
    Ok(())
}

fn take_bytes<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], Garbled> {
    let (taken, left) = rest.split_at_checked(length).ok_or(Garbled)?;
    *rest = left;
    Ok(taken)
}

fn take_varint(rest: &mut &[u8]) -> Result<u64, Garbled> {
    let mut value = 0;
    for shift in (0..70).step_by(7) {
        let (byte, left) = rest.split_first().ok_or(Garbled)?;
        *rest = left;
        value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Garbled)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn messages_are_those_of_the_documentation_of_protocol_buffers() {
        assert_eq!(ProtoMessage::default().number(1, 150).into_bytes(), [0x08, 0x96, 0x01]);
        assert_eq!(ProtoMessage::default().bytes(2, b"testing").into_bytes(), b"\x12\x07testing");
        let inner = ProtoMessage::default().number(1, 150);
        assert_eq!(ProtoMessage::default().message(3, &inner).into_bytes(), [0x1a, 0x03, 0x08, 0x96, 0x01]);
        assert!(ProtoMessage::default().number(1, 0).flag(2, false).bytes(3, b"").into_bytes().is_empty());
        assert_eq!(ProtoMessage::default().number(1, -2).into_bytes().len(), 11);
    }

    #[test]
    fn what_is_cut_short_is_no_message() {
        for garbled in
            [&b"\x08"[..], b"\x08\x96", b"\x12\x07test", b"\x12\xff\xff\xff\xff\x7f", b"\x0b", b"\x0d123"]
        {
            assert_eq!(each_field(garbled, |_, _| {}), Err(Garbled), "{garbled:?}");
        }
        assert_eq!(each_field(&[0xff; 40], |_, _| {}), Err(Garbled));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(number in any::<i64>(), text in any::<Vec<u8>>()) {
            let bytes = ProtoMessage::default().number(7, number).bytes(300, &text).into_bytes();
            let (mut seen, mut seen_text) = (0, Vec::new());
            each_field(&bytes, |field, value| match field {
                7 => seen = value.number(),
                _ => seen_text = value.bytes().to_vec(),
            }).unwrap();
            prop_assert_eq!((seen, seen_text), (number, text));
        }

        #[test]
        fn nothing_that_comes_is_too_much(bytes in any::<Vec<u8>>()) {
            let _ = each_field(&bytes, |_, _| {});
        }
    }
}
