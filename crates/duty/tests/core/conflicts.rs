//! Incompatible duties: the floor, what a release adds, sub-agents, and who could ever hold two.

use std::collections::BTreeSet;

use duty::{
    conflict::{Apart, Conflict, ConflictMatrix, Path, findings, unfit},
    principal::{Duty, Role},
    refusal::Code,
    release::{Rules as _, Tier},
    request::{Request, RevokePrincipal, Stance},
};
use proptest::prelude::*;

use crate::world::{World, agent_of, human, name};

fn line(a: Duty, b: Duty, tiers: &[Tier], apart: &[Apart]) -> Conflict {
    Conflict {
        duties: (a, b),
        tiers: tiers.iter().copied().collect(),
        apart: apart.iter().copied().collect(),
        clause: "P-2".to_owned(),
    }
}

const TIERS: [Tier; 3] = [Tier::Low, Tier::Elevated, Tier::High];

fn any_line() -> impl Strategy<Value = Conflict> {
    let tiers = prop::sample::subsequence(TIERS.to_vec(), 1..=3);
    let apart = prop::sample::subsequence(Apart::ALL.to_vec(), 1..=7);
    (0..4_usize, 0..4_usize, tiers, apart)
        .prop_map(|(a, b, tiers, apart)| line(Duty::ALL[a], Duty::ALL[b], &tiers, &apart))
}

proptest! {
    /// Whatever a release says, what the floor asks is asked; and a further line takes nothing away.
    #[test]
    fn no_matrix_goes_under_the_floor(lines in prop::collection::vec(any_line(), 0..6), more in any_line()) {
        let matrix = ConflictMatrix { lines: lines.clone() };
        let wider = ConflictMatrix { lines: lines.into_iter().chain([more]).collect() };
        let asked = |m: &ConflictMatrix, a, b, tier| -> BTreeSet<Apart> {
            m.demands(a, b, tier).iter().map(|d| d.apart).collect()
        };
        for a in Duty::ALL {
            for b in Duty::ALL {
                for tier in [None, Some(Tier::Low), Some(Tier::Elevated), Some(Tier::High)] {
                    let demands = asked(&matrix, a, b, tier);
                    prop_assert_eq!(demands.is_empty(), a == b);
                    prop_assert_eq!(&demands, &asked(&matrix, b, a, tier));
                    prop_assert!(demands.is_subset(&asked(&wider, a, b, tier)));
                    prop_assert!(demands.is_subset(&asked(&matrix, a, b, None)));
                    if a != b {
                        let floor = asked(&ConflictMatrix::default(), a, b, tier);
                        prop_assert!(floor.contains(&Apart::Principal) && floor.contains(&Apart::Delegation));
                        prop_assert!(floor.is_subset(&demands));
                    }
                }
            }
        }
    }
}

/// A world in which the reviewer has the analyst's owner, model and prompt; the release says so too.
fn twins() -> World {
    let mut w = World::new();
    let new = agent_of("rev2", Role::Reviewer, "olivia");
    w.must("admin", Request::AddPrincipal(new));
    let (ana, rev) = (w.rules.team.agents[0].clone(), &mut w.rules.team.agents[1]);
    *rev = duty::release::Agent {
        id: name("rev2"),
        duty: Duty::Review,
        ..ana
    };
    w
}

/// Prepares a case, and asks what stands against the review of `reviewer`.
fn review(w: &mut World, reviewer: &str) -> Option<Code> {
    let id = "c1";
    w.open(id);
    w.read(id, "ana", "");
    w.retrieve(id, "ana");
    let prepared = w.recommendation(id, Duty::Prepare, Stance::Proceed, 50);
    w.must("ana", Request::Recommend(prepared));
    let mut reviewed = w.recommendation(id, Duty::Review, Stance::Proceed, 50);
    let team = w.rules.team();
    let agent = team.agent(&name(reviewer)).unwrap();
    (reviewed.model, reviewed.prompt) = (agent.model.clone().unwrap(), Some(agent.prompt));
    let decision = w.ask(reviewer, Request::Recommend(reviewed));
    decision.refusal.map(|r| r.code)
}

#[test]
fn what_must_differ_is_the_releases_to_say() {
    for apart in [
        Apart::Owner,
        Apart::Model,
        Apart::ModelFamily,
        Apart::PromptLineage,
    ] {
        let mut w = twins();
        w.rules.team.conflicts.lines =
            vec![line(Duty::Review, Duty::Prepare, &[Tier::High], &[apart])];
        assert_eq!(
            review(&mut w, "rev2"),
            Some(Code::NotIndependent),
            "{}",
            apart.word()
        );
        let refused = w.records.last().unwrap();
        assert!(
            refused.clauses.iter().any(|c| c.id == "P-2"),
            "the clause is cited"
        );
        let unfit = unfit(&w.rules.team);
        assert_eq!(unfit.len(), 1, "{unfit:?}");
        assert_eq!(unfit[0].clause.as_deref(), Some("P-2"));
    }
    // Without the line they may work together: all that was refused is that it was not retrieved.
    let mut w = twins();
    assert_eq!(review(&mut w, "rev2"), Some(Code::BadCitation));
    assert_eq!(unfit(&w.rules.team), []);
}

#[test]
fn a_line_of_another_tier_does_not_bind_once_the_tier_is_known() {
    let mut w = World::new();
    // The executor has the analyst's owner.
    let new = agent_of("exe2", Role::Executor, "olivia");
    w.must("admin", Request::AddPrincipal(new));
    w.rules.team.agents[2].id = name("exe2");
    w.rules.team.agents[2].owner = name("olivia");
    w.rules.team.conflicts.lines = vec![line(
        Duty::Prepare,
        Duty::Execute,
        &[Tier::High],
        &[Apart::Owner],
    )];
    let demands = |tier| {
        w.rules
            .team
            .conflicts
            .demands(Duty::Execute, Duty::Prepare, tier)
    };
    assert!(
        demands(Some(Tier::High))
            .iter()
            .any(|d| d.apart == Apart::Owner)
    );
    assert!(
        demands(Some(Tier::Low))
            .iter()
            .all(|d| d.apart != Apart::Owner)
    );
    assert!(demands(None).iter().any(|d| d.apart == Apart::Owner));
}

#[test]
fn a_sub_agent_counts_as_whom_it_acts_for() {
    let mut w = World::new();
    let sub = |id: &str, role, owner: &str, above: &str| {
        let mut new = agent_of(id, role, owner);
        new.acts_for = Some(name(above));
        Request::AddPrincipal(new)
    };
    // Refused where it is assigned: another role, another owner, nobody there, somebody who is no agent.
    w.refused(
        "admin",
        sub("sub", Role::Reviewer, "olivia", "ana"),
        Code::NotIndependent,
    );
    w.refused(
        "admin",
        sub("sub", Role::Analyst, "rashid", "ana"),
        Code::Malformed,
    );
    w.refused(
        "admin",
        sub("sub", Role::Analyst, "olivia", "nobody"),
        Code::Malformed,
    );
    w.refused(
        "admin",
        sub("sub", Role::Analyst, "olivia", "carla"),
        Code::Malformed,
    );
    let mut person = human("pat", Role::Approver);
    person.acts_for = Some(name("ana"));
    w.refused("admin", Request::AddPrincipal(person), Code::Malformed);
    w.must("admin", sub("sub", Role::Analyst, "olivia", "ana"));
    w.must("admin", sub("subsub", Role::Analyst, "olivia", "sub"));
    assert_eq!(w.state.root(&name("subsub")).as_str(), "ana");

    // Somebody forged a role: at the step itself the root is looked at.
    w.state.principals.get_mut(&name("subsub")).unwrap().roles = BTreeSet::from([Role::Reviewer]);
    w.rules.team.agents[1].id = name("subsub");
    w.rules.team.agents[1].owner = name("olivia");
    assert_eq!(review(&mut w, "subsub"), Some(Code::NotIndependent));
    let found = findings(&w.state, &w.rules.team);
    assert!(found.iter().any(|f| f.principal.as_str() == "ana"
        && f.second.1
            == Path::ActsFor {
                other: name("subsub")
            }));

    // Whoever it acts for being revoked, it is out.
    let revoke = RevokePrincipal {
        principal: name("ana"),
        reason: "left".to_owned(),
    };
    w.must("admin", Request::RevokePrincipal(revoke));
    let retrieve = duty::request::Retrieve {
        case: name("c1"),
        query: "x".to_owned(),
        vector: None,
        as_of: None,
        ranking: Vec::new(),
    };
    w.refused("subsub", Request::Retrieve(retrieve), Code::Revoked);
}

#[test]
fn everybody_who_could_hold_two_duties_is_named_with_the_path() {
    let mut w = World::new();
    let named = |w: &World| -> BTreeSet<String> {
        let found = findings(&w.state, &w.rules.team);
        found.into_iter().map(|f| f.principal.to_string()).collect()
    };
    // The owners of the team's agents might sign thresholds, which would count for nothing.
    let owners = ["ines", "olivia", "rashid"].map(str::to_owned);
    assert_eq!(named(&w), BTreeSet::from(owners));
    let mut both = human("zoe", Role::Approver);
    both.roles = vec![Role::Approver, Role::Owner];
    w.must("admin", Request::AddPrincipal(both));
    assert!(!named(&w).contains("zoe"), "approving twice is one duty");
    w.rules.team.agents[0].owner = name("zoe");
    let found = findings(&w.state, &w.rules.team);
    let zoe: Vec<_> = found
        .iter()
        .filter(|f| f.principal.as_str() == "zoe")
        .collect();
    assert!(
        zoe.iter().any(
            |f| f.first == (Duty::Prepare, Path::Owns { agent: name("ana") })
                && f.second
                    == (
                        Duty::Approve,
                        Path::Role {
                            role: Role::Approver
                        }
                    )
                && f.refused_by == "conflicted"
        ),
        "{zoe:?}"
    );
    let revoke = RevokePrincipal {
        principal: name("zoe"),
        reason: "left".to_owned(),
    };
    w.must("admin", Request::RevokePrincipal(revoke));
    assert!(!named(&w).contains("zoe"));
}

/// Complete: whoever the core lets do two duties in two cases is among the findings.
#[test]
fn whoever_is_let_do_two_duties_is_among_the_findings() {
    let mut w = World::new();
    let mut done: std::collections::BTreeMap<String, BTreeSet<Duty>> = Default::default();
    w.judged("c1", 500);
    for person in ["bob", "carla", "olivia", "rashid", "ines", "gus"] {
        if w.stands_against("c1", person).is_none() {
            done.entry(person.to_owned())
                .or_default()
                .insert(Duty::Approve);
        }
    }
    for case in w.state.cases.values() {
        for (duty, who) in &case.parts {
            done.entry(who.to_string()).or_default().insert(*duty);
        }
    }
    assert!(done["bob"].contains(&Duty::Approve) && done["ana"].contains(&Duty::Prepare));
    let found = findings(&w.state, &w.rules.team);
    for (who, duties) in done {
        let listed = found.iter().any(|f| f.principal.as_str() == who);
        assert!(duties.len() < 2 || listed, "{who} does {duties:?}");
    }
}
