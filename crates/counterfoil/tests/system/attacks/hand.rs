//! Agents from outside, over HTTP: cases taken up to their review, or their verdict, by hand.

use std::sync::LazyLock;

use duty::release::{Agent, Rules as _};
use policy::Release;
use serde_json::{Value, json};

use crate::rig::Server;

fn recommend(server: &Server, agent: &str, mut body: Value) -> (u16, Value) {
    body["type"] = json!("recommend");
    server.post(&server.token(agent), &body)
}

/// A case opened over HTTP and left to an attacker: the built-in team does not know its source.
pub(crate) fn open(server: &Server, case: &str, subject: &str) {
    let request = json!({"type": "open_case", "case": case, "environment": "staging", "subject": subject,
        "snapshot": "0".repeat(64)});
    let (status, answer) = server.post_as(&server.local(), Some("engine"), &request);
    assert_eq!(status, 200, "{answer}");
}

/// Takes a case up to its review over HTTP, as an agent from outside would, and gives the review, ready to be sent.
pub(crate) fn by_hand(server: &Server, case: &str, subject: &str) -> Value {
    by_hand_with(server, case, subject, |_| {})
}

/// As [`by_hand`], over an action that is changed first.
pub(crate) fn by_hand_with(
    server: &Server,
    case: &str,
    subject: &str,
    change: impl Fn(&mut Value),
) -> Value {
    open(server, case, subject);
    let recommendation = |agent: &str, duty: &str| {
        let token = server.token(agent);
        let call = |tool: &str, arguments: Value| {
            let request = json!({"type": "call", "case": case, "action": {"tool": tool, "arguments": arguments}});
            let (status, answer) = server.post(&token, &request);
            assert_eq!(status, 200, "{answer}");
            answer["answer"].clone()
        };
        let invoice = call("books.invoice_read", json!({"invoice_id": subject}));
        let vendor = call(
            "books.vendor_read",
            json!({"vendor_id": invoice["vendor_id"]}),
        );
        if duty == "prepare" {
            call("books.order_read", json!({"order_id": invoice["order_id"]}));
            call(
                "books.receipt_read",
                json!({"order_id": invoice["order_id"]}),
            );
        }
        call("books.related_read", json!({"invoice_id": subject}));
        let query = json!({"type": "retrieve", "case": case, "query": "small payments threshold", "ranking": []});
        let (status, found) = server.post(&token, &query);
        assert_eq!(status, 200, "{found}");
        let mut action = json!({"tool": "treasury.transfer_create", "arguments": {
            "invoice_id": subject, "vendor_id": vendor["id"], "account": vendor["account"],
            "amount_cents": invoice["amount_cents"], "currency": invoice["currency"],
            "reference": invoice["number"]}});
        change(&mut action);
        json!({"type": "recommend", "case": case, "duty": duty, "stance": "proceed", "action": action,
            "confidence": 95, "rationale": "it matches", "clauses": [found["ranking"][0]["clause"]],
            "model": model(agent), "prompt": prompt(agent), "inputs": ["0".repeat(64)]})
    };
    let (status, answer) = recommend(server, "analyst", recommendation("analyst", "prepare"));
    assert_eq!(status, 200, "{answer}");
    recommendation("reviewer", "review")
}

/// The digest of the prompt that the release pins for an agent.
pub(crate) fn prompt(agent: &str) -> String {
    pinned(agent).prompt.to_string()
}

/// The model that the release pins for an agent.
pub(crate) fn model(agent: &str) -> String {
    pinned(agent).model.clone().unwrap()
}

fn pinned(agent: &str) -> &'static Agent {
    static RELEASE: LazyLock<Release> =
        LazyLock::new(|| Release::from_files(payables::release_files()).unwrap());
    RELEASE.team().agent(&agent.parse().unwrap()).unwrap()
}

/// Takes a case through its review over HTTP; the kinds of the verdict's records.
pub(crate) fn judged(server: &Server, case: &str, subject: &str) -> Vec<String> {
    let review = by_hand(server, case, subject);
    let (status, answer) = server.post(&server.token("reviewer"), &review);
    assert_eq!(status, 200, "{answer}");
    let records = answer["records"].as_array().unwrap();
    records
        .iter()
        .map(|r| r["kind"].as_str().unwrap().to_owned())
        .collect()
}
