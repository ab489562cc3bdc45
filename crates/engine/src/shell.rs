//! The engine: one log, its state in memory, and the one way in.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
    time::Instant,
};

use duty::{
    Decision,
    canonical::{Digest, to_vec},
    decide,
    principal::Proof,
    record::{LONGEST, Record},
    release::Rules,
    release_for,
    request::{OpenLog, Request, RotateLogKey, Submission},
    state::State,
};
use ledger::rotation::Act;
use policy::{Embedder, Release};
use store::{Cosign, DataDir, Folds, Journal, NewKey, Passphrase, Snapshots, StoreError};
use tokio::sync::watch;
use tracing::debug;

use crate::{
    EngineError,
    clock::{Clock, SystemClock},
    fold::{self, Keeper, Tell},
    library::Library,
    meter::Meter,
    pending::Pending,
    seat::{Seat, new_services},
    target::Target,
    told,
};

/// Bytes of a record that are left for everything but its request.
const ENVELOPE: usize = 4_096;

/// Records from one fold that is written down to the next, unless told otherwise: a start reads as many in a fifth of a second.
const FOLD_EVERY: u64 = 100_000;

/// What an engine is opened with.
pub struct Options {
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Target systems by the name of their server, as in `<server>.<tool>`.
    pub targets: HashMap<String, Arc<dyn Target>>,
    /// Makes vectors of queries, for releases that rank by meaning.
    pub embedder: Option<Arc<dyn Embedder>>,
    /// Where this machine keeps its logs' guards: outside every data directory, and in no backup of one.
    pub guards: PathBuf,
    /// Has published checkpoints cosigned, where there are witnesses.
    pub witnesses: Option<Box<dyn Cosign>>,
    /// Gives the passphrase of the log's key; asked only where the key is protected.
    pub unlock: Option<Box<dyn Fn() -> Result<Passphrase, StoreError> + Send + Sync>>,
    /// Verify and fold the whole log, as if no fold had been written down.
    pub verify: bool,
    /// Records from one fold that is written down to the next.
    pub fold_every: u64,
    /// Hears of folds that cannot be used or written.
    pub tell: Tell,
}

impl Options {
    /// The system's clock, no targets, no witnesses; what is told is logged.
    #[must_use]
    pub fn new(guards: &Path) -> Self {
        Self {
            clock: Arc::new(SystemClock),
            targets: HashMap::new(),
            embedder: None,
            guards: guards.to_owned(),
            witnesses: None,
            unlock: None,
            verify: false,
            fold_every: FOLD_EVERY,
            tell: fold::in_log(),
        }
    }
}

/// The shell round the core.
///
/// Owns its data directory: a second engine on it is refused.
pub struct Engine {
    core: Mutex<Core>,
    journal: Journal,
    clock: Arc<dyn Clock>,
    targets: HashMap<String, Arc<dyn Target>>,
    embedder: Option<Arc<dyn Embedder>>,
    keeper: Keeper,
    meter: Meter,
    dir: DataDir,
    /// Held while orders to stop are taken.
    pub(crate) stopping: tokio::sync::Mutex<()>,
    /// Whether an erasure is left to be finished.
    pub(crate) unerased: AtomicBool,
}

struct Core {
    state: State,
    library: Library,
}

impl Core {
    /// Writes the fold down after a start that had many records to read, so that the next has not, or that was to go by no
    /// fold, so that the next ones are made of this; answers the size of the last fold.
    fn write_down(&self, folds: &Folds, from: u64, options: &Options) -> u64 {
        let size = self.state.size;
        if size == from || (!options.verify && size - from < options.fold_every) {
            return from;
        }
        // The journal was opened just now: all that was folded is published.
        let written = folds.head().and_then(|head| {
            let state = fold::to_bytes(&self.state, self.library.files());
            fold::write(folds, &head, state)
        });
        match written {
            Ok(()) => size,
            Err(why) => {
                (options.tell)(&format!("no fold could be written: {why}"));
                from
            }
        }
    }
}

impl Engine {
    /// Opens the engine on a data directory, and begins its log where it is empty.
    ///
    /// A start takes the newest fold that was written down and can be trusted, or none, and folds the log's records after
    /// it: recovery is nothing special.
    ///
    /// # Errors
    /// [`EngineError::Store`] where the directory is not there, not writable, locked or damaged; [`EngineError::Fold`]
    /// where its records do not follow one another.
    pub async fn open(path: &Path, mut options: Options) -> Result<Self, EngineError> {
        let dir = match &options.unlock {
            Some(unlock) => DataDir::open_with(path, &options.guards, unlock)?,
            None => DataDir::open(path, &options.guards)?,
        };
        let folds = Folds::of(&dir, fold::CORE);
        let known = if options.verify {
            fold::Folded::default()
        } else {
            fold::newest(&folds, &options.tell)?
        };
        let mut core = Core {
            state: known.state,
            library: Library::with(known.files),
        };
        let from = core.state.size;
        let known_size = from;
        let mut journal = Journal::open_from(&dir, from, &mut |_, bytes| {
            let record = Record::from_bytes_unchecked(bytes).map_err(|e| e.to_string())?;
            core.library.take(&record);
            core.state.apply(&record).map_err(|e| e.to_string())
        })?;
        if let Some(witnesses) = options.witnesses.take() {
            journal.witness(&dir, witnesses)?;
        }
        let from = core.write_down(&folds, from, &options);
        let keeper = Keeper::start(folds, from, options.fold_every, options.tell)?;
        let engine = Self {
            core: Mutex::new(core),
            journal,
            clock: options.clock,
            targets: options.targets,
            embedder: options.embedder,
            keeper,
            meter: Meter::default(),
            dir,
            stopping: tokio::sync::Mutex::default(),
            unerased: AtomicBool::new(false),
        };
        if engine.read(|state| state.size) == 0 {
            let origin = engine.dir.origin().to_owned();
            let principals = new_services();
            let request = Request::OpenLog(OpenLog { origin, principals });
            engine.submit(&Seat::admin(), request).await?;
        }
        engine.take_rotation_down().await?;
        let (origin, size) = (engine.dir.origin(), engine.read(|state| state.size));
        debug!(origin, size, folded = known_size, "the log is open");
        Ok(engine)
    }

    /// Puts the last change of the log's key into the log, where it is not there yet: what a rotation ends with, and what a
    /// start after a crash catches up on.
    async fn take_rotation_down(&self) -> Result<(), EngineError> {
        let keys = self.dir.keys();
        let (size, recorded) = self.read(|state| (state.size, state.log_key.clone()));
        let corrupt = |why: &str| {
            Err(EngineError::Store(StoreError::Corrupt {
                place: "log/keys".to_owned(),
                why: why.to_owned(),
            }))
        };
        match (keys.statements().last(), recorded) {
            (None, None) => Ok(()),
            (None, Some(_)) => {
                corrupt("the log's records tell of another key, and the file is missing")
            }
            (Some(_), Some(recorded)) if recorded == keys.key().vkey() => Ok(()),
            (Some(last), _) if last.statement.size == size => {
                let statement = last.note.clone();
                let request = Request::RotateLogKey(RotateLogKey { statement });
                self.submit(&Seat::admin(), request).await?;
                Ok(())
            }
            (Some(_), _) => corrupt("the log's records do not tell of the last change of its key"),
        }
    }

    /// Lets another key take over from the log's, and lets go of the directory. The next [`Engine::open`] puts the change
    /// into the log, as the first record under the new key. Answers the new verifier key.
    ///
    /// # Errors
    /// [`EngineError::Refused`] where the core would refuse that record, [`EngineError::Store`] where the last records
    /// cannot be published or a key does not sign: the log then keeps its key. After a failure of the disk the next start
    /// finishes or drops the change.
    pub fn rotate_key(
        self,
        new: &NewKey<'_>,
        act: Act,
        reason: &str,
    ) -> Result<String, EngineError> {
        let Self {
            core,
            journal,
            clock,
            dir,
            ..
        } = self;
        journal.close()?;
        let core = core.into_inner().unwrap_or_else(PoisonError::into_inner);
        let staged = dir.stage_rotation(new, act, reason)?;
        let seat = Seat::admin();
        let statement = String::from_utf8_lossy(staged.note()).into_owned();
        let submission = Submission {
            clock: clock.now(),
            principal: seat.principal,
            credential: seat.credential,
            request: Request::RotateLogKey(RotateLogKey { statement }),
        };
        // Once it is committed there is no way back, so what comes after must be known to pass.
        if let Some(refusal) = decide(&core.state, None, &submission).refusal {
            return Err(EngineError::Refused(Box::new(refusal)));
        }
        Ok(staged.commit()?.vkey())
    }

    /// Decides a request and appends what was decided; returns when it is durable.
    ///
    /// # Errors
    /// [`EngineError::Refused`] where the core refused it (the refusal is then in the log), [`EngineError::NotErased`] where
    /// an erasure was recorded and is not carried out yet, others where nothing was recorded at all.
    pub async fn submit(&self, seat: &Seat, request: Request) -> Result<Vec<Record>, EngineError> {
        self.submit_ahead(seat, request).await?.durable(self).await
    }

    /// As [`Engine::submit`], for a step on which another follows: what was decided is in its place in the log, and not
    /// durable yet. A refusal is.
    ///
    /// # Errors
    /// As [`Engine::submit`].
    pub async fn submit_ahead(
        &self,
        seat: &Seat,
        request: Request,
    ) -> Result<Pending<Vec<Record>>, EngineError> {
        if let Request::RotateLogKey(r) = &request {
            // The core cannot know which keys signed checkpoints; this directory does.
            let last = self.dir.keys().statements().last();
            if last.is_none_or(|last| last.note != r.statement) {
                return Err(EngineError::NotRotated);
            }
        }
        // What has happened is taken down whatever orders lie there: it would be lost.
        let happened = matches!(
            request,
            Request::Answer(_) | Request::AnswerModel(_) | Request::RecordOutcome(_)
        );
        self.take_orders()
            .await
            .map(|_| ())
            .or_else(|e| if happened { Ok(()) } else { Err(e) })?;
        let decided = self.decide(seat, request)?;
        if decided.is_told_at_once() {
            let decision = decided.durable(self).await?;
            return match decision.refusal {
                None => {
                    self.erase_as(&decision.records).await?;
                    Ok(Pending::new(decision.records, 0))
                }
                Some(refusal) => Err(EngineError::Refused(Box::new(refusal))),
            };
        }
        Ok(decided.map(|decision| decision.records))
    }

    /// As [`Engine::submit`], whatever orders lie there; a refusal is part of the answer.
    pub(crate) async fn decided(
        &self,
        seat: &Seat,
        request: Request,
    ) -> Result<Decision, EngineError> {
        self.decide(seat, request)?.durable(self).await
    }

    /// Decides, and gives what was decided its place in the log.
    fn decide(&self, seat: &Seat, request: Request) -> Result<Pending<Decision>, EngineError> {
        let bytes = to_vec(&request)?.len();
        if bytes > LONGEST - ENVELOPE {
            let most = LONGEST - ENVELOPE;
            return Err(EngineError::TooLong { bytes, most });
        }
        let word = request.word();
        let mut core = self.core();
        let began = Instant::now();
        let core = &mut *core;
        let release = match release_for(&core.state, &request) {
            Some(digest) => core.library.release(&core.state, digest)?,
            None => None,
        };
        let submission = Submission {
            clock: self.clock.now(),
            principal: seat.principal.clone(),
            credential: seat.credential.clone(),
            request,
        };
        let rules = release.as_deref().map(|r| r as &dyn Rules);
        let decision = decide(&core.state, rules, &submission);
        let records = decision.records.iter().map(Record::to_bytes);
        let records = records.collect::<Result<Vec<_>, _>>()?;
        if let Some(long) = records.iter().find(|r| r.len() > LONGEST) {
            let bytes = long.len();
            return Err(EngineError::TooLong {
                bytes,
                most: LONGEST,
            });
        }
        // Sequenced before applied: if the journal refuses, the state has not moved.
        let upto = self.journal.append_ahead(core.state.size, records)?;
        for record in &decision.records {
            core.library.take(record);
            core.state.apply(record)?;
        }
        self.meter.decided(word, &decision, began.elapsed());
        told::decided(seat, word, &decision);
        Ok(Pending::new(decision, upto))
    }

    /// Waits until the first `upto` records are durable.
    pub(crate) async fn wait(&self, upto: u64) -> Result<(), EngineError> {
        let began = Instant::now();
        self.journal.wait_committed(upto).durable().await?;
        self.meter.durable(began.elapsed());
        Ok(())
    }

    /// Looks at the state, for an answer: what it tells of may not be durable yet. Keep it short: deciding waits meanwhile.
    pub fn look<T>(&self, look: impl FnOnce(&State) -> T) -> Pending<T> {
        self.read(|state| Pending::new(look(state), state.size))
    }

    /// Looks at the state, to go on. Keep it short: deciding waits meanwhile. What is told to others by it is
    /// [`Engine::look`]'s.
    pub fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.core().state)
    }

    /// The release of this digest, from the log's own files.
    ///
    /// # Errors
    /// [`EngineError::Release`] where its files do not make a release.
    pub fn release(&self, digest: Digest) -> Result<Option<Arc<Release>>, EngineError> {
        let mut core = self.core();
        let core = &mut *core;
        core.library.release(&core.state, digest)
    }

    /// The principal that a bearer token belongs to.
    ///
    /// # Errors
    /// [`EngineError::Unauthenticated`] where it is nobody's, or of somebody revoked.
    pub fn authenticate(&self, token: &str) -> Result<Seat, EngineError> {
        let sha256 = Digest::of_bytes(token.as_bytes());
        self.seat_of(&Proof::Token { sha256 })
    }

    /// The principal that a proof belongs to, which somebody has shown to hold.
    ///
    /// # Errors
    /// As [`Engine::authenticate`].
    pub fn seat_of(&self, proof: &Proof) -> Result<Seat, EngineError> {
        self.read(|state| {
            let (principal, credential) = state.holder(proof)?;
            Some(Seat {
                principal: principal.clone(),
                credential: credential.clone(),
            })
        })
        .ok_or(EngineError::Unauthenticated)
    }

    /// Follows the number of durable records.
    #[must_use]
    pub fn follow(&self) -> watch::Receiver<u64> {
        self.journal.follow()
    }

    pub(crate) fn embedder(&self) -> Option<&Arc<dyn Embedder>> {
        self.embedder.as_ref()
    }

    /// The clock's reading.
    #[must_use]
    pub fn now(&self) -> duty::time::Time {
        self.clock.now()
    }

    /// What it counts of itself.
    #[must_use]
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// The journal: sizes, the last checkpoint, failures.
    #[must_use]
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// The snapshots.
    #[must_use]
    pub fn snapshots(&self) -> &Snapshots {
        self.journal.snapshots()
    }

    /// The data directory.
    #[must_use]
    pub fn dir(&self) -> &DataDir {
        &self.dir
    }

    pub(crate) fn target(&self, tool: &str) -> Result<(Arc<dyn Target>, String), EngineError> {
        let found = tool.split_once('.').and_then(|(server, tool)| {
            let target = self.targets.get(server)?;
            Some((Arc::clone(target), tool.to_owned()))
        });
        found.ok_or_else(|| EngineError::NoTarget(tool.to_owned()))
    }

    /// Publishes the rest and lets go of the directory.
    ///
    /// # Errors
    /// [`EngineError::Store`] where the last records could not be published; they stay in the journal.
    pub fn close(self) -> Result<(), EngineError> {
        self.journal.close()?;
        self.keeper.finish();
        Ok(())
    }

    /// Writes the fold of what is published down, for the next start, where that is worth its while; no more are written
    /// afterwards. For whoever cannot [`Engine::close`]. Blocks.
    pub fn keep_fold(&self) {
        self.keeper.finish();
    }

    fn core(&self) -> MutexGuard<'_, Core> {
        // A panic while deciding leaves the state as it was before the decision's first `apply`, or the journal poisoned.
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
