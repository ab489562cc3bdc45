//! A long log from a short one: a hundred cases that the core decided, again and again under other names.
//!
//! Each round has case ids, times, commitments, action digests and human signatures of its own, so that it verifies. It is
//! not for re-performance: what a threshold had in use is that of the first round.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::Path,
};

use duty::{
    canonical::Digest,
    record::{Body, Record},
    request::Request,
    statement::Choice,
    time::Time,
};
use ledger::{Checkpoint, Frontier, bundle::BundleError};

use crate::world::{Invoice, ORIGIN, World, log_key, name, sign};

/// Cases of a round.
const ROUND: usize = 100;

/// Makes a log of `cases` cases, in whole rounds, under `dir/log`.
pub(crate) fn make(dir: &Path, cases: usize) {
    let first = tempfile::tempdir().unwrap();
    let mut world = World::new(first.path());
    let before = world.records.len();
    for n in 0..ROUND {
        case(&mut world, n);
    }
    let (begin, round) = world.records.split_at(before);
    let round: Vec<_> = round.to_vec();
    let template = Template::new(&round);
    let log = dir.join("log");
    let mut writer = Writer::new(&log);
    for record in begin.iter().chain(&round) {
        writer.push(record);
    }
    for n in 1..cases.div_ceil(ROUND) {
        template.again(n, &mut |record| writer.push(record));
    }
    writer.finish();
}

/// One case in ten needs a signature, one in a hundred two.
fn case(world: &mut World, n: usize) {
    let id = format!("case-{n:08}");
    let amount = match n {
        0 => 9_000_000,
        n if n % 10 == 0 => 900_000,
        n => 40_000 + n as i64,
    };
    world.judged(&id, &Invoice::of(amount, &format!("V-{n}")));
    for person in ["bob", "gus"] {
        if world
            .state
            .cases
            .get(&name(&id))
            .is_some_and(|c| c.grant.is_none())
        {
            world.approve(&id, person, Choice::Approve);
        }
    }
    world.execute(&id);
}

struct Template {
    records: Vec<(Record, String)>,
    commitments: HashSet<Digest>,
    /// Milliseconds of a round.
    span: i64,
}

impl Template {
    fn new(records: &[Record]) -> Self {
        let mut commitments = HashSet::new();
        for record in records {
            match record.body.request() {
                Some(Request::OpenCase(r)) => commitments.extend([r.snapshot]),
                Some(Request::Answer(r)) => commitments.extend(r.snapshot),
                Some(Request::RecordOutcome(r)) => commitments.extend(r.snapshot),
                _ => {}
            }
        }
        let times = |r: Option<&Record>| r.unwrap().time.millis();
        let text = |r: &Record| String::from_utf8(r.to_bytes().unwrap()).unwrap();
        Self {
            commitments,
            span: times(records.last()) - times(records.first()) + 1_000,
            records: records.iter().map(|r| (r.clone(), text(r))).collect(),
        }
    }

    /// Hands the records of round `n` on.
    fn again(&self, n: usize, push: &mut dyn FnMut(&Record)) {
        let mut digests: HashMap<String, Digest> = self
            .commitments
            .iter()
            .map(|c| {
                let other = Digest::of_bytes(format!("{c}{n}").as_bytes());
                (c.to_string(), other)
            })
            .collect();
        for (old, text) in &self.records {
            let text = renamed(text, n, &digests);
            let mut record = Record::from_bytes_unchecked(text.as_bytes()).unwrap();
            let later = (n * self.records.len()) as u64;
            record.seq += later;
            record.cause = record.cause.map(|c| c + later);
            record.time = Time::from_millis(record.time.millis() + n as i64 * self.span);
            if let Body::RecommendationMade(b) = &mut record.body
                && let Request::Recommend(r) = &b.request
                && let Some(action) = &r.action
            {
                let digest = action.digest().unwrap();
                let Body::RecommendationMade(was) = &old.body else {
                    unreachable!("it is the same record")
                };
                digests.insert(was.digest.unwrap().to_string(), digest);
                b.digest = Some(digest);
            }
            if let Body::ApprovalGiven(b) = &mut record.body
                && let Request::Approve(r) = &mut b.request
            {
                let person = r.statement.signer.to_string();
                *r = sign(r.statement.clone(), &person);
            }
            push(&record);
        }
    }
}

/// The text with the case numbers of round `n`, and with other digests for those that `digests` names.
fn renamed(text: &str, n: usize, digests: &HashMap<String, Digest>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['-', '"']) {
        let (head, tail) = rest.split_at(at + 1);
        out.push_str(head);
        rest = tail;
        if head.ends_with("case-")
            && let Some(number) = rest.get(..8).and_then(|d| d.parse::<usize>().ok())
        {
            out.push_str(&format!("{:08}", number + n * ROUND));
            rest = &rest[8..];
        } else if let Some(digest) = rest.get(..64).and_then(|d| digests.get(d)) {
            out.push_str(&digest.to_string());
            rest = &rest[64..];
        }
    }
    out.push_str(rest);
    out
}

/// Writes a log as it grows.
struct Writer<'a> {
    log: &'a Path,
    tree: Frontier,
}

impl<'a> Writer<'a> {
    fn new(log: &'a Path) -> Self {
        let tree = Frontier::new();
        Self { log, tree }
    }

    fn push(&mut self, record: &Record) {
        let log = self.log;
        let bytes = record.to_bytes().unwrap();
        let pushed = self.tree.push::<BundleError>(&bytes, &mut |path, bytes| {
            write(log, &path.to_string(), bytes);
            Ok(())
        });
        pushed.unwrap();
    }

    fn finish(self) {
        for (path, bytes) in self.tree.partials() {
            write(self.log, &path.to_string(), &bytes);
        }
        let checkpoint = Checkpoint {
            origin: ORIGIN.to_owned(),
            size: self.tree.size(),
            root: self.tree.root(),
            extensions: Vec::new(),
        };
        write(
            self.log,
            "checkpoint",
            &checkpoint.sign(&log_key()).unwrap(),
        );
    }
}

fn write(log: &Path, path: &str, bytes: &[u8]) {
    let path = log.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}
