//! `case replay`: one case again; by the rules, on the recorded answers of language models, or on the live ones.

use agents::replay::{self, Replayed, Verdict, live::Live};
use duty::name::CaseId;
use evidence::{EvidenceError, Opened, Vault};
use serde_json::json;

use crate::{
    cli::Replay,
    fail::{Failure, named},
    models, show,
};

pub(crate) async fn run(args: Replay) -> Result<(), Failure> {
    let case: CaseId = named(&args.id)?;
    let place = args.dir.dir.display().to_string();
    let opened = evidence::open_at(&place).map_err(Failure::unavailable)?;
    let vault = vault(&args, &opened)?;
    if !args.model && !args.live {
        return steps(&opened, vault.as_ref(), &case, args.form.json);
    }
    let replayed = replay::replay(&*opened.source, vault.as_ref(), &case).map_err(cannot)?;
    if replayed.asked.is_empty() && replayed.unsaid.is_empty() {
        return Err(Failure::usage(format!(
            "no language model was asked in case `{case}`; `case replay` decides it again and runs its decision tables again"
        )));
    }
    if args.live {
        live(&args, &opened, &replayed).await
    } else {
        again(&replayed, args.form.json)
    }
}

fn vault(args: &Replay, opened: &Opened) -> Result<Option<Vault>, Failure> {
    match &args.snapshots {
        Some(dir) if dir.is_dir() => Ok(Some(Vault::new(dir))),
        Some(dir) => Err(Failure::usage(format!(
            "`{}` is no directory of snapshots",
            dir.display()
        ))),
        None => Ok(opened.vault()),
    }
}

/// Every request of the case, decided again.
fn steps(
    opened: &Opened,
    vault: Option<&Vault>,
    case: &CaseId,
    as_json: bool,
) -> Result<(), Failure> {
    let steps = evidence::replay(&*opened.source, vault, case).map_err(Failure::usage)?;
    for step in &steps {
        if as_json {
            show::json(step);
        } else {
            show::line(&step.to_string());
        }
    }
    Ok(())
}

/// `--model`: on the recorded answers.
fn again(replayed: &Replayed, as_json: bool) -> Result<(), Failure> {
    for asked in &replayed.asked {
        if as_json {
            show::json(asked);
        } else {
            show::line(&format!("{asked}\n"));
        }
    }
    for unsaid in &replayed.unsaid {
        if as_json {
            show::json(&json!({"unsaid": unsaid}));
        } else {
            show::line(&format!("without a question:\n{unsaid}\n"));
        }
    }
    let count = |f: &dyn Fn(&Verdict) -> bool| {
        let any = |asked: &&replay::Asked| asked.verdicts().any(f);
        replayed.asked.iter().filter(any).count()
    };
    let same = replayed.asked.len() - count(&|v| *v != Verdict::Same);
    let erased = count(&|v| {
        matches!(
            v,
            Verdict::NotHere {
                erased: Some(_),
                ..
            }
        )
    });
    let missing = count(&|v| matches!(v, Verdict::NotHere { erased: None, .. }));
    let cut = count(&|v| matches!(v, Verdict::NotTaken { .. }));
    let differing = count(&Verdict::differs);
    if as_json {
        show::json(&json!({
            "questions": replayed.asked.len(), "same": same, "differing": differing, "not_taken": cut,
            "erased": erased, "not_here": missing, "unsaid": replayed.unsaid.len(),
        }));
    } else {
        show::line(&format!(
            "{} questions: {same} the same with all that followed, {differing} differing, {cut} not followed since the run or the log ends there, \
             {erased} erased, {missing} whose snapshots are not here",
            replayed.asked.len()
        ));
    }
    if replayed.differs() {
        return Err(Failure::check(
            "what the models were asked, or what was made of their answers, is not what the log says",
        ));
    }
    match replayed.missing().next() {
        Some(what) => Err(Failure::unavailable(format!(
            "not all could be compared: {what} is not here, or its key; hand the snapshots and keys out with the log (`--snapshots DIR`)"
        ))),
        None => Ok(()),
    }
}

/// `--live`: on the models as they are now.
async fn live(args: &Replay, opened: &Opened, replayed: &Replayed) -> Result<(), Failure> {
    let endpoints = match (&args.models, &opened.dir) {
        (Some(file), _) => models::in_file(file)?,
        (None, Some(dir)) => models::of(dir)?,
        (None, None) => {
            return Err(Failure::usage(
                "a bare copy of a log says not where models are; name a file like `models.toml` with `--models FILE`",
            ));
        }
    };
    let plan = replayed
        .plan(&endpoints, args.most)
        .map_err(Failure::refused)?;
    for (call, why) in &plan.left_out {
        eprintln!("{call} is not asked again: {why}");
    }
    if plan.questions == 0 {
        return Err(Failure::unavailable("no question can be asked again"));
    }
    let to: Vec<_> = plan
        .endpoints
        .iter()
        .map(|(name, n)| format!("{n} to `{name}`"))
        .collect();
    eprintln!(
        "{} questions with the case's data, {}: {} bytes, at most {} tokens; nothing is recorded, and no tool is called",
        plan.questions,
        to.join(", "),
        plan.bytes,
        plan.tokens
    );
    if !args.yes {
        return Err(Failure::usage(
            "nothing was sent; add `--yes` to send this, `--most N` to send less",
        ));
    }
    let (mut same, mut differing, mut failed) = (0_usize, 0_usize, 0_usize);
    let mut said = |live: Live| {
        if live.failed() {
            failed += 1;
        } else if live.verdict.differs() {
            differing += 1;
        } else {
            same += 1;
        }
        if args.form.json {
            show::json(&live);
        } else {
            show::line(&format!("{live}\n"));
        }
    };
    replayed
        .ask(&endpoints, args.most, &mut said)
        .await
        .map_err(Failure::unavailable)?;
    if args.form.json {
        show::json(
            &json!({"questions": plan.questions, "same": same, "differing": differing, "unanswered": failed,
            "left_out": plan.left_out.len()}),
        );
    } else {
        show::line(&format!(
            "{} questions: {same} answered to the same effect, {differing} to another, {failed} not answered",
            plan.questions
        ));
    }
    match (differing, failed) {
        (0, 0) => Ok(()),
        (0, _) => Err(Failure::unavailable(format!(
            "{failed} questions were not answered"
        ))),
        _ => Err(Failure::check(format!(
            "the live models say otherwise to {differing} of {} questions",
            plan.questions
        ))),
    }
}

fn cannot(e: EvidenceError) -> Failure {
    match e {
        EvidenceError::NoCase(_) => Failure::usage(e),
        e if e.is_fault() => Failure::check(e),
        e => Failure::unavailable(e),
    }
}
