//! `check` finds what this system would refuse a start or a later reload, and shows what would run.

use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt as _,
    },
    path::Path,
    process::Command,
};

use rustix::process::Signal;
use support::{
    Balancer, Config, Group, Target, authority::Authority, balancer::binary, kernel, tls::Certificate,
};

fn config() -> Config {
    Config::with(Group::of("app", &["127.0.0.1:9001".to_owned()]).lb_cookie()).kernel_assist("off")
}

fn check(balancer: &Balancer) -> (Option<i32>, String, String) {
    let output = Command::new(binary()).arg("check").arg("-c").arg(balancer.config_path()).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// `check` refuses with `words`, and so does `run`; neither makes anything.
fn refused(config: &Config, words: &str, spoil: impl FnOnce(&Path)) {
    let mut balancer = Balancer::prepare(config);
    let folder = balancer.folder().to_owned();
    let text = balancer.text(config).replace("FOLDER", &folder.display().to_string());
    balancer.write_text(&text);
    spoil(&folder);
    let (code, _, said) = check(&balancer);
    assert_eq!(code, Some(2), "{words}: {said}");
    assert!(said.contains(words), "{words:?} is not in: {said}");
    let ended = balancer.run_to_end();
    assert_eq!(ended.code, Some(1), "{words}: {}", ended.log);
}

fn log_at(path: &str) -> Config {
    config().attribute(&format!("access_logs {{\nenabled = true\npath = \"{path}\"\n}}"))
}

#[test]
fn what_a_start_would_be_refused_for_is_found() {
    if !kernel::is_root() {
        return;
    }
    let key = |folder: &Path, bytes: &[u8], mode: u32| {
        fs::create_dir(folder.join("state")).unwrap();
        let path = folder.join("state/stickiness.key");
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let good: Vec<u8> = (0..32_u8).map(|at| at.wrapping_mul(at).wrapping_mul(37) ^ 91).collect();
    refused(&config().process("user = \"no-such-user\""), "there is no user \"no-such-user\"", |_| {});
    refused(&config(), "stickiness.key: 31 bytes are no keys", |folder| key(folder, &good[1..], 0o600));
    refused(&config(), "mode 0644 lets others", |folder| key(folder, &good, 0o644));
    refused(&config(), "secret 1 of it is not random", |folder| key(folder, &[0; 32], 0o600));
    refused(&config(), "state/stickiness.key: cannot open", |folder| {
        fs::write(folder.join("state"), "").unwrap()
    });
    refused(&config(), "state can be changed by others than its owner", |folder| {
        fs::create_dir(folder.join("state")).unwrap();
        fs::set_permissions(folder.join("state"), fs::Permissions::from_mode(0o777)).unwrap();
    });
    refused(&config(), "stickiness.key: it is a symbolic link that leads nowhere", |folder| {
        fs::create_dir(folder.join("state")).unwrap();
        std::os::unix::fs::symlink("nowhere", folder.join("state/stickiness.key")).unwrap();
    });
    refused(&config(), "run is no folder", |folder| fs::write(folder.join("run"), "").unwrap());
    let with_api = |lines: &str| {
        let lines = format!("address = \"127.0.0.1:0\"\naccess_keys_file = \"FOLDER/keys\"\n{lines}");
        config().more(&format!("control_api {{\n{lines}}}\n"))
    };
    let keys = |folder: &Path, text: &str, mode: u32| {
        fs::write(folder.join("keys"), text).unwrap();
        fs::set_permissions(folder.join("keys"), fs::Permissions::from_mode(mode)).unwrap();
    };
    refused(
        &with_api(""),
        "keys (access_keys_file of control_api) cannot be read: there is no such file",
        |_| {},
    );
    refused(&with_api(""), "its mode is 0644): allowed is 0600", |folder| {
        keys(folder, "ID secret-of-a-test\n", 0o644)
    });
    refused(&with_api(""), "keys (access_keys_file of control_api) line 2: a secret", |folder| {
        keys(folder, "ID secret-of-a-test\nOTHER short\n", 0o600);
    });
    refused(&log_at("FOLDER/none/access.log"), "there is no folder", |_| {});
    refused(&log_at("FOLDER/logs"), "logs is a folder", |folder| {
        fs::create_dir(folder.join("logs")).unwrap()
    });
}

#[test]
fn a_file_of_a_folder_and_a_shut_folder_of_the_key_are_warned_of() {
    if !kernel::is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let set = |path: &Path, mode: u32| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let (files, keys) = (folder.path().join("files"), folder.path().join("keys"));
    fs::create_dir(&files).unwrap();
    fs::create_dir(&keys).unwrap();
    [folder.path(), &files, &keys].into_iter().for_each(|path| set(path, 0o755));
    let key = keys.join("stickiness.key");
    let config = config().process("user = \"nobody\"").process(&format!("key_file = \"{}\"", key.display()));
    let balancer = Balancer::prepare(&config);
    let main = files.join("main.hcl");
    fs::copy(balancer.config_path(), &main).unwrap();
    set(&main, 0o644);
    let more = files.join("more.hcl");
    fs::write(&more, "target_group \"more\" {\n  port = 80\n}\n").unwrap();
    let said = || {
        let output = Command::new(binary()).arg("check").arg("-c").arg(&files).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{said}");
        said
    };
    assert!(!said().contains("user \"nobody\""), "{}", said());
    set(&more, 0o600);
    let words = format!("warning: configuration: user \"nobody\" cannot read {}", more.display());
    assert!(said().contains(&words) && !said().contains("main.hcl"), "{}", said());
    set(&more, 0o644);
    let shut = |said: &str| {
        let (key, keys) = (key.display(), keys.display());
        said.contains(&format!("warning: key file {key}: user \"nobody\" cannot enter {keys}, so that"))
    };
    set(&keys, 0o700);
    assert!(shut(&said()), "{}", said());
    // A link of root's leads there as well.
    let link = files.join("link.key");
    let secret: Vec<u8> = (0..32_u8).map(|at| at.wrapping_mul(at).wrapping_mul(37) ^ 91).collect();
    fs::write(&key, secret).unwrap();
    set(&key, 0o600);
    std::os::unix::fs::symlink(&key, &link).unwrap();
    let text = fs::read_to_string(&main).unwrap();
    fs::write(&main, text.replace(&*key.to_string_lossy(), &link.to_string_lossy())).unwrap();
    assert!(said().contains(&format!("cannot enter {}, so that", keys.display())), "{}", said());
    set(&keys, 0o711);
    assert!(!said().contains("cannot enter"), "{}", said());
}

#[test]
fn what_the_user_could_not_read_at_a_reload_is_warned_of() {
    if !kernel::is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let certificate = Certificate::make(folder.path(), "main", &["example.test", "www.example.test"]);
    let config = config().https(&certificate).process("user = \"nobody\"");
    let balancer = Balancer::prepare(&config);
    let words = format!("user \"nobody\" cannot read {}", certificate.key.display());
    let (code, shown, said) = check(&balancer);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(&format!("warning: certificate main: {words}")), "{said}");
    assert!(shown.contains("example.test"), "{shown}");
    // As the key's owner it can; as one of all others in a folder that is shut, it cannot.
    chown(&certificate.key, Some(65534), None).unwrap();
    let (_, _, said) = check(&balancer);
    assert!(!said.contains("cannot read"), "{said}");
    // The certificate is as much read again as its key is.
    fs::set_permissions(&certificate.certificate, fs::Permissions::from_mode(0o600)).unwrap();
    let (code, _, said) = check(&balancer);
    let of_certificate = format!("user \"nobody\" cannot read {}", certificate.certificate.display());
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains(&of_certificate) && !said.contains(&words), "{said}");
    fs::set_permissions(&certificate.certificate, fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let (_, _, said) = check(&balancer);
    assert!(said.contains(&words), "{said}");
}

#[test]
fn a_key_that_root_alone_reads_starts_and_refuses_a_reload() {
    if !kernel::is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let certificate = Certificate::make(folder.path(), "main", &["example.test"]);
    let target = Target::plain();
    let balancer = Balancer::start(&Config::new(&[&target]).https(&certificate).process("user = \"nobody\""));
    let reload = |counted: &str| {
        let count = |status: &support::Status| status.0[counted].as_u64().unwrap();
        let before = count(&balancer.status());
        balancer.signal(Signal::HUP);
        balancer.wait_status(counted, 10.0, |status| count(status) > before)
    };
    let status = reload("reload_failures");
    let told = status.0["refused_reload"]["error"].as_str().unwrap();
    assert!(told.contains(&certificate.key.display().to_string()), "{told}");
    // As check says: once the user can read it, a reload is taken up.
    chown(&certificate.key, Some(65534), None).unwrap();
    assert!(reload("reloads").0["refused_reload"].is_null());
}

#[test]
fn certificates_policies_and_logs_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::until(folder.path(), "main", &["example.test", "www.example.test"], 2040);
    let authority = Authority::make(folder.path(), "authority");
    let log = folder.path().join("access.log");
    let config = log_at(&log.display().to_string())
        .https(&certificate)
        .listener("ssl_policy = \"ELBSecurityPolicy-TLS13-1-2-2021-06\"")
        .listener("mutual_authentication {\nmode = \"verify\"\ntrust_store_arn = trust_store.clients.arn\n}")
        .more(&authority.trust_store("clients"));
    let balancer = Balancer::prepare(&config);
    let (code, shown, said) = check(&balancer);
    assert_eq!(code, Some(0), "{said}");
    let row = |part: &str| {
        let line =
            shown.lines().find(|line| line.contains(part)).unwrap_or_else(|| panic!("{part}: {shown}"));
        line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(row("2040-12-31"), ["main", "example.test, www.example.test", "2040-12-31"]);
    assert!(
        shown.contains("ELBSecurityPolicy-TLS13-1-2-2021-06") && shown.contains("verified by clients"),
        "{shown}"
    );
    assert_eq!(row(" access "), ["main", "access", &log.display().to_string(), "alb"]);
    assert!(!log.exists(), "it only looks");
}

#[test]
fn restarts_are_asked_for_by_what_runs() {
    let target = Target::plain();
    let config = Config::new(&[&target]).workers(1);
    let balancer = Balancer::start(&config);
    let warned = |times: usize| {
        balancer.wait_log_lines(&["takes effect at the next start", "workers"], times).len() == times
    };
    balancer.reload(&config.clone().workers(2));
    assert!(warned(1), "{}", balancer.log());
    // What runs is still one worker, however often the file says two.
    balancer.reload(&config.clone().workers(2));
    assert!(warned(2), "{}", balancer.log());
    balancer.reload(&config);
    balancer.write_text("nonsense");
    balancer.signal(Signal::HUP);
    // The line of the reload after.
    balancer.wait_log("reload refused");
    assert!(warned(2), "nothing differs any more: {}", balancer.log());
}

#[test]
fn an_interface_of_the_shield_that_is_not_there_is_told_with_its_place_and_what_there_is() {
    let shield = "shield {\n  interfaces = [\n    \"no-such-one\",\n  ]\n}\n";
    let balancer = Balancer::prepare(&config().more(shield));
    let text = fs::read_to_string(balancer.config_path()).unwrap();
    let line = 1 + text.lines().position(|line| line.contains("no-such-one")).unwrap();
    let (code, _, said) = check(&balancer);
    assert_eq!(code, Some(0), "{said}");
    let place = format!(
        "{}:{line}:5: shield: there is no interface \"no-such-one\"",
        balancer.config_path().display()
    );
    let told = said.lines().find(|line| line.contains(&place)).unwrap_or_else(|| panic!("{place}: {said}"));
    let there = fs::read_to_string("/proc/net/dev").unwrap();
    let first = there.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name.trim());
    // Others may come and go beside this test.
    let own = first.filter(|name| *name != "lo" && !name.starts_with("bl")).min();
    assert!(own.is_none_or(|name| told.contains(&format!("{name:?}"))), "{told}");
}

#[test]
fn a_key_file_that_a_reload_would_not_take_is_warned_of_while_the_instance_runs() {
    let target = Target::plain();
    let config = Config::new(&[&target]).kernel_assist("off");
    let config = if kernel::is_root() { config.process("user = \"nobody\"") } else { config };
    let balancer = Balancer::start(&config);
    let other = balancer.folder().join("other.key");
    let with_other = config.clone().process(&format!("key_file = \"{}\"", other.display()));
    balancer.write_text(&balancer.text(&with_other));
    let reload = |counted: &str| {
        let count = |status: &support::Status| status.0[counted].as_u64().unwrap();
        let before = count(&balancer.status());
        balancer.signal(Signal::HUP);
        balancer.wait_status(counted, 10.0, |status| count(status) > before)
    };
    let (code, _, said) = check(&balancer);
    assert_eq!(code, Some(0), "a start would make it: {said}");
    let told = format!("warning: key file {}: is not there; a reload of instance ", other.display());
    assert!(said.contains(&told) && !said.contains("unless"), "{said}");
    let refused = reload("reload_failures");
    assert!(refused.0["refused_reload"]["error"].as_str().unwrap().contains("there is no such key file"));

    fs::copy(balancer.folder().join("state/stickiness.key"), &other).unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o600)).unwrap();
    if kernel::is_root() {
        let (code, _, said) = check(&balancer);
        let told =
            format!("warning: key file {}: cannot be read by the user of the instance", other.display());
        assert!(code == Some(0) && said.contains(&told), "{said}");
        reload("reload_failures");
        chown(&other, Some(65534), None).unwrap();
    }
    let (_, _, said) = check(&balancer);
    assert!(!said.contains("key file"), "{said}");
    assert!(reload("reloads").0["refused_reload"].is_null());

    // Without an instance that runs it is the start's business.
    let idle = Balancer::prepare(&config);
    let (code, _, said) = check(&idle);
    assert!(code == Some(0) && !said.contains("key file"), "{said}");
}

#[test]
fn an_instance_that_runs_is_asked_for_its_state_dir() {
    let target = Target::plain();
    let config = Config::new(&[&target]).kernel_assist("off");
    let balancer = Balancer::start(&config);
    let said = || {
        let (code, _, said) = check(&balancer);
        assert_eq!(code, Some(0), "{said}");
        said
    };
    let (text, state) = (balancer.text(&config), balancer.folder().join("state"));
    let with_state =
        |folder: &Path| text.replace(&state.display().to_string(), &folder.display().to_string());
    let elsewhere = balancer.folder().join("elsewhere");
    assert_ne!(with_state(&elsewhere), text);
    assert!(!said().contains("key file"), "{}", said());

    // Another one waits for the next start, and no reload looks there.
    balancer.write_text(&with_state(&elsewhere));
    assert!(!said().contains("key file"), "{}", said());
    balancer.signal(Signal::HUP);
    balancer.wait_status("the reload", 10.0, |status| status.0["reloads"] == 1);

    // Whichever is configured: what is missing is that of the folder of the start.
    let key = state.join("stickiness.key");
    let kept = balancer.folder().join("kept.key");
    fs::rename(&key, &kept).unwrap();
    let told = format!(
        "warning: key file {}: is not there; a reload of instance {}, which runs, would be refused: put it there, or restart \
         to have a new one made",
        key.display(),
        balancer.instance()
    );
    for configured in [&elsewhere, &state] {
        balancer.write_text(&with_state(configured));
        assert!(said().lines().any(|line| line == told), "{}", said());
    }
    balancer.signal(Signal::HUP);
    balancer.wait_status("the refusal", 10.0, |status| status.0["reload_failures"] == 1);
    fs::rename(&kept, &key).unwrap();
    assert!(!said().contains("key file"), "{}", said());
}

#[test]
fn where_an_instance_that_runs_cannot_be_asked_for_its_state_dir_it_is_told_why() {
    let target = Target::plain();
    let config = Config::new(&[&target]).kernel_assist("off");
    let balancer = Balancer::start(&config);
    let text = balancer.text(&config);
    let told = |words: &str| {
        let said = check(&balancer).2;
        let of_key: Vec<&str> = said.lines().filter(|line| line.contains("key file")).collect();
        let begin = format!(
            "warning: key file {}: is not there; whether a reload of instance {}, which runs, would be refused is not known, \
             since it cannot be asked what it was started with ({words}",
            balancer.folder().join("elsewhere/stickiness.key").display(),
            balancer.instance()
        );
        assert!(of_key.len() == 1 && of_key[0].starts_with(&begin), "{begin}\n{said}");
    };
    let elsewhere = text.replace("/state\"", "/elsewhere\"");
    balancer.write_text(&elsewhere);

    // Its socket is there and takes in who connects.
    balancer.signal(Signal::STOP);
    told("no answer within 2 s)");
    balancer.signal(Signal::CONT);
    let line = elsewhere.lines().find(|line| line.trim_start().starts_with("runtime_dir")).unwrap();
    let other = balancer.folder().join("other-run");
    balancer.write_text(&elsewhere.replace(line, &format!("  runtime_dir = \"{}\"", other.display())));
    told(&format!("its runtime_dir is not {})", other.display()));
}

#[test]
fn another_user_is_told_that_the_folder_of_an_instance_cannot_be_seen() {
    if !kernel::is_root() {
        return;
    }
    let target = Target::plain();
    let config = Config::new(&[&target]).kernel_assist("off");
    let balancer = Balancer::start(&config);
    let state = balancer.folder().join("elsewhere");
    fs::create_dir(&state).unwrap();
    chown(&state, Some(65534), Some(65534)).unwrap();
    balancer.write_text(&balancer.text(&config).replace("/state\"", "/elsewhere\""));
    let instance = balancer.folder().join("run").join(balancer.instance());
    // What is in it is root's alone either way.
    for mode in [0o700, 0o755, 0o744] {
        fs::set_permissions(&instance, fs::Permissions::from_mode(mode)).unwrap();
        let program = balancer.program_for_all();
        let mut command = Command::new(&program);
        command.arg("check").arg("-c").arg(balancer.config_path()).uid(65534).gid(65534);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let (run, key) = (balancer.folder().join("run"), state.join("stickiness.key"));
        for words in [
            format!(
                "and a start beside it is refused; whether it has the runtime_dir {} cannot be seen: ",
                run.display()
            ),
            format!("key file {}: is not there; whether a reload of instance", key.display()),
            "cannot be asked what it was started with (Permission denied".to_owned(),
        ] {
            assert!(said.contains(&words), "{words}\n{said}");
        }
        assert!(!said.contains("another runtime_dir"), "{said}");
    }
}

#[test]
fn an_instance_that_runs_with_another_runtime_dir_is_warned_of() {
    let target = Target::plain();
    let balancer = Balancer::start(&Config::new(&[&target]).kernel_assist("off"));
    let (code, _, said) = check(&balancer);
    assert!(code == Some(0) && !said.contains("runs already"), "{said}");
    let text = fs::read_to_string(balancer.config_path()).unwrap();
    let line = text.lines().find(|line| line.trim_start().starts_with("runtime_dir")).unwrap();
    let other = balancer.folder().join("other-run");
    balancer.write_text(&text.replace(line, &format!("  runtime_dir = \"{}\"", other.display())));
    let (code, _, said) = check(&balancer);
    let told = format!(
        "warning: instance {} runs already as process {}, with another runtime_dir than {}",
        balancer.instance(),
        balancer.pid(),
        other.display()
    );
    assert!(code == Some(0) && said.contains(&told), "{said}");
    assert!(!other.exists());
}
