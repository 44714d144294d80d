//! Named pipes, devices and folders where a file should be: refused by name, by `check` and by a reload, and nothing
//! waits for them.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use rustix::{
    fs::{CWD, FileType, Mode, mknodat},
    process::Signal,
};
use support::{
    Balancer, Config, Group, Target, authority::Authority, balancer::binary, tls::Certificate, until,
};

fn pipe(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

/// What `check` says of this configuration, which it refuses without waiting for anything.
fn refused(config: &Path, stdin: Stdio) -> String {
    let mut command = Command::new(binary());
    command.arg("check").arg("-c").arg(config).stdin(stdin).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let started = std::time::Instant::now();
    let ended = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if started.elapsed().as_secs() >= 20 {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("`check` waits for {}", config.display());
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    };
    let said = std::io::read_to_string(child.stderr.take().unwrap()).unwrap();
    assert_eq!(ended.code(), Some(2), "{said}");
    said
}

#[test]
fn a_configuration_that_is_no_file_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("balancer.hcl");
    pipe(&fifo);
    for (path, words) in [
        (fifo.as_path(), "balancer.hcl: is a pipe; allowed: a regular file or a folder"),
        (folder.path(), "balancer.hcl: is a pipe; allowed: a regular file or a folder"),
        (Path::new("/dev/zero"), "/dev/zero: is a character device; allowed: a regular file or a folder"),
        (Path::new("/dev/null"), "/dev/null: is a character device; allowed: a regular file or a folder"),
        // As in `generate | balancer check -c /dev/stdin`; a shell's `<(…)` is such a pipe, too.
        (Path::new("/dev/stdin"), "/dev/stdin: is a pipe; allowed: a regular file or a folder"),
    ] {
        let said = refused(path, Stdio::piped());
        assert!(said.contains(words), "{words:?} is not in: {said}");
    }
}

#[test]
fn a_regular_file_at_standard_input_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.hcl");
    fs::write(&path, "balancer {}\ntarget_group \"app\" { targets = [\"127.0.0.1:9001\"] }\n").unwrap();
    let mut command = Command::new(binary());
    command.args(["check", "-c", "/dev/stdin"]).stdin(fs::File::open(&path).unwrap());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_folder_of_more_than_a_configuration_has_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let comment = "# text\n".repeat(500_000);
    for number in 0..6 {
        fs::write(folder.path().join(format!("{number}.hcl")), &comment).unwrap();
    }
    let said = refused(folder.path(), Stdio::null());
    assert!(said.contains("holds too much; allowed: at most 16777216 bytes"), "{said}");
}

/// Every file that a configuration names, one after the other a pipe, a device, a folder, and without an end.
#[test]
fn files_that_a_configuration_names_are_regular_files_within_a_size() {
    let folder = tempfile::tempdir().unwrap();
    let own = Certificate::make(folder.path(), "own", &["localhost"]);
    let authority = Authority::make(folder.path(), "authority");
    let list = authority.list("list.pem", &[]);
    let bad = folder.path().join("bad");
    let text = |replaced: &str| {
        let text = format!(
            "{}{}trust_store_revocation \"r\" {{\n  trust_store_arn = trust_store.t.arn\n  revocations_file = \"{}\"\n}}\n\
             listener \"web\" {{\n  port = 8443\n  protocol = \"HTTPS\"\n  certificate_arn = certificate.main.arn\n  \
             mutual_authentication {{\n    mode = \"verify\"\n    trust_store_arn = trust_store.t.arn\n  }}\n  \
             default_action {{\n    type = \"forward\"\n    target_group_arn = target_group.app.arn\n  }}\n}}\n\
             target_group \"app\" {{\n  protocol = \"HTTPS\"\n  target_tls_verification = \"on\"\n  target_tls_ca_file = \"{}\"\n  \
             targets = [\"localhost:9001\"]\n}}\n",
            own.block("main"),
            authority.trust_store("t"),
            list.display(),
            authority.own.certificate.display(),
        );
        text.replace(&format!("\"{replaced}\""), &format!("\"{}\"", bad.display()))
    };
    let config = folder.path().join("balancer.hcl");
    let files = [&own.certificate, &own.key, &authority.own.certificate, &list];
    for file in files {
        for (make, words) in [
            (pipe as fn(&Path), "cannot be read: it is no file but a pipe"),
            (
                |path| std::os::unix::fs::symlink("/dev/zero", path).unwrap(),
                "cannot be read: it is no file but a character device",
            ),
            (|path| fs::create_dir(path).unwrap(), "cannot be read: it is no file but a folder"),
            (|path| fs::File::create(path).unwrap().set_len(1 << 40).unwrap(), "is larger than"),
        ] {
            make(&bad);
            fs::write(&config, text(&file.display().to_string())).unwrap();
            let said = refused(&config, Stdio::null());
            assert!(
                said.contains(&format!("{} {words}", bad.display())),
                "{}: {words:?} is not in: {said}",
                file.display()
            );
            if bad.is_dir() { fs::remove_dir(&bad) } else { fs::remove_file(&bad) }.unwrap();
        }
    }
}

#[test]
fn a_reload_waits_for_no_pipe_in_the_place_of_a_file() {
    let target = Target::plain();
    let balancer = Balancer::start(&Config::with(Group::new("app", &[&target]).lb_cookie()));
    let key = balancer.folder().join("state/stickiness.key");
    let config = balancer.config_path();
    for (failures, file) in (1..).zip([&config, &key]) {
        let aside = file.with_extension("aside");
        fs::rename(file, &aside).unwrap();
        pipe(file);
        balancer.signal(Signal::HUP);
        balancer.wait_status("the reload is refused", 10.0, |status| status.0["reload_failures"] == failures);
        until("the file is named", 10.0, || {
            balancer.log().contains(&file.display().to_string()).then_some(())
        });
        fs::remove_file(file).unwrap();
        fs::rename(&aside, file).unwrap();
    }
    balancer.signal(Signal::HUP);
    balancer.wait_status("the control side goes on", 10.0, |status| status.0["reloads"] == 1);
    assert_eq!(balancer.connect().get("/", "").status, 200);
}
