//! What the table of a header block's decoder holds (RFC 7541, section 2.3), as far as it matters here: which names,
//! of which sizes, and not what they say.

use std::{collections::VecDeque, sync::LazyLock};

use super::{field::Name, integer::Unreadable};

/// What an entry counts more than its name and value (RFC 7541, section 4.1).
const EXTRA: usize = 32;
/// Size of a table that nobody has said anything about (RFC 9113, section 6.5.2). The engine says nothing.
pub(super) const MOST: usize = 4096;

/// Names of the static table (RFC 7541, appendix A); the first fourteen are pseudo-fields.
#[rustfmt::skip]
const STATIC: [&str; 61] = [
    ":authority", ":method", ":method", ":path", ":path", ":scheme", ":scheme", ":status", ":status", ":status",
    ":status", ":status", ":status", ":status", "accept-charset", "accept-encoding", "accept-language",
    "accept-ranges", "accept", "access-control-allow-origin", "age", "allow", "authorization", "cache-control",
    "content-disposition", "content-encoding", "content-language", "content-length", "content-location",
    "content-range", "content-type", "cookie", "date", "etag", "expect", "expires", "from", "host", "if-match",
    "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "last-modified", "link", "location",
    "max-forwards", "proxy-authenticate", "proxy-authorization", "range", "referer", "refresh", "retry-after",
    "server", "set-cookie", "strict-transport-security", "transfer-encoding", "user-agent", "vary", "via",
    "www-authenticate",
];

static ENTRIES: LazyLock<Vec<TableField>> = LazyLock::new(|| {
    let name_at = |index| match index {
        0 => Name::Authority,
        1 | 2 => Name::Method,
        3 | 4 => Name::Path,
        5 | 6 => Name::Scheme,
        7..=13 => Name::Status,
        27 => Name::Length,
        _ => Name::Regular,
    };
    let names = STATIC.iter().enumerate();
    names.map(|(index, name)| TableField::of_static(name_at(index), name.len())).collect()
});

/// One field.
#[derive(Debug)]
pub(super) struct TableField {
    pub(super) name: Name,
    /// In bytes; of an entry that enters no table as many as they can be.
    pub(super) name_length: usize,
    pub(super) value_length: usize,
    /// Whether the engine has another in its place, which makes a message malformed.
    pub(super) is_bad: bool,
    /// Whether it is the status of an interim response.
    pub(super) is_interim: bool,
    /// What it says, where the engine has another in its place: a length, there under the name of a field that goes no
    /// further.
    pub(super) meant: Option<Box<[u8]>>,
}

impl TableField {
    fn of_static(name: Name, name_length: usize) -> Self {
        Self { name, name_length, value_length: 0, is_bad: false, is_interim: false, meant: None }
    }

    /// Bytes of its name and value.
    pub(super) fn length(&self) -> usize {
        self.name_length + self.value_length
    }

    /// The same as tables count it.
    pub(super) fn size(&self) -> usize {
        self.length() + EXTRA
    }
}

/// The table.
#[derive(Debug)]
pub(super) struct DynamicTable {
    /// The newest in front.
    entries: VecDeque<TableField>,
    size: usize,
    limit: usize,
}

impl Default for DynamicTable {
    fn default() -> Self {
        Self { entries: VecDeque::new(), size: 0, limit: MOST }
    }
}

impl DynamicTable {
    /// The entry that `index` stands for (RFC 7541, section 2.3.3).
    pub(super) fn get(&self, index: usize) -> Result<&TableField, Unreadable> {
        let index = index.checked_sub(1).ok_or(Unreadable)?;
        match index.checked_sub(STATIC.len()) {
            None => ENTRIES.get(index),
            Some(index) => self.entries.get(index),
        }
        .ok_or(Unreadable)
    }

    pub(super) fn insert(&mut self, entry: TableField) {
        let size = entry.size();
        self.shrink(self.limit.saturating_sub(size));
        // One that is larger than the table empties it (RFC 7541, section 4.4).
        if size <= self.limit {
            self.size += size;
            self.entries.push_front(entry);
        }
    }

    pub(super) fn resize(&mut self, limit: usize) -> Result<(), Unreadable> {
        if limit > MOST {
            return Err(Unreadable);
        }
        self.limit = limit;
        self.shrink(limit);
        Ok(())
    }

    fn shrink(&mut self, limit: usize) {
        while self.size > limit {
            let Some(oldest) = self.entries.pop_back() else { return };
            self.size = self.size.saturating_sub(oldest.size());
        }
    }
}
