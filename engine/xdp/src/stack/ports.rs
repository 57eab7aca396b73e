//! Which shard began the connections of a local port: their answers may arrive at any queue.

use core::sync::atomic::{AtomicU8, Ordering};
use std::sync::Arc;

/// Shared by all shards of an interface.
#[derive(Debug)]
pub struct Owners(Box<[AtomicU8]>);

impl Default for Owners {
    fn default() -> Self {
        Self((0..=u16::MAX).map(|_| AtomicU8::new(NOBODY)).collect())
    }
}

const NOBODY: u8 = u8::MAX;

impl Owners {
    /// The shard that began the connections of this port, if any did.
    #[must_use]
    pub fn of(&self, port: u16) -> Option<u8> {
        let owner = self.0[usize::from(port)].load(Ordering::Acquire);
        (owner != NOBODY).then_some(owner)
    }

    fn set(&self, port: u16, owner: u8) {
        self.0[usize::from(port)].store(owner, Ordering::Release);
    }
}

/// The right to a local port. Whoever reserved it is told, by a drop, that it is not needed any more.
pub struct Lease {
    owners: Arc<Owners>,
    port: u16,
    /// Dropped last.
    _reservation: Box<dyn Send + Sync>,
}

impl Lease {
    /// Makes `shard` the owner of a port that `reservation` keeps from others.
    #[must_use]
    pub fn new(
        owners: Arc<Owners>,
        port: u16,
        shard: u8,
        reservation: Box<dyn Send + Sync>,
    ) -> Self {
        owners.set(port, shard);
        Self {
            owners,
            port,
            _reservation: reservation,
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.owners.set(self.port, NOBODY);
    }
}

impl core::fmt::Debug for Lease {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Lease")
            .field("port", &self.port)
            .finish_non_exhaustive()
    }
}
