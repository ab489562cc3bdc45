//! Records in order, as the files of a log hold them. Nothing is proved here: verify the log for that.

use duty::record::Record;
use ledger::{
    Checkpoint, Source, SourceError, bundle,
    note::Note,
    source::{read_entry, read_tile},
    tile::{CHECKPOINT, Kind, Path, WIDTH},
};

use crate::EvidenceError;

/// The log's head as its checkpoint says, without checking the signature.
///
/// # Errors
/// [`EvidenceError::File`] where there is no checkpoint or it is none.
pub fn head(source: &dyn Source) -> Result<Checkpoint, EvidenceError> {
    let note = source.read(CHECKPOINT).map_err(file)?;
    let wrong = |why: String| EvidenceError::File {
        path: CHECKPOINT.to_owned(),
        place: "the log".to_owned(),
        why,
    };
    let note = Note::parse(&note).map_err(|e| wrong(e.to_string()))?;
    Checkpoint::from_text(&note.text).map_err(|e| wrong(e.to_string()))
}

/// Hands every record from `from` on to `f`, in order, up to the checkpoint; returns the log's size.
///
/// # Errors
/// What cannot be read; [`EvidenceError::Stopped`] with what `f` says.
pub fn for_each_record(
    source: &dyn Source,
    from: u64,
    f: &mut dyn FnMut(&Record) -> Result<(), String>,
) -> Result<u64, EvidenceError> {
    for_each_owned(source, from, &mut |record| f(&record))
}

/// As [`for_each_record`], giving the records away.
pub(crate) fn for_each_owned(
    source: &dyn Source,
    from: u64,
    f: &mut dyn FnMut(Record) -> Result<(), String>,
) -> Result<u64, EvidenceError> {
    for_each_entry(source, from, &mut |seq, entry| {
        f(record(seq, entry)?).map_err(EvidenceError::Stopped)
    })
}

/// Is given an entry's place and bytes.
type OnEntry<'a> = dyn FnMut(u64, &[u8]) -> Result<(), EvidenceError> + 'a;

/// Hands every entry from `from` on to `f`, as bytes.
pub(crate) fn for_each_entry(
    source: &dyn Source,
    from: u64,
    f: &mut OnEntry<'_>,
) -> Result<u64, EvidenceError> {
    let size = head(source)?.size;
    for index in from / WIDTH..size.div_ceil(WIDTH) {
        for_each_in_bundle(source, index, size, &mut |seq, entry| {
            if seq < from { Ok(()) } else { f(seq, entry) }
        })?;
    }
    Ok(size)
}

/// Hands every entry of bundle `index` of a log of `size` entries on to `f`, as bytes.
pub(crate) fn for_each_in_bundle(
    source: &dyn Source,
    index: u64,
    size: u64,
    f: &mut OnEntry<'_>,
) -> Result<(), EvidenceError> {
    let first = index * WIDTH;
    let Some(path) = Path::holding(Kind::Entries, first, size) else {
        return Ok(());
    };
    let bytes = read_tile(source, path).map_err(file)?;
    let entries =
        bundle::parse(&bytes, usize::from(path.width)).map_err(|e| EvidenceError::File {
            path: path.to_string(),
            place: "the log".to_owned(),
            why: e.to_string(),
        })?;
    for (seq, entry) in (first..).zip(entries) {
        f(seq, entry)?;
    }
    Ok(())
}

/// The bytes of one record.
pub(crate) fn entry(source: &dyn Source, seq: u64, size: u64) -> Result<Vec<u8>, EvidenceError> {
    read_entry(source, seq, size).map_err(file)
}

/// Reads the bytes of a record.
pub(crate) fn record(seq: u64, entry: &[u8]) -> Result<Record, EvidenceError> {
    Record::from_bytes_unchecked(entry).map_err(|e| EvidenceError::Record {
        seq,
        why: e.to_string(),
    })
}

fn file(error: SourceError) -> EvidenceError {
    let why = match &error {
        SourceError::Missing { .. } => "the file is missing".to_owned(),
        SourceError::Failed { why, .. } | SourceError::Damaged { why, .. } => why.clone(),
    };
    EvidenceError::File {
        path: error.path().to_owned(),
        place: "the log".to_owned(),
        why,
    }
}
