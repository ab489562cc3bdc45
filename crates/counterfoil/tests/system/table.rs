//! The table of attacks names what tries each of them: here it is held against what there is.

use std::{fs, path::Path};

use evidence::control::CATALOGUE;

#[test]
fn every_attack_of_the_table_is_tried_over_the_program_by_something_that_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let table = fs::read_to_string(root.join("docs/attacks.md")).unwrap();
    let (mut system, mut tests) = (String::new(), String::new());
    sources(&root.join("crates/counterfoil/tests/system"), &mut system);
    sources(&root.join("crates"), &mut tests);
    let rows: Vec<&str> = table
        .lines()
        .filter(|l| l.starts_with("| "))
        .skip(1)
        .collect();
    assert!(rows.len() > 40, "{} rows", rows.len());
    for row in rows {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let [_, attack, refuses, shows, over, also, _] = cells[..] else {
            panic!("not five columns: {row}")
        };
        assert!(![attack, refuses, shows].contains(&""), "{row}");
        assert!(!over.is_empty(), "nothing tries it over the program: {row}");
        for name in names(over) {
            let there = system.contains(&format!("#[test]\nfn {name}("));
            assert!(there, "no test of the program is called {name}: {row}");
        }
        for name in names(also) {
            let there = match name.strip_prefix("control: ") {
                Some(attempt) => attempts().any(|t| t == attempt),
                None => tests.contains(&format!("fn {name}(")),
            };
            assert!(there, "nothing is called {name}: {row}");
        }
    }
}

/// What stands between backticks, divided by commas.
fn names(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

fn attempts() -> impl Iterator<Item = &'static str> {
    CATALOGUE.iter().flat_map(evidence::control::Control::tests)
}

#[test]
fn every_control_asserts_something_and_has_an_attempt() {
    // The catalogue as it was agreed upon; more is welcome, less is not.
    let agreed = [
        "SOD-01", "SOD-02", "SOD-03", "SOD-04", "SOD-05", "SOD-06", "ACC-01", "ACC-02", "POL-01",
        "POL-02", "POL-03", "CHG-01", "THR-01", "THR-02", "HUM-01", "HUM-02", "LOG-01", "LOG-02",
        "RPL-01", "TRN-01", "RET-01", "ASM-01",
    ];
    for id in agreed {
        let control = CATALOGUE.iter().find(|c| c.id == id);
        let control = control.unwrap_or_else(|| panic!("{id} is gone"));
        assert!(
            !control.asserts.is_empty() && control.tests().next().is_some(),
            "{id}"
        );
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
