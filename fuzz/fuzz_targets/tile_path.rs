//! A path that parses is, written again, the same text; full and partial forms name the same place.
#![no_main]

use ledger::tile::Path;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(path) = text.parse::<Path>() else {
        return;
    };
    assert_eq!(path.to_string(), text);
    let full = path.full();
    assert!(full.is_full());
    assert_eq!((full.kind, full.index), (path.kind, path.index));
    assert_eq!(full.to_string().parse::<Path>().as_ref(), Ok(&full));
    assert_eq!(full == path, !text.contains(".p/"));
    assert!(!path.is_within(0));
});
