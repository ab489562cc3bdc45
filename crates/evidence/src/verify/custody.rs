//! Snapshots against the commitments in the log.

use std::{collections::HashSet, fs, io, path::Path};

use duty::canonical::Digest;

use super::{Fault, VerifyReport};
use crate::Vault;

/// Oddities that are named one by one; the others are only counted.
const NAMED: usize = 20;

/// What records commit to.
pub(super) struct Custody {
    referenced: HashSet<Digest>,
}

impl Custody {
    pub(super) fn new(referenced: HashSet<Digest>) -> Self {
        Self { referenced }
    }

    /// Every snapshot that is here matches its name, which is its commitment. One that no record names may be what a
    /// crash left between keeping it and recording it: a warning.
    pub(super) fn check(mut self, dir: &Path, report: &mut VerifyReport) -> Result<(), Fault> {
        let vault = Vault::new(dir);
        let mut strays = 0_usize;
        let mut fault = None;
        let walked = vault.for_each_file(&mut |path| {
            let file = fs::read(path)?;
            match judge(&vault, path, &file) {
                Ok(Some(commitment)) => {
                    report.snapshots += 1;
                    if !self.referenced.remove(&commitment) {
                        strays += 1;
                        if strays <= NAMED {
                            report.warnings.push(format!(
                                "no record commits to snapshot `{}`",
                                path.display()
                            ));
                        }
                    }
                    Ok(())
                }
                Ok(None) => {
                    report
                        .warnings
                        .push(format!("`{}` is no snapshot", path.display()));
                    Ok(())
                }
                Err(why) => {
                    fault = Some(place(path, why, false));
                    Err(io::Error::other("stopped"))
                }
            }
        });
        if let Some(fault) = fault {
            return Err(fault);
        }
        walked.map_err(|e| place(dir, e.to_string(), true))?;
        if strays > NAMED {
            report.warnings.push(format!(
                "no record commits to {} further snapshots",
                strays - NAMED
            ));
        }
        report.absent = self.referenced.len() as u64;
        Ok(())
    }
}

/// The commitment of a snapshot that matches; none where the file's name is not that of one.
fn judge(vault: &Vault, path: &Path, file: &[u8]) -> Result<Option<Digest>, String> {
    let name = path
        .file_name()
        .and_then(|n| n.to_str())
        .unwrap_or_default();
    let Ok(commitment) = name.parse::<Digest>() else {
        return Ok(None);
    };
    if vault.path(&commitment) != path {
        return Err("it stands where no snapshot of this name belongs".to_owned());
    }
    ledger::snapshot::check(file, commitment.as_bytes()).map_err(|e| e.to_string())?;
    Ok(Some(commitment))
}

fn place(path: &Path, why: String, unreadable: bool) -> Fault {
    Fault {
        record: None,
        place: format!("snapshot `{}`", path.display()),
        why,
        unreadable,
    }
}
