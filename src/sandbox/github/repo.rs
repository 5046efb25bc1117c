//! The repository itself: facts, files, branches, environments, deployments, issues and pull requests.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::Utc;
use http::StatusCode;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::answer::{Reply, page};
use super::catalogue::{Inputs, WORKFLOWS, Workflow};
use super::model::{Comment, Pull, is_branch, user};
use super::render::{self, Links};
use super::route::Query;
use super::{BRANCH, Hub, LOGIN, engine, guard};

const README: &str = "# Refer serious misconduct by a teacher\n\nThe service's repository, in a sandbox.\n";
const PRODUCTION_SH: &str = "CONFIG=production\nCONFIG_SHORT=pd\nAZURE_SUBSCRIPTION=s189-teacher-services-cloud-production\n\
     AZURE_RESOURCE_PREFIX=s189p01\nTERRAFORM_MODULES_TAG=stable\n";
const PRODUCTION_TFVARS: &str = "{\n  \"cluster\": \"production\",\n  \"namespace\": \"tra-production\",\n  \
     \"enable_postgres_backup_storage\": true,\n  \"send_traffic_to_maintenance_page\": false\n}\n";
const MAKEFILE: &str =
    "SERVICE_NAME=refer-serious-misconduct\nSERVICE_SHORT=rsm\n\nci:\n\t$(eval AUTO_APPROVE=-auto-approve)\n";
/// Longest comment, as on GitHub.
const MOST_COMMENT: usize = 65_536;
const MOST_COMMENTS: usize = 1_000;

/// `GET /repos/{owner}/{repo}`.
pub fn facts(links: &Links) -> Reply {
    let mut value = render::short_repository(links);
    let more = json!({
        "default_branch": BRANCH, "visibility": "public", "archived": false, "disabled": false, "has_issues": true,
        "has_projects": false, "has_wiki": false, "has_pages": false, "has_discussions": false, "open_issues_count": 2,
        "stargazers_count": 3, "watchers_count": 3, "forks_count": 1, "language": "Ruby", "size": 48_112,
        "created_at": "2022-06-16T16:11:31Z", "updated_at": "2026-11-18T10:02:00Z", "pushed_at": "2026-11-19T15:20:00Z",
        "git_url": null, "ssh_url": null, "clone_url": format!("{}.git", links.html()), "topics": [],
        "permissions": {"admin": true, "maintain": true, "push": true, "triage": true, "pull": true},
        "allow_squash_merge": true, "allow_merge_commit": true, "allow_rebase_merge": true,
        "delete_branch_on_merge": true,
    });
    if let (Some(fields), Value::Object(more)) = (value.as_object_mut(), more) {
        fields.extend(more);
    }
    Reply::ok(value)
}

/// `GET /user`.
pub fn me(links: &Links) -> Reply {
    let mut value = links.user();
    if let Some(fields) = value.as_object_mut() {
        fields.insert("name".into(), "Sandbox Responder".into());
        fields.insert("email".into(), Value::Null);
        fields.insert("created_at".into(), "2011-01-25T18:44:36Z".into());
    }
    Reply::ok(value)
}

fn files() -> Vec<(String, &'static str)> {
    let mut files: Vec<(String, &'static str)> = WORKFLOWS.iter().map(|w| (w.path(), w.text)).collect();
    files.extend([
        ("README.md".to_owned(), README),
        ("Makefile".to_owned(), MAKEFILE),
        ("global_config/production.sh".to_owned(), PRODUCTION_SH),
        ("terraform/application/config/production.tfvars.json".to_owned(), PRODUCTION_TFVARS),
    ]);
    files.sort();
    files
}

/// `…/contents/{path}`.
pub fn contents(links: &Links, path: &str, query: &Query) -> Reply {
    let reference = query.get("ref").unwrap_or(BRANCH);
    if !is_branch(reference.trim_start_matches("refs/heads/")) && reference.len() != 40 {
        return Reply::error(StatusCode::NOT_FOUND, &format!("No commit found for the ref {reference}"));
    }
    let path = path.trim_matches('/');
    let files = files();
    if let Some((path, text)) = files.iter().find(|(p, _)| p == path) {
        let mut entry = entry(links, path, Some(text), reference);
        // GitHub breaks base64 after every 60 characters.
        let encoded = STANDARD.encode(text);
        let lines: Vec<&str> =
            encoded.as_bytes().chunks(60).filter_map(|c| std::str::from_utf8(c).ok()).collect();
        if let Some(fields) = entry.as_object_mut() {
            fields.insert("encoding".into(), "base64".into());
            fields.insert("content".into(), (lines.join("\n") + "\n").into());
        }
        return Reply::ok(entry);
    }
    let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
    let mut names: Vec<Value> = Vec::new();
    let mut last = String::new();
    for (file, text) in files.iter().filter_map(|(p, t)| p.strip_prefix(&prefix).map(|rest| (rest, *t))) {
        let (first, is_file) = file.split_once('/').map_or((file, true), |(folder, _)| (folder, false));
        if last != first {
            names.push(entry(links, &format!("{prefix}{first}"), is_file.then_some(text), reference));
            first.clone_into(&mut last);
        }
    }
    if names.is_empty() { Reply::not_found() } else { Reply::ok(names.into()) }
}

fn entry(links: &Links, path: &str, text: Option<&str>, reference: &str) -> Value {
    let digest = Sha256::digest(text.unwrap_or(path));
    let sha: String = digest.iter().take(20).map(|b| format!("{b:02x}")).collect();
    let url = format!("{}/contents/{path}?ref={reference}", links.repo());
    let (kind, tree) = if text.is_some() { ("file", "blob") } else { ("dir", "tree") };
    let html = format!("{}/{tree}/{reference}/{path}", links.html());
    let git = format!("{}/git/{tree}s/{sha}", links.repo());
    json!({
        "name": path.rsplit('/').next(), "path": path, "sha": sha, "size": text.map_or(0, str::len), "type": kind,
        "url": url, "html_url": html, "git_url": git, "download_url": null,
        "_links": {"self": url, "git": git, "html": html},
    })
}

/// `…/branches…` without protection.
pub fn branches(hub: &Hub, links: &Links, name: Option<&str>, query: &Query) -> Reply {
    let (head, protected) = {
        let state = hub.state();
        (state.head.clone(), state.protection.is_some())
    };
    let branch = |name: &str| {
        let protected = protected && name == BRANCH;
        json!({
            "name": name, "commit": {"sha": head, "url": format!("{}/commits/{head}", links.repo())},
            "protected": protected,
            "protection": {"enabled": protected},
            "protection_url": format!("{}/branches/{name}/protection", links.repo()),
        })
    };
    match name {
        None => {
            let all = vec![branch(BRANCH), branch("maintenance-text")];
            page(all, None, &format!("{}/branches", links.repo()), query)
        }
        Some(name) if is_branch(name) => Reply::ok(branch(name)),
        Some(_) => Reply::error(StatusCode::NOT_FOUND, "Branch not found"),
    }
}

/// `…/environments…`.
pub fn environments(hub: &Hub, links: &Links, name: Option<&str>, query: &Query) -> Reply {
    let state = hub.state();
    match name {
        None => {
            let all = state.environments.iter().map(|e| render::environment(links, e)).collect();
            page(all, Some("environments"), &format!("{}/environments", links.repo()), query)
        }
        Some(name) => {
            let found = state.environments.iter().find(|e| e.name == name);
            found.map_or_else(Reply::not_found, |e| Reply::ok(render::environment(links, e)))
        }
    }
}

/// `…/deployments…`.
pub fn deployments(hub: &Hub, links: &Links, rest: &[&str], query: &Query) -> Reply {
    let state = hub.state();
    let wanted = |e: &str| query.get("environment").is_none_or(|w| w == e);
    let find = |id: &str| state.deployments.iter().find(|d| d.id.to_string() == id);
    match rest {
        [] => {
            let all = state.deployments.iter().rev().filter(|d| wanted(&d.environment));
            let all = all.map(|d| render::deployment(links, d, &state.head)).collect();
            page(all, None, &format!("{}/deployments", links.repo()), query)
        }
        [id] => {
            find(id).map_or_else(Reply::not_found, |d| Reply::ok(render::deployment(links, d, &state.head)))
        }
        [id, "statuses"] => find(id).map_or_else(Reply::not_found, |d| {
            Reply::ok(json!([{
                "id": d.id + 1, "state": d.state, "environment": d.environment, "creator": links.user(),
                "created_at": links.time(d.created), "updated_at": links.time(d.created), "description": "",
            }]))
        }),
        _ => Reply::not_found(),
    }
}

/// `…/issues/{number}/comments`.
pub fn comments(hub: &Hub, links: &Links, method: &str, number: &str, query: &Query, body: &Value) -> Reply {
    let Ok(number) = number.parse::<u64>() else { return Reply::not_found() };
    let url = format!("{}/issues/{number}/comments", links.repo());
    match (method, body.get("body").and_then(Value::as_str)) {
        ("GET", _) => {
            let state = hub.state();
            let all = state.comments.get(&number).into_iter().flatten().map(|c| comment(links, number, c));
            page(all.collect(), None, &url, query)
        }
        ("POST", Some(text)) if !text.is_empty() && text.len() <= MOST_COMMENT => hub.change(|state| {
            let new = Comment { id: state.id(), text: text.to_owned(), created: Utc::now() };
            let all = state.comments.entry(number).or_default();
            if all.len() >= MOST_COMMENTS {
                return Reply::unprocessable("Validation Failed: too many comments");
            }
            let shown = comment(links, number, &new);
            all.push(new);
            Reply::json(StatusCode::CREATED, shown)
        }),
        ("POST", _) => Reply::unprocessable("Validation Failed: body is missing or too long"),
        _ => Reply::not_found(),
    }
}

fn comment(links: &Links, number: u64, comment: &Comment) -> Value {
    let (id, created) = (comment.id, links.time(comment.created));
    json!({
        "id": id, "body": comment.text, "user": links.user(), "created_at": created, "updated_at": created,
        "url": format!("{}/issues/comments/{id}", links.repo()), "author_association": "MEMBER",
        "html_url": format!("{}/issues/{number}#issuecomment-{id}", links.html()),
    })
}

/// `…/pulls…`.
pub fn pulls(hub: &Arc<Hub>, links: &Links, method: &str, rest: &[&str], query: &Query) -> Reply {
    let shown = |pull: &Pull| {
        json!({
            "number": pull.number, "title": pull.title, "state": if pull.merged { "closed" } else { "open" },
            "merged": pull.merged, "draft": false, "user": user(&links.api, "dependabot"),
            "url": format!("{}/pulls/{}", links.repo(), pull.number),
            "html_url": format!("{}/pull/{}", links.html(), pull.number), "base": {"ref": BRANCH}, "head": {"ref": "change"},
        })
    };
    if let (&[number, "merge"], "PUT") = (rest, method) {
        return merge(hub, number);
    }
    let state = hub.state();
    match (method, rest) {
        ("GET", []) => {
            let open = state.pulls.iter().filter(|p| !p.merged).map(shown).collect();
            page(open, None, &format!("{}/pulls", links.repo()), query)
        }
        ("GET", [number]) => {
            let found = state.pulls.iter().find(|p| p.number.to_string() == *number);
            found.map_or_else(Reply::not_found, |p| Reply::ok(shown(p)))
        }
        _ => Reply::not_found(),
    }
}

/// Merges unless the branch is guarded; a merge deploys.
fn merge(hub: &Arc<Hub>, number: &str) -> Reply {
    let refused = |why: &str| Reply::error(StatusCode::METHOD_NOT_ALLOWED, why);
    let merged = hub.change(|state| {
        let approvals = state.pulls.iter().find(|p| p.number.to_string() == number && !p.merged);
        let Some(approvals) = approvals.map(|p| p.approvals) else {
            return Err(refused("Pull Request is not mergeable"));
        };
        if let Some(why) = guard::refuses_merge(state, approvals) {
            return Err(refused(&why));
        }
        for pull in state.pulls.iter_mut().filter(|p| p.number.to_string() == number) {
            pull.merged = true;
        }
        let digest = Sha256::digest(format!("{}{number}", state.head));
        state.head = digest.iter().take(20).map(|b| format!("{b:02x}")).collect();
        Ok(state.head.clone())
    });
    match merged {
        Err(refusal) => refusal,
        Ok(sha) => {
            if let Some(workflow) = Workflow::find("build-and-deploy.yml") {
                engine::start(hub, workflow, "push", BRANCH, Inputs::new());
            }
            Reply::ok(json!({"sha": sha, "merged": true, "message": "Pull Request successfully merged"}))
        }
    }
}

/// True for the login that the token belongs to.
pub fn is_me(login: &str) -> bool {
    login.eq_ignore_ascii_case(LOGIN)
}
