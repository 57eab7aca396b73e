//! The network between the focus, phones and MRFPs.

use super::world::{Happening, World};
use clock::Duration;
use core::net::SocketAddr;
use h248::ast::{MId, Name};
use h248_endpoint::{Peer, TransportId, TransportKind};
use sip::{
    Destination, Flow, Hop, Method, Parsed, SipAddr, Target, Transport, TxnId, parse_datagram,
};

/// Address of the focus.
pub(super) fn focus_addr() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 5060))
}

/// Address of a phone; they count from 1.
pub(super) fn phone_addr(phone: usize) -> SocketAddr {
    let last = u8::try_from(phone).expect("few phones");
    SocketAddr::from(([10, 0, 1, last], 5060))
}

fn controller_addr() -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], 2944))
}

pub(super) fn gateway_addr(gateway: usize) -> SocketAddr {
    let last = u8::try_from(gateway).expect("few gateways");
    SocketAddr::from(([10, 0, 2, last], 2944))
}

pub(super) fn udp_peer(addr: SocketAddr) -> Peer {
    let transport = TransportId {
        kind: TransportKind::Udp,
        index: 0,
    };
    Peer { transport, addr }
}

pub(super) fn controller_peer() -> Peer {
    udp_peer(controller_addr())
}

pub(super) fn mid(name: &str) -> MId {
    let name = Name::new(name);
    MId::Domain { name, port: None }
}

impl World {
    pub(super) fn deliver_sip(
        &mut self,
        to: usize,
        transport: Transport,
        from: SocketAddr,
        bytes: &[u8],
    ) {
        let (now, parsed) = (self.now, parse_datagram(bytes));
        let flow = Flow {
            transport,
            channel: if transport == Transport::Udp {
                0
            } else {
                u64::from(from.port()) + 1
            },
            local: if to == 0 {
                focus_addr()
            } else {
                phone_addr(to)
            },
            remote: from,
            is_trusted: false,
        };
        if to > 0 {
            let phone = &mut self.phones[to - 1];
            if !phone.is_gone {
                phone.agent.handle_received(now, flow, parsed);
            }
            return;
        }
        if let Parsed::Request(request) = &parsed
            && request.method != Method::Ack
        {
            let key = transaction(&request.headers);
            self.asked.entry(key).or_insert((now, None));
        }
        self.behind
            .agent
            .borrow_mut()
            .handle_received(now, flow, parsed);
    }

    /// Each request has one final answer.
    pub(super) fn note_answer(&mut self, bytes: &[u8]) {
        let Parsed::Response(response) = parse_datagram(bytes) else {
            return;
        };
        if response.code < 200 {
            return;
        }
        let key = transaction(&response.headers);
        let (_, answer) = self.asked.get_mut(&key).expect("an answer to something");
        let first = *answer.get_or_insert(response.code);
        assert_eq!(first, response.code, "two final answers to {key}");
    }

    /// From the focus (0) or a phone.
    pub(super) fn transmit_sip(
        &mut self,
        from: usize,
        to: &Destination,
        bytes: Vec<u8>,
        txn: Option<TxnId>,
    ) {
        let (transport, addr) = match to {
            Destination::Flow { flow, .. } if flow.transport != Transport::Udp => {
                (flow.transport, flow.remote)
            }
            Destination::Flow { addr, .. } => (Transport::Udp, *addr),
            Destination::Hop { hop, .. } => (hop.addr.transport, hop.addr.addr),
        };
        let is_it =
            |number: &usize| *number == 0 && addr == focus_addr() || addr == phone_addr(*number);
        let receiver = (0..=self.phones.len()).find(is_it);
        let is_gone = |number: usize| number > 0 && self.phones[number - 1].is_gone;
        let is_reliable = transport != Transport::Udp;
        let receiver = receiver.filter(|to| !is_gone(*to) && !is_gone(from));
        if self.tells {
            let line = told(&bytes);
            self.note(&format!("sip {from} -> {addr}: {line}"));
        }
        let Some(receiver) = receiver else {
            if let Some(txn) = txn.filter(|_| is_reliable) {
                self.later(Duration::from_secs(5), Happening::SipUnsent(from, txn));
            }
            return;
        };
        if !is_reliable && self.chance(self.faults.sip_lost) {
            return;
        }
        let own = if from == 0 {
            focus_addr()
        } else {
            phone_addr(from)
        };
        if !is_reliable && self.chance(self.faults.sip_doubled) {
            let wait = self.some_ms(self.faults.delay_ms);
            self.later(
                wait,
                Happening::Sip(receiver, transport, own, bytes.clone()),
            );
        }
        // A connection keeps the order.
        let wait = if is_reliable {
            Duration::from_millis(20)
        } else {
            self.some_ms(self.faults.delay_ms)
        };
        self.later(wait, Happening::Sip(receiver, transport, own, bytes));
    }

    pub(super) fn transmit_h248(&mut self, to_controller: bool, gateway: usize, octets: Vec<u8>) {
        if self.tells {
            let text = String::from_utf8_lossy(&octets).replace(['\r', '\n'], " ");
            let arrow = if to_controller { "->" } else { "<-" };
            self.note(&format!("h248 {gateway} {arrow} {text}"));
        }
        if self.chance(self.faults.h248_lost) {
            return;
        }
        let wait = self.some_ms(self.faults.delay_ms);
        self.later(wait, Happening::H248(to_controller, gateway, octets));
    }
}

/// Branch and method: what names a transaction.
fn transaction(headers: &sip::Headers) -> String {
    let via = headers.get("Via").unwrap_or_default();
    let branch = via.split("branch=").nth(1).unwrap_or_default();
    let branch = branch.split([';', ',']).next().unwrap_or_default();
    let method = headers.cseq().map(|(_, method)| method.to_string());
    format!("{branch} {}", method.unwrap_or_default())
}

/// Where a URI of this world leads: `sip:u3@u3.example`, or an address.
pub(super) fn hops_of(target: &Target) -> Vec<Hop> {
    let number = target
        .host
        .strip_prefix('u')
        .and_then(|host| host.strip_suffix(".example"));
    let addr = match number.and_then(|number| number.parse().ok()) {
        Some(number) => Some(phone_addr(number)),
        None => target
            .host
            .parse()
            .ok()
            .map(|ip| SocketAddr::new(ip, target.port.unwrap_or(5060))),
    };
    let hop = |addr| Hop {
        addr: SipAddr {
            transport: target.transport.unwrap_or(Transport::Udp),
            addr,
        },
        name: None,
        near: focus_addr(),
    };
    addr.map(hop).into_iter().collect()
}

/// A SIP message in one line.
fn told(bytes: &[u8]) -> String {
    let (line, headers) = match parse_datagram(bytes) {
        Parsed::Request(request) => (
            format!("{} {}", request.method, request.uri),
            request.headers,
        ),
        Parsed::Response(response) => (response.code.to_string(), response.headers),
        Parsed::Malformed(_) | Parsed::Garbage => return "?".to_owned(),
    };
    let field = |name: &str| headers.get(name).unwrap_or_default();
    format!("{line} {} {}", field("CSeq"), field("Call-ID"))
}
