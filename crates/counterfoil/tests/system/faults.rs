//! What goes wrong around the program: each a clear error, and no damage.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Command, Output, Stdio},
};

use tempfile::TempDir;

use crate::rig::{BINARY, Example, GUARDS, Server, add_principal, demo, expect};

fn release_at(dir: &Path, change: impl Fn(&str, String) -> String) -> String {
    for (path, text) in payables::release_files() {
        let file = dir.join(&path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, change(&path, text)).unwrap();
    }
    dir.display().to_string()
}

#[test]
fn an_unreadable_release_is_told_where() {
    let home = TempDir::new().unwrap();
    let broken = release_at(&home.path().join("a"), |path, text| match path {
        "team.toml" => text.replacen("[[agent]]", "[[agent", 1),
        _ => text,
    });
    let (_, err) = expect(2, &["release", "build", "--check", &broken]);
    assert!(err.contains("team.toml:"), "{err}");

    let twice = release_at(&home.path().join("b"), |path, text| match path {
        "policies/sanctions.md" => text.replacen("### SAN-1.2", "### PAY-2.1", 1),
        _ => text,
    });
    let (_, err) = expect(2, &["release", "build", "--check", &twice]);
    assert!(
        err.contains("PAY-2.1")
            && err.contains("payment-authority.md:")
            && err.contains("sanctions.md:"),
        "{err}"
    );

    let fine = release_at(&home.path().join("c"), |_, text| text);
    expect(0, &["release", "build", "--check", &fine]);
    expect(2, &["release", "build", "--check", "/nowhere/at/all"]);
}

#[test]
fn malformed_invoices_end_with_a_human_and_stop_nothing() {
    let example = Example::new(500);
    let answers = fs::read_to_string(example.dir().join("demo-answers.csv")).unwrap();
    let malformed: Vec<&str> = answers
        .lines()
        .filter(|l| l.contains("malformed"))
        .filter_map(|l| l.split(',').next())
        .collect();
    assert!(malformed.len() >= 16);
    let (out, _) = expect(0, &["case", "list", "--json", "--dir", &example.arg()]);
    for row in malformed {
        let case = out
            .lines()
            .find(|l| l.contains(&format!("\"{row}\"")))
            .unwrap();
        assert!(!case.contains("\"executed\""), "{case}");
    }
}

#[test]
fn a_port_in_use_costs_nothing() {
    let home = TempDir::new().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().to_string();
    let dir = home.path().join("data").display().to_string();
    let (_, err) = expect(4, &["demo", "--dir", &dir, "--listen", &port]);
    assert!(err.contains(&port) && err.contains("--listen"), "{err}");
    assert!(!Path::new(&dir).exists(), "nothing was begun");
}

#[test]
fn a_second_process_is_kept_out_and_goes_through_the_first() {
    let example = Example::new(20);
    let server = Server::start(&example.dir());
    let dir = example.arg();
    let (_, err) = expect(4, &["demo", "--once", "--dir", &dir]);
    assert!(err.contains("in use"), "{err}");
    // Commands find the server and speak to it.
    expect(0, &["approval", "list", "--dir", &dir]);
    for code in [0, 3] {
        add_principal(code, &dir, "zoe", &["--human", "--role", "auditor"]);
    }
    server.stop();
    let (out, _) = expect(0, &["principal", "list", "--dir", &dir]);
    assert!(out.contains("zoe"), "{out}");
    expect(
        0,
        &["log", "verify", &dir, "--vkey", &format!("{dir}/log.vkey")],
    );
}

#[test]
fn what_is_no_data_directory_is_left_alone() {
    let home = TempDir::new().unwrap();
    fs::write(home.path().join("letter.txt"), "dear").unwrap();
    let dir = home.path().display().to_string();
    expect(4, &["demo", "--once", "--dir", &dir]);
    expect(4, &["approval", "list", "--dir", &dir]);
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 1);
    expect(2, &["demo", "--once", "--cases", "many"]);
}

/// Runs a script in a mount namespace of its own, in which a file system can be small or read-only.
fn in_namespace(script: &str, dir: &Path) -> Output {
    let root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    let mut command = Command::new("unshare");
    if !root {
        command.args(["--user", "--map-root-user"]);
    }
    let output = command
        .args(["--mount", "sh", "-ec", script])
        .env("BINARY", BINARY)
        .env("COUNTERFOIL_GUARDS", GUARDS)
        .env("HERE", dir)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(
        !String::from_utf8_lossy(&output.stderr).contains("unshare failed"),
        "these tests need the right to make a mount namespace"
    );
    output
}

#[test]
fn a_full_disk_loses_nothing_that_was_acknowledged() {
    let home = TempDir::new().unwrap();
    // 3 MiB are not enough for the whole example; what was written is then carried out to be looked at.
    let script = r#"
        mkdir "$HERE/small"; mount -t tmpfs -o size=3m tmpfs "$HERE/small"
        set +e
        "$BINARY" demo --once --json --dir "$HERE/small/data" > "$HERE/out" 2> "$HERE/err"; echo $? > "$HERE/code"
        "$BINARY" demo --once --json --dir "$HERE/small/data" > "$HERE/out2" 2> "$HERE/err2"; echo $? > "$HERE/code2"
        mkdir "$HERE/large"; cp -a "$HERE/small/data" "$HERE/large/"
    "#;
    in_namespace(script, home.path());
    let read = |name: &str| fs::read_to_string(home.path().join(name)).unwrap();
    assert_eq!(read("code").trim(), "4", "{}", read("err"));
    assert!(read("err").contains("space"), "{}", read("err"));
    assert_eq!(read("code2").trim(), "4", "{}", read("err2"));
    // With room again it goes on, and nothing is missing or twice.
    let dir = home.path().join("large/data");
    demo(&dir, 500);
    let s = demo(&dir, 500);
    assert_eq!(s["cases"], 500);
    assert_eq!(s["transfers"]["one_for_one"], true, "{s}");
    let dir = dir.display().to_string();
    expect(
        0,
        &["log", "verify", &dir, "--vkey", &format!("{dir}/log.vkey")],
    );
    expect(0, &["audit", "reperform", "--dir", &dir]);
}

#[test]
fn a_read_only_directory_is_refused_and_can_still_be_audited() {
    let example = Example::new(5);
    let script = r#"
        mount --bind "$HERE/data" "$HERE/data"; mount -o remount,ro,bind "$HERE/data"
        set +e
        "$BINARY" demo --once --json --dir "$HERE/data" 2> "$HERE/err"; echo $? > "$HERE/code"
        "$BINARY" log verify "$HERE/data" --vkey "$HERE/data/log.vkey" > /dev/null; echo $? > "$HERE/verified"
        "$BINARY" audit query --kind case.opened --dir "$HERE/data" > /dev/null 2> "$HERE/err2"; echo $? > "$HERE/queried"
    "#;
    in_namespace(script, example.home.path());
    let read = |name: &str| fs::read_to_string(example.home.path().join(name)).unwrap();
    assert_eq!(read("code").trim(), "4", "{}", read("err"));
    assert!(read("err").contains("cannot be written"), "{}", read("err"));
    assert_eq!(read("verified").trim(), "0");
    assert_eq!(read("queried").trim(), "0", "{}", read("err2"));
    assert_eq!(demo(&example.dir(), 5)["cases"], 5);
}
