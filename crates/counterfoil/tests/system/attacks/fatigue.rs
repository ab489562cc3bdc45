//! People are not to be worn down: what came sooner than it can be read, too much of one person, and a flood.

use serde_json::{Value, json};

use super::hand::judged;
use crate::rig::{
    Example, Server, approve, copy, expect, key, of_kind, other_release, paid, records, sign,
    signed, statement, unseat_all, wait_for,
};

#[test]
fn hasty_approvals_tired_people_and_floods_are_held_up() {
    let example = Example::new(0);
    let (dir, arg) = (example.dir(), example.arg());
    other_release(&example, |path, text| {
        match path {
        "team.toml" => text
            .replace("[approval.elevated]", "[approval.elevated]\nmin_seconds = 600")
            .replace("[approval.high]", "[approval.high]\nmin_seconds = 600")
            .replace(
                "[disqualify]",
                "[attention]\nmax_per_hour = 2\nmax_waiting = 5\nclause = \"PAY-3.2\"\n\n[disqualify]",
            ),
        _ => text,
    }
    });
    unseat_all(&dir);
    let server = Server::start(&dir);
    let before = paid(&dir);
    let (elevated, high) = (of_kind(&example, "elevated"), of_kind(&example, "high"));
    let case = |n: usize| format!("flood-{n}");
    for (n, subject) in elevated[..3].iter().chain(&high[..2]).enumerate() {
        let kinds = judged(&server, &case(n), subject);
        assert!(
            kinds.contains(&"approval.requested".to_owned()),
            "{kinds:?}"
        );
    }
    // The sixth is not put before anybody: refused, with an exception, and the five still wait.
    let kinds = judged(&server, &case(5), &elevated[3]);
    assert_eq!(
        kinds,
        [
            "recommendation.made",
            "verdict.reached",
            "exception.raised",
            "case.closed"
        ]
    );
    let all = wait_for("the case's end", || {
        let all = records(&dir);
        let ended = |r: &Value| r["case"] == case(5) && r["kind"] == "case.closed";
        all.iter().any(ended).then_some(all)
    });
    let of = |case: &str, kind: &str| -> Value {
        let found = all.iter().find(|r| r["case"] == case && r["kind"] == kind);
        found.unwrap_or_else(|| panic!("{kind} of {case}"))["body"].clone()
    };
    assert_eq!(of(&case(5), "exception.raised")["sort"], "approval-flood");
    assert_eq!(of(&case(5), "case.closed")["outcome"], "refused");
    let docket = server.waiting();
    let waits = |n: usize| docket.iter().find(|w| w["case"] == case(n)).unwrap();

    // A high risk at once: refused. A no at once is taken.
    let at_once = signed(&server, waits(3), "amira", "approve");
    server.refused("", &at_once, "too-soon");
    // Nor does it help to say that it is signed when it could be.
    let mut later = statement(waits(3), "amira", "approve", "");
    later.signed = later.signed.plus_seconds(600);
    let later = approve(sign(&key(&dir, "amira"), &later));
    server.refused("", &later, "wrong-binding");
    let no = signed(&server, waits(0), "amira", "reject");
    let (status, answer) = server.post("", &no);
    assert_eq!(status, 200, "{answer}");
    // An elevated one at once counts, and is an exception.
    let (status, answer) = server.post("", &signed(&server, waits(1), "amira", "approve"));
    assert_eq!(status, 200, "{answer}");
    let hasty = answer["records"].as_array().unwrap();
    let raised = |r: &Value| r["body"]["sort"] == "hasty-approval";
    assert!(hasty.iter().any(raised), "{answer}");
    // Two signatures within the hour are as many as count; somebody else may.
    let third = signed(&server, waits(2), "amira", "approve");
    server.refused("", &third, "too-many");
    let (status, answer) = server.post("", &signed(&server, waits(2), "bram", "approve"));
    assert_eq!(status, 200, "{answer}");
    assert_eq!(paid(&dir), before);
    server.stop();

    // The measures say so.
    let (out, _) = expect(0, &["audit", "approvers", "--json", "--dir", &arg]);
    let amira: Value = out
        .lines()
        .map(|l| serde_json::from_str::<Value>(l).unwrap())
        .find(|p| p["person"] == "amira")
        .unwrap();
    for (what, n) in [
        ("signed", 2),
        ("yes", 1),
        ("no", 1),
        ("hasty", 1),
        ("most_in_an_hour", 2),
        ("refused_too_soon", 1),
        ("refused_too_many", 1),
    ] {
        assert_eq!(amira[what], json!(n), "{what}: {amira}");
    }
    let (out, _) = expect(0, &["audit", "approvers", "--dir", &arg]);
    assert!(out.contains("under 30 s") && out.contains("amira"), "{out}");
    let bare = example.home.path().join("bare");
    copy(&dir.join("log"), &bare);
    expect(
        0,
        &["log", "verify", &arg, "--vkey", &format!("{arg}/log.vkey")],
    );
    expect(0, &["audit", "reperform", bare.to_str().unwrap()]);
}
