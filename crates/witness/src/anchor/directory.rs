//! Another directory, best on a mount of another machine.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::{Anchor, Kept, SUFFIX};

/// A directory that keeps checkpoints.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    /// The directory at `path`, which must be there: an anchor that is not mounted must not be made up.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
        }
    }

    fn fail(path: &Path) -> impl Fn(io::Error) -> String {
        move |why| format!("`{}`: {why}", path.display())
    }
}

impl Anchor for Directory {
    fn keep(&self, checkpoint: &Kept) -> Result<(), String> {
        let path = self.path.join(checkpoint.name());
        let fail = Self::fail(&path);
        // Written aside: what is there under its name is whole.
        let temporary = self
            .path
            .join(format!(".{}.{}", checkpoint.name(), std::process::id()));
        let written = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o444)
            .open(&temporary)
            .and_then(|mut file| {
                file.write_all(&checkpoint.note)?;
                file.sync_all()
            })
            // A link, not a rename: it never replaces.
            .and_then(|()| fs::hard_link(&temporary, &path));
        let removed = fs::remove_file(&temporary);
        match written {
            Ok(()) => {}
            Err(there) if there.kind() == io::ErrorKind::AlreadyExists => {
                return checkpoint.beside(&fs::read(&path).map_err(&fail)?);
            }
            Err(why) => return Err(fail(why)),
        }
        removed.map_err(Self::fail(&temporary))?;
        let synced = File::open(&self.path).and_then(|directory| directory.sync_all());
        synced.map_err(Self::fail(&self.path))
    }

    fn kept(&self) -> Result<Option<Vec<Kept>>, String> {
        let mut kept = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(Self::fail(&self.path))? {
            let path = entry.map_err(Self::fail(&self.path))?.path();
            let name = path
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            if name.ends_with(SUFFIX) && !name.starts_with('.') {
                let note = fs::read(&path).map_err(Self::fail(&path))?;
                let found =
                    Kept::new(&note).map_err(|why| format!("`{}`: {why}", path.display()))?;
                kept.push(found);
            }
        }
        Ok(Some(kept))
    }
}
