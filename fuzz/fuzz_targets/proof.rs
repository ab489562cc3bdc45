//! A proof file that parses is, written again, the same text; and no made-up proof holds.
#![no_main]

use ledger::Signer;
use ledger::proof::Proof;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(proof) = Proof::parse(text) else {
        return;
    };
    assert_eq!(proof.to_string(), text);
    let verifier = Signer::from_seed("fuzz.example/other", &[6; 32])
        .expect("a fit name")
        .verifier();
    // Nothing was ever signed with this key.
    assert!(proof.verify(b"entry", &verifier, true).is_err());
});
