//! `treasury --db FILE [--delay-ms N]` serves MCP over stdin and stdout; `treasury --db FILE --init` creates the database.

use std::{path::PathBuf, process::ExitCode};

use treasury::{Options, TOKEN_VARIABLE};

const USAGE: &str = "usage: treasury --db FILE [--delay-ms N] [--init]";

fn main() -> ExitCode {
    match parse(std::env::args().skip(1)) {
        Err(problem) => {
            eprintln!("treasury: {problem}\n{USAGE}");
            ExitCode::from(2)
        }
        Ok((options, init)) => match start(options, init) {
            Ok(()) => ExitCode::SUCCESS,
            Err(problem) => {
                eprintln!("treasury: {problem}");
                ExitCode::from(4)
            }
        },
    }
}

fn start(options: Options, init: bool) -> Result<(), String> {
    if !init {
        return treasury::run(options).map_err(|e| e.to_string());
    }
    let token = std::env::var(TOKEN_VARIABLE).map_err(|e| {
        format!("cannot read `{TOKEN_VARIABLE}`: {e}; set it to the token to admit")
    })?;
    treasury::init(&options.db, &token).map_err(|e| e.to_string())
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<(Options, bool), String> {
    let (mut db, mut delay_ms, mut init) = (None, 0, false);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("`{arg}` needs a value"));
        match arg.as_str() {
            "--db" => db = Some(PathBuf::from(value()?)),
            "--delay-ms" => {
                let text = value()?;
                delay_ms = text
                    .parse()
                    .map_err(|e| format!("`--delay-ms {text}` is not a whole number: {e}"))?;
            }
            "--init" => init = true,
            _ => return Err(format!("unknown argument `{arg}`")),
        }
    }
    let db = db.ok_or("`--db FILE` is missing")?;
    Ok((Options { db, delay_ms }, init))
}
