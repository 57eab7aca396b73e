//! `/api/v1`: conferences and who takes part, to look at and to act on.
//!
//! Changes are begun, not finished, when they are answered with 202: a participant is gone when it
//! has answered its BYE.

use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use mrfc::{Action, ActionError, ConferenceStatus, ParticipantStatus, Profile};
use serde::{Deserialize, Serialize};

use crate::config::ConferenceOptions;
use crate::live::Live;
use crate::settings;

/// Describes what follows (OpenAPI 3.1).
const OPENAPI: &str = include_str!("openapi.json");

pub(super) fn routes() -> Router<Arc<Live>> {
    Router::new()
        .route("/api/v1/openapi.json", get(openapi))
        .route("/api/v1/conferences", get(list).post(make))
        .route(
            "/api/v1/conferences/{name}",
            get(show).patch(change).delete(end),
        )
        .route(
            "/api/v1/conferences/{name}/participants",
            get(participants).post(invite),
        )
        .route(
            "/api/v1/conferences/{name}/participants/{id}",
            get(participant).patch(mute).delete(remove),
        )
}

async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

/// Why there is no answer of the kind that was asked for.
enum Refusal {
    NoMrfc,
    Action(ActionError),
    Json(JsonRejection),
}

impl From<ActionError> for Refusal {
    fn from(error: ActionError) -> Self {
        Self::Action(error)
    }
}

impl From<JsonRejection> for Refusal {
    fn from(rejection: JsonRejection) -> Self {
        Self::Json(rejection)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, why) = match self {
            Self::NoMrfc => (StatusCode::NOT_FOUND, "this process has no MRFC".to_owned()),
            Self::Action(error) => {
                let status = match error {
                    ActionError::NoConference | ActionError::NoParticipant => StatusCode::NOT_FOUND,
                    ActionError::Exists => StatusCode::CONFLICT,
                    ActionError::Uri => StatusCode::BAD_REQUEST,
                    ActionError::Busy => StatusCode::SERVICE_UNAVAILABLE,
                };
                (status, error.to_string())
            }
            Self::Json(rejection) => (rejection.status(), rejection.body_text()),
        };
        (status, Json(serde_json::json!({ "error": why }))).into_response()
    }
}

type Answer<T> = Result<T, Refusal>;
type Body<T> = Result<Json<T>, JsonRejection>;

async fn find(live: &Live, name: &str) -> Answer<ConferenceStatus> {
    let all = live.conferences().await.ok_or(Refusal::NoMrfc)?;
    let found = all.into_iter().find(|c| c.name == name);
    Ok(found.ok_or(ActionError::NoConference)?)
}

async fn act(live: &Live, name: &str, action: Action) -> Answer<Response> {
    live.act(name, action).await.ok_or(Refusal::NoMrfc)??;
    Ok(StatusCode::ACCEPTED.into_response())
}

async fn list(State(live): State<Arc<Live>>) -> Answer<Response> {
    let all = live.conferences().await.ok_or(Refusal::NoMrfc)?;
    Ok(Json(Conferences::of(&all)).into_response())
}

async fn make(State(live): State<Arc<Live>>, body: Body<ConferenceOptions>) -> Answer<Response> {
    let Json(asked) = body?;
    let name = asked.name.clone();
    let made = live.open(settings::conference(&asked)).await;
    made.ok_or(Refusal::NoMrfc)??;
    let made = find(&live, &name).await?;
    Ok((StatusCode::CREATED, Json(Conference::of(&made))).into_response())
}

async fn show(State(live): State<Arc<Live>>, Path(name): Path<String>) -> Answer<Response> {
    let status = find(&live, &name).await?;
    Ok(Json(Conference::of(&status)).into_response())
}

/// What can be changed about a conference.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConferenceChange {
    locked: bool,
}

async fn change(
    State(live): State<Arc<Live>>,
    Path(name): Path<String>,
    body: Body<ConferenceChange>,
) -> Answer<Response> {
    let Json(ConferenceChange { locked }) = body?;
    act(&live, &name, Action::Lock(locked)).await
}

async fn end(State(live): State<Arc<Live>>, Path(name): Path<String>) -> Answer<Response> {
    act(&live, &name, Action::Close).await
}

async fn participants(State(live): State<Arc<Live>>, Path(name): Path<String>) -> Answer<Response> {
    let status = find(&live, &name).await?;
    let all: Vec<_> = status.participants.iter().map(Participant::of).collect();
    Ok(Json(serde_json::json!({ "participants": all })).into_response())
}

/// Whom to call.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Invitation {
    uri: String,
}

async fn invite(
    State(live): State<Arc<Live>>,
    Path(name): Path<String>,
    body: Body<Invitation>,
) -> Answer<Response> {
    let Json(Invitation { uri }) = body?;
    act(&live, &name, Action::Invite(uri)).await
}

async fn participant(
    State(live): State<Arc<Live>>,
    Path((name, id)): Path<(String, u64)>,
) -> Answer<Response> {
    let status = find(&live, &name).await?;
    let found = status.participants.iter().find(|p| p.id == id);
    let found = found.ok_or(ActionError::NoParticipant)?;
    Ok(Json(Participant::of(found)).into_response())
}

/// What can be changed about a participant.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ParticipantChange {
    muted: bool,
}

async fn mute(
    State(live): State<Arc<Live>>,
    Path((name, participant)): Path<(String, u64)>,
    body: Body<ParticipantChange>,
) -> Answer<Response> {
    let Json(ParticipantChange { muted: is_muted }) = body?;
    let action = Action::Mute {
        participant,
        is_muted,
    };
    act(&live, &name, action).await
}

async fn remove(
    State(live): State<Arc<Live>>,
    Path((name, participant)): Path<(String, u64)>,
) -> Answer<Response> {
    act(&live, &name, Action::Remove { participant }).await
}

#[derive(Serialize)]
struct Conferences<'a> {
    conferences: Vec<Conference<'a>>,
}

#[derive(Serialize)]
struct Conference<'a> {
    name: &'a str,
    uri: Option<&'a str>,
    subject: Option<&'a str>,
    profile: &'static str,
    locked: bool,
    max_participants: usize,
    context: Option<u32>,
    mrfp: Option<&'a str>,
    participants: Vec<Participant<'a>>,
}

#[derive(Serialize)]
struct Participant<'a> {
    id: u64,
    uri: &'a str,
    display: Option<&'a str>,
    nickname: Option<&'a str>,
    call_id: &'a str,
    termination: Option<&'a str>,
    called: bool,
    connected: bool,
    muted: bool,
    joined_at: Option<u64>,
}

impl<'a> Conferences<'a> {
    fn of(all: &'a [ConferenceStatus]) -> Self {
        Self {
            conferences: all.iter().map(Conference::of).collect(),
        }
    }
}

impl<'a> Conference<'a> {
    fn of(status: &'a ConferenceStatus) -> Self {
        Self {
            name: &status.name,
            uri: status.uri.as_deref(),
            subject: status.subject.as_deref(),
            profile: match status.profile {
                Profile::ThreeGpp => "3gpp",
                Profile::Chatroom => "chatroom",
            },
            locked: status.is_locked,
            max_participants: status.seats_max,
            context: status.context,
            mrfp: status.mrfp.as_deref(),
            participants: status.participants.iter().map(Participant::of).collect(),
        }
    }
}

impl<'a> Participant<'a> {
    fn of(status: &'a ParticipantStatus) -> Self {
        Self {
            id: status.id,
            uri: &status.uri,
            display: status.display.as_deref(),
            nickname: status.nickname.as_deref(),
            call_id: &status.call_id,
            termination: status.termination.as_deref(),
            called: status.is_called,
            connected: status.is_connected,
            muted: status.is_muted,
            joined_at: status.joined_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> ConferenceStatus {
        ConferenceStatus {
            name: "lobby".to_owned(),
            context: Some(7),
            seats_max: 9,
            participants: vec![ParticipantStatus {
                id: 3,
                uri: "sip:ann@example.net".to_owned(),
                call_id: "c1".to_owned(),
                termination: Some("ip/1".to_owned()),
                is_connected: true,
                ..ParticipantStatus::default()
            }],
            ..ConferenceStatus::default()
        }
    }

    #[test]
    fn conferences_are_listed_as_json() {
        let json = serde_json::to_value(Conferences::of(&[status()])).unwrap();
        let expected = serde_json::json!({ "conferences": [{
            "name": "lobby", "uri": null, "subject": null, "profile": "3gpp", "locked": false,
            "max_participants": 9, "context": 7, "mrfp": null,
            "participants": [{ "id": 3, "uri": "sip:ann@example.net", "display": null,
                "nickname": null, "call_id": "c1", "termination": "ip/1", "called": false,
                "connected": true, "muted": false, "joined_at": null }],
        }]});
        assert_eq!(json, expected);
    }

    /// The names that a schema in the document has.
    fn described(document: &serde_json::Value, schema: &str) -> Vec<String> {
        let properties = &document["components"]["schemas"][schema]["properties"];
        let properties = properties.as_object().expect(schema);
        properties.keys().cloned().collect()
    }

    #[test]
    fn the_openapi_document_describes_what_is_served() {
        let document: serde_json::Value = serde_json::from_str(OPENAPI).unwrap();
        let conference = serde_json::to_value(Conference::of(&status())).unwrap();
        let participant = &conference["participants"][0];
        for (schema, value) in [("Conference", &conference), ("Participant", participant)] {
            let keys: Vec<_> = value.as_object().unwrap().keys().cloned().collect();
            assert_eq!(described(&document, schema), keys, "{schema}");
        }
        let mut settings = crate::config::CONFERENCE_KEYS.to_vec();
        settings.sort_unstable();
        assert_eq!(described(&document, "NewConference"), settings);
        let paths = document["paths"].as_object().unwrap();
        let methods = paths.iter().map(|(path, item)| {
            let methods = item.as_object().unwrap().keys();
            let methods: Vec<_> = methods.filter(|m| *m != "parameters").cloned().collect();
            (path.as_str(), methods.join(" "))
        });
        let expected = [
            ("/api/v1/conferences", "get post"),
            ("/api/v1/conferences/{name}", "delete get patch"),
            ("/api/v1/conferences/{name}/participants", "get post"),
            (
                "/api/v1/conferences/{name}/participants/{id}",
                "delete get patch",
            ),
        ];
        let expected = expected.map(|(path, methods)| (path, methods.to_owned()));
        assert_eq!(methods.collect::<Vec<_>>(), expected);
    }
}
