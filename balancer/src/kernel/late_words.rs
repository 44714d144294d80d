//! A shared memory region that is mapped when somebody looks at it: the pages of a mapped array of the kernel belong to the
//! process all at once, and tables that no group needs are large. Must not know: what the words mean.

use std::{
    fmt, io,
    ops::Deref,
    os::fd::{AsFd as _, OwnedFd},
    sync::{Arc, OnceLock, atomic::AtomicU64},
};

use super::Words;

/// [`Words`] that are mapped at the first look at them. Cheap to clone; clones share the mapping.
#[derive(Clone)]
pub struct LateWords(Arc<Late>);

struct Late {
    /// Where they come from; nothing where they have been mapped from the beginning.
    source: Option<OwnedFd>,
    len: usize,
    /// Nothing in it: they could not be mapped.
    words: OnceLock<Option<Words>>,
}

impl LateWords {
    /// The first `len` words of what `source` refers to, which must be that long.
    pub(super) fn of_fd(source: OwnedFd, len: usize) -> Self {
        Self(Arc::new(Late { source: Some(source), len, words: OnceLock::new() }))
    }

    /// How many they are. Maps nothing.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len
    }

    /// Maps them, so that nobody has to wait for that later.
    pub fn prepare(&self) {
        let _ = self.get();
    }

    /// The words, for one look: mapped for as long as the value lives, if nobody has mapped them yet.
    ///
    /// # Errors
    /// The system's.
    pub fn glance(&self) -> io::Result<Words> {
        match (self.0.words.get(), &self.0.source) {
            (Some(Some(words)), _) => Ok(words.clone()),
            (_, Some(source)) => Words::of_fd(source.as_fd(), self.0.len),
            (_, None) => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn get(&self) -> Option<&Words> {
        self.0.words.get_or_init(|| self.map()).as_ref()
    }

    #[cold]
    fn map(&self) -> Option<Words> {
        let mapped = Words::of_fd(self.0.source.as_ref()?.as_fd(), self.0.len);
        mapped
            .map_err(|error| {
                tracing::error!(
                    %error,
                    "the session table cannot be mapped: clients that return the application's cookie alone begin new \
                     sessions"
                );
            })
            .ok()
    }
}

impl From<Words> for LateWords {
    fn from(words: Words) -> Self {
        Self(Arc::new(Late { source: None, len: words.len(), words: OnceLock::from(Some(words)) }))
    }
}

/// Where they cannot be mapped there are none.
impl Deref for LateWords {
    type Target = [AtomicU64];

    fn deref(&self) -> &[AtomicU64] {
        self.get().map_or(&[], |words| words)
    }
}

impl fmt::Debug for LateWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LateWords({}, mapped: {})", self.0.len, self.0.words.get().is_some())
    }
}

/// The memory behind [`super::Tables`], wherever it comes from.
pub(super) struct TableWords {
    pub(super) outstanding: Words,
    pub(super) counters: Words,
    pub(super) sticky: LateWords,
    pub(super) loads: Words,
}

#[cfg(test)]
mod tests {
    use std::{fs::File, sync::atomic::Ordering::Relaxed};

    use super::{super::words::file_bytes, *};

    fn file() -> File {
        let file = tempfile::tempfile().unwrap();
        file.set_len(file_bytes(100).unwrap()).unwrap();
        file
    }

    fn is_mapped(words: &LateWords) -> bool {
        words.0.words.get().is_some()
    }

    #[test]
    fn words_are_mapped_at_the_first_look_for_all_clones() {
        let file = file();
        let late = LateWords::of_fd(file.try_clone().unwrap().into(), 100);
        let clone = late.clone();
        assert_eq!((late.count(), is_mapped(&late)), (100, false));
        late.glance().unwrap()[7].store(70, Relaxed);
        assert!(!is_mapped(&late), "a glance leaves nothing behind");
        assert_eq!((clone[7].load(Relaxed), clone.len()), (70, 100));
        assert!(is_mapped(&late));
        late.glance().unwrap()[8].store(80, Relaxed);
        assert_eq!(clone[8].load(Relaxed), 80);
        let prepared = LateWords::of_fd(file.into(), 100);
        prepared.prepare();
        assert!(is_mapped(&prepared) && prepared[8].load(Relaxed) == 80);
    }

    #[test]
    fn words_that_cannot_be_mapped_are_none() {
        let (pipe, _writer) = io::pipe().unwrap();
        let late = LateWords::of_fd(pipe.into(), 100);
        assert!(late.glance().is_err());
        assert_eq!((late.len(), late.count()), (0, 100));
        assert!(late.glance().is_err());
    }

    #[test]
    fn words_that_are_mapped_already_stay_so() {
        let words = Words::in_memory(10).unwrap();
        let late = LateWords::from(words.clone());
        words[3].store(4, Relaxed);
        assert_eq!((late.count(), late[3].load(Relaxed)), (10, 4));
        assert_eq!(late.glance().unwrap()[3].load(Relaxed), 4);
    }
}
