use super::*;
use crate::fuzzing::uri_key as key;

const BASE: &str = "msrp://host.example.com:2855/abcDEF123;tcp";

#[track_caller]
fn check_matches(a: &str, b: &str, expected: bool) {
    let parse = |text: &'static [u8]| MsrpUri::parse(text).expect("a URI");
    let (a, b) = (
        a.to_owned().into_bytes().leak(),
        b.to_owned().into_bytes().leak(),
    );
    let (a, b) = (parse(a), parse(b));
    assert_eq!(a.matches(&b), expected, "{a:?} and {b:?}");
    assert_eq!(b.matches(&a), expected, "{b:?} and {a:?}");
    assert!(a.matches(&a) && b.matches(&b), "a URI equals itself");
}

// MSRP-URI-007, MSRP-URI-009, MSRP-URI-010, MSRP-URI-011, MSRP-URI-012, MSRP-URI-013,
// MSRP-URI-015.
#[test]
fn uris_compare_by_the_five_rules() {
    for (other, expected) in [
        (BASE, true),
        ("MSRP://host.example.com:2855/abcDEF123;tcp", true),
        ("msrps://host.example.com:2855/abcDEF123;tcp", false),
        ("msrp://HOST.Example.COM:2855/abcDEF123;tcp", true),
        ("msrp://h%6Fst.example.com:2855/abcDEF123;tcp", true),
        ("msrp://h%4Fst.example.com:2855/abcDEF123;tcp", true),
        ("msrp://host.example.com.:2855/abcDEF123;tcp", false),
        ("msrp://bob@host.example.com:2855/abcDEF123;tcp", true),
        ("msrp://bob:x;y@host.example.com:2855/abcDEF123;tcp", true),
        ("msrp://host.example.com/abcDEF123;tcp", false),
        ("msrp://host.example.com:02855/abcDEF123;tcp", true),
        ("msrp://host.example.com:2856/abcDEF123;tcp", false),
        ("msrp://host.example.com:2855/ABCdef123;tcp", false),
        ("msrp://host.example.com:2855;tcp", false),
        ("msrp://host.example.com:2855/abcDEF123;TCP", true),
        ("msrp://host.example.com:2855/abcDEF123;ws", false),
        ("msrp://host.example.com:2855/abcDEF123;tcp;x=1", true),
    ] {
        check_matches(BASE, other, expected);
    }
}

// MSRP-URI-008, MSRP-CEMA-006.
#[test]
fn addresses_compare_by_value() {
    let v6 = "msrp://[2001:db8::1]:2855/s1;tcp";
    check_matches(v6, "msrp://[2001:DB8:0:0::1]:2855/s1;tcp", true);
    check_matches(v6, "msrp://[2001:db8::10]:2855/s1;tcp", false);
    let v4 = "msrp://192.0.2.1:2855/s1;tcp";
    check_matches(v4, "msrp://[::ffff:192.0.2.1]:2855/s1;tcp", false);
    check_matches(v4, "msrp://192.0.2.01:2855/s1;tcp", false);
    check_matches(v4, "msrp://19%32.0.2.1:2855/s1;tcp", true);
    check_matches(v4, "msrp://192.0.2.1.example:2855/s1;tcp", false);
}

// MSRP-URI-014.
#[test]
fn session_ids_are_not_normalised() {
    let uri = |id: &str| format!("msrp://h:1/{id};tcp");
    check_matches(&uri("a/b"), &uri("a/./b"), false);
    check_matches(&uri("a-b"), &uri("a~b"), false);
    check_matches("msrp://h/s;tcp", "msrp://h/s;tcp", true);
}

#[track_caller]
fn check_error(text: &str, expected: UriError) {
    let result = MsrpUri::parse(text.as_bytes()).map(|uri| format!("{uri:?}"));
    assert_eq!(result, Err(expected), "{text}");
}

// MSRP-URI-001, MSRP-URI-002, MSRP-URI-003, MSRP-URI-005, MSRP-URI-017.
#[test]
fn each_broken_part_is_named() {
    check_error("", UriError::Empty);
    for text in [
        "sip:bob@example.com",
        "http://h:1/s;tcp",
        "msrp:/h:1/s;tcp",
        "msrp",
        "msrpx://h",
    ] {
        check_error(text, UriError::Scheme);
    }
    check_error("msrp://b ob@h:1/s;tcp", UriError::Userinfo);
    for text in [
        "msrp://:1/s;tcp",
        "msrp:///s;tcp",
        "msrp://[fe80::1%25eth0]:2855/s;tcp",
        "msrp://[2001:db8:::5]:2855/s;tcp",
        "msrp://[2001:db8::5:2855/s;tcp",
        "msrp://[::1]x:2855/s;tcp",
        "msrp://h%6:1/s;tcp",
        "msrp://h%zz:1/s;tcp",
        "msrp://h\u{e9}:1/s;tcp",
        "msrp://[9999:: aaa:bbb:ccc:ddd]:2855/s;tcp",
    ] {
        check_error(text, UriError::Host);
    }
    for port in ["70000", "", "+1", "1x", "1:2"] {
        check_error(&format!("msrp://h:{port}/s;tcp"), UriError::Port);
    }
    check_error("msrp://192.0.2.5/s;tcp", UriError::PortMissing);
    check_error("msrp://[::1]/s;tcp", UriError::PortMissing);
    for id in ["", "a%33", "a b", "a?b"] {
        check_error(&format!("msrp://h:1/{id};tcp"), UriError::SessionId);
    }
    for rest in ["", ";", ";t-p", ";;tcp"] {
        check_error(&format!("msrp://h:1/s{rest}"), UriError::Transport);
    }
    for rest in [";", ";=1", ";a=", ";a=b=c", ";a b"] {
        check_error(&format!("msrp://h:1/s;tcp{rest}"), UriError::Parameter);
    }
}

// MSRP-URI-001, MSRP-URI-004, MSRP-URI-016.
#[test]
fn parts_are_found_where_they_are() {
    let text = b"MSRPS://alice@[2001:db8::5]:9/a.b_~+=/c;ws;x=1;y";
    let uri = MsrpUri::parse(text).unwrap();
    assert_eq!(uri.scheme, Scheme::Msrps);
    assert_eq!(uri.socket_addr(), Some("[2001:db8::5]:9".parse().unwrap()));
    assert_eq!(uri.session_id, Some(&b"a.b_~+=/c"[..]));
    assert_eq!((uri.transport, uri.params), (&b"ws"[..], &b";x=1;y"[..]));
    let named = MsrpUri::parse(b"msrp://h.example;tcp").unwrap();
    assert_eq!(
        (named.session_id, named.port, named.socket_addr()),
        (None, None, None)
    );
}

#[test]
fn the_session_id_is_found_without_a_full_parse() {
    for (text, expected) in [
        (BASE, Some("abcDEF123")),
        (
            "msrp://[9999:: aaa:bbb:ccc:ddd]:2855/s317122;tcp",
            Some("s317122"),
        ),
        ("msrp://h:1/a/b", Some("a/b")),
        ("msrp://al;x@h:1/a;tcp", Some("a")),
        ("msrp://h:1;tcp", None),
        ("msrp://h:1/;tcp", None),
        ("msrp://[::1:1/s;tcp", None),
        ("sip:bob@example.com", None),
    ] {
        assert_eq!(
            session_id_of(text.as_bytes()),
            expected.map(str::as_bytes),
            "{text}"
        );
    }
}

#[test]
fn what_is_told_in_one_walk_is_a_uri() {
    for (text, expected) in [
        (BASE, true),
        ("msrps://192.0.2.1:2855/a;tcp", true),
        ("msrp://h:65535/a.b_~+=/c;tcp", true),
        ("msrp://h:65536/a;tcp", false),
        ("msrp://h:/a;tcp", false),
        ("msrp://h:1/;tcp", false),
        ("msrp://h:1;tcp", false),
        ("msrp://:1/a;tcp", false),
        ("msrp://h:1/a;b;tcp", false),
        ("msrp://h:1/a;tcp msrp://h:1/a;tcp", false),
        ("MSRP://h:1/a;tcp", false),
        ("msrp://[::1]:1/a;tcp", false),
    ] {
        assert_eq!(is_plain(text.as_bytes()), expected, "{text}");
    }
}

proptest::proptest! {
    #[test]
    fn a_plain_uri_parses(text in "msrps?://[a-z0-9.@:\\[-]{0,8}:[0-9]{0,6}/?[a-zA-Z0-9/%;=]{0,8};tcp") {
        if is_plain(text.as_bytes()) {
            proptest::prop_assert!(MsrpUri::parse(text.as_bytes()).is_ok(), "{}", text);
        }
    }

    // MSRP-URI-007, MSRP-URI-008, MSRP-URI-009, MSRP-URI-010, MSRP-URI-011, MSRP-URI-012,
    // MSRP-URI-013.
    #[test]
    fn comparing_is_the_same_from_both_sides(
        a in "msrp(s|S)?://([uU]@)?(h|H|%68|%48|1\\.2\\.3\\.4|\\[::1\\])(:1|:2)(/(s|S))?;(tcp|TCP)(;x)?",
        b in "msrp(s|S)?://([uU]@)?(h|H|%68|%48|1\\.2\\.3\\.4|\\[::1\\])(:1|:01|:2)(/(s|S))?;(tcp|TCP)(;x)?",
    ) {
        let parse = |text| MsrpUri::parse(text).expect("of the grammar");
        let (a, b) = (parse(a.as_bytes()), parse(b.as_bytes()));
        proptest::prop_assert!(a.matches(&a) && b.matches(&b));
        proptest::prop_assert_eq!(a.matches(&b), b.matches(&a));
        proptest::prop_assert_eq!(a.matches(&b), key(&a) == key(&b), "{:?} {:?}", a, b);
    }
}
