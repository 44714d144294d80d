//! Faults in a configuration: how they are collected, sorted and shown.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    path::{Path, PathBuf},
};

use super::{
    error::{ConfigError, ConfigErrors},
    source::{API_DOCUMENT, Position, SourceFile},
};
use crate::model::Configuration;

/// Most faults kept; a configuration with more is not the one that was meant.
const MAX_FAULTS: usize = 1000;
/// Most attributes of a block that one fault names.
const MAX_TOGETHER: usize = 8;
/// Longest message in characters.
const MAX_MESSAGE: usize = 1000;

/// What is said of blocks that are written once and are several.
const OF_OTHERS: &str = " (and the same of others that stand here)";

/// Whether the messages differ by nothing but what stands in brackets, as indices do; then, whether it is the first that does.
fn differs_by_index(one: &str, other: &str) -> Option<bool> {
    let without = |message: &str| {
        let mut depth = 0_usize;
        let mut kept = String::new();
        for letter in message.chars() {
            match letter {
                '[' => depth += 1,
                ']' => depth = depth.saturating_sub(1),
                _ if depth == 0 => kept.push(letter),
                _ => {}
            }
        }
        kept
    };
    let first = one.strip_suffix(OF_OTHERS);
    let shown = first.unwrap_or(one);
    (shown != other && without(shown) == without(other)).then_some(first.is_none())
}

/// Which fault tells of a reason, and the positions that it names.
type ToldFault = (usize, Vec<Position>);

/// Collects faults while files are read; shared by all that reads them.
pub(super) struct Faults<'a> {
    sources: &'a [SourceFile<'a>],
    found: RefCell<Vec<ConfigError>>,
    left_out: Cell<usize>,
    partial: Cell<bool>,
    /// What was told of blocks and may be told again of them: the fault, and what it was told of.
    causes: RefCell<HashMap<(Position, String), ToldFault>>,
    remarks: RefCell<Vec<ConfigError>>,
    named_files: RefCell<Vec<PathBuf>>,
}

impl<'a> Faults<'a> {
    pub(super) fn new(sources: &'a [SourceFile<'a>], partial: bool) -> Self {
        Self {
            sources,
            found: RefCell::default(),
            left_out: Cell::new(0),
            partial: Cell::new(partial),
            causes: RefCell::default(),
            remarks: RefCell::default(),
            named_files: RefCell::default(),
        }
    }

    /// Adds a fault.
    pub(super) fn add(&self, position: Position, message: impl Into<String>) {
        let mut found = self.found.borrow_mut();
        if found.len() >= MAX_FAULTS {
            self.left_out.set(self.left_out.get() + 1);
        } else {
            let (file, line, column) = self.locate(position);
            let message = printable(&message.into());
            let before = found
                .last_mut()
                .filter(|last| (last.line, last.column) == (line, column) && last.file == file);
            // What is wrong with one of several blocks that are written once is wrong with the others for the same reason.
            if let Some(before) = before
                && let Some(first) = differs_by_index(&before.message, &message)
            {
                if first {
                    before.message.push_str(OF_OTHERS);
                }
                return;
            }
            found.push(ConfigError { file, line, column, message });
        }
    }

    /// Adds a fault of an attribute's value. What is wrong with several of a block for one reason is one fault, which
    /// names them all.
    pub(super) fn add_of_value(&self, block: Position, name: &str, position: Position, message: String) {
        let mut causes = self.causes.borrow_mut();
        if let Some((index, positions)) = causes.get_mut(&(block, message.clone())) {
            if !positions.contains(&position) && positions.len() < MAX_TOGETHER {
                positions.push(position);
                let (_, line, column) = self.locate(position);
                if let Some(fault) = self.found.borrow_mut().get_mut(*index) {
                    fault.message.push_str(&format!(" (and of `{name}` at {line}:{column})"));
                }
            }
            return;
        }
        let index = self.found.borrow().len();
        self.add(position, format!("`{name}`: {message}"));
        causes.insert((block, message), (index, vec![position]));
    }

    /// Notes what is no fault and yet has to be known.
    pub(super) fn note(&self, position: Position, message: impl Into<String>) {
        let mut remarks = self.remarks.borrow_mut();
        if remarks.len() < MAX_FAULTS {
            let (file, line, column) = self.locate(position);
            remarks.push(ConfigError { file, line, column, message: printable(&message.into()) });
        }
    }

    /// The same, unless it was noted before, wherever that was.
    pub(super) fn note_once(&self, position: Position, message: &str) {
        if !self.remarks.borrow().iter().any(|remark| remark.message == message) {
            self.note(position, message);
        }
    }

    /// Notes that the configuration names a file which is read along with it.
    pub(super) fn note_file(&self, file: &Path) {
        self.named_files.borrow_mut().push(file.to_owned());
    }

    /// The files that are noted so far.
    pub(super) fn named_files(&self) -> Vec<PathBuf> {
        self.named_files.borrow().clone()
    }

    /// Whether no fault was found.
    pub(super) fn is_empty(&self) -> bool {
        self.found.borrow().is_empty()
    }

    /// Notes that text could not be understood, so that what it would have defined is not known.
    pub(super) fn note_unread_text(&self) {
        self.partial.set(true);
    }

    /// Whether some of the configuration is not known: then a reference that leads nowhere is no fault.
    pub(super) fn is_partial(&self) -> bool {
        self.partial.get()
    }

    /// `file:line:column`, to point at an earlier position from within a message. Nobody can look at the document of what was
    /// made through the API: where in it something stands says nothing.
    pub(super) fn show(&self, position: Position) -> String {
        if self.is_of_api(position) {
            return "the state of the ELBv2 API".to_owned();
        }
        let (file, line, column) = self.locate(position);
        format!("{}:{line}:{column}", file.display())
    }

    /// What is written at a position and after it.
    pub(super) fn text(&self, position: Position) -> &'a str {
        self.sources
            .get(position.file)
            .and_then(|source| source.text().get(position.offset..))
            .unwrap_or_default()
    }

    /// The file that a position is in.
    pub(super) fn file(&self, position: Position) -> PathBuf {
        self.sources.get(position.file).map(|source| source.path().to_owned()).unwrap_or_default()
    }

    /// Whether a position is in the document of what was made through the API.
    pub(super) fn is_of_api(&self, position: Position) -> bool {
        self.sources.get(position.file).is_some_and(|source| source.path() == Path::new(API_DOCUMENT))
    }

    /// The folder that paths at a position go by, as an absolute path: that of the file, and in a module that of who calls it.
    pub(super) fn folder(&self, position: Position) -> Option<PathBuf> {
        let base = self.sources.get(position.file)?.base()?;
        let base = if base.as_os_str().is_empty() { Path::new(".") } else { base };
        std::path::absolute(base).ok()
    }

    /// Another one for the same files, for what is tried and not told.
    pub(super) fn quiet(&self) -> Self {
        Self::new(self.sources, true)
    }

    fn locate(&self, position: Position) -> (PathBuf, usize, usize) {
        self.sources.get(position.file).map_or((PathBuf::new(), 1, 1), |source| {
            let (line, column) = source.position(position.offset);
            (source.path().to_owned(), line, column)
        })
    }

    /// The configuration when no fault was found, else the faults.
    pub(super) fn into_result(self, mut configuration: Configuration) -> Result<Configuration, ConfigErrors> {
        let found = self.found.into_inner();
        if found.is_empty() {
            let remarks = ConfigErrors::sorted(self.remarks.into_inner());
            configuration.remarks.extend(remarks.0.iter().map(ToString::to_string));
            return Ok(configuration);
        }
        let mut errors = ConfigErrors::sorted(found);
        if let (left_out @ 1.., Some(last)) = (self.left_out.get(), errors.0.last()) {
            let message = format!("{left_out} more faults are not shown; mend these first");
            errors.0.push(ConfigError { message, ..last.clone() });
        }
        Err(errors)
    }
}

/// One line without control characters and of bearable length, whatever the names are that a user made up.
fn printable(message: &str) -> String {
    let escape = |letter: char| {
        let (kept, escaped) =
            if letter.is_control() { (None, Some(letter.escape_default())) } else { (Some(letter), None) };
        kept.into_iter().chain(escaped.into_iter().flatten())
    };
    let mut printable: String = message.chars().take(MAX_MESSAGE).flat_map(escape).collect();
    if message.chars().nth(MAX_MESSAGE).is_some() {
        printable.push('…');
    }
    printable
}
