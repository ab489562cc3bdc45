//! HTML: as html5ever cuts it into tags and text. No tree is built: where blocks begin and end is enough, and nothing nests.

use std::cell::RefCell;

use html5ever::{
    buffer_queue::BufferQueue,
    tendril::StrTendril,
    tokenizer::{
        CharacterTokens, CommentToken, DoctypeToken, EOFToken, EndTag, NullCharacterToken,
        ParseError, StartTag, Tag, TagToken, Token, TokenSink, TokenSinkResult, Tokenizer,
        states::RawKind,
    },
};

use crate::read::{Block, DEEPEST, Left, MOST_BLOCKS, Read, Refused, What, collapsed};

/// Elements that end what was open before them.
const BLOCKS: &[&str] = &[
    "address",
    "article",
    "aside",
    "body",
    "center",
    "dd",
    "details",
    "dialog",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figure",
    "footer",
    "form",
    "header",
    "hgroup",
    "hr",
    "html",
    "legend",
    "main",
    "nav",
    "p",
    "pre",
    "search",
    "section",
    "summary",
    "blockquote",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "ul",
    "ol",
    "menu",
    "li",
];
/// Elements without an end.
const VOID: &[&str] = &[
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track",
    "wbr",
];
/// What is no text of the document.
const UNSEEN: &[&str] = &["head", "script", "style", "template"];
/// What cannot be taken over, with its contents.
const LOST: &[(&str, &str)] = &[
    ("table", "a table: write its rows as text"),
    ("svg", "a drawing"),
    ("math", "a formula: write it as text"),
    ("canvas", "a drawing"),
    ("iframe", "another page"),
    ("object", "an object"),
    ("video", "a film"),
    ("audio", "a sound"),
    ("select", "a form"),
    ("textarea", "a form"),
    ("button", "a form"),
    ("noscript", "what is shown without scripts only"),
    ("footer", "a foot of the page"),
    ("nav", "a table of contents or menu"),
];

pub(crate) fn read(text: &str) -> Result<Read, Refused> {
    let sink = Sink::default();
    let tokenizer = Tokenizer::new(sink, Default::default());
    let input = BufferQueue::default();
    input.push_back(StrTendril::from(text));
    while let html5ever::TokenizerResult::Script(()) = tokenizer.feed(&input) {}
    tokenizer.end();
    let mut state = tokenizer.sink.0.into_inner();
    state.close();
    match state.refused {
        Some(refused) => Err(refused),
        None => Ok(state.read),
    }
}

#[derive(Default)]
struct Sink(RefCell<State>);

#[derive(Default)]
struct State {
    read: Read,
    line: u64,
    /// Elements that are open.
    open: Vec<String>,
    /// What is passed over, and at which depth it began.
    passed: Option<usize>,
    title: Option<String>,
    block: Option<Open>,
    lists: Vec<List>,
    /// The mark of an item whose words come in a block of their own.
    mark: Option<String>,
    refused: Option<Refused>,
}

struct List {
    ordered: bool,
    next: i64,
}

struct Open {
    line: u64,
    kind: Kind,
    text: String,
}

#[derive(Clone)]
enum Kind {
    Heading(u8),
    Paragraph,
    Item(u8, String),
    /// Blanks stand.
    Pre,
}

impl TokenSink for Sink {
    type Handle = ();

    fn process_token(&self, token: Token, line: u64) -> TokenSinkResult<()> {
        let mut state = self.0.borrow_mut();
        state.line = line;
        if state.refused.is_some() {
            return TokenSinkResult::Continue;
        }
        match token {
            TagToken(tag) if tag.kind == StartTag => return state.begin(&tag),
            TagToken(tag) if tag.kind == EndTag => state.end(&tag.name),
            CharacterTokens(text) => state.text(&text),
            NullCharacterToken => state.broken("a null character"),
            CommentToken(_) | DoctypeToken(_) | EOFToken | ParseError(_) | TagToken(_) => {}
        }
        TokenSinkResult::Continue
    }
}

impl State {
    fn begin(&mut self, tag: &Tag) -> TokenSinkResult<()> {
        let name = &*tag.name;
        let void = VOID.contains(&name) || (tag.self_closing && self.inside("svg"));
        if !void {
            self.open.push(name.to_owned());
            if self.open.len() > DEEPEST {
                self.refused = Some(Refused::Bound(format!(
                    "line {}: more than {DEEPEST} elements within each other",
                    self.line
                )));
            }
        }
        let raw = match name {
            "script" => Some(RawKind::ScriptData),
            "style" | "iframe" | "noscript" => Some(RawKind::Rawtext),
            "title" | "textarea" => Some(RawKind::Rcdata),
            _ => None,
        };
        let done = raw.map_or(TokenSinkResult::Continue, TokenSinkResult::RawData);
        if name == "title" && !self.inside("svg") {
            self.title = Some(String::new());
            return done;
        }
        if self.passed.is_some() {
            return done;
        }
        let depth = self.open.len();
        if UNSEEN.contains(&name) {
            self.close();
            self.passed = Some(depth);
            return done;
        }
        if let Some((_, what)) = LOST.iter().find(|(lost, _)| *lost == name) {
            self.left(what);
            self.passed = Some(depth);
            return done;
        }
        if hidden(tag) {
            self.left("words that readers of the page do not see");
            if !void {
                self.passed = Some(depth);
            }
            return done;
        }
        if matches!(name, "del" | "ins" | "s" | "strike") {
            self.refused = Some(Refused::Unsettled {
                place: format!("line {}", self.line),
                why: format!("words are marked as changed (`<{name}>`); settle them first"),
            });
            return done;
        }
        match name {
            "img" | "embed" | "input" => self.left("an image or a field"),
            "sup" | "sub" => self.left(
                "raised or lowered words, like the mark of a footnote: they stand in the line",
            ),
            "br" => {
                if let Some(open) = &mut self.block {
                    open.text.push('\n');
                }
            }
            _ => {}
        }
        if BLOCKS.contains(&name) {
            self.close();
            self.begin_block(name, tag);
        }
        done
    }

    fn begin_block(&mut self, name: &str, tag: &Tag) {
        let kind = match name {
            "ul" | "menu" | "ol" => {
                let start = attribute(tag, "start").and_then(|s| s.parse().ok());
                let plain = attribute(tag, "type").is_none_or(|t| t == "1")
                    && attribute(tag, "reversed").is_none();
                if name == "ol" && !plain {
                    self.left("the letters before items of a list: numbers stand in their place");
                }
                self.lists.push(List {
                    ordered: name == "ol",
                    next: start.unwrap_or(1),
                });
                return;
            }
            "li" => {
                self.mark = None;
                let depth = u8::try_from(self.lists.len().saturating_sub(1)).unwrap_or(u8::MAX);
                let mark = match self.lists.last_mut() {
                    Some(list) if list.ordered => {
                        if let Some(value) = attribute(tag, "value").and_then(|v| v.parse().ok()) {
                            list.next = value;
                        }
                        list.next += 1;
                        format!("{}.", list.next - 1)
                    }
                    _ => "-".to_owned(),
                };
                Kind::Item(depth, mark)
            }
            "pre" => Kind::Pre,
            "hr" => return,
            name => match name.strip_prefix('h').and_then(|level| level.parse().ok()) {
                Some(level @ 1..=6) => Kind::Heading(level),
                _ => self.kind(),
            },
        };
        self.block = Some(Open {
            line: self.line,
            kind,
            text: String::new(),
        });
    }

    fn end(&mut self, name: &str) {
        if name == "title"
            && let Some(title) = self.title.take()
        {
            let title = collapsed(&title);
            self.read.title.get_or_insert(title).truncate(1_000);
        }
        if let Some(at) = self.open.iter().rposition(|open| open == name) {
            self.open.truncate(at);
            if self.passed.is_some_and(|depth| at < depth) {
                self.passed = None;
                return;
            }
        }
        if self.passed.is_none() && BLOCKS.contains(&name) {
            self.close();
            if matches!(name, "ul" | "ol" | "menu") {
                self.lists.pop();
                self.mark = None;
            }
        }
    }

    fn text(&mut self, text: &str) {
        if let Some(title) = &mut self.title {
            title.push_str(text);
            return;
        }
        if self.passed.is_some() {
            return;
        }
        if self.block.is_none() {
            self.block = Some(Open {
                line: self.line,
                kind: self.kind(),
                text: String::new(),
            });
        }
        let Some(open) = &mut self.block else { return };
        match open.kind {
            Kind::Pre => open.text.push_str(text),
            // Line ends of the file are blanks; those of the page are written by `br`.
            _ => open.text.extend(text.chars().map(|c| match c {
                '\n' | '\r' | '\t' | '\u{c}' => ' ',
                c => c,
            })),
        }
    }

    /// What words are that no element says it of: in a list, of an item, whose mark stands before the first of them.
    fn kind(&mut self) -> Kind {
        match self.lists.len() {
            0 => Kind::Paragraph,
            n => {
                let mark = self.mark.take().unwrap_or_default();
                Kind::Item(u8::try_from(n - 1).unwrap_or(u8::MAX), mark)
            }
        }
    }

    /// The block that is open ends here.
    fn close(&mut self) {
        let Some(open) = self.block.take() else {
            return;
        };
        let text = match open.kind {
            Kind::Pre => open.text.trim_matches('\n').to_owned(),
            _ => {
                let lines = open.text.split('\n').map(collapsed);
                lines
                    .collect::<Vec<_>>()
                    .join("\n")
                    .trim_matches('\n')
                    .to_owned()
            }
        };
        let what = match open.kind {
            Kind::Item(_, mark) if text.trim().is_empty() => {
                self.mark = Some(mark).filter(|mark| !mark.is_empty());
                return;
            }
            _ if text.trim().is_empty() => return,
            Kind::Heading(level) => What::Heading(level, text.replace('\n', " ")),
            Kind::Paragraph | Kind::Pre => What::Paragraph(text),
            Kind::Item(depth, mark) => What::Item(depth, mark, text),
        };
        self.read.blocks.push(Block {
            place: format!("line {}", open.line),
            what,
        });
        if self.read.blocks.len() > MOST_BLOCKS {
            self.refused = Some(Refused::Bound(format!(
                "the document has more than {MOST_BLOCKS} paragraphs"
            )));
        }
    }

    fn left(&mut self, what: &str) {
        self.read.left.push(Left {
            place: format!("line {}", self.line),
            what: what.to_owned(),
        });
    }

    fn broken(&mut self, why: &str) {
        self.refused = Some(Refused::Broken {
            place: format!("line {}", self.line),
            why: why.to_owned(),
        });
    }

    fn inside(&self, name: &str) -> bool {
        self.open.iter().any(|open| open == name)
    }
}

fn attribute<'t>(tag: &'t Tag, name: &str) -> Option<&'t str> {
    let found = tag.attrs.iter().find(|a| &*a.name.local == name);
    found.map(|a| &*a.value)
}

/// Whether an element is not shown, as far as it says so itself.
fn hidden(tag: &Tag) -> bool {
    let style = attribute(tag, "style").unwrap_or_default();
    let style: String = style.to_ascii_lowercase().split_whitespace().collect();
    attribute(tag, "hidden").is_some()
        || [
            "display:none",
            "visibility:hidden",
            "mso-hide:all",
            "font-size:0",
        ]
        .iter()
        .any(|s| style.contains(s))
}
