//! The check of a log on several threads: bundles are read, hashed and parsed on all, and folded in order on one.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use super::{Check, Fault, Listing, Reached, Work, bundle_path, compare, fault};
use crate::bundle;
use crate::hash::{self, Hash};
use crate::source::{Source, read_tile};
use crate::tile::{Kind, Path, WIDTH};

/// Bundles that a thread may be ahead.
const AHEAD: usize = 4;

/// A bundle that was read.
struct Read<R> {
    /// What the caller made of its entries.
    read: R,
    tile: Tile,
}

/// What goes into the tree.
enum Tile {
    /// Root of a whole tile, whose files fit; or what is wrong with them.
    Whole(Result<Hash, Fault>),
    /// Entries that go in one by one, as the bytes of their bundle: the last ones, and those among which a root is asked.
    Bundle(Vec<u8>, Path),
}

pub(super) fn run<R: Send>(
    source: &(dyn Source + Sync),
    check: &mut Check<'_>,
    size: u64,
    work: Work<'_, R>,
) -> Result<(), Fault> {
    let Work {
        threads,
        read,
        fold,
        reached,
    } = work;
    let bundles = check.tree.size() / WIDTH..size.div_ceil(WIDTH);
    let singly: Vec<u64> = bundles
        .clone()
        .filter(|index| check.is_asked_inside(*index))
        .collect();
    let reader = Reader {
        source,
        listing: check.listing,
        size,
        singly: &singly,
        read,
    };
    reached(check.reached(size))?;
    thread::scope(|scope| {
        let results: Vec<_> = (0..threads.get())
            .map(|thread| {
                let (send, results) = sync_channel(AHEAD);
                let reader = &reader;
                let own = bundles.clone().skip(thread).step_by(threads.get());
                scope.spawn(move || reader.go(own, &send));
                results
            })
            .collect();
        for (index, results) in bundles.clone().zip(results.iter().cycle()) {
            let result = results.recv();
            // A thread that ended early has panicked; the scope hands that on.
            let result = result.map_err(|_| fault(format!("bundle {index}"), "it was not read"))?;
            let Read { read, tile } = result?;
            // First what the entries say, which says more than that a file differs.
            fold(read)?;
            match tile {
                Tile::Whole(root) => check.push_tile(root?)?,
                Tile::Bundle(bytes, path) => {
                    let entries = bundle::parse(&bytes, usize::from(path.width));
                    for entry in entries.map_err(|why| fault(path, why))? {
                        check.push(entry)?;
                        check.compare_since()?;
                    }
                }
            }
            reached(check.reached(size))?;
        }
        // Whoever still waits to send ends when this is dropped.
        drop(results);
        Ok(())
    })
}

impl Check<'_> {
    fn reached(&self, size: u64) -> Reached<'_> {
        Reached {
            frontier: &self.tree,
            size,
            note: self.note,
            keys: self.keys,
        }
    }
}

struct Reader<'a, R> {
    source: &'a (dyn Source + Sync),
    listing: &'a Listing,
    size: u64,
    singly: &'a [u64],
    read: &'a (dyn Fn(u64, &[&[u8]]) -> R + Sync),
}

impl<R> Reader<'_, R> {
    fn go(&self, bundles: impl Iterator<Item = u64>, send: &SyncSender<Result<Read<R>, Fault>>) {
        for index in bundles {
            let read = self.bundle(index);
            let failed = read.is_err();
            if send.send(read).is_err() || failed {
                return;
            }
        }
    }

    fn bundle(&self, index: u64) -> Result<Read<R>, Fault> {
        let path = bundle_path(index, self.size)?;
        let bytes = read_tile(self.source, path)?;
        let entries =
            bundle::parse(&bytes, usize::from(path.width)).map_err(|why| fault(path, why))?;
        let read = (self.read)(index * WIDTH, &entries);
        if !path.is_full() || self.singly.contains(&index) {
            drop(entries);
            let tile = Tile::Bundle(bytes, path);
            return Ok(Read { read, tile });
        }
        let hashes: Vec<Hash> = entries.iter().map(|entry| hash::leaf(entry)).collect();
        let tile = Tile::Whole(self.files(path, &bytes, &hashes));
        Ok(Read { read, tile })
    }

    /// Compares the files of a whole tile; answers its root.
    fn files(&self, path: Path, bytes: &[u8], hashes: &[Hash]) -> Result<Hash, Fault> {
        self.listing.compare_partials(self.source, path, bytes)?;
        let level_0 = Path {
            kind: Kind::Hashes(0),
            ..path
        };
        compare(self.source, level_0, hashes.as_flattened())?;
        self.listing
            .compare_partials(self.source, level_0, hashes.as_flattened())?;
        Ok(hash::subtree(hashes))
    }
}
