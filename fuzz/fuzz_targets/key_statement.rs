//! A statement of the log's keys that parses is, written again, the same text; a made-up one is signed by nobody.
#![no_main]

use ledger::Signer;
use ledger::rotation::{Chain, Statement};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = str::from_utf8(bytes)
        && let Ok(statement) = Statement::from_text(text)
    {
        assert_eq!(statement.to_string(), text);
    }
    if let Ok(signed) = Statement::open(bytes) {
        assert_eq!(signed.note.as_bytes(), bytes);
    }
    // No statement leads to or from this key.
    let key = Signer::from_seed("fuzz.example/other", &[6; 32]).expect("a fit name");
    if let Ok(chain) = Chain::trusting(&key.verifier(), bytes) {
        assert!(chain.statements().is_empty());
    }
});
