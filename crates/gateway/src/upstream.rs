//! A target system as a child process that speaks MCP over its stdin and stdout.
//!
//! What matters here is honesty about the unknown: once a request was handed to the connection, only an answer from the
//! child says what happened. Everything else after that point is [`Answer::Lost`], even where it is likely that the
//! child never read the request.

use std::{
    fmt::Write as _,
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex as SyncMutex, PoisonError},
    time::Duration,
};

use engine::target::{Answer, BoxFuture, Target};
use rmcp::{
    RoleClient, ServiceError, ServiceExt,
    model::{CallToolRequest, CallToolRequestParams, CallToolResult, ClientRequest, ServerResult},
    service::{PeerRequestOptions, RunningService},
};
use serde_json::{Map, Value, json};
use tokio::{
    io::{AsyncReadExt, BufReader},
    process::{Child, ChildStderr, Command},
    sync::Mutex,
};

/// How to start a target system, and how long to wait for it.
#[derive(Clone)]
pub struct Launch {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its environment, secrets included. Of this process's own environment the child sees only what a program needs to
    /// start at all (search path, home, language, temporary directory).
    pub env: Vec<(String, String)>,
    /// How long to wait for the greeting of a new child, and then for each answer.
    pub timeout: Duration,
}

/// A target system behind a child process, started at the first call and again after it died.
///
/// Calls may run at the same time; they share one child. The child is killed when this is dropped.
pub struct Upstream {
    launch: Launch,
    connection: Mutex<Option<Arc<Connection>>>,
}

impl Upstream {
    /// Prepares a target; nothing is started yet.
    #[must_use]
    pub fn new(launch: Launch) -> Self {
        Self {
            launch,
            connection: Mutex::new(None),
        }
    }

    /// The live connection, a new one where there is none.
    async fn connection(&self) -> Result<Arc<Connection>, String> {
        let mut slot = self.connection.lock().await;
        if let Some(connection) = slot.as_ref()
            && connection.is_open()
        {
            return Ok(Arc::clone(connection));
        }
        // Drop the dead one first, so that its child is gone before the next one opens the same files.
        *slot = None;
        let connection = Arc::new(Connection::open(&self.launch).await?);
        *slot = Some(Arc::clone(&connection));
        Ok(connection)
    }

    /// Takes `connection` out of use. Calls that still run on it keep it, and its child, until they end.
    async fn retire(&self, connection: &Arc<Connection>) {
        let mut slot = self.connection.lock().await;
        if slot
            .as_ref()
            .is_some_and(|current| Arc::ptr_eq(current, connection))
        {
            *slot = None;
        }
    }
}

impl Target for Upstream {
    fn call<'a>(&'a self, tool: &'a str, arguments: Map<String, Value>) -> BoxFuture<'a, Answer> {
        Box::pin(async move {
            let connection = match self.connection().await {
                Ok(connection) => connection,
                Err(problem) => return Answer::NotSent(problem),
            };
            let answer = connection.call(tool, arguments, self.launch.timeout).await;
            if matches!(answer, Answer::Lost(_) | Answer::NotSent(_)) {
                self.retire(&connection).await;
            }
            answer
        })
    }
}

/// One child and the MCP session with it.
struct Connection {
    service: RunningService<RoleClient, ()>,
    errors: Tail,
    /// Killed when dropped.
    _child: Child,
}

impl Connection {
    async fn open(launch: &Launch) -> Result<Self, String> {
        let program = launch.program.display();
        let mut child = command(launch)
            .spawn()
            .map_err(|e| format!("cannot start `{program}`: {e}; nothing was sent"))?;
        let pipes = (child.stdout.take(), child.stdin.take(), child.stderr.take());
        let (Some(stdout), Some(stdin), Some(stderr)) = pipes else {
            return Err(format!(
                "`{program}` was started without pipes; nothing was sent"
            ));
        };
        let errors = Tail::follow(stderr);
        match tokio::time::timeout(launch.timeout, ().serve((stdout, stdin))).await {
            Ok(Ok(service)) => Ok(Self {
                service,
                errors,
                _child: child,
            }),
            Ok(Err(e)) => Err(format!(
                "`{program}` did not greet as an MCP server: {e}; nothing was sent{}",
                errors.quote().await
            )),
            Err(_) => Err(format!(
                "`{program}` did not greet within {} ms; nothing was sent{}",
                launch.timeout.as_millis(),
                errors.quote().await
            )),
        }
    }

    fn is_open(&self) -> bool {
        !self.service.is_closed() && !self.service.is_transport_closed()
    }

    async fn call(&self, tool: &str, arguments: Map<String, Value>, timeout: Duration) -> Answer {
        let params = CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments);
        let request = ClientRequest::CallToolRequest(CallToolRequest::new(params));
        let options = PeerRequestOptions::with_timeout(timeout);
        // An error here means that the session's loop had ended and never took the request.
        let handle = match self
            .service
            .send_cancellable_request(request, options)
            .await
        {
            Ok(handle) => handle,
            Err(e) => {
                return Answer::NotSent(format!(
                    "the target's connection was closed before `{tool}` was sent: {e}"
                ));
            }
        };
        // The session gives up at `timeout` and tells the child so; a child that does not even read its stdin could block
        // that message, hence the second, later limit.
        let Ok(response) = tokio::time::timeout(timeout + GRACE, handle.await_response()).await
        else {
            return Answer::Lost(format!(
                "no answer to `{tool}` in time; it may have been carried out"
            ));
        };
        match response {
            Ok(ServerResult::CallToolResult(result)) => read(result),
            Ok(ServerResult::InputRequiredResult(_)) => Answer::Fail(format!(
                "`{tool}` asked for further input, which no agent may give"
            )),
            Ok(_) => Answer::Lost(format!(
                "`{tool}` answered with something other than a tool's result"
            )),
            Err(ServiceError::McpError(e)) => Answer::Fail(e.to_string()),
            Err(e) => Answer::Lost(format!(
                "no answer to `{tool}`: {e}; it may have been carried out{}",
                self.errors.quote().await
            )),
        }
    }
}

/// What the child wrote last to its stderr: the reason for its death, where it gave one.
#[derive(Clone, Default)]
struct Tail(Arc<SyncMutex<String>>);

impl Tail {
    fn follow(stderr: ChildStderr) -> Self {
        let tail = Self::default();
        let kept = tail.clone();
        tokio::spawn(async move {
            let mut stderr = BufReader::new(stderr);
            let mut chunk = [0; 512];
            while let Ok(n @ 1..) = stderr.read(&mut chunk).await {
                let mut text = kept.0.lock().unwrap_or_else(PoisonError::into_inner);
                text.push_str(&String::from_utf8_lossy(&chunk[..n]));
                let surplus = text.len().saturating_sub(TAIL_BYTES);
                let start = (surplus..=text.len()).find(|&i| text.is_char_boundary(i));
                text.drain(..start.unwrap_or_default());
            }
        });
        tail
    }

    /// Ready to be put at the end of a message; empty where the child said nothing.
    async fn quote(&self) -> String {
        // The last words of a dying child may still be in the pipe.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let text = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut quote = String::new();
        if !text.trim().is_empty() {
            let _ = write!(quote, "; it said: {}", text.trim());
        }
        quote
    }
}

fn command(launch: &Launch) -> Command {
    let mut command = Command::new(&launch.program);
    command
        .args(&launch.args)
        .env_clear()
        .envs(
            INHERITED
                .iter()
                .filter_map(|name| Some((name, std::env::var_os(name)?))),
        )
        .envs(launch.env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

fn read(result: CallToolResult) -> Answer {
    let texts: Vec<&str> = result
        .content
        .iter()
        .filter_map(|block| block.as_text().map(|text| text.text.as_str()))
        .collect();
    let text = texts.join("\n");
    if result.is_error == Some(true) {
        return Answer::Fail(match (text.is_empty(), result.structured_content) {
            (true, Some(value)) => value.to_string(),
            (true, None) => "the tool failed without a reason".to_owned(),
            (false, _) => text,
        });
    }
    if let Some(value) = result.structured_content {
        return Answer::Succeed(value);
    }
    // Images, sounds and resources have no text: they stay what they are.
    if texts.len() < result.content.len() {
        return match serde_json::to_value(&result.content) {
            Ok(content) => Answer::Succeed(json!({ "content": content })),
            Err(e) => Answer::Fail(format!("the answer's content is no JSON: {e}")),
        };
    }
    Answer::Succeed(serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// What a child may see of our own environment: nothing that is commonly a secret.
const INHERITED: [&str; 7] = [
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "SYSTEMROOT",
];

const TAIL_BYTES: usize = 2_048;

const GRACE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::{path::Path, time::Instant};

    use serde_json::json;
    use tempfile::TempDir;

    use super::*;

    const TOKEN: &str = "a-token-of-the-tests";
    const DB: &str = "UPSTREAM_TEST_DB";
    const DELAY: &str = "UPSTREAM_TEST_DELAY_MS";

    /// Not a test of its own: the others start this very program again with `DB` set, and it is the treasury then.
    #[test]
    fn serves_the_treasury_to_the_other_tests() {
        if let Ok(db) = std::env::var(DB) {
            let delay_ms = std::env::var(DELAY).unwrap().parse().unwrap();
            treasury::run(treasury::Options {
                db: db.into(),
                delay_ms,
            })
            .unwrap();
        }
    }

    fn database() -> (TempDir, PathBuf) {
        let dir = TempDir::new().unwrap();
        let db = dir.path().join("treasury.db");
        treasury::init(&db, TOKEN).unwrap();
        (dir, db)
    }

    fn upstream(db: &Path, token: &str, delay_ms: u64, timeout: Duration) -> Upstream {
        let test = "upstream::tests::serves_the_treasury_to_the_other_tests";
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        Upstream::new(Launch {
            program: std::env::current_exe().unwrap(),
            args: [
                "--exact",
                test,
                "--quiet",
                "--nocapture",
                "--test-threads=1",
            ]
            .map(str::to_owned)
            .into(),
            env: vec![
                pair("TREASURY_TOKEN", token),
                pair(DB, db.to_str().unwrap()),
                pair(DELAY, &delay_ms.to_string()),
            ],
            timeout,
        })
    }

    fn order(key: &str, amount_cents: i64) -> Map<String, Value> {
        let order = json!({
            "idempotency_key": key,
            "vendor_id": "V001",
            "amount_cents": amount_cents,
            "currency": "EUR",
            "reference": "INV-1",
        });
        order.as_object().unwrap().clone()
    }

    async fn child_id(upstream: &Upstream) -> Option<u32> {
        upstream.connection.lock().await.as_ref()?._child.id()
    }

    async fn kill(pid: u32) {
        let status = Command::new("kill")
            .arg("-9")
            .arg(pid.to_string())
            .status()
            .await;
        assert!(status.unwrap().success());
    }

    /// Whether the process is gone, or dead and about to be reaped.
    async fn ends(pid: u32) -> bool {
        for _ in 0..200 {
            match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
                Err(_) => return true,
                Ok(stat) if stat.contains(") Z ") => return true,
                Ok(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
        false
    }

    const LONG: Duration = Duration::from_secs(30);

    #[tokio::test(flavor = "multi_thread")]
    async fn maps_answers() {
        let (_dir, db) = database();
        let target = upstream(&db, TOKEN, 0, LONG);
        assert_eq!(
            child_id(&target).await,
            None,
            "started before the first call"
        );
        let Answer::Succeed(value) = target.call("transfer_create", order("k", 5)).await else {
            panic!("the transfer did not succeed");
        };
        assert_eq!(
            (&value["id"], &value["created"]),
            (&json!("T000001"), &json!(true))
        );
        let answer = target.call("transfer_create", order("k", 6)).await;
        assert!(
            matches!(&answer, Answer::Fail(text) if text.contains("other arguments")),
            "{answer:?}"
        );
        let answer = target.call("mint", Map::new()).await;
        assert!(
            matches!(&answer, Answer::Fail(text) if text.contains("`mint`")),
            "{answer:?}"
        );
        assert_eq!(treasury::transfers(&db).unwrap().len(), 1);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_target_that_refuses_the_token_fails_and_is_not_lost() {
        let (_dir, db) = database();
        let target = upstream(&db, "wrong", 0, LONG);
        let answer = target.call("transfer_create", order("k", 5)).await;
        assert!(
            matches!(&answer, Answer::Fail(text) if text.contains("not authenticated")),
            "{answer:?}"
        );
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn runs_calls_at_the_same_time_on_one_child() {
        let (_dir, db) = database();
        let target = Arc::new(upstream(&db, TOKEN, 0, LONG));
        let calls: Vec<_> = (0..40)
            .map(|n| {
                let target = Arc::clone(&target);
                tokio::spawn(async move {
                    target
                        .call("transfer_create", order(&format!("k{n}"), 1))
                        .await
                })
            })
            .collect();
        for call in calls {
            assert!(matches!(call.await.unwrap(), Answer::Succeed(_)));
        }
        let pid = child_id(&target).await.unwrap();
        target.call("account_read", Map::new()).await;
        assert_eq!(child_id(&target).await, Some(pid));
        assert_eq!(treasury::transfers(&db).unwrap().len(), 40);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_child_killed_in_mid_call_loses_the_answer_and_the_next_call_works() {
        let (_dir, db) = database();
        let target = Arc::new(upstream(&db, TOKEN, 1_000, LONG));
        let call = tokio::spawn({
            let target = Arc::clone(&target);
            async move { target.call("transfer_create", order("k", 5)).await }
        });
        while treasury::transfers(&db).unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let pid = child_id(&target).await.unwrap();
        kill(pid).await;
        let answer = call.await.unwrap();
        assert!(matches!(answer, Answer::Lost(_)), "{answer:?}");

        let key = json!({"idempotency_key": "k"}).as_object().unwrap().clone();
        let Answer::Succeed(value) = target.call("transfer_lookup", key).await else {
            panic!("the call after the death did not succeed");
        };
        assert_eq!(value["found"], true);
        assert_ne!(child_id(&target).await, Some(pid));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_child_that_died_between_calls_is_started_again() {
        let (_dir, db) = database();
        let target = upstream(&db, TOKEN, 0, LONG);
        target.call("account_read", Map::new()).await;
        let pid = child_id(&target).await.unwrap();
        kill(pid).await;
        assert!(ends(pid).await);
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert!(matches!(
            target.call("account_read", Map::new()).await,
            Answer::Succeed(_)
        ));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_timeout_is_lost_and_ends_the_child() {
        let (_dir, db) = database();
        let target = Arc::new(upstream(&db, TOKEN, 60_000, Duration::from_secs(3)));
        let call = tokio::spawn({
            let target = Arc::clone(&target);
            async move { target.call("transfer_create", order("k", 5)).await }
        });
        let pid = loop {
            if let Some(pid) = child_id(&target).await {
                break pid;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        let answer = call.await.unwrap();
        assert!(matches!(answer, Answer::Lost(_)), "{answer:?}");
        assert!(ends(pid).await);
        assert!(matches!(
            target.call("account_read", Map::new()).await,
            Answer::Succeed(_)
        ));
        assert!(treasury::transfers(&db).unwrap().is_empty());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_cannot_start_or_greet_was_not_sent() {
        let launch = |program: &str, args: &[&str]| Launch {
            program: program.into(),
            args: args.iter().map(|&a| a.to_owned()).collect(),
            env: Vec::new(),
            timeout: Duration::from_millis(500),
        };
        for (launch, word) in [
            (launch("/nonexistent/treasury", &[]), "cannot start"),
            (
                launch("sh", &["-c", "echo no such database >&2; exit 4"]),
                "no such database",
            ),
            (launch("sleep", &["60"]), "within 500 ms"),
        ] {
            let answer = Upstream::new(launch)
                .call("transfer_create", order("k", 1))
                .await;
            assert!(
                matches!(&answer, Answer::NotSent(text) if text.contains(word)),
                "{answer:?}"
            );
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_child_sees_only_what_it_is_given_and_dies_when_dropped() {
        let (_dir, db) = database();
        let target = upstream(&db, TOKEN, 0, LONG);
        target.call("account_read", Map::new()).await;
        let pid = child_id(&target).await.unwrap();
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap();
        let given = [DB, DELAY, "TREASURY_TOKEN"];
        for variable in environment.split(|&b| b == 0).filter(|v| !v.is_empty()) {
            let text = String::from_utf8_lossy(variable);
            let name = text.split('=').next().unwrap();
            assert!(
                INHERITED.contains(&name) || given.contains(&name),
                "the child sees `{name}`"
            );
        }
        let before = Instant::now();
        drop(target);
        assert!(ends(pid).await && before.elapsed() < Duration::from_secs(5));
    }
}
