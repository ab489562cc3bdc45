//! HUM: a human's yes that is forged, stretched, hurried, or done without.

use duty::{
    action::Action,
    canonical::Digest,
    freeze::Scope,
    principal::Duty,
    refusal::Code,
    release::{Rules, Tier},
    request::{Freeze, NoteOverdue, Request},
    statement::{Choice, GlassStatement},
};
use policy::Release;
use serde_json::{Map, Value};

use super::{ADMIN, CASE, ENGINE, Tried, held};
use crate::control::scene::{Lead, Scene, approver, human, name, sign};

pub(in crate::control) fn forged_approval(release: &Release) -> Lead<Tried> {
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

pub(in crate::control) fn changed_after_approval(release: &Release) -> Lead<Tried> {
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

pub(in crate::control) fn used_twice(release: &Release) -> Lead<Tried> {
    let mut scene = Scene::new(release)?;
    scene.granted(CASE, Tier::High)?;
    let executor = scene.id_of(Duty::Execute)?.to_string();
    let action = scene.action()?;
    let using = scene.using(CASE, action)?;
    scene.suppose.passes_at = Some(Tier::High);
    scene.must(&executor, using.clone())?;
    held(scene.refused(&executor, using, &[Code::Replayed])?)
}

pub(in crate::control) fn threshold_in_place_of_a_human(release: &Release) -> Lead<Tried> {
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

pub(in crate::control) fn worn_down(release: &Release) -> Lead<Tried> {
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

pub(in crate::control) fn frozen(release: &Release) -> Lead<Tried> {
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

pub(in crate::control) fn glass_again(release: &Release) -> Lead<Tried> {
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

pub(in crate::control) fn rejection_without_reason(release: &Release) -> Lead<Tried> {
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

pub(in crate::control) fn override_without_code(release: &Release) -> Lead<Tried> {
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
