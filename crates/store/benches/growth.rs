//! Appending to a log that grows: records a second to the published checkpoint, and resident memory, at each power of
//! ten.
//!
//! `cargo bench -p store --bench growth -- <directory> [<most records> [<bytes of a record>]]`. Ten million records of
//! 1 KiB, the default, take 11 GB of disk while it runs. Prints a row per size: records, records a second over those after
//! them (up to the next size, a hundred thousand at most; 1,024 on their way), resident MiB, peak MiB, bytes of a record; and on
//! standard error what an inclusion proof takes there.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use ledger::Directory;
use ledger::proof::{Tiles, inclusion};
use store::{DataDir, Journal, Ticket};

const PROBE: u64 = 100_000;
const WINDOW: usize = 1024;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let mut arguments = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"));
    let parent = arguments
        .next()
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let most = arguments
        .next()
        .map_or(Ok(10_000_000), |text| text.parse())?;
    let bytes = arguments.next().map_or(Ok(1024), |text| text.parse())?;
    let room = parent.join(format!("growth-bench-{}", std::process::id()));
    let run = measure(&room, most, bytes);
    fs::remove_dir_all(&room)?;
    run
}

fn measure(room: &Path, most: u64, bytes: usize) -> Result<()> {
    DataDir::init(room, "bench.example/log")?;
    let journal = Journal::open(&DataDir::open(room, &room.join("guards"))?, &mut |_, _| {
        Ok(())
    })?;
    let mut next = 0;
    for size in (3..).map(|power| 10_u64.pow(power)) {
        if size > most {
            break;
        }
        append(&journal, &mut next, size, bytes)?;
        let (start, from) = (Instant::now(), next);
        append(&journal, &mut next, from + PROBE.min(9 * size), bytes)?;
        let rate = (next - from) as f64 / start.elapsed().as_secs_f64();
        let (now, peak) = (
            resident("VmRSS:").unwrap_or_default(),
            resident("VmHWM:").unwrap_or_default(),
        );
        println!("{from}\t{rate:.0}\t{now}\t{peak}\t{bytes}");
        prove(room, next)?;
    }
    journal.close()?;
    Ok(())
}

/// Says what an inclusion proof from the files takes, for records all over the log: read and made, without a cache of ours.
fn prove(room: &Path, size: u64) -> Result<()> {
    let log = Directory::new(&room.join("log"));
    let mut times = Vec::new();
    for number in 0..200 {
        let start = Instant::now();
        let path = inclusion(&Tiles::new(&log, size), size / 200 * number, size)?;
        times.push(start.elapsed());
        assert!(path.len() <= 64);
    }
    times.sort_unstable();
    eprintln!(
        "an inclusion proof at {size} records: p50 {:?}, largest {:?}",
        times[100], times[199]
    );
    Ok(())
}

/// Appends records until the log has `size`, and waits until all are under the published checkpoint.
fn append(journal: &Journal, next: &mut u64, size: u64, bytes: usize) -> Result<()> {
    let mut tickets: VecDeque<Ticket> = VecDeque::new();
    while *next < size {
        tickets.push_back(journal.append(*next, vec![vec![7; bytes]])?);
        *next += 1;
        if tickets.len() == WINDOW
            && let Some(oldest) = tickets.pop_front()
        {
            oldest.durable_blocking()?;
        }
    }
    for ticket in tickets {
        ticket.durable_blocking()?;
    }
    journal.wait_published_blocking(*next)?;
    Ok(())
}

/// A figure of this process in MiB, where the system tells.
fn resident(field: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? / 1024)
}
