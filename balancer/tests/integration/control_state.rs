//! What was made through the ELBv2 API, under a process that is killed.

use std::{
    env,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use balancer::elbv2::{Records, RuleRecord, Store, TargetGroupRecord, TargetRecord};

/// Where the process that is killed has its database.
const PLACE: &str = "BALANCER_TEST_STATE";
const KILLS: u32 = 200;
/// Records that a change writes together.
const TOGETHER: u64 = 8;

/// What is there after so many changes: records of two kinds that all tell the number, and as many targets as it says.
fn records(number: u64) -> Records {
    let mut records = Records::default();
    for index in 0..TOGETHER {
        let arn = format!("group:{index}");
        let target = |port: u64| TargetRecord { id: format!("10.0.{port}.1"), ..TargetRecord::default() };
        let targets = (0..number % 50).map(target).collect();
        let group = TargetGroupRecord {
            arn: arn.clone(),
            name: number.to_string(),
            targets,
            ..TargetGroupRecord::default()
        };
        records.target_groups.insert(arn, group);
    }
    // Those of older changes go.
    for index in number..number + 3 {
        let arn = format!("rule:{index}");
        records.rules.insert(arn.clone(), RuleRecord { arn, ..RuleRecord::default() });
    }
    records
}

/// The number that records tell; nothing where they tell several.
fn number_of(records: &Records) -> Option<u64> {
    let Some(first) = records.target_groups.values().next() else {
        return (*records == Records::default()).then_some(0);
    };
    let number = first.name.parse().ok()?;
    (*records == self::records(number)).then_some(number)
}

/// Changes without an end, each told of once it is acknowledged.
fn change_on(path: &Path) {
    let (mut store, found) = Store::open(path, None).unwrap();
    let mut out = std::io::stdout();
    for number in number_of(&found).unwrap() + 1.. {
        store.commit(&records(number)).unwrap();
        writeln!(out, "acknowledged {number}").unwrap();
        out.flush().unwrap();
    }
}

fn begin(path: &Path) -> Child {
    let name = "control_state::nothing_acknowledged_is_lost_by_a_process_that_is_killed";
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture"]).env(PLACE, path);
    command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn nothing_acknowledged_is_lost_by_a_process_that_is_killed() {
    if let Some(path) = env::var_os(PLACE) {
        return change_on(&PathBuf::from(path));
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.redb");
    let (mut last, mut repaired) = (0, 0);
    for round in 0..KILLS {
        let mut child = begin(&path);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let acknowledged =
            |line: String| line.strip_prefix("acknowledged ").map(|number| number.parse::<u64>().unwrap());
        // At another place of a change each time, as far as it is known how long one takes.
        let mut told = 0;
        let mut takes = std::time::Duration::ZERO;
        for _ in 0..2 + round % 3 {
            let begun = std::time::Instant::now();
            told = lines.find_map(acknowledged).expect("it goes on until it is killed");
            takes = begun.elapsed();
        }
        let begun = std::time::Instant::now();
        while begun.elapsed() < takes.min(std::time::Duration::from_millis(50)) * (round * 37 % 120) / 100 {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let told = lines.filter_map(acknowledged).last().unwrap_or(told);
        let (store, found) = Store::open(&path, None).unwrap();
        let number = number_of(&found).expect("all of a change or nothing");
        assert!(number == told || number == told + 1, "{told} was acknowledged, {number} is there");
        assert!(number > last, "it goes on from where it was");
        repaired += u32::from(number != told);
        last = number;
        drop(store);
    }
    println!("{last} changes, {KILLS} kills, {repaired} of them between a change and its word");
}
