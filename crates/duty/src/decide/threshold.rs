//! Thresholds: whether a signed pre-approval is in force and has room at this very moment (I5).

use super::Desk;
use crate::{
    action::Action,
    canonical::{Digest, ten_thousandths},
    course,
    name::{CredentialId, Environment, PrincipalId},
    principal::{PrincipalKind, Role},
    record::Usage,
    release::{Cap, Heard, RuleHit, Rules, Threshold, Tier, Unit},
    state::State,
    tally::Total,
    time::Time,
};
use serde_json::Value;

/// What the release's thresholds say of an action.
pub(super) enum Cover<'a> {
    /// One covers it.
    Room(Box<Room<'a>>),
    /// One would, if its caps had room.
    Full { why: RuleHit },
    /// None does; why, for each that came near.
    Out(Vec<RuleHit>),
}

/// What of an action counts under a threshold: where there is no amount, that it is one action.
#[derive(Clone, Copy)]
pub(super) struct Measured<K> {
    /// There where the threshold sums.
    pub(super) amount: Option<i64>,
    /// There where the threshold has keys.
    pub(super) key: Option<K>,
}

/// Room under a threshold, about to be reserved.
pub(super) struct Room<'a> {
    pub(super) threshold: &'a Threshold,
    pub(super) digest: Digest,
    pub(super) measured: Measured<String>,
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
        heard: &Heard<'a>,
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
        heard: &Heard<'a>,
    ) -> Result<Result<Room<'a>, String>, String> {
        self.in_force(rules, threshold, digest)?;
        let measured = threshold.measure(heard.ask().action)?;
        if let Some((amount, limit)) = measured.amount.zip(threshold.single_limit)
            && amount > limit
        {
            return Err(format!(
                "{} is over its single limit {}",
                threshold.say(amount),
                threshold.say(limit)
            ));
        }
        match heard.in_scope(threshold) {
            Ok(true) => {}
            Ok(false) => return Err("the action is outside its scope".to_owned()),
            Err(why) => return Err(format!("its scope cannot be evaluated: {why}")),
        }
        let (case, env) = (heard.ask().case, heard.ask().environment);
        self.whole(threshold, measured, case, env)?;
        let used = self.usage(threshold, measured, env);
        let caps = &threshold.caps;
        let all = Some(caps.all);
        let room = fits(threshold, "in all", all, Some(used.all_count), used.all_sum);
        let room = room.and_then(|()| {
            let whose = format!("for `{}`", measured.key.unwrap_or_default());
            let (count, sum) = (used.key_count, used.key_sum);
            fits(threshold, &whose, caps.per_key, count, sum)
        });
        Ok(room.map(|()| Room {
            threshold,
            digest,
            measured: Measured {
                amount: measured.amount,
                key: measured.key.map(str::to_owned),
            },
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
    fn usage(&self, threshold: &Threshold, measured: Measured<&str>, env: &Environment) -> Usage {
        let uses = self.state.thresholds.get(&threshold.id).map(|t| &t.uses);
        // What was covered before the threshold summed counts for nothing.
        let with_this = |before: Option<Total>| {
            let before = before.unwrap_or_default();
            let sum = measured.amount.map(|sum| sum.saturating_add(before.sum));
            (before.count.saturating_add(1), sum)
        };
        let since = |cap: Cap| self.now.minus_minutes(cap.window_minutes);
        let all = uses.map(|uses| uses.all(env, since(threshold.caps.all)));
        let (all_count, all_sum) = with_this(all);
        let of_key = threshold
            .caps
            .per_key
            .map(|cap| with_this(uses.map(|uses| uses.of_key(env, measured.key, since(cap)))));
        Usage {
            all_count,
            all_sum,
            key_count: of_key.map(|(count, _)| count),
            key_sum: of_key.and_then(|(_, sum)| sum),
        }
    }
}

impl Threshold {
    /// What of an action counts.
    ///
    /// # Errors
    /// What the action has not, or the threshold does not say, in words.
    pub(super) fn measure<'a>(&self, action: &'a Action) -> Result<Measured<&'a str>, String> {
        let caps = &self.caps;
        let sums = [
            Some(self.single_limit.is_some()),
            Some(caps.all.sum.is_some()),
            caps.per_key.map(|cap| cap.sum.is_some()),
        ];
        if sums
            .iter()
            .flatten()
            .any(|has| *has != self.sum_field.is_some())
        {
            return Err(
                "it sums without a limit, or has a limit of what it does not sum".to_owned(),
            );
        }
        let amount = match &self.sum_field {
            Some(field) => Some(self.amount(field, action)?),
            None => None,
        };
        let key = match (&self.key_field, caps.per_key) {
            (Some(field), Some(_)) => {
                let key = action.text(field);
                Some(key.ok_or_else(|| format!("`{field}` is no text"))?)
            }
            (None, None) => None,
            _ => return Err("it has a key without a cap, or a cap without a key".to_owned()),
        };
        Ok(Measured { amount, key })
    }

    fn amount(&self, field: &str, action: &Action) -> Result<i64, String> {
        let (amount, what) = match self.unit {
            None => (action.integer(field), "positive whole number"),
            Some(Unit::TenThousandths) => {
                let number = action.arguments.get(field).and_then(Value::as_number);
                let amount = number.and_then(|n| ten_thousandths(n).ok());
                (amount, "positive number of four fractional digits at most")
            }
        };
        let amount = amount.filter(|n| *n > 0);
        amount.ok_or_else(|| format!("`{field}` is no {what}"))
    }
}

/// Where there is a cap there is something to hold against it.
fn fits(
    threshold: &Threshold,
    whose: &str,
    cap: Option<Cap>,
    count: Option<u32>,
    sum: Option<i64>,
) -> Result<(), String> {
    let Some((cap, count)) = cap.zip(count) else {
        return Ok(());
    };
    let over = sum.zip(cap.sum).is_some_and(|(sum, most)| sum > most);
    if count > cap.count || over {
        let sums =
            |n: Option<i64>| n.map_or(String::new(), |n| format!(" and {}", threshold.say(n)));
        return Err(format!(
            "its cap {whose} of {} actions{} within {} minutes has no room: this would make {count}{}",
            cap.count,
            sums(cap.sum),
            cap.window_minutes,
            sums(sum)
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
