//! What drawing costs by itself: a whole screen of 200x60 over 2,000 deployments, down to the bytes for the terminal.

use std::io;
use std::time::Instant;

use drtui::core::model::{Model, Start};
use drtui::core::update::{settle, update};
use drtui::core::{Msg, PaneId};
use drtui::domain::{Deployment, DeploymentKey, Phase, Source, Target, Update, Utc};
use drtui::view;
use drtui::view::theme::Theme;
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use ratatui::{Terminal, TerminalOptions, Viewport};

use crate::numbers::{Line, Samples};

const DRAWS: usize = 400;
const NAME: &str = "draw at 200x60, median";

pub fn at_200_by_60() -> Line {
    match measure() {
        Ok(samples) => Line::at_most(NAME, samples.quantile(0.5), 2.0, "ms"),
        Err(why) => Line::failed(NAME, "≤ 2 ms", &why),
    }
}

fn measure() -> Result<Samples, String> {
    let theme = Theme::named("dark").map_err(|e| e.to_string())?;
    let whole = Viewport::Fixed(Rect::new(0, 0, 200, 60));
    let mut terminal =
        Terminal::with_options(CrosstermBackend::new(io::sink()), TerminalOptions { viewport: whole })
            .map_err(|e| e.to_string())?;
    let mut model = model();
    let mut samples = Samples::default();
    for n in 0..DRAWS {
        // The cursor moves and a row changes, so that every frame has something to say.
        model.panes.replicas.selected = Some(key(n % 40));
        update(&mut model, news(Update::DeploymentChanged { deployment: deployment(n % 40, n as i32 % 5) }));
        let begun = Instant::now();
        settle(&mut model);
        terminal.draw(|frame| view::draw(&model, &theme, frame)).map_err(|e| e.to_string())?;
        samples.push(begun.elapsed());
    }
    Ok(samples)
}

fn model() -> Model {
    let target = Target {
        service: "refer-serious-misconduct".into(),
        environment: "production".into(),
        production: true,
        exercise: true,
        namespace: "tra-production".into(),
        cluster: "s189p01-tsc-production-aks".into(),
        app: "refer-serious-misconduct-production".into(),
        whole_namespace: true,
        resource_group: "s189p01-rsm-pd-rg".into(),
        server: "s189p01-rsm-pd-pg".into(),
        health_url: None,
        sandbox: None,
    };
    let mut model = Model::new(Start {
        now: now(),
        size: (200, 60),
        target,
        who: "responder@desk".into(),
        runbooks: Vec::new(),
        theme: "dark".into(),
        themes: vec!["dark".into()],
        test_switches: false,
    });
    model.focus = PaneId::Replicas;
    let all = (0..2000).map(|n| deployment(n, 2)).collect();
    update(&mut model, news(Update::Deployments { all }));
    update(
        &mut model,
        news(Update::Standing { source: Source::Kubernetes, phase: Phase::Live, next_try: None }),
    );
    model
}

fn now() -> Utc {
    chrono::DateTime::UNIX_EPOCH + chrono::Duration::days(20_000)
}

fn news(update: Update) -> Msg {
    Msg::News { update, at: now() }
}

fn key(n: usize) -> DeploymentKey {
    DeploymentKey { namespace: "tra-production".into(), name: format!("neighbour-{n:04}-production") }
}

fn deployment(n: usize, wanted: i32) -> Deployment {
    Deployment {
        key: key(n),
        wanted,
        ready: 2,
        updated: 2,
        available: 2,
        total: 2,
        hpa: None,
        restarts: n as i32 % 3,
        waiting: Vec::new(),
    }
}
