//! The numbers of H.248.8: error codes of Error descriptors and reasons of ServiceChange.

use core::fmt;

use crate::ast::{ErrorDescriptor, Text, Value};

macro_rules! codes {
    ($type:ident: $($code:literal $name:ident $text:literal,)*) => {
        impl $type {
            $(
                #[doc = concat!($text, " (", stringify!($code), ").")]
                pub const $name: Self = Self($code);
            )*

            /// The registered explanation, or an empty string for a code not in the table.
            #[must_use]
            pub const fn text(self) -> &'static str {
                match self.0 {
                    $($code => $text,)*
                    _ => "",
                }
            }
        }
    };
}

/// An error code of an Error descriptor (H.248.8; 600 to 629 are H.248.9's and have no name here).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ErrorCode(pub u16);

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text() {
            "" => write!(f, "{}", self.0),
            text => write!(f, "{} {text}", self.0),
        }
    }
}

impl From<ErrorCode> for u16 {
    fn from(code: ErrorCode) -> Self {
        code.0
    }
}

impl From<ErrorCode> for ErrorDescriptor {
    /// The code with its registered text.
    fn from(code: ErrorCode) -> Self {
        Self::new(code, code.text())
    }
}

impl ErrorDescriptor {
    /// A descriptor with an explanation of the sender's own; an empty `text` is left out.
    #[must_use]
    pub fn new(code: ErrorCode, text: &str) -> Self {
        Self {
            code: code.0,
            text: (!text.is_empty()).then(|| Text::from(text)),
        }
    }

    /// The code as a type that knows names and texts.
    #[must_use]
    pub fn error_code(&self) -> ErrorCode {
        ErrorCode(self.code)
    }
}

impl fmt::Display for ErrorDescriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.text {
            Some(text) => write!(f, "{} {text}", self.code),
            None => self.error_code().fmt(f),
        }
    }
}

/// A reason of a ServiceChange, 900 to 920.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceChangeReason(pub u16);

impl ServiceChangeReason {
    /// The value of `Reason`: the code, a blank and the registered text, quoted (RFC 3525 Annex
    /// B.2 wants a quotedString).
    #[must_use]
    pub fn value(self) -> Value {
        Value::quoted(self.to_string())
    }

    /// Reads the code at the start of a `Reason` value; `None` when there is none.
    #[must_use]
    pub fn of(value: &Value) -> Option<Self> {
        let digits = value.text.split(' ').next()?;
        digits.parse().ok().map(Self)
    }
}

impl fmt::Display for ServiceChangeReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text() {
            "" => write!(f, "{}", self.0),
            text => write!(f, "{} {text}", self.0),
        }
    }
}

codes! { ErrorCode:
    400 SYNTAX_ERROR_IN_MESSAGE "Syntax error in message",
    401 PROTOCOL_ERROR "Protocol Error",
    402 UNAUTHORIZED "Unauthorized",
    403 SYNTAX_ERROR_IN_TRANSACTION "Syntax error in transaction request",
    406 VERSION_NOT_SUPPORTED "Version Not Supported",
    410 INCORRECT_IDENTIFIER "Incorrect identifier",
    411 UNKNOWN_CONTEXT "The transaction refers to an unknown ContextId",
    412 NO_CONTEXT_IDS "No ContextIDs available",
    413 TOO_MANY_TRANSACTIONS "Number of transactions in message exceeds maximum",
    421 UNKNOWN_ACTION "Unknown action or illegal combination of actions",
    422 SYNTAX_ERROR_IN_ACTION "Syntax Error in Action",
    430 UNKNOWN_TERMINATION "Unknown TerminationID",
    431 NO_WILDCARD_MATCH "No TerminationID matched a wildcard",
    432 NO_TERMINATION_IDS "Out of TerminationIDs or No TerminationID available",
    433 TERMINATION_IN_A_CONTEXT "TerminationID is already in a Context",
    434 TOO_MANY_TERMINATIONS "Max number of Terminations in a Context exceeded",
    435 TERMINATION_NOT_IN_CONTEXT "Termination ID is not in specified Context",
    440 UNKNOWN_PACKAGE "Unsupported or unknown Package",
    441 MISSING_REMOTE_OR_LOCAL "Missing Remote or Local Descriptor",
    442 SYNTAX_ERROR_IN_COMMAND "Syntax Error in Command",
    443 UNKNOWN_COMMAND "Unsupported or Unknown Command",
    444 UNKNOWN_DESCRIPTOR "Unsupported or Unknown Descriptor",
    445 UNKNOWN_PROPERTY "Unsupported or Unknown Property",
    446 UNKNOWN_PARAMETER "Unsupported or Unknown Parameter",
    447 DESCRIPTOR_NOT_LEGAL "Descriptor not legal in this command",
    448 DESCRIPTOR_TWICE "Descriptor appears twice in a command",
    449 UNKNOWN_VALUE "Unsupported or Unknown Parameter or Property Value",
    450 NO_SUCH_PROPERTY "No such property in this package",
    451 NO_SUCH_EVENT "No such event in this package",
    452 NO_SUCH_SIGNAL "No such signal in this package",
    453 NO_SUCH_STATISTIC "No such statistic in this package",
    454 NO_SUCH_PARAMETER_VALUE "No such parameter value in this package",
    455 PROPERTY_ILLEGAL_HERE "Property illegal in this Descriptor",
    456 PROPERTY_TWICE "Property appears twice in this Descriptor",
    457 MISSING_PARAMETER "Missing parameter in signal or event",
    458 UNEXPECTED_REQUEST_ID "Unexpected Event/Request ID",
    459 SEGMENTS_NOT_RECEIVED "Segments not received",
    460 UNABLE_TO_SET_STATISTIC "Unable to set statistic on stream",
    461 UNKNOWN_PROFILE "Unsupported or Unknown Profile",
    471 IMPLIED_ADD_FAILED "Implied Add for Multiplex failure",
    472 INFORMATION_MISSING "Required Information Missing",
    473 CONFLICTING_VALUES "Conflicting Property Values",
    474 INVALID_SDP "Invalid SDP Syntax",
    475 CANNOT_PAUSE "Unable to pause the playout of the signal",
    476 CANNOT_ADJUST_DELIVERY_SPEED "Unable to adjust the data delivery speed of the Signal",
    477 CANNOT_ADJUST_SCALE "Unable to adjust the playback relative scale of the signal",
    478 CONTRADICTS_RESOURCE_RULE "Behaviour Contradicts Resource Rule",
    500 INTERNAL_SOFTWARE_FAILURE "Internal software Failure in MG",
    501 NOT_IMPLEMENTED "Not Implemented",
    502 NOT_READY "Not ready",
    503 SERVICE_UNAVAILABLE "Service Unavailable",
    504 UNAUTHORIZED_ENTITY "Command Received from unauthorized entity",
    505 BEFORE_SERVICE_CHANGE_REPLY "Transaction Request Received before a Service Change Reply has been received",
    506 PENDINGS_EXCEEDED "Number of Transaction Pendings Exceeded",
    510 INSUFFICIENT_RESOURCES "Insufficient resources",
    511 TEMPORARILY_BUSY "Temporarily Busy",
    512 CANNOT_DETECT_EVENT "Media Gateway unequipped to detect requested Event",
    513 CANNOT_GENERATE_SIGNAL "Media Gateway unequipped to generate requested Signals",
    514 CANNOT_SEND_ANNOUNCEMENT "Media Gateway cannot send the specified announcement",
    515 UNSUPPORTED_MEDIA_TYPE "Unsupported Media Type",
    517 UNSUPPORTED_MODE "Unsupported or invalid mode",
    518 EVENT_BUFFER_FULL "Event buffer full",
    519 NO_SPACE_FOR_DIGIT_MAP "Out of space to store digit map",
    520 UNKNOWN_DIGIT_MAP "Digit Map undefined in the MG",
    521 TERMINATION_SERVICE_CHANGING "Termination is ServiceChanging",
    522 TOPOLOGY_NOT_SUPPORTED "Functionality Requested in Topology Triple Not Supported",
    526 INSUFFICIENT_BANDWIDTH "Insufficient bandwidth",
    529 INTERNAL_HARDWARE_FAILURE "Internal hardware failure in MG",
    530 TEMPORARY_NETWORK_FAILURE "Temporary Network failure",
    531 PERMANENT_NETWORK_FAILURE "Permanent Network failure",
    532 AUDITED_ITEM_DOES_NOT_EXIST "Audited Property, Statistic, Event or Signal does not exist",
    533 RESPONSE_TOO_LARGE "Response exceeds maximum transport PDU size",
    534 ILLEGAL_WRITE "Illegal write or read only property",
    540 UNEXPECTED_HOOK_STATE "Unexpected initial hook state",
    541 UNEXPECTED_SPARE_BIT_STATE "Unexpected Spare Bit State",
    542 COMMAND_NOT_ALLOWED "Command is not allowed on this termination",
    543 TIMESTAMP_NOT_SUPPORTED "MGC requested event detection timestamp not supported",
    581 DOES_NOT_EXIST "Does Not Exist",
    700 SIEVE_SYNTAX_ERROR "Sieve Script Syntax Error",
    701 SIEVE_REQUIRE_UNSUPPORTED "Unsupported Sieve Require Error",
    702 SIEVE_ACTIONS_EXCEEDED "Sieve Actions Exceeded Error",
}

codes! { ServiceChangeReason:
    900 SERVICE_RESTORED "Service Restored",
    901 COLD_BOOT "Cold Boot",
    902 WARM_BOOT "Warm Boot",
    903 MGC_DIRECTED_CHANGE "MGC Directed Change",
    904 TERMINATION_MALFUNCTIONING "Termination malfunctioning",
    905 TERMINATION_OUT_OF_SERVICE "Termination taken out of service",
    906 LOSS_OF_LOWER_LAYER "Loss of lower layer connectivity",
    907 TRANSMISSION_FAILURE "Transmission Failure",
    908 MG_IMPENDING_FAILURE "MG Impending Failure",
    909 MGC_IMPENDING_FAILURE "MGC Impending Failure",
    910 MEDIA_CAPABILITY_FAILURE "Media Capability Failure",
    911 MODEM_CAPABILITY_FAILURE "Modem Capability Failure",
    912 MUX_CAPABILITY_FAILURE "Mux Capability Failure",
    913 SIGNAL_CAPABILITY_FAILURE "Signal Capability Failure",
    914 EVENT_CAPABILITY_FAILURE "Event Capability Failure",
    915 STATE_LOSS "State Loss",
    916 PACKAGES_CHANGE "Packages Change",
    917 CAPABILITIES_CHANGE "Capabilities Change",
    918 CANCEL_GRACEFUL "Cancel Graceful",
    919 WARM_FAILOVER "Warm Failover",
    920 COLD_FAILOVER "Cold Failover",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_know_their_texts() {
        assert_eq!(
            ErrorCode::UNKNOWN_CONTEXT.to_string(),
            "411 The transaction refers to an unknown ContextId"
        );
        assert_eq!(ErrorCode(619).to_string(), "619");
        assert_eq!(ErrorDescriptor::from(ErrorCode(619)).text, None);
        assert_eq!(
            ErrorDescriptor::new(ErrorCode(500), "disk").to_string(),
            "500 disk"
        );
    }

    #[test]
    fn reasons_are_written_quoted_and_read_with_or_without_text() {
        let value = ServiceChangeReason::COLD_BOOT.value();
        assert_eq!((value.text.as_str(), value.quoted), ("901 Cold Boot", true));
        assert_eq!(
            ServiceChangeReason::of(&value),
            Some(ServiceChangeReason::COLD_BOOT)
        );
        assert_eq!(
            ServiceChangeReason::of(&Value::plain("908")),
            Some(ServiceChangeReason::MG_IMPENDING_FAILURE)
        );
        assert_eq!(ServiceChangeReason::of(&Value::quoted("cold boot")), None);
    }
}
