//! What is asked of people.

use duty::{
    action::Action,
    release::{Rules, Tier},
};
use policy::Release;
use serde_json::json;

use crate::small::{TEAM, asked, changed, facts, pay, wrong};

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
