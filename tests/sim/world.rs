//! Shards, their network and the participants of a run.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::mpsc;

use clock::Duration;
use mrf_tests::peer::Peer;
use reactor::sim::{ClientId, SimBackend, SimNet, SimShard, SimSocket};
use reactor::{Control, ControlSender, Driver, DriverConfig, Mailbox, ShardLinks};
use switch::{
    Command, ContextKey, Event, Limits, Order, SessionConfig, SessionKey, Shard, ShardConfig,
    ShardIndex,
};

type SimDriver = Driver<SimBackend, Shard<Rc<[u8]>>>;

/// A xorshift generator: the run's own choices, apart from the network's.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `bound`.
    pub(crate) fn roll(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).expect("below a usize")
    }

    pub(crate) fn octets(&mut self, count: usize) -> Vec<u8> {
        // Mostly hyphens and line ends: what a body would look like that is after the end-lines.
        (0..count).map(|_| b"-\r\n-a$+"[self.roll(7)]).collect()
    }
}

/// A participant and what it did.
pub(crate) struct Participant {
    pub(crate) key: SessionKey,
    pub(crate) context: ContextKey,
    pub(crate) shard: usize,
    pub(crate) client: ClientId,
    pub(crate) peer: Peer,
    pub(crate) is_present: bool,
    /// Octets that wait to be sent, in order.
    pub(crate) outbox: Vec<u8>,
}

/// One run.
pub(crate) struct World {
    pub(crate) net: SimNet,
    shards: Vec<SimDriver>,
    mailboxes: Vec<ControlSender<SimSocket>>,
    events: mpsc::Receiver<Event>,
    pub(crate) log: RefCell<Vec<Event>>,
    pub(crate) people: BTreeMap<u32, Participant>,
    token: u64,
}

impl World {
    pub(crate) fn new(seed: u64, shard_count: u8) -> Self {
        Self::with(seed, shard_count, SimNet::new(seed), Limits::default())
    }

    pub(crate) fn with(seed: u64, shard_count: u8, net: SimNet, limits: Limits) -> Self {
        let (sender, events) = mpsc::channel();
        let mailboxes: Vec<Mailbox<SimSocket>> =
            (0..shard_count).map(|_| Mailbox::without_waker()).collect();
        let senders = mailboxes.iter().map(Mailbox::sender).collect();
        let links = ShardLinks::new(&mailboxes);
        let shards = mailboxes
            .into_iter()
            .zip(0..)
            .map(|(mailbox, index)| {
                let config = ShardConfig {
                    index: ShardIndex(index),
                    shards: shard_count,
                    limits,
                    seed: [u8::try_from(seed % 251).expect("below 251"); 32],
                };
                let sender = sender.clone();
                let sink = Box::new(move |event| _ = sender.send(event));
                let driver = DriverConfig::new(mailbox, links.clone(), sink);
                Driver::new(net.backend(&[listener(index)]), Shard::new(config), driver)
            })
            .collect();
        Self {
            net,
            shards,
            mailboxes: senders,
            events,
            log: RefCell::default(),
            people: BTreeMap::new(),
            token: 0,
        }
    }

    /// Runs until the network is quiet, letting every participant read and answer.
    pub(crate) fn settle(&mut self) {
        loop {
            let mut shards: Vec<&mut dyn SimShard> = self
                .shards
                .iter_mut()
                .map(|s| s as &mut dyn SimShard)
                .collect();
            self.net.run_until_idle(&mut shards);
            self.log.borrow_mut().extend(self.events.try_iter());
            if !self.let_people_read() {
                return;
            }
        }
    }

    /// Runs for a while only, so that things happen in the middle of others.
    pub(crate) fn run_for(&mut self, duration: Duration) {
        let mut shards: Vec<&mut dyn SimShard> = self
            .shards
            .iter_mut()
            .map(|s| s as &mut dyn SimShard)
            .collect();
        self.net.advance(&mut shards, duration);
        self.log.borrow_mut().extend(self.events.try_iter());
        self.let_people_read();
    }

    fn let_people_read(&mut self) -> bool {
        let mut is_busy = false;
        for person in self.people.values_mut() {
            let octets = self.net.received(person.client);
            is_busy |= !octets.is_empty();
            let answers = person.peer.receive(&octets);
            // Answers must not fall into the middle of a request going out.
            if person.outbox.is_empty() {
                self.net.send(person.client, &answers);
            } else {
                person.outbox.extend_from_slice(&answers);
            }
        }
        is_busy
    }

    pub(crate) fn order(&mut self, shard: usize, order: Order) {
        self.token += 1;
        let command = Command {
            token: self.token,
            order,
        };
        self.mailboxes[shard]
            .send(Control::Command(command))
            .expect("room in the mailbox");
    }

    /// Installs a session and lets its participant connect, perhaps to the wrong shard.
    pub(crate) fn join(&mut self, number: u32, context: u32, shard: usize, through: usize) {
        let shard_index = ShardIndex(u8::try_from(shard).expect("few shards"));
        let id = switch::session_id(shard_index, u128::from(number) * 0x1234_5678_9abc_def1);
        let id_text = String::from_utf8(id.to_vec()).expect("letters and digits");
        let local = format!("msrp://192.0.2.1:2855/{id_text};tcp");
        let remote = format!("msrp://192.0.2.9:7000/peer{number};tcp");
        let key = SessionKey {
            termination: number,
            stream: 1,
        };
        let config = SessionConfig {
            remote_path: Some(remote.clone().into_bytes().into()),
            ..SessionConfig::new(local.clone().into_bytes(), &*id)
        };
        let context = ContextKey(context);
        let config = Box::new(config);
        self.order(
            shard,
            Order::Install {
                session: key,
                context,
                config,
            },
        );
        self.settle();
        let client = self
            .net
            .connect(listener(u8::try_from(through).expect("few shards")));
        let peer = Peer::new(remote, local);
        let binding = peer.binding(&format!("bind{number}"));
        self.net.send(client, &binding);
        let outbox = Vec::new();
        let person = Participant {
            key,
            context,
            shard,
            client,
            peer,
            is_present: true,
            outbox,
        };
        self.people.insert(number, person);
        self.settle();
        let answer = self.people[&number]
            .peer
            .answers
            .get(&format!("bind{number}"))
            .cloned();
        assert_eq!(
            answer.as_deref(),
            Some("200 OK"),
            "participant {number} is bound"
        );
    }

    pub(crate) fn leave(&mut self, number: u32) {
        let person = self.people.get_mut(&number).expect("a participant");
        person.is_present = false;
        let (shard, session) = (person.shard, person.key);
        self.order(shard, Order::Remove { session });
    }

    /// Sends up to `count` octets of a participant's outbox.
    pub(crate) fn send_some(&mut self, number: u32, count: usize) {
        let person = self.people.get_mut(&number).expect("a participant");
        let count = count.min(person.outbox.len());
        let octets: Vec<u8> = person.outbox.drain(..count).collect();
        self.net.send(person.client, &octets);
    }

    pub(crate) fn shard(&self, index: usize) -> &Shard<Rc<[u8]>> {
        self.shards[index].logic()
    }

    pub(crate) fn shard_count(&self) -> usize {
        self.shards.len()
    }
}

fn listener(shard: u8) -> SocketAddr {
    // One address per shard: the test chooses which shard accepts.
    SocketAddr::from(([192, 0, 2, 1], 2855 + u16::from(shard)))
}
