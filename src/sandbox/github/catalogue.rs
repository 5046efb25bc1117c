//! The repository's workflows: what they are called, what they ask for, and their files as the service keeps them.

use std::collections::BTreeMap;

use crate::sandbox::recovery::Task;

/// What a workflow is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Backup,
    Restore,
    PointInTime,
    Revive,
    Maintenance,
    Deploy,
    /// Runs on a push; cannot be dispatched.
    Continuous,
}

/// One input of `workflow_dispatch`.
#[derive(Debug, Clone, Copy)]
pub struct Input {
    pub name: &'static str,
    pub required: bool,
    pub default: Option<&'static str>,
    /// The options of a choice; empty for a string.
    pub options: &'static [&'static str],
}

/// One workflow file.
#[derive(Debug, Clone, Copy)]
pub struct Workflow {
    pub id: u64,
    pub name: &'static str,
    pub file: &'static str,
    pub text: &'static str,
    pub role: Role,
    pub inputs: &'static [Input],
    /// The job's name; `{}` stands for the environment.
    pub job: &'static str,
    /// The job belongs to its environment and waits for the approval that it asks.
    pub gated: bool,
}

const ENVIRONMENTS: &[&str] = &["test", "preprod", "production"];

const fn environment(default: Option<&'static str>) -> Input {
    Input { name: "environment", required: true, default, options: ENVIRONMENTS }
}

const CONFIRM: Input =
    Input { name: "confirm-production", required: true, default: Some("false"), options: &["false", "true"] };

const fn text(name: &'static str, required: bool, default: Option<&'static str>) -> Input {
    Input { name, required, default, options: &[] }
}

/// All of them.
pub const WORKFLOWS: &[Workflow] = &[
    Workflow {
        id: 48_120_301,
        name: "Build and deploy",
        file: "build-and-deploy.yml",
        text: include_str!("files/build-and-deploy.yml"),
        role: Role::Continuous,
        inputs: &[],
        job: "Deploy to {}",
        gated: false,
    },
    Workflow {
        id: 61_507_114,
        name: "Backup database to Azure storage",
        file: "backup-db.yml",
        text: include_str!("files/backup-db.yml"),
        role: Role::Backup,
        inputs: &[
            environment(Some("test")),
            text("backup-file", false, Some("default")),
            text("db-server", false, None),
        ],
        job: "Backup AKS Database",
        gated: false,
    },
    Workflow {
        id: 72_991_440,
        name: "Restore database from Azure storage",
        file: "postgres-restore.yml",
        text: include_str!("files/postgres-restore.yml"),
        role: Role::Restore,
        inputs: &[environment(Some("test")), CONFIRM, text("backup-file", false, None)],
        job: "Restore AKS Database",
        gated: true,
    },
    Workflow {
        id: 72_991_441,
        name: "Restore database from point in time to new database server",
        file: "postgres-ptr.yml",
        text: include_str!("files/postgres-ptr.yml"),
        role: Role::PointInTime,
        // The default is none of the options, as in the service's own file.
        inputs: &[
            environment(Some("development")),
            CONFIRM,
            text("restore-time", true, None),
            text("new-db-server", false, None),
        ],
        job: "PTR AKS Database",
        gated: true,
    },
    Workflow {
        id: 88_310_276,
        name: "Recover deleted postgres database server",
        file: "restore-deleted-postgres.yml",
        text: include_str!("files/restore-deleted-postgres.yml"),
        role: Role::Revive,
        inputs: &[
            environment(Some("test")),
            CONFIRM,
            text("restore-time", true, None),
            text("deleted-server", true, None),
        ],
        job: "Recover deleted server",
        gated: true,
    },
    Workflow {
        id: 70_644_018,
        name: "Set maintenance mode",
        file: "maintenance.yml",
        text: include_str!("files/maintenance.yml"),
        role: Role::Maintenance,
        inputs: &[
            environment(None),
            Input { name: "mode", required: true, default: None, options: &["enable", "disable"] },
        ],
        job: "Set maintenance mode",
        gated: true,
    },
    Workflow {
        id: 55_870_932,
        name: "Manual Deploy",
        file: "manual-deploy.yml",
        text: include_str!("files/manual-deploy.yml"),
        role: Role::Deploy,
        inputs: &[environment(None), text("image_tag", true, None)],
        job: "Deploy to {}",
        gated: true,
    },
];

/// Steps with their usual time in milliseconds.
pub type Timed = &'static [(&'static str, u64)];

/// Inputs of a run, complete.
pub type Inputs = BTreeMap<String, String>;

impl Workflow {
    pub fn path(&self) -> String {
        format!(".github/workflows/{}", self.file)
    }

    /// Found by number, file name or path.
    pub fn find(reference: &str) -> Option<&'static Workflow> {
        let file = reference.strip_prefix(".github/workflows/").unwrap_or(reference);
        WORKFLOWS.iter().find(|w| w.file == file || w.id.to_string() == reference)
    }

    pub fn dispatchable(&self) -> bool {
        self.role != Role::Continuous
    }

    /// Completes the given inputs with the defaults, or says what is wrong with them as GitHub does.
    ///
    /// # Errors
    /// Unexpected, missing, or not an option.
    pub fn complete(&self, given: Inputs) -> Result<Inputs, String> {
        let unknown: Vec<&String> =
            given.keys().filter(|k| !self.inputs.iter().any(|i| i.name == k.as_str())).collect();
        if !unknown.is_empty() {
            return Err(format!("Unexpected inputs provided: {}", serde_json::json!(unknown)));
        }
        let mut whole = Inputs::new();
        for input in self.inputs {
            let value = given.get(input.name).map(String::as_str).filter(|v| !v.is_empty());
            match value {
                Some(value) if !input.options.is_empty() && !input.options.contains(&value) => {
                    return Err(format!(
                        "Provided value '{value}' for input '{}' not in the list of allowed values",
                        input.name
                    ));
                }
                None if input.required && input.default.is_none() => {
                    return Err(format!("Required input '{}' not provided", input.name));
                }
                value => {
                    let value = value.or(input.default).unwrap_or_default();
                    whole.insert(input.name.to_owned(), value.to_owned());
                }
            }
        }
        Ok(whole)
    }

    /// The job's `if`: production needs its confirmation where the workflow asks one.
    pub fn skips(&self, inputs: &Inputs) -> bool {
        let asked = self.inputs.iter().any(|i| i.name == CONFIRM.name);
        asked
            && inputs.get("environment").is_some_and(|e| e == "production")
            && inputs.get(CONFIRM.name).is_none_or(|c| c != "true")
    }

    /// The concurrency group: one run of it at a time.
    pub fn group(&self, inputs: &Inputs) -> String {
        let environment = environment_of(inputs);
        match self.role {
            Role::Backup => format!("backup_{environment}"),
            Role::Maintenance => format!("maintenance_{environment}"),
            _ => format!("deploy_{environment}"),
        }
    }

    /// What there is to do.
    pub fn task(&self, inputs: &Inputs, scheduled: bool, sha: &str) -> Task {
        let of = |name: &str| inputs.get(name).cloned().unwrap_or_default();
        match self.role {
            Role::Backup => Task::Backup { file: of("backup-file"), server: of("db-server"), scheduled },
            Role::Restore => Task::Restore { file: of("backup-file") },
            Role::PointInTime => {
                Task::PointInTime { time: of("restore-time"), new_server: of("new-db-server") }
            }
            Role::Revive => Task::Revive { time: of("restore-time"), server: of("deleted-server") },
            Role::Maintenance => Task::Maintenance { enable: of("mode") == "enable" },
            Role::Deploy => Task::Deploy { image: of("image_tag") },
            Role::Continuous => Task::Deploy { image: sha.to_owned() },
        }
    }

    /// Steps before the work, the name of the work's own step, and steps after it.
    pub fn steps(&self) -> (Timed, &'static str, Timed) {
        const CHECKOUT: (&str, u64) = ("Run actions/checkout@v4", 1_200);
        let work = match self.role {
            Role::Backup => "Backup AKS Postgres",
            Role::Restore => "Restore AKS Postgres",
            Role::PointInTime => "Restore AKS Postgres to point in time",
            Role::Revive => "Restore deleted postgres server",
            Role::Maintenance => "Enable or disable maintenance mode",
            Role::Deploy | Role::Continuous => "Deploy to AKS",
        };
        (
            &[("Set up job", 1_500), CHECKOUT, ("Set environment variables", 300), ("Azure login", 4_000)],
            work,
            &[("Post Azure login", 900), ("Post Run actions/checkout@v4", 300), ("Complete job", 100)],
        )
    }
}

/// The environment of a run; production where the workflow takes none.
pub fn environment_of(inputs: &Inputs) -> &str {
    inputs.get("environment").map_or("production", String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs(pairs: &[(&str, &str)]) -> Inputs {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn files_say_what_the_catalogue_says() {
        for workflow in WORKFLOWS {
            assert!(workflow.text.starts_with(&format!("name: {}\n", workflow.name)), "{}", workflow.file);
            assert_eq!(workflow.text.contains("workflow_dispatch:"), workflow.dispatchable());
            let block = workflow.text.split("inputs:").nth(1).unwrap_or_default();
            let block = block.split("\njobs:").next().unwrap_or_default();
            let named: Vec<&str> = block
                .lines()
                .filter(|l| l.starts_with("      ") && !l.starts_with("       ") && l.ends_with(':'))
                .map(|l| l.trim().trim_end_matches(':'))
                .collect();
            let known: Vec<&str> = workflow.inputs.iter().map(|i| i.name).collect();
            assert_eq!(named, known, "{}", workflow.file);
            for input in workflow.inputs {
                for option in input.options {
                    assert!(
                        block.contains(&format!("- {option}")) || block.contains(&format!("- '{option}'"))
                    );
                }
            }
        }
    }

    #[test]
    fn inputs_are_refused_as_github_refuses_them() {
        let restore = Workflow::find("postgres-restore.yml").unwrap();
        let refuse = |pairs| restore.complete(inputs(pairs)).unwrap_err();
        assert_eq!(refuse(&[("colour", "red")]), "Unexpected inputs provided: [\"colour\"]");
        assert!(refuse(&[("environment", "prod")]).contains("not in the list of allowed values"));
        let ptr = Workflow::find("72991441").unwrap();
        let missing = ptr.complete(inputs(&[("environment", "production")])).unwrap_err();
        assert_eq!(missing, "Required input 'restore-time' not provided");
    }

    #[test]
    fn production_without_its_confirmation_is_skipped() {
        let restore = Workflow::find(".github/workflows/postgres-restore.yml").unwrap();
        let with = |pairs| restore.skips(&restore.complete(inputs(pairs)).unwrap());
        assert!(with(&[("environment", "production")]));
        assert!(!with(&[("environment", "production"), ("confirm-production", "true")]));
        assert!(!with(&[("environment", "test")]));
        let maintenance = Workflow::find("maintenance.yml").unwrap();
        assert!(!maintenance.skips(&inputs(&[("environment", "production"), ("mode", "enable")])));
    }
}
