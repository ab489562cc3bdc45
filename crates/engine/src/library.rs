//! Releases, rebuilt from the files that the log itself holds.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use duty::{
    canonical::Digest,
    record::{Body, Record},
    request::Request,
    state::State,
};
use policy::Release;

use crate::EngineError;

/// Files of the log and the releases made of them.
#[derive(Default)]
pub(crate) struct Library {
    files: BTreeMap<Digest, String>,
    releases: HashMap<Digest, Arc<Release>>,
}

impl Library {
    /// Goes on from files that are known.
    pub(crate) fn with(files: BTreeMap<Digest, String>) -> Self {
        Self {
            files,
            releases: HashMap::new(),
        }
    }

    /// All files.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&Digest, &String)> {
        self.files.iter()
    }

    /// Keeps what a record brings.
    pub(crate) fn take(&mut self, record: &Record) {
        if let Body::FileRecorded(body) = &record.body
            && let Request::RecordFile(request) = &body.request
        {
            self.files.insert(body.digest, request.content.clone());
        }
    }

    /// The release of this digest; none where the log does not hold it.
    pub(crate) fn release(
        &mut self,
        state: &State,
        digest: Digest,
    ) -> Result<Option<Arc<Release>>, EngineError> {
        if let Some(release) = self.releases.get(&digest) {
            return Ok(Some(Arc::clone(release)));
        }
        let Some(paths) = state.releases.get(&digest) else {
            return Ok(None);
        };
        let files: BTreeMap<String, String> = paths
            .iter()
            .filter_map(|(path, digest)| Some((path.clone(), self.files.get(digest)?.clone())))
            .collect();
        let release = Release::from_files(files).map_err(|errors| EngineError::Release {
            digest: digest.short(),
            errors,
        })?;
        let release = Arc::new(release);
        self.releases.insert(digest, Arc::clone(&release));
        Ok(Some(release))
    }
}
