//! What the disk does alone.

use std::{
    fs::{self, File},
    io::Write as _,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use crate::Result;

/// How long one `fdatasync` of 1 KiB takes, some times over; written where zeros are, as the write-ahead log does.
pub(crate) fn syncs(room: &Path) -> Result<Vec<Duration>> {
    let path = room.join("syncs");
    let mut file = File::create(&path)?;
    file.write_all(&vec![0; 1 << 20])?;
    file.sync_all()?;
    drop(file);
    let mut file = File::options().write(true).open(&path)?;
    let mut times = Vec::new();
    for _ in 0..200 {
        let began = Instant::now();
        file.write_all(&[7; 1024])?;
        file.sync_data()?;
        times.push(began.elapsed());
    }
    fs::remove_file(&path)?;
    Ok(times)
}

/// The file system that a directory is on.
pub(crate) fn kind(dir: &Path) -> String {
    let asked = Command::new("df")
        .args(["--output=fstype"])
        .arg(dir)
        .output();
    let said = asked.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let kind = said
        .ok()
        .and_then(|said| said.lines().nth(1).map(|kind| kind.trim().to_owned()));
    kind.unwrap_or_else(|| "an unknown file system".to_owned())
}
