//! Refusals: of dispatches, of merges while frozen; and entity tags.

use reqwest::Method;
use reqwest::header::AUTHORIZATION;
use serde_json::{Value, json};

use super::world::{REPO, World};

#[tokio::test(flavor = "multi_thread")]
async fn freeze_dispatch_and_tags_behave_as_on_github() {
    let world = World::start("guards");
    refused_dispatches(&world).await;
    entity_tags_are_free(&world).await;
    nothing_is_merged_while_frozen(&world).await;
}

async fn refused_dispatches(world: &World) {
    let dispatch = async |file: &str, body: Value| {
        let (status, body) =
            world.send(Method::POST, &format!("actions/workflows/{file}/dispatches"), &body).await;
        (status, body["message"].as_str().unwrap_or_default().to_owned())
    };
    let unexpected = dispatch("backup-db.yml", json!({"ref": "main", "inputs": {"a": "b"}})).await;
    assert_eq!(unexpected, (422, "Unexpected inputs provided: [\"a\"]".into()));
    let (status, words) = dispatch("backup-db.yml", json!({"ref": "gone"})).await;
    assert!(status == 422 && words.contains("No ref found"), "{words}");
    let (status, words) = dispatch("build-and-deploy.yml", json!({"ref": "main"})).await;
    assert!(status == 422 && words.contains("workflow_dispatch"), "{words}");
    assert_eq!(dispatch("nothing.yml", json!({"ref": "main"})).await.0, 404);
    let test = json!({"ref": "main", "inputs": {"environment": "test"}});
    assert_eq!(dispatch("backup-db.yml", test).await.0, 204, "no details unless asked");
    let url = format!("{}/{REPO}", world.word("/github/endpoint"));
    for (header, message) in [(None, "Requires authentication"), (Some("token wrong"), "Bad credentials")] {
        let mut request = world.web.get(&url);
        if let Some(header) = header {
            request = request.header(AUTHORIZATION, header);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 401);
        assert_eq!(answer.json::<Value>().await.unwrap()["message"], message);
    }
}

async fn entity_tags_are_free(world: &World) {
    let path = "actions/workflows?per_page=2";
    let first = world.github(Method::GET, path).send().await.unwrap();
    let tag = first.headers()["etag"].clone();
    let link = first.headers()["link"].to_str().unwrap().to_owned();
    assert!(link.contains("page=2>; rel=\"next\"") && link.contains("rel=\"last\""), "{link}");
    let used = first.headers()["x-ratelimit-used"].clone();
    let second = world.github(Method::GET, path).header("if-none-match", tag).send().await.unwrap();
    assert_eq!((second.status().as_u16(), &second.headers()["x-ratelimit-used"]), (304, &used));
    assert!(second.bytes().await.unwrap().is_empty());
}

async fn nothing_is_merged_while_frozen(world: &World) {
    let reviews = "branches/main/protection/required_pull_request_reviews";
    let before = world.get(reviews).await["required_approving_review_count"].clone();
    assert_eq!(before, 1);
    let freeze = json!({"required_approving_review_count": 6});
    assert_eq!(world.send(Method::PATCH, reviews, &freeze).await.0, 200);
    let (status, body) = world.send(Method::PUT, "pulls/2151/merge", &json!({})).await;
    assert!(status == 405 && body["message"].as_str().unwrap().contains("6 approving reviews"), "{body}");
    let seven = json!({"required_approving_review_count": 7});
    assert_eq!(world.send(Method::PATCH, reviews, &seven).await.0, 422);
    let thaw = json!({"required_approving_review_count": before});
    assert_eq!(world.send(Method::PATCH, reviews, &thaw).await.0, 200);
    assert_eq!(world.send(Method::PUT, "pulls/2151/merge", &json!({})).await.0, 200);
    let pushed = world.get("actions/runs?event=push").await;
    world.until(pushed["workflow_runs"][0]["id"].as_u64().unwrap(), "completed").await;
}
