//! `approval break-glass` and `glass`: emergencies, and their review.

use std::path::Path;

use duty::{
    name::ItemId,
    request::Request,
    statement::{GlassReviewStatement, GlassStatement},
};
use serde_json::json;

use crate::{
    cli::{GlassCommand, Signing},
    door::{As, Door},
    fail::{Failure, named},
    keys::{self, Author},
    show::{self, Listing},
};

pub(crate) async fn run(command: GlassCommand) -> Result<(), Failure> {
    match command {
        GlassCommand::List { dir, form } => {
            let state = super::state_of(&dir.dir)?;
            let mut listing =
                Listing::new(form.json, &["grant", "signed by", "since", "review by", ""]);
            for (grant, glass) in &state.glass {
                let signers: Vec<_> = glass.signers.iter().map(ToString::to_string).collect();
                listing.row(
                    &json!({"grant": grant, "signers": signers, "broken": glass.broken, "review_by": glass.review_by, "overdue": glass.overdue}),
                    vec![
                        grant.to_string(),
                        signers.join(" "),
                        glass.broken.to_string(),
                        glass.review_by.to_string(),
                        if glass.overdue { "OVERDUE" } else { "" }.to_owned(),
                    ],
                );
            }
            listing.print("no emergency waits for its review");
            Ok(())
        }
        GlassCommand::Review {
            grant,
            unjustified,
            dir,
            sign,
        } => review(&dir.dir, &grant, !unjustified, &sign).await,
    }
}

async fn review(dir: &Path, grant: &str, justified: bool, sign: &Signing) -> Result<(), Failure> {
    let author = Author::of(dir, sign)?;
    let door = Door::open(dir).await?;
    let state = super::state_of_door(&door, dir)?;
    let statement = GlassReviewStatement {
        statement: GlassReviewStatement::TYPE.to_owned(),
        log: state.origin.clone().unwrap_or_default(),
        grant: named::<ItemId>(grant)?,
        justified,
        finding: sign.reason.clone(),
        signer: author.id,
        credential: author.credential,
    };
    let signed = keys::sign(&author.key, statement)?;
    let records = door
        .submit(As::Engine, Request::ReviewGlass(signed))
        .await?;
    show::line(&format!(
        "the emergency of {grant} is reviewed: record {}",
        records[0].seq
    ));
    door.close()
}

pub(super) async fn break_it(dir: &Path, id: &str, sign: &Signing) -> Result<(), Failure> {
    let author = Author::of(dir, sign)?;
    let door = Door::open(dir).await?;
    let waiting = door.waiting(&named::<ItemId>(id)?)?;
    let statement = GlassStatement {
        statement: GlassStatement::TYPE.to_owned(),
        log: waiting.log,
        approval: waiting.approval,
        case: waiting.case,
        action: waiting.digest,
        release: waiting.release,
        env: waiting.env,
        expires: waiting.expires,
        reason: sign.reason.clone(),
        signer: author.id,
        credential: author.credential,
    };
    let signed = keys::sign(&author.key, statement)?;
    let records = door.submit(As::Engine, Request::BreakGlass(signed)).await?;
    for record in &records {
        show::line(&format!(
            "record {}: {}",
            record.seq,
            evidence::describe(record)
        ));
    }
    door.go_on().await?;
    door.close()
}
