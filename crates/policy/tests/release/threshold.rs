//! Thresholds.

use duty::{
    action::Action,
    canonical::Digest,
    release::{Rules, Unit},
};
use policy::Release;
use serde_json::json;

use crate::{
    small::{asked, changed, facts, pay, wrong},
    types::taking_files,
};

#[test]
fn a_wrong_threshold_is_refused() {
    let good = r#"
id = "small"
title = "Small"
owner = "carla"
tool = "bank.pay"
tier = "low"
scope = 'context.args.cents <= 100'
sum_field = "cents"
key_field = "to"
starts = "2026-01-01T00:00:00.000Z"
expires = "2027-01-01T00:00:00.000Z"
clause = "PAY-1.1"
signatures = 2
single_limit = 100
near_percent = 95
[caps.all]
window_minutes = 60
count = 3
sum = 250
[caps.per_key]
window_minutes = 60
count = 2
sum = 150
"#;
    let path = "thresholds/small.toml";
    let release = changed(path, good).unwrap();
    let (threshold, _) = &release.thresholds()[0];
    let scope = |action: &Action| {
        asked("exe", action, &facts(1), |ask| {
            release.in_scope(threshold, ask)
        })
    };
    assert_eq!(scope(&pay(json!(100))), Ok(true));
    assert_eq!(scope(&pay(json!(101))), Ok(false));
    assert!(scope(&pay(json!("x"))).is_err());
    wrong(
        path,
        &good.replace(
            "'context.args.cents <= 100'",
            "'true }; permit (principal, action, resource) when { true'",
        ),
        &["is not one condition"],
    );
    wrong(
        path,
        &good.replace(
            "window_minutes = 60\ncount = 3",
            "window_minutes = 0\ncount = 3",
        ),
        &["cap of zero"],
    );
    wrong(
        path,
        &good.replace("2027", "2025"),
        &["ends before it starts"],
    );
    wrong(
        path,
        &good.replace("\"bank.pay\"", "\"books.read\""),
        &["no effect"],
    );
    wrong(
        path,
        &good.replace("tier = \"low\"", "tier = \"high\""),
        &["that takes humans"],
    );
    wrong("thresholds/other.toml", good, &["file of its own name"]);
    let split = |text: &str| format!("{good}[split]\nwindow_minutes = 60\n{text}");
    assert!(changed(path, &split("sum = 100\ncount = 2")).is_ok());
    wrong(path, &split("count = 0"), &["`[split]` of zero or less"]);
    wrong(path, &split("sum = 99"), &["under its `single_limit`"]);

    // By count alone, and without keys.
    let per_key = "[caps.per_key]\nwindow_minutes = 60\ncount = 2\nsum = 150\n";
    let counting = good
        .replace("sum_field = \"cents\"\n", "")
        .replace("single_limit = 100\n", "")
        .replace("sum = 250\n", "")
        .replace("sum = 150\n", "");
    let alone = good
        .replace(per_key, "")
        .replace("key_field = \"to\"\n", "");
    for fine in [&counting, &alone] {
        let release = changed(path, fine).unwrap();
        let (threshold, digest) = &release.thresholds()[0];
        assert_eq!(*digest, Digest::of(threshold).unwrap());
        assert_eq!(threshold.unit, None);
    }
    wrong(
        path,
        &format!("{counting}sum = 5\n"),
        &["and no `sum_field`"],
    );
    wrong(
        path,
        &counting.replace("near_percent", "single_limit = 5\nnear_percent"),
        &["and no `sum_field`"],
    );
    wrong(
        path,
        &good.replace("single_limit = 100\n", ""),
        &["no `single_limit`"],
    );
    wrong(
        path,
        &good.replace("sum = 150\n", ""),
        &["a cap without `sum`"],
    );
    wrong(
        path,
        &good.replace(per_key, ""),
        &["without `[caps.per_key]`"],
    );
    wrong(
        path,
        &good.replace("key_field = \"to\"\n", ""),
        &["without a `key_field`"],
    );
    wrong(
        path,
        &format!("{counting}[split]\nwindow_minutes = 5\n"),
        &["needs `count`"],
    );
    wrong(
        path,
        &good.replace("single_limit = 100", "single_limit = 100.5"),
        &["`100.5` is no whole number"],
    );
}

#[test]
fn a_threshold_sums_what_its_tool_declares() {
    let written = |declared: &str, limit: &str| {
        let mut files = taking_files(&format!("cents = \"{declared}\", to = \"String?\""), "true");
        let document = format!(
            r#"
id = "small"
title = "Small"
owner = "carla"
tool = "bank.pay"
tier = "low"
scope = "true"
sum_field = "cents"
starts = "2026-01-01T00:00:00.000Z"
expires = "2027-01-01T00:00:00.000Z"
clause = "PAY-1.1"
signatures = 2
single_limit = {limit}
near_percent = 95
caps.all = {{ window_minutes = 60, count = 3, sum = 250 }}
"#
        );
        files.insert("thresholds/small.toml".to_owned(), document);
        Release::from_files(files).map(|r| r.thresholds()[0].clone())
    };
    let (whole, digest) = written("Long", "100").unwrap();
    assert_eq!((whole.unit, whole.single_limit), (None, Some(100)));
    let (fraction, other) = written("Decimal", "100.25").unwrap();
    assert_eq!(fraction.unit, Some(Unit::TenThousandths));
    assert_eq!(fraction.single_limit, Some(1_002_500));
    assert_eq!(fraction.caps.all.sum, Some(2_500_000));
    assert_eq!(fraction.say(1_002_500), "100.25");
    assert_ne!(digest, other);
    for (declared, limit, says) in [
        ("Decimal", "100.00001", "more than four fractional digits"),
        ("Long", "100.5", "no whole number"),
        ("String", "100", "what is summed is a Long or a Decimal"),
        ("Set<Long>", "100", "what is summed is a Long or a Decimal"),
    ] {
        let message = written(declared, limit).unwrap_err().to_string();
        assert!(message.contains(says), "{message}");
    }
}
