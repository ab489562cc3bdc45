//! Anchors: kept once and for good, compared with the log, and told apart from it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpListener,
    path::Path,
    time::Duration,
};

use ledger::{Directory as Log, Verifier};
use store::{DataDir, Journal};
use witness::anchor::{
    Anchor as _, Kept, compare, config::Anchors, directory::Directory, schedule::States,
    webhook::Webhook,
};

/// A log in `home`, which appends what is asked for and tells its checkpoints.
fn grown(home: &Path, name: &str, steps: &[&[&str]]) -> Vec<Kept> {
    let path = home.join(name);
    if !DataDir::exists(&path) {
        DataDir::init(&path, "log.example/test").unwrap();
    }
    let dir = DataDir::open(&path, &home.join(format!("{name}.guards"))).unwrap();
    let journal = Journal::open(&dir, &mut |_, _| Ok(())).unwrap();
    let steps = steps.iter().map(|words| {
        let records = words.iter().map(|w| w.as_bytes().to_vec()).collect();
        let ticket = journal.append(journal.committed(), records).unwrap();
        ticket.durable_blocking().unwrap();
        journal
            .wait_published_blocking(journal.committed())
            .unwrap();
        Kept::new(&journal.checkpoint()).unwrap()
    });
    let kept = steps.collect();
    journal.close().unwrap();
    kept
}

fn key(home: &Path, name: &str) -> Verifier {
    Verifier::from_vkey(&fs::read_to_string(home.join(name).join("log.vkey")).unwrap()).unwrap()
}

#[test]
fn a_rewritten_log_is_found_with_one_anchor_and_the_place_is_told() {
    let home = tempfile::tempdir().unwrap();
    DataDir::init(&home.path().join("log"), "log.example/test").unwrap();
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .args([home.path().join("log"), home.path().join("stolen")])
        .status();
    assert!(copied.unwrap().success());
    let vault = home.path().join("vault");
    fs::create_dir(&vault).unwrap();
    let anchor = Directory::new(&vault);
    let heads = grown(home.path(), "log", &[&["a", "b"], &["c"], &["d", "e"]]);
    for head in &heads {
        anchor.keep(head).unwrap();
        anchor.keep(head).unwrap();
    }
    let keys = [key(home.path(), "log")];
    let kept = || anchor.kept().unwrap().unwrap();
    assert_eq!(kept().len(), 3);
    let log = |name: &str| Log::new(&home.path().join(name).join("log"));
    let fine = compare(&log("log"), 5, &keys, kept()).unwrap();
    assert_eq!((fine.fit, fine.newest), (3, 5));

    // Rewritten from record 2 on, by somebody who has the key.
    let forged = grown(home.path(), "stolen", &[&["a", "b", "X", "d", "e", "f"]]);
    let wrong = compare(&log("stolen"), 6, &keys, kept()).unwrap_err();
    assert_eq!((wrong.fits, wrong.size), (2, 3), "{wrong}");
    assert!(wrong.to_string().contains("rewritten"), "{wrong}");
    // Cut.
    let wrong = compare(&log("log"), 3, &keys, kept()).unwrap_err();
    assert_eq!((wrong.fits, wrong.size), (3, 5));
    // Signed by a key that is not the log's.
    DataDir::init(&home.path().join("other"), "log.example/test").unwrap();
    let other = [key(home.path(), "other")];
    assert!(compare(&log("log"), 5, &other, kept()).is_err());
    // A second history of one size is not kept.
    let again = grown(home.path(), "other", &[&["x", "y"]]);
    let why = anchor.keep(&again[0]).unwrap_err();
    assert!(why.contains("two histories"), "{why}");
    assert_eq!(forged[0].size, 6);
}

#[test]
fn an_anchor_that_is_not_there_is_told_and_tried_again() {
    let home = tempfile::tempdir().unwrap();
    let head = grown(home.path(), "log", &[&["a"]]).remove(0);
    let config = "every_minutes = 1\n[anchor.vault]\nkind = \"directory\"\npath = \"vault\"\n";
    fs::write(home.path().join("anchors.toml"), config).unwrap();
    let anchors = Anchors::read(home.path(), || 0).unwrap();
    let mut states = States::read(home.path());
    let wrong = states.run(&anchors, &head, 1000, false);
    assert_eq!(
        wrong.len(),
        1,
        "an anchor that is not mounted is not made up"
    );
    assert_eq!(states.run(&anchors, &head, 1030, false), []);
    fs::create_dir(home.path().join("vault")).unwrap();
    assert_eq!(states.run(&anchors, &head, 1060, false), []);
    states.write(home.path()).unwrap();
    let state = &States::read(home.path()).0["vault"];
    assert_eq!((state.size, state.at, state.failures), (1, 1060, 0));
    for (text, what) in [
        ("every_minutes = 0", "1 or more"),
        (
            "every_minutes = 1\n[anchor.a]\nkind = \"tape\"",
            "unknown variant",
        ),
        (
            "every_minutes = 1\n[anchor.\"a b\"]\nkind = \"directory\"\npath = \"x\"",
            "letters",
        ),
    ] {
        fs::write(home.path().join("anchors.toml"), text).unwrap();
        let Err(why) = Anchors::read(home.path(), || 0) else {
            panic!("`{text}` was taken");
        };
        assert!(why.contains(what) && why.contains("anchors.toml"), "{why}");
    }
}

/// The answer to one request; what was asked comes back.
fn receiver(status: &'static str) -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let mut text = String::new();
        let mut bytes = [0; 4096];
        while !text.ends_with('}') {
            let read = stream.read(&mut bytes).unwrap();
            text += std::str::from_utf8(&bytes[..read]).unwrap();
        }
        write!(
            stream,
            "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        )
        .unwrap();
        text
    });
    (url, thread)
}

#[test]
fn a_webhook_is_signed_and_a_refusal_is_told() {
    let home = tempfile::tempdir().unwrap();
    let head = grown(home.path(), "log", &[&["a"]]).remove(0);
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let (url, asked) = receiver("204 No Content");
    Webhook::new(&url, secret, || 1_614_265_330)
        .unwrap()
        .keep(&head)
        .unwrap();
    let asked = asked.join().unwrap();
    assert!(
        asked.contains("webhook-id: log.example/test-1\r\n"),
        "{asked}"
    );
    assert!(asked.contains("webhook-timestamp: 1614265330\r\n"));
    assert!(asked.contains("webhook-signature: v1,"));
    let (url, asked) = receiver("500 Oh no");
    let why = Webhook::new(&url, secret, || 0)
        .unwrap()
        .keep(&head)
        .unwrap_err();
    assert!(why.contains("500"), "{why}");
    asked.join().unwrap();
    assert!(Webhook::new(&url, "whsec_c2hvcnQ=", || 0).is_err());
}
