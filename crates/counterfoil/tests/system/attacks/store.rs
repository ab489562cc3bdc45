//! The store gone under a running server: nothing is acknowledged, and nothing happens.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Command};

use serde_json::json;

use super::hand::open;
use crate::rig::{
    BINARY, Example, GUARDS, Server, copy, expect, paid, records, signed, sound, unseat,
};

#[test]
fn a_server_whose_disk_is_full_refuses_and_pays_nothing() {
    let example = Example::new(40);
    let dir = example.dir();
    let executor = unseat(&dir, "executor");
    // What would be sent, signed while there was room.
    let server = Server::start(&dir);
    let waiting = server.waiting();
    let one = waiting
        .iter()
        .find(|w| w["humans"] == 1 && w["yes_overrides"] == false)
        .unwrap();
    let (yes, local) = (signed(&server, one, "amira", "approve"), server.local());
    server.stop();
    let (before, known) = (paid(&dir), records(&dir).len());
    let home = example.home.path();
    let case = one["case"].as_str().unwrap();
    let write =
        |name: &str, body: serde_json::Value| fs::write(home.join(name), body.to_string()).unwrap();
    write(
        "opening.json",
        json!({"as": "engine", "request": {"type": "open_case", "case": "full", "environment": "staging",
        "subject": "R0001", "snapshot": "0".repeat(64)}}),
    );
    write("yes.json", json!({"request": yes}));
    write(
        "use.json",
        json!({"request": {"type": "use_grant", "grant": format!("{case}.g1"), "action": one["action"]}}),
    );
    let script = home.join("full.sh");
    fs::write(&script, r#"
        mkdir "$HERE/small"; mount -t tmpfs -o size=64m tmpfs "$HERE/small"
        cp -a "$HERE/data" "$HERE/small/"; rm -f "$HERE/small/data/serve.json"
        "$BINARY" serve --listen 127.0.0.1:0 --dir "$HERE/small/data" > /dev/null 2> "$HERE/said" & server=$!
        while ! [ -s "$HERE/small/data/serve.json" ]; do sleep 0.05; done
        url=$(sed 's/.*"url":"\([^"]*\)".*/\1/' "$HERE/small/data/serve.json")
        sleep 1; set +e
        dd if=/dev/zero of="$HERE/small/filler" bs=64k > /dev/null 2>&1
        dd if=/dev/zero of="$HERE/small/filler2" bs=1 > /dev/null 2>&1
        send() { curl -s -o "$HERE/$1.answer" -w '%{http_code}' -H 'content-type: application/json' -H "authorization: Bearer $2" -d "@$HERE/$1.json" "$url/v1/requests" > "$HERE/$1.status"; }
        # Until the little that was set aside beforehand is full too, whatever is taken was durable.
        n=0; while :; do
          sed "s/\"full\"/\"full-$n\"/" "$HERE/opening.json" > "$HERE/next.json"; send next "$LOCAL"
          [ "$(cat "$HERE/next.status")" = 200 ] || break
          n=$((n + 1)); [ $n -lt 20000 ] || break
        done
        echo $n > "$HERE/taken"
        send opening "$LOCAL"; send yes none; send use "$EXECUTOR"
        kill -9 $server; wait $server
        rm -f "$HERE/small/filler" "$HERE/small/filler2" "$HERE/small/data/serve.json"; cp -a "$HERE/small/data" "$HERE/after"
    "#).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    let mut command = Command::new("unshare");
    if !root {
        command.args(["--user", "--map-root-user"]);
    }
    let done = command
        .args(["--mount", "sh", "-e"])
        .arg(&script)
        .env("BINARY", BINARY)
        .env("COUNTERFOIL_GUARDS", GUARDS)
        .env("HERE", home)
        .env("LOCAL", &local)
        .env("EXECUTOR", &executor)
        .output()
        .unwrap();
    let read = |name: &str| fs::read_to_string(home.join(name)).unwrap_or_default();
    let said = format!("{}{}", String::from_utf8_lossy(&done.stderr), read("said"));
    for sent in ["next", "opening", "yes"] {
        let answer = read(&format!("{sent}.answer"));
        assert_eq!(
            read(&format!("{sent}.status")),
            "503",
            "{sent}: {answer} {said}"
        );
        assert!(answer.contains("unavailable"), "{answer}");
    }
    // There is no grant, since the signature was not taken.
    assert!(
        ["403", "404", "503"].contains(&read("use.status").as_str()),
        "{}",
        read("use.answer")
    );

    // With room again: what was acknowledged is there, what was refused is not, and nothing was paid.
    let after = home.join("after");
    assert_eq!(paid(&after), before);
    let taken: usize = read("taken").trim().parse().unwrap();
    let server = Server::start(&after);
    open(&server, "again", "R0002");
    let (status, answer) = server.post("", &yes);
    assert_eq!(status, 200, "{answer}");
    server.stop();
    let all = records(&after);
    let count = |kind: &str, case: &str| {
        all.iter()
            .filter(|r| {
                r["kind"] == kind && r["case"].as_str().is_some_and(|c| c.starts_with(case))
            })
            .count()
    };
    assert!(all.len() > known);
    assert_eq!(count("case.opened", "full-"), taken);
    assert!(all.iter().all(|r| r["case"] != "full"));
    assert_eq!(count("approval.given", case), 1);
    assert_eq!(paid(&after), before);
    sound(&after);
    // The directory that was copied away is an older one by now, and is refused as such.
    let old = home.join("old");
    copy(&dir, &old);
    let (_, err) = expect(4, &["run", "--dir", old.to_str().unwrap()]);
    assert!(
        err.contains("older") || err.contains("behind") || err.contains("guard"),
        "{err}"
    );
}
