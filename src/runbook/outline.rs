//! Headings with what stands under them; slugs. Pure.

use std::collections::HashSet;

use super::blocks::{Block, Kind};
use super::model::{Item, Section};
use crate::domain::text::{clean, fit};

/// Longest title, in terminal columns.
pub(super) const TITLE_MAX: usize = 160;
const SLUG_MAX: usize = 80;

/// A heading and the blocks up to the next one.
#[derive(Debug, Clone)]
pub(super) struct Part {
    /// 1 to 6; 0 for what stands before the first heading.
    pub(super) level: u8,
    pub(super) line: usize,
    /// Cleaned and bounded.
    pub(super) title: String,
    /// The heading itself: it may hold links and commands.
    pub(super) head: Option<Block>,
    pub(super) body: Vec<Block>,
}

/// The document as parts, in order.
pub(super) fn parts(blocks: Vec<Block>) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for block in blocks {
        match (block.kind, parts.last_mut()) {
            (Kind::Heading(level), _) => {
                let title = title(&block.text);
                parts.push(Part { level, line: block.line, title, head: Some(block), body: Vec::new() });
            }
            (_, Some(part)) => part.body.push(block),
            (_, None) => parts.push(Part {
                level: 0,
                line: block.line,
                title: String::new(),
                head: None,
                body: vec![block],
            }),
        }
    }
    parts
}

/// One line, bounded.
pub(super) fn title(text: &str) -> String {
    fit(clean(text).trim(), TITLE_MAX)
}

/// The address that GitHub gives a heading: small letters, digits, hyphens.
pub(super) fn slug(title: &str) -> String {
    let made: String = title
        .to_lowercase()
        .chars()
        .filter_map(|c| match c {
            c if c.is_alphanumeric() || c == '_' => Some(c),
            c if c == '-' || c.is_whitespace() => Some('-'),
            _ => None,
        })
        .take(SLUG_MAX)
        .collect();
    let made = made.trim_matches('-').to_owned();
    if made.is_empty() { "item".to_owned() } else { made }
}

/// Gives out slugs, made unique by `-2`, `-3`, ….
#[derive(Debug, Default)]
pub(super) struct Slugs(HashSet<String>);

impl Slugs {
    pub(super) fn unique(&mut self, title: &str) -> String {
        let base = slug(title);
        let mut id = base.clone();
        let mut n = 1_u32;
        while !self.0.insert(id.clone()) {
            n = n.saturating_add(1);
            id = format!("{base}-{n}");
        }
        id
    }
}

/// An item that knows only its title.
pub(super) fn item(id: String, title: String, depth: u8) -> Item {
    Item {
        id,
        title,
        depth,
        role: None,
        estimate: None,
        memory: false,
        notes: Vec::new(),
        links: Vec::new(),
        commands: Vec::new(),
        sense: None,
        verify: None,
        capture: None,
        action: None,
        undo: None,
        record: None,
    }
}

pub(super) fn section(id: String, title: String) -> Section {
    Section { id, title, notes: Vec::new(), items: Vec::new() }
}

/// Takes a block's links and commands into an item, each once.
pub(super) fn collect(item: &mut Item, block: &Block) {
    for link in &block.links {
        if !item.links.iter().any(|l| l.url == link.url) {
            item.links.push(link.clone());
        }
    }
    for command in &block.commands {
        if !item.commands.contains(command) {
            item.commands.push(command.clone());
        }
    }
}

/// Takes a block under an item: links, commands, and its text as notes. A code block that is all commands is no note.
pub(super) fn absorb(item: &mut Item, block: &Block) {
    collect(item, block);
    if block.kind != Kind::Code || block.commands.is_empty() {
        item.notes.extend(block.paragraphs());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_github_anchors_and_unique() {
        assert_eq!(slug("Scale every deployment to 0"), "scale-every-deployment-to-0");
        assert_eq!(slug("Say so: “SD Incidents” (Teams)"), "say-so-sd-incidents-teams");
        assert_eq!(slug("!!!"), "item");
        let mut slugs = Slugs::default();
        let made: Vec<_> = ["A", "a", "A-2", "a"].iter().map(|t| slugs.unique(t)).collect();
        assert_eq!(made, ["a", "a-2", "a-2-2", "a-3"]);
    }
}
