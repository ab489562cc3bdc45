//! A history in which everything happens that the core knows, in such shares as a busy year might have: most cases go under
//! the threshold, one in six waits for people, who sign with Ed25519 and SSH keys and passkeys, and of the rest each thing
//! happens about once in a hundred cases.

mod hands;
mod people;

use duty::{
    canonical::Digest,
    freeze::Scope,
    name::CaseId,
    principal::{Credential, NewPrincipal, PrincipalKind, Proof, Role},
    record::Body,
    release::Rules as _,
    request::{
        BuildRelease, Certify, ControlTestResult, EndRetention, Expire, FoundBy, Freeze,
        NoteEnding, NoteOverdue, Outcome, RecordControlTests, RecordFile, RecordOutcome, Request,
        RevokeCredential, RevokePrincipal, RotateLogKey, UseGrant,
    },
    statement::{
        Choice, ConfirmationStatement, ErasureStatement, GlassReviewStatement, GlassStatement,
        HoldStatement, LiftStatement, PromotionStatement, ReleaseStatement, UnfreezeStatement,
    },
    subject::SubjectId,
    time::Time,
};
use ledger::{
    Frontier, Signer,
    bundle::BundleError,
    rotation::{Act, Statement},
};
use policy::Release;

use crate::world::{Invoice, ORIGIN, World, log_key, name, release_dir, sign};
use hands::Hand;

const DAY: i64 = 86_400_000;

/// What the example's release lacks.
const MORE: &str = r#"
[attention]
max_per_hour = 60
max_waiting = 1000
clause = "AGT-2.3"

[break_glass]
role = "approver"
certification = "payment-approval"
minutes = 15
review_minutes = 1440
clause = "PAY-2.3"

[retention]
snapshot_days = 2
clause = "PAY-2.3"

[cases]
open_minutes = 1440
clause = "AGT-2.3"
"#;

const THRESHOLD: &str =
    include_str!("../../../../examples/payables/release/thresholds/small-invoices.toml");

/// What the example's rules say less of: where they begin, and what comes there.
const SOONER: (&str, &str) = (
    "[approval.elevated]\n",
    r#"[approval.elevated]
remind_minutes = 60
escalate_minutes = 120
escalate_to = { role = "owner" }
"#,
);

/// The analyst's decision table, and a language model in its place.
const TABLE: &str = r#"model = { kind = "rules", table = "tables/analyst.cedar" }"#;
const MODEL: &str =
    r#"model = { kind = "anthropic", id = "alpha-1", family = "acme", max_tokens = 500 }"#;

/// What has happened.
pub(crate) struct History {
    pub(crate) world: World,
    /// The key that signs the log in the end, and the statement that it took over.
    pub(crate) key: Signer,
    rotation: Vec<u8>,
    /// Releases that were in force before.
    earlier: Vec<Release>,
}

impl History {
    pub(crate) fn release(&self, digest: Digest) -> Option<&Release> {
        let mut all = std::iter::once(&self.world.release).chain(&self.earlier);
        all.find(|r| r.digest() == digest)
    }

    /// How many records there are of each kind of the core's.
    pub(crate) fn kinds(&self) -> Vec<(&'static str, usize)> {
        let records = self.world.records.iter();
        let count = |kind: &str| records.clone().filter(|r| r.body.kind() == kind).count();
        Body::KINDS
            .iter()
            .map(|kind| (*kind, count(kind)))
            .collect()
    }

    /// Writes it as a log, with its keys' statement.
    pub(crate) fn publish(&self) {
        self.world.publish(&self.key);
        let keys = self.world.dir.join("log").join(ledger::tile::KEYS);
        std::fs::write(keys, &self.rotation).unwrap();
    }
}

/// A log of so many cases.
pub(crate) fn happen(dir: &std::path::Path, cases: usize) -> History {
    let mut world = World::new(dir);
    let mut earlier = vec![release(&mut world, &edition(MORE))];
    for hand in [Hand::passkey("bob"), Hand::ssh("gus")] {
        world.must("admin", hand.enrolment());
    }
    for n in 0..cases {
        case(&mut world, n);
        if n % 500 == 71 {
            // One under which executors do it themselves, and the threshold is over soon; one whose analyst asks a language
            // model; then another takes over.
            earlier.push(passing(&mut world, n));
            earlier.push(speaking(&mut world, n));
            earlier.push(release(&mut world, &edition(&format!("{MORE}\n# {n}\n"))));
        }
        // About 200 cases a day: the threshold has room for 400.
        world.clock += DAY / 200;
    }
    let (key, rotation) = rotated(&mut world);
    History {
        world,
        key,
        rotation,
        earlier,
    }
}

/// Another key takes over the log.
fn rotated(world: &mut World) -> (Signer, Vec<u8>) {
    let mut tree = Frontier::new();
    for entry in world.entries() {
        tree.push::<BundleError>(&entry, &mut |_, _| Ok(()))
            .unwrap();
    }
    let (old, new) = (log_key(), Signer::from_seed(ORIGIN, &[8; 32]).unwrap());
    let statement = Statement {
        size: tree.size(),
        root: tree.root(),
        old: old.verifier().clone(),
        new: new.verifier().clone(),
        act: Act::Rotated,
        reason: "a year is over".to_owned(),
    };
    let note = statement.sign(&old, &new).unwrap();
    let rotate = RotateLogKey {
        statement: String::from_utf8(note.clone()).unwrap(),
    };
    world.must("admin", Request::RotateLogKey(rotate));
    (new, note)
}

fn case(world: &mut World, n: usize) {
    let id = format!("case-{n}");
    let vendor = format!("V-{}", n % 500);
    let amount = match n % 100 {
        5 => 9_000_000,
        13 | 17 | 29 => 900_000,
        r if r % 6 == 0 => 900_000,
        r => 40_000 + r as i64,
    };
    let mut invoice = Invoice::of(amount, &vendor);
    invoice.sanctioned = n % 100 == 43;
    invoice.related = if n % 100 == 5 {
        "zoe".to_owned()
    } else {
        String::new()
    };
    // A human step, whatever the risk.
    if n % 100 == 36 {
        invoice.known_days = 10;
    }
    if n % 100 == 59 {
        people::elsewhere(world, &id);
        return;
    }
    if n % 100 == 77 {
        forgotten(world, &id);
        return;
    }
    world.judged(&id, &invoice);
    match n % 100 {
        12 => people::second_thoughts(world, &id),
        18 => people::deputy(world, &id),
        24 => people::waiting(world, &id),
        13 => world.approve(&id, "gus", Choice::Reject),
        17 => emergency(world, &id, n),
        29 => {
            world.clock += 2 * DAY;
            world.must("engine", Request::Expire(Expire { case: name(&id) }));
        }
        31 => {
            world.clock += 11 * 60_000;
            world.must("engine", Request::Expire(Expire { case: name(&id) }));
        }
        23 => {
            outcome(world, &id, Outcome::Unknown, FoundBy::Answer);
            settle(world, &id, Outcome::Succeeded, FoundBy::Lookup);
        }
        37 => outcome(world, &id, Outcome::Failed, FoundBy::Answer),
        41 => frozen(world, &id),
        43 => {}
        47 => refusals(world, &id),
        r => {
            finish(world, &id, n + r);
            match r {
                53 => subject(world, n),
                61 => triage(world),
                55 => people::training(world, n),
                65 => people::group(world, n),
                67 => credential(world, n),
                73 => person(world, n),
                _ => {}
            }
        }
    }
}

/// Whoever must sign does, and the grant is used.
fn finish(world: &mut World, id: &str, n: usize) {
    for person in ["bob", "gus"] {
        if waits(world, id) {
            let statement = world.statement(id, person, Choice::Approve);
            let hand = Hand::of(person, n);
            world.must(person, hand.approves(statement));
        }
    }
    world.execute(id);
}

fn waits(world: &World, id: &str) -> bool {
    let case = world.state.cases.get(&name::<CaseId>(id));
    case.is_some_and(|c| c.grant.is_none())
}

fn using(world: &World, id: &str) -> UseGrant {
    let case = &world.state.cases[&name::<CaseId>(id)];
    UseGrant {
        grant: case.grant.clone().unwrap().id,
        action: case.action().cloned().unwrap(),
        described: None,
    }
}

fn outcome(world: &mut World, id: &str, outcome: Outcome, found_by: FoundBy) {
    let using = using(world, id);
    world.must("executor", Request::UseGrant(using));
    settle(world, id, outcome, found_by);
}

fn settle(world: &mut World, id: &str, outcome: Outcome, found_by: FoundBy) {
    let grant = world.state.cases[&name::<CaseId>(id)].grant.clone();
    let outcome = RecordOutcome {
        grant: grant.unwrap().id,
        outcome,
        found_by,
        detail: "so it is".to_owned(),
        snapshot: None,
    };
    world.must("engine", Request::RecordOutcome(outcome));
}

fn emergency(world: &mut World, id: &str, n: usize) {
    let asked = world.statement(id, "bob", Choice::Approve);
    let statement = GlassStatement {
        statement: GlassStatement::TYPE.to_owned(),
        log: asked.log,
        approval: asked.approval,
        case: asked.case,
        action: asked.action,
        release: asked.release,
        env: asked.env,
        expires: asked.expires,
        reason: "the line stands still".to_owned(),
        signer: asked.signer,
        credential: asked.credential,
    };
    world.must("bob", Request::BreakGlass(sign(statement, "bob")));
    world.execute(id);
    let grant: duty::name::ItemId = name(&format!("{id}.g1"));
    if n % 200 == 17 {
        world.clock += DAY + 1;
        let overdue = NoteOverdue {
            grant: grant.clone(),
        };
        world.must("engine", Request::NoteOverdue(overdue));
    }
    let review = GlassReviewStatement {
        statement: GlassReviewStatement::TYPE.to_owned(),
        log: ORIGIN.to_owned(),
        grant,
        justified: true,
        finding: "it was right".to_owned(),
        signer: name("carla"),
        credential: name("carla-1"),
    };
    world.must("carla", Request::ReviewGlass(sign(review, "carla")));
}

fn frozen(world: &mut World, id: &str) {
    let freeze = Freeze {
        scope: Scope::Agent {
            agent: name("executor"),
        },
        reason: "it misbehaves".to_owned(),
    };
    let freeze = world.must("admin", Request::Freeze(freeze))[0].seq;
    let using = using(world, id);
    refused(world, "executor", Request::UseGrant(using));
    let lifted = UnfreezeStatement {
        statement: UnfreezeStatement::TYPE.to_owned(),
        log: ORIGIN.to_owned(),
        freeze,
        reason: "looked into".to_owned(),
        signer: name("carla"),
        credential: name("carla-1"),
    };
    world.must("carla", Request::Unfreeze(sign(lifted, "carla")));
    world.execute(id);
}

fn refused(world: &mut World, who: &str, request: Request) {
    let decision = world.ask(who, request);
    assert!(decision.refusal.is_some(), "it should be refused");
}

/// What is not let through: another action, somebody else's grant, the same grant again.
fn refusals(world: &mut World, id: &str) {
    let good = using(world, id);
    let mut other = good.clone();
    other
        .action
        .arguments
        .insert("amount_cents".to_owned(), 1.into());
    refused(world, "executor", Request::UseGrant(other));
    refused(world, "analyst", Request::UseGrant(good.clone()));
    world.execute(id);
    refused(world, "executor", Request::UseGrant(good));
}

fn subject(world: &mut World, last: usize) {
    // Of two subjects whose cases have ended, one is held, let go and erased by two people, the other when its time is over.
    let (first, second) = (last.saturating_sub(2), last.saturating_sub(3));
    let of = |n: usize| SubjectId::of(ORIGIN, &format!("R-case-{n}"));
    let subject = of(first);
    let hold = HoldStatement {
        statement: HoldStatement::TYPE.to_owned(),
        log: ORIGIN.to_owned(),
        subject,
        reason: "a dispute".to_owned(),
        clause: None,
        signer: name("olivia"),
        credential: name("olivia-1"),
    };
    let hold = world.must("olivia", Request::PlaceHold(sign(hold, "olivia")))[0].seq;
    let erasure = |who: &str| ErasureStatement {
        statement: ErasureStatement::TYPE.to_owned(),
        log: ORIGIN.to_owned(),
        subject,
        reason: "asked for".to_owned(),
        signer: name(who),
        credential: name(&format!("{who}-1")),
    };
    refused(
        world,
        "rashid",
        Request::RequestErasure(sign(erasure("rashid"), "rashid")),
    );
    let lift = LiftStatement {
        statement: LiftStatement::TYPE.to_owned(),
        log: ORIGIN.to_owned(),
        subject,
        hold,
        reason: "it is settled".to_owned(),
        signer: name("rashid"),
        credential: name("rashid-1"),
    };
    world.must("rashid", Request::LiftHold(sign(lift, "rashid")));
    let asked = world.must(
        "olivia",
        Request::RequestErasure(sign(erasure("olivia"), "olivia")),
    );
    let confirmation = ConfirmationStatement {
        statement: ConfirmationStatement::TYPE.to_owned(),
        log: ORIGIN.to_owned(),
        subject,
        request: asked[0].seq,
        reason: String::new(),
        signer: name("rashid"),
        credential: name("rashid-1"),
    };
    world.must(
        "rashid",
        Request::ConfirmErasure(sign(confirmation, "rashid")),
    );
    if last > 100 {
        world.clock += 3 * DAY;
        let end = EndRetention {
            subject: of(second),
        };
        world.must("engine", Request::EndRetention(end));
    }
}

fn triage(world: &mut World) {
    let found: Vec<String> = world
        .state
        .exceptions
        .keys()
        .map(ToString::to_string)
        .collect();
    for exception in found {
        world.triage(&exception, "olivia");
    }
}

/// Somebody loses a key, and has another.
fn credential(world: &mut World, n: usize) {
    let hand = Hand::passing(n);
    world.must("admin", hand.enrolment());
    let revoked = RevokeCredential {
        credential: name(&hand.credential()),
        reason: "lost".to_owned(),
    };
    world.must("admin", Request::RevokeCredential(revoked));
}

/// The example's team with more in it.
fn edition(more: &str) -> String {
    let example = include_str!("../../../../examples/payables/release/team.toml");
    format!("{}{more}", example.replace(SOONER.0, SOONER.1))
}

/// A release whose executors carry out effects themselves, and whose threshold is over soon; what was in force before.
fn passing(world: &mut World, n: usize) -> Release {
    let engine = "idempotency = \"idempotency_key\"\nlookup = \"treasury.transfer_lookup\"\n";
    let team = edition(&format!("{MORE}\n# for a day, {n}\n"));
    let team = team.replace(engine, "effect_by = \"caller\"\n");
    let until = Time::from_millis(world.clock + 20 * DAY);
    let threshold = THRESHOLD.replace("2027-12-31T00:00:00.000Z", &until.to_string());
    let before = in_force(world, team, threshold);
    let (threshold, digest) = world.release.thresholds()[0].clone();
    for person in ["carla", "dmitri"] {
        world.sign_threshold(&threshold.id, digest, person);
    }
    let note = NoteEnding {
        environment: name("staging"),
        threshold: threshold.id,
    };
    world.must("engine", Request::NoteEnding(note));
    let id = format!("by-caller-{n}");
    world.judged(&id, &Invoice::of(40_000, "V-1"));
    let using = using(world, &id);
    let outcome = RecordOutcome {
        grant: using.grant.clone(),
        outcome: Outcome::Succeeded,
        found_by: FoundBy::Caller,
        detail: "done".to_owned(),
        snapshot: None,
    };
    world.must("executor", Request::UseGrant(using));
    world.must("executor", Request::RecordOutcome(outcome));
    before
}

/// A release whose analyst asks a language model; what was in force before.
fn speaking(world: &mut World, n: usize) -> Release {
    let team = edition(&format!("{MORE}\n# asking, {n}\n")).replace(TABLE, MODEL);
    let before = release(world, &team);
    for k in 0..20 {
        let id = format!("by-model-{n}-{k}");
        world.judged(&id, &Invoice::of(40_000, &format!("V-{k}")));
        world.execute(&id);
    }
    before
}

/// A case that nobody prepares.
fn forgotten(world: &mut World, id: &str) {
    world.open(id);
    world.clock += DAY;
    world.must("engine", Request::Expire(Expire { case: name(id) }));
}

/// The example's release with another team, in force from now on; what was in force before.
fn release(world: &mut World, team: &str) -> Release {
    in_force(world, team.to_owned(), THRESHOLD.to_owned())
}

fn in_force(world: &mut World, team: String, threshold: String) -> Release {
    let mut files = Release::from_dir(&release_dir()).unwrap().files().clone();
    if team.contains(MODEL) {
        files.remove("tables/analyst.cedar");
    }
    files.insert("team.toml".to_owned(), team);
    files.insert("thresholds/small-invoices.toml".to_owned(), threshold);
    let release = Release::from_files(files).unwrap();
    for content in release.files().clone().into_values() {
        let digest = Digest::of_bytes(content.as_bytes());
        if !world.state.files.contains_key(&digest) {
            world.must("admin", Request::RecordFile(RecordFile { content }));
        }
    }
    let files = release.manifest();
    world.must("admin", Request::BuildRelease(BuildRelease { files }));
    let digest = release.digest();
    let signed = ReleaseStatement {
        statement: ReleaseStatement::TYPE.to_owned(),
        log: ORIGIN.to_owned(),
        release: digest,
        signer: name("dmitri"),
        credential: name("dmitri-1"),
    };
    world.must("dmitri", Request::SignRelease(sign(signed, "dmitri")));
    let tests = RecordControlTests {
        release: digest,
        catalogue: Digest::of_bytes(b"catalogue"),
        binary: Digest::of_bytes(b"binary"),
        results: vec![ControlTestResult {
            control: "SOD-01".to_owned(),
            test: "self-approval".to_owned(),
            passed: true,
            detail: "refused".to_owned(),
        }],
    };
    world.must("engine", Request::RecordControlTests(tests));
    let env = name("staging");
    let promotion = PromotionStatement {
        statement: PromotionStatement::TYPE.to_owned(),
        log: ORIGIN.to_owned(),
        replaces: world.state.environments.get(&env).copied(),
        env,
        release: digest,
        tests: world.state.tested.get(&digest).map(|t| t.record),
        reason: "it knows emergencies".to_owned(),
        signer: name("carla"),
        credential: name("carla-1"),
    };
    world.must("carla", Request::PromoteSigned(sign(promotion, "carla")));
    std::mem::replace(&mut world.release, release)
}

fn person(world: &mut World, n: usize) {
    let who = format!("temp-{n}");
    let new = NewPrincipal {
        id: name(&who),
        kind: PrincipalKind::Service,
        roles: vec![Role::Service],
        owner: None,
        acts_for: None,
        attributes: Default::default(),
        credentials: vec![Credential {
            id: name(&format!("{who}-1")),
            proof: Proof::Token {
                sha256: Digest::of_bytes(who.as_bytes()),
            },
        }],
    };
    world.must("admin", Request::AddPrincipal(new));
    let certify = Certify {
        principal: name("bob"),
        course: name("payment-approval"),
        expires: duty::time::Time::from_millis(world.clock + 400 * DAY),
    };
    world.must("admin", Request::Certify(certify));
    let revoke = RevokePrincipal {
        principal: name(&who),
        reason: "left".to_owned(),
    };
    world.must("admin", Request::RevokePrincipal(revoke));
}
