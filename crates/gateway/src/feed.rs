//! Records of the log as a running server reads them: published ones, in order, a bounded number at a time.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, LazyLock, Mutex, PoisonError, mpsc},
    thread,
    time::Duration,
};

use duty::record::Record;
use engine::Engine;
use ledger::Directory;
use tokio::sync::oneshot;

/// How long is waited for what is decided to be published.
const PATIENCE: Duration = Duration::from_secs(5);

/// Threads that read. Each comes to hold some megabytes, and whoever follows events comes back for every record: in the runtime's own
/// pool every one of its threads would hold as much.
const READERS: usize = 4;

type Job = Box<dyn FnOnce() + Send>;

/// The way to the readers.
static JOBS: LazyLock<mpsc::Sender<Job>> = LazyLock::new(|| {
    let (jobs, waiting) = mpsc::channel::<Job>();
    let waiting = Arc::new(Mutex::new(waiting));
    for _ in 0..READERS {
        let waiting = Arc::clone(&waiting);
        thread::spawn(move || {
            let next = || {
                waiting
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .recv()
            };
            while let Ok(job) = next() {
                // Whoever waits for it finds out, and the thread reads on for others.
                let _ = catch_unwind(AssertUnwindSafe(job));
            }
        });
    }
    jobs
});

/// Reads on while `take` says so, from record `from` on; what is decided now is read too.
///
/// # Errors
/// Why the log cannot be read.
pub(crate) async fn each<T: Send + 'static>(
    engine: &Arc<Engine>,
    from: u64,
    mut found: T,
    mut take: impl FnMut(&mut T, &Record) -> bool + Send + 'static,
) -> Result<T, String> {
    let journal = engine.journal();
    // What is decided and not committed yet is in the state already, and a caller that saw it there looks for it here.
    let size = engine.read(|state| state.size);
    match tokio::time::timeout(PATIENCE, journal.wait_published(size)).await {
        Ok(published) => published.map_err(|e| e.to_string())?,
        Err(_) => return Err("the last records are not published yet; come again".to_owned()),
    }
    let log = engine.dir().path().join("log");
    let (told, answer) = oneshot::channel();
    let read = move || {
        let mut enough = false;
        let read = evidence::for_each_record(&Directory::new(&log), from, &mut |record| {
            enough = !take(&mut found, record);
            if enough { Err(String::new()) } else { Ok(()) }
        });
        match read {
            Ok(_) => Ok(found),
            Err(_) if enough => Ok(found),
            Err(e) => Err(e.to_string()),
        }
    };
    let job = Box::new(move || {
        let _nobody_waits = told.send(read());
    });
    JOBS.send(job).map_err(|e| e.to_string())?;
    answer
        .await
        .map_err(|_| "reading the log ended badly".to_owned())?
}
