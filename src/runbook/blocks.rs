//! Markdown as a flat list of blocks with their lines, links and commands. Pure.

use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use super::error::{At, Problem};
use super::find;
use super::model::Link;
use crate::domain::text::clean;

/// Most blocks (headings, paragraphs, list entries, code blocks, table rows) of one runbook.
pub(super) const MAX_BLOCKS: usize = 1_000;
/// HTML in a line that is markup and not a `<placeholder>`.
const MARKUP: &[&str] = &[
    "br", "b", "i", "em", "strong", "a", "p", "sub", "sup", "kbd", "details", "summary", "img", "code",
    "span", "div", "u",
];

/// One block of the document.
#[derive(Debug, Clone)]
pub(super) struct Block {
    /// Counts from 1.
    pub(super) line: usize,
    pub(super) kind: Kind,
    /// Text without markup; the lines of a paragraph are kept apart by `\n`.
    pub(super) text: String,
    pub(super) links: Vec<Link>,
    pub(super) commands: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Heading(u8),
    /// A paragraph, in a list or not.
    Text(Option<Place>),
    /// A fenced `dr` block.
    Dr,
    /// Any other code block.
    Code,
    /// A row of a table.
    Row,
}

/// Where in a list a paragraph stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// 1 for the outermost list.
    pub(super) depth: usize,
    /// Number of the entry in a numbered list.
    pub(super) number: Option<u64>,
    /// First paragraph of its entry.
    pub(super) first: bool,
}

impl Block {
    /// As [`Block::paragraphs`], with its addresses and commands as lines of their own: for where there is no item to
    /// hold them.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut made = self.paragraphs();
        let links = self.links.iter().filter(|l| l.text != l.url).map(|l| format!("{}: {}", l.text, l.url));
        made.extend(links.chain(self.commands.iter().filter(|c| !self.text.contains(c.as_str())).cloned()));
        made
    }

    /// The text as paragraphs for people: a numbered or bulleted entry says so.
    pub(super) fn paragraphs(&self) -> Vec<String> {
        let mut made: Vec<String> = Vec::new();
        for line in self.text.lines() {
            match made.last_mut() {
                Some(open) if self.kind != Kind::Code && !starts_lettered(line) => {
                    open.push(' ');
                    open.push_str(line.trim());
                }
                _ => made.push(line.trim_end().to_owned()),
            }
        }
        if let (Kind::Text(Some(place)), Some(first)) = (self.kind, made.first_mut())
            && place.first
        {
            let mark = place.number.map_or_else(|| "•".to_owned(), |n| format!("{n}."));
            *first = format!("{}{mark} {first}", "  ".repeat(place.depth.saturating_sub(1).min(4)));
        }
        made.into_iter().map(|p| clean(&p)).filter(|p| !p.trim().is_empty()).collect()
    }
}

/// `a. …`: people letter sub-steps although Markdown does not know that as a list.
fn starts_lettered(line: &str) -> bool {
    let mut chars = line.trim_start().chars();
    chars.next().is_some_and(|c| c.is_ascii_lowercase())
        && chars.next() == Some('.')
        && chars.next() == Some(' ')
}

/// Reads Markdown. `skipped` lines came before it and are counted.
pub(super) fn read(markdown: &str, skipped: usize) -> Result<Vec<Block>, At> {
    let starts: Vec<usize> =
        std::iter::once(0).chain(markdown.match_indices('\n').map(|(at, _)| at + 1)).collect();
    let mut reader = Reader { starts, skipped, ..Reader::default() };
    for (event, range) in Parser::new_ext(markdown, Options::ENABLE_TABLES).into_offset_iter() {
        reader.take(event, &range);
        if reader.blocks.len() > MAX_BLOCKS {
            let line = reader.line_of(range.start);
            return Err(At::new(
                line,
                Problem::TooLarge { what: "too many blocks for a checklist", max: MAX_BLOCKS },
            ));
        }
    }
    reader.flush();
    Ok(reader.blocks)
}

#[derive(Debug, Default)]
struct Reader {
    starts: Vec<usize>,
    skipped: usize,
    blocks: Vec<Block>,
    /// Open lists: number of the entry, if numbered, and whether the entry has had a paragraph.
    lists: Vec<(Option<u64>, bool)>,
    /// What is being read.
    open: Option<(Kind, usize)>,
    text: String,
    /// The text without code spans and links, in which commands and addresses are looked for.
    bare: String,
    links: Vec<Link>,
    commands: Vec<String>,
    /// Text of the open link.
    link: Option<(String, String)>,
}

impl Reader {
    fn line_of(&self, at: usize) -> usize {
        self.starts.partition_point(|start| *start <= at).max(1) + self.skipped
    }

    fn take(&mut self, event: Event<'_>, range: &Range<usize>) {
        match event {
            Event::Start(tag) => self.start(tag, range),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => self.word(&text, true, range),
            Event::Code(code) => {
                self.word(&code, false, range);
                if find::is_command(&code) {
                    self.commands.push(clean(&code));
                }
                self.bare.push('`');
            }
            Event::InlineHtml(html) if is_placeholder(&html) => self.word(&html, true, range),
            Event::SoftBreak | Event::HardBreak => self.word("\n", true, range),
            _ => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>, range: &Range<usize>) {
        match tag {
            Tag::Heading { level, .. } => self.begin(Kind::Heading(level as u8), range),
            Tag::Paragraph => {
                let kind = self.paragraph();
                self.begin(kind, range);
            }
            Tag::CodeBlock(kind) => {
                let info = match &kind {
                    CodeBlockKind::Fenced(info) => info.split([' ', ',']).next().unwrap_or_default(),
                    CodeBlockKind::Indented => "",
                };
                self.begin(if info == "dr" { Kind::Dr } else { Kind::Code }, range);
            }
            Tag::TableHead | Tag::TableRow => self.begin(Kind::Row, range),
            Tag::List(first) => {
                self.flush();
                // One less: the entry that starts adds it again.
                self.lists.push((first.map(|n| n.saturating_sub(1)), false));
            }
            Tag::Item => {
                self.flush();
                if let Some((number, had)) = self.lists.last_mut() {
                    *number = number.map(|n| n.saturating_add(1));
                    *had = false;
                }
            }
            Tag::Link { dest_url, .. } if find::is_openable(&dest_url) => {
                self.link = Some((String::new(), clean(&dest_url)));
            }
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Heading(_)
            | TagEnd::Paragraph
            | TagEnd::CodeBlock
            | TagEnd::TableHead
            | TagEnd::TableRow
            | TagEnd::Item => self.flush(),
            TagEnd::List(_) => {
                self.flush();
                self.lists.pop();
            }
            TagEnd::TableCell => self.text.push_str(" | "),
            TagEnd::Link => {
                if let Some((text, url)) = self.link.take() {
                    let text = clean(if text.trim().is_empty() { &url } else { &text });
                    self.links.push(Link { text, url });
                }
            }
            _ => {}
        }
    }

    fn word(&mut self, text: &str, bare: bool, range: &Range<usize>) {
        if self.open.is_none() {
            let kind = self.paragraph();
            self.begin(kind, range);
        }
        self.text.push_str(text);
        match &mut self.link {
            Some((inside, _)) => inside.push_str(text),
            None if bare => self.bare.push_str(text),
            None => {}
        }
    }

    fn paragraph(&mut self) -> Kind {
        let depth = self.lists.len();
        Kind::Text(self.lists.last_mut().map(|(number, had)| {
            let first = !std::mem::replace(had, true);
            Place { depth, number: *number, first }
        }))
    }

    fn begin(&mut self, kind: Kind, range: &Range<usize>) {
        self.flush();
        self.open = Some((kind, self.line_of(range.start)));
    }

    fn flush(&mut self) {
        let text = std::mem::take(&mut self.text);
        let bare = std::mem::take(&mut self.bare);
        let mut links = std::mem::take(&mut self.links);
        let mut commands = std::mem::take(&mut self.commands);
        let Some((kind, line)) = self.open.take() else { return };
        let text = if kind == Kind::Row { text.trim_end_matches([' ', '|']).to_owned() } else { text };
        match kind {
            Kind::Code => commands.extend(find::in_code(&text).into_iter().map(|c| clean(&c))),
            Kind::Dr => {}
            _ => {
                commands.extend(bare.lines().filter_map(find::in_prose).map(clean));
                links.extend(find::urls(&bare));
            }
        }
        self.blocks.push(Block { line, kind, text, links, commands });
    }
}

/// `<name-of-server>` in prose is a placeholder that Markdown takes for HTML.
fn is_placeholder(html: &str) -> bool {
    let name: String = html
        .trim_start_matches(['<', '/'])
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || *c == '-')
        .collect();
    !name.is_empty() && !MARKUP.contains(&name.to_ascii_lowercase().as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_know_their_lines_lists_links_and_commands() {
        let text = "# T\n\nSee [here](https://a.b) or `kubectl -n x get pods`.\n\n1. one\n   - two\n\n   more\n2. three\n\n```sh\ngh run list\n```\n";
        let blocks = read(text, 10).unwrap();
        let seen: Vec<(usize, Kind)> = blocks.iter().map(|b| (b.line, b.kind)).collect();
        let place = |depth, number, first| Kind::Text(Some(Place { depth, number, first }));
        assert_eq!(
            seen,
            [
                (11, Kind::Heading(1)),
                (13, Kind::Text(None)),
                (15, place(1, Some(1), true)),
                (16, place(2, None, true)),
                (18, place(1, Some(1), false)),
                (19, place(1, Some(2), true)),
                (21, Kind::Code),
            ]
        );
        assert_eq!(blocks[1].links[0].url, "https://a.b");
        assert_eq!(blocks[1].commands, ["kubectl -n x get pods"]);
        assert_eq!(blocks[6].commands, ["gh run list"]);
        assert_eq!(blocks[3].paragraphs(), ["  • two"]);
    }

    #[test]
    fn placeholders_survive_and_comments_do_not() {
        let blocks = read("Run: bin/konduit.sh -n <ns-of-app> app -- psql <!-- x -->\n", 0).unwrap();
        assert_eq!(blocks[0].commands, ["bin/konduit.sh -n <ns-of-app> app -- psql"]);
    }

    #[test]
    fn a_document_of_too_many_blocks_is_refused() {
        let error = read(&"- x\n\n".repeat(1_200), 0).unwrap_err();
        assert!(matches!(error.problem, Problem::TooLarge { .. }));
        assert!(error.line > 1);
    }
}
