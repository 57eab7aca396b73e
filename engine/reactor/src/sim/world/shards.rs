//! What shards do, and what they are told.

use core::net::SocketAddr;
use std::io;

use switch::{Batch, ConnId, ConnectId};

use super::{Completion, Done, EndId, Listener, Octets, Owner, Phase, Shard, What, World};

impl World {
    pub(in crate::sim) fn add_shard(&mut self, listen: &[SocketAddr]) -> usize {
        let shard = self.shards.len();
        self.shards.push(Shard::default());
        for &addr in listen {
            let listener = self.listeners.entry(addr);
            match listener.or_insert_with(|| Listener::Shards(Vec::new())) {
                Listener::Shards(shards) => shards.push(shard),
                Listener::Client(_) => panic!("a client listens on {addr}"),
            }
        }
        shard
    }

    pub(in crate::sim) fn remove_shard(&mut self, shard: usize) {
        for listener in self.listeners.values_mut() {
            if let Listener::Shards(shards) = listener {
                shards.retain(|&one| one != shard);
            }
        }
        let conns = core::mem::take(&mut self.shards[shard].conns);
        for (_, end) in conns.into_values() {
            self.reset_from(end);
        }
        for completion in core::mem::take(&mut self.shards[shard].done) {
            match completion {
                Completion::Accepted { socket, .. }
                | Completion::Connected { socket, .. }
                | Completion::Detached { socket, .. } => self.reset_from(socket),
                Completion::ConnectFailed { .. }
                | Completion::Received { .. }
                | Completion::Ended { .. }
                | Completion::Progressed { .. }
                | Completion::Sent { .. }
                | Completion::Closed { .. }
                | Completion::Woken => {}
            }
        }
    }

    pub(in crate::sim) fn has_completions(&self, shard: usize) -> bool {
        !self.shards[shard].done.is_empty()
    }

    pub(in crate::sim) fn take_completions(&mut self, shard: usize) -> Vec<Done> {
        core::mem::take(&mut self.shards[shard].done)
    }

    fn shard_end(&self, shard: usize, conn: ConnId) -> Option<EndId> {
        let &(id, end) = self.shards[shard].conns.get(&conn.index)?;
        (id == conn).then_some(end)
    }

    pub(in crate::sim) fn shard_connect(
        &mut self,
        shard: usize,
        request: ConnectId,
        to: SocketAddr,
    ) {
        let at = self.now + self.delay();
        self.schedule(at, What::Connect { shard, request, to });
    }

    pub(in crate::sim) fn shard_attach(&mut self, shard: usize, conn: ConnId, id: EndId) {
        self.shards[shard].conns.insert(conn.index, (conn, id));
        let end = self.end(id);
        end.owner = Owner::Shard(shard, conn);
        end.phase = Phase::Open;
        end.is_reading = true;
        end.is_fin_seen = false;
        if end.is_reset {
            self.forget(id, Some(io::ErrorKind::ConnectionReset));
        } else {
            self.read_soon(id);
        }
    }

    pub(in crate::sim) fn shard_send(&mut self, shard: usize, conn: ConnId, batch: Batch<Octets>) {
        let Some(id) = self.shard_end(shard, conn) else {
            return;
        };
        let end = self.end(id);
        assert!(end.batch.is_none(), "one batch at a time");
        batch.slices().for_each(|slice| end.outgoing.extend(slice));
        end.batch = Some(batch);
        self.pump(id);
    }

    pub(in crate::sim) fn shard_set_reading(
        &mut self,
        shard: usize,
        conn: ConnId,
        is_reading: bool,
    ) {
        if let Some(id) = self.shard_end(shard, conn) {
            self.end(id).is_reading = is_reading;
            self.read_soon(id);
        }
    }

    /// Begins no further reads for a shard (`true`), or does again.
    pub(in crate::sim) fn shard_hold(&mut self, shard: usize, is_held: bool) {
        if core::mem::replace(&mut self.shards[shard].is_held, is_held) && !is_held {
            let conns: Vec<_> = self.shards[shard].conns.values().copied().collect();
            conns.into_iter().for_each(|(_, end)| self.read_soon(end));
        }
    }

    pub(in crate::sim) fn shard_close(&mut self, shard: usize, conn: ConnId) {
        if let Some(id) = self.shard_end(shard, conn) {
            let end = self.end(id);
            end.phase = Phase::Closing;
            end.wants_fin = true;
            self.pump(id);
        }
    }

    pub(in crate::sim) fn shard_detach(&mut self, shard: usize, conn: ConnId) {
        if let Some(id) = self.shard_end(shard, conn) {
            self.end(id).phase = Phase::Detaching;
            self.pump(id);
        }
    }

    pub(in crate::sim) fn shard_abort(&mut self, shard: usize, conn: ConnId) {
        if let Some(id) = self.shard_end(shard, conn) {
            self.forget(id, Some(io::ErrorKind::TimedOut));
            self.reset_from(id);
        }
    }

    /// Reports the end of a shard's connection.
    pub(super) fn forget(&mut self, id: EndId, error: Option<io::ErrorKind>) {
        let end = self.end(id);
        if let Owner::Shard(shard, conn) = end.owner {
            end.owner = match error {
                None => Owner::Closed,
                Some(_) => Owner::Gone,
            };
            end.batch = None;
            let shard = &mut self.shards[shard];
            shard.conns.remove(&conn.index);
            shard.done.push(Completion::Closed { conn, error });
        }
    }

    /// What is due when everything a shard's end had to send has left.
    pub(super) fn settle(&mut self, id: EndId) {
        let end = self.end(id);
        let Owner::Shard(shard, conn) = end.owner else {
            return;
        };
        let phase = end.phase;
        if let Some(batch) = end.batch.take() {
            let sent = Completion::Sent { conn, batch };
            self.shards[shard].done.push(sent);
        }
        match phase {
            Phase::Open => {}
            Phase::Closing => self.forget(id, None),
            Phase::Detaching => {
                self.end(id).owner = Owner::Loose;
                let shard = &mut self.shards[shard];
                shard.conns.remove(&conn.index);
                shard.done.push(Completion::Detached { conn, socket: id });
            }
        }
    }
}
