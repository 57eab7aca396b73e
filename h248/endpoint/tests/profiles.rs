//! Which profile a gateway and its controller settle on (H.248.1 section 7.2.8).

mod support;

use clock::Instant;
use h248::ast::Profile;
use h248_endpoint::{AssociationConfig, Event, Node, NodeOutput, Peer, RegistrationConfig, Role};
use support::{config, ms, udp};

fn profile(text: &str) -> Profile {
    let (name, version) = text.split_once('/').expect("a name and a version");
    Profile {
        name: name.into(),
        version: version.parse().expect("a version"),
    }
}

/// Messages sent and events, until there is nothing to do.
fn drain(node: &mut Node) -> (Vec<String>, Vec<Event>) {
    let (mut messages, mut events) = (Vec::new(), Vec::new());
    loop {
        match node.poll() {
            NodeOutput::Transmit { octets, .. } => {
                messages.push(String::from_utf8(octets.to_vec()).expect("text"));
            }
            NodeOutput::Connect(mgc) => node.handle_connected(Instant::ZERO, mgc, udp(1)),
            NodeOutput::Event(event) => events.push(*event),
            NodeOutput::Resolve { .. } | NodeOutput::Close(_) => {}
            NodeOutput::Wait(_) => return (messages, events),
        }
    }
}

/// A gateway that proposes `MRF/7`, and its registration.
fn asking() -> (Node, String) {
    let registration =
        RegistrationConfig::new(vec!["udp:127.0.0.1:1".parse().expect("an address")]);
    let mut node = Node::gateway(config("mg", Role::Gateway), registration, Instant::ZERO);
    node.handle_deadline(Instant::ZERO);
    let (mut messages, _) = drain(&mut node);
    let asked = messages.pop().expect("a registration");
    assert!(asked.contains("PF=MRF/7"), "{asked}");
    (node, asked)
}

fn answer(node: &mut Node, asked: &str, result: &str) -> (Vec<String>, Vec<Event>) {
    let (_, id) = asked.split_once("T=").expect("a request");
    let (id, _) = id.split_once('{').expect("its number");
    let reply = format!("!/1 <mgc.example> P={id}{{C=-{{SC=ROOT{{{result}}}}}}}");
    node.handle_received(ms(1), udp(1), reply.as_bytes());
    drain(node)
}

fn registered(events: &[Event]) -> Option<Option<Profile>> {
    events.iter().find_map(|event| {
        if let Event::Registered(registered) = event {
            Some(registered.profile.clone())
        } else {
            None
        }
    })
}

#[test]
fn a_gateway_takes_what_it_proposed_or_less() {
    for (told, settled) in [
        ("", Some("MRF/7")),
        (",PF=MRF/7", Some("MRF/7")),
        (",PF=mrf/3", Some("MRF/3")),
        (",PF=NoProfile/1", None),
    ] {
        let (mut node, asked) = asking();
        let (_, events) = answer(&mut node, &asked, &format!("SV{{V=2{told}}}"));
        assert_eq!(registered(&events), Some(settled.map(profile)), "{told}");
    }
    for told in ["MRF/8", "OTHER/1"] {
        let (mut node, asked) = asking();
        let (_, events) = answer(&mut node, &asked, &format!("SV{{V=2,PF={told}}}"));
        assert_eq!(registered(&events), None, "{told}");
        let failed = events.iter().any(|event| {
            matches!(event, Event::RegistrationFailed { reason, .. } if reason.contains(told))
        });
        assert!(failed, "{told}: {events:?}");
    }
}

#[test]
fn a_gateway_whose_profile_is_refused_asks_again_without_one() {
    let (mut node, asked) = asking();
    let (messages, events) = answer(&mut node, &asked, "ER=461{}");
    let [again] = messages.as_slice() else {
        panic!("{messages:?}, {events:?}");
    };
    assert!(
        again.contains("SC=ROOT") && !again.contains("PF="),
        "{again}"
    );
    let (_, events) = answer(&mut node, again, "SV{V=2}");
    assert_eq!(registered(&events), Some(None));
    let (mut node, asked) = asking();
    let (messages, _) = answer(&mut node, &asked, "ER=461{}");
    let (_, events) = answer(&mut node, &messages[0], "ER=461{}");
    let failed = |event: &Event| matches!(event, Event::RegistrationFailed { .. });
    assert!(events.iter().any(failed), "{events:?}");
}

#[test]
fn a_controller_answers_with_no_higher_version_than_its_own() {
    for (known, proposed, told) in [
        (vec![], "PF=ANY/3,", Some("PF=ANY/3")),
        (vec!["MRF/7"], "PF=MRF/9,", Some("PF=MRF/7")),
        (vec!["MRF/7"], "PF=MRF/5,", Some("PF=MRF/5")),
        (vec!["OTHER/1", "MRF/7"], "PF=mrf/7,", Some("PF=mrf/7")),
        (vec!["MRF/7"], "PF=OTHER/1,", None),
        (vec!["MRF/7"], "", Some("V=2")),
    ] {
        let association = AssociationConfig {
            profiles: known.iter().map(|text| profile(text)).collect(),
            ..AssociationConfig::default()
        };
        let mut node =
            Node::controller(config("mgc", Role::Controller), association, Instant::ZERO);
        let request = format!(
            "!/1 <mg.example> T=5{{C=-{{SC=ROOT{{SV{{{proposed}MT=RS,RE=\"901\",V=2}}}}}}}}"
        );
        let from: Peer = udp(9);
        node.handle_received(Instant::ZERO, from, request.as_bytes());
        let (messages, events) = drain(&mut node);
        let answer = messages.concat();
        match told {
            Some(told) => {
                assert!(answer.contains(told), "{proposed}: {answer}");
                assert_eq!(answer.contains("PF="), told.starts_with("PF="));
                let settled = registered(&events).expect("registered");
                assert_eq!(settled, told.strip_prefix("PF=").map(profile));
            }
            None => {
                assert!(answer.contains("ER=461"), "{proposed}: {answer}");
                assert_eq!(registered(&events), None);
            }
        }
    }
}
