//! What a file of a folder is by its name: blocks, overrides, values of variables, as Terraform goes by names too.
//! Must not know what stands in it.

use std::path::{Path, PathBuf};

/// Where the value of a variable comes from that stands in no file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Giver {
    Environment,
    CommandLine,
}

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Blocks.
    Blocks,
    /// Blocks that are put over those of other files.
    Override,
    /// Values of variables. Of several files the one with the highest rank counts, and of those the last.
    Variables { rank: u8 },
    /// The value of a variable from outside of the folder.
    Given(Giver),
    /// Values of variables that Terraform takes only where it is told to.
    NamedVariables,
    /// Blocks of a module, whose folder is another one.
    Module { is_override: bool },
    /// What sets variables or replaces files by rules of its own.
    OtherTool(&'static str),
}

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Syntax {
    Hcl,
    Json,
}

/// What a file of a folder is; nothing when it says nothing of the configuration. Hidden files and copies that editors
/// leave behind are left out, as Terraform leaves them out (its lock file is hidden); but for `*.auto.tfvars`, which it
/// takes by their end alone.
pub(super) fn in_folder(file: &Path) -> Option<(Role, Syntax)> {
    let name = file.file_name()?.to_string_lossy();
    let name = name.as_ref();
    let is_taken_by_its_end = [".auto.tfvars", ".auto.tfvars.json"].iter().any(|end| name.ends_with(end));
    let is_hidden = name.starts_with('.') && !is_taken_by_its_end;
    if is_hidden || name.ends_with('~') || (name.starts_with('#') && name.ends_with('#')) {
        return None;
    }
    if name == "terragrunt.hcl" || name == "terragrunt.hcl.json" {
        return Some((Role::OtherTool("Terragrunt"), Syntax::Hcl));
    }
    let (stem, syntax) = name.strip_suffix(".json").map_or((name, Syntax::Hcl), |stem| (stem, Syntax::Json));
    let (stem, extension) = stem.rsplit_once('.')?;
    let role = match extension {
        "tofu" => Role::OtherTool("OpenTofu"),
        "tfvars" if stem == "terraform" && syntax == Syntax::Hcl => Role::Variables { rank: 1 },
        "tfvars" if stem == "terraform" => Role::Variables { rank: 2 },
        "tfvars" if stem.ends_with(".auto") => Role::Variables { rank: 3 },
        "tfvars" => Role::NamedVariables,
        // Tests, their stand-ins, and queries of Terraform.
        "hcl" if [".tftest", ".tfmock", ".tfquery"].iter().any(|kind| stem.ends_with(kind)) => return None,
        "hcl" if syntax == Syntax::Json => return None,
        "tf" | "hcl" if stem == "override" || stem.ends_with("_override") => Role::Override,
        "tf" | "hcl" => Role::Blocks,
        _ => return None,
    };
    Some((role, syntax))
}

/// What each of the files given is. A file that is given alone is blocks, whatever its name.
pub(super) fn given(files: &[(PathBuf, String)]) -> Vec<(Role, Syntax)> {
    if let [(file, _)] = files {
        let is_json = file.extension().is_some_and(|extension| extension == "json");
        return vec![(Role::Blocks, if is_json { Syntax::Json } else { Syntax::Hcl })];
    }
    in_one_folder(files)
}

/// What each of the files of a folder is, be it the only one that could be read: by its name.
pub(super) fn in_one_folder(files: &[(PathBuf, String)]) -> Vec<(Role, Syntax)> {
    files.iter().map(|(file, _)| in_folder(file).unwrap_or((Role::Blocks, Syntax::Hcl))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_files_are() {
        use Role::{Blocks, NamedVariables, OtherTool, Override, Variables};
        use Syntax::{Hcl, Json};
        for (name, expected) in [
            ("main.tf", Some((Blocks, Hcl))),
            ("a.b.hcl", Some((Blocks, Hcl))),
            ("rules.tf.json", Some((Blocks, Json))),
            ("override.tf", Some((Override, Hcl))),
            ("local_override.hcl", Some((Override, Hcl))),
            ("x_override.tf.json", Some((Override, Json))),
            ("my-override.tf", Some((Blocks, Hcl))),
            ("terraform.tfvars", Some((Variables { rank: 1 }, Hcl))),
            ("terraform.tfvars.json", Some((Variables { rank: 2 }, Json))),
            ("a.auto.tfvars", Some((Variables { rank: 3 }, Hcl))),
            ("a.auto.tfvars.json", Some((Variables { rank: 3 }, Json))),
            (".auto.tfvars", Some((Variables { rank: 3 }, Hcl))),
            (".auto.tfvars.json", Some((Variables { rank: 3 }, Json))),
            (".prod.auto.tfvars", Some((Variables { rank: 3 }, Hcl))),
            (".auto.tfvars~", None),
            (".terraform.tfvars", None),
            ("prod.tfvars", Some((NamedVariables, Hcl))),
            ("prod.tfvars.json", Some((NamedVariables, Json))),
            ("main.tofu", Some((OtherTool("OpenTofu"), Hcl))),
            ("terragrunt.hcl", Some((OtherTool("Terragrunt"), Hcl))),
            (".terraform.lock.hcl", None),
            ("main.tf~", None),
            ("#main.tf#", None),
            ("main.tftest.hcl", None),
            ("main.tf.bak", None),
            ("package.json", None),
            ("README.md", None),
            ("tf", None),
        ] {
            assert_eq!(in_folder(Path::new("/x").join(name).as_path()), expected, "{name}");
        }
    }
}
