//! A scene: a log of its own, in memory, in which a violation is attempted under the very release that is tested.
//!
//! What leads up to the attempt (people, agents, a case under way) is made by the same core. So that a case can be led there
//! under any release, the executor's permission, the risk and the threshold's scope may be *supposed*: never what the
//! attempt itself is about. Keys are made from fixed bytes and are worth nothing.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use duty::{
    Decision,
    action::Action,
    canonical::{Digest, to_vec},
    decide, differs,
    edition::Edition,
    name::{CaseId, Course, CredentialId, Environment, ItemId, PrincipalId, ReasonCode, StageName},
    principal::{Credential, Duty, NewPrincipal, PrincipalKind, Proof, PublicKey, Role},
    record::{Body, Record},
    refusal::Code,
    release::{
        Ask, ClauseRef, Near, Permission, Quorum, RiskFinding, RuleHit, Rules, Stage, Team,
        Threshold, Tier,
    },
    release_for,
    request::{
        AnswerModel, BuildRelease, CallModel, Certify, ControlTestResult, EndCertification,
        ModelResult, OpenCase, OpenLog, Ranked, Recommend, RecordControlTests, RecordFile, Request,
        Retrieve, Stance, Submission, UseGrant,
    },
    signature::Signature,
    state::State,
    statement::{
        ApprovalStatement, Choice, CompletionStatement, PromotionStatement, ReleaseStatement,
        Signed, ThresholdStatement,
    },
    time::Time,
};
use ed25519_dalek::{Signer as _, SigningKey};
use policy::Release;
use serde::Serialize;
use serde_json::{Map, Value};

/// The origin of every scene's log: it can be taken for no real one.
pub(super) const ORIGIN: &str = "control-test.invalid/scene";
/// Where scenes play.
pub(super) const ENV: &str = "control-test";
/// One who signs releases, and one who promotes them; both sign thresholds.
pub(super) const AUTHOR: &str = "scene-author";
pub(super) const PROMOTER: &str = "scene-promoter";

/// What is supposed of the release while a case is led up to the attempt.
#[derive(Clone, Copy, Default)]
pub(super) struct Suppose {
    /// That the executor may make the call, at this risk, and that thresholds' scopes hold. No mandatory human step stands
    /// in the way then.
    pub(super) passes_at: Option<Tier>,
    /// That the conditions of mandatory human steps hold all the same.
    pub(super) steps_hold: bool,
}

/// A release, with what is supposed of it.
struct Supposed<'r> {
    release: &'r Release,
    suppose: Suppose,
}

fn supposed(what: &str) -> RuleHit {
    RuleHit {
        rule: "supposed by the control test".to_owned(),
        why: what.to_owned(),
        clause: None,
    }
}

impl Rules for Supposed<'_> {
    fn digest(&self) -> Digest {
        self.release.digest()
    }
    fn team(&self) -> &Team {
        self.release.team()
    }
    fn thresholds(&self) -> &[(Threshold, Digest)] {
        self.release.thresholds()
    }
    fn editions(&self, id: &str) -> &[Edition] {
        self.release.editions(id)
    }
    fn bound(&self, ask: &Ask<'_>) -> Vec<RuleHit> {
        self.release.bound(ask)
    }
    fn text_of(&self, cited: &ClauseRef) -> Option<&str> {
        self.release.text_of(cited)
    }
    fn permission(&self, ask: &Ask<'_>) -> Permission {
        match self.suppose.passes_at {
            Some(_) => Permission::Allow(supposed("permitted")),
            None => self.release.permission(ask),
        }
    }
    fn risk(&self, ask: &Ask<'_>) -> RiskFinding {
        match self.suppose.passes_at {
            Some(tier) => RiskFinding {
                tier,
                hits: vec![supposed("risk")],
            },
            None => self.release.risk(ask),
        }
    }
    fn in_scope(&self, threshold: &Threshold, ask: &Ask<'_>) -> Result<bool, String> {
        match self.suppose.passes_at {
            Some(_) => Ok(true),
            None => self.release.in_scope(threshold, ask),
        }
    }
    fn step_holds(&self, step: usize, ask: &Ask<'_>) -> bool {
        match self.suppose.passes_at {
            Some(_) => self.suppose.steps_hold,
            None => self.release.step_holds(step, ask),
        }
    }
    fn near(&self, ask: &Ask<'_>) -> Vec<Near> {
        self.release.near(ask)
    }
}

/// Why a scene could not be led up to its attempt.
pub(super) type Lead<T = ()> = Result<T, String>;

/// A log of its own.
pub(super) struct Scene<'r> {
    pub(super) release: &'r Release,
    pub(super) suppose: Suppose,
    pub(super) state: State,
    pub(super) records: Vec<Record>,
    /// The clock's reading, in milliseconds.
    pub(super) clock: i64,
    /// The stage in which each approver signs, where their quorum has several.
    stages: BTreeMap<String, StageName>,
}

/// Text as a name; all names here are fixed, or made of names.
pub(super) fn name<T: std::str::FromStr<Err = String>>(text: &str) -> Lead<T> {
    text.parse()
}

pub(super) fn credential(who: &str) -> Lead<CredentialId> {
    // Kept short: names have a longest.
    let digest = Digest::of_bytes(who.as_bytes()).to_string();
    name(&format!("c-{}", &digest[..24]))
}

fn key(who: &str) -> SigningKey {
    SigningKey::from_bytes(Digest::of_bytes(who.as_bytes()).as_bytes())
}

/// A statement, signed with the key of `who`.
pub(super) fn sign<T: Serialize>(statement: T, who: &str) -> Lead<Signed<T>> {
    let bytes = to_vec(&statement).map_err(|e| e.to_string())?;
    Ok(Signed {
        signature: Signature::Text(BASE64_STANDARD.encode(key(who).sign(&bytes).to_bytes())),
        statement,
    })
}

pub(super) fn human(id: &str, roles: &[Role]) -> Lead<NewPrincipal> {
    let public = PublicKey::from_bytes(key(id).verifying_key().as_bytes())?;
    let roles: BTreeSet<Role> = roles.iter().copied().collect();
    Ok(NewPrincipal {
        id: name(id)?,
        kind: PrincipalKind::Human,
        roles: roles.into_iter().collect(),
        owner: None,
        acts_for: None,
        attributes: Default::default(),
        credentials: vec![Credential {
            id: credential(id)?,
            proof: Proof::Ed25519 { public },
        }],
    })
}

pub(super) fn agent(id: &str, role: Role, owner: &PrincipalId) -> Lead<NewPrincipal> {
    Ok(NewPrincipal {
        id: name(id)?,
        kind: PrincipalKind::Agent,
        roles: vec![role],
        owner: Some(owner.clone()),
        acts_for: None,
        attributes: Default::default(),
        credentials: vec![Credential {
            id: credential(id)?,
            proof: Proof::Token {
                sha256: Digest::of_bytes(id.as_bytes()),
            },
        }],
    })
}

impl<'r> Scene<'r> {
    /// Everybody that the release names or needs, the release in force, nobody's threshold signed.
    pub(super) fn new(release: &'r Release) -> Lead<Self> {
        // Within the dates of the release's thresholds, where it has one, and of a clause.
        let start = release.thresholds().first().map(|(t, _)| t.starts.millis());
        let clause = release.clauses().iter().map(|c| c.from.millis()).min();
        let start = start.max(clause);
        let mut scene = Self {
            release,
            suppose: Suppose::default(),
            state: State::default(),
            records: Vec::new(),
            clock: start.unwrap_or_default() + 60_000,
            stages: BTreeMap::new(),
        };
        let service = |id: &str, role| -> Lead<NewPrincipal> {
            Ok(NewPrincipal {
                id: name(id)?,
                kind: PrincipalKind::Service,
                roles: vec![role],
                owner: None,
                acts_for: None,
                attributes: Default::default(),
                credentials: vec![Credential {
                    id: credential(id)?,
                    proof: Proof::Local,
                }],
            })
        };
        let open = OpenLog {
            origin: ORIGIN.to_owned(),
            principals: vec![
                service("scene-admin", Role::Admin)?,
                service("scene-engine", Role::Service)?,
            ],
        };
        scene.must("scene-admin", Request::OpenLog(open))?;
        scene.people()?;
        scene.bring_into_force()?;
        scene.train()?;
        Ok(scene)
    }

    fn people(&mut self) -> Lead {
        let team = self.release.team();
        let owners: BTreeSet<_> = team.agents.iter().map(|a| a.owner.clone()).collect();
        for owner in &owners {
            // An owner of an agent who could sign, were they not its owner.
            let mut roles = vec![Role::Owner];
            roles.extend(team.signing_roles());
            let mut person = human(owner.as_str(), &roles)?;
            let stages = team.approval.values().flat_map(|q| &q.stages);
            person.attributes = stages.flat_map(|s| s.attributes.clone()).collect();
            self.add(person)?;
        }
        for one in [AUTHOR, PROMOTER] {
            self.add(human(one, &[Role::Owner])?)?;
        }
        for one in &team.agents {
            self.add(agent(one.id.as_str(), one.duty.role(), &one.owner)?)?;
        }
        for (tier, quorum) in &team.approval {
            for (n, stage) in places(team, quorum) {
                let id = approver(*tier, n);
                let mut person = human(&id, &[stage.role])?;
                person.attributes.clone_from(&stage.attributes);
                self.add(person)?;
                if let Some(stage) = &stage.name {
                    self.stages.insert(id, stage.clone());
                }
            }
        }
        for role in [Role::Approver, Role::Owner, Role::Auditor] {
            self.add(human(&assessor(role), &[role])?)?;
        }
        Ok(())
    }

    /// Everybody who must have passed something for what they are here, has.
    pub(super) fn train(&mut self) -> Lead {
        let team = self.release.team();
        let owners: BTreeSet<_> = team.agents.iter().map(|a| a.owner.to_string()).collect();
        for (tier, quorum) in &team.approval {
            let approvers = places(team, quorum).map(|(n, stage)| (approver(*tier, n), stage));
            let each = owners.iter().flat_map(|owner| {
                let stages = quorum.stages.iter();
                stages.map(move |stage| (owner.clone(), stage))
            });
            for (who, stage) in approvers.chain(each) {
                self.certify(&who, &stage.certification)?;
                for course in team.courses_of(stage.role) {
                    self.certify(&who, course)?;
                }
            }
        }
        let signers = [AUTHOR, PROMOTER].map(str::to_owned);
        for who in owners.into_iter().chain(signers) {
            for course in team.courses_of(Role::Owner) {
                self.certify(&who, course)?;
            }
        }
        Ok(())
    }

    /// `who` passes a course as the release wants it.
    pub(super) fn certify(&mut self, who: &str, course: &Course) -> Lead {
        let Some(rule) = self.release.team().course(course) else {
            let certify = Certify {
                principal: name(who)?,
                course: course.clone(),
                expires: Time::from_millis(self.clock).plus_minutes(CERTIFIED_MINUTES),
            };
            self.must("scene-admin", Request::Certify(certify))?;
            return Ok(());
        };
        let role = rule.assessors.first().copied().unwrap_or(Role::Owner);
        let by = assessor(role);
        let passed = self.completion(who, course, rule.content, &by)?;
        self.must(&by, Request::Assess(sign(passed, &by)?))?;
        Ok(())
    }

    /// `who` has passed nothing of a course any more.
    pub(super) fn forget(&mut self, who: &str, course: &Course) -> Lead {
        let end = EndCertification {
            principal: name(who)?,
            course: course.clone(),
            reason: "a control test".to_owned(),
        };
        self.must("scene-admin", Request::EndCertification(end))?;
        Ok(())
    }

    /// Puts a file into the log.
    pub(super) fn record_file(&mut self, content: String) -> Lead {
        self.must("scene-admin", Request::RecordFile(RecordFile { content }))?;
        Ok(())
    }

    /// The assessor's statement that `who` has passed a content of a course just now.
    pub(super) fn completion(
        &self,
        who: &str,
        course: &Course,
        content: Digest,
        by: &str,
    ) -> Lead<CompletionStatement> {
        let now = Time::from_millis(self.clock);
        Ok(CompletionStatement {
            statement: CompletionStatement::TYPE.to_owned(),
            log: ORIGIN.to_owned(),
            trainee: name(who)?,
            course: course.clone(),
            content,
            completed: now,
            expires: now.plus_minutes(CERTIFIED_MINUTES),
            signer: name(by)?,
            credential: credential(by)?,
        })
    }

    fn bring_into_force(&mut self) -> Lead {
        let digest = self.build(
            self.release.files().values().cloned(),
            self.release.manifest(),
        )?;
        let author = self.authored(AUTHOR, digest)?;
        self.must(AUTHOR, author)?;
        let tests = self.tested(digest);
        self.must("scene-engine", tests)?;
        let promote = self.promotion(PROMOTER, digest)?;
        self.must(PROMOTER, promote)?;
        Ok(())
    }

    /// Records files and names them as a release.
    pub(super) fn build(
        &mut self,
        contents: impl IntoIterator<Item = String>,
        files: std::collections::BTreeMap<String, Digest>,
    ) -> Lead<Digest> {
        for content in contents {
            let digest = Digest::of_bytes(content.as_bytes());
            if !self.state.files.contains_key(&digest) {
                self.must("scene-admin", Request::RecordFile(RecordFile { content }))?;
            }
        }
        let digest = Digest::of(&files).map_err(|e| e.to_string())?;
        self.must("scene-admin", Request::BuildRelease(BuildRelease { files }))?;
        Ok(digest)
    }

    pub(super) fn add(&mut self, new: NewPrincipal) -> Lead {
        self.must("scene-admin", Request::AddPrincipal(new))?;
        Ok(())
    }

    pub(super) fn authored(&self, who: &str, release: Digest) -> Lead<Request> {
        let statement = ReleaseStatement {
            statement: ReleaseStatement::TYPE.to_owned(),
            log: ORIGIN.to_owned(),
            release,
            signer: name(who)?,
            credential: credential(who)?,
        };
        Ok(Request::SignRelease(sign(statement, who)?))
    }

    /// Control tests as a scene needs them for its own promotion; they say so, and leave the scene never.
    pub(super) fn tested(&self, release: Digest) -> Request {
        let digest = Digest::of_bytes(ORIGIN.as_bytes());
        Request::RecordControlTests(RecordControlTests {
            release,
            catalogue: digest,
            binary: digest,
            results: vec![ControlTestResult {
                control: "scene".to_owned(),
                test: "scene".to_owned(),
                passed: true,
                detail: "supposed, so that the scene can play".to_owned(),
            }],
        })
    }

    pub(super) fn promotion(&self, who: &str, release: Digest) -> Lead<Request> {
        let env: Environment = name(ENV)?;
        let statement = PromotionStatement {
            statement: PromotionStatement::TYPE.to_owned(),
            log: ORIGIN.to_owned(),
            replaces: self.state.environments.get(&env).copied(),
            env,
            release,
            tests: self.state.tested.get(&release).map(|t| t.record),
            reason: "so that the scene can play".to_owned(),
            signer: name(who)?,
            credential: credential(who)?,
        };
        Ok(Request::PromoteSigned(sign(statement, who)?))
    }

    /// Everybody who must have signed the release's thresholds, has.
    pub(super) fn sign_thresholds(&mut self) -> Lead {
        for (threshold, digest) in self.release.thresholds() {
            for n in 0..threshold.signatures.max(1) {
                let who = match n {
                    0 => AUTHOR.to_owned(),
                    1 => PROMOTER.to_owned(),
                    n => format!("scene-owner-{n}"),
                };
                if !self
                    .state
                    .principals
                    .contains_key(&name::<PrincipalId>(&who)?)
                {
                    self.add(human(&who, &[Role::Owner])?)?;
                    for course in self.release.team().courses_of(Role::Owner) {
                        self.certify(&who, course)?;
                    }
                }
                let statement = ThresholdStatement {
                    statement: ThresholdStatement::TYPE.to_owned(),
                    log: ORIGIN.to_owned(),
                    threshold: threshold.id.clone(),
                    digest: *digest,
                    signer: name(&who)?,
                    credential: credential(&who)?,
                };
                self.must(&who, Request::SignThreshold(sign(statement, &who)?))?;
            }
        }
        Ok(())
    }

    fn submission(&self, who: &str, request: Request) -> Lead<Submission> {
        Ok(Submission {
            clock: Time::from_millis(self.clock),
            principal: name(who)?,
            credential: credential(who)?,
            request,
        })
    }

    /// Decides and appends, as the engine does; a second goes by.
    pub(super) fn ask(&mut self, who: &str, request: Request) -> Lead<Decision> {
        let submission = self.submission(who, request)?;
        let rules = Supposed {
            release: self.release,
            suppose: self.suppose,
        };
        let own = release_for(&self.state, &submission.request) == Some(rules.digest());
        let rules = own.then_some(&rules as &dyn Rules);
        let decision = decide(&self.state, rules, &submission);
        for record in &decision.records {
            self.state.apply(record).map_err(|e| e.to_string())?;
        }
        self.records.extend(decision.records.iter().cloned());
        self.clock += 1_000;
        Ok(decision)
    }

    /// A step on the way to the attempt: refused, it is no attempt.
    pub(super) fn must(&mut self, who: &str, request: Request) -> Lead<Vec<Record>> {
        let what = request.word();
        let decision = self.ask(who, request)?;
        match decision.refusal {
            None => Ok(decision.records),
            Some(refusal) => Err(format!("`{what}` by `{who}` on the way there: {refusal}")),
        }
    }

    /// The attempt: refused with one of these codes, recorded as that, and nothing else has come of it.
    pub(super) fn refused(&mut self, who: &str, request: Request, codes: &[Code]) -> Lead<String> {
        let what = request.word();
        let mut before = self.state.clone();
        let decision = self.ask(who, request)?;
        let Some(refusal) = decision.refusal else {
            return Err(format!("`{what}` by `{who}` was NOT refused"));
        };
        if !codes.contains(&refusal.code) {
            return Err(format!(
                "`{what}` by `{who}` was refused otherwise: {refusal}"
            ));
        }
        (before.size, before.time) = (self.state.size, self.state.time);
        let [record] = &decision.records[..] else {
            return Err(format!("`{what}` by `{who}` left more than its refusal"));
        };
        if record.body.kind() != "request.refused" || before != self.state {
            return Err(format!("`{what}` by `{who}` changed the state"));
        }
        Ok(format!("{}, record {}", refusal.code.word(), record.seq))
    }

    pub(super) fn id_of(&self, duty: Duty) -> Lead<PrincipalId> {
        let agent = self.release.team().with_duty(duty).next();
        agent
            .map(|a| a.id.clone())
            .ok_or_else(|| format!("the team has nobody to {}", duty.word()))
    }

    /// An action with an effect: that of a threshold where there is one, else of the first such tool.
    pub(super) fn action(&self) -> Lead<Action> {
        let team = self.release.team();
        if let Some((t, _)) = self.release.thresholds().first() {
            let sum = t.sum_field.clone().map(|field| (field, Value::from(1)));
            let key = t.key_field.clone();
            let key = key.map(|field| (field, Value::from("control-test")));
            // One that counts alone says nothing of arguments, and attempts need one to change.
            let none = sum.is_none() && key.is_none();
            let other = none.then(|| ("control_test".to_owned(), Value::from(1)));
            return Ok(Action {
                tool: t.tool.clone(),
                arguments: sum.into_iter().chain(key).chain(other).collect(),
            });
        }
        let tool = team.tools.values().find(|t| t.effect);
        let tool = tool.ok_or("the release has no tool with an effect")?;
        Ok(Action {
            tool: tool.name.clone(),
            arguments: Map::from_iter([("control_test".to_owned(), Value::from(1))]),
        })
    }

    pub(super) fn clause(&self) -> Lead<ClauseRef> {
        let now = Time::from_millis(self.clock);
        let clause = self.release.clauses().iter().find(|c| c.in_force(now));
        clause
            .map(policy::Clause::reference)
            .ok_or_else(|| format!("the release has no clause that is in force at {now}"))
    }

    /// A clause, and those that the release binds to actions.
    fn clauses(&self) -> Lead<Vec<ClauseRef>> {
        let now = Time::from_millis(self.clock);
        let bound = self.release.bound_clauses();
        let bound = bound
            .into_iter()
            .filter_map(|id| self.release.clause(id, now));
        let clauses: BTreeSet<_> = std::iter::once(self.clause()?)
            .chain(bound.cloned())
            .collect();
        Ok(clauses.into_iter().collect())
    }

    pub(super) fn opening(&self, case: &str) -> Lead<Request> {
        Ok(Request::OpenCase(OpenCase {
            case: name(case)?,
            environment: name(ENV)?,
            subject: format!("subject of {case}"),
            snapshot: Digest::of_bytes(b"source"),
        }))
    }

    pub(super) fn retrieving(&self, case: &str) -> Lead<Request> {
        Ok(Request::Retrieve(Retrieve {
            case: name(case)?,
            query: "control test".to_owned(),
            vector: None,
            as_of: None,
            ranking: self
                .clauses()?
                .into_iter()
                .map(|clause| Ranked {
                    clause,
                    score_milli: 1,
                })
                .collect(),
        }))
    }

    /// A recommendation as the release wants it.
    pub(super) fn recommendation(&self, case: &str, duty: Duty, action: Action) -> Lead<Recommend> {
        let agent = self.release.team().with_duty(duty).next();
        let agent = agent.ok_or_else(|| format!("the team has nobody to {}", duty.word()))?;
        let case: CaseId = name(case)?;
        let said = self.state.cases.get(&case).and_then(|known| {
            let last = known.models.iter().rfind(|m| m.agent == agent.id)?;
            last.answer.as_ref()?.snapshot
        });
        Ok(Recommend {
            case,
            duty,
            stance: Stance::Proceed,
            action: Some(action),
            confidence: 100,
            rationale: "a control test".to_owned(),
            clauses: self.clauses()?,
            quotes: Vec::new(),
            model: agent.model.clone().unwrap_or_default(),
            prompt: Some(agent.prompt),
            row: None,
            inputs: std::iter::once(Digest::of_bytes(b"source"))
                .chain(said)
                .collect(),
        })
    }

    /// The language model of an agent has said what the agent is about to recommend; nothing for one without.
    fn said(&mut self, case: &str, duty: Duty) -> Lead {
        let team = self.release.team();
        let Some(agent) = team.with_duty(duty).next().cloned() else {
            return Ok(());
        };
        let Some(language) = agent.language else {
            return Ok(());
        };
        // Supposed: that no budget of a day is used.
        self.state.spent.clear();
        let asked = CallModel {
            case: name(case)?,
            model: agent.model.unwrap_or_default(),
            prompt: agent.prompt,
            parameters: language.parameters,
            snapshot: Digest::of_bytes(b"question"),
            bytes: 0,
            attempt: 1,
            redacted: BTreeMap::new(),
        };
        let records = self.must(agent.id.as_str(), Request::CallModel(asked))?;
        let call = records.iter().find_map(|r| match &r.body {
            Body::ModelCalled(body) => Some(body.call.clone()),
            _ => None,
        });
        let heard = AnswerModel {
            call: call.ok_or("the model was not asked")?,
            result: ModelResult::Usable,
            snapshot: Some(Digest::of_bytes(b"answer")),
            model: language.answers_as.into_iter().next(),
            tokens: None,
            status: None,
            latency_ms: 0,
            problem: None,
        };
        self.must("scene-engine", Request::AnswerModel(heard))?;
        Ok(())
    }

    /// A case prepared, and about to be reviewed.
    pub(super) fn prepared(&mut self, case: &str, action: &Action) -> Lead {
        let opening = self.opening(case)?;
        self.must("scene-engine", opening)?;
        let (analyst, reviewer) = (self.id_of(Duty::Prepare)?, self.id_of(Duty::Review)?);
        let retrieving = self.retrieving(case)?;
        self.must(analyst.as_str(), retrieving.clone())?;
        self.said(case, Duty::Prepare)?;
        let made = self.recommendation(case, Duty::Prepare, action.clone())?;
        self.must(analyst.as_str(), Request::Recommend(made))?;
        self.must(reviewer.as_str(), retrieving)?;
        self.said(case, Duty::Review)
    }

    /// A case that both agents would proceed with, at a supposed risk; the verdict's records.
    pub(super) fn judged(&mut self, case: &str, action: Action, tier: Tier) -> Lead<Vec<Record>> {
        self.prepared(case, &action)?;
        let reviewer = self.id_of(Duty::Review)?;
        let made = self.recommendation(case, Duty::Review, action)?;
        self.suppose.passes_at = Some(tier);
        let done = self.must(reviewer.as_str(), Request::Recommend(made));
        self.suppose.passes_at = None;
        done
    }

    /// A case that waits for humans; thresholds that nobody signed cover nothing.
    pub(super) fn waiting(&mut self, case: &str, tier: Tier) -> Lead {
        let action = self.action()?;
        // Supposed: that the release lets one more wait.
        self.state.waiting.clear();
        let records = self.judged(case, action, tier)?;
        match records
            .iter()
            .any(|r| r.body.kind() == "approval.requested")
        {
            true => {
                // As long as the release gives people to read.
                let quorum = self.release.team().approval.get(&tier);
                let pace = quorum.and_then(|q| q.pace).map_or(0, |p| p.seconds);
                self.clock += 1_000 * i64::from(pace);
                Ok(())
            }
            false => Err("the case does not wait for humans".to_owned()),
        }
    }

    pub(super) fn approval(&self, case: &str, who: &str) -> Lead<ApprovalStatement> {
        let case: CaseId = name(case)?;
        let known = self.state.cases.get(&case).ok_or("the case is not open")?;
        let approval = known.approval.as_ref().ok_or("the case does not wait")?;
        Ok(ApprovalStatement {
            statement: ApprovalStatement::TYPE.to_owned(),
            log: ORIGIN.to_owned(),
            approval: approval.id.clone(),
            case,
            action: approval.digest,
            release: known.release,
            env: known.env.clone(),
            expires: approval.expires,
            signed: Time::from_millis(self.clock),
            decision: Choice::Approve,
            overrides: differs(known, Choice::Approve),
            reason: "a control test".to_owned(),
            code: None,
            stage: self.stages.get(who).cloned(),
            on_behalf: None,
            signer: name(who)?,
            credential: credential(who)?,
        })
    }

    pub(super) fn approve(&self, case: &str, who: &str) -> Lead<Request> {
        Ok(Request::Approve(sign(self.approval(case, who)?, who)?))
    }

    /// A case that enough humans approved.
    pub(super) fn granted(&mut self, case: &str, tier: Tier) -> Lead {
        self.waiting(case, tier)?;
        for n in 0..self.quorum(case)? {
            let who = approver(tier, n);
            let yes = self.approve(case, &who)?;
            self.must(&who, yes)?;
        }
        Ok(())
    }

    /// How many humans a waiting case asks for.
    fn quorum(&self, case: &str) -> Lead<u32> {
        let known = self.state.cases.get(&name::<CaseId>(case)?);
        let approval = known.and_then(|c| c.approval.as_ref());
        Ok(approval.ok_or("the case does not wait")?.humans)
    }

    /// A reason code, where the release asks for one.
    pub(super) fn code(&self) -> Option<ReasonCode> {
        let overrides = self.release.team().overrides.as_ref()?;
        overrides.codes.first().cloned()
    }

    pub(super) fn using(&self, case: &str, action: Action) -> Lead<Request> {
        let tool = self.release.team().tools.get(&action.tool);
        Ok(Request::UseGrant(UseGrant {
            grant: name::<ItemId>(&format!("{case}.g1"))?,
            described: tool.and_then(|t| t.pinned),
            action,
        }))
    }

    /// Whether a verdict gave a grant without humans.
    pub(super) fn automatic(records: &[Record]) -> bool {
        records
            .iter()
            .any(|r| matches!(r.body, Body::GrantIssued(_)))
    }
}

/// Places of approvers with the stage of each: as many as are asked for, stage by stage, and one more.
fn places<'t>(team: &'t Team, quorum: &'t Quorum) -> impl Iterator<Item = (u32, &'t Stage)> {
    let steps = team.human_steps.iter().map(|step| step.humans);
    let most = steps.fold(quorum.humans(), u32::max);
    let stages = quorum.stages.iter();
    let places = stages.flat_map(|stage| (0..stage.humans).map(move |_| stage));
    (0..=most).zip(places.chain(quorum.stages.last().into_iter().cycle()))
}

/// Longer than any scene plays.
const CERTIFIED_MINUTES: u32 = 60 * 24 * 365;

/// The name of somebody who assesses courses, by their role.
pub(super) fn assessor(role: Role) -> String {
    format!("scene-assessor-{}", role.word())
}

/// The name of an approver of a tier.
pub(super) fn approver(tier: Tier, n: u32) -> String {
    format!("scene-{}-{n}", tier.word())
}
