//! Which pane is where. Pure arithmetic, shared by the view (to draw) and by `update` (mouse, page sizes).

use ratatui::layout::Rect;

use super::panes::PaneId;

/// Below this the cockpit shows a card that asks for room.
pub const MIN: (u16, u16) = (40, 12);
/// From this width on the checklist and the other panes stand side by side.
pub const WIDE: u16 = 110;

/// The parts of the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    pub header: Rect,
    /// Panes with their outer rectangles, border included.
    pub panes: Vec<(PaneId, Rect)>,
    /// One line with the states of the panes that do not show; empty where all show.
    pub strip: Rect,
    pub footer: Rect,
}

/// True if the terminal is too small for anything but a card.
pub fn too_small(width: u16, height: u16) -> bool {
    width < MIN.0 || height < MIN.1
}

/// Lays out the screen for a terminal of this size.
pub fn layout(width: u16, height: u16, focus: PaneId, zoom: bool) -> Layout {
    let header_height = if height >= 20 { 3 } else { 2 };
    let header = Rect::new(0, 0, width, header_height.min(height));
    let footer = Rect::new(0, height.saturating_sub(1), width, height.min(1));
    let single = zoom || width < WIDE || height < 30;
    let strip_height = u16::from(single);
    let body_height = height.saturating_sub(header_height + 1 + strip_height);
    let body = Rect::new(0, header_height, width, body_height);
    let strip = Rect::new(0, header_height + body_height, width, strip_height);
    let panes = if single { vec![(focus, body)] } else { side_by_side(body) };
    Layout { header, panes, strip, footer }
}

/// The panes right of the checklist, top down, with their shares of the height that is left when each has [`LEAST`].
const RIGHT: [(PaneId, u16); 5] = [
    (PaneId::Replicas, 5),
    (PaneId::Postgres, 3),
    (PaneId::Tunnels, 2),
    (PaneId::Compare, 2),
    (PaneId::Timeline, 3),
];
/// Lines that every pane has, its border included.
const LEAST: u16 = 4;

fn side_by_side(body: Rect) -> Vec<(PaneId, Rect)> {
    let left = (body.width * 45 / 100).max(48);
    let (x, right) = (body.x + left, body.width - left);
    let mut panes = vec![(PaneId::Checklist, Rect::new(body.x, body.y, left, body.height))];
    let spare = body.height.saturating_sub(LEAST * RIGHT.len() as u16);
    let shares: u16 = RIGHT.iter().map(|(_, share)| share).sum();
    let mut y = body.y;
    for (n, (pane, share)) in RIGHT.into_iter().enumerate() {
        // The last one takes what rounding leaves.
        let last = n + 1 == RIGHT.len();
        let height = if last { body.bottom() - y } else { LEAST + spare * share / shares };
        panes.push((pane, Rect::new(x, y, right, height)));
        y += height;
    }
    panes
}

/// The rectangle inside a pane's border where its rows are.
pub fn inner(outer: Rect) -> Rect {
    Rect::new(
        outer.x.saturating_add(1),
        outer.y.saturating_add(1),
        outer.width.saturating_sub(2),
        outer.height.saturating_sub(2),
    )
}

impl Layout {
    /// The pane under a cell.
    pub fn pane_at(&self, x: u16, y: u16) -> Option<(PaneId, Rect)> {
        self.panes.iter().copied().find(|(_, r)| r.contains((x, y).into()))
    }

    pub fn rect(&self, pane: PaneId) -> Option<Rect> {
        self.panes.iter().find(|(p, _)| *p == pane).map(|(_, r)| *r)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_never_overlap_nor_leave_the_screen() {
        for (w, h) in [(1, 1), (40, 12), (80, 24), (120, 40), (200, 60), (300, 100), (109, 29), (110, 30)] {
            for zoom in [false, true] {
                let l = layout(w, h, PaneId::Replicas, zoom);
                let screen = Rect::new(0, 0, w, h);
                for (_, r) in &l.panes {
                    assert_eq!(r.intersection(screen).area(), r.area(), "{w}x{h}");
                }
                for (i, (_, a)) in l.panes.iter().enumerate() {
                    for (_, b) in l.panes.iter().skip(i + 1) {
                        assert!(!a.intersects(*b), "{w}x{h}");
                    }
                }
            }
        }
    }

    #[test]
    fn small_screens_show_one_pane_wide_ones_all() {
        assert_eq!(layout(80, 24, PaneId::Postgres, false).panes.len(), 1);
        assert_eq!(layout(120, 40, PaneId::Postgres, false).panes.len(), PaneId::ALL.len());
        assert_eq!(layout(120, 40, PaneId::Postgres, true).panes.len(), 1);
    }
}
