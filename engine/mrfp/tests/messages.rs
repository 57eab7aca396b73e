//! Messages played, recorded and filtered, on real sockets: a controller that writes H.248 by hand,
//! participants that share no code with the engine.

#![expect(
    clippy::unwrap_used,
    reason = "a test that fails here has found something"
)]

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::num::NonZeroU8;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mrf_tests::controller::{Controller, line_of};
use mrf_tests::peer::{Frame, take_frames};
use mrf_tests::steady::Steady;
use mrfp::{Config, Mrfp, ReactorKind};

/// Nothing here takes longer unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

fn path(name: &str) -> String {
    format!("msrp://127.0.0.1:9/{name};tcp")
}

/// Adds a participant to a context and returns the path to reach the MRFP by.
fn add(mgc: &mut Controller, context: &str, name: &str, more: &str) -> String {
    let reply = mgc.call(&format!(
        "C={context}{{A=${{M{{ST=1{{O{{MO=SR{more}}},L{{v=0\nc=IN IP4 $\n\
         m=message $ TCP/MSRP *\na=path:$\n}},R{{v=0\nc=IN IP4 127.0.0.1\n\
         m=message 9 TCP/MSRP *\na=path:{}\n}}}}}}}}}}",
        path(name)
    ));
    line_of(&reply, "a=path:").to_owned()
}

/// A participant who connects to the MRFP.
struct Participant {
    stream: Steady,
    remote: String,
    path: String,
    buffer: Vec<u8>,
    frames: Vec<Frame>,
}

impl Participant {
    /// Connects and binds the session.
    fn connect(addr: SocketAddr, remote: &str, name: &str) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut participant = Self {
            stream: Steady(stream),
            remote: remote.to_owned(),
            path: path(name),
            buffer: Vec::new(),
            frames: Vec::new(),
        };
        participant.request(
            "SEND",
            "bind0000",
            "Message-ID: bind0000\r\nByte-Range: 1-0/0\r\n",
            "",
        );
        participant.expect(|f| f.tid == "bind0000" && f.start.starts_with("200"));
        participant
    }

    fn write(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).unwrap();
    }

    fn request(&mut self, method: &str, tid: &str, fields: &str, body: &str) {
        let text = format!(
            "MSRP {tid} {method}\r\nTo-Path: {}\r\nFrom-Path: {}\r\n{fields}{body}-------{tid}$\r\n",
            self.remote, self.path
        );
        self.write(&text);
    }

    fn send(&mut self, id: &str, content_type: &str, body: &str) {
        let length = body.len();
        let fields = format!(
            "Message-ID: {id}\r\nByte-Range: 1-{length}/{length}\r\nContent-Type: {content_type}\r\n"
        );
        self.request("SEND", id, &fields, &format!("\r\n{body}\r\n"));
    }

    /// Sends and waits for this answer.
    #[track_caller]
    fn send_for(&mut self, id: &str, content_type: &str, body: &str, status: &str) {
        self.send(id, content_type, body);
        let answer = self.expect(|f| f.tid == id);
        assert!(answer.start.starts_with(status), "{answer:?}");
    }

    fn answer(&mut self, frame: &Frame, status: &str) {
        let text = format!(
            "MSRP {0} {status}\r\nTo-Path: {1}\r\nFrom-Path: {2}\r\n-------{0}$\r\n",
            frame.tid, self.remote, self.path
        );
        self.write(&text);
    }

    /// Waits for a frame, and takes it.
    fn expect(&mut self, is_it: impl Fn(&Frame) -> bool) -> Frame {
        loop {
            if let Some(at) = self.frames.iter().position(&is_it) {
                return self.frames.remove(at);
            }
            let mut octets = [0; 65_536];
            let count = self.stream.read(&mut octets).expect("octets in time");
            assert_ne!(count, 0, "closed after {:?}", self.frames);
            self.buffer.extend_from_slice(&octets[..count]);
            self.frames.extend(take_frames(&mut self.buffer));
        }
    }

    /// Waits for a message with this body.
    fn expect_body(&mut self, body: &str) -> Frame {
        self.expect(|f| f.start == "SEND" && f.body.as_deref() == Some(body.as_bytes()))
    }
}

/// A directory of this test's own.
fn directory(name: &str) -> PathBuf {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    if place.exists() {
        fs::remove_dir_all(&place).unwrap();
    }
    place
}

/// An MRFP with `storage`, and what a test does with it.
async fn with_mrfp(
    storage: Option<PathBuf>,
    test: impl FnOnce(&mut Controller, SocketAddr) + Send + 'static,
) -> mrfp::Metrics {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mgc = format!("udp:{}", socket.local_addr().unwrap());
    let mrfp: Mrfp = mrfp::start(Config {
        mgcs: vec![mgc.parse().unwrap()],
        msrp: vec!["127.0.0.1:0".parse().unwrap()],
        reactor: ReactorKind::Mio,
        shards: NonZeroU8::new(2),
        storage,
        ..Config::default()
    })
    .await
    .unwrap();
    let msrp = mrfp.msrp_addrs()[0];
    let done = tokio::task::spawn_blocking(move || test(&mut Controller::new(socket), msrp));
    done.await.unwrap();
    let metrics = mrfp.metrics();
    // Nobody would answer that we go.
    drop(mrfp);
    metrics
}

#[tokio::test]
async fn messages_are_played_in_order_and_each_fate_is_told() {
    let storage = directory("played");
    fs::create_dir_all(storage.join("msgs")).unwrap();
    let wrapped = "From: <sip:focus@example.net>\r\n\r\nContent-Type: text/plain\r\n\r\nHi";
    fs::write(storage.join("msgs/welcome.cpim"), wrapped).unwrap();
    let metrics = with_mrfp(Some(storage), move |mgc, addr| {
        let to = add(mgc, "$", "alice", "");
        // Ordered before the participant is there.
        let reply = mgc.call(
            "C=1{MF=msrp/1{SG{SL=3{\
             mess/sm{ST=1,NC={TO},mi=\"m1\",mcr=\"file:///msgs/welcome.cpim\",fr=yes,sr=yes},\
             mess/sm{ST=1,NC={TO},mi=\"m2\",mcr=\"data:text/plain,Second\"}}},\
             E=5{mess/msrs{ST=1},g/sc}}}",
        );
        assert!(!reply.contains("ER"), "{reply}");
        let mut alice = Participant::connect(addr, &to, "alice");
        let first = alice.expect(|f| f.start == "SEND");
        assert_eq!(first.body.as_deref(), Some(wrapped.as_bytes()));
        assert_eq!(first.field("Content-Type"), "message/cpim");
        assert_eq!(first.field("Success-Report"), "yes");
        alice.answer(&first, "200 OK");
        let fields = format!(
            "Message-ID: {}\r\nByte-Range: 1-{1}/{1}\r\nStatus: 000 200 OK\r\n",
            first.field("Message-ID"),
            wrapped.len()
        );
        alice.request("REPORT", "rep00001", &fields, "");
        mgc.expect_notify(&["mess/msrs{ST=1,mi=\"m1\",sc=\"200\"}", "SLID=3", "Meth=TO"]);
        let second = alice.expect_body("Second");
        alice.answer(&second, "415 Unsupported");
        mgc.expect_notify(&["mess/msrs{ST=1,mi=\"m2\",sc=\"415\"}"]);
        mgc.call("C=1{MF=msrp/1{SG{mess/sm{mi=\"m3\",mcr=\"file:///msgs/none.txt\"}}}}");
        mgc.expect_notify(&["mi=\"m3\",sc=\"404\""]);
        let reply = mgc.call("C=1{MF=msrp/1{SG{mess/sm{mi=\"m4\",mcr=\"../../etc/passwd\"}}}}");
        assert!(reply.contains("ER=449"), "{reply}");
    })
    .await;
    assert_eq!((metrics.played, metrics.play_failures), (2, 1));
}

#[tokio::test]
async fn what_a_participant_sends_is_recorded_and_can_be_played() {
    let storage = directory("recorded");
    let place = storage.clone();
    let long = "x".repeat(200_000);
    let sent = long.clone();
    let metrics = with_mrfp(Some(storage), move |mgc, addr| {
        let to_alice = add(mgc, "$", "alice", "");
        let to_bob = add(mgc, "1", "bob", "");
        let mut alice = Participant::connect(addr, &to_alice, "alice");
        let mut bob = Participant::connect(addr, &to_bob, "bob");
        let start = "SG{recmess/rm{ST=1,sl=\"file:///calls/one\"},\
                     recmess/rm{ST=1,sl=\"calls/two\",dir=INT}}";
        let reply = mgc.call(&format!(
            "C=1{{MF=msrp/1{{{start},E=5{{recmess/messfail}}}}}}"
        ));
        assert!(!reply.contains("ER"), "{reply}");
        alice.send_for("aaaa0001", "text/plain", "Hello", "200");
        bob.expect_body("Hello");
        alice.send_for("aaaa0002", "text/html", &sent, "200");
        bob.send_for("bbbb0001", "message/cpim", "From: b\r\n\r\n\r\nHi", "200");
        alice.expect_body("From: b\r\n\r\n\r\nHi");
        // The end of the recording is behind all that was recorded.
        mgc.call("C=1{MF=msrp/1{SG}}");
        alice.send_for("aaaa0003", "text/plain", "not recorded", "200");
        mgc.call(
            "C=1{MF=msrp/2{SG{mess/sm{mi=\"again\",mcr=\"file:///calls/one/000001.txt\"}},\
             E=6{mess/msrs}}}",
        );
        let again = bob.expect(|f| {
            f.start == "SEND"
                && f.body.as_deref() == Some(b"Hello")
                && f.field("Message-ID") != "aaaa0001"
        });
        bob.answer(&again, "200 OK");
        mgc.expect_notify(&["mi=\"again\",sc=\"200\""]);
        // A name that is left to the MRFP comes back.
        let reply = mgc.call("C=1{MF=msrp/1{SG{recmess/rm{sl=\"?\"}}}}");
        let chosen = "SG{recmess/rm{sl=\"file:///recordings/";
        assert!(reply.contains(chosen), "{reply}");
        // The same place again, which is not empty any more.
        mgc.call(
            "C=1{MF=msrp/1{SG{recmess/rm{sl=\"file:///calls/one\"}},E=7{recmess/messfail,g/sc}}}",
        );
        mgc.expect_notify(&["recmess/messfail", "SigID=\"recmess/rm\",Meth=NC"]);
    })
    .await;
    let read = |name: &str| fs::read_to_string(place.join(name)).unwrap();
    assert_eq!(read("calls/one/000001.txt"), "Hello");
    assert_eq!(read("calls/one/000002.html"), long);
    assert!(!place.join("calls/one/000003.txt").exists());
    assert_eq!(read("calls/two/000001.cpim"), "From: b\r\n\r\n\r\nHi");
    let index = read("calls/one/index.jsonl");
    let lines: Vec<_> = index.lines().collect();
    assert_eq!(lines.len(), 2, "{index}");
    for part in [
        "\"file\":\"000001.txt\"",
        "\"message-id\":\"aaaa0001\"",
        "\"from\":\"msrp/1\"",
        "\"octets\":5",
        "\"complete\":true",
    ] {
        assert!(lines[0].contains(part), "{part} is missing in {}", lines[0]);
    }
    let storage = metrics.storage.unwrap();
    assert_eq!((storage.messages, storage.failed, storage.lost), (3, 1, 0));
}

#[tokio::test]
async fn filters_stop_messages_in_both_directions() {
    with_mrfp(None, |mgc, addr| {
        let script = "require 'reject'; if size :over 1K { discard; } \
                      elsif header :is 'content-type' 'text/html' { reject 'no'; }";
        let to_alice = add(mgc, "$", "alice", &format!(",mf/imf=\"{script}\""));
        let drop = "if address :is %22from%22 %22carol@example.com%22 { discard; }";
        let to_bob = add(mgc, "1", "bob", &format!(",mf/omf=\"{drop}\""));
        let mut alice = Participant::connect(addr, &to_alice, "alice");
        let mut bob = Participant::connect(addr, &to_bob, "bob");
        alice.send_for("aaaa0001", "text/plain", &"x".repeat(1025), "200");
        alice.send_for("aaaa0002", "text/html", "no", "403");
        alice.send_for(
            "aaaa0003",
            "message/cpim",
            "From: <sip:carol@example.com>\r\n\r\n\r\nx",
            "200",
        );
        alice.send_for(
            "aaaa0004",
            "message/cpim",
            "From: <sip:alice@example.com>\r\n\r\n\r\nx",
            "200",
        );
        let got = bob.expect(|f| f.start == "SEND");
        assert_eq!(got.field("Message-ID"), "aaaa0004");
        // Another filter holds at once; a fault of it changes nothing.
        let modify = |script: &str| {
            format!("C=1{{MF=msrp/1{{M{{ST=1{{O{{MO=SR,mf/imf=\"{script}\"}}}}}}}}}}")
        };
        let reply = mgc.call(&modify("if size :over { discard; }"));
        assert!(reply.contains("ER=700"), "{reply}");
        assert!(reply.contains("1:15"), "{reply}");
        alice.send_for("aaaa0005", "text/html", "no", "403");
        mgc.call(&modify("keep;"));
        alice.send_for("aaaa0006", "text/html", "yes", "200");
        bob.expect_body("yes");
    })
    .await;
}
