//! State: what the log comes to. It is never written anywhere as a truth of its own; [`State::apply`] makes it from records.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{
    action::Action,
    canonical::Digest,
    course::Passed,
    facts::Facts,
    fold::proof_digest,
    freeze::Scope,
    language::{ModelCall, Spent},
    name::{
        CaseId, Course, CredentialId, Environment, GroupId, ItemId, PrincipalId, StageName,
        ThresholdId,
    },
    principal::{Credential, Duty, PrincipalKind, Proof, Role},
    quorum::Attributes,
    record::{Basis, CapLine, CaseOutcome, ExceptionSort},
    release::Tier,
    request::{Outcome, Recommend},
    shared::Shared,
    signature::Signature,
    subject::SubjectId,
    tally::{Countable, Tally},
    time::Time,
};

/// What the log comes to, or a slice of it. What seldom changes is shared between copies.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Records so far.
    pub size: u64,
    /// Time of the last record.
    pub time: Time,
    /// The log's origin; none before it is opened.
    pub origin: Option<String>,
    /// The log's verifier key, since the first record that tells of one.
    pub log_key: Option<String>,
    /// Principals by id.
    pub principals: Shared<BTreeMap<PrincipalId, Shared<Principal>>>,
    /// Groups by id.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<GroupId, Group>,
    /// Whose credential.
    pub credentials: Shared<BTreeMap<CredentialId, PrincipalId>>,
    /// Digests of public keys and tokens in use, so that none is shared.
    pub proofs: Shared<BTreeMap<Digest, CredentialId>>,
    /// Files of releases, by digest, with the record that holds each.
    pub files: Shared<BTreeMap<Digest, u64>>,
    /// Releases by digest, with their files.
    pub releases: Shared<BTreeMap<Digest, BTreeMap<String, Digest>>>,
    /// Who signed each release as its author.
    pub authors: Shared<BTreeMap<Digest, BTreeSet<PrincipalId>>>,
    /// The newest control tests of each release.
    pub tested: BTreeMap<Digest, Tested>,
    /// The release that each environment points at.
    pub environments: BTreeMap<Environment, Digest>,
    /// The releases that each environment pointed at before, the last one last, each once.
    pub earlier: BTreeMap<Environment, Vec<Digest>>,
    /// Thresholds by id.
    pub thresholds: BTreeMap<ThresholdId, ThresholdState>,
    /// Cases under way.
    pub cases: BTreeMap<CaseId, Shared<Case>>,
    /// How many requests for approval wait, by the environment and by the agent that prepared them, or whom it acts for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub waiting: BTreeMap<Environment, BTreeMap<PrincipalId, u32>>,
    /// What agents' calls to language models came to on the last day that each made one, by environment.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub spent: BTreeMap<Environment, BTreeMap<PrincipalId, Spent>>,
    /// Cases that ended.
    pub closed: BTreeMap<CaseId, CaseOutcome>,
    /// Exceptions that nobody has triaged.
    pub exceptions: BTreeMap<ItemId, Exception>,
    /// Data subjects of cases.
    pub subjects: BTreeMap<SubjectId, Subject>,
    /// Legal holds in force, by the record that placed each.
    pub holds: BTreeMap<SubjectId, BTreeMap<u64, Hold>>,
    /// Erasures that were asked for, and are not confirmed.
    pub asked: BTreeMap<SubjectId, Asked>,
    /// Delegations between humans whose time is not over, by the record that holds each, also those that were ended.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub delegations: BTreeMap<u64, Delegation>,
    /// Emergencies that nobody has reviewed, by the grant that was given.
    pub glass: BTreeMap<ItemId, Glass>,
    /// Freezes in force, by the record that placed each.
    pub freezes: BTreeMap<u64, Freeze>,
    /// Data subjects that were erased, with the record that says so.
    pub erased: BTreeMap<SubjectId, u64>,
}

/// What control tests came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tested {
    /// The record that says so.
    pub record: u64,
    /// Whether each of them passed.
    pub passed: bool,
}

impl State {
    /// Whom a principal acts for in the end: itself, where it acts for nobody.
    #[must_use]
    pub fn root<'a>(&'a self, id: &'a PrincipalId) -> &'a PrincipalId {
        self.line(id).last().unwrap_or(id)
    }

    /// The yeses that were given with a credential that is in force still.
    pub fn standing<'a>(&'a self, approval: &'a Approval) -> impl Iterator<Item = &'a Yes> {
        let yes = approval.yes.iter();
        yes.filter(move |yes| self.stands(&yes.who, &yes.with))
    }

    /// Whether what somebody signed with a credential counts still: it did not end by itself since.
    #[must_use]
    pub fn stands(&self, who: &PrincipalId, with: &CredentialId) -> bool {
        let person = self.principals.get(who);
        person.is_some_and(|p| !p.ended.contains(with))
    }

    /// Whose credential a proof belongs to, where both are in force. Digests only find it: a key's own digest, which anybody
    /// can compute, is no token.
    #[must_use]
    pub fn holder(&self, proof: &Proof) -> Option<(&PrincipalId, &CredentialId)> {
        let credential = self.proofs.get(&proof_digest(proof)?)?;
        let principal = self.credentials.get(credential)?;
        let known = self.principals.get(principal)?;
        let same = |c: &Credential| c.id == *credential && c.proof == *proof;
        let in_force = !known.revoked && !known.ended.contains(credential);
        (in_force && known.credentials.iter().any(same)).then_some((principal, credential))
    }

    /// A principal, whom it acts for, whom that one acts for, up to the root. It ends: whoever is acted for was there first.
    pub(crate) fn line<'a>(&'a self, id: &'a PrincipalId) -> impl Iterator<Item = &'a PrincipalId> {
        let up = |id: &&'a PrincipalId| self.principals.get(*id)?.acts_for.as_ref();
        std::iter::successors(Some(id), up)
    }
}

/// How many cases there are about a data subject.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// Under way.
    pub open: u32,
    /// Ended.
    pub ended: u32,
    /// The last one that ended.
    pub last: Option<Ended>,
}

/// A subject's last case to end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// When.
    pub time: Time,
    /// In which environment.
    pub env: Environment,
}

/// A human's word that another may sign for them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delegation {
    /// Who signs in the end.
    pub deputy: PrincipalId,
    /// For whom.
    pub delegator: PrincipalId,
    /// In which role of theirs.
    pub role: Role,
    /// In force from here.
    pub starts: Time,
    /// In force before here.
    pub until: Time,
    /// Why.
    pub reason: String,
    /// Whether it was ended before its time. It is kept, so that the same statement counts once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ended: bool,
}

impl Delegation {
    /// Whether it is in force.
    #[must_use]
    pub fn in_force(&self, now: Time) -> bool {
        !self.ended && self.starts <= now && now < self.until
    }
}

/// An emergency that nobody has reviewed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Glass {
    /// Who signed.
    pub signers: Vec<PrincipalId>,
    /// When.
    pub broken: Time,
    /// When somebody else must have reviewed it.
    pub review_by: Time,
    /// Whether that was noted to be over.
    pub overdue: bool,
}

/// A freeze.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freeze {
    /// What it stops.
    pub scope: Scope,
    /// Who placed it.
    pub by: PrincipalId,
    /// When.
    pub placed: Time,
    /// Why.
    pub reason: String,
}

/// A legal hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Who placed it.
    pub by: PrincipalId,
    /// When.
    pub placed: Time,
    /// Why.
    pub reason: String,
    /// The clause behind it, as it was named.
    pub clause: Option<String>,
}

/// A request to erase a data subject.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The record that holds it.
    pub record: u64,
    /// Who asked.
    pub by: PrincipalId,
    /// When.
    pub time: Time,
    /// Why.
    pub reason: String,
    /// What lets it happen, when there is that; the next record then says that the subject is erased.
    pub basis: Option<ErasureBasis>,
}

/// What an erasure rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ErasureBasis {
    /// A second human's yes.
    Confirmed(PrincipalId),
    /// The end of the retention that the release in force gives.
    Retention,
}

/// A principal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// What sort.
    pub kind: PrincipalKind,
    /// What it may take part as: its own roles and those of its groups.
    pub roles: BTreeSet<Role>,
    /// Its own, where it has others from groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<BTreeSet<Role>>,
    /// The groups that it is in, with their roles.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<GroupId, BTreeSet<Role>>,
    /// The human answerable for it.
    pub owner: Option<PrincipalId>,
    /// The agent that it acts for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acts_for: Option<PrincipalId>,
    /// What is said of it.
    #[serde(default, skip_serializing_if = "Attributes::is_empty")]
    pub attributes: Attributes,
    /// What it proves itself with.
    pub credentials: Vec<Credential>,
    /// Those of its credentials that ended by themselves.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub ended: BTreeSet<CredentialId>,
    /// Signature counters of its authenticators, as far as they count.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counters: BTreeMap<CredentialId, u32>,
    /// When it signed, oldest first, as far back as the release of each signature asked; at most
    /// [`Attention::MOST`](crate::release::Attention::MOST).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signed: Vec<Time>,
    /// Whether it ended.
    pub revoked: bool,
    /// Completions by course, of each content the last.
    pub certifications: BTreeMap<Course, Vec<Passed>>,
    /// Ends of certifications that were told ahead.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub told: BTreeMap<Course, Time>,
}

impl Principal {
    /// What a credential signs with, where it signs at all.
    #[must_use]
    pub fn key(&self, credential: &CredentialId) -> Option<&Proof> {
        let own = self.credentials.iter().find(|c| c.id == *credential);
        own.map(|c| &c.proof).filter(|proof| proof.signs())
    }

    /// Whether a signature's counter is beyond the last one: an authenticator that counts at all counts upwards.
    ///
    /// # Errors
    /// Both counters, in words.
    pub fn counts(&self, credential: &CredentialId, signature: &Signature) -> Result<(), String> {
        let now = signature.counter().unwrap_or(0);
        match self.counters.get(credential) {
            Some(before) if now <= *before => Err(format!(
                "the authenticator of `{credential}` says that this is its signature {now}, after signature {before}"
            )),
            _ => Ok(()),
        }
    }

    /// The credentials that it signs with and that are in force.
    pub fn signing(&self) -> impl Iterator<Item = &Credential> {
        let in_force = |c: &&Credential| c.proof.signs() && !self.ended.contains(&c.id);
        self.credentials.iter().filter(in_force)
    }

    /// The roles that it holds by itself.
    #[must_use]
    pub fn own_roles(&self) -> &BTreeSet<Role> {
        self.own.as_ref().unwrap_or(&self.roles)
    }
}

/// A group: roles that several hold together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// The roles, which stay.
    pub roles: BTreeSet<Role>,
}

/// What is known of a threshold: its signers and its use. The document itself is in the release.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThresholdState {
    /// Who signed and with which credential, by the digest they signed.
    pub signers: BTreeMap<Digest, BTreeMap<PrincipalId, CredentialId>>,
    /// Reservations, oldest first.
    pub uses: Shared<Tally<ThresholdUse>>,
    /// What was asked for, oldest first, as far back as splitting is looked for.
    #[serde(default, skip_serializing_if = "nothing")]
    pub asked: Shared<Tally<ThresholdAsk>>,
    /// Caps that were told to be near, oldest first, as far back as their windows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub told: Vec<ThresholdTold>,
    /// Digests whose end was told.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub ending: BTreeSet<Digest>,
}

fn nothing<E: Countable>(tally: &Shared<Tally<E>>) -> bool {
    tally.is_empty()
}

/// An action that somebody asked for, covered or not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThresholdAsk {
    /// When.
    pub time: Time,
    /// How much; none where nothing is summed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<i64>,
    /// Under which key, where there are keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// In which case.
    pub case: CaseId,
    /// In which environment.
    pub env: Environment,
}

/// A cap that was told to be near.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThresholdTold {
    /// When.
    pub time: Time,
    /// Which.
    pub line: CapLine,
    /// Of which key, for one per key.
    pub key: Option<String>,
    /// In which environment.
    pub env: Environment,
}

/// One reservation under a threshold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThresholdUse {
    /// When.
    pub time: Time,
    /// How much; none where nothing is summed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<i64>,
    /// Under which key, where there are keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// For which grant.
    pub grant: ItemId,
    /// In which environment: caps count each by itself.
    pub env: Environment,
}

/// A case under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// Where it runs.
    pub env: Environment,
    /// The release that it runs under.
    pub release: Digest,
    /// What it is about.
    pub subject: String,
    /// When it opened.
    pub opened: Time,
    /// Commitment to the source snapshot.
    pub snapshot: Digest,
    /// Who has acted under which duty.
    pub parts: BTreeSet<(Duty, PrincipalId)>,
    /// What systems of record answered.
    pub facts: Facts,
    /// Calls in order; call `n` has the id `<case>.c<n+1>`.
    pub calls: Vec<CallState>,
    /// Calls of language models in order; call `n` has the id `<case>.m<n+1>`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<ModelCall>,
    /// Clauses found by retrieval, by agent.
    pub retrieved: BTreeMap<PrincipalId, Vec<Retrieval>>,
    /// The analyst's recommendation.
    pub prepared: Option<(PrincipalId, Recommend)>,
    /// The reviewer's recommendation.
    pub reviewed: Option<(PrincipalId, Recommend)>,
    /// The tier that the verdict found.
    pub tier: Option<Tier>,
    /// The request for approval.
    pub approval: Option<Approval>,
    /// The grant.
    pub grant: Option<Grant>,
    /// Grants that became void.
    #[serde(default, skip_serializing_if = "is_none")]
    pub voided: u32,
    /// The outcome.
    pub outcome: Option<Outcome>,
    /// Exceptions raised so far.
    pub exceptions: u32,
}

/// A retrieval that an agent made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retrieval {
    /// What was looked for.
    pub query: String,
    /// The moment whose clauses were searched: it says in which editions they were found.
    pub at: Time,
    /// Ids of the clauses found, best first.
    pub clauses: Vec<String>,
}

/// A permitted call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallState {
    /// By whom.
    pub agent: PrincipalId,
    /// The call.
    pub action: Action,
    /// What came of it.
    pub answer: Option<CallAnswer>,
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CallAnswer {
    /// An answer, committed to.
    Snapshot(Digest),
    /// None.
    Problem(String),
}

/// A request for approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// Its id.
    pub id: ItemId,
    /// The action's digest.
    pub digest: Digest,
    /// The tier.
    pub tier: Tier,
    /// When it was asked.
    pub asked: Time,
    /// How many humans must sign.
    pub humans: u32,
    /// When it expires.
    pub expires: Time,
    /// Who said yes, with which credential, and in which stage.
    pub yes: Vec<Yes>,
    /// Who said yes, or in whose name it was said, and took it back.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub withdrawn: BTreeSet<PrincipalId>,
    /// When those who may sign are reminded; none when they were, or where nobody is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remind: Option<Time>,
    /// When others are told; none when they were, or where nobody is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalate: Option<Time>,
    /// Who signed that it cannot wait, with which credential.
    pub glass: Vec<(PrincipalId, CredentialId)>,
}

/// A yes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Yes {
    /// Who signed.
    pub who: PrincipalId,
    /// With which credential.
    pub with: CredentialId,
    /// The stage that it counts in; none where there is only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<StageName>,
    /// The human in whose name it was signed, where that is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf: Option<PrincipalId>,
}

impl Yes {
    /// Everybody that it comes from: they count as one person.
    pub fn people(&self) -> impl Iterator<Item = &PrincipalId> {
        std::iter::once(&self.who).chain(&self.on_behalf)
    }

    /// Whether it comes from this person, under their own name or another's.
    #[must_use]
    pub fn is_of(&self, person: &PrincipalId) -> bool {
        self.people().any(|who| who == person)
    }
}

fn is_none(n: &u32) -> bool {
    *n == 0
}

/// A grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// Its id.
    pub id: ItemId,
    /// The action's digest.
    pub digest: Digest,
    /// What it stands on.
    pub basis: Basis,
    /// When it expires.
    pub expires: Time,
    /// When it was used.
    pub used: Option<Time>,
    /// Where its user carries the effect out: when it must have said what came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report_by: Option<Time>,
}

impl State {
    /// Whether an exception of this sort is raised in a case, and nobody has triaged it.
    #[must_use]
    pub fn is_raised(&self, id: &CaseId, case: &Case, sort: ExceptionSort) -> bool {
        let mut raised =
            (1..=case.exceptions).filter_map(|n| self.exceptions.get(&ItemId::of(id, 'x', n)));
        raised.any(|e| e.sort == sort)
    }
}

/// An exception that nobody has triaged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exception {
    /// What sort.
    pub sort: ExceptionSort,
    /// When.
    pub raised: Time,
    /// What happened.
    pub text: String,
}

impl Case {
    /// The action that the agents recommend: the analyst's.
    #[must_use]
    pub fn action(&self) -> Option<&Action> {
        self.prepared.as_ref()?.1.action.as_ref()
    }

    /// The agent that prepared it.
    #[must_use]
    pub fn preparer(&self) -> Option<&PrincipalId> {
        self.prepared.as_ref().map(|(agent, _)| agent)
    }

    /// How often one agent may call in a case, and how often it may look for clauses.
    pub const MOST_READS: usize = 1_024;

    /// Commitments to the answers that an agent's calls got in it, in the order of the calls.
    pub fn answers_to<'c>(
        &'c self,
        agent: &'c PrincipalId,
    ) -> impl DoubleEndedIterator<Item = Digest> + 'c {
        let own = self.calls.iter().filter(move |c| c.agent == *agent);
        own.filter_map(|c| match c.answer {
            Some(CallAnswer::Snapshot(digest)) => Some(digest),
            _ => None,
        })
    }

    /// How often an agent has called in it.
    #[must_use]
    pub fn calls_of(&self, agent: &PrincipalId) -> usize {
        self.calls.iter().filter(|c| c.agent == *agent).count()
    }

    /// How often an agent has looked for clauses in it.
    #[must_use]
    pub fn lookups_of(&self, agent: &PrincipalId) -> usize {
        self.retrieved.get(agent).map_or(0, Vec::len)
    }

    /// Whether an agent has called in it, or looked for clauses, as often as one may, and nothing is recommended.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let full = |agent| self.calls_of(agent).max(self.lookups_of(agent)) >= Self::MOST_READS;
        self.prepared.is_none() && self.parts.iter().any(|(_, agent)| full(agent))
    }

    /// Whether it waits for its verdict: for what agents still read, prepare or review.
    #[must_use]
    pub fn is_undecided(&self) -> bool {
        self.approval.is_none() && self.grant.is_none()
    }

    /// Whether a call of a tool or of a model is under way: its answer belongs to the case.
    #[must_use]
    pub fn awaits_answer(&self) -> bool {
        self.calls.iter().any(|call| call.answer.is_none())
            || self.models.iter().any(|call| call.answer.is_none())
    }

    /// Whether a request for approval waits for humans.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.approval.is_some() && self.grant.is_none()
    }

    /// Where the case stands, in a word.
    #[must_use]
    pub fn stage(&self) -> &'static str {
        if self.outcome == Some(Outcome::Unknown) {
            "unknown"
        } else if self.grant.as_ref().is_some_and(|g| g.used.is_some()) {
            "executing"
        } else if self.grant.is_some() {
            "granted"
        } else if self.approval.is_some() {
            "waiting"
        } else if self.reviewed.is_some() {
            "judged"
        } else if self.prepared.is_some() {
            "prepared"
        } else {
            "open"
        }
    }
}
