//! `delegation`: who may sign approvals for whom.

use std::path::Path;

use duty::{
    principal::Role,
    request::Request,
    statement::{DelegationEndStatement, DelegationStatement},
};
use engine::clock::{Clock, SystemClock};
use serde_json::json;

use crate::{
    cli::{DelegationCommand, Signing},
    door::{As, Door},
    fail::{Failure, named},
    keys::{self, Author},
    show::{self, Listing},
};

pub(crate) async fn run(command: DelegationCommand) -> Result<(), Failure> {
    match command {
        DelegationCommand::Add {
            deputy,
            days,
            from,
            dir,
            sign,
        } => add(&dir.dir, &deputy, days, from.as_deref(), &sign).await,
        DelegationCommand::List { dir, form } => {
            let state = super::state_of(&dir.dir)?;
            let now = SystemClock.now();
            let mut listing = Listing::new(
                form.json,
                &["record", "deputy", "for", "role", "from", "until", ""],
            );
            for (record, d) in state.delegations.iter().filter(|(_, d)| now < d.until) {
                let stands = match (d.ended, d.in_force(now)) {
                    (true, _) => "ended",
                    (false, true) => "in force",
                    (false, false) => "not yet",
                };
                listing.row(
                    &json!({"record": record, "deputy": d.deputy, "delegator": d.delegator, "role": d.role,
                        "starts": d.starts, "until": d.until, "reason": d.reason, "stands": stands}),
                    vec![
                        record.to_string(),
                        d.deputy.to_string(),
                        d.delegator.to_string(),
                        d.role.word().to_owned(),
                        d.starts.to_string(),
                        d.until.to_string(),
                        stands.to_owned(),
                    ],
                );
            }
            listing.print("nobody signs for anybody");
            Ok(())
        }
        DelegationCommand::End { record, dir, sign } => end(&dir.dir, record, &sign).await,
    }
}

async fn add(
    dir: &Path,
    deputy: &str,
    days: u32,
    from: Option<&str>,
    sign: &Signing,
) -> Result<(), Failure> {
    let author = Author::of(dir, sign)?;
    let starts = match from {
        Some(time) => time.parse().map_err(Failure::usage)?,
        None => SystemClock.now(),
    };
    let door = Door::open(dir).await?;
    let statement = DelegationStatement {
        statement: DelegationStatement::TYPE.to_owned(),
        log: super::state_of_door(&door, dir)?.origin.unwrap_or_default(),
        deputy: named(deputy)?,
        role: Role::Approver,
        starts,
        until: starts.plus_minutes(days.saturating_mul(24 * 60)),
        reason: sign.reason.clone(),
        signer: author.id,
        credential: author.credential,
    };
    let until = statement.until;
    let signed = keys::sign(&author.key, statement)?;
    let records = door.submit(As::Engine, Request::Delegate(signed)).await?;
    show::line(&format!(
        "`{deputy}` may sign for `{}` until {until}: record {}",
        sign.person, records[0].seq
    ));
    door.close()
}

async fn end(dir: &Path, record: u64, sign: &Signing) -> Result<(), Failure> {
    let author = Author::of(dir, sign)?;
    let door = Door::open(dir).await?;
    let statement = DelegationEndStatement {
        statement: DelegationEndStatement::TYPE.to_owned(),
        log: super::state_of_door(&door, dir)?.origin.unwrap_or_default(),
        delegation: record,
        reason: sign.reason.clone(),
        signer: author.id,
        credential: author.credential,
    };
    let signed = keys::sign(&author.key, statement)?;
    let records = door
        .submit(As::Engine, Request::EndDelegation(signed))
        .await?;
    show::line(&format!(
        "the delegation of record {record} is over: record {}",
        records[0].seq
    ));
    door.close()
}
