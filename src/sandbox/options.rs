//! What one sandbox run is asked to be.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use super::disaster::Disaster;
use super::history::History;
use super::postgres::seed::Recipe;

/// Says what is going on, one line a call, for people who wait.
pub type Say = Arc<dyn Fn(&str) + Send + Sync>;

/// How large the world is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// About 300,000 rows and a dozen deployments.
    Small,
    /// About a million rows and 300 deployments.
    Medium,
    /// About two million rows and 2,000 deployments.
    Large,
}

impl Scale {
    pub const ALL: [Scale; 3] = [Scale::Small, Scale::Medium, Scale::Large];

    pub fn name(self) -> &'static str {
        match self {
            Scale::Small => "small",
            Scale::Medium => "medium",
            Scale::Large => "large",
        }
    }

    /// Rows, in percent of scale small.
    pub fn rows_percent(self) -> u64 {
        match self {
            Scale::Small => 100,
            Scale::Medium => 333,
            Scale::Large => 667,
        }
    }

    /// Deployments in the service's namespace, its own and its neighbours'.
    pub fn deployments(self) -> usize {
        match self {
            Scale::Small => 12,
            Scale::Medium => 300,
            Scale::Large => 2_000,
        }
    }
}

impl FromStr for Scale {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Scale::ALL
            .into_iter()
            .find(|s| s.name() == text)
            .ok_or_else(|| format!("no scale is called {text:?}; there are small, medium and large"))
    }
}

/// One run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the state file goes once all is ready.
    pub state_file: PathBuf,
    pub recipe: Recipe,
    /// What takes minutes on the platform (restores, workflow runs) takes moments.
    pub fast: bool,
    /// Operations on servers take minutes, as in Azure.
    pub realistic: bool,
    /// The newest restorable time is this long ago; Azure says five minutes.
    pub restore_lag: Duration,
    /// A deleted server is kept for five of these.
    pub day: Duration,
    /// What the database has lived through when all is ready.
    pub history: Option<History>,
    /// What happens as soon as all is ready.
    pub disaster: Option<Disaster>,
}
