//! How fast a log is verified, and in how much memory.
//!
//! `cargo bench -p evidence --bench verify -- CASES [DIR]` makes a log of so many cases (28 records each; 10,000 where none
//! is given) in DIR, unless there is one, and verifies it there; without DIR in a directory that is removed again. What
//! making it takes is not counted as memory where DIR holds it already: run it twice.

#![expect(clippy::unwrap_used, reason = "a bench that fails should stop")]

#[path = "repeat/mod.rs"]
mod repeat;
#[path = "../tests/audit/world.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod world;

use std::{fs, path::PathBuf, time::Instant};

use evidence::{open, verify};

use crate::world::log_key;

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let given: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with("--"))
        .collect();
    let cases = given.first().map_or(10_000, |n| n.parse().unwrap());
    let temporary = tempfile::tempdir().unwrap();
    let dir = given
        .get(1)
        .map_or(temporary.path().to_owned(), PathBuf::from);
    if !dir.join("log/checkpoint").exists() {
        let start = Instant::now();
        repeat::make(&dir, cases);
        println!("made in {:?}", start.elapsed());
    }
    let source = open(&dir.display().to_string()).unwrap();
    let vkey = log_key().verifier().vkey();
    let nothing = dir.join("snapshots");
    fs::create_dir_all(&nothing).unwrap();
    for snapshots in [None, Some(nothing)] {
        let start = Instant::now();
        let report = verify(&*source, &vkey, None, snapshots.as_deref()).unwrap();
        let took = start.elapsed();
        println!(
            "verify{}: {:.0} records/s ({} records, {} signatures, {took:?}), at most {} held",
            snapshots.map_or("", |_| ", commitments gathered"),
            report.size as f64 / took.as_secs_f64(),
            report.size,
            report.signatures,
            peak()
        );
    }
}

/// The most memory that this process ever held, as the kernel says.
fn peak() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.map_or("?".to_owned(), |l| l.trim().to_owned())
}
