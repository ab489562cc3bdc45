//! `policy check` over the real binary: the answer, why, and that nothing is recorded.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::rig::{Example, expect, records};

const RELEASE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../examples/payables/release"
);
const PAY: &str = "treasury.transfer_create";

fn transfer(cents: i64, account: &str) -> String {
    json!({"invoice_id": "INV-1", "vendor_id": "V-7", "account": account, "amount_cents": cents,
        "currency": "EUR", "reference": "R-1"})
    .to_string()
}

fn facts() -> Value {
    json!({
        "invoice": {"found": true, "malformed": false, "row": "INV-1", "number": "R-1", "vendor_id": "V-7",
            "has_order": true, "order_id": "O-1", "amount_cents": 120_000, "currency": "EUR"},
        "vendor": {"found": true, "id": "V-7", "status": "active", "sanctioned": false, "account": "A-1",
            "currency": "EUR", "related_principal": ""},
        "order": {"found": true, "id": "O-1", "vendor_id": "V-7", "amount_cents": 200_000, "currency": "EUR",
            "open": true},
        "receipt": {"found": true, "order_id": "O-1", "received_cents": 200_000},
        "related": {"found": true, "row": "INV-1", "duplicates": 0, "split_count": 1, "split_sum_cents": 120_000,
            "split_limit_cents": 250_000, "order_billed_cents": 120_000, "days_since_account_change": 400,
            "days_since_onboarding": 900, "invoice_age_days": 3, "usual_amount_cents": 100_000,
            "memo_instructs": false},
    })
}

/// Asks of the release in the directory of the example, with no log anywhere.
fn without_a_log(code: i32, agent: &str, tool: &str, args: &str, more: &[&str]) -> (Value, String) {
    let known = facts().to_string();
    let mut all = vec![
        "policy",
        "check",
        "--agent",
        agent,
        "--tool",
        tool,
        "--args",
        args,
        "--facts",
        &known,
        "--subject",
        "INV-1",
        "--release",
        RELEASE,
        "--dir",
        "/nonexistent/data",
        "--json",
    ];
    all.extend(more);
    let (out, err) = expect(code, &all);
    (serde_json::from_str(&out).unwrap(), err)
}

#[test]
fn a_release_alone_says_what_it_would_say() {
    let (said, _) = without_a_log(0, "executor", PAY, &transfer(120_000, "A-1"), &[]);
    assert_eq!(said["allowed"], true);
    assert_eq!(
        said["rule"]["rule"],
        "permissions/executor.cedar#create-transfer"
    );
    assert_eq!(said["risk"]["tier"], "low");
    assert_eq!(said["risk"]["rules"][0]["rule"], "risk.cedar#matched-small");
    // Nobody has signed the threshold where there is no log.
    assert_eq!(said["human_must_sign"], true);
    assert_eq!(said["signing"]["humans"], 1);
    assert_eq!(
        said["thresholds"][0]["why_not"],
        "0 of 2 people have signed it"
    );

    let (said, err) = without_a_log(3, "executor", PAY, &transfer(30_000_000, "A-1"), &[]);
    assert_eq!(
        said["refusal"]["rule"],
        "permissions/executor.cedar#above-agent-ceiling"
    );
    assert_eq!(said["refusal"]["clause"], "PAY-2.4");
    let remedy = said["refusal"]["remedy"].as_str().unwrap();
    assert!(
        remedy.contains("`context.args.amount_cents > 25000000`"),
        "{remedy}"
    );
    assert!(err.contains("nothing was recorded"), "{err}");

    let (said, _) = without_a_log(3, "executor", PAY, &transfer(120_000, "A-9"), &[]);
    let remedy = said["refusal"]["remedy"].as_str().unwrap();
    for words in [
        "context.args.account == context.facts.vendor.account",
        "\"A-9\"",
        "create-transfer",
        "clause AGT-1.4",
    ] {
        assert!(remedy.contains(words), "{remedy}");
    }
    // An environment that no rule names.
    let (said, _) = without_a_log(
        3,
        "executor",
        PAY,
        &transfer(120_000, "A-1"),
        &["--env", "lab"],
    );
    assert!(
        said["refusal"]["remedy"]
            .as_str()
            .unwrap()
            .contains("context.env")
    );
    // A read has no effect, and nobody signs it.
    let (said, _) = without_a_log(
        0,
        "analyst",
        "books.invoice_read",
        r#"{"invoice_id": "INV-1"}"#,
        &[],
    );
    assert_eq!(
        (&said["effect"], &said["human_must_sign"]),
        (&json!(false), &json!(false))
    );
    let (said, _) = without_a_log(3, "analyst", "books.nothing", "{}", &[]);
    assert!(
        said["refusal"]["why"]
            .as_str()
            .unwrap()
            .contains("knows no tool")
    );
}

#[test]
fn wrong_input_is_told_apart_from_a_refusal() {
    for (more, words) in [
        (vec!["--args", "{"], "--args"),
        (vec!["--args", "@/nonexistent/args.json"], "--args"),
        (vec!["--facts", "[]"], "--facts"),
        (
            vec!["--agent", "nobody"],
            "`analyst`, `reviewer`, `executor`",
        ),
        (vec!["--release", "abc"], "neither a data directory"),
    ] {
        let mut all = vec!["policy", "check", "--tool", PAY];
        if !more.contains(&"--agent") {
            all.extend(["--agent", "executor"]);
        }
        if !more.contains(&"--release") {
            all.extend(["--release", RELEASE, "--dir", "/nonexistent/data"]);
        }
        all.extend(&more);
        let home = tempfile::TempDir::new().unwrap();
        let dir = home.path().join("data").display().to_string();
        if more.contains(&"--release") {
            all.extend(["--dir", &dir]);
        }
        let output = crate::rig::run(&all);
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_ne!(output.status.code(), Some(0), "{all:?}");
        assert_ne!(output.status.code(), Some(3), "{all:?}: {err}");
        assert!(err.contains(words), "{err}");
    }
}

#[test]
fn over_a_log_thresholds_have_room_and_a_case_brings_its_facts() {
    let example = Example::new(60);
    let dir = example.arg();
    let before = records(&example.dir());
    let file = example.home.path().join("args.json");
    fs::write(&file, transfer(120_000, "A-1")).unwrap();
    let known = facts().to_string();
    let at = format!("@{}", file.display());
    let check = |code: i32, args: &[&str]| -> Value {
        let mut all = vec![
            "policy", "check", "--agent", "executor", "--tool", PAY, "--json",
        ];
        all.extend(["--dir", &dir]);
        all.extend(args);
        serde_json::from_str(&expect(code, &all).0).unwrap()
    };
    let said = check(0, &["--args", &at, "--facts", &known, "--subject", "INV-1"]);
    assert_eq!(said["covered_by"], "small-invoices");
    assert_eq!(said["human_must_sign"], false);
    let room = &said["thresholds"][0]["room"];
    let used = example.summary["under_threshold"].as_u64().unwrap();
    assert_eq!(room["count"].as_u64().unwrap(), 400 - used - 1);
    assert_eq!(room["key_sum"], 3_000_000 - 120_000);

    // A case that waits for humans: what its verdict said is what is foreseen.
    let waiting = before
        .iter()
        .find(|r| r["kind"] == "verdict.reached" && r["body"]["route"] == "approval")
        .unwrap();
    let case = waiting["case"].as_str().unwrap();
    let recommended = before
        .iter()
        .find(|r| r["kind"] == "recommendation.made" && r["case"] == case)
        .unwrap();
    let action = &recommended["body"]["request"]["action"];
    let arguments = action["arguments"].to_string();
    let said = check(0, &["--args", &arguments, "--case", case]);
    assert_eq!(said["risk"]["tier"], waiting["body"]["tier"]);
    assert_eq!(said["human_must_sign"], true);

    assert_eq!(records(&example.dir()), before, "nothing was recorded");
    let (out, _) = expect(
        0,
        &[
            "policy", "check", "--agent", "executor", "--tool", PAY, "--args", &arguments,
            "--case", case, "--dir", &dir,
        ],
    );
    for words in ["allowed: ", "risk ", "must sign", "small-invoices"] {
        assert!(out.contains(words), "{out}");
    }
    assert!(Path::new(RELEASE).is_dir());
}
