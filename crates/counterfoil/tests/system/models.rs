//! Language models through the real binary: set up by files, asked over HTTP, killed between question and answer.

use std::{fs, process::Stdio, time::Duration};

use serde_json::{Value, json};

#[path = "../../../agents/tests/team/endpoint.rs"]
pub(crate) mod endpoint;

use crate::rig::{Example, binary, expect, other_release, paid, records, row, sound, wait_for};
use endpoint::{Endpoint, Reply, Says, Seen};

pub(crate) const KEY: &str = "sk-of-a-test";

/// The analyst on a language model; the reviewer stays on its table.
fn speaking(path: &str, text: String) -> String {
    match path {
        "team.toml" => {
            let rules = r#"model = { kind = "rules", table = "tables/analyst.cedar" }"#;
            assert!(text.contains(rules));
            let model = r#"model = { kind = "anthropic", id = "alpha-1", family = "acme", max_tokens = 500 }"#;
            text.replace(rules, model)
        }
        "tables/analyst.cedar" => String::new(),
        _ => text,
    }
}

/// A directory whose analyst asks this endpoint, and the row of an invoice.
pub(crate) fn example(endpoint: &Endpoint) -> (Example, String) {
    let example = Example::new(1);
    other_release(&example, speaking);
    let key = example.dir().join("keys/model");
    store::secret::write_secret(&key, KEY.as_bytes()).unwrap();
    let setting = format!(
        "[anthropic]\nurl = \"http://127.0.0.1:{}/v1\"\nkey_file = \"keys/model\"\n",
        endpoint.port
    );
    fs::write(example.dir().join("models.toml"), setting).unwrap();
    let invoices = fs::read_to_string(example.dir().join("targets/books/invoices.csv")).unwrap();
    let first = invoices.lines().nth(1).unwrap();
    let subject = first.split(',').next().unwrap().to_owned();
    (example, subject)
}

/// The records of a kind.
fn of_kind(example: &Example, kind: &str) -> Vec<Value> {
    let mut records = records(&example.dir());
    records.retain(|r| r["kind"] == kind);
    records
}

/// Reads the invoice, looks a clause up, and asks for a human.
pub(crate) fn careful(seen: &Seen) -> Says {
    let matter = seen.body["messages"][0]["content"].as_str().unwrap();
    let subject = matter.split('`').nth(3).unwrap();
    if !matter.contains("answer of books.invoice_read") {
        return Says::Calls(vec![("books_invoice_read", json!({"invoice_id": subject}))]);
    }
    let Some((_, rest)) = matter.split_once("<clause id=\"") else {
        let query = json!({"query": "what a human decides"});
        return Says::As("alpha-1", "find_clauses", query);
    };
    let clause = rest.split('"').next().unwrap();
    Says::Call(
        "recommend",
        json!({"stance": "refer", "confidence": 50, "rationale": "Look at it.", "clauses": [clause]}),
    )
}

#[test]
fn a_process_that_is_killed_between_question_and_answer_goes_on_and_repeats_nothing_in_silence() {
    let mut asked = 0;
    let endpoint = Endpoint::thinking(move |seen| {
        asked += 1;
        match asked {
            1 => Says::Prose("Good morning!"),
            3 => {
                let mut never = Reply::new(200, "{}");
                never.after = Duration::from_secs(600);
                Says::Raw(never)
            }
            _ => careful(seen),
        }
    });
    let (example, subject) = example(&endpoint);
    let source = example.home.path().join("source.csv");
    row(&example.dir(), &subject, &source);
    let mut child = binary()
        .args([
            "run",
            "--case",
            "live",
            "--env",
            "staging",
            "--subject",
            &subject,
        ])
        .args([
            "--source",
            &source.display().to_string(),
            "--dir",
            &example.arg(),
        ])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    wait_for("the third question", || {
        (endpoint.seen().len() == 3).then_some(())
    });
    child.kill().unwrap();
    child.wait().unwrap();
    expect(0, &["run", "--dir", &example.arg()]);
    let answers = of_kind(&example, "model.answered");
    let results: Vec<_> = answers
        .iter()
        .map(|r| r["body"]["request"]["result"].as_str().unwrap())
        .collect();
    assert_eq!(results, ["malformed", "usable", "lost", "usable", "usable"]);
    assert_eq!(of_kind(&example, "model.called").len(), 5);
    // Each question that was sent was recorded, and each that was recorded was sent.
    let seen = endpoint.seen();
    assert_eq!(seen.len(), 5);
    for seen in &seen {
        assert!(
            seen.headers
                .contains(&("x-api-key".to_owned(), KEY.to_owned()))
        );
        assert_eq!(seen.path, "/v1/messages");
    }
    assert_eq!(paid(&example.dir()), 0);
    sound(&example.dir());
    let (shown, _) = expect(0, &["case", "show", "live", "--dir", &example.arg()]);
    assert!(shown.contains("asks its model `acme/alpha-1`"), "{shown}");
    let (replayed, _) = expect(0, &["case", "replay", "live", "--dir", &example.arg()]);
    assert!(
        replayed.contains("What you obey"),
        "the question itself is kept"
    );
    assert!(!replayed.contains(KEY) && !replayed.contains("DIFFERENT"));
}

#[test]
fn what_is_not_set_up_is_said_and_asks_nobody() {
    let endpoint = Endpoint::thinking(careful);
    let (example, subject) = example(&endpoint);
    let source = example.home.path().join("source.csv");
    row(&example.dir(), &subject, &source);
    let setting = example.dir().join("models.toml");
    let source = source.display().to_string();
    let dir = example.arg();
    let go = |case: &str, code: i32| {
        let args = [
            "run",
            "--case",
            case,
            "--env",
            "staging",
            "--subject",
            &subject,
        ];
        expect(
            code,
            &[&args[..], &["--source", &source, "--dir", &dir]].concat(),
        )
        .1
    };
    fs::write(
        &setting,
        "[anthropic]\nurl = \"http://models.example/v1\"\n",
    )
    .unwrap();
    assert!(go("a", 2).contains("plain_http"));
    fs::write(
        &setting,
        "[anthropic]\nurl = \"https://models.example/v1\"\nkey_env = \"NOBODY_SETS_THIS\"\n",
    )
    .unwrap();
    assert!(go("b", 2).contains("NOBODY_SETS_THIS"));
    fs::remove_file(&setting).unwrap();
    assert!(go("c", 4).contains("endpoint `anthropic` is not set up"));
    assert!(endpoint.seen().is_empty());
    assert!(of_kind(&example, "model.called").is_empty());
}
