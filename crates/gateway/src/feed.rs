//! Records of the log as a running server reads them: published ones, in order, a bounded number at a time.

use std::{sync::Arc, time::Duration};

use duty::record::Record;
use engine::Engine;
use ledger::Directory;
use tokio::sync::Semaphore;

/// How long is waited for what is decided to be published.
const PATIENCE: Duration = Duration::from_secs(5);

/// Who reads: each takes a thread, and some megabytes, for as long as it does. Whoever follows events comes back for each of them.
static READERS: Semaphore = Semaphore::const_new(4);

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
    let _reads = READERS.acquire().await.map_err(|e| e.to_string())?;
    let read = tokio::task::spawn_blocking(move || {
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
    });
    read.await.map_err(|e| e.to_string())?
}
