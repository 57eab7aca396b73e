//! Which version has what: a message with an item of a later version is refused.

use h248::{Encoding, Limits, parse, print};

/// Whether the versions 1, 2 and 3 take `body`.
fn taken(body: &str) -> [bool; 3] {
    [1, 2, 3].map(|version| {
        let text = format!("!/{version} <a> {body}");
        parse(text.as_bytes(), &Limits::default()).is_ok()
    })
}

#[track_caller]
fn check(since: u8, bodies: &[&str]) {
    for body in bodies {
        let expected = [1, 2, 3].map(|version| version >= since);
        assert_eq!(taken(body), expected, "{body}");
    }
}

#[test]
fn the_first_version_has_commands_and_whole_descriptors() {
    check(
        1,
        &[
            "T=1{C=1{TP{a,b,OW,b,c,IS},PR=3,EG,CA{TP,EG,PR},MF=a}}",
            "T=1{C=1{AV=a{AT{M,SG,E,EB,DM,SA,OE,PG,MX,MD}}}}",
            "T=1{C=1{AV=a}}",
            "T=1{C=1{N=a{OE=1{a/b},ER=518{}}}}",
            "T=1{C=1{N=a{ER=518{}}}}",
            "T=1{C=-{SC=ROOT{SV{MT=RS,RE=\"901\",X-a=1}}}}",
            "T=1{C=1{MF=a{SG{a/b{SPADI=EX,SPARQ=1,SPAIS=2}}}}}",
            "P=1{C=1{A=a{M,SG,E,EB,DM,SA,OE,PG,MX,MD}}}",
        ],
    );
}

#[test]
fn the_second_version_added_single_items_of_audits_and_streams_of_topologies() {
    check(
        2,
        &[
            "T=1{C=1{TP{a,b,OW,ST=1}}}",
            "T=1{C=1{EGO,MF=a}}",
            "T=1{C=1{AV=a{AT{M{O{MO,RV,RG,a/b}}}}}}",
            "T=1{C=1{AV=a{AT{M{TS{SI}}}}}}",
            "T=1{C=1{AV=a{AT{E=1{a/b}}}}}",
            "T=1{C=1{AV=a{AT{SG{a/b}}}}}",
            "T=1{C=1{AV=a{AT{SG{SL=1{a/b}}}}}}",
            "T=1{C=1{AV=a{AT{EB{a/b{ST=1}}}}}}",
            "T=1{C=1{AV=a{AT{SA{a/b}}}}}",
            "T=1{C=1{AV=a{AT{PG{a-1}}}}}",
            "T=1{C=1{AV=a{AT{DM=a}}}}",
            "T=1{C=-{SC=ROOT{SV{MT=RS,RE=\"901\",M}}}}",
        ],
    );
}

#[test]
fn the_third_version_added_selection_lists_attributes_and_segments() {
    check(
        3,
        &[
            "T=1{C=1{TP{a,b,OWE}}}",
            "T=1{C=1{TP{a,b,OWB,ST=1}}}",
            "T=1{C=1{TP{a,b,OW,ST=1,OWE}}}",
            "T=1{C=1{IEPS=ON,MF=a}}",
            "T=1{C=1{CT{a/b=1},MF=a}}",
            "T=1{C=1{CT{CLT={1,2}},MF=a}}",
            "T=1{C=1{CA{IEPS}}}",
            "T=1{C=1{CA{a/b}}}",
            "T=1{C=1{CA{CT{a/b,TP,EG,PR,IEPS}}}}",
            "T=1{C=1{CA{CT{CLT}}}}",
            "T=1{C=1{CA{PR=5,EGV=EGO,IEPS=ON,ORLgc}}}",
            "T=1{C=1{S=[a,b]}}",
            "T=1{C=1{MF=[a]{SG}}}",
            "P=1{C=1{AV=[a,b]{SG}}}",
            "T=1{C=1{MF=a{SA}}}",
            "T=1{C=1{MF=a{M{ST=1{SA{a/b}}}}}}",
            "T=1{C=1{AV=a{AT{M{O{MO=SR}}}}}}",
            "T=1{C=1{AV=a{AT{M{TS{SI#OS}}}}}}",
            "T=1{C=1{AV=a{AT{M{O{a/b=1}}}}}}",
            "T=1{C=1{AV=a{AT{M{SA{a/b}}}}}}",
            "T=1{C=1{MF=a{E=1{a/b{NBIN}}}}}",
            "T=1{C=1{MF=a{E=1{a/b{NBNN}}}}}",
            "T=1{C=1{MF=a{E=1{a/b{NBRN{EM{SG{c/d}}}}}}}}",
            "T=1{C=1{MF=a{E=1{a/b{RSE}}}}}",
            "T=1{C=1{MF=a{SG{a/b{NC={IR}}}}}}",
            "T=1{C=-{SC=ROOT{SV{MT=RS,RE=\"901\",SIC}}}}",
            "P=1{C=1}",
            "P=1{C=1{A=a{SA{a/b=[1,2]}}}}",
            "P=1/1{C=1{S=a}}",
            "P=1/2/END{C=1{S=a}}",
            "SM=1/1",
        ],
    );
}

/// What printing makes of `body` in a message of that version.
fn reprinted(version: u8, body: &str, encoding: Encoding) -> String {
    let text = format!("!/{version} <a> {body}");
    let message = parse(text.as_bytes(), &Limits::default()).expect("a message");
    String::from_utf8(print(&message, encoding)).expect("UTF-8")
}

#[test]
fn what_became_a_keyword_later_is_a_parameter_like_any_other_before() {
    let body = "T=1{C=1{MF=a{SG{a/b{SPADI=EX,SPARQ=1,SPAIS=5}}}}}";
    for version in [1, 2] {
        let pretty = reprinted(version, body, Encoding::Pretty);
        assert!(pretty.contains("SPADI = EX"), "{pretty}");
        assert!(pretty.contains("SPARQ = 1"), "{pretty}");
        assert!(pretty.contains("SPAIS = 5"), "{pretty}");
    }
    let pretty = reprinted(3, body, Encoding::Pretty);
    assert!(pretty.contains("SPADirection = External"), "{pretty}");
    assert!(pretty.contains("SPARequestID = 1"), "{pretty}");
    assert!(pretty.contains("Intersignal = 5"), "{pretty}");
}

#[test]
fn attributes_of_a_context_and_its_list_come_once_each() {
    let each = "T=1{C=1{CT{a/b=1},CT{CLT={2}},MF=a}}";
    assert_eq!(taken(each), [false, false, true]);
    for twice in [
        "T=1{C=1{CT{a/b=1},CT{a/c=1},MF=a}}",
        "T=1{C=1{CT{CLT={2}},CT{CLT={3}},MF=a}}",
    ] {
        assert_eq!(taken(twice), [false; 3], "{twice}");
    }
}
