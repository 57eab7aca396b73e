//! Answers to challenges of others.

use super::work::{Parameters, Protection, Work};
use super::{Algorithm, Credentials, Qop};
use crate::message::Request;

/// The counter of an answer: a challenge is answered once.
const COUNT: &str = "00000001";

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
    let qop = match challenge.get("qop") {
        Some(offered) => Some(choose(offered)?),
        // Nothing would say which nonce the session began with.
        None if algorithm.is_session() => return None,
        None => None,
    };
    let uri = request.uri.as_str();
    let work = Work {
        algorithm,
        user: &own.user,
        realm,
        password: &own.password.0,
        method: request.method.as_str(),
        uri,
        nonce,
        session: cnonce,
        protection: qop.map(|qop| Protection {
            qop,
            nc: COUNT,
            cnonce,
            body: &request.body,
        }),
    };
    let mut text = format!(
        "Digest username=\"{}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", \
         response=\"{}\", algorithm={}",
        own.user,
        work.response(),
        algorithm.token()
    );
    if let Some(qop) = qop {
        let qop = qop.token();
        text.push_str(&format!(", qop={qop}, nc={COUNT}, cnonce=\"{cnonce}\""));
    }
    if let Some(opaque) = challenge.get("opaque") {
        text.push_str(&format!(", opaque=\"{opaque}\""));
    }
    Some(text)
}

/// The body is protected where that is all there is: session descriptions are changed on their way by border
/// controllers.
fn choose(offered: &str) -> Option<Qop> {
    let mut known = offered.split(',').filter_map(|q| Qop::new(q.trim()));
    let first = known.next()?;
    let has_auth = first == Qop::Auth || known.any(|qop| qop == Qop::Auth);
    Some(if has_auth { Qop::Auth } else { first })
}

/// Whether a challenge says that only the nonce was too old.
pub(crate) fn is_stale(value: &str) -> bool {
    let stale = Parameters::parse(value);
    stale.is_some_and(|p| {
        p.get("stale")
            .is_some_and(|v| v.eq_ignore_ascii_case("true"))
    })
}
