//! An engine in a temporary directory with the example's people, release and books.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use agents::{Endpoint, Endpoints, RunError, Runner, Stop, replay::Replayed};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use duty::{
    canonical::{Digest, to_vec},
    name::CaseId,
    principal::{Credential, NewPrincipal, PrincipalKind, Proof, PublicKey, Role},
    record::{CaseOutcome, Record},
    release::Rules,
    request::{BuildRelease, RecordControlTests, RecordFile, Request},
    statement::{
        Choice, CompletionStatement, PromotionStatement, ReleaseStatement, Signed,
        ThresholdStatement,
    },
    time::Time,
};
use ed25519_dalek::{Signer as _, SigningKey};
use engine::{
    Engine, Options, Seat,
    clock::Clock,
    target::{Answer, BoxFuture, Target},
};
use payables::{Expected, books::Books};
use policy::Release;
use serde::Serialize;
use serde_json::{Map, Value, json};
use store::DataDir;
use tempfile::TempDir;

const ORIGIN: &str = "team.example/log";
const ENV: &str = "staging";

pub(crate) fn name<T: std::str::FromStr<Err = String>>(s: &str) -> T {
    s.parse().unwrap()
}

fn row(expected: Expected, kind: &str) -> String {
    let answers = payables::answers();
    let found = answers
        .iter()
        .find(|a| a.expected == expected && a.kind == kind);
    found.unwrap().row.clone()
}

/// An invoice that a threshold covers.
pub(crate) fn small_row() -> String {
    row(Expected::Auto, "small")
}

/// An invoice that needs one signature.
pub(crate) fn elevated_row() -> String {
    row(Expected::OneHuman, "elevated")
}

/// A clock that stands where the test puts it.
struct TestClock(Arc<AtomicI64>);

impl Clock for TestClock {
    fn now(&self) -> Time {
        Time::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// The example's books, without a process of their own.
struct Shelf(Books);

impl Target for Shelf {
    fn call<'a>(&'a self, tool: &'a str, arguments: Map<String, Value>) -> BoxFuture<'a, Answer> {
        let answer = match self.0.answer(tool, &arguments) {
            Ok(value) => Answer::Succeed(value),
            Err(why) => Answer::Fail(why),
        };
        Box::pin(std::future::ready(answer))
    }
}

/// A bank that answers as told, and otherwise that all is done.
#[derive(Default)]
pub(crate) struct Bank {
    pub(crate) calls: Mutex<Vec<(String, Map<String, Value>)>>,
    pub(crate) hang: AtomicBool,
    answers: Mutex<VecDeque<Answer>>,
}

impl Bank {
    pub(crate) fn say(&self, answer: Answer) {
        self.answers.lock().unwrap().push_back(answer);
    }
}

impl Target for Bank {
    fn call<'a>(&'a self, tool: &'a str, arguments: Map<String, Value>) -> BoxFuture<'a, Answer> {
        self.calls
            .lock()
            .unwrap()
            .push((tool.to_owned(), arguments));
        let answer = self.answers.lock().unwrap().pop_front();
        let answer = answer.unwrap_or_else(|| Answer::Succeed(json!({"found": true})));
        Box::pin(async move {
            if self.hang.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            answer
        })
    }
}

pub(crate) struct Rig {
    home: TempDir,
    pub(crate) engine: Arc<Engine>,
    pub(crate) runner: Arc<Runner>,
    pub(crate) bank: Arc<Bank>,
    pub(crate) clock: Arc<AtomicI64>,
    /// Where language models are.
    port: Option<u16>,
}

impl Rig {
    pub(crate) async fn new() -> Self {
        Self::with(payables::release_files(), None).await
    }

    /// With another release, and an endpoint for language models.
    pub(crate) async fn with(files: BTreeMap<String, String>, port: Option<u16>) -> Self {
        let home = TempDir::new().unwrap();
        DataDir::init(&home.path().join("data"), ORIGIN).unwrap();
        let clock = Arc::new(AtomicI64::new(1_790_000_000_000));
        let rig = Self::open_at(home, clock, port).await;
        rig.set_up(files).await;
        rig
    }

    /// The same directory, as after the end of the process.
    pub(crate) async fn reopened(self) -> Self {
        let Self {
            home,
            engine,
            runner,
            clock,
            port,
            ..
        } = self;
        drop(runner);
        drop(Arc::into_inner(engine).expect("nobody else holds the engine"));
        Self::open_at(home, clock, port).await
    }

    async fn open_at(home: TempDir, clock: Arc<AtomicI64>, port: Option<u16>) -> Self {
        let bank = Arc::new(Bank::default());
        let books = Books::from_files(&payables::data_files()).unwrap();
        let targets: HashMap<String, Arc<dyn Target>> = HashMap::from([
            (
                "books".to_owned(),
                Arc::new(Shelf(books)) as Arc<dyn Target>,
            ),
            ("treasury".to_owned(), Arc::clone(&bank) as Arc<dyn Target>),
        ]);
        let options = Options {
            clock: Arc::new(TestClock(Arc::clone(&clock))),
            targets,
            ..Options::new(&home.path().join("guards"))
        };
        let engine = Arc::new(
            Engine::open(&home.path().join("data"), options)
                .await
                .unwrap(),
        );
        let seats = ["analyst", "reviewer", "executor"].map(seat);
        let runner = Runner::new(Arc::clone(&engine), seats);
        let runner = Arc::new(runner.with_endpoints(endpoints(port)));
        Self {
            home,
            engine,
            runner,
            bank,
            clock,
            port,
        }
    }

    async fn set_up(&self, files: BTreeMap<String, String>) {
        for (id, role) in [
            ("olivia", Role::Owner),
            ("rashid", Role::Owner),
            ("ines", Role::Owner),
            ("carla", Role::Owner),
            ("dmitri", Role::Owner),
            ("amira", Role::Approver),
        ] {
            let public = PublicKey::from_bytes(key(id).verifying_key().as_bytes()).unwrap();
            self.admin(Request::AddPrincipal(principal(
                id,
                PrincipalKind::Human,
                role,
                None,
                Proof::Ed25519 { public },
            )))
            .await;
        }
        for (id, role, owner) in [
            ("analyst", Role::Analyst, "olivia"),
            ("reviewer", Role::Reviewer, "rashid"),
            ("executor", Role::Executor, "ines"),
        ] {
            let sha256 = Digest::of_bytes(id.as_bytes());
            self.admin(Request::AddPrincipal(principal(
                id,
                PrincipalKind::Agent,
                role,
                Some(owner),
                Proof::Token { sha256 },
            )))
            .await;
        }
        let release = Release::from_files(files.clone()).unwrap();
        for content in files.into_values() {
            self.admin(Request::RecordFile(RecordFile { content }))
                .await;
        }
        self.admin(Request::BuildRelease(BuildRelease {
            files: release.manifest(),
        }))
        .await;
        self.train(&release).await;
        self.promote(release.digest()).await;
        for (threshold, digest) in release.thresholds() {
            for signer in ["carla", "dmitri"] {
                let statement = ThresholdStatement {
                    statement: ThresholdStatement::TYPE.to_owned(),
                    log: ORIGIN.to_owned(),
                    threshold: threshold.id.clone(),
                    digest: *digest,
                    signer: name(signer),
                    credential: seat(signer).credential,
                };
                let request = Request::SignThreshold(sign(statement, signer));
                self.engine.submit(&seat(signer), request).await.unwrap();
            }
        }
    }

    /// Everybody has passed what the release asks of them.
    async fn train(&self, release: &Release) {
        for (person, course, by) in [
            ("amira", "payment-approval", "carla"),
            ("olivia", "agent-ownership", "carla"),
            ("rashid", "agent-ownership", "carla"),
            ("ines", "agent-ownership", "carla"),
            ("dmitri", "agent-ownership", "carla"),
            ("carla", "agent-ownership", "dmitri"),
        ] {
            let course = name(course);
            let now = self.engine.now();
            let statement = CompletionStatement {
                statement: CompletionStatement::TYPE.to_owned(),
                log: ORIGIN.to_owned(),
                trainee: name(person),
                content: release.team().course(&course).unwrap().content,
                course,
                completed: now,
                expires: now.plus_minutes(1_000_000),
                signer: name(by),
                credential: seat(by).credential,
            };
            let request = Request::Assess(sign(statement, by));
            self.engine.submit(&seat(by), request).await.unwrap();
        }
    }

    /// Signed by one owner as its author, tested, and promoted by another.
    async fn promote(&self, release: Digest) {
        let statement = ReleaseStatement {
            statement: ReleaseStatement::TYPE.to_owned(),
            log: ORIGIN.to_owned(),
            release,
            signer: name("dmitri"),
            credential: seat("dmitri").credential,
        };
        let request = Request::SignRelease(sign(statement, "dmitri"));
        self.engine.submit(&seat("dmitri"), request).await.unwrap();
        let tested = evidence::control::test(&self.engine.release(release).unwrap().unwrap());
        let tests = RecordControlTests {
            release,
            catalogue: Digest::of_bytes(b"catalogue"),
            binary: Digest::of_bytes(b"binary"),
            results: evidence::control::results(&tested),
        };
        let request = Request::RecordControlTests(tests);
        self.engine.submit(&Seat::engine(), request).await.unwrap();
        let statement = PromotionStatement {
            statement: PromotionStatement::TYPE.to_owned(),
            log: ORIGIN.to_owned(),
            env: name(ENV),
            release,
            replaces: None,
            tests: self
                .engine
                .read(|s| s.tested.get(&release).map(|t| t.record)),
            reason: "first".to_owned(),
            signer: name("carla"),
            credential: seat("carla").credential,
        };
        let request = Request::PromoteSigned(sign(statement, "carla"));
        self.engine.submit(&seat("carla"), request).await.unwrap();
    }

    async fn admin(&self, request: Request) {
        self.engine.submit(&Seat::admin(), request).await.unwrap();
    }

    pub(crate) async fn open(&self, case: &str, subject: &str) {
        self.open_over(case, subject, b"source").await;
    }

    pub(crate) async fn open_over(&self, case: &str, subject: &str, source: &[u8]) {
        self.runner
            .open(&name(case), &name(ENV), subject, source)
            .await
            .unwrap();
    }

    /// All records of the log so far.
    pub(crate) fn records(&self) -> Vec<Record> {
        let opened = self.audited();
        let mut records = Vec::new();
        evidence::for_each_record(&*opened.source, 0, &mut |record| {
            records.push(record.clone());
            Ok(())
        })
        .unwrap();
        records
    }

    /// The log as an auditor opens it, with all that is committed in it.
    fn audited(&self) -> evidence::Opened {
        let journal = self.engine.journal();
        journal
            .wait_published_blocking(self.engine.read(|s| s.size))
            .unwrap();
        evidence::open_at(&self.home.path().join("data").display().to_string()).unwrap()
    }

    /// The whole log verifies, and every decision comes out again as recorded; answers the warnings.
    pub(crate) fn holds(&self) -> Vec<String> {
        let opened = self.audited();
        let snapshots = self.home.path().join("data/snapshots");
        let vkey = opened.vkey().unwrap();
        let verified = evidence::verify(&*opened.source, &vkey, None, Some(&snapshots)).unwrap();
        let options = evidence::ReperformOptions {
            snapshots: Some(snapshots),
            ..Default::default()
        };
        evidence::reperform(&*opened.source, &options).unwrap();
        for case in asked_in(&self.records()) {
            let replayed = self.replayed(case.as_str());
            assert!(!replayed.differs(), "{}", shown(&replayed));
            assert_eq!(replayed.missing().count(), 0, "{}", shown(&replayed));
        }
        verified.warnings
    }

    /// What the models of a case were asked, made again from the log.
    pub(crate) fn replayed(&self, case: &str) -> Replayed {
        let opened = self.audited();
        agents::replay::replay(&*opened.source, opened.vault().as_ref(), &name(case)).unwrap()
    }

    /// Where the bytes of a snapshot are.
    pub(crate) fn snapshot_file(&self, commitment: &Digest) -> PathBuf {
        self.audited().vault().unwrap().path(commitment)
    }

    /// Opens a case and takes it as far as agents can.
    pub(crate) async fn run(&self, case: &str, subject: &str) -> Result<Stop, RunError> {
        self.runner
            .open(&name(case), &name(ENV), subject, b"source")
            .await?;
        self.runner.advance(&name(case)).await
    }

    pub(crate) fn closed(&self, case: &str) -> Option<CaseOutcome> {
        self.engine
            .read(|s| s.closed.get(&name::<CaseId>(case)).copied())
    }

    pub(crate) fn seat(&self, id: &str) -> Seat {
        seat(id)
    }

    /// A person's signed yes to what waits in a case.
    pub(crate) fn signed(&self, case: &str, person: &str) -> Request {
        let waiting = self.engine.waiting(&name(&format!("{case}.a1"))).unwrap();
        let (now, with) = (self.engine.now(), seat(person).credential);
        let statement = waiting.statement(now, Choice::Approve, "", name(person), with);
        Request::Approve(sign(statement, person))
    }
}

/// The cases in which a model was asked.
fn asked_in(records: &[Record]) -> BTreeSet<CaseId> {
    let cases = records.iter().filter_map(|r| match r.body.request() {
        Some(Request::CallModel(call)) => Some(call.case.clone()),
        _ => None,
    });
    cases.collect()
}

/// A replay in words.
pub(crate) fn shown(replayed: &Replayed) -> String {
    let asked = replayed.asked.iter().map(ToString::to_string);
    let unsaid = replayed.unsaid.iter().map(ToString::to_string);
    asked.chain(unsaid).collect::<Vec<_>>().join("\n")
}

/// Where the key goes.
pub(crate) const KEY: &str = "sk-test-1234567890";

pub(crate) fn endpoints(port: Option<u16>) -> Arc<Endpoints> {
    let all = port.map(|port| {
        let url = format!("http://127.0.0.1:{port}/v1");
        let wait = Duration::from_millis(1);
        let key = Some(KEY.to_owned());
        Endpoint::new(&url, key, false, wait, Duration::from_secs(2)).unwrap()
    });
    let all = all.map(|e| ("here".to_owned(), e)).into_iter();
    Arc::new(Endpoints::new(all.collect()))
}

fn seat(id: &str) -> Seat {
    Seat {
        principal: name(id),
        credential: name(&format!("{id}-1")),
    }
}

fn principal(
    id: &str,
    kind: PrincipalKind,
    role: Role,
    owner: Option<&str>,
    proof: Proof,
) -> NewPrincipal {
    NewPrincipal {
        id: name(id),
        kind,
        roles: vec![role],
        owner: owner.map(name),
        acts_for: None,
        attributes: Default::default(),
        credentials: vec![Credential {
            id: seat(id).credential,
            proof,
        }],
    }
}

/// A key made of the person's name.
fn key(person: &str) -> SigningKey {
    SigningKey::from_bytes(Digest::of_bytes(person.as_bytes()).as_bytes())
}

fn sign<T: Serialize>(statement: T, person: &str) -> Signed<T> {
    let bytes = to_vec(&statement).unwrap();
    let signature = BASE64_STANDARD.encode(key(person).sign(&bytes).to_bytes());
    Signed {
        statement,
        signature: signature.into(),
    }
}
