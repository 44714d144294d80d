//! `cargo xtask site`: the documentation as a site, in `target/site`. MkDocs makes it of what `mkdocs.yml` names, and fails
//! on every link that leads nowhere, within a page, to another, or into the repository (`xtask/site/hooks.py`).

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{setup, shell};

#[derive(Args)]
pub(crate) struct Options {
    /// Where it goes [default: target/site].
    #[arg(long)]
    to: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    setup::for_site()?;
    let to = match &options.to {
        Some(folder) => std::path::absolute(folder).with_context(|| folder.display().to_string())?,
        None => shell::target_dir().join("site"),
    };
    let pages = build(&shell::workspace_root(), &to)?;
    println!("{pages} pages: {}", to.join("index.html").display());
    Ok(())
}

/// Builds the site of a repository; how many pages it has.
fn build(repository: &Path, to: &Path) -> Result<usize> {
    let mut mkdocs = Command::new(setup::applications_dir().join("site/bin/python"));
    mkdocs.current_dir(repository).args(["-m", "mkdocs", "build", "--strict", "--site-dir"]).arg(to);
    let shown = shell::show(&mkdocs);
    let output = mkdocs.output().with_context(|| format!("cannot run `{shown}`"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("{}", said.trim());
    }
    let (mut pages, mut faults) = (0, Vec::new());
    for page in html_in(to)? {
        let text = fs::read_to_string(&page).with_context(|| page.display().to_string())?;
        let fetched = from_elsewhere(&text);
        faults.extend(fetched.map(|what| format!("{} fetches {what}", page.display())));
        pages += 1;
    }
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    Ok(pages)
}

fn html_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(html_in(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "html") {
            found.push(path);
        }
    }
    Ok(found)
}

/// Scripts, styles and pictures of other hosts that a page loads. Where links lead is another matter.
fn from_elsewhere(page: &str) -> impl Iterator<Item = &str> {
    let tags = page.split('<').skip(1).filter_map(|rest| rest.split('>').next());
    tags.filter(|tag| !tag.starts_with("a ")).filter(|tag| {
        let addresses = ["src=\"", "href=\""].into_iter().filter_map(|name| tag.split(name).nth(1));
        addresses
            .into_iter()
            .any(|rest| ["http:", "https:", "//"].iter().any(|beginning| rest.starts_with(beginning)))
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// This repository with other documents: a folder in which they may be changed.
    fn copy() -> tempfile::TempDir {
        let (root, copy) = (shell::workspace_root(), tempfile::tempdir().unwrap());
        for entry in fs::read_dir(&root).unwrap() {
            let name = entry.unwrap().file_name();
            if name != "docs" && name != "target" {
                symlink(root.join(&name), copy.path().join(&name)).unwrap();
            }
        }
        copy_files(&root.join("docs"), &copy.path().join("docs"));
        // The repository of a configuration is where that is, whatever it is a link to.
        let configuration = copy.path().join("mkdocs.yml");
        fs::remove_file(&configuration).unwrap();
        fs::copy(root.join("mkdocs.yml"), configuration).unwrap();
        copy
    }

    fn copy_files(from: &Path, to: &Path) {
        fs::create_dir(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            let copy = to.join(path.file_name().unwrap());
            if path.is_dir() {
                copy_files(&path, &copy);
            } else {
                fs::copy(&path, copy).unwrap();
            }
        }
    }

    fn can_build() -> bool {
        let can = setup::applications_dir().join("site/bin/python").exists();
        assert!(can || std::env::var_os("CI").is_none(), "MkDocs is missing: cargo xtask setup");
        if !can {
            println!("skipped: site: MkDocs is missing: cargo xtask setup");
        }
        can
    }

    #[test]
    fn every_link_of_the_documents_leads_somewhere() {
        if !can_build() {
            return;
        }
        let to = tempfile::tempdir().unwrap();
        let pages = build(&shell::workspace_root(), to.path()).unwrap();
        let documents = fs::read_dir(shell::workspace_root().join("docs")).unwrap().count();
        assert!(pages > documents, "{pages} of {documents} documents, and those beside them");
        let page = fs::read_to_string(to.path().join("address.html")).unwrap();
        assert!(
            page.contains("<code>dist/address/bird.conf</code>"),
            "a path of the repository is shown as one"
        );
        let index = fs::read_to_string(to.path().join("search/search_index.js")).unwrap();
        assert!(index.contains("lb_cookie"), "what a page that was opened from a file searches");
    }

    #[test]
    fn a_link_or_an_anchor_that_leads_nowhere_fails() {
        if !can_build() {
            return;
        }
        let copy = copy();
        let broken = "# Broken\n\n[a](missing.md) [b](tls.md#missing) [c](#missing) [d](../dist/missing) \
                      [e](../README.md#missing) [f](../dist/balancer.hcl) `[g](not-a-link.md)`\n";
        fs::write(copy.path().join("docs/broken.md"), broken).unwrap();
        let to = tempfile::tempdir().unwrap();
        let said = format!("{:#}", build(copy.path(), to.path()).unwrap_err());
        for fault in [
            "'missing.md', but the target is not found",
            "'tls.md' does not contain an anchor '#missing'",
            "'#missing', but there is no such anchor on this page",
            "'../dist/missing', which is not in the repository",
            "'README.md' does not contain an anchor '#missing'",
        ] {
            assert!(said.contains(fault), "{fault} in {said}");
        }
        assert!(!said.contains("balancer.hcl") && !said.contains("not-a-link"), "{said}");
    }

    #[test]
    fn what_a_page_fetches_is_told_from_where_it_leads() {
        let page = "<a href=\"https://etcd.io\">e</a><script src=\"js/base.js\"></script>\
                    <script src=\"https://unpkg.example/x.js\"></script><link rel=x href=\"//fonts.example/f\">";
        let fetched: Vec<_> = from_elsewhere(page).collect();
        assert_eq!(
            fetched,
            ["script src=\"https://unpkg.example/x.js\"", "link rel=x href=\"//fonts.example/f\""]
        );
    }
}
