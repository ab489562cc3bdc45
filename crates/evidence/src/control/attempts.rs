//! The attempted violations. Each plays in a scene of its own; each must be refused, or seen.

use duty::{
    action::Action,
    canonical::{self, Digest},
    freeze::Scope,
    name::CaseId,
    principal::{Duty, Role},
    refusal::Code,
    release::{Rules, Threshold, Tier, Unit},
    request::{
        Call, FoundBy, Freeze, NoteOverdue, OpenCase, Outcome, Promote, Quote, Recommend,
        RecordOutcome, Request, RevokePrincipal,
    },
    statement::{
        Choice, ConfirmationStatement, DelegationStatement, ErasureStatement, GlassStatement,
        HoldStatement, WithdrawalStatement,
    },
    subject::SubjectId,
    time::Time,
};
use policy::Release;
use serde_json::{Map, Value};

use super::scene::{
    AUTHOR, ENV, Lead, ORIGIN, PROMOTER, Scene, agent, approver, credential, human, name, sign,
};

/// What an attempt came to; the error of the attempt itself is a control that failed.
pub(super) enum Tried {
    /// Refused, or seen: how.
    Held(String),
    /// The release offers nothing to try it on: why.
    NotApplicable(String),
}

/// An attempt.
pub(super) type Attempt = fn(&Release) -> Lead<Tried>;

fn held(what: impl Into<String>) -> Lead<Tried> {
    Ok(Tried::Held(what.into()))
}

const CASE: &str = "attempt";
const ADMIN: &str = "scene-admin";
const ENGINE: &str = "scene-engine";

pub(super) fn agent_approves(release: &Release) -> Lead<Tried> {
    let mut scene = Scene::new(release)?;
    scene.waiting(CASE, Tier::High)?;
    let mut seen = Vec::new();
    for duty in [Duty::Prepare, Duty::Review, Duty::Execute] {
        let who = scene.id_of(duty)?.to_string();
        let yes = scene.approve(CASE, &who)?;
        seen.push(scene.refused(&who, yes, &[Code::NotHuman])?);
    }
    held(seen.join("; "))
}

pub(super) fn owner_approves(release: &Release) -> Lead<Tried> {
    let mut scene = Scene::new(release)?;
    scene.waiting(CASE, Tier::High)?;
    let mut seen = Vec::new();
    for agent in release.team().agents.clone() {
        let who = agent.owner.to_string();
        let yes = scene.approve(CASE, &who)?;
        seen.push(scene.refused(&who, yes, &[Code::Conflicted])?);
    }
    held(seen.join("; "))
}

pub(super) fn approver_executes(release: &Release) -> Lead<Tried> {
    let mut scene = Scene::new(release)?;
    scene.granted(CASE, Tier::High)?;
    let action = scene.action()?;
    let using = scene.using(CASE, action)?;
    let mut seen = Vec::new();
    // A signing key signs, and does nothing else.
    seen.push(scene.refused(
        &approver(Tier::High, 0),
        using.clone(),
        &[Code::NotYourDuty],
    )?);
    for duty in [Duty::Prepare, Duty::Review] {
        let who = scene.id_of(duty)?.to_string();
        seen.push(scene.refused(&who, using.clone(), &[Code::NotYourDuty])?);
    }
    held(seen.join("; "))
}

pub(super) fn conflicting_roles(release: &Release) -> Lead<Tried> {
    let mut scene = Scene::new(release)?;
    let owner = release.team().agents.first().map(|a| a.owner.clone());
    let owner = owner.ok_or("the team has no agent")?;
    let duties = [Role::Analyst, Role::Reviewer, Role::Executor];
    let mut tried = 0;
    for (i, a) in duties.iter().enumerate() {
        for b in &duties[i + 1..] {
            let mut both = agent("scene-both", *a, &owner)?;
            both.roles = vec![*a, *b];
            scene.refused(ADMIN, Request::AddPrincipal(both), &[Code::NotIndependent])?;
            tried += 1;
        }
    }
    for other in [Role::Admin, Role::Auditor] {
        let both = human("scene-both", &[Role::Approver, other])?;
        scene.refused(ADMIN, Request::AddPrincipal(both), &[Code::NotIndependent])?;
        tried += 1;
    }
    held(format!("{tried} pairs of roles, each not-independent"))
}

pub(super) fn sub_agent(release: &Release) -> Lead<Tried> {
    let mut scene = Scene::new(release)?;
    let analyst = scene.id_of(Duty::Prepare)?;
    let owner = release.team().agent(&analyst).map(|a| a.owner.clone());
    let owner = owner.ok_or("the team has no agent")?;
    let mut sub = agent("scene-sub", Role::Reviewer, &owner)?;
    sub.acts_for = Some(analyst.clone());
    let assigned = scene.refused(ADMIN, Request::AddPrincipal(sub), &[Code::NotIndependent])?;
    // As one that does what it acts for: it still is nobody in the case.
    let mut sub = agent("scene-sub", Role::Analyst, &owner)?;
    sub.acts_for = Some(analyst);
    scene.add(sub)?;
    let action = scene.action()?;
    scene.prepared(CASE, &action)?;
    let review = scene.recommendation(CASE, Duty::Review, action)?;
    let reviewed = scene.refused(
        "scene-sub",
        Request::Recommend(review),
        &[Code::NotYourDuty],
    )?;
    held(format!("{assigned}; {reviewed}"))
}

pub(super) fn shared_key(release: &Release) -> Lead<Tried> {
    let mut scene = Scene::new(release)?;
    let alias = {
        let mut alias = human("scene-alias", &[Role::Approver])?;
        alias.credentials[0].proof = human(PROMOTER, &[Role::Owner])?.credentials[0]
            .proof
            .clone();
        alias
    };
    held(scene.refused(ADMIN, Request::AddPrincipal(alias), &[Code::NotIndependent])?)
}

pub(super) fn same_signer_twice(release: &Release) -> Lead<Tried> {
    let mut scene = Scene::new(release)?;
    let many = release.team().approval.iter().find(|(_, q)| q.humans() > 1);
    let Some((tier, _)) = many.map(|(t, q)| (*t, q.humans())) else {
        return Ok(Tried::NotApplicable(
            "no risk of this release needs more than one human".to_owned(),
        ));
    };
    scene.waiting(CASE, tier)?;
    let who = approver(tier, 0);
    let yes = scene.approve(CASE, &who)?;
    scene.must(&who, yes.clone())?;
    let again = scene.refused(&who, yes, &[Code::Replayed])?;
    let case: CaseId = name(CASE)?;
    match scene
        .state
        .cases
        .get(&case)
        .is_some_and(|c| c.grant.is_some())
    {
        true => Err("one signer was enough for a quorum of more".to_owned()),
        false => held(again),
    }
}

/// `who` signs that a case cannot wait.
fn glass(scene: &Scene<'_>, case: &str, who: &str) -> Lead<Request> {
    let asked = scene.approval(case, who)?;
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
    Ok(Request::BreakGlass(sign(statement, who)?))
}

pub(super) fn glass_again(release: &Release) -> Lead<Tried> {
    let mut scene = Scene::new(release)?;
    scene.waiting(CASE, Tier::Elevated)?;
    let who = "scene-glass";
    let Some(way) = release.team().break_glass.clone() else {
        let who = approver(Tier::Elevated, 0);
        let broken = glass(&scene, CASE, &who)?;
        return held(scene.refused(&who, broken, &[Code::GlassClosed])?);
    };
    scene.add(human(who, &[way.role])?)?;
    scene.certify(who, &way.certification)?;
    let first = glass(&scene, CASE, who)?;
    scene.must(who, first)?;
    scene.waiting("attempt-2", Tier::Elevated)?;
    let again = glass(&scene, "attempt-2", who)?;
    let again = scene.refused(who, again, &[Code::GlassClosed])?;
    // Nobody reviews it: when its time is over that is an alarm.
    scene.clock += i64::from(way.review_minutes) * 60_000;
    let overdue = NoteOverdue {
        grant: name(&format!("{CASE}.g1"))?,
    };
    let records = scene.must(ENGINE, Request::NoteOverdue(overdue))?;
    let alarm = records.first().map(|r| r.seq).unwrap_or_default();
    held(format!("{again}; overdue, record {alarm}"))
}

pub(super) fn worn_down(release: &Release) -> Lead<Tried> {
    let mut seen = Vec::new();
    let paced = release.team().approval.iter();
    for (tier, quorum) in paced {
        let Some(pace) = quorum.pace else { continue };
        let mut scene = Scene::new(release)?;
        scene.waiting(CASE, *tier)?;
        // At the very moment at which it was asked.
        scene.clock = scene.state.time.millis();
        let who = approver(*tier, 0);
        let yes = scene.approve(CASE, &who)?;
        if pace.refuse {
            seen.push(scene.refused(&who, yes, &[Code::TooSoon])?);
        } else {
            let records = scene.must(&who, yes)?;
            let raised = |r: &duty::record::Record| r.body.kind() == "exception.raised";
            let raised = records.iter().find(|r| raised(r));
            let raised = raised.ok_or("a hasty yes raised no exception")?;
            seen.push(format!("exception, record {}", raised.seq));
        }
    }
    let most = release.team().attention.as_ref();
    if let Some(most) = most.and_then(|a| a.max_per_hour) {
        let mut scene = Scene::new(release)?;
        scene.waiting(CASE, Tier::Elevated)?;
        let who = approver(Tier::Elevated, 0);
        let now = duty::time::Time::from_millis(scene.clock);
        let person = scene.state.principals.get_mut(&name(&who)?);
        let person = person.ok_or("the approver is not there")?;
        // Supposed: that the person signed as often as counts, a while ago, and within the hour.
        person.signed = vec![now.minus_minutes(30); most as usize];
        let yes = scene.approve(CASE, &who)?;
        seen.push(scene.refused(&who, yes, &[Code::TooMany])?);
    }
    if seen.is_empty() {
        return Ok(Tried::NotApplicable(
            "the release bounds neither how soon nor how much a person signs".to_owned(),
        ));
    }
    held(seen.join("; "))
}

pub(super) fn administrator_audits(release: &Release) -> Lead<Tried> {
    let mut scene = Scene::new(release)?;
    let both = human("scene-both", &[Role::Admin, Role::Auditor])?;
    let assigned = scene.refused(ADMIN, Request::AddPrincipal(both), &[Code::NotIndependent])?;
    let auditor = human("scene-auditor", &[Role::Auditor])?;
    scene.add(auditor)?;
    scene.waiting(CASE, Tier::High)?;
    let yes = scene.approve(CASE, "scene-auditor")?;
    let signs = scene.refused("scene-auditor", yes, &[Code::NotYourDuty])?;
    let opening = scene.opening("attempt-2")?;
    let acts = scene.refused(ADMIN, opening, &[Code::NotYourDuty])?;
    held(format!("{assigned}; {signs}; {acts}"))
}

pub(super) fn tool_not_listed(release: &Release) -> Lead<Tried> {
    let mut scene = Scene::new(release)?;
    let opening = scene.opening(CASE)?;
    scene.must(ENGINE, opening)?;
    let analyst = scene.id_of(Duty::Prepare)?.to_string();
    let call = |tool: &str| -> Lead<Request> {
        Ok(Request::Call(Call {
            case: name(CASE)?,
            action: Action {
                tool: tool.to_owned(),
                arguments: Map::new(),
            },
            described: None,
        }))
    };
    let unknown = scene.refused(
        &analyst,
        call("control-test.unlisted")?,
        &[Code::NotPermitted],
    )?;
    let action = scene.action()?;
    let effect = scene.refused(
        &analyst,
        call(&action.tool)?,
        &[Code::NotPermitted, Code::NeedsGrant],
    )?;
    held(format!("{unknown}; {effect}"))
}

pub(super) fn revoked_or_foreign_credential(release: &Release) -> Lead<Tried> {
    let mut scene = Scene::new(release)?;
    let opening = scene.opening(CASE)?;
    scene.must(ENGINE, opening)?;
    let analyst = scene.id_of(Duty::Prepare)?;
    let retrieving = scene.retrieving(CASE)?;
    // The analyst's name with the reviewer's credential.
    let foreign = duty::request::Submission {
        clock: duty::time::Time::from_millis(scene.clock),
        principal: analyst.clone(),
        credential: credential(scene.id_of(Duty::Review)?.as_str())?,
        request: retrieving.clone(),
    };
    let answer = duty::decide(&scene.state, Some(release as &dyn Rules), &foreign);
    let foreign = match answer.refusal {
        Some(refusal) if refusal.code == Code::UnknownPrincipal => refusal.code.word(),
        other => return Err(format!("a foreign credential came to {other:?}")),
    };
    let revoke = RevokePrincipal {
        principal: analyst.clone(),
        reason: "a control test".to_owned(),
    };
    scene.must(ADMIN, Request::RevokePrincipal(revoke))?;
    let revoked = scene.refused(analyst.as_str(), retrieving, &[Code::Revoked])?;
    held(format!("{foreign}; {revoked}"))
}

pub(super) fn altered_clause(release: &Release) -> Lead<Tried> {
    let mut scene = Scene::new(release)?;
    let opening = scene.opening(CASE)?;
    scene.must(ENGINE, opening)?;
    let analyst = scene.id_of(Duty::Prepare)?.to_string();
    let retrieving = scene.retrieving(CASE)?;
    scene.must(&analyst, retrieving)?;
    let action = scene.action()?;
    let made = scene.recommendation(CASE, Duty::Prepare, action)?;
    let mut seen = Vec::new();
    let mut try_with = |change: fn(&mut Recommend)| -> Lead {
        let mut made = made.clone();
        change(&mut made);
        seen.push(scene.refused(&analyst, Request::Recommend(made), &[Code::BadCitation])?);
        Ok(())
    };
    try_with(|made| made.clauses[0].digest = Digest::of_bytes(b"altered"))?;
    try_with(|made| made.clauses[0].version.push('x'))?;
    try_with(|made| made.clauses[0].id = "NONE-0.0".to_owned())?;
    try_with(|made| made.clauses.clear())?;
    try_with(|made| {
        made.quotes.push(Quote {
            clause: made.clauses[0].id.clone(),
            words: "words that no clause has: \u{2205}".to_owned(),
        });
    })?;
    held(seen.join("; "))
}

/// A second release in the scene's log; nobody signed or tested it.
fn second(scene: &mut Scene<'_>) -> Lead<Digest> {
    let content = "a control test".to_owned();
    let files = [(
        "control-test".to_owned(),
        Digest::of_bytes(content.as_bytes()),
    )];
    scene.build([content], files.into_iter().collect())
}

pub(super) fn unilateral_change(release: &Release) -> Lead<Tried> {
    let mut scene = Scene::new(release)?;
    let other = second(&mut scene)?;
    let unsigned = Request::Promote(Promote {
        environment: name(ENV)?,
        release: other,
    });
    let unsigned = scene.refused(ADMIN, unsigned, &[Code::NotHuman])?;
    let promote = scene.promotion(PROMOTER, other)?;
    let nobodys = scene.refused(PROMOTER, promote, &[Code::AuthorMissing])?;
    let authored = scene.authored(AUTHOR, other)?;
    scene.must(AUTHOR, authored)?;
    let promote = scene.promotion(PROMOTER, other)?;
    let untested = scene.refused(PROMOTER, promote, &[Code::TestsMissing])?;
    let tested = scene.tested(other);
    scene.must(ENGINE, tested)?;
    let promote = scene.promotion(AUTHOR, other)?;
    let own = scene.refused(AUTHOR, promote, &[Code::AuthorPromotes])?;
    held([unsigned, nobodys, untested, own].join("; "))
}

pub(super) fn approval_of_another_environment(release: &Release) -> Lead<Tried> {
    let mut scene = Scene::new(release)?;
    scene.waiting(CASE, Tier::High)?;
    let who = approver(Tier::High, 0);
    let mut statement = scene.approval(CASE, &who)?;
    statement.env = name("dev")?;
    let request = Request::Approve(sign(statement, &who)?);
    held(scene.refused(&who, request, &[Code::WrongBinding])?)
}

pub(super) fn older_release(release: &Release) -> Lead<Tried> {
    let mut scene = Scene::new(release)?;
    scene.waiting(CASE, Tier::High)?;
    let who = approver(Tier::High, 0);
    let yes = scene.approve(CASE, &who)?;
    let other = second(&mut scene)?;
    let authored = scene.authored(AUTHOR, other)?;
    scene.must(AUTHOR, authored)?;
    let tested = scene.tested(other);
    scene.must(ENGINE, tested)?;
    let promote = scene.promotion(PROMOTER, other)?;
    scene.must(PROMOTER, promote)?;
    held(scene.refused(&who, yes, &[Code::ReleaseMoved])?)
}

pub(super) fn case_without_release(release: &Release) -> Lead<Tried> {
    let mut scene = Scene::new(release)?;
    let opening = Request::OpenCase(OpenCase {
        case: name(CASE)?,
        environment: name("never-promoted")?,
        subject: "nobody".to_owned(),
        snapshot: Digest::of_bytes(b"source"),
    });
    held(scene.refused(ENGINE, opening, &[Code::PolicyMissing])?)
}

pub(super) fn drifted(release: &Release) -> Lead<Tried> {
    let mut scene = Scene::new(release)?;
    let opening = scene.opening(CASE)?;
    scene.must(ENGINE, opening)?;
    let analyst = scene.id_of(Duty::Prepare)?.to_string();
    let retrieving = scene.retrieving(CASE)?;
    scene.must(&analyst, retrieving)?;
    let action = scene.action()?;
    let made = scene.recommendation(CASE, Duty::Prepare, action)?;
    let mut model = made.clone();
    model.model.push_str("-drifted");
    let model = scene.refused(&analyst, Request::Recommend(model), &[Code::ModelDrifted])?;
    let mut prompt = made.clone();
    prompt.prompt = Some(Digest::of_bytes(b"drifted"));
    let prompt = scene.refused(&analyst, Request::Recommend(prompt), &[Code::ModelDrifted])?;
    let mut unnamed = made.clone();
    unnamed.prompt = None;
    let unnamed = scene.refused(&analyst, Request::Recommend(unnamed), &[Code::ModelDrifted])?;
    let mut seen = vec![model, prompt, unnamed];
    let agent = release.team().with_duty(Duty::Prepare).next();
    if agent.is_some_and(|a| a.language.is_some()) {
        let unheard = Request::Recommend(made);
        seen.push(scene.refused(&analyst, unheard, &[Code::ModelUnheard])?);
    }
    held(seen.join("; "))
}

/// The tier, the greatest amount and the moments of the first threshold.
fn no_threshold() -> Lead<Tried> {
    Ok(Tried::NotApplicable(
        "the release has no threshold".to_owned(),
    ))
}

pub(super) fn unsigned_threshold(release: &Release) -> Lead<Tried> {
    let Some((threshold, _)) = release.thresholds().first() else {
        return no_threshold();
    };
    let mut scene = Scene::new(release)?;
    let action = scene.action()?;
    let records = scene.judged(CASE, action, threshold.tier)?;
    match Scene::automatic(&records) {
        true => Err("a threshold that nobody signed gave a grant".to_owned()),
        false => held("humans were asked"),
    }
}

pub(super) fn expired_threshold(release: &Release) -> Lead<Tried> {
    let Some((threshold, _)) = release.thresholds().first() else {
        return no_threshold();
    };
    let mut scene = Scene::new(release)?;
    scene.sign_thresholds()?;
    let action = scene.action()?;
    let records = scene.judged("in-force", action.clone(), threshold.tier)?;
    if !Scene::automatic(&records) {
        return Err("the threshold covers nothing even while it is in force".to_owned());
    }
    scene.clock = threshold.expires.millis();
    // So that nothing but the threshold is over.
    scene.train()?;
    let records = scene.judged(CASE, action, threshold.tier)?;
    match Scene::automatic(&records) {
        true => Err("an expired threshold gave a grant".to_owned()),
        false => held("humans were asked"),
    }
}

pub(super) fn over_the_limit(release: &Release) -> Lead<Tried> {
    let Some((threshold, _)) = release.thresholds().first() else {
        return no_threshold();
    };
    let Some((field, limit)) = threshold.sum_field.as_ref().zip(threshold.single_limit) else {
        return Ok(Tried::NotApplicable(
            "the first threshold sums nothing".to_owned(),
        ));
    };
    let mut scene = Scene::new(release)?;
    scene.sign_thresholds()?;
    let mut seen = Vec::new();
    for (case, amount) in [
        ("over", limit.saturating_add(1)),
        ("minus", -1),
        ("none", 0),
    ] {
        let mut action = scene.action()?;
        action
            .arguments
            .insert(field.clone(), in_its_unit(threshold, amount));
        let records = scene.judged(case, action, threshold.tier)?;
        if Scene::automatic(&records) {
            return Err(format!(
                "{} went through under a limit of {}",
                threshold.say(amount),
                threshold.say(limit)
            ));
        }
        seen.push(format!("{}: humans were asked", threshold.say(amount)));
    }
    held(seen.join("; "))
}

/// An amount as the argument that a threshold sums has it.
fn in_its_unit(threshold: &Threshold, amount: i64) -> Value {
    match threshold.unit {
        None => Value::from(amount),
        Some(Unit::TenThousandths) => {
            let mut value = Value::from(amount as f64 / 10_000.0);
            canonical::normalise(&mut value);
            value
        }
    }
}

/// The most cases that an attempt on a cap opens.
const MOST: u32 = 200;

pub(super) fn split_under_the_cap(release: &Release) -> Lead<Tried> {
    let Some((threshold, _)) = release.thresholds().first() else {
        return no_threshold();
    };
    let mut scene = Scene::new(release)?;
    scene.sign_thresholds()?;
    let caps = threshold.caps;
    let (mut count, mut sum) = (0_u32, 0_i64);
    let most = caps.per_key.map_or(u32::MAX, |cap| cap.count);
    let most = most.min(caps.all.count);
    let sums = [caps.all.sum, caps.per_key.and_then(|cap| cap.sum)];
    let most_sum = sums.into_iter().flatten().min().unwrap_or(i64::MAX);
    for n in 0..MOST {
        let amount = threshold.single_limit.unwrap_or(0);
        let mut action = scene.action()?;
        if let Some(field) = &threshold.sum_field {
            action
                .arguments
                .insert(field.clone(), in_its_unit(threshold, amount));
        }
        let records = scene.judged(&format!("split-{n}"), action, threshold.tier)?;
        let room = count < most && sum.saturating_add(amount) <= most_sum;
        match (Scene::automatic(&records), room) {
            (true, true) => (count, sum) = (count + 1, sum.saturating_add(amount)),
            (false, false) => {
                return held(format!(
                    "after {count} actions of {sum} in all humans were asked"
                ));
            }
            (true, false) => {
                return Err(format!("action {} of {amount} went over the caps", n + 1));
            }
            (false, true) if suspected(&records) => {
                return held(format!(
                    "after {count} actions of {sum} in all they were taken for parts of one, and humans were asked"
                ));
            }
            (false, true) => {
                return Err(format!("action {} was held although there was room", n + 1));
            }
        }
    }
    Ok(Tried::NotApplicable(format!(
        "{MOST} actions do not come to the caps"
    )))
}

fn suspected(records: &[duty::record::Record]) -> bool {
    records.iter().any(|r| {
        matches!(&r.body, duty::record::Body::ExceptionRaised(b)
            if b.sort == duty::record::ExceptionSort::SplitSuspected)
    })
}

/// Parts of one, each for itself under the limit and with room under the caps.
pub(super) fn parts_of_one(release: &Release) -> Lead<Tried> {
    let first = release.thresholds().first();
    let Some((threshold, split)) = first.and_then(|(t, _)| Some((t, t.split?))) else {
        return Ok(Tried::NotApplicable(
            "no threshold of the release looks for splitting".to_owned(),
        ));
    };
    let mut scene = Scene::new(release)?;
    scene.sign_thresholds()?;
    let limit = threshold.most_of_parts().unwrap_or(i64::MAX);
    let most = split.count.unwrap_or(u32::MAX);
    let (mut count, mut sum) = (0_u32, 0_i64);
    for n in 0..MOST {
        let part = limit / 2 + 1;
        let amount = threshold
            .single_limit
            .map_or(0, |most| most.min(part).max(1));
        let mut action = scene.action()?;
        if let Some(field) = &threshold.sum_field {
            action
                .arguments
                .insert(field.clone(), in_its_unit(threshold, amount));
        }
        let records = scene.judged(&format!("part-{n}"), action, threshold.tier)?;
        (count, sum) = (count + 1, sum.saturating_add(amount));
        let over = count > 1 && (sum > limit || count > most);
        match (Scene::automatic(&records), suspected(&records), over) {
            (false, true, true) => {
                return held(format!(
                    "part {count}, with which they come to {sum}: humans were asked, and the cases were named"
                ));
            }
            (true, _, true) => {
                return Err(format!(
                    "part {count}, with which they come to {sum}, went through"
                ));
            }
            (_, true, false) => {
                return Err(format!(
                    "{count} actions of {sum} in all were taken for parts of one"
                ));
            }
            (false, false, _) => {
                return Ok(Tried::NotApplicable(
                    "the caps are full before parts come to too much".to_owned(),
                ));
            }
            (true, false, false) => {}
        }
    }
    Ok(Tried::NotApplicable(format!(
        "{MOST} parts do not come to too much"
    )))
}

/// A threshold whose signer's credential ended by itself since.
pub(super) fn threshold_of_an_ended_key(release: &Release) -> Lead<Tried> {
    let Some((threshold, _)) = release.thresholds().first() else {
        return no_threshold();
    };
    let mut scene = Scene::new(release)?;
    scene.sign_thresholds()?;
    let revoke = duty::request::RevokeCredential {
        credential: credential(AUTHOR)?,
        reason: "a control test".to_owned(),
    };
    scene.must(ADMIN, Request::RevokeCredential(revoke))?;
    let action = scene.action()?;
    let records = scene.judged(CASE, action, threshold.tier)?;
    match Scene::automatic(&records) {
        true => Err("a threshold signed with a revoked credential gave a grant".to_owned()),
        false => held("humans were asked"),
    }
}

pub(super) fn forged_approval(release: &Release) -> Lead<Tried> {
    let mut scene = Scene::new(release)?;
    scene.waiting(CASE, Tier::High)?;
    let who = approver(Tier::High, 0);
    let analyst = scene.id_of(Duty::Prepare)?.to_string();
    let signed = sign(scene.approval(CASE, &who)?, &analyst)?;
    let forged = scene.refused(&who, Request::Approve(signed), &[Code::BadSignature])?;
    let mut changed = sign(scene.approval(CASE, &who)?, &who)?;
    changed.statement.decision = Choice::Reject;
    changed.statement.overrides = true;
    let changed = scene.refused(&who, Request::Approve(changed), &[Code::BadSignature])?;
    let mut other = scene.approval(CASE, &who)?;
    other.action = Digest::of_bytes(b"another action");
    let other = scene.refused(
        &who,
        Request::Approve(sign(other, &who)?),
        &[Code::WrongBinding],
    )?;
    held([forged, changed, other].join("; "))
}

pub(super) fn changed_after_approval(release: &Release) -> Lead<Tried> {
    let mut scene = Scene::new(release)?;
    scene.granted(CASE, Tier::High)?;
    let executor = scene.id_of(Duty::Execute)?.to_string();
    let action = scene.action()?;
    scene.suppose.passes_at = Some(Tier::High);
    let mut seen = Vec::new();
    for (what, changed) in changes(&action) {
        let using = scene.using(CASE, changed)?;
        let how = scene.refused(&executor, using, &[Code::WrongBinding, Code::Malformed])?;
        seen.push(format!("{what}: {how}"));
    }
    held(seen.join("; "))
}

/// An action with one thing changed, each in another way.
fn changes(action: &Action) -> Vec<(&'static str, Action)> {
    let with = |change: &dyn Fn(&mut Map<String, Value>)| {
        let mut changed = action.clone();
        change(&mut changed.arguments);
        changed
    };
    let mut changed = vec![
        (
            "an argument more",
            with(&|a| drop(a.insert("changed".to_owned(), Value::from("x")))),
        ),
        ("no argument", with(&Map::clear)),
        (
            "a key in another Unicode form",
            with(&|a| drop(a.insert("e\u{301}".to_owned(), Value::Null))),
        ),
    ];
    for (key, value) in &action.arguments {
        let other = |value: Value| with(&|a| drop(a.insert(key.clone(), value.clone())));
        match value {
            Value::Number(n) => {
                changed.push(("a number as a text", other(Value::from(n.to_string()))));
                changed.push((
                    "a number with a fraction",
                    other(Value::from(n.as_f64().unwrap_or_default() + 0.5)),
                ));
                changed.push((
                    "one more",
                    other(Value::from(n.as_i64().unwrap_or_default() + 1)),
                ));
            }
            Value::String(text) => {
                changed.push(("one byte more", other(Value::from(format!("{text} ")))));
                changed.push((
                    "another Unicode form",
                    other(Value::from(format!("{text}\u{200b}"))),
                ));
            }
            _ => {}
        }
    }
    changed
}

pub(super) fn blind_review(release: &Release) -> Lead<Tried> {
    let mut scene = Scene::new(release)?;
    let action = scene.action()?;
    scene.prepared(CASE, &action)?;
    let reviewer = scene.id_of(Duty::Review)?.to_string();
    let mut made = scene.recommendation(CASE, Duty::Review, action)?;
    made.inputs.clear();
    let blind = scene.refused(
        &reviewer,
        Request::Recommend(made.clone()),
        &[Code::SourcesMissing],
    )?;
    made.inputs = vec![Digest::of_bytes(b"the analyst's words")];
    let told = scene.refused(&reviewer, Request::Recommend(made), &[Code::Malformed])?;
    held(format!("no source: {blind}; something else: {told}"))
}

pub(super) fn used_twice(release: &Release) -> Lead<Tried> {
    let mut scene = Scene::new(release)?;
    scene.granted(CASE, Tier::High)?;
    let executor = scene.id_of(Duty::Execute)?.to_string();
    let action = scene.action()?;
    let using = scene.using(CASE, action)?;
    scene.suppose.passes_at = Some(Tier::High);
    scene.must(&executor, using.clone())?;
    held(scene.refused(&executor, using, &[Code::Replayed])?)
}

pub(super) fn frozen(release: &Release) -> Lead<Tried> {
    let mut scene = Scene::new(release)?;
    scene.granted(CASE, Tier::High)?;
    let executor = scene.id_of(Duty::Execute)?.to_string();
    let freeze = Freeze {
        scope: Scope::Team {
            team: release.team().name.clone(),
        },
        reason: "a control test".to_owned(),
    };
    scene.must(ADMIN, Request::Freeze(freeze))?;
    let action = scene.action()?;
    let using = scene.using(CASE, action)?;
    let opening = scene.opening("attempt-2")?;
    let uses = scene.refused(&executor, using, &[Code::Frozen])?;
    let opens = scene.refused(ENGINE, opening, &[Code::Frozen])?;
    held(format!("{uses}; {opens}"))
}

pub(super) fn rejection_without_reason(release: &Release) -> Lead<Tried> {
    let mut scene = Scene::new(release)?;
    scene.waiting(CASE, Tier::High)?;
    let who = approver(Tier::High, 0);
    let mut no = scene.approval(CASE, &who)?;
    (no.decision, no.overrides) = (Choice::Reject, false);
    let silent = scene.refused(
        &who,
        Request::Approve(sign(no.clone(), &who)?),
        &[Code::ReasonMissing],
    )?;
    (no.overrides, no.reason, no.code) = (true, String::new(), scene.code());
    let mute = scene.refused(
        &who,
        Request::Approve(sign(no, &who)?),
        &[Code::ReasonMissing],
    )?;
    held(format!(
        "an override not said to be one: {silent}; one without a reason: {mute}"
    ))
}

/// Who approves nothing in their own right, and is certified for all that this release asks for.
const DEPUTY: &str = "scene-deputy";

/// `approver` lets the deputy sign for them.
fn deputised(scene: &mut Scene<'_>, approver: &str) -> Lead {
    scene.add(human(DEPUTY, &[Role::Owner])?)?;
    let quorums = scene.release.team().approval.values();
    let stages = quorums.flat_map(|q| &q.stages);
    let mut courses: Vec<_> = stages.map(|s| s.certification.clone()).collect();
    courses.extend(scene.release.team().courses_of(Role::Approver).cloned());
    for course in courses {
        scene.certify(DEPUTY, &course)?;
    }
    let made = delegation(scene, approver, DEPUTY)?;
    scene.must(approver, made)?;
    Ok(())
}

fn delegation(scene: &Scene<'_>, from: &str, to: &str) -> Lead<Request> {
    let starts = Time::from_millis(scene.clock);
    let statement = DelegationStatement {
        statement: DelegationStatement::TYPE.to_owned(),
        log: ORIGIN.to_owned(),
        deputy: name(to)?,
        role: Role::Approver,
        starts,
        until: starts.plus_minutes(60 * 24),
        reason: "a control test".to_owned(),
        signer: name(from)?,
        credential: credential(from)?,
    };
    Ok(Request::Delegate(sign(statement, from)?))
}

/// The deputy's yes for `root`, in the stage of the one for whom it is.
fn yes_for(scene: &Scene<'_>, root: &str) -> Lead<Request> {
    let mut yes = scene.approval(CASE, root)?;
    yes.on_behalf = Some(name(root)?);
    (yes.signer, yes.credential) = (name(DEPUTY)?, credential(DEPUTY)?);
    Ok(Request::Approve(sign(yes, DEPUTY)?))
}

pub(super) fn laundering_by_delegation(release: &Release) -> Lead<Tried> {
    let mut scene = Scene::new(release)?;
    scene.waiting(CASE, Tier::High)?;
    let who = approver(Tier::High, 0);
    scene.add(human("scene-other", &[Role::Owner])?)?;
    let nobody = scene.refused(
        "scene-other",
        {
            let mut yes = scene.approval(CASE, &who)?;
            yes.on_behalf = Some(name(&who)?);
            (yes.signer, yes.credential) = (name("scene-other")?, credential("scene-other")?);
            Request::Approve(sign(yes, "scene-other")?)
        },
        &[Code::NotDelegated],
    )?;
    deputised(&mut scene, &who)?;
    let further = delegation(&scene, DEPUTY, "scene-other")?;
    let further = scene.refused(DEPUTY, further, &[Code::NotYourDuty])?;
    // Where one human is enough the deputy's yes would end the matter before the delegator's is tried.
    let yes = yes_for(&scene, &who)?;
    scene.must(DEPUTY, yes)?;
    let twice = scene.approve(CASE, &who)?;
    let twice = scene.refused(&who, twice, &[Code::Replayed])?;
    held(format!(
        "without a delegation: {nobody}; delegated on: {further}; delegator and deputy: {twice}"
    ))
}

pub(super) fn withdrawn_yes(release: &Release) -> Lead<Tried> {
    let mut scene = Scene::new(release)?;
    scene.granted(CASE, Tier::High)?;
    let who = approver(Tier::High, 0);
    let asked = scene.approval(CASE, &who)?;
    let statement = WithdrawalStatement {
        statement: WithdrawalStatement::TYPE.to_owned(),
        log: ORIGIN.to_owned(),
        approval: asked.approval.clone(),
        action: asked.action,
        reason: "a control test".to_owned(),
        signer: asked.signer.clone(),
        credential: asked.credential.clone(),
    };
    scene.must(&who, Request::Withdraw(sign(statement, &who)?))?;
    let executor = scene.id_of(Duty::Execute)?.to_string();
    let action = scene.action()?;
    let using = scene.using(CASE, action)?;
    scene.suppose.passes_at = Some(Tier::High);
    let used = scene.refused(&executor, using, &[Code::WrongState])?;
    let again = Request::Approve(sign(asked, &who)?);
    let again = scene.refused(&who, again, &[Code::Replayed])?;
    held(format!("its grant: {used}; the same yes again: {again}"))
}

pub(super) fn stage_of_others(release: &Release) -> Lead<Tried> {
    let mut approval = release.team().approval.iter();
    let staged = approval.find(|(_, q)| q.stages.len() > 1);
    let Some((tier, quorum)) = staged.map(|(t, q)| (*t, q.clone())) else {
        return Ok(Tried::NotApplicable(
            "no approval of this release has several stages".to_owned(),
        ));
    };
    let mut scene = Scene::new(release)?;
    scene.waiting(CASE, tier)?;
    let first = quorum.stages.first().ok_or("the quorum has no stage")?;
    let who = approver(tier, 0);
    let mut seen = Vec::new();
    if !first.attributes.is_empty() {
        let mut other = human("scene-bare", &[first.role])?;
        other.attributes.clear();
        scene.add(other)?;
        scene.certify("scene-bare", &first.certification)?;
        for course in release.team().courses_of(first.role) {
            scene.certify("scene-bare", course)?;
        }
        let mut yes = scene.approval(CASE, "scene-bare")?;
        yes.stage.clone_from(&first.name);
        let yes = Request::Approve(sign(yes, "scene-bare")?);
        let how = scene.refused("scene-bare", yes, &[Code::NotYourDuty])?;
        seen.push(format!("without the attribute: {how}"));
    }
    let yes = scene.approve(CASE, &who)?;
    scene.must(&who, yes)?;
    let mut again = scene.approval(CASE, &who)?;
    again.stage = quorum.stages.last().and_then(|s| s.name.clone());
    let again = Request::Approve(sign(again, &who)?);
    let how = scene.refused(&who, again, &[Code::Replayed])?;
    seen.push(format!("one person in two stages: {how}"));
    held(seen.join("; "))
}

pub(super) fn override_without_code(release: &Release) -> Lead<Tried> {
    let mut scene = Scene::new(release)?;
    if scene.code().is_none() {
        return Ok(Tried::NotApplicable(
            "the release lists no reason codes".to_owned(),
        ));
    }
    scene.waiting(CASE, Tier::High)?;
    let who = approver(Tier::High, 0);
    let mut no = scene.approval(CASE, &who)?;
    (no.decision, no.overrides) = (Choice::Reject, true);
    let without = Request::Approve(sign(no.clone(), &who)?);
    let without = scene.refused(&who, without, &[Code::CodeMissing])?;
    no.code = Some(name("control-test-unlisted")?);
    let other = Request::Approve(sign(no, &who)?);
    let other = scene.refused(&who, other, &[Code::CodeMissing])?;
    held(format!(
        "without one: {without}; one that is not listed: {other}"
    ))
}

pub(super) fn threshold_in_place_of_a_human(release: &Release) -> Lead<Tried> {
    let steps = &release.team().human_steps;
    let mut thresholds = release.thresholds().iter();
    let over = thresholds.find(|(t, _)| steps.iter().any(|step| step.tool == t.tool));
    let Some((threshold, _)) = over else {
        return Ok(Tried::NotApplicable(
            "no threshold is over a tool that always needs a human".to_owned(),
        ));
    };
    let mut scene = Scene::new(release)?;
    scene.sign_thresholds()?;
    scene.suppose.steps_hold = true;
    let action = scene.action()?;
    let records = scene.judged(CASE, action, threshold.tier)?;
    match Scene::automatic(&records) {
        true => Err("a threshold let through what always needs a human".to_owned()),
        false => held("humans were asked"),
    }
}

pub(super) fn effect_without_record(release: &Release) -> Lead<Tried> {
    let mut scene = Scene::new(release)?;
    scene.waiting(CASE, Tier::High)?;
    let executor = scene.id_of(Duty::Execute)?.to_string();
    let action = scene.action()?;
    scene.suppose.passes_at = Some(Tier::High);
    let call = Request::Call(Call {
        case: name(CASE)?,
        action: action.clone(),
        described: None,
    });
    let called = scene.refused(&executor, call, &[Code::NeedsGrant])?;
    let using = scene.using(CASE, action)?;
    let used = scene.refused(&executor, using, &[Code::WrongState])?;
    let outcome = Request::RecordOutcome(RecordOutcome {
        grant: name(&format!("{CASE}.g1"))?,
        outcome: Outcome::Succeeded,
        found_by: FoundBy::Answer,
        detail: "done".to_owned(),
        snapshot: None,
    });
    let outcome = scene.refused(ENGINE, outcome, &[Code::WrongState])?;
    held([called, used, outcome].join("; "))
}

pub(super) fn clock_set_back(release: &Release) -> Lead<Tried> {
    let mut scene = Scene::new(release)?;
    scene.granted(CASE, Tier::High)?;
    let executor = scene.id_of(Duty::Execute)?.to_string();
    let action = scene.action()?;
    let using = scene.using(CASE, action)?;
    scene.clock -= 3_600_000;
    scene.suppose.passes_at = Some(Tier::High);
    held(scene.refused(&executor, using, &[Code::ClockBehind])?)
}

pub(super) fn certification_over(release: &Release) -> Lead<Tried> {
    let mut scene = Scene::new(release)?;
    scene.waiting("unsigned", Tier::High)?;
    scene.granted(CASE, Tier::High)?;
    let who = approver(Tier::High, 0);
    let executor = scene.id_of(Duty::Execute)?.to_string();
    let action = scene.action()?;
    let (yes, using) = (scene.approve("unsigned", &who)?, scene.using(CASE, action)?);
    // As if its time had come: nothing of the log would otherwise stand that long.
    let courses = scene
        .state
        .principals
        .get_mut(&name::<duty::name::PrincipalId>(&who)?);
    let courses = &mut courses.ok_or("the approver is gone")?.certifications;
    courses
        .values_mut()
        .flatten()
        .for_each(|passed| passed.expires = scene.state.time);
    let signs = scene.refused(&who, yes, &[Code::NotCertified])?;
    scene.suppose.passes_at = Some(Tier::High);
    let uses = scene.refused(&executor, using, &[Code::NotCertified])?;
    held(format!("when signing: {signs}; when used: {uses}"))
}

pub(super) fn erase_under_hold(release: &Release) -> Lead<Tried> {
    let mut scene = Scene::new(release)?;
    scene.waiting(CASE, Tier::High)?;
    // It ends, so that nothing but the hold stands against an erasure.
    let who = approver(Tier::High, 0);
    let mut no = scene.approval(CASE, &who)?;
    (no.decision, no.overrides, no.code) = (Choice::Reject, true, scene.code());
    scene.must(&who, Request::Approve(sign(no, &who)?))?;
    let subject = SubjectId::of(ORIGIN, &format!("subject of {CASE}"));
    let asked = Request::RequestErasure(sign(
        ErasureStatement {
            statement: ErasureStatement::TYPE.to_owned(),
            log: ORIGIN.to_owned(),
            subject,
            reason: "a control test".to_owned(),
            signer: name(AUTHOR)?,
            credential: credential(AUTHOR)?,
        },
        AUTHOR,
    )?);
    let records = scene.must(AUTHOR, asked)?;
    let request = records
        .first()
        .map(|r| r.seq)
        .ok_or("nothing was recorded")?;
    let confirmed = |who: &str| -> Lead<Request> {
        let statement = ConfirmationStatement {
            statement: ConfirmationStatement::TYPE.to_owned(),
            log: ORIGIN.to_owned(),
            subject,
            request,
            reason: String::new(),
            signer: name(who)?,
            credential: credential(who)?,
        };
        Ok(Request::ConfirmErasure(sign(statement, who)?))
    };
    let alone = scene.refused(AUTHOR, confirmed(AUTHOR)?, &[Code::NotIndependent])?;
    let hold = HoldStatement {
        statement: HoldStatement::TYPE.to_owned(),
        log: ORIGIN.to_owned(),
        subject,
        reason: "a control test".to_owned(),
        clause: None,
        signer: name(PROMOTER)?,
        credential: credential(PROMOTER)?,
    };
    scene.must(PROMOTER, Request::PlaceHold(sign(hold, PROMOTER)?))?;
    let under_hold = scene.refused(PROMOTER, confirmed(PROMOTER)?, &[Code::LegalHold])?;
    held(format!("alone: {alone}; under hold: {under_hold}"))
}
