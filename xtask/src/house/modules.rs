//! Reads a crate's files into a tree of modules: what each defines, imports and mentions. Knows syntax, and no rooms.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use proc_macro2::{TokenStream, TokenTree};
use syn::{Attribute, Item, ItemMod, UseTree, Visibility, spanned::Spanned, visit::Visit};

use super::{
    paths::{Mentions, is_test},
    types::{self, Declared},
};

/// A module's path from the root of its crate: empty for the root.
pub(super) type ModulePath = Vec<String>;

/// A file of source.
#[derive(Debug)]
pub(super) struct File {
    /// From the folder of the source, as in `http/plan.rs`.
    pub(super) path: String,
    pub(super) lines: usize,
    /// Where `unsafe` stands in it, tests included.
    pub(super) unsafe_lines: Vec<usize>,
}

/// A name that `use` brings into a module.
#[derive(Debug, Clone)]
pub(super) struct Import {
    /// What it is called here; none for `*`.
    pub(super) name: Option<String>,
    pub(super) path: Vec<String>,
    pub(super) line: usize,
    /// It is there for other modules: no import of this one, unless this one mentions it.
    pub(super) exported: bool,
}

/// A module that is no test.
#[derive(Default)]
pub(super) struct Module {
    /// The path of its file.
    pub(super) file: String,
    pub(super) children: BTreeSet<String>,
    pub(super) defined: BTreeSet<String>,
    pub(super) types: Vec<Declared>,
    pub(super) imports: Vec<Import>,
    pub(super) mentions: Mentions,
}

/// The modules of a crate and every file in its folder.
#[derive(Default)]
pub(super) struct Tree {
    pub(super) modules: BTreeMap<ModulePath, Module>,
    files: BTreeMap<String, File>,
}

impl Tree {
    /// Reads a crate whose root is `lib.rs` in `folder`.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let mut tree = Self::default();
        let mut sources = BTreeMap::new();
        for path in rust_files(folder)? {
            let shown = path.strip_prefix(folder)?.to_string_lossy().into_owned();
            let text =
                fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let unparsed = || format!("cannot parse {}", path.display());
            let tokens: TokenStream = syn::parse_str(&text).with_context(unparsed)?;
            let file = File {
                path: shown.clone(),
                lines: text.lines().count(),
                unsafe_lines: unsafe_lines(tokens.clone()),
            };
            let syntax: syn::File = syn::parse2(tokens).with_context(unparsed)?;
            tree.files.insert(shown.clone(), file);
            sources.insert(shown, syntax);
        }
        let root = sources.get("lib.rs").context("there is no lib.rs")?;
        tree.add(&sources, Vec::new(), "lib.rs", &root.items)?;
        Ok(tree)
    }

    pub(super) fn files(&self) -> impl Iterator<Item = &File> {
        self.files.values()
    }

    fn add(
        &mut self,
        sources: &BTreeMap<String, syn::File>,
        path: ModulePath,
        file: &str,
        items: &[Item],
    ) -> Result<()> {
        let mut module = Module { file: file.to_owned(), ..Module::default() };
        for item in items.iter().filter(|item| !is_test(attributes(item))) {
            match item {
                Item::Mod(inner) => {
                    let child = [path.as_slice(), &[inner.ident.to_string()]].concat();
                    self.add_child(sources, child, file, inner)?;
                    module.children.insert(inner.ident.to_string());
                }
                Item::Use(item) => module.add_use(item),
                _ => {
                    module.defined.extend(name(item));
                    module.types.extend(types::declared_by(item));
                    module.mentions.visit_item(item);
                }
            }
        }
        let inner = std::mem::take(&mut module.mentions.uses);
        inner.iter().for_each(|item| module.add_use(item));
        self.modules.insert(path, module);
        Ok(())
    }

    fn add_child(
        &mut self,
        sources: &BTreeMap<String, syn::File>,
        path: ModulePath,
        file: &str,
        module: &ItemMod,
    ) -> Result<()> {
        if let Some((_, items)) = &module.content {
            return self.add(sources, path, file, items);
        }
        let file = format!("{}.rs", path.join("/"));
        let source = sources.get(&file).with_context(|| format!("there is no {file}"))?;
        self.add(sources, path, &file, &source.items)
    }
}

impl Module {
    fn add_use(&mut self, item: &syn::ItemUse) {
        let exported = !matches!(item.vis, Visibility::Inherited);
        self.add_tree(&item.tree, &[], exported);
    }

    fn add_tree(&mut self, tree: &UseTree, before: &[String], exported: bool) {
        let line = tree.span().start().line;
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        let (name, path) = match tree {
            UseTree::Path(path) => return self.add_tree(&path.tree, &with(&path.ident), exported),
            UseTree::Group(group) => {
                return group.items.iter().for_each(|tree| self.add_tree(tree, before, exported));
            }
            UseTree::Glob(_) => (None, before.to_vec()),
            UseTree::Name(name) if name.ident == "self" => (before.last().cloned(), before.to_vec()),
            UseTree::Name(name) => (Some(name.ident.to_string()), with(&name.ident)),
            UseTree::Rename(rename) if rename.ident == "self" => {
                (Some(rename.rename.to_string()), before.to_vec())
            }
            UseTree::Rename(rename) => (Some(rename.rename.to_string()), with(&rename.ident)),
        };
        self.imports.push(Import { name, path, line, exported });
    }
}

/// Every file of Rust in a folder and below.
fn rust_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(rust_files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    Ok(files)
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// The name that an item defines, if it does.
fn name(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

/// The lines where `unsafe` is written.
fn unsafe_lines(tokens: TokenStream) -> Vec<usize> {
    let lines = tokens.into_iter().flat_map(|token| match token {
        TokenTree::Group(group) => unsafe_lines(group.stream()),
        TokenTree::Ident(ident) if ident == "unsafe" => vec![ident.span().start().line],
        _ => Vec::new(),
    });
    lines.collect()
}
