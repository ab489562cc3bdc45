//! A record that is read is, written again, the same bytes, and the lenient reader reads the same.
#![no_main]

use duty::record::Record;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let lenient = Record::from_bytes_unchecked(bytes);
    let Ok(record) = Record::from_bytes(bytes) else {
        return;
    };
    assert_eq!(record.to_bytes().expect("it was written once"), bytes);
    assert_eq!(lenient.expect("the strict reader took it"), record);
});
