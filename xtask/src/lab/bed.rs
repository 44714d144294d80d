//! Where a scenario takes place: a folder of its own, and the balancer that is run. Must not know: scenarios.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::bench;

/// Removed when dropped.
pub(crate) struct Bed {
    folder: PathBuf,
    /// The program.
    pub(crate) balancer: PathBuf,
}

impl Bed {
    /// A folder named after the scenario, and this balancer, or one that is built for it.
    pub(crate) fn make(scenario: &str, balancer: Option<&Path>) -> Result<Self> {
        let balancer = bench::built(balancer)?;
        let balancer = balancer.canonicalize().with_context(|| balancer.display().to_string())?;
        let folder = std::env::temp_dir().join(format!("balancer-lab-{scenario}-{}", std::process::id()));
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        Ok(Self { folder, balancer })
    }

    /// A folder in it, made if it is not there.
    pub(crate) fn folder(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.join(name);
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        Ok(folder)
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        // What is left over in a temporary folder is no reason to fail.
        fs::remove_dir_all(&self.folder).unwrap_or_default();
    }
}
