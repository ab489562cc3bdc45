//! Webhooks over the real binary: receivers that fail, are slow, hang up and restart, and a server that is killed.

use std::{
    collections::BTreeSet,
    fs,
    net::TcpListener,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};

use crate::{
    models::endpoint::{Endpoint, Reply, Says, Seen},
    rig::{Example, Server, expect, records, signed, sound, wait_for},
};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A receiver that answers as `mind` says; `None` is yes.
fn receiver(
    listener: TcpListener,
    mut mind: impl FnMut(&Seen) -> Option<Reply> + Send + 'static,
) -> Endpoint {
    Endpoint::at(listener, move |seen| {
        Says::Raw(mind(seen).unwrap_or_else(|| Reply::new(204, "")))
    })
}

fn port() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

fn header<'s>(seen: &'s Seen, name: &str) -> &'s str {
    let found = seen.headers.iter().find(|(n, _)| n == name);
    found.map(|(_, value)| value.as_str()).unwrap()
}

/// Writes `webhooks.toml` with a receiver for each name and port.
fn configure(dir: &Path, receivers: &[(&str, u16, &str)]) {
    store::secret::write_secret(&dir.join("keys/hook.secret"), SECRET.as_bytes()).unwrap();
    let tables = receivers.iter().map(|(name, port, more)| {
        format!(
            "[{name}]\nurl = \"http://127.0.0.1:{port}/hook?key=of-{name}\"\nsecret_files = [\"keys/hook.secret\"]\n\
             first_wait_ms = 20\nlongest_wait_seconds = 1\ntimeout_seconds = 1\n{more}\n"
        )
    });
    fs::write(dir.join("webhooks.toml"), tables.collect::<String>()).unwrap();
}

/// What the log says should be told of records from `from` on: number and type, in another way than the server's.
fn due(dir: &Path, from: u64) -> Vec<(u64, &'static str)> {
    let kinds = |record: Value| {
        let body = &record["body"];
        let event = match record["kind"].as_str().unwrap() {
            "approval.requested" => "approval.requested",
            "approval.given" if body["request"]["statement"]["decision"] == "reject" => {
                "approval.rejected"
            }
            "approval.given" => "approval.signed",
            "grant.issued" if body["basis"]["type"] == "approval" => "approval.granted",
            "exception.raised" => "exception.raised",
            "exception.triaged" => "exception.triaged",
            "case.closed" => "case.closed",
            _ => return None,
        };
        let seq = record["seq"].as_u64().unwrap();
        (seq >= from).then_some((seq, event))
    };
    records(dir).into_iter().filter_map(kinds).collect()
}

/// The events that a receiver was sent: each once, in the order in which they first came.
fn told(endpoint: &Endpoint) -> Vec<(u64, String)> {
    let mut told: Vec<(u64, String)> = Vec::new();
    for seen in endpoint.seen() {
        let record = seen.body["data"]["record"].as_u64().unwrap();
        assert!(
            header(&seen, "webhook-id").ends_with(&format!("-{record}")),
            "{seen:?}"
        );
        let event = (record, seen.body["type"].as_str().unwrap().to_owned());
        if told.last() != Some(&event) {
            assert!(!told.contains(&event), "told out of order: {event:?}");
            told.push(event);
        }
    }
    told
}

fn standing(arg: &str, name: &str) -> Value {
    let (out, _) = expect(0, &["webhook", "list", "--json", "--dir", arg]);
    let lines = out
        .lines()
        .map(|l| serde_json::from_str::<Value>(l).unwrap());
    lines.into_iter().find(|l| l["receiver"] == name).unwrap()
}

/// Lets people decide on what waits: the first is rejected, the second approved by as many as it needs.
fn decide(server: &Server) {
    let waiting = server.waiting();
    let no = signed(server, &waiting[0], "amira", "reject");
    assert_eq!(server.post(&server.local(), &no).0, 200);
    for person in ["amira", "bram"]
        .iter()
        .take(waiting[1]["humans"].as_u64().unwrap() as usize)
    {
        let yes = signed(server, &waiting[1], person, "approve");
        let (status, answer) = server.post(&server.local(), &yes);
        assert_eq!(status, 200, "{answer}");
    }
}

#[test]
fn every_receiver_is_told_everything_in_order_whatever_fails_between() {
    let example = Example::new(40);
    let (dir, arg) = (example.dir(), example.arg());
    // Refuses in each way, then takes; over and over. While `stuck`, it answers nothing at all.
    let (asked, stuck) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicBool::new(false)),
    );
    let (count, stands) = (Arc::clone(&asked), Arc::clone(&stuck));
    let moody = receiver(port(), move |_| {
        let n = count.fetch_add(1, Ordering::SeqCst);
        if stands.load(Ordering::SeqCst) {
            let mut never = Reply::new(204, "");
            never.after = Duration::from_secs(600);
            return Some(never);
        }
        let mut reply = match n % 7 {
            0 => Reply::new(500, "{\"error\": \"no\"}"),
            1 => Reply::new(503, ""),
            2 => Reply::new(204, ""),
            3 => Reply::new(307, ""),
            4 => Reply::new(429, ""),
            _ => return None,
        };
        match n % 7 {
            1 => reply.headers.push(("retry-after", "0".to_owned())),
            2 => reply.hang_up = true,
            3 => reply
                .headers
                .push(("location", "http://127.0.0.1:9/elsewhere".to_owned())),
            4 => reply.after = Duration::from_millis(1_200),
            _ => {}
        }
        Some(reply)
    });
    let fine = receiver(port(), |_| None);
    let approvals = receiver(port(), |_| None);
    let away = port();
    let away_at = away.local_addr().unwrap();
    drop(away);
    configure(
        &dir,
        &[
            ("fine", fine.port, ""),
            ("moody", moody.port, ""),
            ("away", away_at.port(), ""),
            (
                "approvals",
                approvals.port,
                "events = [\"approval.*\"]\nenvironments = [\"staging\"]",
            ),
            ("elsewhere", approvals.port, "environments = [\"prod\"]"),
        ],
    );
    let start = records(&dir).len() as u64;
    let server = Server::start(&dir);
    decide(&server);
    // Nobody waits for those that are away or slow.
    wait_for("what happened, at the receiver that is fine", || {
        let due = due(&dir, start);
        let closed = due.iter().filter(|(_, e)| *e == "case.closed").count() == 2;
        (closed && told(&fine).len() == due.len()).then_some(())
    });
    let words: BTreeSet<String> = told(&fine).into_iter().map(|(_, event)| event).collect();
    for event in [
        "approval.signed",
        "approval.rejected",
        "approval.granted",
        "case.closed",
    ] {
        assert!(words.contains(event), "{words:?}");
    }
    wait_for("the first failure of what is away", || {
        (standing(&arg, "away")["failures"].as_u64() > Some(0)).then_some(())
    });
    assert!(
        standing(&arg, "away")["problem"]
            .as_str()
            .unwrap()
            .contains("no answer")
    );

    // Killed while one receiver has been sent something and has not answered.
    stuck.store(true, Ordering::SeqCst);
    let before = asked.load(Ordering::SeqCst);
    wait_for("a delivery that is under way, or all of them", || {
        let all = told(&moody).len() == due(&dir, start).len();
        (all || asked.load(Ordering::SeqCst) > before).then_some(())
    });
    drop(server);
    // What says where the killed one listened.
    fs::remove_file(dir.join("serve.json")).unwrap();
    let taken = fine.seen().len();
    stuck.store(false, Ordering::SeqCst);
    let server = Server::start(&dir);
    let late = receiver(TcpListener::bind(away_at).unwrap(), |_| None);
    decide(&server);
    wait_for("everything, everywhere", || {
        let due: Vec<_> = due(&dir, start)
            .into_iter()
            .map(|(seq, event)| (seq, event.to_owned()))
            .collect();
        let closed = due.iter().filter(|(_, e)| e == "case.closed").count() == 4;
        let all = [&fine, &moody, &late].iter().all(|r| told(r) == due);
        (closed && all).then_some(())
    });
    assert!(fine.seen().len() > taken);
    assert_eq!(
        told(&fine).len(),
        fine.seen().len(),
        "what was taken is not sent again after a crash"
    );
    let only: Vec<_> = due(&dir, start)
        .into_iter()
        .filter(|(_, event)| event.starts_with("approval."))
        .map(|(seq, event)| (seq, event.to_owned()))
        .collect();
    wait_for("the approvals alone", || {
        (told(&approvals) == only).then_some(())
    });

    // An attempt is signed anew, and names the same event; what is told has ids and no people.
    let all = moody.seen();
    let retried = all.windows(2).filter(|w| w[0].body == w[1].body);
    let retried: Vec<_> = retried.collect();
    assert!(!retried.is_empty());
    for pair in retried {
        assert_eq!(
            header(&pair[0], "webhook-id"),
            header(&pair[1], "webhook-id")
        );
    }
    for seen in fine.seen() {
        assert!(header(&seen, "webhook-signature").starts_with("v1,"));
        let text = seen.body.to_string();
        for word in [
            "amira",
            "bram",
            "olivia",
            "IBAN",
            "amount",
            "invoice_id",
            "reason",
        ] {
            assert!(!text.contains(word), "{word} in {text}");
        }
    }
    for seen in late.seen() {
        let page = seen.body["data"]["links"]["page"].as_str().unwrap();
        assert!(page.starts_with(&server.url), "{page}");
    }
    // What monitoring sees.
    let token = fs::read_to_string(dir.join("keys/metrics.token")).unwrap();
    let (_, text) = server.get(token.trim(), "/metrics");
    let text = text.as_str().unwrap().to_owned();
    for line in [
        "counterfoil_webhook_lag_records{endpoint=\"fine\"} 0",
        "counterfoil_webhook_disabled{endpoint=\"fine\"} 0",
        "counterfoil_webhook_failures_total{endpoint=\"fine\"} 0",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    assert!(!text.contains("counterfoil_webhook_failures_total{endpoint=\"moody\"} 0\n"));
    server.stop();
    sound(&dir);
}

#[test]
fn a_receiver_that_wants_no_more_is_told_no_more_until_it_is_resumed() {
    let example = Example::new(20);
    let (dir, arg) = (example.dir(), example.arg());
    let wanted = Arc::new(AtomicBool::new(false));
    let wants = Arc::clone(&wanted);
    let desk = receiver(port(), move |seen| {
        let test = seen.body["type"] == "webhook.test";
        (!test && !wants.load(Ordering::SeqCst)).then(|| Reply::new(410, ""))
    });
    expect(
        0,
        &[
            "webhook",
            "secret",
            "keys/desk.secret",
            "--asymmetric",
            "--dir",
            &arg,
        ],
    );
    expect(2, &["webhook", "secret", "keys/desk.secret", "--dir", &arg]);
    configure(&dir, &[("desk", desk.port, "")]);
    let toml = fs::read_to_string(dir.join("webhooks.toml")).unwrap();
    let both = toml.replace(
        "[\"keys/hook.secret\"]",
        "[\"keys/hook.secret\", \"keys/desk.secret\"]",
    );
    fs::write(dir.join("webhooks.toml"), both).unwrap();

    // Tried by hand, before any server: what is signed has both signatures.
    expect(0, &["webhook", "test", "desk", "--dir", &arg]);
    expect(2, &["webhook", "test", "nobody", "--dir", &arg]);
    let seen = desk.seen().remove(0);
    assert_eq!(seen.body["type"], "webhook.test");
    let signature = header(&seen, "webhook-signature");
    assert!(
        signature.contains("v1,") && signature.contains(" v1a,"),
        "{signature}"
    );
    assert!(standing(&arg, "desk")["next_record"].is_null());
    expect(2, &["webhook", "resume", "desk", "--dir", &arg]);

    let start = records(&dir).len() as u64;
    let server = Server::start(&dir);
    decide(&server);
    wait_for("the end of it", || {
        (standing(&arg, "desk")["disabled"] == true).then_some(())
    });
    let said = standing(&arg, "desk");
    assert!(said["problem"].as_str().unwrap().contains("410"), "{said}");
    assert_eq!(said["url"], format!("http://127.0.0.1:{}/hook", desk.port));
    assert!(
        said["public_keys"][0]
            .as_str()
            .unwrap()
            .starts_with("whpk_")
    );
    std::thread::sleep(Duration::from_millis(1_500));
    assert_eq!(desk.seen().len(), 2, "the test and one event");
    wanted.store(true, Ordering::SeqCst);
    expect(
        2,
        &[
            "webhook", "resume", "desk", "--from", "1000000", "--dir", &arg,
        ],
    );
    expect(0, &["webhook", "resume", "desk", "--dir", &arg]);
    let later = |from: u64| {
        wait_for("what waited", || {
            let due: Vec<_> = due(&dir, from)
                .into_iter()
                .map(|(seq, event)| json!([seq, event]))
                .collect();
            let told = desk.seen().into_iter().skip(2);
            let told: Vec<_> = told
                .map(|s| json!([s.body["data"]["record"], s.body["type"]]))
                .collect();
            told.ends_with(&due).then_some(())
        });
    };
    later(start);
    // Told again from the beginning, because somebody asks for it.
    expect(
        0,
        &["webhook", "resume", "desk", "--from", "0", "--dir", &arg],
    );
    later(0);
    server.stop();
}

#[test]
fn what_cannot_be_kept_to_is_refused_at_the_start() {
    let example = Example::new(1);
    let (dir, arg) = (example.dir(), example.arg());
    for (text, word) in [
        (
            "[a]\nurl = \"http://desk.example/\"\nsecret_files = [\"x\"]",
            "https",
        ),
        (
            "[a]\nurl = \"https://169.254.169.254/\"\nprivate_network = true\nsecret_files = [\"x\"]",
            "169.254",
        ),
        (
            "[a]\nurl = \"https://desk.example/\"\nsecret_files = [\"x\"]",
            "x",
        ),
        (
            "[a]\nurl = \"https://desk.example/\"\nsecret_file = \"x\"",
            "secret_file",
        ),
    ] {
        fs::write(dir.join("webhooks.toml"), text).unwrap();
        let (_, err) = expect(2, &["serve", "--listen", "127.0.0.1:0", "--dir", &arg]);
        assert!(err.contains("webhooks.toml") && err.contains(word), "{err}");
    }
}
