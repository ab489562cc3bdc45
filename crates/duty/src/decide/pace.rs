//! Fatigue: people are not to be worn down by requests, and what they sign they can have read.
//!
//! All of it is told from recorded time. A no is always taken: it lets nothing happen.

use super::{Desk, Ruled};
use crate::{
    name::PrincipalId,
    refusal::{Code, Refusal},
    release::{Pace, Quorum, RuleHit, Rules},
    state::{Approval, Case},
    time::Time,
};

impl Desk<'_> {
    /// Whether a person's yes may come now: it can have been read, and the person has not signed too much this hour.
    ///
    /// Where the release takes what came sooner, the text of the exception that it raises.
    pub(super) fn at_ease(
        &self,
        rules: &dyn Rules,
        approval: &Approval,
        quorum: &Quorum,
        signer: &PrincipalId,
        signed_at: Time,
    ) -> Ruled<Option<String>> {
        self.not_worn_down(rules, signer)?;
        let Some(pace) = quorum.pace else {
            return Ok(None);
        };
        let signed = self.state.principals.get(signer).map(|p| &p.signed);
        let last = signed.and_then(|signed| signed.last());
        let asked = approval.asked.plus_seconds(pace.seconds);
        let after_last = last.map(|t| t.plus_seconds(pace.seconds));
        let (ready, since) = match after_last {
            Some(ready) if ready > asked => (ready, "their last signature"),
            _ => (asked, "it was asked for"),
        };
        // What was signed too soon does not ripen by being kept and sent later.
        let at = signed_at.min(self.now);
        if at >= ready {
            return Ok(None);
        }
        let why = format!(
            "`{signer}` would approve `{}` at {at}, less than {} seconds after {since}",
            approval.id, pace.seconds
        );
        match pace {
            Pace { refuse: false, .. } => Ok(Some(why)),
            Pace { refuse: true, .. } => Err(Refusal::new(
                Code::TooSoon,
                why,
                format!("read it, and sign at {ready} or later"),
            )
            .clause(Some(quorum.clause.clone()))),
        }
    }

    fn not_worn_down(&self, rules: &dyn Rules, signer: &PrincipalId) -> Ruled {
        let Some(attention) = &rules.team().attention else {
            return Ok(());
        };
        let Some(most) = attention.max_per_hour else {
            return Ok(());
        };
        let since = self.now.minus_seconds(Pace::LONGEST);
        let signed = self.state.principals.get(signer).map(|p| &p.signed[..]);
        let signed = signed.unwrap_or_default();
        let recent = &signed[signed.partition_point(|t| *t <= since)..];
        let over = recent.len().checked_sub(most.max(1) as usize);
        let Some(free) = over.and_then(|i| recent.get(i)) else {
            return Ok(());
        };
        Err(Refusal::new(
            Code::TooMany,
            format!(
                "`{signer}` has signed {} times within an hour, and {most} are as many as count",
                recent.len()
            ),
            format!(
                "let somebody else sign, or sign at {} or later",
                free.plus_seconds(Pace::LONGEST)
            ),
        )
        .clause(Some(attention.clause.clone())))
    }

    /// Why no more requests of the agent that prepared the case are put before people, where so many wait already.
    pub(super) fn flood(&self, rules: &dyn Rules, case: &Case) -> Option<RuleHit> {
        let attention = rules.team().attention.as_ref()?;
        let most = attention.max_waiting?;
        let agent = self.state.root(case.preparer()?);
        let waiting = self.state.waiting.get(&case.env)?.get(agent)?;
        (*waiting >= most).then(|| RuleHit {
            rule: "too many requests wait".to_owned(),
            why: format!(
                "{waiting} requests of `{agent}` wait for approval, and {most} are as many as may; open the case anew when they are decided"
            ),
            clause: Some(attention.clause.clone()),
        })
    }
}
