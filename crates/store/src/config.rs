//! Files of settings in a data directory: TOML, read whole, before anything is done by them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::de::DeserializeOwned;

/// Why a file of settings is not taken. Its line is named and not repeated: an address in it may hold a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// There is none where there has to be.
    #[error("`{file}` is not there; write it, or name the right one")]
    Missing {
        /// The file.
        file: PathBuf,
    },
    /// It cannot be read.
    #[error("`{file}` cannot be read: {why}; make it a file that this user may read")]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// The system's reason.
        why: String,
    },
    /// It does not say what it has to.
    #[error("`{file}`, line {line}: {why}")]
    Wrong {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there, and what is expected.
        why: String,
    },
}

/// What a file of settings says; nothing where there is no file.
///
/// # Errors
/// [`ConfigError`].
pub fn read<T: DeserializeOwned>(file: &Path) -> Result<Option<T>, ConfigError> {
    let bytes = match fs::read(file) {
        Ok(bytes) => bytes,
        Err(gone) if gone.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(why) => {
            return Err(ConfigError::Unreadable {
                file: file.to_owned(),
                why: why.to_string(),
            });
        }
    };
    let wrong = |at: usize, why: &str| ConfigError::Wrong {
        file: file.to_owned(),
        line: 1 + bytes.iter().take(at).filter(|b| **b == b'\n').count(),
        why: why.to_owned(),
    };
    let text = std::str::from_utf8(&bytes)
        .map_err(|e| wrong(e.valid_up_to(), "no text in UTF-8; write it so"))?;
    toml::from_str(text)
        .map(Some)
        .map_err(|e| wrong(e.span().map_or(0, |span| span.start), e.message()))
}

/// As [`read`], of a file that has to be there.
///
/// # Errors
/// [`ConfigError`], also where there is no file.
pub fn read_named<T: DeserializeOwned>(file: &Path) -> Result<T, ConfigError> {
    read(file)?.ok_or_else(|| ConfigError::Missing {
        file: file.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Setting {
        url: String,
        #[serde(default)]
        seconds: u8,
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line_and_without_what_stands_there() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("a.toml");
        assert_eq!(read::<Setting>(&file), Ok(None));
        let missing = ConfigError::Missing { file: file.clone() };
        assert_eq!(read_named::<Setting>(&file), Err(missing));
        let url = "url = \"https://desk.example/?key=hidden\"\n";
        fs::write(&file, url).unwrap();
        let seconds = read_named::<Setting>(&file).map(|s| s.seconds);
        assert_eq!((seconds, read::<Setting>(&file).is_ok()), (Ok(0), true));
        for (text, says) in [
            (format!("{url}retries = 3\n"), "line 2: unknown field"),
            (format!("\n{url}seconds = 300\n"), "line 3: "),
            ("seconds = 3\n".to_owned(), "missing field `url`"),
            (format!("{url}{url}"), "line 2: duplicate key"),
            (format!("seconds = 3\n{} more\n", url.trim()), "line 2: "),
        ] {
            fs::write(&file, &text).unwrap();
            let why = read::<Setting>(&file).unwrap_err().to_string();
            assert!(
                why.contains("a.toml`, line ") && why.contains(says),
                "{why}"
            );
            assert!(!why.contains("hidden") && !why.contains('\n'), "{why}");
        }
        fs::write(&file, b"seconds = 3\nurl = \"\xff\"\n").unwrap();
        let why = read::<Setting>(&file).unwrap_err().to_string();
        assert!(why.contains("line 2: no text in UTF-8"), "{why}");
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        let why = read::<Setting>(&file).unwrap_err();
        assert!(matches!(why, ConfigError::Unreadable { .. }), "{why}");
    }
}
