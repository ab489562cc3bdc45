//! The chain of custody of one case: who did what on what grounds, from its source to its effect.

mod show;
mod tell;

use std::collections::{BTreeMap, HashMap};

use duty::{
    action::Action,
    canonical::Digest,
    name::{CaseId, CredentialId, ItemId, PrincipalId},
    principal::{Credential, Duty, Proof},
    record::{Basis, Body, Record},
    release::{RuleHit, Unit},
    request::{Request, Stance},
    statement::Choice,
    time::Time,
};
use ledger::Source;
use serde::Serialize;

use crate::{
    EvidenceError, Index,
    exceptions::{ExceptionLine, Register},
    library::Library,
    reader,
};

/// One case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Story {
    /// Its id.
    pub case: CaseId,
    /// What it is about.
    pub subject: String,
    /// Where it runs.
    pub env: String,
    /// The release that it runs under.
    pub release: Digest,
    /// Its first record.
    pub first: u64,
    /// What happened, in order.
    pub events: Vec<Event>,
    /// The clauses that were relied on, as the release of the case has them.
    pub clauses: BTreeMap<String, ClauseText>,
    /// How it ended, if it did.
    pub outcome: Option<&'static str>,
    /// Its exceptions, with what became of them.
    pub exceptions: Vec<ExceptionLine>,
}

/// A clause in its exact words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ClauseText {
    /// The edition of its document.
    pub version: String,
    /// The digest that records cite.
    pub digest: Digest,
    /// Its document.
    pub document: String,
    /// Its title.
    pub title: String,
    /// Its text.
    pub text: String,
}

/// One record of a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// Its place in the log.
    pub seq: u64,
    /// When.
    pub time: Time,
    /// Its kind.
    pub kind: &'static str,
    /// Who asked for it.
    pub actor: PrincipalId,
    /// In which role.
    pub role: Option<&'static str>,
    /// The human answerable for it, for an agent.
    pub owner: Option<PrincipalId>,
    /// Ids of the clauses behind it.
    pub clauses: Vec<String>,
    /// What it says, in one line.
    pub text: String,
    /// What it holds.
    pub what: What,
}

/// What a record of a case holds, by sort.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum What {
    /// The case opened over a source.
    Opened {
        /// Commitment to the source.
        snapshot: Digest,
    },
    /// An agent called a tool.
    Called {
        /// The call.
        call: ItemId,
        /// The tool and its arguments.
        action: Action,
        /// The rule that permits it.
        rule: RuleHit,
    },
    /// The tool answered.
    Answered {
        /// The call.
        call: ItemId,
        /// Commitment to the answer.
        snapshot: Option<Digest>,
        /// The facts taken from it, as `namespace.field`.
        facts: BTreeMap<String, String>,
        /// Why there was no answer.
        problem: Option<String>,
    },
    /// An agent looked for clauses.
    Retrieved {
        /// What for.
        query: String,
        /// What was found, best first, with scores in thousandths.
        found: Vec<(String, i64)>,
    },
    /// An agent recommended.
    Recommended {
        /// Under which duty.
        duty: Duty,
        /// What.
        stance: Stance,
        /// In whole percent.
        confidence: u8,
        /// In its words.
        rationale: String,
        /// The model.
        model: String,
        /// The row of its table.
        row: Option<String>,
        /// The action.
        action: Option<Action>,
        /// The action's digest.
        digest: Option<Digest>,
        /// Commitments to what it saw.
        inputs: Vec<Digest>,
    },
    /// The verdict.
    Judged {
        /// The tier.
        tier: Option<&'static str>,
        /// Where the case goes.
        route: &'static str,
        /// Why.
        reasons: Vec<RuleHit>,
    },
    /// A threshold covers the action.
    Covered {
        /// Which.
        threshold: String,
        /// Its digest, as signed.
        digest: Digest,
        /// Who had signed it by then, each signature verified.
        signed_by: Vec<Signature>,
        /// The amount reserved, where the threshold sums.
        #[serde(skip_serializing_if = "Option::is_none")]
        amount: Option<i64>,
        /// In what amounts are counted, where it is not in whole units.
        #[serde(skip_serializing_if = "Option::is_none")]
        unit: Option<Unit>,
        /// Under which key, where there are keys.
        #[serde(skip_serializing_if = "Option::is_none")]
        key: Option<String>,
        /// Used in all, this action included, where the threshold sums.
        #[serde(skip_serializing_if = "Option::is_none")]
        used: Option<i64>,
    },
    /// Humans must sign.
    Asked {
        /// The request.
        approval: ItemId,
        /// How many.
        humans: u32,
        /// Until when.
        expires: Time,
    },
    /// A human signed.
    Signed {
        /// The request.
        approval: ItemId,
        /// Yes or no.
        decision: Choice,
        /// Whether it is said to be an override.
        overrides: bool,
        /// Why.
        reason: String,
        /// The signature.
        signature: Signature,
    },
    /// The grant.
    Granted {
        /// Which.
        grant: ItemId,
        /// What it stands on.
        basis: Basis,
        /// Until when.
        expires: Time,
    },
    /// The grant was used.
    Executed {
        /// Which.
        grant: ItemId,
        /// The exact call.
        action: Action,
        /// The rule that permits it.
        rule: RuleHit,
    },
    /// What came of it.
    Resulted {
        /// What is known.
        outcome: &'static str,
        /// The target's words.
        detail: String,
        /// Commitment to the target's answer.
        snapshot: Option<Digest>,
    },
    /// A request was refused.
    Refused {
        /// By which rule.
        code: &'static str,
        /// Why.
        why: String,
        /// What would make it pass.
        remedy: String,
    },
    /// What the line says.
    Noted,
}

/// A human's signature, and whether it is theirs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Signature {
    /// Who.
    pub signer: PrincipalId,
    /// With which key.
    pub credential: CredentialId,
    /// When.
    pub time: Time,
    /// The record that holds it.
    pub seq: u64,
    /// Whether it was verified just now, with the key that the log records for the signer.
    pub verified: bool,
}

/// The story of a case. With an index only the records that matter are read; without, the whole log.
///
/// # Errors
/// [`EvidenceError::NoCase`] where the log holds no such case; what cannot be read.
pub fn case_story(
    source: &dyn Source,
    index: Option<&Index>,
    case: &CaseId,
) -> Result<Story, EvidenceError> {
    let mut teller = Teller::new(case);
    match index {
        Some(index) => {
            let size = reader::head(source)?.size;
            for seq in index.story_of(case.as_str())? {
                let entry = reader::entry(source, seq, size)?;
                teller.take(&reader::record(seq, &entry)?);
            }
        }
        None => {
            reader::for_each_record(source, 0, &mut |record| {
                teller.take(record);
                Ok(())
            })?;
        }
    }
    teller.finish()
}

/// Gathers what the story needs.
struct Teller<'a> {
    case: &'a CaseId,
    records: Vec<Record>,
    keys: HashMap<(PrincipalId, CredentialId), Proof>,
    thresholds: HashMap<(String, Digest), Vec<Signature>>,
    library: Library,
    releases: HashMap<Digest, BTreeMap<String, Digest>>,
    exceptions: Register,
}

impl<'a> Teller<'a> {
    fn new(case: &'a CaseId) -> Self {
        Self {
            case,
            records: Vec::new(),
            keys: HashMap::new(),
            thresholds: HashMap::new(),
            library: Library::default(),
            releases: HashMap::new(),
            exceptions: Register::default(),
        }
    }

    fn take(&mut self, record: &Record) {
        self.library.take(record);
        match (&record.body, record.body.request()) {
            (Body::RequestRefused(_), _) => {}
            (Body::LogOpened(_), Some(Request::OpenLog(r))) => {
                r.principals
                    .iter()
                    .for_each(|p| self.keys_of(&p.id, &p.credentials));
            }
            (_, Some(Request::AddPrincipal(r))) => self.keys_of(&r.id, &r.credentials),
            (_, Some(Request::AddCredential(r))) => {
                let id = r.credential().clone();
                let proof = r.proof.clone();
                self.keys_of(r.principal(), &[Credential { id, proof }]);
            }
            (Body::ReleaseBuilt(b), Some(Request::BuildRelease(r))) => {
                self.releases.insert(b.digest, r.files.clone());
            }
            (_, Some(Request::SignThreshold(s))) => {
                let signature = self.signature(record, s);
                let key = (s.statement.threshold.to_string(), s.statement.digest);
                self.thresholds.entry(key).or_default().push(signature);
            }
            _ => {}
        }
        if record.case.as_ref() == Some(self.case) {
            self.exceptions.take(record);
            self.records.push(record.clone());
        }
    }

    fn keys_of(&mut self, id: &PrincipalId, credentials: &[Credential]) {
        for credential in credentials {
            if credential.proof.signs() {
                self.keys.insert(
                    (id.clone(), credential.id.clone()),
                    credential.proof.clone(),
                );
            }
        }
    }

    fn finish(self) -> Result<Story, EvidenceError> {
        let opened =
            self.records
                .iter()
                .find_map(|record| match (&record.body, record.body.request()) {
                    (Body::CaseOpened(_), Some(Request::OpenCase(r))) => Some((record, r)),
                    _ => None,
                });
        let missing = || EvidenceError::NoCase(self.case.to_string());
        let (record, request) = opened.ok_or_else(missing)?;
        let release = record.release.ok_or_else(missing)?;
        let paths = self
            .releases
            .get(&release)
            .ok_or_else(|| EvidenceError::Release {
                digest: release.short(),
                why: "the log has not built it".to_owned(),
            })?;
        let rules = self.library.made_of(release, paths)?;
        let events: Vec<_> = self.records.iter().map(|r| self.event(r)).collect();
        let mut clauses = BTreeMap::new();
        for cited in self.records.iter().flat_map(|r| &r.clauses) {
            if let Some(c) = rules.cited(cited) {
                let text = ClauseText {
                    version: c.version.clone(),
                    digest: c.digest,
                    document: c.document.clone(),
                    title: c.title.clone(),
                    text: c.text.clone(),
                };
                clauses.insert(cited.id.clone(), text);
            }
        }
        let outcome = self.records.iter().find_map(|r| match &r.body {
            Body::CaseClosed(b) => Some(b.outcome.word()),
            _ => None,
        });
        Ok(Story {
            case: self.case.clone(),
            subject: request.subject.clone(),
            env: request.environment.to_string(),
            release,
            first: record.seq,
            events,
            clauses,
            outcome,
            exceptions: self.exceptions.lines,
        })
    }
}
