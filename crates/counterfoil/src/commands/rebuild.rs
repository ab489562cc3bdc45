//! `rebuild`: the whole log folded anew, and held against the folds that were written down.

use engine::fold::{self, Rebuilt};
use serde_json::json;
use store::DataDir;

use crate::{cli::Rebuild, fail::Failure, passphrase, show, site::guards};

pub(crate) fn rebuild(args: &Rebuild) -> Result<(), Failure> {
    let path = &args.dir.dir;
    let dir = DataDir::open_with(path, &guards()?, &|| passphrase::unlock(path))?;
    let done = fold::rebuild(&dir)?;
    print(&done, args.form.json);
    match &done.wrong[..] {
        [] => Ok(()),
        [(size, why, aside), ..] => Err(Failure::check(format!(
            "{} folds were wrong, the one of {size} records first: {why}; it is now `{}`. A new one was written, and every start since the wrong one was written may have gone by it: run `counterfoil audit reperform`",
            done.wrong.len(),
            aside.display()
        ))),
    }
}

fn print(done: &Rebuilt, as_json: bool) {
    if as_json {
        let wrong = done
            .wrong
            .iter()
            .map(|(size, why, aside)| json!({"records": size, "why": why, "now": aside}));
        let other = done
            .other
            .iter()
            .map(|(size, why)| json!({"records": size, "why": why}));
        show::json(&json!({
            "records": done.size,
            "same": done.same,
            "wrong": wrong.collect::<Vec<_>>(),
            "other_versions": other.collect::<Vec<_>>(),
        }));
        return;
    }
    show::line(&format!(
        "folded {} records, and wrote their fold",
        done.size
    ));
    for size in &done.same {
        show::line(&format!("the fold of {size} records says the same"));
    }
    for (size, why) in &done.other {
        show::line(&format!(
            "the fold of {size} records was not compared: {why}"
        ));
    }
}
