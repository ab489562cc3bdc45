//! Groups in the fold.

use super::mismatch;
use crate::{
    record::{Body, Record},
    request::Request,
    state::{Group, State},
};

impl State {
    pub(super) fn take_of_group(&mut self, record: &Record) -> Result<(), String> {
        match (&record.body, record.body.request()) {
            (Body::GroupCreated(_), Some(Request::CreateGroup(r))) => {
                let roles = r.roles.iter().copied().collect();
                self.groups.insert(r.group.clone(), Group { roles });
            }
            (Body::GroupJoined(_), Some(Request::JoinGroup(r))) => {
                let group = self.groups.get(&r.group).ok_or("there is no such group")?;
                let person = self.principals.get_mut(&r.principal);
                let person = person.ok_or("nobody by that id")?;
                person.groups.insert(r.group.clone(), group.roles.clone());
                person.settle();
            }
            (Body::GroupLeft(_), Some(Request::LeaveGroup(r))) => {
                let person = self.principals.get_mut(&r.principal);
                let person = person.ok_or("nobody by that id")?;
                let left = person.groups.remove(&r.group);
                left.ok_or("it was not in that group")?;
                person.settle();
            }
            _ => return mismatch(),
        }
        Ok(())
    }
}
