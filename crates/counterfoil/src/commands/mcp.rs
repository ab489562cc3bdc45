//! `mcp`: the bridge for clients that speak MCP over stdin and stdout. Nothing but the protocol goes to stdout.

use duty::name::Environment;
use gateway::bridge::{Bridge, Token};
use store::secret;
use tokio::io::{BufReader, stdin, stdout};

use crate::{
    cli::Mcp,
    fail::{Failure, named},
};

pub(crate) async fn run(mcp: Mcp) -> Result<(), Failure> {
    let environment: Option<Environment> = mcp.environment.as_deref().map(named).transpose()?;
    let file = mcp.token_file;
    let token: Token = Box::new(move || {
        let token = secret::read_secret(&file).map_err(|e| format!("the agent's token: {e}"))?;
        let token = str::from_utf8(&token).unwrap_or_default().trim();
        match token {
            "" => Err(format!("`{}` holds no token", file.display())),
            token => Ok(token.to_owned()),
        }
    });
    token().map_err(Failure::usage)?;
    let bridge = Bridge::new(&mcp.url, environment.as_ref(), token).map_err(Failure::usage)?;
    let carried = bridge.run(BufReader::new(stdin()), stdout()).await;
    carried.map_err(|e| Failure::unavailable(format!("the client is gone: {e}")))
}
