//! The shipped data, and the books read from it.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, like the tests"
)]

use std::collections::BTreeMap;

use payables::{
    Expected, Trap, answers,
    books::{Books, FILES},
    data_files, generate, memo, rows,
};
use serde_json::{Value, json};

#[test]
fn the_shipped_data_is_what_the_default_seed_gives() {
    let data = generate::generate(generate::DEFAULT_SEED, generate::DEFAULT_COUNT);
    assert!(
        data.files == data_files(),
        "run `generate-payables --out` on the crate's directory"
    );
    assert!(
        data.answers == answers(),
        "run `generate-payables --out` on the crate's directory"
    );
    assert_eq!(data_files().keys().collect::<Vec<_>>().len(), FILES.len());
}

#[test]
fn another_seed_gives_other_data_and_the_same_seed_the_same() {
    assert_eq!(generate::generate(3, 300), generate::generate(3, 300));
    assert_ne!(
        generate::generate(3, 300).files,
        generate::generate(4, 300).files
    );
}

#[test]
fn the_mix_is_as_announced() {
    let answers = answers();
    assert_eq!(answers.len(), 500);
    let share = |expected: Expected| answers.iter().filter(|a| a.expected == expected).count();
    assert!(
        (280..=320).contains(&share(Expected::Auto)),
        "{} small",
        share(Expected::Auto)
    );
    let elevated = answers
        .iter()
        .filter(|a| a.trap == Trap::No && a.expected == Expected::OneHuman)
        .count();
    assert!((55..=72).contains(&elevated), "{elevated} elevated");
    let mut kinds: BTreeMap<&str, u32> = BTreeMap::new();
    for answer in &answers {
        *kinds.entry(&answer.kind).or_default() += 1;
    }
    assert!(kinds.len() >= 25, "{kinds:?}");
    for (kind, count) in kinds {
        assert!(count >= 4, "{kind}: {count}");
    }
}

#[test]
fn every_steering_memo_is_recognised_and_no_other() {
    let books = Books::from_files(&data_files()).unwrap();
    for answer in answers() {
        let text = books.invoice(&answer.row)["memo"]
            .as_str()
            .unwrap()
            .to_owned();
        assert_eq!(
            memo::instructs(&text),
            answer.kind == "memo-instructs",
            "{}: {text}",
            answer.row
        );
    }
}

#[test]
fn malformed_rows_are_answered_without_what_is_broken() {
    let books = Books::from_files(&data_files()).unwrap();
    let mut seen = 0;
    for answer in answers().iter().filter(|a| a.kind.starts_with("malformed")) {
        let invoice = books.invoice(&answer.row);
        assert_eq!(
            (&invoice["found"], &invoice["malformed"]),
            (&json!(true), &json!(true))
        );
        let field = match answer.kind.as_str() {
            "malformed-date" => "invoice_date",
            "malformed-vendor-missing" => "vendor_id",
            _ => "amount_cents",
        };
        assert!(invoice.get(field).is_none(), "{invoice}");
        assert!(
            invoice["problem"].as_str().unwrap().contains(field),
            "{invoice}"
        );
        assert_eq!(books.related(&answer.row).get("duplicates"), None);
        seen += 1;
    }
    assert_eq!(seen, 20);
}

fn with_invoices(rows: &str) -> BTreeMap<String, String> {
    let mut files = data_files();
    let header = files["invoices.csv"].lines().next().unwrap().to_owned();
    files.insert("invoices.csv".to_owned(), format!("{header}\n{rows}\n"));
    files
}

#[test]
fn rows_of_any_shape_are_kept() {
    let books = Books::from_files(&with_invoices(
        "R1,N-1,V0001\nR2,N-2,V0001,,100,EUR,2026-01-01,2026-01-02,memo,surplus\nR3,,,,,,,,\nR4,N-4,V0001,,99999999999999999999,EUR,2026-02-30,x,",
    ))
    .unwrap();
    for row in ["R1", "R2", "R3", "R4"] {
        assert_eq!(books.invoice(row)["malformed"], true, "{row}");
        assert_eq!(books.related(row)["found"], true);
    }
    assert_eq!(books.invoice("R9"), json!({"found": false, "row": "R9"}));
    let twice = Books::from_files(&with_invoices(
        "R1,N,V0001,,1,EUR,2026-01-01,2026-01-02,\nR1,N,V0001,,1,EUR,2026-01-01,2026-01-02,",
    ));
    assert!(
        twice
            .unwrap_err()
            .to_string()
            .contains("line 3: the id occurs twice")
    );
}

#[test]
fn a_broken_master_or_a_missing_file_is_an_error_that_names_its_place() {
    let mut files = data_files();
    files.insert(
        "orders.csv".to_owned(),
        "id,vendor_id,amount_cents,currency,open,description\nP1,V1,x,EUR,yes,\n".to_owned(),
    );
    let error = Books::from_files(&files).unwrap_err().to_string();
    assert!(
        error.contains("`orders.csv` line 2: amount_cents is not a whole number"),
        "{error}"
    );
    let dir = tempfile::TempDir::new().unwrap();
    let error = Books::load(dir.path()).unwrap_err().to_string();
    assert!(error.contains("vendors.csv"), "{error}");
}

#[test]
fn related_counts_by_hand() {
    let day = |d: u32| format!("2026-09-{d:02}");
    let row = |row: &str, number: &str, order: &str, cents: i64, received: u32| {
        format!(
            "{row},{number},V0001,{order},{cents},EUR,{},{},",
            day(1),
            day(received)
        )
    };
    let text = [
        row("R1", "INV-0042", "PO1", 100_000, 2),
        row("R2", "inv 42", "PO1", 100_000, 20),
        row("R3", "X-1", "PO2", 240_000, 10),
        row("R4", "X-2", "PO2", 241_000, 12),
        row("R5", "X-3", "PO2", 242_000, 16),
    ];
    let books = Books::from_files(&with_invoices(&text.join("\n"))).unwrap();
    let field = |row: &str, name: &str| books.related(row)[name].clone();
    assert_eq!(
        (field("R1", "duplicates"), field("R1", "duplicate_of")),
        (json!(0), json!(""))
    );
    assert_eq!(
        (field("R2", "duplicates"), field("R2", "duplicate_of")),
        (json!(1), json!("R1"))
    );
    assert_eq!(
        (
            field("R2", "same_number"),
            field("R2", "order_billed_cents")
        ),
        (json!(true), json!(200_000))
    );
    assert_eq!(
        (field("R3", "split_count"), field("R3", "split_sum_cents")),
        (json!(2), json!(481_000))
    );
    assert_eq!(
        (
            field("R5", "split_count"),
            field("R5", "order_billed_cents")
        ),
        (json!(1), json!(723_000))
    );
    assert_eq!(field("R3", "split_limit_cents"), json!(250_000));
    assert_eq!(
        (
            field("R4", "previous_count"),
            field("R4", "invoice_age_days")
        ),
        (json!(2), json!(11))
    );
    // The others of R1 are 100,000, 240,000, 241,000 and 242,000; the upper median is 241,000.
    assert_eq!(field("R1", "usual_amount_cents"), json!(241_000));
}

#[test]
fn answers_are_flat_scalars_and_calls_are_checked() {
    let books = Books::from_files(&data_files()).unwrap();
    let call = |tool: &str, arguments: Value| books.answer(tool, arguments.as_object().unwrap());
    for row in rows() {
        for tool in ["invoice_read", "related_read"] {
            let answer = call(tool, json!({"invoice_id": row})).unwrap();
            assert!(
                answer
                    .as_object()
                    .unwrap()
                    .values()
                    .all(|v| !v.is_array() && !v.is_object() && !v.is_null())
            );
        }
    }
    assert_eq!(
        call("vendor_read", json!({"vendor_id": "V9999"})).unwrap()["found"],
        false
    );
    assert!(call("vendor_read", json!({"invoice_id": "R0001"})).is_err());
    assert!(
        call("vendor_read", json!({}))
            .unwrap_err()
            .contains("`vendor_id`")
    );
    assert!(
        call("transfer_create", json!({}))
            .unwrap_err()
            .contains("unknown tool")
    );
}
