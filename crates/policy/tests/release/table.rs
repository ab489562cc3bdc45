//! Decision tables.

use std::collections::BTreeMap;

use duty::{action::Action, facts::Facts, request::Stance};
use policy::{Matter, Release};
use serde_json::json;

use crate::small::{TEAM, facts, files, pay};

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
