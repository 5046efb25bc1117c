//! Blob storage.

use reqwest::{Method, Response};

use super::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn blobs_are_listed_ranged_and_never_overwritten() {
    let world = World::start("blobs");
    let token = world.storage_token("https://storage.azure.com/.default").await;
    for name in ["a.sql.gz", "b.sql.gz", "old/c.sql.gz"] {
        let path = format!("database-backup/{name}");
        let put = world.blob(Method::PUT, &path, &token, Some(b"0123456789".to_vec())).await;
        assert_eq!(put.status(), 201);
    }
    let error = |answer: &Response| {
        let code = answer.headers().get("x-ms-error-code").map(|c| c.to_str().unwrap().to_owned());
        (answer.status().as_u16(), code.unwrap_or_default())
    };
    let overwrite = world.blob(Method::PUT, "database-backup/a.sql.gz", &token, Some(b"x".to_vec())).await;
    assert_eq!(error(&overwrite), (409, "BlobImmutableDueToPolicy".into()));
    let delete = world.blob(Method::DELETE, "database-backup/a.sql.gz", &token, None).await;
    assert_eq!(error(&delete), (409, "BlobImmutableDueToPolicy".into()));
    let none = world.blob(Method::GET, "database-backup/none", &token, None).await;
    assert_eq!(error(&none), (404, "BlobNotFound".into()));
    let nowhere = world.blob(Method::GET, "nowhere?restype=container&comp=list", &token, None).await;
    assert_eq!(error(&nowhere), (404, "ContainerNotFound".into()));

    let list = async |query: &str| {
        let path = format!("database-backup?restype=container&comp=list&{query}");
        world.blob(Method::GET, &path, &token, None).await.text().await.unwrap()
    };
    let first = list("prefix=&maxresults=1").await;
    assert!(first.contains("<Name>a.sql.gz</Name>") && !first.contains("b.sql.gz"), "{first}");
    let marker = first.split("<NextMarker>").nth(1).unwrap().split('<').next().unwrap();
    let second = list(&format!("maxresults=1&marker={marker}")).await;
    assert!(second.contains("<Name>b.sql.gz</Name>"), "{second}");
    let folders = list("delimiter=/").await;
    assert!(folders.contains("<BlobPrefix><Name>old/</Name></BlobPrefix>"), "{folders}");

    let url = format!("{}/database-backup/a.sql.gz", world.word("/blobs/endpoint"));
    let part = world.web.get(&url).bearer_auth(&token).header("x-ms-version", "2024-11-04");
    let part = part.header("range", "bytes=2-4").send().await.unwrap();
    assert_eq!((part.status().as_u16(), part.text().await.unwrap().as_str()), (206, "234"));
    let old = world.web.get(&url).bearer_auth(&token).send().await.unwrap();
    assert_eq!(error(&old), (403, "AuthenticationFailed".into()), "no version, no bearer tokens");
    let bare = world.web.get(&url).header("x-ms-version", "2024-11-04").send().await.unwrap();
    assert_eq!(error(&bare), (401, "NoAuthenticationInformation".into()));
    let wrong = world.storage_token("https://management.azure.com/.default").await;
    let wrong = world.blob(Method::GET, "database-backup/a.sql.gz", &wrong, None).await;
    assert_eq!(error(&wrong), (401, "InvalidAuthenticationInfo".into()));
    assert!(wrong.text().await.unwrap().contains("Audience validation failed"));
}
