//! Which file imports which: each import and path followed to the file that defines what it names, through whatever
//! hands the name on (`pub use`).

use std::collections::BTreeMap;

use super::modules::{ModulePath, Tree};

/// One file's import of another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Arrow {
    pub(super) line: usize,
    /// As it is written.
    pub(super) path: String,
}

/// By importing file, by imported file: where it does so first.
pub(super) type Imports = BTreeMap<String, BTreeMap<String, Arrow>>;

/// The imports of a crate's files.
pub(super) fn of(tree: &Tree) -> Imports {
    let mut imports = Imports::new();
    for (here, module) in &tree.modules {
        let uses = module.imports.iter().filter(|import| match &import.name {
            Some(name) => !import.exported || module.mentions.names.contains(name),
            None => !import.exported,
        });
        // A module that is imported is a name for what is in it: what counts is what is mentioned of it.
        let uses = uses.filter_map(|import| {
            let (defines, whole) = resolve(tree, here, &import.path, FUEL)?;
            (import.name.is_none() || !whole).then_some((defines, &import.path, import.line))
        });
        let paths = module.mentions.paths.iter();
        let paths = paths.filter_map(|(path, line)| {
            let (defines, whole) = resolve(tree, here, path, FUEL)?;
            (!whole).then_some((defines, path, *line))
        });
        for (defines, path, line) in uses.chain(paths) {
            let Some(defines) = tree.modules.get(&defines) else { continue };
            if defines.file == module.file {
                continue;
            }
            let arrow = Arrow { line, path: path.join("::") };
            let arrows = imports.entry(module.file.clone()).or_default();
            let first = arrows.entry(defines.file.clone()).or_insert_with(|| arrow.clone());
            if line < first.line {
                *first = arrow;
            }
        }
    }
    imports
}

/// How many times a name may be handed on: more is a name that leads to itself.
const FUEL: usize = 32;

/// The module that defines what a path names, and whether it is that module itself; none when it is of another crate.
fn resolve(tree: &Tree, here: &ModulePath, path: &[String], fuel: usize) -> Option<(ModulePath, bool)> {
    let fuel = fuel.checked_sub(1)?;
    let mut at = here.clone();
    let mut rest = path;
    while let [first, others @ ..] = rest {
        match first.as_str() {
            "crate" => at.clear(),
            "self" => {}
            "super" => {
                at.pop()?;
            }
            _ => break,
        }
        rest = others;
    }
    loop {
        let Some((name, others)) = rest.split_first() else { return Some((at, true)) };
        let module = tree.modules.get(&at)?;
        if module.children.contains(name) {
            at.push(name.clone());
            rest = others;
            continue;
        }
        if module.defined.contains(name) {
            return Some((at, false));
        }
        if let Some(import) = module.imports.iter().find(|import| import.name.as_ref() == Some(name)) {
            let path = [import.path.as_slice(), others].concat();
            return resolve(tree, &at, &path, fuel);
        }
        let globs = module.imports.iter().filter(|import| import.name.is_none());
        return globs.into_iter().find_map(|glob| {
            let path = [glob.path.as_slice(), rest].concat();
            resolve(tree, &at, &path, fuel)
        });
    }
}
