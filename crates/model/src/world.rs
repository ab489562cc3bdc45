//! The bounded world: who there is, what the release says, and how a log begins. Small on purpose; what matters is that
//! every rule has something to bite on.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use duty::{
    action::Action,
    canonical::{Digest, to_vec},
    conflict::ConflictMatrix,
    course::CourseRule,
    decide,
    name::{CredentialId, PrincipalId},
    principal::{Credential, Duty, NewPrincipal, PrincipalKind, Proof, PublicKey, Role},
    quorum::Attributes,
    release::{
        Agent, Ask, BreakGlass, Cap, Caps, ClauseRef, Disqualify, Near, Permission, Quorum,
        RiskFinding, RuleHit, Rules, Split, Stage, Team, Threshold, Tier, Tool,
    },
    release_for,
    request::{
        BuildRelease, Certify, ControlTestResult, OpenLog, RecordControlTests, RecordFile, Request,
        Submission,
    },
    signature::{Checked, Signature},
    state::State,
    statement::{
        CompletionStatement, PromotionStatement, ReleaseStatement, Signed, ThresholdStatement,
    },
    time::Time,
};
use ed25519_dalek::{Signer as _, SigningKey};
use serde::Serialize;
use serde_json::json;

use crate::moves::Bound;

pub(crate) const ORIGIN: &str = "model.example/log";
pub(crate) const ENV: &str = "prod";

/// Minutes after the beginning at which something may change: a grant is over, a request for approval and the window of the
/// caps are over, certifications are over, the threshold is over.
pub(crate) const MOMENTS: [u32; 5] = [0, 11, 61, 121, 181];
const CERTIFIED: u32 = 120;
const IN_FORCE: u32 = 180;
/// The beginning; the log is set up before.
const START: i64 = 1_000_000;

/// Every delegation of the model ends between its first moments.
pub(crate) fn delegated_until() -> Time {
    moment(0).plus_minutes(10)
}

/// When what the owner of the reviewer has passed is over, and when it would be if passed again.
pub(crate) fn taught_until() -> Time {
    moment(0).plus_minutes(10)
}

pub(crate) fn taught_again() -> Time {
    moment(4).plus_minutes(60)
}

/// What the course of owners is, and what it was.
pub(crate) const COURSE: &str = "answer for what it does";
pub(crate) const OLD_COURSE: &str = "switch it on";

/// The stages of high risk, and the department of whoever signs in the first.
pub(crate) const FINANCE: &str = "finance";
pub(crate) const SECOND: &str = "second";

pub(crate) fn moment(n: usize) -> Time {
    Time::from_millis(START).plus_minutes(MOMENTS[n])
}

/// Approvers; `una` is certified in nothing, and `olivia` owns the analyst.
pub(crate) const APPROVERS: [&str; 4] = ["bob", "gus", "una", "olivia"];
/// Agents of the team, a sub-agent of the analyst, and one outside the team.
pub(crate) const AGENTS: [&str; 5] = ["ana", "rev", "exe", "sub", "out"];
/// Owners who may sign the threshold; of `olivia` it does not count.
pub(crate) const SIGNERS: [&str; 3] = ["carla", "dmitri", "olivia"];
pub(crate) const OWNERS: [(&str, &str); 5] = [
    ("ana", "olivia"),
    ("rev", "rashid"),
    ("exe", "ines"),
    ("sub", "olivia"),
    ("out", "olivia"),
];

/// Cents with the tier that the risk rules give them.
pub(crate) const LOW: i64 = 50;
pub(crate) const ELEVATED: i64 = 500;
pub(crate) const HIGH: i64 = 5_000;
pub(crate) const FORBIDDEN: i64 = 500_000;

pub(crate) fn tier(cents: i64) -> Tier {
    match cents {
        0..=100 => Tier::Low,
        101..=1_000 => Tier::Elevated,
        _ => Tier::High,
    }
}

pub(crate) fn pay(cents: i64) -> Action {
    let arguments = json!({"cents": cents, "to": "v1"});
    Action {
        tool: "bank.pay".to_owned(),
        arguments: arguments.as_object().cloned().unwrap_or_default(),
    }
}

/// A fixed word as a name.
pub(crate) fn name<T: std::str::FromStr<Err = String>>(text: &str) -> T {
    text.parse()
        .expect("INVARIANT: words of the model are names")
}

pub(crate) fn credential(who: &str) -> CredentialId {
    name(&format!("{who}-1"))
}

fn key(who: &str) -> SigningKey {
    SigningKey::from_bytes(Digest::of_bytes(who.as_bytes()).as_bytes())
}

/// What came of verifying; none where the statement has no canonical form.
type Verified = Option<Arc<Checked>>;

thread_local! {
    /// Signatures by what was signed: the same statements come again and again.
    static SIGNED: RefCell<HashMap<(Vec<u8>, String), String>> = RefCell::default();
    /// Signatures that were verified, by whose each is said to be: what is stated over and over is verified once.
    static CHECKED: RefCell<HashMap<(PrincipalId, String), Verified>> = RefCell::default();
}

/// What verifying a request's signature comes to, under the key of whoever the statement names. It answers for that
/// signature, statement and key alone: for whatever else the core verifies by itself.
pub(crate) fn checked(request: &Request) -> Verified {
    let signed = request.signed()?;
    let Signature::Text(text) = signed.signature() else {
        return None;
    };
    CHECKED.with_borrow_mut(|checked| {
        let known = checked.entry((signed.signer().clone(), text.clone()));
        let verify = || signed.check(&proof(signed.signer().as_str())).map(Arc::new);
        known.or_insert_with(verify).clone()
    })
}

fn proof(human: &str) -> Proof {
    let public = PublicKey::from_bytes(key(human).verifying_key().as_bytes());
    Proof::Ed25519 {
        public: public.expect("INVARIANT: a key that was made is one"),
    }
}

pub(crate) fn sign<T: Serialize>(statement: T, who: &str) -> Signed<T> {
    let bytes = to_vec(&statement).expect("INVARIANT: statements have a canonical form");
    let signature = SIGNED.with_borrow_mut(|signed| {
        let known = signed.entry((bytes, who.to_owned()));
        known
            .or_insert_with_key(|(bytes, who)| {
                BASE64_STANDARD.encode(key(who).sign(bytes).to_bytes())
            })
            .clone()
    });
    Signed {
        statement,
        signature: Signature::Text(signature),
    }
}

/// The release of the model, or its second edition, which differs in name alone.
pub(crate) struct World {
    pub(crate) bound: Bound,
    team: Team,
    thresholds: Vec<(Threshold, Digest)>,
    clause: duty::edition::Edition,
    editions: [Digest; 2],
}

/// One edition as rules.
pub(crate) struct Edition<'w> {
    world: &'w World,
    digest: Digest,
}

fn content(edition: usize) -> String {
    format!("edition {edition}")
}

fn files(edition: usize) -> BTreeMap<String, Digest> {
    BTreeMap::from([(
        "team.toml".to_owned(),
        Digest::of_bytes(content(edition).as_bytes()),
    )])
}

impl World {
    /// With what the bound asks of the release.
    pub(crate) fn new(bound: &Bound) -> Self {
        let agent = |id: &str, duty, model: Option<&str>| Agent {
            id: name(id),
            duty,
            owner: name(owner(id).unwrap_or("nobody")),
            model: model.map(str::to_owned),
            model_family: None,
            language: None,
            prompt: Digest::of_bytes(id.as_bytes()),
            lineage: id.to_owned(),
        };
        let stage = |humans| Stage {
            name: None,
            humans,
            role: Role::Approver,
            attributes: Default::default(),
            certification: name("pay"),
            clause: "P-1".to_owned(),
        };
        let quorum = |humans| Quorum::of_one(stage(humans), 60);
        let high = if bound.stages {
            let (mut first, mut second) = (stage(1), stage(1));
            first.name = Some(name(FINANCE));
            first.attributes = department(FINANCE);
            second.name = Some(name(SECOND));
            let mut high = quorum(1);
            high.stages = vec![first, second];
            high
        } else {
            quorum(2)
        };
        // Where parts are looked for, the caps alone would let them pass.
        let (count, sum) = if bound.splits { (5, 500) } else { (1, 60) };
        let cap = Cap {
            window_minutes: 60,
            count,
            sum: Some(sum),
        };
        let course = CourseRule {
            id: name("own"),
            title: "Answering for an agent".to_owned(),
            content: Digest::of_bytes(COURSE.as_bytes()),
            accepts: BTreeSet::new(),
            valid_days: 1,
            warn_days: 1,
            assessors: BTreeSet::from([Role::Owner]),
            signed: true,
            roles: BTreeSet::from([Role::Owner]),
            clause: "P-1".to_owned(),
        };
        let threshold = Threshold {
            id: name("small"),
            title: "Small ones".to_owned(),
            owner: name("carla"),
            tool: "bank.pay".to_owned(),
            tier: Tier::Low,
            scope: "any".to_owned(),
            sum_field: Some("cents".to_owned()),
            unit: None,
            key_field: Some("to".to_owned()),
            starts: Time::EPOCH,
            expires: Time::from_millis(START).plus_minutes(IN_FORCE),
            clause: "P-1".to_owned(),
            signatures: 2,
            single_limit: Some(100),
            // Out of reach: what is told of caps changes no decision, and would be so many states more.
            near_percent: 101,
            caps: Caps {
                all: cap,
                per_key: Some(cap),
            },
            split: bound.splits.then_some(Split {
                window_minutes: 60,
                sum: Some(60),
                count: None,
            }),
            warn_days: None,
        };
        let digest = Digest::of(&threshold).expect("INVARIANT: it has a canonical form");
        let edition = |n| Digest::of(&files(n)).expect("INVARIANT: it has a canonical form");
        Self {
            bound: bound.clone(),
            team: Team {
                name: "team".to_owned(),
                agents: vec![
                    agent("ana", Duty::Prepare, Some("rules/a")),
                    agent("rev", Duty::Review, Some("rules/r")),
                    agent("exe", Duty::Execute, None),
                ],
                tools: BTreeMap::from([(
                    "bank.pay".to_owned(),
                    Tool {
                        name: "bank.pay".to_owned(),
                        effect: true,
                        facts_as: None,
                        facts: Vec::new(),
                        idempotency: (!bound.callers).then(|| "key".to_owned()),
                        lookup: None,
                        by_caller: bound.callers,
                        pinned: None,
                    },
                )]),
                courses: bound.lapses.then_some(course).into_iter().collect(),
                conflicts: ConflictMatrix::default(),
                approval: BTreeMap::from([
                    (Tier::Low, quorum(1)),
                    (Tier::Elevated, quorum(1)),
                    (Tier::High, high),
                ]),
                human_steps: Vec::new(),
                overrides: None,
                attention: None,
                break_glass: bound.glass.then(|| BreakGlass {
                    role: Role::Approver,
                    certification: name("pay"),
                    minutes: 5,
                    review_minutes: 60,
                    clause: "P-1".to_owned(),
                }),
                disqualify: None::<Disqualify>,
                min_confidence: 80,
                confidence_clause: "P-1".to_owned(),
                grant_minutes: 10,
                durability: BTreeMap::new(),
                retention: None,
                patience: None,
            },
            thresholds: vec![(threshold, digest)],
            clause: duty::edition::Edition {
                clause: ClauseRef {
                    id: "P-1".to_owned(),
                    version: "1".to_owned(),
                    digest: Digest::of_bytes(b"P-1"),
                },
                from: Time::EPOCH,
                until: None,
            },
            editions: [edition(0), edition(1)],
        }
    }

    pub(crate) fn release(&self, edition: usize) -> Digest {
        self.editions[edition]
    }

    pub(crate) fn threshold(&self) -> &(Threshold, Digest) {
        &self.thresholds[0]
    }

    pub(crate) fn clause(&self) -> &ClauseRef {
        &self.clause.clause
    }

    pub(crate) fn agent(&self, id: &str) -> Option<&Agent> {
        self.team.agents.iter().find(|a| a.id.as_str() == id)
    }

    /// The rules that a request falls under.
    pub(crate) fn rules(&self, state: &State, request: &Request) -> Option<Edition<'_>> {
        let digest = release_for(state, request)?;
        let known = self.editions.contains(&digest);
        known.then_some(Edition {
            world: self,
            digest,
        })
    }

    /// A log with everybody in it and both editions built, tested and signed by their author; the first is in force.
    pub(crate) fn begin(&self) -> State {
        let mut log = Setup {
            world: self,
            state: State::default(),
            clock: 1_000,
        };
        let service = |id: &str, role| NewPrincipal {
            id: name(id),
            kind: PrincipalKind::Service,
            roles: vec![role],
            owner: None,
            acts_for: None,
            attributes: Default::default(),
            credentials: vec![Credential {
                id: credential(id),
                proof: Proof::Local,
            }],
        };
        log.must(
            "admin",
            Request::OpenLog(OpenLog {
                origin: ORIGIN.to_owned(),
                principals: vec![
                    service("admin", Role::Admin),
                    service("engine", Role::Service),
                ],
            }),
        );
        for who in ["rashid", "ines", "carla", "dmitri"] {
            log.must("admin", Request::AddPrincipal(human(who, &[Role::Owner])));
        }
        log.must(
            "admin",
            Request::AddPrincipal(human("olivia", &[Role::Approver, Role::Owner])),
        );
        for who in ["bob", "gus", "una"] {
            log.must(
                "admin",
                Request::AddPrincipal(human(who, &[Role::Approver])),
            );
        }
        for (id, role) in AGENTS.into_iter().zip([
            Role::Analyst,
            Role::Reviewer,
            Role::Executor,
            Role::Analyst,
            Role::Reviewer,
        ]) {
            log.must("admin", Request::AddPrincipal(agent(id, role)));
        }
        for who in ["bob", "gus", "olivia", "dmitri"] {
            // One of them a moment sooner than the other: between signing and use there is a difference.
            let minutes = if who == "gus" {
                CERTIFIED
            } else {
                IN_FORCE + 60
            };
            log.must(
                "admin",
                Request::Certify(Certify {
                    principal: name(who),
                    course: name("pay"),
                    expires: Time::from_millis(START).plus_minutes(minutes),
                }),
            );
        }
        if !self.team.courses.is_empty() {
            log.teach();
        }
        for edition in [0, 1] {
            log.must(
                "admin",
                Request::RecordFile(RecordFile {
                    content: content(edition),
                }),
            );
            log.must(
                "admin",
                Request::BuildRelease(BuildRelease {
                    files: files(edition),
                }),
            );
            let release = self.release(edition);
            let statement = ReleaseStatement {
                statement: ReleaseStatement::TYPE.to_owned(),
                log: ORIGIN.to_owned(),
                release,
                signer: name("carla"),
                credential: credential("carla"),
            };
            log.must("carla", Request::SignRelease(sign(statement, "carla")));
            if edition == 0 {
                log.must("engine", tested(release));
                log.must("dmitri", promotion(self, &log.state, edition, "dmitri"));
            }
        }
        log.state
    }
}

struct Setup<'w> {
    world: &'w World,
    state: State,
    clock: i64,
}

impl Setup<'_> {
    /// Every owner has passed the course of owners; what one has is over sooner.
    fn teach(&mut self) {
        for content in [COURSE, OLD_COURSE] {
            let content = content.to_owned();
            self.must("admin", Request::RecordFile(RecordFile { content }));
        }
        for who in ["rashid", "ines", "carla", "dmitri", "olivia"] {
            let by = if who == "carla" { "dmitri" } else { "carla" };
            let until = if who == "rashid" {
                taught_until()
            } else {
                taught_again()
            };
            self.must(by, assessment(who, by, COURSE, until));
        }
    }

    fn must(&mut self, who: &str, request: Request) {
        let submission = Submission {
            clock: Time::from_millis(self.clock),
            principal: name(who),
            credential: credential(who),
            request,
        };
        self.clock += 1_000;
        let rules = self.world.rules(&self.state, &submission.request);
        let decision = decide(
            &self.state,
            rules.as_ref().map(|r| r as &dyn Rules),
            &submission,
        );
        if let Some(refusal) = decision.refusal {
            panic!("the model cannot begin: {refusal}");
        }
        for record in &decision.records {
            self.state
                .apply(record)
                .expect("INVARIANT: the core's own records follow");
        }
    }
}

/// That `who` has passed a content of the course of owners, as `by` says.
pub(crate) fn assessment(who: &str, by: &str, content: &str, expires: Time) -> Request {
    Request::Assess(sign(
        CompletionStatement {
            statement: CompletionStatement::TYPE.to_owned(),
            log: ORIGIN.to_owned(),
            trainee: name(who),
            course: name("own"),
            content: Digest::of_bytes(content.as_bytes()),
            completed: Time::EPOCH,
            expires,
            signer: name(by),
            credential: credential(by),
        },
        by,
    ))
}

fn department(word: &str) -> Attributes {
    [(name("department"), word.to_owned())].into()
}

pub(crate) fn owner(agent: &str) -> Option<&'static str> {
    OWNERS
        .iter()
        .find(|(a, _)| *a == agent)
        .map(|(_, owner)| *owner)
}

/// Whom a principal acts for in the end, as the model knows it, not as the core says.
pub(crate) fn root(who: &PrincipalId) -> &str {
    match who.as_str() {
        "sub" => "ana",
        other => other,
    }
}

/// Whether a person is certified at a moment, as the model knows it.
pub(crate) fn certified(who: &str, now: Time) -> bool {
    let until = |minutes| now < Time::from_millis(START).plus_minutes(minutes);
    match who {
        "gus" => until(CERTIFIED),
        "bob" | "olivia" | "dmitri" => until(IN_FORCE + 60),
        _ => false,
    }
}

pub(crate) fn tested(release: Digest) -> Request {
    let digest = Digest::of_bytes(b"model");
    Request::RecordControlTests(RecordControlTests {
        release,
        catalogue: digest,
        binary: digest,
        results: vec![ControlTestResult {
            control: "model".to_owned(),
            test: "model".to_owned(),
            passed: true,
            detail: String::new(),
        }],
    })
}

pub(crate) fn promotion(world: &World, state: &State, edition: usize, who: &str) -> Request {
    let release = world.release(edition);
    let env = name(ENV);
    Request::PromoteSigned(sign(
        PromotionStatement {
            statement: PromotionStatement::TYPE.to_owned(),
            log: ORIGIN.to_owned(),
            replaces: state.environments.get(&env).copied(),
            env,
            release,
            tests: state.tested.get(&release).map(|t| t.record),
            reason: "it is better".to_owned(),
            signer: name(who),
            credential: credential(who),
        },
        who,
    ))
}

pub(crate) fn threshold_signature(world: &World, who: &str) -> Request {
    let (threshold, digest) = world.threshold();
    Request::SignThreshold(sign(
        ThresholdStatement {
            statement: ThresholdStatement::TYPE.to_owned(),
            log: ORIGIN.to_owned(),
            threshold: threshold.id.clone(),
            digest: *digest,
            signer: name(who),
            credential: credential(who),
        },
        who,
    ))
}

fn human(id: &str, roles: &[Role]) -> NewPrincipal {
    let roles: BTreeSet<Role> = roles.iter().copied().collect();
    NewPrincipal {
        id: name(id),
        kind: PrincipalKind::Human,
        roles: roles.into_iter().collect(),
        owner: None,
        acts_for: None,
        attributes: department(if id == "bob" { FINANCE } else { "sales" }),
        credentials: vec![Credential {
            id: credential(id),
            proof: proof(id),
        }],
    }
}

fn agent(id: &str, role: Role) -> NewPrincipal {
    NewPrincipal {
        id: name(id),
        kind: PrincipalKind::Agent,
        roles: vec![role],
        owner: owner(id).map(name),
        acts_for: (id == "sub").then(|| name("ana")),
        attributes: Default::default(),
        credentials: vec![Credential {
            id: credential(id),
            proof: Proof::Token {
                sha256: Digest::of_bytes(id.as_bytes()),
            },
        }],
    }
}

impl Rules for Edition<'_> {
    fn digest(&self) -> Digest {
        self.digest
    }
    fn team(&self) -> &Team {
        &self.world.team
    }
    fn thresholds(&self) -> &[(Threshold, Digest)] {
        &self.world.thresholds
    }
    fn editions(&self, id: &str) -> &[duty::edition::Edition] {
        if id == self.world.clause.clause.id {
            std::slice::from_ref(&self.world.clause)
        } else {
            &[]
        }
    }
    fn bound(&self, _: &Ask<'_>) -> Vec<RuleHit> {
        Vec::new()
    }
    fn text_of(&self, _: &ClauseRef) -> Option<&str> {
        None
    }
    fn permission(&self, ask: &Ask<'_>) -> Permission {
        let hit = |rule: &str| RuleHit {
            rule: rule.to_owned(),
            why: rule.to_owned(),
            clause: None,
        };
        match (ask.principal.as_str(), ask.action.integer("cents")) {
            ("exe", Some(FORBIDDEN..)) => Permission::Forbid(hit("exe#too-much")),
            ("exe", _) => Permission::Allow(hit("exe#pay")),
            _ => Permission::Silent,
        }
    }
    fn risk(&self, ask: &Ask<'_>) -> RiskFinding {
        RiskFinding {
            tier: tier(ask.action.integer("cents").unwrap_or(i64::MAX)),
            hits: Vec::new(),
        }
    }
    fn in_scope(&self, _: &Threshold, _: &Ask<'_>) -> Result<bool, String> {
        Ok(true)
    }
    fn step_holds(&self, _: usize, _: &Ask<'_>) -> bool {
        true
    }
    fn near(&self, _: &Ask<'_>) -> Vec<Near> {
        Vec::new()
    }
}
