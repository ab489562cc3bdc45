//! Who can sign what, said before they try. It only helps people choose: the core is asked, and it decides when they sign.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use duty::{canonical::Digest, may_sign, name::PrincipalId, refusal::Code};
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
}

/// For each request, in the docket's order, why `person` cannot sign it; none where nothing stands against it.
pub(crate) fn obstacles(
    desk: &Desk,
    docket: &[Waiting],
    person: &PrincipalId,
) -> Result<Vec<Option<Obstacle>>, EngineError> {
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
                let refusal = may_sign(state, &**release, &w.approval, person, now).err()?;
                Some(Obstacle {
                    why: sentence(&refusal.why),
                    signed: refusal.code == Code::Replayed,
                    clause: refusal.clause,
                })
            }
            _ => Some(Obstacle {
                why: "Its release cannot be read: nobody can sign under it.".to_owned(),
                clause: None,
                signed: false,
            }),
        };
        docket.iter().map(one).collect()
    }))
}

/// The core's words as a sentence of a page.
fn sentence(why: &str) -> String {
    let plain = why.replace('`', "");
    let mut letters = plain.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string());
    format!("{}{}.", first.unwrap_or_default(), letters.as_str())
}
