//! Gathering: cases open, agents read through their permission sets, clauses are retrieved.

use super::{
    Desk, Place, Ruled,
    cite::in_force,
    keep::malformed,
    permit::{as_pinned, permitted},
};
use crate::{
    action::Action,
    fold::call_index,
    freeze::Step,
    name::{CaseId, ItemId, PrincipalId},
    principal::{Duty, Role},
    record::{CallAnswered, CallPermitted, CaseOpened, ClausesRetrieved},
    refusal::{Code, Refusal},
    release::{Ask, Heard, Rules, Tool},
    request::{Answer, Call, OpenCase, Retrieve},
    state::Case,
    subject::SubjectId,
};

impl Desk<'_> {
    pub(super) fn open_case(&mut self, request: &OpenCase) -> Ruled {
        let role = self.opens_cases()?;
        let id = &request.case;
        if self.state.cases.contains_key(id) || self.state.closed.contains_key(id) {
            return Err(Refusal::new(
                Code::Replayed,
                format!("case `{id}` exists already, and ids are never used twice"),
                "choose another id",
            ));
        }
        if id.as_str().len() > CaseId::LONGEST {
            return Err(malformed(format!(
                "a case id has at most {} characters",
                CaseId::LONGEST
            )));
        }
        let origin = self.state.origin.as_deref().unwrap_or_default();
        let subject = SubjectId::of(origin, &request.subject);
        let remedy = "nothing more is kept of it; a case about it would have no sources";
        self.not_erased(subject, Code::SubjectErased, remedy)?;
        let release = self
            .state
            .environments
            .get(&request.environment)
            .ok_or_else(|| {
                Refusal::new(
                    Code::PolicyMissing,
                    format!("environment `{}` points at no release", request.environment),
                    "promote a release to it first",
                )
            })?;
        let rules = self.rules(*release)?;
        self.not_frozen(Step {
            team: Some(rules.team()),
            ..Step::default()
        })?;
        let place = Place {
            env: Some(&request.environment),
            case: Some(id),
            release: Some(*release),
        };
        let body = CaseOpened {
            request: self.request(),
        };
        self.write(place, Some(role), Vec::new(), body);
        Ok(())
    }

    /// The role by which the principal opens cases.
    fn opens_cases(&self) -> Result<Role, Refusal> {
        let held = &self.principal()?.roles;
        let role = [Role::Service, Role::Intake]
            .into_iter()
            .find(|role| held.contains(role));
        role.ok_or_else(|| {
            Refusal::new(
                Code::NotYourDuty,
                format!("`{}` takes no cases in", self.submission.principal),
                "let a principal with the role intake open the case, or add one with it",
            )
        })
    }

    pub(super) fn call(&mut self, request: &Call) -> Ruled {
        let id = &request.case;
        let case = self.case(id)?;
        let rules = self.rules_in_force(case)?;
        let agent = self.agent(
            rules,
            id,
            case,
            &[Duty::Prepare, Duty::Review, Duty::Execute],
        )?;
        let tool = known_tool(rules, &request.action)?;
        self.not_frozen(Step {
            tool: Some(&tool.name),
            ..Step::default()
        })?;
        let rule = permitted(&Heard::new(
            rules,
            ask(&agent.id, &request.action, id, case),
        ))?;
        if tool.effect {
            return Err(Refusal::new(
                Code::NeedsGrant,
                format!("`{}` changes the world", tool.name),
                "recommend the action; once approved, the executor uses its grant",
            ));
        }
        if !may_read(case, agent.duty) {
            return Err(Refusal::new(
                Code::WrongState,
                format!("it is not the turn of `{}` in case `{id}`", agent.id),
                "prepare reads before it recommends, review after that, execute with a grant",
            ));
        }
        as_pinned(tool, request.described)?;
        has_room(id, &agent.id, case.calls_of(&agent.id))?;
        let clauses = self.cited(&Place::case(id, case), rule.clause.as_deref());
        let body = CallPermitted {
            request: self.request(),
            call: next_call(id, case),
            rule,
        };
        self.write(
            Place::case(id, case),
            Some(agent.duty.role()),
            clauses,
            body,
        );
        Ok(())
    }

    pub(super) fn answer(&mut self, request: &Answer) -> Ruled {
        self.holds(Role::Service)?;
        let (id, case) = self.item_case(&request.call)?;
        let call = call_index(&request.call)
            .and_then(|i| case.calls.get(i))
            .ok_or_else(|| {
                Refusal::new(
                    Code::WrongState,
                    format!("there is no call `{}`", request.call),
                    "name a call that was permitted",
                )
            })?;
        if call.answer.is_some() {
            return Err(Refusal::new(
                Code::Replayed,
                format!("call `{}` was answered already", request.call),
                "make another call",
            ));
        }
        if request.snapshot.is_some() == request.problem.is_some() {
            return Err(malformed("an answer has either a snapshot or a problem"));
        }
        let rules = self.rules(case.release)?;
        let tool = known_tool(rules, &call.action)?;
        for (namespace, fields) in request.facts.iter() {
            let stray = fields.keys().find(|f| !tool.facts.contains(f));
            if request.snapshot.is_none()
                || tool.facts_as.as_ref() != Some(namespace)
                || stray.is_some()
            {
                return Err(malformed(format!(
                    "the release takes no fact `{namespace}.{}` from `{}`",
                    stray.map_or("*", String::as_str),
                    tool.name
                )));
            }
        }
        let body = CallAnswered {
            request: self.request(),
        };
        self.write(
            Place::case(&id, case),
            Some(Role::Service),
            Vec::new(),
            body,
        );
        Ok(())
    }

    pub(super) fn retrieve(&mut self, request: &Retrieve) -> Ruled {
        let id = &request.case;
        let case = self.case(id)?;
        let rules = self.rules_in_force(case)?;
        let agent = self.agent(rules, id, case, &[Duty::Prepare, Duty::Review])?;
        if !may_read(case, agent.duty) {
            return Err(Refusal::new(
                Code::WrongState,
                format!("it is not the turn of `{}` in case `{id}`", agent.id),
                "prepare retrieves before it recommends, review after that",
            ));
        }
        has_room(id, &agent.id, case.lookups_of(&agent.id))?;
        if request.as_of.is_some_and(|as_of| as_of > self.now) {
            return Err(malformed("`as_of` has not come yet"));
        }
        for ranked in &request.ranking {
            in_force(rules, &ranked.clause, self.now)?;
        }
        let body = ClausesRetrieved {
            request: self.request(),
        };
        self.write(
            Place::case(id, case),
            Some(agent.duty.role()),
            Vec::new(),
            body,
        );
        Ok(())
    }
}

/// The question to the rules about one action in a case.
pub(super) fn ask<'q>(
    principal: &'q PrincipalId,
    action: &'q Action,
    id: &'q CaseId,
    case: &'q Case,
) -> Ask<'q> {
    Ask {
        principal,
        action,
        case: id.as_str(),
        subject: &case.subject,
        environment: &case.env,
        facts: &case.facts,
    }
}

/// The tool that an action names, with no argument set that is the engine's.
pub(super) fn known_tool<'r>(rules: &'r dyn Rules, action: &Action) -> Result<&'r Tool, Refusal> {
    let tool = rules.team().tools.get(&action.tool).ok_or_else(|| {
        Refusal::new(
            Code::NotPermitted,
            format!("the release knows no tool `{}`", action.tool),
            "name a tool of the release as `<server>.<tool>`",
        )
    })?;
    if let Some(field) = tool
        .idempotency
        .as_ref()
        .filter(|f| action.arguments.contains_key(*f))
    {
        return Err(malformed(format!(
            "`{field}` of `{}` is set by the engine alone",
            tool.name
        )));
    }
    Ok(tool)
}

/// Whether an agent with this duty may look things up in the case as it stands.
pub(super) fn may_read(case: &Case, duty: Duty) -> bool {
    match duty {
        Duty::Prepare => case.prepared.is_none(),
        Duty::Review => case.prepared.is_some() && case.reviewed.is_none(),
        Duty::Execute => case.grant.is_some(),
        Duty::Approve => false,
    }
}

/// Whether an agent that has read so often in a case may read again.
fn has_room(id: &CaseId, agent: &PrincipalId, reads: usize) -> Ruled {
    if reads < Case::MOST_READS {
        return Ok(());
    }
    Err(Refusal::new(
        Code::CaseFull,
        format!(
            "`{agent}` has read {reads} times in case `{id}`, which is as often as an agent may"
        ),
        "recommend on what was read, or read in another case",
    ))
}

fn next_call(id: &CaseId, case: &Case) -> ItemId {
    ItemId::of(
        id,
        'c',
        u32::try_from(case.calls.len() + 1).unwrap_or(u32::MAX),
    )
}
