//! A change of the log's key is taken down once, at its place, as both keys signed it; and this crate reads statements as
//! the ledger does.

use crate::world::{ORIGIN, World, kinds};
use duty::{
    log_key::Rotation,
    refusal::Code,
    request::{Request, RotateLogKey},
};
use ledger::{
    Signer,
    rotation::{Act, Statement},
};

fn key(origin: &str, seed: u8) -> Signer {
    Signer::from_seed(origin, &[seed; 32]).unwrap()
}

fn note(origin: &str, from: u8, to: u8, size: u64) -> String {
    let (old, new) = (key(origin, from), key(origin, to));
    let statement = Statement {
        size,
        root: [7; 32],
        old: old.verifier(),
        new: new.verifier(),
        act: Act::Revoked,
        reason: "the laptop was stolen".to_owned(),
    };
    String::from_utf8(statement.sign(&old, &new).unwrap()).unwrap()
}

fn rotate(statement: String) -> Request {
    Request::RotateLogKey(RotateLogKey { statement })
}

#[test]
fn a_key_change_is_taken_down_at_its_place_alone() {
    let mut w = World::new();
    let size = w.state.size;
    w.refused(
        "engine",
        rotate(note(ORIGIN, 1, 2, size)),
        Code::NotYourDuty,
    );
    // The refusal is a record, and so the place is lost.
    w.refused(
        "admin",
        rotate(note(ORIGIN, 1, 2, size)),
        Code::WrongBinding,
    );
    let size = w.state.size;
    let records = w.must("admin", rotate(note(ORIGIN, 1, 2, size)));
    assert_eq!(kinds(&records), ["log.key.rotated"]);
    assert_eq!(w.state.log_key, Some(key(ORIGIN, 2).verifier().vkey()));
    for (from, to) in [(1, 2), (1, 3), (3, 4)] {
        let size = w.state.size;
        w.refused(
            "admin",
            rotate(note(ORIGIN, from, to, size)),
            Code::WrongBinding,
        );
    }
    let size = w.state.size;
    w.must("admin", rotate(note(ORIGIN, 2, 3, size)));
}

#[test]
fn a_statement_of_another_log_or_without_a_signature_is_refused() {
    let mut w = World::new();
    let size = w.state.size;
    w.refused(
        "admin",
        rotate(note("other.example", 1, 2, size)),
        Code::WrongBinding,
    );
    let size = w.state.size;
    let whole = note(ORIGIN, 1, 2, size);
    let half = whole.trim_end().rsplit_once('\n').unwrap().0;
    w.refused("admin", rotate(format!("{half}\n")), Code::BadSignature);
}

#[test]
fn statements_are_read_as_the_ledger_reads_them() {
    let good = note(ORIGIN, 1, 2, 9);
    let (ours, theirs) = (
        Rotation::open(&good).unwrap(),
        Statement::open(good.as_bytes()).unwrap().statement,
    );
    assert_eq!(
        (
            ours.origin,
            ours.size,
            ours.old,
            ours.new,
            ours.revoked,
            ours.reason
        ),
        (
            theirs.origin().to_owned(),
            theirs.size,
            theirs.old.vkey(),
            theirs.new.vkey(),
            true,
            theirs.reason
        )
    );
    for place in 0..good.len() {
        for bit in 0..8 {
            let mut bad = good.clone().into_bytes();
            bad[place] ^= 1 << bit;
            if let Ok(bad) = String::from_utf8(bad) {
                assert!(Rotation::open(&bad).is_err(), "byte {place}, bit {bit}");
            }
        }
    }
    // Texts that are signed and are no statement in its one spelling.
    let [old, new] = [1, 2].map(|seed| key(ORIGIN, seed));
    let text = good.split_once("\n\n").unwrap().0.to_owned() + "\n";
    for (from, to) in [
        ("\n9\n", "\n09\n"),
        ("\n9\n", "\n+9\n"),
        ("revoked", "Revoked"),
        ("stolen\n", "stolen\nmore\n"),
        ("stolen\n", "stolen \n"),
        ("v1", "v2"),
        ("revoked\nthe laptop was stolen\n", ""),
    ] {
        let text = text.replacen(from, to, 1);
        let note = ledger::note::sign(&text, &[&old, &new]).unwrap();
        let ours = Rotation::open(std::str::from_utf8(&note).unwrap());
        assert_eq!(ours.is_err(), Statement::open(&note).is_err(), "{to:?}");
        assert!(ours.is_err(), "{to:?}");
    }
}
