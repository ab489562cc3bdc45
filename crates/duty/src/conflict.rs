//! Incompatible duties: which two nobody does both of in one case, and what must differ between those who do them.
//!
//! A release's matrix only adds: [`ConflictMatrix::demands`] begins with a floor that no release can go under (I2).
//! [`findings`] tells, before anything runs, who could ever hold two duties, and through what.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
};

use serde::{Deserialize, Serialize};

use crate::{
    fold::proof_digest,
    name::{GroupId, PrincipalId},
    principal::{Duty, PrincipalKind, Proof, Role},
    refusal::Code,
    release::{Agent, Team, Tier},
    state::{Principal, State},
};

/// What must differ between two principals who do two duties of one case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Apart {
    /// The principal.
    Principal,
    /// Every credential.
    Credential,
    /// The root of delegation: whom each acts for in the end.
    Delegation,
    /// The human answerable; a human answers for themself.
    Owner,
    /// The model.
    Model,
    /// The family of the model: what comes from one maker or one training.
    ModelFamily,
    /// The lineage of the prompt: what was derived from one text.
    PromptLineage,
}

impl Apart {
    /// All of them, from the least to the most.
    pub const ALL: [Self; 7] = [
        Self::Principal,
        Self::Credential,
        Self::Delegation,
        Self::Owner,
        Self::Model,
        Self::ModelFamily,
        Self::PromptLineage,
    ];

    /// The word used in releases and records.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Principal => "principal",
            Self::Credential => "credential",
            Self::Delegation => "delegation",
            Self::Owner => "owner",
            Self::Model => "model",
            Self::ModelFamily => "model-family",
            Self::PromptLineage => "prompt-lineage",
        }
    }
}

/// One line of a release's matrix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The two duties.
    pub duties: (Duty, Duty),
    /// In which tiers.
    pub tiers: BTreeSet<Tier>,
    /// What must differ, beyond the floor.
    pub apart: BTreeSet<Apart>,
    /// The clause that asks for it.
    pub clause: String,
}

/// A release's matrix of incompatible duties.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConflictMatrix {
    /// What the release adds to the floor.
    pub lines: Vec<Conflict>,
}

/// Something that must differ, and the clause behind it where it is not the floor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand<'m> {
    /// What.
    pub apart: Apart,
    /// The clause; none for the floor.
    pub clause: Option<&'m str>,
}

impl ConflictMatrix {
    /// What must differ between whoever does `a` and whoever does `b`, the floor first, each once.
    ///
    /// Without a tier, as before the verdict, every tier's lines count.
    #[must_use]
    pub fn demands(&self, a: Duty, b: Duty, tier: Option<Tier>) -> Vec<Demand<'_>> {
        if a == b {
            return Vec::new();
        }
        let floor = [Apart::Principal, Apart::Credential, Apart::Delegation];
        let owner = [a, b].contains(&Duty::Approve).then_some(Apart::Owner);
        let mut demands: Vec<_> = floor
            .into_iter()
            .chain(owner)
            .map(|apart| Demand {
                apart,
                clause: None,
            })
            .collect();
        let lines = self.lines.iter().filter(|line| {
            (line.duties == (a, b) || line.duties == (b, a))
                && tier.is_none_or(|tier| line.tiers.contains(&tier))
        });
        for line in lines {
            for apart in &line.apart {
                if demands.iter().all(|d| d.apart != *apart) {
                    demands.push(Demand {
                        apart: *apart,
                        clause: Some(&line.clause),
                    });
                }
            }
        }
        demands
    }
}

/// What is the same in two principals although it must differ, in words; none where they are apart.
pub(crate) fn same(
    state: &State,
    team: &Team,
    apart: Apart,
    a: &PrincipalId,
    b: &PrincipalId,
) -> Option<String> {
    if a == b {
        return Some("is the same principal".to_owned());
    }
    let known = (state.principals.get(a), state.principals.get(b));
    let agents = (team.agent(a), team.agent(b));
    match apart {
        Apart::Principal => None,
        Apart::Credential => known
            .0
            .zip(known.1)
            .is_some_and(|(a, b)| share_a_credential(a, b))
            .then(|| "shares a credential".to_owned()),
        Apart::Delegation => {
            let (a, b) = (state.root(a), state.root(b));
            (a == b).then(|| format!("acts for the same root `{a}`"))
        }
        Apart::Owner => {
            let owner = owner(known.0?, a);
            (owner.is_some() && owner == self::owner(known.1?, b))
                .then(|| format!("has the same owner `{}`", owner.unwrap_or(a)))
        }
        Apart::Model | Apart::ModelFamily | Apart::PromptLineage => {
            like(apart, agents.0?, agents.1?)
        }
    }
}

/// What is the same in two agents of a release; only what the release itself says is looked at.
fn like(apart: Apart, a: &Agent, b: &Agent) -> Option<String> {
    match apart {
        Apart::Principal | Apart::Credential | Apart::Delegation => {
            (a.id == b.id).then(|| "is the same principal".to_owned())
        }
        Apart::Owner => (a.owner == b.owner).then(|| format!("has the same owner `{}`", a.owner)),
        Apart::Model => {
            let model = a.model.as_ref().filter(|m| b.model.as_ref() == Some(m))?;
            Some(format!("runs on the same model `{model}`"))
        }
        Apart::ModelFamily => {
            let family = a.model_family.as_ref();
            let family = family.filter(|f| b.model_family.as_ref() == Some(f))?;
            Some(format!("runs on a model of the same family `{family}`"))
        }
        Apart::PromptLineage => {
            let same = a.prompt == b.prompt || a.lineage == b.lineage;
            same.then(|| format!("has a prompt of the same lineage `{}`", a.lineage))
        }
    }
}

/// The human answerable for a principal; a service has none.
fn owner<'p>(principal: &'p Principal, id: &'p PrincipalId) -> Option<&'p PrincipalId> {
    match principal.kind {
        PrincipalKind::Agent => principal.owner.as_ref(),
        PrincipalKind::Human => Some(id),
        PrincipalKind::Service => None,
    }
}

/// Whether one key, token or certificate proves both. Keys are compared by themselves, since this is asked at every step of a
/// case; a key is never a token, which its digest, that anybody can compute, would be no proof of.
pub(crate) fn share_a_credential(a: &Principal, b: &Principal) -> bool {
    a.credentials.iter().any(|x| {
        let mut others = b.credentials.iter();
        match key(&x.proof) {
            Some(held) => others.any(|y| key(&y.proof).is_some_and(|key| key == held)),
            None => proof_digest(&x.proof).is_some_and(|held| {
                others.any(|y| key(&y.proof).is_none() && proof_digest(&y.proof) == Some(held))
            }),
        }
    })
}

/// The public key that a proof is made with; none where it is made otherwise.
fn key(proof: &Proof) -> Option<Cow<'_, [u8]>> {
    match proof {
        Proof::Ed25519 { public } => Some(Cow::Borrowed(public.as_bytes())),
        Proof::Passkey(passkey) => Some(Cow::Owned(passkey.key_bytes())),
        Proof::Ssh { public } => Some(Cow::Owned(public.key_bytes())),
        Proof::Token { .. } | Proof::Jwt(_) | Proof::Certificate { .. } | Proof::Local => None,
    }
}

/// Two agents of a release that its own matrix keeps from working together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// The two, with their duties.
    pub agents: [(PrincipalId, Duty); 2],
    /// What is the same in them, in words.
    pub same: String,
    /// The clause behind it; none for the floor.
    pub clause: Option<String>,
}

/// What is wrong with a team by its own matrix, whoever is in the log: such a team could never finish a case.
#[must_use]
pub fn unfit(team: &Team) -> Vec<Unfit> {
    let mut found = Vec::new();
    for (i, a) in team.agents.iter().enumerate() {
        for b in &team.agents[i + 1..] {
            for demand in team.conflicts.demands(a.duty, b.duty, None) {
                if let Some(same) = like(demand.apart, a, b) {
                    found.push(Unfit {
                        agents: [(a.id.clone(), a.duty), (b.id.clone(), b.duty)],
                        same,
                        clause: demand.clause.map(str::to_owned),
                    });
                }
            }
        }
    }
    found
}

/// How a principal could come to hold a duty.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "through", rename_all = "kebab-case")]
pub enum Path {
    /// It is the team's agent for the duty.
    Agent,
    /// It holds the role that signs approvals.
    Role {
        /// The role.
        role: Role,
    },
    /// A group that it is in gives it the role.
    Group {
        /// The group.
        group: GroupId,
        /// The role.
        role: Role,
    },
    /// It may sign a threshold, which approves in advance.
    Threshold,
    /// It may break the glass, which approves in an emergency.
    Glass {
        /// The role that lets it.
        role: Role,
        /// The group that gives the role, where it is not its own.
        #[serde(skip_serializing_if = "Option::is_none")]
        group: Option<GroupId>,
    },
    /// It answers for an agent that holds the duty.
    Owns {
        /// The agent.
        agent: PrincipalId,
    },
    /// Another that acts for it, or for the same root, holds the duty.
    ActsFor {
        /// The other.
        other: PrincipalId,
    },
    /// It shares a credential with another that holds the duty.
    Shares {
        /// The other.
        other: PrincipalId,
    },
}

impl Path {
    /// In words.
    #[must_use]
    pub fn words(&self, duty: Duty) -> String {
        let duty = duty.word();
        match self {
            Self::Agent => format!("{duty}: is the team's agent for it"),
            Self::Role { role } => format!("{duty}: holds the role {}", role.word()),
            Self::Group { group, role } => format!(
                "{duty}: holds the role {} through the group `{group}`{}",
                role.word(),
                if *role == Role::Owner {
                    ", and may sign thresholds"
                } else {
                    ""
                }
            ),
            Self::Threshold => format!("{duty}: may sign thresholds, which approve in advance"),
            Self::Glass { role, group } => format!(
                "{duty}: may break the glass, holding the role {}{}",
                role.word(),
                group
                    .as_ref()
                    .map_or(String::new(), |g| format!(" through the group `{g}`"))
            ),
            Self::Owns { agent } => format!("{duty}: owns `{agent}`"),
            Self::ActsFor { other } => format!("{duty}: `{other}` acts for the same root"),
            Self::Shares { other } => format!("{duty}: shares a credential with `{other}`"),
        }
    }
}

impl Path {
    fn signs_thresholds(&self) -> bool {
        match self {
            Self::Threshold => true,
            Self::Group { role, .. } => *role == Role::Owner,
            _ => false,
        }
    }

    /// A role of its own, or of a group.
    fn of_role(role: Role, group: Option<&GroupId>) -> Self {
        match group {
            Some(group) => Self::Group {
                group: group.clone(),
                role,
            },
            None => Self::Role { role },
        }
    }
}

/// A principal that could hold two incompatible duties.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Who.
    pub principal: PrincipalId,
    /// The one duty, and through what.
    pub first: (Duty, Path),
    /// The other.
    pub second: (Duty, Path),
    /// What refuses it in every single case, since the invariants stand whatever is assigned.
    pub refused_by: &'static str,
}

/// Every principal in force that could hold two incompatible duties under a team, with every pair of paths: all principals
/// and all paths are gone through, none is sampled.
#[must_use]
pub fn findings(state: &State, team: &Team) -> Vec<Finding> {
    let own: BTreeMap<_, _> = state
        .principals
        .iter()
        .filter(|(_, p)| !p.revoked)
        .map(|(id, p)| (id, held_itself(id, p, team)))
        .collect();
    let mut found = Vec::new();
    for (id, held) in &own {
        let mut held = held.clone();
        for (other, others) in own.iter().filter(|(other, _)| other != &id) {
            held.extend(through(state, id, other, others));
        }
        let held: Vec<_> = held.into_iter().collect();
        for (i, first) in held.iter().enumerate() {
            for second in held[i + 1..].iter().filter(|second| second.0 != first.0) {
                let owns = [first, second]
                    .iter()
                    .any(|(_, path)| matches!(path, Path::Owns { .. }));
                let by_threshold = [first, second]
                    .iter()
                    .any(|(_, path)| path.signs_thresholds());
                let code = match (owns, by_threshold) {
                    (true, true) => Code::ThresholdClosed,
                    (true, false) => Code::Conflicted,
                    _ => Code::NotIndependent,
                };
                found.push(Finding {
                    principal: (*id).clone(),
                    first: first.clone(),
                    second: second.clone(),
                    refused_by: code.word(),
                });
            }
        }
    }
    found
}

/// The duties that a principal holds by itself.
fn held_itself(id: &PrincipalId, principal: &Principal, team: &Team) -> BTreeSet<(Duty, Path)> {
    let mut held = BTreeSet::new();
    for agent in &team.agents {
        for (_, group) in sources(principal, agent.duty.role()).filter(|_| agent.id == *id) {
            let path = match group {
                Some(_) => Path::of_role(agent.duty.role(), group),
                None => Path::Agent,
            };
            held.insert((agent.duty, path));
        }
        if agent.owner == *id {
            let path = Path::Owns {
                agent: agent.id.clone(),
            };
            held.insert((agent.duty, path));
        }
    }
    if principal.kind == PrincipalKind::Human {
        for role in team.signing_roles() {
            for (role, group) in sources(principal, role) {
                held.insert((Duty::Approve, Path::of_role(role, group)));
            }
        }
        for (role, group) in sources(principal, Role::Owner) {
            let path = match group {
                Some(_) => Path::of_role(role, group),
                None => Path::Threshold,
            };
            held.insert((Duty::Approve, path));
        }
        if let Some(way) = &team.break_glass {
            for (role, group) in sources(principal, way.role) {
                let group = group.cloned();
                held.insert((Duty::Approve, Path::Glass { role, group }));
            }
        }
    }
    held
}

/// What gives a principal a role: itself, and each group.
fn sources(principal: &Principal, role: Role) -> impl Iterator<Item = (Role, Option<&GroupId>)> {
    principal.sources().filter(move |(held, _)| *held == role)
}

/// The duties that come to `id` through what it has in common with `other`.
fn through(
    state: &State,
    id: &PrincipalId,
    other: &PrincipalId,
    held: &BTreeSet<(Duty, Path)>,
) -> Vec<(Duty, Path)> {
    let duties: BTreeSet<_> = held.iter().map(|(duty, _)| *duty).collect();
    let known = state.principals.get(id).zip(state.principals.get(other));
    let mut paths = Vec::new();
    if state.root(id) == state.root(other) {
        paths.push(Path::ActsFor {
            other: other.clone(),
        });
    }
    if known.is_some_and(|(a, b)| share_a_credential(a, b)) {
        paths.push(Path::Shares {
            other: other.clone(),
        });
    }
    paths
        .into_iter()
        .flat_map(|path| duties.iter().map(move |duty| (*duty, path.clone())))
        .collect()
}
