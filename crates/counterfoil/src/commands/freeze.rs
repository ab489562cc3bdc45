//! `freeze` and `unfreeze`: the out-of-band stop.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use duty::{
    freeze::Scope,
    request::{Freeze as Order, Request},
    statement::UnfreezeStatement,
};
use engine::stop;
use serde_json::json;

use crate::{
    cli::{Freeze, Signing},
    door::{As, Door},
    fail::{Failure, named},
    keys::{self, Author},
    show::Listing,
    site::Site,
};

/// How long a running server may take to record an order before the command stops waiting for it.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) async fn freeze(freeze: &Freeze) -> Result<(), Failure> {
    let dir = &freeze.dir.dir;
    let Some(scope) = scope(freeze)? else {
        return list(dir, freeze.form.json);
    };
    if freeze.reason.trim().len() < 3 {
        return Err(Failure::usage("say why: `--reason`, in a few words"));
    }
    if !dir.is_dir() {
        return Err(Failure::usage(format!(
            "`{}` is no data directory",
            dir.display()
        )));
    }
    let order = Order {
        scope: scope.clone(),
        reason: freeze.reason.clone(),
    };
    let file = stop::order(dir, &order)
        .map_err(|e| Failure::unavailable(format!("the order could not be written: {e}")))?;
    // Whoever runs on the directory takes it before the next step; where nobody does, this command takes it itself.
    if let Ok(site) = Site::open(dir).await {
        site.engine.take_orders().await?;
        site.close()?;
    }
    let since = Instant::now();
    while file.exists() && since.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    if file.exists() {
        return Err(Failure::unavailable(format!(
            "{scope} is ordered to stop by `{}`: nothing is decided before that is recorded, and it is not recorded yet",
            file.display()
        )));
    }
    println!("{scope} is frozen");
    Ok(())
}

fn scope(freeze: &Freeze) -> Result<Option<Scope>, Failure> {
    let scope = match (freeze.everything, &freeze.agent, &freeze.team, &freeze.tool) {
        (true, ..) => Scope::Everything,
        (_, Some(agent), ..) => Scope::Agent {
            agent: named(agent)?,
        },
        (_, _, Some(team), _) => Scope::Team { team: team.clone() },
        (_, _, _, Some(tool)) => Scope::Tool { tool: tool.clone() },
        _ => return Ok(None),
    };
    Ok(Some(scope))
}

fn list(dir: &Path, as_json: bool) -> Result<(), Failure> {
    let state = super::state_of(dir)?;
    let mut listing = Listing::new(as_json, &["record", "what", "since", "by", "why"]);
    for (record, freeze) in &state.freezes {
        listing.row(
            &json!({"record": record, "scope": freeze.scope, "placed": freeze.placed, "by": freeze.by, "reason": freeze.reason}),
            vec![
                record.to_string(),
                freeze.scope.to_string(),
                freeze.placed.to_string(),
                freeze.by.to_string(),
                freeze.reason.clone(),
            ],
        );
    }
    listing.print("nothing is frozen");
    Ok(())
}

pub(crate) async fn unfreeze(dir: &Path, freeze: u64, sign: &Signing) -> Result<(), Failure> {
    let author = Author::of(dir, sign)?;
    let door = Door::open(dir).await?;
    let state = super::state_of_door(&door, dir)?;
    let statement = UnfreezeStatement {
        statement: UnfreezeStatement::TYPE.to_owned(),
        log: state.origin.clone().unwrap_or_default(),
        freeze,
        reason: sign.reason.clone(),
        signer: author.id,
        credential: author.credential,
    };
    let signed = keys::sign(&author.key, statement)?;
    let records = door.submit(As::Admin, Request::Unfreeze(signed)).await?;
    println!(
        "the freeze of record {freeze} is lifted: record {}",
        records[0].seq
    );
    door.close()
}
