//! `cargo xtask check-advisories`: the versions of `Cargo.lock` held against `.ci/advisories`, a list of advisories that
//! are known here and once applied or could again. It asks nobody, so that it always runs; the whole database is
//! `cargo deny check advisories`, which has to fetch it.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::shell;

/// One advisory.
#[derive(Debug)]
struct Advisory<'a> {
    id: &'a str,
    package: &'a str,
    /// The first version that is mended.
    mended: &'a str,
    /// What happens before.
    what: &'a str,
}

pub(crate) fn run() -> Result<()> {
    let read = |path: &str| {
        fs::read_to_string(shell::workspace_root().join(path)).with_context(|| format!("cannot read {path}"))
    };
    let list = read(".ci/advisories")?;
    let advisories = advisories(&list)?;
    let mut found = 0;
    for lock in ["Cargo.lock", "balancer-ebpf/Cargo.lock", "tests/apps/aws-sdk/Cargo.lock"] {
        let text = read(lock)?;
        for line in findings(&advisories, &text) {
            println!("{lock}: {line}");
            found += 1;
        }
    }
    if found > 0 {
        bail!("{found} known advisories apply");
    }
    println!("none of {} known advisories applies", advisories.len());
    Ok(())
}

/// Lines of `ID CRATE VERSION WHAT`.
fn advisories(list: &str) -> Result<Vec<Advisory<'_>>> {
    let lines = list.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let mut words = line.splitn(4, ' ');
            match (words.next(), words.next(), words.next(), words.next()) {
                (Some(id), Some(package), Some(mended), Some(what)) if version(mended).is_some() => {
                    Ok(Advisory { id, package, mended, what })
                }
                _ => bail!(".ci/advisories: `{line}` is no `ID CRATE VERSION WHAT`"),
            }
        })
        .collect()
}

fn findings(advisories: &[Advisory<'_>], lock: &str) -> Vec<String> {
    let mut findings = Vec::new();
    for package in lock.split("[[package]]").skip(1) {
        let value = |key: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = "));
            line.map(|value| value.trim_matches('"'))
        };
        let (Some(name), Some(locked)) = (value("name"), value("version")) else { continue };
        for Advisory { id, mended, what, .. } in advisories.iter().filter(|advisory| advisory.package == name)
        {
            if version(locked) < version(mended) {
                findings.push(format!("{name} {locked}: {id}, mended in {mended}: {what}"));
            }
        }
    }
    findings
}

/// A version to be compared; what comes before a release comes before it.
fn version(text: &str) -> Option<([u64; 3], bool)> {
    let text = text.split('+').next().unwrap_or_default();
    let (numbers, is_release) = match text.split_once('-') {
        Some((numbers, _)) => (numbers, false),
        None => (text, true),
    };
    let mut parts = numbers.split('.').map(|part| part.parse().ok());
    let version = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some((version, is_release))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_before_the_mended_one_are_found() {
        let list = "# comment\n\nRUSTSEC-0000-0001 some 0.26.1 endless work\nRUSTSEC-0000-0002 other 1.0.0 a crash\n";
        let known = advisories(list).unwrap();
        let lock = |version: &str| format!("[[package]]\nname = \"some\"\nversion = \"{version}\"\n");
        for (version, applies) in [
            ("0.25.2", true),
            ("0.26.0", true),
            ("0.26.1-beta.1", true),
            ("0.26.1", false),
            ("0.26.10", false),
            ("1.0.0", false),
        ] {
            let found = findings(&known, &lock(version));
            assert_eq!(found.len(), usize::from(applies), "{version}: {found:?}");
        }
        let said = findings(&known, &lock("0.25.2")).concat();
        assert_eq!(said, "some 0.25.2: RUSTSEC-0000-0001, mended in 0.26.1: endless work");
        assert!(advisories("RUSTSEC-0000-0001 some soon endless work").is_err());
    }

    #[test]
    fn the_committed_list_is_understood_and_none_of_it_applies() {
        run().unwrap();
    }
}
