//! The files of a release: which belong to it, and reading them from a directory.

use std::{collections::BTreeMap, fs, path::Path};

use crate::problem::{Problems, ReleaseErrors};

/// The most bytes of one file: it must fit in one record of the log together with its envelope.
pub(crate) const LONGEST: usize = 48_000;

/// Whether a path belongs in a release.
pub(crate) fn belongs(path: &str) -> bool {
    match path.split_once('/') {
        None => matches!(path, "team.toml" | "risk.cedar"),
        Some((_, name)) if name.contains('/') || name.starts_with('.') => false,
        Some(("permissions" | "tables", name)) => name.ends_with(".cedar"),
        Some(("thresholds", name)) => name.ends_with(".toml"),
        Some(("policies" | "prompts" | "courses", name)) => name.ends_with(".md"),
        Some(("tools", name)) => name.ends_with(".json"),
        Some(("vectors", name)) => name.ends_with(".txt"),
        Some(_) => false,
    }
}

/// Reads the files of a directory, hidden ones left out.
pub(crate) fn read(root: &Path) -> Result<BTreeMap<String, String>, ReleaseErrors> {
    let mut files = BTreeMap::new();
    let mut problems = Problems::default();
    read_folder(root, "", &mut files, &mut problems);
    problems.finish()?;
    Ok(files)
}

fn read_folder(
    root: &Path,
    prefix: &str,
    files: &mut BTreeMap<String, String>,
    problems: &mut Problems,
) {
    let folder = root.join(prefix);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(e) => {
            problems.add(
                folder.display().to_string(),
                format!("cannot be read: {e}; name a directory that holds `team.toml`"),
            );
            return;
        }
    };
    for entry in entries {
        let entry = match entry {
            Ok(entry) => entry,
            Err(e) => {
                problems.add(
                    folder.display().to_string(),
                    format!("cannot be listed: {e}"),
                );
                continue;
            }
        };
        let path = entry.path();
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
            problems.add(
                path.display().to_string(),
                "the name is not UTF-8; rename it",
            );
            continue;
        };
        if name.starts_with('.') {
            continue;
        }
        let relative = if prefix.is_empty() {
            name
        } else {
            format!("{prefix}/{name}")
        };
        if path.is_dir() {
            read_folder(root, &relative, files, problems);
            continue;
        }
        match fs::read(&path).map(String::from_utf8) {
            Ok(Ok(text)) => {
                files.insert(relative, text);
            }
            Ok(Err(e)) => problems.add(
                relative,
                format!(
                    "is not UTF-8 at byte {}; save it as UTF-8",
                    e.utf8_error().valid_up_to()
                ),
            ),
            Err(e) => problems.add(relative, format!("cannot be read: {e}")),
        }
    }
}
