//! Inclusion and consistency proofs (RFC 6962 section 2.1), and proof files (`c2sp.org/tlog-proof`).

use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::checkpoint::{Checkpoint, CheckpointError, decimal, hash_line};
use crate::hash::{self, HASH_SIZE, Hash, split};
use crate::note::Verifier;
use crate::source::{Source, SourceError, read_entry, read_tile};
use crate::tile::{CHECKPOINT, Kind, Path};

/// First line of a proof file.
pub const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// Why a proof cannot be made, or does not prove.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// No such proof exists.
    #[error("{what} {at} is not in a tree of {size} entries")]
    OutOfRange {
        /// "entry" or "size".
        what: &'static str,
        /// The index or size asked for.
        at: u64,
        /// Entries in the tree.
        size: u64,
    },
    /// The tree could not be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The checkpoint is refused.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The file is no proof.
    #[error("not a proof file: {0}")]
    Malformed(String),
    /// The hashes do not lead to the root.
    #[error("the proof does not hold: {0}")]
    Broken(String),
}

/// The hashes of a tree's perfect subtrees.
pub trait Hashes {
    /// Hash of the perfect subtree over entries `index << level` to `(index + 1) << level`.
    ///
    /// # Errors
    /// [`SourceError`].
    fn hash(&self, level: u8, index: u64) -> Result<Hash, SourceError>;
}

/// Hashes of a tree of a given size, from the tiles of a log. Each tile is read once.
pub struct Tiles<'a> {
    source: &'a dyn Source,
    size: u64,
    read: RefCell<HashMap<Path, Vec<Hash>>>,
}

impl<'a> Tiles<'a> {
    /// Reads from `source` as a tree of `size` entries.
    #[must_use]
    pub fn new(source: &'a dyn Source, size: u64) -> Self {
        Self {
            source,
            size,
            read: RefCell::default(),
        }
    }
}

impl Hashes for Tiles<'_> {
    fn hash(&self, level: u8, index: u64) -> Result<Hash, SourceError> {
        let missing = || SourceError::Missing {
            path: format!(
                "hash {index} of level {level} of a tree of {} entries",
                self.size
            ),
        };
        let kind = Kind::Hashes(level / 8);
        let first = index
            .checked_shl(u32::from(level % 8))
            .ok_or_else(missing)?;
        let count = 1_usize << (level % 8);
        // The subtree lies in one tile, since tiles are 256 wide and its width is a power of two below that.
        let path = Path::holding(kind, first + count as u64 - 1, self.size).ok_or_else(missing)?;
        let mut read = self.read.borrow_mut();
        let hashes = match read.entry(path) {
            Entry::Occupied(read) => read.into_mut(),
            Entry::Vacant(place) => place.insert(read_hashes(self.source, path)?),
        };
        let at = (first % crate::tile::WIDTH) as usize;
        Ok(hash::subtree(&hashes[at..at + count]))
    }
}

/// Root of the first `size` entries.
///
/// # Errors
/// [`SourceError`].
pub fn root(hashes: &dyn Hashes, size: u64) -> Result<Hash, SourceError> {
    if size == 0 {
        return Ok(hash::empty_root());
    }
    range(hashes, 0, size)
}

/// Inclusion proof of entry `index` in the tree of `size` entries, from the leaf's sibling up.
///
/// # Errors
/// [`ProofError::OutOfRange`] or [`ProofError::Source`].
pub fn inclusion(hashes: &dyn Hashes, index: u64, size: u64) -> Result<Vec<Hash>, ProofError> {
    if index >= size {
        return Err(ProofError::OutOfRange {
            what: "entry",
            at: index,
            size,
        });
    }
    let (mut low, mut high) = (0, size);
    let mut path = Vec::new();
    while high - low > 1 {
        let middle = low + split(high - low);
        if index < middle {
            path.push(range(hashes, middle, high)?);
            high = middle;
        } else {
            path.push(range(hashes, low, middle)?);
            low = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// Consistency proof between the trees of `old` and `new` entries; empty where they are equal or `old` is 0.
///
/// # Errors
/// [`ProofError::OutOfRange`] or [`ProofError::Source`].
pub fn consistency(hashes: &dyn Hashes, old: u64, new: u64) -> Result<Vec<Hash>, ProofError> {
    if old > new {
        return Err(ProofError::OutOfRange {
            what: "size",
            at: old,
            size: new,
        });
    }
    if old == 0 || old == new {
        return Ok(Vec::new());
    }
    let (mut low, mut high) = (0, new);
    let mut path = Vec::new();
    while high != old {
        let middle = low + split(high - low);
        if old <= middle {
            path.push(range(hashes, middle, high)?);
            high = middle;
        } else {
            path.push(range(hashes, low, middle)?);
            low = middle;
        }
    }
    // The old tree's own root is known to whoever checks; any other subtree must be told.
    if low > 0 {
        path.push(range(hashes, low, high)?);
    }
    path.reverse();
    Ok(path)
}

/// Checks that the entry with this `leaf` hash is number `index` of the tree of `size` entries with this `root`.
///
/// # Errors
/// [`ProofError::OutOfRange`] or [`ProofError::Broken`].
pub fn verify_inclusion(
    leaf: &Hash,
    index: u64,
    size: u64,
    path: &[Hash],
    root: &Hash,
) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::OutOfRange {
            what: "entry",
            at: index,
            size,
        });
    }
    // RFC 9162 section 2.1.3.2.
    let (mut node, mut last, mut hash) = (index, size - 1, *leaf);
    for step in path {
        if last == 0 {
            return Err(ProofError::Broken("it has too many hashes".to_owned()));
        }
        if node & 1 == 1 || node == last {
            hash = hash::node(step, &hash);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            hash = hash::node(&hash, step);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(ProofError::Broken("it has too few hashes".to_owned()));
    }
    agree(&hash, root, "entry")
}

/// Checks that the tree of `old` entries with `old_root` is the beginning of the one of `new` entries with `new_root`.
///
/// # Errors
/// [`ProofError::OutOfRange`] or [`ProofError::Broken`].
pub fn verify_consistency(
    old: u64,
    new: u64,
    path: &[Hash],
    old_root: &Hash,
    new_root: &Hash,
) -> Result<(), ProofError> {
    if old > new {
        return Err(ProofError::OutOfRange {
            what: "size",
            at: old,
            size: new,
        });
    }
    if old == 0 || old == new {
        if !path.is_empty() {
            return Err(ProofError::Broken("it has too many hashes".to_owned()));
        }
        return if old == 0 {
            agree(&hash::empty_root(), old_root, "old")
        } else {
            agree(old_root, new_root, "old")
        };
    }
    // RFC 9162 section 2.1.4.2.
    let few = || ProofError::Broken("it has too few hashes".to_owned());
    let (first, rest) = if old.is_power_of_two() {
        (old_root, path)
    } else {
        path.split_first().ok_or_else(few)?
    };
    let (mut node, mut last) = (old - 1, new - 1);
    let shared = node.trailing_ones();
    node >>= shared;
    last >>= shared;
    let (mut from_old, mut from_new) = (*first, *first);
    for step in rest {
        if last == 0 {
            return Err(ProofError::Broken("it has too many hashes".to_owned()));
        }
        if node & 1 == 1 || node == last {
            from_old = hash::node(step, &from_old);
            from_new = hash::node(step, &from_new);
            while node & 1 == 0 && node != 0 {
                node >>= 1;
                last >>= 1;
            }
        } else {
            from_new = hash::node(&from_new, step);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(few());
    }
    agree(&from_old, old_root, "old")?;
    agree(&from_new, new_root, "new")
}

/// A proof file: that an entry is in the log, verifiable offline. Its name ends in `.tlog-proof`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Further data that nothing authenticates.
    pub extra: Option<Vec<u8>>,
    /// Number of the entry.
    pub index: u64,
    /// Inclusion proof, from the leaf's sibling up.
    pub path: Vec<Hash>,
    /// The signed checkpoint.
    pub checkpoint: String,
}

impl Proof {
    /// Proves entry `index` from the log in `source`, under its present checkpoint. The proof is verified before it is
    /// given out. Returns the entry too.
    ///
    /// # Errors
    /// Every [`ProofError`].
    pub fn make(
        source: &dyn Source,
        verifier: &Verifier,
        index: u64,
        allow_others: bool,
    ) -> Result<(Self, Vec<u8>), ProofError> {
        let note = source.read(CHECKPOINT)?;
        let head = Checkpoint::open(&note, verifier, allow_others)?;
        let path = inclusion(&Tiles::new(source, head.size), index, head.size)?;
        let entry = read_entry(source, index, head.size)?;
        let proof = Self {
            extra: None,
            index,
            path,
            checkpoint: String::from_utf8_lossy(&note).into_owned(),
        };
        proof.verify(&entry, verifier, allow_others)?;
        Ok((proof, entry))
    }

    /// Reads a proof file; verifies nothing.
    ///
    /// # Errors
    /// [`ProofError::Malformed`].
    pub fn parse(text: &str) -> Result<Self, ProofError> {
        let fail = |why: &str| ProofError::Malformed(why.to_owned());
        let (head, checkpoint) = text
            .split_once("\n\n")
            .ok_or_else(|| fail("no empty line before the checkpoint"))?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(HEADER) {
            return Err(fail(&format!("the first line is not `{HEADER}`")));
        }
        let extra = match lines.next_if(|line| line.starts_with("extra ")) {
            Some(line) => Some(
                BASE64
                    .decode(&line["extra ".len()..])
                    .map_err(|why| fail(&format!("the extra data is no base64: {why}")))?,
            ),
            None => None,
        };
        let index = lines
            .next()
            .and_then(|line| line.strip_prefix("index "))
            .and_then(decimal)
            .ok_or_else(|| fail("no line `index N`"))?;
        let path = lines
            .map(hash_line)
            .collect::<Option<_>>()
            .ok_or_else(|| fail("a hash is not 32 bytes in base64"))?;
        Ok(Self {
            extra,
            index,
            path,
            checkpoint: checkpoint.to_owned(),
        })
    }

    /// Checks that `entry` is in the log of `verifier`; answers the checkpoint that says so.
    ///
    /// # Errors
    /// Every [`ProofError`].
    pub fn verify(
        &self,
        entry: &[u8],
        verifier: &Verifier,
        allow_others: bool,
    ) -> Result<Checkpoint, ProofError> {
        let head = Checkpoint::open(self.checkpoint.as_bytes(), verifier, allow_others)?;
        self.leads(entry, &head)?;
        Ok(head)
    }

    /// Checks that `entry` is in the tree of `head`, which must be the verified checkpoint of this proof.
    ///
    /// # Errors
    /// [`ProofError::OutOfRange`] or [`ProofError::Broken`].
    pub fn leads(&self, entry: &[u8], head: &Checkpoint) -> Result<(), ProofError> {
        let leaf = hash::leaf(entry);
        verify_inclusion(&leaf, self.index, head.size, &self.path, &head.root)
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{HEADER}")?;
        if let Some(extra) = &self.extra {
            writeln!(out, "extra {}", BASE64.encode(extra))?;
        }
        writeln!(out, "index {}", self.index)?;
        for hash in &self.path {
            writeln!(out, "{}", BASE64.encode(hash))?;
        }
        write!(out, "\n{}", self.checkpoint)
    }
}

fn read_hashes(source: &dyn Source, path: Path) -> Result<Vec<Hash>, SourceError> {
    let bytes = read_tile(source, path)?;
    let (hashes, rest) = bytes.as_chunks::<HASH_SIZE>();
    if hashes.len() == usize::from(path.width) && rest.is_empty() {
        return Ok(hashes.to_vec());
    }
    Err(SourceError::Damaged {
        path: path.to_string(),
        why: format!(
            "it has {} bytes and must have {} hashes of 32",
            bytes.len(),
            path.width
        ),
    })
}

/// Hash of the subtree over entries `low` to `high`, where RFC 6962 puts one.
fn range(hashes: &dyn Hashes, low: u64, high: u64) -> Result<Hash, SourceError> {
    let count = high - low;
    if count.is_power_of_two() {
        let level = count.trailing_zeros();
        return hashes.hash(level as u8, low >> level);
    }
    let middle = low + split(count);
    Ok(hash::node(
        &range(hashes, low, middle)?,
        &range(hashes, middle, high)?,
    ))
}

fn agree(found: &Hash, want: &Hash, what: &str) -> Result<(), ProofError> {
    if found == want {
        Ok(())
    } else {
        Err(ProofError::Broken(format!(
            "the {what} tree's root is {} and the proof leads to {}",
            BASE64.encode(want),
            BASE64.encode(found)
        )))
    }
}
