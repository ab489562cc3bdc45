//! Groups: roles held together, never more than one may hold, and named wherever conflicts are.

use crate::world::{World, agent_of, human, name};
use duty::{
    conflict::{Path, findings},
    name::GroupId,
    principal::{Duty, Role},
    refusal::Code,
    release::BreakGlass,
    request::{Certify, CreateGroup, JoinGroup, LeaveGroup, Request},
    time::Time,
};

fn create(group: &str, roles: &[Role]) -> Request {
    Request::CreateGroup(CreateGroup {
        group: name(group),
        roles: roles.to_vec(),
    })
}

fn join(group: &str, who: &str) -> Request {
    Request::JoinGroup(JoinGroup {
        group: name(group),
        principal: name(who),
    })
}

fn leave(group: &str, who: &str) -> Request {
    Request::LeaveGroup(LeaveGroup {
        group: name(group),
        principal: name(who),
        reason: "another job".to_owned(),
    })
}

/// A person with no role of their own, certified to approve.
fn plain(w: &mut World, who: &str) {
    let mut new = human(who, Role::Approver);
    new.roles.clear();
    w.must("admin", Request::AddPrincipal(new));
    let certify = Certify {
        principal: name(who),
        course: name("pay"),
        expires: Time::from_millis(100_000_000),
    };
    w.must("admin", Request::Certify(certify));
}

#[test]
fn whoever_is_in_a_group_holds_its_roles_and_no_longer() {
    let mut w = World::new();
    plain(&mut w, "yara");
    w.judged("c1", 5_000);
    w.refused("yara", w.approve("c1", "yara"), Code::NotYourDuty);
    w.refused("admin", join("payers", "yara"), Code::WrongState);
    w.refused(
        "carla",
        create("payers", &[Role::Approver]),
        Code::NotYourDuty,
    );
    w.must("admin", create("payers", &[Role::Approver]));
    w.refused("admin", create("payers", &[Role::Owner]), Code::Replayed);
    w.must("admin", join("payers", "yara"));
    w.refused("admin", join("payers", "yara"), Code::Replayed);
    w.must("yara", w.approve("c1", "yara"));
    w.must("bob", w.approve("c1", "bob"));
    // Who has left does not stand behind it when it is used.
    w.must("admin", leave("payers", "yara"));
    w.refused("admin", leave("payers", "yara"), Code::WrongState);
    w.refused("exe", w.use_grant("c1", 5_000), Code::NotYourDuty);
    w.must("admin", join("payers", "yara"));
    w.must("exe", w.use_grant("c1", 5_000));
}

#[test]
fn no_group_brings_roles_together_that_exclude_each_other() {
    let mut w = World::new();
    w.refused(
        "admin",
        create("all", &[Role::Approver, Role::Auditor]),
        Code::NotIndependent,
    );
    w.refused("admin", create("root", &[Role::Admin]), Code::NotYourDuty);
    w.refused("admin", create("none", &[]), Code::Malformed);
    w.must("admin", create("audit", &[Role::Auditor]));
    w.must("admin", create("payers", &[Role::Approver]));
    // With a role of their own.
    let refusal = w.ask("admin", join("audit", "bob")).refusal.unwrap();
    assert_eq!(refusal.code, Code::NotIndependent);
    assert!(
        refusal.why.contains("auditor through the group `audit`")
            && refusal.why.contains("approver by itself"),
        "{refusal}"
    );
    // With another group's.
    plain(&mut w, "yara");
    w.must("admin", join("payers", "yara"));
    let refusal = w.ask("admin", join("audit", "yara")).refusal.unwrap();
    assert!(
        refusal.why.contains("approver through the group `payers`"),
        "{refusal}"
    );
    // An agent approves through no group either.
    w.refused("admin", join("payers", "ana"), Code::NotYourDuty);
    w.must("admin", create("reviewers", &[Role::Reviewer]));
    w.refused("admin", join("reviewers", "ana"), Code::NotIndependent);
    w.must("admin", join("reviewers", "rev"));
    assert!(
        w.state.principals[&name("yara")]
            .roles
            .contains(&Role::Approver)
    );
}

#[test]
fn conflicts_are_named_with_the_group_that_makes_them() {
    let mut w = World::new();
    w.must("admin", create("payers", &[Role::Approver]));
    w.must("admin", join("payers", "olivia"));
    let group: GroupId = name("payers");
    let found = findings(&w.state, &w.rules.team);
    let path = Path::Group {
        group,
        role: Role::Approver,
    };
    let one = found
        .iter()
        .find(|f| f.principal == name("olivia") && f.second.1 == path || f.first.1 == path);
    let one = one.unwrap_or_else(|| panic!("{found:?}"));
    assert_eq!(one.refused_by, Code::Conflicted.word());
    assert!(
        path.words(Duty::Approve)
            .contains("through the group `payers`")
    );
    // And it is refused when it is tried.
    let certify = Certify {
        principal: name("olivia"),
        course: name("pay"),
        expires: Time::from_millis(100_000_000),
    };
    w.must("admin", Request::Certify(certify));
    w.judged("c1", 500);
    w.refused("olivia", w.approve("c1", "olivia"), Code::Conflicted);
}

#[test]
fn whoever_may_break_the_glass_is_a_path_of_its_own() {
    let mut w = World::new();
    w.rules.team.break_glass = Some(BreakGlass {
        role: Role::Owner,
        certification: name("pay"),
        minutes: 10,
        review_minutes: 60,
        clause: "P-1".to_owned(),
    });
    let found = findings(&w.state, &w.rules.team);
    let glass = |f: &&duty::conflict::Finding| {
        f.principal == name("olivia")
            && [&f.first.1, &f.second.1]
                .iter()
                .any(|p| matches!(p, Path::Glass { group: None, .. }))
    };
    assert!(found.iter().any(|f| glass(&f)), "{found:?}");
}

#[test]
fn an_agent_holds_its_duty_through_a_group_as_by_itself() {
    let mut w = World::new();
    w.must("admin", create("analysts", &[Role::Analyst]));
    w.must(
        "admin",
        Request::AddPrincipal(agent_of("zed", Role::Analyst, "olivia")),
    );
    w.must("admin", join("analysts", "zed"));
    w.must("admin", leave("analysts", "zed"));
    assert!(
        w.state.principals[&name("zed")]
            .roles
            .contains(&Role::Analyst)
    );
    assert_eq!(w.state.principals[&name("zed")].own, None);
}
