//! Package `mf` (H.248.69): filters in Sieve for the messages of a stream, compiled when
//! LocalControl is set and judged by the switch.

use std::sync::Arc;

use h248::ast::PropertyParm;
use sieve::{ErrorKind, Script};

use super::fault::{Fault, percent_unescaped};
use super::package::value_of;

/// A stream's filters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filters {
    /// `mf/imf`: for what comes from the participant.
    pub incoming: Option<Arc<Script>>,
    /// `mf/omf`: for what goes to the participant.
    pub outgoing: Option<Arc<Script>>,
}

impl Filters {
    /// Compiles what the properties of a LocalControl ask for. A script that is there already is
    /// not compiled again.
    pub(super) fn compile(
        before: &Self,
        old: &[PropertyParm],
        new: &[PropertyParm],
    ) -> Result<Self, Fault> {
        let one = |name: &'static str, known: &Option<Arc<Script>>| {
            let text = |parms| value_of(parms, ("mf", name));
            match text(new).filter(|t| !t.trim().is_empty()) {
                None => Ok(None),
                set if set == text(old) && known.is_some() => Ok(known.clone()),
                Some(script) => compile(name, script).map(Some),
            }
        };
        Ok(Self {
            incoming: one("imf", &before.incoming)?,
            outgoing: one("omf", &before.outgoing)?,
        })
    }
}

fn compile(name: &str, text: &str) -> Result<Arc<Script>, Fault> {
    let script = Script::parse(&written_out(text)).map_err(|error| {
        let text = format!("mf/{name} {error}");
        match error.kind {
            ErrorKind::Syntax => Fault::SieveSyntax(text),
            ErrorKind::Capability => Fault::SieveUnsupported(text),
            ErrorKind::TooManyActions => Fault::SieveActions(text),
        }
    })?;
    Ok(Arc::new(script))
}

/// The script in the value of a property.
///
/// A quotedString of H.248.1 holds no double quote and no line end. What H.248.69 13.6 says about
/// that has not been read; `%22`, `%0D%0A` and the like are undone, and the compiler takes single
/// quotes for double ones.
fn written_out(value: &str) -> String {
    percent_unescaped(value)
}
