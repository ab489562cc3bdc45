//! ACC: calls that nothing permits, and callers who are not who they say.

use duty::{
    action::Action,
    principal::Duty,
    refusal::Code,
    release::Rules,
    request::{Call, Request, RevokePrincipal},
};
use policy::Release;
use serde_json::Map;

use super::{ADMIN, CASE, ENGINE, Tried, held};
use crate::control::scene::{Lead, Scene, credential, name};

pub(in crate::control) fn tool_not_listed(release: &Release) -> Lead<Tried> {
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

pub(in crate::control) fn revoked_or_foreign_credential(release: &Release) -> Lead<Tried> {
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
