//! Delegation between humans: a deputy signs in their own name, with their own key, for another. It moves who may sign, and
//! never how many do: deputy and delegator count as one, both are held to what an approver is held to, and what was
//! delegated cannot be delegated on.

use super::{
    Desk, Place, Ruled,
    keep::{malformed, needs_reason, together},
};
use crate::{
    name::PrincipalId,
    principal::{PrincipalKind, Role},
    record::{DelegationEnded, DelegationMade},
    refusal::{Code, Refusal},
    state::{Delegation, Principal},
    statement::{DelegationEndStatement, DelegationStatement, Signed},
};

/// The longest delegation, in days.
const LONGEST_DAYS: u32 = 30;

impl Desk<'_> {
    pub(super) fn delegate(&mut self, request: &Signed<DelegationStatement>) -> Ruled {
        let delegator = self.signed(request)?;
        let s = &request.statement;
        if s.role != Role::Approver {
            return Err(Refusal::new(
                Code::NotDelegated,
                format!("the role {} cannot be delegated", s.role.word()),
                "delegate the role approver; what others sign they sign themselves",
            ));
        }
        // Only one's own: so there is no chain.
        if !delegator.roles.contains(&s.role) {
            return Err(Refusal::new(
                Code::NotYourDuty,
                format!(
                    "`{}` is no {}, and cannot pass that on",
                    s.signer,
                    s.role.word()
                ),
                format!(
                    "let a principal with the role {} delegate it",
                    s.role.word()
                ),
            ));
        }
        self.fit_deputy(&s.deputy, &s.signer, s.role)?;
        if s.starts >= s.until || s.until <= self.now {
            return Err(malformed(format!(
                "the delegation would be over before it begins: {} to {}",
                s.starts, s.until
            )));
        }
        if s.until > s.starts.plus_minutes(LONGEST_DAYS * 24 * 60) {
            return Err(Refusal::new(
                Code::NotDelegated,
                format!("the delegation would be in force for more than {LONGEST_DAYS} days"),
                format!("delegate for {LONGEST_DAYS} days at most, and again if need be"),
            ));
        }
        needs_reason(&s.reason)?;
        self.delegated_before(s)?;
        let body = DelegationMade {
            request: self.request(),
        };
        self.write(Place::default(), Some(s.role), Vec::new(), body);
        Ok(())
    }

    /// A human in force other than the delegator, whose own roles let them approve.
    fn fit_deputy(&self, deputy: &PrincipalId, delegator: &PrincipalId, role: Role) -> Ruled {
        if deputy == delegator {
            return Err(malformed("nobody is their own deputy"));
        }
        let person = self.state.principals.get(deputy);
        let Some(person) = person.filter(|p| p.kind == PrincipalKind::Human && !p.revoked) else {
            return Err(Refusal::new(
                Code::NotHuman,
                format!("no human in force is called `{deputy}`"),
                "name a human that `principal list` shows",
            ));
        };
        fits(deputy, person, role)
    }

    /// A statement counts once, also after it was ended; and there is one at a time for a pair.
    fn delegated_before(&self, s: &DelegationStatement) -> Ruled {
        let same_pair =
            |d: &&Delegation| (&d.deputy, &d.delegator, d.role) == (&s.deputy, &s.signer, s.role);
        let clash = self.state.delegations.values().filter(same_pair).find(|d| {
            let same = (d.starts, d.until, &d.reason) == (s.starts, s.until, &s.reason);
            let overlaps = !d.ended && s.starts < d.until && d.starts < s.until;
            same || overlaps && self.now < d.until
        });
        match clash {
            None => Ok(()),
            Some(d) => Err(Refusal::new(
                Code::Replayed,
                format!(
                    "`{}` has delegated to `{}` already, from {} to {}{}",
                    s.signer,
                    s.deputy,
                    d.starts,
                    d.until,
                    if d.ended { ", and that was ended" } else { "" }
                ),
                "end that one first, or sign another statement",
            )),
        }
    }

    pub(super) fn end_delegation(&mut self, request: &Signed<DelegationEndStatement>) -> Ruled {
        self.signed(request)?;
        let s = &request.statement;
        let delegation = self.state.delegations.get(&s.delegation);
        let delegation = delegation.filter(|d| !d.ended && self.now < d.until);
        let delegation = delegation.ok_or_else(|| {
            Refusal::new(
                Code::WrongState,
                format!(
                    "record {} holds no delegation that is not over",
                    s.delegation
                ),
                "name one that `delegation list` shows",
            )
        })?;
        if ![&delegation.delegator, &delegation.deputy].contains(&&s.signer) {
            return Err(Refusal::new(
                Code::NotYourDuty,
                format!("`{}` neither made that delegation nor got it", s.signer),
                "let the delegator or the deputy end it",
            ));
        }
        needs_reason(&s.reason)?;
        let body = DelegationEnded {
            request: self.request(),
        };
        self.write(Place::default(), Some(delegation.role), Vec::new(), body);
        Ok(())
    }

    /// Whether `deputy` may sign for `root` now.
    pub(super) fn delegated(&self, deputy: &PrincipalId, root: &PrincipalId, role: Role) -> Ruled {
        let lets = |d: &Delegation| {
            d.deputy == *deputy && d.delegator == *root && d.role == role && d.in_force(self.now)
        };
        if self.state.delegations.values().any(lets) {
            // Roles may have come to them since.
            let person = self.state.principals.get(deputy);
            return person.map_or(Ok(()), |person| fits(deputy, person, role));
        }
        Err(Refusal::new(
            Code::NotDelegated,
            format!("no delegation in force lets `{deputy}` sign for `{root}`"),
            format!(
                "let `{root}` sign, or delegate it first; `delegation list` shows what is in force"
            ),
        ))
    }

    /// Whom a person may sign for now.
    pub(super) fn delegators(&self, deputy: &PrincipalId) -> Vec<&PrincipalId> {
        let delegations = self.state.delegations.values();
        let mine = delegations.filter(|d| d.deputy == *deputy && d.in_force(self.now));
        mine.map(|d| &d.delegator).collect()
    }
}

/// Whether somebody's own roles let them act in this one too.
fn fits(deputy: &PrincipalId, person: &Principal, role: Role) -> Ruled {
    let own = person.sources().map(|(role, group)| {
        let by = group.map_or("by itself".to_owned(), |g| {
            format!("through the group `{g}`")
        });
        (role, by)
    });
    together(
        &format!("`{deputy}`"),
        own.chain([(role, "as a deputy".to_owned())]),
    )
}
