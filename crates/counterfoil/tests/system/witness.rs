//! Witnesses, anchors and proofs, with the real binary on both sides.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Stdio},
};

use serde_json::Value;

use crate::rig::{
    Example, binary, copy, expect, expected, other_release, records, run, run_case, sound,
};

/// A witness that runs.
pub(crate) struct Witness {
    child: Child,
    pub(crate) url: String,
}

impl Witness {
    pub(crate) fn start(dir: &Path, listen: &str) -> Self {
        let mut child = binary()
            .args(["witness", "--listen", listen, "--dir"])
            .arg(dir)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = lines
            .map_while(Result::ok)
            .find_map(|l| Some(l.strip_prefix("serving ")?.to_owned()));
        Self {
            child,
            url: url.unwrap(),
        }
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Makes a witness that knows the example's log; answers its key.
pub(crate) fn make(example: &Example, name: &str) -> String {
    let (dir, log) = (
        example.home.path().join(name),
        example.dir().join("log.vkey"),
    );
    let (out, _) = expect(
        0,
        &[
            "witness",
            "--dir",
            dir.to_str().unwrap(),
            "--name",
            &format!("witness.example/{name}"),
            "--log",
            log.to_str().unwrap(),
        ],
    );
    let key = out.lines().find_map(|l| l.strip_prefix("witness key: "));
    key.unwrap().to_owned()
}

fn held(example: &Example, case: &str) -> (bool, bool) {
    let records = records(&example.dir());
    let has = |kind: &str| {
        records
            .iter()
            .any(|r| r["case"] == case && r["kind"] == kind)
    };
    (has("grant.issued"), has("grant.used"))
}

#[test]
fn a_grant_waits_for_its_witnesses_and_a_stolen_key_does_not_help() {
    let example = Example::new(5);
    let (dir, arg) = (example.dir(), example.arg());
    let stolen = example.home.path().join("stolen");
    copy(&dir, &stolen);
    other_release(&example, |path, text| match path {
        "team.toml" => text.replace("low = \"committed\"", "low = \"witnessed\""),
        _ => text,
    });
    let subjects = expected(&example, "auto");
    // Nobody to witness: the grant is there and is not used.
    run_case(&example, "nobody-1", &subjects[0]);
    assert_eq!(held(&example, "nobody-1"), (true, false));
    let (_, said) = expect(2, &["log", "witness", "--dir", &arg]);
    assert!(said.contains("witness.policy"), "{said}");

    // Two witnesses, both needed; one is away: still not.
    let keys = [make(&example, "ours"), make(&example, "theirs")];
    let home = example.home.path();
    let ours = Witness::start(&home.join("ours"), "127.0.0.1:0");
    let policy = |theirs: &str| {
        format!(
            "witness ours {} {}\nwitness theirs {} {theirs}\ngroup both all ours theirs\nquorum both\n",
            keys[0], ours.url, keys[1]
        )
    };
    fs::write(dir.join("witness.policy"), policy("http://127.0.0.1:1")).unwrap();
    run_case(&example, "one-1", &subjects[1]);
    assert_eq!(held(&example, "one-1"), (true, false));

    // Both there: the grants are used, and the bank has each transfer once.
    let theirs = Witness::start(&home.join("theirs"), "127.0.0.1:0");
    fs::write(dir.join("witness.policy"), policy(&theirs.url)).unwrap();
    expect(0, &["run", "--dir", &arg]);
    assert_eq!(held(&example, "nobody-1"), (true, true));
    assert_eq!(held(&example, "one-1"), (true, true));
    sound(&dir);

    // An auditor who has the key and a policy of their own.
    let mine = home.join("auditor.policy");
    fs::write(&mine, policy("")).unwrap();
    let mine = mine.display().to_string();
    let vkey = dir.join("log.vkey").display().to_string();
    let verify = |code: i32, place: &str| {
        expect(
            code,
            &[
                "log",
                "verify",
                place,
                "--vkey",
                &vkey,
                "--witnesses",
                &mine,
            ],
        )
    };
    let (out, _) = verify(0, &arg);
    assert!(out.contains("ours, theirs: a quorum"), "{out}");
    let (out, _) = expect(0, &["log", "witness", "--json", "--dir", &arg]);
    let found: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(found["by"].as_array().unwrap().len(), 2);
    proofs(&example, &vkey, &mine);

    // Whoever has the key and the machine rewrites everything: a log that verifies by itself.
    let witnessed = fs::read(dir.join("log/checkpoint.witnessed")).unwrap();
    forge(&stolen);
    let forged_arg = stolen.display().to_string();
    expect(0, &["log", "verify", &forged_arg, "--vkey", &vkey]);
    // The forger's own witnesses refuse it, so there is nothing cosigned to show;
    verify(1, &forged_arg);
    // and what they cosigned before does not fit.
    fs::write(stolen.join("log/checkpoint.witnessed"), &witnessed).unwrap();
    let (_, said) = verify(1, &forged_arg);
    assert!(said.contains("another history"), "{said}");
}

/// The thief's log: from an old copy of the directory, key and all, another history, on a machine without the guard.
fn forge(stolen: &Path) {
    let done = binary()
        .env("COUNTERFOIL_GUARDS", stolen.with_extension("guards"))
        .args(["demo", "--once", "--json", "--cases", "9", "--dir"])
        .arg(stolen)
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
}

/// Proof files: with the key alone, for a record with its clauses, and not for another.
fn proofs(example: &Example, vkey: &str, policy: &str) {
    let (arg, home) = (example.arg(), example.home.path());
    let records = records(&example.dir());
    let cites = |r: &&Value| {
        r["kind"] == "recommendation.made" && r["clauses"].as_array().is_some_and(|c| !c.is_empty())
    };
    let seq = records.iter().find(cites).unwrap()["seq"].to_string();
    let out = home.display().to_string();
    expect(
        0,
        &["log", "prove", &arg, &seq, "--vkey", vkey, "--out", &out],
    );
    let file = home.join(format!("{seq}.tlog-proof"));
    let path = file.display().to_string();
    // Nothing but the file and the key.
    let alone = home.join("alone");
    fs::create_dir(&alone).unwrap();
    let check = |args: &[&str]| run(&[&["log", "check", &path, "--vkey", vkey], args].concat());
    let found = check(&["--json", "--witnesses", policy]);
    assert!(
        found.status.success(),
        "{}",
        String::from_utf8_lossy(&found.stderr)
    );
    let found: Value = serde_json::from_slice(&found.stdout).unwrap();
    assert_eq!(found["record"]["seq"].to_string(), seq);
    assert!(found["clauses"][0]["text"].as_str().unwrap().len() > 20);
    assert_eq!(found["witnesses"].as_array().unwrap().len(), 2);
    // Any changed byte is found.
    let text = fs::read_to_string(&file).unwrap();
    for place in (30..text.len()).step_by(97) {
        let mut bytes = text.clone().into_bytes();
        bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
        fs::write(&file, bytes).unwrap();
        let output = check(&["--witnesses", policy]);
        assert_eq!(output.status.code(), Some(1), "byte {place}");
    }
    fs::write(&file, text).unwrap();

    // One checkpoint continues another.
    let head = home.join("head");
    fs::copy(example.dir().join("log/checkpoint"), &head).unwrap();
    let old = example
        .dir()
        .join("log/checkpoint.witnessed")
        .display()
        .to_string();
    let new = head.display().to_string();
    expect(
        0,
        &[
            "log",
            "consistency",
            &arg,
            "--vkey",
            vkey,
            "--old",
            &old,
            "--new",
            &new,
        ],
    );
}

#[test]
fn anchors_are_compared_and_their_absence_is_told() {
    let example = Example::new(5);
    let (dir, arg) = (example.dir(), example.arg());
    let vkey = dir.join("log.vkey").display().to_string();
    let config = dir.join("anchors.toml");
    fs::write(
        &config,
        "every_minutes = 1\n[anchor.vault]\nkind = \"directory\"\npath = \"../vault\"\n",
    )
    .unwrap();
    let (_, said) = expect(4, &["log", "anchor", "--dir", &arg]);
    assert!(said.contains("`vault`"), "{said}");
    let vault = example.home.path().join("vault");
    fs::create_dir(&vault).unwrap();
    expect(0, &["log", "anchor", "--dir", &arg]);
    let server = crate::rig::Server::start(&dir);
    server.stop();
    let config = config.display().to_string();
    let verify = |code: i32| {
        expect(
            code,
            &["log", "verify", &arg, "--vkey", &vkey, "--anchors", &config],
        )
    };
    let (out, _) = verify(0);
    assert!(out.contains("vault: 1 checkpoints fit"), "{out}");
    // What the anchor holds is of another history.
    let other = Example::new(5);
    let kept = fs::read_dir(&vault)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    fs::remove_file(&kept).unwrap();
    fs::copy(other.dir().join("log/checkpoint"), &kept).unwrap();
    let (_, said) = verify(1);
    assert!(said.contains("anchor `vault`"), "{said}");
}
