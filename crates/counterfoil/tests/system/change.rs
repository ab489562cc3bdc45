//! A whole change: an author edits a prompt; it is built, compared, tested, refused to its author, granted to another; the
//! environment switches, old approvals are void, and it goes back.

use std::fs;

use serde_json::Value;

use crate::rig::{Example, expect, expected, records, run_case, sound};

#[test]
fn a_prompt_goes_into_force_by_two_people_and_its_tests() {
    let example = Example::new(5);
    let dir = example.arg();
    let subject = expected(&example, "one_human")[0].clone();
    run_case(&example, "before", &subject);

    let home = example.home.path().join("release");
    for (path, text) in payables::release_files() {
        let file = home.join(&path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        let more = if path == "prompts/analyst.md" {
            "\nBe brief.\n"
        } else {
            ""
        };
        fs::write(file, text + more).unwrap();
    }
    let home = home.display().to_string();
    let (digest, err) = expect(
        0,
        &["release", "build", &home, "--as", "dmitri", "--dir", &dir],
    );
    assert!(err.contains("conflict: `olivia`"), "{err}");
    let digest = digest.trim();
    let old = in_force(&dir);

    let (said, _) = expect(0, &["release", "diff", &old, digest, "--dir", &dir]);
    assert!(
        said.contains("prompt of analyst: its instructions changed"),
        "{said}"
    );
    assert!(
        said.contains("+Be brief.") && said.contains("1 changes, of which 0 loosen"),
        "{said}"
    );

    let promote = |person: &str, code: i32| {
        let args = [
            "release",
            "promote",
            digest,
            "--env",
            "staging",
            "--as",
            person,
            "--reason",
            "shorter answers",
            "--dir",
            &dir,
        ];
        expect(code, &args).1
    };
    assert!(promote("carla", 3).contains("tests-missing"));
    let (table, _) = expect(0, &["control", "test", digest, "--dir", &dir]);
    assert!(
        table.contains("SOD-01") && !table.contains("FAILED"),
        "{table}"
    );
    assert!(promote("dmitri", 3).contains("author-promotes"));
    let (_, err) = expect(
        3,
        &["release", "promote", digest, "--env", "prod", "--dir", &dir],
    );
    assert!(err.contains("not-human"), "{err}");
    promote("carla", 0);
    assert_eq!(in_force(&dir), digest);

    // What was asked under the release before cannot be approved any more.
    let (_, err) = expect(
        3,
        &[
            "approval",
            "approve",
            "before.a1",
            "--as",
            "amira",
            "--reason",
            "ok",
            "--dir",
            &dir,
        ],
    );
    assert!(err.contains("release-moved"), "{err}");

    let back = [
        "release",
        "rollback",
        "--env",
        "staging",
        "--as",
        "dmitri",
        "--reason",
        "too short",
        "--dir",
        &dir,
    ];
    expect(0, &back);
    assert_eq!(in_force(&dir), old);
    let kinds: Vec<_> = records(&example.dir())
        .iter()
        .map(|r| r["kind"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kinds.iter().filter(|k| *k == "release.promoted").count(), 3);
    assert_eq!(kinds.iter().filter(|k| *k == "controls.tested").count(), 2);
    let (report, _) = expect(0, &["control", "report", "--dir", &dir, "--json"]);
    assert!(report.contains("\"POL-02\""), "{report}");
    sound(&example.dir());
}

/// `dev` has no effects, and needs nobody's signature.
#[test]
fn in_dev_the_whole_line_runs_and_nothing_is_paid() {
    let example = Example::new(5);
    let (dir, home) = (example.arg(), example.home.path());
    let release = in_force(&dir);
    expect(
        0,
        &[
            "release", "promote", &release, "--env", "dev", "--dir", &dir,
        ],
    );
    let subject = expected(&example, "auto")[0].clone();
    let source = home.join("source.csv");
    crate::rig::row(&example.dir(), &subject, &source);
    let source = source.display().to_string();
    let paid = transfers(&example);
    let open = [
        "run",
        "--case",
        "dev-1",
        "--env",
        "dev",
        "--subject",
        &subject,
        "--source",
        &source,
        "--dir",
        &dir,
    ];
    expect(0, &open);
    assert_eq!(transfers(&example), paid, "the bank was not called");
    let of_dev: Vec<Value> = records(&example.dir())
        .into_iter()
        .filter(|r| r["case"] == "dev-1")
        .collect();
    assert!(
        of_dev.iter().all(|r| r["env"] == "dev"),
        "every record says where"
    );
    let kind = |kind: &str| of_dev.iter().find(|r| r["kind"] == kind).unwrap().clone();
    assert_eq!(kind("grant.used")["body"]["simulated"], true);
    assert_eq!(
        kind("outcome.recorded")["body"]["request"]["found_by"],
        "simulated"
    );
    sound(&example.dir());
}

fn transfers(example: &Example) -> usize {
    treasury::transfers(&example.dir().join("targets/treasury.db"))
        .unwrap()
        .len()
}

fn in_force(dir: &str) -> String {
    let (listed, _) = expect(0, &["release", "list", "--dir", dir, "--json"]);
    let rows = listed
        .lines()
        .map(|l| serde_json::from_str::<Value>(l).unwrap());
    let mut staged = rows.filter(|r| {
        r["environments"]
            .as_array()
            .unwrap()
            .iter()
            .any(|e| e == "staging")
    });
    staged.next().unwrap()["release"]
        .as_str()
        .unwrap()
        .to_owned()
}
