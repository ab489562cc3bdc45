//! The out-of-band stop: orders that lie as files in the data directory, so that nobody's port, page or process must answer.
//!
//! Whoever may write there may stop. The engine looks before every step; what it finds it records as a freeze, and only then
//! goes on, so that the order and what it refused are both in the log.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use duty::request::{Freeze, Request};

use crate::{Engine, EngineError, Seat};

/// Where orders lie, in the data directory; there only while one waits.
const FOLDER: &str = "stop";

/// Writes an order, durably; returns its file. It is gone once the freeze is recorded.
///
/// # Errors
/// That of the system.
pub fn order(dir: &Path, freeze: &Freeze) -> std::io::Result<PathBuf> {
    let folder = dir.join(FOLDER);
    fs::create_dir_all(&folder)?;
    let bytes = serde_json::to_vec(freeze)?;
    for number in 1_u32.. {
        let aside = folder.join(format!(".{number}-{}", std::process::id()));
        let file = folder.join(format!("{number}.json"));
        fs::write(&aside, &bytes)?;
        fs::File::open(&aside)?.sync_all()?;
        // A link and not a rename: it fails where the name is taken.
        let linked = fs::hard_link(&aside, &file);
        fs::remove_file(&aside)?;
        match linked {
            Ok(()) => {
                fs::File::open(&folder)?.sync_all()?;
                fs::File::open(dir)?.sync_all()?;
                return Ok(file);
            }
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e),
        }
    }
    Err(ErrorKind::StorageFull.into())
}

impl Engine {
    /// Records the orders to stop that lie in the data directory; returns how many. Nothing is decided before this.
    ///
    /// # Errors
    /// [`EngineError::Stop`] where an order cannot be read: nothing goes on until it can, or is removed by hand.
    pub async fn take_orders(&self) -> Result<usize, EngineError> {
        let folder = self.dir().path().join(FOLDER);
        if !folder.exists() {
            return Ok(0);
        }
        // One at a time: two steps that find the same order record it once.
        let _one = self.stopping.lock().await;
        let mut taken = 0;
        for file in orders(&folder).map_err(|e| unreadable(&folder, &e))? {
            let bytes = match fs::read(&file) {
                Ok(bytes) => bytes,
                Err(e) if e.kind() == ErrorKind::NotFound => continue,
                Err(e) => return Err(unreadable(&file, &e)),
            };
            let freeze: Freeze =
                serde_json::from_slice(&bytes).map_err(|e| unreadable(&file, &e))?;
            match self
                .decided(&Seat::admin(), Request::Freeze(freeze))
                .await?
                .refusal
            {
                None => taken += 1,
                Some(refusal) => return Err(unreadable(&file, &refusal)),
            }
            fs::remove_file(&file).map_err(|e| unreadable(&file, &e))?;
        }
        // Not empty where another order came meanwhile: the next step takes it.
        let _ = fs::remove_dir(&folder);
        Ok(taken)
    }
}

/// Orders that were written whole, in order of their numbers.
fn orders(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found: Vec<(u32, PathBuf)> = Vec::new();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    for entry in entries {
        let name = entry?.file_name();
        let number = name
            .to_str()
            .and_then(|n| n.strip_suffix(".json")?.parse::<u32>().ok());
        found.extend(number.map(|n| (n, folder.join(name))));
    }
    found.sort();
    Ok(found.into_iter().map(|(_, file)| file).collect())
}

fn unreadable(file: &Path, why: &dyn std::fmt::Display) -> EngineError {
    EngineError::Stop {
        file: file.to_owned(),
        why: why.to_string(),
    }
}
