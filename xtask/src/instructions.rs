//! `cargo xtask instructions`: how many instructions of user time a request takes from one end to the other, counted under
//! callgrind, held against the figures that are committed. Counts do not depend on what else the machine does, so that a few
//! percent show.

mod baseline;
mod bed;
mod clients;
pub(crate) mod tally;

use std::{
    env, fs,
    path::{Path, PathBuf},
    thread,
};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::{bench, shell};
use baseline::{Baseline, Verdict};
use bed::{Bed, Case};
use tally::Tally;

/// Requests of the shorter of two runs; the longer has three times as many. What they differ in is what the requests took.
const REQUESTS: u64 = 400;

/// How often more something is counted that would be worse.
const MORE_COUNTS: u32 = 3;

/// `cargo xtask instructions`.
#[derive(Args)]
pub(crate) struct Options {
    /// Write what is counted as the figures to be held against.
    #[arg(long)]
    accept: bool,
    /// Count this balancer and build none.
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Count only these, separated by commas.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Show in which rooms the instructions are.
    #[arg(long)]
    rooms: bool,
}

/// Runs the command.
///
/// # Errors
/// When something takes more than it did, or a request fails. Without valgrind nothing is counted, which is told.
pub(crate) fn run(options: &Options) -> Result<()> {
    let Some(valgrind) = shell::find_program("valgrind") else {
        println!(
            "skipped: instructions: valgrind is missing (apt-get install --no-install-recommends valgrind)"
        );
        if env::var_os("CI").is_some() {
            bail!("nothing was counted");
        }
        return Ok(());
    };
    if let Some(unknown) = options.only.iter().find(|name| Case::ALL.iter().all(|case| case.name() != **name))
    {
        let names: Vec<_> = Case::ALL.iter().map(|case| case.name()).collect();
        bail!("--only: nothing is called {unknown:?}; there are: {}", names.join(", "));
    }
    let balancer = bench::built(options.binary.as_deref())?;
    let folder = env::temp_dir().join(format!("balancer-instructions-{}", std::process::id()));
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    let mut baseline = Baseline::read()?;
    let counted = count_all(options, &valgrind, &balancer, &folder).and_then(|counted| {
        let again = |(case, tally)| {
            Ok((case, least(case, tally, &baseline, || count(case, &valgrind, &balancer, &folder))?))
        };
        counted.into_iter().map(again).collect::<Result<Vec<(Case, Tally)>>>()
    });
    // Left-over files of a temporary folder are no reason to fail.
    fs::remove_dir_all(&folder).unwrap_or_default();
    let counted = counted?;
    let mut worse = Vec::new();
    for (case, rooms) in &counted {
        let taken: u64 = rooms.values().sum();
        let verdict = baseline.verdict(case.name(), taken);
        println!("{:<22} {taken:>7}  {verdict}", case.name());
        if options.rooms {
            let mut rooms: Vec<_> = rooms.iter().filter(|(_, taken)| **taken > 0).collect();
            rooms.sort_unstable_by_key(|(_, taken)| std::cmp::Reverse(**taken));
            rooms.iter().for_each(|(room, taken)| println!("    {room:<18} {taken:>7}"));
        }
        if verdict.is_worse() {
            worse.push(case.name());
        }
        baseline.set(case.name(), taken);
    }
    if options.accept {
        return baseline.write();
    }
    if !worse.is_empty() {
        bail!(
            "more instructions than before: {}; where that is meant: cargo xtask instructions --accept",
            worse.join(", ")
        );
    }
    Ok(())
}

/// What was counted, or the least of some counts where it would be worse: sessions are drawn by chance, and the one may be found sooner
/// than the other.
fn least(case: Case, tally: Tally, baseline: &Baseline, count: impl Fn() -> Result<Tally>) -> Result<Tally> {
    let sum = |tally: &Tally| tally.values().sum::<u64>();
    let mut least = tally;
    for _ in 0..MORE_COUNTS {
        if !matches!(baseline.verdict(case.name(), sum(&least)), Verdict::Worse(_)) {
            break;
        }
        let again = count()?;
        if sum(&again) < sum(&least) {
            least = again;
        }
    }
    Ok(least)
}

/// What a request takes in each case, two cases at a time.
fn count_all(
    options: &Options,
    valgrind: &Path,
    balancer: &Path,
    folder: &Path,
) -> Result<Vec<(Case, Tally)>> {
    let is_wanted =
        |case: &Case| options.only.is_empty() || options.only.iter().any(|name| name == case.name());
    let wanted: Vec<Case> = Case::ALL.into_iter().filter(is_wanted).collect();
    let mut counted = Vec::new();
    for some in wanted.chunks(2) {
        let both: Vec<Result<_>> = thread::scope(|scope| {
            let threads: Vec<_> = some
                .iter()
                .map(|case| scope.spawn(|| Ok((*case, count(*case, valgrind, balancer, folder)?))))
                .collect();
            threads.into_iter().map(|one| one.join().unwrap_or_else(|_| bail!("a thread panicked"))).collect()
        });
        for one in both {
            counted.push(one?);
        }
    }
    Ok(counted)
}

/// What a request takes in one case, room by room.
fn count(case: Case, valgrind: &Path, balancer: &Path, folder: &Path) -> Result<Tally> {
    let folder = folder.join(case.name());
    fs::create_dir_all(&folder)?;
    let bed = Bed::new(case, &folder)?;
    let few = bed.run(valgrind, balancer, REQUESTS).with_context(|| case.name())?;
    let many = bed.run(valgrind, balancer, 3 * REQUESTS).with_context(|| case.name())?;
    Ok(tally::each(&few, &many, 2 * REQUESTS))
}
