//! `principal` and `certification`: who may take part, and what they passed.

use std::path::Path;

use duty::{
    name::PrincipalId,
    principal::{PrincipalKind, Role},
    request::{Certify, Request, RevokePrincipal},
    state::State,
};
use engine::clock::{Clock, SystemClock};
use serde_json::json;

use crate::{
    cli::{CertificationCommand, PrincipalCommand, RoleWord},
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
            dir,
        } => add(&dir.dir, &id, service, owner.as_deref(), &roles).await,
        PrincipalCommand::List { dir, form } => {
            let state = super::state_of(&dir.dir)?;
            list(&state, form.json);
            Ok(())
        }
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

async fn add(
    dir: &Path,
    id: &str,
    service: bool,
    owner: Option<&str>,
    roles: &[RoleWord],
) -> Result<(), Failure> {
    let id: PrincipalId = named(id)?;
    let roles = roles.iter().map(|r| role(*r)).collect();
    let door = Door::open(dir).await?;
    let (new, file) = match owner {
        None if service => (
            keys::new_service(dir, &id, roles)?,
            keys::service_file(dir, &id),
        ),
        None => (
            keys::new_human(dir, &id, roles)?,
            keys::person_file(dir, &id),
        ),
        Some(owner) => (
            keys::new_agent(dir, &id, &named(owner)?, roles)?,
            keys::agent_file(dir, &id),
        ),
    };
    let records = door.submit(As::Admin, Request::AddPrincipal(new)).await?;
    println!("`{id}` added: record {}", records[0].seq);
    println!(
        "the secret is in {}; give it to its owner and remove it here",
        file.display()
    );
    door.close()
}

fn list(state: &State, as_json: bool) {
    let mut listing = Listing::new(
        as_json,
        &[
            "principal",
            "kind",
            "roles",
            "owner",
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
        let credentials: Vec<_> = p.credentials.iter().map(|c| c.id.to_string()).collect();
        let owner = p
            .owner
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        let value = json!({"id": id, "kind": kind, "roles": roles, "owner": p.owner,
            "credentials": p.credentials, "revoked": p.revoked});
        let force = if p.revoked { "revoked" } else { "yes" };
        listing.row(
            &value,
            vec![
                id.to_string(),
                kind.to_owned(),
                roles.join(" "),
                owner,
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

pub(crate) async fn certification(command: CertificationCommand) -> Result<(), Failure> {
    match command {
        CertificationCommand::Add {
            person,
            course,
            days,
            dir,
        } => {
            let door = Door::open(&dir.dir).await?;
            let request = Request::Certify(Certify {
                principal: named(&person)?,
                course: named(&course)?,
                expires: SystemClock.now().plus_minutes(days.saturating_mul(24 * 60)),
            });
            let records = door.submit(As::Admin, request).await?;
            println!(
                "`{person}` is certified in `{course}`: record {}",
                records[0].seq
            );
            door.close()
        }
        CertificationCommand::List { dir, form } => {
            let state = super::state_of(&dir.dir)?;
            let mut listing = Listing::new(form.json, &["person", "course", "expires"]);
            for (id, p) in &state.principals {
                for (course, expires) in &p.certifications {
                    listing.row(
                        &json!({"person": id, "course": course, "expires": expires}),
                        vec![id.to_string(), course.to_string(), expires.to_string()],
                    );
                }
            }
            listing.print("nobody is certified");
            Ok(())
        }
    }
}
