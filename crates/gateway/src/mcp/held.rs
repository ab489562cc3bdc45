//! Calls whose outcome their caller has not been told: the same call of the same agent finds it, also after a restart.
//!
//! Kept is only which case a call belongs to, and how long the log was when it came; what became of it is read from the log. It
//! is held in memory, and `mcp.db` follows a moment later: nobody waits for it. The file says up to which record it has
//! everything, so that what a crash kept from it is found in the log at the next start: a recommendation is durable before
//! what it asks for is done, and no call is begun twice. What a crash does lose is that an outcome was told, in that moment: it
//! is told once more then.

mod file;
mod tail;

use std::{
    collections::{HashMap, VecDeque},
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use duty::{
    canonical::Digest,
    name::{CaseId, Environment, PrincipalId},
};
use file::File;

/// From the first change after a pause until the file is written.
const GATHER: Duration = Duration::from_millis(50);

/// From one look to the next whether the log went on without any call, and so many records that are worth a note of it: a
/// start after a crash reads as many.
const LOOK: Duration = Duration::from_secs(10);
const FAR: u64 = 100_000;

/// From one attempt to write the file to the next, while it fails.
const AGAIN: Duration = Duration::from_secs(1);

/// What makes two calls the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) agent: PrincipalId,
    pub(super) environment: Environment,
    pub(super) action: Digest,
}

/// A call that was begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Begun {
    pub(super) case: CaseId,
    /// How long the log was.
    pub(super) since: u64,
}

/// Tells how long the log is; none where it is closed.
pub(super) type Size = Box<dyn Fn() -> Option<u64> + Send + Sync>;

/// Calls that were begun.
pub(super) struct Held {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
}

struct Shared {
    known: Mutex<Known>,
    changed: Condvar,
    file: Mutex<File>,
    size: Size,
}

/// What is held in memory.
#[derive(Default)]
struct Known {
    /// The newest call of each key whose outcome was not told.
    untold: HashMap<Key, Begun>,
    /// Its key again, by where it was begun.
    keys: HashMap<Place, Key>,
    /// What the file does not have yet.
    queue: VecDeque<Change>,
    /// Why the file cannot be written, while that is so.
    failure: Option<String>,
    /// Whether the writer waits to be told.
    dozes: bool,
    ends: bool,
}

/// Where a call was begun.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Place {
    agent: PrincipalId,
    environment: Environment,
    case: CaseId,
}

impl Place {
    fn of(key: &Key, case: &CaseId) -> Self {
        Self {
            agent: key.agent.clone(),
            environment: key.environment.clone(),
            case: case.clone(),
        }
    }
}

/// A change of what is known.
#[derive(Clone, Debug)]
enum Change {
    Begun(Key, Begun),
    /// As the log tells of it, unless it is known.
    Found(Key, Begun),
    /// The outcome of what was begun there was told.
    Told(Place),
}

impl Held {
    /// Those of the data directory at `dir`, whose log is as long as `size` says.
    pub(super) fn open(dir: &Path, size: Size) -> Result<Self, String> {
        let mut file = File::open(&dir.join("mcp.db"))?;
        let end = size().unwrap_or(0);
        let (missed, upto) = match file.upto()? {
            Some(upto) if upto < end => tail::calls(&dir.join("log"), upto)?,
            // Also a file that is new, or of an earlier version, which had all.
            _ => (Vec::new(), end),
        };
        file.write(&missed, upto)?;
        let mut known = Known::default();
        for (key, begun) in file.untold()? {
            known.begin(key, begun);
        }
        let shared = Arc::new(Shared {
            known: Mutex::new(known),
            changed: Condvar::new(),
            file: Mutex::new(file),
            size,
        });
        let writing = Arc::clone(&shared);
        let writer = std::thread::Builder::new()
            .name("mcp-held".to_owned())
            .spawn(move || writing.keep_writing())
            .map_err(|e| e.to_string())?;
        Ok(Self {
            shared,
            writer: Some(writer),
        })
    }

    /// What this call began, where its outcome was not told.
    pub(super) fn find(&self, key: &Key) -> Option<Begun> {
        self.shared.known().untold.get(key).cloned()
    }

    /// What an agent began in a case, told or not.
    pub(super) fn in_case(
        &self,
        agent: &PrincipalId,
        environment: &Environment,
        case: &CaseId,
    ) -> Result<Option<Begun>, String> {
        let mut file = self.shared.file();
        self.shared.write(&mut file)?;
        file.in_case(agent, environment, case)
    }

    /// Notes what a call begins, before it does.
    pub(super) fn note(&self, key: &Key, begun: &Begun) -> Result<(), String> {
        let mut known = self.shared.known();
        if let Some(why) = &known.failure {
            return Err(why.clone());
        }
        known.begin(key.clone(), begun.clone());
        self.shared
            .queue(known, Change::Begun(key.clone(), begun.clone()));
        Ok(())
    }

    /// Notes that the outcome of what was begun in a case is told: the same call is a new one from here on.
    pub(super) fn told_in(&self, agent: &PrincipalId, environment: &Environment, case: &CaseId) {
        let place = Place {
            agent: agent.clone(),
            environment: environment.clone(),
            case: case.clone(),
        };
        let mut known = self.shared.known();
        if let Some(key) = known.keys.remove(&place) {
            known.untold.remove(&key);
            self.shared.queue(known, Change::Told(place));
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shared.known().ends = true;
        self.shared.changed.notify_all();
        if let Some(writer) = self.writer.take() {
            // Its panic has been told, and the next start reads the log.
            let _ = writer.join();
        }
    }
}

impl Known {
    fn begin(&mut self, key: Key, begun: Begun) {
        // A case is about one action, and one that was begun anew about its last.
        let place = Place::of(&key, &begun.case);
        if let Some(older) = self.keys.insert(place, key.clone()) {
            self.untold.remove(&older);
        }
        if let Some(older) = self.untold.insert(key.clone(), begun) {
            self.keys.remove(&Place::of(&key, &older.case));
        }
    }
}

impl Shared {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self) -> MutexGuard<'_, File> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queue(&self, mut known: MutexGuard<'_, Known>, change: Change) {
        known.queue.push_back(change);
        let dozes = std::mem::take(&mut known.dozes);
        drop(known);
        if dozes {
            self.changed.notify_all();
        }
    }

    /// The writer's work, until it is to end.
    fn keep_writing(&self) {
        loop {
            let ends = self.wait_for_changes();
            let mut file = self.file();
            let written = self.write(&mut file);
            if written.is_ok()
                && let Ok(Some(since)) = file.tidy()
            {
                self.forget(since);
            }
            drop(file);
            if ends {
                return;
            }
            if written.is_err() {
                self.pause(AGAIN);
            }
        }
    }

    /// Waits for a change and then for more of them, or until it is time to look; whether it is time to end.
    fn wait_for_changes(&self) -> bool {
        let mut known = self.known();
        if known.queue.is_empty() && !known.ends {
            known.dozes = true;
            let waited = self.changed.wait_timeout(known, LOOK);
            known = waited.unwrap_or_else(PoisonError::into_inner).0;
            known.dozes = false;
        }
        drop(known);
        self.pause(GATHER)
    }

    /// Whether it is time to end, which ends the pause.
    fn pause(&self, pause: Duration) -> bool {
        let until = Instant::now() + pause;
        let mut known = self.known();
        while !known.ends {
            let Some(left) = until.checked_duration_since(Instant::now()) else {
                return false;
            };
            let waited = self.changed.wait_timeout(known, left);
            known = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Writes what is queued.
    fn write(&self, file: &mut File) -> Result<(), String> {
        // Looked at first: a call is queued before its recommendation is in the log, so that all up to there are written now.
        let size = (self.size)();
        let changes = std::mem::take(&mut self.known().queue);
        let upto = size.unwrap_or(0).max(file.written());
        if changes.is_empty() && upto - file.written() < FAR {
            return Ok(());
        }
        let written = file.write(changes.iter(), upto);
        let mut known = self.known();
        known.failure = written.as_ref().err().cloned();
        if written.is_err() {
            let later = std::mem::replace(&mut known.queue, changes);
            known.queue.extend(later);
        }
        written
    }

    /// Lets go of calls that the file does not know any more.
    fn forget(&self, since: u64) {
        let mut known = self.known();
        known.untold.retain(|_, begun| begun.since >= since);
        let Known { untold, keys, .. } = &mut *known;
        keys.retain(|_, key| untold.contains_key(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        Key {
            agent: "ana".parse().unwrap(),
            environment: "prod".parse().unwrap(),
            action: Digest::of_bytes(text.as_bytes()),
        }
    }

    fn begun(case: &str, since: u64) -> Begun {
        Begun {
            case: case.parse().unwrap(),
            since,
        }
    }

    /// With a log that is empty.
    fn open(dir: &Path) -> Held {
        Held::open(dir, Box::new(|| Some(0))).unwrap()
    }

    #[test]
    fn a_call_is_known_until_it_is_told_also_by_another_process() {
        let dir = tempfile::tempdir().unwrap();
        let one = begun("c-1", 7);
        open(dir.path()).note(&key("a"), &one).unwrap();
        let held = open(dir.path());
        assert_eq!(held.find(&key("a")), Some(one.clone()));
        assert_eq!(held.find(&key("b")), None);
        let elsewhere = Key {
            environment: "staging".parse().unwrap(),
            ..key("a")
        };
        assert_eq!(held.find(&elsewhere), None);
        let (ana, prod) = (&key("a").agent, &key("a").environment);
        held.told_in(ana, prod, &one.case);
        assert_eq!(held.find(&key("a")), None);
        drop(held);
        let held = open(dir.path());
        assert_eq!(held.find(&key("a")), None);
        assert_eq!(held.in_case(ana, prod, &one.case).unwrap(), Some(one));
        let other = "c-2".parse().unwrap();
        assert_eq!(held.in_case(ana, prod, &other).unwrap(), None);
    }

    #[test]
    fn a_case_that_is_told_ends_its_own_call_alone() {
        let dir = tempfile::tempdir().unwrap();
        let held = open(dir.path());
        let (ana, prod) = (&key("a").agent, &key("a").environment);
        for (text, case) in [("a", "c-1"), ("b", "c-2")] {
            held.note(&key(text), &begun(case, 1)).unwrap();
        }
        held.told_in(ana, prod, &"c-1".parse().unwrap());
        assert_eq!(held.find(&key("a")), None);
        // A later call of the same key is another one.
        held.note(&key("b"), &begun("c-3", 2)).unwrap();
        held.told_in(ana, prod, &"c-2".parse().unwrap());
        assert_eq!(held.find(&key("b")), Some(begun("c-3", 2)));
        drop(held);
        let held = open(dir.path());
        assert_eq!(held.find(&key("a")), None);
        assert_eq!(held.find(&key("b")), Some(begun("c-3", 2)));
    }

    #[test]
    fn the_oldest_are_forgotten_and_the_file_says_how_far_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let held = Held::open(dir.path(), Box::new(|| Some(1_000_000))).unwrap();
        for n in 0..file::MOST + 2 * file::TIDY {
            let key = key(&n.to_string());
            held.note(&key, &begun(&format!("c-{n}"), n)).unwrap();
        }
        drop(held);
        let mut file = File::open(&dir.path().join("mcp.db")).unwrap();
        assert_eq!(file.upto().unwrap(), Some(1_000_000));
        let left = u64::try_from(file.untold().unwrap().len()).unwrap();
        assert!(
            (file::MOST..file::MOST + 2 * file::TIDY).contains(&left),
            "{left}"
        );
    }

    #[test]
    fn what_cannot_be_written_is_refused_until_it_can() {
        let dir = tempfile::tempdir().unwrap();
        let held = open(dir.path());
        let (ana, prod) = (&key("a").agent, &key("a").environment);
        let other = rusqlite::Connection::open(dir.path().join("mcp.db")).unwrap();
        other
            .execute_batch("ALTER TABLE calls RENAME TO away")
            .unwrap();
        held.note(&key("a"), &begun("c-1", 1)).unwrap();
        assert!(held.in_case(ana, prod, &"c-1".parse().unwrap()).is_err());
        assert!(held.note(&key("b"), &begun("c-2", 2)).is_err());
        assert_eq!(held.find(&key("b")), None);
        other
            .execute_batch("ALTER TABLE away RENAME TO calls")
            .unwrap();
        let found = held.in_case(ana, prod, &"c-1".parse().unwrap());
        assert_eq!(found, Ok(Some(begun("c-1", 1))), "nothing was lost");
        held.note(&key("b"), &begun("c-2", 2)).unwrap();
    }
}
