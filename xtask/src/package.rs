//! `cargo xtask package`: what is handed out, in `target/package`: a package for Debian and its relatives, a tarball, what it is
//! made of (CycloneDX), an image for containers, and checksums.

mod image;

use std::{
    fmt::Write as _,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};

use crate::{dist, machine::Machine, shell};

/// `cargo xtask package`.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Packs this program instead of building one.
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// The same program, linked so that it needs no library: packs it into the image and the tarball instead of building one.
    /// Without it and with `--binary` there is no image, and the tarball has that one.
    #[arg(long, value_name = "FILE")]
    static_binary: Option<PathBuf>,
    /// Packs for other machines than this one, as rustc names them: aarch64-unknown-linux-gnu.
    #[arg(long, value_name = "TRIPLE")]
    target: Option<Machine>,
    /// Writes it here.
    #[arg(long, value_name = "FOLDER")]
    to: Option<PathBuf>,
    /// Installs, upgrades and purges the package in an empty root as well, and starts what the image has in another; fails where
    /// that leaves something out or behind.
    #[arg(long)]
    check: bool,
}

/// Scripts that dpkg runs.
const SCRIPTS: [&str; 3] = ["postinst", "prerm", "postrm"];

/// Runs the command.
///
/// # Errors
/// Something is missing or fails.
pub(crate) fn run(options: &Options) -> Result<()> {
    if shell::find_program("dpkg-deb").is_none() {
        bail!("dpkg-deb is missing: it is part of Debian's dpkg");
    }
    if options.check && options.target.is_some_and(|machine| !machine.is_this()) {
        bail!("--check: what is packed for other machines does not run on this one");
    }
    let folder = options.to.clone().unwrap_or_else(|| shell::target_dir().join("package"));
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    // dpkg runs scripts from another folder.
    let folder = folder.canonicalize().with_context(|| folder.display().to_string())?;
    let tree = folder.join("tree");
    let without_libraries = match (&options.static_binary, &options.binary) {
        (Some(program), _) => Some(program.clone()),
        (None, Some(_)) => None,
        (None, None) => Some(linked_statically(options.target, &folder)?),
    };
    dist::lay_out(&dist::Options::of(Path::new("/usr"), options.binary.as_deref(), &tree, options.target))?;
    let version = version()?;
    let architecture = architecture(options.target)?;
    let package = debian(&tree, &folder, &format!("{version}-1"), &architecture)?;
    if options.check {
        installed_and_purged(&folder.join(&package), &folder.join("root"))?;
    }
    let mut made = vec![package, bill(&folder, &version)?];
    if let Some(program) = &without_libraries {
        let image = image::image(program, &folder, &version, &architecture, options.target)?;
        if options.check {
            image::serves_in_an_empty_root(&folder.join(&image), &folder)?;
        }
        made.push(image);
        dist::put(options.target, program, &tree)?;
    }
    made.push(tarball(&tree, &folder, &version, &architecture)?);
    made.sort();
    let sums = said(Command::new("sha256sum").args(&made).current_dir(&folder))?;
    fs::write(folder.join("SHA256SUMS"), format!("{sums}\n")).context("SHA256SUMS")?;
    fs::remove_dir_all(&tree).with_context(|| tree.display().to_string())?;
    if let (Some(program), None) = (&without_libraries, &options.static_binary) {
        fs::remove_file(program).with_context(|| program.display().to_string())?;
    }
    for name in made.iter().chain([&"SHA256SUMS".to_owned()]) {
        println!("{}", folder.join(name).display());
    }
    Ok(())
}

/// Packages of this program of which the second is newer, in `folder`.
///
/// # Errors
/// Something is missing or fails.
pub(crate) fn revisions(program: &Path, folder: &Path) -> Result<[PathBuf; 2]> {
    let tree = folder.join("tree");
    dist::lay_out(&dist::Options::of(Path::new("/usr"), Some(program), &tree, None))?;
    let (version, architecture) = (version()?, architecture(None)?);
    let of = |revision: &str| debian(&tree, folder, &format!("{version}-{revision}"), &architecture);
    Ok([folder.join(of("1")?), folder.join(of("2")?)])
}

/// The program for systems with another C library, or none: what it consists of is built once for both, and linked a second time.
/// Cargo puts it where the other one goes, which is built behind this.
fn linked_statically(target: Option<Machine>, folder: &Path) -> Result<PathBuf> {
    let linking = ["--bin", "balancer", "--", "-C", "target-feature=+crt-static"];
    let built = dist::build(&["rustc"], target, &linking)?;
    let to = folder.join("balancer-static");
    fs::copy(&built, &to).with_context(|| to.display().to_string())?;
    Ok(to)
}

/// As Debian and OCI call what is packed for.
fn architecture(target: Option<Machine>) -> Result<String> {
    match target {
        Some(machine) => Ok(machine.architecture().to_owned()),
        None => said(Command::new("dpkg").arg("--print-architecture")),
    }
}

/// What a command prints.
fn said(command: &mut Command) -> Result<String> {
    let shown = shell::show(command);
    let output = command.output().with_context(|| format!("cannot run `{shown}`"))?;
    if !output.status.success() {
        bail!("`{shown}` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8(output.stdout).with_context(|| format!("what `{shown}` says"))?.trim().to_owned())
}

/// That of the program, which says itself by which name it goes.
fn version() -> Result<String> {
    let id = said(shell::cargo().args(["pkgid", "--offline", "--package", "balancer"]))?;
    Ok(id.rsplit(['#', '@']).next().context("a version")?.to_owned())
}

/// The program, its pages, unit and sample, with what debuggers need left out.
fn debian(tree: &Path, folder: &Path, version: &str, architecture: &str) -> Result<String> {
    let root = folder.join("deb");
    if root.exists() {
        fs::remove_dir_all(&root)?;
    }
    shell::run(Command::new("cp").arg("-a").arg(tree).arg(&root))?;
    fs::remove_dir_all(root.join("usr/lib/debug"))?;
    let documents = root.join("usr/share/doc/balancer");
    fs::create_dir_all(&documents)?;
    let (mit, apache) = (licence("LICENSE-MIT")?, licence("LICENSE-APACHE")?);
    fs::write(documents.join("copyright"), format!("{mit}\n\nor, as you like:\n\n{apache}"))?;
    recipes(&documents.join("examples/address"))?;
    let control = root.join("DEBIAN");
    fs::create_dir_all(&control)?;
    let size = said(Command::new("du").args(["-sk", "--exclude=DEBIAN"]).arg(&root))?;
    let size = size.split_whitespace().next().unwrap_or("0").to_owned();
    fs::write(control.join("control"), fields(version, architecture, &size))?;
    fs::write(control.join("conffiles"), "/etc/balancer/balancer.hcl\n")?;
    for script in SCRIPTS {
        let to = control.join(script);
        fs::copy(shell::workspace_root().join("dist/deb").join(script), &to).context(script)?;
        fs::set_permissions(&to, fs::Permissions::from_mode(0o755))?;
    }
    let name = format!("balancer_{version}_{architecture}.deb");
    // Whoever builds it: its files are root's.
    shell::run(
        Command::new("dpkg-deb")
            .args(["--root-owner-group", "-Zxz", "--build"])
            .arg(&root)
            .arg(folder.join(&name)),
    )?;
    fs::remove_dir_all(&root)?;
    Ok(name)
}

/// Recipes for an address that several balancers have, with the program where the package puts it.
fn recipes(to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    let from = shell::workspace_root().join("dist/address");
    for name in RECIPES {
        let text = fs::read_to_string(from.join(name)).with_context(|| name.to_owned())?;
        let file = to.join(name);
        fs::write(&file, text.replace("/usr/local/bin/balancer", "/usr/bin/balancer"))?;
        let mode = if name == "announce" { 0o755 } else { 0o644 };
        fs::set_permissions(&file, fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}

const RECIPES: [&str; 5] =
    ["announce", "balancer-announce.service", "bird.conf", "keepalived.conf", "router.conf"];

/// What has to be there once it is installed.
const INSTALLED: [&str; 6] = [
    "usr/bin/balancer",
    "usr/lib/systemd/system/balancer.service",
    "etc/balancer/balancer.hcl",
    "usr/share/man/man1/balancer.1",
    "var/lib/balancer",
    "usr/share/doc/balancer/examples/address/announce",
];

/// Takes the package through its life in an empty root.
fn installed_and_purged(package: &Path, root: &Path) -> Result<()> {
    if root.exists() {
        fs::remove_dir_all(root)?;
    }
    for folder in ["info", "updates", "triggers"] {
        fs::create_dir_all(root.join("var/lib/dpkg").join(folder))?;
    }
    fs::write(root.join("var/lib/dpkg/status"), "")?;
    let dpkg = || {
        let mut command = Command::new("dpkg");
        // Nothing that it depends on is there; its scripts are told of the root and need not be able to run in it.
        command
            .args(["--force-depends", "--force-script-chrootless"])
            .arg(format!("--root={}", root.display()));
        command
    };
    shell::run(dpkg().arg("--install").arg(package))?;
    if let Some(missing) = INSTALLED.iter().find(|file| !root.join(file).exists()) {
        bail!("the package leaves out /{missing}");
    }
    let users = fs::read_to_string(root.join("etc/passwd")).unwrap_or_default();
    if !users.lines().any(|line| line.starts_with("balancer:")) {
        bail!("the package makes no user");
    }
    let told = said(Command::new(root.join("usr/bin/balancer")).arg("--version"))?;
    println!("installed: {told}");
    // What an operator has changed stays, in an upgrade and when the program goes.
    let configuration = root.join("etc/balancer/balancer.hcl");
    fs::write(&configuration, "# mine\n")?;
    fs::write(root.join("var/lib/balancer/stickiness.key"), "a key")?;
    shell::run(dpkg().args(["--force-confold", "--install"]).arg(package))?;
    shell::run(dpkg().args(["--remove", "balancer"]))?;
    if fs::read_to_string(&configuration)? != "# mine\n"
        || !root.join("var/lib/balancer/stickiness.key").exists()
    {
        bail!("an upgrade or a removal took the configuration or the keys");
    }
    shell::run(dpkg().args(["--purge", "balancer"]))?;
    let left = ["usr/bin/balancer", "etc/balancer/balancer.hcl", "var/lib/balancer"];
    if let Some(left) = left.iter().find(|file| root.join(file).exists()) {
        bail!("purging leaves /{left}");
    }
    fs::remove_dir_all(root).with_context(|| root.display().to_string())
}

fn licence(name: &str) -> Result<String> {
    fs::read_to_string(shell::workspace_root().join(name)).with_context(|| name.to_owned())
}

/// deb-control(5). The C library is that of the oldest Debian it is built on.
fn fields(version: &str, architecture: &str, size: &str) -> String {
    format!(
        "Package: balancer\n\
         Version: {version}\n\
         Architecture: {architecture}\n\
         Maintainer: The balancer authors <balancer@localhost>\n\
         Installed-Size: {size}\n\
         Depends: libc6 (>= 2.34), libgcc-s1, systemd | systemd-standalone-sysusers, systemd | systemd-standalone-tmpfiles\n\
         Section: net\n\
         Priority: optional\n\
         Description: application load balancer with sticky sessions\n \
         Listeners, rules and target groups in the words of Terraform's aws_lb_*\n \
         resources, sessions that stay with their target, and a kernel side in eBPF\n \
         where the system has one.\n"
    )
}

/// All of it, to be unpacked at the root of a file system.
fn tarball(tree: &Path, folder: &Path, version: &str, architecture: &str) -> Result<String> {
    let name = format!("balancer-{version}-linux-{architecture}.tar.gz");
    shell::run(
        Command::new("tar")
            .args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "-czf"])
            .arg(folder.join(&name))
            .arg("-C")
            .arg(tree)
            .arg("."),
    )?;
    Ok(name)
}

/// What it is made of, as CycloneDX 1.5.
fn bill(folder: &Path, version: &str) -> Result<String> {
    let name = format!("balancer-{version}.cdx.json");
    let tree = said(shell::cargo().args([
        "tree",
        "--locked",
        "--offline",
        "--package",
        "balancer",
        "--edges",
        "normal,no-proc-macro",
        "--prefix",
        "none",
        "--format",
        "{p}|{l}",
    ]))?;
    fs::write(folder.join(&name), bill_of(version, &components(&tree))).context("the bill of materials")?;
    Ok(name)
}

/// A crate that is linked in.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Component {
    name: String,
    version: String,
    licence: String,
}

/// Those of the registry, each once, by name.
fn components(tree: &str) -> Vec<Component> {
    let mut components: Vec<Component> = tree
        .lines()
        .filter_map(|line| {
            let (package, licence) = line.split_once('|')?;
            // Crates of the workspace have their path behind them.
            let mut words = package.split(' ').filter(|word| *word != "(*)");
            let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
            let is_ours = words.any(|word| word.starts_with("(/"));
            let licence = licence.trim_end_matches(" (*)").replace('/', " OR ");
            (!is_ours).then(|| Component { name: name.to_owned(), version: version.to_owned(), licence })
        })
        .collect();
    components.sort();
    components.dedup();
    components
}

fn bill_of(version: &str, components: &[Component]) -> String {
    let mut text = format!(
        "{{\n  \"bomFormat\": \"CycloneDX\",\n  \"specVersion\": \"1.5\",\n  \"version\": 1,\n  \"metadata\": {{\n    \
         \"component\": {{\"type\": \"application\", \"name\": \"balancer\", \"version\": {}}}\n  }},\n  \"components\": [",
        quoted(version)
    );
    for (number, Component { name, version, licence }) in components.iter().enumerate() {
        let comma = if number == 0 { "" } else { "," };
        let _ = write!(
            text,
            "{comma}\n    {{\"type\": \"library\", \"name\": {}, \"version\": {}, \"purl\": {}, \"licenses\": [{{\"expression\": {}}}]}}",
            quoted(name),
            quoted(version),
            quoted(&format!("pkg:cargo/{name}@{version}")),
            quoted(licence)
        );
    }
    text.push_str("\n  ]\n}\n");
    text
}

/// Names, versions and licences hold no control characters.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_linked_in_is_told_once_and_by_its_licence() {
        let tree = "balancer v0.1.0 (/src/balancer)|MIT OR Apache-2.0\nserde v1.0.2|MIT/Apache-2.0\nring v0.17.14|Apache-2.0 AND ISC\n\
                    serde v1.0.2 (*)|MIT/Apache-2.0\n";
        let components = components(tree);
        let names: Vec<_> = components.iter().map(|one| (one.name.as_str(), one.licence.as_str())).collect();
        assert_eq!(names, [("ring", "Apache-2.0 AND ISC"), ("serde", "MIT OR Apache-2.0")]);
        let bill = bill_of("0.1.0", &components);
        assert!(bill.contains("\"purl\": \"pkg:cargo/ring@0.17.14\""), "{bill}");
        assert_eq!(bill.matches('{').count(), bill.matches('}').count());
    }

    #[test]
    fn the_fields_of_a_package_are_lines_of_their_own() {
        let fields = fields("0.1.0-1", "amd64", "9000");
        assert!(fields.lines().all(|line| line.starts_with(' ') || line.contains(": ")), "{fields}");
        assert!(fields.contains("\nVersion: 0.1.0-1\n") && fields.ends_with(".\n"), "{fields}");
    }
}
