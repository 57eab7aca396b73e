//! Bounds of a script, each with the outcome when it is passed.

/// Length of a script, octets; beyond it a syntax error.
pub const SCRIPT_BYTES_MAX: usize = 16 * 1024;

/// Length of one string, octets; beyond it a syntax error.
pub const STRING_BYTES_MAX: usize = 1024;

/// Blocks or tests inside each other (RFC 5228 2.10.4 asks for 15); beyond it a syntax error.
pub const NESTING_MAX: usize = 16;

/// Tests in a script, which bounds the work per message; beyond it a syntax error.
pub const TESTS_MAX: usize = 256;

/// Actions in a script; beyond it [`crate::ErrorKind::TooManyActions`].
pub const ACTIONS_MAX: usize = 64;
