//! Groups: roles that several people hold together, and who is in them.
//!
//! A group's roles are said when it is made, and stay: whoever joins knows what they join, and nobody's roles change but by
//! a record about them.

use super::{
    Desk, Place, Ruled,
    keep::{malformed, needs_reason, together},
};
use crate::{
    name::GroupId,
    principal::Role,
    record::{GroupCreated, GroupJoined, GroupLeft},
    refusal::{Code, Refusal},
    request::{CreateGroup, JoinGroup, LeaveGroup},
    state::{Group, Principal},
};

impl Desk<'_> {
    pub(super) fn create_group(&mut self, request: &CreateGroup) -> Ruled {
        self.holds(Role::Admin)?;
        let id = &request.group;
        if self.state.groups.contains_key(id) {
            return Err(Refusal::new(
                Code::Replayed,
                format!("the group `{id}` is there already, and its roles stay"),
                "make another group for other roles",
            ));
        }
        if request.roles.is_empty() || request.roles.windows(2).any(|w| w[0] >= w[1]) {
            return Err(malformed(format!(
                "the group `{id}` needs at least one role, each once and in order"
            )));
        }
        if let Some(role) = request
            .roles
            .iter()
            .find(|r| matches!(r, Role::Admin | Role::Service))
        {
            return Err(Refusal::new(
                Code::NotYourDuty,
                format!("no group holds the role {}", role.word()),
                "give that role to a service by itself",
            ));
        }
        let held = request.roles.iter().map(|r| (*r, through(id)));
        together(&format!("whoever joins `{id}`"), held)?;
        let body = GroupCreated {
            request: self.request(),
        };
        self.write(Place::default(), Some(Role::Admin), Vec::new(), body);
        Ok(())
    }

    pub(super) fn join_group(&mut self, request: &JoinGroup) -> Ruled {
        self.holds(Role::Admin)?;
        let (group, person) = self.member(&request.group, &request.principal)?;
        if person.revoked {
            return Err(Refusal::new(
                Code::Revoked,
                format!("`{}` was revoked", request.principal),
                "name a principal in force",
            ));
        }
        if person.groups.contains_key(&request.group) {
            return Err(Refusal::new(
                Code::Replayed,
                format!("`{}` is in `{}` already", request.principal, request.group),
                "nothing is to be done",
            ));
        }
        let id = &request.principal;
        if request.principal == self.submission.principal {
            return Err(Refusal::new(
                Code::NotIndependent,
                format!("`{id}` would give itself roles"),
                "let another admin do it",
            ));
        }
        if let Some(role) = group.roles.iter().find(|r| !person.kind.may_hold(**r)) {
            return Err(Refusal::new(
                Code::NotYourDuty,
                format!(
                    "`{id}` cannot hold the role {}, which `{}` gives",
                    role.word(),
                    request.group
                ),
                "approvers and owners are humans; agents prepare, review or execute",
            ));
        }
        let others = person
            .sources()
            .map(|(role, group)| (role, group.map_or("by itself".to_owned(), through)));
        let new = group.roles.iter().map(|r| (*r, through(&request.group)));
        together(&format!("`{id}`"), others.chain(new))?;
        let body = GroupJoined {
            request: self.request(),
        };
        self.write(Place::default(), Some(Role::Admin), Vec::new(), body);
        Ok(())
    }

    pub(super) fn leave_group(&mut self, request: &LeaveGroup) -> Ruled {
        self.holds(Role::Admin)?;
        let (_, person) = self.member(&request.group, &request.principal)?;
        if !person.groups.contains_key(&request.group) {
            return Err(Refusal::new(
                Code::WrongState,
                format!("`{}` is not in `{}`", request.principal, request.group),
                "name one who is; `principal group list` shows them",
            ));
        }
        needs_reason(&request.reason)?;
        let body = GroupLeft {
            request: self.request(),
        };
        self.write(Place::default(), Some(Role::Admin), Vec::new(), body);
        Ok(())
    }

    fn member(
        &self,
        group: &GroupId,
        id: &crate::name::PrincipalId,
    ) -> Result<(&Group, &Principal), Refusal> {
        let found = self.state.groups.get(group).ok_or_else(|| {
            Refusal::new(
                Code::WrongState,
                format!("there is no group `{group}`"),
                "make it first; `principal group list` shows those that are there",
            )
        })?;
        let person = self.state.principals.get(id).ok_or_else(|| {
            Refusal::new(
                Code::UnknownPrincipal,
                format!("nobody here is called `{id}`"),
                "add the principal first",
            )
        })?;
        Ok((found, person))
    }
}

fn through(group: &GroupId) -> String {
    format!("through the group `{group}`")
}

impl Principal {
    /// The roles that it holds, each with the group that gives it; none for its own.
    pub fn sources(&self) -> impl Iterator<Item = (Role, Option<&GroupId>)> {
        let own = self.own_roles().iter().map(|r| (*r, None));
        let groups = self.groups.iter();
        own.chain(groups.flat_map(|(id, g)| g.iter().map(move |r| (*r, Some(id)))))
    }

    /// Makes its roles what they come to: its own, and those of its groups.
    pub(crate) fn settle(&mut self) {
        let own = self.own.take().unwrap_or_else(|| self.roles.clone());
        let given = self.groups.values().flatten().copied();
        self.roles = own.iter().copied().chain(given).collect();
        if !self.groups.is_empty() {
            self.own = Some(own);
        }
    }
}
