//! A request to a witness that parses is, written again, the same text; no such request, and no answer, is taken without the
//! log's signature.
#![no_main]

use ledger::Signer;
use ledger::witness::{AddCheckpoint, parse_answer};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(lines) = parse_answer(text) {
        let again: String = lines.iter().map(|line| format!("{line}\n")).collect();
        assert_eq!(again, text);
    }
    let Ok(request) = AddCheckpoint::parse(text) else {
        return;
    };
    assert_eq!(request.to_string(), text);
    let _ = request.origin();
    // Nothing was ever signed with this key.
    let key = Signer::from_seed("fuzz.example/other", &[6; 32]).expect("a fit name");
    assert!(request.judge(&[key.verifier()], None).is_err());
});
