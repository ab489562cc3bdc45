//! A log and its witnesses over HTTP: cosigned, away, forked.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use ledger::{Directory, note::Note, trust::Policy};
use store::{Cosign as _, DataDir, Journal};
use witness::{Client, Keeper, server};

struct Served {
    runtime: tokio::runtime::Runtime,
    at: SocketAddr,
}

fn serve(dir: &Path, at: &str) -> Served {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .worker_threads(1)
        .build()
        .unwrap();
    let keeper = Arc::new(Keeper::open(dir).unwrap());
    let listener = runtime.block_on(tokio::net::TcpListener::bind(at)).unwrap();
    let at = listener.local_addr().unwrap();
    runtime.spawn(
        async move { axum::serve(listener, server::router(keeper, || 1_700_000_000)).await },
    );
    Served { runtime, at }
}

/// A log in `home`, open.
fn log(home: &Path, name: &str) -> (DataDir, Journal) {
    let path = home.join(name);
    if !DataDir::exists(&path) {
        DataDir::init(&path, "log.example/test").unwrap();
    }
    let dir = DataDir::open(&path, &home.join(format!("{name}.guards"))).unwrap();
    let journal = Journal::open(&dir, &mut |_, _| Ok(())).unwrap();
    (dir, journal)
}

fn append(journal: &Journal, words: &[&str]) -> Vec<u8> {
    let records = words.iter().map(|w| w.as_bytes().to_vec()).collect();
    journal
        .append(journal.committed(), records)
        .unwrap()
        .durable_blocking()
        .unwrap();
    journal
        .wait_published_blocking(journal.committed())
        .unwrap();
    journal.checkpoint()
}

#[test]
fn a_quorum_cosigns_and_a_fork_is_refused() {
    let home = tempfile::tempdir().unwrap();
    DataDir::init(&home.path().join("log"), "log.example/test").unwrap();
    for name in ["fork-6", "fork-7", "short"] {
        steal(home.path(), name);
    }
    let (dir, journal) = log(home.path(), "log");
    let vkey = ledger::Verifier::from_vkey(&dir.vkey()).unwrap();
    let mut text = String::new();
    let mut served = Vec::new();
    for name in ["one", "two", "three"] {
        let place = home.path().join(name);
        let witness = Keeper::init(&place, &format!("witness.example/{name}")).unwrap();
        Keeper::know(&place, &vkey).unwrap();
        let server = serve(&place, "127.0.0.1:0");
        text += &format!("witness {name} {witness} http://{}\n", server.at);
        served.push(server);
    }
    let policy =
        Policy::parse(&(text + "group all-of-us 2 one two three\nquorum all-of-us\n")).unwrap();
    let source = Directory::new(&dir.path().join("log"));
    let mut client = Client::new(policy.clone());
    let health = client.health();

    // From nothing, grown, and the same again.
    for words in [&["a", "b", "c"][..], &["d"], &[]] {
        let note = append(&journal, words);
        let cosigned = client.cosign(&source, &note).unwrap();
        let found = policy.verify(&Note::parse(&cosigned).unwrap()).unwrap();
        assert!(found.quorum && cosigned.starts_with(&note));
    }
    // A client that knows nothing hears the size first.
    Client::new(policy.clone())
        .cosign(&source, &journal.checkpoint())
        .unwrap();

    // One away: still a quorum. Two away: none, and it says who.
    served
        .pop()
        .unwrap()
        .runtime
        .shutdown_timeout(Duration::from_millis(10));
    let note = append(&journal, &["e"]);
    client.cosign(&source, &note).unwrap();
    served
        .pop()
        .unwrap()
        .runtime
        .shutdown_timeout(Duration::from_millis(10));
    let note = append(&journal, &["f"]);
    let why = client.cosign(&source, &note).unwrap_err();
    assert!(
        why.contains("1 of 3") && why.contains("`two`") && why.contains("`three`"),
        "{why}"
    );
    assert_eq!(health.states()[0].size, 6);
    assert!(health.states()[2].problem.is_some());

    // A second witness comes back, on another port: it goes on from what it kept.
    let two = serve(&home.path().join("two"), "127.0.0.1:0");
    let one = served.pop().unwrap();
    let moved = policy.witnesses.iter().zip([one.at, two.at]);
    let moved = moved.map(|(w, at)| format!("witness {} {} http://{at}\n", w.name, w.witness));
    let policy = moved.collect::<String>() + "group both all one two\nquorum both\n";
    let policy = Policy::parse(&policy).unwrap();
    Client::new(policy.clone()).cosign(&source, &note).unwrap();

    // The log is rewritten with the stolen key: the same length, and longer.
    journal.close().unwrap();
    for words in [
        &["a", "b", "X", "d", "e", "f"][..],
        &["a", "b", "X", "d", "e", "f", "g"],
    ] {
        let name = format!("fork-{}", words.len());
        let (dir, journal) = log(home.path(), &name);
        let note = append(&journal, words);
        let source = Directory::new(&dir.path().join("log"));
        let why = Client::new(policy.clone())
            .cosign(&source, &note)
            .unwrap_err();
        assert!(why.contains("0 of 2"), "{why}");
        assert!(
            why.contains("forked") || why.contains("answers 422"),
            "{why}"
        );
    }
    // Rolled back: the witness holds more than there is.
    let (dir, journal) = log(home.path(), "short");
    let note = append(&journal, &["a", "b", "c"]);
    let source = Directory::new(&dir.path().join("log"));
    let why = Client::new(policy).cosign(&source, &note).unwrap_err();
    assert!(why.contains("an older copy was put back"), "{why}");
}

/// The log as it was made, with its key, where nobody knows what became of it.
fn steal(home: &Path, name: &str) {
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .args([home.join("log"), home.join(name)])
        .status();
    assert!(copied.unwrap().success());
}
