//! Who hears whom (H.248.1 section 7.1.18).

use super::*;

/// The flows ordered by these actions, in a conference of msrp/1 and msrp/2.
#[track_caller]
fn check(actions: &[&str], flows: &[&str]) {
    let mut bench = Bench::conference();
    for action in actions {
        bench.orders.clear();
        bench.call(action);
    }
    let found: Vec<_> = bench
        .order_names()
        .into_iter()
        .filter(|name| name.contains("flow"))
        .collect();
    assert_eq!(found, flows);
}

#[test]
fn triples_become_flows() {
    let (cut, open) = ("0: flow 1.1>2.1 cut", "0: flow 1.1>2.1 open");
    let (back_cut, back_open) = ("0: flow 2.1>1.1 cut", "0: flow 2.1>1.1 open");
    check(&["C=1{TP{msrp/1,msrp/2,IS}}"], &[cut, back_cut]);
    // (T1, T2, oneway): T2 hears T1.
    check(&["C=1{TP{msrp/1,msrp/2,OW}}"], &[open, back_cut]);
    check(&["C=1{TP{msrp/2,msrp/1,OW}}"], &[back_open, cut]);
    check(
        &["C=1{TP{msrp/1,msrp/2,IS}}", "C=1{TP{*,*,BW}}"],
        &[open, back_open],
    );
    // What is so already is not ordered again.
    check(&["C=1{TP{*,*,BW}}"], &[]);
    check(&["C=1{TP{msrp/1,*,IS}}"], &[cut, back_cut]);
    check(&["C=1{TP{msrp/1,msrp/2,IS,ST=1}}"], &[cut, back_cut]);
    check(&["C=1{TP{msrp/1,msrp/2,IS,ST=2}}"], &[]);
}

#[test]
fn a_new_session_comes_under_the_cuts_that_are_there() {
    let renewed = format!("C=1{{MF=msrp/2{{M{{ST=1{{{LOCAL}}}}}}}}}");
    check(
        &[
            "C=1{TP{msrp/1,msrp/2,OW}}",
            "C=1{MF=msrp/2{M{ST=1{L{},R{}}}}}",
            &renewed,
        ],
        &["0: flow 2.1>1.1 cut"],
    );
}

#[test]
fn topology_may_name_the_termination_that_is_being_added() {
    let add = add();
    check(
        &[&format!("C=1{{TP{{$,msrp/1,IS}},{add}}}")],
        &["0: flow 4.1>1.1 cut", "0: flow 1.1>4.1 cut"],
    );
    // Those that were there hear the new one, which hears none of them.
    check(
        &[&format!("C=1{{TP{{$,*,OW}},{add}}}")],
        &[
            "0: flow 4.1>1.1 open",
            "0: flow 1.1>4.1 cut",
            "0: flow 4.1>2.1 open",
            "0: flow 2.1>4.1 cut",
        ],
    );
    let mut bench = Bench::new();
    let first = format!("C=${{TP{{$,*,IS}},{add},{add}}}");
    bench.check(
        &first,
        "C=1{A=msrp/1{M{ST=1{L{v}}}},A=msrp/2{M{ST=1{L{v}}}}}",
    );
}

#[test]
fn topology_alone_is_echoed_where_nothing_cannot_be_said() {
    let mut bench = Bench::conference();
    bench.check("C=1{TP{msrp/1,msrp/2,IS}}", "C=1{TP{msrp/1,msrp/2,IS}}");
    bench.version = 3;
    bench.check("C=1{TP{msrp/1,msrp/2,BW}}", "C=1");
}

#[test]
fn topology_is_told_as_exceptions_and_forgotten_with_its_terminations() {
    let mut bench = Bench::conference();
    bench.call("C=1{TP{msrp/2,msrp/1,OW}}");
    bench.check("C=1{CA{TP}}", "C=1{TP{msrp/2,msrp/1,OW}}");
    bench.call("C=1{S=msrp/2}");
    bench.check("C=1{CA{TP}}", "C=1{TP{*,*,BW}}");
}

#[test]
fn streams_that_are_not_there_yet_come_under_the_topology_up_to_a_limit() {
    let with_two = format!("{{M{{ST=2{{O{{MO=SR}},{LOCAL}}}}}}}");
    let both = format!("C=1{{MF=msrp/1{with_two},MF=msrp/2{with_two}}}");
    check(
        &["C=1{TP{msrp/1,msrp/2,IS,ST=2}}", &both],
        &["0: flow 2.2>1.2 cut", "0: flow 1.2>2.2 cut"],
    );
    let mut bench = Bench::conference();
    for stream in 1..=16 {
        let actions = format!("C=1{{TP{{msrp/1,msrp/2,IS,ST={stream}}}}}");
        bench.check(&actions, &actions);
    }
    bench.check("C=1{TP{msrp/1,msrp/2,IS,ST=17}}", "C=1{ER=510{}}");
    let again = "C=1{TP{msrp/2,msrp/1,OW,ST=16}}";
    bench.check(again, again);
}

#[test]
fn exceptions_have_a_limit() {
    let count = 1_001;
    let mut bench = Bench::with(|config| config.limits.spread_above = count);
    let adds = vec!["A=$"; count as usize].join(",");
    bench.call(&format!("C=${{{adds}}}"));
    let body = bench.call("C=1{TP{*,*,IS}}");
    assert_eq!(first_error(&body).map(|e| e.code), Some(510));
    bench.check("C=1{TP{*,*,BW}}", "C=1{TP{*,*,BW}}");
    bench.check("C=1{TP{msrp/1,*,IS}}", "C=1{TP{msrp/1,*,IS}}");
    bench.check("C=1{TP{*,*,BW},CA{TP}}", "C=1{TP{*,*,BW}}");
}

#[test]
fn topology_of_streams_is_told_without_what_holds_for_all() {
    let mut bench = Bench::conference();
    bench.call("C=1{TP{msrp/1,msrp/2,IS}}");
    bench.call("C=1{TP{msrp/1,msrp/2,OW,ST=2}}");
    bench.check(
        "C=1{CA{TP}}",
        "C=1{TP{msrp/1,msrp/2,IS,ST=1,msrp/1,msrp/2,OW,ST=2}}",
    );
    bench.call("C=1{TP{*,*,BW}}");
    bench.check("C=1{CA{TP}}", "C=1{TP{*,*,BW}}");
}

#[test]
fn triples_that_cannot_be_are_refused_at_the_action() {
    for (actions, code) in [
        ("C=1{TP{msrp/1,msrp/9,IS}}", 430),
        ("C=1{TP{msrp/1,msrp/3,IS}}", 435),
        ("C=1{TP{*,*,OW}}", 410),
        ("C=1{TP{msrp/1,*,OW}}", 410),
        ("C=1{TP{msrp/1,msrp/1,OW}}", 410),
        ("C=1{TP{msrp/1,MSRP/1,IS}}", 410),
        ("C=1{TP{msrp/1,msrp/1,BW}}", 410),
        ("C=1{TP{msrp/1,msrp/2,IS,ST=0}}", 449),
        ("C=1{TP{msrp/1,msrp/2,BW,msrp/2,msrp/1,IS,ST=1}}", 421),
        ("C=1{TP{msrp/1,msrp/2,IS,ST=1,*,*,BW}}", 421),
        ("C=1{TP{*,msrp/2,IS,ST=1,msrp/1,msrp/2,BW}}", 421),
        ("C=1{TP{msrp/*,msrp/2,OW}}", 410),
        ("C=1{TP{msrp/1,msrp/2,IS,msrp/1,msrp/9,IS}}", 430),
        ("C=1{TP{$,msrp/1,IS},MF=msrp/1{M{O{MO=IN}}}}", 410),
        ("C=1{TP{msrp/$,msrp/1,IS},A=$}", 410),
        ("C=1{TP{$,msrp/9,IS},A=$}", 430),
        ("C=1{TP{$,msrp/3,IS},A=$}", 435),
        ("C=-{TP{msrp/1,msrp/2,IS},AV=ROOT{AT{}}}", 421),
    ] {
        let mut bench = Bench::conference();
        let body = bench.call(actions);
        assert_eq!(first_error(&body).map(|e| e.code), Some(code), "{actions}");
        assert!(bench.orders.is_empty());
        bench.check("C=1{CA{TP}}", "C=1{TP{*,*,BW}}");
    }
    let mut bench = Bench::conference();
    bench.version = 3;
    bench.check("C=1{TP{msrp/1,msrp/2,OWE}}", "C=1{ER=522{}}");
}
