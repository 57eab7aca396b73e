//! Messages with the defects and oddities of RFC 4475, each case by its name there, made here.

use super::*;
use crate::parse::{Frame, StreamFramer};

pub(super) const SDP: &str =
    "v=0\r\no=a 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n";

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The application is asked.
    Taken,
    /// Answered with this code.
    Refused(u16),
    /// Not a word.
    Dropped,
}

use Fate::{Dropped, Refused, Taken};

/// A request to `uri` with a body if it is an INVITE; `edits` replace text in it.
pub(super) fn made(name: &str, method: &str, uri: &str, edits: &[(&str, &str)]) -> Vec<u8> {
    let body = if method == "INVITE" { SDP } else { "" };
    let mut text = format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP host.example.net;branch=z9hG4bK{name}\r\n\
         Max-Forwards: 70\r\nTo: <sip:room@example.com>\r\n\
         From: <sip:caller@example.net>;tag={name}1\r\nCall-ID: {name}@example.net\r\n\
         CSeq: 8 {method}\r\nContact: <sip:caller@host.example.net>\r\n"
    );
    if !body.is_empty() {
        text.push_str("Content-Type: application/sdp\r\n");
    }
    text.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    for (old, new) in edits {
        assert!(text.contains(old), "{name}: {old}");
        text = text.replacen(old, new, 1);
    }
    text.into_bytes()
}

fn answer(status: &str, edits: &[(&str, &str)]) -> Vec<u8> {
    let mut text = format!(
        "SIP/2.0 {status}\r\nVia: SIP/2.0/UDP 192.0.2.198;branch=z9hG4bKnobody\r\n\
         To: <sip:user@example.edu>;tag=2\r\nFrom: <sip:user@example.com>;tag=1\r\n\
         Call-ID: response@example.net\r\nCSeq: 35 INVITE\r\nContent-Length: 0\r\n\r\n"
    );
    for (old, new) in edits {
        text = text.replacen(old, new, 1);
    }
    text.into_bytes()
}

/// The messages of RFC 4475 3.1.1: nothing is wrong with them.
fn valid() -> Vec<(&'static str, Vec<u8>, Fate)> {
    let long = |word: &str, count| word.repeat(count);
    let folded = "INVITE sip:room@example.com;unknownparam SIP/2.0\r\n\
        TO :\r\n sip:room@example.com ;   tag    = 19n\r\n\
        from   : \"J Caller \\\\\\\"\"       <sip:caller@example.com>\r\n  ;\r\n  tag = 98\r\n\
        MaX-fOrWaRdS: 0068\r\nCall-ID: wsinv@192.0.2.1\r\nContent-Length   : 3\r\n\
        cseq: 0009\r\n  INVITE\r\nVia  : SIP  /   2.0\r\n /UDP\r\n    192.0.2.2;branch=390\r\n\
        s :\r\nNewFangledHeader:   newfangled value\r\n continued newfangled value\r\n\
        UnknownHeaderWithUnusualValue: ;;,,;;,;\r\nContent-Type: application/sdp\r\n\
        Route:\r\n <sip:services.example.com;lr;unknownwith=value;unknown-no-value>\r\n\
        v:  SIP  / 2.0  / TCP     spindle.example.com   ;\r\n  branch  =   z9hG4bK9ikj8  ,\r\n \
        SIP  /    2.0   / UDP  192.168.255.111   ; branch=\r\n z9hG4bK30239\r\n\
        m:\"Quoted string \\\"\\\"\" <sip:caller@example.com> ; newparam =\r\n      newvalue ;\r\n  \
        secondparam ; q = 0.33\r\n\r\nv=0";
    let mut doubled = made("dblreq", "REGISTER", "sip:example.com", &[]);
    doubled.extend(made("noise", "INVITE", "sip:room@example.com", &[]));
    let mut binary = made(
        "mpart01",
        "MESSAGE",
        "sip:room@example.org",
        &[(
            "Content-Length: 0",
            "Content-Type: multipart/mixed;boundary=7a\r\nContent-Length: 36",
        )],
    );
    binary.extend(b"--7a\r\n\r\n\x00\x01\x82\xff\x00\r\n\r\n\x00\r\n--7a--\r\n01234567");
    let to_long = format!(
        "To: \"a name of {} proportion\" <sip:room@example.com:6000;a=very{}value;{}>",
        long("extreme", 10),
        long("long", 20),
        long("name", 25)
    );
    let tag_long = format!(";tag=12{}424;p{}", long("982", 50), long("name", 20));
    let vias: String = (1..34)
        .map(|n| {
            format!(
                "{}: SIP/2.0/TCP sip{n}.example.com\r\n",
                ["Via", "v ", "VIA", "V  "][n % 4]
            )
        })
        .collect();
    let vias = format!("{vias}Max-Forwards");
    vec![
        // Its To has a tag, of a dialog that nobody knows.
        ("wsinv", folded.as_bytes().to_vec(), Refused(481)),
        (
            "intmeth",
            made(
                "intmeth",
                "!interesting-Method0123456789_*+`.%indeed'~",
                "sip:1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*:&it+has=1,weird!*pas$wo~d_too.(doesn't-it)@example.com",
                &[
                    ("To: <", "To: \"BEL:\\\u{7} NUL:\\\0 DEL:\\\u{7f}\" <"),
                    ("From: <", "From: token1~` token2'+_ token3*%!.- <"),
                    ("Call-ID: ", "Call-ID: word%ZK-!.*_+'@word`~)(><:\\/\"][?}{"),
                    (
                        "Max-F",
                        "extensionHeader-!.%*+_`'~: \u{feff}\u{5927}\r\nMax-F",
                    ),
                ],
            ),
            Refused(501),
        ),
        (
            "esc01",
            made(
                "esc01",
                "INVITE",
                "sip:sips%3Auser%40example.com@example.net",
                &[],
            ),
            Taken,
        ),
        (
            "escnull",
            made(
                "escnull",
                "REGISTER",
                "sip:example.com",
                &[("<sip:room@", "<sip:null-%00-null@")],
            ),
            Refused(405),
        ),
        (
            "esc02",
            made(
                "esc02",
                "RE%47IST%45R",
                "sip:example.com",
                &[("Max-F", "C%6Fntact: <sip:x>\r\nMax-F")],
            ),
            Refused(501),
        ),
        (
            "lwsdisp",
            made(
                "lwsdisp",
                "OPTIONS",
                "sip:room@example.com",
                &[("From: <", "From: caller<")],
            ),
            Taken,
        ),
        (
            "longreq",
            made(
                "longreq",
                "INVITE",
                "sip:room@example.com",
                &[
                    ("To: <sip:room@example.com>", &to_long),
                    (";tag=longreq1", &tag_long),
                    ("Max-Forwards", &vias),
                    ("Call-ID: ", &format!("Call-ID: {}", long("really", 20))),
                ],
            ),
            Taken,
        ),
        // One answer, to the first of the two.
        ("dblreq", doubled, Refused(405)),
        (
            "semiuri",
            made(
                "semiuri",
                "OPTIONS",
                "sip:user;par=u%40example.net@example.com",
                &[],
            ),
            Taken,
        ),
        (
            "transports",
            made(
                "transports",
                "OPTIONS",
                "sip:room@example.com",
                &[(
                    "Max-F",
                    "Via: SIP/2.0/SCTP t2;branch=z9hG4bK2\r\nVia: SIP/2.0/UNKNOWN t4;branch=z9hG4bK4\r\nMax-F",
                )],
            ),
            Taken,
        ),
        ("mpart01", binary, Refused(405)),
        (
            "unreason",
            answer("200 = 2**3 * 5**2 \u{43d}\u{43e}", &[]),
            Dropped,
        ),
        ("noreason", answer("100 ", &[]), Dropped),
    ]
}

/// Those of 3.1.2: something is.
fn invalid() -> Vec<(&'static str, Vec<u8>, Fate)> {
    let room = "sip:room@example.com";
    vec![
        (
            "badinv01",
            made(
                "badinv01",
                "INVITE",
                room,
                &[
                    (";branch=z9hG4bKbadinv01", ";;,;,,"),
                    ("example.net>\r\nContent", "example.net>;;;;\r\nContent"),
                ],
            ),
            Refused(400),
        ),
        (
            "clerr",
            made(
                "clerr",
                "INVITE",
                room,
                &[("Content-Length: ", "Content-Length: 9")],
            ),
            Refused(400),
        ),
        (
            "ncl",
            made(
                "ncl",
                "INVITE",
                room,
                &[("Content-Length: ", "Content-Length: -")],
            ),
            Refused(400),
        ),
        (
            "ncl, in words",
            made(
                "ncl2",
                "INVITE",
                room,
                &[("Content-Length: ", "Content-Length: five")],
            ),
            Refused(400),
        ),
        (
            "scalar02",
            made(
                "scalar02",
                "OPTIONS",
                room,
                &[("CSeq: 8", "CSeq: 36893488147419103232"), ("70", "300")],
            ),
            Refused(400),
        ),
        (
            "scalarlg",
            answer(
                "503 Service Unavailable",
                &[("35", "9292394834772304023312")],
            ),
            Dropped,
        ),
        (
            "quotbal",
            made("quotbal", "INVITE", room, &[("To: <", "To: \"Mr. Room <")]),
            Refused(400),
        ),
        (
            "ltgtruri",
            made("ltgtruri", "INVITE", "<sip:room@example.com>", &[]),
            Refused(400),
        ),
        // The blanks are ignored, here and in the next two.
        (
            "lwsruri",
            made("lwsruri", "INVITE", "sip:room@example.com; lr", &[]),
            Taken,
        ),
        (
            "lwsstart",
            made("lwsstart", "INVITE", " sip:room@example.com ", &[]),
            Taken,
        ),
        (
            "trws",
            made("trws", "OPTIONS", room, &[("SIP/2.0\r\n", "SIP/2.0  \r\n")]),
            Taken,
        ),
        // The header in the URI is ignored.
        (
            "escruri",
            made(
                "escruri",
                "INVITE",
                "sip:room@example.com?Route=%3Csip:example.com%3E",
                &[],
            ),
            Taken,
        ),
        (
            "baddate",
            made(
                "baddate",
                "INVITE",
                room,
                &[("Max-F", "Date: Fri, 01 Jan 2010 16:00:00 EST\r\nMax-F")],
            ),
            Taken,
        ),
        (
            "regbadct",
            made(
                "regbadct",
                "REGISTER",
                "sip:example.com",
                &[(
                    "<sip:caller@host.example.net>",
                    "sip:u@example.com?Route=%3Csip:x%3E",
                )],
            ),
            Refused(405),
        ),
        (
            "badaspec",
            made(
                "badaspec",
                "OPTIONS",
                room,
                &[(
                    "To: <sip:room@example.com>",
                    "To: \"Room, A\" < sip:room@example.com >",
                )],
            ),
            Taken,
        ),
        (
            "baddn",
            made(
                "baddn",
                "OPTIONS",
                room,
                &[("From: <", "From: Bell, A <"), ("To: <", "To: Watson, T <")],
            ),
            Taken,
        ),
        (
            "badvers",
            made(
                "badvers",
                "OPTIONS",
                room,
                &[("SIP/2.0\r\n", "SIP/7.0\r\n"), ("SIP/2.0/", "SIP/7.0/")],
            ),
            Refused(505),
        ),
        (
            "mismatch01",
            made("mismatch01", "OPTIONS", room, &[("8 OPTIONS", "8 INVITE")]),
            Refused(400),
        ),
        (
            "mismatch02",
            made(
                "mismatch02",
                "NEWMETHOD",
                room,
                &[("8 NEWMETHOD", "8 INVITE")],
            ),
            Refused(501),
        ),
        (
            "bigcode",
            answer("4294967301 better not break the receiver", &[]),
            Dropped,
        ),
    ]
}

/// Those of 3.2 to 3.4: what they mean.
fn meant() -> Vec<(&'static str, Vec<u8>, Fate)> {
    let room = "sip:room@example.com";
    let mut unclear = made(
        "mcl01",
        "OPTIONS",
        room,
        &[("Max-F", "Content-Length: 5\r\nMax-F")],
    );
    unclear.extend(b"nobody knows how long this is");
    vec![
        (
            "badbranch",
            made(
                "badbranch",
                "OPTIONS",
                room,
                &[("z9hG4bKbadbranch", "z9hG4bK")],
            ),
            Taken,
        ),
        (
            "insuf",
            made(
                "insuf",
                "INVITE",
                room,
                &[("To:", "X:"), ("From:", "Y:"), ("Call-ID:", "Z:")],
            ),
            Refused(400),
        ),
        (
            "unkscm",
            made(
                "unkscm",
                "OPTIONS",
                "nobodyKnowsThisScheme:totallyopaquecontent",
                &[],
            ),
            Refused(416),
        ),
        (
            "novelsc",
            made("novelsc", "OPTIONS", "soap.beep://192.0.2.103:3002", &[]),
            Refused(416),
        ),
        (
            "unksm2",
            made(
                "unksm2",
                "REGISTER",
                "sip:example.com",
                &[
                    ("<sip:room@example.com>", "isbn:2983792873"),
                    ("<sip:caller@example.net>", "<http://www.example.com>"),
                ],
            ),
            Refused(405),
        ),
        (
            "bext01",
            made(
                "bext01",
                "OPTIONS",
                room,
                &[(
                    "Max-F",
                    "Require: nothingA, nothingB\r\nProxy-Require: nobody\r\nMax-F",
                )],
            ),
            Refused(420),
        ),
        (
            "invut",
            made(
                "invut",
                "INVITE",
                room,
                &[("application/sdp", "application/unknownformat")],
            ),
            Refused(415),
        ),
        (
            "regaut01",
            made(
                "regaut01",
                "REGISTER",
                "sip:example.com",
                &[(
                    "Max-F",
                    "Authorization: NoOneKnows opaque-data=here\r\nMax-F",
                )],
            ),
            Refused(405),
        ),
        (
            "multi01",
            made(
                "multi01",
                "INVITE",
                room,
                &[(
                    "Max-F",
                    "CSeq: 59 INVITE\r\nCall-ID: other\r\nTo: <sip:b@c>\r\nMax-F",
                )],
            ),
            Refused(400),
        ),
        ("mcl01", unclear, Refused(400)),
        (
            "bcast",
            answer(
                "200 OK",
                &[(
                    "To:",
                    "Via: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bK1\r\nTo:",
                )],
            ),
            Dropped,
        ),
        (
            "zeromf",
            made("zeromf", "OPTIONS", room, &[("70", "0")]),
            Taken,
        ),
        (
            "cparam01",
            made(
                "cparam01",
                "REGISTER",
                "sip:example.com",
                &[(
                    "<sip:caller@host.example.net>",
                    "sip:+1@gw.example.net;unknownparam",
                )],
            ),
            Refused(405),
        ),
        (
            "cparam02",
            made(
                "cparam02",
                "REGISTER",
                "sip:example.com",
                &[("host.example.net>", "host.example.net;unknownparam>")],
            ),
            Refused(405),
        ),
        (
            "regescrt",
            made(
                "regescrt",
                "REGISTER",
                "sip:example.com",
                &[("host.example.net>", "host.example.net?Route=%3Csip:x%3E>")],
            ),
            Refused(405),
        ),
        (
            "sdp01",
            made(
                "sdp01",
                "INVITE",
                room,
                &[("Max-F", "Accept: text/nobodyKnowsThis\r\nMax-F")],
            ),
            Refused(406),
        ),
        // A dialog needs the tag; whoever sends none is older than RFC 3261.
        (
            "inv2543",
            made(
                "inv2543",
                "INVITE",
                room,
                &[(";tag=inv25431", ""), (";branch=z9hG4bKinv2543", "")],
            ),
            Refused(400),
        ),
    ]
}

fn all() -> Vec<(&'static str, Vec<u8>, Fate)> {
    [valid(), invalid(), meant()].concat()
}

/// What becomes of a message at a fresh agent.
#[track_caller]
pub(super) fn fate(name: &str, bytes: &[u8], expected: Fate) {
    let mut bench = Bench::new();
    bench
        .agent
        .handle_received(bench.now, flow(Transport::Udp), parse_datagram(bytes));
    bench.drain();
    let sent: Vec<_> = bench.take_sent();
    let codes: Vec<_> = sent
        .iter()
        .map(|s| s.split(' ').nth(1).unwrap_or(""))
        .collect();
    match expected {
        Taken => {
            assert_eq!(bench.events.len(), 1, "{name}: {sent:?}");
            assert!(codes.iter().all(|c| *c == "100"), "{name}: {sent:?}");
        }
        Refused(code) => {
            assert_eq!(codes, [code.to_string()], "{name}");
            assert_eq!(bench.events, [], "{name}");
        }
        Dropped => assert_eq!((sent.len(), bench.events.len()), (0, 0), "{name}"),
    }
}

#[test]
fn every_case_of_rfc_4475_has_its_fate() {
    for (name, bytes, expected) in all() {
        fate(name, &bytes, expected);
    }
}

#[test]
fn what_the_cases_are_about_is_read_right() {
    let read = |name: &str| {
        let found = all().into_iter().find(|(n, ..)| *n == name);
        match parse_datagram(&found.expect("a case").1) {
            Parsed::Request(request) => request,
            other => panic!("{name}: {other:?}"),
        }
    };
    let tortuous = read("wsinv");
    assert_eq!(tortuous.headers.cseq(), Some((9, Method::Invite)));
    assert_eq!(tortuous.headers.all("Via").count(), 2);
    assert_eq!(tortuous.headers.list("Via").count(), 3);
    assert_eq!(tortuous.headers.from().expect("From").tag(), Some("98"));
    assert_eq!(
        tortuous.headers.contact().expect("Contact").parameter("q"),
        Some("0.33")
    );
    assert_eq!(tortuous.headers.get("Subject"), Some(""));
    assert_eq!(tortuous.body, b"v=0");
    assert_eq!(
        read("esc01").uri.user_unescaped().as_deref(),
        Some("sips:user@example.com")
    );
    assert_eq!(
        read("escnull")
            .headers
            .to()
            .expect("To")
            .uri
            .user_unescaped()
            .as_deref(),
        Some("null-\0-null")
    );
    assert_eq!(
        read("semiuri").uri.user_unescaped().as_deref(),
        Some("user;par=u@example.net")
    );
    assert_eq!(read("semiuri").uri.host(), "example.com");
    assert_eq!(read("esc02").headers.all("Contact").count(), 1);
    assert_eq!(read("longreq").headers.all("Via").count(), 34);
    assert_eq!(read("mpart01").body.len(), 36);
}

/// However a stream is cut, the same things come out of it, and it ends.
#[test]
fn the_cases_come_by_stream_as_well() {
    for (name, bytes, _) in all() {
        let frames = |cut: usize| {
            let mut framer = StreamFramer::default();
            let mut frames = Vec::new();
            for part in [&bytes[..cut], &bytes[cut..]] {
                framer.push(part);
                while let Some(frame) = framer.next_frame() {
                    let is_last = matches!(frame, Frame::Fatal(_));
                    frames.push(frame);
                    if is_last {
                        return frames;
                    }
                }
            }
            frames
        };
        let whole = frames(bytes.len());
        // Long ones at every few octets.
        for cut in (0..bytes.len()).step_by(1 + bytes.len() / 400) {
            let same = match (frames(cut).as_slice(), whole.as_slice()) {
                // What stands before the cut may be known to be bad before the rest is there.
                ([.., Frame::Fatal(_)], [.., Frame::Fatal(_)]) => true,
                (some, all) => some == all,
            };
            assert!(same, "{name} cut at {cut}");
        }
    }
}
