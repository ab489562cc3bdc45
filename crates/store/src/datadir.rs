//! The data directory and its one owner.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use ledger::rotation::{Chain, RotationError};
use ledger::{Checkpoint, Directory, Verifier, hash, note, tile};
use serde::{Deserialize, Serialize};

use crate::StoreError;
use crate::disk::{Disk, at};
use crate::guard::Guard;
use crate::key::{self, LOG_KEY, NewKey, SIGNER, Shared, Unlock};
use crate::secret::{random, random_token, refuse_exposed, write_secret};
use crate::wal;

/// The version of the layout this program writes and reads.
const LAYOUT: u32 = 2;

const MANIFEST: &str = "counterfoil.json";
pub(crate) const VKEY: &str = "log.vkey";
const KEYS: &str = "keys";
const LOCK: &str = "lock";
/// Where a data directory is put together inside one that is empty but there already.
const STAGE: &str = ".init";

/// A data directory, owned by this process as long as this value, or a journal opened on it, lives.
pub struct DataDir {
    path: PathBuf,
    origin: String,
    signer: Shared,
    keys: Chain,
    lock: Arc<Lock>,
    guard: Arc<Mutex<Guard>>,
}

/// What `counterfoil.json` says.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    layout: u32,
    origin: String,
    /// Names the log's guard; stays when the log's key is changed.
    id: String,
}

impl DataDir {
    /// Makes a data directory with an empty log of this origin: keys, a signed checkpoint of size 0, and places for the
    /// rest. `path` must be absent or empty. It is made whole or not at all: what an interrupted call left is cleared by
    /// the next one.
    ///
    /// # Errors
    /// [`StoreError::Taken`], [`StoreError::Key`] for an origin that is no key name, or that of the system.
    pub fn init(path: &Path, origin: &str) -> Result<(), StoreError> {
        Self::init_with(path, origin, &NewKey::File { passphrase: None })
    }

    /// As [`DataDir::init`], with a key of the caller's choice.
    ///
    /// # Errors
    /// As [`DataDir::init`]; [`StoreError::Key`] where an external signer does not sign for a trial.
    pub fn init_with(path: &Path, origin: &str, new: &NewKey<'_>) -> Result<(), StoreError> {
        note::check_name(origin).map_err(|why| StoreError::Key(format!("origin: {why}")))?;
        let stage = stage(path)?;
        let made = build(&stage, origin, new).and_then(|()| settle(&stage, path));
        match made {
            Err(_) if stage.parent() == Some(path) => clear(path)?,
            Err(_) if stage.exists() => fs::remove_dir_all(&stage).map_err(at(&stage))?,
            _ => {}
        }
        made
    }

    /// Whether there is a data directory at `path`.
    #[must_use]
    pub fn exists(path: &Path) -> bool {
        path.join(MANIFEST).is_file()
    }

    /// Takes a data directory for this process alone. `guards` is the directory in which this machine keeps its logs'
    /// guards: outside every data directory, and in no backup of one.
    ///
    /// # Errors
    /// [`StoreError::NotADataDirectory`], [`StoreError::Locked`], [`StoreError::Elsewhere`], [`StoreError::ReadOnly`], [`StoreError::Exposed`] keys,
    /// or [`StoreError::Corrupt`] where key and verifier key disagree.
    pub fn open(path: &Path, guards: &Path) -> Result<Self, StoreError> {
        Self::open_with(path, guards, &|| {
            Err(StoreError::Protected {
                path: path.join(LOG_KEY),
            })
        })
    }

    /// As [`DataDir::open`], where the key may be behind a passphrase. Finishes a rotation of the key that was cut off.
    ///
    /// # Errors
    /// As [`DataDir::open`]; [`StoreError::Passphrase`], or what `unlock` answers.
    pub fn open_with(path: &Path, guards: &Path, unlock: &Unlock<'_>) -> Result<Self, StoreError> {
        let manifest = read_manifest(path)?;
        let lock = lock(path)?;
        let keys = path.join(KEYS);
        let mode = fs::metadata(&keys).map_err(at(&keys))?.permissions().mode();
        refuse_exposed(&keys, mode, 0o700)?;
        key::finish(&Disk::default(), path)?;
        let signer = key::load(path, &manifest.origin, unlock)?;
        let public = read_vkey(path)?;
        key::same(&*signer, &public, &manifest.origin, &path.join(VKEY))?;
        let keys = read_keys(path, &public)?;
        let guard = Guard::take(guards, &manifest.id)?;
        crate::snapshots::clear_unfinished(path)?;
        Ok(Self {
            path: path.to_owned(),
            origin: manifest.origin,
            signer,
            keys,
            lock: Arc::new(lock),
            guard: Arc::new(Mutex::new(guard)),
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Origin of its log.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Verifier key of its log, as text.
    #[must_use]
    pub fn vkey(&self) -> String {
        self.signer.verifier().vkey()
    }

    /// The keys that the log has had, with the statements by which they took over from one another.
    #[must_use]
    pub fn keys(&self) -> &Chain {
        &self.keys
    }

    /// Puts the key's file behind a passphrase, or takes it out from behind one (`None`). The bytes of the older file may
    /// stay on the device until they are written over.
    ///
    /// # Errors
    /// [`StoreError::Key`] for a log with an external signer, or an empty passphrase; those of [`DataDir::open_with`].
    pub fn protect(&self, unlock: &Unlock<'_>, passphrase: Option<&str>) -> Result<(), StoreError> {
        let file = self.path.join(LOG_KEY);
        if self.path.join(SIGNER).exists() {
            let why = format!("the log's key is no file: `{SIGNER}` names what signs");
            return Err(StoreError::Key(why));
        }
        let signer = key::in_file(&file, &self.origin, unlock)?;
        key::same(&signer, &self.signer.verifier(), &self.origin, &file)?;
        write_secret(&file, &key::file_of(&signer, passphrase)?)
    }

    /// The log's key.
    pub(crate) fn signer(&self) -> &Shared {
        &self.signer
    }

    /// Ids of all keys that the log has had, the one of today last.
    pub(crate) fn key_ids(&self) -> Vec<[u8; 4]> {
        self.keys.keys().iter().map(Verifier::id).collect()
    }

    /// The log's guard.
    pub(crate) fn guard(&self) -> &Arc<Mutex<Guard>> {
        &self.guard
    }

    /// Keeps the directory locked while it lives.
    pub(crate) fn hold(&self) -> Arc<Lock> {
        Arc::clone(&self.lock)
    }
}

/// The lock on a data directory.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing alone is not enough: a program that is just being started holds a copy of the file until it runs.
        let _ = self.0.unlock();
    }
}

impl fmt::Debug for DataDir {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "DataDir({}, {})", self.path.display(), self.vkey())
    }
}

/// The log directory of the data directory at `path`.
pub(crate) fn log(path: &Path) -> PathBuf {
    path.join("log")
}

/// The log's keys, of a directory that somebody else may own.
pub(crate) fn public_keys(path: &Path) -> Result<Chain, StoreError> {
    read_keys(path, &read_vkey(path)?)
}

fn read_vkey(path: &Path) -> Result<Verifier, StoreError> {
    let place = path.join(VKEY);
    let text = fs::read_to_string(&place).map_err(at(&place))?;
    Verifier::from_vkey(&text).map_err(|why| StoreError::corrupt(place.display(), why))
}

/// The log's keys, of which `key` must be the last.
fn read_keys(path: &Path, key: &Verifier) -> Result<Chain, StoreError> {
    let place = log(path).join(tile::KEYS);
    let corrupt = |why: String| StoreError::corrupt(place.display(), why);
    let keys = Chain::read(&Directory::new(&log(path)), key).map_err(|why| match why {
        RotationError::Stranger(key) => corrupt(format!("it does not lead to `{key}`")),
        why => corrupt(why.to_string()),
    })?;
    if keys.key() == key {
        Ok(keys)
    } else {
        let why = format!("it leads to `{}`, and the log's key is `{key}`", keys.key());
        Err(corrupt(why))
    }
}

fn read_manifest(path: &Path) -> Result<Manifest, StoreError> {
    let refuse = |why: String| StoreError::NotADataDirectory {
        path: path.to_owned(),
        why,
    };
    let place = path.join(MANIFEST);
    let text = fs::read(&place).map_err(|why| match why.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => refuse(format!(
            "it has no `{MANIFEST}`; make one with `counterfoil init`, or name another"
        )),
        _ => at(&place)(why),
    })?;
    let manifest: Manifest =
        serde_json::from_slice(&text).map_err(|why| refuse(format!("`{MANIFEST}`: {why}")))?;
    if manifest.layout == LAYOUT {
        Ok(manifest)
    } else {
        Err(refuse(format!(
            "its layout is {} and this program knows {LAYOUT}; use the version of counterfoil that wrote it",
            manifest.layout
        )))
    }
}

fn lock(path: &Path) -> Result<Lock, StoreError> {
    let place = path.join(LOCK);
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&place)
        .map_err(|why| match why.kind() {
            io::ErrorKind::PermissionDenied => StoreError::ReadOnly {
                path: path.to_owned(),
                why: why.to_string(),
            },
            _ => at(path)(why),
        })?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked {
            path: path.to_owned(),
        }),
        Err(TryLockError::Error(why)) => Err(at(&place)(why)),
    }
}

/// Where to put the directory together: beside `path`, or inside it where it is there already (it may be a mount, which
/// cannot be replaced).
fn stage(path: &Path) -> Result<PathBuf, StoreError> {
    let taken = |why: &str| StoreError::Taken {
        path: path.to_owned(),
        why: why.to_owned(),
    };
    if DataDir::exists(path) {
        return Err(taken("it is a data directory already"));
    }
    let stage = path.join(STAGE);
    match fs::read_dir(path) {
        Ok(mut entries) => {
            if stage.is_dir() {
                // Only an interrupted `init` leaves the stage there without a manifest, in a directory empty before.
                clear(path)?;
            } else if entries.next().is_some() {
                return Err(taken("it is not empty"));
            }
            Ok(stage)
        }
        Err(gone) if gone.kind() == io::ErrorKind::NotFound => {
            let name = path
                .file_name()
                .ok_or_else(|| taken("it has no name"))?
                .to_string_lossy();
            let parent = parent(path);
            fs::create_dir_all(parent).map_err(at(parent))?;
            Ok(parent.join(format!(".{name}.{}", &random_token()?[..16])))
        }
        Err(why) if why.kind() == io::ErrorKind::NotADirectory => Err(taken("it is a file")),
        Err(why) => Err(at(path)(why)),
    }
}

/// Removes what an interrupted call left, the stage itself last.
fn clear(path: &Path) -> Result<(), StoreError> {
    for piece in PIECES {
        let piece = path.join(piece);
        if piece.is_dir() {
            fs::remove_dir_all(&piece).map_err(at(&piece))?;
        } else if piece.exists() {
            fs::remove_file(&piece).map_err(at(&piece))?;
        }
    }
    let stage = path.join(STAGE);
    fs::remove_dir_all(&stage).map_err(at(&stage))
}

/// What a data directory holds from the start; the manifest, which makes it one, comes last.
const PIECES: [&str; 8] = [
    KEYS,
    "log",
    "wal",
    "snapshots",
    "targets",
    SIGNER,
    VKEY,
    MANIFEST,
];

fn build(stage: &Path, origin: &str, new: &NewKey<'_>) -> Result<(), StoreError> {
    let disk = Disk::default();
    fs::create_dir(stage).map_err(at(stage))?;
    let log = stage.join("log");
    fs::create_dir(&log).map_err(at(&log))?;
    // Only the log is for others to read: snapshots hold what agents saw, personal data too.
    for directory in [KEYS, "wal", "snapshots", "targets"] {
        let directory = stage.join(directory);
        DirBuilder::new()
            .mode(0o700)
            .create(&directory)
            .map_err(at(&directory))?;
    }
    let key = new.make(origin)?;
    write_secret(&stage.join(key.file), &key.bytes)?;
    let signer = key.signer;
    let head = Checkpoint {
        origin: origin.to_owned(),
        size: 0,
        root: hash::empty_root(),
        extensions: Vec::new(),
    };
    let head = head
        .sign(&*signer)
        .map_err(|why| StoreError::Key(why.to_string()))?;
    let manifest = Manifest {
        layout: LAYOUT,
        origin: origin.to_owned(),
        id: hex::encode(random::<16>()?),
    };
    let manifest =
        serde_json::to_string(&manifest).map_err(|why| StoreError::Key(why.to_string()))?;
    let temporary = stage.join("temporary");
    wal::Writer::begin(&disk, &stage.join("wal"), signer.verifier().id(), 0, None)?;
    disk.put(&temporary, &stage.join("log").join(tile::CHECKPOINT), &head)?;
    disk.put(
        &temporary,
        &stage.join(VKEY),
        format!("{}\n", signer.verifier()).as_bytes(),
    )?;
    disk.put(
        &temporary,
        &stage.join(MANIFEST),
        format!("{manifest}\n").as_bytes(),
    )
}

fn settle(stage: &Path, path: &Path) -> Result<(), StoreError> {
    let disk = Disk::default();
    if stage.parent() == Some(path) {
        // Either the key's file or the signer's is not there.
        for piece in PIECES.iter().filter(|piece| stage.join(piece).exists()) {
            disk.rename(&stage.join(piece), &path.join(piece))?;
            disk.sync_dir(path)?;
        }
        fs::remove_dir(stage).map_err(at(stage))
    } else {
        disk.rename(stage, path)?;
        disk.sync_dir(parent(path))
    }
}

fn parent(path: &Path) -> &Path {
    path.parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}
