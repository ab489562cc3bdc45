//! The log's key: behind a passphrase, in another program, and replaced by another one.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

use ed25519_dalek::pkcs8::KeypairBytes;
use ledger::Signer;
use ledger::rotation::Act;
use pkcs8::{EncodePrivateKey as _, LineEnding};
use zeroize::Zeroizing;

use super::*;
use crate::disk::fault::{Failure, Plan};
use crate::{NewKey, Passphrase, SignerConfig};

const SECRET: &str = "correct horse battery staple";

fn says(passphrase: &'static str) -> impl Fn() -> Result<Passphrase, StoreError> {
    move || Ok(Zeroizing::new(passphrase.to_owned()))
}

impl Place {
    fn take_with(&self, passphrase: &'static str) -> Result<DataDir, StoreError> {
        let guards = self.path.with_file_name("guards");
        DataDir::open_with(&self.path, &guards, &says(passphrase))
    }

    fn of(new: &NewKey<'_>) -> Self {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("data");
        DataDir::init_with(&path, ORIGIN, new).unwrap();
        Self { _room: room, path }
    }

    /// Appends a record and publishes it; answers the log's size.
    fn grow(&self) -> u64 {
        let (journal, records) = self.open().unwrap();
        let size = records.len() as u64;
        journal
            .append(size, group(size, 1))
            .unwrap()
            .durable_blocking()
            .unwrap();
        journal.close().unwrap();
        size + 1
    }

    fn rotate(&self, new: &NewKey<'_>) -> Verifier {
        let staged = self.take().unwrap().stage_rotation(new, Act::Rotated, "");
        staged.unwrap().commit().unwrap()
    }

    fn verify_by(&self, key: &Verifier) -> Result<u64, String> {
        let source = Directory::new(&self.path.join("log"));
        let verified = verify(&source, key, None, &mut |_, _| Ok(()));
        verified.map(|v| v.size).map_err(|fault| fault.to_string())
    }
}

/// A program that signs with openssl; its key, and how it behaves, are files beside it.
struct Program {
    home: TempDir,
    seed: [u8; 32],
}

impl Program {
    fn new(seed: u8) -> Self {
        let home = tempfile::tempdir().unwrap();
        let seed = [seed; 32];
        let pair = KeypairBytes {
            secret_key: seed,
            public_key: None,
        };
        let pem = pair.to_pkcs8_pem(LineEnding::LF).unwrap();
        fs::write(home.path().join("key.pem"), pem.as_bytes()).unwrap();
        let program = Self { home, seed };
        program.behaves(
            "cat > \"$here/text.$$\"; openssl pkeyutl -sign -rawin -inkey \"$here/key.pem\" -in \"$here/text.$$\" | base64 -w0",
        );
        program
    }

    fn behaves(&self, how: &str) {
        let place = self.home.path().join("how");
        let fresh = self.home.path().join("how.new");
        fs::write(
            &fresh,
            format!("here={}\n{how}\n", self.home.path().display()),
        )
        .unwrap();
        fs::rename(fresh, place).unwrap();
    }

    fn verifier(&self) -> Verifier {
        Signer::from_seed(ORIGIN, &self.seed).unwrap().verifier()
    }

    fn config(&self) -> SignerConfig {
        let how = self.home.path().join("how").display().to_string();
        SignerConfig {
            vkey: self.verifier().vkey(),
            command: vec!["sh".to_owned(), how],
            timeout_seconds: 2,
        }
    }
}

#[test]
fn a_protected_key_opens_with_its_passphrase_alone() {
    let place = Place::of(&NewKey::File {
        passphrase: Some(SECRET),
    });
    let file = place.path.join("keys/log.key");
    assert!(matches!(place.take(), Err(StoreError::Protected { .. })));
    assert!(matches!(
        place.take_with("wrong"),
        Err(StoreError::Passphrase { .. })
    ));
    let mode = fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // Other people's software reads the form.
    let openssl = Command::new("openssl")
        .args(["pkey", "-noout", "-text", "-passin"])
        .arg(format!("pass:{SECRET}"))
        .arg("-in")
        .arg(&file)
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&openssl.stdout).contains("ED25519"));
    let parsed = Command::new("openssl")
        .arg("asn1parse")
        .arg("-in")
        .arg(&file)
        .output();
    let parsed = String::from_utf8_lossy(&parsed.unwrap().stdout).into_owned();
    for part in ["PBES2", "scrypt", ":4000\n", ":05\n", "aes-256-cbc"] {
        assert!(parsed.contains(part), "{part} in {parsed}");
    }

    let dir = place.take_with(SECRET).unwrap();
    let vkey = dir.vkey();
    assert!(dir.protect(&says("wrong"), None).is_err());
    assert!(dir.protect(&says(SECRET), Some("")).is_err());
    dir.protect(&says(SECRET), None).unwrap();
    drop(dir);
    assert_eq!(place.take().unwrap().vkey(), vkey);
    place
        .take()
        .unwrap()
        .protect(&says("?"), Some("two"))
        .unwrap();
    assert_eq!(place.take_with("two").unwrap().vkey(), vkey);
}

#[test]
fn an_external_signer_signs_and_its_failures_poison_nothing() {
    let program = Program::new(5);
    let place = Place::of(&NewKey::External(program.config()));
    assert!(!place.path.join("keys/log.key").exists());
    assert_eq!(place.verify_by(&program.verifier()), Ok(0));
    let good = fs::read_to_string(program.home.path().join("how")).unwrap();
    let (journal, _) = place.open().unwrap();
    let mut size = 0;
    for (how, said) in [
        ("echo broken device >&2; exit 3", "broken device"),
        ("sleep 60", "within 2 s"),
        ("sleep 60 & sleep 60", "within 2 s"),
        ("echo short", "no Ed25519 signature"),
        ("head -c 64 /dev/zero", "not that of"),
        ("exec /nowhere/at/all", "failed"),
    ] {
        program.behaves(how);
        let ticket = journal.append(size, group(size, 3)).unwrap();
        size += 3;
        ticket.durable_blocking().unwrap();
        let start = Instant::now();
        while !journal.unsigned().is_some_and(|why| why.contains(said)) {
            assert!(start.elapsed() < Duration::from_secs(20), "{how}");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(journal.failure(), None);
        program.behaves(&good);
        journal.wait_published_blocking(size).unwrap();
        assert_eq!(journal.unsigned(), None);
    }
    // Closed while the signer is away: what is committed is published by the start after that, and by none before.
    program.behaves("exit 1");
    let ticket = journal.append(size, group(size, 2)).unwrap();
    ticket.durable_blocking().unwrap();
    assert!(journal.close().is_err());
    assert!(matches!(place.open(), Err(StoreError::Signer { .. })));
    program.behaves(&good);
    let (journal, records) = place.open().unwrap();
    assert_eq!(records.len() as u64, size + 2);
    journal.close().unwrap();
    assert_eq!(place.verify_by(&program.verifier()), Ok(size + 2));
    // Nobody else may say what is run.
    let file = place.path.join("signer.toml");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o620)).unwrap();
    assert!(matches!(place.open(), Err(StoreError::Exposed { .. })));
}

#[test]
fn a_signer_of_another_key_or_log_is_refused() {
    let [one, other] = [Program::new(5), Program::new(6)];
    let room = tempfile::tempdir().unwrap();
    let path = room.path().join("data");
    let wrong = SignerConfig {
        vkey: other.verifier().vkey(),
        ..one.config()
    };
    let made = DataDir::init_with(&path, ORIGIN, &NewKey::External(wrong));
    assert!(matches!(made, Err(StoreError::Key(_))));
    let made = DataDir::init_with(&path, "other.example", &NewKey::External(one.config()));
    assert!(matches!(made, Err(StoreError::Key(_))));
    assert_eq!(fs::read_dir(room.path()).unwrap().count(), 0);
}

#[test]
fn a_log_verifies_across_keys_of_every_sort() {
    let [one, two] = [Program::new(5), Program::new(6)];
    let place = Place::new();
    let mut keys = vec![place.verifier()];
    let mut size = 0;
    for new in [
        NewKey::File { passphrase: None },
        NewKey::External(one.config()),
        NewKey::External(two.config()),
        NewKey::File { passphrase: None },
    ] {
        place.grow();
        size = place.grow();
        keys.push(place.rotate(&new));
        // The old key's checkpoint stands until the first record under the new one.
        for key in &keys {
            assert_eq!(place.verify_by(key), Ok(size));
        }
    }
    assert_eq!(place.grow(), size + 1);
    for key in &keys {
        assert_eq!(place.verify_by(key), Ok(size + 1));
    }
    assert_eq!(place.verifier(), keys[4]);
    assert_eq!(keys[2], one.verifier());
    assert!(!place.path.join("signer.toml").exists());
    // Another log's statements, or none, lead nowhere.
    fs::remove_file(place.path.join("log/keys")).unwrap();
    assert!(place.verify_by(&keys[0]).is_err());
}

#[test]
fn a_log_that_is_empty_or_not_published_is_not_rotated() {
    let place = Place::new();
    let fresh = NewKey::File { passphrase: None };
    let staged = |place: &Place| place.take()?.stage_rotation(&fresh, Act::Revoked, "lost");
    assert!(matches!(staged(&place), Err(StoreError::Key(_))));
    place.grow();
    // Dropped before it is committed, nothing has happened.
    let before = place.files("keys");
    drop(staged(&place).unwrap());
    assert_eq!(place.files("keys"), before);
    let log = place.files("log");
    let (journal, _) = place.open().unwrap();
    journal
        .append(1, group(1, 1))
        .unwrap()
        .durable_blocking()
        .unwrap();
    drop(journal);
    place.put_back("log", &log);
    place.forget();
    assert!(matches!(staged(&place), Err(StoreError::Key(_))));
}

#[test]
fn a_rotation_cut_off_anywhere_is_finished_or_dropped() {
    // From a file to a program, and back: the two that change the most.
    std::thread::scope(|scope| {
        for failure in Failure::ALL {
            scope.spawn(move || {
                for away in [true, false] {
                    let (finished, dropped) = cut_off_everywhere(failure, away);
                    assert!(
                        finished > 8 && dropped > 4,
                        "{failure:?}: {finished} and {dropped}"
                    );
                }
            });
        }
    });
}

/// Cuts a rotation off at each operation of the disk, and the one that takes it up at each third; answers how many were
/// finished by the start after that, and how many dropped.
fn cut_off_everywhere(failure: Failure, away: bool) -> (u32, u32) {
    let (mut finished, mut dropped) = (0, 0);
    let program = Program::new(5);
    let (home, new) = if away {
        (Place::new(), NewKey::External(program.config()))
    } else {
        let home = Place::of(&NewKey::External(program.config()));
        (home, NewKey::File { passphrase: None })
    };
    let old = home.verifier();
    let size = home.grow();
    let [keys, log] = ["keys", "log"].map(|part| home.files(part));
    let signer = fs::read(home.path.join("signer.toml")).ok();
    let restrict = |entry: &str, mode: u32| {
        let path = home.path.join(entry);
        if path.exists() {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    for first in 0.. {
        let mut done = false;
        for second in (0..).step_by(3) {
            home.put_back("keys", &keys);
            restrict("keys", 0o700);
            restrict("keys/log.key", 0o600);
            home.put_back("log", &log);
            fs::write(home.path.join("log.vkey"), format!("{old}\n")).unwrap();
            let file = home.path.join("signer.toml");
            match &signer {
                Some(text) => fs::write(&file, text).unwrap(),
                None => drop(fs::remove_file(&file)),
            }
            home.forget();

            let staged = home.take().unwrap();
            let staged = staged.stage_rotation(&new, Act::Rotated, "drill").unwrap();
            done = staged
                .commit_on(&Disk::failing(Plan::new(first, failure)))
                .is_ok();
            let disk = Disk::failing(Plan::new(second, failure));
            let again = crate::key::finish(&disk, &home.path).is_ok();
            if failure == Failure::LostRenames {
                // The pretended disk gives a file back without its mode.
                restrict("keys/log.key", 0o600);
            }

            let dir = home.take().unwrap();
            let now = dir.signer().verifier();
            assert_eq!(dir.keys().keys()[0], old);
            assert_eq!(*dir.keys().key(), now);
            drop(dir);
            if now == old {
                dropped += 1;
                assert!(!done);
            } else {
                finished += 1;
            }
            let names: Vec<_> = home.files("keys").into_keys().collect();
            let want = if home.path.join("signer.toml").exists() {
                Vec::new()
            } else {
                vec!["log.key".to_owned()]
            };
            assert_eq!(names, want, "{failure:?} at {first} and {second}");
            assert_eq!(home.verify_by(&old), Ok(size));
            if again {
                break;
            }
        }
        if done {
            break;
        }
    }
    assert_eq!(home.grow(), size + 1);
    assert_eq!(home.verify_by(&old), Ok(size + 1));
    (finished, dropped)
}
