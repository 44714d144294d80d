//! `balancer import`: an existing ALB, as Terraform or AWS knows it, as a configuration in the native words.
//! Must not know: what is running. It reads the files that it is given and nothing else.

mod aws;
mod aws_rules;
mod plan;
mod resource;
mod terraform;
mod writer;

use std::path::Path;

use serde_json::Value;

use super::source::other_encoding;
use crate::regular_file;

/// Most bytes of a file that is imported.
const MAX_FILE: u64 = 256 * 1024 * 1024;

/// Where what is imported comes from.
#[derive(Clone, Copy, Debug)]
pub enum ImportFrom<'p> {
    /// The output of `terraform show -json PLAN`.
    Plan(&'p Path),
    /// The output of `terraform show -json`.
    State(&'p Path),
    /// A folder with outputs of `aws elbv2 describe-*`.
    Aws(&'p Path),
}

/// A configuration that was made of what was found.
#[derive(Debug)]
pub struct Imported {
    /// The text, in HCL.
    pub text: String,
    /// What could not be taken along, each with its place; comments in the text say so, too.
    pub left: Vec<String>,
    /// How many load balancers, listeners, rules, groups and targets there are in it.
    pub blocks: usize,
}

/// Reads and translates.
///
/// # Errors
/// One line that says what is wrong and with which file.
pub fn import(from: ImportFrom<'_>) -> Result<Imported, String> {
    let of_file = |path: &Path, translate: fn(&Value) -> Result<resource::Haul, String>| {
        let root = read(path)?;
        translate(&root).map_err(|wrong| format!("{}: {wrong}", path.display()))
    };
    let mut found = match from {
        ImportFrom::Plan(path) => of_file(path, terraform::plan)?,
        ImportFrom::State(path) => of_file(path, terraform::state)?,
        ImportFrom::Aws(folder) => aws::folder(folder, read)?,
    };
    found.leave_out_others();
    found.label_all();
    let (text, left) = writer::write(&found);
    Ok(Imported { text, left, blocks: found.resources.len() })
}

/// What a file begins with that `terraform plan -out` has written.
const PLAN_FILE: &[u8] = b"PK\x03\x04";
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

fn read(path: &Path) -> Result<Value, String> {
    let shown = path.display();
    let (bytes, _) = regular_file::read(path, MAX_FILE).map_err(|fault| format!("{shown}: {fault}"))?;
    if bytes.starts_with(PLAN_FILE) {
        return Err(format!(
            "{shown}: is a plan as Terraform keeps it; allowed: the output of `terraform show -json {shown}`"
        ));
    }
    if let Some(encoding) = other_encoding(&bytes) {
        return Err(format!("{shown}: is text in {encoding}; allowed: JSON in UTF-8"));
    }
    let text = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&bytes);
    if text.trim_ascii().is_empty() {
        return Err(format!("{shown}: is empty; allowed: JSON"));
    }
    serde_json::from_slice(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        format!("{shown}:{line}:{column}: no JSON; allowed: what `terraform show -json` or `aws --output json` writes")
    })
}
