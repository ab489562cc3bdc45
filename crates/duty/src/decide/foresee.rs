//! Foreseeing: what would be said of a call, with nothing recorded. The same rules as those that decide.

use serde::Serialize;

use super::{
    Ruled,
    gather::known_tool,
    permit::permitted,
    threshold::{Cover, Standing},
    verdict::step_hit,
};
use crate::{
    name::ThresholdId,
    refusal::{Code, Refusal},
    release::{Ask, Heard, Level, RiskFinding, RuleHit, Rules, Stage, Tier, Unit},
    state::State,
    time::Time,
};

/// What would be said of a call.
#[derive(Clone, Debug, Serialize)]
pub struct Foresight {
    /// The rule that permits it, or why it would be refused.
    pub permission: Result<RuleHit, Refusal>,
    /// Its risk tier, and the rules behind that.
    pub risk: RiskFinding,
    /// Whether the tool changes the world; only such a call needs a grant.
    pub effect: bool,
    /// The first threshold that would cover it, where two agents agree; none for a call without effect.
    pub covered_by: Option<ThresholdId>,
    /// Every threshold over the tool.
    pub thresholds: Vec<Outlook>,
    /// What always needs a human here, whatever thresholds say.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub human_steps: Vec<RuleHit>,
    /// Who signs where no threshold covers it; none for a call without effect.
    pub signing: Option<Signing>,
}

/// What a threshold would say of an action.
#[derive(Clone, Debug, Serialize)]
pub struct Outlook {
    /// Which.
    pub threshold: ThresholdId,
    /// The clause that permits it.
    pub clause: String,
    /// Why it would not cover the action, where it would not.
    pub why_not: Option<String>,
    /// What would be left of its caps after the action, where it would cover it.
    pub room: Option<Room>,
}

/// What is left of a threshold's caps, in its windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Room {
    /// Actions in all.
    pub count: u32,
    /// In the unit of the threshold's sum, in all; none where it sums nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sum: Option<i64>,
    /// In what sums are counted, where it is not in whole units.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<Unit>,
    /// Actions for the same key; none where there are no keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_count: Option<u32>,
    /// For the same key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_sum: Option<i64>,
}

/// Who signs an action.
#[derive(Clone, Debug, Serialize)]
pub struct Signing {
    /// How many distinct humans.
    pub humans: u32,
    /// Who, stage by stage, in words.
    pub stages: Vec<String>,
    /// The clause that asks for it.
    pub clause: String,
    /// How safe the records must be before the action is executed.
    pub level: Level,
}

impl Signing {
    fn stage(stage: &Stage) -> String {
        let name = stage.name.as_ref().map(|name| format!("{name}: "));
        format!(
            "{}{} {}, certified in `{}`",
            name.unwrap_or_default(),
            stage.humans,
            stage.who(),
            stage.certification
        )
    }
}

/// What would be said of a call at a moment, were it asked by `ask.principal` in such a case.
///
/// A verdict asks this of the executing agent about the action that was recommended. Whose turn it is, who approves, and
/// what two agents say of it is not foreseen.
///
/// # Errors
/// Where the call is refused before any rule is asked: an unknown tool, or an argument that is the engine's; and where
/// the release does not say who approves.
pub fn foresee(state: &State, rules: &dyn Rules, ask: Ask<'_>, now: Time) -> Ruled<Foresight> {
    let tool = known_tool(rules, ask.action)?;
    let heard = Heard::new(rules, ask);
    let permission = permitted(&heard);
    let risk = heard.risk();
    let steps = if tool.effect {
        heard.human_steps()
    } else {
        Vec::new()
    };
    let (mut thresholds, mut covered_by, mut signing) = (Vec::new(), None, None);
    if tool.effect {
        let standing = Standing {
            state,
            now: now.max(state.time),
        };
        if steps.is_empty()
            && standing.suspected(rules, &heard).is_empty()
            && let Cover::Room(room) = standing.cover(rules, &heard, risk.tier)
        {
            covered_by = Some(room.threshold.id.clone());
        }
        thresholds = standing.outlooks(rules, &heard, risk.tier);
        let quorum = rules.team().approval.get(&risk.tier).ok_or_else(|| {
            Refusal::new(
                Code::PolicyMissing,
                format!(
                    "the release says nothing of who approves {} risk",
                    risk.tier.word()
                ),
                "build the release with an approval rule for every tier",
            )
        })?;
        signing = Some(Signing {
            humans: steps
                .iter()
                .map(|step| step.humans)
                .fold(quorum.humans(), u32::max),
            stages: quorum.stages.iter().map(Signing::stage).collect(),
            clause: quorum.clause.clone(),
            level: rules.team().level(Some(risk.tier)),
        });
    }
    Ok(Foresight {
        permission,
        risk,
        effect: tool.effect,
        covered_by,
        thresholds,
        human_steps: steps.into_iter().map(step_hit).collect(),
        signing,
    })
}

impl Standing<'_> {
    fn outlooks<'q>(&self, rules: &'q dyn Rules, heard: &Heard<'q>, tier: Tier) -> Vec<Outlook> {
        let over = |(threshold, _): &&(crate::release::Threshold, _)| {
            threshold.tool == heard.ask().action.tool
        };
        let outlook = |(threshold, digest): &'q (crate::release::Threshold, _)| {
            let (why_not, room) = if tier > threshold.tier {
                let why = format!(
                    "the risk is {}, and it covers {} at most",
                    tier.word(),
                    threshold.tier.word()
                );
                (Some(why), None)
            } else {
                match self.covers(rules, threshold, *digest, heard) {
                    Ok(Ok(room)) => {
                        let (caps, used) = (&threshold.caps, &room.used);
                        let sum = |most: Option<i64>, used: Option<i64>| {
                            Some(most?.saturating_sub(used?))
                        };
                        let left = Room {
                            count: caps.all.count.saturating_sub(used.all_count),
                            sum: sum(caps.all.sum, used.all_sum),
                            unit: threshold.unit,
                            key_count: caps
                                .per_key
                                .zip(used.key_count)
                                .map(|(cap, used)| cap.count.saturating_sub(used)),
                            key_sum: sum(caps.per_key.and_then(|cap| cap.sum), used.key_sum),
                        };
                        (None, Some(left))
                    }
                    Ok(Err(why)) | Err(why) => (Some(why), None),
                }
            };
            Outlook {
                threshold: threshold.id.clone(),
                clause: threshold.clause.clone(),
                why_not,
                room,
            }
        };
        rules
            .thresholds()
            .iter()
            .filter(over)
            .map(outlook)
            .collect()
    }
}
