//! Executing: a grant is used once, by the executor, for exactly the approved action; then the outcome is taken down.

use super::{
    Desk, Place, Ruled,
    approve::quorum,
    gather::{ask, known_tool},
    keep::malformed,
    permit::{as_pinned, permitted},
    report::reported_in_turn,
};
use crate::{
    freeze::Step,
    name::ItemId,
    principal::{Duty, Role},
    record::{Basis, CaseOutcome, ExceptionSort, GrantUsed, OutcomeRecorded, ThresholdReleased},
    refusal::{Code, Refusal},
    release::{BreakGlass, Heard, HumanStep, Rules},
    request::{FoundBy, Outcome, RecordOutcome, UseGrant},
    state::{Case, Grant},
};

impl Desk<'_> {
    pub(super) fn use_grant(&mut self, request: &UseGrant) -> Ruled {
        let (id, case) = self.item_case(&request.grant)?;
        let rules = self.rules_in_force(case)?;
        let agent = self.agent(rules, &id, case, &[Duty::Execute])?;
        let grant = issued(case, &request.grant)?;
        if grant.used.is_some() {
            return Err(Refusal::new(
                Code::Replayed,
                format!("grant `{}` was used already", grant.id),
                "a grant is used once; open a new case for another action",
            ));
        }
        if self.now >= grant.expires {
            return Err(Refusal::new(
                Code::Expired,
                format!("grant `{}` expired at {}", grant.id, grant.expires),
                "open the case anew",
            ));
        }
        let tool = known_tool(rules, &request.action)?;
        self.not_frozen(Step {
            tool: Some(&tool.name),
            ..Step::default()
        })?;
        let digest = request
            .action
            .digest()
            .map_err(|e| malformed(e.to_string()))?;
        if digest != grant.digest {
            return Err(Refusal::new(
                Code::WrongBinding,
                format!(
                    "the grant is for action {}, and this is {}",
                    grant.digest.short(),
                    digest.short()
                ),
                "execute the action exactly as approved",
            ));
        }
        let heard = Heard::new(rules, ask(&agent.id, &request.action, &id, case));
        self.still_stands(rules, case, grant, &heard.human_steps())?;
        let rule = permitted(&heard)?;
        let place = Place::case(&id, case);
        let clauses = self.cited(&place, rule.clause.as_deref());
        let simulated = case.env.simulated();
        let by_caller = tool.by_caller && !simulated;
        if !simulated && !by_caller {
            as_pinned(tool, request.described)?;
        }
        let body = GrantUsed {
            request: self.request(),
            digest,
            rule,
            level: rules.team().level(case.tier),
            simulated,
            report_by: by_caller.then(|| self.report_by(rules)),
        };
        self.write(place, Some(Role::Executor), clauses, body);
        Ok(())
    }

    /// What the grant stands on, checked again at the moment of use.
    fn still_stands(
        &self,
        rules: &dyn Rules,
        case: &Case,
        grant: &Grant,
        steps: &[&HumanStep],
    ) -> Ruled {
        match &grant.basis {
            Basis::Threshold { threshold, digest } => {
                if let Some(step) = steps.first() {
                    return Err(Refusal::new(
                        Code::HumanStep,
                        format!("`{}` always needs a human here, and none signed", step.tool),
                        "have it approved",
                    )
                    .clause(Some(step.clause.clone())));
                }
                let closed = |why: String| {
                    Refusal::new(
                        Code::ThresholdClosed,
                        format!("threshold `{threshold}`: {why}"),
                        "have the threshold signed and in force, or ask humans",
                    )
                };
                let found = rules
                    .thresholds()
                    .iter()
                    .find(|(t, d)| t.id == *threshold && d == digest);
                let (found, _) =
                    found.ok_or_else(|| closed("it is not the release's".to_owned()))?;
                self.standing()
                    .in_force(rules, found, *digest)
                    .map_err(closed)
            }
            Basis::Glass { .. } => {
                let missing = || {
                    Refusal::new(
                        Code::QuorumMissing,
                        "not enough humans stand behind the emergency any more",
                        "have it approved",
                    )
                };
                let way = rules.team().break_glass.as_ref().ok_or_else(missing)?;
                let approval = case.approval.as_ref().ok_or_else(missing)?;
                let standing = self.behind_glass(rules, case, approval, way);
                let have = u32::try_from(standing.len()).unwrap_or(u32::MAX);
                if have >= BreakGlass::humans(approval.tier) {
                    return Ok(());
                }
                Err(missing())
            }
            Basis::Approval { .. } => {
                let missing = || {
                    Refusal::new(
                        Code::QuorumMissing,
                        "not enough humans stand behind it",
                        "have it approved again",
                    )
                };
                let approval = case.approval.as_ref().ok_or_else(missing)?;
                let quorum = quorum(rules, approval)?;
                let tally = self.tally(rules, case, approval, quorum);
                let least = steps.iter().map(|step| step.humans).max().unwrap_or(0);
                if tally.complete() && tally.have() >= least {
                    return Ok(());
                }
                // Why one of them does not count any more says more than that one is missing.
                for yes in &approval.yes {
                    let stage = quorum.stages.iter().find(|s| s.name == yes.stage);
                    let stage = stage.ok_or_else(missing)?;
                    self.may_count(rules, case, &yes.who, yes.on_behalf.as_ref(), stage)?;
                }
                Err(missing())
            }
        }
    }

    pub(super) fn record_outcome(&mut self, request: &RecordOutcome) -> Ruled {
        let (id, case) = self.item_case(&request.grant)?;
        let role = self.reports(case, request)?;
        let grant = issued(case, &request.grant)?;
        if grant.used.is_none() {
            return Err(Refusal::new(
                Code::WrongState,
                format!("grant `{}` was not used", grant.id),
                "an outcome follows the use of its grant",
            ));
        }
        let fits = match grant.report_by {
            Some(by) => reported_in_turn(case, request, by <= self.now),
            None => answered_in_turn(case, request),
        };
        if !fits {
            return Err(Refusal::new(
                Code::WrongState,
                format!(
                    "the outcome of `{}` is {}, and that it be {} cannot follow so",
                    grant.id,
                    case.outcome.map_or("open", Outcome::word),
                    request.outcome.word()
                ),
                "an unknown outcome is settled by looking it up at the target",
            ));
        }
        let body = OutcomeRecorded {
            request: self.request(),
        };
        self.write(Place::case(&id, case), Some(role), Vec::new(), body);
        match request.outcome {
            Outcome::Succeeded => {
                self.close(&id, case, CaseOutcome::Executed, request.detail.clone());
            }
            Outcome::Failed => {
                self.release_threshold(&id, case, grant);
                let text = format!(
                    "the target did not do what was approved: {}",
                    request.detail
                );
                self.raise_in(&id, case, ExceptionSort::OutcomeFailed, text);
                self.close(&id, case, CaseOutcome::Failed, request.detail.clone());
            }
            Outcome::Unknown => {
                let text = format!(
                    "nobody can say whether the effect took place: {}",
                    request.detail
                );
                self.raise_in(&id, case, ExceptionSort::OutcomeUnknown, text);
            }
        }
        Ok(())
    }

    pub(super) fn release_threshold(
        &mut self,
        id: &crate::name::CaseId,
        case: &Case,
        grant: &Grant,
    ) {
        if let Basis::Threshold { threshold, .. } = &grant.basis {
            let body = ThresholdReleased {
                threshold: threshold.clone(),
                grant: grant.id.clone(),
            };
            self.write(Place::case(id, case), Some(Role::Service), Vec::new(), body);
        }
    }
}

/// What the engine may say of an effect that it called for itself.
fn answered_in_turn(case: &Case, request: &RecordOutcome) -> bool {
    let simulated = case.env.simulated();
    simulated == (request.found_by == FoundBy::Simulated)
        && matches!(
            (case.outcome, request.outcome, request.found_by),
            (None, Outcome::Unknown, FoundBy::Answer | FoundBy::Recovery)
                | (None, Outcome::Succeeded | Outcome::Failed, FoundBy::Answer)
                | (None, Outcome::Succeeded, FoundBy::Simulated)
                | (
                    Some(Outcome::Unknown),
                    Outcome::Succeeded | Outcome::Failed,
                    FoundBy::Lookup
                )
        )
}

fn issued<'c>(case: &'c Case, id: &ItemId) -> Result<&'c Grant, Refusal> {
    case.grant.as_ref().filter(|g| g.id == *id).ok_or_else(|| {
        Refusal::new(
            Code::WrongState,
            format!("there is no grant `{id}`"),
            "wait until the action is approved",
        )
    })
}
