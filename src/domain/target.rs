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
mod tests {
    #[test]
    fn a_common_prefix_is_not_ownership() {
        let target = super::Target {
            service: "x".into(),
            environment: "test".into(),
            production: false,
            exercise: true,
            namespace: "ns".into(),
            cluster: "c".into(),
            app: "x-test".into(),
            whole_namespace: false,
            resource_group: "rg".into(),
            server: "s".into(),
            health_url: None,
            sandbox: None,
        };
        assert!(target.owns("x-test") && target.owns("x-test-worker"));
        assert!(!target.owns("x-testing") && !target.owns("y-test"));
        assert_eq!(target.shorten("scale ns/x-test-worker and x-test"), "scale worker and web");
    }
}
