//! The MRFP on real sockets: a controller over UDP, two participants over TCP.

#![expect(
    clippy::unwrap_used,
    reason = "a test that fails here has found something"
)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroU8;
use std::time::Duration;

use h248::ast::{
    ActionRequest, CommandResult, Descriptor, Few, MId, MediaStreams, MessageBody, ReplyBody,
    Transaction,
};
use h248_endpoint::{AssociationConfig, Event, Peer, Role, Shell, TransportAddr};
use mrfp::{Config, Mrfp, ReactorKind, StartError};

/// Nothing here takes longer unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

struct Controller {
    shell: Shell,
    gateway: Option<Peer>,
    gone: bool,
    /// What the gateway asked for.
    told: String,
}

impl Controller {
    async fn new(transport: &str) -> Self {
        let listen = transport.parse().unwrap();
        let mid = MId::Domain {
            name: "mrfc.example.net".into(),
            port: None,
        };
        let config = h248_endpoint::Config::new(mid, Role::Controller, 1);
        let shell = Shell::controller(config, AssociationConfig::default(), &[listen])
            .await
            .unwrap();
        Self {
            shell,
            gateway: None,
            gone: false,
            told: String::new(),
        }
    }

    /// Handles events until `is_done` or an answer to a request.
    async fn until(&mut self, is_done: impl Fn(&Self) -> bool) -> Option<ReplyBody> {
        while !is_done(self) {
            let event = tokio::time::timeout(PATIENCE, self.shell.next())
                .await
                .expect("no event");
            match event {
                Event::Registered(registered) => self.gateway = Some(registered.peer),
                Event::Lost { .. } => self.gone = true,
                Event::Reply { reply, .. } => return Some(reply.body),
                Event::Failed { reason, .. } => panic!("{reason}"),
                Event::Request(request) => {
                    self.told += &format!("{:?}\n", request.request);
                    let reply = ReplyBody::Actions(Few::default());
                    self.shell.reply(request.key, reply);
                }
                Event::Leaving { .. }
                | Event::Late { .. }
                | Event::RegistrationFailed { .. }
                | Event::Departed
                | Event::Problem(_) => {}
            }
        }
        None
    }

    async fn call(&mut self, text: &str) -> ReplyBody {
        let peer = self.gateway.expect("registered");
        self.shell.send_request(peer, actions(text)).unwrap();
        self.until(|_| false).await.expect("an answer")
    }

    /// Adds a participant to a context and returns the path to reach the MRFP by.
    async fn add(&mut self, context: &str, name: &str) -> String {
        let reply = self
            .call(&format!(
                "C={context}{{A=${{M{{ST=1{{O{{MO=SR}},L{{v=0\nc=IN IP4 $\nm=message $ TCP/MSRP *\n\
                 a=path:$\n}},R{{v=0\nc=IN IP4 127.0.0.1\nm=message 9 TCP/MSRP *\n\
                 a=path:msrp://127.0.0.1:9/{name};tcp\n}}}}}}}}}}"
            ))
            .await;
        local_path(&reply).unwrap_or_else(|| panic!("{reply:?}"))
    }
}

fn actions(text: &str) -> Vec<ActionRequest> {
    let text = format!("!/2 <mrfc.example.net> T=1{{{text}}}");
    let message = h248::parse(text.as_bytes(), &h248::Limits::default()).unwrap();
    let MessageBody::Transactions(mut list) = message.body else {
        panic!("{text}")
    };
    match list.pop() {
        Some(Transaction::Request(request)) => request.actions.into_iter().collect(),
        other => panic!("{other:?}"),
    }
}

fn local_path(reply: &ReplyBody) -> Option<String> {
    let ReplyBody::Actions(actions) = reply else {
        return None;
    };
    let CommandResult::Add(amm) = &actions[0].commands[0].result else {
        return None;
    };
    let Descriptor::Media(media) = amm.descriptors.first()? else {
        return None;
    };
    let MediaStreams::Multiple(streams) = &media.streams else {
        return None;
    };
    let sdp = String::from_utf8(streams[0].parms.local.clone()?.0).unwrap();
    sdp.lines()
        .find_map(|l| l.strip_prefix("a=path:"))
        .map(str::to_owned)
}

/// A participant who connects to the MRFP.
struct Participant {
    stream: TcpStream,
    to: String,
    from: String,
    received: String,
}

impl Participant {
    fn connect(addr: SocketAddr, to: &str, name: &str) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self::on(stream, to, name)
    }

    fn on(stream: TcpStream, to: &str, name: &str) -> Self {
        Self {
            stream,
            to: to.to_owned(),
            from: format!("msrp://127.0.0.1:9/{name};tcp"),
            received: String::new(),
        }
    }

    fn send(&mut self, id: &str, body: Option<&str>) {
        let mut text = format!(
            "MSRP {id} SEND\r\nTo-Path: {}\r\nFrom-Path: {}\r\nMessage-ID: m{id}\r\n",
            self.to, self.from
        );
        if let Some(body) = body {
            let length = body.len();
            text += &format!(
                "Byte-Range: 1-{length}/{length}\r\nContent-Type: text/plain\r\n\r\n{body}\r\n"
            );
        }
        text += &format!("-------{id}$\r\n");
        self.stream.write_all(text.as_bytes()).unwrap();
    }

    /// A message whose sender wants to know whether all have it.
    fn send_asking(&mut self, id: &str, body: &str) {
        let length = body.len();
        let text = format!(
            "MSRP {id} SEND\r\nTo-Path: {}\r\nFrom-Path: {}\r\nMessage-ID: m{id}\r\n\
             Byte-Range: 1-{length}/{length}\r\nSuccess-Report: yes\r\n\
             Content-Type: text/plain\r\n\r\n{body}\r\n-------{id}$\r\n",
            self.to, self.from
        );
        self.stream.write_all(text.as_bytes()).unwrap();
    }

    /// Expects a SEND and answers it.
    fn answer(&mut self, parts: &[&str]) {
        let frame = self.receive();
        for part in parts.iter().chain(&[" SEND\r\n"]) {
            assert!(frame.contains(part), "{part:?} is missing in {frame:?}");
        }
        let id = frame.split(' ').nth(1).unwrap();
        let text = format!(
            "MSRP {id} 200 OK\r\nTo-Path: {}\r\nFrom-Path: {}\r\n-------{id}$\r\n",
            self.to, self.from
        );
        self.stream.write_all(text.as_bytes()).unwrap();
    }

    /// The next frame.
    fn receive(&mut self) -> String {
        loop {
            if let Some(at) = self.received.find("$\r\n") {
                let rest = self.received.split_off(at + 3);
                return std::mem::replace(&mut self.received, rest);
            }
            let mut octets = [0; 4096];
            let count = match self.stream.read(&mut octets) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                read => read.expect("octets in time"),
            };
            assert_ne!(count, 0, "closed after {:?}", self.received);
            self.received += std::str::from_utf8(&octets[..count]).unwrap();
        }
    }

    fn expect(&mut self, parts: &[&str]) {
        let frame = self.receive();
        for part in parts {
            assert!(frame.contains(part), "{part:?} is missing in {frame:?}");
        }
    }
}

async fn mrfp(reactor: ReactorKind, mgcs: &[TransportAddr]) -> Mrfp {
    spread_mrfp(reactor, mgcs, 1_000).await
}

async fn spread_mrfp(reactor: ReactorKind, mgcs: &[TransportAddr], above: u32) -> Mrfp {
    let loopback = "127.0.0.1:0".parse().unwrap();
    let mut config = Config {
        msrp: vec![loopback],
        mgcs: mgcs.to_vec(),
        reactor,
        shards: NonZeroU8::new(2),
        ..Config::default()
    };
    config.gateway_limits.spread_above = above;
    let mut mrfp = mrfp::start(config).await.unwrap();
    assert_ne!(mrfp.reactor(), ReactorKind::Auto);
    assert_eq!(mrfp.shards(), 2);
    assert!(!mrfp.metrics().is_registered);
    assert!(
        tokio::time::timeout(Duration::ZERO, mrfp.registered())
            .await
            .is_err()
    );
    mrfp
}

async fn conference(reactor: ReactorKind, transport: &str) {
    let mut controller = Controller::new(transport).await;
    let mgc = controller.shell.bound()[0];
    let mut mrfp = mrfp(reactor, &[mgc]).await;
    controller.until(|c| c.gateway.is_some()).await;
    tokio::time::timeout(PATIENCE, mrfp.registered())
        .await
        .expect("registered");
    let alice = controller.add("$", "alice").await;
    let bob = controller.add("1", "bob").await;
    assert_eq!(
        (mrfp.metrics().contexts, mrfp.metrics().terminations),
        (1, 2)
    );
    let addr = mrfp.msrp_addrs()[0];
    let talk = tokio::task::spawn_blocking(move || {
        let mut alice = Participant::connect(addr, &alice, "alice");
        let mut bob = Participant::connect(addr, &bob, "bob");
        for (participant, id) in [(&mut alice, "aaaa1111"), (&mut bob, "bbbb1111")] {
            participant.send(id, None);
            participant.expect(&[&format!("MSRP {id} 200")]);
        }
        alice.send("aaaa2222", Some("Hello, Bob"));
        alice.expect(&["MSRP aaaa2222 200"]);
        bob.expect(&[
            " SEND\r\n",
            "To-Path: msrp://127.0.0.1:9/bob;tcp",
            "Hello, Bob",
        ]);
    });
    talk.await.unwrap();
    let reply = format!("{:?}", controller.call("C=1{S=msrp/1}").await);
    assert!(reply.contains("nmr"), "{reply}");
    assert_eq!(mrfp.metrics().terminations, 1);
    assert!(mrfp.metrics().requests >= 3);
    let ((), _) = tokio::join!(mrfp.shutdown(Duration::ZERO), controller.until(|c| c.gone));
}

#[tokio::test]
async fn a_conference_of_two_over_udp_and_mio() {
    conference(ReactorKind::Mio, "udp:127.0.0.1:0").await;
}

#[tokio::test]
async fn a_conference_of_two_over_tcp_and_the_best_reactor() {
    conference(ReactorKind::Auto, "tcp:127.0.0.1:0").await;
}

#[tokio::test]
async fn a_conference_of_two_over_sctp_and_over_every_transport_of_ip_version_6() {
    for transport in [
        "sctp:127.0.0.1:0",
        "udp:[::1]:0",
        "tcp:[::1]:0",
        "sctp:[::1]:0",
    ] {
        conference(ReactorKind::Mio, transport).await;
    }
}

async fn failed_shard(reactor: ReactorKind) {
    let mut controller = Controller::new("tcp:127.0.0.1:0").await;
    let mgc = controller.shell.bound()[0];
    let mrfp = mrfp(reactor, &[mgc]).await;
    controller.until(|c| c.gateway.is_some()).await;
    let alice = controller.add("$", "alice").await;
    let bob = controller.add("$", "bob").await;
    mrfp.fail_shard(0);
    controller
        .until(|c| c.told.contains("904 Termination malfunctioning"))
        .await;
    let of_alice = format!(
        "{:?}",
        controller.call("C=1{AV=msrp/1{AT{M{TS{SI}}}}}").await
    );
    assert!(of_alice.contains("OutOfService"), "{of_alice}");
    // Nobody is on the shard that took the place of the first one: the next conference goes there.
    let carol = controller.add("$", "carol").await;
    let dave = controller.add("3", "dave").await;
    let is_first = |path: &str| {
        let id = path.rsplit('/').next().unwrap().split(';').next().unwrap();
        switch::owner_of(id.as_bytes()) == Some(switch::ShardIndex(0))
    };
    assert!(is_first(&alice) && !is_first(&bob));
    assert!(is_first(&carol) && is_first(&dave));
    let addr = mrfp.msrp_addrs()[0];
    let talk = tokio::task::spawn_blocking(move || {
        let mut alice = Participant::connect(addr, &alice, "alice");
        alice.send("aaaa1111", None);
        alice.expect(&["MSRP aaaa1111 481"]);
        let mut bob = Participant::connect(addr, &bob, "bob");
        bob.send("bbbb1111", None);
        bob.expect(&["MSRP bbbb1111 200"]);
        let mut carol = Participant::connect(addr, &carol, "carol");
        let mut dave = Participant::connect(addr, &dave, "dave");
        for (participant, id) in [(&mut carol, "cccc1111"), (&mut dave, "dddd1111")] {
            participant.send(id, None);
            participant.expect(&[&format!("MSRP {id} 200")]);
        }
        carol.send("cccc2222", Some("Hello, Dave"));
        carol.expect(&["MSRP cccc2222 200"]);
        dave.expect(&[" SEND\r\n", "Hello, Dave"]);
    });
    talk.await.unwrap();
    let reply = format!("{:?}", controller.call("C=1{S=*}").await);
    assert!(reply.contains("Subtract"), "{reply}");
    assert_eq!(mrfp.metrics().terminations, 3);
    tokio::join!(mrfp.shutdown(Duration::ZERO), controller.until(|c| c.gone));
}

/// Participants of one conference on two shards; then one more, who comes from another conference with
/// the connection it has.
async fn spread(reactor: ReactorKind) {
    let mut controller = Controller::new("tcp:127.0.0.1:0").await;
    let mgc = controller.shell.bound()[0];
    let mrfp = spread_mrfp(reactor, &[mgc], 2).await;
    controller.until(|c| c.gateway.is_some()).await;
    let names = ["alice", "bob", "carol", "dave", "erin"];
    let mut paths = Vec::new();
    for (name, context) in names.into_iter().zip(["$", "1", "1", "1", "$"]) {
        paths.push(controller.add(context, name).await);
    }
    let shard_of = |path: &String| {
        let id = path.rsplit('/').next().unwrap().split(';').next().unwrap();
        switch::owner_of(id.as_bytes()).unwrap().0
    };
    let shards: Vec<u8> = paths.iter().map(shard_of).collect();
    assert_eq!(shards[..4], [0, 0, 1, 1]);
    let addr = mrfp.msrp_addrs()[0];
    let talk = tokio::task::spawn_blocking(move || {
        let connect = |(path, name): (&String, &str)| Participant::connect(addr, path, name);
        let mut all: Vec<_> = paths.iter().zip(names).map(connect).collect();
        for (at, participant) in all.iter_mut().enumerate() {
            participant.send(&format!("bind{at}xx"), None);
            participant.expect(&[&format!("MSRP bind{at}xx 200")]);
        }
        for sender in [0, 2] {
            let id = format!("hear{sender}xx");
            all[sender].send_asking(&id, "Do you all hear me?");
            all[sender].expect(&[&format!("MSRP {id} 200")]);
            for listener in (0..4).filter(|at| *at != sender) {
                all[listener].answer(&["Do you all hear me?", "Success-Report: yes"]);
            }
            // One REPORT, when all on both shards have answered.
            all[sender].expect(&[" REPORT\r\n", &format!("m{id}"), "Status: 000 200"]);
        }
        all
    });
    let mut all = talk.await.unwrap();
    let foreign = |shard: usize| mrfp.metrics().shards[shard].freight;
    assert_eq!((foreign(0).messages, foreign(1).messages), (1, 1));
    // Erin is on shard 0 with her connection, whatever the context she goes to.
    let reply = format!("{:?}", controller.call("C=1{MV=msrp/5}").await);
    assert!(
        reply.contains("Move") && !reply.contains("Error"),
        "{reply}"
    );
    let talk = tokio::task::spawn_blocking(move || {
        all[4].send("erinsays", Some("I am new here"));
        all[4].expect(&["MSRP erinsays 200"]);
        for listener in &mut all[..4] {
            listener.answer(&["I am new here"]);
        }
        all[3].send("davesays", Some("Welcome"));
        all[3].expect(&["MSRP davesays 200"]);
        for listener in [0, 1, 2, 4] {
            all[listener].answer(&["Welcome"]);
        }
        all
    });
    let mut all = talk.await.unwrap();
    // The end of a shard leaves the conference to those on the other one.
    mrfp.fail_shard(1);
    controller
        .until(|c| c.told.contains("904 Termination malfunctioning"))
        .await;
    // Its counters come from the shard that is left, behind what that was told of the other.
    let reply = format!("{:?}", controller.call("C=1{AV=msrp/1{AT{SA}}}").await);
    assert!(!reply.contains("Error"), "{reply}");
    let talk = tokio::task::spawn_blocking(move || {
        all[0].send_asking("stillxxx", "Still there?");
        all[0].expect(&["MSRP stillxxx 200"]);
        for listener in [1, 4] {
            all[listener].answer(&["Still there?"]);
        }
        all[0].expect(&[" REPORT\r\n", "mstillxxx", "Status: 000 200"]);
    });
    talk.await.unwrap();
    let reply = format!("{:?}", controller.call("C=1{S=*}").await);
    assert!(reply.contains("Subtract"), "{reply}");
    assert_eq!(mrfp.metrics().terminations, 0);
    tokio::join!(mrfp.shutdown(Duration::ZERO), controller.until(|c| c.gone));
}

#[tokio::test]
async fn a_conference_spreads_over_two_shards_on_mio() {
    spread(ReactorKind::Mio).await;
}

#[tokio::test]
async fn a_conference_spreads_over_two_shards_on_the_best_reactor() {
    spread(ReactorKind::Auto).await;
}

#[tokio::test]
async fn another_shard_takes_the_place_of_one_that_failed_on_mio() {
    failed_shard(ReactorKind::Mio).await;
}

#[tokio::test]
async fn another_shard_takes_the_place_of_one_that_failed_on_the_best_reactor() {
    failed_shard(ReactorKind::Auto).await;
}

#[tokio::test]
async fn contexts_outlive_their_controller() {
    let mut controller = Controller::new("tcp:127.0.0.1:0").await;
    let mut other = Controller::new("tcp:127.0.0.1:0").await;
    let mgcs = [controller.shell.bound()[0], other.shell.bound()[0]];
    let mrfp = mrfp(ReactorKind::Mio, &mgcs).await;
    controller.until(|c| c.gateway.is_some()).await;
    controller.add("$", "alice").await;
    drop(controller);
    other.until(|c| c.gateway.is_some()).await;
    let reply = format!("{:?}", other.call("C=*{AV=*{AT{}}}").await);
    assert!(reply.contains("msrp/1"), "{reply}");
    tokio::join!(mrfp.shutdown(Duration::ZERO), other.until(|c| c.gone));
}

#[tokio::test]
async fn an_active_session_connects_and_binds_itself() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let mut controller = Controller::new("udp:127.0.0.1:0").await;
    let mgc = controller.shell.bound()[0];
    let mrfp = mrfp(ReactorKind::Auto, &[mgc]).await;
    controller.until(|c| c.gateway.is_some()).await;
    let port = addr.port();
    let ours = controller
        .call(&format!(
            "C=${{A=${{M{{ST=1{{O{{MO=SR}},L{{v=0\nc=IN IP4 $\nm=message $ TCP/MSRP *\na=path:$\n}},\
             R{{v=0\nc=IN IP4 127.0.0.1\nm=message {port} TCP/MSRP *\n\
             a=path:msrp://127.0.0.1:{port}/carol;tcp\n}}}}}},SG{{tcpbcc/EstBNC{{ST=1}}}}}}}}"
        ))
        .await;
    let ours = local_path(&ours).unwrap();
    let bound = tokio::task::spawn_blocking(move || {
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut carol = Participant::on(stream, &ours, "carol");
        carol.expect(&[
            " SEND\r\n",
            &format!("To-Path: msrp://127.0.0.1:{port}/carol;tcp\r\n"),
            &format!("From-Path: {ours}\r\n"),
        ]);
    });
    bound.await.unwrap();
    tokio::join!(mrfp.shutdown(Duration::ZERO), controller.until(|c| c.gone));
}

#[tokio::test]
async fn draining_waits_for_the_last_termination() {
    let mut controller = Controller::new("udp:127.0.0.1:0").await;
    let mgc = controller.shell.bound()[0];
    let mrfp = mrfp(ReactorKind::Mio, &[mgc]).await;
    controller.until(|c| c.gateway.is_some()).await;
    controller.add("$", "alice").await;
    let leave = async {
        mrfp.shutdown(PATIENCE).await;
    };
    let stay = async {
        // Graceful comes first; the participant may stay until it is subtracted.
        controller.call("C=1{S=msrp/1{AT{}}}").await;
        controller.until(|c| c.gone).await;
    };
    tokio::join!(leave, stay);
}

#[tokio::test]
async fn what_cannot_start_says_why() {
    let nothing = Config {
        msrp: Vec::new(),
        ..Config::default()
    };
    assert!(matches!(
        mrfp::start(nothing).await,
        Err(StartError::NoListener("MSRP"))
    ));
    let occupied = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = occupied.local_addr().unwrap();
    let config = Config {
        msrp: vec![addr.into()],
        ..Config::default()
    };
    match mrfp::start(config).await {
        Err(StartError::Listen { addr: named, .. }) => assert_eq!(named, addr.to_string()),
        other => panic!("{other:?}"),
    }
    let wildcard = Config {
        msrp: vec!["0.0.0.0:0".parse().unwrap()],
        ..Config::default()
    };
    assert!(matches!(
        mrfp::start(wildcard).await,
        Err(StartError::Wildcard(_))
    ));
    let many = Config {
        msrp: vec!["127.0.0.1:0".parse().unwrap()],
        shards: NonZeroU8::new(63),
        ..Config::default()
    };
    assert!(matches!(
        mrfp::start(many).await,
        Err(StartError::TooManyShards(63))
    ));
}
