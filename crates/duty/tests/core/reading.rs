//! A record read in one pass is the record read and written again: whatever the bytes, both ways answer the same.

use std::collections::BTreeSet;

use duty::{
    name::CaseId,
    record::Record,
    request::{FoundBy, Outcome, Request},
    state::State,
    statement::Choice,
};
use proptest::{prelude::*, sample::Index};

use crate::world::{World, name, sign};

/// Records of as many kinds as a few cases make.
fn records() -> Vec<Record> {
    let mut w = World::new();
    w.judged("c1", 50);
    w.must("exe", w.use_grant("c1", 50));
    w.must(
        "engine",
        w.outcome("c1", Outcome::Succeeded, FoundBy::Answer),
    );
    w.judged("c2", 5_000);
    w.must("bob", w.approve("c2", "bob"));
    w.ask("bob", w.approve("c2", "bob"));
    w.must("gus", w.approve("c2", "gus"));
    w.judged("c3", 5_000);
    let no = sign(w.approval("c3", "bob", Choice::Reject), "bob");
    w.must("bob", Request::Approve(no));
    w.ask("bob", w.hold("c1", "bob"));
    w.records
}

fn same(bytes: &[u8]) -> bool {
    let (read, compared) = (
        Record::from_bytes(bytes),
        Record::from_bytes_compared(bytes),
    );
    assert_eq!(read, compared, "{}", String::from_utf8_lossy(bytes));
    read.is_ok()
}

/// What makes two spellings of one value, or one that a type reads leniently.
const GRAFTS: [&str; 34] = [
    " ",
    "\n",
    ",",
    "\"\"",
    "null",
    "[]",
    "{}",
    "{",
    "}",
    "[",
    "]",
    "0",
    "-0",
    "00",
    "-",
    "1e0",
    "1.0",
    "9007199254740992",
    "true",
    "\\u0041",
    "\\n",
    "\\u000a",
    "\\u001f",
    "\\u001F",
    "\\/",
    "é",
    "\u{10000}",
    "A",
    ",\"x\":1",
    ",\"role\":null",
    ",\"clauses\":[]",
    ",\"type\":\"call\"",
    "\"type\":\"call\",",
    ",\"clause\":null",
];

#[test]
fn what_the_core_writes_is_read_the_same_and_so_is_each_graft_at_each_place() {
    let records = records();
    let mut kinds = BTreeSet::new();
    for record in &records {
        let bytes = record.to_bytes().unwrap();
        assert!(same(&bytes));
        assert_eq!(&Record::from_bytes(&bytes).unwrap(), record);
        if !kinds.insert(record.body.kind()) {
            continue;
        }
        for at in 0..=bytes.len() {
            for graft in GRAFTS {
                let mut grown = bytes.clone();
                grown.splice(at..at, graft.bytes());
                same(&grown);
            }
            let mut cut = bytes.clone();
            cut.truncate(at);
            same(&cut);
            if at < bytes.len() {
                let mut short = bytes.clone();
                short.remove(at);
                same(&short);
            }
        }
    }
    assert!(kinds.len() >= 17, "{kinds:?}");
}

/// Every value of the tree once in another form that means the same to a lenient reader, or nearly.
#[test]
fn other_forms_of_the_same_tree_are_judged_the_same() {
    for record in records() {
        let bytes = record.to_bytes().unwrap();
        let tree: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let mut pointers = Vec::new();
        walk(&tree, &mut String::new(), &mut pointers);
        for pointer in pointers {
            for form in 0..7 {
                let mut changed = tree.clone();
                let value = changed.pointer_mut(&pointer).unwrap();
                let old = value.take();
                *value = match form {
                    0 => serde_json::Value::Null,
                    1 => serde_json::json!([old]),
                    2 => old.as_object().map_or(old.clone(), |o| {
                        serde_json::Value::from_iter(o.values().cloned())
                    }),
                    3 => old
                        .as_str()
                        .map_or(old.clone(), |s| serde_json::Value::from(s.to_uppercase())),
                    4 => old
                        .as_str()
                        .map_or(old.clone(), |s| serde_json::json!({s: null})),
                    5 => {
                        let mut old = old;
                        if let Some(o) = old.as_object_mut() {
                            o.insert("zz".to_owned(), 1.into());
                        }
                        old
                    }
                    _ => {
                        let mut old = old;
                        if let Some(o) = old.as_object_mut() {
                            o.insert("clause".to_owned(), serde_json::Value::Null);
                        }
                        old
                    }
                };
                // `Value` keeps its keys in order, so this is canonical as JSON.
                same(&serde_json::to_vec(&changed).unwrap());
            }
        }
    }
}

fn walk(value: &serde_json::Value, at: &mut String, found: &mut Vec<String>) {
    found.push(at.clone());
    let mut step = |key: &str, item| {
        let len = at.len();
        at.push('/');
        at.push_str(&key.replace('~', "~0").replace('/', "~1"));
        walk(item, at, found);
        at.truncate(len);
    };
    match value {
        serde_json::Value::Object(o) => o.iter().for_each(|(key, item)| step(key, item)),
        serde_json::Value::Array(a) => {
            for (n, item) in a.iter().enumerate() {
                step(&n.to_string(), item);
            }
        }
        _ => {}
    }
}

proptest! {
    #[test]
    fn changed_bytes_are_judged_the_same(
        which: Index,
        changes in prop::collection::vec((any::<Index>(), any::<u8>()), 1..4),
        text in any::<String>(),
    ) {
        let records = records();
        let mut record = which.get(&records).clone();
        let mut bytes = record.to_bytes().unwrap();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        same(&bytes);
        // Texts of every sort are read back as they are.
        if let duty::record::Body::CaseOpened(b) = &mut record.body
            && let Request::OpenCase(r) = &mut b.request
        {
            r.subject = text;
            prop_assert!(same(&record.to_bytes().unwrap()));
        }
    }
}

#[test]
fn a_state_is_read_back_as_it_was_written() {
    let mut state = State::default();
    for record in records() {
        state.apply(&record).unwrap();
        let text = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<State>(&text).unwrap(), state);
    }
    assert!(state.cases.contains_key(&name::<CaseId>("c2")));
}
