//! Releases, made again from the files that the log itself holds.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    rc::Rc,
};

use duty::{
    canonical::Digest,
    record::{Body, Record},
    request::Request,
    state::State,
};
use policy::Release;

use crate::EvidenceError;

/// Files of the log and the releases made of them, each made when it is first asked for.
#[derive(Default)]
pub(crate) struct Library {
    files: HashMap<Digest, String>,
    releases: RefCell<HashMap<Digest, Rc<Release>>>,
}

impl Library {
    /// Keeps what a record brings.
    pub(crate) fn take(&mut self, record: &Record) {
        if let Body::FileRecorded(body) = &record.body
            && let Request::RecordFile(request) = &body.request
        {
            self.files.insert(body.digest, request.content.clone());
        }
    }

    /// The release of this digest, made of the paths that the state knows.
    pub(crate) fn release(
        &self,
        state: &State,
        digest: Digest,
    ) -> Result<Rc<Release>, EvidenceError> {
        match state.releases.get(&digest) {
            Some(paths) => self.made_of(digest, paths),
            None => Err(fault(digest, "the log has not built it".to_owned())),
        }
    }

    /// The release of this digest, made of these files.
    pub(crate) fn made_of(
        &self,
        digest: Digest,
        paths: &BTreeMap<String, Digest>,
    ) -> Result<Rc<Release>, EvidenceError> {
        if let Some(release) = self.releases.borrow().get(&digest) {
            return Ok(Rc::clone(release));
        }
        let mut files = BTreeMap::new();
        for (path, content) in paths {
            let text = self.files.get(content).ok_or_else(|| {
                fault(
                    digest,
                    format!("the log does not hold `{path}` with the digest {content}"),
                )
            })?;
            files.insert(path.clone(), text.clone());
        }
        let release = Release::from_files(files).map_err(|e| fault(digest, e.to_string()))?;
        let release = Rc::new(release);
        self.releases
            .borrow_mut()
            .insert(digest, Rc::clone(&release));
        Ok(release)
    }
}

fn fault(digest: Digest, why: String) -> EvidenceError {
    EvidenceError::Release {
        digest: digest.short(),
        why,
    }
}
