//! A witness's key that parses is, written again, the same text; what one key cosigns holds for that time alone, and a made-up
//! cosignature never.
#![no_main]

use ledger::cosignature::{Cosigner, Witness};
use ledger::note::{Note, Signature};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &[u8], u64)| {
    let (vkey, bytes, time) = input;
    if let Ok(witness) = Witness::from_vkey(vkey) {
        assert_eq!(witness.to_string(), vkey);
    }
    let cosigner = Cosigner::from_seed("witness.example", &[8; 32]).expect("a fit name");
    let witness = cosigner.witness();
    let made_up = Signature {
        name: witness.name().to_owned(),
        id: witness.id(),
        bytes: bytes.to_vec(),
    };
    let Ok(note) = Note::parse(bytes) else {
        assert!(witness.verify(vkey, &made_up).is_err());
        return;
    };
    for line in &note.signatures {
        // Only lines that this very key has made, which the corpus holds none of.
        assert!(witness.verify(&note.text, line).is_err());
    }
    let time = time % (1 << 63);
    let line = cosigner.cosign(&note.text, time);
    assert_eq!(witness.verify(&note.text, &line), Ok(time));
    assert!(witness.verify(&format!("{}x\n", note.text), &line).is_err());
});
