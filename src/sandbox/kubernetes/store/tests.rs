use super::*;
use serde_json::json;

fn secret(name: &str, data: &str) -> Value {
    json!({"kind": "Secret", "metadata": {"namespace": "ns", "name": name}, "data": {"x": data}})
}

#[test]
fn revisions_grow_and_unchanged_objects_keep_theirs() {
    let store = Store::default();
    let first = store.write(|s| s.put(Resource::Secret, secret("a", "1")));
    let mut same = first.value.clone();
    json::remove(&mut same, &["metadata", "resourceVersion"]);
    let again = store.write(|s| s.put(Resource::Secret, same));
    assert_eq!(first.value, again.value);
    store.write(|s| s.put(Resource::Secret, secret("a", "2")));
    store.write(|s| s.delete(Resource::Secret, "ns", "a")).unwrap();
    store.read(|s| {
        assert_eq!(s.revision(), 3);
        let log: Vec<(u64, Change)> = s.since(0).unwrap().map(|e| (e.revision, e.change)).collect();
        assert_eq!(log, [(1, Change::Added), (2, Change::Modified), (3, Change::Deleted)]);
        assert_eq!(s.since(2).unwrap().count(), 1);
        assert_eq!(s.since(3).unwrap().count(), 0);
    });
}

#[test]
fn older_states_are_told_until_compaction() {
    let store = Store::default();
    store.write(|s| {
        s.put(Resource::Secret, secret("a", "1"));
        s.put(Resource::Secret, secret("b", "1"));
        s.delete(Resource::Secret, "ns", "a");
        s.put(Resource::Secret, secret("c", "1"));
    });
    store.read(|s| {
        let names = |at| -> Vec<String> {
            s.at(Resource::Secret, Some("ns"), at).unwrap().into_keys().map(|key| key.1).collect()
        };
        assert_eq!(names(2), ["a", "b"]);
        assert_eq!(names(3), ["b"]);
        assert_eq!(names(4), ["b", "c"]);
    });
    store.write(Inner::compact);
    store.read(|s| {
        assert!(s.since(3).is_none() && s.at(Resource::Secret, None, 3).is_none());
        assert_eq!(s.since(4).unwrap().count(), 0);
        assert_eq!(s.oldest(), 4);
    });
}

#[test]
fn the_log_is_bounded() {
    let store = Store::default();
    store.write(|s| {
        for n in 0..=LOG {
            s.put(Resource::Secret, secret("a", &n.to_string()));
        }
        assert!(s.since(0).is_none());
        assert_eq!(s.since(1).unwrap().count(), LOG);
    });
}

#[test]
fn uids_are_version_4() {
    let uid = uid();
    assert_eq!(uid.len(), 36);
    assert_eq!(uid.as_bytes()[14], b'4');
    assert!(b"89ab".contains(&uid.as_bytes()[19]), "{uid}");
}
