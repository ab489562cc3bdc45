//! What would make a refused call pass: texts for records, the same for the same question.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use duty::{
    action::Action,
    facts::{Facts, Scalar},
    release::{Ask, Near, Permission, Rules},
};
use policy::Release;
use serde_json::{Value, json};

fn example() -> Release {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/payables/release");
    Release::from_dir(&dir).unwrap()
}

fn facts(of: &Value) -> Facts {
    let mut facts = Facts::default();
    for (namespace, fields) in of.as_object().unwrap() {
        for (field, value) in fields.as_object().unwrap() {
            facts.insert(namespace, field, Scalar::of(value).unwrap());
        }
    }
    facts
}

fn asked(who: &str, tool: &str, arguments: &Value, known: &Value) -> (Permission, Vec<Near>) {
    asked_of(&example(), who, tool, arguments, known)
}

fn asked_of(
    release: &Release,
    who: &str,
    tool: &str,
    arguments: &Value,
    known: &Value,
) -> (Permission, Vec<Near>) {
    let action = Action {
        tool: tool.to_owned(),
        arguments: arguments.as_object().unwrap().clone(),
    };
    let facts = facts(known);
    let ask = Ask {
        principal: &who.parse().unwrap(),
        action: &action,
        case: "c1",
        subject: "INV-1",
        environment: &"staging".parse().unwrap(),
        facts: &facts,
    };
    let near = release.near(&ask);
    assert_eq!(near, release.near(&ask), "the same for the same question");
    (release.permission(&ask), near)
}

fn transfer(cents: i64, account: &str) -> Value {
    json!({"invoice_id": "INV-1", "vendor_id": "V-7", "account": account, "amount_cents": cents,
        "currency": "EUR", "reference": "R-1"})
}

fn known() -> Value {
    json!({"vendor": {"id": "V-7", "account": "A-1", "sanctioned": false}, "invoice": {"malformed": false}})
}

#[test]
fn a_permit_says_which_of_its_conditions_does_not_hold() {
    let pay = "treasury.transfer_create";
    let (permission, near) = asked("executor", pay, &transfer(100, "A-9"), &known());
    assert_eq!(permission, Permission::Silent);
    assert_eq!(near.len(), 1);
    assert_eq!(
        near[0].rule.rule,
        "permissions/executor.cedar#create-transfer"
    );
    assert_eq!(near[0].rule.clause.as_deref(), Some("AGT-1.4"));
    assert_eq!(
        near[0].conditions,
        [
            "`context.args.account == context.facts.vendor.account` (context.args.account is \"A-9\", context.facts.vendor.account is \"A-1\")"
        ]
    );
    // Two things wrong are both named, in the order in which they are written.
    let (_, near) = asked("executor", pay, &transfer(0, "A-9"), &known());
    assert_eq!(near[0].conditions.len(), 2);
    assert!(near[0].conditions[0].contains("context.args.amount_cents"));
    // Another agent's call: the scope is what does not hold, and no permit of its set is about the tool.
    let (permission, near) = asked(
        "reviewer",
        "books.order_read",
        &json!({"order_id": "O-1"}),
        &json!({}),
    );
    assert_eq!((permission, near), (Permission::Silent, Vec::new()));
}

#[test]
fn a_forbid_says_what_holds() {
    let pay = "treasury.transfer_create";
    let (permission, near) = asked("executor", pay, &transfer(30_000_000, "A-1"), &known());
    assert!(matches!(permission, Permission::Forbid(_)));
    assert_eq!(
        near[0].rule.rule,
        "permissions/executor.cedar#above-agent-ceiling"
    );
    assert_eq!(
        near[0].conditions,
        ["`context.args.amount_cents > 25000000` (context.args.amount_cents is 30000000)"]
    );
    // A forbid without conditions has none that could be otherwise.
    let (permission, near) = asked("analyst", pay, &transfer(5, "A-1"), &known());
    assert!(matches!(permission, Permission::Forbid(_)));
    assert_eq!(near[0].conditions, [""; 0]);
}

#[test]
fn a_rule_that_cannot_be_evaluated_says_why() {
    // Types would not let such a rule in: take those of one tool away.
    let mut files = example().files().clone();
    let change = |text: &mut String, from: &str, to: &str| {
        assert!(text.contains(from), "{from}");
        *text = text.replacen(from, to, 1);
    };
    let team = files.get_mut("team.toml").unwrap();
    change(team, "args = { currency = \"String\" }", "");
    let set = files.get_mut("permissions/executor.cedar").unwrap();
    change(
        set,
        "unless { context.facts has vendor.sanctioned &&",
        "unless {",
    );
    let release = Release::from_files(files).unwrap();
    let (permission, near) = asked_of(
        &release,
        "executor",
        "treasury.transfer_create",
        &transfer(5, "A-1"),
        &json!({"vendor": {"id": "V-7", "account": "A-1"}, "invoice": {"malformed": false}}),
    );
    let Permission::Fault(hit) = permission else {
        panic!("{permission:?}")
    };
    assert_eq!(hit.rule, "permissions/executor.cedar#sanctioned-vendor");
    assert_eq!(hit.rule, near[0].rule.rule);
    assert!(near[0].conditions[0].contains("which cannot be told"));
}

#[test]
fn what_was_permitted_has_no_remedy() {
    let pay = "treasury.transfer_create";
    let (permission, near) = asked("executor", pay, &transfer(100, "A-1"), &known());
    assert!(matches!(permission, Permission::Allow(_)));
    assert_eq!(near, []);
}

#[test]
fn texts_are_bounded() {
    let long = "x".repeat(5_000);
    let (_, near) = asked(
        "executor",
        "treasury.transfer_create",
        &transfer(-1, &long),
        &known(),
    );
    for condition in &near[0].conditions {
        assert!(condition.chars().count() < 500, "{condition}");
    }
}
