//! A configuration whose texts are kept elsewhere than in files: they are read as the files of a folder, by their names, together
//! with files of this host if there are any. Must not know: where they are kept.

use std::path::{Path, PathBuf};

use super::{
    add_given,
    error::{ConfigError, ConfigErrors},
    roles::{self, Role},
    source::{self, MAX_FILE_BYTES, MAX_FILES, MAX_FOLDER_BYTES},
    texts::ConfigTexts,
};
use crate::{model::Configuration, regular_file};

/// Most bytes that documents may have together.
pub const MAX_DOCUMENTS: usize = MAX_FOLDER_BYTES;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// Its name, as faults name it; the part behind the last slash says what it is.
    pub name: PathBuf,
    /// Its text, or what is there instead.
    pub bytes: Vec<u8>,
}

/// Whether what has this name is read as configuration.
#[must_use]
pub fn is_document(name: &Path) -> bool {
    matches!(roles::in_folder(name), Some((Role::Blocks | Role::Override | Role::Variables { .. }, _)))
}

/// Validates documents, and the files at `own` with them, as one configuration. `place`: what to call where the documents are.
///
/// # Errors
/// Every fault found.
pub fn load_documents(
    place: &str,
    documents: &[Document],
    own: Option<&Path>,
) -> Result<Configuration, ConfigErrors> {
    document_texts(place, documents, own).load(None)
}

/// Documents, and the files at `own` with them, to be validated as one configuration.
#[must_use]
pub fn document_texts(place: &str, documents: &[Document], own: Option<&Path>) -> ConfigTexts {
    let read = own.map(source::read).unwrap_or_default();
    let (mut files, mut errors) = (read.files, read.errors);
    let mut remarks: Vec<String> = read.remarks.iter().map(ToString::to_string).collect();
    let whole = |message: String| source::whole_file(Path::new(place), message);
    if !documents.iter().any(|document| is_document(&document.name)) {
        errors.push(whole(
            "holds no configuration; allowed: keys whose names end in .hcl, .tf or .tf.json".to_owned(),
        ));
    }
    let total: usize = documents.iter().map(|document| document.bytes.len()).sum();
    if documents.len() > MAX_FILES || total > MAX_FOLDER_BYTES {
        errors.push(whole(format!(
            "holds too much; allowed: at most {MAX_FILES} documents and {MAX_FOLDER_BYTES} bytes in all of them"
        )));
        return ConfigTexts { errors, ..ConfigTexts::default() };
    }
    for document in documents {
        if !is_document(&document.name) {
            remarks.push(format!(
                "{}: is not read; allowed: names that end in .hcl, .tf, .tf.json or .auto.tfvars",
                document.name.display()
            ));
            continue;
        }
        match decoded(document) {
            Ok(text) => files.push((document.name.clone(), text)),
            Err(error) => errors.push(error),
        }
    }
    // In the order of their names, as the files of a folder are; which of both a document is does not matter.
    files.sort_by(|(one, _), (other, _)| one.file_name().cmp(&other.file_name()).then(one.cmp(other)));
    let mut roles = roles::in_one_folder(&files);
    add_given(&mut files, &mut roles, &mut errors);
    ConfigTexts { files, roles, errors, remarks }
}

fn decoded(document: &Document) -> Result<String, ConfigError> {
    if document.bytes.len() as u64 > MAX_FILE_BYTES {
        let message = format!("is too large; allowed: at most {MAX_FILE_BYTES} bytes");
        return Err(source::whole_file(&document.name, message));
    }
    source::decode(&document.name, document.bytes.clone())
}

/// The files at `path`, a file or a folder, that would be read as configuration, as documents of these names.
///
/// # Errors
/// What cannot be read, and what has a name by which it would not be read as one of several.
pub fn read_documents(path: &Path) -> Result<Vec<Document>, ConfigErrors> {
    let read = source::read(path);
    let mut errors = read.errors;
    let mut documents = Vec::new();
    for name in read.files.into_iter().map(|(name, _)| name) {
        if !is_document(&name) {
            let message = "cannot be a document by its name; allowed: names that end in .hcl, .tf, .tf.json or \
                           .auto.tfvars, and terraform.tfvars";
            errors.push(source::whole_file(&name, message));
            continue;
        }
        // The very bytes: a mark at the beginning is kept.
        match regular_file::read(&name, MAX_FILE_BYTES) {
            Ok((bytes, _)) => documents.push(Document { name, bytes }),
            Err(fault) => errors.push(source::whole_file(&name, fault.to_string())),
        }
    }
    if errors.is_empty() { Ok(documents) } else { Err(ConfigErrors::sorted(errors)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(name: &str, bytes: &[u8]) -> Document {
        Document { name: PathBuf::from(format!("etcd:/lb/config/{name}")), bytes: bytes.to_vec() }
    }

    fn faults(documents: &[Document], own: Option<&Path>) -> String {
        load_documents("etcd:/lb/config/", documents, own).unwrap_err().to_string()
    }

    const GROUP: &str = "target_group \"app\" {\n  targets = [\"127.0.0.1:9001\"]\n}\n";
    const LISTENER: &str = "listener \"web\" {\n  port = var.port\n  default_action {\n    type = \"forward\"\n    \
                            target_group_arn = target_group.app.arn\n  }\n}\nvariable \"port\" {\n  default = 1\n}\n";

    #[test]
    fn documents_and_own_files_are_one_configuration() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("terraform.tfvars"), "port = 8081\n").unwrap();
        std::fs::write(folder.path().join("own.hcl"), "balancer {\n  instance = \"a\"\n}\n").unwrap();
        let documents = [document("a.hcl", GROUP.as_bytes()), document("b.hcl", LISTENER.as_bytes())];
        let read = load_documents("etcd:/lb/config/", &documents, Some(folder.path())).unwrap();
        assert_eq!((read.listeners[0].address.port(), read.balancer.instance.as_str()), (8081, "a"));
        let alone = load_documents("etcd:/lb/config/", &documents, None).unwrap();
        assert_eq!(alone.listeners[0].address.port(), 1);
    }

    #[test]
    fn faults_name_the_key_with_line_and_column() {
        let wrong = [
            document("a.hcl", GROUP.as_bytes()),
            document("b.hcl", b"\n  listener \"web\" {\n  prt = 1\n}\n"),
        ];
        let told = faults(&wrong, None);
        assert!(told.contains("etcd:/lb/config/b.hcl:3:3:") && told.contains("prt"), "{told}");
        let told = faults(&[document("a.hcl", b"ab\n\xff")], None);
        assert!(told.contains("etcd:/lb/config/a.hcl:2:1: byte 3 (0xff) is not text"), "{told}");
        let told = faults(&[document("a.hcl", &[0; 50])], None);
        assert!(told.contains("etcd:/lb/config/a.hcl:1:1:"), "{told}");
        let large = vec![b'#'; 4 * 1024 * 1024 + 1];
        assert!(faults(&[document("a.hcl", &large)], None).contains("a.hcl: is too large"));
        let many: Vec<_> = (0..5).map(|n| document(&format!("{n}.hcl"), &large)).collect();
        assert!(faults(&many, None).contains("holds too much"));
        for none in [vec![], vec![document("README", b"x")], vec![document(".push", b"{}")]] {
            assert!(faults(&none, None).contains("etcd:/lb/config/: holds no configuration"));
        }
    }

    #[test]
    fn what_is_not_read_is_said() {
        let documents = [document("a.hcl", GROUP.as_bytes()), document("notes.txt", b"x")];
        let read = load_documents("p", &documents, None).unwrap();
        assert_eq!(read.remarks.len(), 1, "{:?}", read.remarks);
        assert!(read.remarks[0].contains("notes.txt: is not read"));
    }
}
