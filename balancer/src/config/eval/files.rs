//! Functions that read files: of the folder of the configuration, regular ones, within a size.
//! Must not know: what is in them.

use std::{
    path::{Component, Path, PathBuf},
    rc::Rc,
};

use super::{
    Evaluated, Evaluator, digests,
    filesets::{self, NoNames},
};
use crate::{
    config::{
        bindings::{Env, Val},
        raw::RawExpression,
        scope::Unknown,
        value::shown,
    },
    regular_file,
};

/// Most bytes of such a file.
const MAX_FILE: u64 = 262_144;

impl Evaluator<'_, '_> {
    /// `file`, `filebase64`, `fileexists`, and digests of files.
    pub(super) fn of_file(&self, name: &str, arguments: &[RawExpression], env: &Env) -> Evaluated {
        let [path] = arguments else {
            let wrong = format!("`{name}` has {} arguments; allowed: 1 of them", arguments.len());
            return Err(Unknown::Wrong(wrong));
        };
        let path = match self.path_of(name, path, env)? {
            Ok(path) => path,
            Err(unknown) => return Ok(unknown),
        };
        if name == "fileexists" {
            return Ok(Val::Bool(path.is_file()));
        }
        let bytes = self.read(name, &path)?;
        if let Some(digest) = digests::of_file(name) {
            return Ok(Val::text(digests::digest(digest, &bytes)));
        }
        if name == "filebase64" {
            use base64::Engine as _;
            let text = base64::engine::general_purpose::STANDARD.encode(bytes);
            return self.weighed(Val::text(text));
        }
        self.weighed(Val::text(self.text_of(name, &path, bytes)?))
    }

    /// `fileset`: names of files of a folder.
    pub(super) fn file_set(&self, arguments: &[RawExpression], env: &Env) -> Evaluated {
        const NAME: &str = "fileset";
        let [folder, pattern] = arguments else {
            let wrong = format!("`{NAME}` has {} arguments; allowed: 2 of them", arguments.len());
            return Err(Unknown::Wrong(wrong));
        };
        let folder = match self.path_of(NAME, folder, env)? {
            Ok(folder) => folder,
            Err(unknown) => return Ok(unknown),
        };
        let pattern = match self.value(pattern, env)? {
            Val::Text(pattern) => pattern,
            unknown if unknown.unknown().is_some() => {
                return Ok(Val::Unknown(unknown.unknown().unwrap_or_default()));
            }
            other => {
                let wrong = format!("`{NAME}` is given {}; allowed: a pattern", other.kind());
                return Err(Unknown::Wrong(wrong));
            }
        };
        self.charge(1000)?;
        let shown_folder = shown(&folder.to_string_lossy());
        let names = filesets::names(&folder, &pattern).map_err(|none| match none {
            NoNames::Unread(error) => {
                Unknown::Wrong(format!("`{NAME}` cannot read {shown_folder}: {error}; allowed: a folder"))
            }
            NoNames::TooMuch => Unknown::NotHere(format!(
                "`{NAME}`: there is too much in {shown_folder}; allowed: a smaller folder"
            )),
            NoNames::NoPattern => Unknown::NotHere(format!(
                "`{NAME}`: {} is not understood; allowed: *, **, ?, [a-z], {{a,b}}, and no `..`",
                shown(&pattern)
            )),
        })?;
        let names = names.into_iter().map(|name| (Val::text(name), self.position)).collect();
        self.weighed(Val::set(names))
    }

    /// `abspath` and `pathexpand`: paths, which need lead to no file.
    pub(super) fn of_path(&self, name: &str, arguments: &[RawExpression], env: &Env) -> Evaluated {
        let [path] = arguments else {
            let wrong = format!("`{name}` has {} arguments; allowed: 1 of them", arguments.len());
            return Err(Unknown::Wrong(wrong));
        };
        let path = match self.written_path(name, path, env)? {
            Ok(path) => path,
            Err(unknown) => return Ok(unknown),
        };
        if name == "abspath" {
            let folder = self.scope.faults().folder(self.position).unwrap_or_default();
            return self.weighed(Val::text(cleaned(&folder.join(&*path))));
        }
        let Some(rest) = path.strip_prefix('~') else { return Ok(Val::Text(path)) };
        if !(rest.is_empty() || rest.starts_with('/')) {
            let wrong = format!("`{name}` is given the home of another user; allowed: `~` alone, or `~/…`");
            return Err(Unknown::Wrong(wrong));
        }
        let Some(home) = std::env::var("HOME").ok().filter(|home| !home.is_empty()) else {
            return Err(Unknown::NotHere(format!(
                "`{name}` needs HOME, which is not set; allowed: a whole path"
            )));
        };
        let path = PathBuf::from(home).join(rest.trim_start_matches('/'));
        self.weighed(Val::text(cleaned(&path)))
    }

    pub(super) fn path_of(
        &self,
        name: &str,
        path: &RawExpression,
        env: &Env,
    ) -> Result<Result<PathBuf, Val>, Unknown> {
        let folder = || self.scope.faults().folder(self.position).unwrap_or_default();
        Ok(self.written_path(name, path, env)?.map(|path| folder().join(&*path)))
    }

    fn written_path(
        &self,
        name: &str,
        path: &RawExpression,
        env: &Env,
    ) -> Result<Result<Rc<str>, Val>, Unknown> {
        match self.value(path, env)? {
            Val::Text(path) if !path.contains('\0') => Ok(Ok(path)),
            unknown if unknown.unknown().is_some() => {
                Ok(Err(Val::Unknown(unknown.unknown().unwrap_or_default())))
            }
            other => {
                let wrong = format!("`{name}` is given {}; allowed: the path of a file", other.kind());
                Err(Unknown::Wrong(wrong))
            }
        }
    }

    pub(super) fn read(&self, name: &str, path: &std::path::Path) -> Result<Vec<u8>, Unknown> {
        self.charge(1000)?;
        regular_file::read(path, MAX_FILE).map(|(bytes, _)| bytes).map_err(|fault| {
            let path = shown(&path.to_string_lossy());
            Unknown::Wrong(format!(
                "`{name}` cannot read {path}: {fault}; allowed: a regular file of at most {MAX_FILE} bytes"
            ))
        })
    }

    pub(super) fn text_of(
        &self,
        name: &str,
        path: &std::path::Path,
        bytes: Vec<u8>,
    ) -> Result<String, Unknown> {
        self.charge(bytes.len() / 64)?;
        String::from_utf8(bytes).map_err(|_| {
            let path = shown(&path.to_string_lossy());
            Unknown::Wrong(format!("`{name}`: {path} is no text; allowed: text in UTF-8"))
        })
    }
}

/// A path without empty steps, `.` and `..`, as Go's filepath.Clean makes it.
fn cleaned(path: &Path) -> String {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => drop(clean.pop()),
            part => clean.push(part),
        }
    }
    clean.to_string_lossy().into_owned()
}
