//! A history in which everything happens that the core knows, in such shares as a busy year might have: most cases go under
//! the threshold, one in six waits for people, who sign with Ed25519 and SSH keys and passkeys, and of the rest each thing
//! happens about once in a hundred cases.

mod hands;

use std::collections::BTreeSet;

use duty::{
    canonical::Digest,
    freeze::Scope,
    name::CaseId,
    principal::{Credential, NewPrincipal, PrincipalKind, Proof, Role},
    record::Body,
    release::Rules as _,
    request::{
        BuildRelease, Certify, ControlTestResult, EndRetention, Expire, FoundBy, Freeze,
        NoteOverdue, Outcome, RecordControlTests, RecordFile, RecordOutcome, Request,
        RevokeCredential, RevokePrincipal, UseGrant,
    },
    statement::{
        Choice, ConfirmationStatement, ErasureStatement, GlassReviewStatement, GlassStatement,
        HoldStatement, LiftStatement, PromotionStatement, ReleaseStatement, UnfreezeStatement,
    },
    subject::SubjectId,
};
use policy::Release;

use crate::world::{Invoice, ORIGIN, World, name, sign};
use hands::Hand;

const DAY: i64 = 86_400_000;

/// What the example's release lacks.
const MORE: &str = r#"
[break_glass]
role = "approver"
certification = "payment-approval"
minutes = 15
review_minutes = 1440
clause = "PAY-2.3"

[retention]
snapshot_days = 30
clause = "PAY-2.3"
"#;

/// What has happened.
pub(crate) struct History {
    pub(crate) world: World,
    /// Releases that were in force before.
    earlier: Vec<Release>,
}

impl History {
    pub(crate) fn release(&self, digest: Digest) -> Option<&Release> {
        let mut all = std::iter::once(&self.world.release).chain(&self.earlier);
        all.find(|r| r.digest() == digest)
    }

    /// Kinds of records that are not in it.
    pub(crate) fn missing(&self) -> Vec<&'static str> {
        let records = self.world.records.iter();
        let seen: BTreeSet<_> = records.map(|r| r.body.kind()).collect();
        let kinds = Body::KINDS.iter().copied();
        kinds.filter(|kind| !seen.contains(kind)).collect()
    }
}

/// A log of so many cases.
pub(crate) fn happen(dir: &std::path::Path, cases: usize) -> History {
    let mut world = World::new(dir);
    let mut earlier = vec![release(&mut world, MORE)];
    for hand in [Hand::passkey("bob"), Hand::ssh("gus")] {
        world.must("admin", hand.enrolment());
    }
    for n in 0..cases {
        case(&mut world, n);
        if n % 500 == 71 {
            // Another takes over.
            earlier.push(release(&mut world, &format!("{MORE}\n# {n}\n")));
        }
        // About 200 cases a day: the threshold has room for 400.
        world.clock += DAY / 200;
    }
    History { world, earlier }
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
    world.judged(&id, &invoice);
    match n % 100 {
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
        world.clock += 31 * DAY;
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

/// The example's release with more in its team, in force from now on; what was in force before.
fn release(world: &mut World, more: &str) -> Release {
    let mut files = world.release.files().clone();
    let example = include_str!("../../../../examples/payables/release/team.toml");
    files.insert("team.toml".to_owned(), format!("{example}{more}"));
    let release = Release::from_files(files).unwrap();
    let content = release.files()["team.toml"].clone();
    world.must("admin", Request::RecordFile(RecordFile { content }));
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
