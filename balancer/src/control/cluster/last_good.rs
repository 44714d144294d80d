//! The documents that are in force, kept in a file of this host that its owner alone can read, so that a start needs no etcd.
//! Must not know: when that is.

use std::{
    io::{self, Read as _, Write as _},
    path::Path,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use super::{Documents, Layout};
use crate::{
    config::{Document, MAX_DOCUMENTS},
    safe_file::{self, Folder},
};

/// Longest file: the documents in base64, and their names.
const MOST: u64 = (MAX_DOCUMENTS as u64) * 2;
/// What the file is called until it is whole.
const UNFINISHED: &str = "etcd-unfinished";

#[derive(Serialize, Deserialize)]
struct KeptDocument {
    name: String,
    base64: String,
}

#[derive(Serialize, Deserialize)]
struct KeptDocuments {
    prefix: String,
    revision: i64,
    author: String,
    digest: String,
    documents: Vec<KeptDocument>,
    /// The sealed secrets, in base64: the file has no more of them than etcd has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keys: Option<String>,
}

/// Writes them. What was there stays until it is done.
///
/// # Errors
/// The system's.
pub(super) fn keep(path: &Path, layout: &Layout, documents: &Documents) -> io::Result<()> {
    let kept = KeptDocuments {
        prefix: layout.to_string(),
        revision: documents.revision,
        author: documents.author.clone(),
        digest: documents.digest.clone(),
        documents: documents
            .documents
            .iter()
            .map(|document| KeptDocument {
                name: document.name.to_string_lossy().into_owned(),
                base64: STANDARD.encode(&document.bytes),
            })
            .collect(),
        keys: documents.keys.as_ref().map(|keys| STANDARD.encode(keys)),
    };
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (folder, _) = Folder::make(parent, 0o700)?;
    match folder.remove(UNFINISHED) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = folder.create_new(UNFINISHED)?;
    file.write_all(&serde_json::to_vec(&kept)?)?;
    file.sync_all()?;
    folder.rename_over(UNFINISHED, name)?;
    folder.sync()
}

/// Reads them; none where none were kept.
///
/// # Errors
/// The system's, and what is wrong with the file.
pub(super) fn read(path: &Path, layout: &Layout) -> Result<Option<Documents>, String> {
    let fault = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
    let Some(file) = safe_file::read(path, None).map_err(|error| fault(&error))? else { return Ok(None) };
    let mut bytes = Vec::new();
    file.take(MOST + 1).read_to_end(&mut bytes).map_err(|error| fault(&error))?;
    if bytes.len() as u64 > MOST {
        return Err(fault(&format!("is larger than {MOST} bytes")));
    }
    let kept: KeptDocuments =
        serde_json::from_slice(&bytes).map_err(|_| fault(&"is not what a balancer has kept there"))?;
    if kept.prefix != layout.to_string() {
        return Err(fault(&format!(
            "is of another prefix ({}); allowed: a file of its own for each",
            kept.prefix
        )));
    }
    let mut documents = Vec::new();
    for KeptDocument { name, base64 } in kept.documents {
        let bytes = STANDARD.decode(base64).map_err(|_| fault(&"is not what a balancer has kept there"))?;
        documents.push(Document { name: name.into(), bytes });
    }
    let keys = kept.keys.map(|keys| STANDARD.decode(keys)).transpose();
    let keys = keys.map_err(|_| fault(&"is not what a balancer has kept there"))?;
    let documents = Documents::new(layout, kept.revision, &kept.author, documents).with_keys(keys);
    if documents.digest != kept.digest {
        return Err(fault(&"has been changed since a balancer kept it there"));
    }
    Ok(Some(documents))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    #[test]
    fn what_is_kept_is_read_and_nobody_else_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let (path, layout) = (folder.path().join("new/etcd.json"), Layout::parse("/lb").unwrap());
        assert_eq!(read(&path, &layout), Ok(None));
        let document =
            |bytes: &[u8]| Document { name: "etcd:/lb/config/a.hcl".into(), bytes: bytes.to_vec() };
        for (bytes, keys) in [(&b"one"[..], Some(b"sealed".to_vec())), (&[0xff, 0], None)] {
            let documents = Documents::new(&layout, 7, "ann", vec![document(bytes)]).with_keys(keys);
            keep(&path, &layout, &documents).unwrap();
            assert_eq!(read(&path, &layout), Ok(Some(documents)));
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let names = fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(names, 1, "nothing is left beside it");
        let other = Layout::parse("/other").unwrap();
        assert!(read(&path, &other).unwrap_err().contains("another prefix (/lb)"));
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("\"revision\":7", "\"revision\":8")).unwrap();
        assert_eq!(read(&path, &layout).unwrap().unwrap().revision, 8);
        fs::write(&path, text.replace("/wA=", "/wE=")).unwrap();
        assert!(read(&path, &layout).unwrap_err().contains("has been changed"));
        for garbage in ["", "{}", "\u{0}", "[1,2]"] {
            fs::write(&path, garbage).unwrap();
            assert!(read(&path, &layout).unwrap_err().contains("is not what a balancer has kept"));
        }
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(read(&path, &layout).is_err());
        assert!(keep(&path, &layout, &Documents::default()).is_err());
    }
}
