//! A checkpoint that parses is, written again, the same text; and one that can be signed opens as what was signed.
#![no_main]

use std::sync::LazyLock;

use ledger::{Checkpoint, Signer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(mut checkpoint) = Checkpoint::from_text(text) else {
        return;
    };
    assert_eq!(checkpoint.to_string(), text);
    static SIGNER: LazyLock<Signer> =
        LazyLock::new(|| Signer::from_seed("fuzz.example/log", &[5; 32]).expect("a fit name"));
    let verifier = SIGNER.verifier();
    if let Ok(note) = checkpoint.sign(&*SIGNER) {
        let opened = Checkpoint::open(&note, &verifier, false);
        assert_eq!(opened.is_ok(), checkpoint.origin == verifier.name());
    }
    checkpoint.origin = verifier.name().to_owned();
    if let Ok(note) = checkpoint.sign(&*SIGNER) {
        assert_eq!(
            Checkpoint::open(&note, &verifier, false).as_ref(),
            Ok(&checkpoint)
        );
    }
});
