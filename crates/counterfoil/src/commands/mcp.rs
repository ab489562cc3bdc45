//! `mcp`: the bridge for clients that speak MCP over stdin and stdout. Nothing but the protocol goes to stdout.

use std::path::PathBuf;

use duty::name::Environment;
use gateway::bridge::{Bridge, Certificate, Shown, Token};
use store::secret;
use tokio::io::{BufReader, stdin, stdout};

use crate::{
    cli::Mcp,
    fail::{Failure, named},
    tls,
};

pub(crate) async fn run(mcp: Mcp) -> Result<(), Failure> {
    let environment: Option<Environment> = mcp.environment.as_deref().map(named).transpose()?;
    let token = mcp.token_file.map(token_of);
    if let Some(token) = &token {
        token().map_err(Failure::usage)?;
    }
    let certificate = mcp.certificate.zip(mcp.key);
    let certificate = certificate
        .map(|(chain, key)| -> Certificate { Box::new(move || tls::of_client(&chain, &key)) });
    let shown = Shown { token, certificate };
    let bridge = Bridge::new(&mcp.url, environment.as_ref(), shown).map_err(Failure::usage)?;
    let carried = bridge.run(BufReader::new(stdin()), stdout()).await;
    carried.map_err(|e| Failure::unavailable(format!("the client is gone: {e}")))
}

/// The token in a file.
fn token_of(file: PathBuf) -> Token {
    Box::new(move || {
        let token = secret::read_secret(&file).map_err(|e| format!("the agent's token: {e}"))?;
        let token = str::from_utf8(&token).unwrap_or_default().trim();
        match token {
            "" => Err(format!("`{}` holds no token", file.display())),
            token => Ok(token.to_owned()),
        }
    })
}
