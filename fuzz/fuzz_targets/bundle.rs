//! A bundle that parses is, pushed again, the same bytes, and agrees with its own prefixes.
#![no_main]

use ledger::bundle;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u16, &[u8])| {
    let (count, bytes) = (usize::from(input.0 % 300), input.1);
    if let Some(prefix) = bundle::prefix(bytes, count) {
        let entries = bundle::parse(prefix, count).expect("a prefix is a bundle");
        assert!(bytes.starts_with(&written(&entries)));
    }
    if let Ok(entries) = bundle::parse(bytes, count) {
        assert_eq!(entries.len(), count);
        assert_eq!(written(&entries), bytes);
        assert_eq!(bundle::prefix(bytes, count), Some(bytes));
        for fewer in 0..count {
            let prefix = bundle::prefix(bytes, fewer).expect("it holds more");
            assert_eq!(
                bundle::parse(prefix, fewer).as_deref(),
                Ok(&entries[..fewer])
            );
        }
    }
});

fn written(entries: &[&[u8]]) -> Vec<u8> {
    let mut bundle = Vec::new();
    for entry in entries {
        bundle::push(&mut bundle, entry).expect("it was in a bundle");
    }
    bundle
}
