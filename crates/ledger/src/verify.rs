//! The check of a whole log: every byte of every file, in memory that does not grow with the log.

mod parallel;

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZero;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::bundle::{self, BundleError};
use crate::checkpoint::Checkpoint;
use crate::hash::{HASH_SIZE, Hash};
use crate::note::Verifier;
use crate::proof::{self, ProofError, Tiles};
use crate::rotation::{Chain, RotationError};
use crate::source::{Source, SourceError, read_tile};
use crate::tile::{CHECKPOINT, KEYS, Kind, Path, WIDTH, WITNESSED};
use crate::tree::Frontier;

/// Takes an entry of the log with its number; an error ends the reading, with the reason.
pub type OnEntry<'a> = dyn FnMut(u64, &[u8]) -> Result<(), String> + 'a;

/// Reads and verifies a checkpoint found at the named place.
type Open<'a> = dyn Fn(&[u8], &str) -> Result<Checkpoint, Fault> + 'a;

/// How often a writer is waited for whose files are there and whose checkpoint is not: two seconds in a directory.
const PAUSES: u32 = 20;

/// What a check tolerates; the default tolerates nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The checkpoint may carry well-formed signatures of other keys (witnesses), which are not checked here.
    pub allow_other_signatures: bool,
    /// Files that do not belong to the tree are not looked for.
    pub ignore_strays: bool,
}

/// A log found right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Entries in the log.
    pub size: u64,
    /// Root of its tree.
    pub root: Hash,
    /// The checkpoint that says so.
    pub checkpoint: Checkpoint,
    /// The checkpoint's signed note, byte for byte.
    pub note: Vec<u8>,
    /// The right edge of the tree: appending can go on from here.
    pub frontier: Frontier,
    /// The log's keys, with the statements by which they took over from one another.
    pub keys: Chain,
}

/// The first thing found wrong in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// File and, where it can be told, byte or entry.
    pub place: String,
    /// What is wrong.
    pub why: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.place, self.why)
    }
}

impl std::error::Error for Fault {}

/// Verifies a whole log with [`Options::default`]: see [`verify_with`].
///
/// # Errors
/// The first [`Fault`].
pub fn verify(
    source: &dyn Source,
    verifier: &Verifier,
    since: Option<&[u8]>,
    on_entry: &mut OnEntry<'_>,
) -> Result<Verified, Fault> {
    verify_with(source, verifier, since, Options::default(), on_entry)
}

/// Verifies a whole log.
///
/// Reads every bundle, hashes every entry, rebuilds every tile of every level and compares it byte for byte, compares
/// older partial files that are still there, refuses files that do not belong (where the source can list), and compares
/// the root with the checkpoint's, whose signature must be `verifier`'s and whose origin its name. With `since`, a signed
/// checkpoint seen earlier, the log must also be a continuation of it.
///
/// Where the log's key was replaced, `verifier` may be any of its keys: the statements in [`KEYS`] must lead from one to
/// the other, each checkpoint must be in its key's span, and the tree must have had the roots that the statements say.
///
/// `on_entry` gets every entry in order, *before* the log as a whole is known to be right: what it gathers may be
/// believed only when this function returns `Ok`.
///
/// A log that grows meanwhile is verified at the size of the checkpoint read first.
///
/// # Errors
/// The first [`Fault`].
pub fn verify_with(
    source: &dyn Source,
    verifier: &Verifier,
    since: Option<&[u8]>,
    options: Options,
    on_entry: &mut OnEntry<'_>,
) -> Result<Verified, Fault> {
    let start = Start::default();
    let since: Vec<&[u8]> = since.into_iter().collect();
    checked(source, verifier, &since, options, &start, |check, size| {
        check.bundles(size, on_entry)
    })
}

/// As [`verify_with`], from where an earlier check had come to, or from [`Start::of_tiles`]: bundles and tiles that lie before
/// it are not read, and `on_entry` gets the entries after it.
///
/// # Errors
/// The first [`Fault`].
pub fn verify_from(
    source: &dyn Source,
    verifier: &Verifier,
    start: &Start,
    options: Options,
    on_entry: &mut OnEntry<'_>,
) -> Result<Verified, Fault> {
    checked(source, verifier, &[], options, start, |check, size| {
        check.bundles(size, on_entry)
    })
}

/// Verifies a whole log on several threads: the same checks as [`verify_with`], with the same faults.
///
/// Each thread reads bundles with their tiles of level 0, hashes their entries, and hands these to `read`, with the number
/// of the first; bundle `n` is thread `n % threads`'s. What `read` gives goes to `fold`, bundle by bundle in order, on the
/// calling thread. An error of `fold` ends the reading and comes back as the fault. At most a few bundles a thread are held.
///
/// # Errors
/// The first [`Fault`]; that of `fold` before one of the same bundle's files.
pub fn verify_in_parallel<R: Send>(
    source: &(dyn Source + Sync),
    verifier: &Verifier,
    since: Option<&[u8]>,
    threads: NonZero<usize>,
    read: &(dyn Fn(u64, &[&[u8]]) -> R + Sync),
    fold: &mut dyn FnMut(R) -> Result<(), Fault>,
) -> Result<Verified, Fault> {
    let since: Vec<&[u8]> = since.into_iter().collect();
    let work = Work {
        threads,
        read,
        fold,
        reached: &mut |_| Ok(()),
    };
    verify_on(source, verifier, &since, &Start::default(), work)
}

/// Where an earlier check of the same log had come to. The default is the beginning of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Start {
    /// The right edge of the tree of the entries that were checked, which filled their tiles.
    pub frontier: Frontier,
    /// The statements of the log's keys up to there, as signed notes, oldest first.
    pub statements: Vec<String>,
}

impl Start {
    /// The last edge of a tile at or before entry `size`, as the tiles of a log with the checkpoint `head` say: of each level
    /// one file is read, and no entry. That the tiles are right shows once the entries after them lead to the root of `head`.
    ///
    /// # Errors
    /// [`Fault`] where a tile is missing or damaged, or a statement of `keys` is of another tree.
    pub fn of_tiles(
        source: &dyn Source,
        size: u64,
        head: &Checkpoint,
        keys: &Chain,
    ) -> Result<Self, Fault> {
        let at = size.min(head.size) / WIDTH * WIDTH;
        let mut levels = Vec::new();
        for kind in (0..8).map(Kind::Hashes) {
            let items = kind.items(at);
            let Some(last) = items.checked_sub(1) else {
                break;
            };
            let mut tile = Vec::new();
            let wide = Path::holding(kind, last, head.size).filter(|_| items % WIDTH > 0);
            if let Some(path) = wide {
                let bytes = read_tile(source, path)?;
                let hashes = bytes.as_chunks::<HASH_SIZE>().0;
                let hashes = hashes.get(..(items % WIDTH) as usize);
                tile.extend_from_slice(hashes.ok_or_else(|| fault(path, "it was cut short"))?);
            }
            levels.push(tile);
        }
        let frontier = Frontier::of_tiles(at, levels)
            .ok_or_else(|| fault("tile", "it does not fit the checkpoint"))?;
        let before = keys.statements().iter();
        let before = before.filter(|signed| signed.statement.size <= at);
        let mut statements = Vec::new();
        for signed in before {
            let stated = &signed.statement;
            let proved = continued(source, (stated.size, &stated.root), (head.size, &head.root));
            proved.map_err(|why| {
                let why = format!(
                    "that the log continues the tree of {} entries at which a key took over cannot be proved: {why}",
                    stated.size
                );
                fault(KEYS, why)
            })?;
            statements.push(signed.note.clone());
        }
        Ok(Self {
            frontier,
            statements,
        })
    }
}

/// Whether the tree that has the size and root `later` continues the one that has those of `earlier`, by the tiles of `source`.
///
/// # Errors
/// [`ProofError`] where it does not, or tiles cannot be read.
pub fn continued(
    source: &dyn Source,
    earlier: (u64, &Hash),
    later: (u64, &Hash),
) -> Result<(), ProofError> {
    let tiles = Tiles::new(source, later.0);
    let path = proof::consistency(&tiles, earlier.0, later.0)?;
    proof::verify_consistency(earlier.0, later.0, &path, earlier.1, later.1)
}

/// How far a check has come: a bundle's entries were folded, and are in the tree.
#[derive(Clone, Copy, Debug)]
pub struct Reached<'a> {
    /// The right edge of the tree so far.
    pub frontier: &'a Frontier,
    /// Entries that the check is going to.
    pub size: u64,
    /// The log's checkpoint, as a signed note. Whether it is right is known at the end.
    pub note: &'a [u8],
    /// The log's keys.
    pub keys: &'a Chain,
}

/// What is done with the entries on the way.
pub struct Work<'a, R> {
    /// Threads that read.
    pub threads: NonZero<usize>,
    /// Makes something of a bundle's entries, given the number of the first; on the reading threads.
    pub read: &'a (dyn Fn(u64, &[&[u8]]) -> R + Sync),
    /// Takes that, bundle by bundle in order, on the calling thread.
    pub fold: &'a mut dyn FnMut(R) -> Result<(), Fault>,
    /// Told before the first bundle and after each; an error ends the check.
    pub reached: &'a mut dyn FnMut(Reached<'_>) -> Result<(), Fault>,
}

/// As [`verify_in_parallel`], from where an earlier check had come to: what lies before is not read again, and the log must
/// be a continuation of it and of every checkpoint in `since`.
///
/// # Errors
/// As [`verify_in_parallel`].
pub fn verify_on<R: Send>(
    source: &(dyn Source + Sync),
    verifier: &Verifier,
    since: &[&[u8]],
    start: &Start,
    work: Work<'_, R>,
) -> Result<Verified, Fault> {
    let options = Options::default();
    checked(source, verifier, since, options, start, |check, size| {
        parallel::run(source, check, size, work)
    })
}

/// What every check begins and ends with; `go` puts all entries into the tree.
fn checked(
    source: &dyn Source,
    verifier: &Verifier,
    since: &[&[u8]],
    options: Options,
    start: &Start,
    go: impl FnOnce(&mut Check<'_>, u64) -> Result<(), Fault>,
) -> Result<Verified, Fault> {
    let note = source.read(CHECKPOINT)?;
    // After the checkpoint: a log that grows publishes a statement before the new key signs anything.
    let keys = Chain::read(source, verifier).map_err(|why| match why {
        RotationError::Source(why) => why.into(),
        why => fault(KEYS, why),
    })?;
    let open = |note: &[u8], place: &str| {
        let opened = keys.open(note, options.allow_other_signatures);
        opened.map_err(|why| fault(place, why))
    };
    let head = open(&note, CHECKPOINT)?;
    let since = since
        .iter()
        .map(|note| open(note, "the earlier checkpoint"));
    let since = since.collect::<Result<Vec<_>, _>>()?;
    let earlier = since.iter().map(|since| (since.size, "checkpoint"));
    let checked = (start.frontier.size(), "check");
    let mut earlier = earlier.chain([checked]);
    if let Some((size, what)) = earlier.find(|(size, _)| *size > head.size) {
        let why = format!(
            "the log was truncated: it has {} entries now and had {size} at the earlier {what}",
            head.size
        );
        return Err(fault(CHECKPOINT, why));
    }
    continues(source, start, &since, &keys)?;
    let listing = if options.ignore_strays {
        Listing::default()
    } else {
        Listing::of(source, head.size)?
    };
    let mut check = Check {
        source,
        listing: &listing,
        since: &since,
        note: &note,
        keys: &keys,
        tree: start.frontier.clone(),
    };
    check.compare_since()?;
    go(&mut check, head.size)?;
    for (path, bytes) in check.tree.partials() {
        compare(source, path, &bytes)?;
        listing.compare_partials(source, path, &bytes)?;
    }
    let root = check.tree.root();
    if root != head.root {
        let why = format!(
            "its root is {} and the entries give {}: entries were changed, or the checkpoint is of another tree",
            BASE64.encode(head.root),
            BASE64.encode(root)
        );
        return Err(fault(CHECKPOINT, why));
    }
    listing.judge_ahead(source, &open)?;
    let frontier = check.tree;
    Ok(Verified {
        size: head.size,
        root,
        checkpoint: head,
        note,
        frontier,
        keys,
    })
}

struct Check<'a> {
    source: &'a dyn Source,
    listing: &'a Listing,
    since: &'a [Checkpoint],
    note: &'a [u8],
    keys: &'a Chain,
    tree: Frontier,
}

/// What can be said of checkpoints and keys from before the start without reading the entries there again.
fn continues(
    source: &dyn Source,
    start: &Start,
    since: &[Checkpoint],
    keys: &Chain,
) -> Result<(), Fault> {
    let at = start.frontier.size();
    let stated = keys.statements().iter();
    let stated = stated.filter(|s| s.statement.size <= at).map(|s| &s.note);
    if !stated.eq(&start.statements) {
        let why = "the changes of the log's key are not those that the earlier check found";
        return Err(fault(KEYS, why));
    }
    for since in since.iter().filter(|since| since.size < at) {
        let root = start.frontier.root();
        let proved = continued(source, (since.size, &since.root), (at, &root));
        proved.map_err(|why| {
            let why = format!(
                "the log was rewritten, or its tiles were changed: that its first {} entries are those of the earlier checkpoint cannot be proved: {why}",
                since.size
            );
            fault(CHECKPOINT, why)
        })?;
    }
    Ok(())
}

impl Check<'_> {
    /// Reads all bundles from where the tree ends.
    fn bundles(&mut self, size: u64, on_entry: &mut OnEntry<'_>) -> Result<(), Fault> {
        for index in self.tree.size() / WIDTH..size.div_ceil(WIDTH) {
            self.bundle(index, size, on_entry)?;
        }
        Ok(())
    }

    fn bundle(&mut self, index: u64, size: u64, on_entry: &mut OnEntry<'_>) -> Result<(), Fault> {
        let path = bundle_path(index, size)?;
        let bytes = read_tile(self.source, path)?;
        let entries =
            bundle::parse(&bytes, usize::from(path.width)).map_err(|why| fault(path, why))?;
        for entry in entries {
            let number = self.tree.size();
            self.push(entry)?;
            on_entry(number, entry)
                .map_err(|why| fault(format!("entry {number} in {path}"), why))?;
            self.compare_since()?;
        }
        Ok(())
    }

    /// Puts one entry into the tree; files that it fills are compared.
    fn push(&mut self, entry: &[u8]) -> Result<(), Fault> {
        let (source, listing) = (self.source, self.listing);
        self.tree.push(entry, &mut |path, bytes| {
            // The bundle is where the entries came from; its form has only one spelling.
            if path.kind != Kind::Entries {
                compare(source, path, bytes)?;
            }
            listing.compare_partials(source, path, bytes)
        })
    }

    /// Puts a tile of 256 entries into the tree, whose own files are compared already.
    fn push_tile(&mut self, root: Hash) -> Result<(), Fault> {
        let (source, listing) = (self.source, self.listing);
        self.tree.push_tile(root, &mut |path, bytes| {
            compare(source, path, bytes)?;
            listing.compare_partials(source, path, bytes)
        })?;
        self.compare_since()
    }

    /// Whether a root must be known at a size inside this bundle.
    fn is_asked_inside(&self, index: u64) -> bool {
        let inside = |size: u64| size > index * WIDTH && size < (index + 1) * WIDTH;
        let stated = self.keys.statements().iter();
        let mut stated = stated.map(|s| s.statement.size);
        self.since.iter().any(|since| inside(since.size)) || stated.any(inside)
    }

    fn compare_since(&self) -> Result<(), Fault> {
        let rewritten = |why| fault(KEYS, why);
        let stated = self.keys.check_root(self.tree.size(), || self.tree.root());
        stated.map_err(rewritten)?;
        let here = |since: &&Checkpoint| since.size == self.tree.size();
        match self
            .since
            .iter()
            .filter(here)
            .find(|since| since.root != self.tree.root())
        {
            Some(since) => {
                let why = format!(
                    "the log was rewritten: its first {} entries have the root {} and had {} at the earlier checkpoint",
                    since.size,
                    BASE64.encode(self.tree.root()),
                    BASE64.encode(since.root)
                );
                Err(fault(CHECKPOINT, why))
            }
            None => Ok(()),
        }
    }
}

/// The files a source lists, as far as they need a look of their own.
#[derive(Default)]
struct Listing {
    /// Widths of the partial files there are, by the file they are the beginning of.
    partials: BTreeMap<(Kind, u64), Vec<u16>>,
    /// Tiles and bundles beyond the checkpoint.
    ahead: Vec<Path>,
}

impl Listing {
    fn of(source: &dyn Source, size: u64) -> Result<Self, Fault> {
        let mut listing = Self::default();
        for file in source.list()?.unwrap_or_default() {
            if file == CHECKPOINT || file == WITNESSED || file == KEYS {
                continue;
            }
            let path: Path = file.parse().map_err(|why| {
                fault(
                    &file,
                    format!("a file that does not belong to the log: {why}"),
                )
            })?;
            if !path.is_within(size) {
                listing.ahead.push(path);
            } else if !path.is_full() {
                listing
                    .partials
                    .entry((path.kind, path.index))
                    .or_default()
                    .push(path.width);
            }
        }
        Ok(listing)
    }

    /// Compares the partial files that are the beginning of `whole`, of which `bytes` are known to be right.
    fn compare_partials(
        &self,
        source: &dyn Source,
        whole: Path,
        bytes: &[u8],
    ) -> Result<(), Fault> {
        for &width in self
            .partials
            .get(&(whole.kind, whole.index))
            .into_iter()
            .flatten()
        {
            let path = Path { width, ..whole };
            let want = match path.kind {
                Kind::Hashes(_) => bytes.get(..usize::from(width) * HASH_SIZE),
                Kind::Entries => bundle::prefix(bytes, usize::from(width)),
            };
            let want = want.ok_or_else(|| fault(path, "it is wider than the tree"))?;
            match source.read(&path.to_string()) {
                // A log that grows deletes partial files once they are full.
                Err(SourceError::Missing { .. }) => {}
                found => same(path, &found?, want)?,
            }
        }
        Ok(())
    }

    /// Files beyond the checkpoint are strays, unless the log grew meanwhile and its newer checkpoint covers them.
    fn judge_ahead(&self, source: &dyn Source, open: &Open<'_>) -> Result<(), Fault> {
        if self.ahead.is_empty() {
            return Ok(());
        }
        // Whoever publishes writes the files first, and then the checkpoint that covers them.
        for pause in 0.. {
            let size = open(&source.read(CHECKPOINT)?, CHECKPOINT)?.size;
            let Some(path) = self.ahead.iter().find(|path| !path.is_within(size)) else {
                break;
            };
            if pause == PAUSES || !source.pause() {
                let why = format!(
                    "a file that does not belong to the log: its checkpoint ends at {size} entries"
                );
                return Err(fault(path, why));
            }
        }
        Ok(())
    }
}

fn bundle_path(index: u64, size: u64) -> Result<Path, Fault> {
    Path::holding(Kind::Entries, index * WIDTH, size)
        .ok_or_else(|| fault(format!("entry {}", index * WIDTH), "it lies beyond the log"))
}

fn compare(source: &dyn Source, path: Path, want: &[u8]) -> Result<(), Fault> {
    same(path, &read_tile(source, path)?, want)
}

fn same(path: Path, found: &[u8], want: &[u8]) -> Result<(), Fault> {
    if found == want {
        return Ok(());
    }
    let differs = found
        .iter()
        .zip(want)
        .position(|(found, want)| found != want);
    Err(match differs {
        Some(byte) => fault(
            format!("{path} byte {byte}"),
            "it is not what the entries give: an entry or this file was changed",
        ),
        None => fault(
            path,
            format!("it has {} bytes and must have {}", found.len(), want.len()),
        ),
    })
}

fn fault(place: impl fmt::Display, why: impl fmt::Display) -> Fault {
    Fault {
        place: place.to_string(),
        why: why.to_string(),
    }
}

impl From<SourceError> for Fault {
    fn from(error: SourceError) -> Self {
        let why = match &error {
            SourceError::Missing { .. } => "the file is missing".to_owned(),
            SourceError::Failed { why, .. } => format!("the file cannot be read: {why}"),
            SourceError::Damaged { why, .. } => why.clone(),
        };
        fault(error.path(), why)
    }
}

impl From<BundleError> for Fault {
    fn from(error: BundleError) -> Self {
        fault("a bundle", error)
    }
}
