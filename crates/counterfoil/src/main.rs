//! The `counterfoil` command.

mod cli;
mod commands;
mod demo;
mod door;
mod embedder;
mod fail;
mod keys;
mod listen;
mod logging;
mod models;
mod passphrase;
mod serve;
mod show;
mod site;
mod spans;
mod ssh;
mod targets;
mod tls;

use std::process::ExitCode;

use clap::Parser as _;

use crate::{
    cli::{Cli, Command, LogCommand},
    fail::Failure,
    logging::Logging,
};

/// Verification spends half its time in memory otherwise, made on one thread and freed on another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    passphrase::name_file(cli.passphrase_file);
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("counterfoil: {}", failure.message);
            ExitCode::from(failure.code)
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    let logging = match &command {
        Command::Serve(serve) => Some(logging::server(serve.log.log_format)?),
        Command::Run(run) => Some(logging::server(run.log.log_format)?),
        _ => {
            logging::plain();
            None
        }
    };
    match command {
        // Servers of their own process bring their own runtime.
        Command::Treasury { db, delay_ms } => {
            treasury::run(treasury::Options { db, delay_ms }).map_err(Failure::unavailable)
        }
        Command::Books { data } => {
            payables::books::run(payables::books::Options { data }).map_err(Failure::unavailable)
        }
        Command::Mcp(mcp) => {
            let runtime = runtime()?;
            let done = runtime.block_on(commands::mcp::run(mcp));
            // Whoever waits for a line of stdin cannot be told to stop.
            runtime.shutdown_background();
            done
        }
        other => runtime()?.block_on(dispatch(other, logging.as_ref())),
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.enable_all().build().map_err(Failure::unavailable)
}

async fn dispatch(command: Command, logging: Option<&Logging>) -> Result<(), Failure> {
    match command {
        Command::Demo(demo) => demo::run(demo).await,
        Command::Init(init) => commands::init(init).await,
        Command::Serve(serve) => commands::serve(serve, logging).await,
        Command::Run(run) => commands::run(run).await,
        Command::Rebuild(rebuild) => commands::rebuild(&rebuild),
        Command::Glass(command) => commands::glass::run(command).await,
        Command::Control(command) => commands::control::run(command).await,
        Command::Freeze(freeze) => commands::freeze::freeze(&freeze).await,
        Command::Unfreeze { freeze, dir, sign } => {
            commands::freeze::unfreeze(&dir.dir, freeze, &sign).await
        }
        Command::Case(command) => commands::case::run(command).await,
        Command::Approval(command) => commands::approval::run(command).await,
        Command::Release(command) => commands::release::run(command).await,
        Command::Policy(command) => commands::clauses::run(command).await,
        Command::Threshold(command) => commands::threshold::run(command).await,
        Command::Exception(command) => commands::exception::run(command).await,
        Command::Hold(command) => commands::erase::hold(command).await,
        Command::Erase(command) => commands::erase::erase(command).await,
        Command::Audit(command) => commands::audit::run(command),
        Command::Log(LogCommand::Key(command)) => commands::log_key::run(command).await,
        Command::Log(command) => commands::log::run(command),
        Command::Witness(witness) => commands::witness::run(witness).await,
        Command::Webhook(command) => commands::webhook::run(command).await,
        Command::Principal(command) => commands::principal::run(command).await,
        Command::Delegation(command) => commands::delegation::run(command).await,
        Command::Certification(command) => commands::certification::run(command).await,
        Command::SignIn(sign_in) => commands::sign_in(sign_in),
        Command::Treasury { .. } | Command::Books { .. } | Command::Mcp(_) => Ok(()),
    }
}
