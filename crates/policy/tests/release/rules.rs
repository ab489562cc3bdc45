//! Permission sets and risk rules.

use duty::{
    action::Action,
    facts::Facts,
    release::{Permission, Rules, Tier},
};
use policy::Release;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::small::{TEAM, asked, changed, facts, files, pay};

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

proptest! {
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
