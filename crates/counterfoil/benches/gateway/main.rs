//! What the MCP door costs: a call through it, read or effect under a signed threshold, beside the same call made of the
//! upstream directly, by one client and by 64, in one run; and the memory of a server with a thousand connected clients.
//!
//! `cargo bench -p counterfoil --bench gateway [-- OPTIONS]` prints Markdown. `--dir DIRECTORY` (may be repeated; default: the
//! system's temporary one) says on which disk the data directory lies; what `fdatasync` takes there is measured beside it.
//! `--calls N` of each kind and load a round (2,000), in `--rounds N` (3) that take turns; `--rate N` a second (300) by 64 clients
//! that do not wait for one another, beside the loads that call as fast as they are answered; `--clients N` that connect in the
//! end (1,000; 0: none). `--beside NAME=COMMAND` (may be repeated) starts another gateway and measures it too, without
//! any of what Counterfoil does; `{upstream}` in the command is the address of the upstream, `{port}` where it is to listen at
//! `/mcp`. `tests/load/run.sh` has some.
//!
//! All is on loopback of one machine: load, upstream and gateway share its cores.

mod client;
mod disk;
mod site;
mod upstream;

use std::{
    env,
    fmt::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use client::{Client, Pace, Times};
use site::Site;
use upstream::{Upstream, Ward};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The most clients at once.
const MOST: usize = 64;

/// Who calls at once, and when.
#[derive(Clone, Copy, PartialEq)]
struct Load {
    clients: usize,
    pace: Pace,
}

impl Load {
    fn words(self) -> String {
        match self.pace {
            Pace::Eager => self.clients.to_string(),
            Pace::Steady(rate) => format!("{}, {rate} calls/s", self.clients),
        }
    }
}

/// What is asked for.
struct Options {
    dirs: Vec<PathBuf>,
    calls: usize,
    rounds: usize,
    rate: u32,
    clients: usize,
    beside: Vec<(String, String)>,
}

impl Options {
    fn parse(arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            dirs: Vec::new(),
            calls: 2_000,
            rounds: 3,
            rate: 300,
            clients: 1_000,
            beside: Vec::new(),
        };
        // Cargo's own.
        let mut arguments = arguments.filter(|argument| argument != "--bench");
        while let Some(name) = arguments.next() {
            let value = arguments.next();
            let value = value.ok_or_else(|| format!("`{name}` needs a value"))?;
            match name.as_str() {
                "--dir" => options.dirs.push(value.into()),
                "--calls" => options.calls = value.parse()?,
                "--rounds" => options.rounds = value.parse()?,
                "--rate" => options.rate = value.parse::<u32>()?.max(1),
                "--clients" => options.clients = value.parse()?,
                "--beside" => {
                    let (name, command) = value.split_once('=').ok_or("`NAME=COMMAND`")?;
                    options.beside.push((name.to_owned(), command.to_owned()));
                }
                _ => return Err(format!("`{name}` is not known").into()),
            }
        }
        if options.dirs.is_empty() {
            options.dirs.push(env::temp_dir());
        }
        Ok(options)
    }

    /// In the order of the table's rows.
    fn loads(&self) -> [Load; 3] {
        [
            (1, Pace::Eager),
            (MOST, Pace::Steady(self.rate)),
            (MOST, Pace::Eager),
        ]
        .map(|(clients, pace)| Load { clients, pace })
    }
}

fn main() -> Result<()> {
    let mut arguments = env::args().skip(1).peekable();
    if arguments.peek().is_some_and(|word| word == upstream::WORD) {
        return upstream::serve();
    }
    let options = Options::parse(arguments)?;
    // One thread: the load must leave the cores to what is measured.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run(&options))
}

async fn run(options: &Options) -> Result<()> {
    let upstream = Upstream::start()?;
    println!("{}\n", machine());
    for dir in &options.dirs {
        measure(options, &upstream, dir).await?;
    }
    for (name, command) in &options.beside {
        beside(options, &upstream, name, command).await?;
    }
    Ok(())
}

/// One data directory: the table of its latencies, then its memory.
async fn measure(options: &Options, upstream: &Upstream, dir: &Path) -> Result<()> {
    let site = Site::start(dir, upstream, MOST.max(options.clients))?;
    let mut direct = Vec::new();
    let mut governed = Vec::new();
    for number in 0..MOST {
        direct.push(Client::connect(&upstream.url, None, "read", "write").await?);
        governed.push(site.connect(number).await?);
    }
    // Each subject's key is made, and the upstream is connected to.
    for effect in [false, true] {
        client::drive(&mut governed, MOST, effect, Pace::Eager).await?;
    }
    let mut rows = Rows::default();
    let mut syncs = Vec::new();
    for _ in 0..options.rounds {
        syncs.extend(disk::syncs(&site.room)?);
        for load in options.loads() {
            for effect in [false, true] {
                for (way, clients) in [("directly", &mut direct), ("governed", &mut governed)] {
                    let clients = &mut clients[..load.clients];
                    let times = client::drive(clients, options.calls, effect, load.pace).await?;
                    rows.add(way, effect, load, times);
                }
            }
        }
    }
    println!(
        "Data directory on {}; one `fdatasync` of 1 KiB there: {}\n",
        disk::kind(&site.room),
        Times::of(syncs, Duration::ZERO)
    );
    print!("{}", rows.table());
    if options.clients > 0 {
        drop(governed);
        println!("\n{}", memory(&site, options.clients).await?);
    }
    println!();
    site.stop()
}

/// Connects so many clients, each of which reads and writes once, and stays connected.
async fn memory(site: &Site, count: usize) -> Result<String> {
    let before = site.resident()?;
    let mut connected = Vec::new();
    for number in 0..count {
        connected.push(site.connect(number).await?);
    }
    for effect in [false, true] {
        client::drive(&mut connected, count, effect, Pace::Eager).await?;
    }
    let after = site.resident()?;
    Ok(format!(
        "{count} clients connected, each by a credential and a connection of its own, each having read and written: {} MiB \
         resident, {} MiB before they came.",
        after >> 10,
        before >> 10
    ))
}

/// Another gateway, in front of the same upstream.
async fn beside(options: &Options, upstream: &Upstream, name: &str, command: &str) -> Result<()> {
    let port = upstream::free_port()?;
    let command = command
        .replace("{upstream}", &upstream.url)
        .replace("{port}", &port.to_string());
    let child = Command::new("sh")
        .args(["-c", &format!("exec {command}")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()?;
    let _ward = Ward(child);
    let url = format!("http://127.0.0.1:{port}/mcp");
    let began = Instant::now();
    let mut agents = Vec::new();
    while agents.len() < MOST {
        match Client::connect(&url, None, "read", "write").await {
            Ok(agent) => agents.push(agent),
            Err(_) if began.elapsed() < Duration::from_secs(60) => {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            Err(e) => return Err(format!("`{name}` does not answer at {url}: {e}").into()),
        }
    }
    let mut direct = Vec::new();
    for _ in 0..agents.len() {
        direct.push(Client::connect(&upstream.url, None, "read", "write").await?);
    }
    let mut rows = Rows::default();
    for _ in 0..options.rounds {
        // Another may not keep a pace.
        let eager = options
            .loads()
            .into_iter()
            .filter(|l| l.pace == Pace::Eager);
        for load in eager {
            for (way, clients) in [("directly", &mut direct), (name, &mut agents)] {
                let clients = &mut clients[..load.clients];
                let times = client::drive(clients, options.calls, false, load.pace).await?;
                rows.add(way, false, load, times);
            }
        }
    }
    println!("{name}, which records and judges nothing:\n");
    print!("{}", rows.table());
    println!();
    Ok(())
}

/// Rows of a table, in the order in which they came first.
#[derive(Default)]
struct Rows(Vec<(Row, Times)>);

#[derive(PartialEq)]
struct Row {
    way: String,
    effect: bool,
    load: Load,
}

impl Rows {
    fn add(&mut self, way: &str, effect: bool, load: Load, times: Times) {
        let row = Row {
            way: way.to_owned(),
            effect,
            load,
        };
        match self.0.iter_mut().find(|(known, _)| *known == row) {
            Some((_, known)) => known.join(times),
            None => self.0.push((row, times)),
        }
    }

    fn table(&self) -> String {
        let mut out = "| call | clients | p50 | p99 | added, p50 | added, p99 | calls/s |\n|---|---|---|---|---|---|---|\n".to_owned();
        for (row, times) in &self.0 {
            let what = if row.effect { "effect" } else { "read" };
            let alone = self.0.iter().find(|(other, _)| {
                other.way == "directly" && (other.effect, other.load) == (row.effect, row.load)
            });
            let added = |at: f64| match alone {
                Some((_, alone)) if row.way != "directly" => {
                    client::spell(times.at(at).saturating_sub(alone.at(at)))
                }
                _ => String::new(),
            };
            let line = writeln!(
                out,
                "| {what}, {} | {} | {} | {} | {} | {} | {:.0} |",
                row.way,
                row.load.words(),
                client::spell(times.at(0.5)),
                client::spell(times.at(0.99)),
                added(0.5),
                added(0.99),
                times.per_second()
            );
            line.expect("INVARIANT: writing to a string does not fail");
        }
        out
    }
}

fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let release = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    format!(
        "On {cores} cores ({}), Linux {}; load {} when it began.",
        env::consts::ARCH,
        release.trim(),
        load.split(' ').next().unwrap_or_default()
    )
}
