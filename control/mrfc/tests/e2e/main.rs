//! The MRFC on real loopback sockets, between a scripted MRFP and SIP clients.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test names the one outcome it wants"
)]

mod breaks;
mod chatroom;
mod endings;
mod factory;
mod joins;
mod mrfp;
mod notices;
mod outcomes;
mod phones;
mod placement;
mod refers;
mod reliable;
mod sessions;
mod tls;
mod transports;
mod watchers;
mod wire;

use clock::Duration;
use h248_endpoint::TransportAddr;
use mrfc::{ConferenceConfig, Config, Mrfc};
use mrfp::{FakeMrfp, Seen};
use sip::{Call, Event, Headers, Method, SipAddr, SipClient};

/// The seed's offer, with an address of this host.
const OFFER: &str = "v=0\r\no=- 2987933615 2987933615 IN IP4 127.0.0.1\r\ns=-\r\n\
    c=IN IP4 127.0.0.1\r\nt=0 0\r\nm=message 2855 TCP/MSRP *\r\n\
    a=accept-types:message/cpim text/plain text/html\r\n\
    a=path:msrp://127.0.0.1:2855/s111271;tcp\r\na=max-size:131072\r\n\
    a=msrp-cema\r\na=setup:active\r\n";

const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, PRACK, UPDATE, OPTIONS, REFER, SUBSCRIBE";

struct Bench {
    mrfc: Mrfc,
    mrfp: FakeMrfp,
}

fn config() -> Config {
    let any = |text: &str| text.parse().expect("a socket address");
    Config {
        sip: vec![
            SipAddr::udp(any("127.0.0.1:0")),
            SipAddr::tcp(any("127.0.0.1:0")),
            SipAddr::udp(any("[::1]:0")),
            SipAddr::tcp(any("[::1]:0")),
        ],
        h248: vec![TransportAddr::Udp(any("127.0.0.1:0"))],
        conferences: vec![ConferenceConfig::new("conference1")],
        max_participants: 3,
        term_ioi: Some("home2.net".into()),
        mrfp_grace: Duration::ZERO,
        // How long an answer takes depends on what else this machine does.
        h248_timeout: Duration::from_secs(600),
        ..Config::default()
    }
}

impl Bench {
    async fn start(config: Config) -> Self {
        let mut mrfc = mrfc::start(config).await.expect("starts on free ports");
        let mrfp = FakeMrfp::start(mrfc.h248_addrs()[0]).await;
        mrfc.mrfp_registered().await;
        Self { mrfc, mrfp }
    }

    fn call(&self, listener: usize) -> Call {
        Call {
            uri: "sip:conference1@home2.net".into(),
            via: self.mrfc.sip_addrs()[listener],
            from: "sip:user1_public1@home1.net".into(),
            sdp: Some(OFFER.into()),
            headers: vec![(
                "P-Charging-Vector".into(),
                "icid-value=\"AyretyU0dm+6O2IrT5tAFrbHLso=023551024\";orig-ioi=home1.net".into(),
            )],
        }
    }

    async fn client(&self, listener: usize) -> SipClient {
        let via = self.mrfc.sip_addrs()[listener];
        let local = SipAddr {
            transport: via.transport,
            addr: core::net::SocketAddr::new(via.addr.ip(), 0),
        };
        SipClient::bind(local).await.expect("a free port")
    }

    /// Joins, acknowledges, and returns what the MRFP saw.
    async fn join(&mut self, client: &mut SipClient, listener: usize) -> (sip::DialogId, Seen) {
        let outcome = client.invite(&self.call(listener)).await.expect("placed");
        assert_eq!(outcome.response.code, 200, "{:?}", outcome.response);
        client.ack(outcome.dialog, None).await;
        (outcome.dialog, self.mrfp.seen().await)
    }

    /// A participant, whose ACK has arrived, and its dialog.
    async fn joined(&mut self, listener: usize) -> (SipClient, sip::DialogId) {
        let mut client = self.client(listener).await;
        let (dialog, _) = self.join(&mut client, listener).await;
        until_acknowledged(&mut client, dialog).await;
        (client, dialog)
    }
}

fn header<'a>(headers: &'a Headers, name: &str) -> &'a str {
    headers
        .get(name)
        .unwrap_or_else(|| panic!("no {name} in {headers:?}"))
}

/// An answer to a later request says that the ACK has arrived.
async fn until_acknowledged(client: &mut SipClient, dialog: sip::DialogId) {
    let options = client.request(dialog, Method::Options, None).await;
    assert_eq!(options.expect("answered").code, 200);
}

async fn until_bye(client: &mut SipClient) -> String {
    loop {
        match client.next_event().await.expect("the stack lives") {
            Event::Bye { request, .. } => {
                return request.headers.get("Reason").unwrap_or("").to_owned();
            }
            _ => continue,
        }
    }
}

#[track_caller]
fn check_refused(response: &sip::Response, code: u16, name: &str, value: &str) {
    assert_eq!(response.code, code, "{response:?}");
    if !name.is_empty() {
        let found = header(&response.headers, name);
        assert!(found.contains(value), "{name}: {found}");
    }
}
