//! What etcd is asked, at whichever endpoint answers. Must not know: what keys and values mean.

use std::time::Duration;

pub use super::messages::{StoredValue, Transaction};
use super::{
    access::{Access, Url},
    error::EtcdError,
    grpc::{CallError, Caller, ask},
    messages::{self, Method, RangeAnswer},
    protobuf::Garbled,
    watch::KeyWatch,
};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Keys that are read at a time.
const PAGE: i64 = 500;
/// How often a reading begins anew because what it began with is not kept any more.
const TURNS: usize = 3;
/// Codes of gRPC.
const INVALID_ARGUMENT: u16 = 3;
const DEADLINE_EXCEEDED: u16 = 4;
const FAILED_PRECONDITION: u16 = 9;
const OUT_OF_RANGE: u16 = 11;
const UNAVAILABLE: u16 = 14;
const UNAUTHENTICATED: u16 = 16;

/// Keys and values as they were at one revision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyReading {
    /// The revision of all of etcd.
    pub revision: i64,
    /// The values, in the order of their keys.
    pub values: Vec<StoredValue>,
}

/// A client.
#[derive(Debug)]
pub struct Etcd {
    access: Access,
    /// The endpoint that answered last.
    turn: usize,
    /// What a user and a password were given in return.
    token: Option<String>,
}

impl Etcd {
    /// Nothing is asked yet.
    #[must_use]
    pub fn new(access: Access) -> Self {
        Self { access, turn: 0, token: None }
    }

    /// All keys that begin with `prefix`, as of `revision` (0: now), which may have no more than `most` bytes in all.
    ///
    /// # Errors
    /// [`EtcdError`].
    pub async fn read(&mut self, prefix: &[u8], revision: i64, most: usize) -> Result<KeyReading, EtcdError> {
        let mut turn = 1;
        loop {
            match self.read_pages(prefix, revision, most).await {
                Err(EtcdError::Compacted { .. }) if revision == 0 && turn < TURNS => turn += 1,
                read => return read,
            }
        }
    }

    async fn read_pages(
        &mut self,
        prefix: &[u8],
        revision: i64,
        most: usize,
    ) -> Result<KeyReading, EtcdError> {
        let end = end_of(prefix);
        let (mut reading, mut from, mut total) =
            (KeyReading { revision, values: Vec::new() }, prefix.to_vec(), 0);
        loop {
            let asked = messages::range(&from, &end, reading.revision, PAGE);
            let page = self.call(messages::RANGE, asked, RangeAnswer::read).await?;
            if reading.revision == 0 {
                reading.revision = page.revision;
            }
            total += page.values.iter().map(|value| value.key.len() + value.value.len()).sum::<usize>();
            if total > most {
                let prefix = String::from_utf8_lossy(prefix).into_owned();
                return Err(EtcdError::TooMuch(format!(
                    "{prefix}: the keys and values are too large; allowed: {most} bytes together"
                )));
            }
            let Some(last) = page.values.last().filter(|_| page.more) else {
                reading.values.extend(page.values);
                return Ok(reading);
            };
            from = [last.key.as_slice(), b"\0"].concat();
            reading.values.extend(page.values);
        }
    }

    /// The value of one key.
    ///
    /// # Errors
    /// [`EtcdError`].
    pub async fn get(&mut self, key: &[u8]) -> Result<Option<StoredValue>, EtcdError> {
        let page = self.call(messages::RANGE, messages::range(key, b"", 0, 1), RangeAnswer::read).await?;
        Ok(page.values.into_iter().next())
    }

    /// Writes all of a transaction, or nothing of it where what it is bound to does not hold: the revision that it has made.
    ///
    /// # Errors
    /// [`EtcdError`]; one that says that etcd is away leaves open whether it was done.
    pub async fn commit(&mut self, transaction: Transaction) -> Result<Option<i64>, EtcdError> {
        let (done, revision) =
            self.call(messages::TXN, transaction.into_bytes(), messages::transaction_answer).await?;
        Ok(done.then_some(revision))
    }

    /// A new lease of so many seconds.
    ///
    /// # Errors
    /// [`EtcdError`].
    pub async fn grant(&mut self, seconds: i64) -> Result<i64, EtcdError> {
        let asked = messages::lease_grant(seconds);
        Ok(self.call(messages::LEASE_GRANT, asked, messages::lease_answer).await?.0)
    }

    /// Renews a lease. Whether it is still there.
    ///
    /// # Errors
    /// [`EtcdError`].
    pub async fn keep_alive(&mut self, lease: i64) -> Result<bool, EtcdError> {
        let asked = messages::lease(lease);
        Ok(self.call(messages::LEASE_KEEP_ALIVE, asked, messages::lease_answer).await?.1 > 0)
    }

    /// Ends a lease, and with it what is under it.
    ///
    /// # Errors
    /// [`EtcdError`].
    pub async fn revoke(&mut self, lease: i64) -> Result<(), EtcdError> {
        self.call(messages::LEASE_REVOKE, messages::lease(lease), |_| Ok(())).await
    }

    /// Watches all keys that begin with one of these prefixes, from behind `revision` on.
    ///
    /// # Errors
    /// [`EtcdError`]
    pub async fn watch(&mut self, prefixes: &[Vec<u8>], revision: i64) -> Result<KeyWatch, EtcdError> {
        self.enter().await?;
        let ranges: Vec<_> = prefixes.iter().map(|prefix| (prefix.clone(), end_of(prefix))).collect();
        let url = self.endpoint();
        let away = |why: String| EtcdError::Away { endpoint: url.to_string(), why };
        let stream = self.access.connect(&url).await.map_err(|why| self.next_turn(away(why)))?;
        let authority = url.authority();
        let caller = Caller { secure: url.is_secure(), authority: &authority, token: self.token.as_deref() };
        KeyWatch::begin(stream, caller, &ranges, revision + 1).await.map_err(|fault| {
            self.token = None;
            self.next_turn(error_of(&url, fault))
        })
    }

    /// What a watch failed with was said by the endpoint that it was at: the next call asks another one.
    pub fn watch_failed(&mut self, fault: &str) -> EtcdError {
        self.token = None;
        let error = EtcdError::Away { endpoint: self.endpoint().to_string(), why: fault.to_owned() };
        self.next_turn(error)
    }

    /// The endpoint that is asked first.
    #[must_use]
    pub fn endpoint(&self) -> Url {
        let endpoints = &self.access.endpoints;
        let url = endpoints.get(self.turn % endpoints.len().max(1)).or_else(|| endpoints.first());
        // There is one, or there would be no access.
        url.cloned().unwrap_or_else(Url::nowhere)
    }

    fn next_turn(&mut self, error: EtcdError) -> EtcdError {
        self.turn = (self.turn + 1) % self.access.endpoints.len().max(1);
        error
    }

    /// Makes a call, once more where the token has run out.
    async fn call<T>(
        &mut self,
        method: Method,
        message: Vec<u8>,
        read: fn(&[u8]) -> Result<T, Garbled>,
    ) -> Result<T, EtcdError> {
        self.enter().await?;
        match self.ask_in_turn(method, &message, read).await {
            Err(EtcdError::Refused { code, why, .. })
                if self.access.user.is_some() && is_of_the_token(code, &why) =>
            {
                self.token = None;
                self.enter().await?;
                self.ask_in_turn(method, &message, read).await
            }
            done => done,
        }
    }

    /// Gets a token, where there is a user and none yet.
    async fn enter(&mut self) -> Result<(), EtcdError> {
        if self.token.is_some() {
            return Ok(());
        }
        let Some((user, password)) = self.access.user.clone() else { return Ok(()) };
        let asked = messages::authenticate(&user, &password);
        match self.ask_in_turn(messages::AUTHENTICATE, &asked, messages::token).await {
            Ok(token) => self.token = Some(token),
            // It asks nobody who they are, and whoever may come in has come in.
            Err(EtcdError::Refused { code: FAILED_PRECONDITION, why, .. }) if why.contains("not enabled") => {
            }
            Err(EtcdError::Refused { endpoint, code, why }) => {
                let why = format!("{why} (user {user:?}, with the password of its file)");
                return Err(EtcdError::Refused { endpoint, code, why });
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn ask_in_turn<T>(
        &mut self,
        method: Method,
        message: &[u8],
        read: fn(&[u8]) -> Result<T, Garbled>,
    ) -> Result<T, EtcdError> {
        let mut errors = Vec::new();
        for _ in 0..self.access.endpoints.len() {
            let url = self.endpoint();
            let away = |why: String| EtcdError::Away { endpoint: url.to_string(), why };
            let (error, was_sent) = match self.access.connect(&url).await {
                Err(why) => (away(why), false),
                Ok(stream) => {
                    let authority = url.authority();
                    let token = self.token.as_deref();
                    let caller = Caller { secure: url.is_secure(), authority: &authority, token };
                    match ask(stream, caller, method.path, message, PATIENCE).await {
                        Ok(bytes) => match read(&bytes) {
                            Ok(answer) => return Ok(answer),
                            Err(Garbled) => (away("its answer is no message of etcd's".to_owned()), true),
                        },
                        Err(fault) => (error_of(&url, fault), true),
                    }
                }
            };
            let error = self.next_turn_if_away(error);
            if !error.is_away() || (was_sent && !method.is_repeatable) {
                return Err(error);
            }
            errors.push(error);
        }
        Err(one_of(errors))
    }

    fn next_turn_if_away(&mut self, error: EtcdError) -> EtcdError {
        if error.is_away() { self.next_turn(error) } else { error }
    }
}

/// One error that says what each endpoint failed with.
fn one_of(errors: Vec<EtcdError>) -> EtcdError {
    let mut errors = errors.into_iter();
    let Some(first) = errors.next() else {
        return EtcdError::TooMuch("there is no endpoint of etcd".to_owned());
    };
    let EtcdError::Away { endpoint, mut why } = first else { return first };
    for error in errors {
        why.push_str("; ");
        why.push_str(&error.to_string());
    }
    EtcdError::Away { endpoint, why }
}

/// What a call failed with, of the endpoint at `url`.
fn error_of(url: &Url, fault: CallError) -> EtcdError {
    let endpoint = url.to_string();
    match fault {
        CallError::Broken(why) => EtcdError::Away { endpoint, why },
        CallError::Status(UNAVAILABLE | DEADLINE_EXCEEDED, why) => EtcdError::Away { endpoint, why },
        CallError::Status(OUT_OF_RANGE, why) if why.contains("compacted") => {
            EtcdError::Compacted { endpoint }
        }
        CallError::Status(code, why) => EtcdError::Refused { endpoint, code, why },
    }
}

/// Whether a refusal says that a token does not do any more: those of etcd live for minutes, and go with the member that gave them.
fn is_of_the_token(code: u16, why: &str) -> bool {
    code == UNAUTHENTICATED
        || (code == INVALID_ARGUMENT && why.contains("revision of auth store is old"))
        || why.contains("invalid auth token")
}

/// The first key behind all that begin with `prefix`.
fn end_of(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            return end;
        }
    }
    // To the last key.
    vec![0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_where_no_key_begins_with_it_any_more() {
        assert_eq!(end_of(b"/lb/"), b"/lb0");
        assert_eq!(end_of(b"a\xff\xff"), b"b");
        assert_eq!(end_of(b"\xff"), b"\0");
        assert_eq!(end_of(b""), b"\0");
    }
}
