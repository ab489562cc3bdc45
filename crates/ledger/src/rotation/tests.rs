use proptest::prelude::*;

use super::*;
use crate::hash::empty_root;
use crate::note::Signer;

const ORIGIN: &str = "log.example/a";

fn key(seed: u8) -> Signer {
    Signer::from_seed(ORIGIN, &[seed; 32]).unwrap()
}

fn root(size: u64) -> Hash {
    let mut root = empty_root();
    root[..8].copy_from_slice(&size.to_be_bytes());
    root
}

fn statement(from: u8, to: u8, size: u64, act: Act) -> Statement {
    Statement {
        size,
        root: root(size),
        old: key(from).verifier(),
        new: key(to).verifier(),
        act,
        reason: "the yearly change".to_owned(),
    }
}

fn signed(from: u8, to: u8, size: u64, act: Act) -> Vec<u8> {
    let statement = statement(from, to, size, act);
    statement.sign(&key(from), &key(to)).unwrap()
}

fn file(notes: &[Vec<u8>]) -> Vec<u8> {
    notes.join(&b'\n')
}

fn head(by: u8, size: u64) -> Vec<u8> {
    let head = Checkpoint {
        origin: ORIGIN.to_owned(),
        size,
        root: root(size),
        extensions: Vec::new(),
    };
    head.sign(&key(by)).unwrap()
}

/// Key 1 to 10 entries, key 2 to 20, then key 3.
fn three() -> Vec<u8> {
    file(&[
        signed(1, 2, 10, Act::Rotated),
        signed(2, 3, 20, Act::Revoked),
    ])
}

fn trusting(seed: u8, file: &[u8]) -> Result<Chain, RotationError> {
    Chain::trusting(&key(seed).verifier(), file)
}

#[test]
fn reads_what_it_writes_and_leads_from_every_key_to_the_last() {
    for seed in 1..=3 {
        let chain = trusting(seed, &three()).unwrap();
        assert_eq!(chain.key(), &key(3).verifier());
        assert_eq!(chain.to_string().into_bytes(), three());
        assert_eq!(chain.statements().len(), 2);
    }
    assert!(matches!(
        trusting(4, &three()),
        Err(RotationError::Stranger(_))
    ));
    let silent = Statement {
        reason: String::new(),
        ..statement(1, 2, 10, Act::Rotated)
    };
    let note = silent.sign(&key(1), &key(2)).unwrap();
    assert_eq!(Statement::open(&note).unwrap().statement, silent);
}

#[test]
fn a_key_signs_in_its_span_alone() {
    let chain = trusting(1, &three()).unwrap();
    for (by, size) in [(1, 0), (1, 10), (2, 11), (2, 20), (3, 21), (3, 1_000)] {
        assert_eq!(chain.open(&head(by, size), false).unwrap().size, size);
    }
    for (by, size, act) in [(1, 11, "rotated out"), (2, 21, "revoked")] {
        match chain.open(&head(by, size), false) {
            Err(RotationError::Replaced { act: found, .. }) => assert_eq!(found, act),
            other => panic!("{other:?}"),
        }
    }
    for (by, size) in [(2, 10), (3, 20)] {
        assert!(matches!(
            chain.open(&head(by, size), false),
            Err(RotationError::Early { .. })
        ));
    }
    assert!(matches!(
        chain.open(&head(4, 30), false),
        Err(RotationError::Checkpoint(_))
    ));
}

#[test]
fn a_revoked_key_is_not_believed_by_itself() {
    let chain = trusting(1, &three()).unwrap();
    assert!(matches!(
        chain.open_alone(&head(2, 15), false),
        Err(RotationError::Revoked { .. })
    ));
    for (by, size) in [(1, 5), (2, 20), (3, 25)] {
        chain.open_alone(&head(by, size), false).unwrap();
    }
}

#[test]
fn a_statement_must_be_signed_by_both() {
    let one = statement(1, 2, 10, Act::Rotated);
    assert!(one.sign(&key(2), &key(1)).is_err());
    let text = one.to_string();
    for signers in [
        vec![1],
        vec![2],
        vec![2, 1],
        vec![1, 1],
        vec![1, 3],
        vec![1, 2, 3],
    ] {
        let keys: Vec<_> = signers.iter().map(|seed| key(*seed)).collect();
        let keys: Vec<&dyn Sign> = keys.iter().map(|key| key as &dyn Sign).collect();
        let note = note::sign(&text, &keys).unwrap();
        assert!(Statement::open(&note).is_err(), "{signers:?}");
    }
}

#[test]
fn statements_must_follow_one_another() {
    let first = signed(1, 2, 10, Act::Rotated);
    for (what, notes) in [
        ("a gap", vec![first.clone(), signed(3, 4, 20, Act::Rotated)]),
        (
            "a key that returns",
            vec![first.clone(), signed(2, 1, 20, Act::Rotated)],
        ),
        (
            "no more entries",
            vec![first.clone(), signed(2, 3, 10, Act::Rotated)],
        ),
        ("twice", vec![first.clone(), first.clone()]),
        (
            "the wrong order",
            vec![signed(2, 3, 20, Act::Rotated), first.clone()],
        ),
    ] {
        assert!(
            matches!(
                trusting(1, &file(&notes)),
                Err(RotationError::Statement { number: 2, .. })
            ),
            "{what}"
        );
    }
    for spelling in [
        Vec::new(),
        [&first[..], b"\n"].concat(),
        [b"\n", &first[..]].concat(),
        first[..first.len() - 1].to_vec(),
        [&first[..], &first[..]].concat(),
    ] {
        assert!(trusting(1, &spelling).is_err());
    }
}

#[test]
fn finds_every_changed_bit() {
    let good = three();
    for place in 0..good.len() {
        for bit in 0..8 {
            let mut bad = good.clone();
            bad[place] ^= 1 << bit;
            assert!(trusting(1, &bad).is_err(), "byte {place}, bit {bit}");
        }
    }
}

#[test]
fn other_spellings_of_a_text_are_refused() {
    let text = statement(1, 2, 10, Act::Rotated).to_string();
    assert!(Statement::from_text(&text).is_ok());
    for (from, to) in [
        ("\n10\n", "\n010\n"),
        ("rotated", "Rotated"),
        ("log.example/a\n10", "log.example/b\n10"),
        ("the yearly change\n", " the yearly change\n"),
        ("the yearly change\n", "\n"),
        ("the yearly change\n", "the\nyearly\n"),
        ("rotation v1", "rotation v2"),
    ] {
        assert!(
            Statement::from_text(&text.replacen(from, to, 1)).is_err(),
            "{to:?}"
        );
    }
}

#[test]
fn the_roots_of_statements_bind() {
    let chain = trusting(1, &three()).unwrap();
    chain.check_root(10, || root(10)).unwrap();
    chain.check_root(11, empty_root).unwrap();
    assert!(chain.check_root(20, || root(21)).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// For any chain, a checkpoint passes exactly where its size is in its key's span, whichever key is trusted.
    #[test]
    fn spans_part_the_sizes(
        steps in prop::collection::vec((1_u64..50, prop::bool::ANY), 0..5),
        by in 0_u8..7,
        size in 0_u64..300,
        trusted in 0_usize..6,
    ) {
        let mut at = 0;
        let mut ends = Vec::new();
        let mut notes = Vec::new();
        for (number, (step, revoked)) in (1_u8..).zip(&steps) {
            at += step;
            ends.push(at);
            let act = if *revoked { Act::Revoked } else { Act::Rotated };
            notes.push(signed(number, number + 1, at, act));
        }
        let trusted = (trusted % (steps.len() + 1)) as u8 + 1;
        let chain = if notes.is_empty() {
            Chain::of(&key(trusted).verifier())
        } else {
            trusting(trusted, &file(&notes)).unwrap()
        };
        let owner = ends.iter().position(|end| size <= *end).unwrap_or(ends.len()) as u8 + 1;
        prop_assert_eq!(chain.open(&head(by, size), false).is_ok(), by == owner);
    }

    /// Statements left out, doubled or put in another order make no chain of the same keys.
    #[test]
    fn no_statement_can_be_left_out_in_the_middle(left in 0_usize..4, twice in prop::bool::ANY) {
        let all: Vec<_> = (1..=4).map(|n| signed(n, n + 1, u64::from(n) * 10, Act::Rotated)).collect();
        let mut some = all.clone();
        if twice {
            some.insert(left, all[left].clone());
        } else {
            some.remove(left);
        }
        // Without the first or the last it is a shorter chain, which is right in itself.
        let shorter = !twice && (left == 0 || left == 3);
        prop_assert_eq!(trusting(3, &file(&some)).is_ok(), shorter);
    }
}
