//! What the controller is notified of.

use std::io::ErrorKind;

use super::*;

/// A conference whose msrp/1 has these events armed.
fn armed(events: &str) -> Bench {
    let mut bench = Bench::conference();
    bench.check(&format!("C=1{{MF=msrp/1{{{events}}}}}"), "C=1{MF=msrp/1}");
    bench
}

#[test]
fn a_lost_connection_is_a_cause_when_that_is_armed() {
    for (cause, general, text) in [
        (
            LossCause::Closed,
            "NR",
            "TCP connection closed by the participant",
        ),
        (
            LossCause::ConnectFailed(ErrorKind::TimedOut),
            "FT",
            "TCP connect failed: timed out",
        ),
        (
            LossCause::Protocol,
            "IW",
            "MSRP protocol broken by the participant",
        ),
        (
            LossCause::TooSlow { limit_bytes: 4096 },
            "UR",
            "participant reads too slowly: 4096 octets queued",
        ),
        (
            LossCause::NeverBound,
            "FT",
            "no MSRP request arrived in time",
        ),
    ] {
        let mut bench = armed("E=77{g/cause}");
        bench.lose(1, cause);
        bench.check_notify(&format!(
            "C=1{{N=msrp/1{{OE=77{{g/cause{{Generalcause={general},Failurecause=\"{text}\"}}}}}}}}"
        ));
        assert!(bench.notifies.is_empty());
    }
}

#[test]
fn nothing_is_told_that_was_not_asked_for() {
    let mut bench = armed("E=77{hangterm/thb{timerx=0}}");
    bench.lose(1, LossCause::Closed);
    bench.lose(2, LossCause::Closed);
    bench.lose(99, LossCause::Closed);
    bench.call("C=1{MF=msrp/1{E=78{g/cause{ST=2}}}}");
    bench.lose(1, LossCause::Closed);
    bench.call("C=1{MF=msrp/1{E}}");
    bench.lose(1, LossCause::Closed);
    assert!(bench.notifies.is_empty());
    assert_eq!(bench.gateway.metrics().shards[0].lost, 5);
}

#[test]
fn several_events_of_one_loss_go_into_one_notify() {
    let mut bench = armed("E=5{g/cause{ST=1},nt/netfail,tcpbcc/BNCChange}");
    bench.lose(1, LossCause::Error(ErrorKind::ConnectionReset));
    bench.check_notify(
        "C=1{N=msrp/1{OE=5{g/cause{ST=1,Generalcause=FT,\
         Failurecause=\"TCP connection failed: connection reset\"},nt/netfail,\
         tcpbcc/BNCChange{Type=Rel}}}}",
    );
}

#[test]
fn a_connection_is_told_when_bnc_change_is_armed() {
    let mut bench = armed("E=6{tcpbcc/*}");
    let session = SessionKey {
        termination: 1,
        stream: 1,
    };
    let peer = "192.0.2.10:5".parse().unwrap();
    bench.event(Event::Bound { session, peer });
    bench.check_notify("C=1{N=msrp/1{OE=6{tcpbcc/BNCChange{Type=Est}}}}");
}

#[test]
fn one_notify_at_a_time_and_the_rest_together() {
    let mut bench = armed("E=6{tcpbcc/BNCChange}");
    for _ in 0..3 {
        bench.lose(1, LossCause::Closed);
    }
    let one = "tcpbcc/BNCChange{Type=Rel}";
    let id = bench.check_notify(&format!("C=1{{N=msrp/1{{OE=6{{{one}}}}}}}"));
    assert!(bench.notifies.is_empty(), "the others wait");
    bench.gateway.handle_notified(bench.now, id, None);
    bench.drain();
    let id = bench.check_notify(&format!("C=1{{N=msrp/1{{OE=6{{{one},{one}}}}}}}"));
    bench
        .gateway
        .handle_notified(bench.now, id, Some(&reply(2, "C=1{N=msrp/1}")));
    bench.drain();
    assert!(bench.notifies.is_empty());
}

#[test]
fn what_was_observed_is_told_with_the_request_that_asked_for_it() {
    let mut bench = armed("E=6{tcpbcc/BNCChange}");
    bench.lose(1, LossCause::Closed);
    bench.lose(1, LossCause::Closed);
    bench.call("C=1{MF=msrp/1{E=7{tcpbcc/BNCChange}}}");
    bench.lose(1, LossCause::Closed);
    let one = "tcpbcc/BNCChange{Type=Rel}";
    for request in [6, 6, 7] {
        let id = bench.check_notify(&format!("C=1{{N=msrp/1{{OE={request}{{{one}}}}}}}"));
        assert!(bench.notifies.is_empty(), "one at a time");
        bench.gateway.handle_notified(bench.now, id, None);
        bench.drain();
    }
    assert!(bench.notifies.is_empty());
}

#[test]
fn what_a_request_makes_happen_is_told_after_its_reply() {
    let mut bench = Bench::conference();
    let actions = "C=1{MF=msrp/1{SG{tcpbcc/RelBNC{NC={TO}}},E=9{g/sc}}}";
    let request = request(2, actions);
    let (now, gateway) = (bench.now, &mut bench.gateway);
    gateway.handle_request(now, 1, 2, &request, None);
    let mut orders = Vec::new();
    while let Output::Order { shard, command } = gateway.poll() {
        orders.push((shard, command.token));
    }
    assert!(matches!(gateway.poll(), Output::Wait(_)), "shards first");
    for (shard, token) in orders {
        let statistics = None;
        gateway.handle_event(now, shard, Event::Done { token, statistics });
    }
    assert!(matches!(gateway.poll(), Output::Reply { .. }));
    assert!(matches!(gateway.poll(), Output::Notify { .. }));
}

#[test]
fn what_waits_for_a_notify_is_bounded() {
    let mut bench = armed("E=6{tcpbcc/BNCChange}");
    for _ in 0..limits::NOTIFY_QUEUE_MAX + 10 {
        bench.lose(1, LossCause::Closed);
    }
    let id = bench.notifies.pop_front().unwrap().0;
    bench.gateway.handle_notified(bench.now, id, None);
    bench.drain();
    let one = "tcpbcc/BNCChange{Type=Rel}";
    let many = vec![one; limits::NOTIFY_QUEUE_MAX].join(",");
    bench.check_notify(&format!("C=1{{N=msrp/1{{OE=6{{{many}}}}}}}"));
    assert_eq!(bench.gateway.metrics().events_dropped, 9);
}

#[test]
fn a_controller_that_answers_no_notify_has_so_many_at_most_and_the_rest_waits() {
    let bound = limits::NOTIFIES_OUTSTANDING_MAX;
    let more = 100;
    let mut bench = Bench::new();
    let armed = "A=${E=6{tcpbcc/BNCChange}}";
    for _ in 0..bound + more {
        bench.call(&format!("C=${{{armed}}}"));
    }
    let last = u32::try_from(bound + more).expect("few");
    (1..=last).for_each(|number| bench.lose(number, LossCause::Closed));
    assert_eq!(bench.notifies.len(), bound);
    // Everything else goes on, also what only an unanswered Notify keeps from being told.
    assert!(first_error(&bench.call(&format!("C={last}{{S=msrp/{last}}}"))).is_none());
    bench.lose(1, LossCause::Closed);
    bench.check("C=${A=$}", &format!("C={0}{{A=msrp/{0}}}", last + 1));
    assert_eq!(bench.notifies.len(), bound);
    // One answer makes room for one.
    let mut told = Vec::new();
    for answered in 1..=bound + more {
        let (id, action) = bench.notifies.pop_front().expect("those that waited");
        told.push(action);
        bench
            .gateway
            .handle_notified(bench.now, id, Some(&reply(2, "C=1{N=msrp/1}")));
        bench.drain();
        let left = bound + more + 1 - answered;
        assert_eq!(bench.notifies.len(), left.min(bound));
    }
    let all = (1..=last).chain([1]).map(|number| {
        let text = format!("C={number}{{N=msrp/{number}{{OE=6{{tcpbcc/BNCChange{{Type=Rel}}}}}}}}");
        let Few::One(action) = request(2, &text).actions else {
            unreachable!("one action");
        };
        action
    });
    told.extend(bench.notifies.drain(..).map(|(_, action)| action));
    assert_eq!(told, all.collect::<Vec<_>>());
    let metrics = bench.gateway.metrics();
    assert_eq!((metrics.notifies_lost, metrics.events_dropped), (0, 0));
    assert_eq!(metrics.notifies, u64::from(last) + 1);
}

#[test]
fn without_a_controller_what_would_be_told_is_counted_as_lost() {
    let mut bench = armed("E=6{tcpbcc/BNCChange}");
    for round in 1..=3 {
        bench.lose(1, LossCause::Closed);
        let (id, _) = bench.notifies.pop_front().expect("a Notify");
        bench.gateway.handle_notified(bench.now, id, None);
        bench.drain();
        assert_eq!(bench.gateway.metrics().notifies_lost, round);
    }
}

#[test]
fn the_heartbeat_runs_while_no_message_concerns_the_termination() {
    let mut bench = armed("E=9{hangterm/thb{timerx=10}}");
    let at = |seconds| Instant::ZERO + Duration::from_secs(seconds);
    let due = |bench: &mut Bench| match bench.gateway.poll() {
        Output::Wait(at) => at,
        other => panic!("{other:?}"),
    };
    assert_eq!(due(&mut bench), Some(at(10)));
    bench.now = at(4);
    bench.call("C=1{AV=msrp/1{AT{E}}}");
    assert_eq!(due(&mut bench), Some(at(14)));
    bench.now = at(14);
    bench.gateway.handle_deadline(bench.now);
    bench.drain();
    let id = bench.check_notify("C=1{N=msrp/1{OE=9{hangterm/thb}}}");
    assert_eq!(due(&mut bench), Some(at(24)));
    // The controller does not know it: nobody would ever subtract it.
    bench
        .gateway
        .handle_notified(bench.now, id, Some(&reply(2, "C=1{N=msrp/1{ER=430{}}}")));
    bench.drain();
    bench.check("C=1{AV=*{AT{}}}", "C=1{AV=Context{msrp/2}}");
    assert_eq!(due(&mut bench), None);
}

#[test]
fn events_bear_the_time_when_they_happened() {
    let mut bench = armed("E=6{tcpbcc/BNCChange,g/cause}");
    // 2026-07-27 10:00 UTC, two and a half seconds after the start.
    bench
        .gateway
        .set_epoch(Some(Duration::from_secs(1_785_146_400)));
    bench.now = Instant::ZERO + Duration::from_millis(2_500);
    bench.lose(1, LossCause::NeverBound);
    let id = bench.check_notify(
        "C=1{N=msrp/1{OE=6{20260727T10000250:g/cause{Generalcause=FT,\
         Failurecause=\"no MSRP request arrived in time\"},\
         20260727T10000250:tcpbcc/BNCChange{Type=Rel}}}}",
    );
    // What waits for the answer keeps its own time.
    let session = SessionKey {
        termination: 1,
        stream: 1,
    };
    let peer = "192.0.2.10:5".parse().unwrap();
    bench.event(Event::Bound { session, peer });
    bench.now = Instant::ZERO + Duration::from_secs(61);
    bench.gateway.handle_notified(bench.now, id, None);
    bench.drain();
    bench.check_notify("C=1{N=msrp/1{OE=6{20260727T10000250:tcpbcc/BNCChange{Type=Est}}}}");
}

/// When the gateway wants to be called again.
fn due(bench: &mut Bench) -> Option<Duration> {
    match bench.gateway.poll() {
        Output::Wait(at) => at.map(|at| at.since(Instant::ZERO)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_silent_controller_is_asked_for_a_sign_of_life() {
    let ms = Duration::from_millis;
    let mut bench = Bench::conference();
    bench.check("C=-{MF=ROOT{E=3{it/ito{mit=100}}}}", "C=-{MF=ROOT}");
    assert_eq!(due(&mut bench), Some(ms(1_000)));
    // Any request puts it off, and what was armed before stays so.
    bench.now = Instant::ZERO + ms(400);
    bench.call("C=-{AV=ROOT{AT{}}}");
    assert_eq!(due(&mut bench), Some(ms(1_400)));
    bench.now = Instant::ZERO + ms(1_400);
    bench.gateway.handle_deadline(bench.now);
    bench.drain();
    let id = bench.check_notify("C=-{N=ROOT{OE=3{it/ito}}}");
    assert_eq!(due(&mut bench), None, "asked once");
    // The answer puts it off again, whatever it says.
    bench.now = Instant::ZERO + ms(1_500);
    let answer = reply(2, "C=-{N=ROOT{ER=500{}}}");
    bench.gateway.handle_notified(bench.now, id, Some(&answer));
    bench.drain();
    assert_eq!(due(&mut bench), Some(ms(2_500)));
    bench.call("C=-{MF=ROOT{E}}");
    assert_eq!(due(&mut bench), None);
}

#[test]
fn a_controller_that_does_not_answer_is_not_asked_again_until_it_is_back() {
    let at = |seconds| Instant::ZERO + Duration::from_secs(seconds);
    let mut bench = Bench::new();
    bench.call("C=-{MF=ROOT{E=3{it/ito}}}");
    assert_eq!(due(&mut bench), Some(limits::SILENCE_DEFAULT));
    bench.now = at(30);
    bench.gateway.handle_deadline(bench.now);
    bench.drain();
    let id = bench.check_notify("C=-{N=ROOT{OE=3{it/ito}}}");
    // It is heard of in other ways while the answer is due: not asked twice at a time.
    bench.gateway.handle_registered(at(31));
    bench.gateway.handle_deadline(at(61));
    bench.drain();
    assert!(bench.notifies.is_empty());
    bench.gateway.handle_notified(at(62), id, None);
    bench.drain();
    assert_eq!(due(&mut bench), None);
    bench.gateway.handle_registered(at(70));
    assert_eq!(due(&mut bench), Some(Duration::from_secs(100)));
}

#[test]
fn mit_must_be_a_number_from_1_on() {
    let mut bench = Bench::new();
    for mit in ["0", "x", "\"5\"", "4294967296", "[1,2]"] {
        bench.check(
            &format!("C=-{{MF=ROOT{{E=3{{it/ito{{mit={mit}}}}}}}}}"),
            "C=-{MF=ROOT{ER=449{}}}",
        );
    }
    assert_eq!(due(&mut bench), None);
}

#[test]
fn timers_out_of_range_are_refused() {
    let mut bench = Bench::conference();
    for timer in ["2147481", "x", "[1,2]"] {
        bench.check(
            &format!("C=1{{MF=msrp/1{{E=9{{hangterm/thb{{timerx={timer}}}}}}}}}"),
            "C=1{MF=msrp/1{ER=449{}}}",
        );
    }
}

#[test]
fn a_signal_that_has_ended_is_told_when_it_says_so() {
    let mut bench = Bench::conference();
    bench.check(
        "C=1{MF=msrp/1{E=7{g/sc},SG{tcpbcc/EstBNC{ST=1,NC={TO,IBS}},SL=3{tcpbcc/RelBNC{NC={TO}}}}}}",
        "C=1{MF=msrp/1}",
    );
    bench.check_notify(
        "C=1{N=msrp/1{OE=7{g/sc{SigID=\"tcpbcc/EstBNC\",Meth=TO},\
         g/sc{SigID=\"tcpbcc/RelBNC\",Meth=TO,SLID=3}}}}",
    );
    // Nobody asked, or the signal does not play.
    let mut bench = armed("E=7{g/sc}");
    bench.call("C=1{MF=msrp/1{SG{tcpbcc/EstBNC}}}");
    bench.call("C=1{MF=msrp/1{SG{tcpbcc/EstBNC{NC={IBE}}}}}");
    bench.call("C=1{MF=msrp/1{SG{tcpbcc/EstBNC{NC={TO},KA}}}}");
    assert!(bench.notifies.is_empty());
}

#[test]
fn a_change_of_state_can_be_asked_for_by_its_type() {
    let mut bench = armed("E=6{tcpbcc/BNCChange{Type=Rel}}");
    let session = SessionKey {
        termination: 1,
        stream: 1,
    };
    let peer = "192.0.2.10:5".parse().unwrap();
    bench.event(Event::Bound { session, peer });
    assert!(bench.notifies.is_empty());
    bench.lose(1, LossCause::Closed);
    bench.check_notify("C=1{N=msrp/1{OE=6{tcpbcc/BNCChange{Type=Rel}}}}");
}

#[test]
fn an_event_of_a_stream_that_comes_later_is_told_then() {
    let mut bench = armed("E=9{g/cause{ST=2}}");
    bench.lose(1, LossCause::Closed);
    assert!(bench.notifies.is_empty(), "of another stream");
    bench.call(&format!(
        "C=1{{MF=msrp/1{{M{{ST=2{{O{{MO=SR}},{LOCAL},{REMOTE}}}}}}}}}"
    ));
    bench.event(Event::Lost {
        session: SessionKey {
            termination: 1,
            stream: 2,
        },
        cause: LossCause::Closed,
    });
    bench.check_notify(
        "C=1{N=msrp/1{OE=9{g/cause{ST=2,Generalcause=NR,\
         Failurecause=\"TCP connection closed by the participant\"}}}}",
    );
}
