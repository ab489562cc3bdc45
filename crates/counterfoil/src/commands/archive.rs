//! `log archive`: older records to cold storage.

use std::path::{Path, PathBuf};

use duty::record::Record;
use engine::{
    clock::{Clock as _, SystemClock},
    fold,
};
use ledger::{archive::Manifest, source::read_entry, tile::WIDTH};
use serde_json::json;
use store::Folds;

use crate::{fail::Failure, show};

/// Moves what lies before a record, and says what that freed.
pub(super) fn run(
    dir: &Path,
    to: Option<PathBuf>,
    before: u64,
    as_json: bool,
) -> Result<(), Failure> {
    let to = match to {
        Some(to) => to,
        None => last(dir)?,
    };
    let before = before.min(folded(dir)?);
    let moved = store::archive(dir, &to, before)?;
    if as_json {
        show::json(&json!({
            "records": moved.bundles * WIDTH,
            "moved": moved.moved * WIDTH,
            "freed": moved.freed,
            "to": to,
        }));
    } else {
        show::line(&format!(
            "{} records moved, {} MiB freed; `{}` holds the first {} records",
            moved.moved * WIDTH,
            moved.freed >> 20,
            to.display(),
            moved.bundles * WIDTH
        ));
    }
    Ok(())
}

/// Records of the newest fold that a start would go by: it needs none of the full bundles before, wherever they are.
fn folded(dir: &Path) -> Result<u64, Failure> {
    let folds = Folds::at(dir, fold::CORE)?;
    let found = folds.newest_trusted(&mut |_| Ok(()), &mut |line| eprintln!("{line}"))?;
    found.map(|(size, ())| size).ok_or_else(|| {
        Failure::unavailable(
            "no fold is written down yet that a start could go by, so that every start would read what is archived; a server writes one after 100,000 records and as it stops, or run `counterfoil rebuild`",
        )
    })
}

/// Where the last call moved them.
fn last(dir: &Path) -> Result<PathBuf, Failure> {
    let file = dir.join(ledger::archive::MANIFEST);
    let text = std::fs::read_to_string(&file).map_err(|_| {
        Failure::usage("nothing was archived before; say where to with `--to DIRECTORY`")
    })?;
    let manifest = Manifest::parse(&text);
    let manifest =
        manifest.map_err(|why| Failure::unavailable(format!("`{}`: {why}", file.display())))?;
    Ok(manifest.directory)
}

/// The first record that is not older than so many days; times never go back in a log.
pub(super) fn older_than(dir: &Path, days: u32) -> Result<u64, Failure> {
    let source = evidence::open(&dir.display().to_string()).map_err(Failure::unavailable)?;
    let size = evidence::head(&*source).map_err(Failure::unavailable)?.size;
    let since = SystemClock
        .now()
        .minus_minutes(days.saturating_mul(24 * 60));
    let (mut low, mut high) = (0, size);
    while low < high {
        let middle = low + (high - low) / 2;
        let entry = read_entry(&*source, middle, size).map_err(Failure::unavailable)?;
        let record = Record::from_bytes(&entry).map_err(Failure::unavailable)?;
        if record.time < since {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}
