//! A log made by the core over the example's release, as the engine and the built-in team would make it.

#[path = "world/invoice.rs"]
mod invoice;
#[path = "world/publish.rs"]
mod publish;

use std::{
    fs,
    path::{Path, PathBuf},
};

use base64::Engine as _;
use duty::{
    Decision,
    action::Action,
    canonical::{self, Digest},
    decide, differs,
    facts::Facts,
    language::Tokens,
    name::{CaseId, ThresholdId},
    principal::{Credential, Duty, NewPrincipal, PrincipalKind, Proof, PublicKey, Role},
    record::{Body, Record},
    release::{Ask, Rules},
    release_for,
    request::{
        Answer, AnswerModel, BuildRelease, Call, CallModel, ControlTestResult, FoundBy,
        ModelResult, OpenCase, OpenLog, Outcome, Ranked, Recommend, RecordControlTests, RecordFile,
        RecordOutcome, Request, Retrieve, Stance, Submission, UseGrant,
    },
    state::{CallAnswer, State},
    statement::{
        ApprovalStatement, Choice, CompletionStatement, PromotionStatement, ReleaseStatement,
        Signed, ThresholdStatement, TriageStatement,
    },
    subject::SubjectId,
    time::Time,
};
use ed25519_dalek::{Signer as _, SigningKey};
use ledger::{Signer, snapshot};
use policy::{Release, TableVerdict};
use serde::Serialize;

pub(crate) use invoice::Invoice;
pub(crate) use publish::publish;

/// The log's origin.
pub(crate) const ORIGIN: &str = "test.example/payables";

/// 2026-06-01T00:00:00.000Z.
const START: i64 = 1_780_272_000_000;

/// The example's release.
pub(crate) fn release_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/payables/release")
}

/// The key that signs checkpoints.
pub(crate) fn log_key() -> Signer {
    Signer::from_seed(ORIGIN, &[7; 32]).unwrap()
}

/// A name from text.
pub(crate) fn name<T: std::str::FromStr<Err = String>>(s: &str) -> T {
    s.parse().unwrap()
}

fn key(person: &str) -> SigningKey {
    SigningKey::from_bytes(&[person.as_bytes()[0]; 32])
}

/// A statement signed with the key of `person`.
pub(crate) fn sign<T: Serialize>(statement: T, person: &str) -> Signed<T> {
    let bytes = canonical::to_vec(&statement).unwrap();
    let signature = key(person).sign(&bytes).to_bytes();
    Signed {
        statement,
        signature: base64::prelude::BASE64_STANDARD.encode(signature).into(),
    }
}

/// A log so far.
pub(crate) struct World {
    pub(crate) dir: PathBuf,
    pub(crate) release: Release,
    pub(crate) state: State,
    pub(crate) records: Vec<Record>,
    pub(crate) clock: i64,
    salts: u64,
}

impl World {
    /// A log with everybody in it, the example's release in force, and its threshold signed. Snapshots go to `dir`.
    pub(crate) fn new(dir: &Path) -> Self {
        let mut world = Self {
            dir: dir.to_owned(),
            release: Release::from_dir(&release_dir()).unwrap(),
            state: State::default(),
            records: Vec::new(),
            clock: START,
            salts: 0,
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
        let origin = ORIGIN.to_owned();
        world.must("admin", Request::OpenLog(OpenLog { origin, principals }));
        for (person, role) in [
            ("olivia", Role::Owner),
            ("rashid", Role::Owner),
            ("ines", Role::Owner),
            ("carla", Role::Owner),
            ("dmitri", Role::Owner),
            ("bob", Role::Approver),
            ("gus", Role::Approver),
        ] {
            let public = PublicKey::from_bytes(key(person).verifying_key().as_bytes()).unwrap();
            let proof = Proof::Ed25519 { public };
            world.add(person, PrincipalKind::Human, role, None, proof);
        }
        for (agent, role, owner) in [
            ("analyst", Role::Analyst, "olivia"),
            ("reviewer", Role::Reviewer, "rashid"),
            ("executor", Role::Executor, "ines"),
        ] {
            let sha256 = Digest::of_bytes(agent.as_bytes());
            world.add(
                agent,
                PrincipalKind::Agent,
                role,
                Some(name(owner)),
                Proof::Token { sha256 },
            );
        }
        for content in world.release.files().clone().into_values() {
            world.must("admin", Request::RecordFile(RecordFile { content }));
        }
        let files = world.release.manifest();
        world.must("admin", Request::BuildRelease(BuildRelease { files }));
        world.train();
        world.promote();
        let (threshold, digest) = world.release.thresholds()[0].clone();
        for person in ["carla", "dmitri"] {
            world.sign_threshold(&threshold.id, digest, person);
        }
        world
    }

    /// `person` signs a threshold as a release has it.
    pub(crate) fn sign_threshold(&mut self, threshold: &ThresholdId, digest: Digest, person: &str) {
        let statement = ThresholdStatement {
            statement: ThresholdStatement::TYPE.to_owned(),
            log: ORIGIN.to_owned(),
            threshold: threshold.clone(),
            digest,
            signer: name(person),
            credential: name(&format!("{person}-1")),
        };
        self.must(person, Request::SignThreshold(sign(statement, person)));
    }

    /// Everybody has passed what the release asks of them.
    fn train(&mut self) {
        for (person, course, by) in [
            ("bob", "payment-approval", "carla"),
            ("gus", "payment-approval", "carla"),
            ("olivia", "agent-ownership", "carla"),
            ("rashid", "agent-ownership", "carla"),
            ("ines", "agent-ownership", "carla"),
            ("dmitri", "agent-ownership", "carla"),
            ("carla", "agent-ownership", "dmitri"),
            ("carla", "payment-approval", "dmitri"),
        ] {
            let course = name(course);
            let completed = self.state.time;
            let statement = CompletionStatement {
                statement: CompletionStatement::TYPE.to_owned(),
                log: ORIGIN.to_owned(),
                trainee: name(person),
                content: self.release.team().course(&course).unwrap().content,
                course,
                completed,
                expires: completed.plus_minutes(400 * 1_440),
                signer: name(by),
                credential: name(&format!("{by}-1")),
            };
            self.must(by, Request::Assess(sign(statement, by)));
        }
    }

    /// Signed by one owner as its author, tested, and promoted by another.
    fn promote(&mut self) {
        let release = self.release.digest();
        let signed = ReleaseStatement {
            statement: ReleaseStatement::TYPE.to_owned(),
            log: ORIGIN.to_owned(),
            release,
            signer: name("dmitri"),
            credential: name("dmitri-1"),
        };
        self.must("dmitri", Request::SignRelease(sign(signed, "dmitri")));
        let tests = RecordControlTests {
            release,
            catalogue: Digest::of_bytes(b"catalogue"),
            binary: Digest::of_bytes(b"binary"),
            results: vec![ControlTestResult {
                control: "SOD-01".to_owned(),
                test: "self-approval".to_owned(),
                passed: true,
                detail: "refused".to_owned(),
            }],
        };
        self.must("engine", Request::RecordControlTests(tests));
        let promotion = PromotionStatement {
            statement: PromotionStatement::TYPE.to_owned(),
            log: ORIGIN.to_owned(),
            env: name("staging"),
            release,
            replaces: None,
            tests: self.state.tested.get(&release).map(|t| t.record),
            reason: "first".to_owned(),
            signer: name("carla"),
            credential: name("carla-1"),
        };
        self.must("carla", Request::PromoteSigned(sign(promotion, "carla")));
    }

    fn add(
        &mut self,
        id: &str,
        kind: PrincipalKind,
        role: Role,
        owner: Option<duty::name::PrincipalId>,
        proof: Proof,
    ) {
        let new = NewPrincipal {
            id: name(id),
            kind,
            roles: vec![role],
            owner,
            acts_for: None,
            attributes: match id {
                // The first signature under a high payment is one of Finance.
                "bob" => [(name("department"), "finance".to_owned())].into(),
                _ => Default::default(),
            },
            credentials: vec![Credential {
                id: name(&format!("{id}-1")),
                proof,
            }],
        };
        self.must("admin", Request::AddPrincipal(new));
    }

    /// Decides and appends; time goes on by a second.
    pub(crate) fn ask(&mut self, who: &str, request: Request) -> Decision {
        let signed = request.signer().filter(|(signer, with)| {
            signer.as_str() == who && self.state.credentials.get(*with) == Some(*signer)
        });
        let credential = signed.map(|(_, with)| with.clone());
        let submission = Submission {
            clock: Time::from_millis(self.clock),
            principal: name(who),
            credential: credential.unwrap_or_else(|| name(&format!("{who}-1"))),
            request,
        };
        let rules: Option<&dyn Rules> = Some(&self.release);
        let rules =
            rules.filter(|r| Some(r.digest()) == release_for(&self.state, &submission.request));
        let decision = decide(&self.state, rules, &submission);
        for record in &decision.records {
            self.state.apply(record).unwrap();
        }
        self.records.extend(decision.records.iter().cloned());
        self.clock += 1_000;
        decision
    }

    /// As [`World::ask`], and it must not be refused.
    #[track_caller]
    pub(crate) fn must(&mut self, who: &str, request: Request) -> Vec<Record> {
        let decision = self.ask(who, request);
        if let Some(refusal) = &decision.refusal {
            panic!("refused: {refusal}");
        }
        decision.records
    }

    /// Keeps bytes as a snapshot, sealed with the key of a subject.
    pub(crate) fn keep(&mut self, subject: &str, bytes: &[u8]) -> Digest {
        self.salts += 1;
        let salt = *Digest::of_bytes(&self.salts.to_be_bytes()).as_bytes();
        let id = SubjectId::of(ORIGIN, subject);
        let key = *Digest::of_bytes(id.as_bytes()).as_bytes();
        fs::write(self.key_path_made(subject), key).unwrap();
        let (file, commitment) =
            snapshot::seal(&key, id.as_bytes(), &[self.salts as u8; 24], &salt, bytes).unwrap();
        let commitment = Digest::from_bytes(commitment);
        let name = commitment.to_string();
        let dir = self.dir.join("snapshots").join(&name[..2]);
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join(name), file).unwrap();
        commitment
    }

    /// Where the key of a subject is.
    pub(crate) fn key_path(&self, subject: &str) -> PathBuf {
        let id = SubjectId::of(ORIGIN, subject);
        self.dir.join(format!("keys/subjects/{id}.key"))
    }

    /// As [`World::key_path`], with its directory.
    pub(crate) fn key_path_made(&self, subject: &str) -> PathBuf {
        let path = self.key_path(subject);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    /// A case through both agents; it then has ended, has a grant, or waits for humans.
    pub(crate) fn judged(&mut self, id: &str, invoice: &Invoice) {
        self.open(id);
        self.recommend(id, "analyst", Duty::Prepare, invoice);
        self.recommend(id, "reviewer", Duty::Review, invoice);
    }

    /// A case that is open, and no more.
    pub(crate) fn open(&mut self, id: &str) {
        let snapshot = self.keep(&format!("R-{id}"), format!("invoice {id}\n").as_bytes());
        let open = OpenCase {
            case: name(id),
            environment: name("staging"),
            subject: format!("R-{id}"),
            snapshot,
        };
        self.must("engine", Request::OpenCase(open));
    }

    fn recommend(&mut self, id: &str, agent: &str, duty: Duty, invoice: &Invoice) {
        let case_id: CaseId = name(id);
        let plan = self.release.agent(&name(agent)).unwrap().clone();
        let subject = format!("R-{id}");
        let mut facts = Facts::default();
        for read in &plan.reads {
            if let Some(action) = read.fill(&subject, &facts) {
                self.call(id, agent, action, invoice, &mut facts);
            }
        }
        let case = self.state.cases[&case_id].clone();
        let matter = policy::Matter {
            environment: &case.env,
            case: &case_id,
            subject: &subject,
            facts: &facts,
            proposed: case.action(),
        };
        let (verdict, heard) = match self.release.decide_table(&name(agent), &matter) {
            Some(verdict) => (verdict, None),
            None => self.ask_model(id, agent),
        };
        let query = policy::Query {
            text: &verdict.query,
            vector: None,
            at: Time::from_millis(self.clock),
        };
        let found = self.release.search(&query, 8).unwrap();
        let ranking: Vec<_> = found
            .into_iter()
            .map(|f| Ranked {
                clause: f.clause,
                score_milli: f.score_milli,
            })
            .collect();
        let action = plan.action.as_ref().and_then(|a| a.fill(&subject, &facts));
        let (agent_id, env) = (name(agent), name("staging"));
        let bound = action.iter().flat_map(|action| {
            let ask = Ask {
                principal: &agent_id,
                action,
                case: id,
                subject: &subject,
                environment: &env,
                facts: &facts,
            };
            self.release.bound(&ask)
        });
        let bound: Vec<_> = bound.filter_map(|hit| hit.clause).collect();
        let clauses = ranking
            .iter()
            .map(|r| r.clause.clone())
            .enumerate()
            .filter(|(n, c)| {
                let best = heard.is_some() && *n == 0;
                best || verdict.cite.contains(&c.id) || bound.contains(&c.id)
            })
            .map(|(_, c)| c)
            .collect();
        let retrieve = Retrieve {
            case: case_id.clone(),
            query: verdict.query,
            vector: None,
            as_of: None,
            ranking,
        };
        self.must(agent, Request::Retrieve(retrieve));
        let case = &self.state.cases[&case_id];
        let own = case.calls.iter().filter(|c| c.agent.as_str() == agent);
        let answers = own.filter_map(|c| match c.answer {
            Some(CallAnswer::Snapshot(digest)) => Some(digest),
            _ => None,
        });
        let recommend = Recommend {
            case: case_id,
            duty,
            stance: verdict.stance,
            action,
            confidence: verdict.confidence,
            rationale: verdict.rationale,
            clauses,
            quotes: Vec::new(),
            model: self
                .release
                .team()
                .agent(&name(agent))
                .unwrap()
                .model
                .clone()
                .unwrap(),
            prompt: self.release.team().agent(&name(agent)).map(|a| a.prompt),
            row: heard.is_none().then_some(verdict.row),
            inputs: std::iter::once(case.snapshot)
                .chain(answers)
                .chain(heard)
                .collect(),
        };
        self.must(agent, Request::Recommend(recommend));
    }

    /// What an agent's language model says, which is that all is in order, and its answer; the best clause found is cited.
    fn ask_model(&mut self, id: &str, agent: &str) -> (TableVerdict, Option<Digest>) {
        let subject = format!("R-{id}");
        let pinned = self.release.team().agent(&name(agent)).unwrap().clone();
        let language = pinned.language.unwrap();
        let question = format!("What is to be done about {subject}?");
        let ask = CallModel {
            case: name(id),
            model: pinned.model.unwrap(),
            prompt: pinned.prompt,
            parameters: language.parameters,
            snapshot: self.keep(&subject, question.as_bytes()),
            bytes: u32::try_from(question.len()).unwrap(),
            attempt: 1,
            redacted: Default::default(),
        };
        self.must(agent, Request::CallModel(ask));
        let said = self.keep(&subject, b"It is in order.");
        let answer = AnswerModel {
            call: name(&format!("{id}.m1")),
            result: ModelResult::Usable,
            snapshot: Some(said),
            model: language.answers_as.first().cloned(),
            tokens: Some(Tokens {
                input: 40,
                output: 6,
            }),
            status: Some(200),
            latency_ms: 900,
            problem: None,
        };
        self.must("engine", Request::AnswerModel(answer));
        let verdict = TableVerdict {
            row: String::new(),
            stance: Stance::Proceed,
            confidence: 95,
            query: "invoice that matches its order and receipt".to_owned(),
            cite: Vec::new(),
            rationale: "It is in order.".to_owned(),
            problem: None,
        };
        (verdict, Some(said))
    }

    fn call(
        &mut self,
        id: &str,
        agent: &str,
        action: Action,
        invoice: &Invoice,
        facts: &mut Facts,
    ) {
        let answer = invoice.answer(&action.tool, &format!("R-{id}"));
        let tool = self.release.team().tools[&action.tool].clone();
        let call = Call {
            case: name(id),
            action,
            described: None,
        };
        let records = self.must(agent, Request::Call(call));
        let Body::CallPermitted(permitted) = &records[0].body else {
            panic!("not permitted")
        };
        let fields = answer.as_object().unwrap();
        facts.replace(&Facts::of_answer(
            tool.facts_as.as_deref().unwrap(),
            fields,
            None,
        ));
        let answer = Answer {
            call: permitted.call.clone(),
            snapshot: Some(self.keep(&format!("R-{id}"), &serde_json::to_vec(&answer).unwrap())),
            facts: tool.facts_of(fields),
            problem: None,
        };
        self.must("engine", Request::Answer(answer));
    }

    /// What `person` would sign on the waiting case.
    pub(crate) fn statement(&self, id: &str, person: &str, decision: Choice) -> ApprovalStatement {
        let case = &self.state.cases[&name::<CaseId>(id)];
        let approval = case.approval.clone().unwrap();
        ApprovalStatement {
            statement: ApprovalStatement::TYPE.to_owned(),
            log: ORIGIN.to_owned(),
            approval: approval.id,
            case: name(id),
            action: approval.digest,
            release: case.release,
            env: case.env.clone(),
            expires: approval.expires,
            signed: Time::from_millis(self.clock),
            decision,
            overrides: differs(case, decision),
            reason: "looked at it".to_owned(),
            code: differs(case, decision).then(|| name("not-owed")),
            stage: None,
            on_behalf: None,
            signer: name(person),
            credential: name(&format!("{person}-1")),
        }
    }

    /// `person` says yes or no.
    pub(crate) fn approve(&mut self, id: &str, person: &str, decision: Choice) {
        let statement = self.statement(id, person, decision);
        self.must(person, Request::Approve(sign(statement, person)));
    }

    /// The executor uses the grant, and the target says that it was done.
    pub(crate) fn execute(&mut self, id: &str) {
        let case = &self.state.cases[&name::<CaseId>(id)];
        let grant = case.grant.clone().unwrap().id;
        let action = case.action().cloned().unwrap();
        let using = UseGrant {
            grant: grant.clone(),
            action,
            described: None,
        };
        self.must("executor", Request::UseGrant(using));
        let snapshot = Some(self.keep(&format!("R-{id}"), br#"{"transfer":"T-1"}"#));
        let outcome = RecordOutcome {
            grant,
            outcome: Outcome::Succeeded,
            found_by: FoundBy::Answer,
            detail: "done".to_owned(),
            snapshot,
        };
        self.must("engine", Request::RecordOutcome(outcome));
    }

    /// `person` triages an exception.
    pub(crate) fn triage(&mut self, exception: &str, person: &str) {
        let statement = TriageStatement {
            statement: TriageStatement::TYPE.to_owned(),
            log: ORIGIN.to_owned(),
            exception: name(exception),
            finding: "it is in order".to_owned(),
            signer: name(person),
            credential: name(&format!("{person}-1")),
        };
        self.must(person, Request::Triage(sign(statement, person)));
    }

    /// A bit of everything: under a threshold, one signature, two signatures where the agents disagree, a refusal by policy,
    /// an override, a refused request, a triaged exception, a case that waits.
    pub(crate) fn busy(dir: &Path) -> Self {
        let mut world = Self::new(dir);
        for n in 0..3 {
            let id = format!("small-{n}");
            world.judged(&id, &Invoice::of(40_000 + n, "V-1"));
            world.execute(&id);
        }
        world.judged("mid", &Invoice::of(900_000, "V-2"));
        world.approve("mid", "bob", Choice::Approve);
        world.execute("mid");
        let mut related = Invoice::of(9_000_000, "V-3");
        related.related = "zoe".to_owned();
        world.judged("big", &related);
        world.approve("big", "bob", Choice::Approve);
        let again = world.statement("big", "bob", Choice::Approve);
        let refused = world.ask("bob", Request::Approve(sign(again, "bob")));
        assert!(refused.refusal.is_some(), "nobody signs twice");
        world.approve("big", "gus", Choice::Approve);
        world.execute("big");
        let mut sanctioned = Invoice::of(50_000, "V-4");
        sanctioned.sanctioned = true;
        world.judged("sanctioned", &sanctioned);
        world.judged("no", &Invoice::of(800_000, "V-2"));
        world.approve("no", "gus", Choice::Reject);
        world.judged("waits", &Invoice::of(700_000, "V-2"));
        let exception = world.state.exceptions.keys().next().unwrap().to_string();
        world.triage(&exception, "olivia");
        world
    }

    /// The records as the log holds them.
    pub(crate) fn entries(&self) -> Vec<Vec<u8>> {
        self.records.iter().map(|r| r.to_bytes().unwrap()).collect()
    }

    /// Writes the log under `dir/log`, signed by `signer`.
    pub(crate) fn publish(&self, signer: &Signer) {
        publish(&self.dir.join("log"), &self.entries(), signer);
    }
}
