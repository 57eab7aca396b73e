//! The body of a fuzz target: a whole shard on the simulated network, also run as a unit test.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use clock::Duration;
use msrp::{Deframer, Grammar, Item};
use reactor::sim::{ClientId, SimBackend, SimNet, SimShard, SimSocket};
use reactor::{Control, ControlSender, Driver, DriverConfig, Mailbox, ShardLinks};
use switch::{
    Command, ContextKey, Limits, Order, Profile, SessionConfig, SessionKey, Shard, ShardConfig,
    ShardIndex, Terms,
};

/// Sessions of a run.
const PEOPLE: usize = 4;

/// Operations of a run; the rest of an input is ignored.
const OPERATIONS_MAX: usize = 200;

/// Lets participants do what `data` says, one octet after the other: send whole chunks, pieces of
/// chunks, answers and any octets, connect anew, be reset, be moved, changed and removed, while
/// time passes.
///
/// # Panics
///
/// When the shard panics, its tables disagree, or it sends something that is not MSRP by the strict
/// grammar.
pub fn shard(data: &[u8]) {
    let mut data = Data(data);
    let choice = data.octet();
    let mut world = World::new(choice);
    for _ in 0..OPERATIONS_MAX {
        if data.0.is_empty() {
            break;
        }
        world.step(&mut data);
        world.settle();
    }
    for session in 0..PEOPLE {
        world.order(Order::Remove {
            session: key(session),
        });
    }
    world.settle();
    world.advance(Duration::from_secs(600));
    world.settle();
}

/// Choices still to be made; zeros when they are used up.
struct Data<'a>(&'a [u8]);

impl<'a> Data<'a> {
    fn octet(&mut self) -> u8 {
        self.octets(1).first().copied().unwrap_or(0)
    }

    fn octets(&mut self, count: usize) -> &'a [u8] {
        let (octets, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        octets
    }

    fn person(&mut self) -> usize {
        usize::from(self.octet()) % PEOPLE
    }
}

struct Person {
    client: ClientId,
    /// Judges what the participant is sent.
    judge: Deframer,
    /// Transaction ids of SENDs that came and are not answered.
    unanswered: Vec<Vec<u8>>,
}

struct World {
    net: SimNet,
    driver: Driver<SimBackend, Shard<Rc<[u8]>>>,
    mailbox: ControlSender<SimSocket>,
    people: Vec<Person>,
    profile: Profile,
    serial: u64,
}

fn listener() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 2855))
}

fn key(person: usize) -> SessionKey {
    SessionKey {
        termination: u32::try_from(person).expect("few"),
        stream: 1,
    }
}

/// Our path and the participant's.
fn paths(person: usize) -> [String; 2] {
    [
        format!("msrp://192.0.2.1:2855/local{person};tcp"),
        format!("msrp://192.0.2.9:7000/remote{person};tcp"),
    ]
}

impl World {
    fn new(choice: u8) -> Self {
        let net = SimNet::new(u64::from(choice >> 3));
        let mailbox: Mailbox<SimSocket> = Mailbox::without_waker();
        let sender = mailbox.sender();
        let links = ShardLinks::new(std::slice::from_ref(&mailbox));
        let mut limits = Limits::default();
        if choice & 1 != 0 {
            limits.queue_bytes_max = 16 * 1024;
            limits.queue_bytes_soft = 4 * 1024;
        }
        if choice & 2 != 0 {
            limits.msrp.embedded_end_line_is_fatal = false;
        }
        let shard = Shard::new(ShardConfig {
            index: ShardIndex(0),
            shards: 1,
            life: 0,
            limits,
            seed: [choice; 32],
        });
        let config = DriverConfig::new(mailbox, links, Box::new(|_| ()));
        let driver = Driver::new(net.backend(&[listener()]), shard, config);
        let mut world = Self {
            people: Vec::new(),
            net,
            driver,
            mailbox: sender,
            profile: [Profile::ThreeGpp, Profile::Chatroom][usize::from(choice >> 2 & 1)],
            serial: 0,
        };
        for person in 0..PEOPLE {
            world.install(person);
            let client = world.net.connect(listener());
            world.people.push(Person {
                client,
                judge: judge(),
                unanswered: Vec::new(),
            });
            world.chunk(person, &[0; 4]);
            world.settle();
        }
        world
    }

    fn config(&self, person: usize, choice: u8) -> SessionConfig {
        let [local, remote] = paths(person);
        SessionConfig {
            remote_path: Some(remote.into_bytes().into()),
            sends: choice & 1 == 0,
            receives: choice & 2 == 0,
            user: Some(format!("sip:{person}@example.com").into()),
            terms: Arc::new(Terms {
                send_bytes_max: (choice & 4 != 0).then_some(100),
                receive_bytes_max: (choice & 8 != 0).then_some(1000),
                profile: self.profile,
                room: Some("sip:room@example.com".into()),
                nicknames: true,
                private_messages: true,
                ..Terms::default()
            }),
            ..SessionConfig::new(local.into_bytes(), format!("local{person}").into_bytes())
        }
    }

    fn install(&mut self, person: usize) {
        let config = Box::new(self.config(person, 0));
        let (session, context) = (key(person), ContextKey(1));
        self.order(Order::Install {
            session,
            context,
            config,
        });
    }

    fn order(&mut self, order: Order) {
        self.serial += 1;
        let token = self.serial;
        let control = Control::Command(Command { token, order });
        self.mailbox.send(control).expect("it is emptied each turn");
    }

    fn step(&mut self, data: &mut Data<'_>) {
        let operation = data.octet();
        let who = data.person();
        let client = self.people[who].client;
        match operation % 16 {
            0..=4 => self.chunk(who, data.octets(4)),
            5 | 6 => {
                let count = usize::from(data.octet());
                let octets = data.octets(count);
                self.net.send(client, octets);
            }
            7 | 8 => self.answer(who, data.octet()),
            9 => {
                self.net.reset(client);
                self.connect(who);
            }
            10 => {
                self.net.shutdown(client);
                self.connect(who);
            }
            11 => self.advance(Duration::from_millis(200 * u64::from(data.octet()))),
            12 => self.net.set_reading(client, data.octet() & 1 == 0),
            _ => self.signal(who, data.octet(), data.person()),
        }
    }

    fn connect(&mut self, who: usize) {
        let client = self.net.connect(listener());
        self.people[who] = Person {
            client,
            judge: judge(),
            unanswered: Vec::new(),
        };
    }

    /// What a controller may want.
    fn signal(&mut self, who: usize, choice: u8, other: usize) {
        let session = key(who);
        match choice % 6 {
            0 => {
                self.order(Order::Remove { session });
                self.settle();
                self.install(who);
                return;
            }
            1 => {
                let config = Box::new(self.config(who, choice >> 4));
                return self.order(Order::Update { session, config });
            }
            2 => {
                let context = ContextKey(u32::from(choice >> 6) + 1);
                return self.order(Order::Move { session, context });
            }
            3 if other != who => {
                let (to, open) = (key(other), choice & 64 != 0);
                return self.order(Order::Flow {
                    from: session,
                    to,
                    open,
                });
            }
            _ => {}
        }
        self.order(Order::Audit { session });
    }

    /// A SEND made of four choices: message, position and kind, size, flag.
    fn chunk(&mut self, who: usize, choices: &[u8]) {
        let [message, kind, size, flag] =
            [0, 1, 2, 3].map(|at| choices.get(at).copied().unwrap_or(0));
        self.serial += 1;
        let tid = format!("t{:04}", self.serial);
        let [local, remote] = paths(who);
        let wishes = match kind >> 4 & 3 {
            0 => "",
            1 => "Success-Report: yes\r\n",
            2 => "Failure-Report: no\r\n",
            _ => "Success-Report: yes\r\nFailure-Report: partial\r\n",
        };
        let flag = ['$', '+', '#', '$'][usize::from(flag & 3)];
        let head = format!(
            "MSRP {tid} SEND\r\nTo-Path: {local}\r\nFrom-Path: {remote}\r\nMessage-ID: m{who}x{message}\r\n{wishes}"
        );
        let text = if kind == 0 {
            format!("{head}-------{tid}{flag}\r\n")
        } else {
            let body = body(kind, usize::from(size) * 20);
            let start = usize::from(kind & 3) * 100 + 1;
            format!(
                "{head}Byte-Range: {start}-*/*\r\nX-Other: {kind}\r\nContent-Type: message/cpim\r\n\r\n{body}\r\n-------{tid}{flag}\r\n"
            )
        };
        self.net.send(self.people[who].client, text.as_bytes());
    }

    /// Answers the oldest SEND that came, or reports on it.
    fn answer(&mut self, who: usize, choice: u8) {
        let person = &mut self.people[who];
        if person.unanswered.is_empty() {
            return;
        }
        let tid = String::from_utf8_lossy(&person.unanswered.remove(0)).into_owned();
        let code = ["200 OK", "413", "481 x", "200"][usize::from(choice & 3)];
        let [local, remote] = paths(who);
        let text = format!(
            "MSRP {tid} {code}\r\nTo-Path: {local}\r\nFrom-Path: {remote}\r\n-------{tid}$\r\n"
        );
        self.net.send(person.client, text.as_bytes());
    }

    fn advance(&mut self, duration: Duration) {
        self.net.advance(&mut [&mut self.driver], duration);
    }

    /// Lets the network come to rest, and judges what was sent.
    fn settle(&mut self) {
        let mut shards: [&mut dyn SimShard; 1] = [&mut self.driver];
        self.net.run_until_idle(&mut shards);
        self.driver.logic().assert_invariants();
        for person in &mut self.people {
            let octets = self.net.received(person.client);
            person.judge(&octets);
        }
    }
}

impl Person {
    fn judge(&mut self, mut octets: &[u8]) {
        loop {
            let step = self.judge.next(octets).expect("what we send is MSRP");
            let consumed = step.consumed;
            match step.item {
                None => return,
                Some(Item::Head(head)) => {
                    assert_eq!(head.fault, None, "{head:?}");
                    if head.is_send() {
                        self.unanswered.push(head.transaction_id.to_vec());
                    }
                }
                Some(Item::Body(_) | Item::End(_)) => {}
            }
            octets = &octets[consumed..];
        }
    }
}

fn judge() -> Deframer {
    Deframer::new(msrp::Limits {
        grammar: Grammar::Strict,
        ..msrp::Limits::default()
    })
}

/// CPIM to the room or to somebody, or what only begins like it, with hyphens and line ends.
fn body(kind: u8, bytes: usize) -> String {
    let to = match kind >> 6 {
        0 => "room",
        1 => "1",
        _ => "nobody",
    };
    let head = format!(
        "From: <sip:0@example.com>\r\nTo: <sip:{to}@example.com>\r\n\r\nContent-Type: text/plain\r\n\r\n"
    );
    let mut text = format!("{head}{}", "-------t0001$\r\n\r".repeat(bytes / 15 + 1));
    text.truncate(bytes.max(1));
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn whatever_participants_do_the_shard_speaks_msrp(
            data in proptest::collection::vec(any::<u8>(), 0..600),
        ) {
            super::shard(&data);
        }
    }
}
