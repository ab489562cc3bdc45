//! Other names, keys and roles make nobody into somebody else.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use duty::canonical::{self, Digest};
use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Value, json};

use super::hand::{by_hand, open};
use crate::rig::{
    Example, Server, approve, expect, expected, key, paid, records, sign, statement, unseat_all,
};

/// How a principal was added, to be added again under another name.
fn added(server: &Server, id: &str) -> Value {
    let all = records(&server.dir);
    let found = all
        .iter()
        .find(|r| r["kind"] == "principal.added" && r["body"]["request"]["id"] == id);
    found.unwrap()["body"]["request"].clone()
}

fn token_of(id: &str, token: &str) -> Value {
    let sha256 = Digest::of_bytes(token.as_bytes()).to_string();
    json!([{"id": format!("{id}.token-1"), "proof": {"kind": "token", "sha256": sha256}}])
}

#[test]
fn an_alias_a_sub_agent_and_a_named_approver_are_nobody_else() {
    let example = Example::new(40);
    let dir = example.dir();
    unseat_all(&dir);
    let server = Server::start(&dir);
    let (local, before) = (server.local(), paid(&dir));
    let admin = Some("admin");

    // The same key under another name, and under another of its own names.
    let mut alias = added(&server, "bram");
    alias["id"] = json!("bram-too");
    server.refused_as(&local, admin, &alias, "not-independent");
    alias["credentials"][0]["id"] = json!("bram-too.key-1");
    server.refused_as(&local, admin, &alias, "not-independent");
    // Roles that exclude each other, an agent that approves, and one that answers for itself.
    let mut both = added(&server, "amira");
    (both["id"], both["credentials"][0]["id"]) = (json!("both"), json!("both.key-1"));
    both["credentials"][0]["proof"]["public"] = public_of(&SigningKey::from_bytes(&[7; 32]));
    both["roles"] = json!(["approver", "admin"]);
    server.refused_as(&local, admin, &both, "not-independent");
    let mut approver = added(&server, "reviewer");
    approver["id"] = json!("judge");
    approver["credentials"] = token_of("judge", "judge-token-0123456789abcdef0123");
    approver["roles"] = json!(["approver"]);
    server.refused_as(&local, admin, &approver, "not-human");

    // A sub-agent of the analyst: not as a reviewer at all; as an analyst it is there, and still reviews nothing.
    let token = "sub-token-0123456789abcdef0123456789";
    let mut sub = added(&server, "analyst");
    sub["id"] = json!("sub");
    sub["acts_for"] = json!("analyst");
    sub["credentials"] = token_of("sub", token);
    sub["roles"] = json!(["reviewer"]);
    server.refused_as(&local, admin, &sub, "not-independent");
    sub["roles"] = json!(["analyst"]);
    let (status, answer) = server.post_as(&local, admin, &sub);
    assert_eq!(status, 200, "{answer}");
    let review = by_hand(&server, "sub-1", &expected(&example, "auto")[15]);
    server.refused(token, &review, "not-your-duty");

    // A review of the analyst's words alone: the source is not among what it saw.
    let mut blind = review.clone();
    blind["inputs"] = json!([]);
    server.refused(&server.token("reviewer"), &blind, "sources-missing");

    // An approver that the caller names: in the statement, beside it, in the door's own field.
    let waiting = server.waiting();
    let one = waiting.iter().find(|w| w["humans"] == 1).unwrap();
    let named = statement(one, "amira", "approve", "the webhook says so");
    for signature in [String::new(), "amira".to_owned(), "QUFB".repeat(22)] {
        let unsigned = approve(json!({"statement": named, "signature": signature}));
        server.refused(&server.token("executor"), &unsigned, "bad-signature");
    }
    let mut beside = approve(sign(&SigningKey::from_bytes(&[9; 32]), &named));
    server.refused(&server.token("reviewer"), &beside, "bad-signature");
    beside["approver"] = json!("amira");
    let (status, answer) = server.post(&server.token("reviewer"), &beside);
    assert_eq!(
        (status, &answer["code"]),
        (400, &json!("malformed")),
        "{answer}"
    );
    let opening = json!({"type": "open_case", "case": "named", "environment": "staging", "subject": "R0001",
        "snapshot": "0".repeat(64)});
    let (status, answer) = server.post_as(&local, Some("amira"), &opening);
    assert_eq!(status, 400, "{answer}");
    // A changed statement under a true signature, and a true one of somebody else's name.
    let mut changed = approve(sign(&key(&dir, "amira"), &named));
    changed["statement"]["reason"] = json!("another reason");
    server.refused("", &changed, "bad-signature");
    let others = approve(sign(
        &key(&dir, "amira"),
        &statement(one, "bram", "approve", ""),
    ));
    server.refused("", &others, "bad-signature");

    let decided = |r: &Value| {
        r["kind"] == "approval.given" || r["kind"] == "grant.used" && r["case"] == "sub-1"
    };
    assert!(!records(&dir).iter().any(decided));
    assert_eq!(paid(&dir), before);
    server.stop();
}

fn public_of(key: &SigningKey) -> Value {
    use base64::prelude::BASE64_STANDARD;
    json!(BASE64_STANDARD.encode(key.verifying_key().as_bytes()))
}

/// What an authenticator at `origin` would answer to a challenge.
fn assertion(
    key: &SigningKey,
    challenge: &[u8],
    rp: &str,
    origin: &str,
    kind: &str,
    counter: u32,
) -> Value {
    let client = json!({"type": kind, "challenge": BASE64_URL_SAFE_NO_PAD.encode(challenge), "origin": origin,
        "crossOrigin": false})
    .to_string();
    let mut data = Digest::of_bytes(rp.as_bytes()).as_bytes().to_vec();
    data.push(0b101);
    data.extend(counter.to_be_bytes());
    let mut signed = data.clone();
    signed.extend(Digest::of_bytes(client.as_bytes()).as_bytes());
    let text = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    json!({"authenticatorData": text(&data), "clientDataJSON": text(client.as_bytes()),
        "signature": text(&key.sign(&signed).to_bytes())})
}

#[test]
fn a_passkey_that_is_forged_rewound_or_of_another_page_signs_nothing() {
    let example = Example::new(60);
    let dir = example.dir();
    let server = Server::start(&dir);
    let (rp, origin) = ("pay.example", "https://pay.example");
    let key = SigningKey::from_bytes(&[11; 32]);
    let person = json!({"type": "add_principal", "id": "pia", "kind": "human", "roles": ["approver"],
        "credentials": [{"id": "pia.passkey-1", "proof": {"kind": "passkey", "rp": rp, "origins": [origin],
            "id": "cGlh", "algorithm": "EdDSA",
            "public": BASE64_URL_SAFE_NO_PAD.encode(key.verifying_key().as_bytes())}}]});
    let (status, answer) = server.post_as(&server.local(), Some("admin"), &person);
    assert_eq!(status, 200, "{answer}");
    let arg = example.arg();
    expect(
        0,
        &[
            "certification",
            "assess",
            "pia",
            "payment-approval",
            "--as",
            "carla",
            "--dir",
            &arg,
        ],
    );
    let waiting = server.waiting();
    let plain: Vec<_> = waiting
        .iter()
        .filter(|w| w["humans"] == 1 && w["yes_overrides"] == false)
        .collect();
    let said = |w: &Value| {
        let mut said = statement(w, "pia", "approve", "");
        said.credential = "pia.passkey-1".parse().unwrap();
        said
    };
    let (one, two) = (said(plain[0]), said(plain[1]));
    let challenge = |s| *Digest::of_bytes(&canonical::to_vec(s).unwrap()).as_bytes();
    let (mine, other) = (challenge(&one), challenge(&two));
    let get = "webauthn.get";
    let thief = SigningKey::from_bytes(&[12; 32]);
    let forged = [
        assertion(&thief, &mine, rp, origin, get, 5),
        assertion(&key, &other, rp, origin, get, 5),
        assertion(&key, &mine, rp, "https://pay.example.evil.example", get, 5),
        assertion(&key, &mine, "evil.example", origin, get, 5),
        assertion(&key, &mine, rp, origin, "webauthn.create", 5),
        json!("QUFB"),
    ];
    for signature in forged {
        let request = approve(json!({"statement": one, "signature": signature}));
        server.refused("", &request, "bad-signature");
    }
    let good =
        approve(json!({"statement": one, "signature": assertion(&key, &mine, rp, origin, get, 5)}));
    let (status, answer) = server.post("", &good);
    assert_eq!(status, 200, "{answer}");
    // An authenticator that counts backwards is a copy of it.
    let rewound = approve(
        json!({"statement": two, "signature": assertion(&key, &other, rp, origin, get, 5)}),
    );
    server.refused("", &rewound, "replayed");
    server.stop();
}

#[test]
fn a_team_that_is_one_in_two_seats_is_no_release() {
    let example = Example::new(0);
    let home = example.home.path();
    let built = |name: &str, change: &dyn Fn(String) -> String| {
        let release = home.join(name);
        for (path, text) in payables::release_files() {
            let file = release.join(&path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            let text = if path == "team.toml" {
                change(text)
            } else {
                text
            };
            std::fs::write(file, text).unwrap();
        }
        let release = release.display().to_string();
        expect(2, &["release", "build", "--check", &release]).1
    };
    let err = built("model", &|t| {
        t.replace("tables/reviewer.cedar", "tables/analyst.cedar")
    });
    assert!(err.contains("model") && err.contains("SOD-1.3"), "{err}");
    let err = built("prompt", &|t| {
        t.replace("prompts/reviewer.md", "prompts/analyst.md")
    });
    assert!(err.contains("prompt") && err.contains("SOD-1.3"), "{err}");
    let err = built("owner", &|t| t.replace("\"rashid\"", "\"olivia\""));
    assert!(err.contains("owner") && err.contains("SOD-1.3"), "{err}");
    // Nor does such an agent act, whatever it is called: the case's own check.
    let server = Server::start(&example.dir());
    open(&server, "seats", "R0001");
    let read = json!({"type": "call", "case": "seats",
        "action": {"tool": "books.invoice_read", "arguments": {"invoice_id": "R0001"}}});
    server.refused(&server.token("executor"), &read, "not-permitted");
    server.stop();
}
