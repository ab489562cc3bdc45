//! Documents in every form into clauses: the same words whatever the form, ids that stay, and bounds on what is read.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Cursor, Write as _};

use intake::{Form, Header, How, Outline, Previous, Refused, assign, document, outline, read};
use proptest::prelude::*;
use zip::{ZipWriter, write::SimpleFileOptions};

fn cut(text: &str, form: Form) -> Outline {
    outline(read(text.as_bytes(), form).unwrap(), None).unwrap()
}

/// Number, title and text of each clause.
fn said(outline: &Outline) -> Vec<(Option<&str>, &str, &str)> {
    let clauses = outline.clauses.iter();
    clauses
        .map(|c| (c.number.as_deref(), c.title.as_str(), c.text.as_str()))
        .collect()
}

fn html(markdown: &str) -> String {
    let mut out = String::new();
    pulldown_cmark::html::push_html(&mut out, pulldown_cmark::Parser::new(markdown));
    out
}

/// A Word document of these parts.
fn docx(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in parts {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

fn word(body: &str) -> Vec<u8> {
    let document = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><w:document xmlns:w=\"http://schemas.openxmlformats.org/wordprocessingml/2006/main\"><w:body>{body}</w:body></w:document>"
    );
    let styles = "<w:styles><w:style w:styleId=\"T\"><w:name w:val=\"Title\"/></w:style>\
        <w:style w:styleId=\"H1\"><w:name w:val=\"heading 1\"/></w:style>\
        <w:style w:styleId=\"Own\"><w:name w:val=\"Our heading\"/><w:basedOn w:val=\"H1\"/><w:pPr><w:outlineLvl w:val=\"1\"/></w:pPr></w:style></w:styles>";
    docx(&[
        ("word/document.xml", document.as_bytes()),
        ("word/styles.xml", styles.as_bytes()),
    ])
}

fn paragraph(style: &str, text: &str) -> String {
    format!(
        "<w:p><w:pPr><w:pStyle w:val=\"{style}\"/></w:pPr><w:r><w:t xml:space=\"preserve\">{text}</w:t></w:r></w:p>"
    )
}

const PAY: &str = "# Payments\n\n## 2. Limits\n\n### 2.1 Small ones\n\nUp to 2,500 &amp; no more.\n\n- one\n- two\n\n### 2.2 Large ones\n\nTwo people sign.\n\nAlways.\n";

#[test]
fn all_forms_say_the_same() {
    let markdown = cut(&PAY.replace("&amp;", "&"), Form::Markdown);
    assert_eq!(markdown.title, "Payments");
    assert_eq!(markdown.clauses[0].section, "2. Limits");
    assert_eq!(
        said(&markdown),
        [
            (
                Some("2.1"),
                "Small ones",
                "Up to 2,500 & no more.\n\n- one\n- two"
            ),
            (Some("2.2"), "Large ones", "Two people sign.\n\nAlways."),
        ]
    );
    assert_eq!(said(&cut(&html(PAY), Form::Html)), said(&markdown));
    let plain = "Payments\n\n2. Limits\n\n2.1 Small ones\n\nUp to 2,500 & no more.\n\n- one\n- two\n\n2.2 Large ones\n\nTwo people sign.\n\nAlways.\n";
    assert_eq!(said(&cut(plain, Form::Plain)), said(&markdown));
    let body = [
        paragraph("T", "Payments"),
        paragraph("H1", "2. Limits"),
        paragraph("Own", "2.1 Small ones"),
        paragraph("", "Up to 2,500 &amp; no more."),
        "<w:p><w:pPr><w:numPr><w:ilvl w:val=\"0\"/><w:numId w:val=\"7\"/></w:numPr></w:pPr><w:r><w:t>one</w:t></w:r></w:p>".to_owned(),
        "<w:p><w:pPr><w:numPr><w:ilvl w:val=\"0\"/><w:numId w:val=\"7\"/></w:numPr></w:pPr><w:r><w:t>t</w:t></w:r><w:r><w:t>wo</w:t></w:r></w:p>".to_owned(),
        paragraph("Own", "2.2 Large ones"),
        paragraph("", "Two people sign."),
        paragraph("", "Always."),
    ];
    let read = read(&word(&body.concat()), Form::Docx).unwrap();
    assert_eq!(read.left, []);
    assert_eq!(said(&outline(read, None).unwrap()), said(&markdown));
}

#[test]
fn items_keep_their_marks_however_they_are_written() {
    let cut = cut(
        "<h1>P</h1><h2>1.1 A</h2><p>Either</p><ol start=3><li><p>one,</p><p>or so,</p></li>\n<li>two<ul><li>deep</li></ul></li></ol>and\n no  more<br>than that",
        Form::Html,
    );
    assert_eq!(
        cut.clauses[0].text,
        "Either\n\n3. one,\n\n  or so,\n\n4. two\n  - deep\n\nand no more\nthan that"
    );
}

#[test]
fn a_numbered_paragraph_is_a_clause_and_no_title_is_made_up() {
    let cut = cut(
        "<h1>Gifts</h1><h2>1 General</h2><p>1.1 No gifts above EUR 50 are taken.</p><p>Not even once.</p><p>1.2 Others are noted.</p>",
        Form::Html,
    );
    assert_eq!(
        said(&cut),
        [
            (
                Some("1.1"),
                "",
                "No gifts above EUR 50 are taken.\n\nNot even once."
            ),
            (Some("1.2"), "", "Others are noted."),
        ]
    );
    let (ids, _) = assign(&cut, "GFT", &[]).unwrap();
    let text = document(&header(), &cut, &ids).unwrap();
    assert!(
        text.contains("\n## 1 General\n\n### GFT-1.1 1.1\n\nNo gifts"),
        "{text}"
    );
}

fn header() -> Header {
    Header {
        document: "PAY".to_owned(),
        edition: "2".to_owned(),
        owner: Some("Doe, Chief".to_owned()),
        source: "a.html".to_owned(),
        source_sha256: "00".to_owned(),
        ..Header::default()
    }
}

#[test]
fn what_cannot_be_taken_over_is_named_with_its_place() {
    let left = |text: &str| {
        let read = read(text.as_bytes(), Form::Html).unwrap();
        outline(read, None).unwrap().left
    };
    let page = "<title>P</title><h1>P</h1>\n<p>Preamble.\n<h2>1.1 A</h2>\n<p>Text.</p>\n";
    for (what, word) in [
        (
            "<table><tr><td>secret<table></table></td></tr></table>",
            "table",
        ),
        ("<p>x<img src=a></p>", "image"),
        (
            "<p>x <span style='display: NONE'>not <b>shown</b></span></p>",
            "do not see",
        ),
        ("<p>x <span hidden>not shown</span></p>", "do not see"),
        ("<svg><title>t</title><text>x</text></svg>", "drawing"),
        ("<p>x<sup>1</sup></p>", "footnote"),
        ("<h2>1.2 B</h2>", "a heading without text: `1.2 B`"),
    ] {
        let found = left(&format!("{page}{what}"));
        assert!(
            found
                .iter()
                .any(|l| l.what.contains("before the first clause: `Preamble.`"))
        );
        assert!(
            found
                .iter()
                .any(|l| l.what.contains(word) && l.place == "line 5"),
            "{what}: {found:?}"
        );
    }
    assert_eq!(
        left(&format!(
            "{page}<script>document.write('<h2>x</h2>')</script>"
        ))
        .len(),
        1
    );
    for mark in ["ins", "del", "s"] {
        let page = format!("{page}<p>not <{mark}>more</{mark}></p>");
        assert!(matches!(
            read(page.as_bytes(), Form::Html),
            Err(Refused::Unsettled { .. })
        ));
    }

    let body = |more: &str| {
        word(
            &[
                &paragraph("T", "P"),
                &paragraph("H1", "1.1 A"),
                &paragraph("", "Text."),
                more,
            ]
            .concat(),
        )
    };
    for (more, what) in [
        (
            "<w:tbl><w:tr><w:tc><w:p><w:r><w:t>x</w:t></w:r></w:p></w:tc></w:tr></w:tbl>",
            "table",
        ),
        ("<w:p><w:r><w:drawing/></w:r></w:p>", "image"),
        (
            "<w:p><w:r><w:t>x</w:t></w:r><w:r><w:footnoteReference w:id=\"2\"/></w:r></w:p>",
            "footnote",
        ),
        (
            "<w:p><w:r><w:t>x</w:t></w:r><w:r><w:commentReference w:id=\"2\"/></w:r></w:p>",
            "comment",
        ),
        (
            "<w:p><w:r><w:rPr><w:vanish/></w:rPr><w:t>not shown</w:t></w:r></w:p>",
            "hidden",
        ),
    ] {
        let read = read(&body(more), Form::Docx).unwrap();
        let found = outline(read, None).unwrap();
        assert!(
            found
                .left
                .iter()
                .any(|l| l.what.contains(what) && l.place.starts_with("paragraph")),
            "{what}"
        );
        assert!(!found.clauses[0].text.contains("not shown"));
    }
    let changed = body("<w:p><w:ins w:id=\"1\"><w:r><w:t>more</w:t></w:r></w:ins></w:p>");
    let refused = read(&changed, Form::Docx).unwrap_err().to_string();
    assert!(
        refused.contains("paragraph 4") && refused.contains("accept or reject"),
        "{refused}"
    );
}

#[test]
fn bombs_and_depths_are_refused() {
    let big = vec![b' '; (64 << 20) + 1];
    let bomb = docx(&[("word/document.xml", &big)]);
    assert!(bomb.len() < 1 << 20);
    assert!(matches!(read(&bomb, Form::Docx), Err(Refused::Bound(_))));
    assert!(matches!(
        read(&vec![b'x'; (16 << 20) + 1], Form::Plain),
        Err(Refused::Bound(_))
    ));
    let deep = format!("<h1>x</h1>{}", "<div>".repeat(100_000));
    assert!(matches!(
        read(deep.as_bytes(), Form::Html),
        Err(Refused::Bound(_))
    ));
    let deep = docx(&[("word/document.xml", "<w:a>".repeat(100_000).as_bytes())]);
    assert!(matches!(read(&deep, Form::Docx), Err(Refused::Bound(_))));
    let many = "<p>x</p>".repeat(60_000);
    assert!(matches!(
        read(many.as_bytes(), Form::Html),
        Err(Refused::Bound(_))
    ));
    // Entities that grow.
    let lol = "<!DOCTYPE l [<!ENTITY a \"lol\"><!ENTITY b \"&a;&a;&a;\">]><w:document><w:body><w:p><w:r><w:t>&b;</w:t></w:r></w:p></w:body></w:document>";
    assert!(matches!(
        read(&docx(&[("word/document.xml", lol.as_bytes())]), Form::Docx),
        Err(Refused::Broken { .. })
    ));
    let own = lol.split_once("]>").unwrap().1;
    assert!(matches!(
        read(&docx(&[("word/document.xml", own.as_bytes())]), Form::Docx),
        Err(Refused::Broken { .. })
    ));
    assert!(matches!(
        read(b"not a package", Form::Docx),
        Err(Refused::Broken { .. })
    ));
    assert!(matches!(
        read(b"\xff\xfe", Form::Plain),
        Err(Refused::Broken { .. })
    ));
    assert!(matches!(
        read(b"a\0b", Form::Markdown),
        Err(Refused::Broken { .. })
    ));
}

#[test]
fn ids_stay_over_editions_and_guesses_are_said() {
    let previous = |id: &str, text: &str| Previous {
        id: id.to_owned(),
        title: "T".to_owned(),
        text: text.to_owned(),
    };
    let before = [
        previous(
            "PAY-1.1",
            "An invoice is paid when order and receipt agree with it.",
        ),
        previous(
            "PAY-1.2",
            "Two people sign every payment above ten thousand euros.",
        ),
        previous("PAY-1.3", "Nobody pays in cash."),
        previous("PAY-1.9", "Gone soon."),
    ];
    // Without numbers: by the words.
    let now = cut(
        "# P\n\n## One\n\n### Signing\n\nTwo people sign every payment above twenty thousand euros.\n\n### Matching\n\nAn invoice is paid when order and\nreceipt agree with it.\n\n### Cash\n\nNobody pays in cash.\n\n### New\n\nAccounts of suppliers are checked by telephone.\n",
        Form::Markdown,
    );
    let (ids, gone) = assign(&now, "PAY", &before).unwrap();
    let named: Vec<_> = ids.iter().map(|a| a.id.as_str()).collect();
    // What is new takes no number that was ever there.
    assert_eq!(named, ["PAY-1.2", "PAY-1.1", "PAY-1.3", "PAY-1.10"]);
    assert!(matches!(ids[0].how, How::Alike { percent: 60..=99 }));
    assert_eq!(
        (&ids[1].how, &ids[2].how, &ids[3].how),
        (&How::Text, &How::Text, &How::New)
    );
    let doubts: Vec<_> = ids.iter().map(|a| a.doubt().is_some()).collect();
    assert_eq!(doubts, [true, false, false, false]);
    assert_eq!(gone, ["PAY-1.9"]);

    // With numbers that moved: the numbers stand, and each is asked about.
    let moved = cut(
        "# P\n\n## 1.1 New\n\nAccounts of suppliers are checked by telephone.\n\n## 1.2 Matching\n\nAn invoice is paid when order and receipt agree with it.\n\n## 1.3 Cash\n\nNobody pays in cash.\n",
        Form::Markdown,
    );
    let (ids, gone) = assign(&moved, "PAY", &before).unwrap();
    assert!(ids[0].doubt().unwrap().contains("by 0 percent only"));
    assert!(ids[1].doubt().unwrap().contains("under `PAY-1.1`"));
    assert_eq!(ids[2].doubt(), None);
    assert_eq!(gone, ["PAY-1.9"]);
    // The same number twice.
    let twice = cut("# P\n\n## 1.1 A\n\nx\n\n## 1.1 B\n\ny\n", Form::Markdown);
    assert!(
        assign(&twice, "PAY", &[])
            .unwrap_err()
            .contains("`PAY-1.1`")
    );
}

#[test]
fn what_would_be_another_heading_is_refused() {
    let read = read(
        "<h1>P</h1><h2>1.1 A</h2><pre># not a heading</pre>".as_bytes(),
        Form::Html,
    );
    let refused = outline(read.unwrap(), None).unwrap_err();
    assert!(
        refused.contains("line 1") && refused.contains("# not a heading"),
        "{refused}"
    );
}

fn words() -> impl Strategy<Value = String> {
    proptest::collection::vec("[a-zA-Zäß][a-z0-9,;äßé€]{0,8}", 1..12).prop_map(|w| w.join(" "))
}

proptest! {
    /// Markdown by another's hand into HTML, and back: the same clauses.
    #[test]
    fn html_of_a_document_gives_its_clauses(
        title in words(),
        clauses in proptest::collection::vec((words(), proptest::collection::vec((words(), 0..3_u8), 1..5)), 1..8),
    ) {
        let mut text = format!("# {title}\n\n## 1. Part\n");
        for (n, (heading, paragraphs)) in clauses.iter().enumerate() {
            text.push_str(&format!("\n### 1.{} {heading}\n", n + 1));
            let mut listing = false;
            for (words, sort) in paragraphs {
                // An item right below another; anything else apart.
                let item = *sort == 2;
                if !(listing && item) {
                    text.push('\n');
                }
                listing = item;
                text.push_str(if item { "- " } else { "" });
                text.push_str(words);
                text.push('\n');
            }
        }
        let markdown = cut(&text, Form::Markdown);
        let of_html = cut(&html(&text), Form::Html);
        prop_assert_eq!(&markdown.title, &of_html.title);
        prop_assert_eq!(said(&markdown), said(&of_html));
        prop_assert_eq!(of_html.left.len(), 0);
    }
}
