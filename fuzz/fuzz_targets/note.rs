//! A note that parses is, written again, the same bytes.
#![no_main]

use std::fmt::Write;

use ledger::note::Note;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(note) = Note::parse(bytes) else { return };
    let mut again = format!("{}\n", note.text);
    for signature in &note.signatures {
        writeln!(again, "{signature}").expect("writing to a string");
    }
    assert_eq!(again.as_bytes(), bytes);
});
