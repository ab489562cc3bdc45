//! Opening a log: a data directory, a bare copy of a log, the URL of one, or one in an S3 bucket.

mod s3;
mod web;

use std::{
    fmt,
    num::NonZero,
    path::{Path, PathBuf},
};

use ledger::{
    Directory, Source,
    archive::{Archived, MANIFEST},
    tile::CHECKPOINT,
};

pub use s3::S3Access;

use crate::{EvidenceError, Vault};

/// Threads that read from a server, whose answers take their time.
const THREADS: NonZero<usize> = NonZero::new(16).unwrap();

/// A log that was found, with what stands beside it.
pub struct Opened {
    /// Its files.
    pub source: Box<dyn Source + Send + Sync>,
    /// The data directory, where it is one.
    pub dir: Option<PathBuf>,
    /// Threads that it takes to read fast, where that is more than one for each core.
    pub threads: Option<NonZero<usize>>,
}

impl Opened {
    /// The snapshots beside the log; none where it is a bare copy.
    #[must_use]
    pub fn vault(&self) -> Option<Vault> {
        let dir = self.dir.as_ref()?.join("snapshots");
        dir.is_dir().then(|| Vault::new(dir))
    }

    /// The verifier key beside the log, `log.vkey`, if one is there.
    ///
    /// It comes from whoever made the copy: an auditor who trusts nobody brings a key of their own.
    #[must_use]
    pub fn vkey(&self) -> Option<String> {
        let path = self.dir.as_ref()?.join("log.vkey");
        let text = std::fs::read_to_string(path).ok()?;
        Some(text.trim_end().to_owned())
    }
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

/// Opens the log at `place`: a data directory (it has `log/`), a log directory (it has `checkpoint`), an http(s) URL of
/// one, or `s3://bucket/prefix`, reached as [`S3Access::from_env`] says.
///
/// # Errors
/// [`EvidenceError::NotALog`] where it is none of these, [`EvidenceError::Bucket`]. A server is asked for nothing yet.
pub fn open(place: &str) -> Result<Box<dyn Source + Send + Sync>, EvidenceError> {
    open_at(place).map(|opened| opened.source)
}

/// As [`open`], with the data directory, where it is one.
///
/// # Errors
/// As [`open`].
pub fn open_at(place: &str) -> Result<Opened, EvidenceError> {
    if place.starts_with("s3://") {
        let access = S3Access::from_env();
        let access = access.map_err(|why| EvidenceError::Bucket {
            place: place.to_owned(),
            why,
        })?;
        return open_s3(place, &access);
    }
    if place.starts_with("http://") || place.starts_with("https://") {
        return Ok(Opened {
            source: Box::new(web::Mirror::new(place)),
            dir: None,
            threads: Some(THREADS),
        });
    }
    let path = Path::new(place);
    let log = path.join("log");
    if log.is_dir() {
        Ok(Opened {
            source: Box::new(
                Archived::open(&log, path).map_err(|why| EvidenceError::File {
                    path: path.join(MANIFEST).display().to_string(),
                    place: "what says where older bundles are".to_owned(),
                    why: why.to_string(),
                })?,
            ),
            dir: Some(path.to_owned()),
            threads: None,
        })
    } else if path.join(CHECKPOINT).is_file() {
        Ok(Opened {
            source: Box::new(Directory::new(path)),
            dir: None,
            threads: None,
        })
    } else {
        Err(EvidenceError::NotALog {
            place: place.to_owned(),
        })
    }
}

/// Opens the log at `s3://bucket/prefix`. The bucket is asked for nothing yet.
///
/// # Errors
/// [`EvidenceError::Bucket`] where place and access cannot be put together.
pub fn open_s3(place: &str, access: &S3Access) -> Result<Opened, EvidenceError> {
    let source = s3::S3::new(place, access).map_err(|why| EvidenceError::Bucket {
        place: place.to_owned(),
        why,
    })?;
    Ok(Opened {
        source: Box::new(source),
        dir: None,
        threads: Some(THREADS),
    })
}
