//! Stages: who counts in which, which is open, and whether all are complete (I4). One person counts once, in one stage; a
//! deputy and whom they sign for are one person.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Desk, Ruled, approve::quorum};
use crate::{
    name::{CaseId, Course, ItemId, PrincipalId, StageName},
    principal::Duty,
    quorum::{Order, Quorum, Stage, words},
    refusal::{Code, Refusal},
    release::Rules,
    request::{Expire, Request, Submission},
    state::{Approval, Case, State, Yes},
    statement::{ApprovalStatement, Choice},
    time::Time,
};

/// Who of those that said yes counts, by stage.
pub(super) struct Tally<'r> {
    pub(super) stages: Vec<Filled<'r>>,
    order: Order,
}

/// A stage with whoever counts in it.
pub(super) struct Filled<'r> {
    pub(super) stage: &'r Stage,
    /// How many must sign: what a mandatory human step asks for beyond the quorum falls to the last stage.
    pub(super) need: u32,
    pub(super) yes: Vec<Yes>,
}

impl Filled<'_> {
    fn have(&self) -> u32 {
        u32::try_from(self.yes.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn complete(&self) -> bool {
        self.have() >= self.need.max(1)
    }
}

impl<'r> Tally<'r> {
    /// How many humans count, over all stages.
    pub(super) fn have(&self) -> u32 {
        self.stages
            .iter()
            .map(Filled::have)
            .fold(0, u32::saturating_add)
    }

    pub(super) fn complete(&self) -> bool {
        !self.stages.is_empty() && self.stages.iter().all(Filled::complete)
    }

    /// Who signed what counts, stage by stage.
    pub(super) fn signers(&self) -> Vec<PrincipalId> {
        let yes = self.stages.iter().flat_map(|s| &s.yes);
        yes.map(|yes| yes.who.clone()).collect()
    }

    /// The stages in which a yes would count now. Where all are complete and nothing was granted, since one who counts
    /// again did not for a while, any will do.
    pub(super) fn open(&self) -> Vec<&'r Stage> {
        let lacking = self.stages.iter().filter(|s| !s.complete());
        let lacking: Vec<_> = lacking.map(|s| s.stage).collect();
        if lacking.is_empty() {
            return self.stages.iter().map(|s| s.stage).collect();
        }
        match self.order {
            Order::Sequential => lacking.into_iter().take(1).collect(),
            Order::Parallel => lacking,
        }
    }

    pub(super) fn add(&mut self, yes: Yes) {
        let stage = self.stages.iter_mut().find(|s| s.stage.name == yes.stage);
        if let Some(stage) = stage {
            stage.yes.push(yes);
        }
    }
}

impl Desk<'_> {
    /// Who of those that said yes may still stand behind it: whoever was revoked, or is certified no more, or lost the role or
    /// an attribute, or signed with a credential or under a delegation that ended since, does not count.
    pub(super) fn tally<'r>(
        &self,
        rules: &'r dyn Rules,
        case: &Case,
        approval: &Approval,
        quorum: &'r Quorum,
    ) -> Tally<'r> {
        let beyond = approval.humans.saturating_sub(quorum.humans());
        let last = quorum.stages.len().saturating_sub(1);
        let stages = quorum.stages.iter().enumerate().map(|(n, stage)| Filled {
            stage,
            need: stage
                .humans
                .saturating_add(if n == last { beyond } else { 0 }),
            yes: Vec::new(),
        });
        let mut tally = Tally {
            stages: stages.collect(),
            order: quorum.order,
        };
        let mut counted = BTreeSet::new();
        for yes in self.state.standing(approval) {
            let stage = quorum.stages.iter().find(|s| s.name == yes.stage);
            let Some(stage) = stage else { continue };
            let on_behalf = yes.on_behalf.as_ref();
            let again = yes.people().any(|person| counted.contains(person));
            if !again
                && self
                    .may_count(rules, case, &yes.who, on_behalf, stage)
                    .is_ok()
            {
                counted.extend(yes.people());
                tally.add(yes.clone());
            }
        }
        tally
    }

    /// Whether this human may stand behind the case in a stage at this moment, for themself or for another.
    pub(super) fn may_count(
        &self,
        rules: &dyn Rules,
        case: &Case,
        who: &PrincipalId,
        on_behalf: Option<&PrincipalId>,
        stage: &Stage,
    ) -> Ruled {
        match on_behalf {
            None => self.may_approve(rules, case, who, stage),
            Some(root) => {
                self.delegated(who, root, stage.role)?;
                self.may_approve(rules, case, root, stage)?;
                self.may_answer(rules, case, who, stage)
            }
        }
    }

    /// The stage that a statement counts in.
    pub(super) fn stage_for<'r>(
        &self,
        rules: &'r dyn Rules,
        case: &Case,
        approval: &Approval,
        quorum: &'r Quorum,
        s: &ApprovalStatement,
    ) -> Result<&'r Stage, Refusal> {
        let open = match s.decision {
            Choice::Approve => self.tally(rules, case, approval, quorum).open(),
            // A no is heard from whoever could sign at any time.
            Choice::Reject => quorum.stages.iter().collect(),
        };
        let may =
            |stage: &Stage| self.may_count(rules, case, &s.signer, s.on_behalf.as_ref(), stage);
        if let Some(wanted) = &s.stage {
            let named = |stage: &&&Stage| stage.name.as_ref() == Some(wanted);
            if let Some(stage) = open.iter().find(named) {
                return may(stage).map(|()| *stage);
            }
            let known = quorum
                .stages
                .iter()
                .any(|s| s.name.as_ref() == Some(wanted));
            return Err(not_open(&open, quorum, wanted.as_str(), known));
        }
        let fit: Vec<_> = open.iter().filter(|stage| may(stage).is_ok()).collect();
        match (fit.as_slice(), s.decision) {
            ([stage], _) | ([stage, ..], Choice::Reject) => Ok(stage),
            ([], _) => {
                let later = quorum.stages.iter().find(|stage| may(stage).is_ok());
                let later = later.and_then(|stage| stage.name.as_ref());
                if let Some(later) = later {
                    return Err(not_open(&open, quorum, later.as_str(), true));
                }
                let why = open.first().map_or(Ok(()), |stage| may(stage));
                Err(why.err().unwrap_or_else(nothing_to_sign))
            }
            (several, Choice::Approve) => {
                let names: Vec<_> = several.iter().filter_map(|s| s.name.as_ref()).collect();
                Err(Refusal::new(
                    Code::WrongState,
                    format!("`{}` may sign in the stages {}", s.signer, list(&names)),
                    "say which one it counts in: one person counts in one stage",
                )
                .clause(Some(quorum.clause.clone())))
            }
        }
    }
}

fn list(names: &[&StageName]) -> String {
    let names: Vec<_> = names.iter().map(|n| format!("`{n}`")).collect();
    names.join(" and ")
}

fn not_open(open: &[&Stage], quorum: &Quorum, wanted: &str, known: bool) -> Refusal {
    let names: Vec<_> = open.iter().filter_map(|s| s.name.as_ref()).collect();
    let why = if known {
        format!(
            "stage `{wanted}` is not open; what waits for signatures is {}",
            list(&names)
        )
    } else {
        let all: Vec<_> = quorum
            .stages
            .iter()
            .filter_map(|s| s.name.as_ref())
            .collect();
        if all.is_empty() {
            format!("there is no stage `{wanted}`: this approval has one stage, without a name")
        } else {
            format!("there is no stage `{wanted}`; there are {}", list(&all))
        }
    };
    Refusal::new(Code::WrongState, why, "let those sign whose stage is open")
        .clause(Some(quorum.clause.clone()))
}

fn nothing_to_sign() -> Refusal {
    Refusal::new(
        Code::WrongState,
        "no stage waits for a signature",
        "name a request that waits",
    )
}

/// How a person could sign a request for approval now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Way {
    /// In which stage; none where there is only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<StageName>,
    /// For whom; none for themself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf: Option<PrincipalId>,
}

/// How a stage stands, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageView {
    /// Its name; none where there is only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<StageName>,
    /// How many distinct humans must sign.
    pub humans: u32,
    /// Who may: their role and attributes, in words.
    pub who: String,
    /// The course that each is certified in.
    pub certification: Course,
    /// The clause that asks for it.
    pub clause: String,
    /// Who has signed, and counts.
    pub have: Vec<Yes>,
    /// Whether a yes would count in it now.
    pub open: bool,
    /// Who could sign it now, in their own name or as a deputy; none for one that is not open.
    pub may: Vec<PrincipalId>,
}

/// Asks as nobody in particular: for what is shown and not decided.
fn onlooker(case: &CaseId, now: Time) -> Submission {
    let name = "INVARIANT: a fixed name is a name";
    Submission {
        clock: now,
        principal: "onlooker".parse().expect(name),
        credential: "onlooker".parse().expect(name),
        request: Request::Expire(Expire { case: case.clone() }),
    }
}

/// Shows something of a request that waits: the checks are those that are made when a signature comes, and only then do
/// they decide.
fn look<T>(
    state: &State,
    rules: &dyn Rules,
    approval: &ItemId,
    now: Time,
    show: impl FnOnce(&Desk<'_>, &CaseId, &Case, &Approval, &Quorum) -> Ruled<T>,
) -> Ruled<T> {
    let gone = || {
        Refusal::new(
            Code::WrongState,
            format!("nothing waits under `{approval}`"),
            "name a request that waits",
        )
    };
    let id = approval.case().ok_or_else(gone)?;
    let case = state.cases.get(&id).ok_or_else(gone)?;
    let waiting = case.approval.as_ref().filter(|a| a.id == *approval);
    let waiting = waiting.ok_or_else(gone)?;
    let submission = onlooker(&id, now);
    let desk = Desk {
        state,
        rules: Some(rules),
        submission: &submission,
        checked: None,
        now: now.max(state.time),
        records: Vec::new(),
        exceptions: 0,
    };
    desk.rules_in_force(case)?;
    show(&desk, &id, case, waiting, quorum(rules, waiting)?)
}

/// How `signer` could say yes to `approval` at `now`, in their own name first. For pages that help a person choose.
///
/// # Errors
/// The refusal that a signature in their own name would meet, where there is no way.
pub fn may_sign(
    state: &State,
    rules: &dyn Rules,
    approval: &ItemId,
    signer: &PrincipalId,
    now: Time,
) -> Result<Vec<Way>, Refusal> {
    look(
        state,
        rules,
        approval,
        now,
        |desk, id, case, waiting, quorum| desk.ways(rules, id, case, waiting, quorum, signer),
    )
}

/// How the stages of `approval` stand at `now`, in their order.
///
/// # Errors
/// Where nothing waits under that id, or the environment has moved on.
pub fn stages(
    state: &State,
    rules: &dyn Rules,
    approval: &ItemId,
    now: Time,
) -> Result<Vec<StageView>, Refusal> {
    look(
        state,
        rules,
        approval,
        now,
        |desk, id, case, waiting, quorum| {
            let tally = desk.tally(rules, case, waiting, quorum);
            let open = tally.open();
            let people: Vec<_> = desk.could_sign(rules, id, case, waiting, quorum);
            let view = |filled: Filled<'_>| {
                let stage = filled.stage;
                let open = open.contains(&stage);
                let may = people
                    .iter()
                    .filter(|(_, ways)| open && ways.iter().any(|way| way.stage == stage.name));
                StageView {
                    name: stage.name.clone(),
                    humans: filled.need,
                    who: stage.who(),
                    certification: stage.certification.clone(),
                    clause: stage.clause.clone(),
                    open: open && !filled.complete(),
                    may: may.map(|(who, _)| (*who).clone()).collect(),
                    have: filled.yes,
                }
            };
            Ok(tally.stages.into_iter().map(view).collect())
        },
    )
}

impl Desk<'_> {
    /// Everybody who could say yes now, with how.
    pub(super) fn could_sign(
        &self,
        rules: &dyn Rules,
        id: &CaseId,
        case: &Case,
        approval: &Approval,
        quorum: &Quorum,
    ) -> Vec<(&PrincipalId, Vec<Way>)> {
        let people = self.state.principals.keys();
        let could = people.filter_map(|who| {
            let ways = self.ways(rules, id, case, approval, quorum, who).ok()?;
            Some((who, ways))
        });
        could.collect()
    }

    fn ways(
        &self,
        rules: &dyn Rules,
        id: &CaseId,
        case: &Case,
        approval: &Approval,
        quorum: &Quorum,
        signer: &PrincipalId,
    ) -> Ruled<Vec<Way>> {
        if !self.state.principals.contains_key(signer) {
            return Err(Refusal::new(
                Code::UnknownPrincipal,
                format!("nobody here is called `{signer}`"),
                "add the principal first",
            ));
        }
        let open = self.tally(rules, case, approval, quorum).open();
        let roots = self.delegators(signer).into_iter().map(Some);
        let (mut ways, mut why) = (Vec::new(), None);
        for on_behalf in std::iter::once(None).chain(roots) {
            let people = || std::iter::once(signer).chain(on_behalf);
            let fits = |stage: &Stage| -> Ruled {
                super::approve::once(case, approval, people(), None, Choice::Approve)?;
                self.may_count(rules, case, signer, on_behalf, stage)?;
                people()
                    .try_for_each(|who| self.independent(rules, id, case, who, Duty::Approve))?;
                self.at_ease(rules, approval, quorum, signer, self.now)
                    .map(|_| ())
            };
            for stage in &open {
                match fits(stage) {
                    Ok(()) => ways.push(Way {
                        stage: stage.name.clone(),
                        on_behalf: on_behalf.cloned(),
                    }),
                    Err(refusal) => why = why.or(Some(refusal)),
                }
            }
        }
        match (ways.is_empty(), why) {
            (true, Some(why)) => Err(why),
            (true, None) => Err(nothing_to_sign()),
            (false, _) => Ok(ways),
        }
    }
}

/// Whether a principal carries all attributes that a stage asks for, and which it lacks.
pub(super) fn lacks(
    carried: &crate::quorum::Attributes,
    wanted: &crate::quorum::Attributes,
) -> Option<String> {
    let missing = wanted
        .iter()
        .filter(|(name, value)| carried.get(*name) != Some(value));
    let missing: crate::quorum::Attributes = missing.map(|(n, v)| (n.clone(), v.clone())).collect();
    (!missing.is_empty()).then(|| words(&missing))
}
