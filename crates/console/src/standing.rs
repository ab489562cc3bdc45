//! Who can sign what, said before they try. It only helps people choose: what decides is the core, when they sign.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use duty::{
    canonical::Digest,
    facts::Scalar,
    name::PrincipalId,
    principal::PrincipalKind,
    release::{Rules, Team},
    state::State,
    time::Time,
};
use engine::{EngineError, Waiting};
use policy::Release;

use crate::Desk;

/// Why a person cannot sign a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Obstacle {
    /// In a sentence to the person.
    pub(crate) why: String,
    /// The clause behind it.
    pub(crate) clause: Option<String>,
    /// Whether it is that they signed already.
    pub(crate) signed: bool,
}

/// For each request, in the docket's order, why `person` cannot sign it; none where nothing is known to stand against it.
pub(crate) fn obstacles(
    desk: &Desk,
    docket: &[Waiting],
    person: &PrincipalId,
) -> Result<Vec<Option<Obstacle>>, EngineError> {
    let mut releases: HashMap<Digest, Option<Arc<Release>>> = HashMap::new();
    for w in docket {
        if let Entry::Vacant(place) = releases.entry(w.release) {
            place.insert(desk.engine.release(w.release)?);
        }
    }
    let now = desk.engine.now();
    Ok(desk.engine.read(|state| {
        let one = |w: &Waiting| match releases.get(&w.release) {
            Some(Some(release)) => obstacle(state, release.team(), w, person, now),
            _ => Some(stands(
                "Its release cannot be read: nobody can sign under it.".to_owned(),
                None,
            )),
        };
        docket.iter().map(one).collect()
    }))
}

/// The first thing that stands against it, in the order in which the core asks.
fn obstacle(
    state: &State,
    team: &Team,
    w: &Waiting,
    person: &PrincipalId,
    now: Time,
) -> Option<Obstacle> {
    if w.have.contains(person) {
        return Some(Obstacle {
            signed: true,
            ..stands("You signed this.".to_owned(), None)
        });
    }
    let Some(quorum) = team.approval.get(&w.tier) else {
        let why = format!(
            "The release says nothing of who approves {} risk.",
            w.tier.word()
        );
        return Some(stands(why, None));
    };
    let clause = Some(quorum.clause.clone());
    let in_force = state
        .principals
        .get(person)
        .filter(|p| p.kind == PrincipalKind::Human && !p.revoked);
    let Some(known) = in_force else {
        return Some(stands("You are no human in force.".to_owned(), None));
    };
    if !known.roles.contains(&quorum.role) {
        let why = format!(
            "Somebody with the role {} signs; you read.",
            quorum.role.word()
        );
        return Some(stands(why, clause));
    }
    if !known.is_certified(&quorum.certification, now) {
        let why = match known.certifications.get(&quorum.certification) {
            Some(_) => format!("Your certification {} has run out.", quorum.certification),
            None => format!("You hold no certification {}.", quorum.certification),
        };
        return Some(stands(why, clause));
    }
    if let Some(agent) = team.agents.iter().find(|a| a.owner == *person) {
        let why = format!("You own {}, an agent of this case.", agent.id);
        return Some(stands(why, None));
    }
    let disqualify = team.disqualify.as_ref()?;
    let facts = &state.cases.get(&w.case)?.facts;
    let named = disqualify.facts.iter().find(
        |path| matches!(facts.at(path), Some(Scalar::Text(text)) if text == person.as_str()),
    )?;
    let why = format!("You have an interest in this case: {named} names you.");
    Some(stands(why, Some(disqualify.clause.clone())))
}

fn stands(why: String, clause: Option<String>) -> Obstacle {
    Obstacle {
        why,
        clause,
        signed: false,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use duty::{
        action::Action,
        facts::Facts,
        principal::{Duty, Role},
        release::{Agent, Disqualify, Quorum, Tier},
        state::{Case, Principal},
    };

    use super::*;

    const NOW: Time = Time::EPOCH;

    fn name<T: std::str::FromStr<Err = String>>(text: &str) -> T {
        text.parse().unwrap()
    }

    fn team() -> Team {
        Team {
            name: "payables".to_owned(),
            agents: vec![Agent {
                id: name("analyst"),
                duty: Duty::Prepare,
                owner: name("olivia"),
                model: None,
                prompt: Digest::of_bytes(b""),
            }],
            tools: BTreeMap::new(),
            approval: BTreeMap::from([(
                Tier::High,
                Quorum {
                    humans: 2,
                    role: Role::Approver,
                    certification: name("payment-approval"),
                    expires_minutes: 60,
                    clause: "PAY-2.3".to_owned(),
                },
            )]),
            disqualify: Some(Disqualify {
                facts: vec!["vendor.related_principal".to_owned()],
                clause: "SOD-2.1".to_owned(),
            }),
            min_confidence: 80,
            confidence_clause: "AGT-2.2".to_owned(),
            grant_minutes: 10,
        }
    }

    fn waiting() -> Waiting {
        Waiting {
            approval: name("ap-1.a1"),
            case: name("ap-1"),
            subject: "R1".to_owned(),
            action: Action {
                tool: "t.u".to_owned(),
                arguments: Default::default(),
            },
            digest: Digest::of_bytes(b""),
            tier: Tier::High,
            humans: 2,
            have: vec![name("bram")],
            asked: NOW,
            expires: NOW.plus_minutes(60),
            release: Digest::of_bytes(b""),
            env: name("staging"),
            log: "log".to_owned(),
            prepared: None,
            reviewed: None,
            yes_overrides: false,
            no_overrides: false,
        }
    }

    fn state() -> State {
        let person = |roles: &[Role], certified: Option<u32>| Principal {
            kind: PrincipalKind::Human,
            roles: roles.iter().copied().collect(),
            owner: None,
            credentials: Vec::new(),
            revoked: false,
            certifications: certified
                .map(|m| (name("payment-approval"), NOW.plus_minutes(m)))
                .into_iter()
                .collect(),
        };
        let mut facts = Facts::default();
        let named = Scalar::Text("conrad".to_owned());
        facts.insert("vendor", "related_principal", named);
        let case = Case {
            env: name("staging"),
            release: Digest::of_bytes(b""),
            subject: "R1".to_owned(),
            opened: NOW,
            snapshot: Digest::of_bytes(b""),
            parts: Default::default(),
            facts,
            calls: Vec::new(),
            retrieved: Default::default(),
            prepared: None,
            reviewed: None,
            tier: Some(Tier::High),
            approval: None,
            grant: None,
            outcome: None,
            exceptions: 0,
        };
        let approver = || person(&[Role::Approver], Some(1));
        State {
            principals: BTreeMap::from([
                (name("amira"), approver()),
                (name("bram"), approver()),
                (name("conrad"), approver()),
                (
                    name("olivia"),
                    person(&[Role::Approver, Role::Owner], Some(1)),
                ),
                (name("late"), person(&[Role::Approver], Some(0))),
                (name("new"), person(&[Role::Approver], None)),
                (name("auditor"), person(&[Role::Auditor], Some(1))),
            ]),
            cases: BTreeMap::from([(name("ap-1"), case)]),
            ..State::default()
        }
    }

    #[test]
    fn each_obstacle_is_named_with_its_clause() {
        let (state, team, waiting) = (state(), team(), waiting());
        let find = |person: &str| obstacle(&state, &team, &waiting, &name(person), NOW);
        assert_eq!(find("amira"), None);
        for (person, why, clause) in [
            ("bram", "You signed this.", None),
            (
                "conrad",
                "vendor.related_principal names you",
                Some("SOD-2.1"),
            ),
            ("olivia", "You own analyst", None),
            ("late", "has run out", Some("PAY-2.3")),
            ("new", "You hold no certification", Some("PAY-2.3")),
            ("auditor", "the role approver", Some("PAY-2.3")),
            ("nobody", "no human in force", None),
        ] {
            let found = find(person).unwrap();
            assert!(found.why.contains(why), "{person}: {}", found.why);
            assert_eq!(found.clause.as_deref(), clause, "{person}");
            assert_eq!(found.signed, person == "bram");
        }
    }

    #[test]
    fn a_tier_without_a_quorum_is_nobodys() {
        let mut waiting = waiting();
        waiting.tier = Tier::Low;
        let found = obstacle(&state(), &team(), &waiting, &name("amira"), NOW).unwrap();
        assert!(found.why.contains("low risk"), "{}", found.why);
    }
}
