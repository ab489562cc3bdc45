//! The main job from end to end on the shipped data, and everything an auditor does with it.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::rig::{Example, demo, expect, records, run};

#[test]
fn the_shipped_data_goes_through_as_its_answers_say() {
    let example = Example::new(500);
    let s = &example.summary;
    assert_eq!(s["cases"], 500);
    let sum = |of: &Value| {
        of.as_object()
            .unwrap()
            .values()
            .filter_map(Value::as_u64)
            .sum::<u64>()
    };
    assert_eq!(sum(&s["by_outcome"]), 500);
    assert_eq!(sum(&s["by_tier"]), 500);
    let answers = &s["answers"];
    assert!(answers["traps"].as_u64().unwrap() >= 60, "{answers}");
    assert_eq!(answers["traps_executed_without_human"], 0, "{answers}");
    let small = answers["harmless_small"].as_u64().unwrap();
    let alone = answers["harmless_small_without_human"].as_u64().unwrap();
    assert!(
        small >= 250 && alone * 100 >= small * 95,
        "{alone} of {small}"
    );
    assert_eq!(answers["unexpected"], json!([]));
    assert_eq!(s["transfers"]["one_for_one"], true);
    assert_eq!(s["transfers"]["in_bank"], alone);
    assert!(s["waiting_for_human"].as_u64().unwrap() > 100);
    assert!(!s["refused"].as_object().unwrap().is_empty());

    audited(&example);
    what_ifs_disagree(&example);
}

fn audited(example: &Example) {
    let (dir, vkey) = (
        example.arg(),
        example.dir().join("log.vkey").display().to_string(),
    );
    let (out, _) = expect(0, &["log", "verify", &dir, "--vkey", &vkey, "--json"]);
    let verified: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(verified["report"]["absent"], 0);
    assert!(verified["report"]["snapshots"].as_u64().unwrap() > 2_000);
    // A bare copy of the log and the key's text are enough.
    let bare = example.home.path().join("bare");
    crate::rig::copy(&example.dir().join("log"), &bare);
    let key = fs::read_to_string(&vkey).unwrap();
    expect(
        0,
        &[
            "log",
            "verify",
            bare.to_str().unwrap(),
            "--vkey",
            key.trim(),
        ],
    );

    let (out, _) = expect(0, &["audit", "reperform", "--json", "--dir", &dir]);
    let again: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(again["verdicts"], 500);
    assert_eq!(again["recommendations"], 1_000);
    assert_eq!(again["differing"], 0);
    let records = records(&example.dir());
    let requests = records
        .iter()
        .filter(|r| !r["body"]["request"].is_null())
        .count();
    assert_eq!(again["decisions"].as_u64().unwrap(), requests as u64);
    expect(0, &["audit", "reperform", bare.to_str().unwrap()]);
}

/// One rule flipped in a copy of the release: re-performance disagrees and says where.
fn what_ifs_disagree(example: &Example) {
    let copy = example.home.path().join("release");
    for (path, text) in payables::release_files() {
        let file = copy.join(&path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        let text = match path.as_str() {
            "risk.cedar" => {
                let flipped = text.replacen("@tier(\"low\")", "@tier(\"elevated\")", 1);
                assert_ne!(flipped, text);
                flipped
            }
            _ => text,
        };
        fs::write(file, text).unwrap();
    }
    let release = copy.display().to_string();
    let (_, err) = expect(
        1,
        &[
            "audit",
            "reperform",
            "--dir",
            &example.arg(),
            "--release",
            &release,
        ],
    );
    assert!(err.contains("record"), "it says where: {err}");
}

#[test]
fn a_second_run_continues_and_a_finished_one_changes_nothing() {
    let example = Example::new(40);
    let before = records(&example.dir()).len();
    let again = demo(&example.dir(), 40);
    assert_eq!(again["records"].as_u64().unwrap(), before as u64);
    let more = demo(&example.dir(), 60);
    assert_eq!(more["cases"], 60);
    assert_eq!(more["transfers"]["one_for_one"], true);
    let dir = example.arg();
    let (_, err) = expect(2, &["demo", "--once", "--dir", &dir, "--seed", "7"]);
    assert!(err.contains("--seed"), "{err}");
}

#[test]
fn another_seed_makes_other_cases_of_the_same_kinds() {
    let home = tempfile::TempDir::new().unwrap();
    let dir = home.path().join("data").display().to_string();
    let (out, _) = expect(
        0,
        &[
            "demo", "--once", "--json", "--dir", &dir, "--seed", "7", "--cases", "80",
        ],
    );
    let s: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(s["answers"]["traps_executed_without_human"], 0);
    assert_eq!(s["answers"]["unexpected"], json!([]));
    assert_eq!(s["transfers"]["one_for_one"], true);
}

#[test]
fn cases_exceptions_and_records_can_be_looked_at() {
    let example = Example::new(60);
    let dir = example.arg();
    let lines = |args: &[&str]| -> Vec<Value> {
        let mut args = args.to_vec();
        args.extend(["--json", "--dir", &dir]);
        let (out, _) = expect(0, &args);
        out.lines()
            .map(|l| serde_json::from_str(l).unwrap())
            .collect()
    };
    assert_eq!(lines(&["case", "list"]).len(), 60);
    let waiting = lines(&["approval", "list"]);
    assert_eq!(
        waiting.len() as u64,
        example.summary["waiting_for_human"].as_u64().unwrap()
    );
    assert!(!lines(&["exception", "list"]).is_empty());
    assert!(lines(&["policy", "list"]).len() >= 40);
    assert_eq!(
        lines(&["policy", "search", "sanctioned vendor"])[0]["clause"]["id"]
            .as_str()
            .unwrap()[..4],
        *"SAN-"
    );
    assert_eq!(lines(&["principal", "list"]).len(), 12);
    let threshold = &lines(&["threshold", "list"])[0];
    let signatures = threshold["signatures"].as_array().unwrap();
    let signers: Vec<_> = signatures.iter().map(|s| &s["signer"]).collect();
    assert_eq!(signers, ["carla", "dmitri"], "{threshold}");

    let by_kind = lines(&["audit", "query", "--kind", "grant.used"]);
    assert_eq!(
        by_kind.len() as u64,
        example.summary["under_threshold"].as_u64().unwrap()
    );
    assert!(!lines(&["audit", "query", "--clause", "PAY-2.1"]).is_empty());
    assert!(
        !lines(&[
            "audit",
            "query",
            "--tier",
            "high",
            "--kind",
            "verdict.reached"
        ])
        .is_empty()
    );
    assert!(
        lines(&["audit", "query", "--agent", "reviewer"])
            .iter()
            .all(|r| r["actor"] == "reviewer")
    );
    assert!(
        lines(&[
            "audit",
            "query",
            "--outcome",
            "executed",
            "--kind",
            "case.closed"
        ])
        .len()
            > 30
    );
    let vendor = waiting[0]["action"]["arguments"]["vendor_id"]
        .as_str()
        .unwrap();
    let field = format!("vendor.id={vendor}");
    assert!(!lines(&["audit", "query", "--field", &field]).is_empty());
    assert!(lines(&["audit", "query", "--to", "2020-01-01T00:00:00.000Z"]).is_empty());

    let case = waiting[0]["case"].as_str().unwrap();
    let (story, _) = expect(0, &["case", "show", case, "--dir", &dir]);
    for word in [
        "analyst", "reviewer", "olivia", "rules/", "PAY-", "approval",
    ] {
        assert!(story.contains(word), "`{word}` is not in:\n{story}");
    }
    let (replay, _) = expect(0, &["case", "replay", case, "--dir", &dir]);
    assert!(
        replay.contains("invoice_read") || replay.contains("amount_cents"),
        "{replay}"
    );

    // Indexes are projections: without them everything is as before.
    let _ = fs::remove_file(Path::new(&dir).join("index.db"));
    assert_eq!(lines(&["case", "list"]).len(), 60);
}

#[test]
fn humans_approve_reject_and_override_by_command_line() {
    let example = Example::new(60);
    let dir = example.arg();
    let waiting: Vec<Value> = {
        let (out, _) = expect(0, &["approval", "list", "--json", "--dir", &dir]);
        out.lines()
            .map(|l| serde_json::from_str(l).unwrap())
            .collect()
    };
    let pick = |humans: u64, overrides: bool| {
        let fits = |w: &&Value| {
            w["humans"] == humans
                && w["yes_overrides"] == overrides
                && w["no_overrides"] == !overrides
        };
        waiting.iter().find(fits).unwrap()["approval"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let sign = |code: i32, args: &[&str]| {
        let mut args = args.to_vec();
        args.extend(["--dir", &dir]);
        expect(code, &args)
    };
    let one = pick(1, false);
    sign(0, &["approval", "approve", &one, "--as", "amira"]);
    let (story, _) = sign(0, &["case", "show", one.strip_suffix(".a1").unwrap()]);
    assert!(
        story.contains("amira") && story.contains("succeeded"),
        "{story}"
    );

    let two = pick(2, false);
    if two != one {
        sign(0, &["approval", "approve", &two, "--as", "amira"]);
        let (_, err) = sign(3, &["approval", "approve", &two, "--as", "amira"]);
        assert!(err.contains("replayed"), "{err}");
        sign(0, &["approval", "approve", &two, "--as", "bram"]);
    }
    let against = pick(2, true);
    sign(2, &["approval", "approve", &against, "--as", "amira"]);
    sign(
        3,
        &[
            "approval",
            "approve",
            &against,
            "--as",
            "amira",
            "--override",
            "--code",
            "confirmed-by-call",
        ],
    );
    let reason = "the vendor confirmed by telephone";
    sign(
        0,
        &[
            "approval",
            "approve",
            &against,
            "--as",
            "amira",
            "--override",
            "--code",
            "confirmed-by-call",
            "--reason",
            reason,
        ],
    );
    // Which stage is open is said; the yes is taken back, and what was said stays in the log.
    let (shown, _) = sign(0, &["approval", "show", &against]);
    assert!(shown.contains("finance: 1 of 1"), "{shown}");
    assert!(shown.contains("second: 0 of 1"), "{shown}");
    assert!(shown.contains("open; may sign: bram, carla"), "{shown}");
    let withdraw = ["approval", "withdraw", &against, "--as", "amira"];
    let (_, err) = sign(3, &withdraw);
    assert!(err.contains("reason-missing"), "{err}");
    let back = [&withdraw[..], &["--reason", "the number was theirs"]].concat();
    let (said, _) = sign(0, &back);
    assert!(said.contains("takes their yes to"), "{said}");
    let again = [
        "approval",
        "approve",
        &against,
        "--as",
        "amira",
        "--override",
        "--reason",
        reason,
        "--code",
    ];
    let (_, err) = sign(3, &[&again[..], &["confirmed-by-call"]].concat());
    assert!(err.contains("replayed"), "{err}");
    // Somebody else of Finance, through a deputy.
    let delegate = ["delegation", "add", "dmitri", "--as", "carla", "--days"];
    let why = ["--reason", "at a fair"];
    sign(3, &[&delegate[..], &["31"], &why].concat());
    sign(0, &[&delegate[..], &["3"], &why].concat());
    let (listed, _) = sign(0, &["delegation", "list", "--json"]);
    let delegation: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(delegation["stands"], "in force");
    sign(
        0,
        &[
            "certification",
            "assess",
            "dmitri",
            "payment-approval",
            "--as",
            "carla",
        ],
    );
    let for_carla = [
        "approval",
        "approve",
        &against,
        "--as",
        "dmitri",
        "--for",
        "carla",
        "--override",
        "--code",
        "confirmed-by-call",
        "--reason",
        reason,
    ];
    sign(0, &for_carla);
    let own = [
        "approval",
        "approve",
        &against,
        "--as",
        "carla",
        "--override",
        "--reason",
        reason,
        "--code",
    ];
    let (_, err) = sign(3, &[&own[..], &["confirmed-by-call"]].concat());
    assert!(err.contains("replayed"), "{err}");
    let (_, err) = sign(
        3,
        &[&own[..3], &["--as", "bram"], &own[5..], &["because"]].concat(),
    );
    assert!(err.contains("code-missing"), "{err}");
    let record = delegation["record"].to_string();
    sign(
        0,
        &[
            "delegation",
            "end",
            &record,
            "--as",
            "carla",
            "--reason",
            "back",
        ],
    );
    sign(
        0,
        &[
            "approval",
            "reject",
            &against,
            "--as",
            "bram",
            "--reason",
            "not on my watch",
        ],
    );
    let (exceptions, _) = sign(0, &["exception", "list", "--json"]);
    let overridden = exceptions
        .lines()
        .find(|l| l.contains("\"override\""))
        .unwrap();
    let overridden: Value = serde_json::from_str(overridden).unwrap();
    let id = overridden["id"].as_str().unwrap();
    sign(
        0,
        &[
            "exception",
            "triage",
            id,
            "--as",
            "carla",
            "--reason",
            "checked, fine",
        ],
    );
    sign(
        3,
        &[
            "exception",
            "triage",
            id,
            "--as",
            "carla",
            "--reason",
            "checked again",
        ],
    );

    let (counted, _) = sign(0, &["audit", "overrides", "--json"]);
    let approved = counted.lines().any(|l| {
        let line: Value = serde_json::from_str(l).unwrap();
        line["clause"].is_null() && line["approved"] == 1 && line["codes"]["confirmed-by-call"] == 1
    });
    assert!(approved, "{counted}");
    expect(
        0,
        &["log", "verify", &dir, "--vkey", &format!("{dir}/log.vkey")],
    );
    expect(0, &["audit", "reperform", "--dir", &dir]);
    assert_eq!(demo(&example.dir(), 60)["transfers"]["one_for_one"], true);
    assert!(
        run(&["approval", "show", "nonsense", "--dir", &dir])
            .status
            .code()
            == Some(2)
    );
}
