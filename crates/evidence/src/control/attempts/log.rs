//! LOG-02 and RET-01: what the log would not show, and what would be gone from it.

use duty::{
    principal::Duty,
    refusal::Code,
    release::Tier,
    request::{Call, FoundBy, Outcome, RecordOutcome, Request},
    statement::{Choice, ConfirmationStatement, ErasureStatement, HoldStatement},
    subject::SubjectId,
};
use policy::Release;

use super::{CASE, ENGINE, Tried, held};
use crate::control::scene::{
    AUTHOR, Lead, ORIGIN, PROMOTER, Scene, approver, credential, name, sign,
};

pub(in crate::control) fn effect_without_record(release: &Release) -> Lead<Tried> {
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

pub(in crate::control) fn clock_set_back(release: &Release) -> Lead<Tried> {
    let mut scene = Scene::new(release)?;
    scene.granted(CASE, Tier::High)?;
    let executor = scene.id_of(Duty::Execute)?.to_string();
    let action = scene.action()?;
    let using = scene.using(CASE, action)?;
    scene.clock -= 3_600_000;
    scene.suppose.passes_at = Some(Tier::High);
    held(scene.refused(&executor, using, &[Code::ClockBehind])?)
}

pub(in crate::control) fn erase_under_hold(release: &Release) -> Lead<Tried> {
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
