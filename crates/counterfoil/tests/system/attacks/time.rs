//! Time: what was in force when it was signed and is not when it is used, and a clock that is set back.

use std::path::Path;

use duty::time::Time;
use serde_json::{Value, json};

use super::hand::{by_hand, judged};
use crate::rig::{
    Example, Server, copy, expect, expected, of_kind, other_release, paid, records, run_case,
    signed, unseat_all, wait_for,
};

/// A moment so many minutes after the last record, which is now.
fn in_minutes(dir: &Path, minutes: u32) -> Time {
    let all = records(dir);
    let last: Time = all.last().unwrap()["time"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    last.plus_minutes(minutes)
}

fn using(case: &str, action: &Value) -> Value {
    json!({"type": "use_grant", "grant": format!("{case}.g1"), "action": action})
}

/// Minutes.
const DAY: u32 = 24 * 60;

/// What waits under a case.
fn waits(server: &Server, case: &str) -> Value {
    let waiting = server.waiting();
    let found = waiting.into_iter().find(|w| w["case"] == case);
    found.unwrap_or_else(|| panic!("{case} does not wait"))
}

#[test]
fn what_lapsed_between_signing_and_use_lets_nothing_happen_and_a_clock_goes_only_on() {
    let example = Example::new(0);
    let (dir, arg) = (example.dir(), example.arg());
    let expires = in_minutes(&dir, 4 * DAY).to_string();
    other_release(&example, |path, text| {
        match path {
        // Requests and grants stand for days, so that what lapses is what is tried.
        "team.toml" => {
            text.replace("expires_minutes = 1440", "expires_minutes = 14400")
                .replace("expires_minutes = 10\n", "expires_minutes = 14400\n")
                .replacen("valid_days = 366\nwarn_days = 30", "valid_days = 2\nwarn_days = 1", 1)
                + "\n[break_glass]\nrole = \"approver\"\ncertification = \"payment-approval\"\nminutes = 15\nreview_minutes = 30\nclause = \"PAY-3.9\"\n"
        }
        "policies/payment-authority.md" => text.replacen(
            "## 4. Thresholds",
            "### PAY-3.9 Emergencies\n\nWhere harm would come of waiting, one approver may release an elevated payment, and two a high one.\n\n## 4. Thresholds",
            1,
        ),
        "thresholds/small-invoices.toml" => text
            .replace("2027-12-31T00:00:00.000Z", &expires)
            .replace("count = 400", "count = 2"),
        _ => text,
    }
    });
    for person in ["carla", "dmitri"] {
        let sign = [
            "threshold",
            "sign",
            "small-invoices",
            "--as",
            person,
            "--dir",
            &arg,
        ];
        expect(0, &sign);
    }
    let elevated = of_kind(&example, "elevated");
    for (case, subject) in ["signed", "later", "glass"].into_iter().zip(&elevated) {
        run_case(&example, case, subject);
    }
    let small = expected(&example, "auto");
    let executor = unseat_all(&dir);

    // Now: `amira`, who is certified for two days, signs one, and breaks the glass over another.
    let server = Server::start(&dir);
    let first = waits(&server, "signed");
    let (status, answer) = server.post("", &signed(&server, &first, "amira", "approve"));
    assert_eq!(status, 200, "{answer}");
    let glass = [
        "approval",
        "break-glass",
        "glass.a1",
        "--as",
        "amira",
        "--reason",
        "the plant stops",
        "--dir",
        &arg,
    ];
    expect(0, &glass);
    let late = waits(&server, "later");
    // Split into small ones, under the threshold: two have room, and the third goes before people.
    for (n, subject) in small[10..12].iter().enumerate() {
        let kinds = judged(&server, &format!("split-{n}"), subject);
        assert!(kinds.contains(&"threshold.applied".to_owned()), "{kinds:?}");
    }
    let kinds = judged(&server, "split-2", &small[12]);
    assert!(
        kinds.contains(&"approval.requested".to_owned()),
        "{kinds:?}"
    );
    let split = by_hand(&server, "split-3", &small[13])["action"].clone();
    let before = paid(&dir);
    server.stop();

    // Three days later: the certification is over, for a new signature and for one that was given.
    let server = Server::start_at(&dir, 3 * i64::from(DAY));
    server.refused(
        "",
        &signed(&server, &late, "amira", "approve"),
        "not-certified",
    );
    server.refused(
        &executor,
        &using("signed", &first["action"]),
        "not-certified",
    );
    // The emergency was not reviewed in its time: that is an alarm of its own, and there is no other one till it is.
    wait_for("the alarm", || {
        records(&dir)
            .iter()
            .any(|r| r["kind"] == "glass.overdue")
            .then_some(())
    });
    server.stop();

    // Another day and a minute later the threshold is over: for what it covered, and for what comes.
    let server = Server::start_at(&dir, 4 * i64::from(DAY) + 1);
    let covered = records(&dir)
        .iter()
        .find(|r| r["kind"] == "recommendation.made" && r["case"] == "split-0")
        .unwrap()["body"]["request"]["action"]
        .clone();
    server.refused(&executor, &using("split-0", &covered), "threshold-closed");
    let kinds = judged(&server, "over", &small[14]);
    assert!(
        kinds.contains(&"approval.requested".to_owned()),
        "{kinds:?}"
    );
    let reasons = wait_for("the verdict", || {
        let all = records(&dir);
        let verdict = all
            .iter()
            .find(|r| r["kind"] == "verdict.reached" && r["case"] == "over");
        verdict.map(|r| r["body"]["reasons"].to_string())
    });
    assert!(reasons.contains("it is in force from"), "{reasons}");
    server.stop();

    // The clock set back by four days: nothing that lets something happen, whoever asks.
    let server = Server::start(&dir);
    let opening = json!({"type": "open_case", "case": "back", "environment": "staging", "subject": small[15],
        "snapshot": "0".repeat(64)});
    server.refused_as(&server.local(), Some("engine"), &opening, "clock-behind");
    server.refused(
        "",
        &signed(&server, &late, "bram", "approve"),
        "clock-behind",
    );
    server.refused(
        &executor,
        &using("signed", &first["action"]),
        "clock-behind",
    );
    let refused = records(&dir);
    let refused = refused.last().unwrap();
    assert!(
        refused["body"]["clock"].as_str().unwrap() < refused["time"].as_str().unwrap(),
        "{refused}"
    );
    assert_eq!(paid(&dir), before, "{split}");
    server.stop();

    // What the log says, and what its controls say: the emergency that nobody reviewed is a violation.
    let bare = example.home.path().join("bare");
    copy(&dir.join("log"), &bare);
    expect(
        0,
        &["log", "verify", &arg, "--vkey", &format!("{arg}/log.vkey")],
    );
    expect(0, &["audit", "reperform", bare.to_str().unwrap()]);
    let (out, err) = expect(1, &["control", "report", "--dir", &arg]);
    assert!(format!("{out}{err}").contains("HUM-02"), "{out}{err}");
}

#[test]
fn a_threshold_covers_no_parts_and_ends_with_the_keys_that_signed_it() {
    let example = Example::new(0);
    let (dir, arg) = (example.dir(), example.arg());
    other_release(&example, |path, text| match path {
        "thresholds/small-invoices.toml" => text.replace("count = 20\n", "count = 1\n"),
        _ => text,
    });
    for person in ["carla", "dmitri"] {
        let sign = ["threshold", "sign", "small-invoices", "--as", person];
        expect(0, &[&sign[..], &["--dir", &arg]].concat());
    }
    // Three small invoices, of which two are of one vendor.
    let books = std::fs::read_to_string(dir.join("targets/books/invoices.csv")).unwrap();
    let vendor = |subject: &String| -> String {
        let row = books.lines().find(|l| l.starts_with(subject.as_str()));
        row.unwrap().split(',').nth(2).unwrap().to_owned()
    };
    let small = of_kind(&example, "small");
    let pair = small.iter().enumerate().find_map(|(i, one)| {
        let other = small[i + 1..].iter().find(|o| vendor(o) == vendor(one));
        other.map(|other| (one.clone(), other.clone()))
    });
    let (one, two) = pair.unwrap();
    let third = small.iter().find(|s| vendor(s) != vendor(&one)).unwrap();
    unseat_all(&dir);
    let server = Server::start(&dir);
    let before = paid(&dir);
    let covered = |kinds: &[String]| {
        let has = |kind: &str| kinds.iter().any(|k| k == kind);
        assert_ne!(
            has("threshold.applied"),
            has("approval.requested"),
            "{kinds:?}"
        );
        has("threshold.applied")
    };
    assert!(covered(&judged(&server, "part-1", &one)));
    assert!(!covered(&judged(&server, "part-2", &two)));
    let raised = wait_for("the exception", || {
        let all = records(&dir);
        let of_case = |r: &&Value| r["case"] == "part-2" && r["kind"] == "exception.raised";
        all.iter().find(of_case).map(|r| r["body"]["sort"].clone())
    });
    assert_eq!(raised, "split-suspected");
    // The key of one of its two signers is revoked: it covers nothing any more.
    let revoke = [
        "principal",
        "key",
        "revoke",
        "carla.key-1",
        "--reason",
        "lost",
    ];
    expect(0, &[&revoke[..], &["--dir", &arg]].concat());
    assert!(!covered(&judged(&server, "later", third)));
    assert_eq!(paid(&dir), before);
    server.stop();
}
