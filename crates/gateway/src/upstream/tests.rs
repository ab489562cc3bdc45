//! Child processes as upstreams, over the treasury of the example.

mod remote;

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;

use super::{child::INHERITED, *};

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
    child_of(
        Launch {
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
        },
        timeout,
    )
}

fn child_of(launch: Launch, timeout: Duration) -> Upstream {
    let recheck = Duration::from_secs(60);
    Upstream::new(Place::Child(launch), Patience { timeout, recheck })
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
    upstream.connection.lock().await.as_ref()?.child()
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
    };
    for (launch, word) in [
        (launch("/nonexistent/treasury", &[]), "cannot start"),
        (
            launch("sh", &["-c", "echo no such database >&2; exit 4"]),
            "no such database",
        ),
        (launch("sleep", &["60"]), "within 500 ms"),
    ] {
        let answer = child_of(launch, Duration::from_millis(500))
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

#[tokio::test(flavor = "multi_thread")]
async fn a_child_describes_its_tools_and_is_held_to_it() {
    let (_dir, db) = database();
    let target = upstream(&db, TOKEN, 0, LONG);
    let described = target.describe("transfer_create").await.unwrap().unwrap();
    assert_eq!(target.describe("mint").await, Ok(None));
    let offers = target.offers().await.unwrap();
    assert_eq!(offers["transfer_create"].digest(), described);
    let answer = target
        .call_described("transfer_create", described, order("k", 5))
        .await;
    assert!(matches!(answer, Answer::Succeed(_)), "{answer:?}");
    let other = Digest::of_bytes(b"another description");
    let answer = target
        .call_described("transfer_create", other, order("k2", 5))
        .await;
    assert!(matches!(answer, Answer::NotSent(_)), "{answer:?}");
    assert_eq!(treasury::transfers(&db).unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_child_says_of_its_death_holds_no_secret() {
    let launch = Launch {
        program: "sh".into(),
        args: ["-c", "echo no entry with $KEY >&2; exit 4"]
            .map(str::to_owned)
            .into(),
        env: vec![("KEY".to_owned(), "a-long-secret".to_owned())],
    };
    let answer = child_of(launch, LONG).call("x", Map::new()).await;
    let Answer::NotSent(why) = answer else {
        panic!("{answer:?}");
    };
    assert!(why.contains("no entry with [secret]"), "{why}");
}
