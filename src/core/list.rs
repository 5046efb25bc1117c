//! A list that knows its rows by key, never by index: selection and marks stay on their rows when data changes.

use std::collections::BTreeSet;

/// Selection, marks, filter and scroll position of one list.
#[derive(Debug, Clone, PartialEq)]
pub struct List<K: Ord> {
    pub selected: Option<K>,
    pub marked: BTreeSet<K>,
    pub filter: String,
    /// Index of the first row on screen.
    pub top: usize,
    /// Where the selection was, to stay near when its row goes.
    index: usize,
}

impl<K: Ord> Default for List<K> {
    fn default() -> Self {
        List { selected: None, marked: BTreeSet::new(), filter: String::new(), top: 0, index: 0 }
    }
}

/// A move of the selection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    Up,
    Down,
    First,
    Last,
    HalfUp,
    HalfDown,
    PageUp,
    PageDown,
}

impl<K: Ord + Clone> List<K> {
    /// Index of the selected row in `rows`.
    pub fn position(&self, rows: &[K]) -> Option<usize> {
        let selected = self.selected.as_ref()?;
        // The row is almost always where it was.
        if rows.get(self.index) == Some(selected) {
            return Some(self.index);
        }
        rows.iter().position(|k| k == selected)
    }

    /// Moves the selection; `height` is how many rows fit on screen.
    pub fn go(&mut self, rows: &[K], to: Move, height: usize) {
        let last = rows.len().saturating_sub(1);
        let here = self.position(rows).unwrap_or(0);
        let page = height.max(1);
        let there = match to {
            Move::Up => here.saturating_sub(1),
            Move::Down => here + 1,
            Move::First => 0,
            Move::Last => last,
            Move::HalfUp => here.saturating_sub((page / 2).max(1)),
            Move::HalfDown => here + (page / 2).max(1),
            Move::PageUp => here.saturating_sub(page),
            Move::PageDown => here + page,
        };
        self.select_index(rows, there.min(last));
        self.settle(rows, height);
    }

    /// Selects the row at `index`, if there is one.
    pub fn select_index(&mut self, rows: &[K], index: usize) {
        if let Some(key) = rows.get(index) {
            self.selected = Some(key.clone());
            self.index = index;
        }
    }

    /// After rows or size changed: keeps the selection on its key (or near where it was), scrolls it into view,
    /// forgets marks of rows that `all` no longer has.
    pub fn settle(&mut self, rows: &[K], height: usize) {
        match self.position(rows) {
            Some(index) => self.index = index,
            None => {
                self.selected = None;
                let near = self.index.min(rows.len().saturating_sub(1));
                self.select_index(rows, near);
            }
        }
        let height = height.max(1);
        if self.index < self.top {
            self.top = self.index;
        } else if self.index >= self.top + height {
            self.top = self.index + 1 - height;
        }
        self.top = self.top.min(rows.len().saturating_sub(height.min(rows.len())));
    }

    /// Scrolls without moving the selection out of sight.
    pub fn wheel(&mut self, rows: &[K], down: bool, height: usize) {
        let most = rows.len().saturating_sub(height);
        self.top = if down { (self.top + 3).min(most) } else { self.top.saturating_sub(3) };
        let index = self.position(rows).unwrap_or(0);
        let bottom = (self.top + height.max(1)).saturating_sub(1);
        let seen = index.clamp(self.top, bottom.max(self.top));
        self.select_index(rows, seen.min(rows.len().saturating_sub(1)));
    }

    pub fn toggle_mark(&mut self) {
        if let Some(key) = self.selected.clone()
            && !self.marked.remove(&key)
        {
            self.marked.insert(key);
        }
    }

    /// The marked rows that still exist, or else the selected one.
    pub fn chosen(&self, rows: &[K]) -> Vec<K> {
        let marked: Vec<K> = rows.iter().filter(|k| self.marked.contains(k)).cloned().collect();
        if marked.is_empty() { self.selected.iter().cloned().collect() } else { marked }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selection_follows_its_key() {
        let mut list = List::default();
        list.settle(&["b", "d"], 10);
        list.go(&["b", "d"], Move::Down, 10);
        assert_eq!(list.selected, Some("d"));
        list.settle(&["a", "b", "c", "d"], 10);
        assert_eq!((list.selected, list.index), (Some("d"), 3));
        list.settle(&["a", "b"], 10);
        assert_eq!(list.selected, Some("b"), "stays near when its row goes");
        list.settle(&[], 10);
        assert_eq!(list.selected, None);
        list.settle(&["z"], 10);
        assert_eq!(list.selected, Some("z"));
    }

    #[test]
    fn the_selection_is_always_on_screen() {
        let rows: Vec<u32> = (0..100).collect();
        let mut list = List::default();
        list.settle(&rows, 10);
        for to in [Move::Last, Move::PageUp, Move::HalfUp, Move::Down, Move::First, Move::PageDown] {
            list.go(&rows, to, 10);
            assert!(list.top <= list.index && list.index < list.top + 10, "{to:?}");
        }
        list.wheel(&rows, true, 10);
        assert!(list.top <= list.index && list.index < list.top + 10);
    }

    #[test]
    fn marks_outlive_the_filter_but_not_their_rows() {
        let mut list = List::default();
        list.settle(&[1, 2, 3], 5);
        list.toggle_mark();
        list.go(&[1, 2, 3], Move::Last, 5);
        assert_eq!(list.chosen(&[1, 2, 3]), vec![1]);
        assert_eq!(list.chosen(&[2, 3]), vec![3], "a marked row that is gone is not chosen");
    }
}
