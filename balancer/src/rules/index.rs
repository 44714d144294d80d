//! Finds the rules that a request may meet, without a look at the others: each rule is filed under one of its conditions, the one
//! that tells it from most others, by keys that every request has that meets this condition. However many rules there are, a
//! request is asked for its own keys alone. Must not know: what is done with a request.

use std::collections::{HashMap, HashSet};

use smallvec::SmallVec;

use super::{
    condition::{Subject, Test},
    keys::{self, Key, KeyPart, NameSet, RequestKeys},
};

/// Most parts that a table asks each request for. Rules with others are looked at always.
const MOST_PARTS: usize = 24;

/// The rules of a table by what they demand.
#[derive(Debug, Default)]
pub(super) struct RuleIndex {
    /// Those that nothing can be said of.
    always: RuleSet,
    /// Parts of the request that keys are made of.
    parts: Vec<KeyPart>,
    /// Names of fields and of parameters that keys are made of.
    fields: NameSet,
    parameters: NameSet,
    filed: Files,
}

impl RuleIndex {
    /// Of rules with these conditions, in their order.
    pub(super) fn of<'t>(rules: impl Iterator<Item = &'t [Test]>) -> Self {
        let ways: Vec<Vec<Vec<Key>>> =
            rules.map(|tests| tests.iter().flat_map(Test::keys).collect()).collect();
        let mut crowd: HashMap<&Key, usize> = HashMap::new();
        ways.iter().flatten().flatten().for_each(|key| *crowd.entry(key).or_default() += 1);
        let worst = |way: &&Vec<Key>| way.iter().filter_map(|key| crowd.get(key)).max().copied();
        let mut index = Self { always: RuleSet::none_of(ways.len()), ..Self::default() };
        let (mut parts, mut filed) = (HashSet::new(), HashMap::<u64, Vec<u32>>::new());
        for (rule, ways) in (0..).zip(&ways) {
            match ways.iter().min_by_key(worst).filter(|way| has_room(&mut parts, way)) {
                Some(way) => index.file(rule, way, &mut filed),
                None => index.always.add(rule),
            }
        }
        index.parts = parts.into_iter().collect();
        index.filed = Files::of(filed);
        index
    }

    fn file(&mut self, rule: u32, way: &[Key], filed: &mut HashMap<u64, Vec<u32>>) {
        for key in way {
            match key {
                Key::Part(..) => {}
                Key::Field(name, _) => self.fields.add(*name),
                Key::Parameter(name, _) => self.parameters.add(*name),
            }
            filed.entry(key.hash()).or_default().push(rule);
        }
    }

    /// The rules that a request may meet; none that it meets is missing.
    #[inline]
    pub(super) fn candidates(&self, subject: &Subject<'_>, keys: &RequestKeys) -> RuleSet {
        let mut found = self.always.clone();
        let mut add = |hash| self.filed.get(hash).iter().for_each(|rule| found.add(*rule));
        for part in &self.parts {
            add(Key::Part(*part, keys.word(*part, subject)).hash());
        }
        keys::of_fields(subject, self.fields, &mut add);
        keys::of_parameters(subject, self.parameters, &mut add);
        found
    }
}

/// Whether the parts of another way are no more than a table has room for. They are added then.
fn has_room(parts: &mut HashSet<KeyPart>, way: &[Key]) -> bool {
    let more: HashSet<KeyPart> =
        way.iter().filter_map(Key::part).filter(|part| !parts.contains(part)).collect();
    let has_room = parts.len() + more.len() <= MOST_PARTS;
    if has_room {
        parts.extend(more);
    }
    has_room
}

/// Some rules of a table.
#[derive(Clone, Debug, Default)]
pub(super) struct RuleSet(SmallVec<[u64; 4]>);

impl RuleSet {
    fn none_of(rules: usize) -> Self {
        Self(SmallVec::from_elem(0, rules.div_ceil(64)))
    }

    #[inline]
    fn add(&mut self, rule: u32) {
        if let Some(word) = self.0.get_mut(rule as usize / 64) {
            *word |= 1 << (rule % 64);
        }
    }

    /// In their order.
    #[inline]
    pub(super) fn iter(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().flat_map(|(word, bits)| {
            let mut left = *bits;
            std::iter::from_fn(move || {
                let first = left.trailing_zeros();
                left &= left.checked_sub(1)?;
                Some(word * 64 + first as usize)
            })
        })
    }
}

/// Rules by the hashes of their keys.
#[derive(Debug, Default)]
struct Files {
    /// Open addressing; a hash of 0 is an empty place. At least half of them are.
    places: Vec<(u64, u32, u32)>,
    rules: Vec<u32>,
}

impl Files {
    fn of(filed: HashMap<u64, Vec<u32>>) -> Self {
        if filed.is_empty() {
            return Self::default();
        }
        let size = (filed.len() * 2).next_power_of_two();
        let mut files = Self { places: vec![(0, 0, 0); size], rules: Vec::new() };
        for (hash, rules) in filed {
            let begin = u32::try_from(files.rules.len()).unwrap_or(u32::MAX);
            files.rules.extend(rules);
            let end = u32::try_from(files.rules.len()).unwrap_or(u32::MAX);
            let mut place = files.first(hash);
            while files.places.get(place).is_some_and(|(taken, ..)| *taken != 0) {
                place = (place + 1) & (size - 1);
            }
            if let Some(place) = files.places.get_mut(place) {
                *place = (hash, begin, end);
            }
        }
        files
    }

    /// Where the search for a hash begins.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "any bits of a hash do")]
    fn first(&self, hash: u64) -> usize {
        (hash >> 32) as usize & self.places.len().saturating_sub(1)
    }

    #[inline]
    fn get(&self, hash: u64) -> &[u32] {
        let mut place = self.first(hash);
        // Nothing is filed where there are no places.
        while let Some((taken, begin, end)) = self.places.get(place).filter(|(taken, ..)| *taken != 0) {
            if *taken == hash {
                return self.rules.get(*begin as usize..*end as usize).unwrap_or_default();
            }
            place = (place + 1) & self.places.len().saturating_sub(1);
        }
        &[]
    }
}

#[cfg(test)]
mod tests;
