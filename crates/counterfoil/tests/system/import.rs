//! A document of other software brought in by the real binary, and built into a release.

use std::fs;

use tempfile::TempDir;

use crate::rig::expect;

const FIRST: &str = "<h1>Gifts</h1><h2>Giving</h2><h3>Small gifts</h3><p>Gifts up to EUR 50 are noted in the book of gifts.</p>\
    <h3>Large gifts</h3><p>Larger gifts need the yes of the head of the department.</p>";

#[test]
fn editions_keep_their_ids_and_nothing_is_guessed_in_silence() {
    let home = TempDir::new().unwrap();
    let path = |name: &str| home.path().join(name).display().to_string();
    let (first, second) = (path("gifts.html"), path("gifts-2.html"));
    fs::write(&first, FIRST).unwrap();
    let one = path("one.md");
    let import = |code: i32, file: &str, more: &[&str]| {
        let args = ["policy", "import", file, "--id", "GFT"];
        expect(code, &[&args[..], more].concat())
    };
    let (out, _) = import(
        0,
        &first,
        &["--edition", "1", "--effective", "2026-01-01", "--out", &one],
    );
    assert!(out.contains("GFT-1.1 Small gifts (new)"), "{out}");
    let (shown, _) = expect(0, &["policy", "diff", &one, &one]);
    assert!(!shown.contains("GFT-1.1"), "{shown}");

    // Another order, other words, one more, one less.
    let next = FIRST
        .replace("EUR 50", "EUR 40")
        .replace(
            "<h3>Large gifts</h3><p>Larger gifts need the yes of the head of the department.</p>",
            "",
        )
        .replace(
            "<h3>Small",
            "<h3>Cash</h3><p>Nobody gives or takes money.</p><h3>Small",
        );
    fs::write(&second, next).unwrap();
    let two = path("two.md");
    let words = [
        "--edition",
        "2",
        "--effective",
        "2027-01-01",
        "--previous",
        &one,
        "--out",
        &two,
    ];
    let (out, err) = import(2, &second, &words);
    assert!(
        out.contains("CONFIRM: its text is like that of `GFT-1.1` before"),
        "{out}"
    );
    assert!(out.contains("removed: GFT-1.2"), "{out}");
    assert!(
        err.contains("nothing was written") && err.contains("--confirm-ids"),
        "{err}"
    );
    assert!(!fs::exists(&two).unwrap());
    import(0, &second, &[&words[..], &["--confirm-ids"]].concat());
    let (diff, _) = expect(0, &["policy", "diff", &one, &two]);
    for said in ["GFT-1.1", "[-50-]", "GFT-1.2", "GFT-1.3"] {
        assert!(diff.contains(said), "{said}: {diff}");
    }
    // What is there is not written over, and what is not known or too much is refused.
    let (_, err) = import(2, &second, &[&words[..], &["--confirm-ids"]].concat());
    assert!(err.contains("never written over"), "{err}");
    import(2, &path("gifts.pdf"), &["--edition", "1"]);
    import(2, &path("nowhere.html"), &["--edition", "1"]);
    expect(
        2,
        &[
            "policy",
            "import",
            &first,
            "--id",
            "gifts",
            "--edition",
            "1",
        ],
    );
    fs::write(
        &second,
        format!("{FIRST}<table><tr><td>50</td></tr></table>"),
    )
    .unwrap();
    let (_, err) = import(2, &second, &["--edition", "1"]);
    assert!(err.contains("NOT TAKEN OVER: line 1: a table"), "{err}");
    let (out, _) = import(0, &second, &["--edition", "1", "--leave-out"]);
    assert!(
        out.contains("source-sha256: ") && out.contains("### GFT-1.2 Large gifts"),
        "{out}"
    );
}
