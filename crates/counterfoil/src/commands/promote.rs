//! `release sign`, `release promote`, `release rollback`: who stands behind what an environment runs.

use std::path::Path;

use duty::{
    canonical::Digest,
    name::Environment,
    request::{Promote, Request},
    state::State,
    statement::{PromotionStatement, ReleaseStatement},
};

use super::release::find;
use crate::{
    cli::Signing,
    door::{As, Door},
    fail::{Failure, named},
    keys::{self, Author},
};

/// Signs a release as its author, unless that is done already.
pub(crate) async fn sign(
    door: &Door,
    state: &State,
    release: Digest,
    author: &Author,
) -> Result<(), Failure> {
    let signed = state.authors.get(&release);
    if signed.is_some_and(|authors| authors.contains(&author.id)) {
        return Ok(());
    }
    let statement = ReleaseStatement {
        statement: ReleaseStatement::TYPE.to_owned(),
        log: state.origin.clone().unwrap_or_default(),
        release,
        signer: author.id.clone(),
        credential: author.credential.clone(),
    };
    let signed = keys::sign(&author.key, statement)?;
    door.submit(As::Admin, Request::SignRelease(signed)).await?;
    Ok(())
}

pub(super) async fn run(
    dir: &Path,
    digest: &str,
    env: &str,
    sign: Option<Signing>,
) -> Result<(), Failure> {
    let door = Door::open(dir).await?;
    let state = super::state_of_door(&door, dir)?;
    let environment: Environment = named(env)?;
    let release = find(&state, digest)?;
    let seq = match sign {
        Some(sign) => {
            let author = Author::of(dir, &sign)?;
            signed(&door, &state, &environment, release, &author, &sign.reason).await?
        }
        None => {
            let request = Request::Promote(Promote {
                environment,
                release,
            });
            door.submit(As::Admin, request).await?[0].seq
        }
    };
    println!(
        "`{env}` points at release {}: record {seq}",
        release.short()
    );
    door.close()
}

pub(super) async fn rollback(dir: &Path, env: &str, sign: Signing) -> Result<(), Failure> {
    let door = Door::open(dir).await?;
    let state = super::state_of_door(&door, dir)?;
    let environment: Environment = named(env)?;
    let before = state.earlier.get(&environment).and_then(|e| e.last());
    let release = *before.ok_or_else(|| {
        Failure::usage(format!(
            "`{env}` has pointed at no other release before; `release list` shows what there is"
        ))
    })?;
    let author = Author::of(dir, &sign)?;
    let seq = signed(&door, &state, &environment, release, &author, &sign.reason).await?;
    println!(
        "`{env}` points at release {} again: record {seq}",
        release.short()
    );
    door.close()
}

/// Signs a promotion that fits what is in force now and the newest control tests; answers its record.
pub(crate) async fn signed(
    door: &Door,
    state: &State,
    env: &Environment,
    release: Digest,
    author: &Author,
    reason: &str,
) -> Result<u64, Failure> {
    let statement = PromotionStatement {
        statement: PromotionStatement::TYPE.to_owned(),
        log: state.origin.clone().unwrap_or_default(),
        env: env.clone(),
        release,
        replaces: state.environments.get(env).copied(),
        tests: state.tested.get(&release).map(|t| t.record),
        reason: reason.to_owned(),
        signer: author.id.clone(),
        credential: author.credential.clone(),
    };
    let signed = keys::sign(&author.key, statement)?;
    let records = door
        .submit(As::Admin, Request::PromoteSigned(signed))
        .await?;
    Ok(records[0].seq)
}
