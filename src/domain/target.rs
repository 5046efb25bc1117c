//! What the cockpit is pointed at: one service in one environment.

use serde::{Deserialize, Serialize};

/// The service and environment of this run, resolved from the configuration and frozen for the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Repository name, e.g. `refer-serious-misconduct`.
    pub service: String,
    pub environment: String,
    /// Production asks more before every change.
    pub production: bool,
    /// A drill: EXERCISE is stamped on every screen and record.
    pub exercise: bool,
    pub namespace: String,
    /// The cluster's name in words, e.g. `s189p01-tsc-production-aks`.
    pub cluster: String,
    /// Deployments of the environment are `<app>` or `<app>-…` (`platform.md` §2.1).
    pub app: String,
    /// Show every deployment of the namespace and not only the service's.
    pub whole_namespace: bool,
    pub resource_group: String,
    /// Name of the live flexible server.
    pub server: String,
    /// The address whose 2xx answer means the service is up and reaches its database.
    pub health_url: Option<String>,
    /// The running sandbox's state file, when the world is a sandbox: enables sandbox-only commands.
    pub sandbox: Option<std::path::PathBuf>,
}

impl Target {
    /// `text` with this environment's long deployment names cut to `web`, `worker`, …, for narrow lines.
    /// Dialogs and records keep the whole names.
    pub fn shorten(&self, text: &str) -> String {
        let long = text.replace(&format!("{}/{}", self.namespace, self.app), &self.app);
        let suffixed = long.replace(&format!("{}-", self.app), "");
        suffixed.replace(&self.app, "web")
    }

    /// True if a deployment called `name` belongs to this environment of the service.
    pub fn owns(&self, name: &str) -> bool {
        name.strip_prefix(self.app.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    }
}

#[cfg(test)]
impl Target {
    /// Production of the service that all examples are about, as a drill: tests change what they are about.
    pub fn sample() -> Target {
        Target {
            service: "refer-serious-misconduct".into(),
            environment: "production".into(),
            production: true,
            exercise: true,
            namespace: "tra-production".into(),
            cluster: "s189p01-tsc-production-aks".into(),
            app: "rsm-production".into(),
            whole_namespace: false,
            resource_group: "s189p01-rsm-pd-rg".into(),
            server: "s189p01-rsm-pd-pg".into(),
            health_url: Some("https://rsm.example/health".into()),
            sandbox: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Target;

    #[test]
    fn a_common_prefix_is_not_ownership() {
        let target = Target { app: "x-test".into(), namespace: "ns".into(), ..Target::sample() };
        assert!(target.owns("x-test") && target.owns("x-test-worker"));
        assert!(!target.owns("x-testing") && !target.owns("y-test"));
        assert_eq!(target.shorten("scale ns/x-test-worker and x-test"), "scale worker and web");
    }
}
