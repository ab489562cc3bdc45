//! Erasing a data subject with the real binary: two people, a hold that wins, and nothing left on the disk.

use std::{
    fs,
    path::{Path, PathBuf},
};

use duty::subject::SubjectId;
use serde_json::Value;

use crate::rig::{Example, Server, copy, expect, records, signal, wait_for};

/// A case that has ended, with its subject and that one's id.
fn ended(example: &Example) -> (String, String, SubjectId) {
    let arg = example.arg();
    let (out, _) = expect(0, &["case", "list", "--json", "--dir", &arg]);
    let mut cases = out
        .lines()
        .map(|l| serde_json::from_str::<Value>(l).unwrap());
    let case = cases.find(|c| c["stage"] == "closed").unwrap();
    let subject = case["subject"].as_str().unwrap().to_owned();
    let origin = origin(&example.dir());
    let id = SubjectId::of(&origin, &subject);
    let case = ["id", "case"].iter().find_map(|k| case[*k].as_str());
    (case.unwrap().to_owned(), subject, id)
}

fn origin(dir: &Path) -> String {
    let text = fs::read_to_string(dir.join("log/checkpoint")).unwrap();
    text.lines().next().unwrap().to_owned()
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = vec![dir.to_owned()];
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(fs::read_dir(path).unwrap().map(|e| e.unwrap().path()));
        } else {
            found.push(path);
        }
    }
    found
}

/// Snapshots that are sealed with a subject's key.
fn sealed(dir: &Path, subject: SubjectId) -> usize {
    let of_subject = |path: &PathBuf| fs::read(path).unwrap()[4..20] == *subject.as_bytes();
    let all = files(&dir.join("snapshots"));
    all.iter().filter(|p| of_subject(p)).count()
}

fn verified(arg: &str) -> Value {
    let vkey = format!("{arg}/log.vkey");
    let (out, _) = expect(0, &["log", "verify", arg, "--vkey", &vkey, "--json"]);
    let answer: Value = serde_json::from_str(out.trim()).unwrap();
    answer["report"].clone()
}

#[test]
fn two_people_erase_and_a_hold_wins() {
    let example = Example::new(6);
    let (dir, arg) = (example.dir(), example.arg());
    let (case, subject, id) = ended(&example);
    let key = dir.join(format!("keys/subjects/{id}.key"));
    let secret = fs::read(&key).unwrap();
    let kept = sealed(&dir, id);
    assert!(kept > 2);
    let sign = |words: &[&str], who: &str, code: i32| {
        let tail = ["--as", who, "--reason", "as the letter asks", "--dir", &arg];
        expect(code, &[words, &tail].concat())
    };

    let (out, _) = sign(
        &["hold", "place", &subject, "--clause", "court order 7"],
        "olivia",
        0,
    );
    assert!(out.contains(&id.to_string()), "{out}");
    let (_, err) = sign(&["erase", "request", &subject], "olivia", 3);
    assert!(err.contains("legal-hold"), "{err}");
    let (out, _) = expect(0, &["hold", "list", "--json", "--dir", &arg]);
    let hold: Value = serde_json::from_str(out.trim()).unwrap();
    assert_eq!(hold["clause"], "court order 7");
    sign(&["hold", "lift", &hold["record"].to_string()], "carla", 0);

    sign(&["erase", "request", &subject], "olivia", 0);
    let (_, err) = sign(&["erase", "confirm", &subject], "olivia", 3);
    assert!(err.contains("not-independent"), "{err}");
    assert_eq!(sealed(&dir, id), kept, "one person is not enough");
    let (out, _) = sign(&["erase", "confirm", &id.to_string()], "amira", 0);
    let all = records(&dir);
    let last = all.last().unwrap();
    assert_eq!(last["kind"], "subject.erased");
    let record = last["seq"].as_u64().unwrap();
    assert!(out.contains(&format!("record {record}")), "{out}");

    assert!(!key.exists());
    assert_eq!(sealed(&dir, id), 0);
    for path in files(&dir) {
        let bytes = fs::read(&path).unwrap();
        assert!(
            !bytes.windows(32).any(|w| w == secret),
            "{}",
            path.display()
        );
    }
    let report = verified(&arg);
    assert_eq!(report["erased"].as_u64(), Some(kept as u64));
    assert_eq!(report["absent"].as_u64(), Some(0));
    let (out, _) = expect(0, &["case", "replay", &case, "--dir", &arg]);
    assert!(
        out.contains(&format!("erased under record {record}")),
        "{out}"
    );
    assert!(!out.contains("DIFFERENT"), "{out}");
    let (out, _) = expect(0, &["audit", "reperform", "--dir", &arg, "--json"]);
    let again: Value = serde_json::from_str(out.trim()).unwrap();
    assert_eq!(again["recommendations_erased"].as_u64(), Some(2));
    let (vkey, out) = (
        format!("{arg}/log.vkey"),
        example.home.path().display().to_string(),
    );
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
    let (_, err) = sign(&["erase", "request", &subject], "olivia", 3);
    assert!(err.contains("nothing-to-erase"), "{err}");
}

#[test]
fn what_a_crash_or_a_copy_left_is_gone_after_the_next_start() {
    let example = Example::new(6);
    let (dir, arg) = (example.dir(), example.arg());
    let (_, subject, id) = ended(&example);
    let (keys, snapshots) = (dir.join("keys/subjects"), dir.join("snapshots"));
    let saved = example.home.path().join("saved");
    fs::create_dir_all(&saved).unwrap();
    copy(&keys, &saved.join("subjects"));
    copy(&snapshots, &saved.join("snapshots"));
    let kept = sealed(&dir, id);
    for (word, who) in [("request", "olivia"), ("confirm", "amira")] {
        expect(
            0,
            &[
                "erase", word, &subject, "--as", who, "--reason", "a letter", "--dir", &arg,
            ],
        );
    }
    // As after a crash between the record and its effect.
    for (from, to) in [("subjects", &keys), ("snapshots", &snapshots)] {
        fs::remove_dir_all(to).unwrap();
        copy(&saved.join(from), to);
    }
    assert_eq!(sealed(&dir, id), kept);
    let report = verified(&arg);
    let warned = report["warnings"].to_string();
    assert!(
        warned.contains(&format!("the key of data subject {id}")),
        "{warned}"
    );

    let server = Server::start(&dir);
    assert_eq!(sealed(&dir, id), 0);
    assert!(!keys.join(format!("{id}.key")).exists());
    server.stop();
    let report = verified(&arg);
    assert_eq!(report["erased"].as_u64(), Some(kept as u64));
    assert_eq!(report["warnings"].as_array().map(Vec::len), Some(0));
}

#[test]
fn a_server_that_is_killed_while_it_erases_has_finished_after_the_next_start() {
    let example = Example::new(8);
    let (dir, arg) = (example.dir(), example.arg());
    let (_, subject, id) = ended(&example);
    let kept = sealed(&dir, id);
    expect(
        0,
        &[
            "erase", "request", &subject, "--as", "olivia", "--reason", "a letter", "--dir", &arg,
        ],
    );
    let mut erased = false;
    for round in 0..20 {
        let server = Server::start(&dir);
        let pid = server.pid();
        let killer = std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_micros(1_500 * round));
            signal(pid, "KILL");
        });
        // It may end with any code: the server is killed under it.
        let _ = crate::rig::run(&[
            "erase", "confirm", &subject, "--as", "amira", "--reason", "seen", "--dir", &arg,
        ]);
        killer.join().unwrap();
        drop(server);
        let _ = fs::remove_file(dir.join("serve.json"));
        let server = Server::start(&dir);
        let is_recorded = wait_for("the records", || Some(records(&dir)))
            .iter()
            .any(|r| r["kind"] == "subject.erased");
        let left = sealed(&dir, id);
        server.stop();
        assert_eq!(left, if is_recorded { 0 } else { kept }, "round {round}");
        erased |= is_recorded;
        if erased {
            break;
        }
    }
    assert!(erased, "it was killed too early each time");
    verified(&arg);
}
