//! Challenges of our own, and what the answers to them are worth.
//!
//! A nonce says when it was made and carries a code over that, so that nothing is kept for whoever
//! only asks; the counter of each nonce in use is kept, so that no answer counts twice.

use super::work::{Parameters, Protection, Work, hex};
use super::{Algorithm, Qop, Users};
use crate::limits::{CNONCE_BYTES_MAX, NONCE_LIFETIME, NONCES_MAX};
use crate::message::Request;
use crate::uri::{Uri, unescape};
use clock::{Duration, Instant};
use rand::Rng;
use ring::hmac;
use std::collections::HashMap;

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

/// A nonce that somebody authenticated with.
struct Used {
    /// The last counter.
    count: u32,
    made: Duration,
    /// The client's nonce when the session began, for an algorithm with one.
    session: Option<Box<str>>,
}

/// Challenges, and judges the answers.
pub(crate) struct Authenticator {
    pub(super) users: Users,
    key: hmac::Key,
    used: HashMap<String, Used>,
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
        let qops: Vec<_> = self.users.qops.iter().map(|qop| qop.token()).collect();
        let qops = qops.join(",");
        let field = |algorithm: Algorithm| {
            format!(
                "Digest realm=\"{realm}\", nonce=\"{nonce}\", qop=\"{qops}\", algorithm={}{stale}",
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
        let qop = Qop::new(field.get("qop")?)?;
        let algorithm = Algorithm::named(field.get("algorithm"))?;
        let is_offered =
            self.users.algorithms.contains(&algorithm) && self.users.qops.contains(&qop);
        // It must have been made for this request (RFC 7616 3.4.6).
        let asked = Uri::parse(uri).ok()?;
        let is_it = asked.user() == request.uri.user() && asked.host() == request.uri.host();
        if !is_offered || !is_it || cnonce.len() > CNONCE_BYTES_MAX {
            return None;
        }
        let made = self.made(nonce)?;
        let password = self.users.passwords.get(user)?;
        let fits = |session: &str| {
            let work = Work {
                algorithm,
                user,
                realm: &self.users.realm,
                password: &password.0,
                method: request.method.as_str(),
                uri,
                nonce,
                session,
                protection: Some(Protection {
                    qop,
                    nc,
                    cnonce,
                    body: &request.body,
                }),
            };
            // Both are hashes of what the sender does not know in full: comparing them leaks nothing
            // that helps.
            let response = field.get("response").unwrap_or_default();
            work.response().eq_ignore_ascii_case(response)
        };
        // A session goes on with the nonce that it began with; many begin a new one each time.
        let begun = self
            .used
            .get(nonce)
            .and_then(|used| used.session.as_deref());
        if !fits(begun.unwrap_or(cnonce)) && (begun.is_none() || !fits(cnonce)) {
            return None;
        }
        let session = algorithm.is_session().then_some(cnonce);
        let age = now.since(Instant::ZERO).saturating_sub(made);
        if age > NONCE_LIFETIME || !self.count(now, nonce, (count, made), session) {
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
    fn count(
        &mut self,
        now: Instant,
        nonce: &str,
        (count, made): (u32, Duration),
        session: Option<&str>,
    ) -> bool {
        if let Some(used) = self.used.get_mut(nonce) {
            let last = used.count;
            used.count = count.max(last);
            return count > last;
        }
        if self.used.len() >= NONCES_MAX {
            let now = now.since(Instant::ZERO);
            let is_alive = |made: Duration| now.saturating_sub(made) <= NONCE_LIFETIME;
            self.used.retain(|_, used| is_alive(used.made));
        }
        if self.used.len() >= NONCES_MAX {
            return false;
        }
        let session = session.map(Box::from);
        let used = Used {
            count,
            made,
            session,
        };
        self.used.insert(nonce.to_owned(), used);
        true
    }
}

/// Whether From names the user who authenticated: `user@host`, or without a host `user@realm`.
pub(super) fn is_from(request: &Request, user: &str, realm: &str) -> bool {
    let Some(from) = request.headers.from() else {
        return false;
    };
    let name = from.uri.user().map(unescape).unwrap_or_default();
    let (user, host) = user.rsplit_once('@').unwrap_or((user, realm));
    name == user && from.uri.host().eq_ignore_ascii_case(host)
}
