//! A small world to decide in: three agents, their owners, three approvers, and rules that fit on a page.

use std::collections::BTreeMap;

use duty::{
    Decision,
    action::Action,
    canonical::{self, Digest},
    conflict::ConflictMatrix,
    decide, decide_with,
    edition::Edition,
    facts::Facts,
    name::{CaseId, ItemId},
    principal::{Credential, Duty, NewPrincipal, PrincipalKind, Proof, PublicKey, Role},
    record::{Body, Record},
    refusal::{Code, Refusal},
    release::{
        Agent, Ask, Cap, Caps, ClauseRef, Disqualify, Level, Near, Patience, Permission, Quorum,
        Retention, RiskFinding, RuleHit, Rules, Stage, Team, Threshold, Tier, Tool,
    },
    release_for,
    request::{
        Answer, BuildRelease, Call, Certify, ControlTestResult, EndRetention, FoundBy, OpenCase,
        OpenLog, Outcome, Ranked, Recommend, RecordControlTests, RecordFile, RecordOutcome,
        Request, Retrieve, Stance, Submission, UseGrant,
    },
    signature::Checked,
    state::State,
    statement::{
        ApprovalStatement, Choice, ConfirmationStatement, ErasureStatement, HoldStatement,
        LiftStatement, PromotionStatement, ReleaseStatement, Signed, ThresholdStatement,
    },
    subject::SubjectId,
    time::Time,
};
use ed25519_dalek::{Signer as _, SigningKey};
use serde::Serialize;
use serde_json::{Map, json};

pub(crate) const ORIGIN: &str = "test.example/log";

pub(crate) fn name<T: std::str::FromStr<Err = String>>(s: &str) -> T {
    s.parse().unwrap()
}

/// Whoever signs has the key made of the first byte of their name.
pub(crate) fn key(person: &str) -> SigningKey {
    SigningKey::from_bytes(&[person.as_bytes()[0]; 32])
}

pub(crate) fn sign<T: Serialize>(statement: T, person: &str) -> Signed<T> {
    use base64::Engine as _;
    let bytes = canonical::to_vec(&statement).unwrap();
    let signature = key(person).sign(&bytes).to_bytes();
    Signed {
        statement,
        signature: base64::prelude::BASE64_STANDARD.encode(signature).into(),
    }
}

pub(crate) struct TestRules {
    pub(crate) digest: Digest,
    pub(crate) team: Team,
    pub(crate) thresholds: Vec<(Threshold, Digest)>,
    pub(crate) clauses: BTreeMap<String, ClauseRef>,
    /// The same, and what a test adds.
    pub(crate) editions: BTreeMap<String, Vec<Edition>>,
    /// Tools with the clauses that are bound to them.
    pub(crate) bound: Vec<(String, String)>,
}

pub(crate) fn release_files() -> BTreeMap<String, Digest> {
    BTreeMap::from([("team.toml".to_owned(), Digest::of_bytes(b"team"))])
}

/// A clause that is always in force.
pub(crate) fn always(clause: ClauseRef) -> Edition {
    Edition {
        clause,
        from: Time::EPOCH,
        until: None,
    }
}

impl TestRules {
    pub(crate) fn new() -> Self {
        let agent = |id: &str, duty, owner: &str, model: Option<&str>| Agent {
            id: name(id),
            duty,
            owner: name(owner),
            model: model.map(str::to_owned),
            language: None,
            model_family: model.and_then(|m| m.split('/').next()).map(str::to_owned),
            prompt: Digest::of_bytes(id.as_bytes()),
            lineage: id.to_owned(),
        };
        let tool = |name: &str, effect| Tool {
            name: name.to_owned(),
            effect,
            facts_as: (!effect).then(|| "vendor".to_owned()),
            facts: vec!["id".to_owned(), "related".to_owned()],
            idempotency: effect.then(|| "key".to_owned()),
            lookup: effect.then(|| "bank.find".to_owned()),
            by_caller: false,
            pinned: None,
        };
        let quorum = |humans| {
            let stage = Stage {
                name: None,
                humans,
                role: Role::Approver,
                attributes: Default::default(),
                certification: name("pay"),
                clause: "P-1".to_owned(),
            };
            Quorum::of_one(stage, 60)
        };
        let cap = |count, sum| Cap {
            window_minutes: 60,
            count,
            sum: Some(sum),
        };
        let threshold = Threshold {
            id: name("small"),
            title: "Small ones".to_owned(),
            owner: name("carla"),
            tool: "bank.pay".to_owned(),
            tier: Tier::Low,
            scope: "small".to_owned(),
            sum_field: Some("cents".to_owned()),
            unit: None,
            key_field: Some("to".to_owned()),
            starts: Time::EPOCH,
            expires: Time::from_millis(1_000_000_000),
            clause: "P-1".to_owned(),
            signatures: 2,
            single_limit: Some(100),
            near_percent: 95,
            caps: Caps {
                all: cap(3, 250),
                per_key: Some(cap(2, 150)),
            },
            split: None,
            warn_days: None,
        };
        let threshold_digest = Digest::of(&threshold).unwrap();
        let clause = |id: &str| ClauseRef {
            id: id.to_owned(),
            version: "1".to_owned(),
            digest: Digest::of_bytes(id.as_bytes()),
        };
        Self {
            digest: Digest::of(&release_files()).unwrap(),
            team: Team {
                name: "team".to_owned(),
                agents: vec![
                    agent("ana", Duty::Prepare, "olivia", Some("rules/a")),
                    agent("rev", Duty::Review, "rashid", Some("rules/r")),
                    agent("exe", Duty::Execute, "ines", None),
                ],
                tools: [tool("books.vendor", false), tool("bank.pay", true)]
                    .into_iter()
                    .map(|t| (t.name.clone(), t))
                    .collect(),
                courses: Vec::new(),
                conflicts: ConflictMatrix::default(),
                approval: BTreeMap::from([
                    (Tier::Low, quorum(1)),
                    (Tier::Elevated, quorum(1)),
                    (Tier::High, quorum(2)),
                ]),
                human_steps: Vec::new(),
                overrides: None,
                attention: None,
                break_glass: None,
                disqualify: Some(Disqualify {
                    facts: vec!["vendor.related".to_owned()],
                    clause: "P-1".to_owned(),
                }),
                min_confidence: 80,
                confidence_clause: "P-2".to_owned(),
                grant_minutes: 10,
                durability: BTreeMap::from([(Tier::High, Level::Witnessed)]),
                retention: Some(Retention {
                    days: 30,
                    clause: "P-2".to_owned(),
                }),
                patience: Some(Patience {
                    minutes: 120,
                    clause: "P-2".to_owned(),
                }),
            },
            thresholds: vec![(threshold, threshold_digest)],
            clauses: ["P-1", "P-2"]
                .into_iter()
                .map(|id| (id.to_owned(), clause(id)))
                .collect(),
            editions: ["P-1", "P-2"]
                .into_iter()
                .map(|id| (id.to_owned(), vec![always(clause(id))]))
                .collect(),
            bound: Vec::new(),
        }
    }
}

/// Control tests of a release, as the platform records them.
pub(crate) fn tested(release: Digest, passed: bool) -> Request {
    let digest = |of: &str| Digest::of_bytes(of.as_bytes());
    Request::RecordControlTests(RecordControlTests {
        release,
        catalogue: digest("catalogue"),
        binary: digest("binary"),
        results: vec![ControlTestResult {
            control: "SOD-01".to_owned(),
            test: "self-approval".to_owned(),
            passed,
            detail: "refused".to_owned(),
        }],
    })
}

fn hit(rule: &str) -> RuleHit {
    RuleHit {
        rule: rule.to_owned(),
        why: rule.to_owned(),
        clause: Some("P-1".to_owned()),
    }
}

impl Rules for TestRules {
    fn digest(&self) -> Digest {
        self.digest
    }
    fn team(&self) -> &Team {
        &self.team
    }
    fn thresholds(&self) -> &[(Threshold, Digest)] {
        &self.thresholds
    }
    fn editions(&self, id: &str) -> &[Edition] {
        self.editions.get(id).map_or(&[], Vec::as_slice)
    }
    fn bound(&self, ask: &Ask<'_>) -> Vec<RuleHit> {
        let bound = self
            .bound
            .iter()
            .filter(|(tool, _)| *tool == ask.action.tool);
        bound
            .map(|(_, clause)| RuleHit {
                clause: Some(clause.clone()),
                ..hit("bind")
            })
            .collect()
    }
    fn text_of(&self, cited: &ClauseRef) -> Option<&str> {
        self.editions(&cited.id)
            .iter()
            .any(|e| e.clause == *cited)
            .then_some("A payment is released\nonly after “two persons” have signed.")
    }
    fn permission(&self, ask: &Ask<'_>) -> Permission {
        match (ask.principal.as_str(), ask.action.tool.as_str()) {
            ("exe", "bank.pay") if ask.action.integer("cents").is_some_and(|c| c > 100_000) => {
                Permission::Forbid(hit("exe#too-much"))
            }
            ("exe", "bank.pay") => Permission::Allow(hit("exe#pay")),
            ("ana" | "rev", "books.vendor") => Permission::Allow(hit("read")),
            _ => Permission::Silent,
        }
    }
    fn risk(&self, ask: &Ask<'_>) -> RiskFinding {
        let cents = ask.action.arguments.get("cents");
        let tier = match cents.and_then(serde_json::Value::as_f64) {
            Some(0.0..=100.0) => Tier::Low,
            Some(100.0..=1_000.0) => Tier::Elevated,
            _ => Tier::High,
        };
        RiskFinding {
            tier,
            hits: vec![hit("risk")],
        }
    }
    fn in_scope(&self, _: &Threshold, ask: &Ask<'_>) -> Result<bool, String> {
        Ok(ask.action.text("currency") == Some("EUR"))
    }
    fn step_holds(&self, _: usize, _: &Ask<'_>) -> bool {
        true
    }
    fn near(&self, ask: &Ask<'_>) -> Vec<Near> {
        match self.permission(ask) {
            Permission::Forbid(rule) => vec![Near {
                rule,
                conditions: vec!["`cents > 100000`".to_owned()],
                advice: Some("ask the bank".to_owned()),
            }],
            _ => Vec::new(),
        }
    }
}

/// The log so far, with its state.
pub(crate) struct World {
    pub(crate) rules: TestRules,
    pub(crate) state: State,
    pub(crate) records: Vec<Record>,
    pub(crate) clock: i64,
    /// Signatures that were verified lately, good and bad.
    checked: Vec<Checked>,
}

/// Whatever was verified ahead, of this request under any key that is known or of earlier ones, decides nothing.
fn knowing(
    state: &State,
    checked: &mut Vec<Checked>,
    rules: Option<&dyn Rules>,
    submission: &Submission,
    as_it_is: &Decision,
) {
    if let Some(signed) = submission.request.signed() {
        let keys = state.principals.values().flat_map(|p| p.signing());
        let of_it = keys.filter_map(|key| signed.check(&key.proof));
        let of_it: Vec<_> = of_it.collect();
        checked.truncate(3);
        checked.splice(0..0, of_it);
    }
    for checked in checked {
        let decision = decide_with(state, rules, submission, Some(checked));
        assert_eq!(
            &decision, as_it_is,
            "verified ahead, it is decided as before"
        );
    }
}

impl World {
    /// A log with everybody in it, a release in force and its threshold signed.
    pub(crate) fn new() -> Self {
        Self::with_threshold(|_| {})
    }

    /// As [`World::new`], with another threshold.
    pub(crate) fn with_threshold(change: impl FnOnce(&mut Threshold)) -> Self {
        let mut world = Self::bare();
        let (threshold, digest) = &mut world.rules.thresholds[0];
        change(threshold);
        *digest = Digest::of(threshold).unwrap();
        for person in ["carla", "dmitri"] {
            let signed = world.threshold_signature(person);
            world.must(person, Request::SignThreshold(signed));
        }
        world
    }

    /// As [`World::new`], but nobody has signed the threshold.
    pub(crate) fn bare() -> Self {
        let mut world = Self {
            rules: TestRules::new(),
            state: State::default(),
            records: Vec::new(),
            clock: 1_000,
            checked: Vec::new(),
        };
        let service = |id: &str, role| NewPrincipal {
            id: name(id),
            kind: PrincipalKind::Service,
            roles: vec![role],
            owner: None,
            acts_for: None,
            attributes: Default::default(),
            credentials: vec![Credential {
                id: name(&format!("{id}-1")),
                proof: Proof::Local,
            }],
        };
        let principals = vec![
            service("admin", Role::Admin),
            service("engine", Role::Service),
        ];
        let open = OpenLog {
            origin: ORIGIN.to_owned(),
            principals,
        };
        world.must("admin", Request::OpenLog(open));
        for (person, role) in [
            ("olivia", Role::Owner),
            ("rashid", Role::Owner),
            ("ines", Role::Owner),
            ("carla", Role::Owner),
            ("dmitri", Role::Owner),
            ("bob", Role::Approver),
            ("gus", Role::Approver),
            ("hal", Role::Approver),
        ] {
            world.must("admin", Request::AddPrincipal(human(person, role)));
        }
        for (agent, role, owner) in [
            ("ana", Role::Analyst, "olivia"),
            ("rev", Role::Reviewer, "rashid"),
            ("exe", Role::Executor, "ines"),
        ] {
            world.must("admin", Request::AddPrincipal(agent_of(agent, role, owner)));
        }
        for person in ["bob", "gus", "hal"] {
            let certify = Certify {
                principal: name(person),
                course: name("pay"),
                expires: Time::from_millis(100_000_000),
            };
            world.must("admin", Request::Certify(certify));
        }
        let file = RecordFile {
            content: "team".to_owned(),
        };
        world.must("admin", Request::RecordFile(file));
        let files = release_files();
        world.must("admin", Request::BuildRelease(BuildRelease { files }));
        let release = world.rules.digest;
        world.must("dmitri", world.authored("dmitri", release));
        world.must("engine", tested(release, true));
        world.must("carla", world.promotion("carla", "staging", release));
        world
    }

    /// `person` signs a release as its author.
    pub(crate) fn authored(&self, person: &str, release: Digest) -> Request {
        let statement = ReleaseStatement {
            statement: ReleaseStatement::TYPE.to_owned(),
            log: ORIGIN.to_owned(),
            release,
            signer: name(person),
            credential: name(&format!("{person}-1")),
        };
        Request::SignRelease(sign(statement, person))
    }

    /// `person` signs a promotion that fits what is in force and what was tested.
    pub(crate) fn promotion(&self, person: &str, env: &str, release: Digest) -> Request {
        Request::PromoteSigned(sign(self.promotion_statement(person, env, release), person))
    }

    pub(crate) fn promotion_statement(
        &self,
        person: &str,
        env: &str,
        release: Digest,
    ) -> PromotionStatement {
        PromotionStatement {
            statement: PromotionStatement::TYPE.to_owned(),
            log: ORIGIN.to_owned(),
            env: name(env),
            release,
            replaces: self.state.environments.get(&name(env)).copied(),
            tests: self.state.tested.get(&release).map(|t| t.record),
            reason: "as tested".to_owned(),
            signer: name(person),
            credential: name(&format!("{person}-1")),
        }
    }

    pub(crate) fn submission(&self, who: &str, request: Request) -> Submission {
        let signed = request.signer().filter(|(signer, with)| {
            signer.as_str() == who && self.state.credentials.get(*with) == Some(*signer)
        });
        let credential = signed.map(|(_, with)| with.clone());
        Submission {
            clock: Time::from_millis(self.clock),
            principal: name(who),
            credential: credential.unwrap_or_else(|| name(&format!("{who}-1"))),
            request,
        }
    }

    /// Decides and appends; time goes on by a second.
    pub(crate) fn ask(&mut self, who: &str, request: Request) -> Decision {
        let submission = self.submission(who, request);
        self.decided(&submission)
    }

    /// As [`World::ask`], with this credential.
    pub(crate) fn with_credential(&mut self, who: &str, with: &str, request: Request) -> Decision {
        let submission = Submission {
            credential: name(with),
            ..self.submission(who, request)
        };
        self.decided(&submission)
    }

    fn decided(&mut self, submission: &Submission) -> Decision {
        let rules: Option<&dyn Rules> = Some(&self.rules);
        let rules =
            rules.filter(|r| Some(r.digest()) == release_for(&self.state, &submission.request));
        let decision = decide(&self.state, rules, submission);
        let sliced = decide(&self.state.slice(submission), rules, submission);
        assert_eq!(decision, sliced, "the slice decides as the whole does");
        knowing(&self.state, &mut self.checked, rules, submission, &decision);
        for record in &decision.records {
            let read = Record::from_bytes(&record.to_bytes().unwrap()).unwrap();
            assert_eq!(&read, record, "records read as they were written");
            self.state.apply(record).unwrap();
        }
        self.records.extend(decision.records.iter().cloned());
        self.clock += 1_000;
        decision
    }

    #[track_caller]
    pub(crate) fn must(&mut self, who: &str, request: Request) -> Vec<Record> {
        let decision = self.ask(who, request);
        if let Some(refusal) = &decision.refusal {
            panic!("refused: {refusal}");
        }
        decision.records
    }

    #[track_caller]
    pub(crate) fn refused(&mut self, who: &str, request: Request, code: Code) -> Refusal {
        let before = self.state.clone();
        let decision = self.ask(who, request);
        let refusal = decision.refusal.expect("it should be refused");
        assert_eq!(refusal.code, code, "{refusal}");
        assert_eq!(decision.records.len(), 1);
        assert_eq!(decision.records[0].body.kind(), "request.refused");
        // Nothing but the log's length and time has changed.
        let after = State {
            size: before.size,
            time: before.time,
            ..self.state.clone()
        };
        assert_eq!(before, after);
        refusal
    }

    pub(crate) fn open(&mut self, id: &str) {
        let request = OpenCase {
            case: name(id),
            environment: name("staging"),
            subject: format!("R-{id}"),
            snapshot: Digest::of_bytes(b"source"),
        };
        self.must("engine", Request::OpenCase(request));
    }

    /// A call to read the vendor.
    pub(crate) fn call(&self, id: &str) -> Request {
        Request::Call(Call {
            case: name(id),
            action: Action {
                tool: "books.vendor".to_owned(),
                arguments: Map::new(),
            },
            described: None,
        })
    }

    /// A call to read the vendor, answered; `related` names a principal with an interest.
    pub(crate) fn read(&mut self, id: &str, agent: &str, related: &str) {
        let records = self.must(agent, self.call(id));
        let Body::CallPermitted(permitted) = &records[0].body else {
            panic!("not permitted")
        };
        let mut facts = Facts::default();
        facts.insert(
            "vendor",
            "related",
            duty::facts::Scalar::Text(related.to_owned()),
        );
        let answer = Answer {
            call: permitted.call.clone(),
            snapshot: Some(Digest::of_bytes(b"answer")),
            facts,
            problem: None,
        };
        self.must("engine", Request::Answer(answer));
    }

    pub(crate) fn retrieve(&mut self, id: &str, agent: &str) {
        let ranking = vec![Ranked {
            clause: self.rules.clauses["P-1"].clone(),
            score_milli: 1_500,
        }];
        let request = Retrieve {
            case: name(id),
            query: "small payments".to_owned(),
            vector: None,
            as_of: None,
            ranking,
        };
        self.must(agent, Request::Retrieve(request));
    }

    pub(crate) fn recommendation(
        &self,
        id: &str,
        duty: Duty,
        stance: Stance,
        cents: i64,
    ) -> Recommend {
        Recommend {
            case: name(id),
            duty,
            stance,
            action: Some(pay(cents, "v1")),
            confidence: 90,
            rationale: "It fits.".to_owned(),
            clauses: vec![self.rules.clauses["P-1"].clone()],
            quotes: Vec::new(),
            model: if duty == Duty::Prepare {
                "rules/a"
            } else {
                "rules/r"
            }
            .to_owned(),
            prompt: Some(Digest::of_bytes(if duty == Duty::Prepare {
                b"ana"
            } else {
                b"rev"
            })),
            row: None,
            inputs: vec![Digest::of_bytes(b"source")],
        }
    }

    /// A case through both recommendations; returns the verdict's records.
    pub(crate) fn judged(&mut self, id: &str, cents: i64) -> Vec<Record> {
        self.judged_as(id, cents, Stance::Proceed, Stance::Proceed)
    }

    pub(crate) fn judged_as(
        &mut self,
        id: &str,
        cents: i64,
        ana: Stance,
        rev: Stance,
    ) -> Vec<Record> {
        self.open(id);
        self.recommended(id, cents, ana, rev)
    }

    /// An open case through both recommendations; returns the verdict's records.
    pub(crate) fn recommended(
        &mut self,
        id: &str,
        cents: i64,
        ana: Stance,
        rev: Stance,
    ) -> Vec<Record> {
        self.read(id, "ana", "");
        self.retrieve(id, "ana");
        let prepared = self.recommendation(id, Duty::Prepare, ana, cents);
        self.must("ana", Request::Recommend(prepared));
        self.retrieve(id, "rev");
        let reviewed = self.recommendation(id, Duty::Review, rev, cents);
        self.must("rev", Request::Recommend(reviewed))
    }

    pub(crate) fn approval(&self, id: &str, person: &str, decision: Choice) -> ApprovalStatement {
        let case = &self.state.cases[&name::<CaseId>(id)];
        let approval = case.approval.as_ref().unwrap();
        ApprovalStatement {
            statement: ApprovalStatement::TYPE.to_owned(),
            log: ORIGIN.to_owned(),
            approval: approval.id.clone(),
            case: name(id),
            action: approval.digest,
            release: case.release,
            env: case.env.clone(),
            expires: approval.expires,
            signed: Time::from_millis(self.clock),
            decision,
            overrides: duty::differs(case, decision),
            reason: "because".to_owned(),
            code: None,
            stage: None,
            on_behalf: None,
            signer: name(person),
            credential: name(&format!("{person}-1")),
        }
    }

    /// What would stand against a person's signature now, by code.
    pub(crate) fn stands_against(&self, id: &str, person: &str) -> Option<Code> {
        let approval = name::<ItemId>(&format!("{id}.a1"));
        let now = Time::from_millis(self.clock);
        duty::may_sign(&self.state, &self.rules, &approval, &name(person), now)
            .err()
            .map(|refusal| refusal.code)
    }

    pub(crate) fn approve(&self, id: &str, person: &str) -> Request {
        Request::Approve(sign(self.approval(id, person, Choice::Approve), person))
    }

    pub(crate) fn use_grant(&self, id: &str, cents: i64) -> Request {
        Request::UseGrant(UseGrant {
            grant: name::<ItemId>(&format!("{id}.g1")),
            action: pay(cents, "v1"),
            described: None,
        })
    }

    pub(crate) fn outcome(&self, id: &str, outcome: Outcome, found_by: FoundBy) -> Request {
        Request::RecordOutcome(RecordOutcome {
            grant: name::<ItemId>(&format!("{id}.g1")),
            outcome,
            found_by,
            detail: "said so".to_owned(),
            snapshot: None,
        })
    }

    /// `person` puts the subject of a case under legal hold.
    pub(crate) fn hold(&self, id: &str, person: &str) -> Request {
        let statement = HoldStatement {
            statement: HoldStatement::TYPE.to_owned(),
            log: ORIGIN.to_owned(),
            subject: subject(id),
            reason: "a suit is pending".to_owned(),
            clause: Some("ZPO 142".to_owned()),
            signer: name(person),
            credential: name(&format!("{person}-1")),
        };
        Request::PlaceHold(sign(statement, person))
    }

    pub(crate) fn lift(&self, id: &str, hold: u64, person: &str) -> Request {
        let statement = LiftStatement {
            statement: LiftStatement::TYPE.to_owned(),
            log: ORIGIN.to_owned(),
            subject: subject(id),
            hold,
            reason: "the suit is settled".to_owned(),
            signer: name(person),
            credential: name(&format!("{person}-1")),
        };
        Request::LiftHold(sign(statement, person))
    }

    /// The engine asks to end the retention of a case's subject.
    pub(crate) fn end_retention(&self, id: &str) -> Request {
        Request::EndRetention(EndRetention {
            subject: subject(id),
        })
    }

    /// `person` asks that the subject of a case be erased.
    pub(crate) fn erase(&self, id: &str, person: &str) -> Request {
        Request::RequestErasure(sign(self.erasure(id, person), person))
    }

    pub(crate) fn erasure(&self, id: &str, person: &str) -> ErasureStatement {
        ErasureStatement {
            statement: ErasureStatement::TYPE.to_owned(),
            log: ORIGIN.to_owned(),
            subject: subject(id),
            reason: "they asked for it".to_owned(),
            signer: name(person),
            credential: name(&format!("{person}-1")),
        }
    }

    /// `person` confirms the request that waits for the subject of a case, or record 0.
    pub(crate) fn confirm(&self, id: &str, person: &str) -> Request {
        let asked = self.state.asked.get(&subject(id));
        self.confirm_record(id, asked.map_or(0, |asked| asked.record), person)
    }

    pub(crate) fn confirm_record(&self, id: &str, request: u64, person: &str) -> Request {
        let statement = ConfirmationStatement {
            statement: ConfirmationStatement::TYPE.to_owned(),
            log: ORIGIN.to_owned(),
            subject: subject(id),
            request,
            reason: String::new(),
            signer: name(person),
            credential: name(&format!("{person}-1")),
        };
        Request::ConfirmErasure(sign(statement, person))
    }

    pub(crate) fn threshold_signature(&self, person: &str) -> Signed<ThresholdStatement> {
        let (threshold, digest) = &self.rules.thresholds[0];
        let statement = ThresholdStatement {
            statement: ThresholdStatement::TYPE.to_owned(),
            log: ORIGIN.to_owned(),
            threshold: threshold.id.clone(),
            digest: *digest,
            signer: name(person),
            credential: name(&format!("{person}-1")),
        };
        sign(statement, person)
    }
}

/// The data subject of a case.
pub(crate) fn subject(id: &str) -> SubjectId {
    SubjectId::of(ORIGIN, &format!("R-{id}"))
}

pub(crate) fn pay(cents: i64, to: &str) -> Action {
    let arguments = json!({"cents": cents, "to": to, "currency": "EUR"});
    Action {
        tool: "bank.pay".to_owned(),
        arguments: arguments.as_object().unwrap().clone(),
    }
}

pub(crate) fn human(id: &str, role: Role) -> NewPrincipal {
    let public = PublicKey::from_bytes(key(id).verifying_key().as_bytes()).unwrap();
    NewPrincipal {
        id: name(id),
        kind: PrincipalKind::Human,
        roles: vec![role],
        owner: None,
        acts_for: None,
        attributes: Default::default(),
        credentials: vec![Credential {
            id: name(&format!("{id}-1")),
            proof: Proof::Ed25519 { public },
        }],
    }
}

pub(crate) fn agent_of(id: &str, role: Role, owner: &str) -> NewPrincipal {
    NewPrincipal {
        id: name(id),
        kind: PrincipalKind::Agent,
        roles: vec![role],
        owner: Some(name(owner)),
        acts_for: None,
        attributes: Default::default(),
        credentials: vec![Credential {
            id: name(&format!("{id}-1")),
            proof: Proof::Token {
                sha256: Digest::of_bytes(id.as_bytes()),
            },
        }],
    }
}

pub(crate) fn kinds(records: &[Record]) -> Vec<&'static str> {
    records.iter().map(|r| r.body.kind()).collect()
}
