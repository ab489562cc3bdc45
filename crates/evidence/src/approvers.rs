//! How people sign: measures of whoever approves, from recorded time. Nothing is decided by them.

use std::collections::BTreeMap;

use duty::{
    name::{CaseId, PrincipalId},
    record::{Body, Record},
    refusal::Code,
    request::Request,
    statement::Choice,
    time::Time,
};
use ledger::Source;
use serde::Serialize;

use crate::{EvidenceError, reader};

/// How one person signs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Approver {
    /// Who.
    pub person: PrincipalId,
    /// Signatures under requests for approval.
    pub signed: u64,
    /// Of these, yes.
    pub yes: u64,
    /// Of these, no.
    pub no: u64,
    /// Of these, against the agents.
    pub overrides: u64,
    /// Share of yes, in whole percent, rounded down.
    pub yes_percent: u64,
    /// The shortest time from a request to a yes, in milliseconds.
    pub soonest_ms: Option<u64>,
    /// The median time from a request to a yes, in milliseconds; the lower of the two in the middle.
    pub median_ms: Option<u64>,
    /// The shortest time between a signature and the person's next yes, in milliseconds.
    pub shortest_gap_ms: Option<u64>,
    /// Yes that came within so many seconds as were asked for, after the request or after the person's last signature.
    pub hasty: u64,
    /// The most signatures within an hour.
    pub most_in_an_hour: u64,
    /// Yes that were refused as too soon.
    pub refused_too_soon: u64,
    /// Yes that were refused as too many.
    pub refused_too_many: u64,
    /// With whom they said yes to the same request most often; the first by name, where there are several.
    pub partner: Option<Partner>,
}

/// Somebody who signs the same requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Partner {
    /// Who.
    pub person: PrincipalId,
    /// Requests that both said yes to.
    pub together: u64,
    /// Share of the requests that the first said yes to with anybody else, in whole percent, rounded down.
    pub percent: u64,
}

/// Measures of everybody who ever signed, by name. `seconds` is how long reading takes.
///
/// # Errors
/// What cannot be read.
pub fn approvers(source: &dyn Source, seconds: u32) -> Result<Vec<Approver>, EvidenceError> {
    let mut watch = Watch::default();
    reader::for_each_record(source, 0, &mut |record| {
        watch.take(record);
        Ok(())
    })?;
    Ok(watch.tell(seconds))
}

/// What was seen so far. Requests are forgotten when their case ends.
#[derive(Default)]
struct Watch {
    asked: BTreeMap<CaseId, Time>,
    said_yes: BTreeMap<CaseId, Vec<PrincipalId>>,
    people: BTreeMap<PrincipalId, Hand>,
}

/// One person's signatures.
#[derive(Default)]
struct Hand {
    /// When, whether yes, and how long after the request, in milliseconds.
    signed: Vec<(Time, bool, u64)>,
    overrides: u64,
    too_soon: u64,
    too_many: u64,
    /// Requests that somebody else said yes to as well.
    shared: u64,
    partners: BTreeMap<PrincipalId, u64>,
}

impl Watch {
    fn take(&mut self, record: &Record) {
        let Some(case) = &record.case else { return };
        match &record.body {
            Body::ApprovalRequested(_) => {
                self.asked.insert(case.clone(), record.time);
            }
            Body::ApprovalGiven(b) => {
                let Request::Approve(signed) = &b.request else {
                    return;
                };
                let s = &signed.statement;
                let asked = self.asked.get(case).copied().unwrap_or(record.time);
                let yes = s.decision == Choice::Approve;
                let hand = self.people.entry(s.signer.clone()).or_default();
                hand.signed
                    .push((record.time, yes, after(asked, record.time)));
                hand.overrides += u64::from(s.overrides);
                if yes {
                    self.together(case, &s.signer);
                }
            }
            Body::RequestRefused(b) => {
                if let Request::Approve(signed) = &b.request {
                    let signer = &signed.statement.signer;
                    match b.refusal.code {
                        Code::TooSoon => {
                            self.people.entry(signer.clone()).or_default().too_soon += 1
                        }
                        Code::TooMany => {
                            self.people.entry(signer.clone()).or_default().too_many += 1
                        }
                        _ => {}
                    }
                }
            }
            Body::CaseClosed(_) => {
                self.asked.remove(case);
                self.said_yes.remove(case);
            }
            _ => {}
        }
    }

    fn together(&mut self, case: &CaseId, signer: &PrincipalId) {
        let others = self.said_yes.entry(case.clone()).or_default();
        for other in others.iter() {
            for (one, with) in [(signer, other), (other, signer)] {
                let hand = self.people.entry(one.clone()).or_default();
                *hand.partners.entry(with.clone()).or_default() += 1;
            }
        }
        // Once for the newcomer, and once for whoever was alone until now.
        if let [first] = &others[..] {
            self.people.entry(first.clone()).or_default().shared += 1;
        }
        if !others.is_empty() {
            self.people.entry(signer.clone()).or_default().shared += 1;
        }
        others.push(signer.clone());
    }

    fn tell(self, seconds: u32) -> Vec<Approver> {
        let people = self.people.into_iter();
        people
            .map(|(person, hand)| hand.tell(person, seconds))
            .collect()
    }
}

impl Hand {
    fn tell(self, person: PrincipalId, seconds: u32) -> Approver {
        let limit = u64::from(seconds) * 1_000;
        let gaps: Vec<Option<u64>> = std::iter::once(None)
            .chain(self.signed.windows(2).map(|w| Some(after(w[0].0, w[1].0))))
            .collect();
        let yeses = || {
            self.signed
                .iter()
                .zip(&gaps)
                .filter(|((_, yes, _), _)| *yes)
        };
        let mut reading: Vec<u64> = yeses().map(|((_, _, reading), _)| *reading).collect();
        reading.sort_unstable();
        let hasty = yeses().filter(|((_, _, reading), gap)| {
            *reading < limit || gap.is_some_and(|gap| gap < limit)
        });
        let hasty = hasty.count() as u64;
        let shortest_gap_ms = yeses().filter_map(|(_, gap)| *gap).min();
        let (signed, yes) = (self.signed.len() as u64, reading.len() as u64);
        let partner = self
            .partners
            .iter()
            .max_by_key(|(who, n)| (**n, std::cmp::Reverse(*who)));
        let partner = partner.map(|(who, n)| Partner {
            person: who.clone(),
            together: *n,
            percent: percent(*n, self.shared),
        });
        Approver {
            person,
            signed,
            yes,
            no: signed - yes,
            overrides: self.overrides,
            yes_percent: percent(yes, signed),
            soonest_ms: reading.first().copied(),
            median_ms: reading.get(reading.len().saturating_sub(1) / 2).copied(),
            shortest_gap_ms,
            hasty,
            most_in_an_hour: most_in_an_hour(&self.signed),
            refused_too_soon: self.too_soon,
            refused_too_many: self.too_many,
            partner,
        }
    }
}

fn most_in_an_hour(signed: &[(Time, bool, u64)]) -> u64 {
    let mut most = 0;
    let mut first = 0;
    for (i, (time, _, _)) in signed.iter().enumerate() {
        let since = time.minus_minutes(60);
        while signed[first].0 <= since {
            first += 1;
        }
        most = most.max(i + 1 - first);
    }
    most as u64
}

fn after(from: Time, to: Time) -> u64 {
    to.millis().abs_diff(from.millis())
}

fn percent(part: u64, whole: u64) -> u64 {
    (part * 100).checked_div(whole).unwrap_or(0)
}
