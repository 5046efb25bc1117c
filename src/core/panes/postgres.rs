//! Postgres: the flexible servers of the resource group, live first.

use crate::core::filter::Filter;
use crate::core::model::Model;
use crate::domain::{Server, ServerClass};

/// Fields of a row that a filter may name.
pub const FIELDS: [&str; 3] = ["name", "status", "class"];

/// Names of the servers that pass the filter: live, PTR copies, side copies.
pub fn rows(model: &Model) -> Vec<String> {
    let mut filter = Filter::new(&model.panes.postgres.filter);
    let all = model.world.servers.value.iter().flatten();
    let mut found: Vec<&Server> = all
        .filter(|s| filter.admits(&[("name", &s.name), ("status", &s.state), ("class", s.class.word())]))
        .collect();
    found.sort_by(|a, b| (a.class, &a.name).cmp(&(b.class, &b.name)));
    found.into_iter().map(|s| s.name.clone()).collect()
}

pub fn server<'a>(model: &'a Model, name: &str) -> Option<&'a Server> {
    model.world.servers.value.as_ref()?.iter().find(|s| s.name == name)
}

/// Lines below the list for the selected server's window and sparklines, out of `lines` in all.
pub fn detail_lines(lines: u16) -> u16 {
    match lines {
        0..=4 => 0,
        5..=10 => lines - 3,
        _ => 8,
    }
}

pub fn copy_text(model: &Model) -> Option<String> {
    let name = model.panes.postgres.selected.as_ref()?;
    Some(format!("az postgres flexible-server show -g {} -n {name}", model.target.resource_group))
}

/// One line for the strip.
pub fn summary(model: &Model) -> String {
    let Some(all) = &model.world.servers.value else { return "…".into() };
    let live = all.iter().find(|s| s.class == ServerClass::Live);
    live.map_or_else(|| "live server NOT LISTED".into(), |s| format!("live {}", s.state))
}
