//! Machines that programs are built for which are not this one, and the tools that it takes. Must not know: what is built.

use std::{process::Command, str::FromStr};

use anyhow::{Result, bail};

use crate::shell;

/// A kind of machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Machine {
    triple: &'static str,
    /// What tools of binutils and gcc are called by.
    prefix: &'static str,
    /// As Debian and OCI call it.
    architecture: &'static str,
    /// Debian's package of its tools.
    tools: &'static str,
    /// As rustc calls its processor.
    processor: &'static str,
}

/// All that are known.
const MACHINES: [Machine; 2] = [
    Machine {
        triple: "x86_64-unknown-linux-gnu",
        prefix: "x86_64-linux-gnu",
        architecture: "amd64",
        tools: "gcc-x86-64-linux-gnu",
        processor: "x86_64",
    },
    Machine {
        triple: "aarch64-unknown-linux-gnu",
        prefix: "aarch64-linux-gnu",
        architecture: "arm64",
        tools: "gcc-aarch64-linux-gnu",
        processor: "aarch64",
    },
];

impl FromStr for Machine {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = MACHINES.map(|machine| machine.triple).join(", ");
        let found = MACHINES.into_iter().find(|machine| machine.triple == text);
        found.ok_or_else(|| format!("no machine that is known; allowed: {known}"))
    }
}

impl Machine {
    pub(crate) fn triple(self) -> &'static str {
        self.triple
    }

    /// As Debian and OCI call it.
    pub(crate) fn architecture(self) -> &'static str {
        self.architecture
    }

    /// Whether its programs run here.
    pub(crate) fn is_this(self) -> bool {
        self.processor == std::env::consts::ARCH
    }

    /// Has a command of cargo's build for it.
    ///
    /// # Errors
    /// The compiler of its C is missing.
    pub(crate) fn have_built(self, cargo: &mut Command) -> Result<()> {
        cargo.args(["--target", self.triple]);
        if self.is_this() {
            return Ok(());
        }
        let gcc = format!("{}-gcc", self.prefix);
        if shell::find_program(&gcc).is_none() {
            bail!("{gcc} is missing: apt-get install {}", self.tools);
        }
        let name = self.triple.replace('-', "_");
        cargo
            .env(format!("CARGO_TARGET_{}_LINKER", name.to_uppercase()), &gcc)
            .env(format!("CC_{name}"), &gcc);
        Ok(())
    }
}

/// What a tool of binutils is called that knows programs of these machines; none: of this one.
pub(crate) fn tool(target: Option<Machine>, name: &str) -> String {
    match target {
        Some(machine) if !machine.is_this() => format!("{}-{name}", machine.prefix),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_are_known_by_their_triples() {
        let machine: Machine = "aarch64-unknown-linux-gnu".parse().unwrap();
        assert_eq!(machine.architecture(), "arm64");
        let own = MACHINES.into_iter().filter(|machine| machine.is_this()).count();
        assert!(own <= 1, "{}", std::env::consts::ARCH);
        let other = MACHINES.into_iter().find(|machine| !machine.is_this()).unwrap();
        assert_eq!(tool(Some(other), "objcopy"), format!("{}-objcopy", other.prefix));
        assert_eq!(tool(None, "objcopy"), "objcopy");
        assert!("z80-unknown-linux".parse::<Machine>().unwrap_err().contains("allowed: x86_64"));
    }
}
