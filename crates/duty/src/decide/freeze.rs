//! Freezing: anybody who answers for something may stop it at once; going on needs a human who signs.

use super::{Desk, Place, Ruled, keep::needs_reason};
use crate::{
    freeze::{Scope, Step},
    principal::Role,
    record::{FreezeLifted, FreezePlaced},
    refusal::{Code, Refusal},
    request::Freeze,
    statement::{Signed, UnfreezeStatement},
};

impl Desk<'_> {
    /// Stopping is easy on purpose: the local admin needs no signature, so that it works when nothing else does.
    pub(super) fn freeze(&mut self, request: &Freeze) -> Ruled {
        self.holds(Role::Admin)?;
        needs_reason(&request.reason)?;
        let body = FreezePlaced {
            request: self.request(),
        };
        self.write(Place::default(), Some(Role::Admin), Vec::new(), body);
        Ok(())
    }

    /// Lifted by an owner, but not of the very agent that was stopped: nobody clears their own.
    pub(super) fn unfreeze(&mut self, request: &Signed<UnfreezeStatement>) -> Ruled {
        self.signed(request)?;
        self.holds(Role::Owner)?;
        let s = &request.statement;
        let freeze = self.state.freezes.get(&s.freeze).ok_or_else(|| {
            Refusal::new(
                Code::WrongState,
                format!("record {} placed no freeze that is in force", s.freeze),
                "name one that `freeze` lists",
            )
        })?;
        needs_reason(&s.reason)?;
        if let Scope::Agent { agent } = &freeze.scope {
            let owner = self
                .state
                .principals
                .get(agent)
                .and_then(|a| a.owner.as_ref());
            if owner == Some(&s.signer) {
                return Err(Refusal::new(
                    Code::Conflicted,
                    format!("`{}` owns `{agent}`, which is frozen", s.signer),
                    "let an owner of other agents look into it and lift the freeze",
                ));
            }
        }
        let body = FreezeLifted {
            request: self.request(),
        };
        self.write(Place::default(), Some(Role::Owner), Vec::new(), body);
        Ok(())
    }

    /// Nothing in force stops the step.
    pub(super) fn not_frozen(&self, step: Step<'_>) -> Ruled {
        match self.state.frozen(step) {
            None => Ok(()),
            Some((record, freeze)) => Err(Refusal::new(
                Code::Frozen,
                format!(
                    "{} is frozen since {} by record {record}: {}",
                    freeze.scope, freeze.placed, freeze.reason
                ),
                "wait until an owner lifts the freeze; nothing was done",
            )),
        }
    }
}
