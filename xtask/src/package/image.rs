//! The image for containers: one layer with a program that needs no library, as an OCI layout in a tar file, which `docker load`,
//! `podman load` and `skopeo copy oci-archive:` take. Made of files, without a daemon and without rights.

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use super::{quoted, said};
use crate::{
    machine::{self, Machine},
    shell,
};

/// Who the program is in a container: a user that is nobody on its host.
const USER: &str = "65532:65532";
/// Where its keys and tables are; a volume keeps them.
const STATE: &str = "var/lib/balancer";
/// What it may write to.
const OWN: [&str; 2] = ["run/balancer", STATE];
/// Files of `dist/oci/` and where they go.
const FILES: [(&str, &str); 3] =
    [("passwd", "etc/passwd"), ("group", "etc/group"), ("balancer.hcl", "etc/balancer/balancer.hcl")];
/// The system's list of authorities where it is built, for targets and stores over TLS; an image without it has none.
const AUTHORITIES: &str = "etc/ssl/certs/ca-certificates.crt";
/// Within which a program in an empty root has to serve, and to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// Writes the image of `program`, which is linked statically, into `folder`. Returns its name.
///
/// # Errors
/// Something is missing, fails, or the program needs libraries.
pub(super) fn image(
    program: &Path,
    folder: &Path,
    version: &str,
    architecture: &str,
    target: Option<Machine>,
) -> Result<String> {
    demand_static(program)?;
    let root = folder.join("image");
    clear(&root)?;
    let tree = root.join("tree");
    lay_out(program, &tree, target)?;
    let layer = root.join("layer.tar");
    let own = OWN.map(|folder| format!("--exclude={folder}"));
    shell::run(tar("-cf", &layer, &tree).args(["--owner=0", "--group=0"]).args(own).args(top_of(&tree)?))?;
    let (user, group) = USER.split_once(':').context("a user and a group")?;
    let owner = [format!("--owner={user}"), format!("--group={group}")];
    shell::run(tar("-rf", &layer, &tree).args(owner).args(OWN))?;
    let plain = digest(&layer)?;
    shell::run(Command::new("gzip").args(["-n", "-9"]).arg(&layer))?;
    let layout = root.join("layout");
    let blobs = layout.join("blobs/sha256");
    fs::create_dir_all(&blobs)?;
    let (layer, layer_size) = keep(&root.join("layer.tar.gz"), &blobs)?;
    let (config, config_size) = write(&root, &blobs, &config_of(version, architecture, &plain))?;
    let manifest = manifest_of((&config, config_size), (&layer, layer_size));
    let (manifest, manifest_size) = write(&root, &blobs, &manifest)?;
    fs::write(layout.join("oci-layout"), "{\"imageLayoutVersion\":\"1.0.0\"}")?;
    let tag = format!("balancer:{version}");
    fs::write(layout.join("index.json"), index_of(&manifest, manifest_size, architecture, &tag, version))?;
    // What `docker load` of older versions reads.
    let older = format!(
        "[{{\"Config\":\"blobs/sha256/{config}\",\"RepoTags\":[{}],\"Layers\":[\"blobs/sha256/{layer}\"]}}]",
        quoted(&tag)
    );
    fs::write(layout.join("manifest.json"), older)?;
    let name = format!("balancer-{version}-oci-{architecture}.tar");
    shell::run(
        tar("-cf", &folder.join(&name), &layout).args(["--owner=0", "--group=0"]).args(top_of(&layout)?),
    )?;
    clear(&root)?;
    Ok(name)
}

/// Starts what an image has in a root where there is nothing else, as who it is there, and lets it serve and end.
///
/// # Errors
/// It does not.
pub(super) fn serves_in_an_empty_root(image: &Path, folder: &Path) -> Result<()> {
    let root = folder.join("empty-root");
    clear(&root)?;
    let unpacked = folder.join("unpacked");
    clear(&unpacked)?;
    fs::create_dir_all(&unpacked)?;
    fs::create_dir_all(&root)?;
    shell::run(Command::new("tar").arg("-xf").arg(image).arg("-C").arg(&unpacked))?;
    let manifest = fs::read_to_string(unpacked.join("manifest.json"))?;
    let layer = manifest.split("\"Layers\":[\"").nth(1).and_then(|rest| rest.split('"').next());
    let layer = unpacked.join(layer.context("manifest.json names no layer")?);
    shell::run(Command::new("tar").args(["--numeric-owner", "-xpzf"]).arg(layer).arg("-C").arg(&root))?;
    let (web, admin) = (free_address()?, free_address()?);
    let configuration = format!(
        "balancer {{\n  admin_address = \"{admin}\"\n}}\nlistener \"web\" {{\n  address = \"{}\"\n  port = {}\n  default_action {{\n    \
         type = \"fixed-response\"\n    fixed_response {{\n      content_type = \"text/plain\"\n      status_code = 200\n    }}\n  }}\n}}\n",
        web.ip(),
        web.port()
    );
    fs::write(root.join("etc/balancer/balancer.hcl"), configuration)?;
    let inside = |arguments: &[&str]| {
        let mut command = Command::new("chroot");
        command.arg(format!("--userspec={USER}")).arg(&root).arg("/usr/bin/balancer").args(arguments);
        command
    };
    let mut serving = inside(&["run", "-c", "/etc/balancer/balancer.hcl"]).spawn().context("chroot")?;
    let outcome = watch(&mut serving, &|| inside(&["healthz", "--admin", &admin.to_string()]), web);
    if outcome.is_err() {
        // It may have ended by itself.
        let _ = serving.kill();
        let _ = serving.wait();
    }
    outcome?;
    if !root.join(STATE).join("stickiness.key").exists() {
        bail!("the program of the image kept no key in /{STATE}");
    }
    clear(&unpacked)?;
    clear(&root)
}

/// Waits until it is healthy, connects, tells it to end, and waits for that.
fn watch(serving: &mut Child, healthz: &dyn Fn() -> Command, web: SocketAddr) -> Result<()> {
    let until = Instant::now() + PATIENCE;
    while !healthz().output().context("chroot")?.status.success() {
        if let Some(status) = serving.try_wait()? {
            bail!("the program of the image ended with {status} in an empty root");
        }
        if Instant::now() > until {
            bail!("the program of the image is not healthy after {PATIENCE:?} in an empty root");
        }
    }
    TcpStream::connect(web).context("the listener of the image's program")?;
    shell::run(Command::new("kill").args(["-TERM", &serving.id().to_string()]))?;
    let status = serving.wait()?;
    if !status.success() {
        bail!("the program of the image ended with {status} when it was told to");
    }
    println!("the image: served and ended in an empty root");
    Ok(())
}

fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn clear(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| folder.display().to_string())?;
    }
    Ok(())
}

/// An interpreter in the program's headers is the loader of its libraries.
fn demand_static(program: &Path) -> Result<()> {
    let headers = said(Command::new("readelf").arg("--program-headers").arg("--wide").arg(program))?;
    if headers.contains("INTERP") {
        bail!(
            "{} needs libraries: an image has none; `cargo xtask package` links one that does not",
            program.display()
        );
    }
    Ok(())
}

fn lay_out(program: &Path, tree: &Path, target: Option<Machine>) -> Result<()> {
    for folder in ["usr/bin", "etc/balancer", "tmp"].iter().chain(&OWN) {
        fs::create_dir_all(tree.join(folder))?;
    }
    let place = tree.join("usr/bin/balancer");
    let objcopy = machine::tool(target, "objcopy");
    shell::run(Command::new(objcopy).arg("--strip-debug").arg(program).arg(&place))?;
    fs::set_permissions(&place, fs::Permissions::from_mode(0o755))?;
    for (file, to) in FILES {
        fs::copy(shell::workspace_root().join("dist/oci").join(file), tree.join(to)).context(file)?;
    }
    let authorities = Path::new("/").join(AUTHORITIES);
    if authorities.exists() {
        fs::create_dir_all(tree.join("etc/ssl/certs"))?;
        fs::copy(authorities, tree.join(AUTHORITIES))?;
    }
    // Whatever the umask is here.
    shell::run(Command::new("chmod").args(["-R", "u+rwX,go+rX,go-w"]).arg(tree))?;
    fs::set_permissions(tree.join("tmp"), fs::Permissions::from_mode(0o1777))?;
    Ok(())
}

/// tar(1) so that the bytes follow from what is in the folder alone: sorted, of one time.
fn tar(mode: &str, to: &Path, folder: &Path) -> Command {
    let mut command = Command::new("tar");
    command.args(["--sort=name", "--mtime=@0", "--numeric-owner", "--format=gnu", mode]).arg(to);
    command.arg("-C").arg(folder);
    command
}

/// What lies at the top of a folder, by name.
fn top_of(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        names.push(PathBuf::from(entry?.file_name()));
    }
    names.sort();
    Ok(names)
}

fn digest(file: &Path) -> Result<String> {
    let told = said(Command::new("sha256sum").arg(file))?;
    Ok(told.split_whitespace().next().context("sha256sum says nothing")?.to_owned())
}

/// Moves a file to where its digest says. Returns that and its size.
fn keep(file: &Path, blobs: &Path) -> Result<(String, u64)> {
    let (digest, size) = (digest(file)?, fs::metadata(file)?.len());
    fs::rename(file, blobs.join(&digest))?;
    Ok((digest, size))
}

fn write(root: &Path, blobs: &Path, text: &str) -> Result<(String, u64)> {
    let file = root.join("blob");
    fs::write(&file, text)?;
    keep(&file, blobs)
}

/// Image configuration (OCI image specification 1.0); Docker reads the health check, which that does not know.
fn config_of(version: &str, architecture: &str, layer: &str) -> String {
    let check = "{\"Test\":[\"CMD\",\"/usr/bin/balancer\",\"healthz\"],\"Interval\":10000000000,\"Timeout\":3000000000,\"Retries\":3}";
    format!(
        "{{\"architecture\":\"{architecture}\",\"os\":\"linux\",\"config\":{{\"User\":\"{USER}\",\
         \"Entrypoint\":[\"/usr/bin/balancer\"],\"Cmd\":[\"run\",\"-c\",\"/etc/balancer/balancer.hcl\"],\
         \"WorkingDir\":\"/\",\"StopSignal\":\"SIGTERM\",\"ExposedPorts\":{{\"8080/tcp\":{{}}}},\"Volumes\":{{\"/{STATE}\":{{}}}},\
         \"Healthcheck\":{check},\"Labels\":{{\"org.opencontainers.image.title\":\"balancer\",\
         \"org.opencontainers.image.version\":{},\"org.opencontainers.image.licenses\":\"MIT OR Apache-2.0\"}}}},\
         \"rootfs\":{{\"type\":\"layers\",\"diff_ids\":[\"sha256:{layer}\"]}},\
         \"history\":[{{\"created_by\":\"cargo xtask package\"}}]}}",
        quoted(version)
    )
}

fn manifest_of((config, config_size): (&str, u64), (layer, layer_size): (&str, u64)) -> String {
    let of = "application/vnd.oci.image";
    format!(
        "{{\"schemaVersion\":2,\"mediaType\":\"{of}.manifest.v1+json\",\
         \"config\":{{\"mediaType\":\"{of}.config.v1+json\",\"digest\":\"sha256:{config}\",\"size\":{config_size}}},\
         \"layers\":[{{\"mediaType\":\"{of}.layer.v1.tar+gzip\",\"digest\":\"sha256:{layer}\",\"size\":{layer_size}}}]}}"
    )
}

fn index_of(manifest: &str, size: u64, architecture: &str, tag: &str, version: &str) -> String {
    format!(
        "{{\"schemaVersion\":2,\"mediaType\":\"application/vnd.oci.image.index.v1+json\",\"manifests\":[{{\
         \"mediaType\":\"application/vnd.oci.image.manifest.v1+json\",\"digest\":\"sha256:{manifest}\",\"size\":{size},\
         \"platform\":{{\"architecture\":\"{architecture}\",\"os\":\"linux\"}},\
         \"annotations\":{{\"io.containerd.image.name\":{},\"org.opencontainers.image.ref.name\":{}}}}}]}}",
        quoted(&format!("docker.io/library/{tag}")),
        quoted(version)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_needs_libraries_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        // This one does.
        let refused =
            image(&std::env::current_exe().unwrap(), folder.path(), "1.2.3", "amd64", None).unwrap_err();
        assert!(refused.to_string().contains("needs libraries"), "{refused:#}");
    }

    #[test]
    fn documents_name_each_other_and_brackets_are_closed() {
        let config = config_of("1.2.3", "arm64", "aa");
        let manifest = manifest_of(("bb", 10), ("cc", 20));
        let index = index_of("dd", 30, "arm64", "balancer:1.2.3", "1.2.3");
        for (text, words) in [
            (
                &config,
                &["\"architecture\":\"arm64\"", "sha256:aa", "\"User\":\"65532:65532\"", "\"1.2.3\""][..],
            ),
            (&manifest, &["sha256:bb\",\"size\":10", "sha256:cc\",\"size\":20"]),
            (&index, &["sha256:dd\",\"size\":30", "docker.io/library/balancer:1.2.3"]),
        ] {
            for word in words {
                assert!(text.contains(word), "{word} in {text}");
            }
            for (open, close) in [('{', '}'), ('[', ']')] {
                assert_eq!(text.matches(open).count(), text.matches(close).count(), "{text}");
            }
            assert_eq!(text.matches('"').count() % 2, 0, "{text}");
        }
    }
}
