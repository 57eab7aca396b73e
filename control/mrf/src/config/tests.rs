use super::*;

#[track_caller]
fn fault_of(text: &str, expected: &str) {
    let fault = parse(text).expect_err("refused");
    assert_eq!(fault.to_string(), expected);
}

#[test]
fn unknown_keys_are_told_with_their_place_and_a_guess() {
    fault_of(
        "msrp = \"127.0.0.1:0\"\nshard = 2\n",
        "2:1: unknown key \"shard\"; did you mean \"shards\"?",
    );
    fault_of(
        "  honour_sdp = \"on\"",
        "1:3: unknown key \"honour_sdp\"; did you mean \"honour-sdp\"?",
    );
    fault_of(
        "[[conference]]\nname = \"a\"\nnmae = \"b\"\n",
        "3:1: unknown key \"nmae\"; did you mean \"name\"?",
    );
    let fault = parse("[server]\n").expect_err("refused");
    assert!(
        fault
            .what
            .starts_with("unknown key \"server\"; known keys: advertise")
    );
}

#[test]
fn values_are_told_with_their_place() {
    fault_of(
        "http = \"x\"\n",
        "1:8: \"x\": expected ADDRESS:PORT (a numeric address, IPv6 in brackets), or off",
    );
    fault_of(
        "\n\nreactor = \"dpdk\"\n",
        "3:11: expected auto, uring, mio or xdp, not \"dpdk\"",
    );
    fault_of("honour-sdp = 1\n", "1:14: expected on or off");
    fault_of(
        "sip = [\"udp:127.0.0.1:0\", \"sctp:127.0.0.1:0\"]\n",
        "1:27: \"sctp:127.0.0.1:0\": unknown transport \"sctp\"; use udp:, tcp:, tls:, ws: or wss:",
    );
    fault_of(
        "drain = \"10\"",
        "1:9: expected a number and a unit: 250ms, 10s, 2m or 1h",
    );
    let fault = parse("shards = 0").expect_err("refused");
    assert_eq!(
        fault.at,
        Position {
            line: 1,
            column: 10
        },
        "{fault}"
    );
    let fault = parse("msrp =").expect_err("refused");
    assert_eq!(fault.at.line, 1, "{fault}");
    let fault = parse("[[conference]]\nmax-participants = 3\n").expect_err("refused");
    assert!(fault.what.contains("missing field `name`"), "{fault}");
}

#[test]
fn one_value_and_a_list_mean_the_same() {
    let one = parse("msrp = \"127.0.0.1:1\"\nhonour-sdp = true\nbusy-poll-us = 0").unwrap();
    let many =
        parse("msrp = [\"127.0.0.1:1\"]\nhonour-sdp = \"on\"\nbusy-poll-us = \"0\"").unwrap();
    assert_eq!(one, many);
    assert_eq!(one.msrp.len(), 1);
}

#[test]
fn what_comes_first_wins_and_the_rest_fills_up() {
    let first = parse("msrp = \"127.0.0.1:1\"\ndrain = \"1s\"").unwrap();
    let second = parse("msrp = [\"127.0.0.1:2\", \"127.0.0.1:3\"]\nhttp = \"off\"").unwrap();
    let both = first.clone().or(second.clone());
    assert_eq!(both.msrp, first.msrp);
    assert_eq!(both.drain, first.drain);
    assert_eq!(both.http, second.http);
}

#[test]
fn guesses_need_to_be_near() {
    assert_eq!(nearest("sipp", KEYS), Some("sip"));
    assert_eq!(nearest("HTTP", KEYS), Some("http"));
    assert_eq!(nearest("max_sizes", KEYS), Some("max-size"));
    assert_eq!(nearest("colour", KEYS), None);
    assert_eq!(distance("kitten", "sitting"), 3);
}

const SAMPLE: &str = include_str!("../../../../deploy/mrf.toml");

#[test]
fn the_sample_file_is_valid_and_names_every_key() {
    let options = parse(SAMPLE).unwrap();
    assert_eq!(options.conference.len(), 2);
    for key in KEYS {
        let is_named = SAMPLE.lines().any(|line| {
            let line = line.trim_start_matches(['#', ' ', '[']);
            line.strip_prefix(key)
                .is_some_and(|rest| rest.starts_with([' ', ']']))
        });
        assert!(is_named, "{key}");
    }
}

#[test]
fn the_sample_file_shows_the_defaults() {
    let mut shown = parse(SAMPLE).unwrap();
    shown.conference.clear();
    let (shown, none) = (&shown, &Options::default());
    use crate::settings::{Common, mrfc, mrfp};
    assert_eq!(Common::new(shown), Common::new(none));
    assert_eq!(mrfc(shown, false), mrfc(none, false));
    assert_eq!(format!("{:?}", mrfp(shown)), format!("{:?}", mrfp(none)));
}
