//! Types of what tools take and bring: rules are validated against them, and arguments held to them.

use std::collections::BTreeMap;

use duty::{
    action::Action,
    release::{Permission, Rules, Tier},
};
use policy::{Release, ReleaseErrors};
use serde_json::{Value, json};

use crate::small::{asked, facts, files, typed};

/// The tool with arguments of this type, and one rule that permits it.
fn taking(args: &str, rule: &str) -> Result<Release, ReleaseErrors> {
    Release::from_files(taking_files(args, rule))
}

pub(crate) fn taking_files(args: &str, rule: &str) -> BTreeMap<String, String> {
    let mut files = typed();
    let team = files["team.toml"].replace(
        "args = { cents = \"Long\" }",
        &format!("args = {{ {args} }}"),
    );
    files.insert("team.toml".to_owned(), team);
    let scope =
        "@clause(\"PAY-1.1\")\npermit (principal, action == Action::\"bank.pay\", resource)";
    let only = format!("@id(\"pay\") {scope} when {{ {rule} }};\n");
    files.insert("permissions/exe.cedar".to_owned(), only);
    let risk = format!("@id(\"small\") @tier(\"low\") {scope};\n");
    files.insert("risk.cedar".to_owned(), risk);
    files
}

fn permitted(release: &Release, arguments: &str) -> Result<bool, String> {
    let text = format!(r#"{{"tool":"bank.pay","arguments":{arguments}}}"#);
    let action: Action = serde_json::from_str(&text).unwrap();
    match asked("exe", &action, &facts(5), |ask| release.permission(ask)) {
        Permission::Allow(_) => Ok(true),
        Permission::Silent => Ok(false),
        Permission::Fault(hit) => Err(hit.why),
        Permission::Forbid(hit) => panic!("{hit:?}"),
    }
}

#[test]
fn rules_are_validated_against_the_types_of_the_tools() {
    Release::from_files(typed()).unwrap();
    let (exe, pay) = ("permissions/exe.cedar", "context.args.cents > 0");
    for (path, from, to, says) in [
        (
            exe,
            pay,
            "context.args.cent > 0",
            &[
                "exe.cedar:3: rule `pay`",
                "`args.cent`",
                "did you mean `cents`",
            ][..],
        ),
        (
            exe,
            pay,
            "context.args.cents > \"0\"",
            &["exe.cedar:3: rule `pay`", "String"],
        ),
        (
            exe,
            pay,
            "context.facts has inv && context.facts.inv.seen",
            &["rule `pay`", "inv.seen`", "has"],
        ),
        (
            exe,
            pay,
            "context.args.cents > 0 && context.env == 7",
            &["rule `pay`"],
        ),
        (
            exe,
            pay,
            "context.args has other",
            &["rule `pay`", "impossible"],
        ),
        (
            exe,
            "context.facts has inv && ",
            "",
            &["rule `too-much`", "facts.inv`"],
        ),
        (
            "risk.cedar",
            "context.args.cents <= 100",
            "context.args.to == \"x\"",
            &["risk.cedar:3: rule `small`", "`args.to`"],
        ),
        (
            "team.toml",
            "cents = \"Long\" }\n[approval",
            "cents = \"Money\" }\n[approval",
            &["bank.pay", "`cents`", "is no type", "Long"],
        ),
        (
            "team.toml",
            "{ cents = \"Long\" }\n[approval",
            "{ key = \"String\" }\n[approval",
            &["`key`, which the engine alone sets"],
        ),
    ] {
        let mut files = typed();
        let text = files[path].replacen(from, to, 1);
        assert_ne!(text, files[path], "{from}");
        files.insert(path.to_owned(), text);
        let message = Release::from_files(files).unwrap_err().to_string();
        for words in says {
            assert!(message.contains(words), "`{words}` is not in: {message}");
        }
    }
}

#[test]
fn arguments_are_what_their_tool_declares() {
    let release = Release::from_files(typed()).unwrap();
    let permission = |arguments: Value| {
        let action = Action {
            tool: "bank.pay".to_owned(),
            arguments: arguments.as_object().unwrap().clone(),
        };
        let tier = asked("exe", &action, &facts(5), |ask| release.risk(ask).tier);
        let permission = asked("exe", &action, &facts(5), |ask| release.permission(ask));
        (permission, tier)
    };
    let (permitted, tier) = permission(json!({"cents": 5}));
    assert!(matches!(permitted, Permission::Allow(_)) && tier == Tier::Low);
    for (arguments, says) in [
        (
            json!({"cents": "5"}),
            "argument `cents` of `bank.pay` is no Long",
        ),
        (
            json!({"cents": 5, "to": "x"}),
            "takes no argument `to`; it takes `cents`",
        ),
        (
            json!({}),
            "argument `cents` (Long) of `bank.pay` is not given",
        ),
    ] {
        let (permission, tier) = permission(arguments);
        let Permission::Fault(hit) = permission else {
            panic!("{permission:?}")
        };
        assert!(hit.why.contains(says), "{}", hit.why);
        assert_eq!(tier, Tier::High);
    }
}

#[test]
fn decimals_are_exact_or_refused() {
    let rule = "context.args.amount.lessThanOrEqual(decimal(\"100.25\")) && context.args.amount.greaterThan(decimal(\"0.0\"))";
    let release = taking("amount = \"Decimal\"", rule).unwrap();
    for (amount, allowed) in [
        ("100.25", true),
        ("100.2501", false),
        ("1", true),
        ("1.0", true),
        ("0.0001", true),
        ("0", false),
        ("-0.0", false),
        ("-5.5", false),
        ("1e2", true),
        ("100.3", false),
    ] {
        let got = permitted(&release, &format!(r#"{{"amount":{amount}}}"#));
        assert_eq!(got, Ok(allowed), "{amount}");
    }
    for (amount, says) in [
        ("1.00001", "`1.00001` has more than four fractional digits"),
        ("1e-5", "`0.00001` has more than four fractional digits"),
        ("9007199254740991", "too large"),
        ("\"1.5\"", "is no Decimal"),
        ("null", "is no Decimal"),
    ] {
        let why = permitted(&release, &format!(r#"{{"amount":{amount}}}"#)).unwrap_err();
        assert!(
            why.contains(says) && why.contains("argument `amount` of `bank.pay`"),
            "{why}"
        );
    }
    // Types are held strictly: a decimal is no number to Cedar.
    for wrong in [
        "context.args.amount < 5",
        "context.args.amount == 5",
        "context.args.amount.lessThan(5)",
    ] {
        assert!(taking("amount = \"Decimal\"", wrong).is_err(), "{wrong}");
    }
    // A fraction is no Long, and nothing to rules where no type is declared.
    let whole = taking("amount = \"Long\"", "context.args.amount > 0").unwrap();
    assert_eq!(permitted(&whole, r#"{"amount":1.0}"#), Ok(true));
    assert!(
        permitted(&whole, r#"{"amount":1.5}"#)
            .unwrap_err()
            .contains("is no Long")
    );
    let undeclared = Release::from_files(files()).unwrap();
    let why = permitted(&undeclared, r#"{"cents":1.5}"#).unwrap_err();
    assert!(why.contains("declare its argument as Decimal"), "{why}");
}

#[test]
fn objects_sets_of_objects_and_null_are_seen_as_declared() {
    let args = "to = \"{name: String, age: Long?, home: {town: String}?}\", tags = \"Set<{k: String, v: Decimal}>?\", note = \"Any?\"";
    let rule = "context.args.to.name == \"x\" && (if context.args.to has age then context.args.to.age > 17 else true) && (if context.args has tags then context.args.tags.contains({k: \"ok\", v: decimal(\"0.5\")}) else true)";
    let release = taking(args, rule).unwrap();
    for (arguments, answer) in [
        (r#"{"to":{"name":"x"}}"#, Ok(true)),
        (
            r#"{"to":{"name":"x","age":null},"tags":null,"note":{"any":[1.5,null]}}"#,
            Ok(true),
        ),
        (
            r#"{"to":{"name":"x","age":18,"home":{"town":"y"}}}"#,
            Ok(true),
        ),
        (r#"{"to":{"name":"x","age":17}}"#, Ok(false)),
        (
            r#"{"to":{"name":"x"},"tags":[{"k":"no","v":1},{"k":"ok","v":0.50}]}"#,
            Ok(true),
        ),
        (
            r#"{"to":{"name":"x"},"tags":[{"k":"ok","v":1}]}"#,
            Ok(false),
        ),
        (r#"{"to":{"name":"x"},"tags":[]}"#, Ok(false)),
        (
            r#"{"to":{"name":"x"},"tags":[{"k":"ok","v":0.5},null]}"#,
            Err("argument `tags` of `bank.pay` is no {k: String, v: Decimal}"),
        ),
        (
            r#"{"to":{"age":18}}"#,
            Err("argument `to` of `bank.pay` lacks `name` (String)"),
        ),
        (r#"{"to":null}"#, Err("argument `to` of `bank.pay` is no {")),
        (
            r#"{"to":{"name":"x","more":1}}"#,
            Err("has no field `more`"),
        ),
        (
            r#"{"to":{"name":"x","home":{}}}"#,
            Err("`home` in argument `to` of `bank.pay` lacks `town`"),
        ),
        (
            r#"{"to":{"name":"x","age":1.5}}"#,
            Err("`age` in argument `to` of `bank.pay` is no Long"),
        ),
        (r#"{"to":["x"]}"#, Err("is no {")),
    ] {
        match (permitted(&release, arguments), answer) {
            (Err(why), Err(says)) => assert!(why.contains(says), "{why}"),
            (got, answer) => assert_eq!(got, answer.map_err(str::to_owned), "{arguments}"),
        }
    }
    for wrong in [
        "context.args.to.age > 17",
        "context.args has tags && context.args.tags.contains({k: \"ok\"})",
        "context.args.to.name > 17",
        "context.args.to.nam == \"x\"",
        "context.args has note",
        "context.args.tags.contains(\"ok\")",
    ] {
        assert!(taking(args, wrong).is_err(), "{wrong}");
    }
    for wrong in [
        "Set<Any>",
        "Set<{a: Any}>",
        "{a: String",
        "{a String}",
        "{a: String, a: Long}",
        "Set<Long?>",
        "Decimal??",
        "{}x",
    ] {
        let message = taking(&format!("x = \"{wrong}\""), "true")
            .unwrap_err()
            .to_string();
        assert!(message.contains("is no type"), "{wrong}: {message}");
    }
}
