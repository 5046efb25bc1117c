use super::*;

struct Ground(PathBuf);

impl Drop for Ground {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn store() -> (Ground, Store) {
    let folder = std::env::temp_dir().join(format!("drtui-blobs-{}", crate::sandbox::postgres::plain(8)));
    let store = Store::create(&folder, Clock::default()).unwrap();
    (Ground(folder), store)
}

async fn put(store: &Store, container: &str, bytes: &[u8], only_new: bool) -> Result<Blob, Refused> {
    let mut upload = store.upload().await?;
    upload.write(bytes).await?;
    store.put(container, "a.sql.gz", upload, Properties::default(), only_new).await
}

#[tokio::test]
async fn the_backup_container_keeps_what_it_has() {
    let (ground, store) = store();
    let blob = put(&store, CONTAINER, b"first", false).await.unwrap();
    assert_eq!(blob.md5.as_deref(), Some("iwTV43ddKY54RV78XKQE1Q=="));
    assert_eq!(put(&store, CONTAINER, b"second", true).await.unwrap_err(), Refused::exists());
    assert_eq!(put(&store, CONTAINER, b"second", false).await.unwrap_err(), Refused::immutable());
    assert_eq!(store.delete(CONTAINER, "a.sql.gz").unwrap_err(), Refused::immutable());
    assert_eq!(std::fs::read(store.get(CONTAINER, "a.sql.gz").unwrap().file).unwrap(), b"first");
    let files = std::fs::read_dir(&ground.0).unwrap().count();
    assert_eq!(files, 1, "refused uploads leave no file");
}

#[tokio::test]
async fn a_disaster_loses_what_no_request_could() {
    let (ground, store) = store();
    put(&store, CONTAINER, b"first", false).await.unwrap();
    assert_eq!(store.lose(CONTAINER, "b", Duration::ZERO).await, Vec::<String>::new());
    assert_eq!(store.lose(CONTAINER, "a.sql", Duration::ZERO).await, ["a.sql.gz"]);
    assert_eq!(std::fs::read_dir(&ground.0).unwrap().count(), 0);
}

#[tokio::test]
async fn blocks_become_a_blob_in_the_order_of_the_list() {
    let (_ground, store) = store();
    store.make_container("scratch").unwrap();
    for (id, bytes) in [("b", b"world"), ("a", b"hello"), ("c", b"never")] {
        let mut upload = store.upload().await.unwrap();
        upload.write(bytes).await.unwrap();
        store.put_block("scratch", "x", id, upload).await.unwrap();
    }
    let wrong = store.put_block_list("scratch", "x", &["z".into()], Properties::default(), false).await;
    assert_eq!(wrong.unwrap_err().code, "InvalidBlockList");
    let ids = ["a".to_owned(), "b".to_owned()];
    let blob = store.put_block_list("scratch", "x", &ids, Properties::default(), false).await.unwrap();
    assert_eq!(std::fs::read(&blob.file).unwrap(), b"helloworld");
    assert_eq!(store.used.load(Ordering::Relaxed), 10, "the block that was not wanted is gone");
    store.delete("scratch", "x").unwrap();
    assert_eq!(store.used.load(Ordering::Relaxed), 0);
}
