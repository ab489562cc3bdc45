//! An exhaustive check of the core in a small world: every order of every request, the illegal ones too, on the real
//! `decide` and the real fold, with each invariant told apart from them.

mod explore;
mod history;
mod kept;
mod moves;
mod node;
mod world;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Parser;
use explore::{Explored, Limits};
use kept::Before;
use moves::Bound;

/// The exploration is mostly allocation.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Explores every state of a small world and checks the invariants at every step.
#[derive(Debug, Parser)]
#[command(name = "model", version)]
struct Options {
    /// Cases, each of which opens once.
    #[arg(long, default_value_t = 2)]
    cases: usize,
    /// Moments that the clock comes to, at most 5.
    #[arg(long, default_value_t = 3)]
    moments: usize,
    /// Amounts that may be recommended: `low`, `elevated`, `high`, `forbidden`.
    #[arg(long, default_value = "low,high")]
    amounts: String,
    /// What else happens.
    #[arg(long, value_delimiter = ',', value_parser = FEATURES)]
    with: Vec<String>,
    /// Stop after so many states.
    #[arg(long, default_value_t = u64::MAX)]
    most: u64,
    /// Stop after so many seconds.
    #[arg(long)]
    seconds: Option<u64>,
    /// Go on from what an earlier part left in this file, and leave there what this one does not come to.
    #[arg(long)]
    keep: Option<PathBuf>,
    /// Threads.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Say on standard error how far it has come, every so many seconds.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    every: Option<u64>,
    /// A violation of this invariant is expected: for a core that was weakened on purpose.
    #[arg(long)]
    expect: Option<String>,
}

/// What may happen besides.
const FEATURES: [&str; 11] = [
    "releases",
    "revocations",
    "freezes",
    "signatures",
    "glass",
    "withdrawals",
    "deputies",
    "stages",
    "lapses",
    "splits",
    "callers",
];

fn main() -> ExitCode {
    let options = Options::parse();
    let with = |word: &str| options.with.iter().any(|w| w == word);
    let bound = Bound {
        cases: options.cases.min(3),
        moments: options.moments.clamp(1, world::MOMENTS.len()),
        amounts: Bound::amounts(&options.amounts),
        releases: with("releases"),
        revocations: with("revocations"),
        freezes: with("freezes"),
        glass: with("glass"),
        withdrawals: with("withdrawals"),
        deputies: with("deputies"),
        signatures: with("signatures"),
        stages: with("stages"),
        lapses: with("lapses"),
        splits: with("splits"),
        callers: with("callers"),
    };
    let limits = Limits {
        most: options.most,
        longest: options.seconds.map(Duration::from_secs),
        threads: options.threads.max(1),
        keep: options.keep.is_some(),
        every: options.every.map(Duration::from_secs),
    };
    let world = world::World::new(&bound);
    let explored = match &options.keep {
        None => Ok(explore(&world, &bound, &limits, None)),
        Some(path) => in_parts(path, &world, &bound, &limits),
    };
    let (done, took) = match explored {
        Ok(explored) => explored,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::FAILURE;
        }
    };
    let c = &done.counts;
    println!(
        "{} distinct states, {} transitions, {} decisions, depth {}, {:.1} s{}, {:.0} states/s: {}",
        c.states,
        c.transitions,
        c.decisions,
        c.depth,
        took.seconds,
        match took.parts {
            1 => String::new(),
            parts => format!(" in {parts} parts"),
        },
        c.states as f64 / took.seconds.max(0.001),
        if done.found.is_some() {
            "ended by a violation"
        } else if done.whole {
            "all of the world"
        } else {
            "cut off"
        }
    );
    for (code, n) in &c.refused {
        println!("  refused {n:>12}  {}", code.word());
    }
    match (&done.found, &options.expect) {
        (None, None) => ExitCode::SUCCESS,
        (None, Some(invariant)) => {
            println!("NOT caught: a violation of {invariant} was expected");
            ExitCode::FAILURE
        }
        (Some(found), expect) => {
            println!(
                "{} is broken: {}",
                found.broken.invariant, found.broken.what
            );
            for (n, step) in found.steps.iter().enumerate() {
                println!("  {:>2}. {step}", n + 1);
            }
            let expected = expect
                .as_ref()
                .is_some_and(|e| e.split('|').any(|e| e == found.broken.invariant));
            if expected {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

/// Explores in one go; the time that it took.
fn explore(
    world: &world::World,
    bound: &Bound,
    limits: &Limits,
    earlier: Option<(kept::Kept, Before)>,
) -> (Explored, Before) {
    let (earlier, before) = earlier.unzip();
    let before = before.unwrap_or_default();
    let since = Instant::now();
    let done = explore::explore(world, bound, limits, earlier);
    let took = Before {
        seconds: before.seconds + since.elapsed().as_secs_f64(),
        parts: before.parts + 1,
    };
    (done, took)
}

/// Explores from what the file at `path` holds, and leaves there what is left.
fn in_parts(
    path: &Path,
    world: &world::World,
    bound: &Bound,
    limits: &Limits,
) -> Result<(Explored, Before), String> {
    let about = format!("{bound:?}");
    let (mut done, took) = explore(world, bound, limits, kept::read(path, &about)?);
    match &mut done.left {
        // From where it was before, the violation can be come to again.
        _ if done.found.is_some() => {}
        Some(left) => kept::write(path, &about, std::mem::take(left), took)?,
        None => kept::remove(path)?,
    }
    Ok((done, took))
}
