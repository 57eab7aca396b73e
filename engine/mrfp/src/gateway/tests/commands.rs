//! Add, Modify, Move, Subtract, ServiceChange, and how a transaction runs.

use super::*;

// MSRP-URI-006, MSRP-SDP-003.
#[test]
fn the_first_participant_makes_a_context_and_gets_a_whole_local() {
    let mut bench = Bench::new();
    let reply = bench.call(&format!("C=${{{}}}", add()));
    let sdp = local(&reply);
    let path = path(&sdp).to_owned();
    assert_eq!(
        sdp,
        format!(
            "v=0\r\no=- 1 1 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\n\
             m=message 2855 TCP/MSRP *\r\na=path:{path}\r\n"
        )
    );
    let id = path
        .strip_prefix("msrp://198.51.100.7:2855/")
        .and_then(|p| p.strip_suffix(";tcp"));
    let config = bench.config();
    assert_eq!(&*config.local_path, path.as_bytes());
    assert_eq!(&*config.session_id, id.unwrap().as_bytes());
    assert_eq!(switch::owner_of(&config.session_id), Some(ShardIndex(0)));
    let remote = b"msrp://192.0.2.10:7394/2s93i93idj;tcp".as_slice();
    assert_eq!(config.remote_path.as_deref(), Some(remote));
    assert_eq!(config.setup, Setup::Passive);
    assert!(config.sends && config.receives);
}

#[test]
fn contexts_spread_over_shards_and_their_terminations_stay_together() {
    let mut bench = Bench::new();
    bench.call(&format!("C=${{{},{}}}", add(), add()));
    bench.call(&format!("C=${{{}}}", add()));
    bench.call(&format!("C=1{{{}}}", add()));
    assert_eq!(
        bench.order_names(),
        [
            "0: install 1.1 in 1",
            "0: install 2.1 in 1",
            "1: install 3.1 in 2",
            "0: install 4.1 in 1"
        ]
    );
    let metrics = bench.gateway.metrics();
    assert_eq!((metrics.contexts, metrics.terminations), (2, 4));
    assert_eq!(
        metrics
            .shards
            .iter()
            .map(|s| s.sessions)
            .collect::<Vec<_>>(),
        [3, 1]
    );
}

#[test]
fn the_mode_is_inactive_unless_said_otherwise() {
    for (control, sends, receives) in [
        ("", false, false),
        ("O{MO=SO},", true, false),
        ("O{MO=RC},", false, true),
        ("O{MO=IN},", false, false),
    ] {
        let mut bench = Bench::new();
        bench.call(&format!("C=${{A=${{M{{ST=1{{{control}{LOCAL}}}}}}}}}"));
        let config = bench.config();
        assert_eq!(
            (config.sends, config.receives),
            (sends, receives),
            "{control}"
        );
        assert_eq!(config.remote_path, None);
    }
}

#[test]
fn stream_1_may_be_written_without_its_number_and_others_beside_it() {
    let mut bench = Bench::new();
    bench.check(
        &format!("C=${{A=${{M{{O{{MO=SR}},{LOCAL}}}}}}}"),
        "C=1{A=msrp/1{M{ST=1{L{v}}}}}",
    );
    bench.check(
        &format!("C=1{{A=${{M{{ST=1{{{LOCAL}}},ST=2{{{LOCAL}}}}}}}}}"),
        "C=1{A=msrp/2{M{ST=1{L{v}},ST=2{L{v}}}}}",
    );
    let orders = bench.order_names();
    assert_eq!(orders[..2], ["0: install 1.1 in 1", "0: install 2.1 in 1"]);
    assert!(orders[2].starts_with("0: install 2.2 in "), "{orders:?}");
    assert!(
        !orders[2].ends_with(" 1"),
        "streams of different ids do not hear each other"
    );
}

#[test]
fn a_modify_of_remote_alone_keeps_mode_and_local() {
    let mut bench = Bench::new();
    bench.call(&format!("C=${{A=${{M{{ST=1{{O{{MO=SR}},{LOCAL}}}}}}}}}"));
    let before = bench.config();
    bench.check(
        &format!("C=1{{MF=msrp/1{{M{{ST=1{{{REMOTE}}}}}}}}}"),
        "C=1{MF=msrp/1}",
    );
    let after = bench.config();
    assert!(after.sends && after.remote_path.is_some());
    assert_eq!(after.session_id, before.session_id);
    bench.check("C=1{MF=msrp/1{M{ST=1{R{}}}}}", "C=1{MF=msrp/1}");
    assert_eq!(bench.config(), before);
}

#[test]
fn a_local_control_that_is_there_replaces_the_old_one() {
    let mut bench = Bench::conference();
    bench.check("C=1{MF=msrp/1{M{ST=1{O{nt/jit=40}}}}}", "C=1{MF=msrp/1}");
    let config = bench.config();
    assert!(!config.sends && !config.receives);
    bench.check(
        "C=1{AV=msrp/1{AT{M{ST=1{O}}}}}",
        "C=1{AV=msrp/1{M{ST=1{O{MO=IN,RV=OFF,RG=OFF,nt/jit=40}}}}}",
    );
}

#[test]
fn a_modify_that_changes_nothing_orders_nothing() {
    let mut bench = Bench::conference();
    bench.check("C=1{MF=msrp/1{M{ST=1{O{MO=SR}}}}}", "C=1{MF=msrp/1}");
    bench.check("C=1{MF=msrp/1}", "C=1{MF=msrp/1}");
    assert!(bench.orders.is_empty());
}

#[test]
fn est_bnc_makes_us_active_once_remote_is_known() {
    let mut bench = Bench::new();
    let media = format!("M{{ST=1{{O{{MO=SR}},{LOCAL}}}}}");
    bench.call(&format!(
        "C=${{A=${{{media},SG{{tcpbcc/EstBNC{{ST=1}}}}}}}}"
    ));
    assert_eq!(bench.config().setup, Setup::Passive);
    bench.call(&format!("C=1{{MF=msrp/1{{M{{ST=1{{{REMOTE}}}}}}}}}"));
    assert_eq!(bench.config().setup, ACTIVE);
    // Asked again, it revives a lost connection.
    bench.call("C=1{MF=msrp/1{SG{tcpbcc/EstBNC}}}");
    assert_eq!(bench.config().setup, ACTIVE);
    bench.check("C=1{MF=msrp/1{SG}}", "C=1{MF=msrp/1}");
    assert!(
        bench.orders.is_empty(),
        "the signal was brief, its effect lasts"
    );
    bench.call("C=1{MF=msrp/1{SG{tcpbcc/RelBNC}}}");
    assert_eq!(bench.order_names(), ["0: release 1.1", "0: update 1.1"]);
}

#[test]
fn rel_bnc_releases_a_connection_that_the_participant_opened() {
    let mut bench = Bench::conference();
    bench.call("C=1{MF=msrp/1{E=3{g/cause,tcpbcc/BNCChange}}}");
    bench.check("C=1{MF=msrp/1{SG{tcpbcc/RelBNC{ST=1}}}}", "C=1{MF=msrp/1}");
    assert_eq!(bench.order_names(), ["0: release 1.1"]);
    bench.lose(1, LossCause::Released);
    bench.check_notify("C=1{N=msrp/1{OE=3{tcpbcc/BNCChange{Type=Rel}}}}");
}

#[test]
fn bceb_blocks_connections_that_arrive() {
    let mut bench = Bench::conference();
    bench.call("C=1{MF=msrp/1{M{O{MO=SR,tcpbcc/bceb=blocked}}}}");
    assert!(bench.config().is_blocked);
    bench.call("C=1{MF=msrp/1{M{O{MO=SR}}}}");
    assert!(!bench.config().is_blocked);
}

#[test]
fn subtract_tells_statistics_unless_told_not_to() {
    let all = "SA{nt/dur=61000,nt/os=5000,nt/or=9000,msrpstat/nms=34,msrpstat/nmr=12,\
               msrpstat/vms=8192,msrpstat/vmr=4096}";
    for (request, expected) in [
        ("C=1{S=msrp/2}", format!("C=1{{S=msrp/2{{{all}}}}}")),
        ("C=1{S=msrp/2{AT{SA}}}", format!("C=1{{S=msrp/2{{{all}}}}}")),
        ("C=1{S=msrp/2{AT{}}}", "C=1{S=msrp/2}".to_owned()),
        (
            "C=1{S=msrp/2{AT{SA{nt/os}}}}",
            "C=1{S=msrp/2{SA{nt/os=5000}}}".to_owned(),
        ),
        (
            "C=1{S=*}",
            format!("C=1{{S=msrp/1{{{all}}},S=msrp/2{{{all}}}}}"),
        ),
        ("C=1{S=msrp/*{AT{}}}", "C=1{S=msrp/1,S=msrp/2}".to_owned()),
        ("C=1{W-S=*{AT{}}}", "C=1{S=*}".to_owned()),
        (
            "C=1{W-S=*{AT{SA{nt/os}}}}",
            "C=1{S=*{SA{nt/os=10000}}}".to_owned(),
        ),
        (
            "C=*{S=*{AT{}}}",
            "C=1{S=msrp/1,S=msrp/2},C=2{S=msrp/3}".to_owned(),
        ),
        ("C=*{S=msrp/3{AT{}}}", "C=2{S=msrp/3}".to_owned()),
    ] {
        Bench::conference().check(request, &expected);
    }
}

#[test]
fn a_context_goes_with_its_last_termination_and_its_number_stays_unused() {
    let mut bench = Bench::conference();
    bench.check("C=1{S=*{AT{}}}", "C=1{S=msrp/1,S=msrp/2}");
    assert_eq!(bench.order_names(), ["0: remove 1.1", "0: remove 2.1"]);
    bench.check("C=1{AV=*{AT{}}}", "C=1{ER=411{}}");
    bench.check(&format!("C=${{{}}}", add()), "C=3{A=msrp/4{M{ST=1{L{v}}}}}");
    assert_eq!(bench.order_names(), ["0: install 4.1 in 3"]);
    let metrics = bench.gateway.metrics();
    assert_eq!(metrics.terminations, 2);
    let moved = (metrics.terminations_added, metrics.terminations_subtracted);
    assert_eq!(moved, (4, 2));
}

#[test]
fn statistics_of_a_stream_that_ended_earlier_are_not_lost() {
    let mut bench = Bench::new();
    bench.call(&format!(
        "C=${{A=${{M{{ST=1{{{LOCAL}}},ST=2{{{LOCAL}}}}}}}}}"
    ));
    bench.check("C=1{MF=msrp/1{M{ST=2{L{},R{}}}}}", "C=1{MF=msrp/1}");
    bench.check(
        "C=1{AV=msrp/1{AT{SA{nt/os}}}}",
        "C=1{AV=msrp/1{SA{nt/os=10000}}}",
    );
    bench.check(
        "C=1{S=msrp/1{AT{SA{nt/os}}}}",
        "C=1{S=msrp/1{SA{nt/os=10000}}}",
    );
}

#[test]
fn move_takes_a_termination_to_another_context_of_its_shard() {
    let mut bench = Bench::with(|config| config.shards = 1);
    bench.call(&format!("C=${{{},{}}}", add(), add()));
    bench.call(&format!("C=${{{}}}", add()));
    bench.orders.clear();
    bench.check("C=2{MV=msrp/1}", "C=2{MV=msrp/1}");
    bench.check("C=${MV=msrp/2{M{O{MO=IN}}}}", "C=3{MV=msrp/2}");
    assert_eq!(
        bench.order_names(),
        ["0: move 1.1 to 2", "0: move 2.1 to 3", "0: update 2.1"]
    );
    bench.check("C=1{AV=*{AT{}}}", "C=1{ER=411{}}");
    bench.check("C=2{AV=*{AT{}}}", "C=2{AV=Context{msrp/1,msrp/3}}");
}

#[test]
fn a_move_with_a_wildcard_takes_all_that_are_elsewhere() {
    let mut bench = Bench::with(|config| config.shards = 1);
    bench.call(&format!("C=${{{},{}}}", add(), add()));
    bench.call(&format!("C=${{{}}}", add()));
    bench.check("C=2{MV=msrp/*}", "C=2{MV=msrp/1,MV=msrp/2}");
    bench.check("C=2{MV=*}", "C=2{MV=*{ER=431{}}}");
    bench.check("C=${W-MV=*}", "C=3{MV=*}");
    bench.check("C=*{AV=ROOT{AT{}}}", "C=3{AV=ROOT}");
    bench.check(
        "C=3{S=msrp/2{AT{}},MV=msrp/2}",
        "C=3{S=msrp/2,MV=msrp/2{ER=430{}}}",
    );
}

#[test]
fn a_move_to_a_context_of_another_shard_makes_it_span_both() {
    let mut bench = Bench::conference();
    bench.check("C=2{MV=msrp/1{M{O{MO=SO}}}}", "C=2{MV=msrp/1}");
    assert_eq!(
        bench.order_names(),
        [
            "0: announce 3.1 of 1 in 2",
            "0: move 1.1 to 2",
            "1: announce 1.1 of 0 in 2",
            "1: update 1.1",
            "0: update 1.1",
        ]
    );
    bench.check("C=2{AV=*{AT{}}}", "C=2{AV=Context{msrp/1,msrp/3}}");
    // Local given anew is one of the same shard: the session goes on there.
    let body = bench.call(&format!(
        "C=1{{MV=msrp/1{{M{{ST=1{{O{{MO=SR}},{LOCAL}}}}}}}}}"
    ));
    let local = local(&body);
    let id = msrp::session_id_of(path(&local).as_bytes()).expect("a session-id");
    assert_eq!(switch::owner_of(id), Some(ShardIndex(0)));
    let names = bench.order_names();
    assert_eq!(names[..2], ["0: move 1.1 to 1", "1: remove 1.1"]);
    bench.check("C=1{S=msrp/1{AT{}}}", "C=1{S=msrp/1}");
    // What was said to shard 0 of context 2 is taken back with the context.
    bench.orders.clear();
    bench.call("C=2{S=msrp/3}");
    assert_eq!(bench.order_names(), ["0: remove 3.1", "1: remove 3.1"]);
}

#[test]
fn a_context_with_many_terminations_spreads_over_the_shards() {
    let mut bench = Bench::with(|config| config.limits.spread_above = 2);
    bench.call(&format!("C=${{{},{},{},{}}}", add(), add(), add(), add()));
    let names = bench.order_names();
    assert_eq!(
        names,
        [
            "0: install 1.1 in 1",
            "0: install 2.1 in 1",
            "1: announce 1.1 of 0 in 1",
            "1: announce 2.1 of 0 in 1",
            "1: install 3.1 in 1",
            "0: announce 3.1 of 1 in 1",
            "1: install 4.1 in 1",
            "0: announce 4.1 of 1 in 1",
        ]
    );
    // Who hears whom is said where the one who hears is.
    bench.call("C=1{TP{msrp/1,msrp/3,OW}}");
    assert_eq!(
        bench.order_names(),
        ["1: flow 1.1>3.1 open", "0: flow 3.1>1.1 cut"]
    );
    bench.gateway.handle_shard_lost(bench.now, ShardIndex(0));
    bench.drain();
    assert_eq!(
        bench.order_names(),
        ["1: shard lost 0 1", "1: rehome 1 at 1"]
    );
    // The conference goes on where it still is, and comes back to the shard that is started anew.
    bench.call(&format!("C=1{{{}}}", add()));
    bench
        .gateway
        .handle_shard_regained(bench.now, ShardIndex(0));
    bench.call(&format!("C=1{{{}}}", add()));
    let names = bench.order_names();
    assert_eq!(
        names,
        [
            "1: install 5.1 in 1",
            "0: announce 3.1 of 1 in 1",
            "0: announce 4.1 of 1 in 1",
            "0: announce 5.1 of 1 in 1",
            "0: install 6.1 in 1",
            "1: announce 6.1 of 0 in 1",
        ]
    );
    bench.call("C=1{S=msrp/1}");
    assert_eq!(bench.order_names(), ["0: remove 1.1", "1: remove 1.1"]);
}

#[test]
fn the_first_failure_stops_the_transaction_unless_it_was_optional() {
    let mut bench = Bench::conference();
    bench.check(
        "C=1{MF=msrp/1,MF=msrp/9,MF=msrp/2},C=2{MF=msrp/3}",
        "C=1{MF=msrp/1,MF=msrp/9{ER=430{}}}",
    );
    bench.check(
        "C=1{O-MF=msrp/9,MF=msrp/2},C=2{MF=msrp/3}",
        "C=1{MF=msrp/9{ER=430{}},MF=msrp/2},C=2{MF=msrp/3}",
    );
    bench.check(
        "C=9{O-MF=msrp/9},C=2{MF=msrp/3}",
        "C=9{ER=411{}},C=2{MF=msrp/3}",
    );
    bench.check("C=9{MF=msrp/9},C=2{MF=msrp/3}", "C=9{ER=411{}}");
}

#[test]
fn a_wildcard_reports_every_match_even_after_a_failure() {
    let mut bench = Bench::new();
    bench.call(&format!("C=${{{},A=$}}", add()));
    bench.check(
        &format!("C=1{{MF=*{{M{{ST=1{{{REMOTE}}}}}}},MF=msrp/1}}"),
        "C=1{MF=msrp/1,MF=msrp/2{ER=441{}}}",
    );
}

#[test]
fn a_failed_first_add_leaves_no_context_and_later_success_names_it() {
    let mut bench = Bench::new();
    bench.check("C=${A=${E=1{g/nosuch}}}", "C=${A=${ER=451{}}}");
    assert_eq!(bench.gateway.metrics().contexts, 0);
    bench.check(
        &format!("C=${{O-A=${{E=1{{g/nosuch}}}},{}}}", add()),
        "C=${A=${ER=451{}}},C=1{A=msrp/3{M{ST=1{L{v}}}}}",
    );
}

#[test]
fn partial_names_with_a_choice_are_choices() {
    let mut bench = Bench::new();
    bench.check("C=${A=msrp/$}", "C=1{A=msrp/1}");
    bench.check("C=1{A=rtp/$}", "C=1{A=rtp/${ER=432{}}}");
}

#[test]
fn replies_wait_for_their_shards_and_only_for_them() {
    let mut gateway = Bench::new().gateway;
    let add = request(2, &format!("C=${{{},{}}}", add(), add()));
    gateway.handle_request(Instant::ZERO, 1, 2, &add, None);
    let mut tokens = Vec::new();
    while let Output::Order { command, .. } = gateway.poll() {
        tokens.push(command.token);
    }
    let audit = request(2, "C=-{AV=ROOT{AT{}}}");
    gateway.handle_request(Instant::ZERO, 2, 2, &audit, None);
    assert!(matches!(gateway.poll(), Output::Reply { key: 2, .. }));
    assert!(!gateway.is_idle());
    for (index, token) in tokens.iter().enumerate() {
        assert!(
            matches!(gateway.poll(), Output::Wait(_)),
            "before confirmation {index}"
        );
        let done = Event::Done {
            token: *token,
            statistics: None,
        };
        gateway.handle_event(Instant::ZERO, ShardIndex(0), done);
    }
    assert!(matches!(gateway.poll(), Output::Reply { key: 1, .. }));
}

#[test]
fn a_broken_tail_is_reported_after_what_could_be_read_went_well() {
    let tail = BrokenTail {
        context: h248::ast::ContextId::Id(1),
        result: None,
        error: ErrorDescriptor {
            code: 422,
            text: None,
        },
        continues_last: true,
    };
    let mut bench = Bench::conference();
    for (actions, expected) in [
        ("C=1{MF=msrp/1}", "C=1{MF=msrp/1,ER=422{}}"),
        ("C=1{MF=msrp/9}", "C=1{MF=msrp/9{ER=430{}}}"),
    ] {
        let request = request(2, actions);
        bench
            .gateway
            .handle_request(Instant::ZERO, 1, 2, &request, Some(&tail));
        bench.drain();
        let mut found = bench.replies.remove(0);
        simplify(&mut found);
        assert_eq!(found, reply(2, expected));
    }
}

#[test]
fn service_change_of_the_gateway_stops_and_starts_it() {
    let mut bench = Bench::conference();
    let change = |method: &str| format!("C=-{{SC=ROOT{{SV{{MT={method},RE=\"905 x\"}}}}}}");
    bench.check(&change("GR"), "C=-{SC=ROOT}");
    bench.check(&format!("C=1{{{}}}", add()), "C=1{A=${ER=503{}}}");
    bench.check("C=1{MF=msrp/1}", "C=1{MF=msrp/1}");
    bench.check(&change("FO"), "C=-{SC=ROOT}");
    assert_eq!(
        bench.order_names(),
        ["0: remove 1.1", "0: remove 2.1", "1: remove 3.1"]
    );
    bench.check(&change("RS"), "C=-{SC=ROOT}");
    bench.check(&format!("C=${{{}}}", add()), "C=3{A=msrp/4{M{ST=1{L{v}}}}}");
}

#[test]
fn a_termination_out_of_service_carries_nothing() {
    let mut bench = Bench::conference();
    bench.check("C=1{SC=msrp/1{SV{MT=FO,RE=\"905 x\"}}}", "C=1{SC=msrp/1}");
    let config = bench.config();
    assert!(!config.sends && !config.receives);
    bench.check(
        "C=1{AV=msrp/1{AT{M{TS{SI}}}}}",
        "C=1{AV=msrp/1{M{TS{SI=OS}}}}",
    );
    bench.check(
        "C=*{SC=*{SV{MT=RS,RE=\"900 x\"}}}",
        "C=1{SC=msrp/1,SC=msrp/2},C=2{SC=msrp/3}",
    );
    assert!(bench.config().sends);
    bench.check("C=*{W-SC=*{SV{MT=FO,RE=\"905 x\"}}}", "C=*{SC=*}");
}

#[test]
fn no_reply_hangs_on_a_lost_shard_and_what_was_there_is_out_of_service() {
    let mut bench = Bench::conference();
    let request = request(2, "C=1{S=msrp/1}");
    bench
        .gateway
        .handle_request(bench.now, 9, 2, &request, None);
    bench.gateway.handle_shard_lost(bench.now, ShardIndex(0));
    bench.drain();
    assert_eq!(bench.replies.len(), 1);
    bench.replies.clear();
    bench.check_notify("C=1{SC=*{SV{MT=FO,RE=\"904 Termination malfunctioning\"}}}");
    bench.check("C=1{AV=*{AT{M{TS{SI}}}}}", "C=1{AV=msrp/2{M{TS{SI=OS}}}}");
    bench.check("C=2{AV=*{AT{}}}", "C=2{AV=Context{msrp/3}}");
    // Nothing new can be done there; new contexts go elsewhere.
    bench.check("C=1{MF=msrp/2{M{TS{SI=IV}}}}", "C=1{MF=msrp/2{ER=503{}}}");
    bench.check(
        "C=1{SC=msrp/2{SV{MT=RS,RE=\"900 x\"}}}",
        "C=1{SC=msrp/2{ER=503{}}}",
    );
    bench.check(
        "C=*{SC=*{SV{MT=RS,RE=\"900 x\"}}}",
        "C=1{SC=msrp/2{ER=503{}}},C=2{SC=msrp/3}",
    );
    bench.check(
        "C=*{W-SC=*{SV{MT=RS,RE=\"900 x\"}}}",
        "C=1{SC=msrp/2{ER=503{}}}",
    );
    bench.check(&format!("C=1{{{}}}", add()), "C=1{A=${ER=503{}}}");
    bench.check("C=2{MV=msrp/2}", "C=2{MV=msrp/2{ER=503{}}}");
    bench.orders.clear();
    bench.call(&format!("C=${{{}}}", add()));
    assert_eq!(bench.order_names(), ["1: install 4.1 in 3"]);
    // It ends as the controller wishes, without a shard's help.
    bench.call("C=1{S=*}");
    assert_eq!(bench.order_names(), [""; 0]);
    bench.check("C=1{AV=*{AT{}}}", "C=1{ER=411{}}");
}

#[test]
fn another_shard_takes_new_contexts_and_knows_nothing_of_the_old_ones() {
    let mut bench = Bench::with(|c| c.shards = 1);
    bench.call(&format!("C=${{{},{}}}", add(), add()));
    bench.gateway.handle_shard_lost(bench.now, ShardIndex(0));
    bench.drain();
    bench.check(&format!("C=${{{}}}", add()), "C=${A=${ER=503{}}}");
    assert_eq!(bench.gateway.metrics().shards[0].sessions, 0);
    bench
        .gateway
        .handle_shard_regained(bench.now, ShardIndex(0));
    bench.drain();
    bench.orders.clear();
    bench.call(&format!("C=${{{}}}", add()));
    assert_eq!(bench.order_names(), ["0: install 3.1 in 2"]);
    bench.check("C=1{MF=msrp/2{M{TS{SI=IV}}}}", "C=1{MF=msrp/2{ER=503{}}}");
    bench.check(&format!("C=1{{{}}}", add()), "C=1{A=${ER=503{}}}");
    bench.check(
        "C=1{AV=msrp/1{AT{M{TS{SI}}}}}",
        "C=1{AV=msrp/1{M{TS{SI=OS}}}}",
    );
    bench.orders.clear();
    bench.call("C=1{S=*}");
    assert_eq!(bench.order_names(), [""; 0], "nothing is asked of it");
    assert_eq!(bench.gateway.metrics().shards[0].sessions, 1);
}

#[test]
fn another_shard_drains_as_the_one_before_it() {
    let mut bench = Bench::conference();
    bench.gateway.drain(bench.now);
    bench.gateway.handle_shard_lost(bench.now, ShardIndex(1));
    bench.drain();
    bench.orders.clear();
    bench
        .gateway
        .handle_shard_regained(bench.now, ShardIndex(1));
    bench.drain();
    assert_eq!(bench.order_names(), ["1: drain "]);
}

#[test]
fn losses_are_told_one_context_at_a_time_while_somebody_listens() {
    let mut bench = Bench::with(|c| c.shards = 1);
    for _ in 0..4 {
        bench.call(&format!("C=${{{}}}", add()));
    }
    bench.gateway.handle_shard_lost(bench.now, ShardIndex(0));
    bench.gateway.handle_shard_lost(bench.now, ShardIndex(0));
    bench.drain();
    let lost = |context| {
        format!("C={context}{{SC=*{{SV{{MT=FO,RE=\"904 Termination malfunctioning\"}}}}}}")
    };
    let id = bench.check_notify(&lost(1));
    assert!(bench.notifies.is_empty(), "the others wait");
    bench.call("C=2{S=*}");
    let answer = reply(2, "C=1{SC=*}");
    bench.gateway.handle_notified(bench.now, id, Some(&answer));
    bench.drain();
    let id = bench.check_notify(&lost(3));
    bench.gateway.handle_notified(bench.now, id, None);
    bench.drain();
    assert!(bench.notifies.is_empty(), "nobody listens");
    // Without a shard there is no service.
    bench.check(&format!("C=${{{}}}", add()), "C=${A=${ER=503{}}}");
}

/// A conference that is kept for a minute without a controller, which has just been lost.
fn alone() -> Bench {
    let mut bench = Bench::with(|c| c.context_keep = Some(Duration::from_secs(60)));
    for _ in 0..2 {
        bench.call(&format!("C=${{{}}}", add()));
    }
    bench.orders.clear();
    bench.gateway.handle_control_lost(bench.now);
    bench.drain();
    bench
}

fn due(bench: &mut Bench) -> Option<Duration> {
    match bench.gateway.poll() {
        Output::Wait(at) => at.map(|at| at.since(Instant::ZERO)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn contexts_are_released_when_no_controller_came_back_and_the_next_one_is_told() {
    let mut bench = alone();
    // Another attempt that fails does not put it off.
    bench.now = Instant::ZERO + Duration::from_secs(20);
    bench.gateway.handle_control_lost(bench.now);
    assert_eq!(due(&mut bench), Some(Duration::from_secs(60)));
    bench.now = Instant::ZERO + Duration::from_secs(60);
    bench.gateway.handle_deadline(bench.now);
    bench.drain();
    assert_eq!(bench.order_names(), ["0: remove 1.1", "1: remove 2.1"]);
    assert!(bench.gateway.is_idle());
    assert!(bench.notifies.is_empty(), "nobody is there");
    bench.gateway.handle_registered(bench.now);
    bench.drain();
    let id = bench.check_notify("C=1{SC=*{SV{MT=FO,RE=\"915 State Loss\"}}}");
    let answer = reply(2, "C=1{ER=411{}}");
    bench.gateway.handle_notified(bench.now, id, Some(&answer));
    bench.drain();
    bench.check_notify("C=2{SC=*{SV{MT=FO,RE=\"915 State Loss\"}}}");
}

#[test]
fn contexts_stay_when_a_controller_is_back_in_time() {
    let mut bench = alone();
    bench.gateway.handle_shard_lost(bench.now, ShardIndex(0));
    bench.drain();
    assert!(bench.notifies.is_empty(), "nobody is there");
    bench.gateway.handle_registered(bench.now);
    bench.drain();
    assert_eq!(due(&mut bench), None);
    bench.check_notify("C=1{SC=*{SV{MT=FO,RE=\"904 Termination malfunctioning\"}}}");
    bench.check("C=2{AV=*{AT{}}}", "C=2{AV=Context{msrp/2}}");
}

#[test]
fn contexts_stay_for_good_unless_configured_otherwise() {
    let mut bench = Bench::conference();
    bench.gateway.handle_control_lost(bench.now);
    bench.drain();
    assert_eq!(due(&mut bench), None);
}

#[test]
fn draining_and_removing_all_need_no_controller() {
    let mut bench = Bench::conference();
    bench.gateway.drain(bench.now);
    bench.drain();
    assert_eq!(bench.order_names(), ["0: drain ", "1: drain "]);
    bench.check(&format!("C=1{{{}}}", add()), "C=1{A=${ER=503{}}}");
    bench.gateway.remove_all(bench.now);
    bench.drain();
    assert!(bench.gateway.is_idle());
}
