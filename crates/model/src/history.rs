//! What must hold, told without the core: a history is kept beside the state, made of the requests that were let through,
//! and each invariant is a property of it. Nothing here asks `decide`, and nothing reads a rule of it.

use std::collections::{BTreeMap, BTreeSet};

use duty::{
    canonical::Digest,
    record::{Basis, Body, Record},
    release::Tier,
    request::{FoundBy, Outcome, Recommend, Request, Stance},
    shared::Shared,
    statement::Choice,
    time::Time,
};
use serde::Serialize;

use crate::world::{
    COURSE, FINANCE, SECOND, World, certified, delegated_until, owner, pay, root, sign,
    taught_until, tier,
};

/// A law that a step has broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    /// The invariant, like `I3`.
    pub(crate) invariant: &'static str,
    /// What happened.
    pub(crate) what: String,
}

fn broken(invariant: &'static str, what: impl Into<String>) -> Broken {
    Broken {
        invariant,
        what: what.into(),
    }
}

/// What was let through so far.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct History {
    /// Left to whoever asks for [`History::past_of`]: a case's past changes with its case alone.
    #[serde(skip)]
    cases: BTreeMap<String, Shared<Past>>,
    /// Who has signed the threshold.
    signers: BTreeSet<String>,
    /// Room taken under the threshold: case, moment, cents.
    reserved: Vec<(String, Time, i64)>,
    /// Emergencies that nobody has reviewed: who signed, by case.
    open_glass: BTreeMap<String, BTreeSet<String>>,
    revoked: BTreeSet<String>,
    /// Who may sign for whom: deputy and delegator.
    deputies: BTreeSet<(String, String)>,
    /// The same by the record that holds each: numbers differ by path, and say nothing else.
    #[serde(skip)]
    delegated: BTreeMap<u64, (String, String)>,
    frozen: bool,
    /// Until when the owner of the reviewer has passed the course of owners.
    taught: Time,
    in_force: usize,
    second_tested: bool,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Past {
    edition: usize,
    looked: BTreeSet<String>,
    prepared: Option<(String, i64, bool)>,
    reviewed: Option<(String, i64, bool)>,
    /// Whether an agent would refuse.
    refused: bool,
    /// Who broke the glass, over what.
    glass: BTreeMap<String, Digest>,
    /// Who said yes, to what.
    yes: BTreeMap<String, Digest>,
    /// For whom, where not for themself.
    behalf: BTreeMap<String, String>,
    /// In which stage each yes counts, where there are stages.
    stages: BTreeMap<String, String>,
    /// When the agents had both spoken.
    judged: Option<Time>,
    /// When the grant was used.
    used_at: Option<Time>,
    /// Who took a yes back, or had it taken back that was given in their name.
    withdrew: BTreeSet<String>,
    asked_until: Option<Time>,
    /// Whether by a threshold; until when.
    granted: Option<(bool, Time)>,
    uses: u8,
    unknown: bool,
    settled: u8,
    done: bool,
    ended: bool,
}

impl History {
    /// At the beginning both owners have signed, or nobody has.
    pub(crate) fn begin(signed: bool) -> Self {
        let signers = if signed {
            vec!["carla", "dmitri"]
        } else {
            Vec::new()
        };
        Self {
            signers: signers.into_iter().map(str::to_owned).collect(),
            taught: taught_until(),
            ..Self::default()
        }
    }

    /// Takes down what a request that was let through has brought about, and says what law that breaks.
    pub(crate) fn take(
        &mut self,
        world: &World,
        records: &[Record],
        behind: bool,
    ) -> Result<(), Broken> {
        let Some(first) = records.first() else {
            return Err(broken("I8", "a decision without records"));
        };
        let Some(request) = first.body.request() else {
            return Err(broken("I8", "the first record carries no request"));
        };
        let now = first.time;
        let who = first.actor.id.as_str().to_owned();
        let happened = matches!(
            request,
            Request::RecordOutcome(_) | Request::Freeze(_) | Request::RecordControlTests(_)
        );
        if behind && !happened {
            return Err(broken(
                "I11",
                "something was let happen while the clock stood behind the log",
            ));
        }
        if self.revoked.contains(&who) {
            return Err(broken("I2", format!("`{who}` acts although revoked")));
        }
        if let Request::Delegate(r) = request {
            let s = &r.statement;
            let named = (s.deputy.to_string(), s.signer.to_string());
            self.delegated.insert(first.seq, named);
        }
        self.answered_for(world, request, &who, now)?;
        self.request(world, request, &who, now)?;
        if let (Body::ApprovalGiven(b), Request::Approve(r)) = (&first.body, request) {
            let stage = b.stage.as_ref().map(ToString::to_string);
            self.staged(world, &r.statement, stage)?;
        }
        for record in &records[1..] {
            self.consequence(world, record, now)?;
        }
        Ok(())
    }

    /// What came to pass in one case, where it was opened.
    pub(crate) fn past_of(&self, case: &str) -> Option<&Shared<Past>> {
        self.cases.get(case)
    }

    fn past(&mut self, case: impl ToString) -> &mut Past {
        self.cases.entry(case.to_string()).or_default()
    }

    fn request(
        &mut self,
        world: &World,
        request: &Request,
        who: &str,
        now: Time,
    ) -> Result<(), Broken> {
        match request {
            Request::OpenCase(r) => {
                if self.cases.contains_key(r.case.as_str()) {
                    return Err(broken("I9", format!("case `{}` opened twice", r.case)));
                }
                let edition = self.in_force;
                self.past(&r.case).edition = edition;
            }
            Request::Call(_) => {
                return Err(broken(
                    "I1",
                    "a tool with an effect was called without a grant",
                ));
            }
            Request::Retrieve(r) => {
                self.past(&r.case).looked.insert(who.to_owned());
            }
            Request::Recommend(r) => self.recommended(world, r, who)?,
            Request::Approve(r) => {
                // Ed25519 is deterministic: there is one signature of this person over this statement.
                if sign(r.statement.clone(), who).signature != r.signature {
                    return Err(broken(
                        "I4",
                        format!("the signature is not that of `{who}`"),
                    ));
                }
                self.approved(&r.statement, who, now)?;
            }
            Request::BreakGlass(r) => {
                if sign(r.statement.clone(), who).signature != r.signature {
                    return Err(broken(
                        "I4",
                        format!("the signature is not that of `{who}`"),
                    ));
                }
                self.glass(&r.statement, who, now)?;
            }
            Request::ReviewGlass(r) => {
                let case = r
                    .statement
                    .grant
                    .case()
                    .map(|c| c.to_string())
                    .unwrap_or_default();
                let signers = self.open_glass.remove(&case).unwrap_or_default();
                if signers.contains(who) {
                    return Err(broken(
                        "GLASS",
                        format!("`{who}` reviewed their own emergency"),
                    ));
                }
            }
            Request::Withdraw(r) => {
                let case = r.statement.approval.case();
                let case = case.map(|c| c.to_string()).unwrap_or_default();
                self.withdrawn(&case, who)?;
            }
            Request::Delegate(r) => {
                let s = &r.statement;
                if !["bob", "gus"].contains(&who) || s.signer.as_str() != who {
                    return Err(broken(
                        "I2",
                        format!("`{who}` passed on what is not theirs"),
                    ));
                }
                self.deputies.insert((s.deputy.to_string(), who.to_owned()));
            }
            Request::EndDelegation(r) => {
                let ended = self.delegated.remove(&r.statement.delegation);
                let Some((deputy, root)) = ended else {
                    return Err(broken("I3", "a delegation that nobody made was ended"));
                };
                if ![&deputy, &root].contains(&&who.to_owned()) {
                    return Err(broken("I2", format!("`{who}` ended another's delegation")));
                }
                self.deputies.remove(&(deputy, root));
            }
            Request::UseGrant(r) => {
                let case = r.grant.case().map(|c| c.to_string()).unwrap_or_default();
                let cents = r.action.integer("cents").unwrap_or_default();
                self.used(world, &case, cents, who, now)?;
            }
            Request::RecordOutcome(r) => {
                let case = r.grant.case().map(|c| c.to_string()).unwrap_or_default();
                if world.bound.callers {
                    self.reported(&case, r.outcome, r.found_by, who, now)?;
                } else {
                    self.settled(&case, r.outcome, r.found_by, who)?;
                }
            }
            Request::RevokePrincipal(r) => {
                self.revoked.insert(r.principal.to_string());
            }
            Request::Assess(r) => {
                let s = &r.statement;
                if s.trainee.as_str() == who {
                    return Err(broken("TRN", format!("`{who}` assessed themself")));
                }
                let fits = s.content == Digest::of_bytes(COURSE.as_bytes());
                if fits && ["carla", "dmitri"].contains(&who) {
                    self.taught = self.taught.max(s.expires);
                }
            }
            Request::SignThreshold(r) => {
                let signer = r.statement.signer.to_string();
                if signer != who {
                    return Err(broken("I4", "a threshold was signed in another's name"));
                }
                self.signers.insert(signer);
            }
            Request::Freeze(_) => self.frozen = true,
            Request::Unfreeze(_) => {
                if who == "ines" {
                    return Err(broken(
                        "I11",
                        "the owner of a frozen agent lifted the freeze",
                    ));
                }
                self.frozen = false;
            }
            Request::RecordControlTests(r) => self.second_tested |= r.release == world.release(1),
            Request::Promote(_) => {
                return Err(broken(
                    "I7",
                    "promoted without a signature where effects are real",
                ));
            }
            Request::PromoteSigned(r) => {
                let edition = usize::from(r.statement.release == world.release(1));
                if who == "carla" {
                    return Err(broken("I7", "an author promoted their own release"));
                }
                if edition == 1 && !self.second_tested {
                    return Err(broken("I7", "promoted without control tests"));
                }
                self.in_force = edition;
            }
            _ => {}
        }
        Ok(())
    }

    fn recommended(&mut self, world: &World, r: &Recommend, who: &str) -> Result<(), Broken> {
        let (release, past) = (self.in_force, self.past(&r.case));
        if past.edition != release {
            return Err(broken(
                "I3",
                "recommended under a release that is not in force",
            ));
        }
        let cited = !r.clauses.is_empty() && r.clauses.iter().all(|c| c == world.clause());
        if !cited || !past.looked.contains(who) {
            return Err(broken(
                "I6",
                "recommended without a clause of the release that was looked up",
            ));
        }
        let agent = world.agent(who);
        let pinned =
            agent.is_some_and(|a| a.model.as_ref() == Some(&r.model) && r.prompt == Some(a.prompt));
        if !pinned {
            return Err(broken(
                "CHG",
                format!("`{who}` ran on another model or prompt"),
            ));
        }
        let cents = r
            .action
            .as_ref()
            .and_then(|a| a.integer("cents"))
            .unwrap_or_default();
        let made = Some((who.to_owned(), cents, r.stance == Stance::Proceed));
        past.refused |= r.stance == Stance::Refuse;
        match r.duty {
            duty::principal::Duty::Prepare => past.prepared = made,
            _ => {
                if r.inputs.is_empty() {
                    return Err(broken("SRC", "reviewed without the source"));
                }
                past.reviewed = made;
            }
        }
        Ok(())
    }

    fn approved(
        &mut self,
        s: &duty::statement::ApprovalStatement,
        who: &str,
        now: Time,
    ) -> Result<(), Broken> {
        let root = s.on_behalf.as_ref().map_or(who, |root| root.as_str());
        if s.signer.as_str() != who || !["bob", "gus", "olivia", "una"].contains(&root) {
            return Err(broken("I4", format!("`{who}` approved as `{}`", s.signer)));
        }
        let named = (who.to_owned(), root.to_owned());
        if who != root && !(self.deputies.contains(&named) && now < delegated_until()) {
            return Err(broken(
                "I2",
                format!("`{who}` signed for `{root}` without their word"),
            ));
        }
        let in_force = self.in_force;
        let past = self.past(&s.case);
        if past.edition != in_force || s.env.as_str() != crate::world::ENV {
            return Err(broken(
                "I3",
                "approved under another release or environment",
            ));
        }
        if past.asked_until.is_none_or(|until| now >= until) {
            return Err(broken("I3", "approved after the request expired"));
        }
        if past.granted.is_some() {
            return Err(broken("I3", "an approval counted again"));
        }
        for person in [who, root] {
            let yes = s.decision == Choice::Approve;
            let given = past.yes.contains_key(person) || past.behalf.values().any(|r| r == person);
            if given || yes && past.withdrew.contains(person) {
                return Err(broken("I3", "an approval counted again"));
            }
            if !certified(person, now) {
                return Err(broken("I4", format!("`{person}` is not certified")));
            }
            if OWNED.iter().any(|agent| owner(agent) == Some(person)) {
                return Err(broken(
                    "I2",
                    format!("`{person}` owns an agent of the case"),
                ));
            }
        }
        if s.decision == Choice::Approve {
            past.yes.insert(who.to_owned(), s.action);
            if who != root {
                past.behalf.insert(who.to_owned(), root.to_owned());
            }
        }
        Ok(())
    }

    /// An emergency is held to what an approval is held to, and there is one at a time.
    fn glass(
        &mut self,
        s: &duty::statement::GlassStatement,
        who: &str,
        now: Time,
    ) -> Result<(), Broken> {
        if self
            .open_glass
            .values()
            .any(|signers| signers.contains(who))
        {
            return Err(broken(
                "GLASS",
                format!("`{who}` has an emergency that nobody reviewed"),
            ));
        }
        if !certified(who, now) || OWNED.iter().any(|agent| owner(agent) == Some(who)) {
            return Err(broken("I4", format!("`{who}` may not break the glass")));
        }
        let in_force = self.in_force;
        let past = self.past(&s.case);
        let over = past.asked_until.is_none_or(|until| now >= until);
        if past.edition != in_force || over || past.granted.is_some() {
            return Err(broken(
                "I3",
                "an emergency over what does not wait any more",
            ));
        }
        if past.refused {
            return Err(broken(
                "GLASS",
                "an emergency against an agent that would refuse",
            ));
        }
        past.glass.insert(who.to_owned(), s.action);
        Ok(())
    }

    /// I4: an agent does nothing unless somebody answers for it who is there, and knows what owners must.
    fn answered_for(
        &self,
        world: &World,
        request: &Request,
        who: &str,
        now: Time,
    ) -> Result<(), Broken> {
        let acts = matches!(
            request,
            Request::Retrieve(_) | Request::Recommend(_) | Request::UseGrant(_)
        );
        let owner = owner(who).filter(|_| acts && world.bound.lapses);
        let Some(owner) = owner else { return Ok(()) };
        if self.revoked.contains(owner) || owner == "rashid" && now >= self.taught {
            return Err(broken(
                "I4",
                format!("`{who}` acts, and `{owner}` may not answer for it"),
            ));
        }
        Ok(())
    }

    /// I4: in stages, the first is of those whom it asks for, and the second follows it.
    fn staged(
        &mut self,
        world: &World,
        s: &duty::statement::ApprovalStatement,
        stage: Option<String>,
    ) -> Result<(), Broken> {
        let past = self.past(&s.case);
        let cents = past.prepared.as_ref().map_or(0, |p| p.1);
        if !world.bound.stages || tier(cents) != Tier::High || s.decision != Choice::Approve {
            return Ok(());
        }
        let Some(stage) = stage else {
            return Err(broken("I4", "a yes that counts in no stage"));
        };
        let root = s.on_behalf.as_ref().unwrap_or(&s.signer);
        if stage == FINANCE && root.as_str() != "bob" {
            return Err(broken(
                "I4",
                format!("`{root}` signed for another department"),
            ));
        }
        if stage == SECOND && !past.stages.values().any(|s| s == FINANCE) {
            return Err(broken("I4", "the second stage came before the first"));
        }
        past.stages.insert(s.signer.to_string(), stage);
        Ok(())
    }

    fn consequence(&mut self, world: &World, record: &Record, now: Time) -> Result<(), Broken> {
        let case = record
            .case
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        match &record.body {
            Body::ApprovalRequested(b) => self.past(&case).asked_until = Some(b.expires),
            Body::ThresholdApplied(_) => {
                let cents = self.past(&case).prepared.as_ref().map_or(0, |p| p.1);
                self.reserved.push((case, now, cents));
            }
            Body::ThresholdReleased(_) => self.reserved.retain(|(c, ..)| *c != case),
            Body::GrantVoided(_) => self.past(&case).granted = None,
            Body::VerdictReached(_) => self.past(&case).judged = Some(now),
            Body::GrantIssued(b) => self.granted(world, &case, &b.basis, b.expires, now)?,
            Body::GlassBroken(b) => {
                let signers = b.signers.iter().map(ToString::to_string).collect();
                self.open_glass.insert(case, signers);
            }
            Body::CaseClosed(_) => self.past(&case).ended = true,
            _ => {}
        }
        Ok(())
    }

    /// I4, I5: what a grant may stand on.
    fn granted(
        &mut self,
        world: &World,
        case: &str,
        basis: &Basis,
        expires: Time,
        now: Time,
    ) -> Result<(), Broken> {
        let Some((_, cents, would)) = self.past(case).prepared.clone() else {
            return Err(broken("I1", "a grant for what nobody prepared"));
        };
        let reviewed = self.past(case).reviewed.clone();
        let by_threshold = matches!(basis, Basis::Threshold { .. });
        if self
            .past(case)
            .granted
            .replace((by_threshold, expires))
            .is_some()
        {
            return Err(broken("I3", "a second grant"));
        }
        if cents >= crate::world::FORBIDDEN {
            return Err(broken(
                "PERM",
                "a grant for what the permission set forbids",
            ));
        }
        if by_threshold {
            let agree = would && reviewed.is_some_and(|(_, other, also)| also && other == cents);
            if !agree {
                return Err(broken(
                    "I5",
                    "a threshold covers what the agents do not agree on",
                ));
            }
            if tier(cents) != Tier::Low {
                return Err(broken("I5", format!("{cents} is no low risk")));
            }
            let counted = self
                .signers
                .iter()
                .filter(|s| ["carla", "dmitri"].contains(&s.as_str()));
            if counted.count() < 2 || now >= crate::world::moment(4) {
                return Err(broken(
                    "I5",
                    "a threshold that is not signed, or not in force",
                ));
            }
            let since = now.minus_minutes(60);
            let inside = self.reserved.iter().filter(|(_, at, _)| *at > since);
            if inside.count() > if world.bound.splits { 5 } else { 1 } {
                return Err(broken("I5", "two actions in the room of one"));
            }
            if world.bound.splits {
                self.whole(case, cents, since)?;
            }
        } else {
            self.quorum(world, case, cents, now)?;
        }
        Ok(())
    }

    /// I5: nothing goes under a threshold that is, with what is done or waits for the same payee, more than one may be.
    fn whole(&self, case: &str, cents: i64, since: Time) -> Result<(), Broken> {
        let others = self.cases.iter().filter(|(other, past)| {
            let stands = past.done || !past.ended;
            other.as_str() != case && stands && past.judged.is_some_and(|at| at > since)
        });
        let others = others.filter_map(|(_, past)| past.prepared.as_ref().map(|p| p.1));
        let sum: i64 = others.sum();
        if sum > 0 && sum + cents > 60 {
            return Err(broken("I5", "a part of a larger payment under a threshold"));
        }
        Ok(())
    }

    /// I3: a yes is taken back by whoever gave it, or in whose name it was given, before its grant is used.
    fn withdrawn(&mut self, case: &str, who: &str) -> Result<(), Broken> {
        let past = self.past(case);
        if past.uses > 0 {
            return Err(broken(
                "I3",
                "a yes was taken back after its grant was used",
            ));
        }
        let of = |signer: &&String| {
            *signer == who || past.behalf.get(*signer).is_some_and(|root| root == who)
        };
        let Some(signer) = past.yes.keys().find(of).cloned() else {
            return Err(broken(
                "I3",
                format!("`{who}` took back what is not theirs"),
            ));
        };
        past.yes.remove(&signer);
        past.stages.remove(&signer);
        past.withdrew.extend(past.behalf.remove(&signer));
        past.withdrew.insert(signer);
        Ok(())
    }

    /// I4: enough distinct humans, certified now, said yes to exactly this.
    fn quorum(&mut self, world: &World, case: &str, cents: i64, now: Time) -> Result<(), Broken> {
        let need = if tier(cents) == Tier::High { 2 } else { 1 };
        let digest = pay(cents).digest().ok();
        let (revoked, deputies) = (self.revoked.clone(), self.deputies.clone());
        let past = self.past(case);
        if past
            .yes
            .values()
            .chain(past.glass.values())
            .any(|d| Some(*d) != digest)
        {
            return Err(broken("I3", "approved is another action than was prepared"));
        }
        let broken_by = past
            .glass
            .keys()
            .filter(|who| certified(who, now) && !revoked.contains(*who));
        if broken_by.count() >= need {
            return Ok(());
        }
        let standing = past
            .yes
            .keys()
            .filter(|who| certified(who, now) && !revoked.contains(*who))
            .filter(|who| match past.behalf.get(*who) {
                None => true,
                Some(root) => {
                    let named = ((*who).clone(), root.clone());
                    let in_force = deputies.contains(&named) && now < delegated_until();
                    in_force && certified(root, now) && !revoked.contains(root)
                }
            });
        let standing: Vec<_> = standing.collect();
        if standing.len() < need {
            return Err(broken(
                "I4",
                format!("{need} certified humans must stand behind {cents}"),
            ));
        }
        let filled = |stage: &str| {
            let mut of = standing.iter().filter_map(|who| past.stages.get(*who));
            of.any(|s| s == stage)
        };
        if world.bound.stages && need == 2 && !(filled(FINANCE) && filled(SECOND)) {
            return Err(broken("I4", "a stage that nobody stands in any more"));
        }
        Ok(())
    }

    /// I1 to I5 at the moment that matters.
    fn used(
        &mut self,
        world: &World,
        case: &str,
        cents: i64,
        who: &str,
        now: Time,
    ) -> Result<(), Broken> {
        let (frozen, in_force) = (self.frozen, self.in_force);
        let past = self.past(case);
        past.uses += 1;
        past.used_at = Some(now);
        let (uses, past) = (past.uses, past.clone());
        if uses > 1 {
            return Err(broken(
                if past.unknown { "I10" } else { "I3" },
                "a grant was used twice",
            ));
        }
        let Some((by_threshold, expires)) = past.granted else {
            return Err(broken("I1", "used without a grant"));
        };
        if frozen {
            return Err(broken("I11", "used while the executor is frozen"));
        }
        if past.ended || now >= expires || past.edition != in_force {
            return Err(broken(
                "I3",
                "used after its end, its expiry or its release",
            ));
        }
        let prepared = past.prepared.clone().unwrap_or_default();
        let reviewed = past.reviewed.clone().unwrap_or_default();
        if cents != prepared.1 {
            return Err(broken("I3", "executed is another action than was approved"));
        }
        let mut parts = vec![prepared.0, reviewed.0, who.to_owned()];
        let approvers: BTreeSet<_> = past.yes.keys().chain(past.glass.keys()).cloned().collect();
        parts.extend(approvers);
        parts.extend(past.behalf.values().cloned());
        let roots: BTreeSet<_> = parts
            .iter()
            .map(|p| root(&p.parse().expect("INVARIANT: a name")).to_owned())
            .collect();
        if roots.len() != parts.len() || who != "exe" {
            return Err(broken("I2", format!("{parts:?} are not all different")));
        }
        if by_threshold {
            if now >= crate::world::moment(4) {
                return Err(broken("I5", "used under a threshold that is over"));
            }
            Ok(())
        } else {
            self.quorum(world, case, cents, now)
        }
    }

    /// I1, I10: where the executor carries the effect out, the executor alone says what came of it, and the platform says
    /// that nobody did, when its time is over, or what a look at the target has shown.
    fn reported(
        &mut self,
        case: &str,
        outcome: Outcome,
        found_by: FoundBy,
        who: &str,
        now: Time,
    ) -> Result<(), Broken> {
        let past = self.past(case);
        let Some(used_at) = past.used_at else {
            return Err(broken("I1", "an outcome without the use of a grant"));
        };
        let over = now >= used_at.plus_minutes(10);
        let may = match found_by {
            FoundBy::Caller => who == "exe",
            FoundBy::Overdue => who == "engine" && outcome == Outcome::Unknown && over,
            FoundBy::Lookup => who == "engine" && past.unknown,
            _ => false,
        };
        if !may {
            return Err(broken(
                "I1",
                format!("`{who}` says that an effect was {}", outcome.word()),
            ));
        }
        self.known(case, outcome)
    }

    fn known(&mut self, case: &str, outcome: Outcome) -> Result<(), Broken> {
        let past = self.past(case);
        match outcome {
            Outcome::Unknown => past.unknown = true,
            Outcome::Succeeded | Outcome::Failed => {
                past.settled += 1;
                past.done |= outcome == Outcome::Succeeded;
                if past.settled > 1 {
                    return Err(broken("I10", "two outcomes"));
                }
            }
        }
        Ok(())
    }

    /// I10: what is unknown is settled by looking it up, and once.
    fn settled(
        &mut self,
        case: &str,
        outcome: Outcome,
        found_by: FoundBy,
        who: &str,
    ) -> Result<(), Broken> {
        let past = self.past(case);
        if past.uses == 0 {
            return Err(broken("I1", "an outcome without the use of a grant"));
        }
        if who != "engine" {
            return Err(broken("I1", format!("`{who}` says what came of it")));
        }
        if past.unknown && found_by != FoundBy::Lookup {
            return Err(broken(
                "I10",
                "an unknown outcome was settled without looking it up",
            ));
        }
        self.known(case, outcome)
    }
}

/// Agents of the team.
const OWNED: [&str; 3] = ["ana", "rev", "exe"];
