//! The connections that there are: by their channel, by whom they lead to, and how many from where.

use super::Core;
use crate::addr::Transport;
use crate::agent::Flow;
use crate::limits::{ALIASES_MAX, CONNECTIONS_MAX, CONNECTIONS_PER_ADDRESS_MAX, SEND_QUEUE_MAX};
use crate::message::Request;
use crate::stack::Tls;
use crate::stack::connection::{Connection, Link, Origin, Outgoing, Peer, run};
use crate::stack::counters::set;
use crate::stack::tls::Contexts;
use crate::via::Via;
use core::net::SocketAddr;
use core::sync::atomic::Ordering;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tracing::debug;

impl Core {
    /// A peer that a certificate vouches for takes requests to where it listens through the connection
    /// that it opened, if it says so (RFC 5923 5).
    pub(super) fn learn_alias(&mut self, flow: Flow, request: &Request) {
        let via = Via::top(&request.headers).filter(|via| via.has_alias);
        let connection = self.connections.get(&flow.channel);
        let (Some(via), Some(connection)) = (via, connection) else {
            return;
        };
        if flow.transport != Transport::Tls {
            return;
        }
        let port = via.port.unwrap_or(Transport::Tls.default_port());
        for name in connection.names.iter().take(ALIASES_MAX) {
            let peer = Peer {
                transport: Transport::Tls,
                addr: SocketAddr::new(flow.remote.ip(), port),
                name: Some(name.to_ascii_lowercase()),
            };
            self.by_peer.entry(peer).or_insert(flow.channel);
        }
    }

    pub(super) fn handle_accepted(
        &mut self,
        stream: TcpStream,
        addr: SocketAddr,
        transport: Transport,
    ) {
        let ip = addr.ip();
        let is_known = self.sockets.trusted.iter().any(|one| one.is(ip, &[]));
        let of_address = self.by_address.get(&ip).copied().unwrap_or_default();
        if self.connections.len() >= CONNECTIONS_MAX
            || (!is_known && of_address >= CONNECTIONS_PER_ADDRESS_MAX)
        {
            debug!(remote = %addr, "connection refused: too many");
            let refused = &self.sockets.counters.connections_refused;
            refused.fetch_add(1, Ordering::Relaxed);
            return;
        }
        if !is_known {
            *self.by_address.entry(ip).or_default() += 1;
        }
        let peer = Peer {
            transport,
            addr,
            name: None,
        };
        let channel = self.open(Origin::Accepted(stream), peer);
        if let Some(connection) = self.connections.get_mut(&channel) {
            connection.is_counted = !is_known;
        }
    }

    pub(super) fn open(&mut self, origin: Origin, peer: Peer) -> u64 {
        let channel = self.next_channel;
        self.next_channel += 1;
        let (sender, queue) = mpsc::channel(SEND_QUEUE_MAX);
        let link = Link {
            origin,
            peer: peer.clone(),
            channel,
            queue,
            pings: sender.downgrade(),
            inbox: self.inbox.clone(),
            tls: peer.transport.is_secure().then(|| self.tls()).flatten(),
            origins: Arc::clone(&self.sockets.origins),
            trusted: Arc::clone(&self.sockets.trusted),
        };
        self.by_peer.insert(peer.clone(), channel);
        self.connections.insert(
            channel,
            Connection {
                sender,
                peer,
                is_counted: false,
                names: Vec::new(),
            },
        );
        self.count_connections();
        self.streams.spawn(run(link));
        channel
    }

    /// Without a listener that needs them, the authorities are read for the first connection.
    fn tls(&mut self) -> Option<Arc<Contexts>> {
        if self.sockets.tls.is_none() {
            match Tls::open(self.sockets.tls_files.clone(), Vec::new()) {
                Ok(tls) => self.sockets.tls = Some(tls),
                Err(error) => tracing::error!(%error, "no TLS"),
            }
        }
        self.sockets.tls.as_ref().map(Tls::current)
    }

    pub(super) fn enqueue(&mut self, channel: u64, message: Outgoing) {
        let Some(connection) = self.connections.get(&channel) else {
            return self.fail(message.txn);
        };
        if let Err(error) = connection.sender.try_send(message) {
            // A peer that does not read loses its connection, nobody else anything.
            let txn = error.into_inner().txn;
            self.forget(channel);
            self.fail(txn);
        }
    }

    pub(super) fn forget(&mut self, channel: u64) {
        let Some(connection) = self.connections.remove(&channel) else {
            return;
        };
        if self.by_peer.get(&connection.peer) == Some(&channel) {
            self.by_peer.remove(&connection.peer);
        }
        if !connection.names.is_empty() {
            self.by_peer.retain(|_, known| *known != channel);
        }
        if connection.is_counted
            && let Entry::Occupied(mut count) = self.by_address.entry(connection.peer.addr.ip())
        {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
        self.count_connections();
    }

    fn count_connections(&self) {
        let count = u64::try_from(self.connections.len()).unwrap_or(u64::MAX);
        set(&self.sockets.counters.connections, count);
    }
}
