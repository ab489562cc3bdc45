//! What an exploration that was cut off has left, in a file: a long one can be made in parts.
//!
//! A line of JSON, then the keys of all states seen, 16 bytes each, least significant first. States to go on from are kept as
//! the ways that lead to them, and are reached again by trying the same.

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, BufWriter, Read, Write},
    path::Path,
};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use crate::explore::Counts;

/// What was left, and all that was seen.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) counts: Counts,
    /// For each state to go on from, what was tried on the way to it.
    pub(crate) left: Vec<Vec<u32>>,
    pub(crate) seen: Vec<u128>,
}

#[derive(Serialize, Deserialize)]
struct Head {
    world: String,
    /// Of the program: another one may decide otherwise.
    program: String,
    seconds: f64,
    parts: u32,
    counts: Counts,
    left: Vec<Vec<u32>>,
    seen: usize,
}

/// How far earlier parts have come, and in what time.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Before {
    pub(crate) seconds: f64,
    pub(crate) parts: u32,
}

/// What a file holds; nothing, where there is none.
///
/// # Errors
/// Where it is of another world or another program, or damaged.
pub(crate) fn read(path: &Path, world: &str) -> Result<Option<(Kept, Before)>, String> {
    let file = match File::open(path) {
        Err(gone) if gone.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(|e| about(path, e))?,
    };
    let mut file = BufReader::with_capacity(1 << 20, file);
    let mut line = String::new();
    file.read_line(&mut line).map_err(|e| about(path, e))?;
    let head: Head = serde_json::from_str(&line).map_err(|e| about(path, e))?;
    if head.world != world {
        return Err(about(path, format!("it is of {}, not {world}", head.world)));
    }
    if head.program != program()? {
        let why =
            "it was written by another build, which may decide otherwise; remove it to begin anew";
        return Err(about(path, why));
    }
    let mut seen = Vec::with_capacity(head.seen);
    let mut key = [0; 16];
    for _ in 0..head.seen {
        file.read_exact(&mut key).map_err(|e| about(path, e))?;
        seen.push(u128::from_le_bytes(key));
    }
    if file.read(&mut key).map_err(|e| about(path, e))? != 0 {
        return Err(about(path, "it is longer than it says"));
    }
    let kept = Kept {
        counts: head.counts,
        left: head.left,
        seen,
    };
    let before = Before {
        seconds: head.seconds,
        parts: head.parts,
    };
    Ok(Some((kept, before)))
}

/// Writes the file anew, whole or not at all.
///
/// # Errors
/// That of the system.
pub(crate) fn write(path: &Path, world: &str, kept: Kept, before: Before) -> Result<(), String> {
    let head = Head {
        world: world.to_owned(),
        program: program()?,
        seconds: before.seconds,
        parts: before.parts,
        counts: kept.counts,
        left: kept.left,
        seen: kept.seen.len(),
    };
    let aside = path.with_extension("new");
    let written = || -> io::Result<()> {
        let mut file = BufWriter::with_capacity(1 << 20, File::create(&aside)?);
        serde_json::to_writer(&mut file, &head)?;
        file.write_all(b"\n")?;
        for key in &kept.seen {
            file.write_all(&key.to_le_bytes())?;
        }
        file.into_inner()?.sync_all()?;
        fs::rename(&aside, path)
    };
    written().map_err(|e| about(path, e))
}

/// Removes the file, if it is there: nothing was left.
///
/// # Errors
/// That of the system.
pub(crate) fn remove(path: &Path) -> Result<(), String> {
    match fs::remove_file(path) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => Err(about(path, why)),
        _ => Ok(()),
    }
}

/// What tells this program from another build of it.
fn program() -> Result<String, String> {
    let read = std::env::current_exe().and_then(fs::read);
    let bytes = read.map_err(|e| format!("this program cannot read itself: {e}"))?;
    Ok(format!("{:032x}", xxh3_128(&bytes)))
}

fn about(path: &Path, why: impl std::fmt::Display) -> String {
    format!("{}: {why}", path.display())
}
