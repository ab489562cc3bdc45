//! Effects that the user of a grant carries out in its own process: the record before it goes, the report after.

use duty::{
    action::Action,
    name::ItemId,
    record::Record,
    request::{FoundBy, Outcome, RecordOutcome, Request, UseGrant},
    time::Time,
};
use serde_json::Value;

use crate::{
    Engine, EngineError, Executed, Seat,
    act::{AFTER, BEFORE, json, shorten},
};

/// What the user of a grant may do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// Carry the action out, once, and report by then. The grant's id is its idempotency key.
    Go {
        /// When it must have reported; later the outcome counts as unknown.
        report_by: Time,
    },
    /// Nothing: effects are simulated in the case's environment, and the outcome stands in the log.
    Simulated,
    /// Nothing: the engine called the tool itself, or a stop came before the effect. The outcome stands in the log.
    Done(Executed),
}

impl Engine {
    /// Uses a grant, whoever carries its effect out: consumed, durable, and at the release's level first.
    ///
    /// # Errors
    /// [`EngineError::Refused`] where the grant does not stand, [`EngineError::Unreleased`] where what authorises it is not
    /// at its level yet; those of [`Engine::execute`].
    pub async fn begin(
        &self,
        seat: &Seat,
        grant: &ItemId,
        action: Action,
    ) -> Result<Begun, EngineError> {
        let tool = action.tool.clone();
        let simulated = self.simulated(grant)?;
        if !simulated && !self.is_by_caller(grant, &tool)? {
            return self.execute(seat, grant, action).await.map(Begun::Done);
        }
        let request = Request::UseGrant(UseGrant {
            grant: grant.clone(),
            action,
            described: None,
        });
        if simulated {
            self.submit(seat, request).await?;
            self.simulate(grant).await?;
            return Ok(Begun::Simulated);
        }
        let level = self.level(grant)?;
        self.reach(level, BEFORE)
            .await
            .map_err(|why| EngineError::Unreleased { level, why })?;
        self.submit(seat, request).await?;
        let stopped = match self.reach(level, AFTER).await {
            Err(why) => Some(format!("its record is not {}: {why}", level.word())),
            // It may have been stopped while its record went to the witnesses.
            Ok(()) => match self.take_orders().await {
                Ok(_) => self.stopped(grant, &seat.principal, &tool)?,
                Err(e) => Some(e.to_string()),
            },
        };
        if let Some(why) = stopped {
            let detail = format!("never carried out: {why}");
            self.report(seat, grant, Outcome::Failed, &detail, None)
                .await?;
            let outcome = Outcome::Failed;
            return Ok(Begun::Done(Executed {
                outcome,
                detail,
                answer: None,
            }));
        }
        let report_by = self.with_case(grant, |case| case.grant.as_ref()?.report_by)?;
        let report_by = report_by.ok_or_else(|| EngineError::Missing(grant.clone()))?;
        Ok(Begun::Go { report_by })
    }

    /// Records what the user of a grant says came of it, with the result that it keeps of it.
    ///
    /// # Errors
    /// [`EngineError::Refused`] where it was not theirs to carry out, or the outcome is known already.
    pub async fn report(
        &self,
        seat: &Seat,
        grant: &ItemId,
        outcome: Outcome,
        detail: &str,
        result: Option<&Value>,
    ) -> Result<Vec<Record>, EngineError> {
        // A stranger's report must leave nothing behind but its refusal.
        let subject = self.read(|state| {
            let case = state.cases.get(&grant.case()?)?;
            let executes = (duty::principal::Duty::Execute, seat.principal.clone());
            case.parts.contains(&executes).then(|| case.subject.clone())
        });
        let snapshot = match (result, subject) {
            (Some(result), Some(subject)) => Some(self.keep(&subject, json(result)).await?),
            _ => None,
        };
        let request = Request::RecordOutcome(RecordOutcome {
            grant: grant.clone(),
            outcome,
            found_by: FoundBy::Caller,
            detail: shorten(detail),
            snapshot,
        });
        self.submit(seat, request).await
    }

    /// Whether the effect of a tool is its caller's, by the release of the grant's case.
    ///
    /// # Errors
    /// [`EngineError::Missing`] where there is no such case.
    pub fn is_by_caller(&self, grant: &ItemId, tool: &str) -> Result<bool, EngineError> {
        let release = self.release_of(grant)?;
        let tool = duty::release::Rules::team(&*release).tools.get(tool);
        Ok(tool.is_some_and(|t| t.by_caller))
    }

    /// Records as unknown what nobody reported in time.
    pub(crate) async fn note_unreported(&self, now: Time) -> Result<(), EngineError> {
        let late: Vec<ItemId> = self.read(|state| {
            let open = state.cases.values().filter(|case| case.outcome.is_none());
            let grants = open.filter_map(|case| case.grant.as_ref());
            let late = grants.filter(|g| g.report_by.is_some_and(|by| by <= now));
            late.map(|g| g.id.clone()).collect()
        });
        for grant in late {
            let why = "whoever used the grant has not reported in time".to_owned();
            match self
                .record_outcome(&grant, Outcome::Unknown, FoundBy::Overdue, why, None)
                .await
            {
                // Reported in the meantime: the refusal is in the log.
                Ok(_) | Err(EngineError::Refused(_)) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }
}
