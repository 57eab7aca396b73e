//! What a media plane tells its controller when it comes and when it goes.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use crate::program::Server;

/// Nothing here takes longer unless it hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// A controller by hand.
struct Controller {
    socket: UdpSocket,
    gateway: Option<SocketAddr>,
}

impl Controller {
    fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Self {
            socket,
            gateway: None,
        }
    }

    fn addr(&self) -> SocketAddr {
        self.socket.local_addr().expect("an address")
    }

    /// The next message with this in it.
    fn hear(&mut self, part: &str) -> String {
        let mut octets = [0; 65_536];
        loop {
            let (bytes, from) = self.socket.recv_from(&mut octets).expect("a message");
            self.gateway = Some(from);
            let text = String::from_utf8_lossy(&octets[..bytes]).into_owned();
            if text.contains(part) {
                return text;
            }
        }
    }

    fn say(&self, version: u8, body: &str) {
        let text = format!("!/{version} <mgc.example> {body}");
        let gateway = self.gateway.expect("a gateway");
        let sent = self.socket.send_to(text.as_bytes(), gateway);
        assert_eq!(sent.expect("sent"), text.len());
    }

    /// Answers a ServiceChange of ROOT.
    fn consent(&self, version: u8, request: &str, result: &str) {
        let (_, id) = request.split_once("T=").expect("a request");
        let (id, _) = id.split_once('{').expect("its number");
        self.say(version, &format!("P={id}{{C=-{{SC=ROOT{result}}}}}"));
    }
}

/// A media plane of this controller, with one more option.
fn media_plane(mgc: &Controller, [flag, value]: [&str; 2]) -> Server {
    let to = format!("udp:{}", mgc.addr());
    Server::start(&[
        "mrfp",
        "--mgc",
        &to,
        "--msrp",
        "127.0.0.1:0",
        "--h248",
        "udp:127.0.0.1:0",
        "--http",
        "off",
        "--shards",
        "1",
        flag,
        value,
    ])
}

#[test]
fn a_media_plane_whose_time_to_drain_runs_out_says_so_before_it_goes() {
    let mut mgc = Controller::new();
    let mut server = media_plane(&mgc, ["--drain", "2s"]);
    let registration = mgc.hear("MT=RS");
    mgc.consent(1, &registration, "{SV{V=2}}");
    mgc.say(2, "T=1{C=${A=$}}");
    mgc.hear("P=1{C=1{A=msrp/1}}");
    server.program.signal("TERM");
    let graceful = mgc.hear("MT=GR");
    assert!(
        graceful.contains("RE=\"908 ") && graceful.contains("DL=2"),
        "{graceful}"
    );
    mgc.consent(2, &graceful, "");
    // The termination stays: nobody subtracts it.
    let forced = mgc.hear("MT=FO");
    assert!(forced.contains("RE=\"905 "), "{forced}");
    mgc.consent(2, &forced, "");
    assert_eq!(server.program.wait().code(), Some(0));
}

#[test]
fn a_media_plane_proposes_the_profile_that_it_is_told_to() {
    for (profile, proposed) in [("ResGW/2", Some("PF=ResGW/2")), ("none", None)] {
        let mut mgc = Controller::new();
        let server = media_plane(&mgc, ["--h248-profile", profile]);
        let registration = mgc.hear("MT=RS");
        match proposed {
            Some(proposed) => assert!(registration.contains(proposed), "{registration}"),
            None => assert!(!registration.contains("PF="), "{registration}"),
        }
        drop(server);
    }
}
