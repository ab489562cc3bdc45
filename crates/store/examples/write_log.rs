//! Writes a data directory with a log of records to look at, or to check with other software.
//!
//! `cargo run -p store --example write_log -- <directory> <records>...`: each number of records gets a checkpoint of its
//! own, kept as `<directory>/checkpoint-<size>`.

use std::path::PathBuf;

use store::{DataDir, Journal};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = PathBuf::from(arguments.next().ok_or("name a directory")?);
    if !DataDir::exists(&path) {
        DataDir::init(&path, "example.test/log")?;
    }
    let dir = DataDir::open(&path, &path.with_extension("guards"))?;
    let journal = Journal::open(&dir, &mut |_, _| Ok(()))?;
    for count in arguments {
        let first = journal.committed();
        let records = (first..first + count.parse::<u64>()?)
            .map(|number| format!(r#"{{"seq":{number},"kind":"example.written"}}"#).into_bytes())
            .collect();
        journal.append(first, records)?.durable_blocking()?;
        let size = journal.committed();
        journal.wait_published_blocking(size)?;
        std::fs::write(
            path.join(format!("checkpoint-{size}")),
            journal.checkpoint(),
        )?;
    }
    journal.close()?;
    Ok(())
}
