//! `webhook`: who outside is told of approvals and exceptions.

use std::path::Path;

use duty::time::Time;
use engine::clock::{Clock as _, SystemClock};
use serde_json::json;
use store::secret;
use webhook::{Answer, Signer};

use crate::{
    cli::WebhookCommand,
    fail::Failure,
    show::{self, Listing},
};

pub(crate) async fn run(command: WebhookCommand) -> Result<(), Failure> {
    match command {
        WebhookCommand::List { dir, form } => list(&dir.dir, form.json),
        WebhookCommand::Test { name, dir } => test(&dir.dir, &name).await,
        WebhookCommand::Resume { name, from, dir } => resume(&dir.dir, &name, from),
        WebhookCommand::Secret {
            file,
            asymmetric,
            dir,
        } => make(&dir.dir.join(file), asymmetric),
    }
}

fn list(dir: &Path, as_json: bool) -> Result<(), Failure> {
    let receivers = gateway::webhook::receivers(dir).map_err(Failure::usage)?;
    let header = [
        "receiver",
        "url",
        "next record",
        "taken",
        "stands",
        "tried again",
    ];
    let mut listing = Listing::new(as_json, &header);
    for (name, receiver) in receivers {
        let (plan, standing) = (&receiver.plan, &receiver.standing);
        let time = |millis: Option<i64>| millis.map(|m| Time::from_millis(m).to_string());
        let retry_at = standing.as_ref().and_then(|s| time(s.retry_at));
        let (word, next, taken) = match standing {
            None => (
                "new: told what happens from the next start on".to_owned(),
                None,
                0,
            ),
            Some(s) => {
                let word = match (&s.problem, s.gone) {
                    (Some(why), true) => format!("disabled: {why}"),
                    (Some(why), false) => format!("{} attempts failed: {why}", s.failures),
                    (None, _) => "fine".to_owned(),
                };
                (word, Some(s.next), s.delivered)
            }
        };
        let value = json!({
            "receiver": name, "url": plan.shown, "events": plan.events, "environments": plan.environments,
            "public_keys": plan.keys, "next_record": next, "delivered": taken,
            "delivered_at": standing.as_ref().and_then(|s| time(s.delivered_at)),
            "failures": standing.as_ref().map_or(0, |s| s.failures),
            "problem": standing.as_ref().and_then(|s| s.problem.as_ref()),
            "retry_at": retry_at, "disabled": standing.as_ref().is_some_and(|s| s.gone),
        });
        listing.row(
            &value,
            vec![
                name,
                plan.shown.clone(),
                next.map(|n| n.to_string()).unwrap_or_default(),
                taken.to_string(),
                word,
                retry_at.unwrap_or_default(),
            ],
        );
    }
    listing.print("no receivers: `webhooks.toml` of the data directory names them");
    Ok(())
}

async fn test(dir: &Path, name: &str) -> Result<(), Failure> {
    let state = super::state_of(dir)?;
    let origin = state.origin.unwrap_or_default();
    let nonce = &secret::random_token()?[..16];
    let sent = gateway::webhook::test(dir, name, &origin, nonce, SystemClock.now()).await;
    match sent.map_err(Failure::usage)? {
        None => Err(nobody(name)),
        Some(Answer::Taken) => {
            show::line(&format!("`{name}` took it"));
            Ok(())
        }
        Some(Answer::Gone) => Err(Failure::unavailable(format!(
            "`{name}` did not take it: it answers 410, and wants no more"
        ))),
        Some(Answer::Failed { why, .. }) => Err(Failure::unavailable(format!(
            "`{name}` did not take it: {why}"
        ))),
    }
}

fn resume(dir: &Path, name: &str, from: Option<u64>) -> Result<(), Failure> {
    let receivers = gateway::webhook::receivers(dir).map_err(Failure::usage)?;
    if !receivers.contains_key(name) {
        return Err(nobody(name));
    }
    let size = super::state_of(dir)?.size;
    if let Some(from) = from.filter(|from| *from > size) {
        return Err(Failure::usage(format!(
            "there is no record {from}: the log has {size}"
        )));
    }
    if !gateway::webhook::resume(dir, name, from).map_err(Failure::unavailable)? {
        return Err(Failure::usage(format!(
            "no server has come to `{name}` yet: it is told what happens from the next start on"
        )));
    }
    let place = from.map_or_else(String::new, |from| format!(" with record {from}"));
    show::line(&format!("`{name}` goes on{place}"));
    Ok(())
}

fn make(file: &Path, asymmetric: bool) -> Result<(), Failure> {
    if file.exists() {
        return Err(Failure::usage(format!(
            "`{}` is there already; name another file, and let both sign until the receiver knows the new one",
            file.display()
        )));
    }
    let seed = secret::random_seed()?;
    let text = Signer::text_of(&seed, asymmetric);
    secret::write_secret(file, text.as_bytes())?;
    show::line(&format!("wrote {}", file.display()));
    if let Some(public) = Signer::parse(&text).map_err(Failure::unavailable)?.public() {
        show::line(&public);
    }
    Ok(())
}

fn nobody(name: &str) -> Failure {
    Failure::usage(format!("`webhooks.toml` names no receiver `{name}`"))
}
