//! What commands have in common: they get into etcd and read what stands there. Must not know: commands.

use std::{collections::BTreeMap, path::Path};

use super::options::EtcdOptions;
use crate::{
    cli::told::CommandFailure,
    config::{self, Document, MAX_DOCUMENTS},
    control::cluster::{Documents, Layout},
    etcd::{Access, Etcd, EtcdError, KeyReading},
};

/// A way in.
pub(super) struct EtcdSession {
    pub(super) etcd: Etcd,
    pub(super) layout: Layout,
}

impl EtcdSession {
    pub(super) fn begin(options: &EtcdOptions) -> Result<Self, CommandFailure> {
        let wrong = |why: String| CommandFailure::BadConfiguration(format!("balancer: {why}"));
        let files = options.access().ok_or_else(|| wrong("--etcd URL is missing".to_owned()))?;
        let access = Access::read(&files).map_err(|fault| wrong(fault.to_string()))?;
        Ok(Self { etcd: Etcd::new(access), layout: options.layout() })
    }

    /// What stands there.
    pub(super) async fn documents(&mut self) -> Result<(Documents, KeyReading), CommandFailure> {
        let reading = self.etcd.read(self.layout.config().as_bytes(), 0, MAX_DOCUMENTS).await?;
        Ok((Documents::of(&self.layout, &reading), reading))
    }
}

/// The files at `path`.
pub(super) fn files(path: &Path) -> Result<Vec<Document>, CommandFailure> {
    config::read_documents(path).map_err(|errors| CommandFailure::BadConfiguration(errors.to_string()))
}

impl From<EtcdError> for CommandFailure {
    fn from(error: EtcdError) -> Self {
        Self::CannotStart(error.into())
    }
}

/// Texts by the names of their files.
pub(super) fn by_name(documents: &[Document]) -> BTreeMap<String, &[u8]> {
    let named = documents.iter().filter_map(|document| {
        let name = document.name.file_name()?.to_str()?.to_owned();
        Some((name, document.bytes.as_slice()))
    });
    named.collect()
}
