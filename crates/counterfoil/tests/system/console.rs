//! The console in a real browser.

use std::{fs, path::Path, process::Command};

use serde_json::Value;

use crate::{
    rig::{Example, Server, expect, records},
    witness::{Witness, make},
};

#[test]
fn people_sign_in_approve_reject_and_override_in_a_browser() {
    let example = Example::new(80);
    let dir = example.dir();
    // One witness that answers, one that does not, and an anchor that is not mounted: the page of the log tells.
    let keys = [make(&example, "ours"), make(&example, "theirs")];
    let ours = Witness::start(&example.home.path().join("ours"), "127.0.0.1:0");
    let policy = format!(
        "witness ours {} {}\nwitness theirs {} http://127.0.0.1:1\ngroup one any ours theirs\nquorum one\n",
        keys[0], ours.url, keys[1]
    );
    fs::write(dir.join("witness.policy"), policy).unwrap();
    let anchors = "every_minutes = 1\n[anchor.vault]\nkind = \"directory\"\npath = \"../vault\"\n";
    fs::write(dir.join("anchors.toml"), anchors).unwrap();
    let server = Server::start(&dir);
    let waiting = server.waiting();
    let pick = |fits: &dyn Fn(&Value) -> bool| -> Vec<String> {
        let found = waiting.iter().filter(|w| fits(w));
        found
            .map(|w| w["approval"].as_str().unwrap().to_owned())
            .collect()
    };
    let plain =
        pick(&|w| w["humans"] == 1 && w["yes_overrides"] == false && w["no_overrides"] == true);
    let against = pick(&|w| w["humans"] == 2 && w["yes_overrides"] == true);
    assert!(plain.len() >= 3 && !against.is_empty(), "{waiting:?}");
    let (link, _) = expect(0, &["sign-in", "amira", "--dir", &example.arg()]);

    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("screenshots");
    let _ = fs::remove_dir_all(&out);
    let key = |person: &str| dir.join(format!("keys/people/{person}.pem"));
    let driven = Command::new("python3")
        .arg(root.join("tests/browser/drive.py"))
        .args([
            "--url",
            &server.url,
            "--link",
            link.trim(),
            "--person",
            "amira",
        ])
        .arg("--key")
        .arg(key("amira"))
        .arg("--wrong-key")
        .arg(key("bram"))
        .arg("--out")
        .arg(&out)
        .args([
            "--approve",
            &plain[0],
            "--reject",
            &plain[1],
            "--other",
            &plain[2],
            "--override",
            &against[0],
        ])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&driven.stdout);
    assert!(
        driven.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&driven.stderr)
    );
    let pictures = fs::read_dir(&out).unwrap().count();
    assert!(pictures >= 24, "{pictures} pictures");
    server.stop();

    // What was signed in the browser verifies offline like everything else.
    let records = records(&dir);
    let overridden = records
        .iter()
        .any(|r| r["kind"] == "override.recorded" && r["actor"]["id"] == "amira");
    assert!(overridden);
    expect(
        0,
        &[
            "log",
            "verify",
            &example.arg(),
            "--vkey",
            &format!("{}/log.vkey", example.arg()),
        ],
    );
    expect(0, &["audit", "reperform", "--dir", &example.arg()]);
}
