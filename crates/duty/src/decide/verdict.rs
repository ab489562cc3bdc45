//! The verdict: what two recommendations come to. Written as consequences of the review.

use super::{
    Desk, Place, Ruled,
    gather::{ask, known_tool},
    near::near_text,
    permit::permitted,
    threshold::Cover,
};
use crate::{
    action::Action,
    canonical::Digest,
    name::{CaseId, ItemId},
    principal::Duty,
    record::{
        ApprovalRequested, Basis, CaseClosed, CaseOutcome, Counted, ExceptionSort, GrantIssued,
        Route, ThresholdApplied, VerdictReached,
    },
    refusal::{Code, Refusal},
    release::{Heard, HumanStep, RuleHit, Rules, Tier},
    request::{Recommend, Stance},
    state::Case,
};

impl<'a> Desk<'a> {
    pub(super) fn verdict(
        &mut self,
        rules: &'a dyn Rules,
        id: &CaseId,
        case: &Case,
        prepared: &Recommend,
        reviewed: &Recommend,
    ) -> Ruled {
        let both_refuse = prepared.stance == Stance::Refuse && reviewed.stance == Stance::Refuse;
        let Some(action) = &prepared.action else {
            return self.without_action(id, case, both_refuse);
        };
        let digest = action
            .digest()
            .map_err(|e| super::keep::malformed(e.to_string()))?;
        let executor = rules
            .team()
            .with_duty(Duty::Execute)
            .next()
            .ok_or_else(|| {
                Refusal::new(
                    Code::PolicyMissing,
                    "the team has no executor",
                    "build the release with one",
                )
            })?;
        // Permission, risk and scope are one question, put once.
        let heard = Heard::new(rules, ask(&executor.id, action, id, case));
        let risk = heard.risk();
        let judged = Judged {
            digest,
            tier: risk.tier,
        };
        if let Err(refusal) = permitted(&heard) {
            let reason = RuleHit {
                rule: refusal
                    .rule
                    .unwrap_or_else(|| format!("permission set of {}", executor.id)),
                why: format!("{}; {}", refusal.why, refusal.remedy),
                clause: refusal.clause,
            };
            return self.refused(id, case, judged, reason);
        }
        if both_refuse {
            let reason = RuleHit {
                rule: "both agents refuse".to_owned(),
                why: reviewed.rationale.clone(),
                clause: reviewed.clauses.first().map(|c| c.id.clone()),
            };
            return self.refused(id, case, judged, reason);
        }
        let doubts = doubts(rules, prepared, reviewed);
        let steps = heard.human_steps();
        let standing = self.standing();
        let suspected = standing.suspected(rules, &heard);
        let counted = standing.counted(rules, &heard);
        let cover = if !suspected.is_empty() {
            Cover::Out(suspected.clone())
        } else if doubts.is_empty() && steps.is_empty() {
            standing.cover(rules, &heard, risk.tier)
        } else {
            Cover::Out(Vec::new())
        };
        let flood = match cover {
            Cover::Room(_) => None,
            Cover::Full { .. } | Cover::Out(_) => self.flood(rules, case),
        };
        if let Some(flood) = flood {
            let text = flood.why.clone();
            self.reached(
                id,
                case,
                Some(judged),
                Route::Refused,
                vec![flood],
                Vec::new(),
            );
            self.raise_in(id, case, ExceptionSort::ApprovalFlood, text.clone());
            self.close(id, case, CaseOutcome::Refused, text);
            return Ok(());
        }
        let mut reasons = risk.hits;
        reasons.extend(doubts.iter().map(|(_, hit)| hit.clone()));
        reasons.extend(steps.iter().map(|step| step_hit(step)));
        let least = steps.iter().map(|step| step.humans).max().unwrap_or(0);
        reasons.extend(cover.reason());
        let route = if matches!(cover, Cover::Room(_)) {
            Route::Threshold
        } else {
            Route::Approval
        };
        self.reached(id, case, Some(judged), route, reasons, counted);
        for hit in suspected {
            let text = format!("{}: {}", hit.rule, hit.why);
            self.raise_in(id, case, ExceptionSort::SplitSuspected, text);
        }
        for (sort, hit) in doubts {
            self.raise_in(id, case, sort, hit.why);
        }
        if let Some(text) = self.near(rules, action) {
            self.raise_in(id, case, ExceptionSort::ThresholdNear, text);
        }
        match cover {
            Cover::Room(room) => self.apply_threshold(rules, id, case, digest, *room),
            Cover::Full { why, .. } => {
                self.raise_in(id, case, ExceptionSort::ThresholdFull, why.why);
                self.ask_humans(rules, id, case, action, judged, least)
            }
            Cover::Out(_) => self.ask_humans(rules, id, case, action, judged, least),
        }
    }

    fn without_action(&mut self, id: &CaseId, case: &Case, both_refuse: bool) -> Ruled {
        let (route, outcome, why) = if both_refuse {
            (
                Route::Refused,
                CaseOutcome::Refused,
                "both agents refuse, and no action could be formed",
            )
        } else {
            (
                Route::Referred,
                CaseOutcome::Referred,
                "no action could be formed from what the sources say; a human must take it up",
            )
        };
        let reason = RuleHit {
            rule: "no action".to_owned(),
            why: why.to_owned(),
            clause: None,
        };
        self.reached(id, case, None, route, vec![reason], Vec::new());
        if !both_refuse {
            self.raise_in(id, case, ExceptionSort::NoAction, why.to_owned());
        }
        self.close(id, case, outcome, why.to_owned());
        Ok(())
    }

    fn refused(&mut self, id: &CaseId, case: &Case, judged: Judged, reason: RuleHit) -> Ruled {
        let why = reason.why.clone();
        let reasons = vec![reason];
        self.reached(id, case, Some(judged), Route::Refused, reasons, Vec::new());
        self.close(id, case, CaseOutcome::Refused, why);
        Ok(())
    }

    fn reached(
        &mut self,
        id: &CaseId,
        case: &Case,
        judged: Option<Judged>,
        route: Route,
        reasons: Vec<RuleHit>,
        counted: Vec<Counted>,
    ) {
        let place = Place::case(id, case);
        let clauses = self.cited(&place, reasons.iter().filter_map(|r| r.clause.as_deref()));
        let body = VerdictReached {
            digest: judged.map(|j| j.digest),
            tier: judged.map(|j| j.tier),
            route,
            reasons,
            counted,
        };
        self.write(place, None, clauses, body);
    }

    fn apply_threshold(
        &mut self,
        rules: &dyn Rules,
        id: &CaseId,
        case: &Case,
        digest: Digest,
        room: super::threshold::Room<'_>,
    ) -> Ruled {
        let grant = next_grant(id, case);
        let place = Place::case(id, case);
        let clauses = self.cited(&place, [room.threshold.clause.as_str()]);
        let caps = &room.threshold.caps;
        let near = self.standing().nearing(&room, &case.env);
        let told = (!near.is_empty()).then(|| near_text(&room, &near));
        let body = ThresholdApplied {
            threshold: room.threshold.id.clone(),
            digest: room.digest,
            grant,
            amount: room.measured.amount,
            unit: room.threshold.unit,
            key: room.measured.key,
            window_minutes: caps
                .per_key
                .map_or(0, |cap| cap.window_minutes)
                .max(caps.all.window_minutes),
            used: room.used,
            near,
        };
        self.write(place, None, clauses, body);
        let basis = Basis::Threshold {
            threshold: room.threshold.id.clone(),
            digest: room.digest,
        };
        self.issue_grant(rules, id, case, digest, basis);
        if let Some(text) = told {
            self.raise_in(id, case, ExceptionSort::ThresholdNear, text);
        }
        Ok(())
    }

    pub(super) fn issue_grant(
        &mut self,
        rules: &dyn Rules,
        id: &CaseId,
        case: &Case,
        digest: Digest,
        basis: Basis,
    ) {
        let minutes = rules.team().grant_minutes;
        self.issue_grant_for(id, case, digest, basis, minutes);
    }

    /// As [`Desk::issue_grant`], for so many minutes.
    pub(super) fn issue_grant_for(
        &mut self,
        id: &CaseId,
        case: &Case,
        digest: Digest,
        basis: Basis,
        minutes: u32,
    ) {
        let body = GrantIssued {
            grant: next_grant(id, case),
            digest,
            basis,
            expires: self.now.plus_minutes(minutes),
        };
        self.write(Place::case(id, case), None, Vec::new(), body);
    }

    fn ask_humans(
        &mut self,
        rules: &dyn Rules,
        id: &CaseId,
        case: &Case,
        action: &Action,
        judged: Judged,
        least: u32,
    ) -> Ruled {
        known_tool(rules, action)?;
        let quorum = rules.team().approval.get(&judged.tier).ok_or_else(|| {
            Refusal::new(
                Code::PolicyMissing,
                format!(
                    "the release says nothing of who approves {} risk",
                    judged.tier.word()
                ),
                "build the release with an approval rule for every tier",
            )
        })?;
        let place = Place::case(id, case);
        let clauses = self.cited(&place, [quorum.clause.as_str()]);
        let body = ApprovalRequested {
            approval: ItemId::of(id, 'a', 1),
            digest: judged.digest,
            tier: judged.tier,
            humans: quorum.humans().max(least),
            expires: self.now.plus_minutes(quorum.expires_minutes),
            remind: quorum.remind_minutes.map(|m| self.now.plus_minutes(m)),
            escalate: quorum
                .escalation
                .as_ref()
                .map(|e| self.now.plus_minutes(e.minutes)),
        };
        self.write(place, None, clauses, body);
        Ok(())
    }

    pub(super) fn raise_in(&mut self, id: &CaseId, case: &Case, sort: ExceptionSort, text: String) {
        self.raise(Place::case(id, case), case, None, sort, text);
    }

    pub(super) fn close(&mut self, id: &CaseId, case: &Case, outcome: CaseOutcome, why: String) {
        self.write(
            Place::case(id, case),
            None,
            Vec::new(),
            CaseClosed { outcome, why },
        );
    }
}

/// The id of the case's next grant. One that became void is never given again: its id is the key by which the target knows
/// an effect.
pub(super) fn next_grant(id: &CaseId, case: &Case) -> ItemId {
    ItemId::of(id, 'g', case.voided.saturating_add(1))
}

/// Why a mandatory human step asks for a human.
pub(super) fn step_hit(step: &HumanStep) -> RuleHit {
    let why = format!("`{}` always needs a human", step.tool);
    hit("human step", why, Some(step.clause.clone()))
}

#[derive(Clone, Copy)]
struct Judged {
    digest: Digest,
    tier: Tier,
}

/// Why the agents' word alone is not enough for a threshold.
fn doubts(
    rules: &dyn Rules,
    prepared: &Recommend,
    reviewed: &Recommend,
) -> Vec<(ExceptionSort, RuleHit)> {
    let team = rules.team();
    let mut doubts = Vec::new();
    let other_action = reviewed.action.is_some() && reviewed.action != prepared.action;
    if prepared.stance != reviewed.stance || other_action {
        let what = if other_action {
            ", over different actions"
        } else {
            ""
        };
        let why = format!(
            "the analyst says {}, the reviewer {}{what}",
            prepared.stance.word(),
            reviewed.stance.word()
        );
        doubts.push((
            ExceptionSort::AgentsDisagree,
            hit("agents disagree", why, None),
        ));
    } else if prepared.stance == Stance::Refer {
        let why = format!("both agents refer it to a human: {}", reviewed.rationale);
        let clause = reviewed.clauses.first().map(|c| c.id.clone());
        doubts.push((
            ExceptionSort::LowConfidence,
            hit("agents refer", why, clause),
        ));
    }
    let least = prepared.confidence.min(reviewed.confidence);
    if least < team.min_confidence
        && prepared.stance != Stance::Refer
        && reviewed.stance != Stance::Refer
    {
        let why = format!("confidence {least} % is under {} %", team.min_confidence);
        let clause = Some(team.confidence_clause.clone());
        doubts.push((
            ExceptionSort::LowConfidence,
            hit("low confidence", why, clause),
        ));
    }
    doubts
}

fn hit(rule: &str, why: String, clause: Option<String>) -> RuleHit {
    RuleHit {
        rule: rule.to_owned(),
        why,
        clause,
    }
}
