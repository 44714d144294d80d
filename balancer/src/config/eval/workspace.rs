//! Which workspace Terraform would be in (Terraform: State, Workspaces). Must not know: what is made of its name.

use std::{env, fs::File, io::Read as _, path::Path};

/// The one that there is before any is made.
pub(super) const DEFAULT: &str = "default";

/// What is told where nobody says which it is.
pub(super) const TAKEN_FOR_DEFAULT: &str = "`terraform.workspace` is taken for \"default\", as Terraform does where no other is \
     selected; allowed: `TF_WORKSPACE` in the environment, or \"terraform.workspace\" under `terraform_values` of the `balancer` block";

/// Most bytes of a name.
const MAX_NAME: u64 = 256;

/// Whether a file of this name is one of Terraform's.
pub(super) fn is_of_terraform(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with(".tf") || name.ends_with(".tf.json")
}

/// The one that the environment names, which goes before all else.
pub(super) fn of_environment() -> Option<String> {
    env::var("TF_WORKSPACE").ok().filter(|name| !name.is_empty())
}

/// The one that was selected in a folder (`terraform workspace select`), if it can be read.
pub(super) fn selected(folder: &Path) -> Option<String> {
    let mut name = String::new();
    let file = File::open(folder.join(".terraform/environment")).ok()?;
    file.take(MAX_NAME).read_to_string(&mut name).ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}
