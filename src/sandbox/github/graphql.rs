//! The few GraphQL queries that command-line clients make: who am I, and the repository's facts. An object holds more than
//! was asked for; clients take what they know.

use serde_json::{Value, json};

use super::answer::Reply;
use super::render::Links;
use super::{BRANCH, Hub, LOGIN, OWNER, REPOSITORY};

pub fn answer(hub: &Hub, links: &Links, body: &Value) -> Reply {
    let query = body.get("query").and_then(Value::as_str).unwrap_or_default();
    let mut data = serde_json::Map::new();
    if query.contains("__type") || query.contains("__schema") {
        data.insert("__type".into(), json!({"fields": [], "inputFields": []}));
    }
    if query.contains("viewer") {
        data.insert("viewer".into(), json!({"login": LOGIN, "id": "MDQ6VXNlcjU4MzIzMQ=="}));
    }
    if query.contains("repository(") {
        let variable = |name: &str| body.pointer(&format!("/variables/{name}")).and_then(Value::as_str);
        let owner = variable("owner").unwrap_or(OWNER);
        let name = variable("name").or_else(|| variable("repo")).unwrap_or(REPOSITORY);
        if !owner.eq_ignore_ascii_case(OWNER) || !name.eq_ignore_ascii_case(REPOSITORY) {
            let words = format!("Could not resolve to a Repository with the name '{owner}/{name}'.");
            return Reply::ok(json!({
                "data": {"repository": null},
                "errors": [{"type": "NOT_FOUND", "path": ["repository"], "message": words}],
            }));
        }
        data.insert("repository".into(), repository(hub, links));
    }
    if data.is_empty() {
        return Reply::ok(json!({"errors": [{"message": "The sandbox does not know this query."}]}));
    }
    Reply::ok(json!({"data": data}))
}

fn repository(hub: &Hub, links: &Links) -> Value {
    let state = hub.state();
    let approvals = state
        .protection
        .as_ref()
        .and_then(|p| p.pointer("/required_pull_request_reviews/required_approving_review_count").cloned());
    let rules: Vec<Value> = approvals
        .into_iter()
        .map(|count| json!({"pattern": BRANCH, "requiredApprovingReviewCount": count, "requiresApprovingReviews": true}))
        .collect();
    json!({
        "id": "R_kgDOHg4Pjw", "name": REPOSITORY, "nameWithOwner": format!("{OWNER}/{REPOSITORY}"),
        "owner": {"login": OWNER, "id": "MDEyOk9yZ2FuaXphdGlvbjM2MDA2ODIz"},
        "description": "Refer serious misconduct by a teacher in England", "url": links.html(),
        "defaultBranchRef": {"name": BRANCH, "target": {"oid": state.head}}, "viewerPermission": "ADMIN",
        "hasIssuesEnabled": true, "hasWikiEnabled": false, "isPrivate": false, "isFork": false, "isArchived": false,
        "isEmpty": false, "visibility": "PUBLIC", "parent": null, "mergeCommitAllowed": true, "rebaseMergeAllowed": true,
        "squashMergeAllowed": true, "stargazerCount": 3, "forkCount": 1, "pushedAt": "2026-11-19T15:20:00Z",
        "branchProtectionRules": {"nodes": rules, "totalCount": rules.len()},
        "pullRequests": {"nodes": [], "totalCount": 0}, "pullRequest": null,
    })
}
