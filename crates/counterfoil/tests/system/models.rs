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

/// A case of the analyst that a human decides, on a model that is asked three times.
fn referred(example: &Example, subject: &str) {
    let source = example.home.path().join("source.csv");
    row(&example.dir(), subject, &source);
    let (source, dir) = (source.display().to_string(), example.arg());
    let args = ["run", "--case", "live", "--env", "staging", "--subject"];
    expect(
        0,
        &[&args[..], &[subject, "--source", &source, "--dir", &dir]].concat(),
    );
}

fn objects(out: &str) -> Vec<Value> {
    out.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_case_is_run_again_on_what_its_models_said() {
    let endpoint = Endpoint::thinking(careful);
    let (example, _) = example(&endpoint);
    // Nobody else has work with it.
    let invoices = fs::read_to_string(example.dir().join("targets/books/invoices.csv")).unwrap();
    let last = invoices.lines().last().unwrap();
    let subject = last.split(',').next().unwrap().to_owned();
    referred(&example, &subject);
    let (dir, arg) = (example.dir(), example.arg());
    let replay = |code: i32, more: &[&str]| {
        let args = ["case", "replay", "live", "--dir", &arg];
        expect(code, &[&args[..], more].concat())
    };
    let (out, _) = replay(0, &["--model"]);
    assert!(
        out.contains("question made again: the same") && out.contains("calls books.invoice_read("),
        "{out}"
    );
    let (out, _) = replay(0, &["--model", "--json"]);
    let lines = objects(&out);
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[3]["questions"], 3);
    assert_eq!(lines[3]["same"], 3);
    assert_eq!(lines[0]["question"]["result"], "same");
    assert_eq!(endpoint.seen().len(), 3, "nobody was asked again");
    // Wrong words, and a case of another kind.
    replay(2, &["--model", "--live"]);
    replay(2, &["--yes"]);
    replay(2, &["--model", "--snapshots", "/nowhere"]);
    let (cases, _) = expect(0, &["case", "list", "--json", "--dir", &arg]);
    let by_rules = objects(&cases).into_iter().find(|c| c["id"] != "live");
    let by_rules = by_rules.unwrap()["id"].as_str().unwrap().to_owned();
    let (_, err) = expect(2, &["case", "replay", &by_rules, "--model", "--dir", &arg]);
    assert!(err.contains("no language model was asked"), "{err}");
    expect(2, &["case", "replay", "nobody", "--model", "--dir", &arg]);

    // A bare copy of the log: with the snapshots and keys beside it, and without.
    let copy = example.home.path().join("copy");
    fs::create_dir_all(copy.join("keys")).unwrap();
    for part in ["log", "snapshots", "keys/subjects"] {
        crate::rig::copy(&dir.join(part), &copy.join(part));
    }
    let log = copy.join("log").display().to_string();
    let snapshots = copy.join("snapshots").display().to_string();
    let bare = ["case", "replay", "live", "--model", "--dir", &log];
    expect(0, &[&bare[..], &["--snapshots", &snapshots]].concat());
    let (_, err) = expect(4, &bare);
    assert!(err.contains("--snapshots"), "{err}");

    // One byte of a question.
    let question = &of_kind(&example, "model.called")[1]["body"]["request"]["snapshot"];
    let question = question.as_str().unwrap();
    let file = dir.join(format!("snapshots/{}/{question}", &question[..2]));
    let whole = fs::read(&file).unwrap();
    let mut changed = whole.clone();
    *changed.last_mut().unwrap() ^= 1;
    fs::write(&file, changed).unwrap();
    let (out, err) = replay(1, &["--model"]);
    assert!(out.contains("DAMAGED"), "{out}");
    assert!(err.contains("is not what the log says"), "{err}");
    fs::write(&file, whole).unwrap();
    replay(0, &["--model"]);

    // What is erased is said to be, and nothing is claimed of it.
    for (word, who) in [("request", "olivia"), ("confirm", "amira")] {
        let tail = ["--as", who, "--reason", "a letter", "--dir", &arg];
        expect(0, &[&["erase", word, &subject], &tail[..]].concat());
    }
    let (out, _) = replay(0, &["--model"]);
    assert!(out.contains("was erased under record"), "{out}");
    let (out, _) = replay(0, &["--model", "--json"]);
    assert_eq!(objects(&out)[3]["erased"], 3);
    assert_eq!(objects(&out)[3]["same"], 0);
    let (_, err) = replay(4, &["--live", "--yes"]);
    assert!(err.contains("no question can be asked again"), "{err}");
    assert_eq!(endpoint.seen().len(), 3);
}

#[test]
fn live_models_are_asked_again_only_when_told_so_and_nothing_is_recorded() {
    let mut asked = 0;
    let endpoint = Endpoint::thinking(move |seen| {
        asked += 1;
        match (asked, careful(seen)) {
            // The third time round the model is another one.
            (9, Says::Call(name, mut said)) => {
                said["stance"] = json!("refuse");
                Says::Call(name, said)
            }
            (10, _) => Says::Raw(Reply::new(503, "away")),
            (_, says) => says,
        }
    });
    let (example, subject) = example(&endpoint);
    referred(&example, &subject);
    let arg = example.arg();
    let size = records(&example.dir()).len();
    let replay = |code: i32, more: &[&str]| {
        let args = ["case", "replay", "live", "--live", "--dir", &arg];
        expect(code, &[&args[..], more].concat())
    };
    let (_, err) = replay(2, &[]);
    assert!(
        err.contains("3 questions") && err.contains("3 to `anthropic`") && err.contains("--yes"),
        "{err}"
    );
    assert_eq!(endpoint.seen().len(), 3, "nothing was sent");
    let (out, _) = replay(0, &["--yes"]);
    assert!(out.contains("3 answered to the same effect"), "{out}");
    assert!(!out.contains(KEY));
    let (out, err) = replay(1, &["--yes", "--json"]);
    let lines = objects(&out);
    assert_eq!(lines[2]["verdict"]["differences"][0]["what"], "the stance");
    assert_eq!(lines[3]["differing"], 1);
    assert_eq!(lines[0]["now"]["tokens"], json!([100, 10]));
    assert!(err.contains("say otherwise to 1 of 3"), "{err}");
    let (out, err) = replay(4, &["--yes", "--most", "1"]);
    assert!(out.contains("1 questions: 0 answered"), "{out}");
    assert!(err.contains("1 questions were not answered"), "{err}");
    assert_eq!(endpoint.seen().len(), 10);
    assert_eq!(records(&example.dir()).len(), size);

    // Whoever is stopped is not asked in this way either.
    expect(
        0,
        &[
            "freeze", "--agent", "analyst", "--reason", "odd", "--dir", &arg,
        ],
    );
    expect(0, &["run", "--dir", &arg]);
    let (_, err) = replay(3, &["--yes"]);
    assert!(err.contains("is frozen since record"), "{err}");
    assert_eq!(endpoint.seen().len(), 10);
}
