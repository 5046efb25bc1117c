//! TALKS: adapters to the outside; domain values out. Never sees the model.

mod settings;

pub use settings::{AzureSettings, KubernetesSettings, Settings, WebSettings};
