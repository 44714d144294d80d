//! Values of variables from outside of the folder: the environment (`TF_VAR_NAME`), `-var NAME=VALUE` and `-var-file`, by
//! Terraform's rules. Must not know what any variable is for.

use std::{
    path::{Path, PathBuf},
    sync::{OnceLock, PoisonError, RwLock},
};

use super::{
    fault::Faults,
    raw::{self, RawAttribute, RawBlock, RawBody, RawExpression, RawValue},
    roles::Giver,
    source::Position,
};

/// What the names of the environment begin with.
const PREFIX: &str = "TF_VAR_";
/// What stands before a value of the command line.
const OPTION: &str = "-var ";
/// They count before all files, and after them.
const RANK_OF_ENVIRONMENT: u8 = 0;
pub(super) const RANK_OF_COMMAND_LINE: u8 = 4;
/// Most values that are taken from the environment.
const MAX_VALUES: usize = 1000;

/// What the command line says of variables. Of several the last one counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GivenVariables {
    /// `NAME=VALUE`.
    Value(String),
    /// A file of values.
    File(PathBuf),
}

/// The command line counts for the process, like its environment: a reload goes by it again.
fn of_process() -> &'static RwLock<Vec<GivenVariables>> {
    static GIVEN: OnceLock<RwLock<Vec<GivenVariables>>> = OnceLock::new();
    GIVEN.get_or_init(RwLock::default)
}

/// Says what the command line has said of variables, in its order, for all configurations that this process loads from now on.
pub fn give_variables(given: Vec<GivenVariables>) {
    *of_process().write().unwrap_or_else(PoisonError::into_inner) = given;
}

/// What the command line says, in its order.
pub(super) fn of_command_line() -> Vec<GivenVariables> {
    of_process().read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// A value that is given, under the name of who gives it.
pub(super) struct Given {
    pub(super) giver: Giver,
    pub(super) name: String,
    pub(super) text: String,
}

/// All values of the environment, by name. What is no text is left out.
pub(super) fn of_environment() -> Vec<Given> {
    let values = std::env::vars_os().filter_map(|(name, value)| {
        let name = name.into_string().ok()?.strip_prefix(PREFIX)?.to_owned();
        Some(Given { giver: Giver::Environment, name, text: value.into_string().ok()? })
    });
    let mut given: Vec<Given> = values.take(MAX_VALUES).collect();
    given.sort_by(|one, other| one.name.cmp(&other.name));
    given
}

impl Given {
    /// `NAME=VALUE` of the command line.
    pub(super) fn written(value: &str) -> Self {
        let (name, text) = value.split_once('=').unwrap_or((value, ""));
        Self { giver: Giver::CommandLine, name: name.trim().to_owned(), text: text.to_owned() }
    }

    /// The value of a file that is named as [`Given::path`] names it.
    pub(super) fn of_file(giver: Giver, path: &Path, text: &str) -> Self {
        let path = path.to_string_lossy();
        let name = path.strip_prefix(PREFIX).or_else(|| path.strip_prefix(OPTION)).unwrap_or_default();
        Self { giver, name: name.to_owned(), text: text.to_owned() }
    }

    /// Which of several values counts: the one with the highest rank.
    pub(super) fn rank(&self) -> u8 {
        match self.giver {
            Giver::Environment => RANK_OF_ENVIRONMENT,
            Giver::CommandLine => RANK_OF_COMMAND_LINE,
        }
    }

    /// What its place is called in messages.
    pub(super) fn path(&self) -> PathBuf {
        match self.giver {
            Giver::Environment => format!("{PREFIX}{}", self.name).into(),
            Giver::CommandLine => format!("{OPTION}{}", self.name).into(),
        }
    }

    /// The value as a file of values would have it: a text for a variable whose type is one word or none, else what it is
    /// as an expression. Nothing where there is no such variable.
    pub(super) fn body(&self, file: usize, bodies: &[RawBody], faults: &Faults<'_>) -> RawBody {
        let position = Position { file, offset: 0 };
        let mut blocks = bodies.iter().flat_map(|body| &body.blocks);
        let is_named = |block: &&RawBlock| {
            block.kind == "variable" && block.labels.first().is_some_and(|(label, _)| *label == self.name)
        };
        let Some(variable) = blocks.find(is_named) else {
            if self.giver == Giver::CommandLine && !faults.is_partial() {
                faults.add(position, "there is no such variable; allowed: variables of the configuration");
            }
            return RawBody::default();
        };
        let expression = match is_simple(variable) {
            true => RawExpression::Text(self.text.clone()),
            false => match raw::convert::expression(&self.text, position) {
                Some(expression) => expression,
                None => {
                    faults.add(
                        position,
                        "the value is no expression; allowed: a list, a map, a text in quotes",
                    );
                    RawExpression::Unread
                }
            },
        };
        let value = RawValue { position, expression };
        let attribute = RawAttribute { name: self.name.clone(), position, value, is_no_block: false };
        RawBody { attributes: vec![attribute], blocks: Vec::new() }
    }
}

/// Whether the type of a variable is one word, or not said.
fn is_simple(variable: &RawBlock) -> bool {
    let kind = variable.body.attributes.iter().find(|attribute| attribute.name == "type");
    let is_word = |word: &str| matches!(word, "string" | "number" | "bool");
    kind.is_none_or(|kind| match &kind.value.expression {
        RawExpression::Path(path, steps) => {
            steps.is_empty() && path.first().is_some_and(|word| is_word(word))
        }
        RawExpression::Text(word) => is_word(word),
        _ => false,
    })
}
