//! `log`: verify, checkpoint; what witnesses and anchors say is in `trail`.

use super::{archive, trail, verify};
use crate::{cli::LogCommand, fail::Failure};

pub(crate) fn run(command: LogCommand) -> Result<(), Failure> {
    match command {
        LogCommand::Verify(args) => verify::run(&args),
        LogCommand::Prove {
            source,
            records,
            vkey,
            out,
        } => trail::prove(&source, &records, &vkey, &out),
        LogCommand::Check {
            file,
            vkey,
            witnesses,
            form,
        } => trail::check(&file, &vkey, witnesses.as_deref(), form.json),
        LogCommand::Consistency {
            source,
            vkey,
            old,
            new,
        } => trail::consistent(&source, &vkey, &old, &new),
        LogCommand::Witness { dir, form } => trail::witnessed(&dir.dir, form.json),
        LogCommand::Anchor { dir, form } => trail::anchor(&dir.dir, form.json),
        LogCommand::Archive {
            to,
            before,
            older_than,
            dir,
            form,
        } => {
            let before = match (before, older_than) {
                (Some(record), _) => record,
                (None, days) => archive::older_than(&dir.dir, days.unwrap_or_default())?,
            };
            archive::run(&dir.dir, to, before, form.json)
        }
        LogCommand::Checkpoint { dir } => {
            let file = dir.dir.join("log/checkpoint");
            let text = std::fs::read_to_string(&file)
                .map_err(|e| Failure::unavailable(format!("`{}`: {e}", file.display())))?;
            print!("{text}");
            Ok(())
        }
        LogCommand::Key(_) => Err(Failure::usage("`log key` is a command of its own")),
    }
}
