//! What guards the default branch: classic protection, rulesets, and merges that they refuse.

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::answer::{Reply, page};
use super::model::State;
use super::render::Links;
use super::route::Query;
use super::{BRANCH, Hub, OWNER, REPOSITORY};

/// Approvals that each of the two kinds can ask at most.
const MOST_CLASSIC: u64 = 6;
const MOST_RULESET: u64 = 10;
const MOST_RULESETS: usize = 75;

/// One approval, checks, no exception for administrators.
pub fn first_protection() -> Value {
    json!({
        "required_status_checks": {"strict": false, "contexts": ["All checks passed"]},
        "enforce_admins": false,
        "required_pull_request_reviews": {
            "dismiss_stale_reviews": true, "require_code_owner_reviews": false, "require_last_push_approval": false,
            "required_approving_review_count": 1,
        },
        "restrictions": null,
    })
}

pub fn first_ruleset() -> Value {
    json!({
        "id": 2_827_787, "name": "Protect main", "target": "branch", "source_type": "Repository",
        "source": format!("{OWNER}/{REPOSITORY}"), "enforcement": "active",
        "bypass_actors": [{"actor_id": 5, "actor_type": "RepositoryRole", "bypass_mode": "pull_request"}],
        "conditions": {"ref_name": {"include": ["~DEFAULT_BRANCH"], "exclude": []}},
        "rules": [
            {"type": "deletion"},
            {"type": "non_fast_forward"},
            {"type": "pull_request", "parameters": {
                "dismiss_stale_reviews_on_push": false, "require_code_owner_review": false,
                "require_last_push_approval": false, "required_approving_review_count": 1,
                "required_review_thread_resolution": false, "allowed_merge_methods": ["merge", "squash", "rebase"],
            }},
        ],
        "node_id": "RRS_lACkVXNlcgQB", "created_at": "2025-01-15T08:43:03Z", "updated_at": "2025-08-23T16:29:47Z",
        "current_user_can_bypass": "pull_requests_only",
    })
}

/// `…/branches/{branch}/protection…`.
pub fn protection(
    hub: &Hub,
    links: &Links,
    method: &str,
    branch: &str,
    rest: &[&str],
    body: &Value,
) -> Reply {
    if branch != BRANCH {
        return Reply::error(StatusCode::NOT_FOUND, "Branch not protected");
    }
    hub.change(|state| match (method, rest) {
        ("PUT", []) => put_protection(state, links, body),
        ("DELETE", []) if state.protection.is_some() => {
            state.protection = None;
            Reply::empty()
        }
        (_, rest) => match &mut state.protection {
            None => Reply::error(StatusCode::NOT_FOUND, "Branch not protected"),
            Some(stored) => in_protection(stored, links, method, rest, body),
        },
    })
}

fn put_protection(state: &mut State, links: &Links, body: &Value) -> Reply {
    for required in
        ["required_status_checks", "enforce_admins", "required_pull_request_reviews", "restrictions"]
    {
        if body.get(required).is_none() {
            return Reply::unprocessable(&format!("Invalid request.\n\n\"{required}\" wasn't supplied."));
        }
    }
    if let Some(reviews) = body.get("required_pull_request_reviews").filter(|r| !r.is_null())
        && let Err(refusal) = count(reviews, "required_approving_review_count", MOST_CLASSIC)
    {
        return refusal;
    }
    state.protection = Some(body.clone());
    Reply::ok(shown(body, links))
}

fn in_protection(stored: &mut Value, links: &Links, method: &str, rest: &[&str], body: &Value) -> Reply {
    const REVIEWS: &str = "required_pull_request_reviews";
    match (method, rest) {
        ("GET", []) => Reply::ok(shown(stored, links)),
        ("GET", [REVIEWS]) => match stored.get(REVIEWS).filter(|r| !r.is_null()) {
            Some(_) => Reply::ok(shown(stored, links).get(REVIEWS).cloned().unwrap_or_default()),
            None => Reply::error(StatusCode::NOT_FOUND, "Pull request reviews are not required"),
        },
        ("PATCH", [REVIEWS]) => {
            if let Err(refusal) = count(body, "required_approving_review_count", MOST_CLASSIC) {
                return refusal;
            }
            if let (Some(fields), Some(new)) = (stored.as_object_mut(), body.as_object()) {
                let reviews = fields.entry(REVIEWS).or_insert_with(|| json!({}));
                if reviews.is_null() {
                    *reviews = json!({});
                }
                if let Some(reviews) = reviews.as_object_mut() {
                    reviews.extend(new.clone());
                }
            }
            Reply::ok(shown(stored, links).get(REVIEWS).cloned().unwrap_or_default())
        }
        ("DELETE", [REVIEWS]) => {
            if let Some(fields) = stored.as_object_mut() {
                fields.insert(REVIEWS.into(), Value::Null);
            }
            Reply::empty()
        }
        _ => Reply::not_found(),
    }
}

/// A count of approvals, if there is one, within its bounds.
fn count(body: &Value, name: &str, most: u64) -> Result<Option<u64>, Reply> {
    match body.get(name) {
        None => Ok(None),
        Some(value) => match value.as_u64() {
            Some(n) if n <= most => Ok(Some(n)),
            _ => Err(Reply::unprocessable(&format!(
                "Invalid request.\n\n{value} must be less than or equal to {most}. For 'properties/{name}'."
            ))),
        },
    }
}

/// GET's shape, which is not PUT's: switches in wrappers, addresses everywhere.
fn shown(stored: &Value, links: &Links) -> Value {
    let url = format!("{}/branches/{BRANCH}/protection", links.repo());
    let field = |name: &str| stored.get(name).filter(|v| !v.is_null());
    let on = |name: &str| json!({"enabled": field(name).and_then(Value::as_bool).unwrap_or_default()});
    let mut whole = Map::new();
    whole.insert("url".into(), url.clone().into());
    if let Some(checks) = field("required_status_checks") {
        let contexts = checks.get("contexts").cloned().unwrap_or_else(|| json!([]));
        let each = contexts.as_array().cloned().unwrap_or_default();
        let each: Vec<Value> = each.iter().map(|c| json!({"context": c, "app_id": null})).collect();
        whole.insert(
            "required_status_checks".into(),
            json!({"url": format!("{url}/required_status_checks"), "strict": checks.get("strict"), "contexts": contexts,
                   "contexts_url": format!("{url}/required_status_checks/contexts"), "checks": each}),
        );
    }
    if let Some(reviews) = field("required_pull_request_reviews") {
        let of = |name: &str| reviews.get(name).and_then(Value::as_bool).unwrap_or_default();
        let count = reviews.get("required_approving_review_count").and_then(Value::as_u64).unwrap_or(1);
        whole.insert(
            "required_pull_request_reviews".into(),
            json!({"url": format!("{url}/required_pull_request_reviews"),
                   "dismiss_stale_reviews": of("dismiss_stale_reviews"),
                   "require_code_owner_reviews": of("require_code_owner_reviews"),
                   "require_last_push_approval": of("require_last_push_approval"),
                   "required_approving_review_count": count}),
        );
    }
    let mut admins = on("enforce_admins");
    if let Some(fields) = admins.as_object_mut() {
        fields.insert("url".into(), format!("{url}/enforce_admins").into());
    }
    whole.insert("enforce_admins".into(), admins);
    whole.insert(
        "required_signatures".into(),
        json!({"url": format!("{url}/required_signatures"), "enabled": false}),
    );
    for switch in [
        "required_linear_history",
        "allow_force_pushes",
        "allow_deletions",
        "block_creations",
        "required_conversation_resolution",
        "lock_branch",
        "allow_fork_syncing",
    ] {
        whole.insert(switch.into(), on(switch));
    }
    whole.into()
}

/// `…/rulesets…`.
pub fn rulesets(hub: &Hub, links: &Links, method: &str, rest: &[&str], query: &Query, body: &Value) -> Reply {
    hub.change(|state| {
        let id = rest.first().and_then(|id| id.parse::<u64>().ok());
        let at = id.and_then(|id| state.rulesets.iter().position(|r| r.get("id") == Some(&id.into())));
        match (method, rest, at) {
            ("GET", [], _) => {
                let brief = state.rulesets.iter().map(|r| brief(r, links)).collect();
                page(brief, None, &format!("{}/rulesets", links.repo()), query)
            }
            ("POST", [], _) => create(state, links, body),
            ("GET", [_], Some(at)) => {
                state.rulesets.get(at).map_or_else(Reply::not_found, |r| Reply::ok(full(r, links)))
            }
            ("PUT", [_], Some(at)) => update(state, at, links, body),
            ("DELETE", [_], Some(at)) => {
                state.rulesets.remove(at);
                Reply::empty()
            }
            _ => Reply::not_found(),
        }
    })
}

fn full(ruleset: &Value, links: &Links) -> Value {
    let mut value = ruleset.clone();
    let id = ruleset.get("id").and_then(Value::as_u64).unwrap_or_default();
    if let Some(fields) = value.as_object_mut() {
        for moment in ["created_at", "updated_at"] {
            let real = fields.get(moment).and_then(Value::as_str).and_then(|t| t.parse().ok());
            fields.extend(real.map(|real| (moment.to_owned(), links.time(real).into())));
        }
        fields.insert(
            "_links".into(),
            json!({"self": {"href": format!("{}/rulesets/{id}", links.repo())},
                   "html": {"href": format!("{}/rules/{id}", links.html())}}),
        );
    }
    value
}

/// A list leaves out rules, conditions and who may bypass.
fn brief(ruleset: &Value, links: &Links) -> Value {
    let mut value = full(ruleset, links);
    if let Some(fields) = value.as_object_mut() {
        for left_out in ["rules", "conditions", "bypass_actors", "current_user_can_bypass"] {
            fields.remove(left_out);
        }
    }
    value
}

fn create(state: &mut State, links: &Links, body: &Value) -> Reply {
    let named = body.get("name").and_then(Value::as_str).is_some_and(|n| !n.is_empty());
    let enforced = body.get("enforcement").and_then(Value::as_str);
    if !named || !matches!(enforced, Some("active" | "disabled" | "evaluate")) {
        return Reply::unprocessable("Invalid request.\n\n\"name\" and \"enforcement\" are required.");
    }
    if let Err(refusal) = check(body) {
        return refusal;
    }
    if state.rulesets.len() >= MOST_RULESETS {
        return Reply::unprocessable("Validation Failed: there are too many rulesets");
    }
    let id = state.id();
    let now = real_now();
    let mut ruleset = json!({
        "id": id, "target": "branch", "source_type": "Repository", "source": format!("{OWNER}/{REPOSITORY}"),
        "bypass_actors": [], "conditions": {"ref_name": {"include": [], "exclude": []}}, "rules": [],
        "node_id": format!("RRS_{id}"), "created_at": now, "updated_at": now, "current_user_can_bypass": "never",
    });
    merge(&mut ruleset, body);
    let reply = Reply::json(StatusCode::CREATED, full(&ruleset, links));
    state.rulesets.push(ruleset);
    reply
}

/// As it is kept: in real time.
fn real_now() -> String {
    chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

fn update(state: &mut State, at: usize, links: &Links, body: &Value) -> Reply {
    if let Err(refusal) = check(body) {
        return refusal;
    }
    let Some(ruleset) = state.rulesets.get_mut(at) else { return Reply::not_found() };
    merge(ruleset, body);
    merge(ruleset, &json!({"updated_at": real_now()}));
    Reply::ok(full(ruleset, links))
}

/// What is sent replaces what is there, field by field and whole.
fn merge(ruleset: &mut Value, body: &Value) {
    const FIELDS: [&str; 7] =
        ["name", "target", "enforcement", "bypass_actors", "conditions", "rules", "updated_at"];
    if let Some(fields) = ruleset.as_object_mut() {
        for name in FIELDS {
            if let Some(value) = body.get(name) {
                fields.insert(name.into(), value.clone());
            }
        }
    }
}

/// A pull request rule needs all five of its parameters.
fn check(body: &Value) -> Result<(), Reply> {
    const NEEDED: [&str; 5] = [
        "dismiss_stale_reviews_on_push",
        "require_code_owner_review",
        "require_last_push_approval",
        "required_approving_review_count",
        "required_review_thread_resolution",
    ];
    for rule in body.get("rules").and_then(Value::as_array).into_iter().flatten() {
        let Some(kind) = rule.get("type").and_then(Value::as_str) else {
            return Err(Reply::unprocessable("Invalid request.\n\nA rule has no \"type\"."));
        };
        if kind != "pull_request" {
            continue;
        }
        let parameters = rule.get("parameters").cloned().unwrap_or_default();
        if let Some(missing) = NEEDED.iter().find(|name| parameters.get(**name).is_none()) {
            let words = format!("Validation Failed: Invalid rule 'pull_request': {missing} is missing");
            return Err(Reply::unprocessable(&words));
        }
        count(&parameters, "required_approving_review_count", MOST_RULESET)?;
    }
    Ok(())
}

/// Active rulesets that name the default branch.
fn active(state: &State) -> impl Iterator<Item = &Value> {
    state.rulesets.iter().filter(|ruleset| {
        let named = |list: &str| {
            let refs = ruleset.pointer(&format!("/conditions/ref_name/{list}")).and_then(Value::as_array);
            let main = format!("refs/heads/{BRANCH}");
            refs.into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .any(|r| r == main || r == "~DEFAULT_BRANCH" || r == "~ALL")
        };
        ruleset.get("enforcement") == Some(&"active".into()) && named("include") && !named("exclude")
    })
}

/// `…/rules/branches/{branch}`.
pub fn rules(hub: &Hub, links: &Links, branch: &str, query: &Query) -> Reply {
    let state = hub.state();
    let mut all = Vec::new();
    for ruleset in active(&state).filter(|_| branch == BRANCH) {
        for rule in ruleset.get("rules").and_then(Value::as_array).into_iter().flatten() {
            let mut rule = rule.clone();
            if let Some(fields) = rule.as_object_mut() {
                fields.insert("ruleset_source_type".into(), "Repository".into());
                fields.insert("ruleset_source".into(), format!("{OWNER}/{REPOSITORY}").into());
                fields.insert("ruleset_id".into(), ruleset.get("id").cloned().unwrap_or_default());
            }
            all.push(rule);
        }
    }
    page(all, None, &format!("{}/rules/branches/{branch}", links.repo()), query)
}

/// Why a pull request with so many approvals may not be merged now; classic and rulesets both apply.
pub fn refuses_merge(state: &State, approvals: u64) -> Option<String> {
    let classic = state.protection.as_ref();
    if classic.and_then(|p| p.get("lock_branch")).and_then(Value::as_bool) == Some(true) {
        return Some("Cannot change this locked branch".into());
    }
    let classic = classic
        .and_then(|p| p.pointer("/required_pull_request_reviews/required_approving_review_count"))
        .and_then(Value::as_u64);
    let rules = active(state).flat_map(|r| r.get("rules").and_then(Value::as_array).into_iter().flatten());
    let rules =
        rules.filter_map(|r| r.pointer("/parameters/required_approving_review_count")?.as_u64()).max();
    let needed = classic.max(rules).unwrap_or_default();
    (approvals < needed).then(|| {
        let reviews = if needed == 1 { "review is" } else { "reviews are" };
        format!("At least {needed} approving {reviews} required by reviewers with write access.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strictest_rule_decides_and_a_locked_branch_refuses_all() {
        let mut state = State::new();
        assert_eq!(refuses_merge(&state, 1), None);
        state.protection =
            Some(json!({"required_pull_request_reviews": {"required_approving_review_count": 6}}));
        assert!(refuses_merge(&state, 2).unwrap().contains("6 approving reviews"));
        state.protection = None;
        assert_eq!(refuses_merge(&state, 1), None);
        assert!(refuses_merge(&state, 0).is_some(), "the ruleset still asks for one");
        state.protection = Some(json!({"lock_branch": true}));
        assert!(refuses_merge(&state, 9).unwrap().contains("locked"));
    }

    #[test]
    fn a_ruleset_is_replaced_field_by_field() {
        let mut ruleset = first_ruleset();
        merge(&mut ruleset, &json!({"enforcement": "disabled", "id": 1}));
        assert_eq!((&ruleset["enforcement"], &ruleset["id"]), (&json!("disabled"), &json!(2_827_787)));
        assert_eq!(ruleset["rules"].as_array().unwrap().len(), 3);
        let half = json!({"rules": [{"type": "pull_request", "parameters": {"required_approving_review_count": 10}}]});
        assert!(check(&half).is_err(), "all five parameters are needed");
    }
}
