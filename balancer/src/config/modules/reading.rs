//! Files of modules: which folders are called, and what Terraform would read there. Must not know: what becomes of them.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use super::installed::InstalledModules;
use crate::config::{
    error::ConfigError,
    fault::Faults,
    json_blocks,
    roles::{self, Role, Syntax},
    source::{self, MAX_FILES, MAX_FOLDER_BYTES, SourceFile},
    syntax,
};

/// Files with their texts, and what each of them is.
type FolderFiles = (Vec<(PathBuf, String)>, Vec<(Role, Syntax)>);

/// The files of the modules that files call, and of those that these call.
pub(in crate::config) fn read(files: &[(PathBuf, String)], errors: &mut Vec<ConfigError>) -> FolderFiles {
    let (mut found, mut kinds): FolderFiles = (Vec::new(), Vec::new());
    let mut seen: HashSet<PathBuf> = HashSet::new();
    let mut total: usize = files.iter().map(|(_, text)| text.len()).sum();
    let installed = installed_beside(files.iter().map(|(file, _)| file.as_path()));
    let mut next: Vec<PathBuf> =
        files.iter().flat_map(|(file, text)| called(file, text, &installed)).collect();
    while let Some(folder) = next.pop() {
        if !seen.insert(folder.clone()) {
            continue;
        }
        for (file, kind) in listed(&folder) {
            match source::read_file(&file) {
                Ok(text) => {
                    total = total.saturating_add(text.len());
                    if total > MAX_FOLDER_BYTES || files.len() + found.len() >= MAX_FILES {
                        let message = format!(
                            "is too much together with all that calls it; allowed: at most {MAX_FILES} files and {MAX_FOLDER_BYTES} bytes"
                        );
                        errors.push(source::whole_file(&folder, message));
                        return (found, kinds);
                    }
                    next.extend(called(&file, &text, &installed));
                    found.push((file, text));
                    kinds.push(kind);
                }
                Err(error) => errors.push(error),
            }
        }
    }
    (found, kinds)
}

/// The files of the modules that these call.
pub(in crate::config) fn files(of: &[PathBuf]) -> Vec<PathBuf> {
    let text = |file: &PathBuf| Some((file.clone(), source::read_file(file).ok()?));
    let texts: Vec<_> = of.iter().filter_map(text).collect();
    let (found, _) = read(&texts, &mut Vec::new());
    found.into_iter().map(|(file, _)| file).collect()
}

/// What was fetched for the folder that these files are in.
fn installed_beside<'f>(mut files: impl Iterator<Item = &'f Path>) -> InstalledModules {
    let is_terraform = |file: &&Path| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        name.ends_with(".tf") || name.ends_with(".tf.json")
    };
    files.find(is_terraform).and_then(Path::parent).map(InstalledModules::of).unwrap_or_default()
}

/// The folders of the modules that a file calls.
fn called(file: &Path, text: &str, installed: &InstalledModules) -> Vec<PathBuf> {
    let Some((Role::Blocks | Role::Override, syntax)) = roles::in_folder(file) else { return Vec::new() };
    if !text.contains("module") {
        return Vec::new();
    }
    let sources = [SourceFile::new(file, text)];
    let faults = Faults::new(&sources, true);
    let body = match syntax {
        Syntax::Hcl => syntax::parse(0, text.strip_prefix('\u{feff}').unwrap_or(text), &faults),
        Syntax::Json => json_blocks::parse(0, text.strip_prefix('\u{feff}').unwrap_or(text), &faults),
    };
    body.blocks.iter().filter_map(|block| installed.folder_of(block, file)).collect()
}

/// The files that Terraform would read in the folder of a module, by name; none where there is no such folder.
fn listed(folder: &Path) -> Vec<(PathBuf, (Role, Syntax))> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok).take(MAX_FILES);
    let mut files: Vec<_> = entries
        .filter_map(|entry| {
            let file = entry.path();
            let name = file.file_name()?.to_string_lossy().into_owned();
            let is_terraform = name.ends_with(".tf") || name.ends_with(".tf.json");
            let (role, syntax) = roles::in_folder(&file).filter(|_| is_terraform && file.is_file())?;
            Some((file, (Role::Module { is_override: role == Role::Override }, syntax)))
        })
        .collect();
    files.sort_by(|(one, _), (other, _)| one.cmp(other));
    files
}
