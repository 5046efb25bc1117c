//! Reads the difference of two sketches (see [`super::ask::logical`]): every row that is on one side only, with how often,
//! or the word that the sketch is too small.

/// Sums of one cell, live minus restored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cell {
    pub n: i64,
    pub keys: i128,
    pub contents: i128,
    pub checks: i64,
}

/// A row that is `copies` times more on live (above 0) or in the copy (below 0).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Item {
    pub key: i64,
    pub content: i64,
    pub copies: i64,
}

/// A sketch with three parts of 2^`log2` cells.
#[derive(Debug, Clone)]
pub struct Sketch {
    log2: u32,
    cells: Vec<Cell>,
    /// Rows of each side, as the first part counts them.
    pub rows_live: u64,
    pub rows_restored: u64,
}

impl Sketch {
    pub fn new(log2: u32) -> Sketch {
        Sketch { log2, cells: vec![Cell::default(); 3 << log2], rows_live: 0, rows_restored: 0 }
    }

    /// Adds a cell of live, or takes one of the copy away. Cells beyond the sketch are refused.
    pub fn add(&mut self, index: i64, cell: Cell, live: bool) -> Option<()> {
        let index = usize::try_from(index).ok()?;
        let sign = if live { 1 } else { -1 };
        let mine = self.cells.get_mut(index)?;
        *mine = mine.plus(cell, sign);
        if index < 1 << self.log2 {
            let rows = u64::try_from(cell.n).ok()?;
            *(if live { &mut self.rows_live } else { &mut self.rows_restored }) += rows;
        }
        Some(())
    }

    /// All differences, or `None` if the sketch is too small for them.
    pub fn read(mut self) -> Option<Vec<Item>> {
        let mut found = Vec::new();
        let mut open: Vec<usize> = (0..self.cells.len()).collect();
        while let Some(index) = open.pop() {
            let Some(item) = self.cells.get(index).and_then(|c| c.pure()) else { continue };
            let places = places(item.content, self.log2);
            if !places.contains(&index) {
                continue;
            }
            let one = Cell::of(item);
            for place in places {
                if let Some(cell) = self.cells.get_mut(place) {
                    *cell = cell.plus(one, -1);
                    open.push(place);
                }
            }
            found.push(item);
            if found.len() > self.cells.len() {
                return None;
            }
        }
        self.cells.iter().all(|c| *c == Cell::default()).then_some(found)
    }
}

impl Cell {
    fn plus(self, other: Cell, sign: i64) -> Cell {
        Cell {
            n: self.n.wrapping_add(other.n.wrapping_mul(sign)),
            keys: self.keys.wrapping_add(other.keys.wrapping_mul(i128::from(sign))),
            contents: self.contents.wrapping_add(other.contents.wrapping_mul(i128::from(sign))),
            checks: self.checks.wrapping_add(other.checks.wrapping_mul(sign)),
        }
    }

    fn of(item: Item) -> Cell {
        let n = item.copies;
        Cell {
            n,
            keys: i128::from(item.key) * i128::from(n),
            contents: i128::from(item.content) * i128::from(n),
            checks: check(item.content).wrapping_mul(n),
        }
    }

    /// The one row (with its copies) that the cell holds, if it holds just one.
    fn pure(&self) -> Option<Item> {
        let n = i128::from(self.n);
        if n == 0 || self.keys % n != 0 || self.contents % n != 0 || self.checks % self.n != 0 {
            return None;
        }
        let key = i64::try_from(self.keys / n).ok()?;
        let content = i64::try_from(self.contents / n).ok()?;
        (check(content) == self.checks / self.n).then_some(Item { key, content, copies: self.n })
    }
}

/// As the question computes it: 31 bits, not linear.
fn check(content: i64) -> i64 {
    ((content & 0x7fff_ffff) * ((content >> 32) & 0x7fff_ffff)) >> 31
}

fn places(content: i64, log2: u32) -> [usize; 3] {
    let mask = (1_i64 << log2) - 1;
    let at = |part: usize, shift: u32| {
        // Masked: never negative, and smaller than the sketch.
        (part << log2) + usize::try_from((content >> shift) & mask).unwrap_or_default()
    };
    [at(0, 0), at(1, 20), at(2, 40)]
}

/// Bits for a first try: small tables get small sketches.
pub fn first_size(rows: u64) -> u32 {
    match rows {
        0..2_000 => 8,
        2_000..50_000 => 10,
        _ => 12,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the server would answer.
    fn fill(sketch: &mut Sketch, rows: &[(i64, i64)], live: bool) {
        for (key, content) in rows {
            let item = Item { key: *key, content: *content, copies: 1 };
            for place in places(*content, sketch.log2) {
                sketch.add(place as i64, Cell::of(item), live).unwrap();
            }
        }
    }

    fn scrambled(n: i64) -> i64 {
        let mut z = (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb) as i64
    }

    fn rows(keys: std::ops::Range<i64>) -> Vec<(i64, i64)> {
        keys.map(|k| (k, scrambled(k))).collect()
    }

    #[test]
    fn every_difference_comes_out_and_nothing_else() {
        let mut sketch = Sketch::new(8);
        fill(&mut sketch, &rows(100..20_000), true);
        fill(&mut sketch, &rows(0..19_900), false);
        assert_eq!((sketch.rows_live, sketch.rows_restored), (19_900, 19_900));
        let mut found = sketch.read().unwrap();
        found.sort();
        assert_eq!(found.len(), 200);
        assert!(found.iter().all(|i| i.content == scrambled(i.key)));
        assert!(found.iter().all(|i| (i.copies == -1) == (i.key < 100)));
    }

    #[test]
    fn too_small_a_sketch_says_so() {
        let mut sketch = Sketch::new(8);
        fill(&mut sketch, &rows(0..5_000), true);
        assert_eq!(sketch.read(), None);
    }

    #[test]
    fn rows_without_a_key_are_counted_not_cancelled() {
        // {A, A, C} against {B, B, C}: XOR calls them equal.
        let (a, b, c) = (scrambled(1), scrambled(2), scrambled(3));
        let mut sketch = Sketch::new(8);
        fill(&mut sketch, &[(a, a), (a, a), (c, c)], true);
        fill(&mut sketch, &[(b, b), (b, b), (c, c)], false);
        let mut found = sketch.read().unwrap();
        found.sort_by_key(|i| i.copies);
        assert_eq!(found, [Item { key: b, content: b, copies: -2 }, Item { key: a, content: a, copies: 2 }]);
    }

    #[test]
    fn a_cell_beyond_the_sketch_is_refused() {
        assert!(Sketch::new(8).add(768, Cell::default(), true).is_none());
        assert!(Sketch::new(8).add(-1, Cell::default(), true).is_none());
    }
}
