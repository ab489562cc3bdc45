//! `[approval.<tier>]`, `[[human_step]]` and `[override]`: who signs what, what always needs a human, and for which reasons
//! one may decide against the agents.

use std::collections::{BTreeMap, BTreeSet};

use duty::{
    name::{Course, ReasonCode, StageName},
    principal::Role,
    quorum::{Attributes, check_value},
    release::{Escalation, HumanStep, Order, Overrides, Quorum, Stage, Team, Tier},
};
use serde::Deserialize;

use super::{Check, Hasty};

/// One stage in short, or several.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenQuorum {
    humans: Option<u32>,
    role: Option<Role>,
    #[serde(default)]
    attributes: Attributes,
    certification: Option<Course>,
    #[serde(default)]
    stage: Vec<WrittenStage>,
    order: Option<Order>,
    pub(super) expires_minutes: u32,
    remind_minutes: Option<u32>,
    escalate_minutes: Option<u32>,
    escalate_to: Option<WrittenTold>,
    pub(super) min_seconds: Option<u32>,
    pub(super) hasty: Option<Hasty>,
    clause: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenStage {
    name: StageName,
    humans: u32,
    role: Role,
    #[serde(default)]
    attributes: Attributes,
    certification: Course,
    clause: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenTold {
    role: Role,
    #[serde(default)]
    attributes: Attributes,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenStep {
    tool: String,
    when: Option<String>,
    humans: Option<u32>,
    clause: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenOverrides {
    codes: BTreeSet<ReasonCode>,
    clause: String,
}

impl Check<'_> {
    pub(super) fn limits(&mut self, approval: BTreeMap<Tier, WrittenQuorum>, team: &mut Team) {
        for tier in [Tier::Low, Tier::Elevated, Tier::High] {
            if !approval.contains_key(&tier) {
                self.wrong(
                    &format!("[approval.{}]", tier.word()),
                    "is missing: who signs?".to_owned(),
                );
            }
        }
        for (tier, written) in approval {
            let place = format!("[approval.{}]", tier.word());
            let pace = self.pace(&place, tier, &written);
            let mut quorum = self.quorum(&place, written);
            quorum.pace = pace;
            team.approval.insert(tier, quorum);
        }
    }

    fn quorum(&mut self, place: &str, mut q: WrittenQuorum) -> Quorum {
        if q.expires_minutes == 0 {
            self.wrong(place, "`expires_minutes` is at least 1".to_owned());
        }
        self.clause(place, &q.clause);
        let stages = if q.stage.is_empty() {
            if q.order.is_some() {
                self.wrong(
                    place,
                    "has an `order` and one stage only; leave it out".to_owned(),
                );
            }
            self.short(place, &mut q).into_iter().collect()
        } else {
            if q.humans.is_some()
                || q.role.is_some()
                || q.certification.is_some()
                || !q.attributes.is_empty()
            {
                self.wrong(
                    place,
                    "says who signs itself and in stages; put `humans`, `role`, `attributes` and `certification` into the stages".to_owned(),
                );
            }
            let mut names = BTreeSet::new();
            let mut stages = Vec::new();
            for written in std::mem::take(&mut q.stage) {
                let place = format!("{place} stage {}", written.name);
                if !names.insert(written.name.clone()) {
                    self.wrong(&place, "is there twice".to_owned());
                }
                let clause = written.clause.unwrap_or_else(|| q.clause.clone());
                let stage = Stage {
                    name: Some(written.name),
                    humans: written.humans,
                    role: written.role,
                    attributes: written.attributes,
                    certification: written.certification,
                    clause,
                };
                self.stage(&place, &stage);
                stages.push(stage);
            }
            stages
        };
        let escalation = self.escalation(place, &mut q);
        Quorum {
            stages,
            order: q.order.unwrap_or_default(),
            expires_minutes: q.expires_minutes,
            pace: None,
            clause: q.clause,
            remind_minutes: q.remind_minutes,
            escalation,
        }
    }

    fn short(&mut self, place: &str, q: &mut WrittenQuorum) -> Option<Stage> {
        let (Some(humans), Some(role), Some(certification)) =
            (q.humans, q.role, q.certification.take())
        else {
            self.wrong(
                place,
                "needs `humans`, `role` and `certification`, or a `stage` at least".to_owned(),
            );
            return None;
        };
        let stage = Stage {
            name: None,
            humans,
            role,
            attributes: std::mem::take(&mut q.attributes),
            certification,
            clause: q.clause.clone(),
        };
        self.stage(place, &stage);
        Some(stage)
    }

    fn stage(&mut self, place: &str, stage: &Stage) {
        if stage.humans == 0 {
            self.wrong(place, "`humans` is at least 1".to_owned());
        }
        if stage.role != Role::Approver {
            self.wrong(place, "only the role `approver` approves".to_owned());
        }
        self.attributes(place, &stage.attributes);
        self.clause(place, &stage.clause);
    }

    fn attributes(&mut self, place: &str, attributes: &Attributes) {
        for (name, value) in attributes {
            if let Err(why) = check_value(value) {
                self.wrong(place, format!("`{name}`: {why}"));
            }
        }
    }

    fn escalation(&mut self, place: &str, q: &mut WrittenQuorum) -> Option<Escalation> {
        for (name, minutes) in [
            ("remind_minutes", q.remind_minutes),
            ("escalate_minutes", q.escalate_minutes),
        ] {
            if minutes.is_some_and(|m| m == 0 || m >= q.expires_minutes) {
                self.wrong(
                    place,
                    format!("`{name}` is at least 1 and less than `expires_minutes`"),
                );
            }
        }
        if let (Some(remind), Some(escalate)) = (q.remind_minutes, q.escalate_minutes)
            && escalate < remind
        {
            self.wrong(
                place,
                "escalates before it reminds; let `remind_minutes` be the smaller".to_owned(),
            );
        }
        match (q.escalate_minutes, q.escalate_to.take()) {
            (None, None) => None,
            (Some(minutes), Some(to)) => {
                self.attributes(place, &to.attributes);
                Some(Escalation {
                    minutes,
                    role: to.role,
                    attributes: to.attributes,
                })
            }
            (Some(_), None) => {
                self.wrong(place, "escalates to nobody: add `escalate_to`".to_owned());
                None
            }
            (None, Some(_)) => {
                self.wrong(
                    place,
                    "has `escalate_to` and not when: add `escalate_minutes`".to_owned(),
                );
                None
            }
        }
    }

    /// What always needs a human.
    pub(super) fn human_steps(&mut self, written: Vec<WrittenStep>, team: &mut Team) {
        for step in written {
            let place = format!("[[human_step]] {}", step.tool);
            if team.tools.get(&step.tool).is_none_or(|tool| !tool.effect) {
                self.wrong(
                    &place,
                    "names a tool that is not there or has no effect; nobody signs for such a call"
                        .to_owned(),
                );
            }
            let humans = step.humans.unwrap_or(1);
            if humans == 0 {
                self.wrong(&place, "`humans` is at least 1".to_owned());
            }
            self.clause(&place, &step.clause);
            team.human_steps.push(HumanStep {
                tool: step.tool,
                when: step.when,
                humans,
                clause: step.clause,
            });
        }
    }

    /// The reasons for which a human may decide against the agents.
    pub(super) fn overrides(&mut self, written: Option<WrittenOverrides>, team: &mut Team) {
        let Some(written) = written else { return };
        if written.codes.is_empty() {
            self.wrong(
                "[override]",
                "lists no code, so that nobody could ever decide against the agents; leave it out or name some".to_owned(),
            );
        }
        self.clause("[override]", &written.clause);
        team.overrides = Some(Overrides {
            codes: written.codes,
            clause: written.clause,
        });
    }
}
