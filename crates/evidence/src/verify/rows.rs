//! Commitments to snapshots in a file, since a long log has more of them than memory should hold.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufReader, Read as _, Seek as _, SeekFrom, Write as _},
    path::Path,
};

use duty::{canonical::Digest, subject::SubjectId};

/// Bytes of a row: the commitment, the subject, and 1 where the engine made the commitment.
const SIZE: usize = 32 + 16 + 1;

/// Bytes that are gathered before they are written.
const GATHERED: usize = 1 << 20;

/// That a record commits to a snapshot.
pub(super) struct Row {
    pub(super) commitment: Digest,
    /// The data subject of its case.
    pub(super) subject: SubjectId,
    /// Whether the case itself made it; otherwise somebody only says to have seen it.
    pub(super) own: bool,
}

/// Rows, in order.
pub(super) struct Rows {
    file: File,
    gathered: Vec<u8>,
    /// Bytes in the file.
    written: u64,
    failed: Option<io::Error>,
}

impl Rows {
    /// Rows that are forgotten when the process ends.
    pub(super) fn passing() -> io::Result<Self> {
        tempfile::tempfile().map(|file| Self::of(file, 0))
    }

    /// Rows in the file at `path`, of which the first `count` are gone on from.
    pub(super) fn lasting(path: &Path, count: u64) -> io::Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        let bytes = count * SIZE as u64;
        if file.metadata()?.len() < bytes {
            return Err(io::Error::other(format!(
                "it has fewer than the {count} commitments that were kept in it"
            )));
        }
        file.set_len(bytes)?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self::of(file, bytes))
    }

    fn of(file: File, written: u64) -> Self {
        Self {
            file,
            gathered: Vec::new(),
            written,
            failed: None,
        }
    }

    /// Adds a row. What goes wrong is said by [`Rows::keep`].
    pub(super) fn push(&mut self, row: &Row) {
        self.gathered.extend_from_slice(row.commitment.as_bytes());
        self.gathered.extend_from_slice(row.subject.as_bytes());
        self.gathered.push(u8::from(row.own));
        if self.gathered.len() >= GATHERED {
            self.write();
        }
    }

    fn write(&mut self) {
        if self.failed.is_none() {
            self.failed = self.file.write_all(&self.gathered).err();
            self.written += self.gathered.len() as u64;
        }
        self.gathered.clear();
    }

    /// Makes all rows so far last, and counts them.
    pub(super) fn keep(&mut self) -> io::Result<u64> {
        self.write();
        match self.failed.take() {
            Some(e) => Err(e),
            None => self.file.sync_data().map(|()| self.written / SIZE as u64),
        }
    }

    /// Hands all rows on that were kept.
    pub(super) fn for_each(&mut self, f: &mut dyn FnMut(&Row)) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(0))?;
        let mut file = BufReader::with_capacity(GATHERED, &self.file);
        let mut row = [0; SIZE];
        for _ in 0..self.written / SIZE as u64 {
            file.read_exact(&mut row)?;
            let (commitment, rest) = row.split_at(32);
            let (subject, own) = rest.split_at(16);
            f(&Row {
                commitment: Digest::from_bytes(array(commitment)),
                subject: SubjectId::from_bytes(array(subject)),
                own: own == [1],
            });
        }
        self.file.seek(SeekFrom::End(0)).map(drop)
    }
}

/// The bytes as an array of their own length.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(bytes);
    array
}
