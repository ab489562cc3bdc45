//! The real program `books`, spoken to in JSON-RPC over its stdin and stdout.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, like the tests"
)]

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
};

use payables::{books::Books, data_files};
use serde_json::{Value, json};

/// Sends all requests at once, closes stdin, and returns the answers by id with the program's exit.
fn talk(data: &Path, requests: &[Value]) -> (Vec<Value>, std::process::ExitStatus) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_books"))
        .arg("--data")
        .arg(data)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut answers = Vec::new();
    for request in requests {
        writeln!(stdin, "{request}").unwrap();
        if request.get("id").is_some() {
            answers.push(serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap());
        }
    }
    drop(stdin);
    (answers, child.wait().unwrap())
}

#[test]
fn answers_over_mcp_what_the_library_answers_and_ends_with_stdin() {
    let dir = tempfile::TempDir::new().unwrap();
    for (name, text) in data_files() {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    let hello = json!({
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "0"},
    });
    let request = |id: u32, method: &str, params: Value| json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
    let (answers, exit) = talk(
        dir.path(),
        &[
            request(1, "initialize", hello),
            json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
            request(2, "tools/list", json!({})),
            request(
                3,
                "tools/call",
                json!({"name": "related_read", "arguments": {"invoice_id": "R0001"}}),
            ),
            request(
                4,
                "tools/call",
                json!({"name": "vendor_read", "arguments": {"row": "R0001"}}),
            ),
        ],
    );
    assert!(exit.success());
    assert_eq!(answers[0]["result"]["serverInfo"]["name"], "books");
    let tools = answers[1]["result"]["tools"].as_array().unwrap();
    assert_eq!(tools.len(), 5);
    assert!(
        tools
            .iter()
            .all(|t| t["annotations"]["readOnlyHint"] == true)
    );
    let books = Books::from_files(&data_files()).unwrap();
    assert_eq!(
        answers[2]["result"]["structuredContent"],
        books.related("R0001")
    );
    assert_eq!(answers[3]["result"]["isError"], true);
}

#[test]
fn without_its_files_it_says_which_and_ends() {
    let dir = tempfile::TempDir::new().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_books"))
        .arg("--data")
        .arg(dir.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(4));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("vendors.csv")
    );
}
