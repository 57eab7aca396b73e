//! One connection for the sessions of several conferences, on both shards: as a relay or a border
//! controller has it.

use mrf_tests::controller::Controller;
use mrf_tests::peer::{Peer, take_frame};

use super::tls::Identity;
use super::{CUTS, Participant, Signalled, Transport, on_each_reactor};

/// Two participants behind one connection.
struct Relay {
    connection: Participant,
    peers: [Peer; 2],
    buffer: Vec<u8>,
}

impl Relay {
    /// Receives, and answers what wants an answer.
    #[track_caller]
    fn until(&mut self, is_done: impl Fn(&[Peer; 2]) -> bool) {
        while !is_done(&self.peers) {
            for piece in self.connection.pieces() {
                self.buffer.extend_from_slice(&piece);
                let is_message = self.connection.websocket.is_some();
                let mut count = 0;
                while let Some((frame, octets)) = take_frame(&mut self.buffer) {
                    let to = frame.field("To-Path");
                    let peer = self.peers.iter_mut().find(|peer| peer.path == to);
                    let answers = peer.expect("one of the two").receive(&octets);
                    for answer in String::from_utf8(answers).unwrap().split_inclusive("$\r\n") {
                        self.connection.send(answer.as_bytes());
                    }
                    count += 1;
                }
                let is_whole = count == 1 && self.buffer.is_empty();
                assert!(is_whole || !is_message, "each message is one chunk");
            }
        }
    }

    fn bind(&mut self, status: &str) {
        for at in 0..2 {
            let tid = format!("bind{at}x{}", self.peers[at].answers.len());
            let binding = self.peers[at].binding(&tid);
            self.connection.send(&binding);
            self.until(|peers| peers[at].answers.contains_key(&tid));
            let answer = &self.peers[at].answers[&tid];
            assert!(answer.starts_with(status), "{answer}");
        }
    }
}

fn shard_of(signalled: &Signalled) -> u8 {
    let id = signalled.remote.rsplit('/').next().unwrap();
    let id = id.split(';').next().unwrap();
    switch::owner_of(id.as_bytes()).unwrap().0
}

fn has(peer: &Peer, message: &str) -> bool {
    let message = peer.messages.get(message);
    message.is_some_and(|m| m.whole().is_some())
}

/// Alice and Carol, each in a conference of its own on a shard of its own, come by one connection.
fn share(transport: Transport, mgc: &mut Controller, addr: std::net::SocketAddr) {
    let shown = transport.is_secure().then(Identity::new);
    let alice = Signalled::add(mgc, "$", (transport, "alice"), shown.as_ref());
    let carol = Signalled::add(mgc, "$", (transport, "carol"), shown.as_ref());
    let bob = Signalled::add(mgc, "1", (transport, "bob"), None);
    let dave = Signalled::add(mgc, "2", (transport, "dave"), None);
    assert_ne!(shard_of(&alice), shard_of(&carol));
    let mut others = [&bob, &dave].map(|one| {
        let mut other = Participant::connect(addr, transport, one, None);
        other.bind("200");
        other
    });
    let mut relay = Relay {
        connection: Participant::connect(addr, transport, &alice, shown),
        peers: [alice.peer(), carol.peer()],
        buffer: Vec::new(),
    };
    relay.bind("200");
    let longs = [7_u8, 8].map(|from| vec![from; CUTS[CUTS.len() - 1]]);
    // Their chunks take turns.
    for cut in CUTS.windows(2) {
        for (peer, long) in relay.peers.iter_mut().zip(&longs) {
            peer.wants_reports = true;
            let tid = format!("long{}", cut[0]);
            let chunk = peer.chunk(&tid, "long", long, cut[0], cut[1]);
            relay.connection.send(&chunk);
        }
    }
    for (other, long) in others.iter_mut().zip(&longs) {
        other.until(|peer| has(peer, "long"));
        assert!(other.peer.messages["long"].whole().as_ref() == Some(long));
        assert_eq!(other.peer.messages["long"].repeated, 0);
        let back = other.peer.chunk("back000", "back", long, 0, long.len());
        other.send(&back);
    }
    relay.until(|peers| {
        let is_done = |peer: &Peer| has(peer, "back") && peer.reports.len() == 1;
        peers.iter().all(is_done)
    });
    for (peer, long) in relay.peers.iter().zip(&longs) {
        assert!(peer.messages["back"].whole().as_ref() == Some(long));
        assert_eq!(peer.messages["back"].repeated, 0);
        assert!(peer.reports[0].1.starts_with("000 200"));
        assert!(
            peer.answers
                .values()
                .all(|status| status.starts_with("200"))
        );
    }
    for other in &mut others {
        other.until(|peer| peer.answers.contains_key("back000"));
    }
    // Once this is answered, nothing of theirs is on its way any more.
    relay.bind("200");
    // Alice leaves; Carol stays on the connection.
    let counted = "nms=1,msrpstat/nmr=1,msrpstat/vms=100000,msrpstat/vmr=100000";
    let reply = mgc.call("C=1{S=msrp/1}");
    assert!(reply.contains(counted), "{reply}");
    let more = relay.peers[1].chunk("more000", "more", b"Still here", 0, 10);
    relay.connection.send(&more);
    others[1].until(|peer| has(peer, "more"));
    relay.until(|peers| peers[1].reports.len() == 2);
    assert!(relay.peers[1].answers["more000"].starts_with("200"));
    let gone = relay.peers[0].binding("gone000");
    relay.connection.send(&gone);
    relay.until(|peers| peers[0].answers.contains_key("gone000"));
    assert!(relay.peers[0].answers["gone000"].starts_with("481"));
    // Nobody uses it any more: it ends.
    mgc.call("C=2{S=msrp/2}");
    relay.connection.until_closed();
    mgc.call("C=1{S=msrp/3}");
    mgc.call("C=2{S=msrp/4}");
}

async fn two_share(transport: Transport) {
    on_each_reactor(&[transport], move |mgc, addrs| {
        share(transport, mgc, addrs[0]);
    })
    .await;
}

// MSRP-CONN-001
#[tokio::test]
async fn sessions_of_two_shards_share_a_connection_over_tcp() {
    two_share(Transport("tcp")).await;
}

// MSRP-CONN-001
#[tokio::test]
async fn sessions_of_two_shards_share_a_connection_over_tls() {
    two_share(Transport("tls")).await;
}

// MSRP-CONN-001
#[tokio::test]
async fn sessions_of_two_shards_share_a_connection_over_websocket() {
    two_share(Transport("ws")).await;
}

// MSRP-CONN-001
#[tokio::test]
async fn sessions_of_two_shards_share_a_connection_over_websocket_and_tls() {
    two_share(Transport("wss")).await;
}
