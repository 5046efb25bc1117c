//! Azure as the sandbox serves it.

use std::time::Duration;

use drtui::domain::{Phase, ServerClass, Source, Update};
use drtui::providers;

use super::ear::Ear;
use super::world::World;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_group_s_servers_are_classed_and_told_whole() {
    let world = World::start("azure").await;
    let ear = Ear::default();
    let _providers = providers::start(&world.settings, &world.target, ear.sink());
    let all = ear
        .hear("servers", 0, Duration::from_secs(10), |u, _| match u {
            Update::Servers { all } => Some(all.clone()),
            _ => None,
        })
        .await;
    let classes: Vec<_> = all.iter().map(|s| (s.class, s.state.as_str())).collect();
    assert_eq!(
        classes,
        [(ServerClass::Live, "Ready"), (ServerClass::Ptr, "Updating"), (ServerClass::SideCopy, "Stopped")]
    );
    let live = &all[0];
    assert_eq!(live.version, "17.5");
    assert!(live.storage_gb.is_some() && !live.sku.is_empty() && live.fqdn.contains("postgres"));
    let (from, to) = live.restore_window(chrono::Utc::now()).unwrap();
    assert!(to - from > chrono::Duration::days(2));
    ear.stands(Source::Monitor, "polled", 0, Duration::from_secs(10), |p| {
        *p == Phase::Polling { every_s: 60 }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_secret_is_a_sign_in_and_is_not_shown() {
    let world = World::start("secret").await;
    world.dir.write("secret", "wr0ng-s3cret");
    let ear = Ear::default();
    let _providers = providers::start(&world.settings, &world.target, ear.sink());
    let (phase, ..) =
        ear.stands(Source::Azure, "sign in", 0, Duration::from_secs(10), |p| *p != Phase::Loading).await;
    let Phase::AuthExpired { why, fix } = phase else { panic!("{phase:?}") };
    assert!(why.contains("AADSTS") && fix.contains("renew the client secret in"), "{why} {fix}");
    assert!(!format!("{why}{fix}").contains("wr0ng"));
}
