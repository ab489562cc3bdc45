//! Whatever is changed in a copy is found, and the place is said.

use std::{fs, path::Path};

use duty::{
    record::{Body, Record},
    request::Request,
    statement::Choice,
};
use evidence::{Fault, VerifyReport, open_at, verify};
use ledger::Signer;

use crate::world::{Invoice, World, log_key, publish};

pub(crate) fn check(dir: &Path) -> Result<VerifyReport, Fault> {
    let opened = open_at(&dir.display().to_string()).unwrap();
    let vkey = log_key().verifier().vkey();
    let snapshots = dir.join("snapshots");
    verify(&*opened.source, &vkey, None, Some(&snapshots))
}

fn entries(world: &World) -> Vec<Vec<u8>> {
    world
        .records
        .iter()
        .map(|r| r.to_bytes().unwrap())
        .collect()
}

/// Re-hashes and re-signs the log with the right key after `change`, and says what is found.
#[track_caller]
fn forged(change: impl FnOnce(&mut Vec<Record>)) -> Fault {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::busy(dir.path());
    change(&mut world.records);
    world.publish(&log_key());
    check(dir.path()).expect_err("the forgery should be found")
}

fn place(records: &[Record], kind: &str) -> usize {
    records.iter().position(|r| r.body.kind() == kind).unwrap()
}

#[test]
fn a_log_as_it_should_be() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::busy(dir.path());
    world.publish(&log_key());
    let report = check(dir.path()).unwrap();
    assert_eq!(report.size, world.records.len() as u64);
    // Seven completions, the author and the promoter, two under the threshold, bob and gus on three cases, gus on a fourth, one
    // triage.
    let signed = world.records.iter().filter(|r| {
        !matches!(r.body, Body::RequestRefused(_))
            && matches!(
                r.body.request(),
                Some(r) if r.signer().is_some()
            )
    });
    assert_eq!(report.signatures, signed.count() as u64);
    assert_eq!(report.signatures, 17);
    assert_eq!(report.refusals, 1);
    assert_eq!(report.files, world.release.files().len() as u64);
    assert!(report.snapshots > 50 && report.absent == 0, "{report:?}");
    assert_eq!(report.first, Some(world.records[0].time));
    assert!(report.warnings.is_empty());
}

#[test]
fn every_changed_byte_of_the_log_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::busy(dir.path());
    for n in 0..20 {
        world.judged(&format!("more-{n}"), &Invoice::of(50_000, "V-1"));
    }
    world.publish(&log_key());
    let source = open_at(&dir.path().display().to_string()).unwrap().source;
    let files = source.list().unwrap().unwrap();
    // Checkpoint, full and partial bundles, and tiles of two levels.
    assert!(files.len() >= 6, "{files:?}");
    let mut seed = 1_u64;
    let mut random = move |below: usize| {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    };
    for n in 0..120 {
        let path = dir.path().join("log").join(&files[n % files.len()]);
        let right = fs::read(&path).unwrap();
        let mut wrong = right.clone();
        let at = random(right.len());
        wrong[at] ^= 1 << random(8);
        fs::write(&path, &wrong).unwrap();
        let fault = check(dir.path()).expect_err("a changed byte should be found");
        assert!(!fault.unreadable, "{fault}");
        fs::write(&path, &right).unwrap();
    }
    check(dir.path()).unwrap();
}

#[test]
fn every_changed_snapshot_is_found_and_an_absent_one_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::busy(dir.path());
    world.publish(&log_key());
    let all = check(dir.path()).unwrap().snapshots;
    let vault = evidence::Vault::new(dir.path().join("snapshots"));
    let commitment = world.records.iter().find_map(|r| match r.body.request() {
        Some(Request::Answer(a)) => a.snapshot,
        _ => None,
    });
    let path = vault.path(&commitment.unwrap());
    let right = fs::read(&path).unwrap();
    // Magic, key id, nonce, box.
    for at in [0, 10, 30, 50, right.len() - 1] {
        let mut wrong = right.clone();
        wrong[at] ^= 1;
        fs::write(&path, wrong).unwrap();
        let fault = check(dir.path()).unwrap_err();
        assert!(
            fault.place.contains(&commitment.unwrap().to_string()),
            "{fault}"
        );
    }
    fs::remove_file(&path).unwrap();
    let report = check(dir.path()).unwrap();
    assert_eq!((report.snapshots, report.absent), (all - 1, 1));
    fs::write(&path, right).unwrap();
    world.keep("", b"kept, and then the process ended");
    let report = check(dir.path()).unwrap();
    assert_eq!((report.snapshots, report.absent), (all + 1, 0));
    assert_eq!(report.warnings.len(), 1);
}

#[test]
fn a_copy_without_keys_is_no_fault_and_another_key_id_is() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::busy(dir.path());
    world.publish(&log_key());
    let all = check(dir.path()).unwrap().snapshots;
    let commitment = world.records.iter().find_map(|r| match r.body.request() {
        Some(Request::OpenCase(r)) => Some((r.snapshot, r.subject.clone())),
        _ => None,
    });
    let (commitment, subject) = commitment.unwrap();
    let of_subject = all_of(&world, &subject);
    assert!(of_subject > 1 && of_subject < all);
    let key = fs::read(world.key_path(&subject)).unwrap();
    fs::write(world.key_path(&subject), [0; 32]).unwrap();
    assert!(check(dir.path()).unwrap_err().why.contains("was changed"));
    fs::remove_file(world.key_path(&subject)).unwrap();
    let report = check(dir.path()).unwrap();
    let counts = (report.snapshots, report.sealed, report.absent);
    assert_eq!(counts, (all - of_subject, of_subject, 0));
    fs::remove_dir_all(dir.path().join("keys")).unwrap();
    let report = check(dir.path()).unwrap();
    assert_eq!(
        (report.snapshots, report.sealed, report.absent),
        (0, all, 0)
    );
    // Without keys the box cannot be judged, but whose it is can.
    let path = evidence::Vault::new(dir.path().join("snapshots")).path(&commitment);
    let mut file = fs::read(&path).unwrap();
    file[4] ^= 1;
    fs::write(&path, &file).unwrap();
    let fault = check(dir.path()).unwrap_err();
    assert!(
        fault.why.contains("not that of its case's subject"),
        "{fault}"
    );
    file[4] ^= 1;
    fs::write(&path, &file).unwrap();
    fs::write(world.key_path_made(&subject), key).unwrap();
    assert_eq!(check(dir.path()).unwrap().snapshots, of_subject);
}

/// How many snapshots the log's cases of a subject commit to.
fn all_of(world: &World, subject: &str) -> u64 {
    let case = world.records.iter().find_map(|r| match r.body.request() {
        Some(Request::OpenCase(r)) if r.subject == subject => Some(r.case.clone()),
        _ => None,
    });
    let of_case = world.records.iter().filter(|r| r.case == case);
    let kept = of_case.filter_map(|r| match r.body.request() {
        Some(Request::OpenCase(r)) => Some(r.snapshot),
        Some(Request::Answer(r)) => r.snapshot,
        Some(Request::RecordOutcome(r)) => r.snapshot,
        _ => None,
    });
    kept.count() as u64
}

#[test]
fn snapshots_in_the_clear_are_still_checked() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::busy(dir.path());
    world.publish(&log_key());
    let all = check(dir.path()).unwrap().snapshots;
    let commitment = world.records.iter().find_map(|r| match r.body.request() {
        Some(Request::OpenCase(r)) => Some(r.snapshot),
        _ => None,
    });
    let vault = evidence::Vault::new(dir.path().join("snapshots"));
    let path = vault.path(&commitment.unwrap());
    // The same salt and bytes in the older form, which the first snapshot of the world has.
    let salt = *duty::canonical::Digest::of_bytes(&1_u64.to_be_bytes()).as_bytes();
    let Ok(evidence::Kept::Bytes(bytes)) = vault.get(&commitment.unwrap()) else {
        panic!("it is not here")
    };
    let mut old = [&b"CFS1"[..], &salt, &bytes].concat();
    fs::write(&path, &old).unwrap();
    assert_eq!(check(dir.path()).unwrap().snapshots, all);
    *old.last_mut().unwrap() ^= 1;
    fs::write(&path, &old).unwrap();
    assert!(check(dir.path()).is_err());
}

#[test]
fn another_key_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::busy(dir.path());
    world.publish(&Signer::from_seed(crate::world::ORIGIN, &[8; 32]).unwrap());
    let fault = check(dir.path()).unwrap_err();
    assert_eq!(fault.place, "checkpoint");
    let other = Signer::from_seed("other.example/log", &[7; 32]).unwrap();
    publish(&dir.path().join("log"), &entries(&world), &other);
    assert_eq!(check(dir.path()).unwrap_err().place, "checkpoint");
}

#[test]
fn a_log_cut_short_or_rewritten_is_found_by_whoever_kept_a_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::busy(dir.path());
    world.publish(&log_key());
    let kept = fs::read(dir.path().join("log/checkpoint")).unwrap();
    let since = |dir: &Path| {
        let opened = open_at(&dir.display().to_string()).unwrap();
        verify(
            &*opened.source,
            &log_key().verifier().vkey(),
            Some(&kept),
            None,
        )
    };
    world.judged("later", &Invoice::of(41_000, "V-1"));
    world.publish(&log_key());
    since(dir.path()).unwrap();
    let mut cut = entries(&world);
    cut.truncate(100);
    publish(&dir.path().join("log"), &cut, &log_key());
    assert!(since(dir.path()).unwrap_err().why.contains("truncated"));
    let other = tempfile::tempdir().unwrap();
    let mut rewritten = World::new(other.path());
    for n in 0..20 {
        rewritten.judged(&format!("other-{n}"), &Invoice::of(1_000, "V-9"));
    }
    rewritten.publish(&log_key());
    assert!(check(other.path()).is_ok());
    assert!(since(other.path()).unwrap_err().why.contains("rewritten"));
}

#[test]
fn swapped_records_are_found() {
    let fault = forged(|records| records.swap(30, 31));
    assert_eq!(fault.record, Some(30));
    let fault = forged(|records| {
        records.swap(30, 31);
        records[30].seq = 30;
        records[31].seq = 31;
    });
    assert!(
        fault.record == Some(30) || fault.record == Some(31),
        "{fault}"
    );
}

#[test]
fn a_human_signature_that_is_not_theirs_is_found() {
    // The log's owner holds the log's key, and still cannot sign for bob.
    let fault = forged(|records| {
        let at = place(records, "approval.given");
        let Body::ApprovalGiven(body) = &mut records[at].body else {
            panic!()
        };
        let Request::Approve(signed) = &mut body.request else {
            panic!()
        };
        signed.statement.reason = "looked at it twice".to_owned();
    });
    assert!(fault.why.contains("signature"), "{fault}");
    assert!(fault.place.starts_with("tile/entries/"), "{fault}");
    // gus signs in bob's name.
    let fault = forged(|records| {
        let at = place(records, "approval.given");
        let Body::ApprovalGiven(body) = &mut records[at].body else {
            panic!()
        };
        let Request::Approve(signed) = &mut body.request else {
            panic!()
        };
        *signed = crate::world::sign(signed.statement.clone(), "gus");
    });
    assert!(fault.why.contains("signature"), "{fault}");
}

#[test]
fn a_yes_turned_no_a_changed_file_and_a_group_torn_apart_are_found() {
    let fault = forged(|records| {
        let at = place(records, "approval.given");
        let Body::ApprovalGiven(body) = &mut records[at].body else {
            panic!()
        };
        let Request::Approve(signed) = &mut body.request else {
            panic!()
        };
        signed.statement.decision = Choice::Reject;
    });
    assert!(fault.why.contains("signature"), "{fault}");
    let fault = forged(|records| {
        let at = place(records, "file.recorded");
        let Body::FileRecorded(body) = &mut records[at].body else {
            panic!()
        };
        let Request::RecordFile(file) = &mut body.request else {
            panic!()
        };
        file.content.push('!');
    });
    assert!(fault.why.contains("the file has the digest"), "{fault}");
    let fault = forged(|records| {
        let at = place(records, "release.built");
        let Body::ReleaseBuilt(body) = &mut records[at].body else {
            panic!()
        };
        let Request::BuildRelease(build) = &mut body.request else {
            panic!()
        };
        let last = build.files.keys().next_back().unwrap().clone();
        build.files.remove(&last);
    });
    assert!(fault.why.contains("the release has the digest"), "{fault}");
    let fault = forged(|records| {
        let at = place(records, "verdict.reached");
        records[at].cause = Some(0);
    });
    assert!(fault.why.contains("cause"), "{fault}");
    let fault = forged(|records| {
        let at = place(records, "grant.issued");
        records[at].time = records[at + 1].time;
    });
    assert!(fault.why.contains("time"), "{fault}");
}

#[test]
fn bytes_that_are_no_record_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let world = World::new(dir.path());
    for change in [
        |bytes: Vec<u8>| [b" ", &bytes[..]].concat(),
        |bytes: Vec<u8>| {
            let text = String::from_utf8(bytes).unwrap();
            text.replacen("\"v\":1", "\"v\":2", 1).into_bytes()
        },
        |bytes: Vec<u8>| {
            let text = String::from_utf8(bytes).unwrap();
            text.replacen("{\"actor\"", "{\"a\":1,\"actor\"", 1)
                .into_bytes()
        },
        |_| b"not a record".to_vec(),
    ] {
        let mut entries = entries(&world);
        let last = entries.pop().unwrap();
        entries.push(change(last));
        publish(&dir.path().join("log"), &entries, &log_key());
        let fault = check(dir.path()).unwrap_err();
        assert_eq!(fault.record, Some(entries.len() as u64 - 1), "{fault}");
    }
}
