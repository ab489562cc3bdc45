//! Trees, tiles and proofs, compared with two implementations written by others.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod common;

use common::{Log, entries};
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ledger::{Checkpoint, Hash, SourceError, hash, proof};
use proptest::prelude::*;
use sha2::Sha256;
use tlog_tiles as theirs;

/// Hashes computed from the leaves, straight from the definition.
struct Leaves(Vec<Hash>);

impl proof::Hashes for Leaves {
    fn hash(&self, level: u8, index: u64) -> Result<Hash, SourceError> {
        let (low, high) = ((index << level) as usize, ((index + 1) << level) as usize);
        Ok(hash::subtree(&self.0[low..high]))
    }
}

/// The stored hashes of `tlog_tiles`.
struct Stored(Vec<theirs::Hash>);

impl theirs::HashReader for Stored {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<theirs::Hash>, theirs::Error> {
        Ok(indexes
            .iter()
            .map(|index| self.0[*index as usize])
            .collect())
    }
}

fn stored(entries: &[Vec<u8>]) -> Stored {
    let mut stored = Stored(Vec::new());
    for (number, entry) in (0..).zip(entries) {
        let more = theirs::stored_hashes(number, entry, &stored).unwrap();
        stored.0.extend(more);
    }
    stored
}

fn ct(entries: &[Vec<u8>]) -> MemoryBackedTree<Sha256, Vec<u8>> {
    let mut tree = MemoryBackedTree::new();
    for entry in entries {
        tree.push(entry.clone());
    }
    tree
}

fn same(ours: &[ledger::Hash], theirs: &[theirs::Hash]) -> bool {
    ours.iter().eq(theirs.iter().map(|hash| &hash.0))
}

/// Compares everything about a tree of `size` entries, with the proofs for entry `index` and the earlier size `old`.
fn compare(size: u64, index: u64, old: u64) {
    let entries = entries(size);
    let log = Log::of(&entries);
    let stored = stored(&entries);
    let root = log.tree.root();
    let leaves = Leaves(entries.iter().map(|entry| hash::leaf(entry)).collect());
    assert_eq!(proof::root(&leaves, size), Ok(root));
    let ct = ct(&entries);
    assert_eq!(ct.root().as_bytes().as_slice(), root);
    if size == 0 {
        return;
    }
    assert_eq!(theirs::tree_hash(size, &stored).unwrap().0, root);

    // Every tile file, by path and bytes.
    let mut tiles = 0;
    for tile in theirs::Tile::new_tiles(8, 0, size) {
        // Their paths name the tile's height first.
        let path = tile.path().replacen("tile/8/", "tile/", 1);
        let bytes = tile.read_data(&stored).unwrap();
        assert_eq!(log.files.0.get(&path), Some(&bytes), "{path} at {size}");
        tiles += 1;
    }
    let bundles = size.div_ceil(256);
    assert_eq!(log.files.0.len() as u64, tiles + bundles + 1, "size {size}");

    let reader = proof::Tiles::new(&log.files, size);
    let path = proof::inclusion(&reader, index, size).unwrap();
    assert!(same(
        &path,
        &theirs::prove_record(size, index, &stored).unwrap()
    ));
    assert_eq!(
        ct.prove_inclusion(index as usize).as_bytes(),
        path.as_flattened()
    );
    assert_eq!(proof::inclusion(&leaves, index, size), Ok(path.clone()));
    let leaf = hash::leaf(&entries[index as usize]);
    proof::verify_inclusion(&leaf, index, size, &path, &root).unwrap();

    let old_root = Log::of(&entries[..old as usize]).tree.root();
    let path = proof::consistency(&reader, old, size).unwrap();
    if old > 0 {
        assert!(same(
            &path,
            &theirs::prove_tree(size, old, &stored).unwrap()
        ));
    }
    if old > 0 && old < size {
        let theirs = ct.prove_consistency((size - old) as usize);
        assert_eq!(theirs.as_bytes(), path.as_flattened());
    }
    assert_eq!(proof::consistency(&leaves, old, size), Ok(path.clone()));
    proof::verify_consistency(old, size, &path, &old_root, &root).unwrap();
}

#[test]
fn agrees_on_every_small_tree() {
    for size in 0..=40 {
        for at in 0..size.max(1) {
            compare(size, at, at);
        }
        compare(size, size.saturating_sub(1), size);
    }
}

#[test]
fn agrees_about_the_edges_of_tiles() {
    for size in [255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537, 70_000] {
        for at in [0, 1, 254, size / 2, size - 1] {
            compare(size, at, at);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn agrees_on_random_trees(size in 1_u64..3000, at in any::<proptest::sample::Index>()) {
        let at = at.index(size as usize) as u64;
        compare(size, at, at);
    }

    #[test]
    fn a_growing_tree_is_the_tree_of_all(sizes in prop::collection::vec(0_u64..400, 1..6)) {
        let entries = entries(sizes.iter().sum());
        let mut log = Log::new();
        let mut rest = &entries[..];
        for size in sizes {
            let (now, later) = rest.split_at(size as usize);
            log.append(now);
            rest = later;
        }
        let whole = Log::of(&entries);
        prop_assert_eq!(&log.tree, &whole.tree);
        for (path, bytes) in &whole.files.0 {
            prop_assert_eq!(log.files.0.get(path), Some(bytes));
        }
    }

    #[test]
    fn judges_proofs_as_others_do(
        size in 2_u64..700,
        at in any::<proptest::sample::Index>(),
        shift in prop::sample::select(vec![-1_i64, 0, 0, 1]),
        flip in prop::option::of((any::<proptest::sample::Index>(), 0_u32..8)),
        length in prop::sample::select(vec![-1_i64, 0, 0, 1]),
    ) {
        let at = at.index(size as usize - 1) as u64;
        let entries = entries(size);
        let log = Log::of(&entries);
        let (reader, root) = (proof::Tiles::new(&log.files, size), log.tree.root());
        let spoil = |mut path: Vec<ledger::Hash>| {
            match length {
                -1 => drop(path.pop()),
                1 => path.push(root),
                _ => {}
            }
            let bytes = path.as_flattened_mut();
            if let Some((byte, bit)) = flip && !bytes.is_empty() {
                bytes[byte.index(bytes.len())] ^= 1 << bit;
            }
            path
        };
        let as_theirs = |path: &[ledger::Hash]| path.iter().map(|hash| theirs::Hash(*hash)).collect::<Vec<_>>();

        let leaf = hash::leaf(&entries[at as usize]);
        let good = proof::inclusion(&reader, at, size).unwrap();
        let path = spoil(good.clone());
        let claimed = at.saturating_add_signed(shift);
        let ours = proof::verify_inclusion(&leaf, claimed, size, &path, &root).is_ok();
        let judged = theirs::check_record(&as_theirs(&path), size, theirs::Hash(root), claimed, theirs::Hash(leaf)).is_ok();
        prop_assert_eq!(ours, judged);
        prop_assert_eq!(ours, claimed == at && path == good);

        let old = at + 1;
        let old_root = Log::of(&entries[..old as usize]).tree.root();
        let good = proof::consistency(&reader, old, size).unwrap();
        let path = spoil(good.clone());
        let claimed = old.saturating_add_signed(shift).max(1);
        let ours = proof::verify_consistency(claimed, size, &path, &old_root, &root).is_ok();
        let judged = theirs::check_tree(&as_theirs(&path), size, theirs::Hash(root), claimed, theirs::Hash(old_root)).is_ok();
        prop_assert_eq!(ours, judged);
        prop_assert_eq!(ours, claimed == old && path == good);
    }

    #[test]
    fn names_tiles_as_others_do(level in 0_u8..64, index in any::<u64>(), digits in 0_u32..64, width in 1_u16..=256) {
        let index = index >> digits;
        let path = ledger::tile::Path { kind: ledger::tile::Kind::Hashes(level), index, width };
        let named = theirs::Tile::new(8, level, index, width.into(), false).path().replacen("tile/8/", "tile/", 1);
        prop_assert_eq!(path.to_string(), &*named);
        prop_assert_eq!(named.parse(), Ok(path));
    }

    #[test]
    fn wrong_proofs_do_not_hold(
        size in 2_u64..600,
        at in any::<proptest::sample::Index>(),
        byte in any::<proptest::sample::Index>(),
        bit in 0_u32..8,
    ) {
        let at = at.index(size as usize - 1) as u64 + 1;
        let entries = entries(size);
        let log = Log::of(&entries);
        let (reader, root) = (proof::Tiles::new(&log.files, size), log.tree.root());
        let flip = |path: &mut Vec<ledger::Hash>| {
            let bytes = path.as_flattened_mut();
            if !bytes.is_empty() {
                bytes[byte.index(bytes.len())] ^= 1_u8 << bit;
            }
            !path.is_empty()
        };

        let leaf = hash::leaf(&entries[at as usize - 1]);
        let good = proof::inclusion(&reader, at - 1, size).unwrap();
        let check = |index, path: &[ledger::Hash]| proof::verify_inclusion(&leaf, index, size, path, &root).is_ok();
        prop_assert!(check(at - 1, &good));
        prop_assert!(!check(at % size, &good));
        prop_assert!(!check(at - 1, &good[..good.len() - 1]));
        prop_assert!(!check(at - 1, &[&good[..], &[root]].concat()));
        let mut bad = good.clone();
        prop_assert!(flip(&mut bad) && !check(at - 1, &bad));

        let old_root = Log::of(&entries[..at as usize]).tree.root();
        let good = proof::consistency(&reader, at, size).unwrap();
        let check = |path: &[ledger::Hash], old_root| {
            proof::verify_consistency(at, size, path, old_root, &root).is_ok()
        };
        prop_assert!(check(&good, &old_root));
        prop_assert!(!check(&good, &leaf) || at == 1);
        prop_assert!(!check(&[&good[..], &[root]].concat(), &old_root));
        let mut bad = good.clone();
        if flip(&mut bad) {
            prop_assert!(!check(&bad, &old_root));
            prop_assert!(!check(&good[..good.len() - 1], &old_root));
        }
    }
}

#[test]
fn reads_checkpoints_as_others_do() {
    let log = Log::of(&entries(5));
    let note = ledger::note::Note::parse(&log.files.0["checkpoint"]).unwrap();
    let theirs = theirs::Checkpoint::from_bytes(note.text.as_bytes()).unwrap();
    let ours = Checkpoint::from_text(&note.text).unwrap();
    assert_eq!(
        (theirs.origin(), theirs.size(), theirs.hash().0),
        (&*ours.origin, 5, ours.root)
    );
}

#[test]
fn proof_files_prove_offline() {
    let entries = entries(700);
    let log = Log::of(&entries);
    let verifier = log.signer.verifier();
    for index in [0, 255, 256, 699] {
        let (proof, entry) = proof::Proof::make(&log.files, &verifier, index, false).unwrap();
        assert_eq!(entry, entries[index as usize]);
        let text = proof.to_string();
        assert!(text.starts_with(&format!("c2sp.org/tlog-proof@v1\nindex {index}\n")));
        let again = proof::Proof::parse(&text).unwrap();
        assert_eq!(again, proof);
        assert_eq!(again.verify(&entry, &verifier, false).unwrap().size, 700);
        assert!(again.verify(b"other", &verifier, false).is_err());
        for place in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[place] ^= 1;
            let held = String::from_utf8(bytes)
                .ok()
                .and_then(|text| proof::Proof::parse(&text).ok())
                .is_some_and(|proof| proof.verify(&entry, &verifier, false).is_ok());
            assert!(!held, "byte {place}");
        }
    }
    let with_extra = proof::Proof {
        extra: Some(b"more".to_vec()),
        ..proof::Proof::make(&log.files, &verifier, 3, false)
            .unwrap()
            .0
    };
    assert_eq!(
        proof::Proof::parse(&with_extra.to_string()).unwrap(),
        with_extra
    );
    assert!(proof::Proof::make(&log.files, &verifier, 700, false).is_err());
}
