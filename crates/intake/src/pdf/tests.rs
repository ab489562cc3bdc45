//! Layouts as Poppler writes them; what real programs make is read in the tests over the real binary.

use crate::read::{Form, What, read};

/// A line: left, top, height, words.
type Line<'a> = (u32, u32, u32, &'a str);

fn layout(pages: &[&[Line<'_>]]) -> String {
    let mut text = "<!DOCTYPE html><html><body>\n<doc>\n".to_owned();
    for lines in pages {
        text += "<page width=\"595\" height=\"842\"><flow><block>";
        for (x, y, high, words) in *lines {
            let right = *x as usize + words.len() * 5;
            text += &format!(
                "<line xMin=\"{x}\" yMin=\"{y}\" xMax=\"{right}\" yMax=\"{}\">",
                y + high
            );
            for word in words.split(' ') {
                let word = word.replace('&', "&amp;").replace('<', "&lt;");
                text += &format!(
                    "<word xMin=\"{x}\" yMin=\"{y}\" xMax=\"{right}\" yMax=\"{y}\">{word}</word>"
                );
            }
            text += "</line>";
        }
        text += "</block></flow></page>";
    }
    text + "</doc></body></html>"
}

fn parts(pages: &[&[Line<'_>]]) -> (Vec<What>, Vec<String>) {
    let read = read(layout(pages).as_bytes(), Form::Pdf).unwrap();
    let left = read
        .left
        .into_iter()
        .map(|l| format!("{}: {}", l.place, l.what));
    (
        read.blocks.into_iter().map(|b| b.what).collect(),
        left.collect(),
    )
}

#[test]
fn a_first_heading_without_a_number_is_the_title() {
    let lines: &[Line<'_>] = &[
        (200, 80, 18, "Payments"),
        (70, 110, 18, "2. Limits"),
        (70, 140, 10, "One person signs what another has prepared."),
    ];
    let found = read(layout(&[lines]).as_bytes(), Form::Pdf).unwrap();
    assert_eq!(found.title.as_deref(), Some("Payments"));
    let first = found.blocks.into_iter().next().unwrap().what;
    assert_eq!(first, What::Heading(1, "2. Limits".to_owned()));
}

fn paragraph(text: &str) -> What {
    What::Paragraph(text.to_owned())
}

#[test]
fn headings_paragraphs_and_items_are_told_by_where_they_stand() {
    let (what, left) = parts(&[&[
        (200, 80, 18, "Payments"),
        (70, 110, 14, "2. Limits"),
        (70, 140, 10, "2.1 Small payments"),
        (70, 160, 10, "One person releases a payment of"),
        (70, 172, 10, "EUR 2,500 or less to"),
        (70, 190, 10, "•"),
        (90, 190, 10, "suppliers & staff"),
        (90, 202, 10, "of the firm,"),
        (70, 216, 10, "• others."),
        (70, 240, 10, "Nobody else does – not"),
        (70, 252, 10, "– even once – so."),
    ]]);
    assert_eq!(
        what,
        [
            What::Heading(2, "2. Limits".to_owned()),
            What::Heading(4, "2.1 Small payments".to_owned()),
            paragraph("One person releases a payment of EUR 2,500 or less to"),
            What::Item(
                0,
                "-".to_owned(),
                "suppliers & staff of the firm,".to_owned()
            ),
            What::Item(0, "-".to_owned(), "others.".to_owned()),
            paragraph("Nobody else does – not – even once – so."),
        ]
    );
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn what_repeats_at_the_edges_of_pages_is_no_text_and_a_sentence_goes_over_the_page() {
    let page = |n: &'static str, words: &'static str| {
        vec![(70, 30, 8, "Acme"), (70, 100, 10, words), (70, 800, 8, n)]
    };
    let (one, two, three) = (
        page("Page 1 of 3", "2.1 The sentence that"),
        page("Page 2 of 3", "goes on ends."),
        page("Page 3 of 3", "Another begins."),
    );
    let (what, left) = parts(&[&one, &two, &three]);
    assert_eq!(
        what,
        [
            paragraph("2.1 The sentence that goes on ends."),
            paragraph("Another begins.")
        ]
    );
    assert!(
        left[1].contains("a head or foot of 3 pages: `Acme`"),
        "{left:?}"
    );
    assert!(left[2].contains("`Page 1 of 3`"), "{left:?}");
}

#[test]
fn a_hyphen_is_settled_by_the_document_or_named() {
    let (what, left) = parts(&[&[
        (70, 100, 10, "2.1 Long-term payments and pay-"),
        (70, 112, 10, "ments that are long-"),
        (70, 124, 10, "term are of the com-"),
        (70, 136, 10, "mittee."),
    ]]);
    assert_eq!(
        what,
        [paragraph(
            "2.1 Long-term payments and payments that are long-term are of the com-mittee."
        )]
    );
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(left[1].contains("`com-mittee.`"), "{left:?}");
}

#[test]
fn tables_small_print_and_empty_pages_are_named_and_not_taken_over() {
    let (what, left) = parts(&[
        &[
            (70, 100, 10, "2.1 The limits are these."),
            (70, 120, 10, "up to"),
            (300, 120, 10, "signs"),
            (70, 132, 10, "1,000"),
            (300, 132, 10, "one"),
            (70, 150, 10, "Nothing else."),
            (70, 700, 7, "1 In euro."),
        ],
        &[],
    ]);
    assert_eq!(
        what,
        [
            paragraph("2.1 The limits are these."),
            paragraph("Nothing else.")
        ]
    );
    let expected = [
        "all pages",
        "page 2: no text",
        "page 1, line 2: words side by side",
        "page 1, line 5: small print",
    ];
    assert_eq!(left.len(), expected.len(), "{left:?}");
    for said in expected {
        assert!(left.iter().any(|l| l.contains(said)), "{said}: {left:?}");
    }
}

#[test]
fn what_holds_no_settled_words_is_refused() {
    for (pages, why) in [
        (layout(&[&[]]), "pictures"),
        (
            layout(&[&[(70, 100, 10, "2.1 \u{e123} is paid.")]]),
            "a sign whose meaning",
        ),
        (
            layout(&[&[(70, 100, 10, "2.1 \u{fffd} is paid.")]]),
            "a sign whose meaning",
        ),
        (
            layout(&[&[(70, 100, 10, "x")]]).replace("xMin=\"70\"", "xMin=\"NaN\""),
            "without `xMin`",
        ),
        ("<html></html>".to_owned(), "nothing of any page"),
        ("<doc><page></doc>".to_owned(), "page"),
    ] {
        let said = read(pages.as_bytes(), Form::Pdf).unwrap_err().to_string();
        assert!(said.contains(why), "{why}: {said}");
    }
}

proptest::proptest! {
    #[test]
    fn every_word_is_taken_over_or_its_place_is_named(lines in proptest::collection::vec((50_u32..400, 0_u32..800, 7_u32..16, "[a-z]{1,8}( [a-z]{1,8}){0,4}"), 1..30)) {
        let lines: Vec<_> = lines.iter().map(|(x, y, h, w)| (*x, *y, *h, w.as_str())).collect();
        let read = read(layout(&[&lines]).as_bytes(), Form::Pdf).unwrap();
        let kept = read.blocks.iter().map(|b| match &b.what {
            What::Heading(_, text) | What::Paragraph(text) | What::Item(_, _, text) => text.split(' ').count(),
        }).sum::<usize>() + read.title.map_or(0, |title| title.split(' ').count());
        let all: usize = lines.iter().map(|(_, _, _, w)| w.split(' ').count()).sum();
        proptest::prop_assert!(kept <= all);
        proptest::prop_assert!(kept == all || read.left.len() > 1);
    }
}
