//! MSRP over TLS, agreed on by SIP, from end to end.

use crate::program::Server;
use core::net::SocketAddr;
use mrf_cli::msrp_client::{Credentials, Event, MsrpClient, Outgoing, Paths};
use sdp::{Description, MessageBuilder, MessageMedia, Setup, Transport};
use sip::{Call, DialogId, Method, SipAddr, SipClient};
use tokio::net::TcpStream;

struct Party {
    sip: SipClient,
    dialog: DialogId,
    msrp: MsrpClient,
}

const HERE: &str = "127.0.0.1:0";

/// An offer of ours, and our path; we connect.
fn offer(transport: Transport, session: &str) -> (String, String) {
    let scheme = match transport {
        Transport::Tcp => "msrp",
        Transport::Tls => "msrps",
    };
    let path = format!("{scheme}://127.0.0.1:2855/{session};tcp");
    let own: SocketAddr = "127.0.0.1:2855".parse().unwrap();
    let mut offer = MessageBuilder::new(own, path.clone());
    offer.transport = transport;
    offer.accept_types = vec!["text/plain".to_owned()];
    offer.setup = Some(Setup::Active);
    (offer.write(), path)
}

/// Connects as the answer says, and binds the connection by a SEND without body.
async fn connect(answer: &[u8], local: String, transport: Transport) -> MsrpClient {
    let description = Description::parse(answer).unwrap();
    let media: MessageMedia = description.message().unwrap();
    assert_eq!(media.transport, transport);
    let to = media.remote_transport_address().unwrap();
    let remote = media.path.as_ref().unwrap().as_str().to_owned();
    let paths = Paths { local, remote };
    let stream = TcpStream::connect(to).await.unwrap();
    let mut msrp = match transport {
        Transport::Tcp => MsrpClient::start(stream, paths, false),
        Transport::Tls => {
            let print = media.fingerprints.first().expect("a fingerprint");
            assert_eq!(print.hash, "sha-256");
            let ours = Credentials::new(None).unwrap();
            let host = to.ip().to_string();
            let secured = ours.secure(stream, &media.fingerprints, &host);
            MsrpClient::start(secured.await.unwrap(), paths, false)
        }
    };
    msrp.send(Outgoing::default()).await.unwrap();
    assert_eq!(answered(&mut msrp).await, 200);
    msrp
}

async fn answered(msrp: &mut MsrpClient) -> u16 {
    let event = msrp.next_event().await.unwrap();
    let Event::Answered { status, .. } = event else {
        panic!("{event:?}");
    };
    status.as_u16()
}

impl Party {
    async fn join(server: &Server, name: &str, transport: Transport) -> Self {
        let via = SipAddr::tcp(server.get("sip.tcp").parse().unwrap());
        let local = SipAddr::tcp(HERE.parse().unwrap());
        let mut sip = SipClient::bind(local).await.unwrap();
        let (sdp, path) = offer(transport, &format!("{name}00000000000000000"));
        let call = Call {
            uri: "sip:lobby@home2.example".to_owned(),
            via,
            from: format!("sip:{name}@home1.example"),
            sdp: Some(sdp),
            headers: Vec::new(),
        };
        let outcome = sip.invite(&call).await.unwrap();
        assert_eq!(outcome.response.code, 200, "{:?}", outcome.response);
        sip.ack(outcome.dialog, None).await;
        Self {
            sip,
            dialog: outcome.dialog,
            msrp: connect(&outcome.response.body, path, transport).await,
        }
    }

    /// Offers another transport in the same dialog, and goes over to it.
    async fn change(&mut self, session: &str, transport: Transport) {
        let (sdp, path) = offer(transport, session);
        let changed = self.sip.request(self.dialog, Method::Invite, Some(&sdp));
        let changed = changed.await.unwrap();
        assert_eq!(changed.code, 200, "{changed:?}");
        self.sip.ack(self.dialog, None).await;
        self.msrp = connect(&changed.body, path, transport).await;
    }

    async fn says(&mut self, text: &str, other: &mut Self) {
        let message = Outgoing {
            content_type: Some("text/plain".to_owned()),
            body: text.as_bytes().to_vec(),
            ..Outgoing::default()
        };
        self.msrp.send(message).await.unwrap();
        assert_eq!(answered(&mut self.msrp).await, 200);
        let event = other.msrp.next_event().await.unwrap();
        let Event::Message(message) = event else {
            panic!("{event:?}");
        };
        assert_eq!(message.body, text.as_bytes());
    }
}

// RFC 4975 14, RFC 8122, RFC 4975 5.4.
#[tokio::test]
async fn participants_talk_over_tls_and_change_between_tls_and_tcp() {
    for reactor in ["auto", "mio"] {
        let server = Server::start(&[
            "run",
            "--sip",
            "tcp:127.0.0.1:0",
            "--h248",
            "udp:127.0.0.1:0",
            "--msrp",
            HERE,
            "--msrp",
            "tls:127.0.0.1:0",
            "--http",
            "off",
            "--shards",
            "1",
            "--reactor",
            reactor,
        ]);
        let mut ann = Party::join(&server, "ann", Transport::Tls).await;
        let mut bob = Party::join(&server, "bob", Transport::Tcp).await;
        ann.says("over TLS", &mut bob).await;
        bob.says("over TCP", &mut ann).await;
        bob.change("bob11111111111111111", Transport::Tls).await;
        ann.says("both over TLS", &mut bob).await;
        bob.says("to and fro", &mut ann).await;
        ann.change("ann11111111111111111", Transport::Tcp).await;
        bob.says("and back", &mut ann).await;
        ann.says("here I am", &mut bob).await;
        for mut party in [ann, bob] {
            assert_eq!(party.sip.bye(party.dialog).await.unwrap().code, 200);
        }
    }
}
