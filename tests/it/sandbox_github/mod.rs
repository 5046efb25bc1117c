//! The sandbox's GitHub and blob storage: workflows that really back up and restore, with the platform's flaws; approvals,
//! the freeze, maintenance mode, conflicts, entity tags, the sandbox's clock. The real program, asked over HTTPS.

mod backups;
mod blobs;
mod clock;
mod deploy;
mod guards;
mod maintenance;
mod runs;
pub mod world;
