//! What the core knows of a release: the team, its thresholds, and questions to its rules.
//!
//! The rules themselves (Cedar policies, policy documents) live in the `policy` crate, which answers [`Rules`] purely.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    action::Action,
    canonical::{Digest, from_ten_thousandths},
    conflict::ConflictMatrix,
    course::CourseRule,
    edition::Edition,
    facts::Facts,
    language::Language,
    name::{Course, Environment, PrincipalId, ThresholdId},
    principal::{Duty, Role},
    time::Time,
};

pub use crate::quorum::{Escalation, HumanStep, Order, Overrides, Quorum, Stage};

/// The risk tier of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// A threshold may cover it.
    Low,
    /// A human signs.
    Elevated,
    /// A quorum of humans signs.
    High,
}

impl Tier {
    /// The word used in records.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Elevated => "elevated",
            Self::High => "high",
        }
    }
}

/// How safe the records behind an effect must be before it happens.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// On the disk: survives a crash of the process and of the machine.
    #[default]
    Committed,
    /// Covered by a signed checkpoint that others can read.
    Checkpointed,
    /// Covered by a checkpoint that a quorum of witnesses cosigned: survives the operator too.
    Witnessed,
}

impl Level {
    /// The word used in records.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Committed => "committed",
            Self::Checkpointed => "checkpointed",
            Self::Witnessed => "witnessed",
        }
    }
}

/// A clause by id, version and digest: what records cite.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClauseRef {
    /// Stable across editions.
    pub id: String,
    /// The edition of its document.
    pub version: String,
    /// SHA-256 over the canonical JSON of `{"id", "text", "title", "version"}`.
    pub digest: Digest,
}

/// An agent's place in the team.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Its principal.
    pub id: PrincipalId,
    /// Its duty.
    pub duty: Duty,
    /// The human answerable for it.
    pub owner: PrincipalId,
    /// The model it must run on, like `rules/<digest>`; none for an agent that only executes.
    pub model: Option<String>,
    /// The family of that model.
    pub model_family: Option<String>,
    /// Where that is a language model: how it is asked, and what its calls may come to.
    pub language: Option<Language>,
    /// Digest of its prompt.
    pub prompt: Digest,
    /// What its prompt is derived from: its own digest, where the release names nothing.
    pub lineage: String,
}

/// A tool of a target system, as the release declares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    /// `<server>.<tool>`.
    pub name: String,
    /// Whether it changes the world. Only a grant may call such a tool.
    pub effect: bool,
    /// Namespace of the facts taken from its answers.
    pub facts_as: Option<String>,
    /// The fields of its answers that become facts in records.
    pub facts: Vec<String>,
    /// The argument that the engine fills with the grant's id; no agent may set it.
    pub idempotency: Option<String>,
    /// The tool that finds out, by that id, what happened.
    pub lookup: Option<String>,
    /// Whether whoever uses the grant carries the effect out, in its own process, and reports what came of it; else the
    /// engine calls a target.
    pub by_caller: bool,
    /// Digest of the tool as its server described it when the release was made; none where the release pins nothing of it.
    pub pinned: Option<Digest>,
}

impl Tool {
    /// The facts that may stand in records, of one answer.
    #[must_use]
    pub fn facts_of(&self, answer: &Map<String, Value>) -> Facts {
        self.facts_as
            .as_deref()
            .map_or_else(Facts::default, |namespace| {
                Facts::of_answer(namespace, answer, Some(&self.facts))
            })
    }
}

/// How soon a person may say yes: what is signed sooner than it can be read was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Seconds from the request to a yes, and from the person's last signature to a yes; 1 to [`Pace::LONGEST`].
    pub seconds: u32,
    /// Whether a yes that comes sooner is refused; else it counts, and an exception is raised.
    pub refuse: bool,
}

impl Pace {
    /// As far back as a person's signatures are looked at.
    pub const LONGEST: u32 = 3_600;
}

/// What keeps people from being worn down by requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attention {
    /// How many signatures of one person within an hour are as many as count; 1 to [`Attention::MOST`].
    pub max_per_hour: Option<u32>,
    /// How many requests for approval of one agent, in one environment, wait at once; at least 1.
    pub max_waiting: Option<u32>,
    /// The clause that asks for it.
    pub clause: String,
}

impl Attention {
    /// As many of a person's signatures as are remembered.
    pub const MOST: u32 = 1_000;
}

/// How an action may be let through in an emergency, without the quorum of its tier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakGlass {
    /// The role that whoever breaks the glass must hold.
    pub role: Role,
    /// The course that they must be certified in.
    pub certification: Course,
    /// How long the grant stands, in minutes; at most [`BreakGlass::LONGEST`].
    pub minutes: u32,
    /// Within how many minutes somebody else must have reviewed it.
    pub review_minutes: u32,
    /// The clause that allows it.
    pub clause: String,
}

impl BreakGlass {
    /// Minutes, not hours.
    pub const LONGEST: u32 = 60;

    /// How many people must sign: two where the risk is high, or is not known; else one, and an alarm.
    #[must_use]
    pub fn humans(tier: Tier) -> u32 {
        match tier {
            Tier::High => 2,
            Tier::Low | Tier::Elevated => 1,
        }
    }
}

/// Facts that name a principal who may not approve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disqualify {
    /// Paths of facts, `namespace.field`.
    pub facts: Vec<String>,
    /// The clause behind it.
    pub clause: String,
}

/// How long what agents saw is kept after its subject's last case ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Whole days; at least one.
    pub days: u32,
    /// The clause that says so.
    pub clause: String,
}

impl Retention {
    /// When it is over for a subject whose last case ended at `last`.
    #[must_use]
    pub fn end(&self, last: Time) -> Time {
        last.plus_minutes(self.days.saturating_mul(24 * 60))
    }
}

/// How long a case may be prepared and reviewed before it ends without a verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Whole minutes from its opening; at least one.
    pub minutes: u32,
    /// The clause that says so.
    pub clause: String,
}

impl Patience {
    /// When it is over for a case.
    #[must_use]
    pub fn end(&self, opened: Time) -> Time {
        opened.plus_minutes(self.minutes)
    }
}

/// The team of a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Team {
    /// Its name.
    pub name: String,
    /// Agents bound to duties.
    pub agents: Vec<Agent>,
    /// The tools by name.
    pub tools: BTreeMap<String, Tool>,
    /// Courses that people must have passed, in order of id.
    pub courses: Vec<CourseRule>,
    /// Incompatible duties, beyond the floor.
    pub conflicts: ConflictMatrix,
    /// Who must sign, per tier.
    pub approval: BTreeMap<Tier, Quorum>,
    /// Actions that always need a human.
    pub human_steps: Vec<HumanStep>,
    /// The reasons for which a human may decide against the agents; none asks for no code.
    pub overrides: Option<Overrides>,
    /// How much is asked of people at once; none sets no bound.
    pub attention: Option<Attention>,
    /// How an emergency goes; without it there is none.
    pub break_glass: Option<BreakGlass>,
    /// Who may not.
    pub disqualify: Option<Disqualify>,
    /// Confidence, in whole percent, under which a human decides.
    pub min_confidence: u8,
    /// The clause behind `min_confidence`.
    pub confidence_clause: String,
    /// How long a grant stands, in minutes.
    pub grant_minutes: u32,
    /// How safe the records behind an action of a tier must be before it is executed; a tier that is not here asks for
    /// [`Level::Committed`].
    pub durability: BTreeMap<Tier, Level>,
    /// How long snapshots are kept; none keeps them until somebody erases them.
    pub retention: Option<Retention>,
    /// How long a case may wait for its verdict; none lets it wait as long as its release is in force.
    pub patience: Option<Patience>,
}

impl Team {
    /// The agent of this principal.
    #[must_use]
    pub fn agent(&self, id: &PrincipalId) -> Option<&Agent> {
        self.agents.iter().find(|a| a.id == *id)
    }

    /// The roles whose holders sign approvals.
    #[must_use]
    pub fn signing_roles(&self) -> BTreeSet<Role> {
        let stages = self.approval.values().flat_map(|quorum| &quorum.stages);
        stages.map(|stage| stage.role).collect()
    }

    /// For how many seconds a signature under this release has to be remembered, so that the next one can be judged.
    #[must_use]
    pub fn remembers(&self) -> u32 {
        let hour = self.attention.as_ref().and_then(|a| a.max_per_hour);
        let hour = hour.map_or(0, |_| Pace::LONGEST);
        let paces = self.approval.values().filter_map(|q| q.pace);
        paces.map(|p| p.seconds).fold(hour, u32::max)
    }

    /// How safe the records behind a case's action must be before it is executed. A case without a tier is taken for a
    /// high one.
    #[must_use]
    pub fn level(&self, tier: Option<Tier>) -> Level {
        let tier = tier.unwrap_or(Tier::High);
        self.durability.get(&tier).copied().unwrap_or_default()
    }

    /// The agents with a duty.
    pub fn with_duty(&self, duty: Duty) -> impl Iterator<Item = &Agent> {
        self.agents.iter().filter(move |a| a.duty == duty)
    }
}

/// Caps over a moving window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cap {
    /// The window's length.
    pub window_minutes: u32,
    /// How many actions.
    pub count: u32,
    /// How much, in the unit of the threshold's sum; none where it sums nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sum: Option<i64>,
}

/// Caps in all and per key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Caps {
    /// Over all actions.
    pub all: Cap,
    /// Over the actions of one key, for instance one vendor; none where it has no `key_field`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub per_key: Option<Cap>,
}

/// In what amounts under a threshold are counted, where it is not in whole units of the argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Of an argument with a fraction: exactly, in whole numbers.
    TenThousandths,
}

impl Unit {
    /// An amount as people write it.
    #[must_use]
    pub fn say(unit: Option<Self>, amount: i64) -> String {
        match unit {
            Some(Self::TenThousandths) => from_ten_thousandths(amount),
            None => amount.to_string(),
        }
    }
}

/// A documented, signed, narrow, expiring pre-approval with cumulative caps.
///
/// Its digest is over its canonical JSON; that digest is what its signers sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// Its id.
    pub id: ThresholdId,
    /// For people.
    pub title: String,
    /// The human answerable for it.
    pub owner: PrincipalId,
    /// The tool that it pre-approves.
    pub tool: String,
    /// The highest tier that it may cover.
    pub tier: Tier,
    /// A Cedar condition over the action and the facts.
    pub scope: String,
    /// The argument that is summed; without it only the count is capped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sum_field: Option<String>,
    /// In what its amounts are counted; none is in whole units of `sum_field`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<Unit>,
    /// The argument whose value is the key of `per_key` caps, and of splitting; without it all actions count together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_field: Option<String>,
    /// In force from here.
    pub starts: Time,
    /// In force before here.
    pub expires: Time,
    /// The clause that permits it.
    pub clause: String,
    /// How many distinct humans must have signed it.
    pub signatures: u32,
    /// The most that one action may be, in the unit of its sum; there where `sum_field` is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub single_limit: Option<i64>,
    /// From this share of `single_limit` or of a cap on, in percent, an exception is raised.
    pub near_percent: u8,
    /// Cumulative caps.
    pub caps: Caps,
    /// When several actions are taken for parts of one; without it none are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
    /// So many days before its end it is told that it ends; [`WARN_DAYS`] where it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warn_days: Option<u32>,
}

impl Threshold {
    /// From when on it is told that it ends.
    #[must_use]
    pub fn warns(&self) -> Time {
        let days = self.warn_days.unwrap_or(WARN_DAYS);
        self.expires
            .minus_minutes(days.saturating_mul(MINUTES_OF_A_DAY))
    }

    /// An amount as people write it.
    #[must_use]
    pub fn say(&self, amount: i64) -> String {
        Unit::say(self.unit, amount)
    }

    /// The most that parts of one may come to; none where nothing is summed.
    #[must_use]
    pub fn most_of_parts(&self) -> Option<i64> {
        self.split.and_then(|s| s.sum).or(self.single_limit)
    }
}

/// Days before an end at which it is told, unless the release says otherwise.
pub const WARN_DAYS: u32 = 14;

pub(crate) const MINUTES_OF_A_DAY: u32 = 24 * 60;

/// When several actions of one key are taken for parts of one that was split to pass under a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// How far back actions are added up.
    pub window_minutes: u32,
    /// The most that they may come to, in the unit of the threshold's sum; the `single_limit` where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sum: Option<i64>,
    /// How many they may be; without it only their sum counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
}

/// A question to a release's rules.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Who would call.
    pub principal: &'a PrincipalId,
    /// What would be called.
    pub action: &'a Action,
    /// The case.
    pub case: &'a str,
    /// What the case is about.
    pub subject: &'a str,
    /// Where.
    pub environment: &'a Environment,
    /// What systems of record answered so far.
    pub facts: &'a Facts,
}

/// A rule that spoke, by id, with the clause behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleHit {
    /// `<file>#<id>`.
    pub rule: String,
    /// What it says, for people.
    pub why: String,
    /// The clause behind it, where the rule names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clause: Option<String>,
}

/// What a permission set says of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Permission {
    /// A rule permits it and none forbids it.
    Allow(RuleHit),
    /// A rule forbids it.
    Forbid(RuleHit),
    /// No rule permits it.
    Silent,
    /// A rule could not be evaluated: why. Counts as a refusal.
    Fault(RuleHit),
}

/// What the risk rules say of an action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RiskFinding {
    /// The highest tier that a rule asks for; high where none speaks or one cannot be evaluated.
    pub tier: Tier,
    /// The rules behind that tier.
    pub hits: Vec<RuleHit>,
}

/// A rule that comes near to what was asked, and what stands in the way. Texts are for people, bounded, and the same for
/// the same question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Near {
    /// The rule, with its clause.
    pub rule: RuleHit,
    /// The conditions: of a permit those that do not hold, of a forbid those that do.
    pub conditions: Vec<String>,
    /// What the rule's author says to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

/// A question that was put once, and is answered as often as need be; each answer is that of [`Rules`].
pub trait Hearing {
    /// As [`Rules::permission`].
    fn permission(&self) -> Permission;
    /// As [`Rules::risk`].
    fn risk(&self) -> RiskFinding;
    /// As [`Rules::in_scope`].
    ///
    /// # Errors
    /// As [`Rules::in_scope`].
    fn in_scope(&self, threshold: &Threshold) -> Result<bool, String>;
    /// As [`Rules::step_holds`].
    fn step_holds(&self, step: usize) -> bool;
    /// As [`Rules::near`].
    fn near(&self) -> Vec<Near>;
}

/// A release's content, asked purely: the same question has the same answer for ever.
pub trait Rules: Send + Sync {
    /// The release's content hash.
    fn digest(&self) -> Digest;
    /// The team.
    fn team(&self) -> &Team;
    /// The thresholds with their digests, in order of id.
    fn thresholds(&self) -> &[(Threshold, Digest)];
    /// The editions of the clause of this id, the earliest first; no two of them are in force at one time.
    fn editions(&self, id: &str) -> &[Edition];
    /// The clause of this id in the edition that is in force at a moment.
    fn clause(&self, id: &str, at: Time) -> Option<&ClauseRef> {
        let edition = self.editions(id).iter().find(|e| e.in_force(at));
        edition.map(|e| &e.clause)
    }
    /// The exact text of a clause that the release has.
    fn text_of(&self, cited: &ClauseRef) -> Option<&str>;
    /// The clauses that the release binds to this action: a recommendation of it cites each of them. One whose condition
    /// cannot be evaluated is bound, and its `why` says so.
    fn bound(&self, ask: &Ask<'_>) -> Vec<RuleHit>;
    /// Whether the asking agent's permission set permits the call.
    fn permission(&self, ask: &Ask<'_>) -> Permission;
    /// The risk tier of the action.
    fn risk(&self, ask: &Ask<'_>) -> RiskFinding;
    /// Whether the action is in the threshold's scope; the error says why that cannot be told.
    ///
    /// # Errors
    /// Where the condition cannot be evaluated on this action.
    fn in_scope(&self, threshold: &Threshold, ask: &Ask<'_>) -> Result<bool, String>;
    /// Whether the condition of this one of the team's human steps holds, or cannot be evaluated; the tool is the step's.
    fn step_holds(&self, step: usize, ask: &Ask<'_>) -> bool;
    /// The rules nearest to another answer of [`Rules::permission`], nearest first: where nothing permits, the permits
    /// that lack least; where a rule forbids or cannot be evaluated, that rule. Few, and none where it was permitted.
    fn near(&self, ask: &Ask<'_>) -> Vec<Near>;
    /// The question put once, where that saves the rules work; without it they are asked one by one.
    fn hear<'q>(&'q self, _ask: &Ask<'q>) -> Option<Box<dyn Hearing + 'q>> {
        None
    }
}

/// A question on its way to the rules, put once where they know how.
pub(crate) struct Heard<'q> {
    rules: &'q dyn Rules,
    ask: Ask<'q>,
    hearing: Box<dyn Hearing + 'q>,
    /// What was answered of thresholds: a verdict asks for splitting, for cover and for what counts.
    scopes: RefCell<Vec<(&'q ThresholdId, Result<bool, String>)>>,
}

impl<'q> Heard<'q> {
    pub(crate) fn new(rules: &'q dyn Rules, ask: Ask<'q>) -> Self {
        let hearing = rules.hear(&ask);
        Self {
            hearing: hearing.unwrap_or_else(|| Box::new(Afresh { rules, ask })),
            rules,
            ask,
            scopes: RefCell::default(),
        }
    }

    pub(crate) fn ask(&self) -> &Ask<'q> {
        &self.ask
    }

    pub(crate) fn permission(&self) -> Permission {
        self.hearing.permission()
    }

    /// Those of the team's human steps that ask for a human here.
    pub(crate) fn human_steps(&self) -> Vec<&'q HumanStep> {
        let steps = self.rules.team().human_steps.iter().enumerate();
        let asks = steps
            .filter(|(n, step)| step.tool == self.ask.action.tool && self.hearing.step_holds(*n));
        asks.map(|(_, step)| step).collect()
    }

    pub(crate) fn near(&self) -> Vec<Near> {
        self.hearing.near()
    }

    pub(crate) fn risk(&self) -> RiskFinding {
        self.hearing.risk()
    }

    pub(crate) fn in_scope(&self, threshold: &'q Threshold) -> Result<bool, String> {
        let mut scopes = self.scopes.borrow_mut();
        if let Some((_, answer)) = scopes.iter().find(|(id, _)| **id == threshold.id) {
            return answer.clone();
        }
        let answer = self.hearing.in_scope(threshold);
        scopes.push((&threshold.id, answer.clone()));
        answer
    }
}

/// The question put anew for every answer, to rules that know no other way.
struct Afresh<'q> {
    rules: &'q dyn Rules,
    ask: Ask<'q>,
}

impl Hearing for Afresh<'_> {
    fn permission(&self) -> Permission {
        self.rules.permission(&self.ask)
    }

    fn risk(&self) -> RiskFinding {
        self.rules.risk(&self.ask)
    }

    fn in_scope(&self, threshold: &Threshold) -> Result<bool, String> {
        self.rules.in_scope(threshold, &self.ask)
    }

    fn step_holds(&self, step: usize) -> bool {
        self.rules.step_holds(step, &self.ask)
    }

    fn near(&self) -> Vec<Near> {
        self.rules.near(&self.ask)
    }
}
