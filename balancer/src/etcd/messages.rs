//! The messages of etcd's services that are in use: `etcdserverpb` of v3. Must not know: who sends them.

use super::protobuf::{Garbled, MessageField, ProtoMessage, each_field};

/// A method of a service, and whether asking twice does no more than asking once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Method {
    pub(super) path: &'static str,
    pub(super) is_repeatable: bool,
}

const fn method(path: &'static str, is_repeatable: bool) -> Method {
    Method { path, is_repeatable }
}

pub(super) const RANGE: Method = method("/etcdserverpb.KV/Range", true);
pub(super) const TXN: Method = method("/etcdserverpb.KV/Txn", false);
pub(super) const LEASE_GRANT: Method = method("/etcdserverpb.Lease/LeaseGrant", true);
pub(super) const LEASE_KEEP_ALIVE: Method = method("/etcdserverpb.Lease/LeaseKeepAlive", true);
pub(super) const LEASE_REVOKE: Method = method("/etcdserverpb.Lease/LeaseRevoke", true);
pub(super) const AUTHENTICATE: Method = method("/etcdserverpb.Auth/Authenticate", true);
pub(super) const WATCH: &str = "/etcdserverpb.Watch/Watch";

/// A key and what is kept under it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredValue {
    /// The key.
    pub key: Vec<u8>,
    /// The value.
    pub value: Vec<u8>,
    /// The revision that wrote it last.
    pub revision: i64,
    /// The lease that it is under; 0: none.
    pub lease: i64,
}

impl StoredValue {
    fn read(bytes: &[u8]) -> Result<Self, Garbled> {
        let mut value = Self::default();
        each_field(bytes, |number, field| match number {
            1 => value.key = field.bytes().to_vec(),
            3 => value.revision = field.number(),
            5 => value.value = field.bytes().to_vec(),
            6 => value.lease = field.number(),
            _ => {}
        })?;
        Ok(value)
    }
}

/// The revision in a header.
fn revision(field: MessageField<'_>) -> Result<i64, Garbled> {
    let mut revision = 0;
    each_field(field.bytes(), |number, field| {
        if number == 3 {
            revision = field.number();
        }
    })?;
    Ok(revision)
}

/// Asks for keys from `from` up to `end`, as of `revision` (0: now), `limit` at most.
pub(super) fn range(from: &[u8], end: &[u8], revision: i64, limit: i64) -> Vec<u8> {
    ProtoMessage::default().bytes(1, from).bytes(2, end).number(3, limit).number(4, revision).into_bytes()
}

/// Values, and whether there are more.
#[derive(Debug, Default)]
pub(super) struct RangeAnswer {
    pub(super) revision: i64,
    pub(super) values: Vec<StoredValue>,
    pub(super) more: bool,
}

impl RangeAnswer {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Garbled> {
        let (mut answer, mut fault) = (Self::default(), None);
        each_field(bytes, |number, field| {
            let read = match number {
                1 => revision(field).map(|revision| answer.revision = revision),
                2 => StoredValue::read(field.bytes()).map(|value| answer.values.push(value)),
                3 => {
                    answer.more = field.number() != 0;
                    Ok(())
                }
                _ => Ok(()),
            };
            fault = fault.or(read.err());
        })?;
        fault.map_or(Ok(answer), Err)
    }
}

/// What is written at once, if all that it is bound to holds.
#[derive(Debug, Default)]
pub struct Transaction(ProtoMessage);

impl Transaction {
    /// Only if `key` was written last by `revision`; 0: if it is not there.
    #[must_use]
    pub fn only_if(self, key: &[u8], revision: i64) -> Self {
        const MOD: i64 = 2;
        // That they be equal is 0, and so left out.
        let compare = ProtoMessage::default().number(2, MOD).bytes(3, key).number(6, revision);
        Self(self.0.message(1, &compare))
    }

    /// Has `value` be kept under `key`, and under `lease` if that is not 0.
    #[must_use]
    pub fn put(self, key: &[u8], value: &[u8], lease: i64) -> Self {
        let put = ProtoMessage::default().bytes(1, key).bytes(2, value).number(3, lease);
        self.operation(2, &put)
    }

    /// Takes `key` away.
    #[must_use]
    pub fn delete(self, key: &[u8]) -> Self {
        self.operation(3, &ProtoMessage::default().bytes(1, key))
    }

    fn operation(self, kind: u64, operation: &ProtoMessage) -> Self {
        Self(self.0.message(2, &ProtoMessage::default().message(kind, operation)))
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0.into_bytes()
    }
}

/// Whether a transaction was done, and the revision by then.
pub(super) fn transaction_answer(bytes: &[u8]) -> Result<(bool, i64), Garbled> {
    let (mut done, mut at) = (false, Ok(0));
    each_field(bytes, |number, field| match number {
        1 => at = revision(field),
        2 => done = field.number() != 0,
        _ => {}
    })?;
    Ok((done, at?))
}

pub(super) fn lease_grant(seconds: i64) -> Vec<u8> {
    ProtoMessage::default().number(1, seconds).into_bytes()
}

pub(super) fn lease(id: i64) -> Vec<u8> {
    ProtoMessage::default().number(1, id).into_bytes()
}

/// A lease, and how many seconds it has; none where it is not there any more.
pub(super) fn lease_answer(bytes: &[u8]) -> Result<(i64, i64), Garbled> {
    let (mut id, mut seconds) = (0, 0);
    each_field(bytes, |number, field| match number {
        2 => id = field.number(),
        3 => seconds = field.number(),
        _ => {}
    })?;
    Ok((id, seconds))
}

pub(super) fn authenticate(user: &str, password: &str) -> Vec<u8> {
    ProtoMessage::default().bytes(1, user.as_bytes()).bytes(2, password.as_bytes()).into_bytes()
}

pub(super) fn token(bytes: &[u8]) -> Result<String, Garbled> {
    let mut token = String::new();
    each_field(bytes, |number, field| {
        if number == 2 {
            token = String::from_utf8_lossy(field.bytes()).into_owned();
        }
    })?;
    Ok(token)
}

/// Has changes of keys from `from` up to `end` be told, from `revision` on, in pieces where there are many.
pub(super) fn watch(from: &[u8], end: &[u8], revision: i64) -> Vec<u8> {
    let watch = ProtoMessage::default().bytes(1, from).bytes(2, end).number(3, revision).flag(8, true);
    ProtoMessage::default().message(1, &watch).into_bytes()
}

/// Asks how far a watch has got, which is answered when all is well.
pub(super) fn watch_progress() -> Vec<u8> {
    ProtoMessage::default().message(3, &ProtoMessage::default()).into_bytes()
}

/// What a watch tells.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct WatchAnswer {
    pub(super) is_over: bool,
    pub(super) compacted_to: i64,
    pub(super) reason: String,
    pub(super) events: usize,
}

impl WatchAnswer {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Garbled> {
        let mut answer = Self::default();
        each_field(bytes, |number, field| match number {
            4 => answer.is_over = field.number() != 0,
            5 => answer.compacted_to = field.number(),
            6 => answer.reason = String::from_utf8_lossy(field.bytes()).chars().take(500).collect(),
            11 => answer.events += 1,
            _ => {}
        })?;
        Ok(answer)
    }
}
