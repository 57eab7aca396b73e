//! Package `recmess` (H.248.69): the messages of a termination are recorded in the storage.
//!
//! ```text
//! recmess/rm -> read() -> Open to the storage, then the session's configuration names the recording
//! Signals without it, its time over, Subtract -> configuration without it, Close
//! Ended by the storage -> recmess/messfail unless it is full, g/sc
//! ```

use h248::ast::{Parm, PropertyValue};

use super::fault::Fault;
use super::mess::{is_yes, quoted, text};
use super::package;
use crate::storage::StoragePath;
use crate::storage::limits::RECORD_BYTES_MAX;

/// The event that tells of a recording that failed.
pub(super) const MESSFAIL: (&str, &str) = ("recmess", "messfail");

/// A recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub path: StoragePath,
    /// `dir`: what comes from the participant (EXT), or what goes to it (INT).
    pub is_incoming: bool,
    pub appends: bool,
    pub octets_max: u64,
    /// The name was left to us: it goes into the reply.
    pub is_chosen: bool,
}

impl Record {
    /// Reads the parameters of `recmess/rm`; `name` is the one taken when it is left to us.
    pub(super) fn read(parms: &[Parm], name: impl FnOnce() -> String) -> Result<Self, Fault> {
        let wanted = text(parms, "sl").ok_or(Fault::ParameterMissing("sl of recmess/rm"))?;
        let is_chosen = matches!(wanted, "?" | "$");
        let path = if is_chosen {
            StoragePath::parse(&name())
        } else {
            StoragePath::parse(wanted)
        };
        let path = path.map_err(|e| Fault::ValueUnsupported(format!("sl: {e}")))?;
        let size = parms.iter().find(|p| p.name == "mrs");
        let size = size.and_then(|p| package::integer(package::one(&p.value)?));
        Ok(Self {
            path,
            is_incoming: !text(parms, "dir").is_some_and(|d| d.eq_ignore_ascii_case("INT")),
            appends: is_yes(parms, "app").unwrap_or(false),
            octets_max: size.unwrap_or(RECORD_BYTES_MAX).min(RECORD_BYTES_MAX),
            is_chosen,
        })
    }

    /// Puts the name that was taken into the signal's parameters.
    pub(super) fn fill_in(&self, parms: &mut [Parm]) {
        if let Some(parm) = parms.iter_mut().find(|p| p.name == "sl") {
            parm.value = PropertyValue::Is(quoted(&self.path.to_string()));
        }
    }
}
