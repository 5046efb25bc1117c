//! What follows from what the providers have said so far. Pure.

use crate::core::world::World;
use crate::domain::{Health, Phase, Source, Target};

/// The sources that the target has.
pub fn sources(target: &Target) -> impl Iterator<Item = Source> + use<> {
    let web = target.health_url.is_some();
    Source::ALL.into_iter().filter(move |s| *s != Source::Web || web)
}

fn phase(world: &World, source: Source) -> &Phase {
    world.phase(source).0
}

/// True when every source has answered or failed. Metrics cannot be asked for before servers are known.
pub fn settled(world: &World, target: &Target) -> bool {
    sources(target).all(|source| match source {
        Source::Monitor => *phase(world, source) != Phase::Loading || no_metrics_to_come(world),
        source => *phase(world, source) != Phase::Loading,
    })
}

fn no_metrics_to_come(world: &World) -> bool {
    let failed = *phase(world, Source::Azure) != Phase::Loading && !phase(world, Source::Azure).is_healthy();
    failed || world.servers.value.as_ref().is_some_and(Vec::is_empty)
}

/// True when every source answers and the service is up.
pub fn all_well(world: &World, target: &Target) -> bool {
    let answers = |source| phase(world, source).is_healthy();
    let no_servers = world.servers.value.as_ref().is_some_and(Vec::is_empty);
    sources(target).all(|s| answers(s) || (s == Source::Monitor && no_servers))
        && (target.health_url.is_none() || world.health.value.as_ref().is_some_and(Health::is_up))
}
