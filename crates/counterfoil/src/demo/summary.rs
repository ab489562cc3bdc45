//! The summary, counted from the log alone and held against the answer file and the bank's own books.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::Path,
};

use comfy_table::{Table, presets};
use duty::{
    record::{Body, CaseOutcome, Route},
    request::{Outcome, Request},
    statement::Choice,
};
use serde::Serialize;

use super::stage::ANSWERS;
use crate::{fail::Failure, show};

/// What the demo came to.
#[derive(Debug, Default, Serialize)]
pub(super) struct Summary {
    cases: usize,
    by_outcome: BTreeMap<String, usize>,
    by_tier: BTreeMap<String, usize>,
    under_threshold: usize,
    waiting_for_human: usize,
    refused: BTreeMap<String, usize>,
    exceptions: BTreeMap<String, usize>,
    records: u64,
    answers: Answers,
    transfers: Transfers,
}

/// Held against the answer file.
#[derive(Debug, Default, Serialize)]
struct Answers {
    traps: usize,
    traps_executed_without_human: usize,
    harmless_small: usize,
    harmless_small_without_human: usize,
    as_expected: usize,
    unexpected: Vec<String>,
}

/// Held against the bank's own database.
#[derive(Debug, Default, Serialize)]
struct Transfers {
    succeeded_in_log: usize,
    in_bank: usize,
    cents_in_log: i64,
    cents_in_bank: i64,
    one_for_one: bool,
}

#[derive(Default)]
struct CaseCount {
    subject: String,
    tier: Option<&'static str>,
    route: Option<Route>,
    why: Vec<String>,
    humans: u32,
    yes: u32,
    outcome: Option<CaseOutcome>,
    unknown: bool,
    cents: i64,
}

pub(super) fn of(dir: &Path) -> Result<Summary, Failure> {
    let mut summary = Summary::default();
    let mut cases: BTreeMap<String, CaseCount> = BTreeMap::new();
    let mut succeeded: HashMap<String, i64> = HashMap::new();
    let source = evidence::open(&dir.display().to_string()).map_err(Failure::unavailable)?;
    evidence::for_each_record(&*source, 0, &mut |record| {
        summary.records += 1;
        let Some(id) = &record.case else {
            return Ok(());
        };
        let case = cases.entry(id.to_string()).or_default();
        match &record.body {
            Body::CaseOpened(b) => {
                if let Request::OpenCase(open) = &b.request {
                    case.subject.clone_from(&open.subject);
                }
            }
            Body::VerdictReached(b) => {
                case.tier = b.tier.map(|t| t.word());
                case.route = Some(b.route);
                case.why = b
                    .reasons
                    .iter()
                    .map(|r| r.clause.clone().unwrap_or_else(|| r.rule.clone()))
                    .collect();
            }
            Body::ApprovalRequested(b) => case.humans = b.humans,
            Body::ApprovalGiven(b) => {
                if let Request::Approve(signed) = &b.request
                    && signed.statement.decision == Choice::Approve
                {
                    case.yes += 1;
                }
            }
            Body::ApprovalWithdrawn(_) => case.yes = case.yes.saturating_sub(1),
            Body::GrantUsed(b) => {
                if let Request::UseGrant(using) = &b.request {
                    case.cents = using.action.integer("amount_cents").unwrap_or(0);
                }
            }
            Body::OutcomeRecorded(b) => {
                if let Request::RecordOutcome(done) = &b.request {
                    case.unknown = done.outcome == Outcome::Unknown;
                    if done.outcome == Outcome::Succeeded {
                        succeeded.insert(done.grant.to_string(), case.cents);
                    }
                }
            }
            Body::ExceptionRaised(b) => {
                *summary
                    .exceptions
                    .entry(b.sort.word().to_owned())
                    .or_default() += 1;
            }
            Body::CaseClosed(b) => case.outcome = Some(b.outcome),
            _ => {}
        }
        Ok(())
    })
    .map_err(Failure::unavailable)?;
    for case in cases.values() {
        summary.count(case);
    }
    summary.hold_against_answers(dir, &cases)?;
    summary.hold_against_bank(dir, &succeeded)?;
    Ok(summary)
}

impl Summary {
    fn count(&mut self, case: &CaseCount) {
        self.cases += 1;
        let waiting =
            case.outcome.is_none() && case.route == Some(Route::Approval) && !case.unknown;
        let word = match case.outcome {
            Some(outcome) => outcome.word(),
            None if case.unknown => "unknown",
            None if waiting => "waiting",
            None => "open",
        };
        *self.by_outcome.entry(word.to_owned()).or_default() += 1;
        *self
            .by_tier
            .entry(case.tier.unwrap_or("none").to_owned())
            .or_default() += 1;
        self.waiting_for_human += usize::from(waiting);
        self.under_threshold += usize::from(case.route == Some(Route::Threshold));
        if case.route == Some(Route::Refused) {
            let why = case.why.first().cloned().unwrap_or_default();
            *self.refused.entry(why).or_default() += 1;
        }
    }

    fn hold_against_answers(
        &mut self,
        dir: &Path,
        cases: &BTreeMap<String, CaseCount>,
    ) -> Result<(), Failure> {
        let file = dir.join(ANSWERS);
        let text = fs::read_to_string(&file)
            .map_err(|e| Failure::unavailable(format!("`{}`: {e}", file.display())))?;
        let by_subject: HashMap<&str, &CaseCount> =
            cases.values().map(|c| (c.subject.as_str(), c)).collect();
        for line in text.lines().skip(1) {
            let mut fields = line.splitn(5, ',');
            let (row, _kind, trap, expected) =
                (fields.next(), fields.next(), fields.next(), fields.next());
            let (Some(row), Some(trap), Some(expected)) = (row, trap, expected) else {
                return Err(Failure::usage(format!(
                    "`{}`: `{line}` is no answer",
                    file.display()
                )));
            };
            if let Some(case) = by_subject.get(row) {
                self.answers.hold(row, trap == "yes", expected, case);
            }
        }
        Ok(())
    }

    fn hold_against_bank(
        &mut self,
        dir: &Path,
        succeeded: &HashMap<String, i64>,
    ) -> Result<(), Failure> {
        let transfers =
            treasury::transfers(&dir.join("targets/treasury.db")).map_err(Failure::unavailable)?;
        self.transfers = Transfers {
            succeeded_in_log: succeeded.len(),
            in_bank: transfers.len(),
            cents_in_log: succeeded.values().sum(),
            cents_in_bank: transfers.iter().map(|t| t.amount_cents).sum(),
            one_for_one: transfers.len() == succeeded.len()
                && transfers
                    .iter()
                    .all(|t| succeeded.get(&t.idempotency_key) == Some(&t.amount_cents)),
        };
        Ok(())
    }

    /// `console` is a one-time link for the example's first approver, where it is served.
    pub(super) fn print(&self, dir: &Path, console: Option<&str>) {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        let list = |map: &BTreeMap<String, usize>| {
            let parts: Vec<_> = map.iter().map(|(k, n)| format!("{n} {k}")).collect();
            parts.join(", ")
        };
        let t = &self.transfers;
        for (what, value) in [
            ("cases", self.cases.to_string()),
            ("by outcome", list(&self.by_outcome)),
            ("by risk tier", list(&self.by_tier)),
            (
                "under the threshold, no human",
                self.under_threshold.to_string(),
            ),
            ("waiting for a human", self.waiting_for_human.to_string()),
            ("refused, by clause", list(&self.refused)),
            ("exceptions", list(&self.exceptions)),
            (
                "traps executed without a human",
                format!(
                    "{} of {}",
                    self.answers.traps_executed_without_human, self.answers.traps
                ),
            ),
            (
                "harmless small, no human needed",
                format!(
                    "{} of {}",
                    self.answers.harmless_small_without_human, self.answers.harmless_small
                ),
            ),
            (
                "transfers at the bank / in the log",
                format!(
                    "{} / {}, {} / {} cents",
                    t.in_bank, t.succeeded_in_log, t.cents_in_bank, t.cents_in_log
                ),
            ),
            ("records in the log", self.records.to_string()),
        ] {
            table.add_row([what.to_owned(), value]);
        }
        show::line(&table.to_string());
        let d = dir.display();
        let program = std::env::args()
            .next()
            .unwrap_or_else(|| "counterfoil".to_owned());
        let next =
            |what: &str, command: &str| show::line(&format!("  {what:<11} {program} {command}"));
        show::line("");
        show::line("next:");
        if let Some(link) = console {
            show::line(&format!("  console     {link}"));
            show::line(
                "              signs amira in once, within 15 minutes; Ctrl-C stops the server",
            );
            show::line(&format!(
                "              her key, to be brought to the browser: {d}/keys/people/amira.pem"
            ));
            next("sign in", &format!("sign-in bram --dir {d}"));
        }
        next("approvals", &format!("approval list --dir {d}"));
        next(
            "sign one",
            &format!("approval approve APPROVAL --as amira --dir {d}"),
        );
        next("a case", &format!("case show ap-0001 --dir {d}"));
        next("exceptions", &format!("exception list --dir {d}"));
        next("verify", &format!("log verify {d} --vkey {d}/log.vkey"));
        next("re-perform", &format!("audit reperform --dir {d}"));
    }
}

impl Answers {
    fn hold(&mut self, row: &str, trap: bool, expected: &str, case: &CaseCount) {
        let executed = case.outcome == Some(CaseOutcome::Executed);
        let alone = executed && case.yes == 0;
        self.traps += usize::from(trap);
        self.traps_executed_without_human += usize::from(trap && alone);
        if expected == "auto" {
            self.harmless_small += 1;
            self.harmless_small_without_human += usize::from(alone);
        }
        let came_to = match case.route {
            Some(Route::Threshold) => "auto",
            Some(Route::Refused) => "refused",
            Some(Route::Referred) => "human",
            Some(Route::Approval) if case.humans > 1 => "two_humans",
            Some(Route::Approval) => "one_human",
            None => "open",
        };
        let human = expected == "human" && matches!(came_to, "one_human" | "two_humans");
        if came_to == expected || human {
            self.as_expected += 1;
        } else {
            self.unexpected
                .push(format!("{row}: expected {expected}, came to {came_to}"));
        }
    }
}
