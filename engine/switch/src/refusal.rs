//! Why a request is refused, and the one place that turns the reason into a status.

use msrp::cpim::CpimFault;
use msrp::{HeadFault, StatusCode};

use crate::security::Misfit;

/// The peer learns the status; the log gets all of it.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("malformed request: {0}")]
    Fault(HeadFault),
    #[error("To-Path names no session of ours")]
    UnknownSession,
    #[error("the shard that has the session takes nothing")]
    ShardStuck,
    #[error("the session is bound to another connection")]
    SessionInUse,
    #[error("the connection carries as many sessions as it may")]
    TooManySessions,
    #[error("no more sessions are taken while draining")]
    Draining,
    #[error("the session takes no connection for now")]
    Blocked,
    #[error("{0}")]
    Misfit(#[from] Misfit),
    #[error("unknown method")]
    UnknownMethod,
    #[error("the mode of the stream does not take messages from the participant")]
    NotAllowed,
    #[error("media type not accepted")]
    ContentTypeNotAccepted,
    #[error("message larger than {limit_bytes} octets")]
    MessageTooLarge { limit_bytes: u64 },
    #[error("the rest of a message that was refused or given up")]
    Rest(StatusCode),
    #[error("a message that does not begin at its beginning")]
    NoBeginning,
    #[error("too many messages in progress")]
    TooManyMessages,
    #[error("more gaps in a message than can be kept")]
    TooManyRanges,
    #[error("wrapped media type not accepted")]
    WrappedTypeNotAccepted,
    #[error("malformed wrapper: {0}")]
    Wrapper(CpimFault),
    #[error("CPIM From is not the sender's")]
    WrongSender,
    #[error("more than one CPIM To")]
    SeveralRecipients,
    #[error("CPIM To is neither the room nor a participant")]
    UnknownRecipient,
    #[error("the room allows no private messages")]
    PrivateNotAllowed,
    #[error("the recipient takes no private messages")]
    PrivateNotSupported,
    #[error("the room allows no nicknames")]
    NicknamesNotAllowed,
    #[error("another nickname was asked for and is not decided yet")]
    NicknameAsked,
    #[error("who decides about nicknames does not know all of them yet")]
    NicknameUndecided,
    #[error("malformed nickname")]
    NicknameMalformed,
    #[error("nickname reserved or in use")]
    NicknameTaken,
    #[error("refused by a filter: {}", .0.as_u16())]
    Filtered(StatusCode),
}

impl From<StatusCode> for Refusal {
    fn from(status: StatusCode) -> Self {
        Self::Filtered(status)
    }
}

impl Refusal {
    /// The code this refusal puts on the wire (RFC 4975 10, RFC 7701 10.3).
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Fault(fault) => fault.status(),
            Self::Wrapper(_) => StatusCode::BAD_REQUEST,
            Self::UnknownSession | Self::TooManySessions | Self::Draining | Self::Misfit(_) => {
                StatusCode::NO_SUCH_SESSION
            }
            Self::ShardStuck | Self::NicknameUndecided => StatusCode::TIMEOUT,
            Self::SessionInUse => StatusCode::SESSION_IN_USE,
            Self::UnknownMethod => StatusCode::UNKNOWN_METHOD,
            Self::NotAllowed
            | Self::Blocked
            | Self::WrongSender
            | Self::SeveralRecipients
            | Self::PrivateNotAllowed
            | Self::NicknamesNotAllowed => StatusCode::FORBIDDEN,
            Self::UnknownRecipient => StatusCode::NOT_FOUND,
            Self::PrivateNotSupported => StatusCode::NO_PRIVATE_MESSAGES,
            Self::ContentTypeNotAccepted | Self::WrappedTypeNotAccepted => {
                StatusCode::UNSUPPORTED_MEDIA
            }
            Self::MessageTooLarge { .. }
            | Self::TooManyMessages
            | Self::TooManyRanges
            | Self::NicknameAsked
            | Self::NoBeginning => StatusCode::STOP_SENDING,
            Self::NicknameMalformed => StatusCode::BAD_NICKNAME,
            Self::NicknameTaken => StatusCode::NICKNAME_TAKEN,
            Self::Rest(status) | Self::Filtered(status) => *status,
        }
    }
}
