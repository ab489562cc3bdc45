//! `exception`: what a human must look at.

use duty::{
    name::{CredentialId, ItemId, PrincipalId},
    request::Request,
    statement::TriageStatement,
};

use crate::{
    cli::ExceptionCommand,
    door::{As, Door},
    fail::{Failure, named},
    keys,
    show::Listing,
};

pub(crate) async fn run(command: ExceptionCommand) -> Result<(), Failure> {
    match command {
        ExceptionCommand::List { dir, all, form } => {
            let source =
                evidence::open(&dir.dir.display().to_string()).map_err(Failure::unavailable)?;
            let lines = evidence::exceptions(&*source).map_err(Failure::unavailable)?;
            let mut listing = Listing::new(
                form.json,
                &["exception", "sort", "raised", "what", "triaged"],
            );
            for line in lines.iter().filter(|l| all || l.triage.is_none()) {
                let triaged = line
                    .triage
                    .as_ref()
                    .map(|t| format!("{}: {}", t.by, t.finding));
                listing.row(
                    line,
                    vec![
                        line.id.to_string(),
                        line.sort.to_owned(),
                        line.raised.to_string(),
                        line.text.clone(),
                        triaged.unwrap_or_default(),
                    ],
                );
            }
            listing.print("no exceptions wait");
            Ok(())
        }
        ExceptionCommand::Triage { id, dir, sign } => {
            let signer: PrincipalId = named(&sign.person)?;
            let file = sign
                .key
                .unwrap_or_else(|| keys::person_file(&dir.dir, &signer));
            let key = keys::signing_key(&file)?;
            let door = Door::open(&dir.dir).await?;
            let state = super::state_of_door(&door, &dir.dir)?;
            let statement = TriageStatement {
                statement: TriageStatement::TYPE.to_owned(),
                log: state.origin.clone().unwrap_or_default(),
                exception: named::<ItemId>(&id)?,
                finding: sign.reason,
                signer: signer.clone(),
                credential: named::<CredentialId>(&format!("{signer}.key-1"))?,
            };
            let signed = keys::sign(&key, statement)?;
            let records = door.submit(As::Engine, Request::Triage(signed)).await?;
            println!("{id} triaged by {signer}: record {}", records[0].seq);
            door.close()
        }
    }
}
