//! The alphabet: every request that is tried at a state, sensible or not. To try another, add it here.
//!
//! It is bounded only in how often something that changes nothing of consequence may be repeated: an agent looks for clauses
//! once in a case. Whatever else could be asked again is asked again, and must be refused.

use std::sync::Arc;

use duty::{
    canonical::Digest,
    freeze::Scope,
    name::{CaseId, ItemId},
    principal::{Duty, Role},
    release::Tier,
    request::{
        Call, Expire, FoundBy, Freeze, NoteOverdue, OpenCase, Outcome, Promote, Ranked, Recommend,
        RecordOutcome, Request, Retrieve, RevokePrincipal, Stance, Submission, UseGrant,
    },
    signature::Checked,
    state::{Case, State},
    statement::{
        ApprovalStatement, Choice, DelegationEndStatement, DelegationStatement,
        GlassReviewStatement, GlassStatement, UnfreezeStatement, WithdrawalStatement,
    },
    time::Time,
};

use crate::world::{
    APPROVERS, COURSE, ELEVATED, ENV, FINANCE, FORBIDDEN, HIGH, LOW, OLD_COURSE, ORIGIN, SECOND,
    SIGNERS, World, assessment, checked, credential, delegated_until, moment, name, pay, promotion,
    sign, taught_again, tested, threshold_signature, tier,
};

/// How large the world is.
#[derive(Clone, Debug)]
pub(crate) struct Bound {
    /// Cases, each of which may open once.
    pub(crate) cases: usize,
    /// Moments that the clock comes to, of [`crate::world::MOMENTS`].
    pub(crate) moments: usize,
    /// Amounts that the analyst may recommend.
    pub(crate) amounts: Vec<i64>,
    /// Whether a second release may come into force.
    pub(crate) releases: bool,
    /// Whether principals are revoked.
    pub(crate) revocations: bool,
    /// Whether freezes are placed and lifted.
    pub(crate) freezes: bool,
    /// Whether the glass is broken.
    pub(crate) glass: bool,
    /// Whether a yes is taken back.
    pub(crate) withdrawals: bool,
    /// Whether humans sign for one another.
    pub(crate) deputies: bool,
    /// Whether the threshold's signatures come in any order, rather than being there.
    pub(crate) signatures: bool,
    /// Whether high risk is signed in stages, one after the other, each by others.
    pub(crate) stages: bool,
    /// Whether owners must have passed a course, which an owner's word may be over of.
    pub(crate) lapses: bool,
    /// Whether the threshold looks for parts of one payment.
    pub(crate) splits: bool,
    /// Whether the executor carries effects out itself.
    pub(crate) callers: bool,
}

impl Bound {
    pub(crate) fn amounts(words: &str) -> Vec<i64> {
        words
            .split(',')
            .filter_map(|word| match word {
                "low" => Some(LOW),
                "elevated" => Some(ELEVATED),
                "high" => Some(HIGH),
                "forbidden" => Some(FORBIDDEN),
                _ => None,
            })
            .collect()
    }
}

/// One request as it is made, whole.
#[derive(Debug)]
pub(crate) struct Move {
    pub(crate) submission: Submission,
    /// Its signature, verified once for all that it is made again.
    pub(crate) checked: Option<Arc<Checked>>,
    /// Whether the clock stands before the log.
    pub(crate) behind: bool,
}

/// What is tried, in order.
pub(crate) type Moves = Arc<[Arc<Move>]>;

/// Cases that may open.
pub(crate) const CASES: [&str; 3] = ["c1", "c2", "c3"];

/// When moves are made: the clock's reading, and the time of the log's last record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct When {
    pub(crate) clock: Time,
    pub(crate) last: Time,
}

/// All that is tried on one case. Nothing of the state says which but the case itself, or that it has ended.
pub(crate) fn on_case(
    world: &World,
    state: &State,
    bound: &Bound,
    when: When,
    id: &'static str,
) -> Moves {
    let mut making = Making::new(world, state, when);
    let case_id: CaseId = name(id);
    match state.cases.get(&case_id) {
        Some(case) => making.case(id, case, bound),
        None if state.closed.contains_key(&case_id) => making.ended(id),
        None => making.opening(id),
    }
    making.list.into()
}

/// All else that is tried at a state.
pub(crate) fn besides(world: &World, state: &State, bound: &Bound, when: When) -> Moves {
    let mut making = Making::new(world, state, when);
    making.others(bound);
    making.list.into()
}

struct Making<'w> {
    world: &'w World,
    state: &'w State,
    when: When,
    list: Vec<Arc<Move>>,
}

impl<'w> Making<'w> {
    fn new(world: &'w World, state: &'w State, when: When) -> Self {
        Self {
            world,
            state,
            when,
            list: Vec::with_capacity(32),
        }
    }
}

impl Making<'_> {
    fn add(&mut self, who: &'static str, request: Request) {
        self.add_at(self.when.clock, who, request);
    }

    fn add_at(&mut self, clock: Time, who: &'static str, request: Request) {
        self.list.push(Arc::new(Move {
            checked: checked(&request),
            behind: clock < self.when.last,
            submission: Submission {
                clock,
                principal: name(who),
                credential: credential(who),
                request,
            },
        }));
    }

    fn opening(&mut self, id: &str) {
        let open = Request::OpenCase(OpenCase {
            case: name(id),
            environment: name(ENV),
            subject: format!("subject of {id}"),
            snapshot: source(),
        });
        self.add("ana", open.clone());
        self.add("engine", open);
    }

    fn ended(&mut self, id: &str) {
        self.opening(id);
        self.add("exe", using(id, 1, LOW));
        self.add(
            "engine",
            outcome(id, 1, Outcome::Succeeded, FoundBy::Answer),
        );
    }

    fn case(&mut self, id: &'static str, case: &Case, bound: &Bound) {
        for who in ["ana", "rev"] {
            if !case.retrieved.contains_key(&name(who)) {
                self.add(who, self.retrieving(id));
            }
        }
        if case.prepared.is_none() {
            self.preparing(id, bound);
        } else if case.reviewed.is_none() {
            self.reviewing(id, case);
        } else {
            let again = self.recommendation(id, "rev", Duty::Review, Stance::Proceed, LOW);
            self.add("rev", Request::Recommend(again));
        }
        if bound.withdrawals && case.approval.is_some() {
            self.withdrawing(id, case);
        }
        if case.approval.is_some() && case.grant.is_none() {
            if bound.deputies {
                self.deputising(id, case);
            }
            if bound.glass {
                self.breaking(id, case);
            }
            if bound.stages {
                self.staging(id, case);
            }
            self.approving(id, case);
        } else if let Some(late) = approval(id, case, "gus", Choice::Approve) {
            self.add("gus", Request::Approve(sign(late, "gus")));
        }
        let cents = cents(case);
        let call = Request::Call(Call {
            case: name(id),
            action: pay(cents),
            described: None,
        });
        self.add("exe", call);
        self.add("exe", using(id, grant_of(case), cents));
        if case.grant.is_some() {
            self.add("exe", using(id, grant_of(case), cents + 1));
            for who in ["ana", "sub", "bob"] {
                self.add(who, using(id, grant_of(case), cents));
            }
            let behind = self.when.last.minus_minutes(1);
            self.add_at(behind, "exe", using(id, grant_of(case), cents));
        }
        if bound.callers {
            self.reporting(id, case);
        } else if case.grant.as_ref().is_some_and(|g| g.used.is_some()) {
            for found_by in [FoundBy::Answer, FoundBy::Lookup, FoundBy::Recovery] {
                for known in [Outcome::Succeeded, Outcome::Failed, Outcome::Unknown] {
                    self.add("engine", outcome(id, grant_of(case), known, found_by));
                }
            }
            self.add(
                "exe",
                outcome(id, grant_of(case), Outcome::Succeeded, FoundBy::Answer),
            );
        } else {
            self.add(
                "engine",
                outcome(id, grant_of(case), Outcome::Succeeded, FoundBy::Answer),
            );
        }
        self.add("engine", Request::Expire(Expire { case: name(id) }));
    }

    /// Whoever carried an effect out says what came of it, and others try to.
    fn reporting(&mut self, id: &str, case: &Case) {
        for (who, found_by) in [
            ("exe", FoundBy::Caller),
            ("ana", FoundBy::Caller),
            ("exe", FoundBy::Answer),
            ("engine", FoundBy::Answer),
            ("engine", FoundBy::Overdue),
            ("engine", FoundBy::Lookup),
        ] {
            for known in [Outcome::Succeeded, Outcome::Failed, Outcome::Unknown] {
                self.add(who, outcome(id, grant_of(case), known, found_by));
            }
        }
    }

    fn preparing(&mut self, id: &str, bound: &Bound) {
        for cents in &bound.amounts {
            for stance in [Stance::Proceed, Stance::Refuse] {
                let made = self.recommendation(id, "ana", Duty::Prepare, stance, *cents);
                self.add("ana", Request::Recommend(made));
            }
        }
        let made = self.recommendation(id, "ana", Duty::Prepare, Stance::Proceed, LOW);
        let mut uncited = made.clone();
        uncited.clauses.clear();
        self.add("ana", Request::Recommend(uncited));
        let mut invented = made.clone();
        invented.clauses[0].digest = Digest::of_bytes(b"invented");
        self.add("ana", Request::Recommend(invented));
        let mut drifted = made.clone();
        drifted.model.push('x');
        self.add("ana", Request::Recommend(drifted));
        let mut drifted = made.clone();
        drifted.prompt = Some(Digest::of_bytes(b"drifted"));
        self.add("ana", Request::Recommend(drifted));
        for who in ["sub", "rev", "out", "exe"] {
            self.add(who, Request::Recommend(made.clone()));
        }
        let review = self.recommendation(id, "rev", Duty::Review, Stance::Proceed, LOW);
        self.add("rev", Request::Recommend(review));
    }

    fn reviewing(&mut self, id: &str, case: &Case) {
        let cents = cents(case);
        for (stance, cents) in [
            (Stance::Proceed, cents),
            (Stance::Refuse, cents),
            (Stance::Proceed, cents + 1),
        ] {
            let made = self.recommendation(id, "rev", Duty::Review, stance, cents);
            self.add("rev", Request::Recommend(made));
        }
        let made = self.recommendation(id, "rev", Duty::Review, Stance::Proceed, cents);
        // Where it is high alone: it makes no difference to what follows elsewhere, but many more states.
        if tier(cents) == Tier::High {
            let made = self.recommendation(id, "rev", Duty::Review, Stance::Refer, cents);
            self.add("rev", Request::Recommend(made));
        }
        // Each as the release wants it of whom it pretends to be.
        for (who, as_whom) in [
            ("ana", "ana"),
            ("sub", "ana"),
            ("out", "rev"),
            ("exe", "exe"),
        ] {
            let made = self.recommendation(id, as_whom, Duty::Review, Stance::Proceed, cents);
            self.add(who, Request::Recommend(made));
        }
        let mut blind = made;
        blind.inputs.clear();
        self.add("rev", Request::Recommend(blind));
    }

    fn approving(&mut self, id: &'static str, case: &Case) {
        for who in APPROVERS {
            if let Some(statement) = approval(id, case, who, Choice::Approve) {
                self.add(who, Request::Approve(sign(statement, who)));
            }
        }
        if let Some(no) = approval(id, case, "bob", Choice::Reject) {
            self.add("bob", Request::Approve(sign(no, "bob")));
        }
        let Some(yes) = approval(id, case, "gus", Choice::Approve) else {
            return;
        };
        // What is wrong with a statement is told before who else has said yes is looked at.
        if case.approval.as_ref().is_some_and(|a| !a.yes.is_empty()) {
            return;
        }
        let mut other = yes.clone();
        other.action = Digest::of_bytes(b"another action");
        self.add("gus", Request::Approve(sign(other, "gus")));
        let mut other = yes.clone();
        other.env = name("dev");
        self.add("gus", Request::Approve(sign(other, "gus")));
        // The analyst signs, in its own name and in another's.
        self.add("gus", Request::Approve(sign(yes, "ana")));
        if let Some(own) = approval(id, case, "ana", Choice::Approve) {
            self.add("ana", Request::Approve(sign(own, "ana")));
        }
    }

    /// Yeses in a stage by name: of whom it asks for and of others, in turn and out of turn.
    fn staging(&mut self, id: &'static str, case: &Case) {
        for (who, stage) in [
            ("bob", FINANCE),
            ("gus", FINANCE),
            ("bob", SECOND),
            ("gus", SECOND),
            ("dmitri", SECOND),
        ] {
            let Some(mut yes) = approval(id, case, who, Choice::Approve) else {
                return;
            };
            yes.stage = Some(name(stage));
            self.add(who, Request::Approve(sign(yes, who)));
        }
    }

    /// Whoever said yes takes it back, and whoever did not tries to; then the void grant is tried.
    fn withdrawing(&mut self, id: &'static str, case: &Case) {
        for who in ["bob", "gus", "dmitri"] {
            let Some(asked) = approval(id, case, who, Choice::Approve) else {
                return;
            };
            let statement = WithdrawalStatement {
                statement: WithdrawalStatement::TYPE.to_owned(),
                log: asked.log,
                approval: asked.approval,
                action: asked.action,
                reason: asked.reason,
                signer: asked.signer,
                credential: asked.credential,
            };
            self.add(who, Request::Withdraw(sign(statement, who)));
        }
        if case.voided > 0 {
            self.add("exe", using(id, case.voided, cents(case)));
        }
    }

    /// A deputy signs for each approver, with their word or without it.
    fn deputising(&mut self, id: &'static str, case: &Case) {
        for (who, root) in [
            ("dmitri", "bob"),
            ("dmitri", "gus"),
            ("gus", "bob"),
            ("una", "gus"),
        ] {
            let Some(mut yes) = approval(id, case, who, Choice::Approve) else {
                return;
            };
            yes.on_behalf = Some(name(root));
            self.add(who, Request::Approve(sign(yes, who)));
        }
    }

    /// Delegations are made and ended: by bob, who may, and on from his deputy, who may not.
    fn delegating(&mut self) {
        for (from, to) in [
            ("bob", "dmitri"),
            ("bob", "gus"),
            ("gus", "dmitri"),
            ("dmitri", "una"),
        ] {
            self.add(from, delegation(from, to));
        }
        for (record, made) in &self.state.delegations {
            if made.ended {
                continue;
            }
            for who in ["bob", "carla"] {
                let statement = DelegationEndStatement {
                    statement: DelegationEndStatement::TYPE.to_owned(),
                    log: ORIGIN.to_owned(),
                    delegation: *record,
                    reason: "back".to_owned(),
                    signer: name(who),
                    credential: credential(who),
                };
                self.add(who, Request::EndDelegation(sign(statement, who)));
            }
        }
    }

    fn breaking(&mut self, id: &'static str, case: &Case) {
        for who in ["bob", "gus", "una", "olivia"] {
            let Some(asked) = approval(id, case, who, Choice::Approve) else {
                return;
            };
            let statement = GlassStatement {
                statement: GlassStatement::TYPE.to_owned(),
                log: asked.log,
                approval: asked.approval,
                case: asked.case,
                action: asked.action,
                release: asked.release,
                env: asked.env,
                expires: asked.expires,
                reason: asked.reason,
                signer: asked.signer,
                credential: asked.credential,
            };
            self.add(who, Request::BreakGlass(sign(statement, who)));
        }
    }

    fn others(&mut self, bound: &Bound) {
        if bound.deputies {
            self.delegating();
        }
        if bound.lapses {
            self.training();
        }
        if bound.glass {
            for (grant, glass) in &self.state.glass {
                for who in ["bob", "dmitri"] {
                    self.add(who, reviewing(grant, who));
                }
                if !glass.overdue {
                    let grant = grant.clone();
                    self.add("engine", Request::NoteOverdue(NoteOverdue { grant }));
                }
            }
        }
        if bound.signatures {
            for who in SIGNERS {
                self.add(who, threshold_signature(self.world, who));
            }
        }
        if bound.revocations {
            for who in ["bob", "exe"] {
                let revoke = RevokePrincipal {
                    principal: name(who),
                    reason: "left".to_owned(),
                };
                self.add("admin", Request::RevokePrincipal(revoke));
            }
        }
        if bound.freezes {
            match self.state.freezes.keys().next() {
                None => {
                    let freeze = Freeze {
                        scope: Scope::Agent { agent: name("exe") },
                        reason: "it misbehaves".to_owned(),
                    };
                    self.add("admin", Request::Freeze(freeze));
                }
                Some(freeze) => {
                    for who in ["ines", "carla"] {
                        self.add(who, lifting(*freeze, who));
                    }
                }
            }
        }
        if bound.releases {
            let second = self.world.release(1);
            if !self.state.tested.contains_key(&second) {
                self.add("engine", tested(second));
            }
            for edition in [0, 1] {
                // The author, who may not, and another.
                for who in ["carla", "dmitri"] {
                    self.add(who, promotion(self.world, self.state, edition, who));
                }
                let unsigned = Promote {
                    environment: name(ENV),
                    release: self.world.release(edition),
                };
                self.add("admin", Request::Promote(unsigned));
            }
        }
    }

    /// The course of owners is passed again: as it is, as it was, and as assessed by those who may not. And an owner goes.
    fn training(&mut self) {
        for (by, content) in [
            ("carla", COURSE),
            ("carla", OLD_COURSE),
            ("bob", COURSE),
            ("rashid", COURSE),
        ] {
            self.add(by, assessment("rashid", by, content, taught_again()));
        }
        let revoke = RevokePrincipal {
            principal: name("rashid"),
            reason: "left".to_owned(),
        };
        self.add("admin", Request::RevokePrincipal(revoke));
    }

    fn retrieving(&self, id: &str) -> Request {
        Request::Retrieve(Retrieve {
            case: name(id),
            query: "small".to_owned(),
            vector: None,
            as_of: None,
            ranking: vec![Ranked {
                clause: self.world.clause().clone(),
                score_milli: 1,
            }],
        })
    }

    fn recommendation(
        &self,
        id: &str,
        who: &str,
        duty: Duty,
        stance: Stance,
        cents: i64,
    ) -> Recommend {
        let agent = self.world.agent(who);
        Recommend {
            case: name(id),
            duty,
            stance,
            action: Some(pay(cents)),
            confidence: 90,
            rationale: "it fits".to_owned(),
            clauses: vec![self.world.clause().clone()],
            quotes: Vec::new(),
            model: agent.and_then(|a| a.model.clone()).unwrap_or_default(),
            prompt: agent.map(|a| a.prompt),
            row: None,
            inputs: vec![source()],
        }
    }
}

fn source() -> Digest {
    Digest::of_bytes(b"source")
}

pub(crate) fn cents(case: &Case) -> i64 {
    let action = case.action().and_then(|a| a.integer("cents"));
    action.unwrap_or(LOW)
}

/// Which grant of its case is, or will be, the one that stands.
fn grant_of(case: &Case) -> u32 {
    case.voided + 1
}

fn using(id: &str, grant: u32, cents: i64) -> Request {
    Request::UseGrant(UseGrant {
        grant: name::<ItemId>(&format!("{id}.g{grant}")),
        action: pay(cents),
        described: None,
    })
}

fn outcome(id: &str, grant: u32, outcome: Outcome, found_by: FoundBy) -> Request {
    Request::RecordOutcome(RecordOutcome {
        grant: name::<ItemId>(&format!("{id}.g{grant}")),
        outcome,
        found_by,
        detail: "so it is".to_owned(),
        snapshot: None,
    })
}

fn delegation(from: &str, to: &str) -> Request {
    Request::Delegate(sign(
        DelegationStatement {
            statement: DelegationStatement::TYPE.to_owned(),
            log: ORIGIN.to_owned(),
            deputy: name(to),
            role: Role::Approver,
            starts: moment(0),
            until: delegated_until(),
            reason: "away".to_owned(),
            signer: name(from),
            credential: credential(from),
        },
        from,
    ))
}

fn reviewing(grant: &ItemId, who: &str) -> Request {
    Request::ReviewGlass(sign(
        GlassReviewStatement {
            statement: GlassReviewStatement::TYPE.to_owned(),
            log: ORIGIN.to_owned(),
            grant: grant.clone(),
            justified: true,
            finding: "it was right".to_owned(),
            signer: name(who),
            credential: credential(who),
        },
        who,
    ))
}

fn lifting(freeze: u64, who: &str) -> Request {
    Request::Unfreeze(sign(
        UnfreezeStatement {
            statement: UnfreezeStatement::TYPE.to_owned(),
            log: ORIGIN.to_owned(),
            freeze,
            reason: "looked into".to_owned(),
            signer: name(who),
            credential: credential(who),
        },
        who,
    ))
}

fn approval(id: &str, case: &Case, who: &str, decision: Choice) -> Option<ApprovalStatement> {
    let approval = case.approval.as_ref()?;
    Some(ApprovalStatement {
        statement: ApprovalStatement::TYPE.to_owned(),
        log: ORIGIN.to_owned(),
        approval: approval.id.clone(),
        case: name(id),
        action: approval.digest,
        release: case.release,
        env: case.env.clone(),
        expires: approval.expires,
        signed: approval.asked,
        decision,
        overrides: duty::differs(case, decision),
        reason: "because".to_owned(),
        code: None,
        stage: None,
        on_behalf: None,
        signer: name(who),
        credential: credential(who),
    })
}
