//! The HTTP side: health, metrics, a status page and the API.

mod access;
mod api;
mod listener;
mod page;
mod prometheus;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use crate::limits::{HTTP_CONNECTIONS_MAX, HTTP_IDLE_TIMEOUT};
use crate::live::Live;
use page::Conferences;

pub use access::Access;

/// Serves until the task is dropped.
///
/// # Errors
///
/// When the listener fails for good.
pub async fn serve(listener: TcpListener, live: Arc<Live>, access: Access) -> std::io::Result<()> {
    let listener = listener::Bounded::new(listener, HTTP_CONNECTIONS_MAX, HTTP_IDLE_TIMEOUT);
    axum::serve(listener, router(live, access)).await
}

fn router(live: Arc<Live>, access: Access) -> Router {
    let by_host = from_fn_with_state(access.clone(), access::check_host);
    let reader = access.clone();
    let page = move |live, headers| status_page(live, headers, reader.clone());
    Router::new()
        .route("/", get(page))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .merge(api::routes().layer(from_fn_with_state(access, access::check)))
        .layer(by_host)
        .with_state(live)
}

/// The process lives: that it answers is the answer.
async fn healthz() -> &'static str {
    "ok\n"
}

async fn readyz(State(live): State<Arc<Live>>) -> Response {
    match live.obstacle().await {
        None => "ready\n".into_response(),
        Some(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

async fn metrics(State(live): State<Arc<Live>>) -> Response {
    let text = prometheus::text(&live.counters().await);
    let content_type = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, content_type)], text).into_response()
}

async fn status_page(
    State(live): State<Arc<Live>>,
    headers: HeaderMap,
    access: Access,
) -> Html<String> {
    let obstacle = live.obstacle().await;
    let all = live.conferences().await;
    let conferences = match &all {
        None => Conferences::None,
        Some(all) if access.may_read(&headers) => Conferences::Shown(all),
        Some(all) => Conferences::Counted(all.len()),
    };
    let counters = live.counters().await;
    Html(page::html(live.facts(), obstacle, conferences, &counters))
}
