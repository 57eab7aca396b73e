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
         root/MGCOriginatedPendingLimit=4}}}}",
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
fn root_tells_its_packages_properties_and_events() {
    check(
        "C=-{AV=ROOT{AT{PG}}}",
        "C=-{AV=ROOT{PG{g-1,root-2,nt-1,it-1,ocp-1,hangterm-1,mgcinfo-1,msrpstat-1,tcpbcc-1,mess-1,mf-1,xmrf-1}}}",
    );
    check("C=-{AV=ROOT{AT{PG{nt-1}}}}", "C=-{AV=ROOT{PG{nt-1}}}");
    check(
        "C=-{AV=ROOT{AT{M{TS{root/maxNumberOfContexts}},E}}}",
        "C=-{AV=ROOT{M{TS{SI=IV,root/maxNumberOfContexts=100000}},E}}",
    );
    let mut bench = Bench::new();
    bench.check(
        "C=-{MF=ROOT{M{TS{root/normalMGExecutionTime=700}},E=3{g/cause}}}",
        "C=-{MF=ROOT}",
    );
    bench.check(
        "C=-{AV=ROOT{AT{M{TS{root/normalMGExecutionTime}},E}}}",
        "C=-{AV=ROOT{M{TS{SI=IV,root/normalMGExecutionTime=700}},E=3{g/cause}}}",
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
