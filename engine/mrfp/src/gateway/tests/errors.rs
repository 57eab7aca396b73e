//! Which error where (H.248.1 section 7, H.248.8, TS 29.333 5.8): one row each.

use super::*;

/// In a conference of msrp/1 and msrp/2 (context 1) and msrp/3 (context 2).
#[track_caller]
fn check(actions: &str, expected: &str) {
    Bench::conference().check(actions, expected);
}

/// A Modify of msrp/1 with these descriptors fails with this code.
#[track_caller]
fn check_modify(descriptors: &str, code: u16) {
    check(
        &format!("C=1{{MF=msrp/1{{{descriptors}}}}}"),
        &format!("C=1{{MF=msrp/1{{ER={code}{{}}}}}}"),
    );
}

#[test]
fn identifiers_that_are_not_allowed_give_410() {
    check("C=1{S=$}", "C=1{S=${ER=410{}}}");
    check("C=1{MF=msrp/${M{O{MO=IN}}}}", "C=1{MF=msrp/${ER=410{}}}");
    check("C=1{AV=${AT{}}}", "C=1{AV=${ER=410{}}}");
    check("C=1{A=ROOT}", "C=1{A=ROOT{ER=410{}}}");
    for command in ["A", "MV", "S"] {
        for context in ["1", "-"] {
            check(
                &format!("C={context}{{{command}=ROOT}}"),
                &format!("C={context}{{{command}=ROOT{{ER=410{{}}}}}}"),
            );
        }
    }
    check("C=1{MF=ROOT{E}}", "C=1{MF=ROOT{ER=410{}}}");
    check("C=1{AV=ROOT{AT{}}}", "C=1{AV=ROOT{ER=410{}}}");
    check(
        "C=1{SC=ROOT{SV{MT=FO,RE=\"905\"}}}",
        "C=1{SC=ROOT{ER=410{}}}",
    );
}

#[test]
fn an_unknown_context_gives_411_at_the_action() {
    check(
        "C=4000000001{MF=msrp/1{M{O{MO=IN}}}}",
        "C=4000000001{ER=411{}}",
    );
    check("C=7{S=*}", "C=7{ER=411{}}");
}

#[test]
fn contexts_and_terminations_are_limited_with_412_432_434() {
    let limited = |limits: Limits| Bench::with(|config| config.limits = limits);
    let add = add();
    let mut bench = limited(Limits {
        contexts_max: 1,
        ..Limits::default()
    });
    bench.call(&format!("C=${{{add}}}"));
    bench.check(&format!("C=${{{add}}}"), "C=${ER=412{}}");
    let mut bench = limited(Limits {
        terminations_max: 1,
        ..Limits::default()
    });
    bench.check(
        &format!("C=${{{add},{add}}}"),
        "C=1{A=msrp/1{M{ST=1{L{v}}}},A=${ER=432{}}}",
    );
    let mut bench = limited(Limits {
        terminations_per_context_max: 1,
        ..Limits::default()
    });
    bench.check(
        &format!("C=${{{add},{add}}}"),
        "C=1{A=msrp/1{M{ST=1{L{v}}}},A=${ER=434{}}}",
    );
    let mut bench = limited(Limits {
        streams_per_termination_max: 1,
        ..Limits::default()
    });
    bench.check(
        &format!("C=${{A=${{M{{ST=1{{{LOCAL}}},ST=2{{{LOCAL}}}}}}}}}"),
        "C=${A=${ER=510{}}}",
    );
    assert_eq!(
        bench.gateway.metrics().contexts,
        0,
        "a context without success is none"
    );
}

#[test]
fn too_many_replies_waiting_give_511() {
    let limits = Limits {
        replies_waiting_max: 0,
        ..Limits::default()
    };
    Bench::with(|config| config.limits = limits).check("C=-{AV=ROOT{AT{}}}", "ER=511{}");
}

/// A conference with this many replies waiting, of 4 that may, whose ROOT tells of overload.
fn busy(waiting: u32) -> Bench {
    let mut bench = Bench::with(|config| config.limits.replies_waiting_max = 4);
    bench.call("C=-{MF=ROOT{E=8{ocp/mg_overload}}}");
    bench.call(&format!("C=${{{}}}", add()));
    bench.call(&format!("C=${{PR=12,{}}}", add()));
    bench.stall(waiting);
    bench
}

#[test]
fn too_much_to_do_gives_511_for_new_work_first_and_for_what_ends_work_last() {
    let add = add();
    let new = format!("C=${{{add}}}");
    let privileged = format!("C=2{{{add}}}");
    let modify = "C=1{MF=msrp/1{M{O{MO=IN}}}}";
    let important = "C=2{MF=msrp/2{M{O{MO=IN}}}}";
    let audit = "C=1{AV=msrp/1{AT{M}}}";
    for (request, last) in [
        (new.as_str(), 1),
        ("C=1{MV=msrp/2}", 1),
        (&privileged, 2),
        (modify, 2),
        (important, 3),
        (audit, 3),
        ("C=1{S=msrp/1}", 7),
        ("C=-{AV=ROOT{AT{}}}", 7),
        ("C=1{SC=msrp/1{SV{MT=FO,RE=\"905\"}}}", 7),
    ] {
        for waiting in [0, 1, 2, 3, 4, 7, 8] {
            let body = busy(waiting).call(request);
            let code = first_error(&body).map(|e| e.code);
            let is_busy = code == Some(511);
            assert_eq!(
                is_busy,
                waiting > last,
                "{request} with {waiting} waiting: {code:?}"
            );
        }
    }
}

#[test]
fn overload_is_told_once_a_second_to_who_asked() {
    let mut bench = busy(2);
    let add = format!("C=${{{}}}", add());
    bench.call(&add);
    let id = bench.check_notify("C=-{N=ROOT{OE=8{ocp/mg_overload}}}");
    bench.gateway.handle_notified(bench.now, id, None);
    bench.call(&add);
    assert!(bench.notifies.is_empty(), "that was a moment ago");
    bench.now += Duration::from_secs(1);
    bench.call(&add);
    bench.check_notify("C=-{N=ROOT{OE=8{ocp/mg_overload}}}");
}

#[test]
fn actions_that_make_no_sense_give_421() {
    check("C=${S=msrp/1}", "C=${ER=421{}}");
    check("C=-{A=$}", "C=-{A=${ER=421{}}}");
    check("C=*{A=$}", "C=*{A=${ER=421{}}}");
    check("C=-{MV=msrp/1}", "C=-{MV=msrp/1{ER=421{}}}");
    check("C=1{MV=msrp/1}", "C=1{MV=msrp/1{ER=421{}}}");
    check("C=*{PR=3,AV=*{AT{}}}", "C=*{ER=421{}}");
}

#[test]
fn terminations_that_are_not_there_give_430_431_433_435() {
    check(
        "C=1{MF=nosuch/1{M{O{MO=SR}}}}",
        "C=1{MF=nosuch/1{ER=430{}}}",
    );
    check("C=1{S=msrp/99}", "C=1{S=msrp/99{ER=430{}}}");
    check("C=1{A=msrp/99}", "C=1{A=msrp/99{ER=430{}}}");
    check("C=-{AV=msrp/99{AT{}}}", "C=-{AV=msrp/99{ER=430{}}}");
    check("C=1{MF=rtp/*{M{O{MO=IN}}}}", "C=1{MF=rtp/*{ER=431{}}}");
    check("C=1{A=*}", "C=1{A=*{ER=431{}}}");
    check("C=-{AV=*{AT{}}}", "C=-{AV=*{ER=431{}}}");
    check("C=1{A=msrp/3}", "C=1{A=msrp/3{ER=433{}}}");
    check("C=1{MF=msrp/3{M{O{MO=IN}}}}", "C=1{MF=msrp/3{ER=435{}}}");
    check("C=1{S=MSRP/3}", "C=1{S=MSRP/3{ER=435{}}}");
    check("C=-{AV=msrp/3{AT{}}}", "C=-{AV=msrp/3{ER=435{}}}");
}

#[test]
fn unknown_packages_and_items_give_440_and_450_to_454() {
    check_modify("M{O{MO=SR,nosuch/p=1}}", 440);
    check_modify("E=1{al/of}", 440);
    check_modify("SG{foo/sm}", 440);
    check_modify("AT{SA{rtp/ps}}", 532);
    check_modify("M{O{MO=SR,nt/nosuch=1}}", 450);
    check_modify("E=1{g/nosuch}", 451);
    check_modify("SG{tcpbcc/nosuch}", 452);
    check(
        "C=1{S=msrp/1{AT{SA{nt/nosuch}}}}",
        "C=1{S=msrp/1{ER=532{}}}",
    );
    check_modify("E=1{hangterm/thb{nosuch=1}}", 454);
    check_modify("E=1{hangterm/*{timerx=1}}", 454);
    check_modify("E=1{*/*{msq=1}}", 454);
    check_modify("SG{tcpbcc/EstBNC{nosuch=1}}", 454);
}

#[test]
fn descriptors_out_of_place_give_444_447_448() {
    check_modify("DM={(0)}", 444);
    check_modify("EB{g/cause}", 444);
    check("C=-{MF=ROOT{M{ST=1{O{MO=IN}}}}}", "C=-{MF=ROOT{ER=447{}}}");
}

/// The parser refuses it first; another source of commands might not.
#[test]
fn a_descriptor_that_appears_twice_gives_448() {
    let mut request = request(2, "C=1{MF=msrp/1{M{O{MO=SR}}}}");
    let h248::ast::Command::Modify(amm) = &mut request.actions[0].commands[0].command else {
        panic!("{request:?}");
    };
    amm.descriptors.push(amm.descriptors[0].clone());
    let mut bench = Bench::conference();
    bench
        .gateway
        .handle_request(bench.now, 1, 2, &request, None);
    bench.drain();
    assert_eq!(first_error(&bench.replies[0]).map(|e| e.code), Some(448));
}

#[test]
fn properties_and_values_we_have_not_give_445_446_449_455_456_517_534() {
    check(
        "C=1{SC=msrp/1{SV{MT=RS,RE=\"900\",X+cost=5}}}",
        "C=1{SC=msrp/1{ER=446{}}}",
    );
    check_modify("M{O{MO=SR,RV=ON}}", 445);
    check_modify("M{O{MO=SR,RG=ON}}", 445);
    check_modify("M{O{MO=SR,tcpbcc/bceb=Half}}", 449);
    check_modify("E=1{tcpbcc/BNCChange{Type=Mod}}", 449);
    check_modify("M{TS{BF=LockStep}}", 449);
    check_modify("SG{tcpbcc/EstBNC{ST=9}}", 449);
    check_modify("M{O{MO=SR,root/normalMGExecutionTime=5}}", 455);
    check_modify("M{TS{tcpbcc/bceb=Unblocked}}", 455);
    check_modify("M{O{MO=SR,nt/jit=5,NT/JIT=6}}", 456);
    check_modify("M{O{MO=LB}}", 517);
    check(
        "C=-{MF=ROOT{M{TS{root/maxNumberOfContexts=5}}}}",
        "C=-{MF=ROOT{ER=534{}}}",
    );
}

#[test]
fn session_descriptions_we_cannot_serve_give_441_449_472_474_515() {
    let add = |media: &str, code: u16| {
        let request = format!("C=${{A=${{M{{ST=1{{{media}}}}}}}}}");
        check(&request, &format!("C=${{A=${{ER={code}{{}}}}}}"));
    };
    add(REMOTE, 441);
    add("L{v=0\nc=IN IP4 192.0.2.99\nm=message $ TCP/MSRP *\n}", 449);
    add("L{v=0\nc=IN IP4 $\nm=message 2856 TCP/MSRP *\n}", 449);
    for path in [
        "msrp://192.0.2.99:$/$;tcp",
        "msrp://$:1/$;tcp",
        "msrp://$:$/mine;tcp",
        "msrp://$:$/$;tcp msrp://$:$/$;tcp",
    ] {
        let line = format!("L{{v=0\nc=IN IP4 $\nm=message $ TCP/MSRP *\na=path:{path}\n}}");
        add(&line, 449);
    }
    add("L{v=0\nc=IN IP4 $\nm=message $ TCP/TLS/MSRP *\n}", 449);
    add("L{v=0\nc=IN IP4 $\nm=message $ SCTP/MSRP *\n}", 449);
    add(
        "L{v=0\nc=IN IP4 $\nm=message $ TCP/MSRP *\na=path:msrp://192.0.2.99:1/x;tcp\n}",
        449,
    );
    add(
        "L{v=0\nc=IN IP4 mrfp.example.net\nm=message $ TCP/MSRP *\n}",
        449,
    );
    add(
        &format!("{LOCAL},R{{v=0\nc=IN IP4 $\nm=message $ TCP/MSRP *\na=path:$\n}}"),
        449,
    );
    add(
        &format!("{LOCAL},R{{v=0\nc=IN IP4 192.0.2.1\nm=message 1 TCP/MSRP *\n}}"),
        472,
    );
    add("L{v=0\nthis is not SDP\n}", 474);
    add(
        &format!("{LOCAL},R{{v=0\nm=message 1 TCP/MSRP *\na=path:sip:x\n}}"),
        474,
    );
    add("L{v=0\nc=IN IP4 $\nm=audio $ RTP/AVP 0\n}", 515);
}

#[test]
fn what_cannot_be_detected_or_generated_gives_512_513() {
    check_modify("E=1{ocp/mg_overload}", 512);
    check_modify("E=1{it/ito{mit=100}}", 512);
    let mut bench = Bench::with(|config| config.has_tls = true);
    bench.call(&format!("C=${{{}}}", add()));
    bench.check(
        "C=1{MF=msrp/1{SG{tlsbsc/EstBNC}}}",
        "C=1{MF=msrp/1{ER=513{}}}",
    );
    check_modify("SG{tlsbsc/EstBNC}", 440);
    check(
        "C=1{A=${SG{mess/sm{mi=\"m\",mcr=\"data:,x\"}}}}",
        "C=1{A=${ER=513{}}}",
    );
}

#[test]
fn what_is_not_implemented_gives_443_or_501() {
    check("C=1{N=msrp/1{OE=1{g/cause}}}", "C=1{N=msrp/1{ER=443{}}}");
    check_modify("E=1{g/cause{EM{SG{tcpbcc/EstBNC}}}}", 501);
}

#[test]
fn audits_of_what_is_not_there_give_532() {
    check("C=1{AV=msrp/1{AT{M{ST=7{L}}}}}", "C=1{AV=msrp/1{ER=532{}}}");
    check(
        "C=1{AV=msrp/1{AT{PG{nosuch-1}}}}",
        "C=1{AV=msrp/1{ER=532{}}}",
    );
}

#[test]
fn an_error_leaves_everything_as_it_was() {
    let mut bench = Bench::conference();
    let before = bench.call("C=1{AV=msrp/1{AT{M,E}}}");
    bench.orders.clear();
    let modify = "C=1{MF=msrp/1{M{ST=1{O{MO=IN},R{}}},E=5{g/cause},SG{tcpbcc/nosuch}}}";
    bench.check(modify, "C=1{MF=msrp/1{ER=452{}}}");
    assert!(bench.orders.is_empty());
    assert_eq!(bench.call("C=1{AV=msrp/1{AT{M,E}}}"), before);
}

/// A conference of two and one of one, in version 3, that is full in every way.
fn full() -> Bench {
    let mut bench = Bench::with(|config| {
        config.limits = Limits {
            contexts_max: 2,
            terminations_max: 3,
            terminations_per_context_max: 2,
            spread_above: 1_000,
            streams_per_termination_max: 1,
            replies_waiting_max: 4,
        };
        config.has_storage = false;
    });
    bench.version = 3;
    bench.call(&format!("C=${{{},{}}}", add(), add()));
    bench.call(&format!("C=${{{}}}", add()));
    bench
}

/// What a request must look like to be refused with a code; the rows of docs/H248.md.
const PROVOKED: &[(u16, &str)] = &[
    (410, "C=1{S=$}"),
    (411, "C=7{S=*}"),
    (412, "C=${A=$}"),
    (421, "C=-{A=$}"),
    (430, "C=1{S=msrp/99}"),
    (431, "C=1{S=rtp/*}"),
    (432, "C=2{A=$}"),
    (433, "C=1{A=msrp/3}"),
    (434, "C=1{A=$}"),
    (435, "C=1{S=msrp/3}"),
    (440, "C=1{MF=msrp/1{E=1{al/of}}}"),
    (
        441,
        "C=1{MF=msrp/1{M{ST=1{L{},R{v=0\nc=IN IP4 192.0.2.1\nm=message 1 TCP/MSRP *\n\
           a=path:msrp://192.0.2.1:1/x;tcp\n}}}}}",
    ),
    (443, "C=1{N=msrp/1{OE=1{g/cause}}}"),
    (444, "C=1{MF=msrp/1{DM={(0)}}}"),
    (445, "C=1{MF=msrp/1{M{O{RG=ON}}}}"),
    (446, "C=1{SC=msrp/1{SV{MT=RS,RE=\"900\",X+cost=5}}}"),
    (447, "C=-{MF=ROOT{M{ST=1{O{MO=IN}}}}}"),
    (449, "C=1{MF=msrp/1{M{O{tcpbcc/bceb=Half}}}}"),
    (450, "C=1{MF=msrp/1{M{O{nt/nosuch=1}}}}"),
    (451, "C=1{MF=msrp/1{E=1{g/nosuch}}}"),
    (452, "C=1{MF=msrp/1{SG{tcpbcc/nosuch}}}"),
    (453, "C=1{MF=msrp/1{SA{nt/nosuch}}}"),
    (454, "C=1{MF=msrp/1{E=1{hangterm/thb{nosuch=1}}}}"),
    (455, "C=1{MF=msrp/1{M{TS{tcpbcc/bceb=Blocked}}}}"),
    (456, "C=1{MF=msrp/1{M{O{nt/jit=5,nt/jit=6}}}}"),
    (457, "C=1{MF=msrp/1{SG{mess/sm{mi=\"m\"}}}}"),
    (
        472,
        "C=1{MF=msrp/1{M{ST=1{R{v=0\nc=IN IP4 192.0.2.1\nm=message 1 TCP/MSRP *\n}}}}}",
    ),
    (473, "C=1{MF=msrp/1{M{O{xmrf/profile=chatroom}}}}"),
    (474, "C=1{MF=msrp/1{M{ST=1{R{v=0\nno SDP\n}}}}}"),
    (501, "C=1{MF=msrp/1{E=1{g/cause{EM{SG{tcpbcc/EstBNC}}}}}}"),
    (503, "C=-{SC=ROOT{SV{MT=GR,RE=\"905\"}}},C=2{A=$}"),
    (510, "C=1{MF=msrp/1{M{ST=2{O{MO=IN}}}}}"),
    (512, "C=1{MF=msrp/1{E=1{it/ito}}}"),
    (
        513,
        "C=2{S=msrp/3{AT{}}},C=1{MF=msrp/1{M{ST=1{L{},R{}}},SG{mess/sm{mi=\"m\",mcr=\"data:,x\"}}}}",
    ),
    (
        514,
        "C=1{MF=msrp/1{SG{mess/sm{mi=\"m\",mcr=\"file:///x\"}}}}",
    ),
    (
        515,
        "C=1{MF=msrp/1{M{ST=1{L{v=0\nc=IN IP4 $\nm=audio $ RTP/AVP 0\n}}}}}",
    ),
    (517, "C=1{MF=msrp/1{M{O{MO=LB}}}}"),
    (522, "C=1{TP{msrp/1,msrp/2,OWE}}"),
    (532, "C=1{AV=msrp/1{AT{M{ST=7{L}}}}}"),
    (534, "C=-{MF=ROOT{M{TS{root/maxNumberOfContexts=5}}}}"),
    (700, "C=1{MF=msrp/1{M{O{mf/imf=\"if\"}}}}"),
    (
        701,
        "C=1{MF=msrp/1{M{O{mf/imf=\"require%20%22nosuch%22;\"}}}}",
    ),
];

/// Beyond [`PROVOKED`]: too much to do, a descriptor twice (the parser refuses it first), and a script
/// that is too long to be written here. Each has its own test.
const PROVOKED_ELSEWHERE: [u16; 3] = [448, 511, 702];

/// All codes that the gateway gives.
pub(super) fn codes() -> std::collections::BTreeSet<u16> {
    let provoked = PROVOKED.iter().map(|(code, _)| *code);
    provoked.chain(PROVOKED_ELSEWHERE).collect()
}

#[test]
fn every_code_that_can_arise_arises() {
    for (code, request) in PROVOKED {
        let body = full().call(request);
        let found = first_error(&body);
        assert_eq!(found.map(|e| e.code), Some(*code), "{request}: {found:?}");
    }
    let script = "keep;".repeat(sieve::limits::ACTIONS_MAX + 1);
    let body = full().call(&format!(
        "C=1{{MF=msrp/1{{M{{O{{mf/imf=\"{script}\"}}}}}}}}"
    ));
    assert_eq!(first_error(&body).map(|e| e.code), Some(702));
}
