//! Where a check had come to, in a file of whoever checks, so that the next one goes on from there.
//!
//! The file has two lines of JSON: what the ledger needs, then what the records came to. It is written beside itself and
//! renamed, so that it is whole whenever the process ends. It is believed as a key is: whoever can change it can hide
//! anything before its size.

use std::{
    fs::{self, File},
    io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write as _},
    path::{Path, PathBuf},
};

use ledger::{
    Frontier,
    tile::WIDTH,
    verify::{Reached, Start},
};
use serde::{Deserialize, Serialize};

use super::{Fault, record::Known};

/// The version of the file's form.
const VERSION: u32 = 1;

/// The first line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    v: u32,
    /// Records that were checked: all of the tiles that they filled.
    size: u64,
    /// The right edge of their tree: the hashes of each level's last tile, in hexadecimal.
    levels: Vec<Vec<String>>,
    /// The statements of the log's keys up to there.
    statements: Vec<String>,
    /// Checkpoints that the log must continue.
    checkpoints: Vec<String>,
    /// Commitments to snapshots in the file beside this one, where they were gathered.
    commitments: Option<u64>,
}

/// What a file says.
pub(super) struct Kept {
    pub(super) start: Start,
    pub(super) checkpoints: Vec<String>,
    pub(super) commitments: Option<u64>,
    pub(super) known: Known,
}

/// The file, as it is written again and again.
pub(super) struct Keeper<'a> {
    path: &'a Path,
    /// Bundles from one writing to the next.
    every: u64,
    /// Where this check began.
    from: u64,
    /// Checkpoints that the checks before this one saw, with their sizes.
    earlier: Vec<(u64, String)>,
}

impl Kept {
    /// Reads the file; none where there is none.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(path: &Path, origin: &str) -> Result<Option<Self>, Fault> {
        let wrong = |why: String| wrong(path, why);
        let file = match File::open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(wrong(e.to_string())),
        };
        let mut file = BufReader::new(file);
        let mut line = String::new();
        file.read_line(&mut line)
            .map_err(|e| wrong(e.to_string()))?;
        let head: Head = serde_json::from_str(&line).map_err(|e| wrong(e.to_string()))?;
        if head.v != VERSION {
            return Err(wrong(format!("it is of version {}", head.v)));
        }
        let mut rest = Vec::new();
        file.read_to_end(&mut rest)
            .map_err(|e| wrong(e.to_string()))?;
        let known: Known = serde_json::from_slice(&rest).map_err(|e| wrong(e.to_string()))?;
        if known.report.origin != origin {
            return Err(wrong(format!("it is of the log `{}`", known.report.origin)));
        }
        let levels = head.levels.iter().map(|tile| hashes(tile));
        let levels: Option<Vec<_>> = levels.collect();
        let frontier = levels.and_then(|levels| Frontier::of_tiles(head.size, levels));
        let frontier = frontier.filter(|_| known.size() == head.size);
        let frontier =
            frontier.ok_or_else(|| wrong("its hashes do not fit its size".to_owned()))?;
        Ok(Some(Self {
            start: Start {
                frontier,
                statements: head.statements,
            },
            checkpoints: head.checkpoints,
            commitments: head.commitments,
            known,
        }))
    }
}

impl<'a> Keeper<'a> {
    pub(super) fn new(
        path: &'a Path,
        every: u64,
        from: u64,
        checkpoints: &[String],
    ) -> Result<Self, Fault> {
        let sized = |note: &String| {
            let size = note.lines().nth(1).and_then(|line| line.parse().ok());
            let size = size.ok_or_else(|| wrong(path, "a checkpoint in it has no size".into()))?;
            Ok((size, note.clone()))
        };
        Ok(Self {
            path,
            every: every.max(1),
            from,
            earlier: checkpoints.iter().map(sized).collect::<Result<_, _>>()?,
        })
    }

    /// Whether it is time to write: at times, and once all bundles that are full were checked.
    pub(super) fn is_due(&self, at: Reached<'_>) -> bool {
        let size = at.frontier.size();
        let last = size / WIDTH == at.size / WIDTH;
        let often = size > self.from && (size / WIDTH).is_multiple_of(self.every);
        size.is_multiple_of(WIDTH) && (last || often)
    }

    /// Writes where the check has come to. The checkpoint is not known to be right yet: the log must continue it, and all
    /// those before it that lie ahead.
    pub(super) fn write(
        &self,
        at: Reached<'_>,
        known: &Known,
        commitments: Option<u64>,
    ) -> Result<(), Fault> {
        let size = at.frontier.size();
        let note = String::from_utf8_lossy(at.note).into_owned();
        let ahead = self
            .earlier
            .iter()
            .filter(|(at, other)| *at > size && *other != note);
        let mut checkpoints: Vec<_> = ahead.map(|(_, note)| note.clone()).collect();
        checkpoints.push(note);
        let stated = at.keys.statements().iter();
        let stated = stated.filter(|s| s.statement.size <= size);
        let levels = at.frontier.levels().iter();
        let head = Head {
            v: VERSION,
            size,
            levels: levels
                .map(|tile| tile.iter().map(hex::encode).collect())
                .collect(),
            statements: stated.map(|s| s.note.clone()).collect(),
            checkpoints,
            commitments,
        };
        self.replace(&head, &mut |out| {
            serde_json::to_writer(out, known).map_err(io::Error::from)
        })
        .map_err(|e| wrong(self.path, e.to_string()))
    }

    /// Takes down that the checkpoint was found right: of those seen before, none is needed any more.
    pub(super) fn confirm(&self, note: &[u8]) -> Result<(), Fault> {
        let confirm = || {
            let mut old = BufReader::new(File::open(self.path)?);
            let mut line = String::new();
            old.read_line(&mut line)?;
            let mut head: Head = serde_json::from_str(&line)?;
            head.checkpoints = vec![String::from_utf8_lossy(note).into_owned()];
            self.replace(&head, &mut |out| io::copy(&mut old, out).map(drop))
        };
        confirm().map_err(|e: io::Error| wrong(self.path, e.to_string()))
    }

    fn replace(
        &self,
        head: &Head,
        rest: &mut dyn FnMut(&mut BufWriter<File>) -> io::Result<()>,
    ) -> io::Result<()> {
        let new = beside(self.path, ".new");
        let mut out = BufWriter::new(File::create(&new)?);
        serde_json::to_writer(&mut out, head)?;
        out.write_all(b"\n")?;
        rest(&mut out)?;
        out.into_inner()?.sync_all()?;
        fs::rename(&new, self.path)?;
        let dir = self.path.parent().filter(|dir| *dir != Path::new(""));
        File::open(dir.unwrap_or(Path::new(".")))?.sync_all()
    }
}

/// The file of commitments beside the state.
pub(super) fn commitments(path: &Path) -> PathBuf {
    beside(path, ".commitments")
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

fn hashes(tile: &[String]) -> Option<Vec<[u8; 32]>> {
    let hashes = tile.iter().map(|text| {
        let mut hash = [0; 32];
        hex::decode_to_slice(text, &mut hash).ok().map(|()| hash)
    });
    hashes.collect()
}

/// The state cannot be used: nothing is said of the log.
pub(super) fn wrong(path: &Path, why: String) -> Fault {
    Fault {
        record: None,
        place: format!("the state `{}`", path.display()),
        why: format!("{why}; remove it to check from the beginning"),
        unreadable: true,
    }
}
