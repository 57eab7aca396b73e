//! What can be wrong with a head.

use crate::byte_range::ByteRangeError;
use crate::status::StatusCode;
use crate::uri::UriError;

/// Why a frame cannot be acted on although it was framed.
///
/// The connection goes on. A SEND or other answerable request gets [`HeadFault::status`] unless it
/// says `Failure-Report: no`; a REPORT or response is dropped in silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeadFault {
    /// The first header field is not To-Path.
    #[error("To-Path is not the first header field")]
    ToPathNotFirst,
    /// The second header field is not From-Path.
    #[error("From-Path is not the second header field")]
    FromPathNotSecond,
    /// A To-Path URI is unusable.
    #[error("To-Path: {0}")]
    ToPath(UriError),
    /// A From-Path URI is unusable.
    #[error("From-Path: {0}")]
    FromPath(UriError),
    /// A header line without a colon.
    #[error("a header line has no colon")]
    NoColon,
    /// A header line that begins with a blank; MSRP has no folding.
    #[error("a header line begins with a blank, and MSRP has no line folding")]
    Folded,
    /// A header name that is no token.
    #[error("a header name is not a token")]
    FieldName,
    /// A control character other than HTAB in a value, a bare CR or LF among them.
    #[error("a header value holds a control character")]
    Control,
    /// Strict grammar only: not exactly one blank after a colon.
    #[error("not exactly one blank after a header name's colon")]
    ColonSpacing,
    /// A field that may occur once occurs again.
    #[error("{0} occurs twice")]
    Duplicate(&'static str),
    /// SEND or REPORT without Message-ID.
    #[error("Message-ID is missing")]
    MessageIdMissing,
    /// Message-ID is not an ident.
    #[error("Message-ID is not an ident of 4 to 32 characters")]
    MessageId,
    /// Byte-Range is unusable.
    #[error("{0}")]
    ByteRange(ByteRangeError),
    /// Success-Report is neither yes nor no.
    #[error("Success-Report is neither yes nor no")]
    SuccessReport,
    /// Failure-Report is none of yes, no and partial.
    #[error("Failure-Report is none of yes, no and partial")]
    FailureReport,
    /// Success-Report or Failure-Report in a method that must not carry them.
    #[error("Success-Report and Failure-Report are not for this method")]
    ReportField,
    /// REPORT without Status.
    #[error("Status is missing")]
    StatusMissing,
    /// Status is not a namespace and a code of three digits each.
    #[error("Status is not a namespace and a code of three digits each")]
    Status,
    /// Content-Type is not a media type.
    #[error("Content-Type is not a media type")]
    ContentType,
    /// Strict grammar only: a field follows Content-Type.
    #[error("Content-Type is not the last header field")]
    ContentTypeNotLast,
    /// Content-Type, but no body follows.
    #[error("Content-Type without a body")]
    ContentTypeWithoutBody,
    /// A body, but no Content-Type.
    #[error("a body without Content-Type")]
    BodyWithoutContentType,
    /// Strict grammar only: a blank line before the end-line of a request without body.
    #[error("a blank line before the end-line of a request without body")]
    BlankLineWithoutBody,
    /// A response with a body.
    #[error("a response has a body")]
    ResponseBody,
    /// A response that ends in a flag other than `$`.
    #[error("a response ends in a flag other than $")]
    ResponseFlag,
    /// A request other than SEND that ends in a flag other than `$`.
    #[error("a request other than SEND ends in a flag other than $")]
    OtherFlag,
    /// A request other than SEND with a body beyond 10240 octets.
    #[error("a request other than SEND has a body beyond 10240 octets")]
    OtherBodyTooLarge,
}

impl HeadFault {
    /// The code that answers the request, if it is to be answered (RFC 4975 section 10.2).
    pub fn status(&self) -> StatusCode {
        match self {
            Self::ToPathNotFirst
            | Self::FromPathNotSecond
            | Self::ToPath(_)
            | Self::FromPath(_)
            | Self::NoColon
            | Self::Folded
            | Self::FieldName
            | Self::Control
            | Self::ColonSpacing
            | Self::Duplicate(_)
            | Self::MessageIdMissing
            | Self::MessageId
            | Self::ByteRange(_)
            | Self::SuccessReport
            | Self::FailureReport
            | Self::ReportField
            | Self::StatusMissing
            | Self::Status
            | Self::ContentType
            | Self::ContentTypeNotLast
            | Self::ContentTypeWithoutBody
            | Self::BodyWithoutContentType
            | Self::BlankLineWithoutBody
            | Self::ResponseBody
            | Self::ResponseFlag
            | Self::OtherFlag
            | Self::OtherBodyTooLarge => StatusCode::BAD_REQUEST,
        }
    }
}
