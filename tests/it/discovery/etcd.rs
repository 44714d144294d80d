//! Keys of a real etcd, which targets keep there by leases.

use support::{Target, etcd::Etcd};

use super::{group, source, start, wait_fault, wait_targets};

const PREFIX: &str = "/targets/app/";

fn put(etcd: &Etcd, name: &str, value: &str) {
    etcd.ctl(&["put", &format!("{PREFIX}{name}"), value]);
}

/// The number of a lease of so many seconds.
fn lease(etcd: &Etcd, seconds: &str) -> String {
    let told = etcd.ctl(&["lease", "grant", seconds]);
    told.split_whitespace().nth(1).expect("lease NUMBER granted …").to_owned()
}

#[test]
fn a_target_is_one_as_long_as_it_renews_its_lease() {
    let targets = [Target::plain(), Target::plain(), Target::plain()];
    let [one, two, three] = &targets;
    let mut etcd = Etcd::start();
    put(&etcd, "one", &one.address);
    let key = format!("{PREFIX}{}", two.address);
    let own = lease(&etcd, "600");
    etcd.ctl(&["put", &format!("--lease={own}"), &key, ""]);
    let balancer =
        start(group(&format!("etcd:{PREFIX}"), &format!("server = \"{}\"\ntimeout = 2", etcd.url(0))));
    wait_targets(&balancer, &[one, two]);
    assert_eq!(source(&balancer.status())["type"], "etcd");
    assert_eq!(source(&balancer.status())["source"], format!("etcd:{PREFIX}"));
    // One that is gone for good, and one that forgot to renew what it had.
    etcd.ctl(&["lease", "revoke", &own]);
    wait_targets(&balancer, &[one]);
    let short = lease(&etcd, "2");
    etcd.ctl(&["put", &format!("--lease={short}"), &key, ""]);
    wait_targets(&balancer, &[one, two]);
    wait_targets(&balancer, &[one]);
    // What is no target is told of, and the rest is used.
    put(&etcd, "x", "no address of a target");
    put(&etcd, "three", &format!("{{\"targets\": [\"{}\"], \"labels\": {{\"weight\": 2}}}}", three.address));
    wait_targets(&balancer, &[one, three]);
    balancer.wait_log_line(&["read in part", "key \\\"x\\\""]);
    // While etcd is away its targets stay, and it is heard of what has changed when it is back.
    etcd.kill(0);
    wait_fault(&balancer, "unreachable", "cannot connect", &[one, three]);
    etcd.begin(0);
    etcd.wait();
    put(&etcd, "two", &two.address);
    wait_targets(&balancer, &[one, two, three]);
    // All of them at once is held to be a mistake.
    etcd.ctl(&["del", "--prefix", PREFIX]);
    wait_fault(&balancer, "empty", "no targets", &[one, two, three]);
}

#[test]
fn who_may_read_it_is_asked_for_a_password_and_another_member_answers_for_one_that_is_gone() {
    let target = Target::plain();
    let mut etcd = Etcd::start_members(3, None);
    put(&etcd, "one", &target.address);
    for words in [
        &["user", "add", "root:secret-of-root"][..],
        &["user", "grant-role", "root", "root"],
        &["user", "add", "lb:secret-of-lb"],
        &["role", "add", "reader"],
        &["role", "grant-permission", "--prefix=true", "reader", "read", PREFIX],
        &["user", "grant-role", "lb", "reader"],
        &["auth", "enable"],
    ] {
        etcd.ctl(words);
    }
    etcd.user = Some("root:secret-of-root".to_owned());
    let password = etcd.folder().join("password");
    std::fs::write(&password, "wrong-secret\n").unwrap();
    let settings = |user: &str| {
        format!(
            "server = \"{}\"\ntimeout = 5\nuser = \"{user}\"\npassword_file = \"{}\"",
            etcd.urls(),
            password.display()
        )
    };
    let balancer = start(group(&format!("etcd:{PREFIX}"), &settings("lb")));
    wait_fault(&balancer, "refused", "authentication failed", &[]);
    std::fs::write(&password, "secret-of-lb\n").unwrap();
    wait_targets(&balancer, &[&target]);
    let leader = etcd.leader();
    etcd.kill(leader);
    let second = Target::plain();
    support::until("etcd has a new leader", 60.0, || {
        etcd.try_ctl(&["put", &format!("{PREFIX}two"), &second.address]).status.success().then_some(())
    });
    wait_targets(&balancer, &[&target, &second]);
    assert!(
        !balancer.log().contains("secret-of") && !balancer.log().contains("wrong-secret"),
        "{}",
        balancer.log()
    );
}
