//! `principal`: who may take part, and as what.

use std::path::Path;

use duty::{
    name::PrincipalId,
    principal::{PrincipalKind, Role},
    quorum::{self, Attributes},
    request::{CreateGroup, JoinGroup, LeaveGroup, Request, RevokePrincipal, SetAttributes},
    state::State,
};
use serde_json::json;

use super::proof;
use crate::{
    cli::{ComesWith, GroupCommand, PrincipalCommand, RoleWord},
    door::{As, Door},
    fail::{Failure, named},
    keys,
    show::Listing,
};

pub(crate) async fn run(command: PrincipalCommand) -> Result<(), Failure> {
    match command {
        PrincipalCommand::Add {
            id,
            human: _,
            service,
            owner,
            roles,
            attributes,
            comes_with,
            dir,
        } => {
            let of = match owner {
                None if service => Of::Service,
                None => Of::Human,
                Some(owner) => Of::Agent(named(&owner)?),
            };
            add(&dir.dir, &id, of, &roles, &attributes, &comes_with).await
        }
        PrincipalCommand::Set {
            id,
            attributes,
            reason,
            dir,
        } => {
            let request = Request::SetAttributes(SetAttributes {
                principal: named(&id)?,
                attributes: said(&attributes)?,
                reason,
            });
            let door = Door::open(&dir.dir).await?;
            let records = door.submit(As::Admin, request).await?;
            println!(
                "record {}: {}",
                records[0].seq,
                evidence::describe(&records[0])
            );
            door.close()
        }
        PrincipalCommand::List { dir, form } => {
            let state = super::state_of(&dir.dir)?;
            list(&state, form.json);
            Ok(())
        }
        PrincipalCommand::Group(command) => group(command).await,
        PrincipalCommand::Key(command) => super::credential::run(command).await,
        PrincipalCommand::Revoke { id, reason, dir } => {
            let door = Door::open(&dir.dir).await?;
            let principal = named(&id)?;
            let request = Request::RevokePrincipal(RevokePrincipal { principal, reason });
            let records = door.submit(As::Admin, request).await?;
            println!("`{id}` revoked: record {}", records[0].seq);
            door.close()
        }
    }
}

/// Attributes as they are written on the command line.
fn said(attributes: &[String]) -> Result<Attributes, Failure> {
    let mut said = Attributes::new();
    for attribute in attributes {
        let (name, value) = attribute.split_once('=').ok_or_else(|| {
            Failure::usage(format!(
                "`{attribute}` is no attribute: write `NAME=VALUE`, like `department=finance`"
            ))
        })?;
        if said.insert(named(name)?, value.to_owned()).is_some() {
            return Err(Failure::usage(format!("`{name}` is given twice")));
        }
    }
    Ok(said)
}

/// What is added.
enum Of {
    Human,
    Service,
    /// An agent, and who answers for it.
    Agent(PrincipalId),
}

async fn add(
    dir: &Path,
    id: &str,
    of: Of,
    roles: &[RoleWord],
    attributes: &[String],
    comes_with: &ComesWith,
) -> Result<(), Failure> {
    let attributes = said(attributes)?;
    let id: PrincipalId = named(id)?;
    let roles = roles.iter().map(|r| role(*r)).collect();
    let more = proof::issued(dir, comes_with)?;
    let token = comes_with.token || more.is_empty();
    let door = Door::open(dir).await?;
    let (mut new, file) = match of {
        Of::Human => (
            keys::new_human(dir, &id, roles)?,
            Some(keys::person_file(dir, &id)),
        ),
        Of::Service => {
            let file = token.then(|| keys::service_file(dir, &id));
            let kind = PrincipalKind::Service;
            let new = keys::new_machine(&id, kind, roles, None, file.as_deref(), more)?;
            (new, file)
        }
        Of::Agent(owner) => {
            let file = token.then(|| keys::agent_file(dir, &id));
            let kind = PrincipalKind::Agent;
            let new = keys::new_machine(&id, kind, roles, Some(owner), file.as_deref(), more)?;
            (new, file)
        }
    };
    new.attributes = attributes;
    let records = door.submit(As::Admin, Request::AddPrincipal(new)).await?;
    println!("`{id}` added: record {}", records[0].seq);
    if let Some(file) = file {
        proof::say_where(&file);
    }
    door.close()
}

fn list(state: &State, as_json: bool) {
    let mut listing = Listing::new(
        as_json,
        &[
            "principal",
            "kind",
            "roles",
            "groups",
            "owner",
            "attributes",
            "credentials",
            "in force",
        ],
    );
    for (id, p) in &state.principals {
        let kind = match p.kind {
            PrincipalKind::Agent => "agent",
            PrincipalKind::Human => "human",
            PrincipalKind::Service => "service",
        };
        let roles: Vec<_> = p.roles.iter().map(|r| r.word()).collect();
        let groups: Vec<_> = p.groups.keys().map(ToString::to_string).collect();
        let credentials: Vec<_> = p.credentials.iter().map(|c| c.id.to_string()).collect();
        let owner = p
            .owner
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        let value = json!({"id": id, "kind": kind, "roles": roles, "groups": p.groups.keys().collect::<Vec<_>>(), "owner": p.owner,
            "attributes": p.attributes, "credentials": p.credentials, "revoked": p.revoked});
        let force = if p.revoked { "revoked" } else { "yes" };
        listing.row(
            &value,
            vec![
                id.to_string(),
                kind.to_owned(),
                roles.join(" "),
                groups.join(" "),
                owner,
                quorum::words(&p.attributes),
                credentials.join(" "),
                force.to_owned(),
            ],
        );
    }
    listing.print("nobody");
}

fn role(word: RoleWord) -> Role {
    match word {
        RoleWord::Analyst => Role::Analyst,
        RoleWord::Reviewer => Role::Reviewer,
        RoleWord::Executor => Role::Executor,
        RoleWord::Approver => Role::Approver,
        RoleWord::Owner => Role::Owner,
        RoleWord::Auditor => Role::Auditor,
        RoleWord::Intake => Role::Intake,
    }
}

async fn group(command: GroupCommand) -> Result<(), Failure> {
    match command {
        GroupCommand::Create { group, roles, dir } => {
            let mut roles: Vec<_> = roles.iter().map(|r| role(*r)).collect();
            roles.sort();
            roles.dedup();
            let request = CreateGroup {
                group: named(&group)?,
                roles,
            };
            ask(
                &dir.dir,
                Request::CreateGroup(request),
                &format!("group `{group}` made"),
            )
            .await
        }
        GroupCommand::Join { group, id, dir } => {
            let request = JoinGroup {
                group: named(&group)?,
                principal: named(&id)?,
            };
            ask(
                &dir.dir,
                Request::JoinGroup(request),
                &format!("`{id}` joined `{group}`"),
            )
            .await
        }
        GroupCommand::Leave {
            group,
            id,
            reason,
            dir,
        } => {
            let request = LeaveGroup {
                group: named(&group)?,
                principal: named(&id)?,
                reason,
            };
            ask(
                &dir.dir,
                Request::LeaveGroup(request),
                &format!("`{id}` left `{group}`"),
            )
            .await
        }
        GroupCommand::List { dir, form } => {
            let state = super::state_of(&dir.dir)?;
            let mut listing = Listing::new(form.json, &["group", "roles", "members"]);
            for (id, group) in &state.groups {
                let roles: Vec<_> = group.roles.iter().map(|r| r.word()).collect();
                let members = state.principals.iter();
                let members = members.filter(|(_, p)| p.groups.contains_key(id));
                let members: Vec<_> = members.map(|(who, _)| who.to_string()).collect();
                listing.row(
                    &json!({"group": id, "roles": roles, "members": members}),
                    vec![id.to_string(), roles.join(" "), members.join(" ")],
                );
            }
            listing.print("no groups");
            Ok(())
        }
    }
}

/// Asks as the admin, and says what was done.
pub(super) async fn ask(dir: &Path, request: Request, done: &str) -> Result<(), Failure> {
    let door = Door::open(dir).await?;
    let records = door.submit(As::Admin, request).await?;
    println!("{done}: record {}", records[0].seq);
    door.close()
}
