//! How long a start takes, whole and from a fold, and what appends wait for while a fold is written.
//!
//! `cargo bench -p engine --bench start -- LOG DIR`: takes the records of the log directory LOG (such as the bench `verify` of
//! `evidence` makes) over into a data directory DIR, unless that is there, and opens it. With `whole` after DIR folds are removed
//! first and none is written; otherwise a start goes on from the newest, and one without writes one. `append` measures appends instead, alone and
//! while folds are written. Memory is that of the process: one figure a run.

#![expect(clippy::unwrap_used, reason = "a bench that fails should stop")]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use duty::{
    name::CaseId,
    request::{Expire, Request},
    time::Time,
};
use engine::{Engine, EngineError, Options, Seat, clock::Clock};
use ledger::{
    Checkpoint, Directory, Source as _, bundle,
    note::Note,
    source::read_tile,
    tile::{CHECKPOINT, Kind, Path as Tile, WIDTH},
};
use store::{DataDir, Journal};

/// As in the binary.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A clock that is never behind a log that was made with another.
struct Later(Instant);

impl Clock for Later {
    fn now(&self) -> Time {
        let past = i64::try_from(self.0.elapsed().as_millis()).unwrap();
        Time::from_millis(4_000_000_000_000 + past)
    }
}

fn main() {
    let given: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with("--"))
        .collect();
    let [log, dir, how @ ..] = &given[..] else {
        println!("name a log and a directory");
        return;
    };
    let dir = PathBuf::from(dir);
    if !DataDir::exists(&dir) {
        take_over(Path::new(log), &dir);
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    match how.first().map(String::as_str) {
        Some("append") => runtime.block_on(append(&dir)),
        how => runtime.block_on(start(&dir, how == Some("whole"))),
    }
}

fn take_over(log: &Path, dir: &Path) {
    let source = Directory::new(log);
    let note = Note::parse(&source.read(CHECKPOINT).unwrap()).unwrap();
    let head = Checkpoint::from_text(&note.text).unwrap();
    DataDir::init(dir, &head.origin).unwrap();
    let own = DataDir::open(dir, &guards(dir)).unwrap();
    let journal = Journal::open(&own, &mut |_, _| Ok(())).unwrap();
    let began = Instant::now();
    for first in (0..head.size).step_by(WIDTH as usize) {
        let path = Tile::holding(Kind::Entries, first, head.size).unwrap();
        let bytes = read_tile(&source, path).unwrap();
        let entries = bundle::parse(&bytes, usize::from(path.width)).unwrap();
        let records = entries.into_iter().map(<[u8]>::to_vec).collect();
        let ticket = journal.append(first, records).unwrap();
        if first % (64 * WIDTH) == 0 {
            ticket.durable_blocking().unwrap();
        }
    }
    journal.close().unwrap();
    println!("{} records taken over in {:?}", head.size, began.elapsed());
}

fn guards(dir: &Path) -> PathBuf {
    dir.with_extension("guards")
}

fn options(dir: &Path) -> Options {
    Options {
        clock: Arc::new(Later(Instant::now())),
        ..Options::new(&guards(dir))
    }
}

async fn start(dir: &Path, whole: bool) {
    if whole {
        fs::remove_dir_all(dir.join("fold")).ok();
    }
    let options = Options {
        fold_every: if whole { u64::MAX } else { 100_000 },
        ..options(dir)
    };
    let began = Instant::now();
    let engine = Engine::open(dir, options).await.unwrap();
    let took = began.elapsed();
    let (size, closed) = engine.read(|state| (state.size, state.closed.len()));
    println!(
        "open: {took:?}, {size} records, {closed} closed cases, {}",
        peak()
    );
    let began = Instant::now();
    drop(engine);
    println!("let go in {:?}", began.elapsed());
    for file in fs::read_dir(dir.join("fold")).into_iter().flatten() {
        let file = file.unwrap();
        println!(
            "{:?}: {} bytes",
            file.file_name(),
            file.metadata().unwrap().len()
        );
    }
}

async fn append(dir: &Path) {
    for fold_every in [u64::MAX, 2_000] {
        let options = Options {
            fold_every,
            ..options(dir)
        };
        let engine = Engine::open(dir, options).await.unwrap();
        let mut times = Vec::new();
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(15) {
            let case: CaseId = "nowhere".parse().unwrap();
            let asked = Instant::now();
            let answer = engine
                .submit(&Seat::engine(), Request::Expire(Expire { case }))
                .await;
            assert!(matches!(answer, Err(EngineError::Refused(_))));
            times.push(asked.elapsed());
        }
        times.sort_unstable();
        let at = |part: f64| times[(times.len() as f64 * part) as usize];
        let folds = if fold_every == u64::MAX {
            "no fold written"
        } else {
            "folds written all the time"
        };
        println!(
            "{folds}: {} appends one after the other, p50 {:?}, p99 {:?}, p99.9 {:?}, largest {:?}, {}",
            times.len(),
            at(0.5),
            at(0.99),
            at(0.999),
            times[times.len() - 1],
            peak()
        );
    }
}

/// The most memory that this process ever held, as the kernel says.
fn peak() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or("?".to_owned(), |line| line.trim().to_owned())
}
