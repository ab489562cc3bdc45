//! Attacks on the running system: each is refused, and the refusal is in the log.

mod arguments;
mod fatigue;
mod hand;
mod index;
mod people;
mod store;
mod time;

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use hand::{by_hand, model, open, prompt};

use crate::rig::{
    Example, Server, add_principal, approve, copy, expect, expected, key, other_release, records,
    run_case, sign, sound, statement, token, unseat_all, wait_for,
};

#[test]
fn attacks_on_a_waiting_approval_are_refused_and_recorded() {
    let example = Example::new(40);
    let dir = example.dir();
    let server = Server::start(&dir);
    let waiting = server.waiting();
    let two = waiting
        .iter()
        .find(|w| w["humans"] == 2 && w["yes_overrides"] == false)
        .unwrap();
    let amira = key(&dir, "amira");
    let nobody = "no-token";

    // The reviewer approves as a human: with its own name, then with a human's.
    let mut own = statement(two, "amira", "approve", "");
    own.signer = "reviewer".parse().unwrap();
    own.credential = "reviewer.token-1".parse().unwrap();
    server.refused(
        &server.token("reviewer"),
        &approve(sign(&amira, &own)),
        "not-human",
    );
    let forged = statement(two, "bram", "approve", "");
    server.refused(
        &server.token("reviewer"),
        &approve(sign(&amira, &forged)),
        "bad-signature",
    );

    // A signature over other arguments, another case, another environment.
    let mut other = statement(two, "amira", "approve", "");
    other.action = duty::canonical::Digest::of_bytes(b"other arguments");
    server.refused(nobody, &approve(sign(&amira, &other)), "wrong-binding");
    let mut other = statement(two, "amira", "approve", "");
    other.env = "prod".parse().unwrap();
    server.refused(nobody, &approve(sign(&amira, &other)), "wrong-binding");
    let third = waiting.iter().find(|w| w["case"] != two["case"]).unwrap();
    let mut other = statement(two, "amira", "approve", "");
    other.case = third["case"].as_str().unwrap().parse().unwrap();
    server.refused(nobody, &approve(sign(&amira, &other)), "wrong-state");

    // The same human twice, and the same signature again.
    let good = approve(sign(&amira, &statement(two, "amira", "approve", "")));
    assert_eq!(server.post(nobody, &good).0, 200);
    server.refused(nobody, &good, "replayed");
    let again = statement(two, "amira", "approve", "a second time");
    server.refused(nobody, &approve(sign(&amira, &again)), "replayed");

    // People who may not: an owner of an agent has not the role; somebody with no training.
    let olivia = key(&dir, "olivia");
    let signed = sign(&olivia, &statement(two, "olivia", "approve", ""));
    server.refused(nobody, &approve(signed), "not-your-duty");
    add_principal(
        0,
        &example.arg(),
        "novice",
        &["--human", "--role", "approver"],
    );
    let signed = sign(
        &key(&dir, "novice"),
        &statement(two, "novice", "approve", ""),
    );
    server.refused(nobody, &approve(signed), "not-certified");

    // With the second signature it goes through, once; the approval cannot be used again.
    let bram = key(&dir, "bram");
    let last = approve(sign(&bram, &statement(two, "bram", "approve", "")));
    assert_eq!(server.post(nobody, &last).0, 200);
    let case = two["case"].as_str().unwrap().to_owned();
    wait_for("the outcome", || {
        records(&dir)
            .iter()
            .any(|r| r["kind"] == "outcome.recorded" && r["case"] == case.as_str())
            .then_some(())
    });
    server.refused(nobody, &last, "wrong-state");
    server.stop();
    sound(&dir);
}

#[test]
fn agents_cannot_leave_their_duties() {
    let example = Example::new(10);
    let dir = example.dir();
    let server = Server::start(&dir);
    open(&server, "attack-1", "R0001");
    let analyst = server.token("analyst");
    let pay = json!({"tool": "treasury.transfer_create", "arguments": {"vendor_id": "V0001", "amount_cents": 100,
        "currency": "EUR", "account": "A1", "invoice_id": "R0001", "reference": "x"}});
    server.refused(
        &analyst,
        &json!({"type": "call", "case": "attack-1", "action": pay}),
        "not-permitted",
    );
    let executor = server.token("executor");
    let using = json!({"type": "use_grant", "grant": "attack-1.g1", "action": pay});
    server.refused(&executor, &using, "wrong-state");
    server.refused(&analyst, &using, "not-your-duty");
    // A vendor that its invoice does not name: facts cannot be taken from elsewhere.
    let read = json!({"type": "call", "case": "attack-1",
        "action": {"tool": "books.vendor_read", "arguments": {"vendor_id": "V0001"}}});
    server.refused(&analyst, &read, "not-permitted");

    let clause = json!({"id": "PAY-99.9", "version": "4", "digest": "0".repeat(64)});
    let pinned = model("analyst");
    let mut body = json!({"case": "attack-1", "duty": "prepare", "stance": "proceed", "action": pay, "confidence": 99,
        "rationale": "trust me", "clauses": [clause], "model": pinned, "prompt": prompt("analyst"), "inputs": []});
    body["type"] = json!("recommend");
    server.refused(&analyst, &body, "bad-citation");
    body["clauses"] = json!([]);
    server.refused(&analyst, &body, "bad-citation");
    body["model"] = json!("rules/another");
    server.refused(&analyst, &body, "model-drifted");
    body["model"] = json!(pinned);
    for drifted in [json!(prompt("reviewer")), Value::Null] {
        let mut body = body.clone();
        body["prompt"] = drifted;
        server.refused(&analyst, &body, "model-drifted");
    }
    body["duty"] = json!("review");
    server.refused(&analyst, &body, "not-your-duty");
    // Nobody but the platform takes down answers and outcomes; nobody but the admin adds people.
    let outcome = json!({"type": "record_outcome", "grant": "attack-1.g1", "outcome": "succeeded",
        "found_by": "answer", "detail": "honestly"});
    server.refused(&executor, &outcome, "not-your-duty");
    let revoke = json!({"type": "revoke_principal", "principal": "amira", "reason": "in the way"});
    server.refused(&analyst, &revoke, "not-your-duty");
    let (status, _) = server.post("no-such-token", &revoke);
    assert_eq!(status, 401);
    server.stop();
    sound(&dir);
}

#[test]
fn approvals_expire_and_old_releases_cannot_be_approved() {
    let example = Example::new(30);
    let dir = example.dir();
    let (out, _) = expect(0, &["approval", "list", "--json", "--dir", &example.arg()]);
    let old: Value = serde_json::from_str(out.lines().next().unwrap()).unwrap();
    other_release(&example, |path, text| match path {
        "team.toml" => text.replace("expires_minutes = 1440", "expires_minutes = 1"),
        _ => text,
    });
    let subject = &expected(&example, "one_human")[0];
    run_case(&example, "soon-1", subject);
    let server = Server::start(&dir);
    // An approval under the release that was in force before.
    let stale = sign(
        &key(&dir, "amira"),
        &statement(&old, "amira", "approve", "because"),
    );
    server.refused("", &approve(stale), "release-moved");
    let waiting = server.waiting();
    let soon = waiting.iter().find(|w| w["case"] == "soon-1").unwrap();
    let signed = approve(sign(
        &key(&dir, "amira"),
        &statement(soon, "amira", "approve", ""),
    ));
    server.stop();
    // Two minutes later. The server's own loop would end the case at its expiry; whichever comes first, the signature comes
    // too late.
    let server = Server::start_at(&dir, 2);
    let (status, answer) = server.post("", &signed);
    assert_eq!(status, 403, "{answer}");
    assert!(
        ["expired", "wrong-state"].contains(&answer["code"].as_str().unwrap()),
        "{answer}"
    );
    wait_for("the expiry's record", || {
        let records = records(&dir);
        let expired = records
            .iter()
            .any(|r| r["kind"] == "approval.expired" && r["case"] == "soon-1");
        let refused = records
            .iter()
            .any(|r| r["kind"] == "request.refused" && r["case"] == "soon-1");
        (expired && refused).then_some(())
    });
    server.stop();
    let (exceptions, _) = expect(0, &["exception", "list", "--json", "--dir", &example.arg()]);
    assert!(exceptions.contains("\"expired\""), "{exceptions}");
    sound(&dir);
}

#[test]
fn an_approver_who_owns_an_agent_of_the_case_is_refused() {
    let example = Example::new(5);
    let dir = example.arg();
    let both = ["--human", "--role", "approver", "--role", "owner"];
    add_principal(0, &dir, "yuri", &both);
    expect(
        0,
        &[
            "certification",
            "assess",
            "yuri",
            "payment-approval",
            "--as",
            "carla",
            "--dir",
            &dir,
        ],
    );
    expect(
        0,
        &[
            "certification",
            "assess",
            "yuri",
            "agent-ownership",
            "--as",
            "carla",
            "--dir",
            &dir,
        ],
    );
    add_principal(0, &dir, "scribe", &["--owner", "yuri", "--role", "analyst"]);
    other_release(&example, |path, text| match path {
        "team.toml" => text
            .replacen("id = \"analyst\"", "id = \"scribe\"", 1)
            .replacen("owner = \"olivia\"", "owner = \"yuri\"", 1),
        "permissions/analyst.cedar" => text.replace("Agent::\"analyst\"", "Agent::\"scribe\""),
        _ => text,
    });
    let subject = &expected(&example, "one_human")[0];
    run_case(&example, "own-1", subject);
    let (_, err) = expect(
        3,
        &[
            "approval", "approve", "own-1.a1", "--as", "yuri", "--dir", &dir,
        ],
    );
    assert!(
        err.contains("conflicted") && err.contains("scribe"),
        "{err}"
    );
    expect(
        0,
        &[
            "approval", "approve", "own-1.a1", "--as", "amira", "--dir", &dir,
        ],
    );
    sound(&example.dir());
}

#[test]
fn two_processes_race_for_the_last_slot_of_a_threshold() {
    let example = Example::new(0);
    let dir = example.arg();
    other_release(&example, |path, text| match path {
        "thresholds/small-invoices.toml" => text
            .replace("count = 400", "count = 1")
            .replace("count = 25", "count = 1"),
        _ => text,
    });
    // The changed threshold needs its own signatures: the earlier ones are for another digest.
    for person in ["carla", "dmitri"] {
        expect(
            0,
            &[
                "threshold",
                "sign",
                "small-invoices",
                "--as",
                person,
                "--dir",
                &dir,
            ],
        );
    }
    let subjects = expected(&example, "auto");
    unseat_all(&example.dir());
    let server = Server::start(&example.dir());
    let mut racing = Vec::new();
    let reviews: Vec<Value> = [&subjects[10], &subjects[20]]
        .into_iter()
        .enumerate()
        .map(|(i, subject)| by_hand(&server, &format!("race-{i}"), subject))
        .collect();
    for review in &reviews {
        racing.push(
            Command::new("curl")
                .args([
                    "-s",
                    "-X",
                    "POST",
                    "-H",
                    "content-type: application/json",
                    "-H",
                ])
                .arg(format!(
                    "authorization: Bearer {}",
                    server.token("reviewer")
                ))
                .args(["-d", &json!({ "request": review }).to_string()])
                .arg(format!("{}/v1/requests", server.url))
                .stdout(Stdio::piped())
                .spawn()
                .unwrap(),
        );
    }
    let answers: Vec<Value> = racing
        .into_iter()
        .map(|child| serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap())
        .collect();
    let kinds = |answer: &Value| -> Vec<String> {
        let records = answer["records"].as_array().unwrap();
        records
            .iter()
            .map(|r| r["kind"].as_str().unwrap().to_owned())
            .collect()
    };
    let won = answers
        .iter()
        .filter(|a| kinds(a).contains(&"threshold.applied".to_owned()))
        .count();
    let lost = answers
        .iter()
        .filter(|a| kinds(a).contains(&"approval.requested".to_owned()))
        .count();
    assert_eq!((won, lost), (1, 1), "{answers:?}");
    server.stop();
    // By the log alone all is as decided; with the snapshots at hand it shows that these recommendations, made by hand,
    // are not those of the decision table that they claim.
    let bare = example.home.path().join("bare");
    copy(&example.dir().join("log"), &bare);
    expect(
        0,
        &["log", "verify", &dir, "--vkey", &format!("{dir}/log.vkey")],
    );
    expect(0, &["audit", "reperform", bare.to_str().unwrap()]);
    let (_, err) = expect(1, &["audit", "reperform", "--dir", &dir]);
    assert!(err.contains("recommendation of record"), "{err}");
}

#[test]
fn a_revoked_agent_is_out_at_once() {
    let example = Example::new(5);
    let stolen = token(&example.dir(), "analyst");
    let dir = example.arg();
    expect(
        0,
        &[
            "principal",
            "revoke",
            "analyst",
            "--reason",
            "its token was seen elsewhere",
            "--dir",
            &dir,
        ],
    );
    let server = Server::start(&example.dir());
    open(&server, "attack-2", "R0001");
    let read = json!({"type": "call", "case": "attack-2",
        "action": {"tool": "books.invoice_read", "arguments": {"invoice_id": "R0001"}}});
    assert_eq!(server.post(&stolen, &read).0, 401);
    server.stop();
}
