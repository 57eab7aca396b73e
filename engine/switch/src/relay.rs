//! Frames for sessions of other shards, on their way there: what is received of a trunk (see `trunk`).

use msrp::{Flag, Head};

use crate::api::{ConnId, LossCause, Octets, ShardIndex};
use crate::ident::owner_of;
use crate::limits::STRAYS_MAX;
use crate::refusal::Refusal;
use crate::shard::Shard;
use crate::shipment::BranchName;

/// A frame on its way to another shard.
#[derive(Debug)]
pub(crate) struct Relay {
    pub to: ShardIndex,
    pub serial: u32,
    tid: Box<[u8]>,
    /// Some of its body went there.
    has_octets: bool,
}

impl<B: Octets> Shard<B> {
    /// The other shard that has the session of the To-Path: as far as we know, or as its session-id says.
    pub(crate) fn foreign_owner(&self, head: &Head<'_>) -> Option<ShardIndex> {
        if head.fault.is_some() {
            return None;
        }
        self.foreign_owner_of(sole(head.to_uris())?)
    }

    fn foreign_owner_of(&self, uri: &[u8]) -> Option<ShardIndex> {
        let id = msrp::session_id_of(uri)?;
        if let Some(known) = self.sessions.of_id(id) {
            return self.sessions[known.index as usize].elsewhere();
        }
        owner_of(id).filter(|o| *o != self.config.index && o.0 < self.config.shards)
    }

    /// A request for a session that is not here: it goes to the shard that has it.
    #[cold]
    pub(crate) fn relay_request(&mut self, conn: ConnId, head: &Head<'_>) -> Result<(), Refusal> {
        let owner = self.foreign_owner(head).filter(|_| !conn.is_branch());
        let to = owner.ok_or(Refusal::UnknownSession)?;
        if !self.lane_takes(to) {
            return Err(Refusal::ShardStuck);
        }
        // While no session there uses the connection nobody there can judge how many are for none.
        let is_tenant = self.trunk(conn).is_some_and(|t| t.is_occupied_by(to));
        if !is_tenant && !self.may_stray(conn) {
            return Err(Refusal::UnknownSession);
        }
        self.graft(conn, to);
        self.begin_relay(conn, to, head);
        Ok(())
    }

    /// Counts a request that may be for no session; whether another one may follow.
    fn may_stray(&mut self, conn: ConnId) -> bool {
        let connection = self.connection(conn);
        connection.is_some_and(|c| {
            c.strays = c.strays.saturating_add(1);
            c.strays < STRAYS_MAX
        })
    }

    /// Whether a response or REPORT is about what a session on another shard sent, which gets it.
    /// Responses are looked at on both sides: some peers do not swap the paths (TS 24.247 A.5).
    pub(crate) fn relay_answer(&mut self, conn: ConnId, head: &Head<'_>) -> bool {
        let Some(trunk) = self.trunk(conn) else {
            return false;
        };
        if trunk.grafts.is_empty() || head.fault.is_some() {
            return false;
        }
        for uri in [sole(head.to_uris()), sole(head.from_uris())] {
            let Some(uri) = uri else { continue };
            let id = msrp::session_id_of(uri);
            let known = id.and_then(|id| self.sessions.of_id(id));
            if known.is_some_and(|s| self.sessions[s.index as usize].elsewhere().is_none()) {
                return false;
            }
            let Some(to) = self.foreign_owner_of(uri) else {
                continue;
            };
            if self.trunk(conn).is_some_and(|trunk| trunk.has_branch(to)) {
                self.begin_relay(conn, to, head);
                return true;
            }
        }
        false
    }

    fn begin_relay(&mut self, conn: ConnId, to: ShardIndex, head: &Head<'_>) {
        let Some(trunk) = self.trunk(conn) else {
            return;
        };
        let Some(graft) = trunk.grafts.iter().find(|graft| graft.to == to) else {
            return;
        };
        trunk.relay = Some(Relay {
            to,
            serial: graft.serial,
            tid: head.transaction_id.into(),
            has_octets: false,
        });
        let blank: &[u8] = if head.has_body { b"\r\n" } else { b"" };
        self.feed(conn, [head.text(), blank]);
    }

    /// Some of the body of a frame that is not for this shard, perhaps.
    #[cold]
    pub(crate) fn relay_body(&mut self, conn: ConnId, octets: &[u8]) {
        let relay = self.trunk(conn).and_then(|trunk| trunk.relay.as_mut());
        if let Some(relay) = relay.filter(|_| !octets.is_empty()) {
            relay.has_octets = true;
            self.feed(conn, [octets, &[]]);
        }
    }

    /// The end of a frame that is not for this shard, perhaps.
    #[cold]
    pub(crate) fn relay_end(&mut self, conn: ConnId, flag: Flag) {
        let Some(relay) = self.trunk(conn).and_then(|trunk| trunk.relay.as_ref()) else {
            return;
        };
        let mut text = Vec::with_capacity(msrp::limits::END_LINE_BYTES_MAX);
        if relay.has_octets {
            msrp::write::body_end_line(&mut text, &relay.tid, flag);
        } else {
            msrp::write::end_line(&mut text, &relay.tid, flag);
        }
        self.feed(conn, [&text, &[]]);
        if let Some(trunk) = self.trunk(conn) {
            trunk.relay = None;
        }
    }

    /// More of the frame that goes to another shard.
    fn feed(&mut self, conn: ConnId, parts: [&[u8]; 2]) {
        let Some(relay) = self.trunk(conn).and_then(|trunk| trunk.relay.as_ref()) else {
            return;
        };
        let (to, serial) = (relay.to, relay.serial);
        let name = BranchName {
            trunk: conn,
            serial,
        };
        self.relayed_bytes += parts[0].len() + parts[1].len();
        if self.lane_goes_on(to) {
            self.ship_feed(to, conn, name, parts);
        } else {
            // The rest of the frame would have a gap.
            tracing::warn!(
                shard = to.0,
                "another shard takes nothing: its sessions leave"
            );
            self.sever(conn, (to, serial), LossCause::Closed);
        }
    }
}

/// The URI of a path that has one.
fn sole<'a>(mut uris: impl Iterator<Item = &'a [u8]>) -> Option<&'a [u8]> {
    let uri = uris.next()?;
    uris.next().is_none().then_some(uri)
}
