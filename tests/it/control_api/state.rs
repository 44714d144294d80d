//! What was made through the API: it outlives whatever becomes of the process, stands beside what files say, and goes out and in
//! as JSON.

use std::{
    collections::BTreeSet,
    fs,
    process::{Command, Output},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use support::{ports, until};

use super::{Api, Besides};

fn form(action: &str, parameters: &[(&str, &str)]) -> String {
    let pair = |(name, value): &(&str, &str)| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let escaped: String = value
            .bytes()
            .map(|byte| if plain(byte) { (byte as char).to_string() } else { format!("%{byte:02X}") })
            .collect();
        format!("&{name}={escaped}")
    };
    format!("Action={action}&Version=2015-12-01{}", parameters.iter().map(pair).collect::<String>())
}

/// The texts of all elements of this name.
pub(super) fn all(answer: &str, name: &str) -> Vec<String> {
    let begin = format!("<{name}>");
    answer.split(&begin).skip(1).filter_map(|rest| Some(rest.split_once('<')?.0.to_owned())).collect()
}

impl Api {
    /// What a call is answered that has to succeed.
    pub(super) fn call(&self, action: &str, parameters: &[(&str, &str)]) -> String {
        let (status, answer) = self.curl("http", "WRITER", &form(action, parameters), &[]).unwrap();
        assert_eq!(status, 200, "{action} {parameters:?}: {answer}\n{}", self.balancer.log());
        answer
    }

    /// Code and words of a call that has to fail.
    pub(super) fn refused(&self, action: &str, parameters: &[(&str, &str)]) -> (String, String) {
        let (status, answer) = self.curl("http", "WRITER", &form(action, parameters), &[]).unwrap();
        assert_ne!(status, 200, "{action} {parameters:?}: {answer}");
        (all(&answer, "Code").swap_remove(0), all(&answer, "Message").swap_remove(0))
    }

    pub(super) fn make_group(&self, name: &str) -> String {
        let parameters =
            [("Name", name), ("Protocol", "HTTP"), ("Port", "80"), ("VpcId", "vpc-1"), ("TargetType", "ip")];
        all(&self.call("CreateTargetGroup", &parameters), "TargetGroupArn").swap_remove(0)
    }

    pub(super) fn make_balancer(&self, name: &str, scheme: &str) -> String {
        let subnets = [("Subnets.member.1", "subnet-1"), ("Subnets.member.2", "subnet-2")];
        let parameters = [[("Name", name), ("Scheme", scheme)], subnets].concat();
        all(&self.call("CreateLoadBalancer", &parameters), "LoadBalancerArn").swap_remove(0)
    }

    /// The load balancer of listeners of files that name none.
    fn balancer_of_files(&self) -> String {
        let answer = self.call("DescribeLoadBalancers", &[("Names.member.1", "default")]);
        all(&answer, "LoadBalancerArn").swap_remove(0)
    }

    fn group_names(&self) -> BTreeSet<String> {
        all(&self.call("DescribeTargetGroups", &[]), "TargetGroupName").into_iter().collect()
    }

    /// A load balancer that forwards to both targets; its listener's ARN, and that of the group.
    fn serve(&self) -> (String, String) {
        let group = self.make_group("app");
        for (index, target) in self.targets.iter().enumerate() {
            let port = target.port().to_string();
            let number = format!("Targets.member.{}", index + 1);
            let (id, at) = (format!("{number}.Id"), format!("{number}.Port"));
            let targets = [
                ("TargetGroupArn", group.as_str()),
                (id.as_str(), "127.0.0.1"),
                (at.as_str(), port.as_str()),
            ];
            self.call("RegisterTargets", &targets);
        }
        let balancer = self.make_balancer("web", "internal");
        let port = self.port.to_string();
        let parameters = [
            ("LoadBalancerArn", balancer.as_str()),
            ("Protocol", "HTTP"),
            ("Port", port.as_str()),
            ("DefaultActions.member.1.Type", "forward"),
            ("DefaultActions.member.1.TargetGroupArn", group.as_str()),
        ];
        let listener = all(&self.call("CreateListener", &parameters), "ListenerArn").swap_remove(0);
        (listener, group)
    }

    /// What a client of the load balancer is answered; nothing where nobody listens.
    pub(super) fn get(&self, path: &str) -> Option<u16> {
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        use std::io::{Read as _, Write as _};
        let text = format!("GET {path} HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n");
        stream.write_all(text.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.split(' ').nth(1)?.parse().ok()
    }

    fn state(&self, arguments: &[&str]) -> Output {
        self.state_command(arguments).output().unwrap()
    }

    fn state_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(support::balancer::binary());
        command.arg("state").args(arguments).arg("-c").arg(self.balancer.config_path());
        command
    }

    fn state_file(&self) -> std::path::PathBuf {
        self.balancer.folder().join(format!("state/control-api-{}.redb", self.balancer.instance()))
    }
}

#[test]
fn what_was_acknowledged_outlives_a_process_that_is_killed() {
    outlives_kills(12);
}

#[test]
#[ignore = "minutes of kills; .ci/run --full has it"]
fn what_was_acknowledged_outlives_two_hundred_kills() {
    outlives_kills(200);
}

fn outlives_kills(kills: usize) {
    let mut api = Api::with(Besides::default(), |_| {});
    api.serve();
    let mut acknowledged = BTreeSet::from(["app".to_owned()]);
    for round in 0..kills {
        let killed = AtomicBool::new(false);
        let pid = rustix::process::Pid::from_raw(i32::try_from(api.balancer.pid()).unwrap()).unwrap();
        let made = thread::scope(|scope| {
            let make = |number: usize| {
                let (api, killed) = (&api, &killed);
                move || {
                    let mut made = Vec::new();
                    for index in 0..100 {
                        let name = format!("g{round}-{number}-{index}");
                        let parameters =
                            [("Name", name.as_str()), ("Protocol", "HTTP"), ("Port", "80"), ("VpcId", "v")];
                        match api.curl("http", "WRITER", &form("CreateTargetGroup", &parameters), &[]) {
                            Ok((200, _)) => made.push(name),
                            Ok((status, answer)) => panic!("{status} {answer}"),
                            // Nobody is there any more, and it may have been done.
                            Err(_) => break,
                        }
                        assert!(!killed.load(Ordering::Relaxed) || index < 99);
                    }
                    made
                }
            };
            let writers = [0, 1].map(|number| scope.spawn(make(number)));
            // In the midst of it, at another moment each time.
            until("changes", 30.0, || {
                (api.balancer.log().matches("a change by the ELBv2 API").count() > round * 2).then_some(())
            });
            let begun = Instant::now();
            while begun.elapsed() < Duration::from_micros(u64::try_from(round * 1777 % 9000).unwrap()) {
                std::hint::spin_loop();
            }
            rustix::process::kill_process(pid, Signal::KILL).unwrap();
            killed.store(true, Ordering::Relaxed);
            writers.map(|writer| writer.join().unwrap()).concat()
        });
        api.balancer.kill_and_restart();
        acknowledged.extend(made);
        let there = api.group_names();
        let lost: Vec<_> = acknowledged.difference(&there).collect();
        assert!(lost.is_empty(), "{lost:?} were acknowledged and are gone");
        // What was under way may have been done or not; room is made for the next round.
        let answer = api.call("DescribeTargetGroups", &[]);
        for (name, arn) in all(&answer, "TargetGroupName").iter().zip(all(&answer, "TargetGroupArn")) {
            if name != "app" {
                api.call("DeleteTargetGroup", &[("TargetGroupArn", &arn)]);
            }
        }
        acknowledged.retain(|name| name == "app");
    }
    until("it serves what was made before all that", 30.0, || (api.get("/") == Some(200)).then_some(()));
    api.assert_sound();
}

#[test]
fn a_state_goes_out_and_in_and_a_damaged_one_is_mended_with_its_copy() {
    let mut api = Api::with(Besides::default(), |_| {});
    api.serve();
    until("it serves", 30.0, || (api.get("/") == Some(200)).then_some(()));
    let exported = api.state(&["export"]);
    let text = String::from_utf8(exported.stdout).unwrap();
    // Nobody reads it to its end.
    let mut unread = api.state_command(&["export"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    drop(unread.stdout.take());
    assert!(unread.wait().unwrap().success(), "a reader that went away is no failure");
    assert!(exported.status.success() && text.contains("\"name\": \"app\""), "{text}");
    let copy = fs::canonicalize(api.state_file()).unwrap().with_extension("redb.json");
    until("the copy says the same", 30.0, || {
        (fs::read_to_string(&copy).ok()?.trim() == text.trim()).then_some(())
    });
    let copy = copy.to_str().unwrap();
    let in_use = api.state(&["import", copy]);
    let told = String::from_utf8_lossy(&in_use.stderr).into_owned();
    assert_eq!(in_use.status.code(), Some(1), "{told}");
    assert!(told.contains("another process has it open"), "{told}");
    api.balancer.kill();

    let whole = fs::read(api.state_file()).unwrap();
    fs::write(api.state_file(), &whole[..whole.len() / 3]).unwrap();
    let ended = api.balancer.run_or_end().expect("it does not serve without what was made");
    assert_eq!(ended.code, Some(1), "{}", ended.log);
    let line = ended.log.lines().last().unwrap_or_default();
    assert!(
        line.contains(".redb: the database is damaged") && line.contains("balancer state import"),
        "{line}"
    );
    assert!(line.contains(copy), "{line}");
    let imported = api.state(&["import", copy]);
    assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
    assert!(api.state_file().with_extension("redb.damaged").exists());
    api.balancer.run();
    until("it serves again", 30.0, || (api.get("/") == Some(200)).then_some(()));
    assert_eq!(api.group_names(), BTreeSet::from(["app".to_owned()]));
    api.balancer.kill();

    // What does not go with the files is not put there.
    let wrong = api.balancer.folder().join("wrong.json");
    let admin = text.replace(&format!("\"port\": {}", api.port), "\"port\": 0");
    fs::write(&wrong, admin).unwrap();
    let refused = api.state(&["import", wrong.to_str().unwrap()]);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{told}");
    assert!(told.contains("wrong.json: `port` = 0"), "{told}");
    for (from, to, told) in [
        ("\"target_type\": \"ip\"", "\"target_type\": \"lambda\"", "target_type is 'lambda'"),
        ("\"owner\": \"Api\"", "\"owner\": { \"File\": \"/etc/b.hcl\" }", "is of the file /etc/b.hcl"),
        ("\"scheme\"", "\"colour\": 1, \"scheme\"", "colour, which is not known"),
    ] {
        fs::write(&wrong, text.replacen(from, to, 1)).unwrap();
        let refused = api.state(&["import", wrong.to_str().unwrap()]);
        let complaint = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(refused.status.code() == Some(2) && complaint.contains(told), "{told}: {complaint}");
    }
    fs::write(&wrong, "{}").unwrap();
    assert_eq!(api.state(&["import", wrong.to_str().unwrap()]).status.code(), Some(2));
    assert!(String::from_utf8(api.state(&["export"]).stdout).unwrap().contains("\"name\": \"app\""));
}

#[test]
fn a_copy_that_cannot_be_kept_is_kept_later() {
    let api = Api::with(Besides::default(), |_| {});
    api.make_group("first");
    let copy = fs::canonicalize(api.state_file()).unwrap().with_extension("redb.json");
    let holds = |name: &str| fs::read_to_string(&copy).is_ok_and(|text| text.contains(name));
    until("the copy", 30.0, || holds("\"first\"").then_some(()));
    fs::remove_file(&copy).unwrap();
    fs::create_dir(&copy).unwrap();
    api.make_group("second");
    api.balancer.wait_log_line(&["a copy of the state cannot be kept; it is tried again"]);
    fs::remove_dir(&copy).unwrap();
    until("the copy, though nothing else is changed", 30.0, || holds("\"second\"").then_some(()));
    api.assert_sound();
}

#[test]
fn files_and_what_was_made_stand_side_by_side() {
    let taken = ports::free();
    let blocks = |port: u16| {
        format!(
            "target_group \"filed\" {{\n  targets = [\"127.0.0.1:9\"]\n}}\nlistener \"front\" {{\n  address = \"127.0.0.1\"\n  \
             port = {port}\n  default_action {{\n    type = \"forward\"\n    target_group_arn = \"filed\"\n  }}\n}}\n"
        )
    };
    let api = Api::with(Besides { blocks: &blocks(taken), ..Besides::default() }, |_| {});
    api.serve();
    until("it serves", 30.0, || (api.get("/") == Some(200)).then_some(()));
    assert_eq!(api.group_names(), ["app", "filed"].map(str::to_owned).into());
    let answer = api.call("DescribeTargetGroups", &[("Names.member.1", "filed")]);
    let filed = all(&answer, "TargetGroupArn").swap_remove(0);
    let (code, words) = api.refused("DeleteTargetGroup", &[("TargetGroupArn", &filed)]);
    assert_eq!(code, "OperationNotPermitted");
    assert!(words.contains("balancer.hcl"), "{words}");
    let more = [("TargetGroupArn", filed.as_str()), ("Targets.member.1.Id", "127.0.0.1")];
    assert_eq!(api.refused("RegisterTargets", &more).0, "OperationNotPermitted");
    let (code, _) = api.refused(
        "CreateTargetGroup",
        &[("Name", "filed"), ("Protocol", "HTTP"), ("Port", "80"), ("VpcId", "v")],
    );
    assert_eq!(code, "DuplicateTargetGroupName");

    // A file that would take the place of what was made is refused, and everything stays.
    let text = fs::read_to_string(api.balancer.config_path()).unwrap();
    let other = text.replace(&format!("port = {taken}"), &format!("port = {}", api.port));
    assert_ne!(text, other);
    api.balancer.write_text(&other);
    api.balancer.signal(Signal::HUP);
    let refused = api.balancer.wait_log_line(&["reload refused", "is taken by"]);
    assert!(refused.contains(&format!("127.0.0.1:{}", api.port)), "{refused}");
    assert!(refused.contains("with what was made through the ELBv2 API: "), "{refused}");
    assert_eq!(api.get("/"), Some(200));
    // One that would take away what a rule of the API leads to says which, and what to do.
    let listeners = api.call("DescribeListeners", &[("LoadBalancerArn", &api.balancer_of_files())]);
    let front = all(&listeners, "ListenerArn");
    let rule = all(
        &api.call(
            "CreateRule",
            &[
                ("ListenerArn", front[0].as_str()),
                ("Priority", "1"),
                ("Conditions.member.1.Field", "path-pattern"),
                ("Conditions.member.1.Values.member.1", "/f"),
                ("Actions.member.1.Type", "forward"),
                ("Actions.member.1.TargetGroupArn", filed.as_str()),
            ],
        ),
        "RuleArn",
    );
    api.balancer.write_text(&text.replace(&blocks(taken), ""));
    api.balancer.signal(Signal::HUP);
    let refused = api.balancer.wait_log_line(&["reload refused", "which is not there"]);
    assert!(refused.contains(&rule[0]) && refused.contains("target group 'filed'"), "{refused}");
    api.call("DeleteRule", &[("RuleArn", &rule[0])]);
    // Half an edit of a file does not stop what is changed through the API, nor does it take effect along with it.
    api.balancer.write_text("listener {");
    api.make_group("meanwhile");
    assert_eq!(api.group_names().len(), 3);
    // A file that goes takes its own along and nothing else.
    api.balancer.write_text(&text.replace(&blocks(taken), ""));
    api.balancer.signal(Signal::HUP);
    until("what was in the file is gone", 30.0, || (!api.group_names().contains("filed")).then_some(()));
    assert_eq!(api.get("/"), Some(200));
    api.assert_sound();
}

#[test]
fn two_load_balancers_on_a_port_need_addresses_of_their_own() {
    let api = Api::with(Besides::default(), |_| {});
    api.serve();
    let other = api.make_balancer("other", "internet-facing");
    let port = api.port.to_string();
    let parameters = [
        ("LoadBalancerArn", other.as_str()),
        ("Protocol", "HTTP"),
        ("Port", port.as_str()),
        ("DefaultActions.member.1.Type", "fixed-response"),
        ("DefaultActions.member.1.FixedResponseConfig.StatusCode", "204"),
    ];
    let (code, words) = api.refused("CreateListener", &parameters);
    assert_eq!(code, "ValidationError");
    assert!(words.to_lowercase().contains("listener 'web:") && words.contains("balancer:address"), "{words}");
    let tag = [
        ("ResourceArns.member.1", other.as_str()),
        ("Tags.member.1.Key", "balancer:address"),
        ("Tags.member.1.Value", "127.0.0.2"),
    ];
    api.call("AddTags", &tag);
    // The very same request is one and the same for as long as it has the same second in it.
    until("it is there", 30.0, || {
        let (status, _) = api.curl("http", "WRITER", &form("CreateListener", &parameters), &[]).ok()?;
        (status == 200).then_some(())
    });
    until("each has its own", 30.0, || (api.get("/") == Some(200)).then_some(()));
    let elsewhere = support::Connection::open(format!("127.0.0.2:{port}").parse().unwrap());
    drop(elsewhere);
    // An address that is not of this host is refused before anything is written down.
    let none = [tag[0], tag[1], ("Tags.member.1.Value", "192.0.2.7")];
    let (code, words) = api.refused("AddTags", &none);
    assert_eq!(code, "ValidationError", "{words}");
    assert!(words.contains("192.0.2.7"), "{words}");
    assert_eq!(api.get("/"), Some(200));
    let answer = api.call("DescribeTags", &[("ResourceArns.member.1", other.as_str())]);
    assert_eq!(all(&answer, "Value"), ["127.0.0.2"], "and nothing of it is kept");
}

/// A change with a thousand targets there takes a debug build some 50 to 100 ms, a disk that is slow to sync included.
#[test]
fn a_change_beside_a_thousand_targets_is_in_force_at_once() {
    let api = Api::with(Besides::default(), |_| {});
    let group = api.make_group("many");
    for hundred in 0..10 {
        let names: Vec<(String, String)> = (1..=100)
            .map(|index| (format!("Targets.member.{index}.Id"), format!("10.9.{hundred}.{index}")))
            .collect();
        let mut parameters = vec![("TargetGroupArn", group.as_str())];
        parameters.extend(names.iter().map(|(name, id)| (name.as_str(), id.as_str())));
        api.call("RegisterTargets", &parameters);
    }
    let change = |seconds: u32| {
        let seconds = seconds.to_string();
        let begun = Instant::now();
        let parameters = [
            ("TargetGroupArn", group.as_str()),
            ("Attributes.member.1.Key", "deregistration_delay.timeout_seconds"),
            ("Attributes.member.1.Value", seconds.as_str()),
        ];
        api.call("ModifyTargetGroupAttributes", &parameters);
        begun.elapsed()
    };
    let best = (1..=10).map(change).min().unwrap();
    println!("a change beside 1,000 targets: {best:?}");
    assert!(best < Duration::from_millis(300), "{best:?}");
    let health = api.call("DescribeTargetHealth", &[("TargetGroupArn", &group)]);
    assert_eq!(all(&health, "Id").len(), 1000);
    assert!(all(&health, "State").iter().all(|state| state != "healthy"), "it is behind no listener");
    assert_eq!(all(&health, "Reason").iter().filter(|reason| *reason == "Target.NotInUse").count(), 1000);
    // What is worked out for it takes nothing from requests.
    let tasks = fs::read_dir(format!("/proc/{}/task", api.balancer.pid())).unwrap();
    let stats = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("stat")).ok());
    let nice = |stat: String| {
        let (name, rest) = stat.rsplit_once(") ")?;
        name.ends_with("(examiner").then_some(())?;
        rest.split(' ').nth(16)?.parse::<i32>().ok()
    };
    let nice: Vec<i32> = stats.filter_map(nice).collect();
    assert_eq!(nice, [5]);
}

#[test]
fn changes_come_one_behind_the_other_and_together_and_drop_no_connection() {
    let api = Api::with(Besides::default(), |_| {});
    let (_, group) = api.serve();
    until("it serves", 30.0, || (api.get("/") == Some(200)).then_some(()));
    let done = AtomicBool::new(false);
    let served = thread::scope(|scope| {
        let client = scope.spawn(|| {
            let mut served = 0;
            while !done.load(Ordering::Relaxed) {
                assert_eq!(api.get("/"), Some(200), "{}", api.balancer.log());
                served += 1;
            }
            served
        });
        let change = |writer: usize| {
            let (api, group) = (&api, &group);
            move || {
                for round in 0..10 {
                    let id = format!("10.{writer}.0.{}", round + 1);
                    let target = [("TargetGroupArn", group.as_str()), ("Targets.member.1.Id", id.as_str())];
                    api.call("RegisterTargets", &target);
                    api.call("DeregisterTargets", &target);
                    // One that is wrong takes none of the others along.
                    let wrong = [("TargetGroupArn", group.as_str()), ("Targets.member.1.Id", "nowhere")];
                    api.refused("RegisterTargets", &wrong);
                }
            }
        };
        let writers: Vec<_> = (0..6).map(|writer| scope.spawn(change(writer))).collect();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        done.store(true, Ordering::Relaxed);
        client.join().unwrap()
    });
    assert!(served > 10, "{served}");
    let health = api.call("DescribeTargetHealth", &[("TargetGroupArn", &group)]);
    let healthy = all(&health, "State").iter().filter(|state| *state == "healthy").count();
    assert_eq!(healthy, 2, "{health}");
    api.assert_sound();
}
