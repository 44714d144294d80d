//! Which modules lie where: those in folders beside, and those that `terraform init` has fetched, of which it keeps a list
//! (`.terraform/modules/modules.json`). Must not know: what is in a module.

use std::{
    collections::HashMap,
    path::{Component, Path, PathBuf},
};

use serde_json::Value;

use crate::{
    config::raw::{RawBlock, RawExpression},
    regular_file,
};

const LIST: &str = ".terraform/modules/modules.json";
/// Most bytes of the list.
const LONGEST: u64 = 4 * 1024 * 1024;

/// Where modules are that were fetched, by the folder that calls them and their name there.
#[derive(Debug, Default)]
pub(super) struct InstalledModules(HashMap<(PathBuf, String), (String, PathBuf)>);

impl InstalledModules {
    /// Those of a folder; none where there is no list, or none that can be read.
    pub(super) fn of(root: &Path) -> Self {
        let read = regular_file::read(&root.join(LIST), LONGEST).ok();
        let list =
            read.and_then(|(bytes, _)| serde_json::from_slice::<Value>(&bytes).ok()).unwrap_or_default();
        let text = |module: &Value, name: &str| Some(module.get(name)?.as_str()?.to_owned());
        let modules = list.get("Modules").and_then(Value::as_array).into_iter().flatten();
        let folders: HashMap<String, (String, PathBuf)> = modules
            .filter_map(|module| {
                let folder = cleaned(&root.join(text(module, "Dir")?));
                Some((text(module, "Key")?, (text(module, "Source")?, folder)))
            })
            .collect();
        let called = folders.iter().filter_map(|(key, found)| {
            // `app.inner` is what `app` calls `inner`.
            let (by, name) = match key.rsplit_once('.') {
                Some((by, name)) => (folders.get(by)?.1.clone(), name),
                None => (cleaned(root), key.as_str()),
            };
            Some(((by, name.to_owned()), found.clone()))
        });
        Self(called.collect())
    }

    /// The folder of the module that a block of a file calls, if it is known.
    pub(super) fn folder_of(&self, block: &RawBlock, file: &Path) -> Option<PathBuf> {
        if block.kind != "module" {
            return None;
        }
        let source = block.body.attributes.iter().find(|attribute| attribute.name == "source")?;
        let RawExpression::Text(source) = &source.value.expression else { return None };
        let by = cleaned(file.parent().unwrap_or(Path::new("")));
        if is_beside(source) {
            return Some(cleaned(&by.join(source)));
        }
        let (name, _) = block.labels.first()?;
        let (of, folder) = self.0.get(&(by, name.clone()))?;
        // Another one may have been meant when it was fetched.
        of.ends_with(source.as_str()).then(|| folder.clone())
    }
}

/// Whether a module is in a folder of the same files.
pub(super) fn is_beside(source: &str) -> bool {
    source.starts_with("./") || source.starts_with("../")
}

/// Without `.`, and without what `..` takes back.
pub(super) fn cleaned(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir
                if clean
                    .components()
                    .next_back()
                    .is_some_and(|last| matches!(last, Component::Normal(_))) =>
            {
                clean.pop();
            }
            part => clean.push(part),
        }
    }
    clean
}
