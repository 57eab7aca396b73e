//! ServiceChange with a delay (H.248.1 section 7.2.8).

use super::*;

#[test]
fn a_change_of_service_takes_effect_after_its_delay() {
    let state = |id: u32| format!("C=1{{AV=msrp/{id}{{AT{{M{{TS{{SI}}}}}}}}}}");
    let told = |id: u32, state: &str| format!("C=1{{AV=msrp/{id}{{M{{TS{{SI={state}}}}}}}}}");
    let mut bench = Bench::conference();
    let wait = |bench: &mut Bench, seconds| {
        bench.now += Duration::from_secs(seconds);
        bench.gateway.handle_deadline(bench.now);
        bench.drain();
    };
    bench.check(
        "C=1{SC=*{SV{MT=GR,RE=\"905\",DL=5}}}",
        "C=1{SC=msrp/1,SC=msrp/2}",
    );
    // Another one is in its place.
    bench.check("C=1{SC=msrp/2{SV{MT=GR,RE=\"905\"}}}", "C=1{SC=msrp/2}");
    wait(&mut bench, 4);
    bench.check(&state(1), &told(1, "IV"));
    bench.orders.clear();
    wait(&mut bench, 1);
    assert!(!bench.config().sends);
    bench.check(&state(1), &told(1, "OS"));
    bench.check(&state(2), &told(2, "IV"));
    bench.check(
        "C=1{SC=msrp/1{SV{MT=RS,RE=\"900\",DL=2}}}",
        "C=1{SC=msrp/1}",
    );
    bench.check(&state(1), &told(1, "OS"));
    wait(&mut bench, 2);
    bench.check(&state(1), &told(1, "IV"));
    // What is forced is done at once; what is gone changes no more.
    bench.check(
        "C=1{SC=msrp/2{SV{MT=FO,RE=\"905\",DL=9}}}",
        "C=1{SC=msrp/2}",
    );
    bench.check(&state(2), &told(2, "OS"));
    bench.call("C=1{SC=msrp/1{SV{MT=GR,RE=\"905\",DL=3}},S=msrp/1}");
    wait(&mut bench, 3);
    bench.check(&state(1), "C=1{AV=msrp/1{ER=430{}}}");
}

#[test]
fn the_whole_gateway_goes_out_of_service_after_a_delay_or_with_its_last_termination() {
    let root = "C=-{AV=ROOT{AT{M{TS{SI}}}}}";
    let told = |state: &str| format!("C=-{{AV=ROOT{{M{{TS{{SI={state}}}}}}}}}");
    let add = format!("C=${{{}}}", add());
    let mut bench = Bench::conference();
    bench.check("C=-{SC=ROOT{SV{MT=GR,RE=\"905\",DL=5}}}", "C=-{SC=ROOT}");
    bench.check(&add, "C=${A=${ER=503{}}}");
    bench.check(root, &told("IV"));
    bench.now += Duration::from_secs(5);
    bench.gateway.handle_deadline(bench.now);
    bench.drain();
    bench.check(root, &told("OS"));
    bench.check(
        "C=2{AV=msrp/3{AT{M{TS{SI}}}}}",
        "C=2{AV=msrp/3{M{TS{SI=OS}}}}",
    );
    bench.check("C=-{SC=ROOT{SV{MT=RS,RE=\"900\",DL=1}}}", "C=-{SC=ROOT}");
    bench.check(&add, "C=${A=${ER=503{}}}");
    bench.now += Duration::from_secs(1);
    bench.gateway.handle_deadline(bench.now);
    bench.drain();
    bench.check(root, &told("IV"));
    let mut bench = Bench::conference();
    bench.check("C=-{SC=ROOT{SV{MT=GR,RE=\"905\"}}}", "C=-{SC=ROOT}");
    bench.check(root, &told("IV"));
    bench.call("C=*{S=*}");
    bench.check(root, &told("OS"));
}
