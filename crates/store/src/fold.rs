//! Folds: what the log came to at some size, written down, so that a start need not read the records before it.
//!
//! ```text
//! <dir>/fold/<records, 20 digits>
//!   counterfoil fold v1              a signed note (c2sp.org/signed-note) by the log's key
//!   <origin>
//!   <records>
//!   <root of their tree, base64>
//!   <version of what folded them>
//!   <bytes of the state>
//!   <SHA-256 of the state, base64>
//!   <empty line>
//!   — <origin> <signature>
//!   <empty line>
//!   <state>
//! ```
//!
//! No checkpoint can be taken for one, nor the reverse: an origin holds no space. A fold is used only where the log's key
//! signed it, its bytes are as signed, the published tree continues its tree, and the same version would write it. One that
//! is not used costs time and nothing else: an older one, or the log from its beginning, comes to the same.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ledger::archive::Archived;
use ledger::note::{self, Note};
use ledger::rotation::{Act, Chain};
use ledger::{Checkpoint, Hash, Source as _, tile, verify};
use sha2::{Digest as _, Sha256};

use crate::datadir::{self, DataDir, Lock};
use crate::disk::{Disk, at};
use crate::key::Shared;
use crate::{StoreError, archive};

/// First line of the note.
const DOMAIN: &str = "counterfoil fold v1";

const FOLDER: &str = "fold";

/// A file that is being written.
const STAGE: &str = "new";

/// Ending of the name of a file that [`Folds::set_aside`] found wrong.
const ASIDE: &str = ".differs";

/// Folds that are kept: the newest, and one to fall back to.
const KEPT: usize = 2;

/// What the first records of a log came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fold {
    /// How many records.
    pub size: u64,
    /// Root of their tree.
    pub root: Hash,
    /// The state, in whoever folds' own form.
    pub state: Vec<u8>,
}

/// Why a fold cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unusable(Why);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Why {
    #[error("it was written by version {found}, and this is {own}")]
    Version { found: String, own: String },
    #[error("{0}")]
    Wrong(String),
}

impl Unusable {
    /// Whether another version of what folds wrote it, which says nothing against it.
    #[must_use]
    pub fn is_other_version(&self) -> bool {
        matches!(self.0, Why::Version { .. })
    }
}

impl From<String> for Unusable {
    fn from(why: String) -> Self {
        Self(Why::Wrong(why))
    }
}

impl From<&str> for Unusable {
    fn from(why: &str) -> Self {
        why.to_owned().into()
    }
}

/// The folds of a data directory.
#[derive(Clone)]
pub struct Folds {
    disk: Disk,
    dir: PathBuf,
    keys: Chain,
    /// Who signs, where this process owns the directory.
    owner: Option<(Shared, Arc<Lock>)>,
    /// The version of what folds.
    core: String,
}

impl Folds {
    /// Those of a directory that this process owns, by the version `core` of what folds: one line.
    #[must_use]
    pub fn of(dir: &DataDir, core: &str) -> Self {
        Self {
            disk: Disk::default(),
            dir: dir.path().to_owned(),
            keys: dir.keys().clone(),
            owner: Some((Arc::clone(dir.signer()), dir.hold())),
            core: core.to_owned(),
        }
    }

    /// Those of the data directory at `dir`, for reading; a server may own it.
    ///
    /// # Errors
    /// [`StoreError`] where the directory's key, or the statements of its keys, cannot be read.
    pub fn at(dir: &Path, core: &str) -> Result<Self, StoreError> {
        Ok(Self {
            disk: Disk::default(),
            dir: dir.to_owned(),
            keys: datadir::public_keys(dir)?,
            owner: None,
            core: core.to_owned(),
        })
    }

    /// The log's keys.
    #[must_use]
    pub fn keys(&self) -> &Chain {
        &self.keys
    }

    /// The published log, wherever its bundles are.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] for what says where they are.
    pub fn log(&self) -> Result<Archived, StoreError> {
        archive::open(&self.dir)
    }

    /// The checkpoint of the published log.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`].
    pub fn head(&self) -> Result<Checkpoint, StoreError> {
        let refuse = |why: String| StoreError::corrupt("log/checkpoint", why);
        let note = self.log()?.read(tile::CHECKPOINT);
        let note = note.map_err(|why| refuse(why.to_string()))?;
        let head = self.keys.open(&note, false);
        head.map_err(|why| refuse(why.to_string()))
    }

    /// Records of the newest fold, whether or not it can be used.
    #[must_use]
    pub fn newest(&self) -> Option<u64> {
        let found = self.found(&mut |_| {}).ok()?;
        found.first().copied()
    }

    /// Sizes of the folds that are there, the newest first. Files that are none are told of.
    ///
    /// # Errors
    /// [`StoreError`] of the system.
    pub fn found(&self, tell: &mut dyn FnMut(String)) -> Result<Vec<u64>, StoreError> {
        let folder = self.dir.join(FOLDER);
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(gone) if gone.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(why) => return Err(at(&folder)(why)),
        };
        let mut sizes = Vec::new();
        for entry in entries {
            let entry = entry.map_err(at(&folder))?;
            let name = entry.file_name();
            let size = name.to_str().and_then(|name| name.parse().ok());
            match size.filter(|size| self.path(*size) == entry.path()) {
                Some(size) => sizes.push(size),
                None if name == STAGE || name.to_string_lossy().ends_with(ASIDE) => {}
                None => tell(format!("`{}` is no fold", entry.path().display())),
            }
        }
        sizes.sort_unstable_by(|a, b| b.cmp(a));
        Ok(sizes)
    }

    /// The newest fold that `read` can use, with what `read` makes of its state. Those that cannot be used are told of, with
    /// the reason.
    ///
    /// # Errors
    /// [`StoreError`] where the log's checkpoint cannot be read.
    pub fn newest_trusted<T>(
        &self,
        read: &mut dyn FnMut(&Fold) -> Result<T, String>,
        tell: &mut dyn FnMut(String),
    ) -> Result<Option<(u64, T)>, StoreError> {
        let sizes = self.found(tell)?;
        if sizes.is_empty() {
            return Ok(None);
        }
        let head = self.head()?;
        for size in sizes {
            let fold = self.read(size, &head);
            match fold.and_then(|fold| read(&fold).map_err(Unusable::from)) {
                Ok(read) => return Ok(Some((size, read))),
                Err(why) => tell(format!(
                    "`{}` is not used: {why}; the records before it are read again, which takes longer and comes to the same",
                    self.path(size).display()
                )),
            }
        }
        Ok(None)
    }

    /// The fold of so many records, where it can be trusted in a log with the checkpoint `head`.
    ///
    /// # Errors
    /// Why not.
    pub fn read(&self, size: u64, head: &Checkpoint) -> Result<Fold, Unusable> {
        let path = self.path(size);
        let mut bytes = fs::read(&path).map_err(|why| why.to_string())?;
        let end = note_end(&bytes).ok_or("it does not begin with a signed note")?;
        let told = self.open(&bytes[..end])?;
        if told.size != size {
            return Err(format!("it is the fold of {} records", told.size).into());
        }
        if told.core != self.core {
            return Err(Unusable(Why::Version {
                found: told.core,
                own: self.core.clone(),
            }));
        }
        let state = bytes.split_off((end + 1).min(bytes.len()));
        if state.len() as u64 != told.bytes {
            return Err(format!(
                "its state has {} bytes, and {} are signed: it was cut short, or changed",
                state.len(),
                told.bytes
            )
            .into());
        }
        if Sha256::digest(&state)[..] != told.digest[..] {
            return Err("its state is not the one that was signed: it was changed".into());
        }
        if size > head.size {
            return Err(format!("the log has {} records only", head.size).into());
        }
        let log = self.log().map_err(|why| why.to_string())?;
        verify::continued(&log, (size, &told.root), (head.size, &head.root))
            .map_err(|why| format!("the log does not continue its tree: {why}"))?;
        Ok(Fold {
            size,
            root: told.root,
            state,
        })
    }

    /// Opens the note: signed by a key that was the log's at this size, and was not revoked since.
    fn open(&self, bytes: &[u8]) -> Result<Told, String> {
        let note = Note::parse(bytes).map_err(|why| why.to_string())?;
        let by = |key: &ledger::Verifier| note.signatures.iter().any(|line| line.id == key.id());
        let keys = self.keys.keys();
        let which = keys.iter().rposition(by);
        let which = which.ok_or("no key of this log signed it: it is of another log")?;
        let note = keys[which].open(bytes, false);
        let note = note.map_err(|why| why.to_string())?;
        let told = Told::parse(&note.text).ok_or("its note is out of form")?;
        if told.origin != keys[which].name() {
            return Err(format!("it is of the log `{}`", told.origin));
        }
        let statements = self.keys.statements();
        let began = which.checked_sub(1).map(|last| &statements[last].statement);
        let ended = statements.get(which).map(|signed| &signed.statement);
        if ended.is_some_and(|ended| ended.act == Act::Revoked) {
            return Err("it is signed by a key that was revoked".to_owned());
        }
        let early = began.is_some_and(|began| told.size <= began.size);
        if early || ended.is_some_and(|ended| told.size > ended.size) {
            return Err("it is signed by a key that was not the log's at that size".to_owned());
        }
        Ok(told)
    }

    /// Writes a fold, in one step, and removes those that are not kept any more.
    ///
    /// # Errors
    /// [`StoreError::Signer`] where nothing signs; [`StoreError::Key`] where this process does not own the directory; or that
    /// of the system.
    pub fn write(&self, fold: &Fold) -> Result<(), StoreError> {
        let Some((signer, _)) = &self.owner else {
            let why = "only the owner of a data directory writes its folds";
            return Err(StoreError::Key(why.to_owned()));
        };
        let text = format!(
            "{DOMAIN}\n{}\n{}\n{}\n{}\n{}\n{}\n",
            signer.verifier().name(),
            fold.size,
            BASE64.encode(fold.root),
            self.core,
            fold.state.len(),
            BASE64.encode(Sha256::digest(&fold.state)),
        );
        let note = note::sign(&text, &[&**signer]);
        let mut bytes = note.map_err(|why| StoreError::Signer {
            why: why.to_string(),
        })?;
        bytes.push(b'\n');
        bytes.extend_from_slice(&fold.state);
        let folder = self.dir.join(FOLDER);
        if !folder.is_dir() {
            let made = DirBuilder::new().mode(0o700).create(&folder);
            made.map_err(at(&folder))?;
            self.disk.sync_dir(&self.dir)?;
        }
        let stage = folder.join(STAGE);
        self.disk.remove(&stage)?;
        self.disk
            .put_private(&stage, &self.path(fold.size), &bytes)?;
        // Never one that says it is newer: only a log put back or a foreign file can be that, and a start says so.
        let older = self.found(&mut |_| {})?.into_iter();
        let older = older.filter(|size| *size <= fold.size).skip(KEPT);
        for size in older {
            self.disk.remove(&self.path(size))?;
        }
        Ok(())
    }

    /// Puts a fold that was found wrong aside, for whoever wants to know what is wrong with it; answers where it is then.
    ///
    /// # Errors
    /// [`StoreError`] of the system.
    pub fn set_aside(&self, size: u64) -> Result<PathBuf, StoreError> {
        let path = self.path(size);
        let aside = PathBuf::from(format!("{}{ASIDE}", path.display()));
        self.disk.rename(&path, &aside)?;
        self.disk.sync_dir(&self.dir.join(FOLDER))?;
        Ok(aside)
    }

    /// Where the fold of so many records is.
    #[must_use]
    pub fn path(&self, size: u64) -> PathBuf {
        self.dir.join(FOLDER).join(format!("{size:020}"))
    }

    #[cfg(test)]
    pub(crate) fn on(self, disk: &Disk) -> Self {
        let disk = disk.clone();
        Self { disk, ..self }
    }
}

/// What the note says.
struct Told {
    origin: String,
    size: u64,
    root: Hash,
    core: String,
    bytes: u64,
    digest: Hash,
}

impl Told {
    fn parse(text: &str) -> Option<Self> {
        let lines: Vec<&str> = text.strip_suffix('\n')?.split('\n').collect();
        let [DOMAIN, origin, size, root, core, bytes, digest] = lines[..] else {
            return None;
        };
        let hash = |line: &str| BASE64.decode(line).ok()?.try_into().ok();
        Some(Self {
            origin: origin.to_owned(),
            size: size.parse().ok()?,
            root: hash(root)?,
            core: core.to_owned(),
            bytes: bytes.parse().ok()?,
            digest: hash(digest)?,
        })
    }
}

/// Where the note ends: before the second empty line, since neither text nor signatures hold one.
fn note_end(bytes: &[u8]) -> Option<usize> {
    const LONGEST: usize = 64 << 10;
    let head = &bytes[..bytes.len().min(LONGEST)];
    let mut empty = (1..head.len()).filter(|at| head[at - 1..=*at] == *b"\n\n");
    empty.nth(1)
}
