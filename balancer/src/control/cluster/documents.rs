//! The documents that stand in etcd, or stood there, and who has written them. Must not know: what is in them.

use std::path::{Path, PathBuf};

use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

use super::{Layout, SealedKeys};
use crate::{
    config::{self, ConfigError, ConfigErrors, ConfigTexts, Document},
    etcd::{KeyReading, StoredValue},
    model::Configuration,
    stickiness::Keyring,
};

/// Most keys that it is said of that they are not read.
const MOST_TOLD: usize = 10;

/// Who has pushed what is there, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PushRecord {
    /// Counts pushes.
    pub number: u64,
    /// Who.
    pub author: String,
    /// When, RFC 3339 in UTC.
    pub at: String,
    /// Why, in the author's words.
    pub note: String,
    /// Of the documents.
    pub digest: String,
    /// The names of the documents.
    pub documents: Vec<String>,
}

/// The documents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Documents {
    /// Where they are kept, as faults name it.
    pub place: String,
    /// The last revision of etcd that has written one of them.
    pub revision: i64,
    /// Who that was.
    pub author: String,
    /// Equal for equal names and bytes, and for no others.
    pub digest: String,
    /// In the order of their names.
    pub documents: Vec<Document>,
    /// What is said of keys that lie too deep to be one of them.
    pub below: Vec<String>,
    /// The sealed secrets of cookies that stand beside them.
    pub keys: Option<Vec<u8>>,
}

/// How a key is named in faults.
fn named(key: &str) -> PathBuf {
    PathBuf::from(format!("etcd:{key}"))
}

/// A digest, short enough to read out.
fn digest(documents: &[Document], keys: Option<&[u8]>) -> String {
    let mut context = Context::new(&SHA256);
    for document in documents {
        let name = document.name.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        for part in [name.as_bytes(), &document.bytes] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
    }
    if let Some(keys) = keys {
        context.update(&u64::MAX.to_be_bytes());
        context.update(keys);
    }
    let digest = context.finish();
    digest.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

impl Documents {
    /// Of what was read of the keys of documents.
    #[must_use]
    pub fn of(layout: &Layout, reading: &KeyReading) -> Self {
        let (push_record, config, sealed) = (layout.push_record(), layout.config(), layout.sealed_keys());
        let mut record: Option<(&StoredValue, PushRecord)> = None;
        let (mut documents, mut below) = (Vec::new(), Vec::new());
        let mut keys: Option<&StoredValue> = None;
        for value in &reading.values {
            let key = String::from_utf8_lossy(&value.key);
            if key == push_record {
                record = serde_json::from_slice(&value.value).ok().map(|read| (value, read));
                continue;
            }
            if key == sealed {
                keys = Some(value);
                continue;
            }
            if key.strip_prefix(&config).is_none_or(|name| name.contains('/')) {
                below.push(format!(
                    "{}: is not read; allowed: keys without a further slash",
                    named(&key).display()
                ));
                continue;
            }
            documents.push(Document { name: named(&key), bytes: value.value.clone() });
        }
        let revision = reading.values.iter().map(|value| value.revision).max().unwrap_or(0);
        let author = match (record, keys) {
            (Some((value, record)), _) if value.revision == revision => record.author,
            (_, Some(keys)) if keys.revision == revision => SealedKeys::author(&keys.value),
            _ => "unknown (not written by `balancer etcd push`)".to_owned(),
        };
        Self { below, ..Self::new(layout, revision, &author, documents) }
            .with_keys(keys.map(|keys| keys.value.clone()))
    }

    /// These.
    #[must_use]
    pub fn new(layout: &Layout, revision: i64, author: &str, documents: Vec<Document>) -> Self {
        let (place, digest) = (format!("etcd:{}", layout.config()), digest(&documents, None));
        // Whoever can write there must not move the cursor of who reads it.
        let author = author.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect();
        Self { place, revision, author, digest, documents, below: Vec::new(), keys: None }
    }

    /// The same with these sealed secrets beside them.
    #[must_use]
    pub fn with_keys(self, keys: Option<Vec<u8>>) -> Self {
        Self { digest: digest(&self.documents, keys.as_deref()), keys, ..self }
    }

    /// The digest of the documents alone.
    #[must_use]
    pub fn texts_digest(&self) -> String {
        digest(&self.documents, None)
    }

    /// What a file is called here.
    #[must_use]
    pub fn name_of(layout: &Layout, file: &Path) -> Option<PathBuf> {
        Some(named(&layout.document(file.file_name()?.to_str()?)))
    }

    /// The ring of the secrets beside them; none where there are none. `seal`: what this node opens them with.
    ///
    /// # Errors
    /// They cannot be opened, or there is nothing to do that with.
    pub fn keyring(&self, seal: Option<&SealedKeys>) -> Result<Option<Keyring>, ConfigError> {
        SealedKeys::ring(seal, &self.place, self.keys.as_deref())
    }

    /// Validates them, together with the files at `own`.
    ///
    /// # Errors
    /// Every fault found.
    pub fn load(&self, own: Option<&Path>) -> Result<Configuration, ConfigErrors> {
        let mut configuration = self.texts(own).load(None)?;
        configuration.remarks.extend(self.below.iter().take(MOST_TOLD).cloned());
        Ok(configuration)
    }

    /// Their texts, and those of the files at `own`.
    #[must_use]
    pub fn texts(&self, own: Option<&Path>) -> ConfigTexts {
        config::document_texts(&self.place, &self.documents, own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(key: &str, text: &str, revision: i64) -> StoredValue {
        StoredValue { key: key.into(), value: text.into(), revision, lease: 0 }
    }

    #[test]
    fn revision_and_author_are_those_of_the_last_change() {
        let layout = Layout::parse("/lb").unwrap();
        let record =
            serde_json::to_string(&PushRecord { author: "a\u{1b}nn".into(), ..PushRecord::default() })
                .unwrap();
        let mut reading = KeyReading {
            revision: 99,
            values: vec![value("/lb/config/.push", &record, 7), value("/lb/config/a.hcl", "x", 7)],
        };
        let pushed = Documents::of(&layout, &reading);
        assert_eq!((pushed.revision, pushed.author.as_str()), (7, "a nn"));
        assert_eq!(pushed.documents.len(), 1);
        assert_eq!(pushed.documents[0].name, Path::new("etcd:/lb/config/a.hcl"));
        reading.values[1] = value("/lb/config/a.hcl", "x", 8);
        let put = Documents::of(&layout, &reading);
        assert_eq!((put.revision, &put.digest), (8, &pushed.digest));
        assert!(put.author.starts_with("unknown"));
        reading.values[0].value = b"\xff\0garbage".to_vec();
        assert!(Documents::of(&layout, &reading).author.starts_with("unknown"));
    }

    #[test]
    fn digests_tell_names_and_bytes_apart() {
        let layout = Layout::parse("/lb").unwrap();
        let of = |values: &[(&str, &str)]| {
            let values =
                values.iter().map(|(name, text)| value(&format!("/lb/config/{name}"), text, 1)).collect();
            Documents::of(&layout, &KeyReading { revision: 1, values }).digest
        };
        let digests = [
            of(&[]),
            of(&[("a.hcl", "")]),
            of(&[("a.hcl", "x")]),
            of(&[("b.hcl", "x")]),
            of(&[("a.hcl", "x"), ("b.hcl", "")]),
            of(&[("a.hcl", ""), ("b.hcl", "x")]),
        ];
        for (at, digest) in digests.iter().enumerate() {
            assert_eq!(digests.iter().position(|other| other == digest), Some(at));
        }
    }

    #[test]
    fn sealed_secrets_are_no_document_and_make_a_difference() {
        let layout = Layout::parse("/lb").unwrap();
        let of = |keys: Option<&str>| {
            let document = value("/lb/config/a.hcl", "x", 7);
            let keys = keys.map(|text| value("/lb/config/.keys", text, 9));
            let values = std::iter::once(document).chain(keys).collect();
            Documents::of(&layout, &KeyReading { revision: 9, values })
        };
        let (without, with) = (of(None), of(Some("{\"author\": \"ann\"}")));
        assert_eq!((with.documents.len(), with.revision, with.author.as_str()), (1, 9, "ann"));
        assert!(with.digest != without.digest && with.digest != of(Some("{}")).digest);
        assert_eq!((with.texts_digest(), without.texts_digest()), (without.digest.clone(), without.digest));
        assert!(of(Some("garbage")).author.starts_with("unknown"));
    }

    #[test]
    fn what_lies_below_is_no_document() {
        let layout = Layout::parse("/lb").unwrap();
        let values = vec![value("/lb/config/old/a.hcl", "x", 1)];
        let documents = Documents::of(&layout, &KeyReading { revision: 1, values });
        let told = documents.load(None).unwrap_err().to_string();
        assert!(told.contains("etcd:/lb/config/: holds no configuration"), "{told}");
    }
}
