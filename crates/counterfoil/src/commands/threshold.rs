//! `threshold`: what is approved in advance, who signed it, what of it is used and what is left.

use duty::{
    Headroom, Line, Share, headroom,
    name::{CredentialId, Environment, PrincipalId},
    release::{Rules, Unit},
    request::Request,
    state::State,
    statement::ThresholdStatement,
};
use engine::clock::{Clock as _, SystemClock};
use policy::Release;
use serde_json::json;

use super::release::which;
use crate::{
    cli::{ThresholdCommand, Which},
    door::{As, Door},
    fail::{Failure, named},
    keys,
    show::{self, Listing},
};

pub(crate) async fn run(command: ThresholdCommand) -> Result<(), Failure> {
    match command {
        ThresholdCommand::List { which: w, form } => list(&w, form.json),
        ThresholdCommand::Show { id, which: w, form } => show(&id, &w, form.json),
        ThresholdCommand::Sign { id, which: w, sign } => {
            let release = which(&w)?;
            let signer: PrincipalId = named(&sign.person)?;
            let file = sign
                .key
                .unwrap_or_else(|| keys::person_file(&w.dir.dir, &signer));
            let key = keys::signing_key(&file)?;
            let door = Door::open(&w.dir.dir).await?;
            let state = super::state_of_door(&door, &w.dir.dir)?;
            sign_threshold(&door, &state, &release, &id, &signer, &key).await?;
            println!("`{id}` signed by `{signer}`");
            door.close()
        }
    }
}

/// How the thresholds of a release stand, in the environments whose release it is, or else in the one that was asked for.
fn standing(w: &Which) -> Result<(std::sync::Arc<Release>, Vec<Headroom>), Failure> {
    let (release, state) = (which(w)?, super::state_of(&w.dir.dir)?);
    let asked: Environment = named(&w.env)?;
    let running = state.environments.iter();
    let running = running.filter(|(_, digest)| **digest == release.digest());
    let mut envs: Vec<_> = running.map(|(env, _)| env.clone()).collect();
    if envs.is_empty() {
        envs.push(asked);
    }
    let now = SystemClock.now();
    let mut found = Vec::new();
    for (threshold, digest) in release.thresholds() {
        for env in &envs {
            found.push(headroom(&state, &*release, (threshold, *digest), env, now));
        }
    }
    Ok((release, found))
}

fn list(w: &Which, as_json: bool) -> Result<(), Failure> {
    let (release, found) = standing(w)?;
    let mut listing = Listing::new(
        as_json,
        &[
            "threshold",
            "env",
            "covers",
            "signed by",
            "used",
            "reserved",
            "left",
            "window",
            "ends",
        ],
    );
    for h in found {
        let limit = release
            .thresholds()
            .iter()
            .find(|(t, _)| t.id == h.threshold);
        let limit = limit.and_then(|(t, _)| Some(t.say(t.single_limit?)));
        let covers = match &h.why_not {
            None => limit.map_or("each".to_owned(), |limit| format!("up to {limit} each")),
            Some(why) => format!("nothing: {why}"),
        };
        let part = |of: fn(Share) -> i64| {
            let sum = h.all.sum.map(|sum| Unit::say(h.unit, of(sum)));
            let sum = sum.map_or(String::new(), |sum| format!(", {sum}"));
            format!("{}{sum}", of(h.all.count))
        };
        listing.row(
            &h,
            vec![
                h.threshold.to_string(),
                h.env.to_string(),
                covers,
                signed(&h),
                part(|share| share.used),
                part(|share| share.reserved),
                format!(
                    "{}{}",
                    part(|share| share.left),
                    if h.all.near { " NEAR" } else { "" }
                ),
                format!("{} min", h.all.window_minutes),
                format!("{}{}", h.expires, if h.ends_soon { " SOON" } else { "" }),
            ],
        );
    }
    listing.print("no thresholds");
    Ok(())
}

fn signed(h: &Headroom) -> String {
    let names = h.signatures.iter().map(|s| match s.lapsed {
        None => s.signer.to_string(),
        Some(_) => format!("{} (lapsed)", s.signer),
    });
    let counted = h.signatures.iter().filter(|s| s.lapsed.is_none()).count();
    let names: Vec<_> = names.collect();
    format!("{counted} of {}: {}", h.need, names.join(" "))
}

fn show(id: &str, w: &Which, as_json: bool) -> Result<(), Failure> {
    let (release, found) = standing(w)?;
    let mut documents = release.thresholds().iter();
    let (threshold, digest) = documents
        .find(|(t, _)| t.id.as_str() == id)
        .ok_or_else(|| no_threshold(id))?;
    let found: Vec<_> = found
        .into_iter()
        .filter(|h| h.threshold == threshold.id)
        .collect();
    if as_json {
        show::json(&json!({"threshold": threshold, "digest": digest, "standing": found}));
        return Ok(());
    }
    show::line(&format!("{}: {}", threshold.id, threshold.title));
    show::line(&format!("  digest        {digest}"));
    show::line(&format!("  owner         {}", threshold.owner));
    show::line(&format!(
        "  covers        {} at {} risk at most{} (clause {})",
        threshold.tool,
        threshold.tier.word(),
        threshold.single_limit.map_or(String::new(), |n| format!(
            ", up to {} each",
            threshold.say(n)
        )),
        threshold.clause
    ));
    show::line(&format!("  where         {}", threshold.scope));
    show::line(&format!(
        "  in force      from {} to {}",
        threshold.starts, threshold.expires
    ));
    show::line(&format!(
        "  near          from {} % of a limit or cap on",
        threshold.near_percent
    ));
    if let Some(split) = &threshold.split {
        let most = threshold.most_of_parts().map(|n| threshold.say(n));
        let many = split.count.map(|n| format!("{n} actions"));
        let most: Vec<_> = most.into_iter().chain(many).collect();
        let key = threshold.key_field.as_ref();
        show::line(&format!(
            "  splitting     over {}{} within {} minutes",
            most.join(" or "),
            key.map_or(String::new(), |key| format!(" for one {key}")),
            split.window_minutes
        ));
    }
    for h in &found {
        show::line(&format!(
            "in `{}`: {}",
            h.env,
            h.why_not.as_deref().unwrap_or("in force")
        ));
        show::line(&format!("  signed by     {}", signed(h)));
        for s in &h.signatures {
            if let Some(why) = &s.lapsed {
                show::line(&format!("                {why}"));
            }
        }
        show::line(&format!(
            "  ends          {}{}",
            h.expires,
            if h.ends_soon { ", SOON" } else { "" }
        ));
        usage("in all", h.unit, &h.all);
        for (key, line) in &h.keys {
            usage(&format!("for `{key}`"), h.unit, line);
        }
    }
    Ok(())
}

fn usage(whose: &str, unit: Option<Unit>, line: &Line) {
    let count = line.count;
    let sum = line.sum.map_or(String::new(), |sum| {
        let say = |amount| Unit::say(unit, amount);
        format!(
            "; sum {} used, {} reserved, {} left of {}",
            say(sum.used),
            say(sum.reserved),
            say(sum.left),
            say(sum.cap)
        )
    });
    show::line(&format!(
        "  {whose}, within {} minutes: {} actions used, {} reserved, {} left of {}{sum}{}",
        line.window_minutes,
        count.used,
        count.reserved,
        count.left,
        count.cap,
        if line.near { "; NEAR" } else { "" }
    ));
}

/// Signs a threshold of a release for one person.
pub(crate) async fn sign_threshold(
    door: &Door,
    state: &State,
    release: &Release,
    id: &str,
    signer: &PrincipalId,
    key: &ed25519_dalek::SigningKey,
) -> Result<(), Failure> {
    let found = release
        .thresholds()
        .iter()
        .find(|(t, _)| t.id.as_str() == id);
    let (threshold, digest) = found.ok_or_else(|| no_threshold(id))?;
    let statement = ThresholdStatement {
        statement: ThresholdStatement::TYPE.to_owned(),
        log: state.origin.clone().unwrap_or_default(),
        threshold: threshold.id.clone(),
        digest: *digest,
        signer: signer.clone(),
        credential: named::<CredentialId>(&format!("{signer}.key-1"))?,
    };
    let signed = keys::sign(key, statement)?;
    door.submit(As::Admin, Request::SignThreshold(signed))
        .await?;
    Ok(())
}

fn no_threshold(id: &str) -> Failure {
    Failure::usage(format!(
        "the release has no threshold `{id}`; `threshold list` shows them"
    ))
}
