//! The private package `xmrf`.

use switch::{Profile, SlowPolicy};

use super::*;

/// An Add with these properties beside the mode.
fn add_with(properties: &str) -> String {
    format!("A=${{M{{ST=1{{O{{MO=SR{properties}}},{LOCAL},{REMOTE}}}}}}}")
}

// MSRP-CHAT-004.
#[test]
fn a_chat_room_is_made_of_properties() {
    let mut bench = Bench::new();
    bench.call(&format!(
        "C=${{{}}}",
        add_with(
            ",xmrf/profile=chatroom,xmrf/room=\"sip:room@example.net\",xmrf/user=\"sip:a%22b@x\",\
             XMRF/Nicks=on,xmrf/private=ON,xmrf/slow=drop,xmrf/idle=0x3C,\
             xmrf/reserved=\"admin, The %25 one\""
        )
    ));
    let config = bench.config();
    assert_eq!(config.terms.profile, Profile::Chatroom);
    assert_eq!(config.terms.room.as_deref(), Some("sip:room@example.net"));
    assert_eq!(config.user.as_deref(), Some("sip:a\"b@x"));
    assert!(config.terms.nicknames && config.terms.private_messages);
    assert_eq!(config.terms.slow, SlowPolicy::Drop);
    assert_eq!(config.terms.idle_after, Some(Duration::from_secs(60)));
    assert_eq!(
        config.terms.reserved_nicknames,
        ["admin".into(), "The % one".into()]
    );
    bench.call("C=1{MF=msrp/1{M{ST=1{O{MO=SR}}}}}");
    let config = bench.config();
    assert_eq!(config.terms.profile, Profile::ThreeGpp);
    assert_eq!(
        (
            config.terms.room.clone(),
            config.user,
            config.terms.idle_after
        ),
        (None, None, None)
    );
    assert!(!config.terms.nicknames && !config.terms.private_messages);
}

#[test]
fn what_is_the_conferences_is_the_same_for_all_its_terminations() {
    let mut bench = Bench::new();
    bench.call(&format!("C=${{{}}}", add_with(",xmrf/profile=chatroom")));
    bench.check(
        &format!("C=1{{{}}}", add_with(",xmrf/profile=3gpp")),
        "C=1{A=${ER=473{}}}",
    );
    bench.check(&format!("C=1{{{}}}", add()), "C=1{A=${ER=473{}}}");
    bench.check(
        &format!(
            "C=1{{{}}}",
            add_with(",xmrf/profile=CHATROOM,xmrf/user=\"x\"")
        ),
        "C=1{A=msrp/4{M{ST=1{L{v}}}}}",
    );
    bench.check(
        "C=1{MF=msrp/1{M{ST=1{O{MO=SR}}}}}",
        "C=1{MF=msrp/1{ER=473{}}}",
    );
    // Alone, it may change its mind.
    bench.call("C=1{S=msrp/4}");
    bench.check("C=1{MF=msrp/1{M{ST=1{O{MO=SR}}}}}", "C=1{MF=msrp/1}");
}

#[test]
fn values_that_are_none_give_449() {
    for property in [
        "profile=ims",
        "nicks=yes",
        "private=1",
        "slow=fast",
        "idle=-1",
        "idle=\"5\"",
        "idle=4294967295",
        "user=[a,b]",
    ] {
        Bench::conference().check(
            &format!("C=1{{MF=msrp/1{{M{{O{{xmrf/{property}}}}}}}}}"),
            "C=1{MF=msrp/1{ER=449{}}}",
        );
    }
}

#[test]
fn nicknames_and_idleness_are_told_to_who_asked() {
    let mut bench = Bench::conference();
    bench.call("C=1{MF=msrp/1{E=4{xmrf/nick,xmrf/idle{ST=1}}}}");
    let session = |termination| SessionKey {
        termination,
        stream: 1,
    };
    bench.event(Event::Nickname {
        session: session(1),
        nickname: Some("J\u{fc}rgen \"the 100 %\"".into()),
    });
    let id = bench
        .check_notify("C=1{N=msrp/1{OE=4{xmrf/nick{nick=\"J%C3%BCrgen %22the 100 %25%22\"}}}}");
    let answer = reply(2, "C=1{N=msrp/1}");
    bench.gateway.handle_notified(bench.now, id, Some(&answer));
    bench.event(Event::Nickname {
        session: session(1),
        nickname: None,
    });
    let id = bench.check_notify("C=1{N=msrp/1{OE=4{xmrf/nick{nick=\"\"}}}}");
    bench.gateway.handle_notified(bench.now, id, Some(&answer));
    bench.event(Event::Idle {
        session: session(1),
    });
    bench.check_notify("C=1{N=msrp/1{OE=4{xmrf/idle{ST=1}}}}");
    bench.event(Event::Idle {
        session: session(2),
    });
    assert!(bench.notifies.is_empty());
}

// MSRP-CHAT-002, MSRP-SDP-006.
#[test]
fn what_participants_accept_is_obeyed_from_their_descriptions() {
    let mut bench = Bench::with(|config| config.honour_sdp = true);
    let local = LOCAL.replace(
        '}',
        "a=accept-types:message/cpim\na=accept-wrapped-types:text/plain\n}",
    );
    let remote = REMOTE.replace(
        '}',
        "a=accept-types:message/cpim text/plain\na=accept-wrapped-types:*\n\
         a=chatroom:nickname private-messages\n}",
    );
    bench.call(&format!("C=${{A=${{M{{ST=1{{{local},{remote}}}}}}}}}"));
    let config = bench.config();
    assert_eq!(config.terms.accept_types, ["message/cpim".into()]);
    assert_eq!(config.terms.receive_wrapped_types, ["text/plain".into()]);
    assert_eq!(
        config.terms.send_types,
        ["message/cpim".into(), "text/plain".into()]
    );
    assert_eq!(config.terms.send_wrapped_types, ["*".into()]);
    assert!(config.terms.takes_private_messages);
    let silent = remote.replace(" private-messages", "");
    bench.call(&format!("C=1{{MF=msrp/1{{M{{ST=1{{{silent}}}}}}}}}"));
    assert!(!bench.config().terms.takes_private_messages);
}
