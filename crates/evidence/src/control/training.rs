//! TRN-01: what it asserts of certifications, and the attempts to get round them.

use duty::{
    canonical::Digest,
    course::CourseRule,
    name::{Course, PrincipalId},
    principal::{Duty, PrincipalKind, Role},
    refusal::Code,
    release::{Rules, Team, Tier},
    request::{Request, RevokePrincipal},
    state::{Principal, State},
    time::Time,
};
use policy::Release;

use super::{
    attempts::{Tried, held},
    scene::{Lead, Scene, approver, assessor, name, sign},
};

const CASE: &str = "attempt";
const MINUTES_OF_A_DAY: u32 = 24 * 60;

/// Whether somebody holds a course at a moment, read from the log's records and the release alone.
pub(super) fn trained(
    person: &Principal,
    who: &PrincipalId,
    team: &Team,
    course: &Course,
    now: Time,
) -> bool {
    let passed = person.certifications.get(course);
    let rule = team.courses.iter().find(|c| c.id == *course);
    passed.into_iter().flatten().any(|p| {
        let as_asked = rule.is_none_or(|rule| {
            let content = p
                .content
                .is_some_and(|c| c == rule.content || rule.accepts.contains(&c));
            let another = p.assessor.as_ref().is_some_and(|a| a != who);
            let may = p.assessor_roles.iter().any(|r| rule.assessors.contains(r));
            let days = rule.valid_days.saturating_mul(MINUTES_OF_A_DAY);
            content
                && another
                && may
                && (p.signed || !rule.signed)
                && now < p.completed.plus_minutes(days)
        });
        now < p.expires && as_asked
    })
}

/// The course that somebody does not hold although their role needs it.
pub(super) fn untrained<'t>(
    state: &State,
    who: &PrincipalId,
    team: &'t Team,
    role: Role,
    now: Time,
) -> Option<&'t Course> {
    let needed = team.courses.iter().filter(|c| c.roles.contains(&role));
    needed.map(|c| &c.id).find(|course| {
        let person = state.principals.get(who);
        person.is_none_or(|p| !trained(p, who, team, course, now))
    })
}

/// Why whoever answers for an agent may not, at a moment.
pub(super) fn lapsed(state: &State, team: &Team, agent: &PrincipalId, now: Time) -> Option<String> {
    let owner = &team.agents.iter().find(|a| a.id == *agent)?.owner;
    let person = state.principals.get(owner);
    if person.is_none_or(|p| p.kind != PrincipalKind::Human || p.revoked) {
        return Some(format!("`{owner}`, who answers for `{agent}`, was revoked"));
    }
    let course = untrained(state, owner, team, Role::Owner, now)?;
    Some(format!(
        "`{owner}`, who answers for `{agent}`, was not certified in `{course}`"
    ))
}

/// The first course that a release declares for whoever signs approvals of high risk.
fn of_approvers(release: &Release) -> Option<&CourseRule> {
    let team = release.team();
    let stage = team.approval.get(&Tier::High)?.stages.first()?;
    let declared = team.courses.iter();
    let mut asked =
        declared.filter(|c| c.id == stage.certification || c.roles.contains(&stage.role));
    asked.next()
}

/// A waiting case, and somebody who could approve it had they passed the course as they must.
fn untrained_approver<'r>(release: &'r Release, course: &CourseRule) -> Lead<(Scene<'r>, String)> {
    let mut scene = Scene::new(release)?;
    scene.waiting(CASE, Tier::High)?;
    let who = approver(Tier::High, 0);
    scene.forget(&who, &course.id)?;
    Ok((scene, who))
}

fn no_course() -> Lead<Tried> {
    Ok(Tried::NotApplicable(
        "the release declares no course for approvers".to_owned(),
    ))
}

/// Another content than the release's; an assessment of oneself; one that nobody signed; one of too long ago.
pub(super) fn passed_otherwise(release: &Release) -> Lead<Tried> {
    let Some(course) = of_approvers(release) else {
        return no_course();
    };
    let role = course.assessors.first().copied().unwrap_or(Role::Owner);
    let by = assessor(role);
    let mut seen = Vec::new();

    let (mut scene, who) = untrained_approver(release, course)?;
    let other = "another course altogether".to_owned();
    let content = Digest::of_bytes(other.as_bytes());
    scene.record_file(other)?;
    let passed = scene.completion(&who, &course.id, content, &by)?;
    scene.must(&by, Request::Assess(sign(passed, &by)?))?;
    let yes = scene.approve(CASE, &who)?;
    seen.push(format!(
        "another content: {}",
        scene.refused(&who, yes, &[Code::NotCertified])?
    ));

    let (mut scene, who) = untrained_approver(release, course)?;
    let own = scene.completion(&who, &course.id, course.content, &who)?;
    let own = Request::Assess(sign(own, &who)?);
    seen.push(format!(
        "assessed by oneself: {}",
        scene.refused(&who, own, &[Code::NotIndependent])?
    ));
    let forged = scene.completion(&who, &course.id, course.content, &by)?;
    let forged = Request::Assess(sign(forged, &who)?);
    seen.push(format!(
        "with another's key: {}",
        scene.refused(&by, forged, &[Code::BadSignature])?
    ));

    let (mut scene, who) = untrained_approver(release, course)?;
    let mut old = scene.completion(&who, &course.id, course.content, &by)?;
    let days = course.valid_days.saturating_mul(MINUTES_OF_A_DAY);
    old.completed = old.completed.minus_minutes(days);
    scene.must(&by, Request::Assess(sign(old, &by)?))?;
    let yes = scene.approve(CASE, &who)?;
    seen.push(format!(
        "of {} days ago: {}",
        course.valid_days,
        scene.refused(&who, yes, &[Code::NotCertified])?
    ));
    Ok(Tried::Held(seen.join("; ")))
}

/// Passing a course after one has signed does not make the signature good: it is refused when it comes.
pub(super) fn passed_late(release: &Release) -> Lead<Tried> {
    let Some(course) = of_approvers(release) else {
        return no_course();
    };
    let (mut scene, who) = untrained_approver(release, course)?;
    let yes = scene.approve(CASE, &who)?;
    let early = scene.refused(&who, yes.clone(), &[Code::NotCertified])?;
    let id = course.id.clone();
    scene.certify(&who, &id)?;
    let records = scene.must(&who, yes)?;
    let have = records.iter().find_map(|r| match &r.body {
        duty::record::Body::ApprovalGiven(b) => Some(b.have),
        _ => None,
    });
    match have {
        Some(1) => Ok(Tried::Held(format!("before: {early}; after: counted once"))),
        other => Err(format!("a signature before the course counted: {other:?}")),
    }
}

/// An agent whose owner was revoked, or does not hold what the release asks of owners, does nothing more.
pub(super) fn owner_lapsed(release: &Release) -> Lead<Tried> {
    let team = release.team();
    let mut seen = Vec::new();
    let analyst = |scene: &Scene<'_>| scene.id_of(Duty::Prepare).map(|id| id.to_string());
    if let Some(course) = team.courses.iter().find(|c| c.roles.contains(&Role::Owner)) {
        let mut scene = Scene::new(release)?;
        let who = analyst(&scene)?;
        let opening = scene.opening(CASE)?;
        scene.must("scene-engine", opening)?;
        let agent = team.agent(&name(&who)?).ok_or("the team has no analyst")?;
        scene.forget(agent.owner.as_str(), &course.id)?;
        let step = scene.retrieving(CASE)?;
        seen.push(format!(
            "not certified: {}",
            scene.refused(&who, step, &[Code::OwnerLapsed])?
        ));
    }
    let mut scene = Scene::new(release)?;
    scene.granted(CASE, Tier::High)?;
    let who = scene.id_of(Duty::Execute)?.to_string();
    let agent = team.agent(&name(&who)?).ok_or("the team has no executor")?;
    let revoke = RevokePrincipal {
        principal: agent.owner.clone(),
        reason: "a control test".to_owned(),
    };
    scene.must("scene-admin", Request::RevokePrincipal(revoke))?;
    let action = scene.action()?;
    let using = scene.using(CASE, action)?;
    seen.push(format!(
        "revoked: {}",
        scene.refused(&who, using, &[Code::OwnerLapsed])?
    ));
    Ok(Tried::Held(seen.join("; ")))
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
