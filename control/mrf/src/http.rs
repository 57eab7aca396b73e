//! The HTTP side: health, metrics, a status page and the read-only API.

mod page;
mod prometheus;

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use mrfc::{ConferenceStatus, ParticipantStatus};
use serde::Serialize;
use tokio::net::TcpListener;

use crate::live::Live;

/// Serves until the task is dropped.
///
/// # Errors
///
/// When the listener fails for good.
pub async fn serve(listener: TcpListener, live: Arc<Live>) -> std::io::Result<()> {
    axum::serve(listener, router(live)).await
}

fn router(live: Arc<Live>) -> Router {
    Router::new()
        .route("/", get(status_page))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/api/v1/conferences", get(conferences))
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

async fn status_page(State(live): State<Arc<Live>>) -> Html<String> {
    let obstacle = live.obstacle().await;
    let conferences = live.conferences().await;
    let counters = live.counters().await;
    Html(page::html(
        live.facts(),
        obstacle,
        conferences.as_deref(),
        &counters,
    ))
}

async fn conferences(State(live): State<Arc<Live>>) -> Response {
    match live.conferences().await {
        Some(all) => Json(Conferences::of(&all)).into_response(),
        None => {
            let error = serde_json::json!({ "error": "this process has no MRFC" });
            (StatusCode::NOT_FOUND, Json(error)).into_response()
        }
    }
}

/// The answer to `GET /api/v1/conferences`.
#[derive(Serialize)]
struct Conferences<'a> {
    conferences: Vec<Conference<'a>>,
}

#[derive(Serialize)]
struct Conference<'a> {
    name: &'a str,
    context: Option<u32>,
    mrfp: Option<&'a str>,
    participants: Vec<Participant<'a>>,
}

#[derive(Serialize)]
struct Participant<'a> {
    id: u64,
    uri: &'a str,
    call_id: &'a str,
    termination: Option<&'a str>,
    connected: bool,
}

impl<'a> Conferences<'a> {
    fn of(all: &'a [ConferenceStatus]) -> Self {
        let conference = |status: &'a ConferenceStatus| Conference {
            name: &status.name,
            context: status.context,
            mrfp: status.mrfp.as_deref(),
            participants: status.participants.iter().map(participant).collect(),
        };
        Self {
            conferences: all.iter().map(conference).collect(),
        }
    }
}

fn participant(status: &ParticipantStatus) -> Participant<'_> {
    Participant {
        id: status.id,
        uri: &status.uri,
        call_id: &status.call_id,
        termination: status.termination.as_deref(),
        connected: status.is_connected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conferences_are_listed_as_json() {
        let status = ConferenceStatus {
            name: "lobby".to_owned(),
            context: Some(7),
            mrfp: None,
            participants: vec![ParticipantStatus {
                id: 3,
                uri: "sip:ann@example.net".to_owned(),
                call_id: "c1".to_owned(),
                termination: Some("ip/1".to_owned()),
                is_connected: true,
            }],
        };
        let json = serde_json::to_value(Conferences::of(&[status])).unwrap();
        let expected = serde_json::json!({ "conferences": [{
            "name": "lobby", "context": 7, "mrfp": null,
            "participants": [{ "id": 3, "uri": "sip:ann@example.net", "call_id": "c1",
                "termination": "ip/1", "connected": true }],
        }]});
        assert_eq!(json, expected);
    }
}
