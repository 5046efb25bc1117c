//! Who may do what: six users, their tokens, the rules behind every request and the reviews that tell them.

use rand::Rng;
use serde_json::{Value, json};

use super::json::text;
use super::kinds::Resource;
use super::refusal::Refusal;

const READS: [&str; 3] = ["get", "list", "watch"];
/// What Azure's authoriser adds to a refusal.
const AZURE: &str =
    "User does not have access to the resource in Azure. Update role assignment to allow access.";

/// What a user is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Reads everything, writes in its namespaces.
    Responder,
    /// Reads everything but secrets; enters no container.
    Viewer,
    /// A member of the delivery team whose production role is not activated: reads in test namespaces, and nothing else.
    NoPim,
    /// A responder who may not run anything in a container (no exec, no attach), but reach a pod's port.
    NoExec,
    /// A responder who may do neither.
    NoStreams,
    /// A responder who may not read secrets.
    NoSecrets,
}

impl Role {
    pub const ALL: [Role; 6] =
        [Role::Responder, Role::Viewer, Role::NoPim, Role::NoExec, Role::NoStreams, Role::NoSecrets];

    pub fn user(self) -> &'static str {
        match self {
            Role::Responder => "responder@sandbox.example",
            Role::Viewer => "viewer@sandbox.example",
            Role::NoPim => "no-pim@sandbox.example",
            Role::NoExec => "no-exec@sandbox.example",
            Role::NoStreams => "no-streams@sandbox.example",
            Role::NoSecrets => "no-secrets@sandbox.example",
        }
    }

    /// True if it writes in its namespaces.
    fn responds(self) -> bool {
        matches!(self, Role::Responder | Role::NoExec | Role::NoStreams | Role::NoSecrets)
    }

    fn reads_secrets(self) -> bool {
        self.responds() && self != Role::NoSecrets
    }

    /// Parts of a resource that it may not touch where it writes.
    fn lacks(self) -> &'static [&'static str] {
        match self {
            Role::NoExec => &["exec", "attach"],
            Role::NoStreams => &["exec", "attach", "portforward"],
            Role::Responder | Role::Viewer | Role::NoPim | Role::NoSecrets => &[],
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

impl Wish<'_> {
    /// `pods/exec`, `pods`.
    fn full(&self) -> String {
        match self.subresource {
            "" => self.resource.to_owned(),
            part => format!("{}/{part}", self.resource),
        }
    }
}

/// A right, as RBAC writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    verbs: Vec<&'static str>,
    group: &'static str,
    resources: Vec<String>,
}

impl Rule {
    fn grants(&self, wish: &Wish<'_>, full: &str) -> bool {
        let verb = self.verbs.iter().any(|verb| *verb == "*" || *verb == wish.verb);
        verb && self.group == wish.group && self.resources.iter().any(|resource| resource == full)
    }

    fn json(&self) -> Value {
        json!({"verbs": self.verbs, "apiGroups": [self.group], "resources": self.resources})
    }
}

/// Tokens and rights.
pub struct Access {
    tokens: [String; Role::ALL.len()],
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
        Access { tokens: Role::ALL.map(|_| token()), writes }
    }

    pub fn token(&self, role: Role) -> &str {
        let [responder, viewer, no_pim, no_exec, no_streams, no_secrets] = &self.tokens;
        match role {
            Role::Responder => responder,
            Role::Viewer => viewer,
            Role::NoPim => no_pim,
            Role::NoExec => no_exec,
            Role::NoStreams => no_streams,
            Role::NoSecrets => no_secrets,
        }
    }

    /// Whose token stands in an `Authorization` header.
    pub fn authenticate(&self, header: Option<&str>) -> Option<Role> {
        let (scheme, token) = header?.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return None;
        }
        Role::ALL.into_iter().find(|role| self.token(*role) == token.trim())
    }

    /// All rights of a user in a namespace ("" is all namespaces and what is in none).
    fn rules(&self, role: Role, namespace: &str) -> Vec<Rule> {
        let mut rules = vec![
            Rule {
                verbs: vec!["create"],
                group: "authorization.k8s.io",
                resources: ["selfsubjectaccessreviews", "selfsubjectrulesreviews"].map(Into::into).to_vec(),
            },
            Rule {
                verbs: vec!["create"],
                group: "authentication.k8s.io",
                resources: vec!["selfsubjectreviews".into()],
            },
        ];
        let writes =
            role.responds() && (self.writes.is_empty() || self.writes.iter().any(|own| own == namespace));
        if role == Role::NoPim && !is_test(namespace) {
            return rules;
        }
        for resource in Resource::ALL {
            if resource == Resource::Secret && !role.reads_secrets() {
                continue;
            }
            let part = |name: &str| format!("{}/{name}", resource.plural());
            let parts: Vec<&str> = resource.subresources().iter().map(|(name, ..)| *name).collect();
            let harmless = |name: &&&str| matches!(**name, "log" | "scale" | "status");
            let mut resources = vec![resource.plural().to_owned()];
            if writes && resource != Resource::Namespace {
                let may = parts.iter().filter(|name| !role.lacks().contains(name));
                resources.extend(may.map(|name| part(name)));
                rules.push(Rule { verbs: vec!["*"], group: resource.group(), resources });
            } else {
                resources.extend(parts.iter().filter(harmless).map(|name| part(name)));
                rules.push(Rule { verbs: READS.to_vec(), group: resource.group(), resources });
            }
        }
        rules
    }

    pub fn allows(&self, role: Role, wish: &Wish<'_>) -> bool {
        let full = wish.full();
        self.rules(role, wish.namespace).iter().any(|rule| rule.grants(wish, &full))
    }

    /// Refuses what is not allowed, in the API server's words.
    pub fn check(&self, role: Role, resource: Option<Resource>, wish: &Wish<'_>) -> Result<(), Refusal> {
        if self.allows(role, wish) {
            return Ok(());
        }
        let Wish { verb, group, resource: plural, namespace, name, .. } = *wish;
        let full = wish.full();
        let what = resource.map_or_else(|| plural.to_owned(), Resource::qualified);
        let which = if name.is_empty() { String::new() } else { format!(" \"{name}\"") };
        let place = if namespace.is_empty() {
            "at the cluster scope".to_owned()
        } else {
            format!("in the namespace \"{namespace}\"")
        };
        let message = format!(
            "{what}{which} is forbidden: User \"{}\" cannot {verb} resource \"{full}\" in API group \"{group}\" \
             {place}: {AZURE}",
            role.user()
        );
        Err(Refusal::forbidden(resource.map(|resource| (resource, name)), message))
    }

    /// Answers a self-review that was posted to the authorization or authentication group.
    pub fn review(&self, role: Role, plural: &str, mut body: Value) -> Option<Value> {
        let (kind, status) = match plural {
            "selfsubjectaccessreviews" => ("SelfSubjectAccessReview", self.access_status(role, &body)),
            "selfsubjectrulesreviews" => {
                let rules = self.rules(role, text(&body, "/spec/namespace"));
                let rules: Vec<Value> = rules.iter().map(Rule::json).collect();
                let others = json!([{"verbs": ["get"], "nonResourceURLs": ["*"]}]);
                let status = json!({"resourceRules": rules, "nonResourceRules": others, "incomplete": false});
                ("SelfSubjectRulesReview", status)
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
            json!({"allowed": true, "reason": "Access allowed by Azure RBAC Role Assignment."})
        } else {
            json!({"allowed": false, "reason": AZURE})
        }
    }
}

/// True for the namespaces of test environments, by their endings.
fn is_test(namespace: &str) -> bool {
    ["-test", "-development", "-qa", "-staging"].iter().any(|ending| namespace.ends_with(ending))
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
        let wish = |verb, resource, namespace| {
            let group = match resource {
                "deployments" => "apps",
                "selfsubjectaccessreviews" => "authorization.k8s.io",
                _ => "",
            };
            Wish { verb, group, resource, namespace, ..Wish::default() }
        };
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
            (Role::Responder, "create", "pods", "mine", true),
            (Role::Responder, "*", "*", "mine", false),
            (Role::NoPim, "list", "deployments", "tra-test", true),
            (Role::NoPim, "get", "secrets", "tra-test", false),
            (Role::NoPim, "patch", "deployments", "tra-test", false),
            (Role::NoPim, "list", "deployments", "mine", false),
            (Role::NoPim, "list", "deployments", "", false),
            (Role::NoExec, "create", "pods", "mine", true),
            (Role::NoExec, "create", "pods", "other", false),
            (Role::NoStreams, "get", "secrets", "mine", true),
        ] {
            assert_eq!(
                access.allows(role, &wish(verb, resource, namespace)),
                may,
                "{role:?} {verb} {resource}"
            );
        }
        let wish =
            Wish { group: "apps", subresource: "scale", name: "web", ..wish("patch", "deployments", "mine") };
        for (role, verb, part, may) in [
            (Role::Responder, "create", "exec", true),
            (Role::Viewer, "get", "log", true),
            (Role::Viewer, "get", "exec", false),
            (Role::Viewer, "create", "portforward", false),
            (Role::NoExec, "get", "exec", false),
            (Role::NoExec, "create", "portforward", true),
            (Role::NoStreams, "get", "exec", false),
            (Role::NoStreams, "get", "portforward", false),
            (Role::NoStreams, "get", "log", true),
        ] {
            let wish =
                Wish { verb, resource: "pods", subresource: part, namespace: "mine", ..Wish::default() };
            assert_eq!(access.allows(role, &wish), may, "{role:?} {verb} {part}");
        }
        let refusal = access.check(Role::Viewer, Some(Resource::Deployment), &wish).unwrap_err();
        assert_eq!(
            refusal.status["message"],
            "deployments.apps \"web\" is forbidden: User \"viewer@sandbox.example\" cannot patch resource \
             \"deployments/scale\" in API group \"apps\" in the namespace \"mine\": User does not have access to the \
             resource in Azure. Update role assignment to allow access."
        );
    }

    #[test]
    fn tokens_tell_who() {
        let access = Access::new(Vec::new());
        let header = format!("Bearer {}", access.token(Role::Viewer));
        assert_eq!(access.authenticate(Some(&header)), Some(Role::Viewer));
        assert_eq!(
            access.authenticate(Some(&format!("bearer {}", access.token(Role::NoPim)))),
            Some(Role::NoPim)
        );
        assert_eq!(access.authenticate(Some("Bearer nonsense")), None);
        assert_eq!(access.authenticate(Some("Bearer ")), None);
        assert_eq!(access.authenticate(None), None);
    }
}
