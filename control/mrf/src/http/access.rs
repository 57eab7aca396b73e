//! Who may use the API.

use core::net::SocketAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Who may use the API: with a token whoever shows it; without one everybody may read, and change
/// something only where the listener is on loopback.
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
            None if self.0.is_loopback || method.is_safe() => None,
            None => Some((
                StatusCode::FORBIDDEN,
                "beyond loopback changes need http-token in the configuration",
            )),
        }
    }
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
