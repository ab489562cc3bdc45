//! Citing (I6): which clauses a recommendation may rest on, and that what it quotes is written there.

use unicode_normalization::UnicodeNormalization as _;

use super::Ruled;
use crate::{
    refusal::{Code, Refusal},
    release::{Agent, Ask, ClauseRef, Rules},
    request::{Quote, Recommend},
    state::Case,
    time::Time,
};

/// I6: at least one clause, each of the release and each found by this agent in this case.
pub(super) fn well_cited(
    rules: &dyn Rules,
    case: &Case,
    agent: &Agent,
    request: &Recommend,
    now: Time,
) -> Ruled {
    if request.clauses.is_empty() {
        return Err(Refusal::new(
            Code::BadCitation,
            "no clause is cited",
            "cite at least one clause that retrieval found",
        ));
    }
    let found = case.retrieved.get(&agent.id);
    for cited in &request.clauses {
        in_force(rules, cited, now)?;
        let retrieved = found
            .into_iter()
            .flatten()
            .any(|r| r.clauses.contains(&cited.id) && rules.clause(&cited.id, r.at) == Some(cited));
        if !retrieved {
            return Err(Refusal::new(
                Code::BadCitation,
                format!(
                    "`{}` has not retrieved clause `{}`, version {}, in this case",
                    agent.id, cited.id, cited.version
                ),
                "retrieve before citing",
            ));
        }
    }
    request
        .quotes
        .iter()
        .try_for_each(|quote| well_quoted(rules, request, quote))
}

/// The release holds exactly this clause (I6), in the edition that is in force.
pub(super) fn in_force(rules: &dyn Rules, cited: &ClauseRef, now: Time) -> Ruled {
    let wrong = |why: String, remedy: String| Err(Refusal::new(Code::BadCitation, why, remedy));
    let standing = rules.clause(&cited.id, now);
    if standing == Some(cited) {
        return Ok(());
    }
    let editions = rules.editions(&cited.id);
    if let Some(other) = editions.iter().find(|e| e.clause == *cited) {
        return wrong(
            format!(
                "clause `{}`, version {}, {}",
                cited.id,
                cited.version,
                other.absence(now)
            ),
            match standing {
                Some(clause) => format!("cite version {}, which is in force", clause.version),
                None => "cite a clause that is in force".to_owned(),
            },
        );
    }
    match standing.or(editions.first().map(|e| &e.clause)) {
        Some(clause) => wrong(
            format!(
                "clause `{}` of the release is version {} with digest {}, not version {} with digest {}",
                cited.id,
                clause.version,
                clause.digest.short(),
                cited.version,
                cited.digest.short()
            ),
            "cite the clause as the release has it".to_owned(),
        ),
        None => wrong(
            format!("the release has no clause `{}`", cited.id),
            "cite clauses that retrieval found".to_owned(),
        ),
    }
}

/// Each clause that the release binds to the action is cited. The agent has to cite it itself: a citation says on what it
/// relied, and nobody else can say that for it. That it can be cited is seen to where clauses are looked for.
pub(super) fn bound(rules: &dyn Rules, ask: &Ask<'_>, request: &Recommend, now: Time) -> Ruled {
    for hit in rules.bound(ask) {
        let Some(clause) = hit.clause else { continue };
        let standing = rules.clause(&clause, now).is_some();
        if standing && !request.clauses.iter().any(|c| c.id == clause) {
            let refusal = Refusal::new(
                Code::BadCitation,
                format!(
                    "clause `{clause}` is not cited, and the release binds it to `{}`: {}",
                    ask.action.tool, hit.why
                ),
                format!("cite `{clause}` too: every retrieval finds it"),
            );
            return Err(refusal.rule(hit.rule).clause(Some(clause)));
        }
    }
    Ok(())
}

/// The words stand in the text of a clause that the recommendation cites.
fn well_quoted(rules: &dyn Rules, request: &Recommend, quote: &Quote) -> Ruled {
    let wrong = |why: String, remedy: &str| {
        let refusal = Refusal::new(Code::BadCitation, why, remedy);
        Err(refusal.clause(Some(quote.clause.clone())))
    };
    let Some(cited) = request.clauses.iter().find(|c| c.id == quote.clause) else {
        return wrong(
            format!("clause `{}` is quoted and not cited", quote.clause),
            "cite every clause that is quoted",
        );
    };
    let Some(text) = rules.text_of(cited) else {
        return wrong(
            format!("the text of clause `{}` is not there", quote.clause),
            "restore the release's files from the log",
        );
    };
    let words = plain(&quote.words);
    if words.is_empty() {
        return wrong(
            format!("the quotation from clause `{}` is empty", quote.clause),
            "quote words of the clause, or quote nothing",
        );
    }
    if !says(text, &words) {
        return wrong(
            format!(
                "clause `{}` does not say `{}`",
                quote.clause,
                shortened(&words)
            ),
            "quote the clause's own words, each run of them as a quotation of its own, or quote nothing",
        );
    }
    Ok(())
}

/// Whether a clause's text says these words, as they stand: see [`Quote::words`] for what does not count. Nothing is said
/// by no words.
#[must_use]
pub fn says(text: &str, words: &str) -> bool {
    let words = plain(words);
    !words.is_empty() && stands_in(&plain(text), &words)
}

/// How many characters of a quotation a refusal repeats.
const REPEATED: usize = 120;

fn shortened(words: &str) -> String {
    match words.char_indices().nth(REPEATED) {
        Some((end, _)) => format!("{}…", &words[..end]),
        None => words.to_owned(),
    }
}

/// Text as it is compared: Unicode's compatible forms made one (NFKC), quotation marks and dashes plain, what is
/// invisible left out, every run of blanks one space. Case and all other signs count.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut gap = false;
    for c in text.nfkc() {
        let c = match c {
            '\u{ad}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}' => continue,
            '\u{2018}'..='\u{201b}' => '\'',
            '\u{201c}'..='\u{201f}' | '\u{ab}' | '\u{bb}' => '"',
            '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
            c => c,
        };
        if c.is_whitespace() {
            gap = true;
            continue;
        }
        if gap && !out.is_empty() {
            out.push(' ');
        }
        gap = false;
        out.push(c);
    }
    out
}

/// Whether `words` occur in `text` as whole words: `pay` is not said by `payment`.
fn stands_in(text: &str, words: &str) -> bool {
    let in_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let opens = in_word(words.chars().next());
    let closes = in_word(words.chars().next_back());
    let mut from = 0;
    while let Some(at) = text[from..].find(words) {
        let (start, end) = (from + at, from + at + words.len());
        let cut_before = opens && in_word(text[..start].chars().next_back());
        let cut_after = closes && in_word(text[end..].chars().next());
        if !cut_before && !cut_after {
            return true;
        }
        from = start + text[start..].chars().next().map_or(1, char::len_utf8);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::{plain, stands_in};

    #[test]
    fn blanks_and_forms_of_one_sign_do_not_count_and_case_does() {
        assert_eq!(
            plain(" a\u{a0}\n “ﬁve” — per\u{ad}cent "),
            "a \"five\" - percent"
        );
        assert!(stands_in(&plain("no\npayment\tis made"), "payment is made"));
        assert!(!stands_in("Payment", "payment"));
    }

    #[test]
    fn a_quotation_does_not_cut_words() {
        assert!(!stands_in("nothing is payable", "not"));
        assert!(!stands_in("unpaid, payable", "paya"));
        assert!(stands_in("nothing, not", "not"));
        assert!(stands_in("is it? no.", "? no."));
        assert!(stands_in("ééé é", "é"));
    }
}
