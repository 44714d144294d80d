//! Signals to end while one process takes the place of another: they are meant for the instance, and whoever asked for the
//! upgrade is told what came of it.

use std::fs;

use rustix::process::Signal;
use support::{Balancer, Config, Target, until};

/// The new process has been given the word, and stands still before it says that it has taken over.
#[test]
fn who_was_asked_to_end_when_the_new_one_had_the_word_passes_it_on() {
    for assist in ["off", "auto"] {
        let (target, go, arrived) = Target::gated("");
        let mut balancer = Balancer::prepare(&Config::new(&[&target]).kernel_assist(assist));
        let goes_on = balancer.folder().join("goes-on");
        balancer.environment.push(("BALANCER_TEST_STALL", "taking over".to_owned()));
        balancer.environment.push(("BALANCER_TEST_STALL_UNTIL", goes_on.to_str().unwrap().to_owned()));
        balancer.run();
        balancer.wait_until_settled();
        let mut slow = balancer.connect();
        slow.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
        arrived.recv().unwrap();
        let done = std::thread::scope(|scope| {
            let upgrade = scope.spawn(|| balancer.upgrade());
            balancer.wait_log("standing still");
            balancer.signal(Signal::TERM);
            balancer.wait_log("the upgrade that is under way comes to its end first");
            fs::write(&goes_on, "").unwrap();
            upgrade.join().unwrap()
        });
        let (told, failed) =
            (String::from_utf8(done.stdout).unwrap(), String::from_utf8(done.stderr).unwrap());
        assert!(done.status.success(), "{failed}\n{}", balancer.log());
        assert!(told.contains("the one before was asked to end meanwhile, and both finish"), "{told}");
        let new: u32 = told.split(' ').nth(1).unwrap().parse().unwrap();
        balancer.wait_gone(&[new], 20.0);
        balancer.wait_log("the process before was asked to end, and so this one ends");
        assert_eq!(balancer.processes(), [balancer.pid()], "it has a request under way");
        go.send(()).unwrap();
        assert_eq!(slow.response().text(), "finished");
        assert_eq!(balancer.wait_exit(20.0).code(), Some(0));
        until("both are gone", 20.0, || balancer.processes().is_empty().then_some(()));
    }
}

#[test]
fn who_asks_for_an_upgrade_while_the_process_ends_is_answered() {
    let (target, go, arrived) = Target::gated("");
    let mut balancer = Balancer::start(&Config::new(&[&target]));
    let mut slow = balancer.connect();
    slow.send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    arrived.recv().unwrap();
    balancer.signal(Signal::TERM);
    balancer.wait_log("ending: requests in flight are finished");
    let done = balancer.upgrade();
    let told = String::from_utf8(done.stderr).unwrap();
    let said = "balancer: not upgraded: the process that was asked is ending, or another one has just taken its place\n";
    assert_eq!((done.status.code(), &*told), (Some(1), said));
    go.send(()).unwrap();
    assert_eq!(slow.response().text(), "finished");
    assert_eq!(balancer.wait_exit(20.0).code(), Some(0));
}
