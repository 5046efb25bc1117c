//! Samples in, one line of the table out.

use std::time::Duration;

/// One line of the table.
pub struct Line {
    pub name: String,
    pub measured: String,
    pub budget: String,
    /// `None` for what is shown without a budget.
    pub ok: Option<bool>,
}

impl Line {
    /// A measured value against the most that it may be.
    pub fn at_most(name: &str, measured: f64, budget: f64, unit: &str) -> Line {
        Line {
            name: name.to_owned(),
            measured: format!("{} {unit}", short(measured)),
            budget: format!("≤ {} {unit}", short(budget)),
            ok: Some(measured <= budget),
        }
    }

    /// A measured value that must stay below the budget.
    pub fn below(name: &str, measured: f64, budget: f64, unit: &str) -> Line {
        Line {
            budget: format!("< {} {unit}", short(budget)),
            ok: Some(measured < budget),
            ..Line::at_most(name, measured, budget, unit)
        }
    }

    /// A value that has no budget of its own.
    pub fn shown(name: &str, measured: f64, unit: &str) -> Line {
        Line {
            name: name.to_owned(),
            measured: format!("{} {unit}", short(measured)),
            budget: String::new(),
            ok: None,
        }
    }

    /// Something that could not be measured: a miss, with its reason.
    pub fn failed(name: &str, budget: &str, why: &str) -> Line {
        Line {
            name: name.to_owned(),
            measured: format!("not measured: {why}"),
            budget: budget.to_owned(),
            ok: Some(false),
        }
    }
}

fn short(value: f64) -> String {
    if value == 0.0 || value >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

/// Durations of one thing done many times.
#[derive(Default)]
pub struct Samples(Vec<f64>);

impl Samples {
    pub fn push(&mut self, took: Duration) {
        self.0.push(took.as_secs_f64() * 1000.0);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The `share` quantile (0.5 is the median) in milliseconds, by nearest rank; infinite without samples.
    pub fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (share * sorted.len() as f64).ceil().max(1.0) as usize;
        sorted.get(rank - 1).copied().unwrap_or(f64::INFINITY)
    }
}

/// Prints the table; true if nothing missed its budget.
pub fn print(lines: &[Line]) -> bool {
    let width =
        |of: &dyn Fn(&Line) -> &String| lines.iter().map(|l| of(l).chars().count()).max().unwrap_or(0);
    let (name, measured, budget) = (width(&|l| &l.name), width(&|l| &l.measured), width(&|l| &l.budget));
    for line in lines {
        let verdict = match line.ok {
            Some(true) => "ok",
            Some(false) => "MISS",
            None => "",
        };
        println!("{:name$}  {:>measured$}  {:>budget$}  {verdict}", line.name, line.measured, line.budget);
    }
    lines.iter().all(|l| l.ok != Some(false))
}
