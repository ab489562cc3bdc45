//! What a witness keeps: its key, the logs it knows, and the latest checkpoint that it cosigned of each.
//!
//! ```text
//! <dir>/witness.key    its key, mode 0600
//! <dir>/witness.vkey   its verifier key (type 4)
//! <dir>/logs           the verifier keys of the logs it knows, a line each
//! <dir>/latest/<hex of SHA-256(origin)>   the latest cosigned checkpoint, as its signed note
//! ```

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ledger::cosignature::{Cosigner, Witness};
use ledger::note::{Note, Signature};
use ledger::witness::{AddCheckpoint, Refused};
use ledger::{Checkpoint, Verifier};
use store::secret::{random_seed, read_secret, write_secret};

const KEY: &str = "witness.key";
const VKEY: &str = "witness.vkey";
const LOGS: &str = "logs";
const LATEST: &str = "latest";
const LOCK: &str = "lock";

/// Why a witness cannot be made or opened.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    /// A file.
    #[error(transparent)]
    Store(#[from] store::StoreError),
    /// A file of the system.
    #[error("`{path}`: {why}")]
    File {
        /// The file.
        path: PathBuf,
        /// The reason.
        why: String,
    },
    /// Another process is this witness.
    #[error(
        "`{0}` is in use by another process; one witness runs once, or it could cosign two histories"
    )]
    Locked(PathBuf),
}

/// A witness, owned by this process.
#[derive(Debug)]
pub struct Keeper {
    dir: PathBuf,
    cosigner: Cosigner,
    logs: BTreeMap<String, Vec<Verifier>>,
    /// Latest cosigned checkpoint by origin. Locked from reading it to having the next one on disk: never a roll back.
    latest: Mutex<BTreeMap<String, Checkpoint>>,
    _lock: File,
}

impl Keeper {
    /// Makes a witness of this name in a directory that has none, and answers its verifier key.
    ///
    /// # Errors
    /// [`KeeperError`]; also where there is one already.
    pub fn init(dir: &Path, name: &str) -> Result<Witness, KeeperError> {
        let key = dir.join(KEY);
        if key.exists() {
            return Err(file(&key, "there is a witness already"));
        }
        let seed = random_seed()?;
        let cosigner = Cosigner::from_seed(name, &seed).map_err(|why| file(&key, why))?;
        let witness = cosigner.witness();
        write_secret(&key, cosigner.to_secret_text().as_bytes())?;
        let vkey = dir.join(VKEY);
        fs::write(&vkey, format!("{witness}\n")).map_err(|why| file(&vkey, why))?;
        Ok(witness)
    }

    /// Adds a log to those that the witness in `dir` knows. It is known from the next start on.
    ///
    /// # Errors
    /// [`KeeperError`].
    pub fn know(dir: &Path, log: &Verifier) -> Result<(), KeeperError> {
        let path = dir.join(LOGS);
        let mut text = read_logs(&path)?;
        if !text.lines().any(|line| line == log.vkey()) {
            text += &format!("{log}\n");
            let temporary = path.with_extension("new");
            fs::write(&temporary, text).map_err(|why| file(&temporary, why))?;
            fs::rename(&temporary, &path).map_err(|why| file(&path, why))?;
        }
        Ok(())
    }

    /// Opens the witness in `dir`, for this process alone.
    ///
    /// # Errors
    /// [`KeeperError`].
    pub fn open(dir: &Path) -> Result<Self, KeeperError> {
        let path = dir.join(KEY);
        let text = read_secret(&path)?;
        let text = std::str::from_utf8(&text).map_err(|why| file(&path, why))?;
        let cosigner = Cosigner::from_text(text).map_err(|why| file(&path, why))?;
        let place = dir.join(LOCK);
        let lock = File::create(&place).map_err(|why| file(&place, why))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(KeeperError::Locked(dir.to_owned())),
            Err(TryLockError::Error(why)) => return Err(file(&place, why)),
        }
        let path = dir.join(LOGS);
        let mut logs: BTreeMap<String, Vec<Verifier>> = BTreeMap::new();
        for line in read_logs(&path)?
            .lines()
            .filter(|line| !line.trim().is_empty())
        {
            let log = Verifier::from_vkey(line).map_err(|why| file(&path, why))?;
            logs.entry(log.name().to_owned()).or_default().push(log);
        }
        let mut latest = BTreeMap::new();
        for origin in logs.keys() {
            let path = latest_path(dir, origin);
            if let Some(head) = read_latest(&path)? {
                latest.insert(origin.clone(), head);
            }
        }
        Ok(Self {
            dir: dir.to_owned(),
            cosigner,
            logs,
            latest: Mutex::new(latest),
            _lock: lock,
        })
    }

    /// Its verifier key.
    #[must_use]
    pub fn witness(&self) -> Witness {
        self.cosigner.witness()
    }

    /// The logs it knows, and the size that it cosigned last of each.
    #[must_use]
    pub fn known(&self) -> Vec<(String, u64)> {
        let latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let size = |origin: &String| latest.get(origin).map_or(0, |head| head.size);
        self.logs
            .keys()
            .map(|origin| (origin.clone(), size(origin)))
            .collect()
    }

    /// Judges a request, keeps the checkpoint, and cosigns it at `now`, in seconds since 1970. Kept before cosigned: after a crash it is never older than
    /// what anybody holds a cosignature of.
    ///
    /// # Errors
    /// [`Refused`] inside, [`KeeperError`] outside, where it could not be kept and nothing was cosigned.
    pub fn add(&self, body: &str, now: u64) -> Result<Result<Signature, Refused>, KeeperError> {
        let request = match AddCheckpoint::parse(body) {
            Ok(request) => request,
            Err(refused) => return Ok(Err(refused)),
        };
        let origin = match request.origin() {
            Ok(origin) => origin,
            Err(refused) => return Ok(Err(refused)),
        };
        let Some(keys) = self.logs.get(&origin) else {
            return Ok(Err(Refused::UnknownLog(origin)));
        };
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let judged = match request.judge(keys, latest.get(&origin)) {
            Ok(judged) => judged,
            Err(refused) => return Ok(Err(refused)),
        };
        write_secret(&latest_path(&self.dir, &origin), request.note.as_bytes())?;
        let signature = self.cosigner.cosign(&judged.text, now);
        latest.insert(origin, judged.checkpoint);
        Ok(Ok(signature))
    }
}

fn latest_path(dir: &Path, origin: &str) -> PathBuf {
    let name = ledger::snapshot::commitment(&[0; 32], origin.as_bytes());
    let name: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
    dir.join(LATEST).join(name)
}

fn read_latest(path: &Path) -> Result<Option<Checkpoint>, KeeperError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(gone) if gone.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(why) => return Err(file(path, why)),
    };
    let note = Note::parse(&bytes).map_err(|why| file(path, why))?;
    let head = Checkpoint::from_text(&note.text).map_err(|why| file(path, why))?;
    Ok(Some(head))
}

fn read_logs(path: &Path) -> Result<String, KeeperError> {
    match fs::read_to_string(path) {
        Err(gone) if gone.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        other => other.map_err(|why| file(path, why)),
    }
}

fn file(path: &Path, why: impl std::fmt::Display) -> KeeperError {
    KeeperError::File {
        path: path.to_owned(),
        why: why.to_string(),
    }
}
