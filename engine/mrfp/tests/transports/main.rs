//! A conference of two over every transport and reactor, from H.248 to the octets on the wire, with
//! participants that share no code with the engine.
//!
//! With `MRF_XDP_PLACE` set, over AF_XDP alone, which needs root and two networks: `tests/interop/run xdp-transports`
//! makes them.

#![expect(
    clippy::unwrap_used,
    reason = "a test that fails here has found something"
)]

mod shared;
mod tls;

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::num::NonZeroU8;
use std::os::fd::AsFd;
use std::time::Duration;

use self::tls::Identity;
use mrf_tests::controller::{Controller, line_of};
use mrf_tests::peer::{Peer, take_frames};
use mrf_tests::steady::Steady;
use mrf_tests::websocket;
use mrfp::{Config, ReactorKind};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Nothing here takes longer unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where a message of 100 000 octets is cut: chunks of one octet, of some, and of many.
const CUTS: [usize; 6] = [0, 1, 2_000, 30_000, 65_000, 100_000];

/// A listener's scheme as the configuration has it.
#[derive(Clone, Copy, Debug)]
struct Transport(&'static str);

impl Transport {
    fn is_secure(self) -> bool {
        matches!(self.0, "tls" | "wss")
    }

    fn is_websocket(self) -> bool {
        self.0.starts_with("ws")
    }

    /// An MSRP URI of this transport.
    fn uri(self, place: &str) -> String {
        let scheme = if self.is_secure() { "msrps" } else { "msrp" };
        let end = if self.is_websocket() { "ws" } else { "tcp" };
        format!("{scheme}://{place};{end}")
    }
}

/// What a controller learns about a termination it added.
#[derive(Clone, Debug)]
struct Signalled {
    /// The participant's.
    path: String,
    /// The MRFP's.
    remote: String,
    /// The MRFP's, where there is TLS.
    fingerprint: Option<String>,
}

impl Signalled {
    /// Adds a participant, who shows this certificate if any, to a context.
    fn add(
        mgc: &mut Controller,
        context: &str,
        (transport, name): (Transport, &str),
        shows: Option<&Identity>,
    ) -> Self {
        let path = transport.uri(&format!("127.0.0.1:9/{name}"));
        let any = transport.uri("$:$/$");
        let is_secure = transport.is_secure();
        let proto = if is_secure {
            "TCP/TLS/MSRP"
        } else {
            "TCP/MSRP"
        };
        let print = shows.map_or_else(String::new, |identity| {
            format!("a=fingerprint:{}\n", identity.fingerprint())
        });
        let reply = mgc.call(&format!(
            "C={context}{{A=${{M{{ST=1{{O{{MO=SR}},\
             L{{v=0\nc=IN IP4 $\nm=message $ {proto} *\na=path:{any}\na=setup:passive\n}},\
             R{{v=0\nc=IN IP4 127.0.0.1\nm=message 9 {proto} *\na=path:{path}\n\
             a=setup:active\n{print}}}}}}}}}}}"
        ));
        let line = line_of(&reply, "m=message ");
        assert!(line.contains(&format!(" {proto} ")), "{line}");
        let remote = line_of(&reply, "a=path:").to_owned();
        let [start, end] = any.split("$:$/$").collect::<Vec<_>>()[..] else {
            panic!("{any}");
        };
        assert!(
            remote.starts_with(start) && remote.ends_with(end),
            "{remote}"
        );
        Self {
            path,
            remote,
            fingerprint: is_secure.then(|| line_of(&reply, "a=fingerprint:").to_owned()),
        }
    }

    fn peer(&self) -> Peer {
        Peer::new(self.path.clone(), self.remote.clone())
    }
}

trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

/// A participant who connects to the MRFP.
struct Participant {
    stream: Box<dyn Stream>,
    websocket: Option<websocket::Client>,
    peer: Peer,
}

impl Participant {
    fn connect(
        addr: SocketAddr,
        transport: Transport,
        signalled: &Signalled,
        shows: Option<Identity>,
    ) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let stream = Steady(stream);
        let stream: Box<dyn Stream> = if transport.is_secure() {
            let fingerprint = signalled.fingerprint.as_deref().unwrap();
            Box::new(tls::secured(stream, fingerprint, shows))
        } else {
            Box::new(stream)
        };
        let mut participant = Self {
            stream,
            websocket: None,
            peer: signalled.peer(),
        };
        if transport.is_websocket() {
            participant.write(&websocket::Client::request("mrfp.example.net"));
            let mut client = websocket::Client::default();
            while !client.is_open {
                let octets = participant.read();
                assert_ne!(octets, b"", "closed");
                let messages = client.receive(&octets);
                assert!(messages.is_empty(), "{messages:?}");
            }
            participant.websocket = Some(client);
        }
        participant
    }

    /// Binds the session, which is answered so.
    fn bind(&mut self, status: &str) {
        let tid = format!("bind{}", self.peer.answers.len());
        self.send(&self.peer.binding(&tid));
        self.until(|peer| peer.answers.contains_key(&tid));
        let answer = &self.peer.answers[&tid];
        assert!(answer.starts_with(status), "{answer}");
    }

    fn write(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).unwrap();
        self.stream.flush().unwrap();
    }

    /// Sends one chunk, response or REPORT.
    fn send(&mut self, frame: &[u8]) {
        let message = self.websocket.as_mut().map(|client| client.message(frame));
        self.write(message.as_deref().unwrap_or(frame));
    }

    /// What comes next; nothing at the end.
    fn read(&mut self) -> Vec<u8> {
        let mut space = [0; 16_384];
        let count = self.stream.read(&mut space).expect("octets in time");
        space[..count].to_vec()
    }

    /// What comes next, as the transport cuts it.
    #[track_caller]
    fn pieces(&mut self) -> Vec<Vec<u8>> {
        let octets = self.read();
        assert_ne!(octets, b"", "closed: {:?}", self.peer);
        match &mut self.websocket {
            None => vec![octets],
            Some(client) => client.receive(&octets),
        }
    }

    /// Receives, and answers what wants an answer.
    #[track_caller]
    fn until(&mut self, is_done: impl Fn(&Peer) -> bool) {
        while !is_done(&self.peer) {
            for mut piece in self.pieces() {
                let answers = self.peer.receive(&piece);
                if self.websocket.is_some() {
                    // Each message is one chunk.
                    assert_eq!(take_frames(&mut piece).len(), 1);
                    assert_eq!(piece, b"");
                }
                let answers = String::from_utf8(answers).unwrap();
                for answer in answers.split_inclusive("$\r\n") {
                    self.send(answer.as_bytes());
                }
            }
        }
    }

    /// Waits until the MRFP ends the connection, however; returns what came before.
    fn rejected(&mut self) -> Vec<u8> {
        let mut back = Vec::new();
        if let Err(error) = self.stream.read_to_end(&mut back) {
            let is_late = [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind());
            assert!(!is_late, "still open after {back:?}");
        }
        back
    }

    /// Waits until the MRFP takes leave as each layer wants it: one that does not is an error.
    fn until_closed(&mut self) {
        loop {
            let octets = self.read();
            if octets.is_empty() {
                break;
            }
            let client = self.websocket.as_mut();
            let messages = client.map_or(vec![octets.clone()], |client| client.receive(&octets));
            assert!(messages.is_empty(), "{messages:?}");
        }
        if let Some(client) = &self.websocket {
            assert!(client.is_closed);
        }
    }
}

/// Where the MRFP and its participants are.
struct Place {
    /// With two queues, one for each shard.
    xdp_interface: Option<String>,
    mrfp: IpAddr,
    participants: IpAddr,
    /// The participants', if it is another than the MRFP's.
    network: Option<File>,
}

impl Place {
    /// `MRF_XDP_PLACE` holds the interface, both addresses and the file of the participants' network namespace.
    fn here() -> Self {
        let Ok(text) = std::env::var("MRF_XDP_PLACE") else {
            return Self {
                xdp_interface: None,
                mrfp: Ipv4Addr::LOCALHOST.into(),
                participants: Ipv4Addr::LOCALHOST.into(),
                network: None,
            };
        };
        let [interface, mrfp, participants, network] = text.split(' ').collect::<Vec<_>>()[..]
        else {
            panic!("{text:?}");
        };
        Self {
            xdp_interface: Some(interface.to_owned()),
            mrfp: mrfp.parse().unwrap(),
            participants: participants.parse().unwrap(),
            network: Some(File::open(network).unwrap()),
        }
    }

    fn reactors(&self) -> Vec<ReactorKind> {
        if self.xdp_interface.is_some() {
            return vec![ReactorKind::Xdp];
        }
        // That io_uring is missing where it should not be is found by the tests of the reactor.
        let all = [ReactorKind::Mio, ReactorKind::Uring].into_iter();
        all.filter(|reactor| reactor.resolve().is_ok()).collect()
    }

    /// From now on this thread is where participants are.
    fn enter(&self) {
        if let Some(network) = &self.network {
            let kind = Some(LinkNameSpaceType::Network);
            move_into_link_name_space(network.as_fd(), kind).unwrap();
        }
    }
}

/// What happens between a controller and participants who reach an MRFP with these listeners, on
/// each reactor that works here.
async fn on_each_reactor(
    listeners: &[Transport],
    test: impl Fn(&mut Controller, &[SocketAddr]) + Copy + Send + 'static,
) {
    for reactor in Place::here().reactors() {
        let place = Place::here();
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mgc = format!("udp:{}", socket.local_addr().unwrap());
        let listener = |transport: &Transport| format!("{}:{}:0", transport.0, place.mrfp);
        let listeners = listeners.iter().map(listener);
        let mrfp = mrfp::start(Config {
            mgcs: vec![mgc.parse().unwrap()],
            msrp: listeners.map(|l| l.parse().unwrap()).collect(),
            reactor,
            xdp_interface: place.xdp_interface.clone(),
            shards: NonZeroU8::new(2),
            honour_sdp: true,
            ..Config::default()
        })
        .await
        .unwrap();
        let addrs = mrfp.msrp_addrs();
        let run = move || {
            place.enter();
            test(&mut Controller::new(socket), &addrs);
        };
        if tokio::task::spawn_blocking(run).await.is_err() {
            panic!("{reactor}");
        }
        assert_eq!(mrfp.metrics().terminations, 0);
        // Nobody would answer that we go.
        drop(mrfp);
    }
}

/// Two participants talk; one of them shows a certificate where there is TLS.
fn talk(transport: Transport, mgc: &mut Controller, addr: SocketAddr) {
    let shown = transport.is_secure().then(Identity::new);
    let to_alice = Signalled::add(mgc, "$", (transport, "alice"), shown.as_ref());
    let to_bob = Signalled::add(mgc, "1", (transport, "bob"), None);
    let mut alice = Participant::connect(addr, transport, &to_alice, shown);
    let mut bob = Participant::connect(addr, transport, &to_bob, None);
    alice.bind("200");
    bob.bind("200");
    let long: Vec<u8> = (0..100_000u32)
        .map(|n| (n % 251).to_le_bytes()[0])
        .collect();
    alice.peer.wants_reports = true;
    for cut in CUTS.windows(2) {
        let tid = format!("long{}", cut[0]);
        let chunk = alice.peer.chunk(&tid, "long", &long, cut[0], cut[1]);
        alice.send(&chunk);
    }
    let is_whole = |peer: &Peer| {
        peer.messages
            .get("long")
            .is_some_and(|m| m.whole().is_some())
    };
    bob.until(is_whole);
    assert!(bob.peer.messages["long"].whole() == Some(long));
    assert_eq!(bob.peer.messages["long"].repeated, 0);
    // Comes behind whatever bob's answers and his REPORT cause.
    let short = bob.peer.chunk("short000", "short", b"Hello", 0, 5);
    bob.send(&short);
    alice.until(|peer| peer.messages.contains_key("short"));
    assert_eq!(alice.peer.messages["short"].whole().unwrap(), b"Hello");
    assert_eq!(alice.peer.answers.len(), CUTS.len());
    let mut answers = alice.peer.answers.values();
    assert!(answers.all(|status| status.starts_with("200")));
    let [(message, status)] = &alice.peer.reports[..] else {
        panic!("{:?}", alice.peer.reports);
    };
    assert_eq!(message, "long");
    assert!(status.starts_with("000 200"), "{status}");
    bob.until(|peer| peer.answers.contains_key("short000"));
    // Once this is answered, nothing of hers is on its way any more.
    alice.bind("200");
    leave(
        mgc,
        "msrp/1",
        &mut alice,
        "nms=1,msrpstat/nmr=1,msrpstat/vms=5,msrpstat/vmr=100000",
    );
    leave(
        mgc,
        "msrp/2",
        &mut bob,
        "nms=1,msrpstat/nmr=1,msrpstat/vms=100000,msrpstat/vmr=5",
    );
}

/// Subtracts a termination, which tells what it counted and ends its connection.
#[track_caller]
fn leave(mgc: &mut Controller, termination: &str, participant: &mut Participant, counted: &str) {
    let reply = mgc.call(&format!("C=1{{S={termination}}}"));
    assert!(reply.contains(counted), "{reply}");
    participant.until_closed();
}

async fn two_talk(transport: Transport) {
    on_each_reactor(&[transport], move |mgc, addrs| {
        talk(transport, mgc, addrs[0]);
    })
    .await;
}

#[tokio::test]
async fn two_talk_over_tcp() {
    two_talk(Transport("tcp")).await;
}

// MSRP-URI-004
#[tokio::test]
async fn two_talk_over_tls() {
    two_talk(Transport("tls")).await;
}

// MSRP-WS-001 MSRP-WS-002 MSRP-WS-004
#[tokio::test]
async fn two_talk_over_websocket() {
    two_talk(Transport("ws")).await;
}

// MSRP-URI-004 MSRP-WS-001 MSRP-WS-002 MSRP-WS-004
#[tokio::test]
async fn two_talk_over_websocket_and_tls() {
    two_talk(Transport("wss")).await;
}

#[tokio::test]
async fn a_plain_client_of_a_session_with_tls_is_refused() {
    let [tls, tcp] = [Transport("tls"), Transport("tcp")];
    on_each_reactor(&[tls, tcp], move |mgc, addrs| {
        let to_alice = Signalled::add(mgc, "$", (tls, "alice"), None);
        Participant::connect(addrs[1], tcp, &to_alice, None).bind("481");
        // Where TLS is spoken, not even MSRP comes back.
        let mut plain = Participant::connect(addrs[0], tcp, &to_alice, None);
        let binding = plain.peer.binding("plain000");
        plain.send(&binding);
        let back = plain.rejected();
        assert!(!back.starts_with(b"MSRP"), "{back:?}");
        let mut alice = Participant::connect(addrs[0], tls, &to_alice, None);
        alice.bind("200");
        leave(mgc, "msrp/1", &mut alice, "nmr=0");
    })
    .await;
}

// MSRP-TLS-003
#[tokio::test]
async fn another_certificate_than_the_signalled_one_ends_the_session() {
    let tls = Transport("tls");
    on_each_reactor(&[tls], move |mgc, addrs| {
        let shown = Identity::new();
        let to_alice = Signalled::add(mgc, "$", (tls, "alice"), Some(&shown));
        let mut other = Participant::connect(addrs[0], tls, &to_alice, Some(Identity::new()));
        other.send(&other.peer.binding("other000"));
        assert_eq!(other.rejected(), b"");
        let mut alice = Participant::connect(addrs[0], tls, &to_alice, Some(shown));
        alice.bind("481");
        mgc.call("C=1{S=msrp/1}");
    })
    .await;
}

/// Orders a termination whose connection and TLS session the MRFP opens, to a participant who is said to
/// have this fingerprint, and is `shown`.
fn open_tls(mgc: &mut Controller, print: &str, shown: Identity) -> Participant {
    let tls = Transport("tls");
    let ip = Place::here().participants;
    let listener = TcpListener::bind((ip, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let path = tls.uri(&format!("{ip}:{port}/alice"));
    let reply = mgc.call(&format!(
        "C=${{A=${{M{{ST=1{{O{{MO=SR}},L{{v=0\nc=IN IP4 $\nm=message $ TCP/TLS/MSRP *\n}},\
         R{{v=0\nc=IN IP4 {ip}\nm=message {port} TCP/TLS/MSRP *\na=path:{path}\n\
         a=fingerprint:{print}\n}}}}}},E=5{{tlsbsc/BNCChange,tcpbcc/BNCChange,g/cause,g/sc}},\
         SG{{tlsbsc/EstBNC{{ST=1,NC={{TO}}}}}}}}}}"
    ));
    let remote = line_of(&reply, "a=path:").to_owned();
    let stream = listener.accept().unwrap().0;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    Participant {
        stream: Box::new(tls::served(Steady(stream), shown)),
        websocket: None,
        peer: Peer::new(path, remote),
    }
}

#[tokio::test]
async fn tlsbsc_opens_and_closes_tls_and_tells() {
    on_each_reactor(&[Transport("tls")], |mgc, _| {
        let identity = Identity::new();
        let mut alice = open_tls(mgc, &identity.fingerprint(), identity);
        let change = |mgc: &mut Controller, kind: &str| {
            let event = |package| format!("{package}/BNCChange{{Type={kind}}}");
            mgc.expect_notify(&[&event("tlsbsc"), &event("tcpbcc")]);
        };
        mgc.expect_notify(&["g/sc{SigID=\"tlsbsc/EstBNC\",Meth=TO}"]);
        // Answers the binding request of the MRFP as well.
        alice.bind("200");
        change(mgc, "Est");
        mgc.call("C=1{MF=msrp/1{SG{tlsbsc/RelBNC}}}");
        change(mgc, "Rel");
        alice.until_closed();
        mgc.call("C=1{S=msrp/1}");
    })
    .await;
}

#[tokio::test]
async fn tlsbsc_tells_when_another_is_at_the_far_end() {
    on_each_reactor(&[Transport("tls")], |mgc, _| {
        let mut mallory = open_tls(mgc, &Identity::new().fingerprint(), Identity::new());
        assert_eq!(mallory.rejected(), b"", "not even MSRP");
        mgc.expect_notify(&["g/cause{Generalcause=FT,Failurecause=\"TLS: "]);
        mgc.call("C=1{S=msrp/1}");
    })
    .await;
}
