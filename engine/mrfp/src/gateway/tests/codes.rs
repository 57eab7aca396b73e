//! Every error code of H.248.8 that can arise arises, from octets to octets: gateway, transactions and
//! parser together. Those that cannot say why.

use std::collections::BTreeSet;

use h248::ErrorCode;
use h248_endpoint::{AssociationConfig, Node, NodeOutput, Role};

use super::wire::{Wire, config, peer};
use super::*;

/// What a message must look like to be refused with a code before the gateway sees it.
const UNREAD: &[(u16, &str)] = &[
    (400, "!/2 <mgc.example>"),
    (400, "hello"),
    (403, "!/2 <mgc.example> T=1{}"),
    (403, "!/2 <mgc.example> T=x{C=-{AV=ROOT{AT{}}}}"),
    (406, "!/4 <mgc.example> T=1{C=-{AV=ROOT{AT{}}}}"),
    (413, TOO_MANY),
    (422, "!/2 <mgc.example> T=1{C=x{S=*}}"),
    (442, "!/2 <mgc.example> T=1{C=1{S=}}"),
    (443, "!/2 <mgc.example> T=1{C=1{FOO=x}}"),
    (444, "!/2 <mgc.example> T=1{C=1{MF=msrp/1{FOO}}}"),
    (447, "!/2 <mgc.example> T=1{C=1{MF=msrp/1{PG{g-1}}}}"),
    (448, "!/2 <mgc.example> T=1{C=1{MF=msrp/1{E,E}}}"),
    (449, "!/2 <mgc.example> T=1{C=1{MF=msrp/1{M{O{MO=XX}}}}}"),
    (504, "!/2 <other.example> T=1{C=-{AV=ROOT{AT{}}}}"),
];

/// Eleven transactions.
const TOO_MANY: &str = "!/2 <mgc.example> T=1{C=-{S=*}}T=2{C=-{S=*}}T=3{C=-{S=*}}T=4{C=-{S=*}}\
    T=5{C=-{S=*}}T=6{C=-{S=*}}T=7{C=-{S=*}}T=8{C=-{S=*}}T=9{C=-{S=*}}T=10{C=-{S=*}}T=11{C=-{S=*}}";

const AUDIT: &str = "T=1{C=-{AV=ROOT{AT{}}}}";

/// Codes that this gateway never gives, and why.
const NEVER: &[(u16, &str)] = &[
    (401, "what breaks the protocol has a code that says more"),
    (
        458,
        "controllers say it of a Notify; a test of the bundled one provokes it",
    ),
    (
        459,
        "requests are never segmented, and the segments of a reply are asked for again",
    ),
    (460, "every statistic is kept of every stream"),
    (471, "no multiplexes (444)"),
    (
        475,
        "signals of H.248.66, a package that is not there (440)",
    ),
    (
        476,
        "signals of H.248.66, a package that is not there (440)",
    ),
    (
        477,
        "signals of H.248.66, a package that is not there (440)",
    ),
    (
        478,
        "resource rules of H.248.63, a package that is not there (440)",
    ),
    (
        500,
        "it would be our own fault; the transactions give it for a reply without anything in it",
    ),
    (
        502,
        "the gateway registers when it is ready, and not before",
    ),
    (518, "no event buffer (444)"),
    (519, "no digit maps (444)"),
    (520, "no digit maps (444)"),
    (521, "a change of service is over when its command is"),
    (526, "no bandwidth is set aside"),
    (529, "no hardware of its own"),
    (530, "a network that fails is an event (nt/netfail)"),
    (531, "a network that fails is an event (nt/netfail)"),
    (540, "no analogue lines"),
    (541, "no circuits"),
    (
        542,
        "terminations are of one kind; what ROOT does not take is 410",
    ),
    (543, "events always tell their time"),
    (581, "what does not exist has a code that says what"),
];

#[track_caller]
fn check(code: u16, request: &str, told: &str) {
    assert!(told.contains(&format!("ER={code}{{")), "{request}: {told}");
}

/// Provokes the codes of transactions and parser; which they are.
fn provoke_the_rest() -> BTreeSet<u16> {
    for (code, message) in UNREAD {
        check(*code, message, &Wire::registered(|_| {}).hear(message));
    }
    let header = "AU=0x00000001:0x00000002:0x0123456789ABCDEF01234567 ";
    let mut wire = Wire::registered(|config| config.refuses_authentication = true);
    check(
        402,
        header,
        &wire.hear(&format!("{header}!/2 <mgc.example> {AUDIT}")),
    );
    let (mut wire, _) = Wire::asking(|_| {});
    check(
        505,
        AUDIT,
        &wire.hear(&format!("!/1 <mgc.example> {AUDIT}")),
    );
    let mut wire = Wire::registered(|config| config.pendings_max = 1);
    wire.is_stalled = true;
    let add = format!("T=1{{C=${{{}}}}}", add());
    assert_eq!(wire.say(&add), "");
    assert!(wire.wait(Duration::from_secs(2)).contains("PN=1{}"));
    check(506, &add, &wire.wait(Duration::from_secs(2)));
    let mut wire = Wire::registered(|config| config.pdu_bytes_max = Some(300));
    wire.say("T=1{C=${A=$,A=$,A=$,A=$,A=$,A=$}}");
    let audit = "T=2{C=1{AV=*{AT{M,PG}}}}";
    check(533, audit, &wire.say(audit));
    let known = UNREAD.iter().map(|(code, _)| *code);
    known.chain([402, 505, 506, 533]).collect()
}

/// What the bundled controller's side of the association says to gateways.
fn provoke_those_of_controllers() -> BTreeSet<u16> {
    let association = AssociationConfig {
        profiles: vec![h248::ast::Profile {
            name: "MRF".into(),
            version: 7,
        }],
        ..AssociationConfig::default()
    };
    let config = config("mgc.example", Role::Controller);
    let mut node = Node::controller(config, association, Instant::ZERO);
    let mut told = |message: &str| {
        node.handle_received(Instant::ZERO, peer(), message.as_bytes());
        let mut told = String::new();
        loop {
            match node.poll() {
                NodeOutput::Transmit { octets, .. } => {
                    told += str::from_utf8(&octets).expect("text");
                }
                NodeOutput::Wait(_) => return told,
                _ => {}
            }
        }
    };
    let notify = "!/1 <mg.example> T=1{C=1{N=msrp/1{OE=1{g/cause}}}}";
    check(504, notify, &told(notify));
    let register = "!/1 <mg.example> T=2{C=-{SC=ROOT{SV{MT=RS,RE=\"901\",PF=OTHER/1}}}}";
    check(461, register, &told(register));
    [504, 461].into()
}

#[test]
fn every_code_of_h_248_8_arises_or_cannot() {
    let mut arise = errors::codes();
    arise.extend(provoke_the_rest());
    arise.extend(provoke_those_of_controllers());
    let never: BTreeSet<u16> = NEVER.iter().map(|(code, _)| *code).collect();
    assert_eq!(never.intersection(&arise).count(), 0);
    let all = (400..900).filter(|code| !ErrorCode(*code).text().is_empty());
    let accounted: BTreeSet<u16> = arise.union(&never).copied().collect();
    assert_eq!(accounted, all.collect::<BTreeSet<_>>());
}
