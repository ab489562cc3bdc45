//! Tests of the whole store: what is true after every failure.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use ledger::verify::verify;
use ledger::{Directory, Verifier};
use tempfile::TempDir;

use crate::disk::Disk;
use crate::{DataDir, Journal, StoreError};

mod archive;
mod faults;
mod fold;
mod keys;
mod live;
mod snapshots;
mod tails;

const ORIGIN: &str = "test.example/log";

/// A data directory in a place of its own.
struct Place {
    _room: TempDir,
    path: PathBuf,
}

impl Place {
    fn new() -> Self {
        let room = tempfile::tempdir().unwrap();
        let path = room.path().join("data");
        DataDir::init(&path, ORIGIN).unwrap();
        Self { _room: room, path }
    }

    fn take(&self) -> Result<DataDir, StoreError> {
        DataDir::open(&self.path, &self.path.with_file_name("guards"))
    }

    fn open(&self) -> Result<(Journal, Vec<Vec<u8>>), StoreError> {
        self.open_on(&Disk::default())
    }

    /// Opens the journal and gathers its records.
    fn open_on(&self, disk: &Disk) -> Result<(Journal, Vec<Vec<u8>>), StoreError> {
        let mut records = Vec::new();
        let dir = self.take()?;
        let journal = Journal::open_on(disk, &dir, 0, &mut |index, record| {
            assert_eq!(index, records.len() as u64);
            records.push(record.to_vec());
            Ok(())
        })?;
        Ok((journal, records))
    }

    fn verifier(&self) -> Verifier {
        Verifier::from_vkey(&fs::read_to_string(self.path.join("log.vkey")).unwrap()).unwrap()
    }

    /// Checks the whole published log; answers its size.
    fn verify(&self) -> u64 {
        let source = Directory::new(&self.path.join("log"));
        verify(&source, &self.verifier(), None, &mut |_, _| Ok(()))
            .unwrap()
            .size
    }

    /// Every file below a part of the directory.
    fn files(&self, part: &str) -> BTreeMap<String, Vec<u8>> {
        use ledger::Source as _;
        let root = self.path.join(part);
        let list = Directory::new(&root).list().unwrap().unwrap();
        list.into_iter()
            .map(|file| (file.clone(), fs::read(root.join(file)).unwrap()))
            .collect()
    }

    /// As if the directory had come to a machine that never saw its log.
    fn forget(&self) {
        fs::remove_dir_all(self.path.with_file_name("guards")).unwrap();
    }

    fn put_back(&self, part: &str, files: &BTreeMap<String, Vec<u8>>) {
        let root = self.path.join(part);
        fs::remove_dir_all(&root).unwrap();
        fs::create_dir(&root).unwrap();
        for (file, bytes) in files {
            let path = root.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
    }
}

fn record(number: u64) -> Vec<u8> {
    format!("record {number} {}", "x".repeat(number as usize % 40)).into_bytes()
}

fn group(first: u64, count: u64) -> Vec<Vec<u8>> {
    (first..first + count).map(record).collect()
}

fn numbered(records: &[Vec<u8>]) -> bool {
    records
        .iter()
        .zip(0..)
        .all(|(bytes, number)| *bytes == record(number))
}

#[test]
fn a_fresh_directory_holds_an_empty_log() {
    let place = Place::new();
    assert!(DataDir::exists(&place.path));
    assert_eq!(place.verify(), 0);
    let (journal, records) = place.open().unwrap();
    assert_eq!(
        (records.len(), journal.committed(), journal.published()),
        (0, 0, 0)
    );
    journal.close().unwrap();
    assert!(matches!(
        DataDir::init(&place.path, ORIGIN),
        Err(StoreError::Taken { .. })
    ));
}

#[test]
fn makes_a_directory_whole_or_not_at_all() {
    let room = tempfile::tempdir().unwrap();
    let there = room.path().join("there");
    fs::create_dir_all(there.join(".init")).unwrap();
    fs::create_dir(there.join("keys")).unwrap();
    DataDir::init(&there, ORIGIN).unwrap();
    DataDir::open(&there, &room.path().join("guards")).unwrap();
    assert!(!there.join(".init").exists());
    let full = room.path().join("full");
    fs::create_dir(&full).unwrap();
    fs::write(full.join("thesis.txt"), "mine").unwrap();
    assert!(matches!(
        DataDir::init(&full, ORIGIN),
        Err(StoreError::Taken { .. })
    ));
    assert!(matches!(
        DataDir::open(&full, &room.path().join("guards")),
        Err(StoreError::NotADataDirectory { .. })
    ));
    assert!(matches!(
        DataDir::init(&room.path().join("bad"), "two words"),
        Err(StoreError::Key(_))
    ));
    let mut left: Vec<_> = fs::read_dir(room.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["full", "guards", "there"]);
}

#[test]
fn one_process_owns_the_directory() {
    let place = Place::new();
    let dir = place.take().unwrap();
    let refused = place.take().unwrap_err();
    assert!(matches!(refused, StoreError::Locked { .. }));
    let journal = Journal::open(&dir, &mut |_, _| Ok(())).unwrap();
    drop(dir);
    assert!(place.take().is_err(), "the journal still owns it");
    journal.close().unwrap();
    place.take().unwrap();
}

#[test]
fn a_copy_cannot_go_on_beside_the_original() {
    let place = Place::new();
    let (journal, _) = place.open().unwrap();
    let _ticket = journal.append(0, group(0, 3)).unwrap();
    journal.close().unwrap();
    let (log, wal) = (place.files("log"), place.files("wal"));
    let copy = Place {
        path: place.path.with_file_name("copy"),
        _room: tempfile::tempdir().unwrap(),
    };
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .args([&place.path, &copy.path])
        .status();
    assert!(copied.unwrap().success());
    // While the original is open.
    let (journal, _) = place.open().unwrap();
    assert!(matches!(
        copy.open().err(),
        Some(StoreError::Elsewhere { .. })
    ));
    let _ticket = journal.append(3, group(3, 2)).unwrap();
    journal.close().unwrap();
    // After it went on: the copy is yesterday's backup.
    match copy.open().err() {
        Some(StoreError::RolledBack { have, had, .. }) => assert_eq!((have, had), (3, 5)),
        other => panic!("{other:?}"),
    }
    place.put_back("log", &log);
    place.put_back("wal", &wal);
    let refused = place.open().err().unwrap().to_string();
    assert!(refused.contains("put the newer copy back"), "{refused}");
    // Another history of the same length and more, made where nobody knew the log.
    copy.path.with_file_name("guards").rename("elsewhere");
    let (journal, _) = copy.open().unwrap();
    let _ticket = journal.append(3, vec![b"other".to_vec(); 4]).unwrap();
    journal.close().unwrap();
    fs::remove_dir_all(copy.path.with_file_name("guards")).unwrap();
    copy.path.with_file_name("elsewhere").rename("guards");
    assert!(matches!(
        copy.open().err(),
        Some(StoreError::Forked { size: 5, .. })
    ));
}

#[test]
fn checkpoints_are_cosigned_and_failures_are_told() {
    struct Now(Arc<AtomicU64>);
    impl crate::Cosign for Now {
        fn cosign(&mut self, log: &Directory, note: &[u8]) -> Result<Vec<u8>, String> {
            assert!(ledger::Source::read(log, "checkpoint").is_ok());
            match self.0.load(Ordering::SeqCst) {
                0 => Err("nobody is there".to_owned()),
                _ => Ok([note, b"cosigned\n"].concat()),
            }
        }
    }
    let place = Place::new();
    let dir = place.take().unwrap();
    let mut journal = Journal::open(&dir, &mut |_, _| Ok(())).unwrap();
    let wait = |future| {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap()
            .block_on(async {
                tokio::time::timeout(std::time::Duration::from_millis(200), future).await
            })
    };
    assert_eq!(
        wait(Box::pin(journal.wait_witnessed(0)) as std::pin::Pin<Box<dyn Future<Output = _>>>),
        Ok(Err(StoreError::Unwitnessed))
    );
    let there = Arc::new(AtomicU64::new(0));
    journal
        .witness(&dir, Box::new(Now(Arc::clone(&there))))
        .unwrap();
    let ticket = journal.append(0, group(0, 3)).unwrap();
    ticket.durable_blocking().unwrap();
    assert!(wait(Box::pin(journal.wait_witnessed(3))).is_err());
    assert_eq!(
        journal.witnessed().problem.as_deref(),
        Some("nobody is there")
    );
    there.store(1, Ordering::SeqCst);
    assert_eq!(wait(Box::pin(journal.wait_witnessed(3))), Ok(Ok(())));
    let kept = fs::read(place.path.join("log/checkpoint.witnessed")).unwrap();
    assert_eq!(kept, journal.witnessed().note);
    assert!(kept.ends_with(b"cosigned\n"));
    drop(journal);
    place.verify();
}

trait Rename {
    fn rename(&self, name: &str);
}

impl Rename for PathBuf {
    fn rename(&self, name: &str) {
        fs::rename(self, self.with_file_name(name)).unwrap();
    }
}

#[test]
fn refuses_keys_that_others_can_read_and_other_layouts() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new();
    let key = place.path.join("keys/log.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(place.take(), Err(StoreError::Exposed { .. })));
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let keys = place.path.join("keys");
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(matches!(place.take(), Err(StoreError::Exposed { .. })));
    fs::set_permissions(&keys, fs::Permissions::from_mode(0o700)).unwrap();
    place.take().unwrap();
    fs::write(
        place.path.join("counterfoil.json"),
        r#"{"layout":3,"origin":"test.example/log","id":"00"}"#,
    )
    .unwrap();
    let refused = place.take().unwrap_err().to_string();
    assert!(refused.contains("layout is 3"), "{refused}");
}

#[test]
fn says_that_a_disk_is_read_only_or_full() {
    let path = Path::new("/data/lock");
    let of = |code| StoreError::io(path, &std::io::Error::from_raw_os_error(code));
    assert!(matches!(of(30), StoreError::ReadOnly { .. }), "EROFS");
    assert!(matches!(of(28), StoreError::Full { .. }), "ENOSPC");
    assert!(matches!(of(122), StoreError::Full { .. }), "EDQUOT");
    assert!(matches!(of(5), StoreError::Io { .. }), "EIO");
}

#[test]
fn appends_publishes_and_reads_again() {
    let place = Place::new();
    let mut next = 0;
    for count in [1, 255, 1, 700, 3] {
        let (journal, records) = place.open().unwrap();
        assert_eq!(records.len() as u64, next);
        assert!(numbered(&records));
        journal
            .append(next, group(next, count))
            .unwrap()
            .durable_blocking()
            .unwrap();
        next += count;
        assert_eq!(journal.committed(), next);
        journal.wait_published_blocking(next).unwrap();
        assert_eq!(journal.published(), next);
        journal.close().unwrap();
        assert_eq!(place.verify(), next);
    }
    let left: Vec<_> = place.files("wal").into_keys().collect();
    assert_eq!(
        left,
        [format!("{:020}.wal", next - 3)],
        "the older ones are removed"
    );
    let log = place.files("log");
    assert!(
        !log.keys().any(|file| file.starts_with("tile/0/000.p/")),
        "superseded"
    );
}

#[test]
fn refuses_groups_out_of_order_and_records_too_long() {
    let place = Place::new();
    let (journal, _) = place.open().unwrap();
    assert_eq!(
        journal.append(1, group(1, 1)).err(),
        Some(StoreError::OutOfOrder { first: 1, next: 0 })
    );
    let long = vec![vec![0; 65_535], vec![0; 65_536]];
    assert!(matches!(
        journal.append(0, long).err(),
        Some(StoreError::TooLong { bytes: 65_536, .. })
    ));
    let longest = vec![vec![7; 65_535]];
    journal
        .append(0, longest)
        .unwrap()
        .durable_blocking()
        .unwrap();
    journal
        .append(1, Vec::new())
        .unwrap()
        .durable_blocking()
        .unwrap();
    journal.close().unwrap();
    assert_eq!(place.verify(), 1);
}

#[test]
fn hands_on_why_a_record_is_refused() {
    let place = Place::new();
    let (journal, _) = place.open().unwrap();
    let _ticket = journal.append(0, group(0, 300)).unwrap();
    journal.close().unwrap();
    let dir = place.take().unwrap();
    let refused = Journal::open(&dir, &mut |index, _| match index {
        299 => Err("it does not fold".to_owned()),
        _ => Ok(()),
    });
    assert_eq!(
        refused.err(),
        Some(StoreError::Refused {
            index: 299,
            why: "it does not fold".to_owned()
        })
    );
}

#[test]
fn sixty_four_threads_append_in_order() {
    let place = Place::new();
    let (journal, _) = place.open().unwrap();
    let next = Mutex::new(0);
    let resolved = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for thread in 0..64 {
            let (journal, next, resolved) = (&journal, &next, &resolved);
            scope.spawn(move || {
                for round in 0..20 {
                    let count = 1 + (thread + round) % 4;
                    let (ticket, end) = {
                        let mut next = next.lock().unwrap();
                        let ticket = journal.append(*next, group(*next, count)).unwrap();
                        *next += count;
                        (ticket, *next)
                    };
                    ticket.durable_blocking().unwrap();
                    assert!(journal.committed() >= end);
                    resolved.fetch_add(count, Ordering::Relaxed);
                }
            });
        }
    });
    let size = resolved.into_inner();
    assert_eq!(journal.committed(), size);
    journal.close().unwrap();
    let (journal, records) = place.open().unwrap();
    assert_eq!(records.len() as u64, size);
    assert!(numbered(&records));
    drop(journal);
    assert_eq!(place.verify(), size);
}

#[tokio::test]
async fn async_waiters_are_told() {
    let place = Place::new();
    let (journal, _) = place.open().unwrap();
    let published = journal.wait_published(3);
    journal
        .append(0, group(0, 3))
        .unwrap()
        .durable()
        .await
        .unwrap();
    published.await.unwrap();
    assert!(
        String::from_utf8(journal.checkpoint())
            .unwrap()
            .starts_with("test.example/log\n3\n")
    );
    let never = journal.wait_published(4);
    drop(journal);
    assert!(matches!(never.await, Err(StoreError::Stopped { .. })));
}

#[test]
fn rotates_segments_and_removes_published_ones() {
    let place = Place::new();
    let (journal, _) = place.open().unwrap();
    let big = vec![7; 60_000];
    let mut next = 0;
    for _ in 0..120 {
        journal
            .append(next, vec![big.clone(); 10])
            .unwrap()
            .durable_blocking()
            .unwrap();
        next += 10;
    }
    journal.wait_published_blocking(next).unwrap();
    drop(journal);
    let wal: u64 = place
        .files("wal")
        .values()
        .map(|bytes| bytes.len() as u64)
        .sum();
    assert!(
        wal < 40 << 20,
        "{wal} bytes of write-ahead log are left of {}",
        60_000 * next
    );
    let (journal, records) = place.open().unwrap();
    assert_eq!(records.len() as u64, next);
    journal.close().unwrap();
    assert_eq!(place.verify(), next);
}
