//! `-var` and `-var-file` of commands that load a configuration. Must not know: what any variable is for.

use std::{ffi::OsString, path::PathBuf};

use crate::config::{self, GivenVariables};

/// Values of variables, as Terraform takes them.
#[derive(Debug, clap::Args)]
pub(super) struct VariableArguments {
    /// The value of a variable; it counts before files. Also by the environment: TF_VAR_NAME
    #[arg(long, value_name = "NAME=VALUE", value_parser = named_value)]
    var: Vec<String>,
    /// A file of values of variables (.tfvars, .tfvars.json)
    #[arg(long, value_name = "FILE")]
    var_file: Vec<PathBuf>,
}

impl VariableArguments {
    /// Lets them count for the configurations that are loaded.
    pub(super) fn give(self) {
        config::give_variables(GivenVariables { values: self.var, files: self.var_file });
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
