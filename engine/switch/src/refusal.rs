//! Why a request is refused, and the one place that turns the reason into a status.

use msrp::{HeadFault, StatusCode};

/// The peer learns the status; the log gets all of it.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("malformed request: {0}")]
    Fault(HeadFault),
    #[error("To-Path names no session of ours")]
    UnknownSession,
    #[error("the session is bound to another connection")]
    SessionInUse,
    #[error("the connection carries as many sessions as it may")]
    TooManySessions,
    #[error("no more sessions are taken while draining")]
    Draining,
    #[error("the session takes no connection for now")]
    Blocked,
    #[error("unknown method")]
    UnknownMethod,
    #[error("the mode of the stream does not take messages from the participant")]
    NotAllowed,
    #[error("media type not accepted")]
    ContentTypeNotAccepted,
    #[error("message larger than {limit_bytes} octets")]
    MessageTooLarge { limit_bytes: u64 },
    #[error("the rest of a message that was given up")]
    GivenUp,
    #[error("too many messages in progress")]
    TooManyMessages,
}

impl Refusal {
    /// The code this refusal puts on the wire (RFC 4975 10).
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Fault(fault) => fault.status(),
            Self::UnknownSession | Self::TooManySessions | Self::Draining => {
                StatusCode::NO_SUCH_SESSION
            }
            Self::SessionInUse => StatusCode::SESSION_IN_USE,
            Self::UnknownMethod => StatusCode::UNKNOWN_METHOD,
            Self::NotAllowed | Self::Blocked => StatusCode::FORBIDDEN,
            Self::ContentTypeNotAccepted => StatusCode::UNSUPPORTED_MEDIA,
            Self::MessageTooLarge { .. } | Self::TooManyMessages | Self::GivenUp => {
                StatusCode::STOP_SENDING
            }
        }
    }
}
