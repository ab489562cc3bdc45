//! `approval`: what waits for humans, and their signatures.

use std::path::{Path, PathBuf};

use duty::{
    canonical::to_vec,
    name::{CredentialId, ItemId, PrincipalId},
    request::Request,
    signature::Signature,
    statement::{Choice, Signed, WithdrawalStatement},
    time::Time,
};
use engine::{
    Waiting,
    clock::{Clock as _, SystemClock},
};

use crate::{
    cli::{ApprovalCommand, Otherwise, Signing, Standing},
    commands::credential::{read, with_ssh_key},
    door::{As, Door},
    fail::{Failure, named},
    keys::{self, Author},
    show::{self, Listing},
    ssh,
};

pub(crate) async fn run(command: ApprovalCommand) -> Result<(), Failure> {
    match command {
        ApprovalCommand::List { dir, form } => {
            let door = Door::open(&dir.dir).await?;
            let mut listing = Listing::new(
                form.json,
                &["approval", "subject", "tier", "action", "signed", "expires"],
            );
            for waiting in door.docket()? {
                listing.row(&waiting, cells(&waiting));
            }
            listing.print("nothing waits for a human");
            door.close()
        }
        ApprovalCommand::Show { id, dir, form } => {
            let door = Door::open(&dir.dir).await?;
            let waiting = door.waiting(&named::<ItemId>(&id)?)?;
            if form.json {
                show::json(&waiting);
            } else {
                describe(&waiting);
            }
            door.close()
        }
        ApprovalCommand::Approve {
            id,
            dir,
            sign,
            otherwise,
            standing,
            overrides,
        } => {
            let how = How {
                otherwise,
                standing,
                choice: Choice::Approve,
                overrides,
            };
            decide(&dir.dir, &id, &sign, &how).await
        }
        ApprovalCommand::BreakGlass { id, dir, sign } => {
            super::glass::break_it(&dir.dir, &id, &sign).await
        }
        ApprovalCommand::Reject {
            id,
            dir,
            sign,
            otherwise,
            standing,
        } => {
            let how = How {
                otherwise,
                standing,
                choice: Choice::Reject,
                overrides: true,
            };
            decide(&dir.dir, &id, &sign, &how).await
        }
        ApprovalCommand::Withdraw { id, dir, sign } => withdraw(&dir.dir, &id, &sign).await,
    }
}

/// What is decided, and how it is signed.
struct How {
    otherwise: Otherwise,
    standing: Standing,
    choice: Choice,
    /// Whether going against the agents is meant.
    overrides: bool,
}

async fn withdraw(dir: &Path, id: &str, sign: &Signing) -> Result<(), Failure> {
    let author = Author::of(dir, sign)?;
    let approval: ItemId = named(id)?;
    let door = Door::open(dir).await?;
    let state = super::state_of_door(&door, dir)?;
    let case = approval.case().and_then(|case| state.cases.get(&case));
    let asked = case.and_then(|case| case.approval.as_ref());
    let asked = asked.filter(|a| a.id == approval).ok_or_else(|| {
        Failure::usage(format!(
            "no open case asked for `{id}`; `approval list` shows what waits"
        ))
    })?;
    let statement = WithdrawalStatement {
        statement: WithdrawalStatement::TYPE.to_owned(),
        log: state.origin.clone().unwrap_or_default(),
        approval,
        action: asked.digest,
        reason: sign.reason.clone(),
        signer: author.id,
        credential: author.credential,
    };
    let signed = keys::sign(&author.key, statement)?;
    let records = door.submit(As::Engine, Request::Withdraw(signed)).await?;
    for record in &records {
        show::line(&format!(
            "record {}: {}",
            record.seq,
            evidence::describe(record)
        ));
    }
    door.close()
}

async fn decide(dir: &Path, id: &str, sign: &Signing, how: &How) -> Result<(), Failure> {
    let (choice, standing) = (how.choice, &how.standing);
    let signer: PrincipalId = named(&sign.person)?;
    let way = Way::of(dir, &signer, sign, &how.otherwise)?;
    let door = Door::open(dir).await?;
    let waiting = door.waiting(&named::<ItemId>(id)?)?;
    let digest = waiting.action.digest().map_err(Failure::usage)?;
    if digest != waiting.digest {
        return Err(Failure::check(format!(
            "the action shown has the digest {digest}, and {} is asked to be signed; nothing was signed",
            waiting.digest
        )));
    }
    if choice == Choice::Approve && waiting.yes_overrides && !how.overrides {
        return Err(Failure::usage(
            "an agent recommends against this: to approve it all the same, add `--override` and `--reason`",
        ));
    }
    let credential = match &way {
        Way::Key(_) => named(&format!("{signer}.key-1"))?,
        Way::Ssh(file) => with_ssh_key(&super::state_of_door(&door, dir)?, &signer, file)?,
        Way::Elsewhere(credential, _) => credential.clone(),
    };
    let signed = match &how.otherwise.signed {
        Some(time) => named::<Time>(time)?,
        None => SystemClock.now(),
    };
    let mut statement = waiting.statement(signed, choice, &sign.reason, signer.clone(), credential);
    statement.stage = standing.stage.as_deref().map(named).transpose()?;
    statement.on_behalf = standing.on_behalf.as_deref().map(named).transpose()?;
    statement.code = standing.code.as_deref().map(named).transpose()?;
    let overriding = statement.overrides;
    if overriding && statement.code.is_none() && !waiting.codes.is_empty() {
        let codes: Vec<_> = waiting.codes.iter().map(|c| c.as_str()).collect();
        return Err(Failure::usage(format!(
            "this goes against the agents: add `--code` with one of {}, and `--reason`",
            codes.join(", ")
        )));
    }
    let signed = match way {
        Way::Key(key) => keys::sign(&key, statement)?,
        Way::Ssh(file) => {
            let bytes = to_vec(&statement).map_err(Failure::usage)?;
            let signature = Signature::Text(ssh::sign(&file, &bytes)?);
            Signed {
                statement,
                signature,
            }
        }
        Way::Elsewhere(_, Some(signature)) => Signed {
            statement,
            signature,
        },
        Way::Elsewhere(_, None) => {
            let bytes = to_vec(&statement).map_err(Failure::usage)?;
            println!("{}", ssh::how_to_sign(&bytes));
            eprintln!(
                "nothing was recorded: sign the statement, with these two commands or otherwise, then come again with the same words and `--signed {signed} --signature statement.json.sig`"
            );
            return door.close();
        }
    };
    let records = door.submit(As::Engine, Request::Approve(signed)).await?;
    let word = match choice {
        Choice::Approve => "approved",
        Choice::Reject => "rejected",
    };
    let what = if overriding {
        ", against the agents"
    } else {
        ""
    };
    println!("{id} {word} by {signer}{what}: record {}", records[0].seq);
    door.go_on().await?;
    door.close()
}

/// How it is signed.
enum Way {
    /// Here, with a key file of ours.
    Key(ed25519_dalek::SigningKey),
    /// Here, with an SSH key.
    Ssh(PathBuf),
    /// Elsewhere; the signature, where it is made already.
    Elsewhere(CredentialId, Option<Signature>),
}

impl Way {
    fn of(
        dir: &Path,
        signer: &PrincipalId,
        sign: &Signing,
        otherwise: &Otherwise,
    ) -> Result<Self, Failure> {
        if let Some(file) = &otherwise.ssh {
            return Ok(Self::Ssh(file.clone()));
        }
        if let Some(credential) = &otherwise.credential {
            let signature = otherwise.signature.as_deref().map(read).transpose()?;
            return Ok(Self::Elsewhere(named(credential)?, signature));
        }
        let key = sign.key.clone();
        let key = key.unwrap_or_else(|| keys::person_file(dir, signer));
        Ok(Self::Key(keys::signing_key(&key)?))
    }
}

fn cells(w: &Waiting) -> Vec<String> {
    vec![
        w.approval.to_string(),
        w.subject.clone(),
        w.tier.word().to_owned(),
        show::action(&w.action),
        format!("{} of {}", w.have.len(), w.humans),
        w.expires.to_string(),
    ]
}

fn signed_by(yes: &duty::state::Yes) -> String {
    match &yes.on_behalf {
        Some(root) => format!("{} for {root}", yes.who),
        None => yes.who.to_string(),
    }
}

fn describe(w: &Waiting) {
    println!("approval  {}", w.approval);
    println!("subject   {} (case {}, {})", w.subject, w.case, w.env);
    println!("tier      {}", w.tier.word());
    println!("action    {}", w.action.tool);
    for (name, value) in &w.action.arguments {
        println!("            {name} = {value}");
    }
    println!("digest    {}", w.digest);
    for (who, made) in [("analyst", &w.prepared), ("reviewer", &w.reviewed)] {
        let Some(made) = made else { continue };
        println!(
            "{who:<9} {} with {} % confidence: {}",
            made.stance.word(),
            made.confidence,
            made.rationale
        );
        let clauses: Vec<_> = made.clauses.iter().map(|c| c.id.as_str()).collect();
        println!("            cites {}", clauses.join(", "));
    }
    let have: Vec<_> = w.have.iter().map(ToString::to_string).collect();
    println!(
        "signed    {} of {} {}",
        w.have.len(),
        w.humans,
        have.join(", ")
    );
    for stage in &w.stages {
        let name = stage.name.as_ref().map_or("", |name| name.as_str());
        let have: Vec<_> = stage.have.iter().map(signed_by).collect();
        let may: Vec<_> = stage.may.iter().map(ToString::to_string).collect();
        let stands = match (stage.open, have.len() >= stage.humans as usize) {
            (_, true) => "complete".to_owned(),
            (true, _) if may.is_empty() => "open; nobody who may sign is left".to_owned(),
            (true, _) => format!("open; may sign: {}", may.join(", ")),
            (false, _) => "not open yet".to_owned(),
        };
        println!(
            "stage     {name}{}{} of {} {}, certified in `{}` ({}): {stands}",
            if name.is_empty() { "" } else { ": " },
            have.len(),
            stage.humans,
            stage.who,
            stage.certification,
            stage.clause
        );
        if !have.is_empty() {
            println!("            {}", have.join(", "));
        }
    }
    println!("expires   {}", w.expires);
    if !w.codes.is_empty() && (w.yes_overrides || w.no_overrides) {
        let codes: Vec<_> = w.codes.iter().map(|c| c.as_str()).collect();
        println!("codes     an override carries one of {}", codes.join(", "));
    }
    if w.yes_overrides {
        println!("An agent recommends against it: a yes is an override and needs a reason.");
    }
}
