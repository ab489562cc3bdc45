//! SOD-05: fewer humans than are asked for, or others.

use duty::{
    name::CaseId,
    principal::Duty,
    refusal::Code,
    release::{Rules, Tier},
    request::Request,
    statement::WithdrawalStatement,
};
use policy::Release;

use super::{CASE, Tried, held};
use crate::control::scene::{Lead, ORIGIN, Scene, approver, human, name, sign};

pub(in crate::control) fn same_signer_twice(release: &Release) -> Lead<Tried> {
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

pub(in crate::control) fn stage_of_others(release: &Release) -> Lead<Tried> {
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

pub(in crate::control) fn withdrawn_yes(release: &Release) -> Lead<Tried> {
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
