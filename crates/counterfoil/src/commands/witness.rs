//! `witness`: cosigns the checkpoints of logs that it was told of, on any machine.

use std::sync::Arc;

use engine::clock::{Clock as _, SystemClock};
use ledger::Verifier;
use witness::{Keeper, server};

use crate::{
    cli::Witness,
    fail::Failure,
    listen,
    serve::{Ending, listen},
    show,
};

pub(crate) async fn run(witness: Witness) -> Result<(), Failure> {
    let dir = &witness.dir;
    if let Some(name) = &witness.name {
        Keeper::init(dir, name).map_err(Failure::usage)?;
    }
    for log in &witness.logs {
        let vkey = super::key_text(log)?;
        let log = Verifier::from_vkey(&vkey).map_err(Failure::usage)?;
        Keeper::know(dir, &log).map_err(Failure::unavailable)?;
    }
    let keeper = Keeper::open(dir).map_err(|e| {
        Failure::unavailable(format!(
            "{e}; make a witness here with `--name example.com/witness`"
        ))
    })?;
    show::line(&format!("witness key: {}", keeper.witness()));
    for (origin, size) in keeper.known() {
        show::line(&format!("log {origin}: cosigned up to {size} records"));
    }
    let Some(at) = witness.listen else {
        return Ok(());
    };
    let listener = listen(at).await?;
    let ending = Ending::caught()?;
    show::line(&format!("serving {}", crate::serve::url(&listener, false)?));
    let app = server::router(Arc::new(keeper), seconds);
    let connections = listen::room(None).map_err(Failure::unavailable)?;
    listen::serve(listener, None, app, connections, ending.asked()).await;
    Ok(())
}

/// Seconds since 1970.
pub(crate) fn seconds() -> u64 {
    u64::try_from(SystemClock.now().millis() / 1000).unwrap_or(0)
}
