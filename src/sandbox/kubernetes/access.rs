//! Who may do what: two users, their tokens, the check behind every request and the reviews that tell it.

use rand::Rng;
use serde_json::{Value, json};

use super::json::text;
use super::kinds::Resource;
use super::refusal::Refusal;

const READS: [&str; 3] = ["get", "list", "watch"];

/// What a user is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Reads everything, writes in its namespaces.
    Responder,
    /// Reads everything but secrets.
    Viewer,
}

impl Role {
    pub fn user(self) -> &'static str {
        match self {
            Role::Responder => "responder@sandbox.example",
            Role::Viewer => "viewer@sandbox.example",
        }
    }
}

/// Something that someone wants to do. Empty text is "not said"; `*` is "all".
#[derive(Debug, Clone, Copy, Default)]
pub struct Wish<'a> {
    pub verb: &'a str,
    pub group: &'a str,
    pub resource: &'a str,
    pub subresource: &'a str,
    pub namespace: &'a str,
    pub name: &'a str,
}

/// Tokens and rights.
pub struct Access {
    responder: String,
    viewer: String,
    /// Namespaces the responder may write in; empty means all.
    writes: Vec<String>,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").field("writes", &self.writes).finish_non_exhaustive()
    }
}

impl Access {
    pub fn new(writes: Vec<String>) -> Self {
        Access { responder: token(), viewer: token(), writes }
    }

    pub fn token(&self, role: Role) -> &str {
        match role {
            Role::Responder => &self.responder,
            Role::Viewer => &self.viewer,
        }
    }

    /// Whose token stands in an `Authorization` header.
    pub fn authenticate(&self, header: Option<&str>) -> Option<Role> {
        let (scheme, token) = header?.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        [Role::Responder, Role::Viewer].into_iter().find(|role| self.token(*role) == token.trim())
    }

    pub fn allows(&self, role: Role, wish: &Wish<'_>) -> bool {
        let reads = READS.contains(&wish.verb);
        match role {
            // The self-reviews are everyone's.
            _ if wish.verb == "create" && wish.resource.starts_with("selfsubject") => true,
            Role::Viewer => reads && !matches!(wish.resource, "secrets" | "*"),
            Role::Responder if reads => true,
            Role::Responder => {
                wish.resource != Resource::Namespace.plural()
                    && (self.writes.is_empty() || self.writes.iter().any(|own| own == wish.namespace))
            }
        }
    }

    /// Refuses what is not allowed, in the API server's words.
    pub fn check(&self, role: Role, resource: Option<Resource>, wish: &Wish<'_>) -> Result<(), Refusal> {
        if self.allows(role, wish) {
            return Ok(());
        }
        let Wish { verb, group, resource: plural, subresource, namespace, name } = *wish;
        let full = if subresource.is_empty() { plural.to_owned() } else { format!("{plural}/{subresource}") };
        let what = resource.map_or_else(|| plural.to_owned(), Resource::qualified);
        let which = if name.is_empty() { String::new() } else { format!(" \"{name}\"") };
        let place = if namespace.is_empty() {
            "at the cluster scope".to_owned()
        } else {
            format!("in the namespace \"{namespace}\"")
        };
        let message = format!(
            "{what}{which} is forbidden: User \"{}\" cannot {verb} resource \"{full}\" in API group \"{group}\" {place}",
            role.user()
        );
        Err(Refusal::forbidden(resource.map(|resource| (resource, name)), message))
    }

    /// Answers a self-review that was posted to the authorization or authentication group.
    pub fn review(&self, role: Role, plural: &str, mut body: Value) -> Option<Value> {
        let (kind, status) = match plural {
            "selfsubjectaccessreviews" => ("SelfSubjectAccessReview", self.access_status(role, &body)),
            "selfsubjectrulesreviews" => {
                let namespace = text(&body, "/spec/namespace").to_owned();
                ("SelfSubjectRulesReview", self.rules(role, &namespace))
            }
            "selfsubjectreviews" => {
                let groups = ["system:authenticated"];
                ("SelfSubjectReview", json!({"userInfo": {"username": role.user(), "groups": groups}}))
            }
            _ => return None,
        };
        let group = if plural == "selfsubjectreviews" { "authentication" } else { "authorization" };
        super::json::set(&mut body, &["kind"], kind.into());
        super::json::set(&mut body, &["apiVersion"], format!("{group}.k8s.io/v1").into());
        super::json::set(&mut body, &["status"], status);
        Some(body)
    }

    fn access_status(&self, role: Role, body: &Value) -> Value {
        let path = text(body, "/spec/nonResourceAttributes/path");
        if !path.is_empty() {
            return json!({"allowed": text(body, "/spec/nonResourceAttributes/verb") == "get"});
        }
        let ask = |name: &str| text(body, &format!("/spec/resourceAttributes/{name}"));
        let wish = Wish {
            verb: ask("verb"),
            group: ask("group"),
            resource: ask("resource"),
            subresource: ask("subresource"),
            namespace: ask("namespace"),
            name: ask("name"),
        };
        if self.allows(role, &wish) {
            json!({"allowed": true, "reason": format!("RBAC: allowed by ClusterRoleBinding \"{}\"", role.user())})
        } else {
            json!({"allowed": false})
        }
    }

    fn rules(&self, role: Role, namespace: &str) -> Value {
        let rule = |verbs: &[&str], resources: &[&str]| json!({"verbs": verbs, "apiGroups": ["*"], "resources": resources});
        let write = Wish { verb: "patch", resource: "deployments", namespace, ..Wish::default() };
        let mut rules = vec![rule(&["create"], &["selfsubjectaccessreviews", "selfsubjectrulesreviews"])];
        match role {
            Role::Responder if self.allows(role, &write) => rules.push(rule(&["*"], &["*"])),
            Role::Responder => rules.push(rule(&READS, &["*"])),
            Role::Viewer => {
                let names: Vec<&str> = Resource::ALL
                    .into_iter()
                    .filter(|resource| *resource != Resource::Secret)
                    .map(Resource::plural)
                    .collect();
                rules.push(rule(&READS, &names));
            }
        }
        json!({"resourceRules": rules, "nonResourceRules": [], "incomplete": false})
    }
}

fn token() -> String {
    format!("{:032x}", rand::rng().random::<u128>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights() {
        let access = Access::new(vec!["mine".into()]);
        let wish = |verb, resource, namespace| Wish { verb, resource, namespace, ..Wish::default() };
        for (role, verb, resource, namespace, may) in [
            (Role::Responder, "patch", "deployments", "mine", true),
            (Role::Responder, "patch", "deployments", "other", false),
            (Role::Responder, "patch", "deployments", "", false),
            (Role::Responder, "list", "secrets", "", true),
            (Role::Responder, "delete", "namespaces", "mine", false),
            (Role::Viewer, "watch", "pods", "", true),
            (Role::Viewer, "patch", "deployments", "mine", false),
            (Role::Viewer, "get", "secrets", "mine", false),
            (Role::Viewer, "create", "selfsubjectaccessreviews", "", true),
        ] {
            assert_eq!(
                access.allows(role, &wish(verb, resource, namespace)),
                may,
                "{role:?} {verb} {resource}"
            );
        }
        let wish =
            Wish { group: "apps", subresource: "scale", name: "web", ..wish("patch", "deployments", "mine") };
        let refusal = access.check(Role::Viewer, Some(Resource::Deployment), &wish).unwrap_err();
        assert_eq!(
            refusal.status["message"],
            "deployments.apps \"web\" is forbidden: User \"viewer@sandbox.example\" cannot patch resource \
             \"deployments/scale\" in API group \"apps\" in the namespace \"mine\""
        );
    }

    #[test]
    fn tokens_tell_who() {
        let access = Access::new(Vec::new());
        let header = format!("Bearer {}", access.token(Role::Viewer));
        assert_eq!(access.authenticate(Some(&header)), Some(Role::Viewer));
        assert_eq!(access.authenticate(Some("Bearer nonsense")), None);
        assert_eq!(access.authenticate(Some("Bearer ")), None);
        assert_eq!(access.authenticate(None), None);
    }
}
