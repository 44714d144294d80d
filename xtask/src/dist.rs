//! `cargo xtask dist`: what a package of balancer has, laid out below `target/dist` as it is installed: the program, what
//! a debugger and a profiler need in a file of its own, manual pages, completions of shells, the unit with its user, and a
//! configuration to begin with.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::{
    machine::{self, Machine},
    shell,
};

/// The profile that keeps what [`split`] takes apart.
const PROFILE: &str = "symbols";

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Where the program is going to live; a distribution's package says /usr.
    #[arg(long, value_name = "FOLDER", default_value = "/usr/local")]
    prefix: PathBuf,
    /// Lays out this program instead of building one.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Lays it out here.
    #[arg(long, value_name = "FOLDER")]
    to: Option<PathBuf>,
    /// Builds for other machines than this one, as rustc names them: aarch64-unknown-linux-gnu.
    #[arg(long, value_name = "TRIPLE")]
    target: Option<Machine>,
}

impl Options {
    /// To be laid out there, with the program below this prefix.
    pub(crate) fn of(prefix: &Path, binary: Option<&Path>, to: &Path, target: Option<Machine>) -> Self {
        Self {
            prefix: prefix.to_owned(),
            binary: binary.map(Path::to_owned),
            to: Some(to.to_owned()),
            target,
        }
    }
}

/// Builds the program, by a command of cargo's, as it is handed out. Where it is.
///
/// # Errors
/// It cannot be built.
pub(crate) fn build(command: &[&str], target: Option<Machine>, rest: &[&str]) -> Result<PathBuf> {
    let mut cargo = shell::cargo();
    cargo.args(command).args(["--locked", "--profile", PROFILE, "--package", "balancer"]);
    let mut folder = shell::target_dir();
    if let Some(target) = target {
        target.have_built(&mut cargo)?;
        folder.push(target.triple());
    }
    shell::run(cargo.args(rest))?;
    Ok(folder.join(PROFILE).join("balancer"))
}

/// Files of `dist/` and where they go; those of the prefix have no slash in front.
const FILES: [(&str, &str); 4] = [
    ("balancer.service", "lib/systemd/system/balancer.service"),
    ("balancer.sysusers", "lib/sysusers.d/balancer.conf"),
    ("balancer.tmpfiles", "lib/tmpfiles.d/balancer.conf"),
    ("balancer.hcl", "/etc/balancer/balancer.hcl"),
];

/// Runs the command.
///
/// # Errors
/// Something cannot be built or written.
pub(crate) fn run(options: &Options) -> Result<()> {
    let root = lay_out(options)?;
    list(&root, &root)
}

/// Lays it out, and says where.
///
/// # Errors
/// Something cannot be built or written.
pub(crate) fn lay_out(options: &Options) -> Result<PathBuf> {
    let built = match &options.binary {
        Some(binary) => binary.clone(),
        None => build(&["build"], options.target, &[])?,
    };
    let Ok(prefix) = options.prefix.strip_prefix("/") else {
        bail!("--prefix {}: an absolute path is needed", options.prefix.display());
    };
    if prefix.components().any(|part| part == Component::ParentDir) {
        bail!("--prefix {}: a path without `..` is needed", options.prefix.display());
    }
    let root = options.to.clone().unwrap_or_else(|| shell::target_dir().join("dist"));
    match fs::remove_dir_all(&root) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot clear {}", root.display()));
        }
        _ => {}
    }
    let below = root.join(prefix);
    let symbols = root.join("usr/lib/debug").join(prefix).join("bin/balancer.debug");
    split(options.target, &built, &below.join("bin/balancer"), &symbols)?;
    for (file, place) in FILES {
        let place = place.strip_prefix('/').map_or_else(|| below.join(place), |place| root.join(place));
        make_folder_of(&place)?;
        fs::copy(shell::workspace_root().join("dist").join(file), &place)
            .with_context(|| format!("cannot write {}", place.display()))?;
    }
    let mut pages = shell::cargo();
    pages.args(["run", "--quiet", "--locked", "--package", "balancer", "--example", "pages", "--"]);
    shell::run(pages.arg(below.join("share")))?;
    Ok(root)
}

/// Puts another program, with what debuggers read of it, in the place of the one that is laid out below `/usr` there.
///
/// # Errors
/// Something cannot be written.
pub(crate) fn put(target: Option<Machine>, program: &Path, tree: &Path) -> Result<()> {
    split(target, program, &tree.join("usr/bin/balancer"), &tree.join("usr/lib/debug/usr/bin/balancer.debug"))
}

/// Takes the program apart: names of functions stay in it, all else that only debuggers and profilers read goes into
/// `symbols`, which they find by its name and checksum.
fn split(target: Option<Machine>, built: &Path, program: &Path, symbols: &Path) -> Result<()> {
    let objcopy = machine::tool(target, "objcopy");
    make_folder_of(program)?;
    make_folder_of(symbols)?;
    shell::run(
        Command::new(&objcopy)
            .args(["--only-keep-debug", "--compress-debug-sections"])
            .arg(built)
            .arg(symbols),
    )?;
    let mut link = std::ffi::OsString::from("--add-gnu-debuglink=");
    link.push(symbols);
    shell::run(Command::new(&objcopy).arg("--strip-debug").arg(link).arg(built).arg(program))
}

fn make_folder_of(file: &Path) -> Result<()> {
    let folder = file.parent().unwrap_or(file);
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))
}

fn list(root: &Path, folder: &Path) -> Result<()> {
    let mut entries: Vec<_> = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(std::fs::DirEntry::path);
    for entry in entries {
        let path = entry.path();
        if path.is_dir() {
            list(root, &path)?;
        } else {
            println!(
                "{:>10}  {}",
                entry.metadata()?.len(),
                path.strip_prefix(root).unwrap_or(&path).display()
            );
        }
    }
    Ok(())
}
