//! The out-of-band stop: a file is enough, no port has to answer, and what was refused is in the log.

use std::{fs, time::Instant};

use serde_json::json;

use crate::rig::{Example, Server, expect, expected, records, run_case, sound, wait_for};

#[test]
fn a_stop_is_taken_before_the_next_step_and_lifted_by_another_owner() {
    let example = Example::new(5);
    let (dir, arg) = (example.dir(), example.arg());
    let subject = expected(&example, "auto")[0].clone();
    let server = Server::start(&dir);

    // The order alone: as if every port and page were gone. The next step is refused, whatever asks for it.
    fs::create_dir_all(dir.join("stop")).unwrap();
    let order = json!({"scope": {"of": "team", "team": "payables"}, "reason": "it pays whom it should not"});
    fs::write(dir.join("stop/1.json"), order.to_string()).unwrap();
    let opening = json!({"type": "open_case", "case": "stop-1", "environment": "staging",
        "subject": subject, "snapshot": "0".repeat(64)});
    let before = Instant::now();
    let (status, answer) = server.post_as(&server.local(), Some("engine"), &opening);
    assert_eq!(status, 403, "{answer}");
    assert_eq!(answer["code"], "frozen", "{answer}");
    assert!(before.elapsed().as_secs() < 5);
    assert!(!dir.join("stop").exists(), "the order was taken");
    let frozen = listed(&arg);
    assert_eq!(frozen["scope"]["team"], "payables");
    let record = frozen["record"].to_string();

    let lift = |person: &str, code: i32, freeze: &str| {
        let args = [
            "unfreeze",
            freeze,
            "--as",
            person,
            "--reason",
            "looked into",
            "--dir",
            &arg,
        ];
        expect(code, &args)
    };
    let (_, err) = lift("amira", 3, &record);
    assert!(err.contains("not-your-duty"), "{err}");
    lift("carla", 0, &record);

    // By command, with the server up; then nobody pays until it is lifted by an owner of other agents.
    expect(
        0,
        &[
            "freeze",
            "--agent",
            "executor",
            "--reason",
            "to be looked at",
            "--dir",
            &arg,
        ],
    );
    let frozen = listed(&arg);
    let record = frozen["record"].to_string();
    drop(server);
    let transfers = |dir: &std::path::Path| {
        let used = records(dir);
        used.iter().filter(|r| r["kind"] == "grant.used").count()
    };
    let paid = transfers(&dir);
    run_case(&example, "stop-2", &subject);
    assert_eq!(transfers(&dir), paid, "the executor is frozen");
    let (_, err) = lift("ines", 3, &record);
    assert!(err.contains("conflicted"), "{err}");
    lift("carla", 0, &record);
    expect(0, &["run", "--dir", &arg]);
    assert_eq!(transfers(&dir), paid + 1);

    // An order that cannot be read stops everything until somebody looks.
    fs::create_dir_all(dir.join("stop")).unwrap();
    fs::write(dir.join("stop/1.json"), "{").unwrap();
    let (_, err) = expect(
        4,
        &[
            "freeze",
            "--tool",
            "treasury.transfer_create",
            "--reason",
            "again",
            "--dir",
            &arg,
        ],
    );
    assert!(err.contains("stop/1.json"), "{err}");
    fs::remove_file(dir.join("stop/1.json")).unwrap();
    expect(
        0,
        &[
            "freeze",
            "--everything",
            "--reason",
            "for now",
            "--dir",
            &arg,
        ],
    );
    sound(&dir);
}

/// The one freeze in force, once it is published.
fn listed(dir: &str) -> serde_json::Value {
    wait_for("a freeze", || {
        let (out, _) = expect(0, &["freeze", "--dir", dir, "--json"]);
        serde_json::from_str(out.trim()).ok()
    })
}
