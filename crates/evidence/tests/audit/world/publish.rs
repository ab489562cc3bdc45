//! Entries as the files of a log.

use std::{fs, path::Path};

use ledger::{Checkpoint, Frontier, Signer, bundle::BundleError};

/// Writes a log of these entries; what was there before is gone.
pub(crate) fn publish(log: &Path, entries: &[Vec<u8>], signer: &Signer) {
    if log.exists() {
        fs::remove_dir_all(log).unwrap();
    }
    let write = |path: String, bytes: &[u8]| {
        let path = log.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    };
    let mut tree = Frontier::new();
    for entry in entries {
        tree.push::<BundleError>(entry, &mut |path, bytes| {
            write(path.to_string(), bytes);
            Ok(())
        })
        .unwrap();
    }
    for (path, bytes) in tree.partials() {
        write(path.to_string(), &bytes);
    }
    let checkpoint = Checkpoint {
        origin: signer.verifier().name().to_owned(),
        size: tree.size(),
        root: tree.root(),
        extensions: Vec::new(),
    };
    write("checkpoint".to_owned(), &checkpoint.sign(signer).unwrap());
}
