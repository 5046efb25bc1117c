//! The configuration file and the directories drtui uses: schema, load, explain.

mod check;
mod load;
pub mod paths;
mod runbooks;
mod schema;

pub use load::{Config, ConfigError, Problem};
pub use runbooks::{BUILT_IN, runbooks};
