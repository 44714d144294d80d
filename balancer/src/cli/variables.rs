//! `-var` and `-var-file` of commands that load a configuration, in the order in which they stand. Must not know: what any
//! variable is for.

use std::{ffi::OsString, path::PathBuf};

use clap::{ArgMatches, Args, Command, FromArgMatches, error::Error};

use crate::config::{self, GivenVariables};

/// As they are written, each by itself.
#[derive(Debug, Args)]
struct WrittenVariables {
    /// The value of a variable; of this and `--var-file` the last one counts. Also by the environment: TF_VAR_NAME
    #[arg(long, value_name = "NAME=VALUE", value_parser = named_value)]
    var: Vec<String>,
    /// A file of values of variables (.tfvars, .tfvars.json)
    #[arg(long, value_name = "FILE")]
    var_file: Vec<PathBuf>,
}

/// Values of variables, as Terraform takes them.
#[derive(Debug, Default)]
pub(super) struct VariableArguments(Vec<GivenVariables>);

impl VariableArguments {
    /// Lets them count for the configurations that are loaded.
    pub(super) fn give(self) {
        config::give_variables(self.0);
    }
}

impl FromArgMatches for VariableArguments {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let written = WrittenVariables::from_arg_matches(matches)?;
        let places = |name: &str| matches.indices_of(name).into_iter().flatten().collect::<Vec<_>>();
        let values = places("var").into_iter().zip(written.var.into_iter().map(GivenVariables::Value));
        let files =
            places("var_file").into_iter().zip(written.var_file.into_iter().map(GivenVariables::File));
        let mut all: Vec<(usize, GivenVariables)> = values.chain(files).collect();
        all.sort_by_key(|(place, _)| *place);
        Ok(Self(all.into_iter().map(|(_, one)| one).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for VariableArguments {
    fn augment_args(command: Command) -> Command {
        WrittenVariables::augment_args(command)
    }

    fn augment_args_for_update(command: Command) -> Command {
        WrittenVariables::augment_args_for_update(command)
    }
}

fn named_value(text: &str) -> Result<String, String> {
    match text.split_once('=') {
        Some((name, _)) if !name.trim().is_empty() => Ok(text.to_owned()),
        _ => Err("needs a name and a value; allowed: NAME=VALUE".to_owned()),
    }
}

/// `-var` and `-var-file` are written with one hyphen for Terraform.
pub(super) fn as_with_two_hyphens(argument: OsString) -> OsString {
    let is_ours = argument.to_str().is_some_and(|argument| {
        let name = argument.split('=').next().unwrap_or_default();
        matches!(name, "-var" | "-var-file")
    });
    if !is_ours {
        return argument;
    }
    let mut longer = OsString::from("-");
    longer.push(argument);
    longer
}
