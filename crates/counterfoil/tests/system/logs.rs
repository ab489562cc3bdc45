//! What the server logs: a line for each request and for what goes on, and no secret in any of them, however much is asked for.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::{Value, json};

use crate::{
    models::{self, endpoint::Endpoint},
    rig::{Server, approve, binary, expect, key, records, sign, statement, wait_for},
};

/// Every word of the files that open something.
fn secrets(dir: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![dir.join("keys")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let Ok(text) = fs::read_to_string(&path) else {
                continue;
            };
            // Public keys and their names may be shown.
            let words = text.split_whitespace().filter(|word| word.len() >= 10);
            found.extend(
                words
                    .filter(|w| !w.contains("+") || !w.contains('.'))
                    .map(str::to_owned),
            );
        }
    }
    found.retain(|word| !word.starts_with("-----"));
    assert!(found.len() > 5, "{found:?}");
    found
}

#[test]
fn every_request_has_a_line_and_no_line_has_a_secret() {
    let endpoint = Endpoint::thinking(models::careful);
    let (example, subject) = models::example(&endpoint);
    let dir = example.dir();
    store::secret::write_secret(&dir.join("keys/hook"), &[b'k'; 40]).unwrap();
    let hook = "[desk]\nurl = \"http://127.0.0.1:9/of?key=query-secret-4\"\nsecret_files = [\"keys/hook\"]\n";
    fs::write(dir.join("webhooks.toml"), hook).unwrap();
    let said = example.home.path().join("said");
    let mut command = binary();
    command
        .env("COUNTERFOIL_LOG", "trace")
        .env("RUST_LOG", "trace")
        .env("RUST_BACKTRACE", "0")
        .stderr(fs::File::create(&said).unwrap());
    let server = Server::start_by(command, &dir, &["--log-format", "json"]);
    let (ana, local) = (server.token("analyst"), server.local());

    // Everything that goes in holds something that must not come out.
    let opening = json!({"case": "log-1", "environment": "staging", "subject": subject, "source": "source-secret-1"});
    let (status, answer) = server.post_text_to("/v1/cases", &local, &opening.to_string());
    assert_eq!(status, 200, "{answer}");
    assert_eq!(server.get("wrong-token-secret-2", "/v1/approvals").0, 401);
    assert_eq!(
        server
            .get(&ana, "/v1/nothing/path-secret-3?q=query-secret-4")
            .0,
        404
    );
    let call = json!({"action": {"tool": "treasury.transfer_create", "arguments": {"iban": "argument-secret-5", "amount_cents": 918_273}}});
    let path = "/v1/cases/log-1/calls";
    let (status, answer) = server.post_text_to(path, &ana, &call.to_string());
    assert_eq!(status, 403, "{answer}");
    let wrong = json!({"action": {"tool": "books.invoice_read", "arguments": {"invoice_id": "argument-secret-6"}}});
    assert_eq!(server.post_text_to(path, &ana, &wrong.to_string()).0, 403);
    assert_eq!(
        server.post_text_to(path, &ana, "{\"body-secret-7\": ").0,
        400
    );
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "books__invoice_read", "arguments": {"invoice_id": "argument-secret-8"},
        "_meta": {"counterfoil/rationale": "rationale-secret-9"},
    }});
    let (status, answer) = server.post_text_to("/mcp/staging", &ana, &message.to_string());
    assert_eq!(status, 200, "{answer}");
    let waiting = wait_for("the model's answer", || {
        server
            .waiting()
            .into_iter()
            .find(|w| w["case"] == "log-1")
            .or_else(|| {
                records(&dir)
                    .iter()
                    .any(|r| r["kind"] == "case.closed" && r["case"] == "log-1")
                    .then(|| json!(null))
            })
    });
    if !waiting.is_null() {
        let no = statement(&waiting, "amira", "reject", "reason-secret-10");
        let no = approve(sign(&key(&dir, "amira"), &no));
        assert_eq!(server.post(&local, &no).0, 200);
    }
    assert!(!endpoint.seen().is_empty(), "the model was asked");
    wait_for("the attempt at the webhook", || {
        let text = fs::read_to_string(&said).unwrap();
        text.contains("a webhook is not taken").then_some(())
    });
    server.stop();

    let text = fs::read_to_string(&said).unwrap();
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect();
    let requests: Vec<_> = lines
        .iter()
        .filter(|l| l["target"] == "counterfoil::access")
        .collect();
    let of = |route: &str, status: u16| {
        let found = requests
            .iter()
            .find(|l| l["route"] == route && l["status"] == status);
        *found.unwrap_or_else(|| panic!("no line of {route} with {status} in {text}"))
    };
    let called = of("/v1/cases/{case}/calls", 403);
    assert_eq!(
        (&called["principal"], &called["case"]),
        (&json!("analyst"), &json!("log-1"))
    );
    assert_eq!(
        (&called["method"], &called["level"]),
        (&json!("POST"), &json!("INFO"))
    );
    assert!(
        called["duration_us"].as_u64() > Some(0) && called["request"].as_str().unwrap().len() == 16
    );
    assert_eq!(of("/v1/cases", 200)["case"], "log-1");
    assert!(of("/v1/approvals", 401)["principal"].is_null());
    assert_eq!(of("/v1/{*rest}", 404)["status"], 404);
    let mcp = of("/mcp/{environment}", 200);
    assert_eq!(mcp["principal"], "analyst");
    assert!(mcp["case"].as_str().unwrap().starts_with("mcp-"), "{mcp}");
    for message in [
        "serving",
        "stopping",
        "a target is connected",
        "exception raised",
        "refused",
        "recorded",
        "the log is open",
    ] {
        assert!(
            lines.iter().any(|l| l["message"] == message),
            "no `{message}` in {text}"
        );
    }
    // The words of the test, and everything in the data directory that opens something.
    assert!(!text.contains("-secret-"), "{text}");
    for word in
        secrets(&dir)
            .iter()
            .map(String::as_str)
            .chain([models::KEY, "918273", "What you obey"])
    {
        assert!(!text.contains(word), "`{word}` is in the log");
    }
}

#[test]
fn what_is_written_is_chosen_and_a_wrong_choice_is_refused() {
    let example = crate::rig::Example::new(1);
    let arg = example.arg();
    let of = |filter: &str, more: &[&str]| {
        let mut command = binary();
        command
            .args(["run", "--dir", &arg])
            .args(more)
            .env("COUNTERFOIL_LOG", filter);
        let done = command.output().unwrap();
        (
            done.status.code(),
            String::from_utf8_lossy(&done.stderr).into_owned(),
        )
    };
    assert_eq!(of("off", &[]), (Some(0), String::new()));
    let (code, text) = of("engine=debug", &[]);
    assert!(
        code == Some(0) && text.contains("DEBUG engine::shell: the log is open"),
        "{text}"
    );
    let (code, text) = of("engine=loud", &[]);
    assert!(
        code == Some(2) && text.contains("COUNTERFOIL_LOG"),
        "{text}"
    );
    // Commands say what they said: a line as it is.
    let (_, err) = expect(0, &["case", "list", "--dir", &arg]);
    assert_eq!(err, "");
}
