//! Shards, their network and the participants of a run.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, mpsc};

use clock::Duration;
use mrf_tests::peer::{Peer, take_frame};
use reactor::sim::{ClientId, Faults, SimBackend, SimNet, SimShard, SimSocket};
use reactor::{Control, ControlSender, Driver, DriverConfig, Mailbox, ShardLinks};
use switch::{
    Command, ContextKey, Event, Limits, Order, SessionConfig, SessionKey, Shard, ShardConfig,
    ShardIndex, Terms,
};

type SimDriver = Driver<SimBackend, Shard<Rc<[u8]>>>;

/// A network that neither cuts nor breaks anything, and that a recipient who does not read fills soon.
pub(crate) const QUIET: Faults = Faults {
    has_short_reads: false,
    has_short_writes: false,
    delay_max: Duration::from_micros(100),
    window_bytes: 4_000,
    resets_per_million: 0,
};

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
    pub(crate) config: SessionConfig,
    pub(crate) client: ClientId,
    pub(crate) peer: Peer,
    pub(crate) is_present: bool,
    /// It was in another conference before.
    pub(crate) has_moved: bool,
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
    /// Connections that several participants share, with what is not a whole frame yet.
    relays: BTreeMap<ClientId, Vec<u8>>,
    /// Of whoever joins.
    pub(crate) terms: Arc<Terms>,
    /// Participants of a conference are on several shards.
    pub(crate) is_spread: bool,
    /// The shards that know a context.
    spans: BTreeMap<ContextKey, BTreeSet<usize>>,
    /// The shards where contexts are at home, where that is not shard 0.
    homes: BTreeMap<ContextKey, u8>,
    limits: Limits,
    seed: u64,
    links: ShardLinks<SimSocket>,
    lives: Vec<u32>,
    sender: mpsc::Sender<Event>,
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
        let mut world = Self {
            net,
            shards: Vec::new(),
            mailboxes: senders,
            events,
            log: RefCell::default(),
            people: BTreeMap::new(),
            relays: BTreeMap::new(),
            terms: Arc::default(),
            is_spread: false,
            spans: BTreeMap::new(),
            homes: BTreeMap::new(),
            limits,
            seed,
            links,
            lives: vec![0; usize::from(shard_count)],
            sender,
            token: 0,
        };
        for (mailbox, index) in mailboxes.into_iter().zip(0..) {
            let shard = world.driver(mailbox, index);
            world.shards.push(shard);
        }
        world
    }

    fn driver(&self, mailbox: Mailbox<SimSocket>, index: u8) -> SimDriver {
        let config = ShardConfig {
            index: ShardIndex(index),
            shards: u8::try_from(self.lives.len()).expect("few shards"),
            life: self.lives[usize::from(index)],
            limits: self.limits,
            seed: [u8::try_from(self.seed % 251).expect("below 251"); 32],
        };
        let sender = self.sender.clone();
        let sink = Box::new(move |event| _ = sender.send(event));
        let driver = DriverConfig::new(mailbox, self.links.clone(), sink);
        let backend = self.net.backend(&[listener(index)]);
        Driver::new(backend, Shard::new(config), driver)
    }

    /// A shard dies, at once and with all that it carries; another one takes its place, with nothing on
    /// it. The others are told.
    pub(crate) fn kill(&mut self, shard: usize) {
        let index = u8::try_from(shard).expect("few shards");
        self.lives[shard] += 1;
        let mailbox = self.mailboxes[shard].renew();
        self.shards[shard] = self.driver(mailbox, index);
        for person in self.people.values_mut().filter(|p| p.shard == shard) {
            person.is_present = false;
        }
        self.spans
            .values_mut()
            .for_each(|span| _ = span.remove(&shard));
        let order = Order::ShardLost {
            shard: ShardIndex(index),
            life: self.lives[shard],
        };
        for other in (0..self.shards.len()).filter(|s| *s != shard) {
            self.order(other, order.clone());
        }
        for (context, span) in self.spans.clone() {
            let home = span
                .first()
                .copied()
                .filter(|_| self.home_of(context) == index);
            let Some(home) = home.map(|home| ShardIndex(u8::try_from(home).expect("few shards")))
            else {
                continue;
            };
            self.homes.insert(context, home.0);
            for other in span {
                self.order(other, Order::Rehome { context, home });
            }
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
            if self.relays.contains_key(&person.client) {
                continue;
            }
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
        for (client, buffer) in &mut self.relays {
            let octets = self.net.received(*client);
            is_busy |= !octets.is_empty();
            buffer.extend_from_slice(&octets);
            while let Some((frame, octets)) = take_frame(buffer) {
                let to = frame.field("To-Path");
                let mut people = self.people.values_mut();
                let person = people.find(|p| p.client == *client && p.peer.path == to);
                let person = person.expect("a session of the connection");
                let answers = person.peer.receive(&octets);
                let mut people = self.people.values_mut();
                match people.find(|p| p.client == *client && !p.outbox.is_empty()) {
                    Some(busy) => busy.outbox.extend_from_slice(&answers),
                    None => self.net.send(*client, &answers),
                }
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
        let listener = listener(u8::try_from(through).expect("few shards"));
        self.join_by(number, context, shard, |world| world.net.connect(listener));
    }

    /// The same over the connection of another participant, as a relay has its clients' sessions.
    pub(crate) fn join_with(&mut self, number: u32, context: u32, shard: usize, other: u32) {
        let client = self.people[&other].client;
        self.relays.entry(client).or_default();
        self.join_by(number, context, shard, |_| client);
    }

    fn join_by(
        &mut self,
        number: u32,
        context: u32,
        shard: usize,
        connect: impl FnOnce(&mut Self) -> ClientId,
    ) {
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
            user: Some(format!("sip:user{number}@example.com").into()),
            terms: Arc::clone(&self.terms),
            ..SessionConfig::new(local.clone().into_bytes(), &*id)
        };
        let context = ContextKey(context);
        self.reach(context, shard);
        let order = Order::Install {
            session: key,
            context,
            config: Box::new(config.clone()),
        };
        self.order(shard, order);
        let others = self.spans[&context].iter().filter(|s| **s != shard);
        for other in others.copied().collect::<Vec<_>>() {
            self.announce(other, key, context, (shard, &config));
        }
        self.settle();
        let client = connect(self);
        let peer = Peer::new(remote, local);
        let binding = peer.binding(&format!("bind{number}"));
        self.net.send(client, &binding);
        let outbox = Vec::new();
        let person = Participant {
            key,
            context,
            shard,
            config,
            client,
            peer,
            is_present: true,
            has_moved: false,
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
        let (context, session) = (person.context, person.key);
        for shard in self.spans[&context].clone() {
            self.order(shard, Order::Remove { session });
        }
    }

    /// Takes a participant to another context; its session stays on its shard.
    pub(crate) fn move_to(&mut self, number: u32, context: u32) {
        let to = ContextKey(context);
        let person = &self.people[&number];
        let (session, from, shard) = (person.key, person.context, person.shard);
        let config = person.config.clone();
        self.reach(to, shard);
        let (old, new) = (self.spans[&from].clone(), self.spans[&to].clone());
        for at in old.union(&new).copied() {
            let context = to;
            match (old.contains(&at), new.contains(&at)) {
                (true, true) => self.order(at, Order::Move { session, context }),
                (true, false) => self.order(at, Order::Remove { session }),
                (false, _) => self.announce(at, session, context, (shard, &config)),
            }
        }
        self.people
            .get_mut(&number)
            .expect("looked up above")
            .context = to;
    }

    /// Makes a context known to a shard.
    fn reach(&mut self, context: ContextKey, shard: usize) {
        if !self.spans.entry(context).or_default().insert(shard) {
            return;
        }
        let people = self.people.values();
        let people = people.filter(|p| p.is_present && p.context == context);
        let known: Vec<_> = people.map(|p| (p.key, p.shard, p.config.clone())).collect();
        for (key, at, config) in known {
            self.announce(shard, key, context, (at, &config));
        }
    }

    fn announce(
        &mut self,
        to: usize,
        session: SessionKey,
        context: ContextKey,
        (shard, config): (usize, &SessionConfig),
    ) {
        let order = Order::Announce {
            session,
            context,
            shard: ShardIndex(u8::try_from(shard).expect("few shards")),
            home: ShardIndex(self.home_of(context)),
            config: Box::new(config.clone()),
        };
        self.order(to, order);
    }

    fn home_of(&self, context: ContextKey) -> u8 {
        self.homes.get(&context).copied().unwrap_or(0)
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

    /// How many sessions, and doubles of sessions, all shards should have.
    pub(crate) fn known_sessions(&self) -> usize {
        let present = self.people.values().filter(|p| p.is_present);
        present.map(|p| self.spans[&p.context].len()).sum()
    }

    pub(crate) fn shard_count(&self) -> usize {
        self.shards.len()
    }
}

fn listener(shard: u8) -> SocketAddr {
    // One address per shard: the test chooses which shard accepts.
    SocketAddr::from(([192, 0, 2, 1], 2855 + u16::from(shard)))
}
