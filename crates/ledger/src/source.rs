//! Where a log's files are read from.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path as FilePath, PathBuf};
use std::time::Duration;

use crate::bundle;
use crate::tile::{Kind, Path, WIDTH};

/// Bytes of the largest file a log can hold: a full bundle of the longest entries. Nothing larger is read into memory.
pub const LARGEST_FILE: usize = WIDTH as usize * (2 + bundle::LONGEST);

/// How long a pause for a writer is.
const PAUSE: Duration = Duration::from_millis(100);

/// A copy of a log: a directory, a server, a map.
pub trait Source {
    /// All bytes of the file at `path`, which is relative to the log and uses `/`.
    ///
    /// # Errors
    /// [`SourceError::Missing`] where there is no such file, [`SourceError::Failed`] for every other reason.
    fn read(&self, path: &str) -> Result<Vec<u8>, SourceError>;

    /// Paths of all files, in any order; `None` from a source that cannot list, such as HTTP.
    ///
    /// # Errors
    /// [`SourceError::Failed`].
    fn list(&self) -> Result<Option<Vec<String>>, SourceError>;

    /// Gives whoever may be writing to this source a moment to get on; false where nobody can be.
    fn pause(&self) -> bool {
        false
    }
}

/// Why a file of a log could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The source has no such file.
    #[error("`{path}` is missing from the log")]
    Missing {
        /// Path in the log.
        path: String,
    },
    /// The source could not say.
    #[error("`{path}` cannot be read: {why}")]
    Failed {
        /// Path in the log.
        path: String,
        /// The reason given by the source.
        why: String,
    },
    /// The file is not what its path says.
    #[error("`{path}` is damaged: {why}")]
    Damaged {
        /// Path in the log.
        path: String,
        /// What is wrong with it.
        why: String,
    },
}

impl SourceError {
    /// Path of the file in the log.
    #[must_use]
    pub fn path(&self) -> &str {
        match self {
            Self::Missing { path } | Self::Failed { path, .. } | Self::Damaged { path, .. } => path,
        }
    }
}

/// A log directory on disk.
#[derive(Clone, Debug)]
pub struct Directory {
    root: PathBuf,
}

impl Directory {
    /// The log in `root`: the directory that holds `checkpoint`.
    #[must_use]
    pub fn new(root: &FilePath) -> Self {
        Self {
            root: root.to_owned(),
        }
    }
}

impl Source for Directory {
    fn read(&self, path: &str) -> Result<Vec<u8>, SourceError> {
        let fail = |why: io::Error| match why.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => SourceError::Missing {
                path: path.to_owned(),
            },
            _ => SourceError::Failed {
                path: path.to_owned(),
                why: why.to_string(),
            },
        };
        let file = File::open(self.root.join(path)).map_err(fail)?;
        let expect = file
            .metadata()
            .map_err(fail)?
            .len()
            .min(LARGEST_FILE as u64) as usize;
        let mut bytes = Vec::with_capacity(expect + 1);
        file.take(LARGEST_FILE as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(fail)?;
        if bytes.len() > LARGEST_FILE {
            return Err(SourceError::Damaged {
                path: path.to_owned(),
                why: format!("it is larger than {LARGEST_FILE} bytes"),
            });
        }
        Ok(bytes)
    }

    fn list(&self) -> Result<Option<Vec<String>>, SourceError> {
        let mut found = Vec::new();
        walk(&self.root, "", &mut found)?;
        Ok(Some(found))
    }

    fn pause(&self) -> bool {
        std::thread::sleep(PAUSE);
        true
    }
}

fn walk(directory: &FilePath, prefix: &str, found: &mut Vec<String>) -> Result<(), SourceError> {
    let fail = |why: String| SourceError::Failed {
        path: if prefix.is_empty() { "." } else { prefix }.to_owned(),
        why,
    };
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        // A log that grows deletes directories of partial files.
        Err(gone) if gone.kind() == io::ErrorKind::NotFound && !prefix.is_empty() => return Ok(()),
        Err(why) => return Err(fail(why.to_string())),
    };
    for entry in entries {
        let entry = entry.map_err(|why| fail(why.to_string()))?;
        let name = entry.file_name();
        let name = name
            .to_str()
            .ok_or_else(|| fail(format!("it holds the name {name:?}, which is not UTF-8")))?;
        let path = format!("{prefix}{name}");
        // A symbolic link is a file here, never a directory to walk into: no loops, and a linked tree is a stray.
        if entry
            .file_type()
            .map_err(|why| fail(why.to_string()))?
            .is_dir()
        {
            walk(&entry.path(), &format!("{path}/"), found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}

/// Bytes of `path`; where a partial file is gone, because the log grew and filled it, the same items from the full one.
///
/// # Errors
/// [`SourceError`] of the path itself.
pub fn read_tile(source: &dyn Source, path: Path) -> Result<Vec<u8>, SourceError> {
    let missing = match source.read(&path.to_string()) {
        Err(missing @ SourceError::Missing { .. }) if !path.is_full() => missing,
        answer => return answer,
    };
    let Ok(mut full) = source.read(&path.full().to_string()) else {
        return Err(missing);
    };
    let width = usize::from(path.width);
    let keep = match path.kind {
        Kind::Hashes(_) => Some(width * crate::hash::HASH_SIZE).filter(|keep| *keep <= full.len()),
        Kind::Entries => bundle::prefix(&full, width).map(<[u8]>::len),
    };
    full.truncate(keep.ok_or(missing)?);
    Ok(full)
}

/// Entry `index` of a log of `size` entries. It is not verified: prove it, or verify the log.
///
/// # Errors
/// [`SourceError`]; also where `index` is not below `size`.
pub fn read_entry(source: &dyn Source, index: u64, size: u64) -> Result<Vec<u8>, SourceError> {
    let path = Path::holding(Kind::Entries, index, size).ok_or_else(|| SourceError::Missing {
        path: format!("entry {index} of a log of {size} entries"),
    })?;
    let bytes = read_tile(source, path)?;
    let entries =
        bundle::parse(&bytes, usize::from(path.width)).map_err(|why| SourceError::Damaged {
            path: path.to_string(),
            why: why.to_string(),
        })?;
    Ok(entries[(index % WIDTH) as usize].to_vec())
}
