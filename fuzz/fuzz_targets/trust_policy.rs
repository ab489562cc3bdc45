//! A policy that parses names each witness once, and its quorum is monotone: more cosignatures never make one fall.
#![no_main]

use std::collections::BTreeMap;

use ledger::trust::Policy;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u32, u32, &str)| {
    let (some, more, text) = input;
    let Ok(policy) = Policy::parse(text) else {
        return;
    };
    let mut names: Vec<_> = policy.witnesses.iter().map(|w| &w.name).collect();
    names.sort();
    let all = names.len();
    names.dedup();
    assert_eq!(names.len(), all);
    let of = |bits: u32| -> BTreeMap<usize, u64> {
        let places = (0..all.min(32)).filter(|place| bits >> place & 1 == 1);
        places.map(|place| (place, 1)).collect()
    };
    if policy.is_quorum(&of(some)) {
        assert!(policy.is_quorum(&of(some | more)));
    }
    assert_eq!(policy.asks(), !policy.is_quorum(&BTreeMap::new()));
});
