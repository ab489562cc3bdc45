//! The real program, spoken to in JSON-RPC over its stdin and stdout.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, like the tests"
)]

use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;

const TOKEN: &str = "a-token-of-the-tests";

struct Client {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    next: u64,
}

impl Client {
    fn start(db: &Path, token: Option<&str>, delay_ms: u64) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_treasury"));
        command
            .arg("--db")
            .arg(db)
            .arg("--delay-ms")
            .arg(delay_ms.to_string());
        command.env_remove("TREASURY_TOKEN");
        if let Some(token) = token {
            command.env("TREASURY_TOKEN", token);
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let mut client = Self {
            child,
            stdin,
            stdout,
            next: 1,
        };
        let hello = client.request(
            "initialize",
            json!({
                "protocolVersion": "2025-11-25",
                "capabilities": {},
                "clientInfo": {"name": "test", "version": "0"},
            }),
        );
        assert_eq!(hello["result"]["serverInfo"]["name"], "treasury");
        client.write(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        client
    }

    fn write(&mut self, message: &Value) {
        let stdin = self.stdin.as_mut().unwrap();
        writeln!(stdin, "{message}").unwrap();
        stdin.flush().unwrap();
    }

    fn send(&mut self, method: &str, params: Value) -> u64 {
        let id = self.next;
        self.next += 1;
        self.write(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        id
    }

    fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.send(method, params);
        loop {
            let mut line = String::new();
            assert!(
                self.stdout.read_line(&mut line).unwrap() > 0,
                "the server closed its stdout"
            );
            let message: Value = serde_json::from_str(&line).unwrap();
            if message["id"] == id {
                return message;
            }
        }
    }

    /// The structured answer, or the text of the tool's error.
    fn call(&mut self, tool: &str, arguments: Value) -> Result<Value, String> {
        let answer = self.request("tools/call", json!({"name": tool, "arguments": arguments}));
        let result = &answer["result"];
        assert!(result.is_object(), "no result: {answer}");
        let text = result["content"][0]["text"].as_str().unwrap().to_owned();
        if result["isError"] == true {
            return Err(text);
        }
        let structured = result["structuredContent"].clone();
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), structured);
        Ok(structured)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        drop(self.stdin.take());
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn database() -> (TempDir, PathBuf) {
    let dir = TempDir::new().unwrap();
    let db = dir.path().join("treasury.db");
    treasury::init(&db, TOKEN).unwrap();
    (dir, db)
}

fn order(key: &str, amount_cents: i64) -> Value {
    json!({
        "idempotency_key": key,
        "vendor_id": "V001",
        "account": "A001",
        "invoice_id": "R0001",
        "amount_cents": amount_cents,
        "currency": "EUR",
        "reference": "INV-1",
    })
}

#[test]
fn lists_its_tools_with_closed_schemas() {
    let (_dir, db) = database();
    let mut client = Client::start(&db, Some(TOKEN), 0);
    let answer = client.request("tools/list", json!({}));
    let tools = answer["result"]["tools"].as_array().unwrap();
    let names: Vec<_> = tools.iter().map(|t| t["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "transfer_create",
            "transfer_lookup",
            "transfer_list",
            "account_read"
        ]
    );
    for tool in tools {
        assert_eq!(tool["inputSchema"]["additionalProperties"], false);
        assert_eq!(
            tool["annotations"]["readOnlyHint"],
            tool["name"] != "transfer_create"
        );
    }
}

#[test]
fn executes_once_per_key() {
    let (_dir, db) = database();
    let mut client = Client::start(&db, Some(TOKEN), 0);
    let first = client.call("transfer_create", order("k1", 12_345)).unwrap();
    assert_eq!(
        (&first["id"], &first["created"]),
        (&json!("T000001"), &json!(true))
    );
    let again = client.call("transfer_create", order("k1", 12_345)).unwrap();
    assert_eq!(
        (&again["id"], &again["created"]),
        (&json!("T000001"), &json!(false))
    );
    let other = client
        .call("transfer_create", order("k1", 12_346))
        .unwrap_err();
    assert!(
        other.contains("`k1`") && other.contains("other arguments"),
        "{other}"
    );

    let all = treasury::transfers(&db).unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!((all[0].amount_cents, all[0].created_seq), (12_345, 1));
    assert_eq!(all[0].account.as_deref(), Some("A001"));
    let account = client.call("account_read", json!({})).unwrap();
    assert_eq!(account["balance_cents"], 1_000_000_000_000_i64 - 12_345);
}

#[test]
fn looks_up_and_lists() {
    let (_dir, db) = database();
    let mut client = Client::start(&db, Some(TOKEN), 0);
    for n in 1..=3 {
        client
            .call("transfer_create", order(&format!("k{n}"), n))
            .unwrap();
    }
    let found = client
        .call("transfer_lookup", json!({"idempotency_key": "k2"}))
        .unwrap();
    assert_eq!(
        (&found["found"], &found["amount_cents"]),
        (&json!(true), &json!(2))
    );
    let missing = client
        .call("transfer_lookup", json!({"idempotency_key": "k9"}))
        .unwrap();
    assert_eq!(missing, json!({"found": false, "idempotency_key": "k9"}));
    let page = client
        .call("transfer_list", json!({"after_seq": 1, "limit": 1}))
        .unwrap();
    assert_eq!(
        (&page["count"], &page["transfers"][0]["idempotency_key"]),
        (&json!(1), &json!("k2"))
    );
}

#[test]
fn refuses_what_it_must() {
    let (_dir, db) = database();
    let mut client = Client::start(&db, Some(TOKEN), 0);
    let with = |field: &str, value: Value| {
        let mut order = order("k", 100);
        order[field] = value;
        order
    };
    for (arguments, word) in [
        (with("amount_cents", json!(0)), "above zero"),
        (with("amount_cents", json!(-5)), "above zero"),
        (with("amount_cents", json!(1.5)), "bad arguments"),
        (with("amount_cents", json!("100")), "bad arguments"),
        (with("currency", json!("XYZ")), "`XYZ`"),
        (with("reference", json!(" ")), "`reference`"),
        (with("idempotency_key", json!("")), "`idempotency_key`"),
        (
            with("amount_cents", json!(9_000_000_000_000_i64)),
            "insufficient funds",
        ),
        (with("approved", json!(true)), "bad arguments"),
    ] {
        let refusal = client.call("transfer_create", arguments).unwrap_err();
        assert!(refusal.contains(word), "`{refusal}` does not say {word}");
    }
    let unknown = client.request("tools/call", json!({"name": "mint", "arguments": {}}));
    assert!(
        unknown["error"]["message"]
            .as_str()
            .unwrap()
            .contains("`mint`")
    );
    assert_eq!(treasury::transfers(&db).unwrap(), []);
}

#[test]
fn does_nothing_without_an_admitted_token() {
    let (_dir, db) = database();
    for token in [None, Some(""), Some("another")] {
        let mut client = Client::start(&db, token, 0);
        for (tool, arguments) in [
            ("transfer_create", order("k", 1)),
            ("transfer_lookup", json!({"idempotency_key": "k"})),
            ("transfer_list", json!({})),
            ("account_read", json!({})),
        ] {
            let refusal = client.call(tool, arguments).unwrap_err();
            assert!(refusal.starts_with("not authenticated"), "{refusal}");
        }
    }
    assert_eq!(treasury::transfers(&db).unwrap(), []);
    treasury::add_token(&db, "another").unwrap();
    let mut client = Client::start(&db, Some("another"), 0);
    client.call("transfer_create", order("k", 1)).unwrap();
}

#[test]
fn the_database_holds_no_token_text() {
    let (_dir, db) = database();
    treasury::init(&db, TOKEN).unwrap();
    for name in ["treasury.db", "treasury.db-wal"] {
        if let Ok(bytes) = std::fs::read(db.with_file_name(name)) {
            assert!(!bytes.windows(TOKEN.len()).any(|w| w == TOKEN.as_bytes()));
        }
    }
    assert!(treasury::init(&db, " ").is_err());
}

#[test]
fn killed_before_the_commit_leaves_nothing_and_after_it_leaves_the_transfer() {
    let (_dir, db) = database();
    let mut early = Client::start(&db, Some(TOKEN), 60_000);
    early.send(
        "tools/call",
        json!({"name": "transfer_create", "arguments": order("early", 1)}),
    );
    std::thread::sleep(Duration::from_millis(300));
    drop(early);
    assert_eq!(treasury::transfers(&db).unwrap(), []);

    let mut late = Client::start(&db, Some(TOKEN), 1_500);
    late.send(
        "tools/call",
        json!({"name": "transfer_create", "arguments": order("late", 2)}),
    );
    let mut seen = Vec::new();
    for _ in 0..300 {
        seen = treasury::transfers(&db).unwrap();
        if !seen.is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(late);
    assert_eq!(seen.len(), 1, "the commit was never seen");
    let mut next = Client::start(&db, Some(TOKEN), 0);
    let again = next.call("transfer_create", order("late", 2)).unwrap();
    assert_eq!(
        (&again["id"], &again["created"]),
        (&json!("T000001"), &json!(false))
    );
}

#[test]
fn ends_when_stdin_closes() {
    let (_dir, db) = database();
    let mut client = Client::start(&db, Some(TOKEN), 0);
    client.call("account_read", json!({})).unwrap();
    drop(client.stdin.take());
    for _ in 0..250 {
        if let Some(status) = client.child.try_wait().unwrap() {
            assert!(status.success());
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("the server still runs five seconds after its stdin was closed");
}
