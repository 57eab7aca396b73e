//! The suite's verbs over the simulation.

use core::net::SocketAddr;
use core::time::Duration;
use std::rc::Rc;

use crossbeam::channel::{Receiver, unbounded};
use reactor::sim::{ClientId, Faults, SimBackend, SimNet, SimShard, SimSocket};
use reactor::{Control, ControlSender, Driver, DriverConfig, Mailbox, ShardLinks};
use switch::{Command, Event};

use crate::hub::{Hub, Mode};
use crate::rig::{Rig, connect_order};

/// The simulation, with faults drawn from a seed.
pub(crate) struct SimRig {
    pub(crate) net: SimNet,
    shards: Vec<Driver<SimBackend, Hub<Rc<[u8]>>>>,
    controls: Vec<ControlSender<SimSocket>>,
    events: Vec<Receiver<Event>>,
}

impl SimRig {
    pub(crate) fn with_net(net: SimNet, modes: &[Mode], connections_max: usize) -> Self {
        let mailboxes: Vec<_> = modes.iter().map(|_| Mailbox::without_waker()).collect();
        let links = ShardLinks::new(&mailboxes);
        let mut rig = Self {
            net,
            shards: Vec::new(),
            controls: Vec::new(),
            events: Vec::new(),
        };
        for ((index, &mode), mailbox) in (0..).zip(modes).zip(mailboxes) {
            let (sink, source) = unbounded();
            rig.controls.push(mailbox.sender());
            let sink = Box::new(move |event| sink.send(event).unwrap_or(()));
            let mut config = DriverConfig::new(mailbox, links.clone(), sink);
            config.connections_max = connections_max;
            let backend = rig.net.backend(&[addr(index)]);
            rig.shards
                .push(Driver::new(backend, Hub::new(mode), config));
            rig.events.push(source);
        }
        rig
    }

    fn run(&mut self) {
        self.net.run_until_idle(&mut as_dyn(&mut self.shards));
    }

    pub(crate) fn advance(&mut self, duration: Duration) {
        self.net.advance(&mut as_dyn(&mut self.shards), duration);
    }

    /// All that a client received.
    pub(crate) fn drain(&mut self, client: &mut SimClient) -> Vec<u8> {
        self.run();
        client.unread.extend(self.net.received(client.id));
        core::mem::take(&mut client.unread)
    }
}

fn as_dyn(shards: &mut [Driver<SimBackend, Hub<Rc<[u8]>>>]) -> Vec<&mut dyn SimShard> {
    let mut all: Vec<&mut dyn SimShard> = Vec::new();
    for shard in shards {
        all.push(shard);
    }
    all
}

fn addr(shard: usize) -> SocketAddr {
    let last = u8::try_from(shard + 1).unwrap();
    SocketAddr::from(([192, 0, 2, last], 2855))
}

/// A simulated client and what it has not looked at yet.
pub(crate) struct SimClient {
    id: ClientId,
    unread: Vec<u8>,
}

impl Rig for SimRig {
    type Client = SimClient;
    const RECEIVERS: usize = 10;
    const BACKLOG_MIB: u64 = 3;

    fn unavailable() -> Option<String> {
        None
    }

    fn start(modes: &[Mode], connections_max: usize) -> Self {
        // Any seed will do; the seeds as such are tried in `sim.rs`.
        let faults = Faults {
            has_short_reads: true,
            has_short_writes: true,
            delay_max: Duration::from_micros(200),
            ..Faults::default()
        };
        Self::with_net(SimNet::with_faults(1, faults), modes, connections_max)
    }

    fn connect(&mut self, shard: usize) -> SimClient {
        let id = self.net.connect(addr(shard));
        self.run();
        let unread = Vec::new();
        SimClient { id, unread }
    }

    fn connect_refused(&mut self, shard: usize) {
        let mut client = self.connect(shard);
        self.receive_end(&mut client);
    }

    fn send(&mut self, client: &mut SimClient, octets: &[u8]) {
        self.net.send(client.id, octets);
        self.run();
    }

    fn receive(&mut self, client: &mut SimClient, count: usize) -> Vec<u8> {
        self.run();
        client.unread.extend(self.net.received(client.id));
        assert!(
            client.unread.len() >= count,
            "{} of {count}",
            client.unread.len()
        );
        client.unread.drain(..count).collect()
    }

    fn receive_end(&mut self, client: &mut SimClient) {
        self.run();
        client.unread.extend(self.net.received(client.id));
        assert_eq!(client.unread, b"");
        assert!(self.net.is_ended(client.id) || self.net.is_reset(client.id));
    }

    fn shutdown(&mut self, client: &mut SimClient) {
        self.net.shutdown(client.id);
    }

    fn reset(&mut self, client: SimClient) {
        self.net.reset(client.id);
    }

    fn stall(&mut self, client: &SimClient) {
        self.net.set_reading(client.id, false);
    }

    fn unstall(&mut self, client: &SimClient) {
        self.net.set_reading(client.id, true);
    }

    fn order(&mut self, shard: usize, command: Command) {
        self.controls[shard]
            .send(Control::Command(command))
            .unwrap();
    }

    fn event(&mut self, shard: usize) -> Event {
        self.run();
        self.events[shard].try_recv().unwrap()
    }

    fn free_addr(&mut self) -> SocketAddr {
        SocketAddr::from(([198, 51, 100, 1], 9))
    }

    fn accept_from(&mut self, shard: usize) -> SimClient {
        let to = SocketAddr::from(([198, 51, 100, 2], 2855));
        self.net.listen(to);
        self.order(shard, connect_order(1, to));
        self.run();
        let [id] = self.net.accepted(to)[..] else {
            panic!("one connection was expected");
        };
        let unread = Vec::new();
        SimClient { id, unread }
    }

    fn stop(mut self) {
        self.shards.clear();
        self.net.run_until_idle(&mut []);
    }
}
