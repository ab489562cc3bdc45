//! SOD-01 to SOD-04 and SOD-06: duties that one person, or one behind several names, would hold together.

use duty::{
    canonical::Digest,
    principal::{Duty, Role},
    refusal::Code,
    release::{Rules, Tier},
    request::Request,
    statement::DelegationStatement,
    time::Time,
};
use policy::Release;

use super::{ADMIN, CASE, Tried, held};
use crate::control::scene::{
    Lead, ORIGIN, PROMOTER, Scene, agent, approver, credential, human, name, sign,
};

pub(in crate::control) fn agent_approves(release: &Release) -> Lead<Tried> {
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

pub(in crate::control) fn owner_approves(release: &Release) -> Lead<Tried> {
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

pub(in crate::control) fn approver_executes(release: &Release) -> Lead<Tried> {
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

pub(in crate::control) fn conflicting_roles(release: &Release) -> Lead<Tried> {
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

pub(in crate::control) fn sub_agent(release: &Release) -> Lead<Tried> {
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

pub(in crate::control) fn shared_key(release: &Release) -> Lead<Tried> {
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

pub(in crate::control) fn administrator_audits(release: &Release) -> Lead<Tried> {
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

pub(in crate::control) fn blind_review(release: &Release) -> Lead<Tried> {
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

pub(in crate::control) fn laundering_by_delegation(release: &Release) -> Lead<Tried> {
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
