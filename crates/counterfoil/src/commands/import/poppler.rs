//! PDFs by Poppler's programs, in processes of their own: who wrote a file may have meant harm.

use std::{io, path::Path, process::Stdio, time::Duration};

use intake::Left;
use tokio::{io::AsyncReadExt as _, process::Command, time::timeout};

use crate::fail::Failure;

/// How long a program may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where the lines of a PDF stand: what `pdftotext -bbox-layout` says.
pub(super) async fn layout(file: &Path) -> Result<Vec<u8>, Failure> {
    let words = ["-q", "-bbox-layout", "-enc", "UTF-8"];
    run("pdftotext", &words, file, &["-"]).await
}

/// The pictures of a PDF, which hold words that nobody reads here.
pub(super) async fn pictures(file: &Path) -> Result<Vec<Left>, Failure> {
    let listed = run("pdfimages", &["-list"], file, &[]).await?;
    let listed = String::from_utf8_lossy(&listed).into_owned();
    let mut pages: Vec<&str> = listed
        .lines()
        .skip(2)
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    pages.dedup();
    let of = |page: &str| Left {
        place: format!("page {page}"),
        what: "an image".to_owned(),
    };
    Ok(pages.into_iter().map(of).collect())
}

async fn run(
    program: &str,
    before: &[&str],
    file: &Path,
    after: &[&str],
) -> Result<Vec<u8>, Failure> {
    let about = |what: String| Failure::usage(format!("`{}`: {what}", file.display()));
    // Whole, so that no name is taken for an option.
    let path = file.canonicalize().map_err(|e| about(e.to_string()))?;
    let child = Command::new(program)
        .args(before)
        .arg(path)
        .args(after)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let mut child = child.map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => about(format!(
            "a PDF is read by Poppler's `{program}`, which is not here; install `poppler-utils`, or bring in the document that the PDF was made from"
        )),
        _ => about(format!("`{program}` does not start: {e}")),
    })?;
    let most = intake::read::LARGEST_LAYOUT;
    let out = child
        .stdout
        .take()
        .ok_or_else(|| about("no output".to_owned()))?;
    let err = child
        .stderr
        .take()
        .ok_or_else(|| about("no output".to_owned()))?;
    let (mut said, mut complaint) = (Vec::new(), Vec::new());
    let done = timeout(PATIENCE, async {
        let mut out = out.take(most as u64 + 1);
        let mut err = err.take(64 << 10);
        let bounded = async {
            out.read_to_end(&mut said).await?;
            let fits = said.len() <= most;
            fits.then_some(()).ok_or_else(|| {
                io::Error::other(format!(
                    "it says more than {most} bytes; split the document"
                ))
            })
        };
        tokio::try_join!(bounded, err.read_to_end(&mut complaint))?;
        child.wait().await
    });
    match done.await {
        Err(_) => Err(about(format!(
            "`{program}` took more than {} s, and was stopped",
            PATIENCE.as_secs()
        ))),
        Ok(Err(e)) => Err(about(format!("`{program}`: {e}"))),
        Ok(Ok(status)) if status.success() => Ok(said),
        Ok(Ok(status)) => Err(about(format!(
            "`{program}` cannot read it ({status}): {}",
            String::from_utf8_lossy(&complaint).trim()
        ))),
    }
}
