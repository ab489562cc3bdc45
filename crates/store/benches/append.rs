//! Appending: records of 1 KiB a second to the published checkpoint with 64 writers, and the latency of one writer
//! beside the cost of one `fdatasync` on the same disk.
//!
//! `cargo bench -p store --bench append [-- <directory> [<seconds> [<on their way each>]]]`; the directory (default: the
//! system's temporary one) says which disk is measured. With the last argument that many are measured alone.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use store::{DataDir, Journal, StoreError};

const RECORD: usize = 1024;
const WRITERS: usize = 64;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> Result<()> {
    let mut arguments = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"));
    let parent = arguments
        .next()
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let seconds: u64 = arguments.next().map_or(Ok(10), |text| text.parse())?;
    let window: Option<usize> = arguments.next().map(|text| text.parse()).transpose()?;
    let room = parent.join(format!("append-bench-{}", std::process::id()));
    fs::create_dir_all(&room)?;
    let time = Duration::from_secs(seconds);
    let run = match window {
        Some(window) => many_writers(&room.join("many"), time, window),
        None => measure(&room, time),
    };
    fs::remove_dir_all(&room)?;
    run
}

fn measure(room: &Path, time: Duration) -> Result<()> {
    let sync = percentiles(&mut syncs(&room.join("sync"))?);
    println!("one fdatasync of 1 KiB appended: {sync}");
    let one = percentiles(&mut one_writer(&room.join("one"))?);
    println!("one writer, append to durable:   {one}");
    for window in [1, 16] {
        many_writers(&room.join(format!("many-{window}")), time, window)?;
    }
    Ok(())
}

fn syncs(path: &Path) -> io::Result<Vec<Duration>> {
    let mut file = File::create(path)?;
    (0..500)
        .map(|_| {
            let start = Instant::now();
            file.write_all(&[7; RECORD])?;
            file.sync_data()?;
            Ok(start.elapsed())
        })
        .collect()
}

fn one_writer(path: &Path) -> Result<Vec<Duration>> {
    let journal = open(path)?;
    let mut times = Vec::new();
    for number in 0..500 {
        let start = Instant::now();
        journal
            .append(number, vec![vec![7; RECORD]])?
            .durable_blocking()?;
        times.push(start.elapsed());
    }
    journal.close()?;
    Ok(times)
}

/// Each writer has up to `window` records on their way.
fn many_writers(path: &Path, time: Duration, window: usize) -> Result<()> {
    let journal = open(path)?;
    let next = Mutex::new(0_u64);
    let start = Instant::now();
    let lead = std::thread::scope(|scope| -> Result<u64> {
        let writers: Vec<_> = (0..WRITERS)
            .map(|_| scope.spawn(|| write(&journal, &next, start, time, window)))
            .collect();
        let mut lead = 0;
        while start.elapsed() < time {
            std::thread::sleep(Duration::from_millis(50));
            lead = lead.max(journal.committed().saturating_sub(journal.published()));
        }
        for writer in writers {
            writer.join().map_err(|_| "a writer panicked")??;
        }
        Ok(lead)
    })?;
    let size = journal.committed();
    journal.wait_published_blocking(size)?;
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{WRITERS} writers, {window} on their way each: {:.0} records/s to the published checkpoint \
         ({size} records in {seconds:.2} s; at most {lead} committed and not yet published; {} MiB resident at most)",
        size as f64 / seconds,
        resident().unwrap_or_default(),
    );
    journal.close()?;
    let start = Instant::now();
    let dir = DataDir::open(path, &path.with_extension("guards"))?;
    Journal::open(&dir, &mut |_, _| Ok(()))?.close()?;
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "  opened again, every byte verified: {:.0} records/s",
        size as f64 / seconds
    );
    Ok(())
}

fn write(
    journal: &Journal,
    next: &Mutex<u64>,
    start: Instant,
    time: Duration,
    window: usize,
) -> Result<()> {
    let mut tickets = VecDeque::new();
    while start.elapsed() < time {
        let ticket = {
            let mut next = next.lock().map_err(|_| "a writer panicked")?;
            let ticket = journal.append(*next, vec![vec![7; RECORD]]);
            match ticket {
                Ok(ticket) => {
                    *next += 1;
                    ticket
                }
                Err(StoreError::Busy { .. }) => continue,
                Err(error) => return Err(error.into()),
            }
        };
        tickets.push_back(ticket);
        if tickets.len() == window
            && let Some(oldest) = tickets.pop_front()
        {
            oldest.durable_blocking()?;
        }
    }
    for ticket in tickets {
        ticket.durable_blocking()?;
    }
    Ok(())
}

fn open(path: &Path) -> Result<Journal> {
    DataDir::init(path, "bench.example/log")?;
    let dir = DataDir::open(path, &path.with_extension("guards"))?;
    Ok(Journal::open(&dir, &mut |_, _| Ok(()))?)
}

fn percentiles(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    format!("p50 {:.2?}, p99 {:.2?}", at(50), at(99))
}

/// Peak resident memory in MiB, where the system tells.
fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? / 1024)
}
