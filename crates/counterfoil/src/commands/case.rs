//! `case`: list, show, replay.

use evidence::CaseFilter;

use crate::{
    cli::CaseCommand,
    fail::{Failure, named},
    show::{self, Listing},
};

pub(crate) async fn run(command: CaseCommand) -> Result<(), Failure> {
    match command {
        CaseCommand::List { dir, outcome, form } => {
            let index = super::index(&dir.dir.display().to_string())?;
            let filter = CaseFilter {
                under_way: outcome.as_deref() == Some("open"),
                outcome: outcome.filter(|o| o != "open"),
                ..CaseFilter::default()
            };
            let mut listing = Listing::new(
                form.json,
                &["case", "subject", "tier", "route", "stage", "opened"],
            );
            for case in index.index.cases(&filter).map_err(Failure::unavailable)? {
                let cells = vec![
                    case.id.clone(),
                    case.subject.clone(),
                    case.tier.clone().unwrap_or_default(),
                    case.route.clone().unwrap_or_default(),
                    case.stage.clone(),
                    case.opened.to_string(),
                ];
                listing.row(&case, cells);
            }
            listing.print("no cases");
            Ok(())
        }
        CaseCommand::Show { id, dir, form } => {
            let place = dir.dir.display().to_string();
            let super::Indexed { opened, index } = super::index(&place)?;
            let story = evidence::case_story(&*opened.source, Some(&index), &named(&id)?)
                .map_err(Failure::usage)?;
            if form.json {
                show::json(&story);
            } else {
                show::line(&story.to_string());
            }
            Ok(())
        }
        CaseCommand::Replay(replay) => super::replay::run(replay).await,
    }
}
