//! Small pieces that several panes draw with.

use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Clear};
use ratatui::{Frame, buffer::Buffer};
use unicode_width::UnicodeWidthStr;

use super::theme::{Role, Theme};
use crate::core::list::List;
use crate::domain::{Sample, text};
use crate::incident::Mark;

/// `text` cut or padded to exactly `width` columns.
pub fn cell(content: &str, width: usize) -> String {
    let cut = text::fit(content, width);
    let pad = width.saturating_sub(cut.width());
    format!("{cut}{}", " ".repeat(pad))
}

/// The same, aligned to the right.
pub fn cell_right(content: &str, width: usize) -> String {
    let cut = text::fit(content, width);
    let pad = width.saturating_sub(cut.width());
    format!("{}{cut}", " ".repeat(pad))
}

/// Writes a line at the top of `area`, clipped to it.
pub fn put(line: Line<'_>, area: Rect, buffer: &mut Buffer) {
    if area.height > 0 && area.width > 0 {
        buffer.set_line(area.x, area.y, &line, area.width);
    }
}

/// The `n`-th line of `area`.
pub fn nth(area: Rect, n: u16) -> Rect {
    let y = area.y.saturating_add(n);
    Rect::new(area.x, y, area.width, u16::from(n < area.height))
}

/// A line with one part at each end; the left part gives way.
pub fn ends<'a>(mut left: Vec<Span<'a>>, right: Vec<Span<'a>>, width: u16) -> Line<'a> {
    let right_width: usize = right.iter().map(Span::width).sum();
    let mut room = usize::from(width).saturating_sub(right_width);
    let mut kept = Vec::new();
    for span in left.drain(..) {
        let wide = span.width();
        if wide > room {
            kept.push(Span::styled(text::fit(&span.content, room), span.style));
            room = room.saturating_sub(kept.last().map_or(0, Span::width));
            break;
        }
        room -= wide;
        kept.push(span);
    }
    kept.push(Span::raw(" ".repeat(room)));
    kept.extend(right);
    Line::from(kept)
}

/// A window over everything else: at most `width` x `height`, in the middle. Returns the inside.
pub fn window(title: &str, role: Role, theme: &Theme, size: (u16, u16), frame: &mut Frame<'_>) -> Rect {
    let area = frame.area();
    let (w, h) = (size.0.min(area.width), size.1.min(area.height));
    let rect = Rect::new((area.width - w) / 2, (area.height - h) / 2, w, h);
    frame.render_widget(Clear, rect);
    let block = Block::bordered()
        .border_type(BorderType::Double)
        .border_style(theme.style(role))
        .title(
            Line::from(format!(" {} ", text::fit(title, usize::from(w.saturating_sub(6)))))
                .style(theme.style(Role::Title)),
        )
        .style(theme.style(Role::Text));
    let inner = block.inner(rect);
    frame.render_widget(block, rect);
    inner
}

/// Lines of `content` that fit `width` columns.
pub fn wrap(content: &str, width: u16) -> Vec<String> {
    let width = usize::from(width.max(4));
    textwrap::wrap(content, width).into_iter().map(|c| c.into_owned()).collect()
}

pub fn mark_role(mark: Mark) -> Role {
    match mark {
        Mark::Open => Role::Open,
        Mark::Verified => Role::Verified,
        Mark::Said => Role::Said,
        Mark::Overridden => Role::Overridden,
    }
}

/// `key` as a keycap followed by what it does.
pub fn hint<'a>(theme: &Theme, key: &str, what: &str) -> Vec<Span<'a>> {
    vec![
        Span::styled(format!(" {key} "), theme.style(Role::Key)),
        Span::styled(format!(" {what}  "), theme.style(Role::Dim)),
    ]
}

/// The last `width` samples as bars from 0 to `top` (or their own maximum); a dot where there is no data.
pub fn spark(samples: &[Sample], top: Option<f64>, width: usize) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = samples.iter().filter_map(|s| s.value).fold(1.0, f64::max);
    let top = top.unwrap_or(most);
    let skip = samples.len().saturating_sub(width);
    let bar = |value: f64| {
        let share = (value / top).clamp(0.0, 1.0) * 7.0;
        BARS.get(share.round() as usize).copied().unwrap_or('█')
    };
    let drawn: String = samples.iter().skip(skip).map(|s| s.value.map_or('·', bar)).collect();
    let missing = width.saturating_sub(samples.len());
    format!("{}{drawn}", "·".repeat(missing))
}

/// The style of a row under the cursor.
pub fn row_style(theme: &Theme, selected: bool, focused: bool) -> Style {
    match (selected, focused) {
        (true, true) => theme.style(Role::Selected),
        (true, false) => theme.style(Role::SelectedInactive),
        _ => theme.style(Role::Text),
    }
}

/// Draws those rows of a list that show; the one under the cursor looks like `cursor`.
pub fn draw_rows<'a, K: Ord + Clone>(
    list: &List<K>,
    rows: &[K],
    body: Rect,
    cursor: Style,
    buffer: &mut Buffer,
    line: impl Fn(&K) -> Option<Line<'a>>,
) {
    for (n, key) in rows.iter().skip(list.top).take(usize::from(body.height)).enumerate() {
        let Some(drawn) = line(key) else { continue };
        let area = nth(body, n as u16);
        put(drawn, area, buffer);
        if list.selected.as_ref() == Some(key) {
            highlight(area, cursor, buffer);
        }
    }
}

/// Colours a whole line of cells after it was written, keeping its text.
pub fn highlight(area: Rect, style: Style, buffer: &mut Buffer) {
    if area.height > 0 {
        buffer.set_style(area, style);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_have_the_width_asked_for() {
        for (content, width) in [("データ", 5), ("abc", 5), ("abcdef", 3), ("", 2)] {
            assert_eq!(cell(content, width).width(), width);
            assert_eq!(cell_right(content, width).width(), width);
        }
    }

    #[test]
    fn missing_samples_are_dots_and_never_zero() {
        let at = "2026-11-20T10:00:00Z".parse().unwrap();
        let samples = [Some(0.0), None, Some(100.0)].map(|value| Sample { at, value });
        assert_eq!(spark(&samples, Some(100.0), 5), "··▁·█");
    }
}
