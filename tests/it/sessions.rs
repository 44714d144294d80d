//! The main promise: a client comes back to its own target, whatever the worker, the connection or the process.

use std::{fs, path::Path, thread};

use support::{Balancer, Client, Config, Group, Target, kernel};

const CLIENTS: usize = 1000;
const TARGETS: usize = 8;

struct Sticky {
    targets: Vec<Target>,
    balancer: Balancer,
    clients: Vec<(Client, Option<String>)>,
}

impl Sticky {
    fn start(kernel_assist: &str, stickiness: impl Fn(Group) -> Group, withheld: &[&str]) -> Self {
        let targets: Vec<Target> = (0..TARGETS).map(|_| Target::sessions()).collect();
        let group = stickiness(Group::new("app", &targets.iter().collect::<Vec<_>>()));
        let balancer = Balancer::start(&Config::with(group).workers(4).kernel_assist(kernel_assist));
        let client = || {
            let mut client = balancer.client();
            client.withheld = withheld.iter().map(ToString::to_string).collect();
            (client, None)
        };
        let clients = (0..CLIENTS).map(|_| client()).collect();
        Self { targets, balancer, clients }
    }

    /// Each client asks this often, on a new connection every fifth time. Gives back how many answers came from
    /// another target than the client's first.
    fn moves(&mut self, requests: usize) -> usize {
        let share = self.clients.len().div_ceil(4);
        thread::scope(|scope| {
            let threads: Vec<_> = self
                .clients
                .chunks_mut(share)
                .map(|clients| {
                    scope.spawn(move || {
                        clients.iter_mut().map(|client| moves_of(client, requests)).sum::<usize>()
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        })
    }
}

fn moves_of((client, home): &mut (Client, Option<String>), requests: usize) -> usize {
    let mut moves = 0;
    for number in 0..requests {
        if number % 5 == 0 {
            client.disconnect();
        }
        let response = client.get("/");
        assert_eq!(response.status, 200);
        let target = response.header("x-target").to_owned();
        let lost = response.headers.get("x-lost").is_some();
        let home = home.get_or_insert_with(|| target.clone());
        moves += usize::from(*home != target || lost);
    }
    client.disconnect();
    moves
}

fn nobody_moves(kernel_assist: &str, stickiness: impl Fn(Group) -> Group, withheld: &[&str]) {
    let mut sticky = Sticky::start(kernel_assist, stickiness, withheld);
    assert_eq!(sticky.moves(20), 0, "moves");
    for target in &sticky.targets {
        // Least outstanding over 1,000 clients leaves no target without.
        assert!(target.count() > 0, "{} got nothing", target.address);
    }
    sticky.balancer.kill_and_restart();
    assert_eq!(sticky.moves(5), 0, "moves after kill -9 and restart");
}

#[test]
fn nobody_moves_with_the_balancers_cookie() {
    nobody_moves("off", Group::lb_cookie, &[]);
}

#[test]
fn nobody_moves_with_the_applications_cookie() {
    nobody_moves("off", |group| group.app_cookie("SESSIONID"), &[]);
}

#[test]
fn nobody_moves_with_the_applications_cookie_alone() {
    nobody_moves("off", |group| group.app_cookie("SESSIONID"), &["AWSALB"]);
}

#[test]
fn nobody_moves_with_the_kernel_side() {
    if kernel::available() {
        nobody_moves("required", Group::lb_cookie, &[]);
    }
}

#[test]
fn nobody_moves_with_the_kernel_side_and_the_applications_cookie_alone() {
    if kernel::available() {
        nobody_moves("required", |group| group.app_cookie("SESSIONID"), &["AWSALB"]);
    }
}

/// A table that is gone, or of another size, is told of and keeps nobody from starting: sessions begin anew, in a table that
/// the next run has.
#[test]
fn a_table_of_the_kernel_side_that_cannot_be_had_is_told_of() {
    if !kernel::available() {
        return;
    }
    let application = || {
        Target::start(|exchange| {
            let value = exchange.request.cookie("SESSIONID").unwrap_or_else(|| "one".to_owned());
            exchange.ok(&format!("Set-Cookie: SESSIONID={value}; Path=/\r\n"), "")
        })
    };
    let target = application();
    for is_gone in [true, false] {
        let config = |assist: &str| {
            let config = Config::with(Group::new("app", &[&target]).app_cookie("SESSIONID"));
            config.kernel_assist(assist)
        };
        let mut balancer = Balancer::start(&config("required"));
        let mut client = balancer.client();
        client.withheld.push("AWSALB".to_owned());
        client.get("/");
        balancer.kill();
        let mut without = config("off");
        if is_gone {
            fs::remove_dir_all(Path::new("/sys/fs/bpf/balancer").join(balancer.instance())).unwrap();
        } else {
            without = without.process("session_table_size = 4096");
        }
        balancer.write(&without);
        balancer.run();
        balancer.wait_log_line(&["WARN", "the session table of the run with the kernel side cannot be had"]);
        balancer.wait_until_settled();
        client.disconnect();
        assert_eq!(client.get("/").status, 200);
        assert_eq!(balancer.status().decisions("pinned"), 0, "it is not known");
        client.disconnect();
        assert_eq!(client.get("/").status, 200);
        assert_eq!(balancer.status().decisions("pinned"), 1, "it has begun anew");
        // It is told once: what comes next has the table of this run.
        balancer.kill();
        balancer.run();
        balancer.wait_until_settled();
        client.disconnect();
        client.get("/");
        assert_eq!(balancer.status().decisions("pinned"), 1, "{}", balancer.log());
    }
}

/// What a run finds is what the one before left, not what the last one of its kind did.
#[test]
fn runs_with_and_without_the_kernel_side_take_sessions_over() {
    if !kernel::available() {
        return;
    }
    for without_capabilities in [false, true] {
        let refreshing = |name: &'static str| {
            Target::start(move |exchange| {
                let value = exchange.request.cookie("SESSIONID").unwrap_or_else(|| "one".to_owned());
                exchange.ok(&format!("Set-Cookie: SESSIONID={value}; Path=/\r\nX-Target: {name}\r\n"), name)
            })
        };
        let targets = [refreshing("a"), refreshing("b")];
        let config = |targets: &[&Target], assist: &str| {
            let group = Group::new("app", targets).app_cookie("SESSIONID").deregistration_delay(0);
            Config::with(group).kernel_assist(assist)
        };
        let both = [&targets[0], &targets[1]];
        let mut balancer = Balancer::start(&config(&both, "required"));
        let mut client = balancer.client();
        client.withheld.push("AWSALB".to_owned());
        let mut ask = || {
            client.disconnect();
            client.get("/").header("x-target").to_owned()
        };
        let first = ask();
        assert_eq!(ask(), first);
        balancer.kill();
        balancer.without_capabilities = without_capabilities;
        let without = if without_capabilities { "auto" } else { "off" };
        balancer.write(&config(&both, without));
        balancer.run();
        balancer.wait_until_settled();
        // Without rights some kernels give pinned tables to their owner and some do not: then the session begins anew.
        let found = ask();
        assert!(without_capabilities || found == first, "it was taken over");
        let first = found;
        // It moves while the table of the kernel side is not used.
        let other = both[usize::from(first == "a")];
        balancer.reload(&config(&[other], without));
        let second = ask();
        assert_ne!(second, first);
        balancer.reload(&config(&both, without));
        balancer.kill();
        balancer.without_capabilities = false;
        balancer.write(&config(&both, "required"));
        balancer.run();
        balancer.wait_until_settled();
        for _ in 0..3 {
            assert_eq!(ask(), second);
        }
    }
}

#[test]
fn without_stickiness_clients_do_move() {
    let targets = [Target::sessions(), Target::sessions()];
    let balancer = Balancer::start(&Config::with(
        Group::new("app", &[&targets[0], &targets[1]]).algorithm("round_robin"),
    ));
    let mut client = balancer.client();
    let moved = (0..10).filter(|_| client.get("/").headers.get("x-lost").is_some()).count();
    assert!(moved > 0, "this test's clients would not see a move");
}
