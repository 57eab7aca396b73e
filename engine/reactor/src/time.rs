//! The process's clock.

use std::sync::OnceLock;

use clock::Instant;

/// The time since this function was first called in this process; the same epoch on every shard.
#[must_use]
pub fn now() -> Instant {
    static EPOCH: OnceLock<std::time::Instant> = OnceLock::new();
    #[expect(
        clippy::disallowed_methods,
        reason = "this is where a real clock is read"
    )]
    let now = std::time::Instant::now();
    let epoch = *EPOCH.get_or_init(|| now);
    Instant::ZERO + now.saturating_duration_since(epoch)
}
