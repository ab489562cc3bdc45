//! Whatever is changed in a copy of the log is found.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::rig::{Example, copy, expect};

/// All files below a directory.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn check(dir: &Path, vkey: &str) -> Result<(), String> {
    let opened = evidence::open_at(&dir.display().to_string()).map_err(|e| e.to_string())?;
    let snapshots = dir.join("snapshots");
    let snapshots = snapshots.is_dir().then_some(snapshots.as_path());
    let verified = evidence::verify(&*opened.source, vkey, None, snapshots);
    verified.map(|_| ()).map_err(|fault| fault.to_string())
}

#[test]
fn one_byte_anywhere_is_found() {
    let example = Example::new(8);
    let vkey = fs::read_to_string(example.dir().join("log.vkey")).unwrap();
    let bare = example.home.path().join("bare");
    copy(&example.dir().join("log"), &bare);
    check(&bare, &vkey).unwrap();
    let files = files(&bare);
    let sizes: Vec<usize> = files
        .iter()
        .map(|f| fs::metadata(f).unwrap().len() as usize)
        .collect();
    let total: usize = sizes.iter().sum();
    let mut seed = 0x0dd_ba11_u64;
    for round in 0..1_000 {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        // Every file gets its share, also the small ones: half by file, half by byte.
        let (mut at, mut file) = ((seed >> 16) as usize % total, 0);
        if round % 2 == 0 {
            file = (seed >> 40) as usize % files.len();
            at %= sizes[file];
        } else {
            while at >= sizes[file] {
                at -= sizes[file];
                file += 1;
            }
        }
        let good = fs::read(&files[file]).unwrap();
        let mut bad = good.clone();
        bad[at] ^= 1 << ((seed >> 61) as u8);
        fs::write(&files[file], &bad).unwrap();
        assert!(
            check(&bare, &vkey).is_err(),
            "byte {at} of {} changed unseen",
            files[file].display()
        );
        fs::write(&files[file], &good).unwrap();
    }
    check(&bare, &vkey).unwrap();
}

#[test]
fn a_changed_snapshot_is_found() {
    let example = Example::new(4);
    let vkey = fs::read_to_string(example.dir().join("log.vkey")).unwrap();
    check(&example.dir(), &vkey).unwrap();
    let all = files(&example.dir().join("snapshots"));
    let victim = &all[all.len() / 2];
    let mut bytes = fs::read(victim).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(victim, bytes).unwrap();
    let why = check(&example.dir(), &vkey).unwrap_err();
    assert!(why.contains("snapshot"), "{why}");
}

/// Entries of a bundle: 16-bit big-endian length, then the bytes (C2SP tlog-tiles).
fn entries(bundle: &[u8]) -> Vec<Vec<u8>> {
    let (mut rest, mut found) = (bundle, Vec::new());
    while let [high, low, tail @ ..] = rest {
        let (entry, after) = tail.split_at(usize::from(*high) << 8 | usize::from(*low));
        found.push(entry.to_vec());
        rest = after;
    }
    found
}

fn bundle(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for entry in entries {
        bytes.extend(u16::try_from(entry.len()).unwrap().to_be_bytes());
        bytes.extend(entry);
    }
    bytes
}

#[test]
fn entries_removed_reordered_or_replaced_are_found() {
    let example = Example::new(12);
    let vkey = example.dir().join("log.vkey").display().to_string();
    let bare = example.home.path().join("bare");
    copy(&example.dir().join("log"), &bare);
    let first = bare.join("tile/entries/000");
    let good = fs::read(&first).unwrap();
    let all = entries(&good);
    assert_eq!(bundle(&all), good);
    let removed: Vec<_> = all
        .iter()
        .enumerate()
        .filter(|(i, _)| *i != 30)
        .map(|(_, e)| e.clone())
        .collect();
    let mut reordered = all.clone();
    reordered.swap(40, 41);
    let mut replaced = all.clone();
    replaced[50] = replaced[51].clone();
    for bad in [removed, reordered, replaced] {
        fs::write(&first, bundle(&bad)).unwrap();
        let (_, err) = expect(
            1,
            &["log", "verify", bare.to_str().unwrap(), "--vkey", &vkey],
        );
        assert!(err.contains("record") || err.contains("entries"), "{err}");
    }
    fs::write(&first, &good).unwrap();
    expect(
        0,
        &["log", "verify", bare.to_str().unwrap(), "--vkey", &vkey],
    );
    fs::remove_file(&first).unwrap();
    expect(
        1,
        &["log", "verify", bare.to_str().unwrap(), "--vkey", &vkey],
    );
}

#[test]
fn a_truncated_log_is_found_with_an_earlier_checkpoint() {
    let example = Example::new(5);
    let vkey = example.dir().join("log.vkey").display().to_string();
    // The log as it was is whole and signed: the perfect truncation.
    let old = example.home.path().join("old");
    copy(&example.dir().join("log"), &old);
    crate::rig::demo(&example.dir(), 10);
    let checkpoint = example.home.path().join("checkpoint");
    copy(&example.dir().join("log/checkpoint"), &checkpoint);
    let since = ["--since", checkpoint.to_str().unwrap()];
    let verify = |code: i32, log: &Path, more: &[&str]| {
        let mut args = vec!["log", "verify", log.to_str().unwrap(), "--vkey", &vkey];
        args.extend(more);
        expect(code, &args)
    };
    verify(0, &old, &[]);
    verify(1, &old, &since);
    verify(0, &example.dir(), &since);
    let earlier = old.join("checkpoint");
    verify(0, &example.dir(), &["--since", earlier.to_str().unwrap()]);
}

#[test]
fn a_log_rewritten_with_another_key_is_found() {
    let (real, forged) = (Example::new(5), Example::new(5));
    let vkey = real.dir().join("log.vkey").display().to_string();
    let log = forged.dir().join("log");
    let (_, err) = expect(
        1,
        &["log", "verify", log.to_str().unwrap(), "--vkey", &vkey],
    );
    assert!(err.contains("signature") || err.contains("key"), "{err}");
    // Nor does a checkpoint of the one fit the other.
    let checkpoint = real.dir().join("log/checkpoint");
    let own = forged.dir().join("log.vkey").display().to_string();
    let since = checkpoint.to_str().unwrap();
    expect(
        1,
        &[
            "log",
            "verify",
            log.to_str().unwrap(),
            "--vkey",
            &own,
            "--since",
            since,
        ],
    );
}
