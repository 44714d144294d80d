//! What a node says of itself, and what follows from what all of them say. Must not know: how it is kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Documents, Layout};
use crate::etcd::KeyReading;

/// Longest text of an error in a note: it is for people.
const MOST_ERROR: usize = 2000;

/// Most nodes that are named.
const MOST_NAMED: usize = 10;

/// What a node thinks of the documents that it has seen last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Opinion {
    /// They are in force.
    #[default]
    InForce,
    /// They are in order, and it waits for the others.
    Accepted,
    /// They are in order, and another node refuses them.
    Held,
    /// They are not in order here.
    Refused,
}

impl Opinion {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InForce => "in_force",
            Self::Accepted => "accepted",
            Self::Held => "held",
            Self::Refused => "refused",
        }
    }
}

/// Which documents.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Edition {
    /// The revision of etcd that wrote them.
    pub revision: i64,
    /// Of what they say.
    pub digest: String,
    /// Who wrote them.
    pub author: String,
}

impl From<&Documents> for Edition {
    fn from(documents: &Documents) -> Self {
        let Documents { revision, digest, author, .. } = documents;
        Self { revision: *revision, digest: digest.clone(), author: author.clone() }
    }
}

/// What a node says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeNote {
    /// Its name.
    pub node: String,
    /// Its version.
    pub version: String,
    /// Tells its processes apart.
    pub run: String,
    /// What it has in force.
    pub in_force: Edition,
    /// What it has seen last.
    pub seen: Edition,
    /// What it thinks of that.
    pub opinion: Opinion,
    /// Why it refuses it, or who does.
    pub error: Option<String>,
    /// The names of the keys of cookies that it has, the one that signs first.
    pub keys: Vec<String>,
}

impl NodeNote {
    /// The notes in a reading, by node. What is no note, or is under no lease and so nobody's, says nothing.
    #[must_use]
    pub fn read_all(layout: &Layout, reading: &KeyReading) -> BTreeMap<String, Self> {
        let live = reading.values.iter().filter(|value| value.lease != 0);
        live.filter_map(|value| {
            let key = str::from_utf8(&value.key).ok()?;
            let name = key.strip_prefix(&layout.nodes())?;
            Some((Layout::parse_node(name).ok()?, serde_json::from_slice(&value.value).ok()?))
        })
        .collect()
    }

    /// An error, no longer than one reads.
    #[must_use]
    pub fn error_text(lines: &[String]) -> String {
        let text = lines.join("; ");
        if text.len() <= MOST_ERROR {
            return text;
        }
        let end = text.floor_char_boundary(MOST_ERROR);
        format!("{} … ({} faults)", text.get(..end).unwrap_or_default(), lines.len())
    }
}

/// Which of `others` sign cookies with keys that are none of `own`, with the names of these.
pub(super) fn foreign_keys<'a>(
    own: &[String],
    others: impl Iterator<Item = (&'a String, &'a NodeNote)>,
) -> Option<String> {
    let foreign = others.filter_map(|(name, note)| {
        let signing = note.keys.first().filter(|key| !own.contains(key))?;
        let clean: String = signing.chars().filter(char::is_ascii_hexdigit).take(16).collect();
        Some(format!("{name} ({clean})"))
    });
    let told: Vec<String> = foreign.take(MOST_NAMED).collect();
    (!told.is_empty()).then(|| {
        format!(
            "cookies of these nodes are not understood here, for they sign with keys that this one does not have: {}; allowed: one \
             key file on all, or `balancer etcd keys`",
            told.join(", ")
        )
    })
}

/// What to do with documents that are in order here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Judgment {
    /// Wait for what these have to say.
    Wait(Vec<String>),
    /// Leave it: this node refuses them, for this.
    Leave(String, String),
    /// Have them take effect.
    TakeUp,
}

/// What follows from what `others` say of the documents of this digest. `is_late`: nobody is waited for any more.
pub(super) fn judge<'a>(
    digest: &str,
    others: impl Iterator<Item = (&'a String, &'a NodeNote)> + Clone,
    is_late: bool,
) -> Judgment {
    let has_seen = |note: &NodeNote| note.seen.digest == digest;
    let refuses = |note: &NodeNote| has_seen(note) && note.opinion == Opinion::Refused;
    if let Some((name, note)) = others.clone().find(|(_, note)| refuses(note)) {
        return Judgment::Leave(name.clone(), note.error.clone().unwrap_or_default());
    }
    let silent: Vec<String> = others
        .filter(|(_, note)| !has_seen(note) && note.in_force.digest != digest)
        .map(|(name, _)| name.clone())
        .collect();
    if silent.is_empty() || is_late { Judgment::TakeUp } else { Judgment::Wait(silent) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::etcd::StoredValue;

    fn note(in_force: &str, seen: &str, opinion: Opinion) -> NodeNote {
        let edition = |digest: &str| Edition { digest: digest.to_owned(), ..Edition::default() };
        NodeNote { in_force: edition(in_force), seen: edition(seen), opinion, ..NodeNote::default() }
    }

    fn judged(notes: &[NodeNote], is_late: bool) -> Judgment {
        let names: Vec<String> = (0..notes.len()).map(|at| format!("n{at}")).collect();
        judge("new", names.iter().zip(notes), is_late)
    }

    #[test]
    fn documents_take_effect_where_nobody_refuses_them() {
        let (old, accepted) = (note("old", "old", Opinion::InForce), note("old", "new", Opinion::Accepted));
        let (refused, held) = (note("old", "new", Opinion::Refused), note("old", "new", Opinion::Held));
        let done = note("new", "new", Opinion::InForce);
        let newer = note("new", "newer", Opinion::Refused);
        assert_eq!(judged(&[], false), Judgment::TakeUp);
        assert_eq!(judged(&[accepted.clone(), done, newer], false), Judgment::TakeUp);
        assert_eq!(judged(&[accepted.clone(), old.clone()], false), Judgment::Wait(vec!["n1".to_owned()]));
        assert_eq!(judged(&[accepted, old.clone()], true), Judgment::TakeUp);
        // What is refused is left however late it is, and whoever else has not spoken.
        assert!(
            matches!(judged(&[old.clone(), refused.clone()], true), Judgment::Leave(name, _) if name == "n1")
        );
        assert!(matches!(judged(&[old, refused], false), Judgment::Leave(..)));
        // Who holds back for another's sake refuses nothing: once that one is gone, they go on.
        assert_eq!(judged(&[held], false), Judgment::TakeUp);
    }

    #[test]
    fn nodes_that_sign_with_keys_of_their_own_are_named() {
        let with = |keys: &[&str]| NodeNote {
            keys: keys.iter().map(|key| (*key).to_owned()).collect(),
            ..NodeNote::default()
        };
        let names: Vec<String> = ["a", "b", "c"].map(str::to_owned).to_vec();
        let notes = [with(&["02", "01"]), with(&["03\u{1b}", "01"]), with(&[])];
        let told = |own: &[String]| foreign_keys(own, names.iter().zip(&notes));
        assert_eq!(told(&["01".to_owned(), "02".to_owned(), "03\u{1b}".to_owned()]), None);
        let text = told(&["01".to_owned(), "02".to_owned()]).unwrap();
        assert!(text.contains("have: b (03); allowed"), "{text}");
        assert!(told(&["01".to_owned()]).unwrap().contains("a (02), b (03)"));
    }

    #[test]
    fn what_is_no_note_says_nothing() {
        let layout = Layout::parse("/lb").unwrap();
        let value = |key: &str, text: &str, lease| StoredValue {
            key: key.into(),
            value: text.into(),
            revision: 1,
            lease,
        };
        let values = vec![
            value("/lb/nodes/a", "{\"node\":\"a\",\"tomorrow\":[1]}", 5),
            value("/lb/nodes/b", "\u{0}garbage", 5),
            value("/lb/nodes/c", "{}", 0),
            value("/lb/nodes/d/e", "{}", 5),
        ];
        let notes = NodeNote::read_all(&layout, &KeyReading { revision: 1, values });
        assert_eq!(notes.keys().collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn errors_are_bounded() {
        assert_eq!(NodeNote::error_text(&["a".to_owned(), "b".to_owned()]), "a; b");
        let long = NodeNote::error_text(&vec!["ä".repeat(500); 9]);
        assert!(long.len() < 2100 && long.ends_with("(9 faults)"));
    }
}
