//! Rings: files that import each other, each by way of the others.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt::{self, Display, Formatter},
};

use super::imports::{Arrow, Imports};

/// Files each of which imports all others, directly or by way of others.
#[derive(Debug)]
pub(super) struct Ring {
    pub(super) files: BTreeSet<String>,
    /// The shortest way round: file, its import, and the file that is imported.
    way: Vec<(String, Arrow, String)>,
}

impl Display for Ring {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let files: Vec<_> = self.files.iter().map(String::as_str).collect();
        write!(f, "a ring of {} files: {}", files.len(), files.join(", "))?;
        for (from, Arrow { line, path }, to) in &self.way {
            write!(f, "\n    {from}:{line}: `{path}` of {to}")?;
        }
        Ok(())
    }
}

/// The rings among files, each as large as it is.
pub(super) fn among(imports: &Imports) -> Vec<Ring> {
    let reached: BTreeMap<_, _> = imports.keys().map(|file| (file, reach(imports, file))).collect();
    let mut rings: Vec<Ring> = Vec::new();
    for (&file, reach) in &reached {
        if !reach.contains_key(file) || rings.iter().any(|ring| ring.files.contains(file)) {
            continue;
        }
        let back = |other: &&String| reached.get(other).is_some_and(|reach| reach.contains_key(file));
        let files: BTreeSet<_> = reach.keys().filter(back).cloned().collect();
        let shortest = files.iter().filter_map(|file| way_round(imports, file)).min_by_key(Vec::len);
        rings.push(Ring { files, way: shortest.unwrap_or_default() });
    }
    rings
}

/// The files that one reaches, each with the file before it on a shortest way; itself only when it is in a ring.
fn reach(imports: &Imports, from: &str) -> BTreeMap<String, String> {
    let mut before = BTreeMap::new();
    let mut next = VecDeque::from([from.to_owned()]);
    while let Some(file) = next.pop_front() {
        for imported in imports.get(&file).into_iter().flat_map(BTreeMap::keys) {
            if !before.contains_key(imported) {
                before.insert(imported.clone(), file.clone());
                next.push_back(imported.clone());
            }
        }
    }
    before
}

fn way_round(imports: &Imports, file: &str) -> Option<Vec<(String, Arrow, String)>> {
    let before = reach(imports, file);
    let mut way = Vec::new();
    let mut to = file.to_owned();
    loop {
        let from = before.get(&to)?.clone();
        way.push((from.clone(), imports.get(&from)?.get(&to)?.clone(), to));
        if from == file {
            way.reverse();
            return Some(way);
        }
        to = from;
    }
}
