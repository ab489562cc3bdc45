//! Folds with the real binary: a start goes by one only where nothing is wrong with it, and `rebuild` finds what is.

use std::{fs, path::Path};

use serde_json::Value;
use store::{DataDir, Fold, Folds};

use crate::rig::{Example, GUARDS, Server, expect, run};

/// The folds in a directory, oldest first.
fn folds(dir: &Path) -> Vec<String> {
    let files = fs::read_dir(dir.join("fold")).unwrap();
    let mut names: Vec<_> = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// What waits for humans, by a start of the engine; and what it told.
fn waiting(dir: &str) -> (String, String) {
    expect(0, &["approval", "list", "--dir", dir, "--json"])
}

#[test]
fn a_start_from_a_fold_is_the_start_from_the_whole_log() {
    let example = Example::new(40);
    let (dir, arg) = (example.dir(), example.arg());
    let kept = folds(&dir);
    assert_eq!(kept.len(), 1, "the demo wrote one as it ended: {kept:?}");
    let newest = dir.join("fold").join(&kept[0]);
    let right = fs::read(&newest).unwrap();
    let (with, told) = waiting(&arg);
    assert!(told.is_empty(), "{told}");
    // That the fold is used shows where the records before it cannot be read.
    let bundle = dir.join("log/tile/entries/001");
    let entries = fs::read(&bundle).unwrap();
    fs::write(&bundle, "").unwrap();
    assert_eq!(waiting(&arg).0, with);
    let server = Server::start(&dir);
    server.stop();
    fs::write(&bundle, entries).unwrap();

    let mut wrong = right.clone();
    let last = wrong.len() - 9;
    wrong[last] ^= 1;
    for (bytes, why) in [
        (&wrong[..], "is not the one that was signed"),
        (&right[..right.len() / 2], "cut short"),
        (b"", "signed note"),
    ] {
        fs::write(&newest, bytes).unwrap();
        let (without, told) = waiting(&arg);
        assert_eq!(without, with);
        assert!(told.contains(why) && told.contains(&kept[0]), "{told}");
    }
    fs::remove_dir_all(dir.join("fold")).unwrap();
    assert_eq!(waiting(&arg), (with, String::new()));
}

#[test]
fn rebuild_finds_a_fold_that_says_something_else() {
    let example = Example::new(30);
    let (dir, arg) = (example.dir(), example.arg());
    let rebuild = ["rebuild", "--dir", &arg, "--json"];
    let told = |out: &str| -> Value { serde_json::from_str(out.trim()).unwrap() };
    let found = told(&expect(0, &rebuild).0);
    assert_eq!(found["same"].as_array().unwrap().len(), 1, "{found}");
    assert_eq!(found["wrong"], Value::Array(Vec::new()));
    let size = found["records"].as_u64().unwrap();
    assert_eq!(told(&expect(0, &rebuild).0)["same"][0], size);

    // Whoever has the log's key can sign anything; the log itself says what is true.
    let own = DataDir::open(&dir, Path::new(GUARDS)).unwrap();
    let folds_of = Folds::of(&own, duty::CORE);
    let fold = folds_of.read(size, &folds_of.head().unwrap()).unwrap();
    let state = String::from_utf8(fold.state.clone()).unwrap();
    assert!(state.contains("\"revoked\":false"));
    let state = state
        .replacen("\"revoked\":false", "\"revoked\":true", 1)
        .into_bytes();
    folds_of.write(&Fold { state, ..fold }).unwrap();
    drop((folds_of, own));
    let output = run(&rebuild);
    assert_eq!(output.status.code(), Some(1));
    let found = told(&String::from_utf8_lossy(&output.stdout));
    assert_eq!(found["wrong"][0]["records"], size);
    assert!(Path::new(found["wrong"][0]["now"].as_str().unwrap()).is_file());
    let found = told(&expect(0, &rebuild).0);
    assert!(
        found["same"]
            .as_array()
            .unwrap()
            .contains(&Value::from(size)),
        "{found}"
    );

    // A whole start does not look at any, and begins anew.
    let newest = dir.join(format!("fold/{size:020}"));
    fs::write(&newest, "nonsense").unwrap();
    let server = Server::start_with(&dir, &["--verify"]);
    server.stop();
    assert!(fs::read(&newest).unwrap() != b"nonsense");
    assert_eq!(waiting(&arg).1, "");
    fs::write(&newest, "nonsense").unwrap();
    let (_, err) = expect(1, &rebuild);
    assert!(err.contains("signed note"), "{err}");
}
