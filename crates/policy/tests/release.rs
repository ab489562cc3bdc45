//! A release from outside: what it answers, and what is said of a wrong one.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use duty::{
    action::Action,
    canonical::Digest,
    facts::{Facts, Scalar},
    name::{Environment, PrincipalId},
    release::{Ask, Permission, Rules, Tier, Unit},
    request::Stance,
};
use policy::{Matter, Release, ReleaseErrors};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const POLICY: &str = "# Pay\n\n<!-- document: PAY, edition: 3 -->\n\n## One\n\n### PAY-1.1 Small payments\n\nSmall payments may go without a human.\n\n### PAY-1.2 Large payments\n\nLarge ones need two approvers.\n\n### PAY-1.3 Books\n\nEvery invoice is kept for ten years.\n";

const TEAM: &str = r#"
name = "t"
[[agent]]
id = "ana"
duty = "prepare"
owner = "olivia"
permission_set = "permissions/ana.cedar"
prompt = "prompts/ana.md"
model = { kind = "rules", table = "tables/ana.cedar" }
reads = [{ tool = "books.read", args = { id = "$case.subject" } }]
action = { tool = "bank.pay", args = { cents = "$facts.inv.cents" } }
[[agent]]
id = "rev"
duty = "review"
owner = "rashid"
permission_set = "permissions/rev.cedar"
prompt = "prompts/rev.md"
model = { kind = "rules", table = "tables/rev.cedar" }
[[agent]]
id = "exe"
duty = "execute"
owner = "ines"
permission_set = "permissions/exe.cedar"
prompt = "prompts/exe.md"
[[tool]]
name = "books.read"
effect = false
facts_as = "inv"
facts = ["cents"]
[[tool]]
name = "bank.pay"
effect = true
idempotency = "key"
[approval.low]
humans = 1
role = "approver"
certification = "pay"
expires_minutes = 60
clause = "PAY-1.1"
[approval.elevated]
humans = 1
role = "approver"
certification = "pay"
expires_minutes = 60
clause = "PAY-1.2"
[approval.high]
humans = 2
role = "approver"
certification = "pay"
expires_minutes = 60
clause = "PAY-1.2"
[recommendation]
min_confidence = 80
clause = "PAY-1.1"
[grant]
expires_minutes = 10
"#;

const TABLE: &str = r#"
@id("small") @priority("1") @recommend("proceed") @confidence("95") @query("small payments") @cite("PAY-1.1")
@clause("PAY-1.1") @rationale("Small.")
permit (principal, action, resource) when { context.facts.inv.cents <= 100 };
@id("rest") @priority("9") @recommend("refer") @confidence("90") @query("large payments") @cite("PAY-1.2")
@clause("PAY-1.2") @rationale("Not small.")
permit (principal, action, resource);
"#;

const EXECUTOR: &str = r#"
@id("pay") @clause("PAY-1.1") @why("may pay")
permit (principal == Agent::"exe", action == Action::"bank.pay", resource) when { context.args.cents > 0 };
@id("too-much") @clause("PAY-1.2") @why("too much")
forbid (principal, action == Action::"bank.pay", resource) when { context.args.cents > 1000 || context.facts.inv.cents > 1000 };
"#;

const RISK: &str = r#"
@id("small") @tier("low") @clause("PAY-1.1") @why("small")
permit (principal, action, resource) when { context.args.cents <= 100 };
@id("medium") @tier("elevated") @clause("PAY-1.2") @why("medium")
permit (principal, action, resource) when { context.args.cents > 50 };
"#;

fn files() -> BTreeMap<String, String> {
    let reader = "@id(\"read\") @clause(\"PAY-1.1\")\npermit (principal, action == Action::\"books.read\", resource);";
    [
        ("team.toml", TEAM),
        ("risk.cedar", RISK),
        ("permissions/ana.cedar", reader),
        ("permissions/rev.cedar", reader),
        ("permissions/exe.cedar", EXECUTOR),
        ("tables/ana.cedar", TABLE),
        ("tables/rev.cedar", TABLE),
        ("prompts/ana.md", "Prepare."),
        ("prompts/rev.md", "Review."),
        ("prompts/exe.md", "Execute."),
        ("policies/pay.md", POLICY),
    ]
    .into_iter()
    .map(|(path, text)| (path.to_owned(), text.to_owned()))
    .collect()
}

fn changed(path: &str, text: &str) -> Result<Release, policy::ReleaseErrors> {
    let mut files = files();
    files.insert(path.to_owned(), text.to_owned());
    Release::from_files(files)
}

#[track_caller]
fn wrong(path: &str, text: &str, says: &[&str]) {
    let message = changed(path, text).unwrap_err().to_string();
    for words in says {
        assert!(message.contains(words), "`{words}` is not in: {message}");
    }
}

fn pay(cents: Value) -> Action {
    let arguments = json!({ "cents": cents }).as_object().unwrap().clone();
    let tool = "bank.pay".to_owned();
    Action { tool, arguments }
}

fn facts(cents: i64) -> Facts {
    let mut facts = Facts::default();
    facts.insert("inv", "cents", Scalar::Int(cents));
    facts
}

fn asked<T>(who: &str, action: &Action, facts: &Facts, ask: impl FnOnce(&Ask<'_>) -> T) -> T {
    let (principal, environment): (PrincipalId, Environment) =
        (who.parse().unwrap(), "dev".parse().unwrap());
    ask(&Ask {
        principal: &principal,
        action,
        case: "c1",
        subject: "s",
        environment: &environment,
        facts,
    })
}

#[test]
fn permits_forbids_and_takes_faults_for_refusals() {
    let release = Release::from_files(files()).unwrap();
    let permission = |cents: Value, facts: &Facts| {
        asked("exe", &pay(cents), facts, |ask| release.permission(ask))
    };
    assert!(
        matches!(permission(json!(5), &facts(5)), Permission::Allow(hit) if hit.rule == "permissions/exe.cedar#pay")
    );
    assert!(matches!(
        permission(json!(2000), &facts(5)),
        Permission::Forbid(_)
    ));
    // The forbid cannot be evaluated without its fact: Cedar would pass over it.
    assert!(matches!(
        permission(json!(5), &Facts::default()),
        Permission::Fault(_)
    ));
    assert!(matches!(
        permission(json!(1.5), &facts(5)),
        Permission::Fault(_)
    ));
    assert!(matches!(
        permission(Value::Null, &facts(5)),
        Permission::Fault(_)
    ));
    let as_analyst = asked("ana", &pay(json!(5)), &facts(5), |ask| {
        release.permission(ask)
    });
    assert_eq!(as_analyst, Permission::Silent);
    let stranger = asked("zed", &pay(json!(5)), &facts(5), |ask| {
        release.permission(ask)
    });
    assert_eq!(stranger, Permission::Silent);
}

#[test]
fn the_highest_tier_wins_and_doubt_is_high() {
    let release = Release::from_files(files()).unwrap();
    let tier = |action: &Action| asked("exe", action, &facts(1), |ask| release.risk(ask).tier);
    assert_eq!(tier(&pay(json!(50))), Tier::Low);
    assert_eq!(tier(&pay(json!(60))), Tier::Elevated);
    assert_eq!(tier(&pay(json!("much"))), Tier::High);
    let empty = Action {
        tool: "bank.pay".to_owned(),
        arguments: Map::new(),
    };
    assert_eq!(tier(&empty), Tier::High);
}

#[test]
fn tables_decide_by_row_and_refer_where_a_row_cannot_be_evaluated() {
    let release = Release::from_files(files()).unwrap();
    let decide = |facts: &Facts| {
        let (agent, env) = ("ana".parse().unwrap(), "dev".parse().unwrap());
        let matter = Matter {
            environment: &env,
            case: &"c1".parse().unwrap(),
            subject: "s",
            facts,
            proposed: None,
        };
        release.decide_table(&agent, &matter).unwrap()
    };
    let small = decide(&facts(100));
    assert_eq!(
        (small.row.as_str(), small.stance, small.confidence),
        ("small", Stance::Proceed, 95)
    );
    assert_eq!(decide(&facts(101)).row, "rest");
    let lost = decide(&Facts::default());
    assert_eq!((lost.stance, lost.confidence), (Stance::Refer, 0));
    assert!(lost.problem.is_some());
}

#[test]
fn a_reviewers_rows_see_what_was_prepared_and_a_preparers_do_not() {
    const ROWS: &str = r#"
@id("risky") @priority("1") @recommend("refuse") @confidence("95") @query("payments") @cite("PAY-1.2")
@clause("PAY-1.2") @rationale("Too much for one who asks.")
permit (principal, action, resource) when { context has tool && context.tool == "bank.pay" && context.args.cents > 70 };
@id("rest") @priority("9") @recommend("proceed") @confidence("90") @query("payments") @cite("PAY-1.1")
@clause("PAY-1.1") @rationale("Fine.")
permit (principal, action, resource);
"#;
    let mut files = files();
    for agent in ["ana", "rev"] {
        files.insert(format!("tables/{agent}.cedar"), ROWS.to_owned());
    }
    let decide = |files: &BTreeMap<String, String>, agent: &str, proposed: Option<&Action>| {
        let release = Release::from_files(files.clone()).unwrap();
        let matter = Matter {
            environment: &"dev".parse().unwrap(),
            case: &"c1".parse().unwrap(),
            subject: "s",
            facts: &facts(1),
            proposed,
        };
        release
            .decide_table(&agent.parse().unwrap(), &matter)
            .unwrap()
    };
    let row = |agent, cents| decide(&files, agent, Some(&pay(json!(cents)))).row;
    assert_eq!(
        (row("rev", 71), row("rev", 70)),
        ("risky".into(), "rest".into())
    );
    assert_eq!(row("ana", 71), "rest");
    assert_eq!(decide(&files, "rev", None).row, "rest");
    // An argument that cannot be compared so is a human's.
    let odd = decide(&files, "rev", Some(&pay(json!("many"))));
    assert_eq!((odd.stance, odd.confidence), (Stance::Refer, 0));
    // So is one that is not as its tool declares it.
    let typed = TEAM.replace(
        "name = \"bank.pay\"\n",
        "name = \"bank.pay\"\nargs = { cents = \"Long\" }\n",
    );
    files.insert("team.toml".to_owned(), typed);
    let odd = decide(&files, "rev", Some(&pay(json!("many"))));
    assert_eq!((odd.stance, odd.confidence), (Stance::Refer, 0));
    assert_eq!(decide(&files, "rev", Some(&pay(json!(71)))).row, "risky");
}

fn search(release: &Release, text: &str) -> Vec<policy::Found> {
    let query = policy::Query {
        text,
        vector: None,
        at: duty::time::Time::EPOCH,
    };
    release.search(&query, 8).unwrap()
}

#[test]
fn retrieval_finds_by_meaningful_words() {
    let release = Release::from_files(files()).unwrap();
    let found = search(&release, "payments that are large, who approves?");
    assert_eq!(found[0].clause.id, "PAY-1.2");
    assert!(search(&release, "").is_empty());
}

#[test]
fn a_wrong_release_is_told_what_where_and_what_to_do() {
    let twice = POLICY.replace("PAY-1.2", "PAY-1.1");
    wrong(
        "policies/pay.md",
        &twice,
        &["policies/pay.md:11", "policies/pay.md:7 too"],
    );
    wrong("team.toml", "name = ", &["team.toml:1"]);
    let keyless = TEAM.replace("idempotency = \"key\"", "idempotency = false");
    assert!(changed("team.toml", &keyless).is_ok());
    let lookup = "idempotency = false\nlookup = \"books.read\"";
    wrong(
        "team.toml",
        &keyless.replace("idempotency = false", lookup),
        &["`lookup`", "no `idempotency`"],
    );
    wrong(
        "team.toml",
        &TEAM.replace("humans = 2", "human = 2"),
        &["team.toml:", "human"],
    );
    wrong(
        "team.toml",
        &TEAM.replace("\"review\"", "\"prepare\""),
        &["2 agents prepare", "0 agents review"],
    );
    wrong(
        "team.toml",
        &TEAM.replace("humans = 2", "humans = 0"),
        &["[approval.high]", "at least 1"],
    );
    wrong(
        "team.toml",
        &TEAM.replace("tables/rev.cedar", "tables/x.cedar"),
        &["`tables/x.cedar`", "used by no agent"],
    );
    wrong(
        "team.toml",
        &TEAM.replace(
            "clause = \"PAY-1.1\"\n[grant]",
            "clause = \"PAY-9\"\n[grant]",
        ),
        &["PAY-9"],
    );
    wrong(
        "risk.cedar",
        &RISK.replace("@tier(\"low\")", ""),
        &["risk.cedar#small", "@tier"],
    );
    wrong("risk.cedar", "permit (principal", &["risk.cedar"]);
    wrong(
        "permissions/exe.cedar",
        &EXECUTOR.replace("@id(\"pay\")", ""),
        &["no `@id"],
    );
    wrong(
        "tables/ana.cedar",
        &TABLE.replace("PAY-1.2", "PAY-7.7"),
        &["PAY-7.7"],
    );
    wrong(
        "tables/ana.cedar",
        &TABLE.replace("@priority(\"9\")", "@priority(\"1\")"),
        &["same priority"],
    );
    let high = "humans = 2\nrole = \"approver\"";
    wrong(
        "team.toml",
        &TEAM.replace(high, &format!("min_seconds = 3600\n{high}")),
        &["[approval.high]", "nobody could ever approve"],
    );
    wrong(
        "team.toml",
        &TEAM.replace(high, &format!("hasty = \"raise\"\n{high}")),
        &["[approval.high]", "add `min_seconds`"],
    );
    for (bounds, says) in [
        ("", "sets no bound"),
        ("max_waiting = 0\n", "`max_waiting` is at least 1"),
        ("max_per_hour = 1001\n", "`max_per_hour` is 1 to 1000"),
    ] {
        wrong(
            "team.toml",
            &format!("{TEAM}[attention]\n{bounds}clause = \"PAY-1.2\"\n"),
            &["[attention]", says],
        );
    }
    for (bound, says) in [
        (
            "open_minutes = 0\nclause = \"PAY-1.2\"\n",
            "`open_minutes` is at least 1",
        ),
        ("open_minutes = 9\nclause = \"PAY-9\"\n", "PAY-9"),
    ] {
        let text = format!("{TEAM}[cases]\n{bound}");
        wrong("team.toml", &text, &["[cases]", says]);
    }
    wrong("notes.txt", "x", &["does not belong"]);
    wrong("prompts/ana.md", &"x".repeat(70_000), &["70000 bytes"]);
}

#[test]
fn what_is_asked_of_people_is_read() {
    let high = "humans = 2\nrole = \"approver\"";
    let elevated = "[approval.elevated]\n";
    let text = TEAM
        .replace(high, &format!("min_seconds = 20\n{high}"))
        .replace(elevated, &format!("{elevated}min_seconds = 5\n"));
    let text = format!("{text}[attention]\nmax_per_hour = 40\nclause = \"PAY-1.2\"\n");
    let release = changed("team.toml", &text).unwrap();
    let team = release.team();
    let pace = |tier| team.approval[&tier].pace.map(|p| (p.seconds, p.refuse));
    assert_eq!(pace(Tier::High), Some((20, true)));
    assert_eq!(pace(Tier::Elevated), Some((5, false)));
    assert_eq!(pace(Tier::Low), None);
    let attention = team.attention.as_ref().unwrap();
    assert_eq!(
        (attention.max_per_hour, attention.max_waiting),
        (Some(40), None)
    );
    assert_eq!(team.remembers(), 3_600);
}

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

/// The tool with arguments of this type, and one rule that permits it.
fn taking(args: &str, rule: &str) -> Result<Release, ReleaseErrors> {
    Release::from_files(taking_files(args, rule))
}

fn taking_files(args: &str, rule: &str) -> BTreeMap<String, String> {
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

#[test]
fn a_wrong_course_is_refused() {
    let course = |from: &str, to: &str| {
        let good = "[[course]]\nid = \"pay\"\ntitle = \"Pay\"\nfile = \"courses/pay.md\"\nvalid_days = 30\nassessors = [\"owner\"]\nroles = [\"approver\"]\nclause = \"PAY-1.1\"\n";
        assert!(good.contains(from));
        let mut files = files();
        files.insert("courses/pay.md".to_owned(), "What to know.".to_owned());
        files.insert(
            "team.toml".to_owned(),
            format!("{TEAM}{}", good.replace(from, to)),
        );
        Release::from_files(files)
    };
    let release = course("30", "30").unwrap();
    let pay = release.team().course(&"pay".parse().unwrap()).unwrap();
    assert_eq!(
        pay.content,
        duty::canonical::Digest::of_bytes(b"What to know.")
    );
    assert_eq!(pay.warn_days, 14);
    for (from, to, says) in [
        (
            "courses/pay.md",
            "courses/other.md",
            "its content is a file of the release",
        ),
        (
            "courses/pay.md",
            "prompts/ana.md",
            "`courses/pay.md` is used by no course",
        ),
        ("30", "0", "`valid_days` is at least 1"),
        ("30", "30\nwarn_days = 30", "less than `valid_days`"),
        ("[\"owner\"]", "[]", "roles of humans"),
        ("[\"owner\"]", "[\"executor\"]", "roles of humans"),
        ("[\"approver\"]", "[\"executor\"]", "`executor` in `roles`"),
        ("PAY-1.1", "PAY-9.9", "which no policy document has"),
    ] {
        let message = course(from, to).unwrap_err().to_string();
        assert!(message.contains(says), "{from} to {to}: {message}");
    }
    wrong("courses/stray.md", "x", &["is used by no course"]);
}

proptest! {
    #[test]
    fn any_query_is_safe_and_ranks_the_same(query in ".{0,80}") {
        let release = Release::from_files(files()).unwrap();
        prop_assert_eq!(search(&release, &query), search(&release, &query));
    }

    #[test]
    fn any_argument_gets_an_answer(name in "[a-z_]{1,8}", text in ".{0,20}", n in any::<i64>()) {
        let release = Release::from_files(files()).unwrap();
        let arguments = json!({"cents": n, name: {"__entity": {"type": text, "id": n}}});
        let action = Action { tool: "bank.pay".to_owned(), arguments: arguments.as_object().unwrap().clone() };
        asked("exe", &action, &facts(1), |ask| {
            let _ = release.permission(ask);
            let _ = release.risk(ask);
        });
    }
}

#[test]
fn a_rule_that_could_never_speak_is_named() {
    for (path, from, to, what) in [
        (
            "permissions/exe.cedar",
            "action == Action::\"bank.pay\", resource) when { context.args.cents > 1000",
            "action == Action::\"bank.pya\", resource) when { context.args.cents > 1000",
            "names action `bank.pya`, which is none here; there are `bank.pay`, `books.read`",
        ),
        (
            "permissions/exe.cedar",
            "principal == Agent::\"exe\"",
            "principal == Agent::\"exo\"",
            "names agent `exo`, which is not in the team",
        ),
        (
            "permissions/exe.cedar",
            "principal == Agent::\"exe\"",
            "principal == User::\"exe\"",
            "only Agent, Action and Case are known",
        ),
    ] {
        let text = files()[path].replacen(from, to, 1);
        let message = changed(path, &text).unwrap_err().to_string();
        assert!(message.contains(what), "{message}");
    }
}

#[test]
fn lint_names_permits_that_nobody_can_use() {
    let none = policy::lint(&Release::from_files(files()).unwrap());
    assert_eq!(none, []);
    let widened = files()["permissions/ana.cedar"].replace(
        "== Action::\"books.read\"",
        "in [Action::\"books.read\", Action::\"bank.pay\"]",
    );
    let found = policy::lint(&changed("permissions/ana.cedar", &widened).unwrap());
    let said: Vec<_> = found.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "`permissions/ana.cedar#read` permits `bank.pay`, which has an effect, to `ana`, who does not execute"
        ]
    );
    let unpaid = files()["permissions/exe.cedar"].replace("bank.pay", "books.read");
    let found = policy::lint(&changed("permissions/exe.cedar", &unpaid).unwrap());
    assert_eq!(
        found.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["`bank.pay` is permitted to nobody"]
    );
}

/// The release, with types for all that its tools take and bring.
fn typed() -> BTreeMap<String, String> {
    let mut files = files();
    let team = TEAM
        .replace(
            "facts = [\"cents\"]",
            "facts = { cents = \"Long\", seen = \"Bool?\" }\nargs = { id = \"String?\" }",
        )
        .replace(
            "idempotency = \"key\"",
            "idempotency = \"key\"\nargs = { cents = \"Long\" }",
        );
    assert_ne!(team, TEAM);
    files.insert("team.toml".to_owned(), team);
    let guarded = |text: &str| {
        text.replace(
            "context.facts.inv.cents",
            "context.facts has inv && context.facts.inv.cents",
        )
    };
    files.insert("permissions/exe.cedar".to_owned(), guarded(EXECUTOR));
    files.insert(
        "risk.cedar".to_owned(),
        RISK.replace("action,", "action == Action::\"bank.pay\","),
    );
    files
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
fn a_permission_set_may_span_files() {
    let mut files = files();
    let team = TEAM.replace(
        "permission_set = \"permissions/exe.cedar\"",
        "permission_set = [\"permissions/exe.cedar\", \"permissions/more.cedar\"]",
    );
    files.insert("team.toml".to_owned(), team.clone());
    let more = "@id(\"pay\") @clause(\"PAY-1.2\") @why(\"never on that\")\nforbid (principal, action, resource) when { context.args.cents == 13 };";
    files.insert("permissions/more.cedar".to_owned(), more.to_owned());
    let release = Release::from_files(files.clone()).unwrap();
    let permission = asked("exe", &pay(json!(13)), &facts(5), |ask| {
        release.permission(ask)
    });
    assert!(
        matches!(&permission, Permission::Forbid(hit) if hit.rule == "permissions/more.cedar#pay"),
        "{permission:?}"
    );
    let none = team.replace(
        "[\"permissions/exe.cedar\", \"permissions/more.cedar\"]",
        "[]",
    );
    files.insert("team.toml".to_owned(), none);
    let message = Release::from_files(files).unwrap_err().to_string();
    assert!(message.contains("empty `permission_set`"), "{message}");
}

/// The team with another way to approve what is high.
fn approving(high: &str) -> String {
    let from = TEAM.find("[approval.high]").unwrap();
    let to = TEAM.find("[recommendation]").unwrap();
    format!("{}{high}\n{}", &TEAM[..from], &TEAM[to..])
}

const STAGES: &str = r#"
[approval.high]
order = "parallel"
expires_minutes = 60
remind_minutes = 10
escalate_minutes = 30
escalate_to = { role = "owner", attributes = { site = "berlin" } }
clause = "PAY-1.2"
[[approval.high.stage]]
name = "finance"
humans = 2
role = "approver"
attributes = { department = "finance" }
certification = "pay"
[[approval.high.stage]]
name = "second"
humans = 1
role = "approver"
certification = "pay-2"
clause = "PAY-1.1"
"#;

#[test]
fn stages_are_read_with_their_own_clause_and_course() {
    let release = changed("team.toml", &approving(STAGES)).unwrap();
    let quorum = &release.team().approval[&Tier::High];
    assert_eq!(quorum.humans(), 3);
    assert_eq!(quorum.order, duty::release::Order::Parallel);
    let stages: Vec<_> = quorum
        .stages
        .iter()
        .map(|s| {
            (
                s.humans,
                s.who(),
                s.certification.as_str(),
                s.clause.as_str(),
            )
        })
        .collect();
    assert_eq!(
        stages,
        [
            (
                2,
                "approver with department = finance".to_owned(),
                "pay",
                "PAY-1.2"
            ),
            (1, "approver".to_owned(), "pay-2", "PAY-1.1"),
        ]
    );
    let told = quorum.escalation.as_ref().unwrap();
    assert_eq!((told.minutes, quorum.remind_minutes), (30, Some(10)));
    // In short it is one stage without a name.
    let low = &release.team().approval[&Tier::Low];
    assert_eq!((low.stages.len(), low.stages[0].name.as_ref()), (1, None));
}

#[test]
fn wrong_stages_are_told() {
    let high = |from: &str, to: &str, says: &[&str]| {
        assert!(STAGES.contains(from), "{from}");
        wrong("team.toml", &approving(&STAGES.replacen(from, to, 1)), says);
    };
    high(
        "expires_minutes = 60",
        "expires_minutes = 60\nhumans = 2",
        &["put `humans`", "into the stages"],
    );
    high(
        "name = \"second\"",
        "name = \"finance\"",
        &["stage finance", "is there twice"],
    );
    high("humans = 2", "humans = 0", &["`humans` is at least 1"]);
    high(
        "\"finance\" }",
        "\" finance\" }",
        &["no value of an attribute"],
    );
    high(
        "remind_minutes = 10",
        "remind_minutes = 60",
        &["less than `expires_minutes`"],
    );
    high(
        "remind_minutes = 10",
        "remind_minutes = 40",
        &["escalates before it reminds"],
    );
    high("escalate_minutes = 30\n", "", &["add `escalate_minutes`"]);
    high("PAY-1.1", "PAY-9.9", &["`PAY-9.9`"]);
    let none = "[approval.high]\nexpires_minutes = 60\nclause = \"PAY-1.2\"";
    wrong("team.toml", &approving(none), &["or a `stage` at least"]);
    let order = TEAM.replace("humans = 2", "humans = 2\norder = \"parallel\"");
    wrong("team.toml", &order, &["one stage only"]);
}

#[test]
fn a_human_step_holds_by_its_condition_and_where_that_cannot_be_evaluated() {
    let step = |when: &str| {
        format!(
            "{TEAM}[[human_step]]\ntool = \"bank.pay\"\nwhen = '{when}'\nclause = \"PAY-1.2\"\n"
        )
    };
    let release = changed("team.toml", &step("context.args.cents > 50")).unwrap();
    let holds = |release: &Release, action: Action| {
        asked("exe", &action, &facts(1), |ask| release.step_holds(0, ask))
    };
    assert!(holds(&release, pay(json!(51))));
    assert!(!holds(&release, pay(json!(50))));
    // Of another type: it cannot be told, and so a human is asked.
    assert!(holds(&release, pay(json!("51"))));
    wrong(
        "team.toml",
        &step("context.args.cents >"),
        &["human_step", "is not one condition"],
    );
    let reads = step("true").replace("tool = \"bank.pay\"\nwhen", "tool = \"books.read\"\nwhen");
    wrong("team.toml", &reads, &["has no effect"]);
    let codes = format!("{TEAM}[override]\ncodes = []\nclause = \"PAY-1.2\"\n");
    wrong("team.toml", &codes, &["lists no code"]);
}
