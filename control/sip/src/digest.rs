//! Digest authentication (RFC 3261 22, RFC 7616, RFC 8760): challenges, and answers to them.
//!
//! ```text
//! HA1 = H(user:realm:password)   HA2 = H(method:uri)
//! response = H(HA1:nonce:nc:cnonce:auth:HA2)        without qop: H(HA1:nonce:HA2)
//! ```
//!
//! A nonce says when it was made and carries a code over that, so that nothing is kept for whoever
//! only asks; the counter of each nonce in use is kept, so that no answer counts twice.

use crate::limits::{NONCE_LIFETIME, NONCES_MAX};
use crate::message::Request;
use crate::uri::{Uri, parameter, split_outside_quotes, unescape};
use clock::{Duration, Instant};
use core::fmt;
use md5::Digest;
use rand::Rng;
use ring::{digest, hmac};
use std::collections::HashMap;

/// A password: it does not show itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Who we are in a realm, when we are asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The realm, as challenges name it.
    pub realm: String,
    /// Our name there.
    pub user: String,
    /// Our password there.
    pub password: Secret,
}

/// Who may make dialogs from outside the trust domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Users {
    /// What challenges name.
    pub realm: String,
    /// Names and passwords; a name without host is one at the realm. From must say the same.
    pub passwords: HashMap<String, Secret>,
    /// The hash functions offered, in this order (RFC 8760 2.4), and no other taken.
    pub algorithms: Vec<Algorithm>,
}

/// A hash function of digest authentication (RFC 8760).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the variants are the names of the RFC")]
pub enum Algorithm {
    Sha256,
    Md5,
}

impl Algorithm {
    /// Those that we know, the best first.
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Md5];

    /// By its token, without regard to case.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|a| a.token().eq_ignore_ascii_case(name))
    }

    const fn token(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA-256",
            Self::Md5 => "MD5",
        }
    }

    /// Without the parameter it is MD5 (RFC 7616 3.3).
    fn named(name: Option<&str>) -> Option<Self> {
        Self::new(name.unwrap_or("MD5"))
    }

    fn hash(self, text: &str) -> String {
        match self {
            Self::Sha256 => hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref()),
            Self::Md5 => hex(&md5::Md5::digest(text.as_bytes())),
        }
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|o| format!("{o:02x}")).collect()
}

/// What both sides compute.
struct Work<'a> {
    algorithm: Algorithm,
    user: &'a str,
    realm: &'a str,
    password: &'a str,
    method: &'a str,
    uri: &'a str,
    nonce: &'a str,
    /// Counter and client nonce; `None`: without quality of protection (RFC 2069).
    qop: Option<(&'a str, &'a str)>,
}

impl Work<'_> {
    fn response(&self) -> String {
        let hash = |text: String| self.algorithm.hash(&text);
        let ha1 = hash(format!("{}:{}:{}", self.user, self.realm, self.password));
        let ha2 = hash(format!("{}:{}", self.method, self.uri));
        let nonce = self.nonce;
        match self.qop {
            Some((nc, cnonce)) => hash(format!("{ha1}:{nonce}:{nc}:{cnonce}:auth:{ha2}")),
            None => hash(format!("{ha1}:{nonce}:{ha2}")),
        }
    }
}

/// The parameters of a challenge or of an answer to one; `None`: not Digest.
struct Parameters(String);

impl Parameters {
    fn parse(value: &str) -> Option<Self> {
        let (scheme, rest) = value.trim().split_once([' ', '\t'])?;
        let is_digest = scheme.eq_ignore_ascii_case("Digest");
        let parts: Vec<_> = split_outside_quotes(rest, b',').map(str::trim).collect();
        is_digest.then(|| Self(format!(";{}", parts.join(";"))))
    }

    fn get(&self, name: &str) -> Option<&str> {
        parameter(&self.0, name)
    }
}

/// Answers a challenge of a server or a proxy.
///
/// `value` is one WWW-Authenticate or Proxy-Authenticate field; `None`: we do not know the scheme,
/// the algorithm or the realm, or cannot do what it wants.
pub(crate) fn answer(
    value: &str,
    known: &[Credentials],
    request: &Request,
    cnonce: &str,
) -> Option<String> {
    let challenge = Parameters::parse(value)?;
    let (realm, nonce) = (challenge.get("realm")?, challenge.get("nonce")?);
    let algorithm = Algorithm::named(challenge.get("algorithm"))?;
    let own = known.iter().find(|own| own.realm == realm)?;
    let qop = challenge.get("qop");
    let has_auth = qop.is_some_and(|q| q.split(',').any(|q| q.trim().eq_ignore_ascii_case("auth")));
    if qop.is_some() && !has_auth {
        return None;
    }
    let uri = request.uri.as_str();
    let work = Work {
        algorithm,
        user: &own.user,
        realm,
        password: &own.password.0,
        method: request.method.as_str(),
        uri,
        nonce,
        qop: has_auth.then_some(("00000001", cnonce)),
    };
    let mut text = format!(
        "Digest username=\"{}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", \
         response=\"{}\", algorithm={}",
        own.user,
        work.response(),
        algorithm.token()
    );
    if has_auth {
        text.push_str(&format!(", qop=auth, nc=00000001, cnonce=\"{cnonce}\""));
    }
    if let Some(opaque) = challenge.get("opaque") {
        text.push_str(&format!(", opaque=\"{opaque}\""));
    }
    Some(text)
}

/// Whether a challenge says that only the nonce was too old.
pub(crate) fn is_stale(value: &str) -> bool {
    let stale = Parameters::parse(value);
    stale.is_some_and(|p| {
        p.get("stale")
            .is_some_and(|v| v.eq_ignore_ascii_case("true"))
    })
}

/// What an Authorization field is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is whom From names.
    User,
    /// It is another user than From names.
    Another,
    /// There is none, or it does not fit: ask (again).
    Unknown,
    /// It fits, but its nonce is too old or was used: ask again, the user need not (RFC 7616 3.3).
    Stale,
}

/// Challenges, and judges the answers.
pub(crate) struct Authenticator {
    users: Users,
    key: hmac::Key,
    /// The last counter of each nonce that somebody authenticated with, and when that was made.
    used: HashMap<String, (u32, Duration)>,
}

impl Authenticator {
    pub(crate) fn new(users: Users, rng: &mut impl Rng) -> Self {
        let mut key = [0; 32];
        rng.fill_bytes(&mut key);
        Self {
            users,
            key: hmac::Key::new(hmac::HMAC_SHA256, &key),
            used: HashMap::new(),
        }
    }

    /// WWW-Authenticate fields, one an algorithm.
    pub(crate) fn challenges(&self, now: Instant, salt: u64, is_stale: bool) -> Vec<String> {
        let made = format!("{:08x}{salt:016x}", now.since(Instant::ZERO).as_secs());
        let nonce = format!("{made}{}", self.code(&made));
        let stale = if is_stale { ", stale=true" } else { "" };
        let realm = &self.users.realm;
        let field = |algorithm: Algorithm| {
            format!(
                "Digest realm=\"{realm}\", nonce=\"{nonce}\", qop=\"auth\", algorithm={}{stale}",
                algorithm.token()
            )
        };
        self.users.algorithms.iter().copied().map(field).collect()
    }

    fn code(&self, made: &str) -> String {
        hex(&hmac::sign(&self.key, made.as_bytes()).as_ref()[..16])
    }

    /// When a nonce of ours was made; `None`: it is none of ours.
    fn made(&self, nonce: &str) -> Option<Duration> {
        let (made, code) = nonce.split_at_checked(24)?;
        let is_ours = self.code(made) == code;
        let seconds = u64::from_str_radix(made.get(..8)?, 16).ok()?;
        is_ours.then(|| Duration::from_secs(seconds))
    }

    /// Judges the Authorization fields of a request.
    pub(crate) fn judge(&mut self, now: Instant, request: &Request) -> Verdict {
        let fields = request.headers.all("Authorization");
        let mut found = fields.filter_map(Parameters::parse);
        let ours = found.find(|f| f.get("realm") == Some(&*self.users.realm));
        ours.and_then(|field| self.judge_field(now, request, &field))
            .unwrap_or(Verdict::Unknown)
    }

    fn judge_field(
        &mut self,
        now: Instant,
        request: &Request,
        field: &Parameters,
    ) -> Option<Verdict> {
        let user = field.get("username")?;
        let (nonce, uri) = (field.get("nonce")?, field.get("uri")?);
        let (nc, cnonce) = (field.get("nc")?, field.get("cnonce")?);
        let count = u32::from_str_radix(nc, 16).ok().filter(|_| nc.len() == 8)?;
        let is_auth = field.get("qop")?.eq_ignore_ascii_case("auth");
        // It must have been made for this request (RFC 7616 3.4.6).
        let asked = Uri::parse(uri).ok()?;
        let is_it = asked.user() == request.uri.user() && asked.host() == request.uri.host();
        let made = self.made(nonce)?;
        let password = self.users.passwords.get(user)?;
        let algorithm = Algorithm::named(field.get("algorithm"))?;
        if !self.users.algorithms.contains(&algorithm) {
            return None;
        }
        let work = Work {
            algorithm,
            user,
            realm: &self.users.realm,
            password: &password.0,
            method: request.method.as_str(),
            uri,
            nonce,
            qop: Some((nc, cnonce)),
        };
        let response = field.get("response")?.to_ascii_lowercase();
        // Both are hashes of what the sender does not know in full: comparing them leaks nothing
        // that helps.
        if !is_auth || !is_it || work.response() != response {
            return None;
        }
        let age = now.since(Instant::ZERO).saturating_sub(made);
        if age > NONCE_LIFETIME || !self.count(now, nonce, count, made) {
            return Some(Verdict::Stale);
        }
        let is_from = is_from(request, user, &self.users.realm);
        Some(if is_from {
            Verdict::User
        } else {
            Verdict::Another
        })
    }

    /// Notes the counter of a nonce; `false`: that was used already, or no more can be noted.
    fn count(&mut self, now: Instant, nonce: &str, count: u32, made: Duration) -> bool {
        if let Some((last, _)) = self.used.get_mut(nonce) {
            return count > core::mem::replace(last, count.max(*last));
        }
        if self.used.len() >= NONCES_MAX {
            let now = now.since(Instant::ZERO);
            let is_alive = |made: &Duration| now.saturating_sub(*made) <= NONCE_LIFETIME;
            self.used.retain(|_, (_, made)| is_alive(made));
        }
        if self.used.len() >= NONCES_MAX {
            return false;
        }
        self.used.insert(nonce.to_owned(), (count, made));
        true
    }
}

/// Whether From names the user who authenticated: `user@host`, or without a host `user@realm`.
fn is_from(request: &Request, user: &str, realm: &str) -> bool {
    let Some(from) = request.headers.from() else {
        return false;
    };
    let name = from.uri.user().map(unescape).unwrap_or_default();
    let (user, host) = user.rsplit_once('@').unwrap_or((user, realm));
    name == user && from.uri.host().eq_ignore_ascii_case(host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Headers, Method};
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
                qop: Some(("00000001", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ")),
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
        let ha1 = Algorithm::Md5.hash("bob:biloxi.com:zanzibar");
        let ha2 = Algorithm::Md5.hash("INVITE:sip:bob@biloxi.com");
        let response = Algorithm::Md5.hash(&format!("{ha1}:dcd98b:{ha2}"));
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
            "Digest realm=\"biloxi.com\", nonce=\"1\", algorithm=SHA-512-256",
            "Digest realm=\"biloxi.com\", nonce=\"1\", qop=\"auth-int\"",
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
            algorithms: Algorithm::ALL.to_vec(),
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
        assert_eq!(Algorithm::new("SHA-512-256"), None);
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
}
