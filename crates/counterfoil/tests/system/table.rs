//! The table of attacks names what tries each of them: here it is held against what there is.

use std::{fs, path::Path};

use evidence::control::CATALOGUE;

#[test]
fn every_attack_of_the_table_is_tried_by_something_that_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let table = fs::read_to_string(root.join("docs/attacks.md")).unwrap();
    let mut tests = String::new();
    sources(&root.join("crates"), &mut tests);
    let rows: Vec<&str> = table
        .lines()
        .filter(|l| l.starts_with("| "))
        .skip(1)
        .collect();
    assert!(rows.len() > 25, "{} rows", rows.len());
    for row in rows {
        let by = row.trim_end_matches('|').rsplit('|').next().unwrap().trim();
        if by == "**open**" {
            continue;
        }
        let name = by.trim_matches('`');
        let there = match name.strip_prefix("control: ") {
            Some(attempt) => CATALOGUE
                .iter()
                .flat_map(|c| c.tests())
                .any(|t| t == attempt),
            None => tests.contains(&format!("fn {name}(")),
        };
        assert!(there, "nothing is called {name}: {row}");
    }
}

/// All tests' sources.
fn sources(dir: &Path, all: &mut String) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|e| e == "rs") && path.iter().any(|p| p == "tests") {
            all.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}
