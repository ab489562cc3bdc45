//! A made-up snapshot opens under no key; a sealed one opens as what was sealed, and after any change not at all.
#![no_main]

use ledger::snapshot::{self, SnapshotError};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u16, u8, &[u8])| {
    let (place, change, bytes) = input;
    let want = [1; 32];
    assert!(snapshot::open(bytes, Some(&[7; 32]), &want).is_err());
    if let Ok(Some(id)) = snapshot::key_id(bytes) {
        let sealed = snapshot::open(bytes, None, &want);
        assert!(
            matches!(sealed, Err(SnapshotError::Sealed(found)) if found == id)
                || sealed == Err(SnapshotError::Malformed)
        );
    }
    let (mut file, commitment) =
        snapshot::seal(&[7; 32], &[3; 16], &[5; 24], &[9; 32], bytes).expect("it is short");
    let opened = snapshot::open(&file, Some(&[7; 32]), &commitment);
    assert_eq!(opened.as_deref(), Ok(bytes));
    let place = usize::from(place) % file.len();
    file[place] ^= change;
    let opened = snapshot::open(&file, Some(&[7; 32]), &commitment);
    assert_eq!(opened.is_ok(), change == 0);
});
