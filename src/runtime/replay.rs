//! Plays a recording into the screen. Nothing is asked of anybody: effects are dropped.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use color_eyre::eyre::Result;
use crossterm::event::{Event, KeyCode};
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::input::Input;
use super::recorder;
use super::terminal::{Options, TerminalGuard};
use crate::core::model::Model;
use crate::core::{Msg, update};
use crate::view;
use crate::view::theme::{Depth, Role, Theme};

/// Longest pause between two messages; recorded pauses longer than that are cut short.
const PAUSE_MAX: Duration = Duration::from_millis(400);

/// Plays the recording at `path`; `q` or Esc ends it, and at the end the last screen stays until then.
pub async fn run(path: &Path, depth: Depth) -> Result<ExitCode> {
    let recording = recorder::read(path)?;
    let env = |name: &str| std::env::var(name).ok();
    let mut guard = TerminalGuard::enter(Options::suited(&env, depth))?;
    let mut input = Input::open()?;
    let mut model = Model::new(recording.start);
    let mut messages = recording.messages.into_iter();
    loop {
        let pause = match messages.next() {
            Some(msg) => {
                let before = model.now;
                update(&mut model, msg);
                Some((model.now - before).to_std().unwrap_or_default().min(PAUSE_MAX))
            }
            None => None,
        };
        if pause == Some(Duration::ZERO) {
            continue;
        }
        crate::core::update::settle(&mut model);
        let theme = Theme::named(&model.theme)?.with_depth(depth);
        guard.draw(|frame| {
            view::draw(&model, &theme, frame);
            // Nobody shall take it for the present.
            let area = Rect::new(0, 0, frame.area().width.min(26), frame.area().height.min(1));
            let stamp = Line::styled(" REPLAY, not live · q ends ", theme.style(Role::Exercise));
            frame.render_widget(stamp, area);
        })?;
        let wait = async {
            match pause {
                Some(pause) => tokio::time::sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! { biased;
            event = input.next() => match event {
                Some(Event::Key(key)) if matches!(key.code, KeyCode::Char('q') | KeyCode::Esc) => return Ok(ExitCode::SUCCESS),
                Some(_) => {}
                None => return Ok(ExitCode::from(129)),
            },
            () = wait => {}
        }
    }
}

/// Plays a recording without a screen; returns the model at its end.
///
/// # Errors
/// When the recording cannot be read.
pub fn to_the_end(path: &Path) -> Result<Model> {
    let recording = recorder::read(path)?;
    let mut model = Model::new(recording.start);
    for msg in recording.messages {
        let _: Vec<_> = update(&mut model, Msg::clone(&msg));
    }
    crate::core::update::settle(&mut model);
    Ok(model)
}
