//! Secrets with what becomes of them: the first signs, one that is to sign later is accepted already, and one that has signed is
//! accepted for as long as a cookie of it may count. Must not know: where they are kept, who has them.

use std::fmt;

use super::{Keyring, KeyringError, MAX_SECRETS, SECRET_LEN};
use crate::clock::UnixSeconds;

/// For how long a secret is accepted that signs no more: the longest duration of a cookie, and a day for clocks that differ and
/// balancers that are late.
const NEEDED: u32 = 8 * 24 * 3600;

/// Bytes of a secret and of what is known of it.
const ROW_LEN: usize = SECRET_LEN + 4;

/// A secret of a sheet.
#[derive(Clone, PartialEq, Eq)]
pub struct SheetKey {
    secret: [u8; SECRET_LEN],
    /// When it has ceased to sign.
    retired: Option<UnixSeconds>,
}

impl fmt::Debug for SheetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SheetKey").field("retired", &self.retired).finish_non_exhaustive()
    }
}

impl SheetKey {
    /// When it has ceased to sign.
    #[must_use]
    pub fn retired(&self) -> Option<UnixSeconds> {
        self.retired
    }

    fn mark(&self) -> String {
        Keyring::from_bytes(&self.secret).ok().and_then(|ring| ring.marks().pop()).unwrap_or_default()
    }

    fn needed_until(&self) -> Option<UnixSeconds> {
        self.retired.map(|retired| retired.plus(NEEDED))
    }
}

/// Why secrets cannot be changed so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RotationFault {
    /// All of them are needed.
    #[error("there are 8 secrets, as many as there may be, and cookies of each may still count")]
    Full,
    /// Cookies are signed with it.
    #[error("cookies are signed with it; another one has to sign first")]
    Signs,
    /// There is none of this name.
    #[error("there is no such secret")]
    Unknown,
}

/// 1 to 8 secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySheet(Vec<SheetKey>);

impl KeySheet {
    /// One secret, which signs.
    #[must_use]
    pub fn new(secret: [u8; SECRET_LEN]) -> Self {
        Self(vec![SheetKey { secret, retired: None }])
    }

    /// The secrets of a key file: the first signs, the others have signed until now.
    ///
    /// # Errors
    /// These bytes are not those of a key file.
    pub fn of_key_file(bytes: &[u8], now: UnixSeconds) -> Result<Self, KeyringError> {
        Keyring::from_bytes(bytes)?;
        let secrets = bytes.as_chunks().0.iter().enumerate();
        Ok(Self(
            secrets
                .map(|(at, secret)| SheetKey { secret: *secret, retired: (at > 0).then_some(now) })
                .collect(),
        ))
    }

    /// The same in bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.len() * ROW_LEN);
        for key in &self.0 {
            bytes.extend_from_slice(&key.secret);
            bytes.extend_from_slice(&key.retired.map_or(0, |retired| retired.0).to_be_bytes());
        }
        bytes
    }

    /// What [`Self::to_bytes`] has made.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (rows, rest) = bytes.as_chunks::<ROW_LEN>();
        let row = |row: &[u8; ROW_LEN]| {
            let (secret, retired) = row.split_first_chunk::<SECRET_LEN>()?;
            let retired = u32::from_be_bytes(*retired.first_chunk()?);
            Some(SheetKey { secret: *secret, retired: (retired > 0).then_some(UnixSeconds(retired)) })
        };
        let keys: Vec<SheetKey> = rows.iter().map(row).collect::<Option<_>>()?;
        (rest.is_empty() && (1..=MAX_SECRETS).contains(&keys.len())).then_some(Self(keys))
    }

    /// The ring of them.
    ///
    /// # Errors
    /// There are none, or too many.
    pub fn ring(&self) -> Result<Keyring, KeyringError> {
        let secrets: Vec<u8> = self.0.iter().flat_map(|key| key.secret).collect();
        Keyring::from_bytes(&secrets)
    }

    /// The secrets and what each is called, the signing one first.
    pub fn keys(&self) -> impl Iterator<Item = (String, &SheetKey)> {
        self.0.iter().map(|key| (key.mark(), key))
    }

    /// What the secret is called that is accepted and is to sign later; none: there is none.
    #[must_use]
    pub fn next(&self) -> Option<String> {
        self.0.iter().skip(1).find(|key| key.retired.is_none()).map(SheetKey::mark)
    }

    /// Has a secret accepted that is to sign later, and lets those go that nobody can need.
    ///
    /// # Errors
    /// All are needed.
    pub fn add(&mut self, secret: [u8; SECRET_LEN], now: UnixSeconds) -> Result<(), RotationFault> {
        self.0.retain(|key| key.needed_until().is_none_or(|until| until >= now));
        if self.0.len() >= MAX_SECRETS {
            return Err(RotationFault::Full);
        }
        self.0.push(SheetKey { secret, retired: None });
        Ok(())
    }

    /// Has the secret sign that was to sign later. False: there is none.
    pub fn promote(&mut self, now: UnixSeconds) -> bool {
        let Some(at) = self.0.iter().skip(1).position(|key| key.retired.is_none()) else { return false };
        if let Some(signing) = self.0.first_mut() {
            signing.retired = Some(now);
        }
        let next = self.0.remove(at + 1);
        self.0.insert(0, next);
        true
    }

    /// Has a secret not accepted any more: cookies of it count as absent.
    ///
    /// # Errors
    /// It signs, or is none of them.
    pub fn remove(&mut self, mark: &str) -> Result<(), RotationFault> {
        match self.0.iter().position(|key| key.mark() == mark) {
            None => Err(RotationFault::Unknown),
            Some(0) => Err(RotationFault::Signs),
            Some(at) => {
                self.0.remove(at);
                Ok(())
            }
        }
    }

    /// When the first of them can go, if one can.
    #[must_use]
    pub fn first_to_go(&self) -> Option<UnixSeconds> {
        self.0.iter().filter_map(SheetKey::needed_until).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixSeconds = UnixSeconds(1_700_000_000);

    fn names(sheet: &KeySheet) -> Vec<String> {
        sheet.keys().map(|(name, _)| name).collect()
    }

    fn name(number: u8) -> String {
        names(&KeySheet::new([number; 32])).remove(0)
    }

    #[test]
    fn a_new_secret_is_accepted_before_it_signs_and_an_old_one_while_it_may_be_needed() {
        let mut sheet = KeySheet::new([1; 32]);
        assert!(sheet.next().is_none() && !sheet.promote(NOW));
        sheet.add([2; 32], NOW).unwrap();
        assert_eq!((names(&sheet), sheet.next()), (vec![name(1), name(2)], Some(name(2))));
        assert!(sheet.promote(NOW) && !sheet.promote(NOW));
        assert_eq!((names(&sheet), sheet.next()), (vec![name(2), name(1)], None));
        assert_eq!(sheet.first_to_go(), Some(NOW.plus(NEEDED)));
        sheet.add([3; 32], NOW.plus(NEEDED)).unwrap();
        assert_eq!(names(&sheet), [name(2), name(1), name(3)]);
        sheet.promote(NOW.plus(NEEDED));
        sheet.add([4; 32], NOW.plus(NEEDED + 1)).unwrap();
        assert_eq!(names(&sheet), [name(3), name(2), name(4)], "the first is needed by nobody");
        assert_eq!(sheet.ring().unwrap().marks(), names(&sheet));
    }

    #[test]
    fn secrets_that_are_needed_are_not_let_go() {
        let mut sheet = KeySheet::new([0; 32]);
        for number in 1..8 {
            sheet.add([number; 32], NOW).unwrap();
            sheet.promote(NOW.plus(u32::from(number)));
        }
        assert_eq!(sheet.add([9; 32], NOW.plus(NEEDED)), Err(RotationFault::Full));
        assert_eq!(names(&sheet).len(), 8);
        assert_eq!(sheet.remove(&name(7)), Err(RotationFault::Signs));
        assert_eq!(sheet.remove("x"), Err(RotationFault::Unknown));
        sheet.remove(&name(3)).unwrap();
        assert!(!names(&sheet).contains(&name(3)));
        sheet.add([9; 32], NOW).unwrap();
    }

    #[test]
    fn what_is_written_is_read_and_nothing_else_is() {
        let mut sheet = KeySheet::of_key_file(&[[7; 32], [8; 32]].concat(), NOW).unwrap();
        sheet.add([9; 32], NOW).unwrap();
        let bytes = sheet.to_bytes();
        assert_eq!(KeySheet::from_bytes(&bytes), Some(sheet.clone()));
        assert_eq!(sheet.keys().map(|(_, key)| key.retired()).collect::<Vec<_>>(), [None, Some(NOW), None]);
        for wrong in [&bytes[1..], &bytes[..35], &[], &[1; 9 * 36]] {
            assert_eq!(KeySheet::from_bytes(wrong), None);
        }
        assert!(KeySheet::of_key_file(&[7; 31], NOW).is_err());
        assert!(!format!("{sheet:?}").contains('9'), "{sheet:?}");
    }
}
