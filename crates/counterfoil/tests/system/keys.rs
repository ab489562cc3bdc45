//! The log's key: replaced, revoked, behind a passphrase, in a security module; and never seen outside its file.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ledger::{
    Checkpoint, Signer,
    rotation::{Act, Statement},
};
use serde_json::{Value, json};
use store::{DataDir, NewKey};
use tempfile::TempDir;

use crate::rig::{
    BINARY, Example, GUARDS, Server, add_principal, binary, copy, demo, expect, records, signal,
    wait_for,
};

const PASSPHRASE: &str = "a lamp, a goat and nine rivers";

fn vkey(dir: &Path) -> String {
    fs::read_to_string(dir.join("log.vkey"))
        .unwrap()
        .trim()
        .to_owned()
}

/// The log's key as it is in its file, unprotected.
fn signer(dir: &Path) -> Signer {
    Signer::from_text(&fs::read_to_string(dir.join("keys/log.key")).unwrap()).unwrap()
}

fn private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn rotations(dir: &Path) -> Vec<Value> {
    let all = records(dir);
    all.into_iter()
        .filter(|r| r["kind"] == "log.key.rotated")
        .collect()
}

#[test]
fn a_log_verifies_from_any_of_its_keys_and_an_old_key_extends_nothing() {
    let example = Example::new(3);
    let (dir, arg) = (example.dir(), example.arg());
    let (first, stolen) = (vkey(&dir), signer(&dir));
    let since = example.home.path().join("since");
    fs::copy(dir.join("log/checkpoint"), &since).unwrap();
    let since = since.display().to_string();

    let (out, _) = expect(
        0,
        &["log", "key", "rotate", "--dir", &arg, "--reason", "yearly"],
    );
    let second = vkey(&dir);
    assert!(out.contains(&second) && out.contains(&first), "{out}");
    assert_ne!(first, second);
    demo(&dir, 5);
    // Revoking needs a reason, which everybody can read.
    expect(2, &["log", "key", "rotate", "--dir", &arg, "--revoke"]);
    expect(
        0,
        &[
            "log",
            "key",
            "rotate",
            "--dir",
            &arg,
            "--revoke",
            "--reason",
            "a laptop was stolen",
        ],
    );
    let third = vkey(&dir);
    demo(&dir, 6);
    for key in [&first, &second, &third] {
        expect(
            0,
            &["log", "verify", &arg, "--vkey", key, "--since", &since],
        );
        expect(0, &["log", "verify", &format!("{arg}/log"), "--vkey", key]);
    }
    let (_, note) = expect(0, &["log", "verify", &arg, "--vkey", &first]);
    assert!(note.contains(&third), "{note}");
    expect(0, &["audit", "reperform", &arg]);
    let told = rotations(&dir);
    let file = fs::read_to_string(dir.join("log/keys")).unwrap();
    let notes: Vec<_> = told
        .iter()
        .map(|r| r["body"]["request"]["statement"].as_str().unwrap())
        .collect();
    assert_eq!(notes.join("\n"), file);
    for record in &told {
        let note = record["body"]["request"]["statement"].as_str().unwrap();
        let signed = Statement::open(note.as_bytes()).unwrap();
        assert_eq!(record["seq"], json!(signed.statement.size));
        assert_eq!(record["actor"]["id"], "admin");
    }
    let (out, _) = expect(0, &["log", "key", "list", "--json", "--dir", &arg]);
    let listed: Vec<Value> = out
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(listed.len(), 3);
    assert_eq!(listed[1]["act"], "revoked");
    assert_eq!(listed[2]["to"], Value::Null);

    // Checkpoints by different keys are compared as any.
    let newest = dir.join("log/checkpoint").display().to_string();
    expect(
        0,
        &[
            "log",
            "consistency",
            &arg,
            "--vkey",
            &third,
            "--old",
            &since,
            "--new",
            &newest,
        ],
    );
    // A proof holds for whoever trusts any of the keys.
    let source = evidence::open(&arg).unwrap();
    let trusted = |key: &str| ledger::Verifier::from_vkey(key).unwrap();
    let seq = told[0]["seq"].as_u64().unwrap();
    let proof = evidence::proof::prove(&*source, &trusted(&first), seq).unwrap();
    for key in [&first, &second, &third] {
        let none = ledger::trust::Policy::none();
        evidence::proof::check(&proof, &trusted(key), &none).unwrap();
    }

    // The thief of the first key signs the whole log as it is now.
    let forged = example.home.path().join("forged");
    copy(&dir.join("log"), &forged);
    let note = fs::read(forged.join("checkpoint")).unwrap();
    let text = ledger::note::Note::parse(&note).unwrap().text;
    let head = Checkpoint::from_text(&text).unwrap();
    let forged_arg = forged.display().to_string();
    fs::write(forged.join("checkpoint"), head.sign(&stolen).unwrap()).unwrap();
    let (_, err) = expect(1, &["log", "verify", &forged_arg, "--vkey", &first]);
    assert!(err.contains("was rotated out when the log had"), "{err}");
    // Statements that are changed, missing, or of fewer changes than the records tell of.
    fs::write(forged.join("checkpoint"), &note).unwrap();
    let half = file.split_inclusive("\n\n").take(1).collect::<String>()
        + notes[0].split_once("\n\n").unwrap().1;
    for statements in [file.replace("yearly", "weekly"), half, String::new()] {
        fs::write(forged.join("keys"), statements).unwrap();
        expect(1, &["log", "verify", &forged_arg, "--vkey", &first]);
        expect(1, &["log", "verify", &forged_arg, "--vkey", &third]);
    }
    fs::remove_file(forged.join("keys")).unwrap();
    expect(1, &["log", "verify", &forged_arg, "--vkey", &first]);
    let (_, err) = expect(1, &["log", "verify", &forged_arg, "--vkey", &third]);
    assert!(err.contains("not those stated beside it"), "{err}");
}

#[test]
fn a_revoked_key_is_named_as_such() {
    let example = Example::new(2);
    let (dir, arg) = (example.dir(), example.arg());
    let (first, stolen) = (vkey(&dir), signer(&dir));
    let reason = "found on a bus";
    expect(
        0,
        &[
            "log", "key", "rotate", "--dir", &arg, "--revoke", "--reason", reason,
        ],
    );
    let note = fs::read(dir.join("log/checkpoint")).unwrap();
    let head = Checkpoint::from_text(&ledger::note::Note::parse(&note).unwrap().text).unwrap();
    fs::write(dir.join("log/checkpoint"), head.sign(&stolen).unwrap()).unwrap();
    let (_, err) = expect(1, &["log", "verify", &arg, "--vkey", &first]);
    assert!(err.contains("was revoked") && err.contains(reason), "{err}");
    // The store itself does not go on from there either.
    let (_, err) = expect(4, &["run", "--dir", &arg]);
    assert!(err.contains("was revoked"), "{err}");
}

#[test]
fn a_rotation_is_for_an_idle_directory_and_nobody_can_make_one_up() {
    let example = Example::new(2);
    let (dir, arg) = (example.dir(), example.arg());
    let server = Server::start(&dir);
    let (_, err) = expect(4, &["log", "key", "rotate", "--dir", &arg]);
    assert!(err.contains("in use by another process"), "{err}");
    // Whoever holds the local token cannot put a change into the log that did not take place.
    let origin = signer(&dir).verifier().name().to_owned();
    let [old, new] = [8, 9].map(|seed| Signer::from_seed(&origin, &[seed; 32]).unwrap());
    let statement = Statement {
        size: records(&dir).len() as u64,
        root: [0; 32],
        old: old.verifier(),
        new: new.verifier(),
        act: Act::Rotated,
        reason: String::new(),
    };
    let note = String::from_utf8(statement.sign(&old, &new).unwrap()).unwrap();
    let request = json!({"type": "rotate_log_key", "statement": note});
    let (status, answer) = server.post_as(&server.local(), Some("admin"), &request);
    assert_eq!(status, 400, "{answer}");
    server.stop();
    assert_eq!(rotations(&dir).len(), 0);
    // Cut off after the keys changed places and before the record: the next start catches up, once.
    let open = DataDir::open(&dir, Path::new(GUARDS)).unwrap();
    let staged = open.stage_rotation(&NewKey::File { passphrase: None }, Act::Rotated, "");
    let second = staged.unwrap().commit().unwrap().vkey();
    expect(0, &["log", "verify", &arg, "--vkey", &second]);
    for _ in 0..2 {
        expect(0, &["run", "--dir", &arg]);
        assert_eq!(rotations(&dir).len(), 1);
    }
    expect(0, &["log", "verify", &arg, "--vkey", &second]);
}

#[test]
fn a_protected_key_needs_its_passphrase() {
    let home = TempDir::new().unwrap();
    let dir = home.path().join("data");
    let arg = dir.display().to_string();
    let [right, wrong, open] = ["right", "wrong", "open"].map(|name| home.path().join(name));
    private(&right, &format!("{PASSPHRASE}\n"));
    private(&wrong, "sesame");
    fs::write(&open, PASSPHRASE).unwrap();
    let [right, wrong, open] = [right, wrong, open].map(|path| path.display().to_string());
    expect(0, &["init", "--origin", "keys.example/log", "--dir", &arg]);
    expect(
        0,
        &[
            "log",
            "key",
            "protect",
            "--dir",
            &arg,
            "--passphrase-file",
            &right,
        ],
    );
    let key = dir.join("keys/log.key");
    assert!(
        fs::read_to_string(&key)
            .unwrap()
            .starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----")
    );
    for (file, said) in [
        (None, "is protected by a passphrase"),
        (Some(&wrong), "the passphrase does not open"),
        (Some(&open), "chmod 600"),
    ] {
        let mut args = vec!["run", "--dir", &arg];
        args.extend(
            file.iter()
                .flat_map(|file| ["--passphrase-file", file.as_str()]),
        );
        let (_, err) = expect(4, &args);
        assert!(err.contains(said), "{err}");
    }
    // As systemd hands it over: readable for the group by an access list, below the service's own directory.
    let credentials = home.path().join("credentials");
    fs::create_dir(&credentials).unwrap();
    let credential = credentials.join("log-key");
    fs::write(&credential, PASSPHRASE).unwrap();
    fs::set_permissions(&credential, fs::Permissions::from_mode(0o440)).unwrap();
    let started = |at: Option<&Path>| {
        let mut command = binary();
        command
            .args(["run", "--dir", &arg, "--passphrase-file"])
            .arg(&credential);
        if let Some(at) = at {
            command.env("CREDENTIALS_DIRECTORY", at);
        }
        command.stdin(Stdio::null()).output().unwrap().status.code()
    };
    assert_eq!(started(Some(&credentials)), Some(0));
    assert_eq!(started(None), Some(4));
    // A new key is protected likewise.
    let first = vkey(&dir);
    expect(
        0,
        &[
            "log",
            "key",
            "rotate",
            "--dir",
            &arg,
            "--passphrase-file",
            &right,
        ],
    );
    assert!(
        fs::read_to_string(&key)
            .unwrap()
            .starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----")
    );
    expect(0, &["log", "verify", &arg, "--vkey", &first]);
    expect(
        4,
        &[
            "log",
            "key",
            "unprotect",
            "--dir",
            &arg,
            "--passphrase-file",
            &wrong,
        ],
    );
    expect(
        0,
        &[
            "log",
            "key",
            "unprotect",
            "--dir",
            &arg,
            "--passphrase-file",
            &right,
        ],
    );
    assert_eq!(signer(&dir).verifier().vkey(), vkey(&dir));
    expect(0, &["run", "--dir", &arg]);
}

/// A token of SoftHSM with an Ed25519 key in it that cannot be taken out, and the program that signs with it.
struct Token {
    home: TempDir,
}

impl Token {
    fn new() -> Self {
        let home = TempDir::new().unwrap();
        let at = home.path().display().to_string();
        fs::create_dir(home.path().join("tokens")).unwrap();
        let conf = format!("directories.tokendir = {at}/tokens\nobjectstore.backend = file\n");
        fs::write(home.path().join("softhsm2.conf"), conf).unwrap();
        private(&home.path().join("pin"), "2468");
        let token = Self { home };
        token.tool(
            "softhsm2-util",
            &[
                "--init-token",
                "--free",
                "--label",
                "log",
                "--pin",
                "2468",
                "--so-pin",
                "1357",
            ],
        );
        token.pkcs11(&[
            "--login",
            "--pin",
            "2468",
            "--keypairgen",
            "--key-type",
            "EC:edwards25519",
            "--id",
            "01",
        ]);
        token.pkcs11(&[
            "--read-object",
            "--type",
            "pubkey",
            "--id",
            "01",
            "--output-file",
            &token.public(),
        ]);
        token
    }

    /// The module's file is where the package puts it, or where `find` would.
    fn module() -> String {
        let places = [
            "/usr/lib/softhsm",
            "/usr/lib64/pkcs11",
            "/usr/local/lib/softhsm",
        ];
        let files = places.iter().map(|place| format!("{place}/libsofthsm2.so"));
        let found = files.into_iter().find(|file| Path::new(file).exists());
        found.expect("SoftHSM 2 is installed (Debian package softhsm2)")
    }

    fn public(&self) -> String {
        self.home.path().join("public.pem").display().to_string()
    }

    fn pkcs11(&self, args: &[&str]) {
        let module = Self::module();
        let all = [&["--module", &module, "--token-label", "log"], args].concat();
        self.tool("pkcs11-tool", &all);
    }

    fn tool(&self, program: &str, args: &[&str]) {
        let conf = self.home.path().join("softhsm2.conf");
        let done = Command::new(program)
            .args(args)
            .env("SOFTHSM2_CONF", conf)
            .output();
        let done = done.unwrap_or_else(|e| panic!("{program}: {e}"));
        assert!(
            done.status.success(),
            "{program}: {}",
            String::from_utf8_lossy(&done.stderr)
        );
    }

    /// The PIN reaches the tool in its environment, from a file: never by an argument.
    fn program(&self) -> String {
        let file = self.home.path().join("sign");
        let at = self.home.path().display();
        let text = format!(
            "#!/bin/sh\nexport SOFTHSM2_CONF={at}/softhsm2.conf PIN=\"$(cat {at}/pin)\"\nexec pkcs11-tool --module {} --token-label log --login --pin env:PIN --sign --mechanism EDDSA --id 01\n",
            Self::module()
        );
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o700)).unwrap();
        file.display().to_string()
    }
}

#[test]
fn a_security_module_signs_and_a_key_moves_into_it_and_out() {
    let token = Token::new();
    let (program, public) = (token.program(), token.public());
    let home = TempDir::new().unwrap();
    let [dir, moved] = ["data", "moved"].map(|name| home.path().join(name));
    let [arg, moved_arg] = [&dir, &moved].map(|dir| dir.display().to_string());
    let origin = "keys.example/hsm";
    // A program that signs with another key is refused, and nothing is made.
    let other = Signer::from_seed(origin, &[3; 32])
        .unwrap()
        .verifier()
        .vkey();
    let (_, err) = expect(
        4,
        &[
            "init",
            "--origin",
            origin,
            "--dir",
            &arg,
            "--signer-key",
            &other,
            "--signer-command",
            &program,
        ],
    );
    assert!(err.contains("not that of"), "{err}");
    assert!(!dir.exists());
    expect(
        0,
        &[
            "init",
            "--origin",
            origin,
            "--dir",
            &arg,
            "--signer-key",
            &public,
            "--signer-command",
            &program,
        ],
    );
    assert!(!dir.join("keys/log.key").exists());
    let held = vkey(&dir);
    add_principal(0, &arg, "ada", &["--human", "--role", "owner"]);
    expect(0, &["log", "verify", &arg, "--vkey", &held]);

    expect(0, &["log", "key", "rotate", "--dir", &arg]);
    assert!(!dir.join("signer.toml").exists());
    expect(0, &["log", "verify", &arg, "--vkey", &held]);
    assert_eq!(signer(&dir).verifier().vkey(), vkey(&dir));

    expect(0, &["init", "--origin", origin, "--dir", &moved_arg]);
    let first = vkey(&moved);
    expect(
        0,
        &[
            "log",
            "key",
            "rotate",
            "--dir",
            &moved_arg,
            "--signer-key",
            &public,
            "--signer-command",
            &program,
        ],
    );
    assert!(!moved.join("keys/log.key").exists());
    assert_eq!(vkey(&moved), held);
    expect(0, &["log", "verify", &moved_arg, "--vkey", &first]);
}

#[test]
fn a_signer_that_fails_holds_up_checkpoints_and_nothing_else() {
    let home = TempDir::new().unwrap();
    let dir = home.path().join("data");
    let arg = dir.display().to_string();
    let at = home.path().display().to_string();
    let key = home.path().join("key.pem").display().to_string();
    let public = home.path().join("public.pem").display().to_string();
    for args in [
        vec!["genpkey", "-algorithm", "ed25519", "-out", &key],
        vec!["pkey", "-in", &key, "-pubout", "-out", &public],
    ] {
        assert!(
            Command::new("openssl")
                .args(args)
                .status()
                .unwrap()
                .success()
        );
    }
    let program = home.path().join("sign");
    let text = format!(
        "#!/bin/sh\nif [ -e {at}/broken ]; then echo out of paper >&2; exit 9; fi\ncat > {at}/text.$$\nopenssl pkeyutl -sign -rawin -inkey {key} -in {at}/text.$$ | base64\n"
    );
    fs::write(&program, text).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    let program = program.display().to_string();
    expect(
        0,
        &[
            "init",
            "--origin",
            "keys.example/openssl",
            "--dir",
            &arg,
            "--signer-key",
            &public,
            "--signer-command",
            &program,
        ],
    );
    let serving = Loud::start(home.path(), &dir, &[]);
    let url = serving.url();
    let broken = home.path().join("broken");
    fs::write(&broken, "").unwrap();
    let before = fs::read(dir.join("log/checkpoint")).unwrap();
    let token = fs::read_to_string(dir.join("keys/local.token")).unwrap();
    let add = |id: &str| {
        let public = Signer::from_seed("x", &[id.len() as u8; 32]).unwrap();
        let request = json!({
            "type": "add_principal", "id": id, "kind": "human", "roles": ["owner"],
            "credentials": [{"id": format!("{id}.key-1"), "proof":
                {"kind": "ed25519", "public": BASE64_STANDARD.encode(public.verifier().key())}}],
        });
        let body = json!({"as": "admin", "request": request}).to_string();
        let answer = ureq::post(format!("{url}/v1/requests"))
            .header("authorization", format!("Bearer {}", token.trim()))
            .header("content-type", "application/json")
            .send(body);
        answer.map(|a| a.status().as_u16()).unwrap()
    };
    assert_eq!(add("ada"), 200);
    wait_for("the complaint", || {
        serving.said().contains("out of paper").then_some(())
    });
    assert_eq!(add("bo"), 200);
    assert_eq!(fs::read(dir.join("log/checkpoint")).unwrap(), before);
    fs::remove_file(&broken).unwrap();
    wait_for("a checkpoint", || {
        (fs::read(dir.join("log/checkpoint")).unwrap() != before).then_some(())
    });
    wait_for("the good news", || {
        serving
            .said()
            .contains("the signer answers again")
            .then_some(())
    });
    serving.stop();
    expect(0, &["log", "verify", &arg, "--vkey", &vkey(&dir)]);
    let principals = records(&dir)
        .iter()
        .filter(|r| r["kind"] == "principal.added")
        .count();
    assert_eq!(principals, 2);
}

/// A server whose words are kept.
struct Loud {
    child: Child,
    said: PathBuf,
    dir: PathBuf,
}

impl Loud {
    fn start(home: &Path, dir: &Path, args: &[&str]) -> Self {
        let said = home.join("said");
        let out = fs::File::create(&said).unwrap();
        let child = binary()
            .args(["serve", "--listen", "127.0.0.1:0", "--dir"])
            .arg(dir)
            .args(args)
            .stdin(Stdio::null())
            .stderr(out.try_clone().unwrap())
            .stdout(out)
            .spawn()
            .unwrap();
        Self {
            child,
            said,
            dir: dir.to_owned(),
        }
    }

    fn url(&self) -> String {
        wait_for("the server", || {
            let bytes = fs::read(self.dir.join("serve.json")).ok()?;
            let value: Value = serde_json::from_slice(&bytes).ok()?;
            value["url"].as_str().map(str::to_owned)
        })
    }

    fn said(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.said).unwrap()).into_owned()
    }

    fn stop(mut self) {
        signal(self.child.id(), "TERM");
        assert!(self.child.wait().unwrap().success(), "{}", self.said());
    }
}

impl Drop for Loud {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Every way in which the secrets could be written.
fn spellings(seed: &[u8; 32]) -> Vec<Vec<u8>> {
    let typed = [&[1], &seed[..]].concat();
    let [plain, with_type] = [&seed[..], &typed[..]].map(|bytes| BASE64_STANDARD.encode(bytes));
    // However base64 is aligned, twenty letters in its middle are those of one of three shifts.
    let shifted = (0..3).map(|shift| {
        let bytes = [&vec![0; shift][..], &seed[..]].concat();
        BASE64_STANDARD.encode(bytes).as_bytes()[4..28].to_vec()
    });
    let hex: String = seed.iter().map(|b| format!("{b:02x}")).collect();
    let mut all = vec![
        seed.to_vec(),
        hex.to_uppercase().into_bytes(),
        hex.into_bytes(),
        plain.into_bytes(),
        with_type.into_bytes(),
        format!("{seed:?}").into_bytes(),
        PASSPHRASE.as_bytes().to_vec(),
    ];
    all.extend(shifted);
    all
}

#[track_caller]
fn holds_none(place: &str, bytes: &[u8], secrets: &[Vec<u8>]) {
    for (number, secret) in secrets.iter().enumerate() {
        let found = bytes
            .windows(secret.len())
            .any(|window| window == &secret[..]);
        assert!(!found, "spelling {number} of the secret is in {place}");
    }
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// The process and those it started.
fn family(pid: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
    let children = children.unwrap_or_default();
    let all_threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let of_threads = all_threads
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let text = of_threads.fold(children, |all, more| format!("{all} {more}"));
    let mut pids: Vec<u32> = text
        .split_whitespace()
        .map(|pid| pid.parse().unwrap())
        .collect();
    pids.push(pid);
    pids.sort_unstable();
    pids.dedup();
    pids
}

#[test]
fn the_key_is_seen_nowhere_but_in_its_file() {
    let example = Example::new(3);
    let (dir, arg) = (example.dir(), example.arg());
    let mut secrets = spellings(signer(&dir).seed());
    // The search finds what is there.
    let key = fs::read(dir.join("keys/log.key")).unwrap();
    let found = secrets
        .iter()
        .any(|secret| key.windows(secret.len()).any(|w| w == &secret[..]));
    assert!(found, "the search itself is blind");

    let file = example.home.path().join("passphrase");
    private(&file, PASSPHRASE);
    let file = file.display().to_string();
    let mut printed = Vec::new();
    for protected in [false, true] {
        let args: &[&str] = if protected {
            &["--passphrase-file", &file]
        } else {
            &[]
        };
        if protected {
            // A second key, plain first, so that its seed is known here too.
            let (out, err) = expect(
                0,
                &["log", "key", "rotate", "--dir", &arg, "--reason", "drill"],
            );
            printed.push(out + &err);
            secrets.extend(spellings(signer(&dir).seed()));
            let protect = [
                "log",
                "key",
                "protect",
                "--dir",
                &arg,
                "--passphrase-file",
                &file,
            ];
            let (out, err) = expect(0, &protect);
            printed.push(out + &err);
        }
        let server = Loud::start(example.home.path(), &dir, args);
        let url = server.url();
        let page = ureq::get(format!("{url}/v1/approvals"))
            .header(
                "authorization",
                format!(
                    "Bearer {}",
                    fs::read_to_string(dir.join("keys/local.token"))
                        .unwrap()
                        .trim()
                ),
            )
            .call()
            .unwrap()
            .body_mut()
            .read_to_string()
            .unwrap();
        printed.push(page);
        for pid in family(server.child.id()) {
            for what in ["environ", "cmdline"] {
                // A child may have ended meanwhile.
                let bytes = fs::read(format!("/proc/{pid}/{what}")).unwrap_or_default();
                assert!(pid != server.child.id() || !bytes.is_empty());
                holds_none(&format!("{what} of process {pid}"), &bytes, &secrets);
            }
        }
        printed.push(server.said());
        server.stop();
    }
    let wrong = example.home.path().join("wrong");
    private(&wrong, "wrong");
    let wrong = wrong.display().to_string();
    let (out, err) = expect(4, &["run", "--dir", &arg, "--passphrase-file", &wrong]);
    printed.push(out + &err);
    for text in &printed {
        holds_none("what was printed", text.as_bytes(), &secrets);
    }
    let keys = dir.join("keys");
    let mut searched = 0;
    for path in files(&dir)
        .into_iter()
        .filter(|path| !path.starts_with(&keys))
    {
        holds_none(
            &path.display().to_string(),
            &fs::read(&path).unwrap(),
            &secrets,
        );
        searched += 1;
    }
    assert!(searched > 10);
    // Protected, the file does not tell it either.
    holds_none(
        "the protected file",
        &fs::read(keys.join("log.key")).unwrap(),
        &secrets,
    );
    holds_none("the program", &fs::read(BINARY).unwrap(), &secrets);
}
