//! Every bound of this crate, by name.

/// The longest `ident` (transaction id, Message-ID), in octets (RFC 4975 section 9).
pub const IDENT_BYTES_MAX: usize = 32;

/// The shortest `ident`, in octets (RFC 4975 section 9).
pub const IDENT_BYTES_MIN: usize = 4;

/// The longest end-line with the CRLF before it: CRLF, seven hyphens, ident, flag, CRLF.
pub const END_LINE_BYTES_MAX: usize = 2 + 7 + IDENT_BYTES_MAX + 1 + 2;

/// The most octets a [`Deframer`](crate::Deframer) keeps back from a body because they may have
/// begun an end-line.
pub const HELD_BYTES_MAX: usize = 48;

/// The longest head that a [`Deframer`](crate::Deframer) remembers in order to read the next one by it, in octets.
pub const HABIT_BYTES_MAX: usize = 1024;

/// The largest body of a request other than SEND, in octets (RFC 4975 section 7.1).
pub const OTHER_BODY_BYTES_MAX: u32 = 10_240;

/// The most separate ranges tracked for one partly received message. A peer that leaves more holes
/// than this open at once is refused.
pub const RANGES_MAX: usize = 64;

const _: () = assert!(END_LINE_BYTES_MAX <= HELD_BYTES_MAX);

/// How exactly a head has to follow the grammar of RFC 4975 section 9.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Grammar {
    /// Accept what is unambiguous although printed wrongly: any number of blanks after a header
    /// name's colon, a quoted media type, Content-Type before other fields, a blank line before
    /// the end-line of a request without body.
    #[default]
    Tolerant,
    /// Report each of those as a fault. For tools that judge other implementations.
    Strict,
}

/// What a [`Deframer`](crate::Deframer) accepts on one connection.
///
/// RFC 4975 sets no maximum for any of these; a peer that passes one loses its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest start line, in octets without its CRLF.
    pub start_line_bytes_max: u32,
    /// Longest start line plus header fields, in octets with their CRLFs.
    pub head_bytes_max: u32,
    /// Most header fields in one frame.
    pub headers_max: u16,
    /// Most URIs in a To-Path or From-Path.
    pub path_uris_max: u16,
    /// Whether a complete end-line that does not begin a line ends the connection. It can only
    /// come from a sender that broke RFC 4975 section 7.1, or from an attempt to smuggle a frame
    /// past a receiver that frames differently. `false` treats it as body octets.
    pub embedded_end_line_is_fatal: bool,
    /// How exactly heads have to follow the grammar.
    pub grammar: Grammar,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            start_line_bytes_max: 1024,
            head_bytes_max: 16 * 1024,
            headers_max: 64,
            path_uris_max: 64,
            embedded_end_line_is_fatal: true,
            grammar: Grammar::Tolerant,
        }
    }
}
