//! Starting the binary, a server, and speaking to it as anybody.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use duty::{canonical, statement::ApprovalStatement};
use ed25519_dalek::{Signer as _, SigningKey, pkcs8::DecodePrivateKey};
use engine::clock::{Clock as _, SystemClock};
use serde::Serialize;
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_counterfoil");
pub(crate) const GUARDS: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/guards");

/// The binary, keeping its guards where the tests do.
pub(crate) fn binary() -> Command {
    let mut command = Command::new(BINARY);
    command.env("COUNTERFOIL_GUARDS", GUARDS);
    command
}

/// Runs the binary to its end.
pub(crate) fn run(args: &[&str]) -> Output {
    binary().args(args).stdin(Stdio::null()).output().unwrap()
}

/// Runs it and expects an exit code; gives what it printed.
#[track_caller]
pub(crate) fn expect(code: i32, args: &[&str]) -> (String, String) {
    let output = run(args);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{args:?}\n{out}\n{err}");
    (out, err)
}

/// `principal add`, which ends with an exit code; gives what it said of it.
#[track_caller]
pub(crate) fn add_principal(code: i32, dir: &str, id: &str, what: &[&str]) -> String {
    let who = ["principal", "add", id];
    expect(code, &[&who[..], what, &["--dir", dir]].concat()).1
}

/// What is said of an analyst of olivia's.
pub(crate) const ANALYST: &[&str] = &["--owner", "olivia", "--role", "analyst"];

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A directory with the example set up and so many cases run.
pub(crate) struct Example {
    pub(crate) home: TempDir,
    pub(crate) summary: Value,
}

impl Example {
    pub(crate) fn new(cases: usize) -> Self {
        let home = TempDir::new().unwrap();
        let summary = demo(&home.path().join("data"), cases);
        Self { home, summary }
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.home.path().join("data")
    }

    pub(crate) fn arg(&self) -> String {
        self.dir().display().to_string()
    }
}

/// `demo --once --json`: its one summary object.
#[track_caller]
pub(crate) fn demo(dir: &Path, cases: usize) -> Value {
    let (dir, cases) = (dir.display().to_string(), cases.to_string());
    let (out, _) = expect(
        0,
        &["demo", "--once", "--json", "--dir", &dir, "--cases", &cases],
    );
    assert_eq!(out.lines().count(), 1, "one summary object: {out}");
    serde_json::from_str(&out).unwrap()
}

/// A server of a data directory, on a port of its own choosing.
pub(crate) struct Server {
    child: Child,
    pub(crate) dir: PathBuf,
    pub(crate) url: String,
}

impl Server {
    pub(crate) fn start(dir: &Path) -> Self {
        Self::start_with(dir, &[])
    }

    pub(crate) fn start_with(dir: &Path, more: &[&str]) -> Self {
        Self::start_by(binary(), dir, more)
    }

    /// A server whose clock stands so many minutes from where it is.
    pub(crate) fn start_at(dir: &Path, minutes: i64) -> Self {
        let mut command = binary();
        command
            .env("LD_PRELOAD", faketime())
            .env("FAKETIME", format!("{minutes:+}m"))
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        Self::start_by(command, dir, &[])
    }

    pub(crate) fn start_by(mut command: Command, dir: &Path, more: &[&str]) -> Self {
        let child = command
            .args(["serve", "--listen", "127.0.0.1:0", "--dir"])
            .arg(dir)
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let serving = dir.join("serve.json");
        let url = wait_for("the server", || {
            let bytes = fs::read(&serving).ok()?;
            let value: Value = serde_json::from_slice(&bytes).ok()?;
            value["url"].as_str().map(str::to_owned)
        });
        Self {
            child,
            dir: dir.to_owned(),
            url,
        }
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Stops it as Ctrl-C would, and waits.
    pub(crate) fn stop(mut self) {
        signal(self.child.id(), "TERM");
        assert!(self.child.wait().unwrap().success());
    }

    /// `POST /v1/requests` with a bearer token; the status and the answer.
    pub(crate) fn post(&self, token: &str, request: &Value) -> (u16, Value) {
        self.post_as(token, None, request)
    }

    pub(crate) fn post_as(
        &self,
        token: &str,
        speaker: Option<&str>,
        request: &Value,
    ) -> (u16, Value) {
        let mut body = json!({ "request": request });
        if let Some(speaker) = speaker {
            body["as"] = json!(speaker);
        }
        self.post_text(token, &body.to_string())
    }

    /// `POST /v1/requests` with a body that is sent as it is.
    pub(crate) fn post_text(&self, token: &str, body: &str) -> (u16, Value) {
        self.post_text_to("/v1/requests", token, body)
    }

    /// As [`Server::post_text`], to another path.
    pub(crate) fn post_text_to(&self, path: &str, token: &str, body: &str) -> (u16, Value) {
        let mut answer = agent()
            .post(format!("{}{path}", self.url))
            .header("accept", "application/json, text/event-stream")
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json")
            .send(body)
            .unwrap();
        let status = answer.status().as_u16();
        let text = answer.body_mut().read_to_string().unwrap();
        (
            status,
            serde_json::from_str(&text).unwrap_or(Value::String(text)),
        )
    }

    /// `GET` with a bearer token; the status and the answer.
    pub(crate) fn get(&self, token: &str, path: &str) -> (u16, Value) {
        let mut answer = agent()
            .get(format!("{}{path}", self.url))
            .header("authorization", format!("Bearer {token}"))
            .call()
            .unwrap();
        let status = answer.status().as_u16();
        let text = answer.body_mut().read_to_string().unwrap();
        (
            status,
            serde_json::from_str(&text).unwrap_or(Value::String(text)),
        )
    }

    /// Expects a refusal with this code; and that the log has it too.
    #[track_caller]
    pub(crate) fn refused(&self, token: &str, request: &Value, code: &str) {
        self.refused_as(token, None, request, code);
    }

    /// As [`Server::refused`], where the local token speaks for a service.
    #[track_caller]
    pub(crate) fn refused_as(
        &self,
        token: &str,
        speaker: Option<&str>,
        request: &Value,
        code: &str,
    ) {
        let before = self.refusals(code);
        let (status, answer) = self.post_as(token, speaker, request);
        assert_eq!(
            (status, answer["code"].as_str()),
            (403, Some(code)),
            "{answer}"
        );
        wait_for("the refusal's record", || {
            (self.refusals(code) > before).then_some(())
        });
    }

    fn refusals(&self, code: &str) -> usize {
        records(&self.dir)
            .iter()
            .filter(|r| r["kind"] == "request.refused" && r["body"]["refusal"]["code"] == code)
            .count()
    }

    /// The token of an agent.
    pub(crate) fn token(&self, agent: &str) -> String {
        token(&self.dir, agent)
    }

    /// The token that speaks for the local services.
    pub(crate) fn local(&self) -> String {
        fs::read_to_string(self.dir.join("keys/local.token"))
            .unwrap()
            .trim()
            .to_owned()
    }

    /// What waits for humans.
    pub(crate) fn waiting(&self) -> Vec<Value> {
        let (mut waiting, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("/v1/approvals?limit=200{cursor}");
            let (status, page) = self.get(&self.local(), &path);
            assert_eq!(status, 200, "{page}");
            waiting.extend(page["items"].as_array().unwrap().clone());
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return waiting,
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::new_with_config(
        ureq::Agent::config_builder()
            .http_status_as_error(false)
            .build(),
    )
}

pub(crate) fn token(dir: &Path, agent: &str) -> String {
    let file = |name: &str| dir.join(format!("keys/agents/{agent}.{name}"));
    let text = fs::read_to_string(file("token")).or_else(|_| fs::read_to_string(file("away")));
    text.unwrap().trim().to_owned()
}

/// The library that gives a program another clock; `./test` installs it.
fn faketime() -> PathBuf {
    let found = fs::read_dir("/usr/lib").unwrap().find_map(|entry| {
        let library = entry.unwrap().path().join("faketime/libfaketime.so.1");
        library.is_file().then_some(library)
    });
    found.expect("these tests need the package `faketime`")
}

/// Takes an agent's token from where the server looks for it, so that this agent acts by HTTP alone; answers the token.
pub(crate) fn unseat(dir: &Path, agent: &str) -> String {
    let token = token(dir, agent);
    let file = |name: &str| dir.join(format!("keys/agents/{agent}.{name}"));
    fs::rename(file("token"), file("away")).unwrap();
    token
}

/// As [`unseat`], for every agent of the team: the built-in team takes no step. Answers the executor's token.
pub(crate) fn unseat_all(dir: &Path) -> String {
    for agent in ["analyst", "reviewer"] {
        unseat(dir, agent);
    }
    unseat(dir, "executor")
}

/// How many transfers the bank's own books have.
pub(crate) fn paid(dir: &Path) -> usize {
    treasury::transfers(&dir.join("targets/treasury.db"))
        .unwrap()
        .len()
}

pub(crate) fn signal(pid: u32, name: &str) {
    let done = Command::new("kill")
        .args([format!("-{name}"), pid.to_string()])
        .status();
    assert!(done.unwrap().success());
}

#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "{what} did not come"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// All records of the published log, as JSON.
pub(crate) fn records(dir: &Path) -> Vec<Value> {
    let source = evidence::open(&dir.display().to_string()).unwrap();
    let mut records = Vec::new();
    evidence::for_each_record(&*source, 0, &mut |record| {
        records.push(serde_json::to_value(record).unwrap());
        Ok(())
    })
    .unwrap();
    records
}

/// A person's key.
pub(crate) fn key(dir: &Path, person: &str) -> SigningKey {
    let pem = fs::read_to_string(dir.join(format!("keys/people/{person}.pem"))).unwrap();
    SigningKey::from_pkcs8_pem(&pem).unwrap()
}

/// A signed statement, as the wire has it.
pub(crate) fn sign<T: Serialize>(key: &SigningKey, statement: &T) -> Value {
    let bytes = canonical::to_vec(statement).unwrap();
    json!({"statement": statement, "signature": BASE64_STANDARD.encode(key.sign(&bytes).to_bytes())})
}

/// The statement that a person would sign for what waits.
pub(crate) fn statement(
    waiting: &Value,
    person: &str,
    decision: &str,
    reason: &str,
) -> ApprovalStatement {
    let overrides = if decision == "approve" {
        "yes_overrides"
    } else {
        "no_overrides"
    };
    let mut statement = json!({
        "statement": ApprovalStatement::TYPE,
        "log": waiting["log"], "approval": waiting["approval"], "case": waiting["case"],
        "action": waiting["digest"], "release": waiting["release"], "env": waiting["env"],
        "expires": waiting["expires"], "signed": SystemClock.now(), "decision": decision, "override": waiting[overrides],
        "reason": reason, "signer": person, "credential": format!("{person}.key-1"),
    });
    if waiting[overrides] == true && !waiting["codes"][0].is_null() {
        statement["code"] = waiting["codes"][0].clone();
    }
    serde_json::from_value(statement).unwrap()
}

/// The request that carries a signed approval.
pub(crate) fn approve(signed: Value) -> Value {
    let mut request = signed;
    request["type"] = json!("approve");
    request
}

/// Copies a directory whole.
pub(crate) fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp")
        .arg("-a")
        .arg(from)
        .arg(to)
        .status()
        .unwrap();
    assert!(done.success());
}

/// The example's release, changed, in force in `staging` of a directory with the example; a file of which nothing is left is
/// left out.
pub(crate) fn other_release(example: &Example, change: impl Fn(&str, String) -> String) -> PathBuf {
    let home = example.home.path().join("release");
    for (path, text) in payables::release_files() {
        let file = home.join(&path);
        let text = change(&path, text);
        if text.is_empty() {
            continue;
        }
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    let (release, dir) = (home.display().to_string(), example.arg());
    let build = [
        "release", "build", &release, "--as", "olivia", "--dir", &dir,
    ];
    let (digest, _) = expect(0, &build);
    let digest = digest.trim();
    expect(0, &["control", "test", digest, "--dir", &dir]);
    let promote = [
        "release", "promote", digest, "--env", "staging", "--as", "carla",
    ];
    expect(
        0,
        &[&promote[..], &["--reason", "for a test", "--dir", &dir]].concat(),
    );
    home
}

pub(crate) fn row(dir: &Path, id: &str, file: &Path) {
    let text = fs::read_to_string(dir.join("targets/books/invoices.csv")).unwrap();
    let line = text.lines().find(|l| l.starts_with(id)).unwrap();
    fs::write(file, format!("{}\n{line}\n", text.lines().next().unwrap())).unwrap();
}

/// Opens a case on an invoice and lets the built-in team take it as far as it can.
pub(crate) fn run_case(example: &Example, case: &str, subject: &str) {
    let source = example.home.path().join("source.csv");
    row(&example.dir(), subject, &source);
    let source = source.display().to_string();
    expect(
        0,
        &[
            "run",
            "--case",
            case,
            "--env",
            "staging",
            "--subject",
            subject,
            "--source",
            &source,
            "--dir",
            &example.arg(),
        ],
    );
}

/// The subjects that the answer file says end so.
pub(crate) fn expected(example: &Example, word: &str) -> Vec<String> {
    let answers = fs::read_to_string(example.dir().join("demo-answers.csv")).unwrap();
    let rows = answers
        .lines()
        .filter(|l| l.split(',').nth(3) == Some(word));
    rows.map(|l| l.split(',').next().unwrap().to_owned())
        .collect()
}

/// The subjects that are of a kind, by the answer file.
pub(crate) fn of_kind(example: &Example, kind: &str) -> Vec<String> {
    let answers = fs::read_to_string(example.dir().join("demo-answers.csv")).unwrap();
    let rows = answers
        .lines()
        .filter(|l| l.split(',').nth(1) == Some(kind));
    rows.map(|l| l.split(',').next().unwrap().to_owned())
        .collect()
}

/// The request that carries a person's decision on what waits.
pub(crate) fn signed(server: &Server, waiting: &Value, person: &str, decision: &str) -> Value {
    let statement = statement(waiting, person, decision, "as it stands");
    approve(sign(&key(&server.dir, person), &statement))
}

pub(crate) fn sound(dir: &Path) {
    let arg = dir.display().to_string();
    expect(
        0,
        &["log", "verify", &arg, "--vkey", &format!("{arg}/log.vkey")],
    );
    expect(0, &["audit", "reperform", "--dir", &arg]);
    let transfers = paid(dir);
    let succeeded = records(dir)
        .iter()
        .filter(|r| {
            let outcome = &r["body"]["request"];
            r["kind"] == "outcome.recorded"
                && outcome["outcome"] == "succeeded"
                && outcome["found_by"] != "simulated"
        })
        .count();
    assert_eq!(transfers, succeeded);
}
