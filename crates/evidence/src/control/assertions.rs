//! The assertions: each over every record, from the records and their fold alone.

use std::collections::{BTreeMap, BTreeSet};

use duty::{
    freeze::Step,
    name::{CaseId, ItemId, PrincipalId, StageName},
    principal::{Duty, PrincipalKind, Role},
    record::{Basis, Body, CaseOutcome, Record},
    release::{Agent, Ask, HumanStep, Rules, Tier},
    request::{ModelResult, Outcome, Quote, Recommend, Request, Stance},
    state::{Approval, Principal, State, Yes},
    time::Time,
};
use ledger::Source;
use policy::Release;

use super::{
    Assessed, CATALOGUE, Report, Violation,
    attempts::Tried,
    catalogue_digest,
    scene::{Lead, Scene, approver, sign},
    training::{lapsed, trained, untrained},
};
use crate::{EvidenceError, ReperformError, ReperformOptions, library::Library, reperform, verify};

/// Violations of one control that are told; the rest is counted.
const TOLD: usize = 20;
/// How long an exception may wait for its triage, in minutes: three days.
const TRIAGE_MINUTES: u32 = 3 * 24 * 60;

/// What was counted for one control.
#[derive(Default)]
struct Count {
    population: u64,
    violations: u64,
    first: Vec<Violation>,
    not_assessed: Option<String>,
}

/// Takes the records in order.
#[derive(Default)]
pub(super) struct Assertions {
    state: State,
    library: Library,
    counts: BTreeMap<&'static str, Count>,
    /// Exceptions that wait, with when they were raised and by which record.
    waiting: BTreeMap<ItemId, (Time, u64)>,
    /// Grants that were used, and the outcomes that are final.
    used: BTreeSet<ItemId>,
    settled: BTreeSet<ItemId>,
}

impl Assertions {
    /// Looks at one record, with the state before it.
    pub(super) fn take(&mut self, record: &Record) -> Result<(), String> {
        let seq = record.seq;
        match &record.body {
            Body::RequestRefused(_) => {}
            Body::LogOpened(_) => {}
            _ => self.identity(record),
        }
        match (&record.body, record.body.request()) {
            (Body::PrincipalAdded(_), Some(Request::AddPrincipal(new))) => {
                let roles: Vec<Role> = new.roles.clone();
                let duties = [
                    Role::Analyst,
                    Role::Reviewer,
                    Role::Executor,
                    Role::Approver,
                ];
                let several = roles.iter().filter(|r| duties.contains(r)).count() > 1;
                self.note(
                    "SOD-03",
                    seq,
                    several.then(|| format!("`{}` holds two duties", new.id)),
                );
                let admin = roles.contains(&Role::Admin) && roles.len() > 1;
                self.note(
                    "SOD-06",
                    seq,
                    admin.then(|| format!("`{}` administers and more", new.id)),
                );
            }
            (Body::CallPermitted(body), _) => {
                self.owned(record);
                let named = body.rule.rule.contains('#');
                self.note(
                    "ACC-01",
                    seq,
                    (!named).then(|| "no rule permits the call".to_owned()),
                );
            }
            (Body::ClausesRetrieved(_), _) => self.owned(record),
            (Body::RecommendationMade(_), Some(Request::Recommend(made))) => {
                self.owned(record);
                self.recommended(record, made);
            }
            (Body::ApprovalGiven(body), Some(Request::Approve(signed))) => {
                self.approved(record, signed, body.stage.as_ref());
            }
            (Body::ReleasePromoted(_), Some(request)) => self.promoted(record, request),
            (Body::CaseOpened(_), Some(Request::OpenCase(open))) => {
                let now = self.state.environments.get(&open.environment);
                let wrong = now != record.release.as_ref();
                self.note(
                    "POL-03",
                    seq,
                    wrong.then(|| {
                        format!(
                            "case `{}` opened under a release that is not in force",
                            open.case
                        )
                    }),
                );
            }
            (Body::ThresholdApplied(_), _) => self.applied(record)?,
            (Body::GrantIssued(body), _) => self.granted(record, &body.basis)?,
            (Body::GrantUsed(body), Some(Request::UseGrant(_))) => {
                let named = body.rule.rule.contains('#');
                self.note(
                    "ACC-01",
                    seq,
                    (!named).then(|| "no rule permits the use".to_owned()),
                );
                self.owned(record);
                self.uses(record)?;
            }
            (Body::OutcomeRecorded(_), Some(Request::RecordOutcome(r))) => {
                let known = self.used.contains(&r.grant);
                let again = r.outcome != Outcome::Unknown && !self.settled.insert(r.grant.clone());
                let wrong = match (known, again) {
                    (false, _) => Some(format!("the outcome of `{}`, which nobody used", r.grant)),
                    (true, true) => Some(format!("`{}` has two outcomes", r.grant)),
                    (true, false) => None,
                };
                self.note("LOG-02", seq, wrong);
            }
            (Body::CaseClosed(body), _) => {
                let case = self.state.cases.get(&case(record)?);
                let executed = body.outcome == CaseOutcome::Executed;
                let done = case.is_some_and(|c| c.outcome == Some(Outcome::Succeeded));
                self.note(
                    "LOG-02",
                    seq,
                    (executed && !done).then(|| "executed without an outcome".to_owned()),
                );
            }
            (Body::ExceptionRaised(body), _) => {
                self.waiting
                    .insert(body.exception.clone(), (record.time, seq));
            }
            (Body::ExceptionTriaged(_), Some(Request::Triage(signed))) => {
                if let Some((raised, _)) = self.waiting.remove(&signed.statement.exception) {
                    let late = record.time > raised.plus_minutes(TRIAGE_MINUTES);
                    self.note(
                        "THR-02",
                        seq,
                        late.then(|| format!("triaged late: raised {raised}")),
                    );
                }
            }
            (Body::GlassBroken(body), _) => {
                let known = self.state.cases.get(&case(record)?);
                let need = match known.and_then(|c| c.tier) {
                    Some(Tier::Low | Tier::Elevated) => 1,
                    Some(Tier::High) | None => 2,
                };
                let distinct: BTreeSet<&PrincipalId> = body.signers.iter().collect();
                let few = distinct.len() < need;
                self.note(
                    "HUM-02",
                    seq,
                    few.then(|| {
                        format!(
                            "an emergency signed by {} where {need} must",
                            distinct.len()
                        )
                    }),
                );
            }
            (Body::GlassOverdue(_), _) => {
                self.note(
                    "HUM-02",
                    seq,
                    Some("an emergency was not reviewed in its time".to_owned()),
                );
            }
            (Body::GlassReviewed(_), Some(Request::ReviewGlass(r))) => {
                let s = &r.statement;
                let own = self
                    .state
                    .glass
                    .get(&s.grant)
                    .is_none_or(|g| g.signers.contains(&s.signer));
                self.note(
                    "HUM-02",
                    seq,
                    own.then(|| format!("`{}` reviewed an emergency of their own", s.signer)),
                );
            }
            (Body::SubjectErased(body), _) => {
                let held = self.state.holds.contains_key(&body.subject);
                let alone = body.by.len() == 2 && body.by[0] == body.by[1] || body.by.len() == 1;
                let wrong = match (held, alone) {
                    (true, _) => Some("erased under a legal hold".to_owned()),
                    (_, true) => Some("erased by one person".to_owned()),
                    _ => None,
                };
                self.note("RET-01", seq, wrong);
            }
            _ => {}
        }
        self.library.take(record);
        self.state.apply(record).map_err(|e| e.to_string())
    }

    fn note(&mut self, control: &'static str, record: u64, wrong: Option<String>) {
        let count = self.counts.entry(control).or_default();
        count.population += 1;
        if let Some(what) = wrong {
            count.violations += 1;
            if count.first.len() < TOLD {
                count.first.push(Violation { record, what });
            }
        }
    }

    fn release(&self, record: &Record) -> Result<std::rc::Rc<Release>, String> {
        let digest = record.release.ok_or("it names no release")?;
        self.library
            .release(&self.state, digest)
            .map_err(|e| e.to_string())
    }

    /// ACC-02.
    fn identity(&mut self, record: &Record) {
        let actor = &record.actor;
        let principal = self.state.principals.get(&actor.id);
        let owns = self.state.credentials.get(&actor.credential) == Some(&actor.id);
        let wrong = match principal {
            None => Some(format!("`{}` is nobody", actor.id)),
            Some(p) if p.revoked => Some(format!("`{}` was revoked", actor.id)),
            Some(_) if !owns => Some(format!(
                "`{}` is not a credential of `{}`",
                actor.credential, actor.id
            )),
            Some(_) => None,
        };
        self.note("ACC-02", record.seq, wrong);
    }

    /// POL-01, CHG-01.
    fn recommended(&mut self, record: &Record, made: &Recommend) {
        let release = self.release(record);
        let cites = match &release {
            Err(why) => Some(why.clone()),
            Ok(_) if made.clauses.is_empty() => Some("no clause is cited".to_owned()),
            Ok(release) => made
                .clauses
                .iter()
                .find(|c| release.clause(&c.id, record.time) != Some(c))
                .map(|c| {
                    format!(
                        "clause `{}` is not the release's, or was not in force",
                        c.id
                    )
                })
                .or_else(|| misquoted(release, made)),
        };
        self.note("POL-01", record.seq, cites);
        let pinned = match &release {
            Err(why) => Some(why.clone()),
            Ok(release) => {
                let agent = release.team().agent(&record.actor.id);
                let simulated = record.env.as_ref().is_some_and(|e| e.simulated());
                let as_pinned = agent.is_some_and(|a| {
                    a.model.as_ref() == Some(&made.model)
                        && (made.prompt == Some(a.prompt) || simulated && made.prompt.is_none())
                });
                let unheard = agent.and_then(|a| self.unheard(record, made, a));
                match as_pinned {
                    false => Some(format!(
                        "`{}` ran on another model or prompt",
                        record.actor.id
                    )),
                    true => unheard,
                }
            }
        };
        self.note("CHG-01", record.seq, pinned);
    }

    /// What is wrong with what a recommendation of an agent on a language model rests on; nothing where it only asks for a
    /// human.
    fn unheard(&self, record: &Record, made: &Recommend, agent: &Agent) -> Option<String> {
        let language = agent.language.as_ref()?;
        if made.stance == Stance::Refer && made.action.is_none() {
            return None;
        }
        let case = self.state.cases.get(&made.case)?;
        let last = case.models.iter().rfind(|m| m.agent == record.actor.id);
        let heard = last.and_then(|m| m.answer.as_ref());
        let rests = heard.is_some_and(|a| {
            a.result == ModelResult::Usable
                && !a.drifted
                && a.snapshot.is_some_and(|s| made.inputs.contains(&s))
        });
        (!rests).then(|| {
            let names: Vec<_> = language.answers_as.iter().map(String::as_str).collect();
            format!(
                "what `{}` recommended is no answer of {} in the log",
                record.actor.id,
                names.join(" or ")
            )
        })
    }

    /// SOD-01, HUM-01, TRN-01.
    fn approved(
        &mut self,
        record: &Record,
        signed: &duty::statement::Signed<duty::statement::ApprovalStatement>,
        stage: Option<&StageName>,
    ) {
        let s = &signed.statement;
        let parts = self
            .state
            .cases
            .get(&s.case)
            .map(|c| c.parts.clone())
            .unwrap_or_default();
        let owned = parts.iter().any(|(_, who)| {
            let owner = self
                .state
                .principals
                .get(who)
                .and_then(|p| p.owner.as_ref());
            owner.is_some_and(|owner| *owner == s.signer || s.on_behalf.as_ref() == Some(owner))
        });
        let other = parts.iter().any(|(duty, who)| {
            *duty != Duty::Approve && (*who == s.signer || s.on_behalf.as_ref() == Some(who))
        });
        let wrong = (owned || other).then(|| {
            format!(
                "`{}` has another part in the case, or owns one who has",
                s.signer
            )
        });
        self.note("SOD-01", record.seq, wrong);
        let person = self.state.principals.get(&s.signer).cloned();
        let person = person.as_ref();
        let human = person.is_some_and(|p| p.kind == PrincipalKind::Human);
        let good = person
            .and_then(|p| p.key(&s.credential))
            .is_some_and(|key| signed.verify(key).is_ok());
        let approval = self
            .state
            .cases
            .get(&s.case)
            .and_then(|c| c.approval.as_ref());
        let exact = approval
            .is_some_and(|a| a.digest == s.action && a.id == s.approval && a.expires == s.expires);
        let wrong = match (human, good, exact) {
            (false, ..) => Some(format!("`{}` is no human", s.signer)),
            (_, false, _) => Some(format!("the signature is not that of `{}`", s.signer)),
            (.., false) => Some("it is about another action than was asked".to_owned()),
            _ => None,
        };
        self.note("HUM-01", record.seq, wrong);
        if s.overrides {
            let release = self.release(record).ok();
            let listed = release.and_then(|r| r.team().overrides.clone());
            let coded = |listed: duty::quorum::Overrides| {
                s.code
                    .as_ref()
                    .is_some_and(|code| listed.codes.contains(code))
            };
            let wrong = if s.reason.trim().is_empty() {
                Some("an override without a reason".to_owned())
            } else if !listed.is_none_or(coded) {
                Some("an override without a reason code of the release".to_owned())
            } else {
                None
            };
            self.note("HUM-02", record.seq, wrong);
        }
        let certified = self.release(record).is_ok_and(|release| {
            let tier = self.state.cases.get(&s.case).and_then(|c| c.tier);
            let who = person.map(|p| (&s.signer, &**p));
            certified(who, &release, tier, stage, record.time)
        });
        self.note(
            "TRN-01",
            record.seq,
            (!certified).then(|| format!("`{}` was not certified when signing", s.signer)),
        );
    }

    /// TRN-01, of whoever answers for the agent that acts.
    fn owned(&mut self, record: &Record) {
        let wrong = match self.release(record) {
            Err(why) => Some(why),
            Ok(release) => lapsed(&self.state, release.team(), &record.actor.id, record.time),
        };
        self.note("TRN-01", record.seq, wrong);
    }

    /// POL-02.
    fn promoted(&mut self, record: &Record, request: &Request) {
        let wrong = match request {
            Request::Promote(r) if r.environment.simulated() => None,
            Request::Promote(r) => Some(format!("nobody signed for what `{}` runs", r.environment)),
            Request::PromoteSigned(r) => {
                let s = &r.statement;
                let authors = self.state.authors.get(&s.release);
                let tested = self.state.tested.get(&s.release).is_some_and(|t| t.passed);
                match authors {
                    _ if s.env.simulated() => None,
                    None => Some("it has no author".to_owned()),
                    Some(authors) if authors.contains(&s.signer) => {
                        Some(format!("`{}` promoted their own release", s.signer))
                    }
                    Some(_) if !tested => Some("its control tests had not passed".to_owned()),
                    Some(_) => None,
                }
            }
            _ => Some("its request is not of its kind".to_owned()),
        };
        self.note("POL-02", record.seq, wrong);
    }

    /// THR-01: what the record says of its use is held against the uses before it.
    fn applied(&mut self, record: &Record) -> Result<(), String> {
        let Body::ThresholdApplied(body) = &record.body else {
            return Ok(());
        };
        let release = self.release(record)?;
        let found = release
            .thresholds()
            .iter()
            .find(|(t, d)| t.id == body.threshold && *d == body.digest);
        let wrong = match found {
            None => Some("the release has no such threshold".to_owned()),
            Some((t, digest)) => {
                let known = self.state.thresholds.get(&t.id);
                let signers = known.and_then(|k| k.signers.get(digest));
                let good = signers.into_iter().flatten().filter(|(who, with)| {
                    let person = self.state.principals.get(*who);
                    let owns = release.team().agents.iter().any(|a| a.owner == **who);
                    !owns
                        && self.state.stands(who, with)
                        && untrained(&self.state, who, release.team(), Role::Owner, record.time)
                            .is_none()
                        && person.is_some_and(|p| {
                            p.kind == PrincipalKind::Human
                                && !p.revoked
                                && p.roles.contains(&Role::Owner)
                        })
                });
                let good = good.count();
                let since = record.time.minus_minutes(t.caps.all.window_minutes);
                let uses = known.into_iter().flat_map(|k| k.uses.iter());
                let uses = uses.filter(|u| Some(&u.env) == record.env.as_ref() && u.time > since);
                let amount = |n: Option<i64>| i128::from(n.unwrap_or(0));
                let (count, sum) = uses.fold((1_u32, amount(body.amount)), |(n, sum), u| {
                    (n + 1, sum + amount(u.amount))
                });
                let parts = t.split.map(|split| {
                    let since = record.time.minus_minutes(split.window_minutes);
                    let asked = known.into_iter().flat_map(|k| k.asked.iter());
                    let of = asked.filter(|a| {
                        a.key == body.key && Some(&a.env) == record.env.as_ref() && a.time > since
                    });
                    let amounts: Vec<_> = of.map(|a| amount(a.amount)).collect();
                    let limit = t.most_of_parts().map_or(i128::MAX, i128::from);
                    let many = split
                        .count
                        .is_some_and(|most| amounts.len() > most as usize);
                    (
                        amounts.len() > 1 && (many || amounts.iter().sum::<i128>() > limit),
                        amounts,
                    )
                });
                if let Some((true, amounts)) = parts {
                    Some(format!("it is a part of a larger one: {amounts:?}"))
                } else if good < t.signatures.max(1) as usize {
                    Some(format!("only {good} people in force have signed it"))
                } else if record.time < t.starts || record.time >= t.expires {
                    Some("it was not in force".to_owned())
                } else if body.amount.is_some() != t.sum_field.is_some()
                    || body
                        .amount
                        .zip(t.single_limit)
                        .is_some_and(|(n, most)| n > most)
                    || count > t.caps.all.count
                    || t.caps.all.sum.is_some_and(|most| sum > i128::from(most))
                {
                    Some(format!(
                        "over its limits: {} now, {count} actions and {sum} in the window",
                        amount(body.amount)
                    ))
                } else {
                    None
                }
            }
        };
        self.note("THR-01", record.seq, wrong);
        Ok(())
    }

    /// SOD-05.
    fn granted(&mut self, record: &Record, basis: &Basis) -> Result<(), String> {
        if let Basis::Approval { signers, .. } = basis {
            let release = self.release(record)?;
            let known = self.state.cases.get(&case(record)?);
            let approval = known.and_then(|c| c.approval.as_ref());
            let wrong = match approval {
                None => Some("nobody had asked for approval".to_owned()),
                Some(approval) => self.short_of(&release, approval, signers),
            };
            self.note("SOD-05", record.seq, wrong);
        }
        Ok(())
    }

    /// What is missing of a quorum, stage by stage; a deputy and whom they sign for are one person.
    fn short_of(
        &self,
        release: &Release,
        approval: &Approval,
        signers: &[PrincipalId],
    ) -> Option<String> {
        let human = |who: &PrincipalId| {
            let person = self.state.principals.get(who);
            person.is_some_and(|p| p.kind == PrincipalKind::Human)
        };
        let (mut counted, mut yes) = (BTreeSet::new(), Vec::new());
        for one in approval.yes.iter().filter(|yes| signers.contains(&yes.who)) {
            if one.people().all(|who| human(who) && !counted.contains(who)) {
                counted.extend(one.people());
                yes.push(one);
            }
        }
        let need = approval.humans.max(1) as usize;
        if yes.len() < need {
            let have = yes.len();
            return Some(format!(
                "{have} distinct humans where {need} were asked for"
            ));
        }
        let quorum = release.team().approval.get(&approval.tier)?;
        quorum.stages.iter().find_map(|stage| {
            let fits = |y: &&&Yes| {
                let root = y.on_behalf.as_ref().unwrap_or(&y.who);
                let carried = self.state.principals.get(root).map(|p| &p.attributes);
                y.stage == stage.name
                    && carried.is_some_and(|has| {
                        let mut asked = stage.attributes.iter();
                        asked.all(|(name, value)| has.get(name) == Some(value))
                    })
            };
            let have = yes.iter().filter(fits).count();
            let name = stage.name.as_ref().map_or("", |name| name.as_str());
            (have < stage.humans as usize).then(|| {
                format!(
                    "{have} of {} in stage `{name}`: {}",
                    stage.humans,
                    stage.who()
                )
            })
        })
    }

    /// SOD-02, SOD-04, POL-03, HUM-02, LOG-02, TRN-01, at the use of a grant.
    fn uses(&mut self, record: &Record) -> Result<(), String> {
        let seq = record.seq;
        let id = case(record)?;
        let Some(case) = self.state.cases.get(&id).cloned() else {
            self.note("LOG-02", seq, Some("its case is not open".to_owned()));
            return Ok(());
        };
        let actor = &record.actor.id;
        let other = case
            .parts
            .iter()
            .any(|(duty, who)| who == actor && *duty != Duty::Execute);
        self.note(
            "SOD-02",
            seq,
            other.then(|| format!("`{actor}` did something else in the case")),
        );

        let mut parts = case.parts.clone();
        parts.insert((Duty::Execute, actor.clone()));
        let parts: Vec<_> = parts.into_iter().collect();
        let laundered = parts.iter().enumerate().find_map(|(i, (duty, a))| {
            let with = parts[i + 1..]
                .iter()
                .find(|(other, b)| other != duty && self.one(a, b))?;
            Some(format!("`{a}` and `{}` are one", with.1))
        });
        let twice = || {
            let yes = &case.approval.as_ref()?.yes;
            yes.iter().enumerate().find_map(|(i, a)| {
                let again = yes[i + 1..].iter().flat_map(Yes::people);
                let again = again.into_iter().find(|who| a.is_of(who))?;
                Some(format!("`{again}` stands behind it twice, by delegation"))
            })
        };
        self.note("SOD-04", seq, laundered.or_else(twice));

        let moved = self.state.environments.get(&case.env) != Some(&case.release);
        self.note(
            "POL-03",
            seq,
            moved.then(|| "used under a release that is not in force".to_owned()),
        );

        let release = self.release(record)?;
        let tool = case.action().map(|a| a.tool.as_str());
        let step = Step {
            team: Some(release.team()),
            agent: Some(actor),
            tool,
        };
        let frozen = self
            .state
            .frozen(step)
            .map(|(at, _)| format!("used although record {at} froze it"));
        self.note("HUM-02", seq, frozen);

        let grant = case.grant.as_ref();
        let twice = grant.is_none_or(|g| !self.used.insert(g.id.clone()));
        self.note(
            "LOG-02",
            seq,
            twice.then(|| "no grant, or one that was used before".to_owned()),
        );

        if let (Some(Basis::Threshold { .. }), Some(action)) =
            (grant.map(|g| &g.basis), case.action())
        {
            let ask = Ask {
                principal: actor,
                action,
                case: id.as_str(),
                subject: &case.subject,
                environment: &case.env,
                facts: &case.facts,
            };
            let steps = release.team().human_steps.iter().enumerate();
            let asked = |(n, step): &(usize, &HumanStep)| {
                step.tool == action.tool && release.step_holds(*n, &ask)
            };
            let mut wrong = steps.filter(asked).map(|(_, step)| {
                format!(
                    "`{}` always needs a human, and a threshold let it through",
                    step.tool
                )
            });
            let wrong = wrong.next();
            self.note("HUM-01", seq, wrong);
        }

        if let Some(Basis::Approval { signers, .. }) = grant.map(|g| &g.basis) {
            let yes = case.approval.iter().flat_map(|a| &a.yes);
            let stage_of = |who: &PrincipalId| {
                let mut yes = yes.clone();
                yes.find(|y| y.who == *who).and_then(|y| y.stage.as_ref())
            };
            let missing = signers.iter().find(|who| {
                let person = self.state.principals.get(*who);
                person.is_none_or(|p| p.revoked)
                    || !certified(
                        person.map(|p| (*who, &**p)),
                        &release,
                        case.tier,
                        stage_of(who),
                        record.time,
                    )
            });
            self.note(
                "TRN-01",
                seq,
                missing.map(|who| format!("`{who}` was not certified when the grant was used")),
            );
        }
        Ok(())
    }

    /// Whether two principals come to one: the same root, or a credential in common.
    fn one(&self, a: &PrincipalId, b: &PrincipalId) -> bool {
        let proofs = |who: &PrincipalId| -> Vec<serde_json::Value> {
            let person = self.state.principals.get(who);
            let proofs = person.into_iter().flat_map(|p| &p.credentials);
            proofs
                .filter_map(|c| serde_json::to_value(&c.proof).ok())
                .collect()
        };
        a == b || self.state.root(a) == self.state.root(b) || {
            let theirs = proofs(b);
            proofs(a).iter().any(|p| theirs.contains(p))
        }
    }

    /// What remains when all was read.
    pub(super) fn finish(
        mut self,
        source: &(dyn Source + Sync),
        vkey: Option<&str>,
    ) -> Result<Report, EvidenceError> {
        let end = self.state.time;
        for (exception, (raised, record)) in std::mem::take(&mut self.waiting) {
            let late = end > raised.plus_minutes(TRIAGE_MINUTES);
            self.note(
                "THR-02",
                record,
                late.then(|| format!("`{exception}` waits since {raised}")),
            );
        }
        for control in CATALOGUE {
            let whole = !control.tests.is_empty() && !control.asserts.is_empty();
            self.note(
                "ASM-01",
                0,
                (!whole).then(|| format!("{} has no test or asserts nothing", control.id)),
            );
        }
        match vkey {
            None => {
                for control in ["LOG-01", "RPL-01"] {
                    let why = "needs the log's verifier key: `--vkey`".to_owned();
                    self.counts.entry(control).or_default().not_assessed = Some(why);
                }
            }
            Some(vkey) => {
                let size = self.state.size;
                let fault = verify(source, vkey, None, None).err();
                let count = self.counts.entry("LOG-01").or_default();
                count.population = size;
                if let Some(fault) = fault {
                    count.violations = 1;
                    let what = fault.to_string();
                    count.first.push(Violation {
                        record: fault.record.unwrap_or_default(),
                        what,
                    });
                }
                let again = reperform(source, &ReperformOptions::default());
                let count = self.counts.entry("RPL-01").or_default();
                match again {
                    Ok(report) => count.population = report.decisions,
                    Err(ReperformError::Disagrees(d)) => {
                        (count.population, count.violations) = (d.seq + 1, 1);
                        count.first.push(Violation {
                            record: d.seq,
                            what: d.to_string(),
                        });
                    }
                    Err(ReperformError::Evidence(e)) => return Err(e),
                }
            }
        }
        let root = match vkey {
            Some(_) => crate::head(source).ok().map(|head| hex::encode(head.root)),
            None => None,
        };
        let controls = CATALOGUE.iter().map(|control| {
            let count = self.counts.remove(control.id).unwrap_or_default();
            Assessed {
                control: control.id,
                title: control.title,
                asserts: control.asserts,
                population: count.population,
                violations: count.violations,
                first: count.first,
                not_assessed: count.not_assessed,
            }
        });
        Ok(Report {
            size: self.state.size,
            root,
            catalogue: catalogue_digest(),
            controls: controls.collect(),
        })
    }
}

fn certified(
    person: Option<(&PrincipalId, &Principal)>,
    release: &Release,
    tier: Option<Tier>,
    stage: Option<&StageName>,
    now: Time,
) -> bool {
    let team = release.team();
    let quorum = tier.and_then(|tier| team.approval.get(&tier));
    let mut stages = quorum.into_iter().flat_map(|q| &q.stages);
    let stage = stages.find(|s| s.name.as_ref() == stage);
    person.zip(stage).is_some_and(|((who, p), s)| {
        let role = team.courses.iter().filter(|c| c.roles.contains(&s.role));
        role.map(|c| &c.id)
            .chain([&s.certification])
            .all(|course| trained(p, who, team, course, now))
    })
}

fn case(record: &Record) -> Result<CaseId, String> {
    record
        .case
        .clone()
        .ok_or_else(|| "it names no case".to_owned())
}

/// A control test of the assertion itself: an exception that nobody looked at for four days is told.
pub(super) fn overdue_is_seen(release: &Release) -> Lead<Tried> {
    let mut scene = Scene::new(release)?;
    scene.waiting("attempt", Tier::High)?;
    let who = approver(Tier::High, 0);
    let mut no = scene.approval("attempt", &who)?;
    (no.decision, no.overrides) = (duty::statement::Choice::Reject, true);
    no.code = scene.code();
    scene.must(&who, Request::Approve(sign(no, &who)?))?;
    scene.clock += 4 * 24 * 3_600_000;
    let opening = scene.opening("later")?;
    scene.must("scene-engine", opening)?;
    let mut assertions = Assertions::default();
    for record in &scene.records {
        assertions.take(record)?;
    }
    let end = assertions.state.time;
    let late = assertions
        .waiting
        .values()
        .filter(|(raised, _)| end > raised.plus_minutes(TRIAGE_MINUTES));
    match late.count() {
        0 => Err("an exception of four days ago was not told".to_owned()),
        n => Ok(Tried::Held(format!("{n} told"))),
    }
}

/// The first quotation that its clause does not say.
fn misquoted(release: &Release, made: &Recommend) -> Option<String> {
    let wrong = |quote: &&Quote| {
        let cited = made.clauses.iter().find(|c| c.id == quote.clause);
        let text = cited.and_then(|c| release.text_of(c));
        !text.is_some_and(|text| duty::says(text, &quote.words))
    };
    let quote = made.quotes.iter().find(wrong)?;
    Some(format!(
        "clause `{}` does not say what is quoted",
        quote.clause
    ))
}

/// A control test of the catalogue itself.
pub(super) fn unmapped_is_seen(_: &Release) -> Lead<Tried> {
    let bare = CATALOGUE
        .iter()
        .find(|c| c.tests.is_empty() || c.criteria.is_empty() || c.asserts.is_empty());
    match bare {
        Some(control) => Err(format!(
            "{} has no test, no criteria or asserts nothing",
            control.id
        )),
        None => Ok(Tried::Held(format!(
            "{} controls, each with tests, criteria and an assertion",
            CATALOGUE.len()
        ))),
    }
}
