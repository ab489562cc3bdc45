//! POL and CHG: clauses, releases and models other than those in force.

use duty::{
    canonical::Digest,
    principal::Duty,
    refusal::Code,
    release::{Rules, Tier},
    request::{OpenCase, Promote, Quote, Recommend, Request},
};
use policy::Release;

use super::{ADMIN, CASE, ENGINE, Tried, held};
use crate::control::scene::{AUTHOR, ENV, Lead, PROMOTER, Scene, approver, name, sign};

pub(in crate::control) fn altered_clause(release: &Release) -> Lead<Tried> {
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

pub(in crate::control) fn unilateral_change(release: &Release) -> Lead<Tried> {
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

pub(in crate::control) fn approval_of_another_environment(release: &Release) -> Lead<Tried> {
    let mut scene = Scene::new(release)?;
    scene.waiting(CASE, Tier::High)?;
    let who = approver(Tier::High, 0);
    let mut statement = scene.approval(CASE, &who)?;
    statement.env = name("dev")?;
    let request = Request::Approve(sign(statement, &who)?);
    held(scene.refused(&who, request, &[Code::WrongBinding])?)
}

pub(in crate::control) fn older_release(release: &Release) -> Lead<Tried> {
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

pub(in crate::control) fn case_without_release(release: &Release) -> Lead<Tried> {
    let mut scene = Scene::new(release)?;
    let opening = Request::OpenCase(OpenCase {
        case: name(CASE)?,
        environment: name("never-promoted")?,
        subject: "nobody".to_owned(),
        snapshot: Digest::of_bytes(b"source"),
    });
    held(scene.refused(ENGINE, opening, &[Code::PolicyMissing])?)
}

pub(in crate::control) fn drifted(release: &Release) -> Lead<Tried> {
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
