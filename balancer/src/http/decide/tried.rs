//! Which targets of its group a request has tried, and which it had better not: they refused others lately.
//! Must not know: how a target is picked.

/// Where a request that was turned away may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// To any that was not tried, those first that have not refused others lately.
    Any,
    /// Only to one that has not refused others lately: of those each is asked once, however many requests there are.
    Promising,
    /// Nowhere.
    Nowhere,
}

/// Indices of targets in the group, each list in order.
#[derive(Debug, Default)]
pub(crate) struct Tried {
    tried: Vec<usize>,
    avoided: Vec<usize>,
}

fn insert(indices: &mut Vec<usize>, index: usize) {
    if let Err(at) = indices.binary_search(&index) {
        indices.insert(at, index);
    }
}

impl Tried {
    /// Of a request that has just found its target not to be had; `doubtful`, in order, are those that refused others
    /// lately.
    pub(crate) fn new(doubtful: impl Iterator<Item = usize>) -> Self {
        Self { tried: Vec::new(), avoided: doubtful.collect() }
    }

    /// This one was tried.
    pub(crate) fn add(&mut self, index: usize) {
        insert(&mut self.tried, index);
        insert(&mut self.avoided, index);
    }

    /// What `pick` finds within `reach`; it is given what it must not find.
    pub(crate) fn next(&self, reach: Reach, pick: impl Fn(&[usize]) -> Option<usize>) -> Option<usize> {
        match reach {
            Reach::Nowhere => None,
            Reach::Promising => pick(&self.avoided),
            Reach::Any => pick(&self.avoided).or_else(|| pick(&self.tried)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_refused_others_come_last_or_not_at_all() {
        let mut tried = Tried::new([1, 2].into_iter());
        tried.add(4);
        tried.add(0);
        let next = |tried: &Tried, reach| {
            tried.next(reach, |excluded| {
                assert!(excluded.is_sorted());
                (0..6).find(|index| !excluded.contains(index))
            })
        };
        assert_eq!(next(&tried, Reach::Any), Some(3));
        assert_eq!(next(&tried, Reach::Nowhere), None);
        tried.add(3);
        tried.add(5);
        assert_eq!((next(&tried, Reach::Promising), next(&tried, Reach::Any)), (None, Some(1)));
        tried.add(1);
        tried.add(2);
        assert_eq!(next(&tried, Reach::Any), None);
    }
}
