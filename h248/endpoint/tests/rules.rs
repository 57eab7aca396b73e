//! The rules of H.248.1 section 8 and Annex D, one at a time, in messages as text.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a test names what it expects and fails on the rest"
)]

mod support;

use clock::{Duration, Instant};
use h248::ast::{Few, ReplyBody, TransactionId};
use h248_endpoint::{
    Endpoint, Output, Peer, ProblemKind, RequestKey, Role, TransportKind, Tuning, limits,
};
use support::{audit, config, peer, refused};

const AUDIT: &str = "C=-{AV=ROOT{AT{}}}";

/// One endpoint, and what it says.
struct End {
    endpoint: Endpoint,
    peer: Peer,
    now: Instant,
    keys: Vec<RequestKey>,
}

impl End {
    fn new(kind: TransportKind) -> Self {
        Self::with(kind, |_| {})
    }

    /// On UDP, sending no longer messages than this.
    fn with_pdu(bytes_max: usize) -> Self {
        Self::with(TransportKind::Udp, |config| {
            config.pdu_bytes_max = Some(bytes_max);
        })
    }

    fn with(kind: TransportKind, change: impl FnOnce(&mut h248_endpoint::Config)) -> Self {
        let mut config = config("mg", Role::Gateway);
        config.version_max = 3;
        config.pendings_max = 5;
        change(&mut config);
        Self {
            endpoint: Endpoint::new(config),
            peer: peer(kind, 1),
            now: Instant::ZERO,
            keys: Vec::new(),
        }
    }

    fn udp() -> Self {
        Self::new(TransportKind::Udp)
    }

    fn tcp() -> Self {
        Self::new(TransportKind::Tcp)
    }

    /// Receives `!/1 <mgc.example> body`.
    fn hear(&mut self, body: &str) -> Vec<String> {
        self.hear_raw(&format!("!/1 <mgc.example> {body}"))
    }

    fn hear_raw(&mut self, message: &str) -> Vec<String> {
        self.endpoint
            .handle_received(self.now, self.peer, message.as_bytes());
        self.told()
    }

    fn ask(&mut self) -> (TransactionId, String) {
        let id = self.endpoint.send_request(self.now, self.peer, audit());
        let told = self.told();
        (id.expect("room"), told.join(" | "))
    }

    fn answer(&mut self, index: usize, body: ReplyBody) -> Vec<String> {
        assert!(self.endpoint.reply(self.now, self.keys[index], body));
        self.told()
    }

    /// Lets time pass, and tells what happened when.
    fn pass(&mut self, ms: u64) -> Vec<String> {
        let end = self.now + Duration::from_millis(ms);
        let mut told = Vec::new();
        loop {
            match self.endpoint.poll() {
                Output::Wait(Some(at)) if at <= end => {
                    self.now = at;
                    self.endpoint.handle_deadline(at);
                    told.extend(self.told());
                }
                Output::Wait(_) => break,
                output => panic!("{output:?}"),
            }
        }
        self.now = end;
        told
    }

    fn told(&mut self) -> Vec<String> {
        let mut told = Vec::new();
        loop {
            told.push(match self.endpoint.poll() {
                Output::Transmit { octets, peer } => {
                    assert_eq!(peer, self.peer);
                    let text = support::text(&octets);
                    text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
                }
                Output::Request(request) => {
                    self.keys.push(request.key);
                    match request.broken {
                        Some(tail) => {
                            format!("request {} then {}", request.request.id.0, tail.error.code)
                        }
                        None => format!("request {}", request.request.id.0),
                    }
                }
                Output::Reply { reply, .. } => format!("reply {}", words(&reply.body)),
                Output::Failed { reason, .. } => format!("failed: {reason}"),
                Output::Late { reply, .. } => format!("late {}", words(&reply.body)),
                Output::Problem(problem) => match problem.kind {
                    ProblemKind::MessageUnreadable { code, .. } => format!("problem {code}"),
                    ProblemKind::TransactionUnreadable { code, .. } => format!("problem {code}"),
                    kind => format!("problem: {kind}"),
                },
                Output::Wait(_) => return told,
            });
        }
    }
}

fn words(body: &ReplyBody) -> String {
    match body {
        ReplyBody::Error(error) => error.code.to_string(),
        ReplyBody::Actions(actions) => {
            let counts = actions.iter().map(|a| a.commands.len().to_string());
            counts.collect::<Vec<_>>().join(",")
        }
    }
}

#[test]
fn a_reply_to_what_was_given_up_is_told_once() {
    for mut end in [End::udp(), End::tcp()] {
        let (id, _) = end.ask();
        let told = end.pass(60_000);
        assert_eq!(
            told.last().map(String::as_str),
            Some("failed: no reply within T-MAX")
        );
        let reply = format!("P={}{{ER=510{{\"test\"}}}}", id.0);
        assert_eq!(end.hear(&reply), ["late 510"]);
        assert_eq!(end.hear(&reply), [""; 0], "repeated");
        let unknown = format!("P={}{{ER=510{{\"test\"}}}}", id.0 + 1);
        assert_eq!(end.hear(&unknown), [""; 0], "never asked");
    }
}

#[test]
fn a_request_is_executed_once_and_answered_as_often_as_it_comes() {
    let mut end = End::udp();
    let request = format!("T=7{{{AUDIT}}}");
    assert_eq!(end.hear(&request), ["request 7"]);
    assert_eq!(end.hear(&request), ["!/1 <mg.example> PN=7{}"]);
    let reply = end.answer(0, refused(510));
    assert_eq!(reply, ["!/1 <mg.example> P=7{IA,ER=510{\"test\"}}"]);
    assert_eq!(end.hear(&request), reply);
    assert_eq!(end.pass(29_000), [""; 0]);
    assert_eq!(end.hear(&request), reply);
    assert_eq!(end.hear("K{6,7-9}"), [""; 0]);
    assert_eq!(
        end.hear(&request),
        [""; 0],
        "acknowledged: dropped in silence"
    );
    end.pass(2_000);
    assert_eq!(
        end.hear(&request),
        ["request 7"],
        "forgotten after LONG-TIMER"
    );
}

#[test]
fn the_same_id_of_another_name_is_another_request() {
    let mut end = End::udp();
    let request = format!("T=7{{{AUDIT}}}");
    assert_eq!(end.hear(&request), ["request 7"]);
    let other = format!("!/1 <other.example> {request}");
    assert_eq!(end.hear_raw(&other), ["request 7"]);
    end.peer = support::udp(99);
    let upper = format!("!/1 <MGC.example> {request}");
    assert_eq!(end.hear_raw(&upper), ["!/1 <mg.example> PN=7{}"]);
    let told = end.answer(0, refused(510));
    assert_eq!(told.len(), 1, "the reply goes where the repeat came from");
}

#[test]
fn only_unreliable_transports_need_an_acknowledgement_after_a_pending() {
    let mut end = End::tcp();
    end.hear(&format!("T=7{{{AUDIT}}}"));
    assert_eq!(end.pass(2_000), ["!/1 <mg.example> PN=7{}"]);
    assert_eq!(
        end.answer(0, refused(510)),
        ["!/1 <mg.example> P=7{ER=510{\"test\"}}"]
    );
}

#[test]
fn a_slow_request_gets_pendings_and_at_last_506() {
    let mut end = End::udp();
    end.hear(&format!("T=7{{{AUDIT}}}"));
    let told = end.pass(60_000);
    assert_eq!(told.len(), 6, "{told:?}");
    assert!(told[..5].iter().all(|t| t == "!/1 <mg.example> PN=7{}"));
    assert!(told[5].contains("P=7{ER=506{"), "{}", told[5]);
    assert!(!end.endpoint.reply(end.now, end.keys[0], refused(510)));
    assert_eq!(end.told(), [""; 0]);
}

#[test]
fn the_other_side_may_set_when_pendings_come_and_how_many() {
    let tuned = |ms, own_pendings_max| {
        let mut end = End::udp();
        end.endpoint.tune(Tuning {
            provisional: Some(Duration::from_millis(ms)),
            own_pendings_max,
            ..Tuning::default()
        });
        end
    };
    let mut end = tuned(500, Some(1));
    end.hear(&format!("T=7{{{AUDIT}}}"));
    assert_eq!(end.pass(499), [""; 0]);
    assert_eq!(end.pass(1), ["!/1 <mg.example> PN=7{}"]);
    let told = end.pass(500);
    assert!(told[0].contains("P=7{ER=506{"), "{told:?}");
    // Not so often that nothing else could be done.
    let mut end = tuned(0, None);
    end.hear(&format!("T=7{{{AUDIT}}}"));
    assert_eq!(end.pass(99), [""; 0]);
    assert_eq!(end.pass(1), ["!/1 <mg.example> PN=7{}"]);
    // As configured again.
    end.endpoint.tune(Tuning::default());
    end.hear(&format!("T=8{{{AUDIT}}}"));
    assert_eq!(end.pass(1_999), ["!/1 <mg.example> PN=7{}"]);
    assert_eq!(end.pass(1), ["!/1 <mg.example> PN=8{}"]);
}

#[test]
fn requests_are_not_repeated_before_the_other_side_is_normally_done() {
    for (execution_ms, first_ms) in [(1_500, 1_500), (60_000, 4_000), (0, 200)] {
        let mut end = End::udp();
        end.endpoint.tune(Tuning {
            execution: Some(Duration::from_millis(execution_ms)),
            ..Tuning::default()
        });
        let (_, sent) = end.ask();
        assert_eq!(end.pass(first_ms - 1), [""; 0], "{execution_ms}");
        assert_eq!(end.pass(1), [sent], "{execution_ms}");
    }
}

#[test]
fn the_other_side_may_set_how_many_pendings_it_sends() {
    let mut end = End::udp();
    end.endpoint.tune(Tuning {
        peer_pendings_max: Some(1),
        ..Tuning::default()
    });
    let (id, _) = end.ask();
    let pending = format!("PN={}{{}}", id.0);
    assert_eq!(end.hear(&pending), [""; 0]);
    assert!(end.hear(&pending)[0].starts_with("failed"));
}

#[test]
fn transactions_of_one_message_are_separate_and_at_most_ten() {
    let mut end = End::udp();
    let requests = |ids: core::ops::Range<u32>| -> String {
        ids.map(|id| format!("T={id}{{{AUDIT}}}")).collect()
    };
    let told = end.hear(&requests(1..11));
    assert_eq!(told.len(), limits::MESSAGE_TRANSACTIONS_MAX);
    assert_eq!(told[9], "request 10");
    let told = end.hear(&requests(11..22));
    assert!(told.iter().any(|t| t.contains("ER=413{")), "{told:?}");
    assert!(told.iter().all(|t| !t.starts_with("request")), "{told:?}");
}

#[test]
fn messages_that_cannot_be_read_are_answered_with_a_message_error() {
    let check = |message: &str, expected: &str| {
        let told = End::udp().hear_raw(message).join(" | ");
        if expected.is_empty() {
            assert_eq!(told, "", "{message}");
        } else {
            assert!(told.contains(expected), "{message}: {told}");
        }
    };
    check("", "");
    check("\r\n", "");
    check("hello", "!/1 <mg.example> ER=400{");
    check(
        "!/1 <mgc T=1{C=-{AV=ROOT{AT{}}}}",
        "!/1 <mg.example> ER=400{",
    );
    check(
        "!/9 <mgc.example> T=1{C=-{AV=ROOT{AT{}}}}",
        "!/3 <mg.example> ER=406{",
    );
}

#[test]
fn a_version_that_is_not_ours_is_refused_in_the_version_agreed_with_the_peer() {
    for agreed in 1..=3 {
        for strange in [0, 4, 99] {
            let mut end = End::udp();
            end.endpoint.set_version(end.peer, agreed);
            let request = format!("!/{strange} <mgc.example> T=1{{{AUDIT}}}");
            let told = end.hear_raw(&request).join(" | ");
            let expected = format!("!/{agreed} <mg.example> ER=406{{");
            assert!(told.contains(&expected), "{request}: {told}");
        }
    }
}

#[test]
fn an_authentication_header_is_ignored_or_refused_as_configured() {
    let header = "AU=0x00000001:0x00000002:0x0123456789ABCDEF01234567";
    let request = format!("{header} !/1 <mgc.example> T=1{{{AUDIT}}}");
    let told = End::udp().hear_raw(&request).join(" | ");
    assert!(!told.contains("ER=402"), "{told}");
    let refuse = |config: &mut h248_endpoint::Config| config.refuses_authentication = true;
    let mut end = End::with(TransportKind::Udp, refuse);
    let told = end.hear_raw(&request).join(" | ");
    assert!(told.contains("ER=402{"), "{told}");
    let told = end.hear_raw(&format!("!/1 <mgc.example> T=1{{{AUDIT}}}"));
    assert!(!told.join(" | ").contains("ER=402"), "{told:?}");
}

#[test]
fn message_errors_are_never_answered() {
    for error in ["ER=400{\"bad\"}", "ER=406{}", "ER=999{}"] {
        let told = End::udp().hear(error);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].starts_with("problem: peer reports message error"),
            "{told:?}"
        );
    }
}

#[test]
fn a_flood_of_garbage_is_not_answered_in_full() {
    let mut end = End::udp();
    let mut answers = 0;
    for _ in 0..1_000 {
        let told = end.hear_raw("garbage");
        answers += told.iter().filter(|t| t.contains("ER=400")).count();
    }
    assert_eq!(answers, limits::MESSAGE_ERRORS_PER_SECOND_MAX as usize);
    end.now += Duration::from_secs(1);
    assert!(end.hear_raw("garbage").iter().any(|t| t.contains("ER=400")));
}

#[test]
fn a_broken_transaction_leaves_the_others_of_its_message_alone() {
    let mut end = End::udp();
    let message = format!("T=1{{{AUDIT}}}T=2{{C=}}T=3{{{AUDIT}}}");
    let told = end.hear(&message);
    assert!(told.contains(&"request 1".to_owned()), "{told:?}");
    assert!(told.contains(&"request 3".to_owned()), "{told:?}");
    let reply = told.iter().find(|t| t.contains("P=2{")).expect("an answer");
    assert!(reply.contains("ER=4"), "{reply}");
    let again = end.hear("T=2{C=}");
    assert!(again.iter().any(|t| t.contains("P=2{ER=422{")), "{again:?}");
    assert_eq!(end.endpoint.stored_count(), 0, "nothing was executed");
}

#[test]
fn a_request_that_breaks_later_is_executed_as_far_as_it_could_be_read() {
    let mut end = End::udp();
    let told = end.hear("T=1{C=-{AV=ROOT{AT{}},FOO=x}}");
    assert_eq!(told, ["problem 443", "request 1 then 443"]);
}

#[test]
fn transaction_0_is_refused_and_not_remembered() {
    let mut end = End::udp();
    for _ in 0..2 {
        let told = end.hear(&format!("T=0{{{AUDIT}}}"));
        assert!(
            told.last().is_some_and(|t| t.contains("P=0{ER=403{")),
            "{told:?}"
        );
    }
    assert_eq!(end.endpoint.stored_count(), 0);
}

#[test]
fn a_reply_too_long_for_the_transport_becomes_533() {
    let mut end = End::udp();
    end.hear(&format!("T=1{{{AUDIT}}}"));
    let long = "x".repeat(limits::UDP_MESSAGE_BYTES_MAX);
    let body = ReplyBody::Error(h248_endpoint::error(500, &long));
    let told = end.answer(0, body);
    assert!(told[0].contains("replaced by 533"), "{told:?}");
    assert!(told[1].contains("P=1{ER=533{"), "{told:?}");
}

#[test]
fn requests_are_repeated_on_udp_with_growing_pauses_until_t_max() {
    let mut end = End::udp();
    let (_, sent) = end.ask();
    let mut repeats = Vec::new();
    let started = end.now;
    let ended = loop {
        let told = end.pass(10);
        for told in told {
            if told == sent {
                repeats.push(end.now.since(started));
            } else {
                assert_eq!(told, "failed: no reply within T-MAX");
            }
        }
        if end.endpoint.outstanding_count() == 0 {
            break end.now.since(started);
        }
    };
    assert_eq!(ended, Duration::from_secs(25));
    assert!((7..=14).contains(&repeats.len()), "{repeats:?}");
    let gaps: Vec<_> = repeats.windows(2).map(|w| w[1] - w[0]).collect();
    assert!(
        gaps.iter().all(|g| *g <= Duration::from_millis(4_010)),
        "{gaps:?}"
    );
    assert!(gaps[gaps.len() - 1] > gaps[0], "{gaps:?}");
}

#[test]
fn requests_are_never_repeated_on_tcp() {
    let mut end = End::tcp();
    end.ask();
    assert_eq!(end.pass(24_999), [""; 0]);
    assert_eq!(end.pass(1), ["failed: no reply within T-MAX"]);
}

#[test]
fn a_pending_makes_repeats_rare_and_waiting_longer() {
    let mut end = End::udp();
    let (id, sent) = end.ask();
    end.hear(&format!("PN={}{{}}", id.0));
    assert_eq!(end.pass(3_999), [""; 0]);
    assert_eq!(end.pass(1), [sent]);
    end.pass(19_000);
    end.hear(&format!("PN={}{{}}", id.0));
    end.pass(24_000);
    assert_eq!(end.endpoint.outstanding_count(), 1);
    let told = end.hear(&format!("P={}{{IA,ER=510{{}}}}", id.0));
    assert_eq!(
        told,
        [
            "reply 510".to_owned(),
            format!("!/1 <mg.example> K{{{}}}", id.0)
        ]
    );
    assert_eq!(
        end.hear(&format!("PN={}{{}}", id.0)),
        [""; 0],
        "late Pending ignored"
    );
}

#[test]
fn too_many_pendings_end_a_request() {
    let mut end = End::udp();
    let (id, _) = end.ask();
    let pending = format!("PN={}{{}}", id.0);
    for _ in 0..5 {
        assert_eq!(end.hear(&pending), [""; 0]);
    }
    assert_eq!(end.hear(&pending), ["failed: too many Pendings"]);
}

#[test]
fn replies_are_acknowledged_together_after_a_while_or_with_the_next_request() {
    let mut end = End::udp();
    let ids: Vec<u32> = (0..3).map(|_| end.ask().0.0).collect();
    for id in &ids {
        assert_eq!(end.hear(&format!("P={id}{{ER=510{{}}}}")), ["reply 510"]);
    }
    assert_eq!(
        end.pass(100),
        [format!("!/1 <mg.example> K{{{}-{}}}", ids[0], ids[2])]
    );
    assert_eq!(end.pass(1_000), [""; 0]);
    let (id, _) = end.ask();
    end.hear(&format!("P={}{{ER=510{{}}}}", id.0));
    let (_, sent) = end.ask();
    let expected = format!("!/1 <mg.example> K{{{}}}", id.0);
    assert!(sent.starts_with(&expected), "{sent}");
}

#[test]
fn a_late_reply_that_asks_for_it_is_acknowledged_again() {
    let mut end = End::udp();
    let (id, _) = end.ask();
    let reply = format!("P={}{{IA,ER=510{{}}}}", id.0);
    let ack = format!("!/1 <mg.example> K{{{}}}", id.0);
    assert_eq!(end.hear(&reply), ["reply 510", ack.as_str()]);
    assert_eq!(end.hear(&reply), [ack]);
}

#[test]
fn the_first_acknowledgement_bears_the_version_just_negotiated() {
    let mut end = End::udp();
    let (id, _) = end.ask();
    let reply = format!("!/1 <mgc.example> P={}{{IA,ER=510{{}}}}", id.0);
    end.endpoint
        .handle_received(end.now, end.peer, reply.as_bytes());
    assert!(matches!(end.endpoint.poll(), Output::Reply { .. }));
    end.endpoint.set_version(end.peer, 2);
    assert_eq!(end.told(), [format!("!/2 <mg.example> K{{{}}}", id.0)]);
}

#[test]
fn a_message_error_fails_what_it_must_be_about() {
    let failed = |end: &mut End, heard: &str| {
        let told = end.hear(heard);
        told.iter().filter(|t| t.starts_with("failed")).count()
    };
    for (outstanding, heard, expected) in [
        (1, "ER=400{\"bad\"}", 1),
        (2, "ER=400{\"bad\"}", 0),
        (1, "P=0{ER=403{}}", 1),
        (2, "P=0{ER=403{}}", 0),
        (2, "ER=406{\"Not negotiated version\"}", 2),
        (0, "ER=400{}", 0),
    ] {
        let mut end = End::udp();
        for _ in 0..outstanding {
            end.ask();
        }
        assert_eq!(failed(&mut end, heard), expected, "{outstanding} {heard}");
    }
}

#[test]
fn replies_from_elsewhere_answer_nothing() {
    let mut end = End::udp();
    let (id, _) = end.ask();
    let here = end.peer;
    end.peer = support::udp(9);
    let told = end.hear(&format!("P={}{{ER=510{{}}}}", id.0));
    assert_eq!(told, ["problem: reply to no outstanding request"]);
    end.peer = here;
    assert_eq!(
        end.hear(&format!("P={}{{ER=510{{}}}}", id.0)),
        ["reply 510"]
    );
}

#[test]
fn a_reply_that_cannot_be_read_fails_its_request() {
    let mut end = End::udp();
    let (id, _) = end.ask();
    let told = end.hear(&format!("P={}{{C=}}", id.0));
    assert!(
        told.iter()
            .any(|t| t.starts_with("failed: the reply was unreadable")),
        "{told:?}"
    );
}

#[test]
fn a_segmented_reply_is_acknowledged_and_joined() {
    let mut end = End::udp();
    let (id, _) = end.ask();
    let heard = |end: &mut End, segment: &str, context: u32| {
        let id = id.0;
        end.hear_raw(&format!(
            "!/3 <mgc.example> P={id}/{segment}{{C={context}{{S=a/1}}}}"
        ))
    };
    let told = heard(&mut end, "2/END", 2);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains(&format!("SM={}/2/", id.0)), "{told:?}");
    let told = heard(&mut end, "1", 1);
    assert!(told[0].contains(&format!("SM={}/1", id.0)), "{told:?}");
    assert_eq!(told[1], "reply 1,1");
    let told = heard(&mut end, "1", 1);
    assert_eq!(told.len(), 1, "acknowledged again: {told:?}");
}

/// A reply of three commands, each some 40 octets long.
fn three_commands() -> ReplyBody {
    let text = "!/3 <mg.example> P=1{C=5{MF=msrp/1{ER=500{\"some text\"}},MF=msrp/2{ER=500{\"some \
                text\"}},MF=msrp/3{ER=500{\"some text\"}}}}";
    let message = h248::parse(text.as_bytes(), &h248::Limits::default()).expect("readable");
    match &message.transactions()[0] {
        h248::ast::Transaction::Reply(reply) => reply.body.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_reply_too_long_for_the_other_side_goes_in_segments_of_which_the_unacknowledged_are_repeated() {
    let mut end = End::with_pdu(80);
    let request = format!("!/3 <mgc.example> T=7{{{AUDIT}}}");
    assert_eq!(end.hear_raw(&request), ["request 7"]);
    let told = end.answer(0, three_commands());
    let segment = |number, leg| {
        format!("!/3 <mg.example> P=7/{number}{{C=5{{MF=msrp/{leg}{{ER=500{{\"some text\"}}}}}}}}")
    };
    let all = [segment("1", 1), segment("2", 2), segment("3/&", 3)];
    assert_eq!(told, all);
    assert_eq!(end.hear_raw(&request), all);
    assert_eq!(end.hear_raw("!/3 <mgc.example> SM=7/2"), [""; 0]);
    assert_eq!(end.hear_raw(&request), [&*all[0], &*all[2]]);
    end.hear_raw("!/3 <mgc.example> SM=7/1");
    end.hear_raw("!/3 <mgc.example> SM=7/3/END");
    assert_eq!(end.hear_raw(&request), [""; 0], "acknowledged as a whole");
}

#[test]
fn a_reply_too_long_becomes_533_where_segments_are_unknown_or_do_not_help() {
    for (version, pdu, is_segmented) in [(2, 80, false), (3, 80, true), (3, 50, false)] {
        let mut end = End::with_pdu(pdu);
        end.hear_raw(&format!("!/{version} <mgc.example> T=7{{{AUDIT}}}"));
        let told = end.answer(0, three_commands());
        if is_segmented {
            assert_eq!(told.len(), 3, "{told:?}");
        } else {
            assert!(told[1].contains("P=7{ER=533{"), "{told:?}");
        }
    }
}

#[test]
fn a_request_too_long_for_the_other_side_is_not_sent() {
    let mut end = End::with_pdu(30);
    let sent = end.endpoint.send_request(end.now, end.peer, audit());
    assert!(matches!(
        sent,
        Err(h248_endpoint::SendError::TooLong { .. })
    ));
    assert_eq!(end.told(), [""; 0]);
}

#[test]
fn outstanding_requests_are_bounded() {
    let mut end = End::tcp();
    for _ in 0..limits::PEER_OUTSTANDING_MAX {
        end.ask();
    }
    let full = end.endpoint.send_request(end.now, end.peer, audit());
    assert_eq!(full, Err(h248_endpoint::SendError::Full));
    end.endpoint.handle_transport_failure(end.now, end.peer);
    let told = end.told();
    assert_eq!(told.len(), limits::PEER_OUTSTANDING_MAX);
    assert!(told.iter().all(|t| t == "failed: the transport was lost"));
    end.ask();
}

#[test]
fn the_reply_to_a_lost_connection_is_kept_for_the_next_one() {
    let mut end = End::tcp();
    let request = format!("T=7{{{AUDIT}}}");
    end.hear(&request);
    end.endpoint.handle_transport_failure(end.now, end.peer);
    assert_eq!(end.answer(0, refused(510)), [""; 0]);
    end.peer = support::tcp(2);
    assert_eq!(
        end.hear(&request),
        ["!/1 <mg.example> P=7{ER=510{\"test\"}}"]
    );
}

#[test]
fn a_reply_with_nothing_in_it_is_reported_as_our_fault() {
    let mut end = End::udp();
    end.hear(&format!("T=1{{{AUDIT}}}"));
    let told = end.answer(0, ReplyBody::Actions(Few::default()));
    assert!(told[0].contains("P=1{ER=500{"), "{told:?}");
}
