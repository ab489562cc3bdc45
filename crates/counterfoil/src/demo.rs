//! `demo`: the accounts-payable example, whole, on a directory of its own. Every step looks first at what is there, so a
//! demo that was cut off anywhere goes on.

mod stage;
mod summary;

use std::path::Path;

use duty::name::{CaseId, Environment};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::{
    cli::Demo,
    fail::{Failure, named},
    listen, serve, show,
    site::{Opening, Site, Work},
};

pub(crate) async fn run(demo: Demo) -> Result<(), Failure> {
    let listener = match demo.once {
        true => None,
        false => Some(serve::listen(demo.listen).await?),
    };
    let dir = &demo.dir;
    let fresh = stage::prepare(&demo)?;
    if !demo.json {
        let word = if fresh { "set up" } else { "going on" };
        eprintln!("{word} in {}", dir.display());
    }
    let mut site = Site::open(dir).await?;
    stage::people_and_release(&mut site, dir).await?;
    let shape = stage::Shape::read(dir)?;
    let wanted = demo.cases.unwrap_or(shape.rows).min(shape.rows);
    run_cases(&site, dir, wanted, demo.json).await?;
    site.engine.expire().await?;
    let size = site.engine.journal().committed();
    site.engine.journal().wait_published(size).await?;
    let summary = summary::of(dir)?;
    let url = listener
        .as_ref()
        .map(|l| serve::url(l, false))
        .transpose()?;
    if demo.json {
        show::json(&summary);
    } else {
        let console = match &url {
            None => None,
            Some(url) => {
                let link = console::sign_in_link(dir, &named("amira")?, url, site.engine.now());
                Some(link.map_err(Failure::unavailable)?)
            }
        };
        summary.print(dir, console.as_deref());
    }
    match listener {
        None => site.close(),
        Some(listener) => {
            let place = serve::Place {
                listener,
                public_url: None,
                tls: None,
                connections: listen::room(None).map_err(Failure::unavailable)?,
            };
            serve::serve(site, dir, place, serve::Ending::caught()?, None).await
        }
    }
}

/// Opens the cases that are not there yet and takes all as far as agents can.
async fn run_cases(site: &Site, dir: &Path, wanted: usize, quiet: bool) -> Result<(), Failure> {
    let environment: Environment = named(stage::ENVIRONMENT)?;
    let mut work = site.movable();
    let going_on = work.len();
    for (i, row) in stage::rows(dir)?.into_iter().take(wanted).enumerate() {
        let case: CaseId = named(&format!("ap-{:04}", i + 1))?;
        let known = site
            .engine
            .read(|s| s.cases.contains_key(&case) || s.closed.contains_key(&case));
        if !known {
            let opening = Opening {
                environment: environment.clone(),
                subject: row.id,
                source: row.source,
            };
            work.push(Work::open(case, opening));
        }
    }
    let bar = ProgressBar::new(work.len() as u64);
    if quiet {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} cases {per_sec} {eta}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    if going_on > 0 && !quiet {
        eprintln!("{going_on} cases go on from where they were");
    }
    let done = site.advance(work, |_, _| bar.inc(1)).await;
    bar.finish_and_clear();
    done
}
