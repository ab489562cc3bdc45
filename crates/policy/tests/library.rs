//! The library of policies over the example's release: editions, what is bound, what a clause touches, ranking by words and by
//! meaning.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use duty::{
    action::Action,
    canonical::Digest,
    facts::{Facts, Scalar},
    name::{Environment, PrincipalId},
    release::{Ask, Rules as _},
    time::Time,
};
use policy::{Embedder, Found, Query, Release, Vector, touches, vector_files};
use serde_json::Map;

fn files() -> BTreeMap<String, String> {
    let root = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../examples/payables/release"
    );
    Release::files_in(root.as_ref()).unwrap()
}

fn at(day: &str) -> Time {
    format!("{day}T00:00:00.000Z").parse().unwrap()
}

fn search(release: &Release, text: &str, day: &str) -> Vec<Found> {
    let query = Query {
        text,
        vector: None,
        at: at(day),
    };
    release.search(&query, 8).unwrap()
}

const SANCTIONS: &str = "policies/sanctions.md";

/// The example with the next edition of its sanctions policy, from 2027 on.
fn two_editions() -> Release {
    let mut files = files();
    let next = files[SANCTIONS]
        .replace(
            "edition: 2, effective: 2025-10-01",
            "edition: 3, effective: 2027-01-01",
        )
        .replace("screened every night", "screened every hour");
    files.insert("policies/sanctions-3.md".to_owned(), next);
    Release::from_files(files).unwrap()
}

#[test]
fn the_edition_in_force_is_found_and_cited() {
    let release = two_editions();
    let version = |day: &str| {
        let found = search(&release, "screening of vendors against lists", day);
        assert_eq!(found[0].clause.id, "SAN-1.1", "{day}");
        assert_eq!(
            found.iter().filter(|f| f.clause.id == "SAN-1.1").count(),
            1,
            "one edition alone"
        );
        assert_eq!(release.clause("SAN-1.1", at(day)), Some(&found[0].clause));
        found[0].clause.version.clone()
    };
    assert_eq!(version("2026-12-31"), "2");
    assert_eq!(version("2027-01-01"), "3");
    assert!(release.clause("SAN-1.1", at("2025-09-30")).is_none());
    let before = search(&release, "sanctions", "2025-09-30");
    assert!(before.iter().all(|f| !f.clause.id.starts_with("SAN")));
    assert_eq!(
        release.next_change(at("2026-06-01")),
        Some(at("2027-01-01"))
    );
    assert_eq!(release.next_change(at("2027-01-01")), None);
    let editions = release.editions("SAN-1.1");
    assert_eq!(editions.len(), 2);
    assert_eq!(editions[0].until, Some(at("2027-01-01")));
    for edition in editions {
        let text = release.text_of(&edition.clause).unwrap();
        let hour = edition.clause.version == "3";
        assert_eq!(text.contains("every hour"), hour);
    }
}

#[test]
fn what_is_bound_is_always_found_and_asked_for_where_its_condition_holds() {
    let release = Release::from_files(files()).unwrap();
    let found = search(&release, "zzz", "2026-06-01");
    let ids: Vec<_> = found
        .iter()
        .map(|f| (f.clause.id.as_str(), f.score_milli))
        .collect();
    assert_eq!(ids, [("SOD-2.1", 0)]);
    let (principal, environment): (PrincipalId, Environment) =
        ("analyst".parse().unwrap(), "staging".parse().unwrap());
    let text = |t: &str| serde_json::Value::from(t);
    let arguments: Map<_, _> = [
        "invoice_id",
        "vendor_id",
        "account",
        "currency",
        "reference",
    ]
    .into_iter()
    .map(|name| (name.to_owned(), text("x")))
    .chain([("amount_cents".to_owned(), 100.into())])
    .collect();
    let bound = |tool: &str, related: Option<&str>| {
        let action = Action {
            tool: tool.to_owned(),
            arguments: arguments.clone(),
        };
        let mut facts = Facts::default();
        if let Some(related) = related {
            facts.insert(
                "vendor",
                "related_principal",
                Scalar::Text(related.to_owned()),
            );
        }
        let ask = Ask {
            principal: &principal,
            action: &action,
            case: "c1",
            subject: "INV-1",
            environment: &environment,
            facts: &facts,
        };
        let hits = release.bound(&ask).into_iter();
        hits.map(|h| (h.clause.unwrap(), h.why)).collect::<Vec<_>>()
    };
    const TRANSFER: &str = "treasury.transfer_create";
    assert_eq!(bound(TRANSFER, Some("")), []);
    assert_eq!(bound(TRANSFER, Some("gus"))[0].0, "SOD-2.1");
    // Nobody asked about the vendor: the condition says what holds then.
    assert_eq!(bound(TRANSFER, None)[0].0, "SOD-2.1");
    assert_eq!(bound("books.vendor_read", Some("gus")), []);
}

#[test]
fn a_wrong_binding_is_named() {
    for (line, said) in [
        (
            "tool = \"books.vendor_read\"\nclause = \"SOD-2.1\"",
            "has no effect",
        ),
        (
            "tool = \"bank.pay\"\nclause = \"SOD-2.1\"",
            "is no `[[tool]]`",
        ),
        (
            "tool = \"treasury.transfer_create\"\nclause = \"SOD-9.9\"",
            "which no policy document has",
        ),
        (
            "tool = \"treasury.transfer_create\"\nclause = \"SOD-2.1\"\nwhen = \"context.facts.vendor.nothing == 1\"",
            "[[bind]]",
        ),
        (
            "tool = \"treasury.transfer_create\"\nclause = \"SOD-2.1\"\nwhen = \"true }; permit(principal, action, resource) when { true\"",
            "is not one condition",
        ),
    ] {
        let mut files = files();
        files
            .get_mut("team.toml")
            .unwrap()
            .push_str(&format!("\n[[bind]]\n{line}\n"));
        let why = Release::from_files(files).unwrap_err().to_string();
        assert!(why.contains(said), "{line}: {why}");
    }
}

#[test]
fn what_a_clause_touches_is_named_with_its_place() {
    let release = Release::from_files(files()).unwrap();
    let of = |id: &str| -> Vec<String> {
        let touches = touches(&release, id).into_iter();
        touches
            .map(|t| format!("{} = {}", t.place, t.what))
            .collect()
    };
    let has = |all: &[String], place: &str, what: &str| {
        assert!(
            all.iter().any(|t| t.starts_with(place) && t.contains(what)),
            "{place} {what} is not in {all:#?}"
        );
    };
    let pay = of("PAY-2.3");
    has(&pay, "team.toml:", "approval of a high risk");
    has(&pay, "risk.cedar#", "risk rule");
    has(
        &of("PAY-4.1"),
        "thresholds/small-invoices.toml",
        "threshold `small-invoices`",
    );
    let related = of("SOD-2.1");
    has(&related, "team.toml:", "conflict of interest");
    has(&related, "team.toml:", "bound to a tool");
    has(&related, "tables/", "decision row of agent `reviewer`");
    has(
        &related,
        "policies/payment-authority.md#PAY-3.4",
        "refers to it",
    );
    has(
        &of("AGT-1.3"),
        "permissions/analyst.cedar#",
        "permission rule of agent `analyst`",
    );
    assert!(of("PAY-2.30").is_empty());
}

#[test]
fn why_a_clause_is_found_adds_up_to_its_score() {
    let release = Release::from_files(files()).unwrap();
    let query = "the supplier's bank account was changed last week";
    let found = search(&release, query, "2026-06-01");
    assert!(found[0].clause.id.starts_with("VEN-2."), "{found:?}");
    for found in found.iter().filter(|f| !f.bound) {
        let why = release.explain(query, &found.clause);
        let sum: i64 = why.iter().map(|m| m.points_milli).sum();
        assert!((sum - found.score_milli).abs() <= 20, "{found:?} {why:?}");
        assert_eq!(found.by_words.unwrap().score_milli, found.score_milli);
    }
    let synonym = |m: &policy::TermMatch| m.synonym.as_deref() == Some("vendor");
    assert!(release.explain(query, &found[0].clause).iter().any(synonym));
}

/// Texts that share letters are near each other: enough of a model to rank by.
struct Letters;

impl Embedder for Letters {
    fn name(&self) -> &str {
        "test/letters"
    }

    fn embed(&self, texts: &[&str]) -> Result<Vec<Vector>, String> {
        let of = |text: &&str| {
            let mut counts = [0.1_f32; 26];
            for b in text.bytes().filter(u8::is_ascii_alphabetic) {
                counts[usize::from(b.to_ascii_lowercase() - b'a')] += 1.0;
            }
            Vector::of(&counts)
        };
        texts.iter().map(of).collect()
    }
}

fn embedded() -> (BTreeMap<String, String>, BTreeMap<Digest, Vector>) {
    let mut files = files();
    let team = files.get_mut("team.toml").unwrap();
    *team = team.replace(
        "[retrieval]\n",
        "[retrieval]\nembedder = \"test/letters\"\n",
    );
    let wanted = Release::to_embed(files.clone()).unwrap();
    assert_eq!(wanted.embedder, Letters.name());
    let vectors = wanted.texts.iter().map(|text| {
        let vector = Letters.embed(&[text]).unwrap().remove(0);
        (Digest::of_bytes(text.as_bytes()), vector)
    });
    let vectors = vectors.collect();
    (files, vectors)
}

#[test]
fn words_and_meaning_are_fused_and_the_recorded_vector_ranks_the_same() {
    let (mut files, vectors) = embedded();
    files.extend(vector_files(Letters.name(), &vectors));
    let release = Release::from_files(files).unwrap();
    let text = "an invoice in the wrong currency, a test asks";
    let made = Letters.embed(&[text]).unwrap().remove(0);
    let rank = |vector: &Vector| {
        let query = Query {
            text,
            vector: Some(vector),
            at: at("2026-06-01"),
        };
        release.search(&query, 8).unwrap()
    };
    let found = rank(&made);
    assert_eq!(found, rank(&Vector::read(&made.written()).unwrap()));
    assert!(
        found
            .iter()
            .any(|f| f.by_words.is_some() && f.by_meaning.is_some())
    );
    for f in found.iter().filter(|f| f.score_milli > 0) {
        let ranks = [f.by_words, f.by_meaning].into_iter().flatten();
        let sum: i64 = ranks.map(|p| 1_000_000 / (60 + p.rank as i64)).sum();
        assert_eq!(f.score_milli, sum);
    }
    let in_order = found.windows(2).all(|w| {
        (std::cmp::Reverse(w[0].score_milli), &w[0].clause.id)
            < (std::cmp::Reverse(w[1].score_milli), &w[1].clause.id)
    });
    assert!(in_order, "{found:?}");
    // Without a vector nothing is ranked; with one of another kind neither.
    let bare = Query {
        text,
        vector: None,
        at: at("2026-06-01"),
    };
    assert!(release.search(&bare, 8).unwrap_err().contains("no vector"));
    let other = Vector::of(&[1.0, 2.0]).unwrap();
    let other = Query {
        vector: Some(&other),
        ..bare
    };
    assert!(
        release
            .search(&other, 8)
            .unwrap_err()
            .contains("2 dimensions")
    );
    // The queries of the tables are embedded with the clauses.
    assert!(
        policy::lint(&release)
            .iter()
            .all(|f| !f.to_string().contains("embed"))
    );
}

#[test]
fn vectors_must_be_those_of_the_clauses() {
    let (files, vectors) = embedded();
    let refused = |files: &BTreeMap<String, String>| {
        Release::from_files(files.clone()).unwrap_err().to_string()
    };
    assert!(
        refused(&files).contains("clauses have no vector"),
        "none at all"
    );
    let clause = files[SANCTIONS].clone();
    let mut whole = files.clone();
    whole.extend(vector_files(Letters.name(), &vectors));
    Release::from_files(whole.clone()).unwrap();
    let reworded = clause.replace("every night", "every hour");
    whole.insert(SANCTIONS.to_owned(), reworded);
    let why = refused(&whole);
    assert!(why.contains("1 clauses have no vector, `SAN-1.1`"), "{why}");
    // Vectors of another model do not pass for this one's.
    let mut other = files.clone();
    other.extend(vector_files("test/other", &vectors));
    assert!(refused(&other).contains("`team.toml` names `test/letters`"));
    let mut plain = self::files();
    plain.extend(vector_files(Letters.name(), &vectors));
    assert!(refused(&plain).contains("is used by nothing"));
}
