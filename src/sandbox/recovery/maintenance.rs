//! Where the service's ingress points: to the service, or to the maintenance page with a temporary address for those
//! who work on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The host of the temporary address, without the environment, as the platform makes it.
pub const TEMPORARY_HOST: &str = "refer-serious-misconduct-temp.teacherservices.cloud";

/// What users see meanwhile.
pub const PAGE: &str = "<!doctype html>\n<html lang=\"en\"><head><title>Sorry, the service is unavailable - Refer \
    serious misconduct by a teacher</title></head>\n<body><h1>Sorry, the service is unavailable</h1>\n<p>You will be able to \
    use the service later.</p>\n<p>We are working on it. Answers that you saved before are kept.</p></body></html>\n";

/// The switch; clones share it. Off at first.
#[derive(Debug, Clone, Default)]
pub struct Maintenance {
    on: Arc<AtomicBool>,
}

impl Maintenance {
    pub fn is_on(&self) -> bool {
        self.on.load(Ordering::Acquire)
    }

    /// Sets it; gives what it was.
    pub fn set(&self, on: bool) -> bool {
        self.on.swap(on, Ordering::AcqRel)
    }
}
