//! One line for a record, for people.

use duty::{
    log_key::Rotation,
    name::PrincipalId,
    principal::Proof,
    quorum,
    record::{Basis, Body, Record},
    release::Unit,
    request::{AnswerModel, FoundBy, Request},
    statement::Choice,
};

/// What a record says, in one line without its time and number.
#[must_use]
pub fn describe(record: &Record) -> String {
    let who = &record.actor.id;
    match &record.body {
        Body::RequestRefused(b) => format!("refused `{who}`: {}", b.refusal),
        Body::CallPermitted(b) => match &b.request {
            Request::Call(r) => format!(
                "`{who}` calls {} ({}; rule {})",
                r.action.tool, b.call, b.rule.rule
            ),
            _ => odd(record),
        },
        Body::VerdictReached(b) => {
            let tier = b.tier.map_or("no tier", |t| t.word());
            let why: Vec<_> = b.reasons.iter().map(|r| r.why.as_str()).collect();
            format!("verdict: {} ({tier}): {}", b.route.word(), why.join("; "))
        }
        Body::ThresholdApplied(b) => {
            let reserved = match b.amount.zip(b.used.all_sum) {
                Some((amount, all)) => format!(
                    "{} reserved{}, {} in all",
                    Unit::say(b.unit, amount),
                    b.key
                        .as_ref()
                        .map_or(String::new(), |k| format!(" for {k}")),
                    Unit::say(b.unit, all)
                ),
                None => format!(
                    "one more{}, {} in all",
                    b.key
                        .as_ref()
                        .map_or(String::new(), |k| format!(" for {k}")),
                    b.used.all_count
                ),
            };
            format!("threshold `{}` covers {}: {reserved}", b.threshold, b.grant)
        }
        Body::CertificationExpiring(b) => match &b.request {
            Request::NoteExpiring(r) => format!(
                "the certification of `{}` in `{}` is over at {}",
                r.principal, r.course, b.expires
            ),
            _ => odd(record),
        },
        Body::ThresholdEnding(b) => match &b.request {
            Request::NoteEnding(r) => {
                format!("threshold `{}` ends at {}", r.threshold, b.expires)
            }
            _ => odd(record),
        },
        Body::ThresholdReleased(b) => {
            format!("room under `{}` for {} is free again", b.threshold, b.grant)
        }
        Body::ApprovalRequested(b) => format!(
            "{} human{} must sign {} ({} risk) before {}",
            b.humans,
            if b.humans == 1 { "" } else { "s" },
            b.approval,
            b.tier.word(),
            b.expires
        ),
        Body::OverrideRecorded(b) => format!(
            "override: a human says {} where the agents say {}{}",
            choice(b.decision),
            b.agents,
            b.code
                .as_ref()
                .map(|c| format!(" ({c})"))
                .unwrap_or_default()
        ),
        Body::ApprovalWithdrawn(b) => match &b.request {
            Request::Withdraw(r) => format!(
                "`{}` takes their yes to {} back ({} of {} are left){}",
                r.statement.signer,
                r.statement.approval,
                b.have,
                b.need,
                reason(&r.statement.reason)
            ),
            _ => odd(record),
        },
        Body::GrantVoided(b) => format!("grant {} is void: {}", b.grant, b.why),
        Body::ApprovalReminded(b) => match &b.request {
            Request::NoteWaiting(r) => format!("reminded of {}: {}", r.approval, people(&b.to)),
            _ => odd(record),
        },
        Body::ApprovalEscalated(b) => match &b.request {
            Request::NoteWaiting(r) => {
                format!("nobody signs {}; told: {}", r.approval, people(&b.to))
            }
            _ => odd(record),
        },
        Body::GrantIssued(b) => format!(
            "grant {} on {}, until {}",
            b.grant,
            basis(&b.basis),
            b.expires
        ),
        Body::ExceptionRaised(b) => {
            format!("exception {} ({}): {}", b.exception, b.sort.word(), b.text)
        }
        Body::CaseClosed(b) => format!("closed: {}: {}", b.outcome.word(), b.why),
        Body::ApprovalGiven(b) => match &b.request {
            Request::Approve(r) => format!(
                "`{}`{} says {} to {}{} ({} of {}){}",
                r.statement.signer,
                r.statement
                    .on_behalf
                    .as_ref()
                    .map(|root| format!(" for `{root}`"))
                    .unwrap_or_default(),
                choice(r.statement.decision),
                r.statement.approval,
                b.stage
                    .as_ref()
                    .map(|stage| format!(" in stage `{stage}`"))
                    .unwrap_or_default(),
                b.have,
                b.need,
                reason(&r.statement.reason)
            ),
            _ => odd(record),
        },
        Body::GrantUsed(b) => match &b.request {
            Request::UseGrant(r) if b.simulated => format!(
                "`{who}` uses {} to call {}, simulated",
                r.grant, r.action.tool
            ),
            Request::UseGrant(r) => match b.report_by {
                Some(by) => format!(
                    "`{who}` uses {} to carry out {}, and reports by {by}",
                    r.grant, r.action.tool
                ),
                None => format!("`{who}` uses {} to call {}", r.grant, r.action.tool),
            },
            _ => odd(record),
        },
        Body::GlassBroken(b) => {
            let by: Vec<_> = b.signers.iter().map(|p| format!("`{p}`")).collect();
            let skipped: Vec<_> = b.skipped.iter().map(|p| p.as_str()).collect();
            format!(
                "the glass is broken over {} by {}; not asked: {}; to be reviewed by {}",
                b.approval,
                by.join(" and "),
                list(&skipped),
                b.review_by
            )
        }
        Body::SubjectErased(b) => {
            let by: Vec<_> = b.by.iter().map(|p| format!("`{p}`")).collect();
            let by = match &by[..] {
                [] => "by the release's retention".to_owned(),
                by => by.join(" and "),
            };
            format!(
                "data subject {} is erased, as record {} says: {by}",
                b.subject, b.asked
            )
        }
        Body::ApprovalExpired(b) => format!("{} expired", b.approval),
        Body::GrantExpired(b) => format!("{} expired unused", b.grant),
        Body::CaseLapsed(_) => "the case came to no verdict".to_owned(),
        body => body
            .request()
            .map_or_else(|| odd(record), |r| asked(record, r)),
    }
}

fn answer_of_model(record: &Record, r: &AnswerModel) -> String {
    let name = r.model.as_deref().unwrap_or("no name");
    let tokens = match &r.tokens {
        Some(t) => format!("{} tokens in, {} out, ", t.input, t.output),
        None => String::new(),
    };
    let drift = match &record.body {
        Body::ModelAnswered(b) => b.drift.as_deref(),
        _ => None,
    };
    let said = match (&r.problem, drift) {
        (_, Some(drift)) => format!(", does not count: {drift}"),
        (Some(problem), None) => format!(": {problem}"),
        (None, None) => String::new(),
    };
    format!(
        "{} {}: {} ({tokens}{} ms){said}",
        r.call,
        r.result.word(),
        name,
        r.latency_ms
    )
}

fn asked(record: &Record, request: &Request) -> String {
    let who = &record.actor.id;
    match request {
        Request::OpenLog(r) => format!("the log `{}` began", r.origin),
        Request::AddPrincipal(r) => {
            let roles: Vec<_> = r.roles.iter().map(|r| r.word()).collect();
            let said = match r.attributes.is_empty() {
                true => String::new(),
                false => format!("; {}", quorum::words(&r.attributes)),
            };
            format!("`{}` added as {}{said}", r.id, roles.join(", "))
        }
        Request::RotateLogKey(r) => match Rotation::open(&r.statement) {
            Ok(k) => {
                let act = if k.revoked { "revoked" } else { "rotated out" };
                format!(
                    "the log's key `{}` was {act}, `{}` took over{}",
                    k.old,
                    k.new,
                    reason(&k.reason)
                )
            }
            Err(_) => odd(record),
        },
        Request::RevokePrincipal(r) => format!("`{}` revoked: {}", r.principal, r.reason),
        Request::AddCredential(r) => {
            let sort = match &r.proof {
                Proof::Passkey(passkey) => format!("a passkey for `{}`", passkey.rp()),
                Proof::Ssh { .. } => "an SSH key".to_owned(),
                Proof::Ed25519 { .. } => "an Ed25519 key".to_owned(),
                Proof::Token { .. } => "a bearer token".to_owned(),
                Proof::Jwt(subject) => format!(
                    "tokens of `{}` for `{}`",
                    subject.issuer(),
                    subject.subject()
                ),
                Proof::Certificate { .. } => "a client certificate".to_owned(),
                Proof::Local => return odd(record),
            };
            format!(
                "`{}` got the credential `{}`: {sort}",
                r.principal(),
                r.credential()
            )
        }
        Request::RevokeCredential(r) => {
            format!("credential `{}` revoked: {}", r.credential, r.reason)
        }
        Request::Certify(r) => format!(
            "`{}` certified in `{}` until {}",
            r.principal, r.course, r.expires
        ),
        Request::CallModel(r) => {
            let again = match r.attempt {
                1 => String::new(),
                n => format!(", attempt {n}"),
            };
            let put_out: u32 = r.redacted.values().sum();
            let put_out = match put_out {
                0 => String::new(),
                n => format!(", {n} values put out"),
            };
            format!(
                "`{who}` asks its model `{}` ({} bytes{again}{put_out})",
                r.model, r.bytes
            )
        }
        Request::AnswerModel(r) => answer_of_model(record, r),
        Request::RecordFile(r) => format!("a file of {} bytes recorded", r.content.len()),
        Request::BuildRelease(r) => format!("a release of {} files built", r.files.len()),
        Request::Promote(r) => format!(
            "`{}` points at release {}",
            r.environment,
            r.release.short()
        ),
        Request::BreakGlass(r) => format!(
            "`{}` breaks the glass over {}{}",
            r.statement.signer,
            r.statement.approval,
            reason(&r.statement.reason)
        ),
        Request::ReviewGlass(r) => format!(
            "`{}` reviewed the emergency of {} and found it {}{}",
            r.statement.signer,
            r.statement.grant,
            if r.statement.justified {
                "justified"
            } else {
                "not justified"
            },
            reason(&r.statement.finding)
        ),
        Request::NoteOverdue(r) => {
            format!("the emergency of {} was not reviewed in its time", r.grant)
        }
        Request::Complete(r) => format!(
            "`{}` passed `{}` (content {}), as `{}` assessed, until {}",
            r.principal,
            r.course,
            r.content.short(),
            r.assessor,
            r.expires
        ),
        Request::Assess(r) => format!(
            "`{}` signed that `{}` passed `{}` (content {}), until {}",
            r.statement.signer,
            r.statement.trainee,
            r.statement.course,
            r.statement.content.short(),
            r.statement.expires
        ),
        Request::EndCertification(r) => format!(
            "the certification of `{}` in `{}` ended{}",
            r.principal,
            r.course,
            reason(&r.reason)
        ),
        Request::NoteExpiring(r) => format!(
            "the certification of `{}` in `{}` is over soon, or was over",
            r.principal, r.course
        ),
        Request::CreateGroup(r) => {
            let roles: Vec<_> = r.roles.iter().map(|r| r.word()).collect();
            format!("group `{}` made, of {}", r.group, roles.join(", "))
        }
        Request::JoinGroup(r) => format!("`{}` joined the group `{}`", r.principal, r.group),
        Request::LeaveGroup(r) => format!(
            "`{}` left the group `{}`{}",
            r.principal,
            r.group,
            reason(&r.reason)
        ),
        Request::NoteEnding(r) => format!(
            "threshold `{}` of the release in `{}` ends soon, or has ended",
            r.threshold, r.environment
        ),
        Request::Freeze(r) => format!("`{who}` froze {}{}", r.scope, reason(&r.reason)),
        Request::Unfreeze(r) => format!(
            "`{}` lifted the freeze of record {}{}",
            r.statement.signer,
            r.statement.freeze,
            reason(&r.statement.reason)
        ),
        Request::PromoteSigned(r) => format!(
            "`{}` signed that `{}` runs release {}{}",
            r.statement.signer,
            r.statement.env,
            r.statement.release.short(),
            reason(&r.statement.reason)
        ),
        Request::SignRelease(r) => format!(
            "`{}` signed release {} as its author",
            r.statement.signer,
            r.statement.release.short()
        ),
        Request::RecordControlTests(r) => format!(
            "{} of {} control tests passed for release {}",
            r.results.iter().filter(|t| t.passed).count(),
            r.results.len(),
            r.release.short()
        ),
        Request::SignThreshold(r) => {
            format!(
                "`{}` signed threshold `{}`",
                r.statement.signer, r.statement.threshold
            )
        }
        Request::OpenCase(r) => format!("case `{}` opened about `{}`", r.case, r.subject),
        Request::Answer(r) => match &r.problem {
            Some(problem) => format!("{} was not answered: {problem}", r.call),
            None => format!("{} was answered", r.call),
        },
        Request::Retrieve(r) => {
            let ids: Vec<_> = r.ranking.iter().map(|c| c.clause.id.as_str()).collect();
            format!(
                "`{who}` looked for \"{}\" and found {}",
                r.query,
                list(&ids)
            )
        }
        Request::Recommend(r) => format!(
            "`{who}` recommends to {} ({} %{}): {}",
            r.stance.word(),
            r.confidence,
            r.row
                .as_ref()
                .map(|row| format!(", row {row}"))
                .unwrap_or_default(),
            r.rationale
        ),
        Request::RecordDecision(r) => format!(
            "`{who}` took down that {} decided to {} ({} %, {}): {}",
            r.system,
            r.stance.word(),
            r.confidence,
            r.model,
            r.rationale
        ),
        Request::RecordOutcome(r) if r.found_by == FoundBy::Caller => {
            format!(
                "{}: `{who}` reports {}: {}",
                r.grant,
                r.outcome.word(),
                r.detail
            )
        }
        Request::RecordOutcome(r) => format!("{}: {}: {}", r.grant, r.outcome.word(), r.detail),
        Request::Triage(r) => format!(
            "`{}` triaged {}: {}",
            r.statement.signer, r.statement.exception, r.statement.finding
        ),
        Request::PlaceHold(r) => format!(
            "`{}` put data subject {} under legal hold{}{}",
            r.statement.signer,
            r.statement.subject,
            r.statement
                .clause
                .as_ref()
                .map(|c| format!(" by {c}"))
                .unwrap_or_default(),
            reason(&r.statement.reason)
        ),
        Request::LiftHold(r) => format!(
            "`{}` lifted the legal hold of record {} on data subject {}{}",
            r.statement.signer,
            r.statement.hold,
            r.statement.subject,
            reason(&r.statement.reason)
        ),
        Request::RequestErasure(r) => format!(
            "`{}` asked to erase data subject {}{}",
            r.statement.signer,
            r.statement.subject,
            reason(&r.statement.reason)
        ),
        Request::EndRetention(r) => format!("the retention of data subject {} is over", r.subject),
        Request::ConfirmErasure(r) => format!(
            "`{}` confirmed the erasure of data subject {} that record {} asks for{}",
            r.statement.signer,
            r.statement.subject,
            r.statement.request,
            reason(&r.statement.reason)
        ),
        Request::SetAttributes(r) => format!(
            "of `{}` is said now: {}{}",
            r.principal,
            match r.attributes.is_empty() {
                true => "nothing".to_owned(),
                false => quorum::words(&r.attributes),
            },
            reason(&r.reason)
        ),
        Request::Delegate(r) => format!(
            "`{}` lets `{}` sign for them as {} from {} to {}{}",
            r.statement.signer,
            r.statement.deputy,
            r.statement.role.word(),
            r.statement.starts,
            r.statement.until,
            reason(&r.statement.reason)
        ),
        Request::EndDelegation(r) => format!(
            "`{}` ended the delegation of record {}{}",
            r.statement.signer,
            r.statement.delegation,
            reason(&r.statement.reason)
        ),
        Request::Call(_)
        | Request::Approve(_)
        | Request::UseGrant(_)
        | Request::Expire(_)
        | Request::Withdraw(_)
        | Request::NoteWaiting(_) => odd(record),
    }
}

pub(crate) fn choice(choice: Choice) -> &'static str {
    match choice {
        Choice::Approve => "yes",
        Choice::Reject => "no",
    }
}

pub(crate) fn basis(basis: &Basis) -> String {
    match basis {
        Basis::Threshold { threshold, .. } => format!("threshold `{threshold}`"),
        Basis::Glass { approval, signers } => {
            let signers: Vec<_> = signers.iter().map(|s| format!("`{s}`")).collect();
            format!(
                "an emergency, over {approval}, signed by {}",
                signers.join(", ")
            )
        }
        Basis::Approval { approval, signers } => {
            let signers: Vec<_> = signers.iter().map(|s| format!("`{s}`")).collect();
            format!("approval {approval} signed by {}", signers.join(", "))
        }
    }
}

pub(crate) fn list(items: &[&str]) -> String {
    if items.is_empty() {
        "nothing".to_owned()
    } else {
        items.join(", ")
    }
}

fn people(who: &[PrincipalId]) -> String {
    let who: Vec<_> = who.iter().map(|p| p.as_str()).collect();
    match who.is_empty() {
        true => "nobody".to_owned(),
        false => who.join(", "),
    }
}

fn reason(reason: &str) -> String {
    if reason.is_empty() {
        String::new()
    } else {
        format!(": {reason}")
    }
}

/// A record whose request is not of its kind: the fold refuses such a one; here it is only named.
fn odd(record: &Record) -> String {
    record.body.kind().to_owned()
}
