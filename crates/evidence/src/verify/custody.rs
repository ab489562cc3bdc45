//! Snapshots against the commitments in the log.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs, io,
    ops::RangeInclusive,
    path::Path,
};

use duty::{canonical::Digest, record::Record, request::Request, state::State, subject::SubjectId};
use ledger::snapshot;

use super::{
    Fault, VerifyReport,
    record::is_refusal,
    rows::{Row, Rows},
};
use crate::{Vault, vault::Key};

/// Oddities that are named one by one; the others are only counted.
const NAMED: usize = 20;

/// What records commit to, as rows on the side: a check takes as many at a time as memory should hold.
pub(super) struct Custody {
    rows: Rows,
}

/// Rows that are looked at together: some tens of MiB in memory.
const TOGETHER: u64 = 250_000;

/// Keys that are remembered.
const KEYS: usize = 100_000;

/// A part of what records commit to.
#[derive(Default)]
struct Committed {
    /// Each commitment, with the data subject of the case that made it.
    subjects: HashMap<Digest, SubjectId>,
    /// Commitments that cases of other subjects made as well.
    shared: HashMap<Digest, Vec<SubjectId>>,
}

/// A snapshot that is as it should be, as far as can be told.
struct Seen {
    commitment: Digest,
    /// Whether its key is not here.
    sealed: bool,
    /// Whether it has one.
    keyed: bool,
}

/// Keys by subject, each looked for once.
type Keys = HashMap<SubjectId, Option<Key>>;

impl Custody {
    pub(super) fn new(rows: Rows) -> Self {
        Self { rows }
    }

    /// Takes one record's commitments down; `state` holds it already.
    pub(super) fn take(&mut self, record: &Record, state: &State) {
        let Some(request) = record.body.request().filter(|_| !is_refusal(record)) else {
            return;
        };
        let case = request.case().and_then(|id| state.cases.get(&id));
        let (Some(case), Some(origin)) = (case, &state.origin) else {
            return;
        };
        let mut made = |commitments: &[Digest], own| {
            if commitments.is_empty() {
                return;
            }
            let subject = SubjectId::of(origin, &case.subject);
            for commitment in commitments {
                self.rows.push(&Row {
                    commitment: *commitment,
                    subject,
                    own,
                });
            }
        };
        match request {
            Request::OpenCase(r) => made(&[r.snapshot], true),
            Request::Answer(r) => made(r.snapshot.as_slice(), true),
            Request::RecordOutcome(r) => made(r.snapshot.as_slice(), true),
            Request::CallModel(r) => made(&[r.snapshot], true),
            Request::AnswerModel(r) => made(r.snapshot.as_slice(), true),
            // What an agent says that it saw is its word: it makes a snapshot expected, never another's.
            Request::Recommend(r) => made(&r.inputs, false),
            _ => {}
        }
    }

    /// Makes all rows so far last, and counts them.
    pub(super) fn keep(&mut self) -> io::Result<u64> {
        self.rows.keep()
    }

    /// Every snapshot that is here matches its name, which is its commitment, and is sealed with the key of its case's
    /// subject. One that no record names may be what a crash left between keeping it and recording it: a warning.
    ///
    /// What is not here, or cannot be opened any more, is told apart by `erased`: data subjects with the record that says
    /// that they were erased. A key or a readable snapshot of theirs is a warning: a record says that it is gone.
    pub(super) fn check(
        &mut self,
        dir: &Path,
        erased: &BTreeMap<SubjectId, u64>,
        report: &mut VerifyReport,
    ) -> Result<(), Fault> {
        let away = |e: io::Error| Fault {
            record: None,
            place: "the list of commitments that the check keeps".to_owned(),
            why: e.to_string(),
            unreadable: true,
        };
        let count = self.rows.keep().map_err(away)?;
        let parts = count.div_ceil(TOGETHER).clamp(1, 256);
        let mut strays = 0;
        for part in 0..parts {
            let end = (part + 1) * 256 / parts - 1;
            let firsts = (part * 256 / parts) as u8..=end as u8;
            let mut committed = Committed::default();
            self.rows
                .for_each(&mut |row| {
                    if firsts.contains(&row.commitment.as_bytes()[0]) {
                        committed.take(row);
                    }
                })
                .map_err(away)?;
            committed.check(dir, &firsts, erased, report, &mut strays)?;
        }
        if strays > NAMED {
            report.warnings.push(format!(
                "no record commits to {} further snapshots",
                strays - NAMED
            ));
        }
        let vault = Vault::new(dir);
        for (subject, record) in erased {
            let key = vault.key(subject);
            if key.map_err(|e| place(dir, e.to_string(), true))?.is_some() {
                report.warnings.push(format!(
                    "the key of data subject {subject} is here, and record {record} says that it was erased; a start of the server destroys it"
                ));
            }
        }
        Ok(())
    }
}

impl Committed {
    fn take(&mut self, row: &Row) {
        let first = *self.subjects.entry(row.commitment).or_insert(row.subject);
        if row.own && first != row.subject {
            self.shared
                .entry(row.commitment)
                .or_default()
                .push(row.subject);
        }
    }

    fn is_of(&self, commitment: &Digest, subject: SubjectId) -> bool {
        let shared = self.shared.get(commitment);
        self.subjects.get(commitment) == Some(&subject)
            || shared.is_some_and(|others| others.contains(&subject))
    }

    /// Looks at the snapshots whose names begin with one of these bytes.
    fn check(
        self,
        dir: &Path,
        firsts: &RangeInclusive<u8>,
        erased: &BTreeMap<SubjectId, u64>,
        report: &mut VerifyReport,
        strays: &mut usize,
    ) -> Result<(), Fault> {
        let vault = Vault::new(dir);
        let mut keys = Keys::new();
        let mut here = HashSet::new();
        let mut fault = None;
        let walked = vault.for_each_file_of(firsts, &mut |path| {
            let file = fs::read(path)?;
            match self.judge(&vault, &mut keys, path, &file) {
                Ok(Some(seen)) => {
                    let gone = self.subjects.get(&seen.commitment);
                    let gone = gone.and_then(|subject| erased.get(subject));
                    match gone {
                        Some(_) if seen.sealed => return Ok(()),
                        // In the clear it needs no key; one warning a key tells of the others.
                        Some(record) if !seen.keyed => report.warnings.push(format!(
                            "`{}` can still be read, and record {record} says that it was erased",
                            path.display()
                        )),
                        _ => {}
                    }
                    *(if seen.sealed {
                        &mut report.sealed
                    } else {
                        &mut report.snapshots
                    }) += 1;
                    if self.subjects.contains_key(&seen.commitment) {
                        here.insert(seen.commitment);
                    } else {
                        *strays += 1;
                        if *strays <= NAMED {
                            report.warnings.push(format!(
                                "no record commits to snapshot `{}`",
                                path.display()
                            ));
                        }
                    }
                    Ok(())
                }
                Ok(None) => {
                    report
                        .warnings
                        .push(format!("`{}` is no snapshot", path.display()));
                    Ok(())
                }
                Err(found) => {
                    fault = Some(found);
                    Err(io::Error::other("stopped"))
                }
            }
        });
        if let Some(fault) = fault {
            return Err(fault);
        }
        walked.map_err(|e| place(dir, e.to_string(), true))?;
        for (commitment, subject) in &self.subjects {
            if here.contains(commitment) {
                continue;
            }
            *(if erased.contains_key(subject) {
                &mut report.erased
            } else {
                &mut report.absent
            }) += 1;
        }
        Ok(())
    }

    /// What a file is; none where its name is not that of a snapshot.
    fn judge(
        &self,
        vault: &Vault,
        keys: &mut Keys,
        path: &Path,
        file: &[u8],
    ) -> Result<Option<Seen>, Fault> {
        let wrong = |why: String| place(path, why, false);
        let name = path
            .file_name()
            .and_then(|n| n.to_str())
            .unwrap_or_default();
        let Ok(commitment) = name.parse::<Digest>() else {
            return Ok(None);
        };
        if vault.path(&commitment) != path {
            return Err(wrong(
                "it stands where no snapshot of this name belongs".to_owned(),
            ));
        }
        let subject = snapshot::key_id(file).map_err(|e| wrong(e.to_string()))?;
        let mut key = None;
        if let Some(subject) = subject.map(SubjectId::from_bytes) {
            let known = self.subjects.contains_key(&commitment);
            if known && !self.is_of(&commitment, subject) {
                return Err(wrong(format!(
                    "it says that it is sealed with the key {subject}, which is not that of its case's subject"
                )));
            }
            key = match keys.get(&subject) {
                Some(key) => *key,
                None => {
                    let key = vault
                        .key(&subject)
                        .map_err(|e| place(path, e.to_string(), true))?;
                    if keys.len() == KEYS {
                        keys.clear();
                    }
                    keys.insert(subject, key);
                    key
                }
            };
            if key.is_none() {
                return Ok(Some(Seen {
                    commitment,
                    sealed: true,
                    keyed: true,
                }));
            }
        }
        snapshot::open(file, key.as_ref(), commitment.as_bytes())
            .map_err(|e| wrong(e.to_string()))?;
        Ok(Some(Seen {
            commitment,
            sealed: false,
            keyed: subject.is_some(),
        }))
    }
}

fn place(path: &Path, why: String, unreadable: bool) -> Fault {
    Fault {
        record: None,
        place: format!("snapshot `{}`", path.display()),
        why,
        unreadable,
    }
}
