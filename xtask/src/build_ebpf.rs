//! `cargo xtask build-ebpf`: builds the kernel programs and writes the objects that are committed.
//!
//! It takes bpf-linker and a compiler that knows `bpfel-unknown-none`: Debian's `rustc-web` with
//! `libstd-rust-web-dev-bpf`, or a rustup toolchain with `rust-src`. `BPF_RUSTC` (a path) or `BPF_TOOLCHAIN` (a name
//! known to rustup) choose one. The same versions give the same bytes, wherever the source and cargo's home lie.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::shell;

const TARGET: &str = "bpfel-unknown-none";
/// The objects: what counts connections, and the shield.
pub(crate) const PROGRAMS: [&str; 2] = ["balancer-kernel", "balancer-shield"];
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// A built object.
pub(crate) struct Built {
    /// Its name.
    pub(crate) program: &'static str,
    /// Where it lies, under `target/`.
    pub(crate) object: PathBuf,
    /// What made it.
    pub(crate) versions: String,
}

/// The committed object of that name.
pub(crate) fn committed_object(program: &str) -> PathBuf {
    shell::workspace_root().join("balancer-ebpf/prebuilt").join(program).with_extension("o")
}

/// Names another object for a build of balancer (see its build script).
pub(crate) fn variable(program: &str) -> &'static str {
    if program == "balancer-shield" { "BALANCER_SHIELD_OBJ" } else { "BALANCER_BPF_OBJ" }
}

/// The file that says what made the committed object.
pub(crate) fn committed_versions(program: &str) -> PathBuf {
    committed_object(program).with_extension("versions")
}

/// Runs the command.
///
/// # Errors
/// When a tool is missing, and when the build fails.
pub(crate) fn run() -> Result<()> {
    for built in build()? {
        let (object, versions) = (committed_object(built.program), committed_versions(built.program));
        fs::copy(&built.object, &object).with_context(|| object.display().to_string())?;
        fs::write(&versions, &built.versions).with_context(|| versions.display().to_string())?;
        println!("wrote {} ({} bytes)", object.display(), fs::metadata(&object)?.len());
        print!("made with\n{}", built.versions);
    }
    Ok(())
}

enum Toolchain {
    /// A compiler that came with a core library for the target.
    Prebuilt(PathBuf),
    /// A toolchain of rustup, with which the core library is built from its source.
    FromSource(String),
}

/// Builds the objects and strips them of what only debuggers want. The types (BTF) stay.
pub(crate) fn build() -> Result<Vec<Built>> {
    let linker = version(Command::new("bpf-linker").arg("--version")).context(
        "bpf-linker is missing: cargo install --locked bpf-linker@0.13.0 --no-default-features --features llvm-22 \
         (with llvm-22-dev installed and LLVM_SYS_221_PREFIX=/usr/lib/llvm-22)",
    )?;
    let strip = ["llvm-strip-22", "/usr/lib/llvm-22/bin/llvm-strip", "llvm-strip"]
        .into_iter()
        .find_map(|name| Some((name, version(Command::new(name).arg("--version"))?)))
        .context("llvm-strip is missing: apt-get install llvm-22")?;
    let toolchain = choose_toolchain()?;

    let root = shell::workspace_root();
    let target_dir = root.join("target/ebpf");
    let mut command = match &toolchain {
        Toolchain::Prebuilt(rustc) => {
            let mut command = without_settings(Command::new("cargo"));
            command.arg("build").env("RUSTC", rustc);
            command
        }
        Toolchain::FromSource(name) => {
            let mut command = without_settings(Command::new("rustup"));
            command.args(["run", name, "cargo", "build", "-Zbuild-std=core"]);
            command
        }
    };
    command
        .args(["--quiet", "--locked", "--release", "--target", TARGET])
        .args(PROGRAMS.iter().flat_map(|program| ["--bin", program]))
        .arg("--target-dir")
        .arg(&target_dir)
        .current_dir(root.join("balancer-ebpf"))
        // For inline assembly of this target, which no stable compiler offers yet.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", flags(&root)?.join("\x1f"));
    shell::run(&mut command)?;

    let versions = format!("{}{linker}\n{}\n", toolchain.versions()?, strip.1);
    let strip = |program| {
        let object = target_dir.join(program).with_extension("o");
        let built = target_dir.join(TARGET).join("release").join(program);
        shell::run(Command::new(strip.0).args(["--strip-debug", "-o"]).arg(&object).arg(built))?;
        Ok(Built { program, object, versions: versions.clone() })
    };
    PROGRAMS.into_iter().map(strip).collect()
}

fn flags(root: &Path) -> Result<Vec<String>> {
    let home = |name: &str| env::var_os(name).map(PathBuf::from);
    let cargo_home = home("CARGO_HOME")
        .or_else(|| home("HOME").map(|home| home.join(".cargo")))
        .context("neither CARGO_HOME nor HOME is set")?;
    Ok(vec![
        "--cfg=bpf_target_arch=\"x86_64\"".to_owned(),
        "-Cdebuginfo=2".to_owned(),
        "-Clink-arg=--btf".to_owned(),
        // Paths would be part of the types.
        format!("--remap-path-prefix={}=/source", root.display()),
        format!("--remap-path-prefix={}=/cargo", cargo_home.display()),
    ])
}

fn choose_toolchain() -> Result<Toolchain> {
    if let Some(rustc) = env::var_os("BPF_RUSTC").map(PathBuf::from) {
        if !has_core(&rustc) {
            bail!("BPF_RUSTC={}: it has no core library for {TARGET}", rustc.display());
        }
        return Ok(Toolchain::Prebuilt(rustc));
    }
    if let Ok(name) = env::var("BPF_TOOLCHAIN") {
        if !has_source(&name) {
            bail!("BPF_TOOLCHAIN={name}: no source: rustup component add rust-src --toolchain {name}");
        }
        return Ok(Toolchain::FromSource(name));
    }
    if has_core(Path::new(DEBIAN_RUSTC)) {
        return Ok(Toolchain::Prebuilt(DEBIAN_RUSTC.into()));
    }
    let found = ["nightly", "stable"].into_iter().find(|name| has_source(name));
    found.map(|name| Toolchain::FromSource(name.to_owned())).context(
        "no compiler for kernel programs: apt-get install rustc-web libstd-rust-web-dev-bpf (Debian), or: \
         rustup toolchain install nightly --component rust-src",
    )
}

fn has_core(rustc: &Path) -> bool {
    let Some(sysroot) = version(without_settings(Command::new(rustc)).args(["--print", "sysroot"])) else {
        return false;
    };
    let libraries = Path::new(&sysroot).join("lib/rustlib").join(TARGET).join("lib");
    fs::read_dir(libraries).is_ok_and(|mut entries| {
        entries
            .any(|entry| entry.is_ok_and(|entry| entry.file_name().to_string_lossy().starts_with("libcore-")))
    })
}

fn has_source(toolchain: &str) -> bool {
    let mut command = without_settings(Command::new("rustup"));
    version(command.args(["run", toolchain, "rustc", "--print", "sysroot"]))
        .is_some_and(|sysroot| Path::new(&sysroot).join("lib/rustlib/src/rust/library/Cargo.lock").exists())
}

impl Toolchain {
    fn versions(&self) -> Result<String> {
        let (mut command, core) = match self {
            Self::Prebuilt(rustc) => (without_settings(Command::new(rustc)), "as it came with the compiler"),
            Self::FromSource(name) => {
                let mut command = without_settings(Command::new("rustup"));
                command.args(["run", name, "rustc"]);
                (command, "built from source")
            }
        };
        let output = command.arg("-vV").output().context("asking the compiler for its version")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let wanted = |line: &&str| line.starts_with("rustc ") || line.starts_with("LLVM version: ");
        let lines: Vec<&str> = text.lines().filter(wanted).collect();
        Ok(format!("{}\ncore: {core}\n", lines.join("\n")))
    }
}

/// What a tool says of itself in its line with a version or, if it says nothing else, at all.
fn version(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let line = text.lines().map(str::trim).find(|line| line.contains("version")).map(str::to_owned);
    Some(line.unwrap_or(text))
}

/// The command without what whoever runs us has set for the build of xtask.
fn without_settings(mut command: Command) -> Command {
    for name in [
        "CARGO",
        "CARGO_BUILD_TARGET",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_TARGET_DIR",
        "RUSTC",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTC_WRAPPER",
        "RUSTFLAGS",
        "RUSTUP_TOOLCHAIN",
    ] {
        command.env_remove(name);
    }
    command
}
