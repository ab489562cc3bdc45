//! A data subject is erased: everything still verifies and comes out the same, and what is gone says under which record.

use std::fs;

use duty::{
    name::CaseId,
    record::Body,
    request::Request,
    statement::{ConfirmationStatement, ErasureStatement, Signed},
    subject::SubjectId,
};
use evidence::{
    Kept, ReperformOptions, Step, Vault, VerifyReport, open, proof, reperform, replay, verify,
};
use ledger::trust::Policy;

use crate::world::{ORIGIN, World, log_key, name, sign};

/// A busy log in which the subject of case `mid` was erased; answers the record that says so.
fn erased(world: &mut World) -> u64 {
    let subject = SubjectId::of(ORIGIN, "R-mid");
    let statement = ErasureStatement {
        statement: ErasureStatement::TYPE.to_owned(),
        log: ORIGIN.to_owned(),
        subject,
        reason: "asked for by letter".to_owned(),
        signer: name("olivia"),
        credential: name("olivia-1"),
    };
    let signed: Signed<_> = sign(statement, "olivia");
    let asked = world.must("olivia", Request::RequestErasure(signed));
    let statement = ConfirmationStatement {
        statement: ConfirmationStatement::TYPE.to_owned(),
        log: ORIGIN.to_owned(),
        subject,
        request: asked[0].seq,
        reason: "the letter is here".to_owned(),
        signer: name("bob"),
        credential: name("bob-1"),
    };
    let done = world.must("bob", Request::ConfirmErasure(sign(statement, "bob")));
    assert!(matches!(done[1].body, Body::SubjectErased(_)));
    done[1].seq
}

fn check(world: &World) -> VerifyReport {
    let dir = world.dir.display().to_string();
    let snapshots = world.dir.join("snapshots");
    verify(
        &*open(&dir).unwrap(),
        &log_key().verifier().vkey(),
        None,
        Some(&snapshots),
    )
    .unwrap()
}

fn steps(world: &World, case: &str) -> Vec<Step> {
    let source = open(&world.dir.display().to_string()).unwrap();
    let vault = Vault::new(world.dir.join("snapshots"));
    let case: CaseId = name(case);
    replay(&*source, Some(&vault), &case).unwrap()
}

#[test]
fn what_is_gone_says_so_and_everything_else_stands() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::busy(dir.path());
    world.publish(&log_key());
    let before = check(&world);
    let told = steps(&world, "mid");
    let record = erased(&mut world);
    world.publish(&log_key());

    // Recorded and not carried out yet: a warning, since a record says that it is gone.
    let report = check(&world);
    assert_eq!(report.snapshots, before.snapshots);
    let warning = report.warnings.iter().find(|w| w.contains("the key of"));
    assert!(
        warning.is_some_and(|w| w.contains(&format!("record {record}"))),
        "{report:?}"
    );

    // Its key is destroyed; copies of its files elsewhere may be anywhere.
    fs::remove_file(world.key_path("R-mid")).unwrap();
    let report = check(&world);
    let gone = report.erased;
    assert!(gone > 2, "{report:?}");
    assert_eq!(report.snapshots, before.snapshots - gone);
    assert_eq!((report.sealed, report.absent), (0, 0));
    assert!(report.warnings.is_empty(), "{report:?}");

    // And its files are gone.
    let vault = Vault::new(dir.path().join("snapshots"));
    let mut removed = 0;
    for step in &told {
        for input in &step.inputs {
            let path = vault.path(&input.commitment);
            if path.exists() {
                fs::remove_file(path).unwrap();
                removed += 1;
            }
            assert_eq!(vault.get(&input.commitment).unwrap(), Kept::Absent);
        }
    }
    assert_eq!(removed, gone);
    let report = check(&world);
    assert_eq!((report.erased, report.absent), (gone, 0));
    assert_eq!(report.snapshots, before.snapshots - gone);

    // Every decision agrees; the erased agents are counted apart from those whose snapshots are missing.
    let options = ReperformOptions {
        release: None,
        snapshots: Some(dir.path().join("snapshots")),
        ..ReperformOptions::default()
    };
    let source = open(&dir.path().display().to_string()).unwrap();
    let again = reperform(&*source, &options).unwrap();
    assert_eq!(again.recommendations_erased, 2);
    assert_eq!(again.recommendations_not_here, 0);
    assert_eq!(again.recommendations, 14);

    // Replay tells the same story, with the record in the place of each thing that is gone.
    let now = steps(&world, "mid");
    assert_eq!(now.len(), told.len());
    let text: String = now.iter().map(ToString::to_string).collect();
    let said = format!("erased under record {record}");
    let inputs: usize = now.iter().map(|s| s.inputs.len()).sum();
    assert_eq!(text.matches(&said).count(), inputs + 2, "{text}");
    assert!(!text.contains("not here"), "{text}");
    for (now, told) in now.iter().zip(&told) {
        assert_eq!((&now.says, &now.decision), (&told.says, &told.decision));
    }
    let other: String = steps(&world, "big").iter().map(|s| s.to_string()).collect();
    assert!(!other.contains("erased"), "{other}");

    // A proof of one of its records is as good as ever.
    let verifier = log_key().verifier();
    let policy = Policy::none();
    for step in &now {
        let text = proof::prove(&*source, &verifier, step.seq).unwrap();
        proof::check(&text, &verifier, &policy).unwrap();
    }
}

#[test]
fn what_is_missing_without_a_record_is_not_called_erased() {
    let dir = tempfile::tempdir().unwrap();
    let mut world = World::busy(dir.path());
    let record = erased(&mut world);
    world.publish(&log_key());
    for subject in ["R-mid", "R-big"] {
        fs::remove_file(world.key_path(subject)).unwrap();
    }
    let report = check(&world);
    assert!(report.sealed > 2 && report.erased > 2, "{report:?}");
    let text: String = steps(&world, "big").iter().map(|s| s.to_string()).collect();
    assert!(text.contains("sealed here: no key"), "{text}");
    assert!(!text.contains(&format!("record {record}")), "{text}");
}
