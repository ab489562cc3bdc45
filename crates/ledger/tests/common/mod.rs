//! A log in memory for the tests.

use std::collections::BTreeMap;

use ledger::bundle::BundleError;
use ledger::{Checkpoint, Frontier, Signer, Source, SourceError};

/// Files of a log.
#[derive(Clone, Default)]
pub(crate) struct Map(pub(crate) BTreeMap<String, Vec<u8>>);

impl Source for Map {
    fn read(&self, path: &str) -> Result<Vec<u8>, SourceError> {
        self.0
            .get(path)
            .cloned()
            .ok_or_else(|| SourceError::Missing {
                path: path.to_owned(),
            })
    }

    fn list(&self) -> Result<Option<Vec<String>>, SourceError> {
        Ok(Some(self.0.keys().cloned().collect()))
    }
}

/// A log that grows.
pub(crate) struct Log {
    pub(crate) signer: Signer,
    pub(crate) tree: Frontier,
    pub(crate) files: Map,
}

impl Log {
    pub(crate) fn new() -> Self {
        Self {
            signer: Signer::from_seed("test.example/log", &[3; 32]).unwrap(),
            tree: Frontier::new(),
            files: Map::default(),
        }
    }

    /// The log of these entries.
    pub(crate) fn of(entries: &[Vec<u8>]) -> Self {
        let mut log = Self::new();
        log.append(entries);
        log
    }

    pub(crate) fn append(&mut self, entries: &[Vec<u8>]) {
        for entry in entries {
            self.tree
                .push(entry, &mut |path, bytes| -> Result<(), BundleError> {
                    let earlier = self.files.0.insert(path.to_string(), bytes.to_vec());
                    assert_eq!(earlier, None, "{path} is written once");
                    Ok(())
                })
                .unwrap();
        }
        for (path, bytes) in self.tree.partials() {
            self.files.0.insert(path.to_string(), bytes);
        }
        let head = Checkpoint {
            origin: "test.example/log".to_owned(),
            size: self.tree.size(),
            root: self.tree.root(),
            extensions: Vec::new(),
        };
        let note = head.sign(&self.signer).unwrap();
        self.files.0.insert("checkpoint".to_owned(), note);
    }
}

/// Some entries of different lengths.
pub(crate) fn entries(count: u64) -> Vec<Vec<u8>> {
    (0..count)
        .map(|number| format!("{number}{}", "-".repeat(number as usize % 7)).into_bytes())
        .collect()
}
