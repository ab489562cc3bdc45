//! The right edge of a growing tree: all that appending needs, in memory that does not grow with the log.

use crate::bundle::{self, BundleError};
use crate::hash::{self, HASH_SIZE, Hash};
use crate::tile::{Kind, Path, WIDTH};

/// Takes a file of the log: its path and its bytes.
pub type OnFile<'a, E> = dyn FnMut(Path, &[u8]) -> Result<(), E> + 'a;

/// The right edge of a tree: the hashes of each level's last, partial tile, and the last, partial bundle.
///
/// At most 255 hashes a level and 255 entries are held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    levels: Vec<Vec<Hash>>,
    bundle: Vec<u8>,
}

impl Frontier {
    /// The edge of the tree without entries.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The edge of a tree of `size` entries, which must fill their tiles, from the hashes of [`Frontier::levels`]; none where
    /// there are not as many as the size asks for.
    #[must_use]
    pub fn of_tiles(size: u64, levels: Vec<Vec<Hash>>) -> Option<Self> {
        let items = |level: usize| Kind::Hashes(level as u8).items(size);
        let fits = size.is_multiple_of(WIDTH)
            && levels.len() <= 8
            && items(levels.len()) == 0
            && (0..)
                .zip(&levels)
                .all(|(level, tile)| tile.len() as u64 == items(level) % WIDTH);
        fits.then(|| Self {
            size,
            levels,
            bundle: Vec::new(),
        })
    }

    /// The hashes of the last, partial tile of each level, from level 0 up.
    #[must_use]
    pub fn levels(&self) -> &[Vec<Hash>] {
        &self.levels
    }

    /// Entries in the tree.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends an entry. Each file that it fills (its bundle, then tiles from level 0 up) goes to `full`, with its bytes,
    /// once and for good.
    ///
    /// # Errors
    /// What `full` answers, after which the tree is unusable; or [`BundleError::TooLong`], which changes nothing.
    pub fn push<E: From<BundleError>>(
        &mut self,
        entry: &[u8],
        full: &mut OnFile<'_, E>,
    ) -> Result<(), E> {
        bundle::push(&mut self.bundle, entry)?;
        self.size += 1;
        self.carry(0, hash::leaf(entry), full)
    }

    /// Appends a whole tile of 256 entries at once, given the root of their subtree; whoever calls has seen to its bundle
    /// and its tile of level 0. Only where the tree ends at the edge of a tile. Tiles that this fills, from level 1 up,
    /// go to `full`.
    ///
    /// # Errors
    /// What `full` answers, after which the tree is unusable.
    ///
    /// # Panics
    /// Where the tree does not end at the edge of a tile.
    pub fn push_tile<E>(&mut self, root: Hash, full: &mut OnFile<'_, E>) -> Result<(), E> {
        assert!(
            self.size.is_multiple_of(WIDTH),
            "INVARIANT: whole tiles follow whole tiles"
        );
        self.size += WIDTH;
        if self.levels.is_empty() {
            self.levels.push(Vec::with_capacity(WIDTH as usize));
        }
        self.carry(1, root, full)
    }

    /// Puts a hash at a level, and what that fills above it.
    fn carry<E>(&mut self, from: u8, mut hash: Hash, full: &mut OnFile<'_, E>) -> Result<(), E> {
        for level in from.. {
            if self.levels.len() == usize::from(level) {
                self.levels.push(Vec::with_capacity(WIDTH as usize));
            }
            let tile = &mut self.levels[usize::from(level)];
            tile.push(hash);
            if tile.len() < WIDTH as usize {
                break;
            }
            let kind = Kind::Hashes(level);
            let index = (kind.items(self.size) - 1) / WIDTH;
            if level == 0 {
                let path = path(Kind::Entries, index, WIDTH as usize);
                full(path, &self.bundle)?;
                self.bundle.clear();
            }
            full(path(kind, index, WIDTH as usize), tile.as_flattened())?;
            hash = hash::subtree(tile);
            tile.clear();
        }
        Ok(())
    }

    /// The partial files of the tree as it stands: with the full ones so far, all the files of a log of this size.
    #[must_use]
    pub fn partials(&self) -> Vec<(Path, Vec<u8>)> {
        let mut files = Vec::new();
        let index = self.size / WIDTH;
        if !self.bundle.is_empty() {
            let width = (self.size % WIDTH) as usize;
            files.push((path(Kind::Entries, index, width), self.bundle.clone()));
        }
        for (level, tile) in (0_u8..).zip(&self.levels) {
            if !tile.is_empty() {
                let kind = Kind::Hashes(level);
                let path = path(kind, kind.items(self.size) / WIDTH, tile.len());
                files.push((path, tile.as_flattened().to_vec()));
            }
        }
        files
    }

    /// RFC 6962 root of the tree.
    #[must_use]
    pub fn root(&self) -> Hash {
        // The tree is the perfect subtrees of the size's bits, the smallest at the right; they fold from there.
        let mut root = None;
        for tile in &self.levels {
            let mut rest = &tile[..];
            while !rest.is_empty() {
                let (left, right) = rest.split_at(rest.len() - (1 << rest.len().trailing_zeros()));
                let perfect = hash::subtree(right);
                root = Some(match root {
                    None => perfect,
                    Some(right) => hash::node(&perfect, &right),
                });
                rest = left;
            }
        }
        root.unwrap_or_else(hash::empty_root)
    }
}

fn path(kind: Kind, index: u64, width: usize) -> Path {
    Path {
        kind,
        index,
        width: width as u16,
    }
}

const _: () = assert!(HASH_SIZE == size_of::<Hash>());
