//! Documents that were not written for drtui: made into a manual checklist. Pure.
//!
//! Headings become sections, the headings under them items, deeper ones sub-items. Where the headings end, numbered
//! lists become items (or sub-items); a section without any list becomes one item. Text without Markdown headings, as
//! copied from a web page, gets them from its lone short lines.

use super::blocks::{Block, Kind, Place};
use super::model::{Item, Section};
use super::outline::{self, Part, Slugs};

/// Longest title that is made from a list entry or a lone line, in characters.
const LINE_MAX: usize = 120;
const HEADING_MAX: usize = 80;
/// What a copied page starts with.
const PAGE_FURNITURE: &[&str] = &["Skip to main content"];
const NUMBERED: &[&str] = &["Scenario", "Option", "Part", "Phase", "Stage"];

/// The title of the document and its sections.
pub(super) fn build(parts: Vec<Part>, given: Option<&str>, fallback: &str) -> (String, Vec<Section>) {
    let first = parts.iter().position(|p| p.level > 0);
    let named = parts.iter().position(|p| p.level == 1).or_else(|| {
        // Without a `#` the first heading is the title if it stands alone at its level.
        let first = first?;
        let level = parts.get(first)?.level;
        let alone = parts.iter().skip(first + 1).all(|p| p.level > level);
        (alone && given.is_none()).then_some(first)
    });
    let title = named
        .and_then(|at| parts.get(at))
        .map(|p| p.title.clone())
        .filter(|t| !t.is_empty())
        .or_else(|| given.map(outline::title).filter(|t| !t.is_empty()))
        .unwrap_or_else(|| outline::title(fallback));
    let mut levels: Vec<u8> = parts
        .iter()
        .enumerate()
        .filter(|(at, p)| p.level > 0 && Some(*at) != named)
        .map(|(_, p)| p.level)
        .collect();
    levels.sort_unstable();
    levels.dedup();
    let mut maker = Maker { title: title.clone(), levels, ..Maker::default() };
    let count = parts.len();
    for (at, part) in parts.iter().enumerate() {
        let deeper = at + 1 < count && parts.get(at + 1).is_some_and(|next| next.level > part.level);
        maker.part(part, Some(at) == named, deeper);
    }
    (title, maker.finish())
}

#[derive(Debug, Default)]
struct Maker {
    title: String,
    /// Heading levels in use, outermost first.
    levels: Vec<u8>,
    sections: Vec<Section>,
    section_ids: Slugs,
    item_ids: Slugs,
}

impl Maker {
    fn part(&mut self, part: &Part, is_title: bool, has_children: bool) {
        if is_title || part.level == 0 {
            let leads_nowhere = self.levels.is_empty();
            if leads_nowhere && !part.body.is_empty() {
                self.open_section(&self.title.clone());
                self.list(&part.body, 0);
            }
            return;
        }
        match self.levels.iter().position(|l| *l == part.level) {
            Some(0) => {
                self.open_section(&part.title);
                if has_children {
                    self.notes(&part.body);
                } else {
                    self.list(&part.body, 0);
                    self.head_links(part);
                }
            }
            Some(1) => {
                self.open_item(&part.title, 0);
                self.head_links(part);
                self.list(&part.body, 1);
            }
            _ => {
                self.open_item(&part.title, 1);
                self.head_links(part);
                part.body.iter().for_each(|b| self.absorb(b));
            }
        }
    }

    /// Entries of the outermost list become items of `depth`; entries of the list inside become sub-items.
    fn list(&mut self, body: &[Block], depth: u8) {
        let numbered =
            body.iter().any(|b| matches!(b.kind, Kind::Text(Some(Place { depth: 1, number: Some(_), .. }))));
        let bulleted = depth == 0 && body.iter().any(|b| matches!(b.kind, Kind::Text(Some(_))));
        if !numbered && !bulleted {
            if depth == 0 {
                let title = self.sections.last().map(|s| s.title.clone()).unwrap_or_default();
                self.open_item(&title, 0);
            }
            body.iter().for_each(|b| self.absorb(b));
            return;
        }
        // True while the blocks belong to an entry that became an item.
        let mut inside = false;
        for block in body {
            let place = match block.kind {
                Kind::Text(place) => place,
                _ => None,
            };
            match place {
                Some(Place { depth: 1, number, first: true }) => {
                    inside = number.is_some() || !numbered;
                    if inside { self.entry(block, depth) } else { self.aside(block, depth) }
                }
                Some(Place { depth: 2, first: true, .. }) if inside && depth == 0 => self.entry(block, 1),
                _ => self.aside(block, depth),
            }
        }
    }

    /// A list entry as an item. What does not fit the title is kept as a note.
    fn entry(&mut self, block: &Block, depth: u8) {
        let mut paragraphs = Block { kind: Kind::Text(None), ..block.clone() }.paragraphs().into_iter();
        let whole = paragraphs.next().unwrap_or_default();
        let title = heading_of(&whole);
        let rest: Vec<String> = if title == whole { Vec::new() } else { vec![whole] };
        self.open_item(&title, depth);
        if let Some(item) = self.last_item() {
            outline::collect(item, block);
            item.notes.extend(rest.into_iter().chain(paragraphs));
        }
    }

    /// A block that is no entry: a note of the item before it, or of the section.
    fn aside(&mut self, block: &Block, depth: u8) {
        let empty = self.sections.last().is_none_or(|s| s.items.is_empty());
        if depth == 0 && empty { self.notes(std::slice::from_ref(block)) } else { self.absorb(block) }
    }

    fn notes(&mut self, body: &[Block]) {
        if let Some(section) = self.sections.last_mut() {
            section.notes.extend(body.iter().flat_map(Block::notes));
        }
    }

    fn absorb(&mut self, block: &Block) {
        if let Some(item) = self.last_item() {
            outline::absorb(item, block);
        }
    }

    fn head_links(&mut self, part: &Part) {
        if let (Some(head), Some(item)) = (&part.head, self.last_item()) {
            outline::collect(item, head);
        }
    }

    fn open_section(&mut self, title: &str) {
        let id = self.section_ids.unique(title);
        let title = if title.is_empty() { "Untitled".to_owned() } else { title.to_owned() };
        self.sections.push(outline::section(id, title));
    }

    fn open_item(&mut self, title: &str, depth: u8) {
        if self.sections.is_empty() {
            self.open_section(&self.title.clone());
        }
        let id = self.item_ids.unique(title);
        let title = if title.is_empty() { "Untitled".to_owned() } else { title.to_owned() };
        if let Some(section) = self.sections.last_mut() {
            // A sub-item needs an item above it.
            let depth = if section.items.is_empty() { 0 } else { depth };
            section.items.push(outline::item(id, title, depth));
        }
    }

    fn last_item(&mut self) -> Option<&mut Item> {
        self.sections.last_mut().and_then(|s| s.items.last_mut())
    }

    fn finish(self) -> Vec<Section> {
        self.sections
    }
}

/// A title from a paragraph: all of it if it is short, else its first sentence or as much as fits.
fn heading_of(text: &str) -> String {
    let trimmed = text.trim();
    if trimmed.chars().count() <= LINE_MAX {
        return trimmed.to_owned();
    }
    let sentence = trimmed.split_inclusive(". ").next().unwrap_or(trimmed).trim();
    crate::domain::text::fit(sentence, LINE_MAX)
}

/// Text without Markdown headings as Markdown, line by line, so that line numbers stay.
pub(super) fn as_markdown(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let lone: Vec<bool> = (0..lines.len()).map(|at| is_lone_heading(&lines, at)).collect();
    let mut made = String::with_capacity(text.len() + lines.len());
    let mut titled = false;
    for (at, line) in lines.iter().enumerate() {
        let trimmed = line.trim();
        if PAGE_FURNITURE.contains(&trimmed) {
            // Left out.
        } else if lone.get(at).copied().unwrap_or_default() {
            let level = match (titled, opens_section(&lines, &lone, at)) {
                (false, _) => "# ",
                (true, true) => "## ",
                (true, false) => "### ",
            };
            titled = true;
            made.push_str(level);
            made.push_str(trimmed);
        } else if let Some(rest) = trimmed.strip_prefix('•') {
            made.push_str("- ");
            made.push_str(rest.trim_start());
        } else {
            made.push_str(line);
        }
        made.push('\n');
    }
    made
}

/// A short line between blank lines that reads like a heading.
fn is_lone_heading(lines: &[&str], at: usize) -> bool {
    let blank = |at: Option<usize>| at.and_then(|at| lines.get(at)).is_none_or(|l| l.trim().is_empty());
    let line = lines.get(at).copied().unwrap_or_default();
    let starts = line.starts_with(|c: char| c.is_uppercase());
    let ends = !line.trim_end().ends_with(['.', ':', ';', ',', '?', '!', '”']);
    starts
        && ends
        && line.chars().count() <= HEADING_MAX
        && !line.contains(['`', '=', '<', '|', '•'])
        && !PAGE_FURNITURE.contains(&line.trim())
        && blank(at.checked_sub(1))
        && blank(at.checked_add(1))
}

/// A heading is a section if its words say so or if the next thing is another heading; one that recurs ("Symptoms")
/// never is.
fn opens_section(lines: &[&str], lone: &[bool], at: usize) -> bool {
    let text = lines.get(at).map(|l| l.trim()).unwrap_or_default();
    let is_lone = |at: usize| lone.get(at).copied().unwrap_or_default();
    let recurs =
        lines.iter().enumerate().filter(|(other, l)| is_lone(*other) && l.trim() == text).nth(1).is_some();
    let numbered = NUMBERED.iter().any(|word| {
        text.strip_prefix(word)
            .and_then(|rest| rest.strip_prefix(' '))
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    });
    let next = lines.iter().enumerate().skip(at + 1).find(|(_, l)| !l.trim().is_empty());
    let no_section_yet = !(0..at).any(|before| is_lone(before) && before > 0);
    !recurs && (numbered || next.is_some_and(|(other, _)| is_lone(other)) || no_section_yet)
}
