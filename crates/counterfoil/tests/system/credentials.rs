//! People sign with passkeys in a real browser and with SSH keys by the real `ssh-keygen`; a bare copy of the log shows it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use duty::canonical;
use serde_json::Value;

use crate::rig::{Example, Server, copy, expect, records};

/// `log verify` of a copy of the log directory that has nothing beside it, and re-performance.
fn sound_elsewhere(example: &Example, to: &Path) {
    let _ = fs::remove_dir_all(to);
    copy(&example.dir().join("log"), to);
    let (to, vkey) = (
        to.display().to_string(),
        fs::read_to_string(example.dir().join("log.vkey")).unwrap(),
    );
    expect(0, &["log", "verify", &to, "--vkey", vkey.trim()]);
    expect(0, &["audit", "reperform", "--dir", &example.arg()]);
}

#[test]
fn a_passkey_is_enrolled_in_a_browser_and_approves() {
    let example = Example::new(80);
    let server = Server::start(&example.dir());
    let plain = server.waiting();
    let plain: Vec<_> = plain
        .iter()
        .filter(|w| w["humans"] == 1 && w["yes_overrides"] == false)
        .map(|w| w["approval"].as_str().unwrap())
        .collect();
    let by_name = server.url.replace("127.0.0.1", "localhost");
    let link = || {
        let (link, _) = expect(0, &["sign-in", "amira", "--dir", &example.arg()]);
        link.trim().to_owned()
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("passkey");
    let _ = fs::remove_dir_all(&kept);
    let driven = Command::new("python3")
        .arg(root.join("tests/browser/passkey.py"))
        .args(["--url", &by_name, "--by-address", &server.url])
        .args(["--link", &link().replace("127.0.0.1", "localhost")])
        .args(["--link-by-address", &link(), "--person", "amira"])
        .arg("--out")
        .arg(kept.join("screenshots"))
        .args(["--approve", plain[0], "--reject", plain[1]])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&driven.stdout);
    let errors = String::from_utf8_lossy(&driven.stderr);
    assert!(driven.status.success(), "{said}\n{errors}");
    server.stop();

    let records = records(&example.dir());
    let by_passkey: Vec<_> = records
        .iter()
        .filter(|r| r["kind"] == "approval.given")
        .filter(|r| r["actor"]["credential"] == "amira.passkey-1")
        .collect();
    assert_eq!(by_passkey.len(), 2);
    let case = plain[0].rsplit_once('.').unwrap().0;
    let done = |r: &&Value| r["kind"] == "outcome.recorded" && r["case"] == case;
    assert!(records.iter().any(|r| done(&r)), "{case} has no outcome");
    // Left here for verifiers that nobody here wrote.
    sound_elsewhere(&example, &kept.join("log"));
}

/// What a command said to do, done as a person would with their key.
fn follow(said: &str, home: &Path, key: &Path) -> PathBuf {
    let script = said.replace("KEYFILE", &key.display().to_string());
    let _ = fs::remove_file(home.join("statement.json.sig"));
    let done = Command::new("sh")
        .args(["-ec", &script])
        .current_dir(home)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(done.status.success(), "{script}: {done:?}");
    home.join("statement.json.sig")
}

/// When the statement that was signed last says that it was signed.
fn time_in(home: &Path) -> String {
    let statement = fs::read_to_string(home.join("statement.json")).unwrap();
    let statement: Value = serde_json::from_str(&statement).unwrap();
    statement["signed"].as_str().unwrap().to_owned()
}

fn ssh_keygen(args: &[&str], input: Option<&Path>) -> bool {
    let input = input.map_or_else(Stdio::null, |file| fs::File::open(file).unwrap().into());
    let done = Command::new("ssh-keygen").args(args).stdin(input).output();
    done.unwrap().status.success()
}

#[test]
fn ssh_keys_are_added_approve_and_are_revoked() {
    let example = Example::new(80);
    let (home, dir) = (example.home.path(), example.arg());
    let made = |sort: &str| {
        let file = home.join(sort);
        let name = file.display().to_string();
        assert!(ssh_keygen(&["-q", "-t", sort, "-N", "", "-f", &name], None));
        file
    };
    let keys = [made("ed25519"), made("ecdsa")];
    for (key, credential) in keys.iter().zip(["amira.ssh-1", "amira.ssh-2"]) {
        let public = format!("{}.pub", key.display());
        let add = |person: &str, more: &[&str], code: i32| {
            let mut args = vec![
                "principal",
                "key",
                "add",
                person,
                "--ssh",
                &public,
                "--dir",
                &dir,
            ];
            args.extend(more);
            expect(code, &args)
        };
        let (said, _) = add("amira", &[], 0);
        let signature = follow(&said, home, key);
        let signature = signature.display().to_string();
        // Not as somebody else's: the statement names whose it is.
        let (_, err) = add("bram", &["--signature", &signature], 3);
        assert!(err.contains("bad-signature"), "{err}");
        add(
            "amira",
            &["--credential", credential, "--signature", &signature],
            0,
        );
        let (_, err) = add("bram", &["--signature", &signature], 3);
        assert!(err.contains("not-independent"), "{err}");
    }

    let (list, _) = expect(0, &["approval", "list", "--dir", &dir, "--json"]);
    let waiting: Vec<Value> = list
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let mut plain = waiting
        .iter()
        .filter(|w| w["humans"] == 1 && w["yes_overrides"] == false)
        .map(|w| w["approval"].as_str().unwrap());
    let (here, there, late) = (
        plain.next().unwrap(),
        plain.next().unwrap(),
        plain.next().unwrap(),
    );
    let file = |i: usize| keys[i].display().to_string();
    let yes = |id: &str, more: &[&str], code: i32| {
        let mut args = vec!["approval", "approve", id, "--as", "amira", "--dir", &dir];
        args.extend(more);
        expect(code, &args)
    };
    // With `ssh-keygen` called for the person, and with what the person signed elsewhere.
    yes(here, &["--ssh", &file(0)], 0);
    let (said, _) = yes(there, &["--credential", "amira.ssh-2"], 0);
    let signature = follow(&said, home, &keys[1]).display().to_string();
    let at = time_in(home);
    let elsewhere = [
        "--credential",
        "amira.ssh-2",
        "--signature",
        &signature,
        "--signed",
        &at,
    ];
    yes(there, &elsewhere, 0);
    let (_, err) = yes(late, &elsewhere, 3);
    assert!(err.contains("bad-signature"), "{err}");

    expect(
        0,
        &[
            "principal",
            "key",
            "revoke",
            "amira.ssh-1",
            "--reason",
            "lost",
            "--dir",
            &dir,
        ],
    );
    let (_, err) = yes(late, &["--ssh", &file(0)], 2);
    assert!(err.contains("no credential in force"), "{err}");
    let said = yes(late, &["--credential", "amira.ssh-1"], 0).0;
    let signature = follow(&said, home, &keys[0]).display().to_string();
    let at = time_in(home);
    let (_, err) = yes(
        late,
        &[
            "--credential",
            "amira.ssh-1",
            "--signature",
            &signature,
            "--signed",
            &at,
        ],
        3,
    );
    assert!(err.contains("revoked"), "{err}");
    let (listed, _) = expect(
        0,
        &["principal", "key", "list", "amira", "--dir", &dir, "--json"],
    );
    let listed: Vec<Value> = listed
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    let revoked: Vec<_> = listed
        .iter()
        .map(|c| c["revoked"].as_bool().unwrap())
        .collect();
    assert_eq!(revoked, [false, true, false], "{listed:?}");

    // OpenSSH itself agrees with every one of them, on the canonical bytes of the statement in the log.
    let mut checked = 0;
    for record in records(&example.dir()) {
        let with = record["actor"]["credential"].as_str().unwrap();
        let Some(i) = ["amira.ssh-1", "amira.ssh-2"]
            .iter()
            .position(|c| *c == with)
        else {
            continue;
        };
        if record["kind"] != "approval.given" {
            continue;
        }
        let request = &record["body"]["request"];
        let (signature, statement) = (home.join("a.sig"), home.join("a.json"));
        fs::write(&signature, request["signature"].as_str().unwrap()).unwrap();
        fs::write(
            &statement,
            canonical::to_vec(&request["statement"]).unwrap(),
        )
        .unwrap();
        let public = fs::read_to_string(format!("{}.pub", file(i))).unwrap();
        let allowed = home.join("allowed");
        fs::write(&allowed, format!("amira {public}")).unwrap();
        let (allowed, signature) = (
            allowed.display().to_string(),
            signature.display().to_string(),
        );
        let verify = |namespace: &str| {
            let args = [
                "-Y", "verify", "-f", &allowed, "-I", "amira", "-n", namespace, "-s", &signature,
            ];
            ssh_keygen(&args, Some(&statement))
        };
        assert!(verify("counterfoil@statement.v1"), "{record}");
        assert!(!verify("file"));
        checked += 1;
    }
    assert_eq!(checked, 2);
    sound_elsewhere(&example, &home.join("elsewhere"));
}
