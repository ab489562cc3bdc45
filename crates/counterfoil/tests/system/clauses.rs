//! The policy library over the real binary: searched, compared, in force by day.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use crate::rig::expect;

const RELEASE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../examples/payables/release"
);

fn lines(args: &[&str]) -> Vec<Value> {
    let (out, _) = expect(0, args);
    let lines = out.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

/// The example's release in a directory of its own.
fn release() -> TempDir {
    let home = TempDir::new().unwrap();
    for (path, text) in policy::Release::files_in(RELEASE.as_ref()).unwrap() {
        let path = home.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    home
}

#[test]
fn a_search_says_why_each_clause_was_found() {
    let query = "who signs when the supplier has a new bank account";
    let args = [
        "policy",
        "search",
        query,
        "--release",
        RELEASE,
        "--as-of",
        "2026-06-01",
    ];
    let found = lines(&[&args[..], &["--json"]].concat());
    assert_eq!(found[0]["rank"], 1);
    let terms = found[0]["words"]["terms"].as_array().unwrap();
    let sum: i64 = terms
        .iter()
        .map(|t| t["points_milli"].as_i64().unwrap())
        .sum();
    let score = found[0]["score_milli"].as_i64().unwrap();
    assert!((sum - score).abs() < 20, "{}", found[0]);
    let text = serde_json::to_string(&found).unwrap();
    assert!(text.contains(r#""synonym":"vendor""#), "{text}");
    assert!(found.iter().any(|f| f["bound"] == true), "{text}");
    let (told, _) = expect(0, &args);
    assert!(
        told.contains("BM25") && told.contains("supplier as vendor"),
        "{told}"
    );
    let early = [&args[..6], &["2020-01-01"]].concat();
    assert_eq!(expect(0, &early).0, "nothing found\n");
}

#[test]
fn the_next_edition_is_compared_with_what_rests_on_it_and_each_is_in_force_by_its_day() {
    let home = release();
    let policies = home.path().join("policies");
    let dir = home.path().display().to_string();
    let before = format!("{RELEASE}/policies/sanctions.md");
    let next = fs::read_to_string(&before).unwrap();
    let next = next
        .replace(
            "edition: 2, effective: 2025-10-01",
            "edition: 3, effective: 2027-01-01",
        )
        .replace("screened every night", "screened every hour");
    fs::write(policies.join("sanctions-3.md"), next).unwrap();
    let after = policies.join("sanctions-3.md").display().to_string();
    let changes = lines(&["policy", "diff", &before, &after, "--json"]);
    assert_eq!(changes.len(), 4);
    let words = changes[0]["fate"]["text"].as_str().unwrap();
    assert_eq!(changes[0]["id"], "SAN-1.1");
    assert!(
        words.contains("every [-night-] {+hour+}") || words.contains("every [-night-]{+hour+}"),
        "{words}"
    );
    assert_eq!(changes[1]["fate"]["sort"], "reissued");
    let touches = changes[1]["touches"].as_array().unwrap();
    let row = |t: &Value| t["place"].as_str().unwrap().starts_with("tables/");
    assert!(touches.iter().any(row), "{touches:?}");
    let version = |day: &str| {
        let args = [
            "policy",
            "show",
            "SAN-1.1",
            "--release",
            &dir,
            "--json",
            "--as-of",
            day,
        ];
        lines(&args)[0]["version"].as_str().unwrap().to_owned()
    };
    assert_eq!(version("2026-12-31"), "2");
    assert_eq!(version("2027-01-01"), "3");
    let (_, said) = expect(
        2,
        &[
            "policy",
            "show",
            "SAN-1.1",
            "--release",
            &dir,
            "--as-of",
            "2025-01-01",
        ],
    );
    assert!(
        said.contains("no edition of clause `SAN-1.1` is in force"),
        "{said}"
    );
    let listed = lines(&["policy", "list", "--release", &dir, "--json"]);
    assert_eq!(listed.iter().filter(|c| c["id"] == "SAN-1.1").count(), 2);
}

#[test]
fn an_embedder_that_is_not_there_is_no_reason_to_rank_without_it() {
    let home = release();
    let dir = home.path().display().to_string();
    let (_, said) = expect(2, &["policy", "embed", &dir]);
    assert!(said.contains("names no `[retrieval] embedder`"), "{said}");
    let team = home.path().join("team.toml");
    let text = fs::read_to_string(&team).unwrap();
    let text = text.replace("[retrieval]\n", "[retrieval]\nembedder = \"http/none\"\n");
    fs::write(&team, text).unwrap();
    let (_, said) = expect(2, &["policy", "search", "limits", "--release", &dir]);
    assert!(said.contains("clauses have no vector"), "{said}");
    let data = home.path().join("data").display().to_string();
    let (_, said) = expect(2, &["policy", "embed", &dir, "--dir", &data]);
    assert!(said.contains("no embedder `http/none` is here"), "{said}");
}
