//! SIP: calls as the focus takes them, from the datagram of the INVITE to the answer to BYE, without sockets.

use clock::{Duration, Instant};
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use sip::{Agent, AgentConfig, Answer, Event, Flow, Method, Output, Transport, parse_datagram};

/// With `NUMBER` for the call, `TAG` for ours.
const INVITE: &str = "INVITE sip:room@home2.example SIP/2.0\r\n\
    Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bKiNUMBER;rport\r\n\
    Via: SIP/2.0/UDP 192.0.2.8;branch=z9hG4bKpNUMBER;received=192.0.2.8\r\n\
    Record-Route: <sip:scscf.home1.example;lr>, <sip:pcscf.home1.example;lr>\r\n\
    Max-Forwards: 68\r\nFrom: \"Ann\" <sip:ann@home1.example>;tag=fNUMBER\r\n\
    To: <sip:room@home2.example>\r\nCall-ID: NUMBER@192.0.2.8\r\nCSeq: 1 INVITE\r\n\
    Contact: <sip:ann@192.0.2.8;transport=udp>\r\nP-Asserted-Identity: <sip:ann@home1.example>\r\n\
    P-Charging-Vector: icid-value=\"NUMBER\";orig-ioi=home1.example\r\n\
    Supported: timer, 100rel\r\nContent-Type: application/sdp\r\nContent-Length: 220\r\n\r\n";
const LATER: &str = " sip:room@192.0.2.1:5060 SIP/2.0\r\n\
    Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bKMETHODNUMBER;rport\r\n\
    Max-Forwards: 68\r\nFrom: \"Ann\" <sip:ann@home1.example>;tag=fNUMBER\r\n\
    To: <sip:room@home2.example>;tag=TAG\r\nCall-ID: NUMBER@192.0.2.8\r\nCSeq: CSEQ METHOD\r\n\
    Content-Length: 0\r\n\r\n";
const BODY_BYTES: usize = 220;

const FLOW: Flow = Flow {
    transport: Transport::Udp,
    channel: 0,
    local: SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 5060),
    remote: SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)), 5060),
    is_trusted: true,
};

/// A user agent that takes calls.
#[expect(missing_debug_implementations, reason = "an agent has no text")]
pub struct Calls {
    agent: Agent,
    now: Instant,
    number: u32,
    answer: Answer,
}

/// What an agent has to say after an input.
#[derive(Default)]
struct Said {
    octets: usize,
    last: Vec<u8>,
}

impl Default for Calls {
    fn default() -> Self {
        let answer = Answer::new(200)
            .with("Contact", "<sip:room@192.0.2.1:5060>;isfocus")
            .with(
                "Allow",
                "INVITE, ACK, CANCEL, BYE, PRACK, UPDATE, OPTIONS, REFER",
            )
            .with("Allow-Events", "conference")
            .with("Accept", "application/sdp, multipart/mixed")
            .with(
                "Supported",
                "100rel, timer, norefersub, recipient-list-invite",
            )
            .with("P-Asserted-Identity", "<sip:room@home2.example>")
            .with("Privacy", "none")
            .with_body("application/sdp", vec![b'a'; BODY_BYTES]);
        Self {
            agent: Agent::new(AgentConfig {
                locals: vec!["udp:192.0.2.1:5060".parse().expect("an address")],
                allow: vec![Method::Invite, Method::Ack, Method::Bye],
                accept: vec!["application/sdp".to_owned()],
                supported: vec!["timer".to_owned()],
                users: None,
                credentials: Vec::new(),
                seed: [7; 32],
            }),
            now: Instant::ZERO,
            number: 0,
            answer,
        }
    }
}

impl Calls {
    /// Takes a call, until it is over; how many octets were sent for it: 100, 200, 200.
    pub fn run(&mut self) -> usize {
        self.number += 1;
        self.now += Duration::from_millis(1);
        let number = format!("{:08x}", self.number);
        let invite = INVITE.replace("NUMBER", &number) + &"a".repeat(BODY_BYTES);
        let answered = self.receive(&invite);
        let text = String::from_utf8_lossy(&answered.last);
        let tag = text
            .split(";tag=")
            .nth(2)
            .and_then(|rest| rest.split("\r\n").next());
        let later = LATER
            .replace("NUMBER", &number)
            .replace("TAG", tag.expect("a tag"));
        let of = |method: &str, cseq| {
            method.to_owned() + &later.replace("METHOD", method).replace("CSEQ", cseq)
        };
        self.receive(&of("ACK", "1"));
        let ended = self.receive(&of("BYE", "2"));
        assert!(ended.last.starts_with(b"SIP/2.0 200 OK\r\n"));
        assert_eq!(self.agent.dialog_count(), 0);
        answered.octets + ended.octets
    }

    /// A user agent with a call that has waited for a second: whoever comes now is refused.
    #[must_use]
    pub fn overwhelmed() -> Self {
        let mut calls = Self::default();
        let first = INVITE.replace("NUMBER", "0") + &"a".repeat(BODY_BYTES);
        calls.agent.arrive(calls.now, FLOW, first.as_bytes(), 0);
        calls.now += Duration::from_secs(1);
        calls
    }

    /// Refuses a call, until that is acknowledged; how many octets were sent for it.
    pub fn refuse(&mut self) -> usize {
        self.number += 1;
        let number = format!("{:08x}", self.number);
        let invite = INVITE.replace("NUMBER", &number) + &"a".repeat(BODY_BYTES);
        let refused = self.arrive(&invite);
        assert!(refused.last.starts_with(b"SIP/2.0 503 "));
        let text = String::from_utf8_lossy(&refused.last);
        let tag = text
            .split(";tag=")
            .nth(2)
            .and_then(|rest| rest.split("\r\n").next());
        let tag = tag.expect("a tag");
        let ack = LATER.replace("NUMBER", &number).replace("TAG", tag);
        let ack = ack.replace("METHOD", "ACK").replace("CSEQ", "1");
        assert_eq!(self.arrive(&("ACK".to_owned() + &ack)).octets, 0);
        refused.octets
    }

    /// What becomes of a datagram as soon as it comes.
    fn arrive(&mut self, text: &str) -> Said {
        self.agent.arrive(self.now, FLOW, text.as_bytes(), 0);
        self.said()
    }

    fn receive(&mut self, text: &str) -> Said {
        let parsed = parse_datagram(text.as_bytes());
        self.agent.handle_received(self.now, FLOW, parsed);
        self.said()
    }

    fn said(&mut self) -> Said {
        let mut said = Said::default();
        loop {
            match self.agent.poll() {
                Output::Wait(_) => return said,
                Output::Transmit { bytes, .. } => {
                    said.octets += bytes.len();
                    said.last = bytes;
                }
                Output::Event(Event::Invite { txn, .. }) => {
                    self.agent.respond(self.now, txn, &self.answer);
                }
                Output::Event(_) | Output::Resolve { .. } => {}
            }
        }
    }
}
