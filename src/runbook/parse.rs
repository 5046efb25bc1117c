//! Markdown in, [`Runbook`] out. `docs/runbooks.md` describes the format. Pure; never panics on any text.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::blocks::{self, Block, Kind};
use super::error::{At, hint, short};
pub use super::error::{Problem, RunbookError};
use super::front::{self, Front, Head};
use super::model::{Item, Role, Runbook, Section};
use super::outline::{self, Part};
use super::{plain, words};

/// Largest runbook, in bytes.
pub const MAX_BYTES: usize = 1 << 20;
/// Most items: a longer list is not a checklist.
pub const MAX_ITEMS: usize = 250;
const KEYS: &[&str] = &["role", "estimate", "memory", "sense", "verify", "capture", "do", "undo", "record"];
const ROLES: &[&str] = &["tech", "comms", "support"];

/// Reads a runbook. `file_name` is for messages and, for a document without a title, its name.
///
/// # Errors
/// [`RunbookError`] names file, line and the nearest thing that would be right.
pub fn parse(file_name: &str, text: &str) -> Result<Runbook, RunbookError> {
    parse_with_lines(file_name, text).map(|(runbook, _)| runbook)
}

/// The runbook, and the line of each section and item by id.
pub(super) fn parse_with_lines(file_name: &str, text: &str) -> Result<(Runbook, Lines), RunbookError> {
    read(file_name, text).map_err(|At { line, problem }| RunbookError {
        file: file_name.to_owned(),
        line,
        problem,
    })
}

/// Where sections and items begin. Empty for a plain document.
#[derive(Debug, Default)]
pub(super) struct Lines {
    pub(super) sections: BTreeMap<String, usize>,
    pub(super) items: BTreeMap<String, usize>,
    /// Lines of `undo` keys, by the item that has one.
    undo: BTreeMap<String, usize>,
}

fn read(file_name: &str, text: &str) -> Result<(Runbook, Lines), At> {
    if text.len() > MAX_BYTES {
        return Err(At::new(1, Problem::TooLarge { what: "too many bytes for a runbook", max: MAX_BYTES }));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // A ruler on the first line of a plain document is no front matter.
    let (front, body, skipped) = front::split(text)
        .or_else(|e| if text.contains("```dr") { Err(e) } else { Ok((Front::default(), text, 0)) })?;
    let mut blocks = blocks::read(body, skipped)?;
    let typed = front.is_ours() || blocks.iter().any(|b| b.kind == Kind::Dr);
    let (runbook, lines) = if typed {
        build_typed(front.head()?, outline::parts(blocks))?
    } else {
        if !blocks.iter().any(|b| matches!(b.kind, Kind::Heading(_))) {
            blocks = blocks::read(&plain::as_markdown(body), skipped)?;
        }
        (build_plain(&front, outline::parts(blocks), file_name), Lines::default())
    };
    if runbook.items().count() > MAX_ITEMS {
        return Err(At::new(1, Problem::TooLarge { what: "too many items for a checklist", max: MAX_ITEMS }));
    }
    Ok((Runbook { sha256: hex(text), ..runbook }, lines))
}

fn hex(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn build_plain(front: &Front, parts: Vec<Part>, file_name: &str) -> Runbook {
    let stem = file_name.rsplit('/').next().unwrap_or(file_name);
    let stem = stem.rsplit_once('.').map_or(stem, |(stem, _)| stem);
    let (title, sections) = plain::build(parts, front.title.as_deref(), stem);
    Runbook {
        id: outline::slug(&title),
        title,
        version: 0,
        condition: String::new(),
        goal: String::new(),
        rto_minutes: None,
        rpo_minutes: None,
        memory: Vec::new(),
        last_reviewed_on: None,
        review_by: None,
        sections,
        sha256: String::new(),
        plain: true,
    }
}

fn build_typed(head: Head, parts: Vec<Part>) -> Result<(Runbook, Lines), At> {
    let mut lines = Lines::default();
    let mut title = None;
    let mut sections: Vec<Section> = Vec::new();
    let mut section_ids = outline::Slugs::default();
    for part in parts {
        match part.level {
            0 => homeless(&part.body)?,
            _ if part.title.is_empty() => {
                return Err(At::new(part.line, Problem::Outline("a heading without words")));
            }
            1 if title.is_some() => {
                return Err(At::new(part.line, Problem::Outline("a second `#` title; sections are `##`")));
            }
            1 => {
                homeless(&part.body)?;
                title = Some(part.title);
            }
            2 => {
                homeless(&part.body)?;
                let id = section_ids.unique(&part.title);
                lines.sections.insert(id.clone(), part.line);
                let mut section = outline::section(id, part.title);
                section.notes = part.body.iter().flat_map(Block::notes).collect();
                sections.push(section);
            }
            level => {
                let item = build_item(&part, level, &sections, &mut lines)?;
                if let Some(section) = sections.last_mut() {
                    section.items.push(item);
                }
            }
        }
    }
    let memory = memory(&head, &sections)?;
    let runbook = Runbook {
        id: head.id,
        title: title.ok_or_else(|| At::new(1, Problem::Outline("no `#` title")))?,
        version: head.version,
        condition: head.condition,
        goal: head.goal,
        rto_minutes: head.rto_minutes,
        rpo_minutes: head.rpo_minutes,
        memory,
        last_reviewed_on: head.last_reviewed_on,
        review_by: head.review_by,
        sections,
        sha256: String::new(),
        plain: false,
    };
    undo_targets(&runbook, &lines)?;
    Ok((runbook, lines))
}

fn homeless(body: &[Block]) -> Result<(), At> {
    match body.iter().find(|b| b.kind == Kind::Dr) {
        Some(block) => Err(At::new(block.line, Problem::Homeless)),
        None => Ok(()),
    }
}

fn build_item(part: &Part, level: u8, sections: &[Section], lines: &mut Lines) -> Result<Item, At> {
    let wrong = |what| Err(At::new(part.line, Problem::Outline(what)));
    let above = match sections.last() {
        None => return wrong("an item before the first `##` section"),
        Some(section) => section.items.is_empty(),
    };
    match level {
        4 if above => return wrong("a `####` sub-item before any `###` item of its section"),
        3 | 4 => {}
        _ => return wrong("headings deeper than `####` are not used"),
    }
    let id = outline::slug(&part.title);
    if let Some(first) = lines.items.insert(id.clone(), part.line) {
        return Err(At::new(part.line, Problem::SameId { id, first }));
    }
    let mut item = outline::item(id, part.title.clone(), level - 3);
    if let Some(head) = &part.head {
        outline::collect(&mut item, head);
    }
    let mut typed = false;
    for block in &part.body {
        if block.kind != Kind::Dr {
            outline::absorb(&mut item, block);
        } else if std::mem::replace(&mut typed, true) {
            return Err(At::new(block.line, Problem::SecondBlock));
        } else {
            typed_block(&mut item, block, lines)?;
        }
    }
    Ok(item)
}

/// One `dr` block: `key: value` lines.
fn typed_block(item: &mut Item, block: &Block, lines: &mut Lines) -> Result<(), At> {
    let mut seen: Vec<String> = Vec::new();
    let mut verify_line = block.line;
    for (line, raw) in (block.line + 1..).zip(block.text.lines()) {
        let text = raw.trim();
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let (key, value) =
            front::pair(text).ok_or_else(|| At::new(line, Problem::NotAPair { found: short(text) }))?;
        if seen.contains(&key) {
            return Err(At::new(line, Problem::Twice { key }));
        }
        match key.as_str() {
            "role" => item.role = Some(role(line, &value)?),
            "estimate" => {
                let minutes = front::minutes(&value)
                    .ok_or_else(|| At::value(line, "estimate", &value, "`2m` or `1h`"))?;
                item.estimate = Some(minutes);
            }
            "memory" => item.memory = yes(line, &value)?,
            "sense" => item.sense = Some(words::probe(line, &value)?),
            "verify" => {
                verify_line = line;
                item.verify = Some(words::expect(line, &value)?);
            }
            "capture" => item.capture = Some(words::capture(line, &value)?),
            "do" => item.action = Some(words::change(line, &value)?),
            "undo" => {
                lines.undo.insert(item.id.clone(), line);
                item.undo = Some(value.trim_start_matches('#').to_owned());
            }
            "record" => item.record = Some(words::record(line, &value)?),
            _ => return Err(At::unknown(line, "key", &key, KEYS)),
        }
        seen.push(key);
    }
    match (&item.sense, &item.verify) {
        (None, Some(_)) => Err(At::new(verify_line, Problem::VerifyWithoutSense)),
        (Some(probe), Some(expect)) => words::fits(probe, expect).map_err(|gives| {
            let (probe, expect) = (probe.to_string(), expect.to_string());
            At::new(verify_line, Problem::Mismatch { probe, gives, expect })
        }),
        _ => Ok(()),
    }
}

fn role(line: usize, value: &str) -> Result<Role, At> {
    match value {
        "tech" => Ok(Role::Tech),
        "comms" => Ok(Role::Comms),
        "support" => Ok(Role::Support),
        _ => Err(At::unknown(line, "role", value, ROLES)),
    }
}

fn yes(line: usize, value: &str) -> Result<bool, At> {
    match value {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err(At::value(line, "memory", value, "`yes` or `no`")),
    }
}

/// What is known by heart: the front matter's words, else the titles of the items marked so.
fn memory(head: &Head, sections: &[Section]) -> Result<Vec<String>, At> {
    let marked = || sections.iter().flat_map(|s| &s.items).filter(|i| i.memory).map(|i| i.title.clone());
    let memory: Vec<String> = if head.memory.is_empty() { marked().collect() } else { head.memory.clone() };
    let count = memory.len().max(marked().count());
    if count > 3 { Err(At::new(1, Problem::TooMuchToRemember { count })) } else { Ok(memory) }
}

fn undo_targets(runbook: &Runbook, lines: &Lines) -> Result<(), At> {
    let ids: Vec<&str> = runbook.items().map(|i| i.id.as_str()).collect();
    for item in runbook.items() {
        let Some(target) = &item.undo else { continue };
        if *target == item.id || !ids.contains(&target.as_str()) {
            let line = lines.undo.get(&item.id).copied().unwrap_or(1);
            let others: Vec<&str> = ids.iter().copied().filter(|id| *id != item.id).collect();
            let hint = hint(target, &others);
            return Err(At::new(line, Problem::NoSuchItem { id: short(target), hint }));
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
