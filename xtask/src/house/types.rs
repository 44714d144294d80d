//! The names of types: one name is one thing in the whole crate. Knows no rooms, and nothing of what is inside of functions.

use std::collections::BTreeMap;

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::{Item, ItemMacro};

/// A type, a trait or an alias that a module declares.
#[derive(Debug)]
pub(super) struct Declared {
    pub(super) name: String,
    pub(super) line: usize,
}

impl Declared {
    fn new(ident: &Ident) -> Self {
        Self { name: ident.to_string(), line: ident.span().start().line }
    }
}

/// What an item declares: one type, or what is written at the top of what a macro is handed.
pub(super) fn declared_by(item: &Item) -> Vec<Declared> {
    let ident = match item {
        Item::Enum(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        Item::Union(item) => &item.ident,
        Item::Macro(item) => return handed_to(item),
        _ => return Vec::new(),
    };
    vec![Declared::new(ident)]
}

/// The definition of a macro names no types of its own: what is within it stands for those of its callers.
fn handed_to(item: &ItemMacro) -> Vec<Declared> {
    if item.ident.is_some() { Vec::new() } else { within(item.mac.tokens.clone()) }
}

fn within(tokens: TokenStream) -> Vec<Declared> {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let pairs = tokens.windows(2).filter_map(|pair| match pair {
        [TokenTree::Ident(keyword), TokenTree::Ident(name)] if is_keyword(keyword) => {
            Some(Declared::new(name))
        }
        _ => None,
    });
    pairs.collect()
}

fn is_keyword(ident: &Ident) -> bool {
    ["enum", "struct", "trait", "type", "union"].iter().any(|keyword| ident == keyword)
}

/// Names that more than one file declares. Each is told once, with every place.
pub(super) fn in_several_files<'t>(declared: impl Iterator<Item = (&'t str, &'t Declared)>) -> Vec<String> {
    let mut places: BTreeMap<&str, BTreeMap<&str, usize>> = BTreeMap::new();
    for (file, declared) in declared {
        places.entry(&declared.name).or_default().entry(file).or_insert(declared.line);
    }
    places.retain(|_, files| files.len() > 1);
    let told = places.iter().map(|(name, files)| {
        let files: Vec<String> = files.iter().map(|(file, line)| format!("{file}:{line}")).collect();
        format!("`{name}` is the name of several types: {}", files.join(", "))
    });
    told.collect()
}
