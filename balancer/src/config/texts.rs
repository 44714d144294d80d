//! The texts of a configuration as they were read, so that they can be validated again, beside others. Must not know HCL.

use std::path::{Path, PathBuf};

use super::{
    add_given,
    error::{ConfigError, ConfigErrors},
    examine, modules,
    roles::{self, Role, Syntax},
    source::{self, API_DOCUMENT},
};
use crate::model::Configuration;

/// The texts, and what could not be read of them.
#[derive(Clone, Debug, Default)]
pub struct ConfigTexts {
    pub(super) files: Vec<(PathBuf, String)>,
    pub(super) roles: Vec<(Role, Syntax)>,
    pub(super) errors: Vec<ConfigError>,
    pub(super) remarks: Vec<String>,
}

/// Reads and validates the configuration at `path`: a file, or a folder whose `*.hcl`, `*.tf` and `*.tf.json` files,
/// sorted by name, make one configuration; `*.tfvars` and override files count as they do for Terraform.
///
/// # Errors
/// Every fault found: a file that cannot be read, text that is no HCL, and whatever the model does not allow.
pub fn load(path: &Path) -> Result<Configuration, ConfigErrors> {
    ConfigTexts::of_files(path).load(None)
}

impl ConfigTexts {
    /// Those at `path`, a file or a folder.
    #[must_use]
    pub fn of_files(path: &Path) -> Self {
        let source::Read { mut files, mut errors, remarks, is_folder } = source::read(path);
        let mut roles = if is_folder { roles::in_one_folder(&files) } else { roles::given(&files) };
        if is_folder {
            let (more, of_modules) = modules::read(&files, &mut errors);
            files.extend(more);
            roles.extend(of_modules);
        }
        add_given(&mut files, &mut roles, &mut errors);
        Self { files, roles, errors, remarks: remarks.iter().map(ToString::to_string).collect() }
    }

    /// Validates them as one configuration. `made`: the document of what was made through the ELBv2 API, if there is one.
    ///
    /// # Errors
    /// Every fault found, in what could be read and of what could not.
    pub fn load(&self, made: Option<&str>) -> Result<Configuration, ConfigErrors> {
        let both = made.map(|made| {
            let mut files = self.files.clone();
            files.push((API_DOCUMENT.into(), made.to_owned()));
            (files, [self.roles.as_slice(), &[(Role::Blocks, Syntax::Json)]].concat())
        });
        let (files, roles) =
            both.as_ref().map_or((&self.files, &self.roles), |(files, roles)| (files, roles));
        if self.errors.is_empty() {
            let mut configuration = examine(files, roles.clone(), false)?;
            let told = self.remarks.iter().cloned();
            configuration.remarks = told.chain(std::mem::take(&mut configuration.remarks)).collect();
            return Ok(configuration);
        }
        // What could be read is still checked, but a reference may lead into what could not: those are not judged.
        let mut all = self.errors.clone();
        all.extend(examine(files, roles.clone(), true).err().map(|errors| errors.0).unwrap_or_default());
        Err(ConfigErrors::sorted(all))
    }
}
