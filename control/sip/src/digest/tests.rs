//! What both sides compute, and what the server makes of it.

use super::server::is_from;
use super::work::{Protection, Work};
use super::*;
use crate::limits::NONCE_LIFETIME;
use crate::message::{Headers, Method, Request};
use crate::uri::Uri;
use clock::{Duration, Instant};
use rand::SeedableRng;
use rand::rngs::StdRng;

fn request(method: Method, uri: &str) -> Request {
    Request {
        method,
        uri: Uri::parse(uri).expect("a URI"),
        headers: Headers::default(),
        body: Vec::new(),
    }
}

/// The numbers of RFC 7616 3.9.1, whose method is GET of HTTP.
#[test]
fn the_examples_of_the_rfc_come_out() {
    for (algorithm, expected) in [
        (Algorithm::Md5, "8ca523f5e9506fed4657c9700eebdbec"),
        (
            Algorithm::Sha256,
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
        ),
    ] {
        let work = Work {
            algorithm,
            user: "Mufasa",
            realm: "http-auth@example.org",
            password: "Circle of Life",
            method: "GET",
            uri: "/dir/index.html",
            nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
            session: "",
            protection: Some(Protection {
                qop: Qop::Auth,
                nc: "00000001",
                cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
                body: b"",
            }),
        };
        assert_eq!(work.response(), expected);
    }
}

/// The example of RFC 2617 3.5 without quality of protection is RFC 2069's formula.
#[test]
fn a_challenge_without_qop_is_answered_the_old_way() {
    let known = [own("biloxi.com")];
    let challenge = "Digest realm=\"biloxi.com\", nonce=\"dcd98b\", opaque=\"5c\"";
    let request = request(Method::Invite, "sip:bob@biloxi.com");
    let answer = answer(challenge, &known, &request, "x").expect("an answer");
    assert!(
        !answer.contains("qop") && !answer.contains("cnonce"),
        "{answer}"
    );
    assert!(answer.contains("opaque=\"5c\""), "{answer}");
    let ha1 = Algorithm::Md5.hash(b"bob:biloxi.com:zanzibar");
    let ha2 = Algorithm::Md5.hash(b"INVITE:sip:bob@biloxi.com");
    let response = Algorithm::Md5.hash(format!("{ha1}:dcd98b:{ha2}").as_bytes());
    assert!(answer.contains(&response), "{answer}");
}

fn own(realm: &str) -> Credentials {
    Credentials {
        realm: realm.to_owned(),
        user: "bob".to_owned(),
        password: Secret("zanzibar".to_owned()),
    }
}

#[test]
fn what_cannot_be_answered_is_not() {
    let request = request(Method::Invite, "sip:bob@biloxi.com");
    for challenge in [
        "Basic realm=\"biloxi.com\"",
        "Digest realm=\"other\", nonce=\"1\"",
        "Digest realm=\"biloxi.com\"",
        "Digest realm=\"biloxi.com\", nonce=\"1\", algorithm=SHA-1",
        "Digest realm=\"biloxi.com\", nonce=\"1\", algorithm=MD5-sess",
        "Digest realm=\"biloxi.com\", nonce=\"1\", qop=\"auth-conf\"",
        "Digest",
        "",
    ] {
        let got = answer(challenge, &[own("biloxi.com")], &request, "x");
        assert_eq!(got, None, "{challenge}");
    }
    assert!(!format!("{:?}", own("x")).contains("zanzibar"));
}

fn authenticator() -> Authenticator {
    let passwords = [("bob".to_owned(), Secret("zanzibar".to_owned()))].into();
    let users = Users {
        realm: "home2.net".to_owned(),
        passwords,
        algorithms: Algorithm::USUAL.to_vec(),
        qops: vec![Qop::Auth],
    };
    Authenticator::new(users, &mut StdRng::seed_from_u64(1))
}

fn at(seconds: u64) -> Instant {
    Instant::ZERO + Duration::from_secs(seconds)
}

fn with_answer(method: Method, challenge: &str, own: Credentials) -> Request {
    let mut request = request(method, "sip:room@home2.net");
    request.headers.push("From", "<sip:bob@home2.net>;tag=1");
    let text = answer(challenge, &[own], &request, "abc").expect("an answer");
    request.headers.push("Authorization", text);
    request
}

#[test]
fn a_user_gets_in_once_an_answer() {
    let mut server = authenticator();
    assert_eq!(
        server.judge(at(0), &request(Method::Invite, "sip:room@home2.net")),
        Verdict::Unknown
    );
    for challenge in server.challenges(at(5), 1, false) {
        // A nonce of its own for each.
        let salt = if challenge.contains("MD5") { 7 } else { 8 };
        let fresh = server.challenges(at(5), salt, false);
        let challenge = if salt == 7 { &fresh[1] } else { &fresh[0] };
        let asked = with_answer(Method::Invite, challenge, own("home2.net"));
        assert_eq!(server.judge(at(6), &asked), Verdict::User);
        assert_eq!(server.judge(at(6), &asked), Verdict::Stale, "used");
    }
}

#[test]
fn only_what_is_offered_is_taken() {
    let mut server = authenticator();
    let md5 = server.challenges(at(5), 1, false)[1].clone();
    server.users.algorithms = vec![Algorithm::Sha256];
    assert_eq!(server.challenges(at(5), 1, false).len(), 1);
    let asked = with_answer(Method::Invite, &md5, own("home2.net"));
    assert_eq!(server.judge(at(6), &asked), Verdict::Unknown);
    assert_eq!(Algorithm::new("sha-256"), Some(Algorithm::Sha256));
    assert_eq!(Algorithm::new("SHA-1"), None);
}

/// Computed with Python's `hashlib`.
#[test]
fn every_algorithm_with_every_protection_comes_out() {
    let expected = [
        ("MD5", Qop::Auth, "29430f574e8ef05116e060a1044600d4"),
        ("MD5", Qop::AuthInt, "4a20f6e331639ff41c8d87edb1e0d1ef"),
        ("MD5-sess", Qop::Auth, "b6f5b9781051903252d2ef8f80b56139"),
        ("MD5-sess", Qop::AuthInt, "20a5121bb56aa9c4902a7b4c16580561"),
        (
            "SHA-256",
            Qop::Auth,
            "1c420714f04b97e51450b8f4ab41d5a4be719ef876e04273bd9f4a89073cf48a",
        ),
        (
            "SHA-256",
            Qop::AuthInt,
            "1a7e573b3e3c96e1c17b9c8210c35b02bb707f13288105b59b6b386deb06b732",
        ),
        (
            "SHA-256-sess",
            Qop::Auth,
            "90907d504a94892ac5169f1ce31fcbf84f3580c14d4bdf2cf4d2b7296c0929fd",
        ),
        (
            "SHA-256-sess",
            Qop::AuthInt,
            "01adfc8d82bc4efffcb1cf5c0f2d582f83fcee4519b4cd70d1ecb3d8fca29fa2",
        ),
        (
            "SHA-512-256",
            Qop::Auth,
            "0c3655526b5650689fef16b07effebc2a26e96fb44e9d90b0599a2ec931ef998",
        ),
        (
            "SHA-512-256",
            Qop::AuthInt,
            "1bd585b349796ca33b36c51618770136db9e807fc2f65c751b57db2f5068293c",
        ),
        (
            "SHA-512-256-sess",
            Qop::Auth,
            "042019d442d8e3af8d30249a269e9dc002ab57eaf033580e825afa5698aa945b",
        ),
        (
            "SHA-512-256-sess",
            Qop::AuthInt,
            "877bfde24b174bd30885ba287954f51753086ea8003c9073c8ae29309ff5783f",
        ),
    ];
    for (name, qop, response) in expected {
        let mut asked = request(Method::Invite, "sip:room@home2.net");
        asked.body = b"v=0\r\n".to_vec();
        let challenge = format!(
            "Digest realm=\"home2.net\", nonce=\"dcd98b7102dd2f0e\", qop=\"{}\", algorithm={name}",
            qop.token()
        );
        let text = answer(&challenge, &[own("home2.net")], &asked, "0a4f113b").expect(name);
        assert!(
            text.contains(&format!("response=\"{response}\"")),
            "{name} {qop:?}: {text}"
        );
    }
}

#[test]
fn the_body_is_protected_where_it_must_be_and_then_nobody_may_change_it() {
    let mut server = authenticator();
    server.users.qops = vec![Qop::AuthInt];
    let challenge = server.challenges(at(5), 1, false)[0].clone();
    assert!(challenge.contains("qop=\"auth-int\""), "{challenge}");
    let mut asked = with_answer(Method::Invite, &challenge, own("home2.net"));
    asked.body = b"c=IN IP4 192.0.2.9\r\n".to_vec();
    assert_eq!(server.judge(at(6), &asked), Verdict::Unknown, "changed");
    asked.body.clear();
    assert_eq!(server.judge(at(6), &asked), Verdict::User);
    // Whoever may choose leaves the body to border controllers; what is not offered is not taken.
    let both = challenge
        .replace("\"auth-int\"", "\"auth-int,auth\"")
        .replace("0001", "0002");
    let asked = with_answer(Method::Invite, &both, own("home2.net"));
    let answer = asked.headers.get("Authorization").expect("an answer");
    assert!(answer.contains("qop=auth,"), "{answer}");
    assert_eq!(server.judge(at(6), &asked), Verdict::Unknown);
}

#[test]
fn a_session_goes_on_with_the_nonce_that_it_began_with() {
    let mut server = authenticator();
    server.users.algorithms = vec![Algorithm::Sha256Sess];
    let challenge = server.challenges(at(5), 1, false)[0].clone();
    let first = with_answer(Method::Invite, &challenge, own("home2.net"));
    assert_eq!(server.judge(at(6), &first), Verdict::User);
    let nonce = challenge
        .split("nonce=\"")
        .nth(1)
        .and_then(|n| n.split('"').next());
    let nonce = nonce.expect("a nonce");
    let mut again = |session, cnonce, nc| {
        let uri = "sip:room@home2.net";
        let work = Work {
            algorithm: Algorithm::Sha256Sess,
            user: "bob",
            realm: "home2.net",
            password: "zanzibar",
            method: "INVITE",
            uri,
            nonce,
            session,
            protection: Some(Protection {
                qop: Qop::Auth,
                nc,
                cnonce,
                body: b"",
            }),
        };
        let mut asked = request(Method::Invite, uri);
        asked.headers.push("From", "<sip:bob@home2.net>;tag=1");
        let field = format!(
            "Digest username=\"bob\", realm=\"home2.net\", nonce=\"{nonce}\", uri=\"{uri}\", \
             response=\"{}\", algorithm=SHA-256-sess, qop=auth, nc={nc}, cnonce=\"{cnonce}\"",
            work.response()
        );
        asked.headers.push("Authorization", field);
        server.judge(at(7), &asked)
    };
    assert_eq!(
        again("abc", "def", "00000002"),
        Verdict::User,
        "the session's"
    );
    assert_eq!(again("ghi", "ghi", "00000003"), Verdict::User, "a new one");
    assert_eq!(again("xyz", "ghi", "00000004"), Verdict::Unknown, "neither");
    assert_eq!(again("abc", "def", "00000002"), Verdict::Stale, "used");
}

#[test]
fn an_old_nonce_is_stale_and_a_forged_one_is_nothing() {
    let mut server = authenticator();
    let challenge = &server.challenges(at(5), 1, false)[0];
    let asked = with_answer(Method::Invite, challenge, own("home2.net"));
    let late = 6 + NONCE_LIFETIME.as_secs();
    assert_eq!(server.judge(at(late), &asked), Verdict::Stale);
    let forged = challenge.replace("nonce=\"0", "nonce=\"1");
    let asked = with_answer(Method::Invite, &forged, own("home2.net"));
    assert_eq!(server.judge(at(6), &asked), Verdict::Unknown);
    assert!(server.challenges(at(5), 1, true)[0].ends_with("stale=true"));
}

#[test]
fn who_does_not_know_the_password_or_asks_for_something_else_stays_outside() {
    let mut server = authenticator();
    let challenge = &server.challenges(at(5), 1, false)[0];
    let mut wrong = own("home2.net");
    wrong.password = Secret("zanzibaR".into());
    let asked = with_answer(Method::Invite, challenge, wrong);
    assert_eq!(server.judge(at(6), &asked), Verdict::Unknown);
    let mut stranger = own("home2.net");
    stranger.user = "eve".into();
    let asked = with_answer(Method::Invite, challenge, stranger);
    assert_eq!(server.judge(at(6), &asked), Verdict::Unknown);
    let mut asked = with_answer(Method::Invite, challenge, own("home2.net"));
    asked.method = Method::Refer;
    assert_eq!(
        server.judge(at(6), &asked),
        Verdict::Unknown,
        "other method"
    );
    let mut asked = with_answer(Method::Invite, challenge, own("home2.net"));
    asked.uri = Uri::parse("sip:other@home2.net").expect("a URI");
    assert_eq!(server.judge(at(6), &asked), Verdict::Unknown, "other room");
}

#[test]
fn from_must_be_the_user() {
    let mut asked = request(Method::Invite, "sip:room@home2.net");
    asked
        .headers
        .push("From", "\"B\" <sip:b%6fb@Home1.net>;tag=1");
    assert!(is_from(&asked, "bob", "home1.net"));
    assert!(is_from(&asked, "bob@home1.net", "home2.net"));
    assert!(!is_from(&asked, "bob", "home2.net"));
    assert!(!is_from(&asked, "bob@home2.net", "home1.net"));
    assert!(!is_from(&asked, "eve", "home1.net"));
}
