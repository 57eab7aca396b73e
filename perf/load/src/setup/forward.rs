//! Sessions through the bare forwarder of [`crate::forwarder`].

use core::net::SocketAddr;

use super::{Keeper, Leg, Sessions, Target, plain_and_steady};
use crate::forwarder::group_path;
use crate::plan::Plan;
use crate::reader::own_path;
use crate::sender::frame_bytes;

/// What participants say they listen on; nobody connects to them.
const ADDRESS: &str = "127.0.0.1:9";

/// Checks that a forwarder can carry the plan out.
///
/// # Errors
///
/// Says what it does not do.
pub fn check(plan: &Plan) -> anyhow::Result<()> {
    plain_and_steady(plan, "the forwarder")
}

/// Sessions through the forwarder at `forwarder`.
///
/// # Errors
///
/// When the plan asks for what a forwarder does not do.
pub fn sessions(forwarder: SocketAddr, target: Target, plan: &Plan) -> anyhow::Result<Sessions> {
    check(plan)?;
    let legs = (0..plan.participant_count()).map(|number| {
        let own = own_path(plan.transport, ADDRESS, number);
        let conference = number / plan.participants;
        // With one sender octets may go on as they come; with several, frames must not be mixed.
        let blank = group_path(forwarder, conference, 0);
        let unit = if plan.senders > 1 {
            frame_bytes(blank.as_bytes(), own.as_bytes(), plan)
        } else {
            0
        };
        Leg {
            peer: group_path(forwarder, conference, unit),
            own,
            connect: Some(forwarder),
            socket: None,
            fingerprint: None,
        }
    });
    Ok(Sessions {
        via: "forward",
        legs: legs.collect(),
        listeners: Vec::new(),
        is_binding: true,
        keeper: Keeper::None,
        target,
    })
}
