//! The HTTP API as apps and agents meet it: described, idempotent, in pages, followed, limited; effects by their caller.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ed25519_dalek::Signer as _;
use serde_json::{Value, json};

use crate::rig::{Example, Server, expect, key, records, wait_for};

/// `UPDATE_OPENAPI=1 cargo test --workspace --test system openapi` writes the file anew.
#[test]
fn the_openapi_file_is_what_the_code_describes() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/openapi.json");
    let now = format!("{:#}\n", gateway::http::description());
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        fs::write(&file, &now).unwrap();
    }
    let kept = fs::read_to_string(&file).unwrap();
    assert!(
        kept == now,
        "docs/openapi.json is not what the code describes; see this test"
    );
}

/// A directory whose team works outside: agents of their own models, and a refund that its caller carries out.
pub(crate) struct Outside {
    home: tempfile::TempDir,
}

impl Outside {
    pub(crate) fn new() -> Self {
        let outside = Self {
            home: tempfile::TempDir::new().unwrap(),
        };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/desk/setup.sh");
        let done = std::process::Command::new("sh")
            .arg(script)
            .arg(outside.dir())
            .env("COUNTERFOIL", crate::rig::BINARY)
            .env("COUNTERFOIL_GUARDS", crate::rig::GUARDS)
            .output()
            .unwrap();
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
        outside
    }

    pub(crate) fn dir(&self) -> std::path::PathBuf {
        self.home.path().join("data")
    }
}

/// Sends JSON with a key; the status, whether it was told again, and the answer.
fn send(server: &Server, token: &str, path: &str, key: &str, body: &Value) -> (u16, bool, Value) {
    let agent = ureq::Agent::new_with_config(
        ureq::Agent::config_builder()
            .http_status_as_error(false)
            .build(),
    );
    let mut answer = agent
        .post(format!("{}{path}", server.url))
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
        .header("idempotency-key", key)
        .send(body.to_string())
        .unwrap();
    let (status, again) = (
        answer.status().as_u16(),
        answer.headers().contains_key("idempotent-replayed"),
    );
    let text = answer.body_mut().read_to_string().unwrap();
    let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
    (status, again, value)
}

/// What an agent recommends with what retrieval found first.
fn recommend(server: &Server, token: &str, case: &str, duty: &str, cents: i64) -> Value {
    let (status, _, found) = send(
        server,
        token,
        &format!("/v1/cases/{case}/retrievals"),
        &format!("{case}-{duty}-r"),
        &json!({"query": "refunds"}),
    );
    assert_eq!(status, 200, "{found}");
    let (_, me) = server.get(token, "/v1/me?environment=staging");
    let (_, view) = server.get(token, &format!("/v1/cases/{case}"));
    let body = json!({
        "duty": duty, "stance": "proceed", "action": refund(cents), "confidence": 90, "rationale": "The order was lost.",
        "clauses": [found["ranking"][0]["clause"]], "model": me["agent"]["model"], "prompt": me["agent"]["prompt"],
        "inputs": [view["snapshot"]],
    });
    let path = format!("/v1/cases/{case}/recommendations");
    let (status, _, made) = send(server, token, &path, &format!("{case}-{duty}"), &body);
    assert_eq!(status, 200, "{made}");
    made
}

fn refund(cents: i64) -> Value {
    json!({"tool": "desk.refund", "arguments": {"order_id": "o-17", "amount_cents": cents}})
}

#[test]
fn an_effect_is_carried_out_by_its_caller_once_and_reported() {
    let outside = Outside::new();
    let server = Server::start(&outside.dir());
    let (ana, rev, exe) = (
        server.token("analyst"),
        server.token("reviewer"),
        server.token("executor"),
    );
    // The same key opens one case, and its answer is told again also by another process.
    let opening = json!({"environment": "staging", "subject": "o-17", "source": "please refund"});
    let (status, again, opened) = send(&server, &ana, "/v1/cases", "k-1", &opening);
    assert_eq!((status, again), (200, false), "{opened}");
    let (_, again, same) = send(&server, &ana, "/v1/cases", "k-1", &opening);
    assert!(again);
    assert_eq!(opened, same);
    let other = json!({"environment": "staging", "subject": "o-18", "source": ""});
    let (status, _, reused) = send(&server, &ana, "/v1/cases", "k-1", &other);
    assert_eq!((status, reused["code"].as_str()), (422, Some("key-reused")));
    let case = opened["case"].as_str().unwrap().to_owned();

    recommend(&server, &ana, &case, "prepare", 5_000);
    let judged = recommend(&server, &rev, &case, "review", 5_000);
    assert_eq!(judged["route"], "approval", "{judged}");
    let approval = judged["approval"].as_str().unwrap();

    // A person signs the bytes that the door shows, and sends them without anybody's token.
    let path = format!(
        "/v1/approvals/{approval}/statement?signer=amira&credential=amira.key-1&decision=approve"
    );
    let (status, shown) = server.get(&ana, &path);
    assert_eq!(status, 200, "{shown}");
    let bytes = BASE64_STANDARD
        .decode(shown["bytes"].as_str().unwrap())
        .unwrap();
    let signature = key(&outside.dir(), "amira").sign(&bytes);
    let signed = json!({
        "statement": shown["statement"], "signature": BASE64_STANDARD.encode(signature.to_bytes()),
    });
    let (status, _, granted) = send(&server, "", "/v1/statements", "s-1", &signed);
    assert_eq!(status, 200, "{granted}");
    let grant = granted["grant"].as_str().unwrap().to_owned();
    let using = json!({"action": refund(5_000)});
    let path = format!("/v1/grants/{grant}/use");
    // The built-in executor leaves it alone, a changed action is refused, and only one use goes.
    let (status, _, refused) = send(
        &server,
        &exe,
        &path,
        "u-0",
        &json!({"action": refund(5_001)}),
    );
    assert_eq!(
        (status, refused["refusal"]["code"].as_str()),
        (403, Some("wrong-binding"))
    );
    let (status, _, used) = send(&server, &exe, &path, "u-1", &using);
    assert_eq!((status, &used["carry_out"]), (200, &json!(true)), "{used}");
    let (status, _, twice) = send(&server, &exe, &path, "u-2", &using);
    assert_eq!((status, twice["code"].as_str()), (403, Some("replayed")));
    // A stranger reports nothing.
    let path = format!("/v1/grants/{grant}/outcome");
    let report = json!({"outcome": "succeeded", "detail": "done", "result": {"refund": "r-1"}});
    let (status, _, stranger) = send(&server, &ana, &path, "o-0", &report);
    assert_eq!(
        (status, stranger["code"].as_str()),
        (403, Some("not-your-duty"))
    );
    server.stop();

    // What a crash or a lost answer leaves, the log tells.
    let server = Server::start(&outside.dir());
    let (_, again, told) = send(
        &server,
        &exe,
        &format!("/v1/grants/{grant}/use"),
        "u-1",
        &using,
    );
    assert!(again);
    assert_eq!(told, used);
    let (_, view) = server.get(&ana, &format!("/v1/cases/{case}"));
    assert_eq!(
        view["stage"], "executing",
        "a start leaves it to its caller"
    );
    let (status, _, ended) = send(&server, &exe, &path, "o-1", &report);
    assert_eq!(
        (status, ended["ended"].as_str()),
        (200, Some("executed")),
        "{ended}"
    );
    let (_, again, same) = send(&server, &exe, &path, "o-1", &report);
    assert!(again);
    assert_eq!(ended, same);
    server.stop();
    let kinds: Vec<_> = records(&outside.dir())
        .iter()
        .filter(|r| r["case"] == case.as_str() && r["kind"] != "request.refused")
        .map(|r| r["kind"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        kinds,
        [
            "case.opened",
            "clauses.retrieved",
            "recommendation.made",
            "clauses.retrieved",
            "recommendation.made",
            "verdict.reached",
            "approval.requested",
            "approval.given",
            "grant.issued",
            "grant.used",
            "outcome.recorded",
            "case.closed"
        ]
    );
    let dir = outside.dir().display().to_string();
    expect(
        0,
        &["log", "verify", &dir, "--vkey", &format!("{dir}/log.vkey")],
    );
    expect(0, &["audit", "reperform", "--dir", &dir]);
}

#[test]
fn a_decision_made_elsewhere_is_taken_down_and_ends_its_case() {
    let outside = Outside::new();
    let server = Server::start(&outside.dir());
    let ana = server.token("analyst");
    let opening = json!({"case": "d-1", "environment": "staging", "subject": "o-9"});
    assert_eq!(send(&server, &ana, "/v1/cases", "a", &opening).0, 200);
    let (_, clauses) = server.get(&ana, "/v1/clauses?environment=staging&limit=1");
    let decision = json!({
        "stance": "refuse", "confidence": 99, "rationale": "Too old.", "clauses": [clauses["items"][0]["clause"]],
        "model": "rules of 2019", "system": "the old desk",
    });
    let (status, _, recorded) = send(&server, &ana, "/v1/cases/d-1/decisions", "b", &decision);
    assert_eq!(
        (status, recorded["ended"].as_str()),
        (200, Some("recorded"))
    );
    let (_, view) = server.get(&ana, "/v1/cases/d-1");
    assert_eq!(
        (&view["stage"], &view["ended"]),
        (&json!("ended"), &json!("recorded"))
    );
}

#[test]
fn approvals_are_followed_and_gone_on_with() {
    let outside = Outside::new();
    let server = Server::start(&outside.dir());
    let (ana, rev) = (server.token("analyst"), server.token("reviewer"));
    for case in ["e-1", "e-2"] {
        let opening = json!({"case": case, "environment": "staging", "subject": case});
        assert_eq!(send(&server, &ana, "/v1/cases", case, &opening).0, 200);
        recommend(&server, &ana, case, "prepare", 7_000);
        recommend(&server, &rev, case, "review", 7_000);
    }
    let follow = |last: Option<u64>, wanted: usize| {
        let mut request = ureq::get(format!("{}/v1/approvals/events", server.url))
            .header("authorization", format!("Bearer {ana}"));
        if let Some(last) = last {
            request = request.header("last-event-id", last.to_string());
        }
        let answer = request.call().unwrap();
        let lines = BufReader::new(answer.into_body().into_reader()).lines();
        let ids = lines
            .map(Result::unwrap)
            .filter_map(|l| l.strip_prefix("id: ")?.parse::<u64>().ok());
        ids.take(wanted).collect::<Vec<_>>()
    };
    let all = follow(Some(0), 2);
    assert_eq!(all.len(), 2);
    assert_eq!(follow(Some(all[0]), 1), all[1..]);
    let (status, problem) = server.get(&ana, "/v1/approvals?limit=0");
    assert_eq!((status, problem["code"].as_str()), (400, Some("malformed")));
    // Pages give each once.
    let (_, first) = server.get(&ana, "/v1/approvals?limit=1");
    let next = first["next"].as_str().unwrap();
    let (_, second) = server.get(&ana, &format!("/v1/approvals?limit=1&cursor={next}"));
    assert_ne!(
        first["items"][0]["approval"],
        second["items"][0]["approval"]
    );
    assert!(second["next"].is_null());
}

#[test]
fn refusals_run_out_and_routes_that_are_not_there_say_so() {
    let example = Example::new(1);
    fs::write(
        example.dir().join("api.toml"),
        "[limits.refusals]\nburst = 3\nper_second = 0.001\n",
    )
    .unwrap();
    let server = Server::start(&example.dir());
    let ana = server.token("analyst");
    let open = json!({"type": "open_case", "case": "x", "environment": "staging", "subject": "s", "snapshot": "0".repeat(64)});
    for _ in 0..3 {
        assert_eq!(server.post(&ana, &open).0, 403);
    }
    let before = server.get(&ana, "/v1/status").1["size"].clone();
    let (status, problem) = server.post(&ana, &open);
    assert_eq!((status, problem["code"].as_str()), (429, Some("too-many")));
    assert!(problem["retry_after"].as_u64().unwrap() > 0);
    assert_eq!(server.get(&ana, "/v1/status").1["size"], before);
    let rev = server.token("reviewer");
    assert_eq!(server.post(&rev, &open).0, 403, "another's bucket is full");
    assert_eq!(server.get(&rev, "/v1/nothing").0, 404);
    assert_eq!(server.get(&rev, "/v1/requests").0, 405);
    wait_for("the description", || {
        (server.get("", "/v1/openapi.json").1["openapi"] == "3.1.0").then_some(())
    });
}
