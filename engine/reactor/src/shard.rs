//! The switch's shard as the logic of a driver.

use clock::Instant;
use switch::{ConnId, Input, Octets, Output, Shard};

use crate::driver::Logic;

impl<B: Octets> Logic<B> for Shard<B> {
    fn handle(&mut self, now: Instant, input: Input<B>) {
        Self::handle(self, now, input);
    }

    fn poll(&mut self, _: Instant) -> Output<B> {
        Self::poll(self)
    }

    fn takes(&self, conn: ConnId) -> bool {
        Self::takes(self, conn)
    }

    fn takes_shipments(&self) -> bool {
        Self::takes_shipments(self)
    }
}
