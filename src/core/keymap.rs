//! From a key press to a command, by the registry.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::command::{Command, REGISTRY, Scope};
use super::panes::PaneId;

/// The name by which the registry knows a key: `a`, `G`, `ctrl-d`, `space`, `f1`. `None` for keys without a name.
pub fn name(key: &KeyEvent) -> Option<String> {
    let base = match key.code {
        KeyCode::Char(' ') => "space".to_owned(),
        KeyCode::Char(c) => c.to_string(),
        KeyCode::Enter => "enter".to_owned(),
        KeyCode::Tab => "tab".to_owned(),
        KeyCode::BackTab => "backtab".to_owned(),
        KeyCode::Esc => "esc".to_owned(),
        KeyCode::Up => "up".to_owned(),
        KeyCode::Down => "down".to_owned(),
        KeyCode::Left => "left".to_owned(),
        KeyCode::Right => "right".to_owned(),
        KeyCode::Home => "home".to_owned(),
        KeyCode::End => "end".to_owned(),
        KeyCode::PageUp => "pageup".to_owned(),
        KeyCode::PageDown => "pagedown".to_owned(),
        KeyCode::Backspace => "backspace".to_owned(),
        KeyCode::F(n) => format!("f{n}"),
        _ => return None,
    };
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        Some(format!("ctrl-{}", base.to_lowercase()))
    } else if key.modifiers.contains(KeyModifiers::ALT) {
        Some(format!("alt-{base}"))
    } else {
        Some(base)
    }
}

/// The command that `key` means while `pane` has the focus. A pane's own keys come first.
pub fn command(key: &KeyEvent, pane: PaneId) -> Option<Command> {
    let name = name(key)?;
    let find = |scope: Scope| {
        REGISTRY.iter().find(|s| s.scope == scope && s.keys.contains(&name.as_str())).map(|s| s.command)
    };
    find(Scope::Pane(pane)).or_else(|| find(Scope::Everywhere))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(code: KeyCode, modifiers: KeyModifiers) -> KeyEvent {
        KeyEvent::new(code, modifiers)
    }

    #[test]
    fn keys_mean_what_the_focused_pane_says() {
        let space = key(KeyCode::Char(' '), KeyModifiers::NONE);
        assert_eq!(command(&space, PaneId::Replicas), Some(Command::Mark));
        assert_eq!(command(&space, PaneId::Timeline), None);
        assert_eq!(
            command(&key(KeyCode::Char('G'), KeyModifiers::SHIFT), PaneId::Timeline),
            Some(Command::Last)
        );
        assert_eq!(
            command(&key(KeyCode::Char('d'), KeyModifiers::CONTROL), PaneId::Checklist),
            Some(Command::HalfDown)
        );
        assert_eq!(
            command(&key(KeyCode::Char('d'), KeyModifiers::NONE), PaneId::Checklist),
            Some(Command::Do)
        );
    }
}
