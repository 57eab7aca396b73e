//! Bounds on what is taken from a peer, each with the outcome when it is passed.

/// Octets of one session description; beyond it [`crate::ParseError::TooLong`].
pub const TEXT_BYTES_MAX: usize = 65_535;

/// `m=` lines of one session description; beyond it [`crate::ParseError::TooManyMedia`].
pub const MEDIA_LINES_MAX: usize = 32;

/// URIs of one `a=path`; beyond it [`crate::PathError::TooLong`].
pub const PATH_URIS_MAX: usize = 16;

/// Media types of one `a=accept-types` or `a=accept-wrapped-types`; the rest is dropped, which can
/// only make us send less.
pub const ACCEPT_TYPES_MAX: usize = 128;

/// Alternative session descriptions in one H.248 Local or Remote; beyond it
/// [`crate::ParseError::TooManyAlternatives`].
pub const ALTERNATIVES_MAX: usize = 16;

/// `a=fingerprint` lines looked at; further ones are ignored.
pub const FINGERPRINTS_MAX: usize = 16;
