//! AuditValue (H.248.1 section 7.2.5) and attributes of contexts.

use super::*;

#[track_caller]
fn check(actions: &str, expected: &str) {
    Bench::conference().check(actions, expected);
}

#[test]
fn timers_set_on_root_are_for_the_transactions() {
    use h248_endpoint::Tuning;
    let mut bench = Bench::new();
    assert_eq!(bench.gateway.tuning(), Tuning::default());
    bench.check(
        "C=-{MF=ROOT{M{TS{root/normalMGCExecutionTime=1500,\
         root/mgprovisionalresponsetimervalue=700,root/MGOriginatedPendingLimit=3,\
         root/MGCOriginatedPendingLimit=0x4}}}}",
        "C=-{MF=ROOT}",
    );
    let tuning = Tuning {
        execution: Some(Duration::from_millis(1_500)),
        provisional: Some(Duration::from_millis(700)),
        own_pendings_max: Some(3),
        peer_pendings_max: Some(4),
    };
    assert_eq!(bench.gateway.tuning(), tuning);
    bench.check(
        "C=-{MF=ROOT{M{TS{root/MGOriginatedPendingLimit=x}}}}",
        "C=-{MF=ROOT{ER=449{}}}",
    );
    assert_eq!(bench.gateway.tuning(), tuning);
}

#[test]
fn the_keep_alive_is_answered_with_the_name_alone() {
    check("C=-{AV=ROOT{AT{}}}", "C=-{AV=ROOT}");
}

#[test]
fn what_is_named_must_exist_be_it_in_use_or_not() {
    check("C=1{AV=msrp/1{AT{E{g/cause}}}}", "C=1{AV=msrp/1{E}}");
    check(
        "C=1{AV=msrp/1{AT{E{g/nosuch}}}}",
        "C=1{AV=msrp/1{ER=532{}}}",
    );
    check("C=1{AV=msrp/1{AT{E{al/*}}}}", "C=1{AV=msrp/1{ER=532{}}}");
    check("C=1{AV=msrp/1{AT{EB{g/sc}}}}", "C=1{AV=msrp/1{EB}}");
    check("C=1{AV=msrp/1{AT{EB{al/of}}}}", "C=1{AV=msrp/1{ER=532{}}}");
    check("C=1{AV=msrp/1{AT{SG{mess/sm}}}}", "C=1{AV=msrp/1{SG}}");
    check("C=1{AV=msrp/1{AT{SG{mess/*}}}}", "C=1{AV=msrp/1{SG}}");
    check("C=1{AV=msrp/1{AT{SG{mess/x}}}}", "C=1{AV=msrp/1{ER=532{}}}");
    check(
        "C=1{AV=msrp/1{AT{SG{SL=1{cg/bt}}}}}",
        "C=1{AV=msrp/1{ER=532{}}}",
    );
    check("C=-{AV=ROOT{AT{E{al/of}}}}", "C=-{AV=ROOT{ER=532{}}}");
}

#[test]
fn of_a_list_of_signals_those_that_are_named_are_told() {
    let mut bench = Bench::conference();
    let play = |name: &str| format!("mess/sm{{mi=\"{name}\",mcr=\"data:,x\"}}");
    let list = format!("SG{{SL=3{{{},{}}}}}", play("a"), play("b"));
    bench.call(&format!("C=1{{MF=msrp/1{{{list}}}}}"));
    let all = format!("C=1{{AV=msrp/1{{{list}}}}}");
    bench.check("C=1{AV=msrp/1{AT{SG{SL=3{mess/sm}}}}}", &all);
    bench.check(
        "C=1{AV=msrp/1{AT{SG{SL=3{tcpbcc/RelBNC}}}}}",
        "C=1{AV=msrp/1{SG}}",
    );
    bench.check("C=1{AV=msrp/1{AT{SG{mess/sm}}}}", "C=1{AV=msrp/1{SG}}");
}

#[test]
fn an_audit_of_many_reports_each_also_those_that_lack_what_is_asked() {
    let mut bench = Bench::conference();
    bench.call(&format!("C=1{{MF=msrp/2{{M{{ST=2{{{LOCAL}}}}}}}}}"));
    bench.check(
        "C=1{AV=*{AT{M{ST=2{O{MO}}}}}}",
        "C=1{AV=msrp/1{ER=532{}},AV=msrp/2{M{ST=2{O{MO=IN}}}}}",
    );
    bench.check("C=1{AV=*{AT{M{ST=3{O{MO}}}}}}", "C=1{AV=*{ER=532{}}}");
    bench.version = 3;
    bench.check(
        "C=1{AV=*{AT{M{ST=2{O{MO=IN}}}}}}",
        "C=1{AV=msrp/2{M{ST=2{O{MO=IN}}}}}",
    );
    bench.check("C=1{AV=*{AT{M{ST=2{O{MO#IN}}}}}}", "C=1{AV=*{ER=431{}}}");
}

#[test]
fn root_tells_its_packages_properties_and_events() {
    check(
        "C=-{AV=ROOT{AT{PG}}}",
        "C=-{AV=ROOT{PG{g-1,root-2,nt-1,it-1,ocp-1,hangterm-1,mgcinfo-1,msrpstat-1,tcpbcc-1,mess-1,mf-1,xmrf-1}}}",
    );
    check("C=-{AV=ROOT{AT{PG{nt-1}}}}", "C=-{AV=ROOT{PG{nt-1}}}");
    check(
        "C=-{AV=ROOT{AT{M{TS{root/maxNumberOfContexts}},E}}}",
        "C=-{AV=ROOT{M{TS{root/maxNumberOfContexts=100000}},E}}",
    );
    let mut bench = Bench::new();
    bench.check(
        "C=-{MF=ROOT{M{TS{root/normalMGExecutionTime=700}},E=3{g/cause}}}",
        "C=-{MF=ROOT}",
    );
    bench.check(
        "C=-{AV=ROOT{AT{M{TS{root/normalMGExecutionTime}},E}}}",
        "C=-{AV=ROOT{M{TS{root/normalMGExecutionTime=700}},E=3{g/cause}}}",
    );
}

#[test]
fn root_in_every_context_lists_the_contexts() {
    check("C=*{AV=ROOT{AT{}}}", "C=1{AV=ROOT},C=2{AV=ROOT}");
    Bench::new().check("C=*{AV=ROOT{AT{}}}", "C=*{AV=ROOT}");
}

#[test]
fn names_alone_come_as_a_list() {
    check("C=1{AV=*{AT{}}}", "C=1{AV=Context{msrp/1,msrp/2}}");
    check("C=1{AV=msrp/*{AT{}}}", "C=1{AV=Context{msrp/1,msrp/2}}");
    check(
        "C=*{AV=*{AT{}}}",
        "C=1{AV=Context{msrp/1,msrp/2}},C=2{AV=Context{msrp/3}}",
    );
    check("C=1{AV=msrp/1{AT{}}}", "C=1{AV=msrp/1}");
    check("C=*{AV=msrp/3{AT{}}}", "C=2{AV=msrp/3}");
    check("C=1{W-AV=*{AT{}}}", "C=1{AV=*}");
}

#[test]
fn a_termination_tells_media_and_statistics() {
    check(
        "C=1{AV=msrp/1{AT{M,SA}}}",
        "C=1{AV=msrp/1{M{TS{SI=IV,BF=OFF},ST=1{O{MO=SR,RV=OFF,RG=OFF},L{v},R{v}}},\
         SA{nt/dur=61000,nt/os=5000,nt/or=9000,msrpstat/nms=34,msrpstat/nmr=12,\
         msrpstat/vms=8192,msrpstat/vmr=4096}}}",
    );
    check("C=1{AV=msrp/1{AT{E,SG}}}", "C=1{AV=msrp/1{E,SG}}");
    check(
        "C=1{AV=msrp/1{AT{SA{msrpstat/*}}}}",
        "C=1{AV=msrp/1{SA{msrpstat/nms=34,\
         msrpstat/nmr=12,msrpstat/vms=8192,msrpstat/vmr=4096}}}",
    );
    check("C=1{W-AV=*{AT{SA{nt/os}}}}", "C=1{AV=*{SA{nt/os=10000}}}");
    check(
        "C=1{AV=*{AT{M{ST=1{O{MO}}}}}}",
        "C=1{AV=msrp/1{M{ST=1{O{MO=SR}}}},AV=msrp/2{M{ST=1{O{MO=SR}}}}}",
    );
}

#[test]
fn sdp_comes_back_octet_for_octet() {
    let mut bench = Bench::conference();
    let body = bench.call("C=1{AV=msrp/1{AT{M{ST=1{R}}}}}");
    let ReplyBody::Actions(actions) = body else {
        panic!("{body:?}")
    };
    let text = format!("{:?}", actions[0].commands[0]);
    let remote: Vec<u8> = REMOTE[2..REMOTE.len() - 1].bytes().collect();
    assert!(text.contains(&format!("{remote:?}")), "{text}");
}

#[test]
fn audits_ride_on_other_commands() {
    let mut bench = Bench::conference();
    bench.check(
        "C=1{MF=msrp/1{E=4{g/cause},AT{E,SA{nt/os}}}}",
        "C=1{MF=msrp/1{E=4{g/cause},SA{nt/os=5000}}}",
    );
}

#[test]
fn context_attributes_are_told() {
    let mut bench = Bench::conference();
    bench.check("C=1{PR=11,CA{PR}}", "C=1{PR=11}");
    bench.check("C=1{CA{TP}}", "C=1{TP{*,*,BW}}");
    bench.check("C=*{CA{PR}}", "C=1{PR=11},C=2{PR=0}");
    bench.check("C=1{PR=3,MF=msrp/1}", "C=1{MF=msrp/1}");
    bench.check("C=1{CA{PR},MF=msrp/2}", "C=1{PR=3,MF=msrp/2}");
    bench.check("C=1{PR=4}", "C=1{PR=4}");
}

#[test]
fn audits_in_version_3_take_several_items_per_level_and_need_no_descriptor() {
    let mut bench = Bench::conference();
    bench.version = 3;
    bench.check("C=1{AV=msrp/1}", "C=1{AV=msrp/1}");
    bench.check("C=1{AV=[msrp/1,msrp/2]{AT{}}}", "C=1{AV=msrp/1,AV=msrp/2}");
    bench.check(
        "C=1{AV=msrp/1{AT{M{TS{SI,BF},ST=1{O{MO,tcpbcc/bceb},R}}}}}",
        "C=1{AV=msrp/1{M{TS{SI=IV,BF=OFF},ST=1{O{MO=SR,tcpbcc/bceb=Unblocked},R{v}}}}}",
    );
}

#[test]
fn values_in_an_audit_select_terminations() {
    let mut bench = Bench::conference();
    bench.version = 3;
    bench.call("C=1{MF=msrp/2{M{TS{SI=TE},ST=1{O{MO=IN,nt/jit=40}}}}}");
    let mode = |id| format!("AV=msrp/{id}{{M{{ST=1{{O{{MO=IN}}}}}}}}");
    bench.check(
        "C=*{AV=*{AT{M{ST=1{O{MO=IN}}}}}}",
        &format!("C=1{{{}}}", mode(2)),
    );
    bench.check(
        "C=1{AV=*{AT{M{ST=1{O{MO#IN}}}}}}",
        "C=1{AV=msrp/1{M{ST=1{O{MO=SR}}}}}",
    );
    bench.check(
        "C=1{AV=*{AT{M{TS{SI=IV},ST=1{O{MO=IN}}}}}}",
        "C=1{AV=*{ER=431{}}}",
    );
    bench.check(
        "C=1{CA{PR,ORLgc},AV=*{AT{M{TS{SI=TE},ST=1{O{MO=SR}}}}}}",
        "C=1{PR=0,AV=msrp/1{M{TS{SI=IV},ST=1{O{MO=SR}}}},AV=msrp/2{M{TS{SI=TE},ST=1{O{MO=IN}}}}}",
    );
    bench.check(
        "C=1{AV=*{AT{M{ST=1{O{nt/jit>30}}}}}}",
        "C=1{AV=msrp/2{M{ST=1{O{nt/jit=40}}}}}",
    );
}

#[test]
fn a_wildcarded_response_is_the_union_of_all() {
    let mut bench = Bench::conference();
    bench.call("C=1{MF=msrp/1{E=4{g/cause}},MF=msrp/2{E=4{hangterm/thb,g/cause}}}");
    bench.check("C=1{W-AV=*{AT{E}}}", "C=1{AV=*{E=4{g/cause,hangterm/thb}}}");
    bench.check("C=1{W-AV=*{AT{DM,MX,OE}}}", "C=1{AV=*{DM,MX,OE}}");
    bench.check(
        "C=1{W-AV=*{AT{M{TS{SI},ST=1{O}}}}}",
        "C=1{AV=*{M{TS{SI=IV},ST=1{O{MO=SR,RV=OFF,RG=OFF}}}}}",
    );
    bench.check(
        "C=*{W-AV=*{AT{SG,EB,PG{it-1}}}}",
        "C=*{AV=*{SG,EB,PG{it-1}}}",
    );
}

#[test]
fn what_a_descriptor_cannot_say_twice_is_said_in_another_instance_of_it_and_once() {
    let mut bench = Bench::conference();
    bench.call("C=1{MF=msrp/2{M{TS{SI=TE},ST=1{O{MO=IN,nt/jit=40}}}}}");
    bench.call("C=2{MF=msrp/3{M{ST=1{O{MO=IN,nt/jit=40}}}}}");
    bench.check(
        "C=*{W-AV=*{AT{M{TS{SI},ST=1{O{MO,nt/jit}}}}}}",
        "C=*{AV=*{M{TS{SI=IV},ST=1{O{MO=SR}}},M{TS{SI=TE},ST=1{O{MO=IN,nt/jit=40}}}}}",
    );
    // Each Local is another one, Remote the same.
    bench.check(
        "C=*{W-AV=*{AT{M{ST=1{L,R}}}}}",
        "C=*{AV=*{M{ST=1{L{v},R{v}}},M{ST=1{L{v}}},M{ST=1{L{v}}}}}",
    );
    bench.call("C=1{MF=msrp/1{E=1{g/cause}},MF=msrp/2{E=2{g/cause}}}");
    bench.check("C=1{W-AV=*{AT{E}}}", "C=1{AV=*{E=1{g/cause},E=2{g/cause}}}");
    bench.call(&format!("C=2{{MF=msrp/3{{M{{ST=2{{{LOCAL}}}}}}}}}"));
    bench.check(
        "C=*{W-AV=*{AT{M{ST=1{O{MO}},ST=2{O{MO}}}}}}",
        "C=*{AV=*{ER=532{}}}",
    );
}

#[test]
fn a_wildcarded_response_to_other_commands_is_the_union_as_well() {
    let mut bench = Bench::conference();
    bench.check(
        "C=1{W-MF=*{E=7{g/cause},AT{E,SA{nt/os}}}}",
        "C=1{MF=*{E=7{g/cause},SA{nt/os=10000}}}",
    );
    bench.check(
        &format!("C=1{{W-MF=*{{M{{ST=2{{{LOCAL}}}}}}}}}"),
        "C=1{MF=*{M{ST=2{L{v}}},M{ST=2{L{v}}}}}",
    );
    bench.check(
        "C=2{W-MV=*{AT{M{ST=1{O{MO}}}}}}",
        "C=2{MV=*{M{ST=1{O{MO=SR}}}}}",
    );
    bench.check(
        "C=2{W-S=*{AT{E,SA{nt/os}}}}",
        "C=2{S=*{SA{nt/os=25000},E=7{g/cause},E}}",
    );
}

#[test]
fn a_package_that_is_audited_comes_with_all_that_there_is_of_it() {
    let mut bench = Bench::conference();
    bench.call(
        "C=1{MF=msrp/1{M{ST=1{O{MO=SR,tcpbcc/bceb=Blocked}}},\
         E=4{g/cause,tcpbcc/BNCChange},SG{SL=2{mess/sm{mi=\"m\",mcr=\"data:,x\"}}}}}",
    );
    bench.check(
        "C=1{AV=msrp/1{AT{PG{tcpbcc-1}}}}",
        "C=1{AV=msrp/1{PG{tcpbcc-1},M{ST=1{O{tcpbcc/bceb=Blocked}}},E=4{tcpbcc/BNCChange}}}",
    );
    bench.check(
        "C=1{AV=msrp/1{AT{PG{nt-1,mess-1}}}}",
        "C=1{AV=msrp/1{PG{nt-1,mess-1},SG{SL=2{mess/sm{mi=\"m\",mcr=\"data:,x\"}}},\
         SA{nt/dur=61000,nt/os=5000,nt/or=9000}}}",
    );
    bench.check(
        "C=1{AV=msrp/2{AT{PG{hangterm-1}}}}",
        "C=1{AV=msrp/2{PG{hangterm-1}}}",
    );
    bench.check("C=-{AV=ROOT{AT{PG{nt-1}}}}", "C=-{AV=ROOT{PG{nt-1}}}");
    bench.call("C=-{MF=ROOT{E=3{it/ito{mit=9},g/cause}}}");
    bench.check(
        "C=-{AV=ROOT{AT{PG{it-1}}}}",
        "C=-{AV=ROOT{PG{it-1},E=3{it/ito{mit=9}}}}",
    );
    let text = format!("{:?}", bench.call("C=-{AV=ROOT{AT{PG{root-2}}}}"));
    assert!(text.contains("maxNumberOfContexts") && text.contains("normalMGExecutionTime"));
}

#[test]
fn each_match_of_a_wildcard_is_subtracted_that_can_be_audited_as_asked() {
    let mut bench = Bench::conference();
    bench.call(&format!("C=1{{MF=msrp/2{{M{{ST=2{{{LOCAL}}}}}}}}}"));
    bench.check("C=1{W-S=*{AT{M{ST=2{O{MO}}}}}}", "C=1{S=*{ER=532{}}}");
    bench.check("C=1{S=*{AT{M{ST=3{O{MO}}}}}}", "C=1{S=*{ER=532{}}}");
    bench.check(
        "C=1{S=*{AT{M{ST=2{O{MO}}}}},S=msrp/1}",
        "C=1{S=msrp/1{ER=532{}},S=msrp/2{M{ST=2{O{MO=IN}}}}}",
    );
    bench.check("C=1{AV=*{AT{}}}", "C=1{AV=Context{msrp/1}}");
}

#[test]
fn single_events_and_what_waits_to_be_told_can_be_audited() {
    let mut bench = Bench::conference();
    bench.call("C=1{MF=msrp/1{E=4{g/cause,tcpbcc/BNCChange}}}");
    bench.check(
        "C=1{AV=msrp/1{AT{E{g/cause}}}}",
        "C=1{AV=msrp/1{E=4{g/cause}}}",
    );
    bench.check("C=1{AV=msrp/1{AT{E{nt/netfail}}}}", "C=1{AV=msrp/1{E}}");
    for (request_id, told) in [("4", "E=4{g/cause}"), ("*", "E=4{g/cause}"), ("5", "E")] {
        bench.check(
            &format!("C=1{{AV=msrp/1{{AT{{E={request_id}{{g/cause}}}}}}}}"),
            &format!("C=1{{AV=msrp/1{{{told}}}}}"),
        );
    }
    bench.check("C=-{AV=ROOT{AT{E=5{g/cause}}}}", "C=-{AV=ROOT{E}}");
    bench.check("C=1{AV=msrp/1{AT{OE}}}", "C=1{AV=msrp/1{OE}}");
    bench.lose(1, LossCause::NeverBound);
    bench.lose(1, LossCause::NeverBound);
    let event = "g/cause{Generalcause=FT,Failurecause=\"no MSRP request arrived in time\"}";
    bench.check(
        "C=1{AV=msrp/1{AT{OE}}}",
        &format!("C=1{{AV=msrp/1{{OE=4{{{event},tcpbcc/BNCChange{{Type=Rel}}}}}}}}"),
    );
}

#[test]
fn statistics_of_a_stream_are_kept_and_told_by_themselves() {
    let mut bench = Bench::new();
    bench.version = 3;
    bench.check(
        &format!("C=${{A=${{M{{ST=1{{{LOCAL},SA{{nt/os,nt/or}}}},ST=2{{{LOCAL}}}}}}}}}"),
        "C=1{A=msrp/1{M{ST=1{L{v}},ST=2{L{v}}}}}",
    );
    bench.check(
        "C=1{AV=msrp/1{AT{M{ST=2{SA{msrpstat/nms}}},SA{nt/os}}}}",
        "C=1{AV=msrp/1{M{ST=2{SA{msrpstat/nms=34}}},SA{nt/os=10000}}}",
    );
    bench.check(
        "C=1{AV=msrp/1{AT{M{ST=1{SA}}}}}",
        "C=1{AV=msrp/1{M{ST=1{SA{nt/os=5000,nt/or=9000}}}}}",
    );
    bench.check(
        "C=1{AV=msrp/1{AT{M{ST=1{SA{nt/nosuch}}}}}}",
        "C=1{AV=msrp/1{ER=532{}}}",
    );
    bench.check(
        "C=1{S=msrp/1}",
        "C=1{S=msrp/1{SA{nt/dur=61000,nt/os=10000,nt/or=18000,msrpstat/nms=68,msrpstat/nmr=24,\
         msrpstat/vms=16384,msrpstat/vmr=8192},M{ST=1{SA{nt/os=5000,nt/or=9000}}}}}",
    );
}

#[test]
fn capabilities_are_every_value_that_can_be_set() {
    let mut bench = Bench::conference();
    let body = bench.call("C=1{AC=msrp/1{AT{M,E,SG,SA}}}");
    let text = format!("{body:?}");
    for name in ["bceb", "EstBNC", "mquota", "thb", "nms", "dur", "profile"] {
        assert!(text.contains(&format!("/{name}\"")), "{name}: {text}");
    }
    assert!(!text.contains("/ito\""), "ROOT's alone: {text}");
    bench.check(
        "C=1{AC=msrp/1{AT{M{ST=1{O{MO,nt/jit,xmrf/nicks}}},SA{nt/os},E{it/ito}}}}",
        "C=1{AC=msrp/1{M{ST=1{O{MO=SR,nt/jit=[0:4294967295],xmrf/nicks={ON,OFF}}}},\
         M{ST=1{O{MO=SO}}},M{ST=1{O{MO=RC}}},M{ST=1{O{MO=IN}}},SA{nt/os},E}}",
    );
    bench.check(
        "C=1{AC=msrp/1{AT{M{TS{SI},ST=1{O{nt/jit}}}}}}",
        "C=1{AC=msrp/1{M{TS{SI=IV},ST=1{O{nt/jit=[0:4294967295]}}},M{TS{SI=OS}},M{TS{SI=TE}}}}",
    );
    bench.check("C=1{AC=msrp/1{AT{OE}}}", "C=1{AC=msrp/1{OE}}");
    bench.call("C=1{MF=msrp/1{E=6{g/cause,hangterm/thb{timerx=9}}}}");
    bench.check(
        "C=1{AC=msrp/1{AT{OE}}}",
        "C=1{AC=msrp/1{OE=6{g/cause,hangterm/thb}}}",
    );
    bench.call("C=-{MF=ROOT{E=5{it/ito{mit=9}}}}");
    bench.check("C=-{AC=ROOT{AT{OE}}}", "C=-{AC=ROOT{OE=5{it/ito}}}");
    for illegal in ["PG", "PG{nt-1}", "DM", "DM=a", "M,PG"] {
        bench.check(
            &format!("C=1{{AC=msrp/1{{AT{{{illegal}}}}}}}"),
            "C=1{AC=msrp/1{ER=447{}}}",
        );
        bench.check(
            &format!("C=-{{AC=ROOT{{AT{{{illegal}}}}}}}"),
            "C=-{AC=ROOT{ER=447{}}}",
        );
    }
    bench.check(
        "C=-{AC=ROOT{AT{M{TS{root/MGOriginatedPendingLimit}},E}}}",
        "C=-{AC=ROOT{M{TS{root/MGOriginatedPendingLimit=[0:4294967295]}},\
         E=0{g/cause,g/sc,it/ito{mit=[1:4294967295]},ocp/mg_overload}}}",
    );
    bench.check("C=1{AC=*{AT{}}}", "C=1{AC=Context{msrp/1,msrp/2}}");
    bench.check("C=1{W-AC=*{AT{SA{nt/os}}}}", "C=1{AC=*{SA{nt/os}}}");
    bench.check("C=1{AC=msrp/9{AT{M}}}", "C=1{AC=msrp/9{ER=430{}}}");
    bench.check("C=-{AC=*{AT{M}}}", "C=-{AC=*{ER=431{}}}");
    bench.check("C=*{AC=ROOT{AT{}}}", "C=1{AC=ROOT},C=2{AC=ROOT}");
}

#[test]
fn all_that_is_set_of_a_context_is_told_and_can_be_selected_by() {
    let mut bench = Bench::conference();
    bench.version = 3;
    bench.check("C=1{EG,PR=12,IEPS=ON,MF=msrp/1}", "C=1{MF=msrp/1}");
    bench.check("C=1{CA{PR,EG,IEPS}}", "C=1{PR=12,EG,IEPS=ON}");
    bench.check("C=2{CA{PR,EG,IEPS}}", "C=2{PR=0,EGO,IEPS=OFF}");
    bench.check("C=*{CA{PR=12}}", "C=1{PR=12}");
    bench.check("C=*{CA{EGV=EG,PR=0}}", "C=*{ER=431{}}");
    bench.check("C=*{CA{EGV=EG,PR=0,ORLgc}}", "C=1{PR=12,EG},C=2{PR=0,EGO}");
    bench.check("C=*{CA{CT{CLT}}}", "C=*{CT{CLT={1,2}}}");
    bench.check("C=*{CA{IEPS=ON,CT{CLT}}}", "C=*{CT{CLT={1}}},C=1{IEPS=ON}");
    bench.check("C=1{EGO,MF=msrp/1}", "C=1{MF=msrp/1}");
    bench.check("C=1{CA{EG}}", "C=1{EGO}");
    bench.check("C=1{CT{nosuch/p=1},MF=msrp/1}", "C=1{ER=440{}}");
    bench.check("C=1{CT{nt/jit=1},MF=msrp/1}", "C=1{ER=455{}}");
    bench.check("C=1{CA{CT{fcpoli/fca}}}", "C=1{ER=532{}}");
}

#[test]
fn a_list_of_contexts_is_an_action_on_each() {
    let mut bench = Bench::conference();
    bench.version = 3;
    bench.check("C=*{CT{CLT={1,2}},W-S=*{AT{}}}", "C=1{S=*},C=2{S=*}");
    let mut bench = Bench::conference();
    bench.version = 3;
    bench.check(
        "C=*{CT{CLT={2,7,1}},AV=*{AT{}}}",
        "C=2{AV=Context{msrp/3}},C=7{ER=411{}}",
    );
    bench.check("C=1{CT{CLT={1}},MF=msrp/1}", "C=1{ER=421{}}");
}

/// What an audit of a LocalControl by a wildcard tells.
fn told_of_every_property(has_tls: bool) -> String {
    let mut bench = Bench::with(|config| config.has_tls = has_tls);
    bench.call(&format!("C=${{{}}}", add()));
    format!("{:?}", bench.call("C=1{AV=msrp/1{AT{M{O{*/*}}}}}"))
}

#[test]
fn a_wildcard_tells_of_what_is_configured_alone() {
    assert!(told_of_every_property(true).contains("tlsbsc"));
    let without = told_of_every_property(false);
    assert!(without.contains("tcpbcc"), "{without}");
    assert!(!without.contains("tlsbsc"), "{without}");
}
