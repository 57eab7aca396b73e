//! What clients do.

use core::net::SocketAddr;

use super::{Client, ClientId, EndId, Listener, Owner, What, World};

impl World {
    pub(in crate::sim) fn client_connect(&mut self, to: SocketAddr) -> ClientId {
        let client = ClientId(self.clients.len());
        let addrs = [self.client_addr(), to];
        let link = self.add_link([Owner::Client(client), Owner::Loose], addrs);
        let near = EndId { link, side: 0 };
        self.clients.push(Client {
            end: near,
            received: Vec::new(),
        });
        let end = near.other();
        self.transport(near, What::Accept { end, to });
        client
    }

    pub(in crate::sim) fn client_listen(&mut self, addr: SocketAddr) {
        self.listeners.insert(addr, Listener::Client(Vec::new()));
    }

    pub(in crate::sim) fn client_accepted(&mut self, addr: SocketAddr) -> Vec<ClientId> {
        match self.listeners.get_mut(&addr) {
            Some(Listener::Client(clients)) => core::mem::take(clients),
            Some(Listener::Shards(_)) | None => Vec::new(),
        }
    }

    pub(in crate::sim) fn client_send(&mut self, client: ClientId, octets: &[u8]) {
        let id = self.clients[client.0].end;
        let end = self.end(id);
        if !end.wants_fin && !end.is_reset {
            end.outgoing.extend(octets);
            self.pump(id);
        }
    }

    pub(in crate::sim) fn client_received(&mut self, client: ClientId) -> Vec<u8> {
        core::mem::take(&mut self.clients[client.0].received)
    }

    pub(in crate::sim) fn client_set_reading(&mut self, client: ClientId, is_reading: bool) {
        let id = self.clients[client.0].end;
        self.end(id).is_reading = is_reading;
        self.client_read(client);
    }

    pub(in crate::sim) fn client_shutdown(&mut self, client: ClientId) {
        let id = self.clients[client.0].end;
        self.end(id).wants_fin = true;
        self.pump(id);
    }

    pub(in crate::sim) fn client_close(&mut self, client: ClientId) {
        self.client_shutdown(client);
        let id = self.clients[client.0].end;
        self.end(id).owner = Owner::Gone;
    }

    pub(in crate::sim) fn client_reset(&mut self, client: ClientId) {
        let id = self.clients[client.0].end;
        self.reset_from(id);
    }

    pub(in crate::sim) fn client_is_ended(&self, client: ClientId) -> bool {
        let EndId { link, side } = self.clients[client.0].end;
        let end = &self.links[link][side];
        end.is_fin_arrived && end.arrived.is_empty()
    }

    pub(in crate::sim) fn client_is_reset(&self, client: ClientId) -> bool {
        let EndId { link, side } = self.clients[client.0].end;
        self.links[link][side].is_reset
    }

    pub(in crate::sim) fn client_read(&mut self, client: ClientId) {
        let id = self.clients[client.0].end;
        let end = self.end(id);
        if !end.is_reading || end.arrived.is_empty() {
            return;
        }
        let octets = core::mem::take(&mut end.arrived);
        self.end(id.other()).in_pipe -= octets.len();
        self.clients[client.0].received.extend(octets);
        self.pump(id.other());
    }
}
