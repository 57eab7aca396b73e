//! Response codes.

/// A three-digit response code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StatusCode(u16);

impl StatusCode {
    /// 200: taken over (RFC 4975 section 10.1).
    pub const OK: Self = Self(200);
    /// 400: not understood (RFC 4975 section 10.2).
    pub const BAD_REQUEST: Self = Self(400);
    /// 401: credentials wanted (RFC 4976).
    pub const UNAUTHORIZED: Self = Self(401);
    /// 403: not allowed (RFC 4975 section 10.3).
    pub const FORBIDDEN: Self = Self(403);
    /// 404: no such recipient (RFC 7701 section 6.2).
    pub const NOT_FOUND: Self = Self(404);
    /// 408: a downstream transaction took too long (RFC 4975 section 10.4).
    pub const TIMEOUT: Self = Self(408);
    /// 413: send no more of this message (RFC 4975 section 10.5).
    pub const STOP_SENDING: Self = Self(413);
    /// 415: media type not accepted (RFC 4975 section 10.6).
    pub const UNSUPPORTED_MEDIA: Self = Self(415);
    /// 423: a parameter is out of bounds (RFC 4975 section 10.7).
    pub const OUT_OF_BOUNDS: Self = Self(423);
    /// 424: nickname not usable (RFC 7701).
    pub const BAD_NICKNAME: Self = Self(424);
    /// 425: nickname reserved or in use (RFC 7701).
    pub const NICKNAME_TAKEN: Self = Self(425);
    /// 428: the recipient takes no private messages (RFC 7701 section 6.2).
    pub const NO_PRIVATE_MESSAGES: Self = Self(428);
    /// 481: no such session (RFC 4975 section 10.8).
    pub const NO_SUCH_SESSION: Self = Self(481);
    /// 501: unknown method (RFC 4975 section 10.9).
    pub const UNKNOWN_METHOD: Self = Self(501);
    /// 506: the session is bound to another connection (RFC 4975 section 10.10).
    pub const SESSION_IN_USE: Self = Self(506);

    /// A code of three digits, 0 to 999; `None` beyond.
    pub const fn new(code: u16) -> Option<Self> {
        if code <= 999 { Some(Self(code)) } else { None }
    }

    /// The number.
    pub const fn as_u16(self) -> u16 {
        self.0
    }

    /// The three digits as they go on the wire.
    pub fn digits(self) -> [u8; 3] {
        [self.0 / 100, self.0 / 10 % 10, self.0 % 10]
            .map(|digit| b'0' + u8::try_from(digit).expect("a code is at most 999"))
    }

    /// Reads exactly three digits.
    pub(crate) fn from_digits(digits: &[u8]) -> Option<Self> {
        if digits.len() != 3 || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        Some(Self(
            digits
                .iter()
                .fold(0, |code, digit| code * 10 + u16::from(digit - b'0')),
        ))
    }

    /// A short comment for people; empty for codes this crate does not know. It has no meaning to
    /// the peer (RFC 4975 section 9).
    pub const fn phrase(self) -> &'static str {
        match self.0 {
            200 => "OK",
            400 => "Bad Request",
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "Not Found",
            408 => "Timeout",
            413 => "Stop Sending",
            415 => "Unsupported Media Type",
            423 => "Parameter Out Of Bounds",
            424 => "Nickname Not Usable",
            425 => "Nickname In Use",
            428 => "Private Messages Not Supported",
            481 => "No Such Session",
            501 => "Unknown Method",
            506 => "Session In Use",
            _ => "",
        }
    }
}

impl std::fmt::Display for StatusCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:03}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // MSRP-FRAME-004.
    #[test]
    fn codes_have_exactly_three_digits() {
        assert_eq!(StatusCode::new(999).map(StatusCode::digits), Some(*b"999"));
        assert_eq!(StatusCode::new(7).map(StatusCode::digits), Some(*b"007"));
        assert_eq!(StatusCode::new(1000), None);
        assert_eq!(
            StatusCode::from_digits(b"481"),
            Some(StatusCode::NO_SUCH_SESSION)
        );
        assert_eq!(StatusCode::from_digits(b"48"), None);
        assert_eq!(StatusCode::from_digits(b"4 1"), None);
        assert_eq!(StatusCode::NO_SUCH_SESSION.to_string(), "481");
    }
}
