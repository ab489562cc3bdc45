//! Cold storage with the real binary: the disk shrinks, and everything reads as before.

use std::{fs, path::Path};

use serde_json::Value;

use crate::rig::{Example, Server, expect, records};

fn bytes(dir: &Path) -> u64 {
    let mut sum = 0;
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let file = entry.metadata().unwrap();
        sum += if file.is_dir() {
            bytes(&entry.path())
        } else {
            file.len()
        };
    }
    sum
}

#[test]
fn older_records_go_to_cold_storage_and_everything_reads_as_before() {
    let example = Example::new(40);
    let (dir, arg) = (example.dir(), example.arg());
    let cold = example.home.path().join("cold").display().to_string();
    let vkey = format!("{arg}/log.vkey");
    let verify = ["log", "verify", &arg, "--vkey", &vkey, "--json"];
    let reperform = ["audit", "reperform", "--dir", &arg, "--json"];
    let told = (expect(0, &verify).0, expect(0, &reperform).0);
    let all = records(&dir);
    let before = bytes(&dir.join("log"));
    let (_, err) = expect(2, &["log", "archive", "--before", "600", "--dir", &arg]);
    assert!(err.contains("--to"), "{err}");

    // A server runs meanwhile, and goes on.
    let server = Server::start(&dir);
    let (out, _) = expect(
        0,
        &[
            "log", "archive", "--to", &cold, "--before", "600", "--dir", &arg, "--json",
        ],
    );
    let moved: Value = serde_json::from_str(out.trim()).unwrap();
    assert_eq!(moved["records"], 512);
    let freed = moved["freed"].as_u64().unwrap();
    server.stop();
    let after = bytes(&dir.join("log"));
    assert!(
        freed > 100_000 && before - after >= freed / 2,
        "{before} {after} {freed}"
    );
    let (out, _) = expect(
        0,
        &[
            "log",
            "archive",
            "--older-than",
            "0",
            "--dir",
            &arg,
            "--json",
        ],
    );
    let moved: Value = serde_json::from_str(out.trim()).unwrap();
    assert!(moved["records"].as_u64().unwrap() > 600, "{moved}");

    assert_eq!(records(&dir)[..all.len()], all[..]);
    let report = |text: &str| -> Value {
        let value: Value = serde_json::from_str(text.trim()).unwrap();
        value["report"]["size"].clone()
    };
    assert!(report(&expect(0, &verify).0).as_u64() >= report(&told.0).as_u64());
    assert_eq!(expect(0, &reperform).0, told.1);
    let out = example.home.path().display().to_string();
    expect(
        0,
        &["log", "prove", &arg, "40", "--vkey", &vkey, "--out", &out],
    );
    expect(
        0,
        &[
            "log",
            "check",
            &format!("{out}/40.tlog-proof"),
            "--vkey",
            &vkey,
        ],
    );

    // Away: said, and nothing is said against the log.
    fs::rename(&cold, format!("{cold}.away")).unwrap();
    let (_, err) = expect(4, &verify[..5]);
    assert!(err.contains("mount it there"), "{err}");
    // A server needs none of it, as long as it has its folds.
    Server::start(&dir).stop();
    expect(0, &["approval", "list", "--dir", &arg]);
    let (fold, aside) = (dir.join("fold"), dir.join("fold.aside"));
    fs::rename(&fold, &aside).unwrap();
    let (_, err) = expect(4, &["approval", "list", "--dir", &arg]);
    assert!(err.contains("mount it there"), "{err}");
    let (_, err) = expect(4, &["log", "archive", "--before", "900", "--dir", &arg]);
    assert!(err.contains("counterfoil rebuild"), "{err}");
    fs::rename(format!("{cold}.away"), &cold).unwrap();
    expect(0, &["approval", "list", "--dir", &arg]);
    fs::remove_dir_all(&fold).ok();
    fs::rename(&aside, &fold).unwrap();
    let bundle = format!("{cold}/tile/entries/001");
    let mut wrong = fs::read(&bundle).unwrap();
    wrong[1_000] ^= 1;
    fs::write(&bundle, wrong).unwrap();
    let (_, err) = expect(1, &verify[..5]);
    assert!(err.contains("tile/"), "{err}");
}
