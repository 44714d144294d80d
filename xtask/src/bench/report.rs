//! What a run says: tables for a terminal, and a report in Markdown with charts and all figures. A report is one run's.

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::{
    Measured, Options, proxies,
    svg::{self, Bar},
    table::{self, Row, ratio},
    work::{Kind, Work},
};

/// To whom ratios are given.
const BASES: [&str; 4] = ["baseline", "nginx", "haproxy", "relay"];
/// The peers of the summary.
const PEERS: [&str; 2] = ["nginx", "haproxy"];

/// What a terminal shows.
pub(super) fn text(options: &Options, measured: &[Measured]) -> String {
    let mut text = format!("{}\n\n", setting(options));
    for one in measured {
        section(&mut text, one, options.markdown);
    }
    text
}

/// Writes `README.md`, a chart for each kind of work, and `figures.csv`.
pub(super) fn write(folder: &Path, options: &Options, balancer: &Path, measured: &[Measured]) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let put = |name: &str, text: String| {
        let file: PathBuf = folder.join(name);
        fs::write(&file, text).with_context(|| file.display().to_string())
    };
    for one in measured.iter().filter(|one| !one.rows.is_empty()) {
        put(&format!("{}.svg", one.work.word()), chart(one))?;
    }
    put("figures.csv", figures(measured))?;
    put("README.md", markdown(options, &machine(balancer), measured))
}

fn markdown(options: &Options, machine: &str, measured: &[Measured]) -> String {
    let mut text = format!(
        "# Benchmarks\n\nOne run of `cargo xtask bench`, written by it; nothing here is of another run. {}.\n\n{machine}\n\n\
         One worker or thread each, on a core of its own; the load and the targets share the other one. Proxies are measured in turns, \
         another one first each round. Figures are medians over the rounds; ratios are medians of ratios within a round, so that \
         a machine that is slow for a while is slow for all. Processor time is the process's own, read from the kernel. It is what to \
         trust on two cores: requests a second are bounded by the load's core, and latencies have in them what that core \
         does beside. What is configured stands in `xtask/peers`. All samples: [figures.csv](figures.csv).\n\n",
        setting(options)
    );
    text.push_str("## In short\n\n");
    text.push_str(&summary(measured));
    text.push('\n');
    for one in measured {
        section(&mut text, one, true);
    }
    let absent: Vec<String> = Work::all()
        .iter()
        .filter(|work| measured.iter().all(|one| one.work != **work))
        .map(|work| format!("`{}`", work.word()))
        .collect();
    if !absent.is_empty() {
        // Writing to a String cannot fail.
        writeln!(text, "## Not in this run\n\nKinds of work that were not asked for: {}.", absent.join(", "))
            .unwrap_or_default();
    }
    text
}

fn setting(options: &Options) -> String {
    format!(
        "{}-byte bodies, three cookies, {} connections, {} rounds of {} s",
        options.body, options.connections, options.rounds, options.seconds
    )
}

/// What it ran on, and when.
fn machine(balancer: &Path) -> String {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let model = model.trim_start_matches([' ', '\t', ':']);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let says = |command: &mut Command| {
        let output = command.output().map(|output| output.stdout).unwrap_or_default();
        String::from_utf8_lossy(&output).lines().next().unwrap_or_default().to_owned()
    };
    let version = says(Command::new(balancer).arg("--version"));
    let date = says(Command::new("date").args(["-u", "+%F"]));
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').nth(1).unwrap_or_default();
    let cores = cpu.lines().filter(|line| line.starts_with("processor")).count();
    format!(
        "{date}, {cores} cores of {model}, Linux {}, load {load} at the end (its own included), {version}.",
        kernel.trim()
    )
}

/// A row for each kind of work: the main figure of balancer, of the baseline and of the peers, and how they compare.
fn summary(measured: &[Measured]) -> String {
    let words = ["figure", "work", "balancer", "nginx", "haproxy", ": better peer", ": baseline"];
    let mut lines = vec![words.map(str::to_owned).to_vec()];
    for one in measured {
        let find = |name: &str| one.rows.iter().find(|row| row.name == name);
        let (Some(ours), Some(column)) = (find("balancer"), one.work.kind().columns().first()) else {
            continue;
        };
        let figure = |row: Option<&Row>| {
            row.map_or("–".to_owned(), |row| format!("{:.*}", column.digits, row.median(0)))
        };
        let to_peers = PEERS.iter().filter_map(|name| find(name)).map(|peer| ratio(ours, peer));
        // The one that costs least is the one that ours is dearest to.
        let to_better = to_peers.fold(f64::NAN, f64::max);
        let shown = |ratio: f64| if ratio.is_nan() { "–".to_owned() } else { format!("{ratio:.2}") };
        let to_baseline = find("baseline").map_or(f64::NAN, |base| ratio(ours, base));
        lines.push(vec![
            column.head.to_owned(),
            one.work.title(),
            figure(Some(ours)),
            figure(find("nginx")),
            figure(find("haproxy")),
            shown(to_better),
            shown(to_baseline),
        ]);
    }
    table::layout(&lines, true)
}

fn section(text: &mut String, one: &Measured, markdown: bool) {
    let title = one.work.title();
    // Writing to a String cannot fail.
    if markdown {
        writeln!(text, "## {title}\n\n`--work {}`\n", one.work.word()).unwrap_or_default();
        if !one.rows.is_empty() {
            writeln!(text, "![{title}]({}.svg)\n", one.work.word()).unwrap_or_default();
        }
    } else {
        writeln!(text, "{title}\n").unwrap_or_default();
    }
    if !one.rows.is_empty() {
        let bases: &[&str] = if one.work.kind() == Kind::Reload { &[] } else { &BASES };
        writeln!(text, "{}", table::render(one.work.kind().columns(), &one.rows, bases, markdown))
            .unwrap_or_default();
    }
    if let Some(line) = table::difference(&one.rows, "balancer-rules", "balancer") {
        writeln!(text, "{line}.\n").unwrap_or_default();
    }
    for (name, why) in &one.left_out {
        writeln!(text, "{}Left out: {name}: {why}.", if markdown { "- " } else { "" }).unwrap_or_default();
    }
    let absent: Vec<&str> = proxies::names()
        .filter(|name| one.rows.iter().all(|row| row.name != *name))
        .filter(|name| one.left_out.iter().all(|(left_out, _)| left_out != name))
        .collect();
    if markdown && !absent.is_empty() {
        writeln!(text, "- Not asked to take part: {}.", absent.join(", ")).unwrap_or_default();
    }
    if !one.left_out.is_empty() || markdown {
        text.push('\n');
    }
}

fn chart(one: &Measured) -> String {
    let column = one.work.kind().columns().first();
    let bars: Vec<Bar> = one
        .rows
        .iter()
        .map(|row| {
            let (least, most) = row.spread();
            Bar {
                label: row.title(),
                value: row.median(0),
                least,
                most,
                ours: row.name.starts_with("balancer"),
            }
        })
        .collect();
    let head = column.map_or("", |column| column.head);
    svg::bars(&format!("{}: {head}", one.work.title()), &bars, column.map_or(1, |column| column.digits))
}

/// A line for each sample and figure.
fn figures(measured: &[Measured]) -> String {
    let mut text = "work,proxy,version,round,figure,value\n".to_owned();
    for one in measured {
        for row in &one.rows {
            for (round, sample) in row.samples.iter().enumerate() {
                for (number, column) in one.work.kind().columns().iter().enumerate() {
                    // Writing to a String cannot fail.
                    writeln!(
                        text,
                        "{},{},{},{},{},{:.4}",
                        one.work.word(),
                        row.name,
                        row.version,
                        round + 1,
                        column.head,
                        sample.at(number)
                    )
                    .unwrap_or_default();
                }
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::{super::table::Sample, *};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn options() -> Options {
        Line::parse_from(["bench", "--rounds", "3"]).options
    }

    fn row(name: &'static str, cpu: &[f64]) -> Row {
        let samples = cpu.iter().map(|cpu| Sample(vec![*cpu, 1.0, 2.0, 3.0, 4.0, 5.0])).collect();
        Row { name, version: String::new(), mark: None, samples }
    }

    fn measured() -> Vec<Measured> {
        let rows = vec![
            row("balancer", &[9.0, 9.0, 18.0]),
            row("baseline", &[10.0, 10.0, 20.0]),
            row("nginx", &[12.0, 12.0, 24.0]),
            row("haproxy", &[18.0, 18.0, 36.0]),
        ];
        vec![Measured {
            work: Work::Small,
            rows,
            left_out: vec![("caddy".to_owned(), "is not here".to_owned())],
        }]
    }

    #[test]
    fn the_summary_compares_with_the_better_peer() {
        let text = summary(&measured());
        let line = text.lines().nth(2).unwrap();
        assert!(line.contains("| 9.0 ") && line.contains("| 0.75 ") && line.contains("| 0.90 "), "{text}");
    }

    #[test]
    fn who_and_what_was_left_out_is_named() {
        let text = markdown(&options(), "a machine", &measured());
        assert!(text.contains("- Left out: caddy: is not here."), "{text}");
        assert!(text.contains("- Not asked to take part: balancer-rules, envoy,"), "{text}");
        assert!(text.contains("`latency-90`") && !text.contains("`small`,"), "{text}");
        assert!(text.contains("![Small requests, HTTP/1.1 kept alive, sticky](small.svg)"), "{text}");
    }

    #[test]
    fn a_report_has_a_chart_for_each_work_and_every_sample() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), &options(), Path::new("/bin/true"), &measured()).unwrap();
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        assert_eq!(read("figures.csv").lines().count(), 1 + 4 * 3 * 6);
        assert_eq!(read("small.svg").matches("#1f6feb").count(), 1);
        assert!(read("README.md").contains("3 rounds of 3 s"));
    }
}
