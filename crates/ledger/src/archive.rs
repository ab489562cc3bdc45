//! A log whose older bundles are kept elsewhere: in a directory that may be slow, and need not be writable.
//!
//! Hashes stay where the log is: proofs between checkpoints, and of what is not archived, need nothing else. What moves are
//! full bundles from the first one on, and a file beside the log says how many, and to where:
//!
//! ```text
//! counterfoil/archive/v1
//! <number of bundles>
//! <absolute path of a directory>
//! ```
//!
//! The other directory holds them under the log's own names (`tile/entries/…`): put together again, both are one log.

use std::fmt;
use std::path::{Path as FilePath, PathBuf};

use crate::source::{Directory, Source, SourceError};
use crate::tile::{Kind, Path};

/// Name of the file beside the log.
pub const MANIFEST: &str = "archive";

const HEADER: &str = "counterfoil/archive/v1";

/// What is archived, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Bundles that are there, from the first one on; all of them full.
    pub bundles: u64,
    /// The directory; its path is absolute.
    pub directory: PathBuf,
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let lines = text.strip_suffix('\n').map(|text| text.split('\n'));
        let lines: Vec<_> = lines.into_iter().flatten().collect();
        let [HEADER, bundles, directory] = lines[..] else {
            return Err(format!("it is not `{HEADER}`, a number and a path"));
        };
        let manifest = Self {
            bundles: bundles
                .parse()
                .map_err(|_| format!("`{}` is no number of bundles", bundles.escape_debug()))?,
            directory: PathBuf::from(directory),
        };
        if !manifest.directory.is_absolute() {
            return Err("the directory's path must be absolute".to_owned());
        }
        if manifest.to_string() != text {
            return Err("it is not written as it would be written".to_owned());
        }
        Ok(manifest)
    }
}

impl fmt::Display for Manifest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let directory = self.directory.display();
        write!(out, "{HEADER}\n{}\n{directory}\n", self.bundles)
    }
}

/// The log of a data directory, wherever its bundles are.
#[derive(Clone, Debug)]
pub struct Archived {
    log: Directory,
    cold: Option<(Manifest, Directory)>,
}

impl Archived {
    /// The log in `log`, with what the manifest in the directory `beside` it names, if there is one.
    ///
    /// # Errors
    /// [`SourceError`] for a manifest that cannot be read.
    pub fn open(log: &FilePath, beside: &FilePath) -> Result<Self, SourceError> {
        let text = match Directory::new(beside).read(MANIFEST) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(SourceError::Missing { .. }) => {
                return Ok(Self {
                    log: Directory::new(log),
                    cold: None,
                });
            }
            Err(why) => return Err(why),
        };
        let manifest = Manifest::parse(&text).map_err(|why| SourceError::Damaged {
            path: MANIFEST.to_owned(),
            why,
        })?;
        let cold = Directory::new(&manifest.directory);
        Ok(Self {
            log: Directory::new(log),
            cold: Some((manifest, cold)),
        })
    }

    /// What is archived.
    #[must_use]
    pub fn manifest(&self) -> Option<&Manifest> {
        self.cold.as_ref().map(|(manifest, _)| manifest)
    }
}

impl Source for Archived {
    fn read(&self, path: &str) -> Result<Vec<u8>, SourceError> {
        let missing = match (self.log.read(path), &self.cold) {
            (Err(missing @ SourceError::Missing { .. }), Some(cold)) => (missing, cold),
            (answer, _) => return answer,
        };
        let (missing, (manifest, cold)) = missing;
        let archived = path.parse::<Path>().is_ok_and(|path| {
            path.kind == Kind::Entries && path.is_full() && path.index < manifest.bundles
        });
        if !archived {
            return Err(missing);
        }
        match cold.read(path) {
            // Where nothing at all is there, the archive is away, and nothing is said against the log.
            Err(SourceError::Missing { .. }) if !manifest.directory.join("tile").is_dir() => {
                Err(SourceError::Failed {
                    path: path.to_owned(),
                    why: format!(
                        "it is archived in `{}`, which holds no archive now; mount it there, or name the place where it is in `{MANIFEST}`",
                        manifest.directory.display()
                    ),
                })
            }
            answer => answer,
        }
    }

    fn list(&self) -> Result<Option<Vec<String>>, SourceError> {
        self.log.list()
    }

    fn pause(&self) -> bool {
        self.log.pause()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_read_as_it_is_written_and_not_otherwise() {
        let manifest = Manifest {
            bundles: 17,
            directory: "/mnt/cold/log".into(),
        };
        let text = manifest.to_string();
        assert_eq!(Manifest::parse(&text), Ok(manifest));
        for wrong in [
            String::new(),
            text.replace("v1", "v2"),
            text.replace("17", "017"),
            text.replace("17", "-1"),
            text.replace("/mnt", "mnt"),
            text.trim_end().to_owned(),
            format!("{text}\n"),
        ] {
            assert!(Manifest::parse(&wrong).is_err(), "{wrong}");
        }
    }
}
