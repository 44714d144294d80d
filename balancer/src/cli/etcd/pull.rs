//! `balancer etcd pull`. Must not know: what documents say.

use std::{
    collections::BTreeMap,
    fs,
    io::{ErrorKind, Write as _},
    os::unix::fs::OpenOptionsExt as _,
};

use anyhow::{Context as _, anyhow};

use super::{
    arguments::PullArguments,
    session::{EtcdSession, by_name},
};
use crate::cli::told::{CommandFailure, print};

pub(super) async fn run(arguments: &PullArguments) -> Result<(), CommandFailure> {
    let mut session = EtcdSession::begin(&arguments.etcd)?;
    let texts = match arguments.number {
        Some(number) => pushed(&mut session, number).await?,
        None => {
            let (standing, _) = session.documents().await?;
            by_name(&standing.documents).into_iter().map(|(name, text)| (name, text.to_vec())).collect()
        }
    };
    if texts.is_empty() {
        return Err(anyhow!("there is nothing under {}", session.layout.config()).into());
    }
    let folder = &arguments.folder;
    let place = |name: &str| folder.join(name);
    if !arguments.force {
        // Before anything is written.
        for (name, text) in &texts {
            let path = place(name);
            if fs::symlink_metadata(&path).is_ok() && fs::read(&path).ok().as_ref() != Some(text) {
                return Err(anyhow!("{} is there and differs; allowed: --force", path.display()).into());
            }
        }
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for (name, text) in &texts {
        let path = place(name);
        write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let names: Vec<&str> = texts.keys().map(String::as_str).collect();
    print(&format!("{}: {}\n", folder.display(), names.join(", ")))?;
    Ok(())
}

/// A new file in the place of what is there, be it a link.
fn write(path: &std::path::Path, text: &[u8]) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(text)
}

/// What was pushed under this number.
async fn pushed(session: &mut EtcdSession, number: u64) -> Result<BTreeMap<String, Vec<u8>>, CommandFailure> {
    let (_, key) = session.layout.entry(number);
    let value = session.etcd.get(key.as_bytes()).await?;
    let value =
        value.ok_or_else(|| anyhow!("number {number} is not kept; `balancer etcd history` shows what is"))?;
    let texts: BTreeMap<String, String> =
        serde_json::from_slice(&value.value).map_err(|_| anyhow!("{key} is not what a push has written"))?;
    // Whoever can write there does not choose where files are written here.
    if let Some(name) = texts.keys().find(|name| name.contains('/') || *name == "." || *name == "..") {
        return Err(anyhow!("{key} is not what a push has written: {name:?} is no file's name").into());
    }
    Ok(texts.into_iter().map(|(name, text)| (name, text.into_bytes())).collect())
}
