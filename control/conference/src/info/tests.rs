use super::*;

fn document() -> Document {
    Document {
        entity: "sip:conference1@home2.net".into(),
        state: State::Partial,
        version: 7,
        description: None,
        user_count: Some(2),
        is_locked: true,
        users: vec![
            User {
                entity: "sip:user1_public1@home1.net".into(),
                state: State::Full,
                display: Some("John \"<&>\" Doe".into()),
                nickname: Some("Alice the \u{1}great".into()),
                is_moderator: true,
                endpoints: vec![Endpoint {
                    entity: "sip:user1_public1@home1.net;gr=urn:uuid:1".into(),
                    status: Status::Connected,
                    joining: Some(Joining::DialedOut),
                    joined_at: Some(1_109_966_400),
                    referred_by: Some("sip:mike@home1.net".into()),
                    departure: None,
                    media: Some("sendrecv"),
                    dialog: Some(DialogIds {
                        call_id: "hsjh8980vhsb78".into(),
                        from_tag: "vav738dvbs".into(),
                        to_tag: "8954jgjg8432".into(),
                    }),
                }],
            },
            User {
                entity: "sip:b@home1.net".into(),
                state: State::Deleted,
                endpoints: vec![Endpoint {
                    entity: "sip:b@192.0.2.1".into(),
                    status: Status::Disconnected,
                    departure: Some(Departure::Booted),
                    ..Endpoint::default()
                }],
                ..User::default()
            },
        ],
    }
}

#[test]
fn a_document_is_written_by_the_schema() {
    let xml = document().to_xml();
    for part in [
        "<conference-info xmlns=\"urn:ietf:params:xml:ns:conference-info\"",
        " entity=\"sip:conference1@home2.net\" state=\"partial\" version=\"7\">",
        "<conference-state><user-count>2</user-count><active>true</active><locked>true</locked></conference-state>",
        "<users state=\"partial\"><user entity=\"sip:user1_public1@home1.net\" state=\"full\" \
         xcon:nickname=\"Alice the great\">",
        "<roles><entry>moderator</entry></roles>",
        "<referred><by>sip:mike@home1.net</by></referred><status>connected</status>\
         <joining-method>dialed-out</joining-method>\
         <joining-info><when>2005-03-04T20:00:00Z</when></joining-info>",
        "<media id=\"1\"><type>message</type><status>sendrecv</status></media>",
        "<disconnection-method>booted</disconnection-method>",
    ] {
        assert!(xml.contains(part), "{part}\nis not in\n{xml}");
    }
    let gone = Document::deleted("sip:c@x", 9).to_xml();
    assert!(gone.ends_with("state=\"deleted\" version=\"9\"></conference-info>"));
}

#[test]
fn what_is_written_can_be_read() {
    let read = Document::read(document().to_xml().as_bytes()).expect("readable");
    let mut expected = document();
    expected.users[0].nickname = Some("Alice the great".into());
    // Not of interest to a reader.
    let endpoint = &mut expected.users[0].endpoints[0];
    (endpoint.joined_at, endpoint.referred_by, endpoint.media) = (None, None, None);
    assert_eq!(read, expected);
}

#[test]
fn a_foreign_document_is_read_or_refused() {
    let foreign = "<?xml version='1.0'?>\n<ci:conference-info \
        xmlns:ci='urn:ietf:params:xml:ns:conference-info' entity='sip:c@x' version='3'>\n\
        <ci:users><ci:user entity='sip:a@x'><ci:display-text> A &amp; B &#66;</ci:display-text>\
        <ext:more xmlns:ext='urn:x'><status>x</status></ext:more></ci:user></ci:users>\
        </ci:conference-info>";
    let read = Document::read(foreign.as_bytes()).expect("readable");
    assert_eq!((read.state, read.version), (State::Full, 3));
    assert_eq!(read.users[0].display.as_deref(), Some("A & B B"));
    for bad in [
        "",
        "nonsense",
        "<users/>",
        "<conference-info entity='sip:c@x'/>",
        "<!DOCTYPE x [<!ENTITY a 'b'>]><conference-info version='1'/>",
        "<conference-info version='1'><users></conference-info>",
        "<conference-info version='1'>&unknown;</conference-info>",
        &format!("<conference-info version='1' {}/>", many_attributes()),
    ] {
        assert!(Document::read(bad.as_bytes()).is_err(), "{bad}");
    }
}

fn many_attributes() -> String {
    let one = |n: u32| format!("a{n}='' ");
    (0..100).map(one).collect()
}

#[test]
fn times_are_written_in_utc() {
    for (seconds, expected) in [
        (0, "1970-01-01T00:00:00Z"),
        (951_827_696, "2000-02-29T12:34:56Z"),
        (4_107_542_400, "2100-03-01T00:00:00Z"),
        (1_735_689_599, "2024-12-31T23:59:59Z"),
    ] {
        assert_eq!(date_time(seconds), expected);
    }
}
