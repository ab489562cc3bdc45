//! `hold` and `erase`: what is kept of a data subject, and its end.

use std::path::Path;

use duty::{
    name::{CredentialId, PrincipalId},
    request::Request,
    state::{Asked, Hold, State},
    statement::{ConfirmationStatement, ErasureStatement, HoldStatement, LiftStatement, Statement},
    subject::SubjectId,
};
use serde::Serialize;
use serde_json::json;

use crate::{
    cli::{EraseCommand, HoldCommand, Signing},
    door::{As, Door},
    fail::{Failure, named},
    keys,
    show::Listing,
};

pub(crate) async fn hold(command: HoldCommand) -> Result<(), Failure> {
    match command {
        HoldCommand::List { dir, form } => {
            let state = super::state_of(&dir.dir)?;
            let mut listing = Listing::new(
                form.json,
                &["record", "subject", "by", "placed", "clause", "reason"],
            );
            for (subject, holds) in &state.holds {
                for (record, hold) in holds {
                    list_hold(&mut listing, *subject, *record, hold);
                }
            }
            listing.print("no hold is in force");
            Ok(())
        }
        HoldCommand::Place {
            subject,
            clause,
            dir,
            sign,
        } => {
            let desk = Desk::open(&dir.dir, &sign).await?;
            let subject = desk.subject(&subject);
            let statement = HoldStatement {
                statement: HoldStatement::TYPE.to_owned(),
                log: desk.log(),
                subject,
                reason: sign.reason.clone(),
                clause,
                signer: desk.signer.clone(),
                credential: desk.credential.clone(),
            };
            let record = desk.submit(statement, Request::PlaceHold).await?;
            println!(
                "data subject {subject} is under legal hold by record {record}, placed by {}",
                desk.signer
            );
            desk.door.close()
        }
        HoldCommand::Lift { record, dir, sign } => {
            let desk = Desk::open(&dir.dir, &sign).await?;
            let mut holds = desk.state.holds.iter();
            let found = holds.find(|(_, holds)| holds.contains_key(&record));
            let (subject, _) = found.ok_or_else(|| {
                Failure::usage(format!(
                    "record {record} placed no hold that is in force; `hold list` shows those that are"
                ))
            })?;
            let statement = LiftStatement {
                statement: LiftStatement::TYPE.to_owned(),
                log: desk.log(),
                subject: *subject,
                hold: record,
                reason: sign.reason.clone(),
                signer: desk.signer.clone(),
                credential: desk.credential.clone(),
            };
            let subject = *subject;
            let lifted = desk.submit(statement, Request::LiftHold).await?;
            println!(
                "the hold of record {record} on data subject {subject} is lifted: record {lifted}"
            );
            desk.door.close()
        }
    }
}

pub(crate) async fn erase(command: EraseCommand) -> Result<(), Failure> {
    match command {
        EraseCommand::List { dir, form } => {
            let state = super::state_of(&dir.dir)?;
            let header = ["record", "subject", "state", "by", "when", "reason"];
            let mut listing = Listing::new(form.json, &header);
            for (subject, asked) in &state.asked {
                list_asked(&mut listing, *subject, asked);
            }
            for (subject, record) in &state.erased {
                listing.row(
                    &json!({ "record": record, "subject": subject, "state": "erased" }),
                    vec![
                        record.to_string(),
                        subject.to_string(),
                        "erased".to_owned(),
                        String::new(),
                        String::new(),
                        String::new(),
                    ],
                );
            }
            listing.print("nobody has asked for an erasure");
            Ok(())
        }
        EraseCommand::Request { subject, dir, sign } => {
            let desk = Desk::open(&dir.dir, &sign).await?;
            let subject = desk.subject(&subject);
            let statement = ErasureStatement {
                statement: ErasureStatement::TYPE.to_owned(),
                log: desk.log(),
                subject,
                reason: sign.reason.clone(),
                signer: desk.signer.clone(),
                credential: desk.credential.clone(),
            };
            let cases = desk.state.subjects.get(&subject).map_or(0, |s| s.ended);
            let record = desk.submit(statement, Request::RequestErasure).await?;
            println!(
                "{} asks to erase data subject {subject}, of {cases} ended cases: record {record}\nanother owner or approver confirms it: counterfoil erase confirm {subject} --as PERSON --reason WHY",
                desk.signer
            );
            desk.door.close()
        }
        EraseCommand::Confirm { subject, dir, sign } => {
            let desk = Desk::open(&dir.dir, &sign).await?;
            let subject = desk.subject(&subject);
            let asked = desk.state.asked.get(&subject).ok_or_else(|| {
                Failure::usage(format!(
                    "nobody has asked to erase data subject {subject}; `erase list` shows what waits"
                ))
            })?;
            let statement = ConfirmationStatement {
                statement: ConfirmationStatement::TYPE.to_owned(),
                log: desk.log(),
                subject,
                request: asked.record,
                reason: sign.reason.clone(),
                signer: desk.signer.clone(),
                credential: desk.credential.clone(),
            };
            let by = asked.by.clone();
            let record = desk.submit(statement, Request::ConfirmErasure).await?;
            println!(
                "data subject {subject} is erased under record {}, by {by} and {}",
                record + 1,
                desk.signer
            );
            desk.door.close()
        }
    }
}

fn list_hold(listing: &mut Listing, subject: SubjectId, record: u64, hold: &Hold) {
    let clause = hold.clause.clone().unwrap_or_default();
    listing.row(
        &json!({
            "record": record,
            "subject": subject,
            "by": hold.by,
            "placed": hold.placed,
            "clause": hold.clause,
            "reason": hold.reason,
        }),
        vec![
            record.to_string(),
            subject.to_string(),
            hold.by.to_string(),
            hold.placed.to_string(),
            clause,
            hold.reason.clone(),
        ],
    );
}

fn list_asked(listing: &mut Listing, subject: SubjectId, asked: &Asked) {
    listing.row(
        &json!({
            "record": asked.record,
            "subject": subject,
            "state": "asked",
            "by": asked.by,
            "when": asked.time,
            "reason": asked.reason,
        }),
        vec![
            asked.record.to_string(),
            subject.to_string(),
            "waits for another person".to_owned(),
            asked.by.to_string(),
            asked.time.to_string(),
            asked.reason.clone(),
        ],
    );
}

/// Who signs here, and what the log says.
struct Desk {
    door: Door,
    state: State,
    signer: PrincipalId,
    credential: CredentialId,
    key: ed25519_dalek::SigningKey,
}

impl Desk {
    async fn open(dir: &Path, sign: &Signing) -> Result<Self, Failure> {
        let signer: PrincipalId = named(&sign.person)?;
        let file = sign.key.clone();
        let file = file.unwrap_or_else(|| keys::person_file(dir, &signer));
        let key = keys::signing_key(&file)?;
        let door = Door::open(dir).await?;
        let state = super::state_of_door(&door, dir)?;
        let credential = named(&format!("{signer}.key-1"))?;
        Ok(Self {
            door,
            state,
            signer,
            credential,
            key,
        })
    }

    fn log(&self) -> String {
        self.state.origin.clone().unwrap_or_default()
    }

    /// A subject as its cases name it, or by its id.
    fn subject(&self, text: &str) -> SubjectId {
        let by_id = text.parse().ok();
        let known = by_id.filter(|id| {
            let State {
                subjects,
                holds,
                erased,
                ..
            } = &self.state;
            subjects.contains_key(id) || holds.contains_key(id) || erased.contains_key(id)
        });
        known.unwrap_or_else(|| SubjectId::of(&self.log(), text))
    }

    /// Signs and submits; answers the first record.
    async fn submit<T: Statement + Serialize>(
        &self,
        statement: T,
        request: fn(duty::statement::Signed<T>) -> Request,
    ) -> Result<u64, Failure> {
        let signed = keys::sign(&self.key, statement)?;
        let records = self.door.submit(As::Engine, request(signed)).await?;
        Ok(records[0].seq)
    }
}
