//! THR-01: thresholds that are unsigned, over, or full.

use duty::{
    canonical,
    release::{Rules, Threshold, Unit},
    request::Request,
};
use policy::Release;
use serde_json::Value;

use super::{ADMIN, CASE, Tried, held};
use crate::control::scene::{AUTHOR, Lead, Scene, credential};

fn no_threshold() -> Lead<Tried> {
    Ok(Tried::NotApplicable(
        "the release has no threshold".to_owned(),
    ))
}

pub(in crate::control) fn unsigned_threshold(release: &Release) -> Lead<Tried> {
    let Some((threshold, _)) = release.thresholds().first() else {
        return no_threshold();
    };
    let mut scene = Scene::new(release)?;
    let action = scene.action()?;
    let records = scene.judged(CASE, action, threshold.tier)?;
    match Scene::automatic(&records) {
        true => Err("a threshold that nobody signed gave a grant".to_owned()),
        false => held("humans were asked"),
    }
}

pub(in crate::control) fn expired_threshold(release: &Release) -> Lead<Tried> {
    let Some((threshold, _)) = release.thresholds().first() else {
        return no_threshold();
    };
    let mut scene = Scene::new(release)?;
    scene.sign_thresholds()?;
    let action = scene.action()?;
    let records = scene.judged("in-force", action.clone(), threshold.tier)?;
    if !Scene::automatic(&records) {
        return Err("the threshold covers nothing even while it is in force".to_owned());
    }
    scene.clock = threshold.expires.millis();
    // So that nothing but the threshold is over.
    scene.train()?;
    let records = scene.judged(CASE, action, threshold.tier)?;
    match Scene::automatic(&records) {
        true => Err("an expired threshold gave a grant".to_owned()),
        false => held("humans were asked"),
    }
}

pub(in crate::control) fn over_the_limit(release: &Release) -> Lead<Tried> {
    let Some((threshold, _)) = release.thresholds().first() else {
        return no_threshold();
    };
    let Some((field, limit)) = threshold.sum_field.as_ref().zip(threshold.single_limit) else {
        return Ok(Tried::NotApplicable(
            "the first threshold sums nothing".to_owned(),
        ));
    };
    let mut scene = Scene::new(release)?;
    scene.sign_thresholds()?;
    let mut seen = Vec::new();
    for (case, amount) in [
        ("over", limit.saturating_add(1)),
        ("minus", -1),
        ("none", 0),
    ] {
        let mut action = scene.action()?;
        action
            .arguments
            .insert(field.clone(), in_its_unit(threshold, amount));
        let records = scene.judged(case, action, threshold.tier)?;
        if Scene::automatic(&records) {
            return Err(format!(
                "{} went through under a limit of {}",
                threshold.say(amount),
                threshold.say(limit)
            ));
        }
        seen.push(format!("{}: humans were asked", threshold.say(amount)));
    }
    held(seen.join("; "))
}

/// An amount as the argument that a threshold sums has it.
fn in_its_unit(threshold: &Threshold, amount: i64) -> Value {
    match threshold.unit {
        None => Value::from(amount),
        Some(Unit::TenThousandths) => {
            let mut value = Value::from(amount as f64 / 10_000.0);
            canonical::normalise(&mut value);
            value
        }
    }
}

/// The most cases that an attempt on a cap opens.
const MOST: u32 = 200;

pub(in crate::control) fn split_under_the_cap(release: &Release) -> Lead<Tried> {
    let Some((threshold, _)) = release.thresholds().first() else {
        return no_threshold();
    };
    let mut scene = Scene::new(release)?;
    scene.sign_thresholds()?;
    let caps = threshold.caps;
    let (mut count, mut sum) = (0_u32, 0_i64);
    let most = caps.per_key.map_or(u32::MAX, |cap| cap.count);
    let most = most.min(caps.all.count);
    let sums = [caps.all.sum, caps.per_key.and_then(|cap| cap.sum)];
    let most_sum = sums.into_iter().flatten().min().unwrap_or(i64::MAX);
    for n in 0..MOST {
        let amount = threshold.single_limit.unwrap_or(0);
        let mut action = scene.action()?;
        if let Some(field) = &threshold.sum_field {
            action
                .arguments
                .insert(field.clone(), in_its_unit(threshold, amount));
        }
        let records = scene.judged(&format!("split-{n}"), action, threshold.tier)?;
        let room = count < most && sum.saturating_add(amount) <= most_sum;
        match (Scene::automatic(&records), room) {
            (true, true) => (count, sum) = (count + 1, sum.saturating_add(amount)),
            (false, false) => {
                return held(format!(
                    "after {count} actions of {sum} in all humans were asked"
                ));
            }
            (true, false) => {
                return Err(format!("action {} of {amount} went over the caps", n + 1));
            }
            (false, true) if suspected(&records) => {
                return held(format!(
                    "after {count} actions of {sum} in all they were taken for parts of one, and humans were asked"
                ));
            }
            (false, true) => {
                return Err(format!("action {} was held although there was room", n + 1));
            }
        }
    }
    Ok(Tried::NotApplicable(format!(
        "{MOST} actions do not come to the caps"
    )))
}

fn suspected(records: &[duty::record::Record]) -> bool {
    records.iter().any(|r| {
        matches!(&r.body, duty::record::Body::ExceptionRaised(b)
            if b.sort == duty::record::ExceptionSort::SplitSuspected)
    })
}

/// Parts of one, each for itself under the limit and with room under the caps.
pub(in crate::control) fn parts_of_one(release: &Release) -> Lead<Tried> {
    let first = release.thresholds().first();
    let Some((threshold, split)) = first.and_then(|(t, _)| Some((t, t.split?))) else {
        return Ok(Tried::NotApplicable(
            "no threshold of the release looks for splitting".to_owned(),
        ));
    };
    let mut scene = Scene::new(release)?;
    scene.sign_thresholds()?;
    let limit = threshold.most_of_parts().unwrap_or(i64::MAX);
    let most = split.count.unwrap_or(u32::MAX);
    let (mut count, mut sum) = (0_u32, 0_i64);
    for n in 0..MOST {
        let part = limit / 2 + 1;
        let amount = threshold
            .single_limit
            .map_or(0, |most| most.min(part).max(1));
        let mut action = scene.action()?;
        if let Some(field) = &threshold.sum_field {
            action
                .arguments
                .insert(field.clone(), in_its_unit(threshold, amount));
        }
        let records = scene.judged(&format!("part-{n}"), action, threshold.tier)?;
        (count, sum) = (count + 1, sum.saturating_add(amount));
        let over = count > 1 && (sum > limit || count > most);
        match (Scene::automatic(&records), suspected(&records), over) {
            (false, true, true) => {
                return held(format!(
                    "part {count}, with which they come to {sum}: humans were asked, and the cases were named"
                ));
            }
            (true, _, true) => {
                return Err(format!(
                    "part {count}, with which they come to {sum}, went through"
                ));
            }
            (_, true, false) => {
                return Err(format!(
                    "{count} actions of {sum} in all were taken for parts of one"
                ));
            }
            (false, false, _) => {
                return Ok(Tried::NotApplicable(
                    "the caps are full before parts come to too much".to_owned(),
                ));
            }
            (true, false, false) => {}
        }
    }
    Ok(Tried::NotApplicable(format!(
        "{MOST} parts do not come to too much"
    )))
}

/// A threshold whose signer's credential ended by itself since.
pub(in crate::control) fn threshold_of_an_ended_key(release: &Release) -> Lead<Tried> {
    let Some((threshold, _)) = release.thresholds().first() else {
        return no_threshold();
    };
    let mut scene = Scene::new(release)?;
    scene.sign_thresholds()?;
    let revoke = duty::request::RevokeCredential {
        credential: credential(AUTHOR)?,
        reason: "a control test".to_owned(),
    };
    scene.must(ADMIN, Request::RevokeCredential(revoke))?;
    let action = scene.action()?;
    let records = scene.judged(CASE, action, threshold.tier)?;
    match Scene::automatic(&records) {
        true => Err("a threshold signed with a revoked credential gave a grant".to_owned()),
        false => held("humans were asked"),
    }
}
