//! WHAT: plain values and rules that everybody shares. Knows nobody: no I/O, no clock, no terminal.

pub mod backoff;
pub mod clock;
pub mod compare;
pub mod deployment;
pub mod fault;
pub mod feed;
pub mod health;
pub mod remote;
pub mod sensed;
pub mod server;
pub mod target;
pub mod text;
pub mod tunnel;

pub use clock::Utc;
pub use compare::{CompareOptions, ComparePath, CompareRequest, Condition};
pub use deployment::{Deployment, DeploymentKey, Hpa};
pub use fault::Fault;
pub use feed::{Source, Update};
pub use health::Health;
pub use remote::{Phase, Remote};
pub use sensed::{Sensed, Verdict};
pub use server::{Metrics, Sample, Server, ServerClass};
pub use target::Target;
pub use tunnel::{
    Backend, HandOff, Method, Orphan, Tool, Traffic, Tunnel, TunnelId, TunnelPod, TunnelRequest, TunnelState,
    Via,
};
