//! What the sandbox's cluster holds: the service in production and test, and neighbours, named as on the platform.

use std::collections::BTreeMap;

use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};

use super::Scale;
use super::kubernetes::{ClusterSpec, DeploymentSpec, HostSpec, SecretSpec};
use super::postgres::Credentials;
use super::postgres::{DATABASE, HOST as DATABASE_HOST};

/// The cluster's name, in the kubeconfig and on screen.
pub const CLUSTER: &str = "s189p01-tsc-production-aks";
/// The namespace that the service's production lives in.
pub const NAMESPACE: &str = "tra-production";
/// The web deployment of production; its worker has the same name and `-worker`.
pub const WEB: &str = "refer-serious-misconduct-production";
pub const WORKER: &str = "refer-serious-misconduct-production-worker";
/// The host by which the service's ingress knows it; its public domain leads there.
pub const HOST: &str = "refer-serious-misconduct-production.teacherservices.cloud";
/// What users type.
pub const DOMAIN: &str = "refer-serious-misconduct.education.gov.uk";
/// What the service's images are called, without tag.
pub const IMAGE: &str = "ghcr.io/dfe-digital/refer-serious-misconduct";
/// The commit that production runs, as `/healthcheck/sha` and the image say.
pub const SHA: &str = "9f3c1d7ab25e48f06c7d1e0b8a4f92d35c6e7180";

/// Neighbours in the production namespace: name and replicas.
const NEIGHBOURS: [(&str, u32); 10] = [
    ("access-your-teaching-qualifications-production", 2),
    ("access-your-teaching-qualifications-production-worker", 1),
    ("apply-for-qts-production-web", 3),
    ("apply-for-qts-production-solid-queue-worker", 2),
    ("check-childrens-barred-list-production", 2),
    ("check-childrens-barred-list-production-worker", 1),
    ("find-a-lost-trn-production", 2),
    ("find-a-lost-trn-production-worker", 1),
    ("teaching-record-system-production", 2),
    ("teaching-record-system-production-worker", 1),
];

/// Deployments of other namespaces.
const ELSEWHERE: [(&str, &str, u32); 6] = [
    ("tra-test", "refer-serious-misconduct-test", 1),
    ("tra-test", "refer-serious-misconduct-test-worker", 1),
    ("tra-test", "access-your-teaching-qualifications-test", 1),
    ("bat-production", "publish-production", 4),
    ("bat-production", "publish-production-worker", 2),
    ("monitoring", "prometheus", 1),
];

const EMPTY_NAMESPACES: [&str; 5] =
    ["cpd-production", "git-production", "infra", "srtl-production", "tv-production"];

/// The cluster at `scale`, with the service's database credentials in its secret.
pub fn cluster(scale: Scale, credentials: &Credentials) -> ClusterSpec {
    let secret = secret(credentials);
    let mut deployments = vec![
        DeploymentSpec {
            hpa: Some((2, 6)),
            secrets: vec![secret.name.clone()],
            ..deployment(NAMESPACE, WEB, 2)
        },
        DeploymentSpec { secrets: vec![secret.name.clone()], ..deployment(NAMESPACE, WORKER, 2) },
    ];
    deployments.extend(NEIGHBOURS.map(|(name, replicas)| deployment(NAMESPACE, name, replicas)));
    let more = scale.deployments().saturating_sub(deployments.len());
    deployments
        .extend((1..=more).map(|n| deployment(NAMESPACE, &format!("school-data-sync-production-{n:04}"), 1)));
    deployments.extend(ELSEWHERE.map(|(namespace, name, replicas)| deployment(namespace, name, replicas)));
    ClusterSpec {
        name: CLUSTER.into(),
        namespaces: EMPTY_NAMESPACES.map(Into::into).to_vec(),
        deployments,
        secrets: vec![secret],
        hosts: vec![HostSpec { namespace: NAMESPACE.into(), host: HOST.into(), deployment: WEB.into() }],
        ..ClusterSpec::default()
    }
}

fn deployment(namespace: &str, name: &str, replicas: u32) -> DeploymentSpec {
    let service = name.split("-production").next().unwrap_or(name).trim_end_matches("-test");
    DeploymentSpec {
        namespace: namespace.into(),
        name: name.into(),
        replicas,
        image: format!("ghcr.io/dfe-digital/{service}:{SHA}"),
        hpa: None,
        secrets: Vec::new(),
    }
}

/// `rsm-production-<hash of the content>`, holding the URL as the platform writes it.
fn secret(credentials: &Credentials) -> SecretSpec {
    let Credentials { user, password } = credentials;
    let url = format!(
        "postgres://{user}:{}@{DATABASE_HOST}:5432/{DATABASE}?sslmode=require",
        password.expose_secret()
    );
    let hash: String = Sha256::digest(url.as_bytes()).iter().take(20).map(|b| format!("{b:02x}")).collect();
    SecretSpec {
        namespace: NAMESPACE.into(),
        name: format!("rsm-production-{hash}"),
        data: BTreeMap::from([("DATABASE_URL".to_owned(), url)]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scales_have_their_number_of_deployments_in_the_namespace() {
        for scale in Scale::ALL {
            let spec = cluster(scale, &Credentials::random());
            let here: Vec<_> = spec.deployments.iter().filter(|d| d.namespace == NAMESPACE).collect();
            assert_eq!(here.len(), scale.deployments());
            let names: std::collections::BTreeSet<_> = here.iter().map(|d| &d.name).collect();
            assert_eq!(names.len(), here.len(), "a name twice");
        }
    }

    #[test]
    fn the_secret_has_the_platforms_form_and_is_referenced() {
        let spec = cluster(Scale::Small, &Credentials::random());
        let secret = &spec.secrets[0];
        assert_eq!(secret.name.len(), "rsm-production-".len() + 40);
        assert!(
            secret.data["DATABASE_URL"]
                .contains("@s189p01-rsm-pd-pg.postgres.database.azure.com:5432/rsm_production")
        );
        assert!(spec.deployments.iter().filter(|d| d.secrets.contains(&secret.name)).count() == 2);
    }
}
