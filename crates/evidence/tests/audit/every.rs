//! A history in which everything happens that the core knows, which the benches measure too.

use evidence::{ReperformOptions, open, reperform, verify};

use crate::everything;

#[test]
fn whatever_can_happen_verifies_and_is_decided_again_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let history = everything::happen(dir.path(), 180);
    history.publish();
    let missing: Vec<_> = history
        .kinds()
        .into_iter()
        .filter_map(|(kind, n)| (n == 0).then_some(kind))
        .collect();
    assert!(missing.is_empty(), "not in this history: {missing:?}");
    let source = open(&dir.path().display().to_string()).unwrap();
    let snapshots = dir.path().join("snapshots");
    let vkey = history.key.verifier().vkey();
    verify(&*source, &vkey, None, Some(&snapshots)).unwrap();
    let options = ReperformOptions {
        release: None,
        snapshots: Some(snapshots),
        ..ReperformOptions::default()
    };
    let again = reperform(&*source, &options).unwrap();
    // Those of a language model rest on what it said, and are not run again.
    assert_eq!(again.recommendations_other, 20);
    assert_eq!(again.recommendations_not_here, 0);
}
