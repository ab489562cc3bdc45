//! Thresholds: whether a signed pre-approval is in force and has room at this very moment (I5).

use super::Desk;
use crate::{
    action::Action,
    canonical::Digest,
    course,
    name::{CredentialId, Environment, PrincipalId},
    principal::{PrincipalKind, Role},
    record::Usage,
    release::{Cap, Heard, RuleHit, Rules, Threshold, Tier},
    state::{State, ThresholdUse},
    time::Time,
};

/// What the release's thresholds say of an action.
pub(super) enum Cover<'a> {
    /// One covers it.
    Room(Box<Room<'a>>),
    /// One would, if its caps had room.
    Full { why: RuleHit },
    /// None does; why, for each that came near.
    Out(Vec<RuleHit>),
}

/// Room under a threshold, about to be reserved.
pub(super) struct Room<'a> {
    pub(super) threshold: &'a Threshold,
    pub(super) digest: Digest,
    pub(super) amount: i64,
    pub(super) key: String,
    /// This action included.
    pub(super) used: Usage,
}

impl Cover<'_> {
    pub(super) fn reason(&self) -> Vec<RuleHit> {
        match self {
            Self::Room(room) => vec![hit(room.threshold, room.threshold.title.clone())],
            Self::Full { why } => vec![why.clone()],
            Self::Out(why) => why.clone(),
        }
    }
}

/// What the log says of thresholds at a moment.
#[derive(Clone, Copy)]
pub(super) struct Standing<'s> {
    pub(super) state: &'s State,
    pub(super) now: Time,
}

impl<'s> Desk<'s> {
    pub(super) fn standing(&self) -> Standing<'s> {
        Standing {
            state: self.state,
            now: self.now,
        }
    }
}

impl Standing<'_> {
    pub(super) fn cover<'a>(
        &self,
        rules: &'a dyn Rules,
        heard: &Heard<'_>,
        tier: Tier,
    ) -> Cover<'a> {
        let mut full = None;
        let mut out = Vec::new();
        for (threshold, digest) in rules.thresholds() {
            if threshold.tool != heard.ask().action.tool || tier > threshold.tier {
                continue;
            }
            match self.covers(rules, threshold, *digest, heard) {
                Ok(Ok(room)) => return Cover::Room(Box::new(room)),
                Ok(Err(why)) => full = full.or(Some(hit(threshold, why))),
                Err(why) => out.push(hit(threshold, why)),
            }
        }
        match full {
            Some(why) => Cover::Full { why },
            None => Cover::Out(out),
        }
    }

    /// The outer error: it does not apply; the inner one: it does, and its caps have no room.
    pub(super) fn covers<'a>(
        &self,
        rules: &dyn Rules,
        threshold: &'a Threshold,
        digest: Digest,
        heard: &Heard<'_>,
    ) -> Result<Result<Room<'a>, String>, String> {
        self.in_force(rules, threshold, digest)?;
        let (amount, key) = threshold.measure(heard.ask().action)?;
        if amount > threshold.single_limit {
            return Err(format!(
                "{amount} is over its single limit {}",
                threshold.single_limit
            ));
        }
        match heard.in_scope(threshold) {
            Ok(true) => {}
            Ok(false) => return Err("the action is outside its scope".to_owned()),
            Err(why) => return Err(format!("its scope cannot be evaluated: {why}")),
        }
        let (case, env) = (heard.ask().case, heard.ask().environment);
        self.whole(threshold, amount, key, case, env)?;
        let used = self.usage(threshold, amount, key, env);
        let caps = &threshold.caps;
        let room = fits("in all", caps.all, used.all_count, used.all_sum).and_then(|()| {
            fits(
                &format!("for `{key}`"),
                caps.per_key,
                used.key_count,
                used.key_sum,
            )
        });
        Ok(room.map(|()| Room {
            threshold,
            digest,
            amount,
            key: key.to_owned(),
            used,
        }))
    }

    /// Signed by enough people who are still in force, with credentials that are, and who own no agent of the team; and
    /// within its dates.
    pub(super) fn in_force(
        &self,
        rules: &dyn Rules,
        threshold: &Threshold,
        digest: Digest,
    ) -> Result<(), String> {
        if self.now < threshold.starts || self.now >= threshold.expires {
            return Err(format!(
                "it is in force from {} to {} only",
                threshold.starts, threshold.expires
            ));
        }
        let signed = self.signatures(rules, threshold, digest);
        let counted = signed.iter().filter(|(_, why)| why.is_none()).count();
        let need = threshold.signatures.max(1) as usize;
        if counted >= need {
            return Ok(());
        }
        let lapsed: Vec<_> = signed.into_iter().filter_map(|(_, why)| why).collect();
        let but = if lapsed.is_empty() {
            String::new()
        } else {
            format!("; {}", lapsed.join("; "))
        };
        Err(format!("{counted} of {need} people have signed it{but}"))
    }

    /// Who signed, each with why the signature does not count, where it does not.
    pub(super) fn signatures(
        &self,
        rules: &dyn Rules,
        threshold: &Threshold,
        digest: Digest,
    ) -> Vec<(PrincipalId, Option<String>)> {
        let known = self.state.thresholds.get(&threshold.id);
        let signers = known.and_then(|t| t.signers.get(&digest));
        signers
            .into_iter()
            .flatten()
            .map(|(who, with)| (who.clone(), self.lapsed(rules, who, with)))
            .collect()
    }

    /// Why what somebody signed under a threshold does not count.
    fn lapsed(
        &self,
        rules: &dyn Rules,
        signer: &PrincipalId,
        with: &CredentialId,
    ) -> Option<String> {
        let person = self.state.principals.get(signer);
        let person = person.filter(|p| p.kind == PrincipalKind::Human && !p.revoked);
        let Some(person) = person else {
            return Some(format!("`{signer}` was revoked"));
        };
        if !self.state.stands(signer, with) {
            return Some(format!(
                "`{with}`, with which `{signer}` signed, was revoked"
            ));
        }
        if !person.roles.contains(&Role::Owner) {
            return Some(format!("`{signer}` is no owner"));
        }
        let team = rules.team();
        let lack = team
            .courses_of(Role::Owner)
            .find_map(|course| course::lack(self.state, team, signer, course, self.now));
        if let Some(lack) = lack {
            return Some(lack.why);
        }
        let owned = team.agents.iter().find(|a| a.owner == *signer);
        owned.map(|agent| format!("`{signer}` owns `{}`, an agent of the team", agent.id))
    }

    /// What would be used in the windows, in this environment, this action included.
    fn usage(&self, threshold: &Threshold, amount: i64, key: &str, env: &Environment) -> Usage {
        let uses = self.state.thresholds.get(&threshold.id);
        let uses = uses.map_or(&[][..], |t| &t.uses);
        let sum = |cap: Cap, wanted: &dyn Fn(&ThresholdUse) -> bool| {
            let since = self.now.minus_minutes(cap.window_minutes);
            uses.iter()
                .filter(|u| u.time > since && u.env == *env && wanted(u))
                .fold((1_u32, amount), |(count, sum), u| {
                    (count.saturating_add(1), sum.saturating_add(u.amount))
                })
        };
        let (all_count, all_sum) = sum(threshold.caps.all, &|_| true);
        let (key_count, key_sum) = sum(threshold.caps.per_key, &|u| u.key == key);
        Usage {
            all_count,
            all_sum,
            key_count,
            key_sum,
        }
    }
}

impl Threshold {
    /// The amount and the key of an action.
    ///
    /// # Errors
    /// Which of them it has not, in words.
    pub(crate) fn measure<'a>(&self, action: &'a Action) -> Result<(i64, &'a str), String> {
        let amount = action.integer(&self.sum_field).filter(|n| *n > 0);
        let amount =
            amount.ok_or_else(|| format!("`{}` is no positive whole number", self.sum_field))?;
        let key = action.text(&self.key_field);
        let key = key.ok_or_else(|| format!("`{}` is no text", self.key_field))?;
        Ok((amount, key))
    }
}

fn fits(whose: &str, cap: Cap, count: u32, sum: i64) -> Result<(), String> {
    if count > cap.count || sum > cap.sum {
        return Err(format!(
            "its cap {whose} of {} actions and {} within {} minutes has no room: this would make {count} and {sum}",
            cap.count, cap.sum, cap.window_minutes
        ));
    }
    Ok(())
}

pub(super) fn hit(threshold: &Threshold, why: String) -> RuleHit {
    RuleHit {
        rule: format!("threshold {}", threshold.id),
        why,
        clause: Some(threshold.clause.clone()),
    }
}
