//! Who may use the API.

use core::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Who may use the API: with a token whoever shows it; without one everybody may read, and change
/// something only where the listener is on loopback.
///
/// There a browser on this host is somebody, too, whatever page it shows: without a token a page of
/// another origin may change nothing, and nobody may come by a name that is not this host's, which is
/// how such a page would pass for one of ours (DNS rebinding).
#[derive(Clone)]
pub struct Access(Arc<Rule>);

struct Rule {
    token: Option<String>,
    is_loopback: bool,
}

impl Access {
    /// The rule for a listener at `local`.
    #[must_use]
    pub fn new(token: Option<String>, local: SocketAddr) -> Self {
        Self(Arc::new(Rule {
            token,
            is_loopback: local.ip().to_canonical().is_loopback(),
        }))
    }

    /// Why a request is refused, if it is.
    fn refusal(&self, method: &Method, headers: &HeaderMap) -> Option<(StatusCode, &'static str)> {
        match &self.0.token {
            Some(token) if bearer(headers).is_some_and(|shown| is_same(shown, token)) => None,
            Some(_) => Some((StatusCode::UNAUTHORIZED, "the token is missing or wrong")),
            None if method.is_safe() => None,
            None if self.0.is_loopback && is_foreign(headers) => Some((
                StatusCode::FORBIDDEN,
                "a page of another origin may change nothing without http-token",
            )),
            None if self.0.is_loopback => None,
            None => Some((
                StatusCode::FORBIDDEN,
                "beyond loopback changes need http-token in the configuration",
            )),
        }
    }

    /// Whether who asks may learn who takes part.
    pub(super) fn may_read(&self, headers: &HeaderMap) -> bool {
        self.refusal(&Method::GET, headers).is_none()
    }

    /// Whether a request came by a name under which nobody on this host asks for us.
    fn is_misdirected(&self, headers: &HeaderMap) -> bool {
        let is_open = self.0.token.is_none() && self.0.is_loopback;
        // Every browser sends Host.
        is_open
            && headers
                .get_all(header::HOST)
                .iter()
                .any(|host| !is_own(host))
    }
}

/// An address needs no DNS that could lie, and `localhost` asks none (RFC 6761 6.3).
fn is_own(host: &HeaderValue) -> bool {
    let Some(authority) = host.to_str().ok().and_then(|h| h.parse::<Authority>().ok()) else {
        return false;
    };
    let name = authority.host();
    let address = name.trim_start_matches('[').trim_end_matches(']');
    address.parse::<IpAddr>().is_ok() || name.eq_ignore_ascii_case("localhost")
}

/// Whether a browser says that a page of another origin asks.
fn is_foreign(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return false;
    };
    let own = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let origin = origin.to_str().ok().and_then(|o| o.split_once("://"));
    origin.is_none_or(|(_, origin)| own.is_none_or(|own| !own.eq_ignore_ascii_case(origin)))
}

/// Refuses what came by another host's name.
pub(super) async fn check_host(
    State(access): State<Access>,
    request: Request,
    next: Next,
) -> Response {
    if !access.is_misdirected(request.headers()) {
        return next.run(request).await;
    }
    let why = "on loopback without http-token, Host must be an address or localhost";
    let body = Json(serde_json::json!({ "error": why }));
    (StatusCode::MISDIRECTED_REQUEST, body).into_response()
}

/// Lets through what [`Access`] allows.
pub(super) async fn check(State(access): State<Access>, request: Request, next: Next) -> Response {
    match access.refusal(request.method(), request.headers()) {
        None => next.run(request).await,
        Some((status, why)) => {
            let body = Json(serde_json::json!({ "error": why }));
            ([(header::WWW_AUTHENTICATE, "Bearer")], (status, body)).into_response()
        }
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("Bearer")
        .then_some(token.trim())
}

/// Looks at every octet, so that the time taken tells nothing of where they differ.
fn is_same(one: &str, other: &str) -> bool {
    let pairs = one.bytes().zip(other.bytes());
    one.len() == other.len() && pairs.fold(0, |all, (a, b)| all | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(header::HeaderName, &str)]) -> HeaderMap {
        let field =
            |(name, value): &(header::HeaderName, &str)| (name.clone(), value.parse().unwrap());
        fields.iter().map(field).collect()
    }

    #[test]
    fn a_name_of_another_host_is_refused_where_no_token_protects_loopback() {
        #[track_caller]
        fn check(token: Option<&str>, local: &str, host: &str, expected: bool) {
            let access = Access::new(token.map(str::to_owned), local.parse().unwrap());
            let headers = headers(&[(header::HOST, host)]);
            assert_eq!(access.is_misdirected(&headers), expected, "{host}");
        }
        let inside = "127.0.0.1:8080";
        for own in [
            "127.0.0.1:8080",
            "127.0.0.1",
            "[::1]:8080",
            "LocalHost:8080",
            "192.0.2.1",
        ] {
            check(None, inside, own, false);
        }
        for foreign in [
            "evil.example:8080",
            "localhost.evil.example",
            "",
            "a b",
            "127.1",
            "[evil]",
        ] {
            check(None, inside, foreign, true);
            check(Some("abc"), inside, foreign, false);
            check(None, "192.0.2.1:8080", foreign, false);
        }
        check(None, "[::1]:8080", "evil.example", true);
        let old = Access::new(None, inside.parse().unwrap());
        assert!(
            !old.is_misdirected(&HeaderMap::new()),
            "HTTP/1.0 has no Host"
        );
    }

    #[test]
    fn a_page_of_another_origin_changes_nothing_without_a_token() {
        #[track_caller]
        fn check(token: Option<&str>, method: Method, origin: &str, expected: u16) {
            let access = Access::new(token.map(str::to_owned), "127.0.0.1:1".parse().unwrap());
            let headers = headers(&[
                (header::HOST, "127.0.0.1:1"),
                (header::ORIGIN, origin),
                (header::AUTHORIZATION, "Bearer abc"),
            ]);
            let refusal = access.refusal(&method, &headers);
            let code = refusal.map_or(200, |(status, _)| status.as_u16());
            assert_eq!(code, expected, "{method} {origin}");
        }
        for foreign in [
            "http://evil.example",
            "null",
            "http://127.0.0.1:2",
            "http://127.0.0.1",
        ] {
            check(None, Method::POST, foreign, 403);
            check(None, Method::DELETE, foreign, 403);
            check(None, Method::GET, foreign, 200);
            check(Some("abc"), Method::POST, foreign, 200);
        }
        check(None, Method::POST, "http://127.0.0.1:1", 200);
    }

    #[track_caller]
    fn rule(token: Option<&str>, local: &str, method: Method, shown: &str, expected: u16) {
        let access = Access::new(token.map(str::to_owned), local.parse().unwrap());
        let mut headers = HeaderMap::new();
        if !shown.is_empty() {
            headers.insert(header::AUTHORIZATION, shown.parse().unwrap());
        }
        let refusal = access.refusal(&method, &headers);
        let code = refusal.map_or(200, |(status, _)| status.as_u16());
        assert_eq!(code, expected, "{token:?} {local} {method} {shown}");
    }

    #[test]
    fn a_token_is_asked_for_where_it_is_needed() {
        let (inside, outside) = ("127.0.0.1:1", "192.0.2.1:1");
        rule(None, inside, Method::POST, "", 200);
        rule(None, "[::1]:1", Method::DELETE, "", 200);
        rule(None, "0.0.0.0:1", Method::POST, "", 403);
        rule(None, outside, Method::GET, "", 200);
        rule(None, outside, Method::DELETE, "", 403);
        for at in [inside, outside] {
            rule(Some("abc"), at, Method::GET, "", 401);
            rule(Some("abc"), at, Method::PATCH, "Bearer abd", 401);
            rule(Some("abc"), at, Method::PATCH, "Bearer ab", 401);
            rule(Some("abc"), at, Method::PATCH, "Basic abc", 401);
            rule(Some("abc"), at, Method::PATCH, "bearer abc", 200);
        }
    }
}
