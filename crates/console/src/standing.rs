//! Who can sign what, said before they try. It only helps people choose: the core is asked, and it decides when they sign.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use duty::{Way, canonical::Digest, may_sign, name::PrincipalId, refusal::Code};
use engine::{EngineError, Waiting};
use policy::Release;

use crate::Desk;

/// Why a person cannot sign a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Obstacle {
    /// In a sentence.
    pub(crate) why: String,
    /// The clause behind it.
    pub(crate) clause: Option<String>,
    /// Whether it is that they signed already.
    pub(crate) signed: bool,
    /// Whether it stands against a yes alone, and for now: they may read it, and say no.
    pub(crate) for_now: bool,
    /// Whether it stands against a yes alone, for good: they took theirs back, and may say no.
    pub(crate) no_only: bool,
}

/// For each request, in the docket's order, why `person` cannot sign it; none where nothing stands against it.
pub(crate) fn obstacles(
    desk: &Desk,
    docket: &[Waiting],
    person: &PrincipalId,
) -> Result<Vec<Option<Obstacle>>, EngineError> {
    let found = ways(desk, docket, person)?;
    Ok(found.into_iter().map(Result::err).collect())
}

/// For each request, in the docket's order, how `person` could sign it, or why they cannot.
pub(crate) fn ways(
    desk: &Desk,
    docket: &[Waiting],
    person: &PrincipalId,
) -> Result<Vec<Result<Vec<Way>, Obstacle>>, EngineError> {
    let mut releases: HashMap<Digest, Option<Arc<Release>>> = HashMap::new();
    for w in docket {
        if let Entry::Vacant(place) = releases.entry(w.release) {
            place.insert(desk.engine.release(w.release)?);
        }
    }
    let now = desk.engine.now();
    Ok(desk.engine.read(|state| {
        let one = |w: &Waiting| match releases.get(&w.release) {
            Some(Some(release)) => {
                may_sign(state, &**release, &w.approval, person, now).map_err(|refusal| {
                    let approval = state.cases.get(&w.case).and_then(|c| c.approval.as_ref());
                    let no_only = approval.is_some_and(|a| a.withdrawn.contains(person));
                    let signed = refusal.code == Code::Replayed && !no_only;
                    let for_now = matches!(refusal.code, Code::TooSoon | Code::TooMany);
                    Obstacle {
                        why: if signed {
                            "You signed this.".to_owned()
                        } else if no_only {
                            "You took your yes back: another person must say yes. You may say no."
                                .to_owned()
                        } else if for_now {
                            format!("{} For a yes: {}.", sentence(&refusal.why), refusal.remedy)
                        } else {
                            sentence(&refusal.why)
                        },
                        signed,
                        for_now,
                        no_only,
                        clause: refusal.clause,
                    }
                })
            }
            _ => Err(Obstacle {
                why: "Its release cannot be read: nobody can sign under it.".to_owned(),
                clause: None,
                signed: false,
                for_now: false,
                no_only: false,
            }),
        };
        docket.iter().map(one).collect()
    }))
}

/// The core's words as a sentence of a page. An id that it begins with stays as it is written.
fn sentence(why: &str) -> String {
    let plain = why.replace('`', "");
    let mut letters = plain.chars();
    match letters.next().filter(|_| !why.starts_with('`')) {
        Some(first) => format!("{}{}.", first.to_uppercase(), letters.as_str()),
        None => format!("{plain}."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cores_words_make_a_sentence() {
        assert_eq!(sentence("`olivia` owns `analyst`"), "olivia owns analyst.");
        assert_eq!(sentence("the release is gone"), "The release is gone.");
        assert_eq!(sentence(""), ".");
    }
}
