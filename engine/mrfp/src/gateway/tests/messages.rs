//! Packages mess, recmess and mf: from H.248 to orders, and from events to Notify.

use std::path::Path;

use super::*;
use crate::storage::{Content, Ending};

const MEDIA: &str = "M{ST=1{O{MO=SR}}}";

fn bench() -> Bench {
    let mut bench = Bench::with(|config| config.has_storage = true);
    bench.call(&format!("C=${{{},{}}}", add(), add()));
    bench.orders.clear();
    bench
}

/// Messages that were ordered to be played since the last call: id, type, text.
fn played(bench: &mut Bench) -> Vec<(u64, String, String)> {
    let plays = bench.orders.drain(..).filter_map(|(_, order)| match order {
        Order::Play { play, .. } => {
            let text = String::from_utf8(play.body.to_vec()).unwrap();
            Some((play.id, play.content_type.into(), text))
        }
        _ => None,
    });
    plays.collect()
}

fn tell(bench: &mut Bench, id: u64, status: u16) {
    bench.event(Event::Played {
        session: SessionKey {
            termination: 1,
            stream: 1,
        },
        id,
        status,
    });
}

fn stored(bench: &mut Bench, event: storage::Event) {
    bench.gateway.handle_storage(bench.now, event);
    bench.drain();
}

fn sm(text: &str, more: &str) -> String {
    format!("mess/sm{{ST=1,mi=\"m-{text}\",mcr=\"data:text/plain,{text}\"{more}}}")
}

#[test]
fn text_is_played_and_its_fate_is_told() {
    let mut bench = bench();
    let events = "E=5{mess/msrs{ST=1},g/sc}";
    bench.check(
        &format!(
            "C=1{{MF=msrp/1{{SG{{{}}},{events}}}}}",
            sm("Hi", ",fr=yes,sr=no")
        ),
        "C=1{MF=msrp/1}",
    );
    let plays = played(&mut bench);
    assert_eq!(plays, [(1, "text/plain".to_owned(), "Hi".to_owned())]);
    tell(&mut bench, 99, 200);
    assert!(bench.notifies.is_empty(), "nobody knows that one");
    tell(&mut bench, 1, 200);
    bench.check_notify("C=1{N=msrp/1{OE=5{mess/msrs{ST=1,mi=\"m-Hi\",sc=\"200\"}}}}");
    tell(&mut bench, 1, 200);
    assert!(bench.notifies.is_empty(), "only once");
    bench.check("C=1{AV=msrp/1{AT{SG}}}", "C=1{AV=msrp/1{SG}}");
}

#[test]
fn completion_is_told_when_asked_for_and_a_failure_without_being_asked() {
    for (asked, status, told) in [
        ("", 200, ""),
        ("", 415, ",g/sc{SigID=\"mess/sm\",Meth=NC}"),
        (",NC={TO}", 200, ",g/sc{SigID=\"mess/sm\",Meth=TO}"),
        (",NC={TO}", 415, ""),
        (",NC={TO,OR}", 408, ",g/sc{SigID=\"mess/sm\",Meth=NC}"),
    ] {
        let mut bench = bench();
        let signals = sm("Hi", asked);
        bench.call(&format!(
            "C=1{{MF=msrp/1{{SG{{{signals}}},E=5{{mess/msrs,g/sc}}}}}}"
        ));
        tell(&mut bench, 1, status);
        let expected =
            format!("C=1{{N=msrp/1{{OE=5{{mess/msrs{{mi=\"m-Hi\",sc=\"{status}\"}}{told}}}}}}}");
        bench.check_notify(&expected);
    }
}

#[test]
fn a_list_is_played_one_after_the_other_and_single_signals_at_once() {
    let mut bench = bench();
    let done = ",NC={TO,IBS}";
    bench.call(&format!(
        "C=1{{MF=msrp/1{{SG{{SL=7{{{},{}}},{},{}}},E=5{{g/sc}}}}}}",
        sm("one", done),
        sm("two", done),
        sm("three", ""),
        sm("four", "")
    ));
    let texts = |bench: &mut Bench| -> Vec<String> {
        played(bench).into_iter().map(|(_, _, text)| text).collect()
    };
    assert_eq!(texts(&mut bench), ["one", "three", "four"]);
    bench.check(
        "C=1{AV=msrp/1{AT{SG}}}",
        &format!(
            "C=1{{AV=msrp/1{{SG{{SL=7{{{},{}}},{},{}}}}}}}",
            sm("one", done),
            sm("two", done),
            sm("three", ""),
            sm("four", "")
        ),
    );
    tell(&mut bench, 1, 200);
    assert_eq!(texts(&mut bench), ["two"]);
    let id = bench.check_notify("C=1{N=msrp/1{OE=5{g/sc{SigID=\"mess/sm\",Meth=TO,SLID=7}}}}");
    bench
        .gateway
        .handle_notified(bench.now, id, Some(&ReplyBody::Actions(Few::default())));
    bench.check("C=1{MF=msrp/1{SG}}", "C=1{MF=msrp/1}");
    assert_eq!(
        bench.order_names(),
        [
            "0: stop play 1.1 2",
            "0: stop play 1.1 3",
            "0: stop play 1.1 4"
        ]
    );
    bench.check_notify("C=1{N=msrp/1{OE=5{g/sc{SigID=\"mess/sm\",Meth=SD,SLID=7}}}}");
}

#[test]
fn what_is_kept_active_goes_on_and_the_rest_is_stopped() {
    let mut bench = bench();
    let (kept, other) = (sm("kept", ""), sm("other", ""));
    bench.call(&format!("C=1{{MF=msrp/1{{SG{{{kept},{other}}}}}}}"));
    bench.orders.clear();
    let (keep, unknown) = (sm("kept", ",KA"), sm("unknown", ",KA"));
    bench.call(&format!("C=1{{MF=msrp/1{{SG{{{keep},{unknown}}}}}}}"));
    assert_eq!(bench.order_names(), ["0: stop play 1.1 2"]);
    bench.call(&format!("C=1{{MF=msrp/1{{SG{{{other}}}}}}}"));
    assert_eq!(bench.order_names(), ["0: stop play 1.1 1", "0: play 1.1"]);
    bench.call(&format!("C=1{{MF=msrp/1{{{MEDIA}}}}}"));
    assert!(bench.order_names().is_empty(), "no Signals descriptor");
}

#[test]
fn a_list_that_is_there_goes_on_as_it_is() {
    let mut bench = bench();
    let list = |signals: &str| format!("C=1{{MF=msrp/1{{SG{{SL=7{{{signals}}}}}}}}}");
    bench.call(&list(&format!("{},{}", sm("one", ""), sm("two", ""))));
    bench.orders.clear();
    bench.call(&list(&sm("three", "")));
    assert!(bench.order_names().is_empty());
    tell(&mut bench, 1, 200);
    assert_eq!(played(&mut bench)[0].2, "two");
}

#[test]
fn an_event_ends_signals_unless_it_keeps_them_active() {
    let lose = |bench: &mut Bench| bench.lose(1, LossCause::Closed);
    for (armed, is_ended) in [("g/cause", true), ("g/cause{KA}", false)] {
        let mut bench = bench();
        let record = "recmess/rm{sl=\"a\",NC={IBE}}";
        bench.call(&format!(
            "C=1{{MF=msrp/1{{SG{{{record}}},E=5{{{armed},g/sc}}}}}}"
        ));
        bench.orders.clear();
        bench.storage.clear();
        lose(&mut bench);
        let id = bench.notifies.pop_front().expect("a Notify").0;
        assert_eq!(bench.storage.len(), usize::from(is_ended), "{armed}");
        bench
            .gateway
            .handle_notified(bench.now, id, Some(&ReplyBody::Actions(Few::default())));
        bench.drain();
        if is_ended {
            assert_eq!(bench.config().record_in, None);
            bench.check_notify("C=1{N=msrp/1{OE=5{g/sc{SigID=\"recmess/rm\",Meth=EV}}}}");
        } else {
            assert!(bench.orders.is_empty() && bench.notifies.is_empty());
        }
    }
}

#[test]
fn a_file_is_loaded_first_and_what_goes_wrong_is_told_as_a_status() {
    let mut bench = bench();
    let modify = "C=1{MF=msrp/1{SG{mess/sm{mi=\"a\",mcr=\"file:///msgs/welcome.cpim\"}},\
                  E=5{mess/msrs}}}";
    bench.call(modify);
    let path = "file:///msgs/welcome.cpim";
    let load = |id| storage::Order::Load {
        id,
        path: crate::storage::StoragePath::parse(path).unwrap(),
    };
    assert_eq!(bench.storage.drain(..).collect::<Vec<_>>(), [load(1)]);
    let content = Content {
        media_type: "message/cpim".into(),
        body: b"From: a".as_slice().into(),
    };
    let content = Ok(content);
    stored(&mut bench, storage::Event::Loaded { id: 1, content });
    let plays = played(&mut bench);
    assert_eq!(
        plays,
        [(1, "message/cpim".to_owned(), "From: a".to_owned())]
    );
    bench.call(modify);
    assert_eq!(bench.storage.drain(..).collect::<Vec<_>>(), [load(2)]);
    let content = Err(404);
    stored(&mut bench, storage::Event::Loaded { id: 2, content });
    bench.check_notify("C=1{N=msrp/1{OE=5{mess/msrs{mi=\"a\",sc=\"404\"}}}}");
    assert!(played(&mut bench).is_empty());
}

#[test]
fn an_add_may_play_at_once_and_a_subtract_ends_it() {
    let mut bench = bench();
    let add = add();
    let add = add.strip_suffix('}').unwrap();
    bench.call(&format!("C=1{{{add},SG{{{}}}}}}}", sm("Hi", "")));
    assert_eq!(bench.order_names(), ["0: install 3.1 in 1", "0: play 3.1"]);
    bench.call("C=1{S=msrp/3}");
    assert_eq!(bench.order_names(), ["0: remove 3.1"]);
    tell(&mut bench, 1, 481);
    assert!(bench.notifies.is_empty());
}

#[test]
fn the_time_of_a_signal_ends_it() {
    let mut bench = bench();
    bench.call(&format!(
        "C=1{{MF=msrp/1{{SG{{{}}},E=5{{g/sc}}}}}}",
        sm("Hi", ",DR=500,NC={TO}")
    ));
    bench.orders.clear();
    bench.now += Duration::from_millis(4_999);
    bench.gateway.handle_deadline(bench.now);
    bench.drain();
    assert!(bench.orders.is_empty());
    bench.now += Duration::from_millis(1);
    bench.gateway.handle_deadline(bench.now);
    bench.drain();
    assert_eq!(bench.order_names(), ["0: stop play 1.1 1"]);
    bench.check_notify("C=1{N=msrp/1{OE=5{g/sc{SigID=\"mess/sm\",Meth=TO}}}}");
}

#[test]
fn what_cannot_be_played_has_a_code() {
    let mut bench = bench();
    for (signal, code) in [
        ("mess/sm{mcr=\"data:,x\"}", 457),
        ("mess/sm{mi=\"a\"}", 457),
        ("mess/sm{mi=\"a\",mcr=\"http://h/x\"}", 449),
        ("mess/sm{mi=\"a\",mcr=\"file:///../etc/passwd\"}", 449),
        ("mess/sm{mi=\"a\",mcr=\"msgs/%2e%2e/x\"}", 449),
        ("mess/sm{mi=\"a\",mcr=\"data:x\"}", 449),
        ("mess/sm{mi=\"a\",mcr=\"data:,x\",fr=maybe}", 449),
        ("mess/sm{mi=\"a\",mcr=\"data:,x\",ST=2}", 449),
        ("mess/sm{mi=\"a\",mcr=\"data:,x\",loud=yes}", 454),
        ("mess/sm{mi=\"a\",mcr=\"data:,x\",SY=TO}", 457),
        (
            "SL=1{recmess/rm{sl=\"a\"},mess/sm{mi=\"a\",mcr=\"data:,x\"}}",
            449,
        ),
        ("mess/stop", 452),
        ("recmess/rm", 457),
        ("recmess/rm{sl=\"a/../b\"}", 449),
        ("recmess/rm{sl=\"a\",dir=UP}", 449),
        ("recmess/rm{sl=\"a\",mrs=0}", 449),
    ] {
        bench.check(
            &format!("C=1{{MF=msrp/1{{SG{{{signal}}}}}}}"),
            &format!("C=1{{MF=msrp/1{{ER={code}{{\"\"}}}}}}"),
        );
    }
    let many = vec!["mess/sm{mi=\"a\",mcr=\"data:,x\"}"; 65].join(",");
    bench.check(
        &format!("C=1{{MF=msrp/1{{SG{{{many}}}}}}}"),
        "C=1{MF=msrp/1{ER=510{\"\"}}}",
    );
    assert!(bench.orders.is_empty() && bench.storage.is_empty());
}

#[test]
fn without_a_storage_text_is_played_and_nothing_else() {
    let mut bench = Bench::conference();
    for (what, code) in [
        ("SG{mess/sm{mi=\"a\",mcr=\"file:///a\"}}", 514),
        ("SG{recmess/rm{sl=\"a\"}}", 440),
        ("E=5{recmess/messfail}", 440),
    ] {
        bench.check(
            &format!("C=1{{MF=msrp/1{{{what}}}}}"),
            &format!("C=1{{MF=msrp/1{{ER={code}{{\"\"}}}}}}"),
        );
    }
    bench.call(&format!("C=1{{MF=msrp/1{{SG{{{}}}}}}}", sm("Hi", "")));
    assert_eq!(played(&mut bench).len(), 1);
    let packages = |bench: &mut Bench| format!("{:?}", bench.call("C=-{AV=ROOT{AT{PG}}}"));
    assert!(!packages(&mut bench).contains("recmess"));
    assert!(packages(&mut super::messages::bench()).contains("recmess"));
}

#[test]
fn a_recording_is_opened_configured_and_closed_with_its_signal() {
    let mut bench = bench();
    bench.check(
        "C=1{MF=msrp/1{SG{recmess/rm{ST=1,sl=\"file:///calls/a\"},\
         recmess/rm{sl=\"file:///calls/b\",dir=INT,app=yes,mrs=1000}}}}",
        "C=1{MF=msrp/1}",
    );
    let open = |record, path: &str, appends, octets_max| {
        let path = crate::storage::StoragePath::parse(path).unwrap();
        storage::Order::Open(storage::Open {
            record,
            path,
            appends,
            octets_max,
        })
    };
    let most = crate::storage::limits::RECORD_BYTES_MAX;
    let opened: Vec<_> = bench.storage.drain(..).collect();
    assert_eq!(
        opened,
        [
            open(1, "calls/a", false, most),
            open(2, "calls/b", true, 1000)
        ]
    );
    let config = bench.config();
    assert_eq!((config.record_in, config.record_out), (Some(1), Some(2)));
    bench.call("C=1{MF=msrp/1{SG}}");
    let closed: Vec<_> = bench.storage.drain(..).collect();
    let close = |record| storage::Order::Close { record };
    assert_eq!(closed, [close(1), close(2)]);
    let config = bench.config();
    assert_eq!((config.record_in, config.record_out), (None, None));
    bench.call("C=1{MF=msrp/1{SG{recmess/rm{sl=\"c\"}}}}");
    bench.storage.clear();
    bench.call("C=1{S=msrp/1}");
    assert_eq!(bench.storage.drain(..).collect::<Vec<_>>(), [close(3)]);
}

#[test]
fn a_name_that_is_left_to_us_is_in_the_reply_and_never_the_same() {
    let mut bench = bench();
    let mut names = Vec::new();
    for choice in ["?", "$"] {
        let reply = bench.call(&format!(
            "C=1{{MF=msrp/1{{SG{{recmess/rm{{sl=\"{choice}\"}}}}}}}}"
        ));
        let text = format!("{reply:?}");
        let at = text.find("file:///recordings/").expect("a name");
        names.push(text[at..at + 51].to_owned());
    }
    assert_ne!(names[0], names[1]);
    let path = crate::storage::StoragePath::parse(&names[1]).unwrap();
    assert!(path.below(Path::new("/r")).starts_with("/r/recordings"));
}

#[test]
fn a_recording_that_ends_on_its_own_account_is_told() {
    let watch = "E=5{recmess/messfail,g/sc}";
    let start =
        format!("C=1{{MF=msrp/1{{SG{{recmess/rm{{ST=1,sl=\"a\",NC={{TO,OR}}}}}},{watch}}}}}");
    let failed = Ending::Failed("no space".to_owned());
    for (why, told) in [
        (Ending::Full, "g/sc{SigID=\"recmess/rm\",Meth=TO}"),
        (
            failed,
            "recmess/messfail,g/sc{SigID=\"recmess/rm\",Meth=NC}",
        ),
    ] {
        let mut bench = bench();
        bench.call(&start);
        bench.orders.clear();
        let record = 1;
        stored(&mut bench, storage::Event::Ended { record, why });
        bench.check_notify(&format!("C=1{{N=msrp/1{{OE=5{{{told}}}}}}}"));
        assert_eq!(bench.config().record_in, None);
    }
    let mut bench = bench();
    bench.call(&start);
    for _ in 0..3 {
        stored(&mut bench, storage::Event::Lost { record: 1 });
    }
    bench.check_notify("C=1{N=msrp/1{OE=5{recmess/messfail}}}");
    assert!(bench.notifies.is_empty(), "told once");
}

#[test]
fn a_recording_lasts_as_long_as_its_signal_says() {
    let mut bench = bench();
    bench.call("C=1{MF=msrp/1{SG{recmess/rm{sl=\"a\",SY=TO,DR=100}}}}");
    bench.orders.clear();
    bench.storage.clear();
    bench.now += Duration::from_secs(1);
    bench.gateway.handle_deadline(bench.now);
    bench.drain();
    assert_eq!(bench.storage, [storage::Order::Close { record: 1 }]);
    assert_eq!(bench.config().record_in, None);
}

#[test]
fn filters_are_compiled_and_part_of_local_control() {
    let mut bench = bench();
    let filtered =
        |script: &str| format!("C=1{{MF=msrp/1{{M{{ST=1{{O{{MO=SR,mf/imf=\"{script}\"}}}}}}}}}}");
    bench.call(&filtered("if size :over 100K { discard; }"));
    let first = bench.config().terms.filter_in.clone().expect("a filter");
    bench.call(&filtered(
        "if header :is %22From%22 'a' { keep; }%0D%0Adiscard;",
    ));
    let config = bench.config();
    assert!(config.terms.filter_out.is_none());
    let second = config.terms.filter_in.clone().expect("a filter");
    assert_ne!(first, second);
    bench.call(&filtered(
        "if header :is %22From%22 'a' { keep; }%0D%0Adiscard;",
    ));
    assert!(bench.orders.is_empty(), "nothing new");
    bench.call("C=1{MF=msrp/1{M{ST=1{O{MO=SR,mf/omf=\"discard;\"}}}}}");
    let config = bench.config();
    assert!(config.terms.filter_in.is_none() && config.terms.filter_out.is_some());
    bench.call("C=1{MF=msrp/1{M{ST=1{O{MO=SR}}}}}");
    assert!(bench.config().terms.filter_out.is_none());
}

#[test]
fn faults_of_scripts_have_codes_and_tell_where() {
    let mut bench = bench();
    let many = "keep;".repeat(sieve::limits::ACTIONS_MAX + 1);
    for (script, code, text) in [
        ("keep", 700, "mf/imf 1:5: expected ;, found the end"),
        (
            "keep;%0D%0A  disc;",
            700,
            "mf/imf 2:3: unknown command disc",
        ),
        (
            "require 'fileinto';",
            701,
            "mf/imf 1:9: require fileinto not supported",
        ),
        ("reject 'no';", 701, "mf/imf 1:1: reject needs require"),
        (many.as_str(), 702, "mf/imf 1:321: more than 64 actions"),
    ] {
        let reply = bench.call(&format!(
            "C=1{{MF=msrp/1{{M{{ST=1{{O{{MO=SR,mf/imf=\"{script}\"}}}}}}}}}}"
        ));
        let error = first_error(&reply).expect("an error");
        assert_eq!(
            (error.code, error.text.as_deref()),
            (code, Some(text)),
            "{script}"
        );
    }
    assert!(bench.orders.is_empty());
}

fn referred(name: &str) -> String {
    format!("C=1{{MF=msrp/1{{M{{ST=1{{O{{MO=SR,{name}}}}}}}}}}}")
}

/// What the storage has loaded is this script.
fn loaded(id: u64, text: &str) -> storage::Event {
    let content = Content {
        media_type: "application/octet-stream".into(),
        body: text.as_bytes().into(),
    };
    storage::Event::Loaded {
        id,
        content: Ok(content),
    }
}

#[test]
fn a_filter_in_the_storage_rejects_everything_until_it_is_there() {
    let mut bench = bench();
    let set = referred("mf/imfr=\"file:///filters/no-spam\"");
    bench.check(&set, "C=1{MF=msrp/1}");
    let path = storage::StoragePath::parse("filters/no-spam").unwrap();
    assert_eq!(bench.storage, [storage::Order::Load { id: 1, path }]);
    let closed = bench.config().terms.filter_in.clone().expect("a filter");
    stored(
        &mut bench,
        loaded(1, "if header :is \"From\" \"x\"\r\n{ discard; }"),
    );
    let open = bench.config().terms.filter_in.clone().expect("a filter");
    assert_ne!(closed, open);
    assert!(open.reads_fields());
    bench.call(&set);
    assert!(bench.orders.is_empty(), "nothing new");
    assert_eq!(bench.storage.len(), 1);
    bench.call(&referred("mf/imf=\"discard;\""));
    assert_ne!(
        bench.config().terms.filter_in.clone().expect("a filter"),
        open
    );
}

#[test]
fn a_filter_that_cannot_be_had_is_told_and_stays_closed() {
    for (event, code) in [
        (
            storage::Event::Loaded {
                id: 1,
                content: Err(404),
            },
            404,
        ),
        (loaded(1, "if"), 700),
        (loaded(1, "require 'fileinto';"), 701),
        (
            loaded(1, &"keep;".repeat(sieve::limits::ACTIONS_MAX + 1)),
            702,
        ),
    ] {
        let mut bench = bench();
        bench.call("C=1{MF=msrp/1{E=5{mf/fre}}}");
        bench.orders.clear();
        let set = referred("mf/omfr=\"a\"");
        bench.call(&set);
        bench.config();
        stored(&mut bench, event);
        assert!(bench.orders.is_empty(), "still closed");
        bench.check_notify(&format!(
            "C=1{{N=msrp/1{{OE=5{{mf/fre{{dir=INT,er={code}}}}}}}}}"
        ));
        bench.call(&set);
        assert_eq!(bench.storage.len(), 2, "tried again when it is set again");
    }
}

#[test]
fn a_filter_that_cannot_be_had_ends_signals_as_any_event_does() {
    let mut bench = bench();
    bench.call("C=1{MF=msrp/1{SG{recmess/rm{sl=\"a\"}},E=5{mf/fre}}}");
    bench.call(&referred("mf/imfr=\"b\""));
    bench.storage.clear();
    bench.orders.clear();
    let content = Err(404);
    stored(&mut bench, storage::Event::Loaded { id: 2, content });
    assert_eq!(bench.storage, [storage::Order::Close { record: 1 }]);
    assert_eq!(bench.config().record_in, None);
}

#[test]
fn references_to_filters_have_their_own_faults() {
    let mut bench = bench();
    for (properties, code) in [
        ("mf/imfr=\"../x\"", 449),
        ("mf/imfr=\"a\",mf/imf=\"keep;\"", 473),
    ] {
        let expected = format!("C=1{{MF=msrp/1{{ER={code}{{}}}}}}");
        bench.check(&referred(properties), &expected);
    }
    let mut bench = Bench::conference();
    bench.check(&referred("mf/imfr=\"a\""), "C=1{MF=msrp/1{ER=449{}}}");
}

#[test]
fn what_became_of_single_messages_is_told_to_who_names_the_event() {
    use switch::{MessageNews, MessageOutcome};
    for (armed, is_incoming, outcome, event) in [
        (
            "msrpstat/imi",
            true,
            MessageOutcome::Passed { octets: 7 },
            "msrpstat/imi{dir=EXT,mi=\"m%22\",vol=7}",
        ),
        (
            "mf/fm{ST=1}",
            false,
            MessageOutcome::Rejected,
            "mf/fm{ST=1,dir=INT,mi=\"m%22\",act=reject}",
        ),
        (
            "mf/fre",
            true,
            MessageOutcome::Unjudged,
            "mf/fre{dir=EXT,mi=\"m%22\",er=413}",
        ),
    ] {
        let mut bench = bench();
        bench.call(&format!("C=1{{MF=msrp/1{{E=5{{{armed}}}}}}}"));
        let config = bench.config();
        assert_eq!(config.terms.tells_messages, armed.contains("imi"));
        assert_eq!(config.terms.tells_filtered, armed.contains("mf/"));
        let news = MessageNews {
            session: SessionKey {
                termination: 1,
                stream: 1,
            },
            message_id: b"m\""[..].into(),
            is_incoming,
            outcome,
        };
        bench.event(Event::Message(Box::new(news)));
        bench.check_notify(&format!("C=1{{N=msrp/1{{OE=5{{{event}}}}}}}"));
        bench.call("C=1{MF=msrp/1{E=6{*/*,msrpstat/*,mf/fm{ST=2}}}}");
        let config = bench.config();
        assert!(
            !config.terms.tells_messages && !config.terms.tells_filtered,
            "not named"
        );
    }
}
