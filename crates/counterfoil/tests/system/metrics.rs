//! What monitoring reads: with a token of its own, and in step with the log.

use std::fs;

use serde_json::json;

use crate::rig::{Example, Server, records, signed, wait_for};

/// The value of a sample, by its name and labels as they are written.
#[track_caller]
fn sample(text: &str, name: &str) -> f64 {
    let line = text
        .lines()
        .find_map(|l| l.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no `{name}` in {text}"))
        .parse()
        .unwrap()
}

#[test]
fn metrics_are_read_with_their_own_token_and_follow_the_log() {
    let example = Example::new(40);
    let dir = example.dir();
    store::secret::write_secret(&dir.join("keys/hook"), &[b'k'; 40]).unwrap();
    // A receiver that is not there.
    let hook = "[desk]\nurl = \"http://127.0.0.1:9/\"\nsecret_files = [\"keys/hook\"]\n";
    fs::write(dir.join("webhooks.toml"), hook).unwrap();
    let server = Server::start(&dir);
    let token = fs::read_to_string(dir.join("keys/metrics.token")).unwrap();
    let token = token.trim();
    assert_eq!(server.get("another-token", "/metrics").0, 401);
    assert_eq!(server.get(&server.token("analyst"), "/metrics").0, 401);
    let read = || {
        let (status, text) = server.get(token, "/metrics");
        assert_eq!(status, 200, "{text}");
        text.as_str().unwrap().to_owned()
    };
    // It reads this and nothing else.
    assert_eq!(server.get(token, "/v1/approvals").0, 401);

    let waiting = server.waiting().len();
    let text = read();
    let of = |name: &str| sample(&text, name);
    assert!(waiting > 0);
    assert_eq!(
        of("counterfoil_approvals_waiting{environment=\"staging\"}"),
        waiting as f64
    );
    assert!(of("counterfoil_approvals_oldest_seconds{environment=\"staging\"}") > 0.0);
    assert_eq!(of("counterfoil_log_failed"), 0.0);
    let size = of("counterfoil_log_records");
    assert!(of("counterfoil_checkpoint_lag_records") <= size);
    let left =
        "counterfoil_threshold_left_actions{threshold=\"small-invoices\",environment=\"staging\"}";
    assert!(of(left) > 0.0);
    let raised = records(&dir)
        .iter()
        .filter(|r| r["kind"] == "exception.raised")
        .count();
    let open = text
        .lines()
        .filter(|l| l.starts_with("counterfoil_exceptions_open{"));
    let open: f64 = open
        .map(|l| l.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap())
        .sum();
    assert_eq!(open, raised as f64, "nobody has triaged any");

    // A refusal is counted under its code.
    let call =
        json!({"type": "call", "case": "no-such-case", "action": {"tool": "x.y", "arguments": {}}});
    assert_eq!(server.post(&server.token("analyst"), &call).0, 403);
    // So are calls through MCP, by what came of them; and what is not told yet.
    for (tool, arguments) in [
        ("books__invoice_read", json!({"invoice_id": "nobody's"})),
        ("books__burn", json!({})),
    ] {
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}});
        let sent = server.post_text_to("/mcp/staging", &server.token("analyst"), &call.to_string());
        assert_eq!(sent.0, 200, "{}", sent.1);
    }
    let no = signed(&server, &server.waiting()[0], "amira", "reject");
    assert_eq!(server.post(&server.local(), &no).0, 200);
    let text = wait_for("an attempt at the receiver", || {
        let text = read();
        (sample(
            &text,
            "counterfoil_webhook_failures_total{endpoint=\"desk\"}",
        ) > 0.0)
            .then_some(text)
    });
    let of = |name: &str| sample(&text, name);
    assert_eq!(of("counterfoil_mcp_calls_total{result=\"refused\"}"), 1.0);
    assert_eq!(of("counterfoil_mcp_calls_total{result=\"error\"}"), 1.0);
    assert_eq!(of("counterfoil_mcp_call_seconds_count"), 2.0);
    assert!(of("counterfoil_webhook_lag_records{endpoint=\"desk\"}") > 0.0);
    assert!(of("counterfoil_webhook_oldest_seconds{endpoint=\"desk\"}") >= 0.0);
    assert_eq!(of("counterfoil_webhook_disabled{endpoint=\"desk\"}"), 0.0);
    let refused = "counterfoil_decisions_total{request=\"call\",answer=\"wrong-state\"}";
    assert_eq!(sample(&text, refused), 1.0);
    assert!(sample(&text, "counterfoil_records_total{kind=\"request.refused\"}") >= 1.0);
    assert!(sample(&text, "counterfoil_decision_seconds_count") >= 1.0);
    assert!(sample(&text, "counterfoil_durable_seconds_count") >= 1.0);
    assert!(text.ends_with("# EOF\n"));
    // What another parser makes of it is for the checks of `./test`.
    let kept = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("metrics.txt");
    fs::write(kept, text).unwrap();
    server.stop();
}
