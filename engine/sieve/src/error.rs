//! Why a script was refused.

use core::fmt;

/// What is wrong with a script, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Which kind of fault.
    pub kind: ErrorKind,
    /// Line of the fault, from 1 on.
    pub line: u32,
    /// Column of the fault in characters, from 1 on.
    pub column: u32,
    /// What was found or expected.
    pub text: String,
}

/// Kinds of fault that protocols tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The text is not Sieve, or passes a limit.
    Syntax,
    /// It is Sieve, but needs what is not supported here or was not required.
    Capability,
    /// There are more than [`crate::limits::ACTIONS_MAX`] actions.
    TooManyActions,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.text)
    }
}

impl core::error::Error for Error {}
