//! The table that every coder has (RFC 7541, appendix A), from both sides: fields by their index, and indexes of names.

use super::{
    names::{FieldClass, FieldName},
    text::is_same,
};

/// A field and what it is to who reads it.
#[derive(Clone, Copy, Debug)]
pub(super) struct StaticField {
    pub(super) name: &'static [u8],
    pub(super) value: &'static [u8],
    pub(super) class: FieldClass,
}

/// How many there are.
pub(super) const LENGTH: usize = 61;

const fn field(name: &'static str, value: &'static str, kind: FieldName) -> StaticField {
    // Names that need a value have a sound one here, or none that is one.
    let is_sound = match kind {
        FieldName::Method | FieldName::Path | FieldName::Scheme | FieldName::Status => true,
        FieldName::Regular | FieldName::Length | FieldName::Cookie => true,
        FieldName::Authority | FieldName::Protocol | FieldName::Te | FieldName::Bad => false,
    };
    StaticField { name: name.as_bytes(), value: value.as_bytes(), class: FieldClass { name: kind, is_sound } }
}

const fn plain(name: &'static str) -> StaticField {
    field(name, "", FieldName::Regular)
}

/// The fields, from index 1 on.
static FIELDS: [StaticField; LENGTH] = [
    field(":authority", "", FieldName::Authority),
    field(":method", "GET", FieldName::Method),
    field(":method", "POST", FieldName::Method),
    field(":path", "/", FieldName::Path),
    field(":path", "/index.html", FieldName::Path),
    field(":scheme", "http", FieldName::Scheme),
    field(":scheme", "https", FieldName::Scheme),
    field(":status", "200", FieldName::Status),
    field(":status", "204", FieldName::Status),
    field(":status", "206", FieldName::Status),
    field(":status", "304", FieldName::Status),
    field(":status", "400", FieldName::Status),
    field(":status", "404", FieldName::Status),
    field(":status", "500", FieldName::Status),
    plain("accept-charset"),
    field("accept-encoding", "gzip, deflate", FieldName::Regular),
    plain("accept-language"),
    plain("accept-ranges"),
    plain("accept"),
    plain("access-control-allow-origin"),
    plain("age"),
    plain("allow"),
    plain("authorization"),
    plain("cache-control"),
    plain("content-disposition"),
    plain("content-encoding"),
    plain("content-language"),
    field("content-length", "", FieldName::Length),
    plain("content-location"),
    plain("content-range"),
    plain("content-type"),
    field("cookie", "", FieldName::Cookie),
    plain("date"),
    plain("etag"),
    plain("expect"),
    plain("expires"),
    plain("from"),
    plain("host"),
    plain("if-match"),
    plain("if-modified-since"),
    plain("if-none-match"),
    plain("if-range"),
    plain("if-unmodified-since"),
    plain("last-modified"),
    plain("link"),
    plain("location"),
    plain("max-forwards"),
    plain("proxy-authenticate"),
    plain("proxy-authorization"),
    plain("range"),
    plain("referer"),
    plain("refresh"),
    plain("retry-after"),
    plain("server"),
    plain("set-cookie"),
    plain("strict-transport-security"),
    field("transfer-encoding", "", FieldName::Bad),
    plain("user-agent"),
    plain("vary"),
    plain("via"),
    plain("www-authenticate"),
];

/// The field at `index`, from 1 on.
#[inline]
pub(super) fn get(index: usize) -> Option<&'static StaticField> {
    FIELDS.get(index.checked_sub(1)?)
}

/// Places that names are looked for in: each name that is no pseudo-field has one to itself.
const PLACES: usize = 128;

/// The place of a name, whatever its case.
#[inline]
#[allow(
    clippy::indexing_slicing,
    reason = "worked out while compiling, too: a name that is not empty has these bytes"
)]
const fn place(name: &[u8]) -> usize {
    let length = name.len();
    if length == 0 {
        return 0;
    }
    let (first, last, middle) = (name[0] | 0x20, name[length - 1] | 0x20, name[length / 2] | 0x20);
    (length * 129 + first as usize * 226 + last as usize * 201 + middle as usize * 17) % PLACES
}

static NAMES: [u8; PLACES] = names();

#[allow(clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "worked out while compiling")]
const fn names() -> [u8; PLACES] {
    let (mut names, mut index) = ([0; PLACES], 14);
    while index < LENGTH {
        names[place(FIELDS[index].name)] = index as u8 + 1;
        index += 1;
    }
    names
}

/// The index of a name, whatever its case; of those that are of pseudo-fields none is looked for.
#[inline]
pub(super) fn index_of(name: &[u8]) -> Option<u8> {
    let index = *NAMES.get(place(name))?;
    let field = get(index.into())?;
    is_same(field.name, name).then_some(index)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_whatever_its_case_and_no_other() {
        for (index, field) in FIELDS.iter().enumerate() {
            let name = std::str::from_utf8(field.name).unwrap();
            let wanted = (index >= 14).then(|| u8::try_from(index).unwrap() + 1);
            assert_eq!(index_of(field.name), wanted, "{name}");
            assert_eq!(index_of(name.to_ascii_uppercase().as_bytes()), wanted, "{name}");
            assert_eq!(index_of(format!("{name}x").as_bytes()), None);
            assert_eq!(index_of(&field.name[1..]), None, "{name}");
        }
        assert_eq!(
            (index_of(b""), index_of(b"x"), get(0).is_none(), get(62).is_none()),
            (None, None, true, true)
        );
    }

    #[test]
    fn fields_are_what_they_would_be_written_out() {
        for field in &FIELDS {
            let class = FieldClass::of(FieldName::of(field.name), field.value);
            assert_eq!(field.class, class, "{}", String::from_utf8_lossy(field.name));
        }
    }
}
