//! The log of health checks: a line a check.

use std::{fs, path::Path};

use support::{Balancer, Config, Group, Target, until};

fn log_to(config: &Config, path: &Path, more: &str) -> Config {
    let path = path.display();
    let block = format!("  health_check_logs {{\n    enabled = true\n    path = \"{path}\"\n{more}  }}");
    config.clone().attribute(&block)
}

/// The fields of the whole lines of a file.
fn lines(path: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    whole.lines().map(|line| line.split(' ').map(str::to_owned).collect()).collect()
}

fn start(config: &Config, more: &str) -> (Balancer, std::path::PathBuf) {
    let mut balancer = Balancer::prepare(config);
    let path = balancer.folder().join("health.log");
    balancer.write(&log_to(config, &path, more));
    balancer.run();
    (balancer, path)
}

#[test]
fn every_check_of_a_group_in_use_is_a_line() {
    let (good, bad, unused) = (Target::plain(), Target::plain(), Target::plain());
    bad.set_healthy(false);
    let dead = format!("127.0.0.1:{}", support::ports::free());
    let mut group = Group::new("app", &[&good, &bad]);
    group.targets.push(dead.clone());
    let config = Config::with(group).group(Group::new("unused", &[&unused]));
    let (balancer, path) = start(&config, "");
    let found = until("two checks of each target", 20.0, || {
        let found = lines(&path);
        let of = |address: &str| found.iter().filter(|fields| fields[3] == address).count();
        (of(&good.address) >= 2 && of(&bad.address) >= 2 && of(&dead) >= 2).then_some(found)
    });
    let elb = format!("app/main/{}", balancer.instance());
    for fields in found {
        let [kind, time, latency, address, group, status, code, reason, name, node] = fields.as_slice()
        else {
            panic!("{fields:?}");
        };
        assert_eq!(
            (kind.as_str(), group.as_str(), name.as_str(), node.as_str()),
            ("http", "app", elb.as_str(), "-")
        );
        assert!(time.ends_with('Z') && time.len() == 27, "{time}");
        assert!((0.0..20.0).contains(&latency.parse::<f64>().unwrap()), "{latency}");
        let wanted = match address {
            address if *address == good.address => ("PASS", "200", "-"),
            address if *address == bad.address => ("FAIL", "500", "ResponseCodeMismatch"),
            address => {
                assert_eq!(*address, dead);
                ("FAIL", "-", "TargetError")
            }
        };
        assert_eq!((status.as_str(), code.as_str(), reason.as_str()), wanted);
    }
}

#[test]
fn it_can_be_json_and_follows_reloads() {
    let target = Target::plain();
    let config = Config::new(&[&target]);
    let (balancer, path) = start(&config, "    format = \"json\"\n");
    let text = until("a line", 20.0, || fs::read_to_string(&path).ok().filter(|text| text.ends_with('\n')));
    let value: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!((&value["status"], &value["target_addr"]), (&"PASS".into(), &target.address.as_str().into()));
    let other = balancer.folder().join("other.log");
    balancer.reload(&log_to(&config, &other, ""));
    until("a line in the other file", 20.0, || (!lines(&other).is_empty()).then_some(()));
    assert!(fs::read_to_string(&path).unwrap().lines().all(|line| line.starts_with('{')));
}
