//! `drtui status` as a script sees it.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::world::{APP, Dir, World};

async fn status(args: &[&str], config: &Path) -> (Option<i32>, String, String) {
    let args: Vec<String> = args.iter().map(ToString::to_string).collect();
    let config = config.to_owned();
    tokio::task::spawn_blocking(move || {
        let out = Command::new(env!("CARGO_BIN_EXE_drtui"))
            .arg("status")
            .args(args)
            .arg("--config")
            .arg(config)
            .env_remove("DRTUI_ENV")
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (out.status.code(), text(&out.stdout), text(&out.stderr))
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_learns_all_and_whether_all_is_well() {
    let world = World::start("status").await;
    let config = world.config();
    let (code, out, err) = status(&["--json"], &config).await;
    assert_eq!(code, Some(0), "{out}{err}");
    let shown: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(shown["well"], true);
    assert_eq!(shown["production"], true, "left out means yes");
    assert_eq!(shown["deployments"][0]["key"]["name"], APP);
    assert_eq!(shown["servers"].as_array().unwrap().len(), 3);
    assert_eq!(shown["sources"]["kubernetes"]["phase"], "live");
    let (code, out, _) = status(&[], &config).await;
    assert!(code == Some(0) && out.contains("2/2 ready") && out.contains("restorable from"), "{out}");

    std::fs::remove_file(world.dir.0.join("secret")).unwrap();
    let (code, out, _) = status(&["--json"], &config).await;
    let shown: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &shown["well"]), (Some(1), &Value::Bool(false)));
    assert_eq!(shown["sources"]["azure"]["phase"], "stale");
    assert_eq!(shown["deployments"][0]["ready"], 2, "one source's failure is no other's");
}

#[tokio::test]
async fn a_wrong_configuration_is_explained() {
    let dir = Dir::new("status-config");
    let example =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config/drtui.example.toml")).unwrap();
    let config = dir.write("drtui.toml", &example.replace("namespace =", "namespce ="));
    let (code, out, err) = status(&[], &config).await;
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(
        err.contains("drtui.toml:9: unknown key `namespce`") && err.contains("did you mean `namespace`?"),
        "{err}"
    );
    let config = dir.write("drtui.toml", &example);
    let (code, _, err) = status(&["--env", "prod"], &config).await;
    assert!(code == Some(2) && err.contains("it has production"), "{err}");
}
