//! Asking witnesses, all at once, until a quorum has cosigned.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ledger::note::{Note, Signature};
use ledger::proof::{self, Tiles};
use ledger::trust::{Listed, Policy};
use ledger::witness::{AddCheckpoint, parse_answer};
use ledger::{Checkpoint, Directory};
use store::Cosign;

/// How long one request may take, and how long a quorum may.
const PATIENCE: Duration = Duration::from_secs(5);

/// Most bytes of an answer that are read.
const LONGEST: u64 = 64 << 10;

/// How many times one witness is asked about one checkpoint: it may have to tell first which size it holds.
const TRIES: usize = 3;

/// A log's client of its witnesses.
pub struct Client {
    policy: Policy,
    asked: Vec<Asked>,
    agent: ureq::Agent,
}

/// A witness that has a URL.
struct Asked {
    place: usize,
    listed: Listed,
    state: Arc<Mutex<State>>,
}

/// How one witness fares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Its name in the policy.
    pub name: String,
    /// Size of the checkpoint that it cosigned last.
    pub size: u64,
    /// When, by its own clock, in seconds since 1970.
    pub time: u64,
    /// Why the last attempt failed, where it did.
    pub problem: Option<String>,
    /// Whether it is being asked.
    busy: bool,
}

/// Shows how witnesses fare, also while they are asked.
#[derive(Clone, Debug, Default)]
pub struct Health(Vec<Arc<Mutex<State>>>);

impl Health {
    /// Each witness that has a URL, in the order of the policy.
    #[must_use]
    pub fn states(&self) -> Vec<State> {
        self.0.iter().map(|state| lock(state).clone()).collect()
    }
}

impl Client {
    /// A client of the witnesses of a policy. Those without a URL are never asked.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .build();
        let listed = policy.witnesses.iter().enumerate();
        let asked = listed.filter(|(_, listed)| listed.url.is_some());
        let asked = asked.map(|(place, listed)| Asked {
            place,
            listed: listed.clone(),
            state: Arc::new(Mutex::new(State {
                name: listed.name.clone(),
                ..State::default()
            })),
        });
        Self {
            asked: asked.collect(),
            policy,
            agent: config.into(),
        }
    }

    /// How each witness fares, from now on.
    #[must_use]
    pub fn health(&self) -> Health {
        let states = self.asked.iter().map(|asked| Arc::clone(&asked.state));
        Health(states.collect())
    }
}

impl Cosign for Client {
    fn cosign(&mut self, log: &Directory, note: &[u8]) -> Result<Vec<u8>, String> {
        let mut signed = Note::parse(note).map_err(|why| why.to_string())?;
        let head = Checkpoint::from_text(&signed.text).map_err(|why| why.to_string())?;
        let (send, answers) = mpsc::channel();
        for asked in &self.asked {
            asked.ask(&self.agent, log, &head, note, &send);
        }
        drop(send);
        let end = Instant::now() + PATIENCE;
        let mut by = BTreeMap::new();
        // A quorum is enough: the others may take their time, and their word is not lost for the next checkpoint.
        while !self.policy.is_quorum(&by) {
            let left = end.saturating_duration_since(Instant::now());
            let Ok((place, time, line)) = answers.recv_timeout(left) else {
                return Err(self.missing(&by));
            };
            signed.signatures.push(line);
            by.insert(place, time);
        }
        let lines = signed.signatures.iter().map(|line| format!("{line}\n"));
        Ok(format!("{}\n{}", signed.text, lines.collect::<String>()).into_bytes())
    }
}

impl Client {
    fn missing(&self, by: &BTreeMap<usize, u64>) -> String {
        let missing = self
            .asked
            .iter()
            .filter(|asked| !by.contains_key(&asked.place));
        let why = missing.map(|asked| {
            let state = lock(&asked.state);
            let problem = state.problem.as_deref().unwrap_or("it does not answer");
            format!("`{}`: {problem}", state.name)
        });
        let why: Vec<_> = why.collect();
        let (have, all) = (by.len(), self.policy.witnesses.len());
        format!(
            "no quorum: {have} of {all} witnesses cosigned; {}",
            why.join("; ")
        )
    }
}

type Line = (usize, u64, Signature);

impl Asked {
    /// Asks on a thread of its own; one that hangs is not asked again before it is through.
    fn ask(
        &self,
        agent: &ureq::Agent,
        log: &Directory,
        head: &Checkpoint,
        note: &[u8],
        answers: &Sender<Line>,
    ) {
        let old = {
            let mut state = lock(&self.state);
            if std::mem::replace(&mut state.busy, true) {
                return;
            }
            state.size
        };
        let question = Question {
            listed: self.listed.clone(),
            agent: agent.clone(),
            log: log.clone(),
            head: head.clone(),
            note: String::from_utf8_lossy(note).into_owned(),
        };
        let (place, answers) = (self.place, answers.clone());
        let told = Arc::clone(&self.state);
        let run = move || {
            let answer = question.put(old);
            let mut state = lock(&told);
            state.busy = false;
            match answer {
                Ok((time, line)) => {
                    (state.size, state.time, state.problem) = (question.head.size, time, None);
                    drop(state);
                    // Nobody listens any more where the quorum was there without it.
                    let _ = answers.send((place, time, line));
                }
                Err(why) => state.problem = Some(why),
            }
        };
        let thread = std::thread::Builder::new().name("witness".to_owned());
        if let Err(why) = thread.spawn(run) {
            let mut state = lock(&self.state);
            (state.busy, state.problem) = (false, Some(format!("no thread: {why}")));
        }
    }
}

/// What one witness is asked.
struct Question {
    listed: Listed,
    agent: ureq::Agent,
    log: Directory,
    head: Checkpoint,
    note: String,
}

impl Question {
    fn put(&self, mut old: u64) -> Result<(u64, Signature), String> {
        for _ in 0..TRIES {
            match self.try_from(old)? {
                Answer::Lines(body) => return self.cosignature(&body),
                Answer::Size(size) if size > self.head.size => {
                    let have = self.head.size;
                    return Err(format!(
                        "it cosigned {size} records of this log already, and there are {have} here: an older copy was put back, or another process goes on with this log"
                    ));
                }
                Answer::Size(size) => old = size,
            }
        }
        Err("it tells another size each time: somebody else has it cosign this log".to_owned())
    }

    fn try_from(&self, old: u64) -> Result<Answer, String> {
        let old = old.min(self.head.size);
        let tiles = Tiles::new(&self.log, self.head.size);
        let proof = proof::consistency(&tiles, old, self.head.size)
            .map_err(|why| format!("no proof from {old}: {why}"))?;
        let body = AddCheckpoint {
            old,
            proof,
            note: self.note.clone(),
        };
        let url = self.listed.url.as_deref().unwrap_or_default();
        let url = format!("{}/add-checkpoint", url.trim_end_matches('/'));
        let mut answer = self
            .agent
            .post(&url)
            .content_type("text/plain; charset=utf-8")
            .send(body.to_string())
            .map_err(|why| format!("`{url}`: {why}"))?;
        let status = answer.status().as_u16();
        let kind = answer.headers().get("content-type").cloned();
        let mut text = String::new();
        answer
            .body_mut()
            .as_reader()
            .take(LONGEST)
            .read_to_string(&mut text)
            .map_err(|why| format!("`{url}`: {why}"))?;
        match status {
            200 => Ok(Answer::Lines(text)),
            409 if kind.is_some_and(|kind| kind == ledger::witness::SIZE_TYPE) => {
                let size = text.trim_end().parse().ok();
                // The size that it was asked from is no news: the roots differ.
                size.filter(|size| *size != old).map(Answer::Size).ok_or_else(|| {
                    format!("it holds another history of this log at {old} records: the log was forked")
                })
            }
            _ => {
                let said: String = text.chars().filter(|c| !c.is_control()).take(200).collect();
                Err(format!("`{url}` answers {status}: {said}"))
            }
        }
    }

    fn cosignature(&self, body: &str) -> Result<(u64, Signature), String> {
        let lines = parse_answer(body)?;
        let witness = &self.listed.witness;
        let line = lines.into_iter().find(|line| witness.made(line));
        let line = line.ok_or_else(|| format!("its answer has no line by `{}`", witness.name()))?;
        let time = witness
            .verify(&self.head.to_string(), &line)
            .map_err(|why| why.to_string())?;
        Ok((time, line))
    }
}

enum Answer {
    Lines(String),
    Size(u64),
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // A panic leaves it whole: every change is a plain store.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
