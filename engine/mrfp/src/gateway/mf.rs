//! Package `mf` (H.248.69): filters in Sieve for the messages of a stream, judged by the switch.
//!
//! ```text
//! mf/imf, mf/omf    the script itself: compiled when LocalControl is set, its faults refuse the command
//! mf/imfr, mf/omfr  where it is in the storage: loaded and compiled once LocalControl is in place; until
//!                   then, and after a fault, which mf/fre tells, everything is rejected
//! ```

use std::sync::{Arc, LazyLock};

use h248::ast::PropertyParm;
use sieve::{ErrorKind, Script};
use switch::SessionKey;

use super::core::Core;
use super::draft::Draft;
use super::fault::{Fault, percent_unescaped};
use super::package::value_of;
use crate::storage::{self, Content, StoragePath};

/// Rejects everything: a filter that is not there must not let pass what it would have stopped.
static CLOSED: LazyLock<Arc<Script>> = LazyLock::new(|| {
    let script = Script::parse("require 'reject'; reject 'the filter is not loaded';");
    Arc::new(script.expect("a sound script"))
});

/// One filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Filter {
    /// Written in the property.
    Here(Arc<Script>),
    /// In the storage.
    Referred(Referred),
}

/// A filter in the storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Referred {
    path: StoragePath,
    /// Names the load that was ordered.
    load: Option<u64>,
    /// What it brought.
    script: Option<Arc<Script>>,
    is_failed: bool,
}

/// A stream's filters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filters {
    /// For what comes from the participant.
    pub incoming: Option<Filter>,
    /// For what goes to the participant.
    pub outgoing: Option<Filter>,
}

impl Filter {
    /// What the switch judges by.
    pub(super) fn script(&self) -> Arc<Script> {
        match self {
            Self::Here(script) => Arc::clone(script),
            Self::Referred(referred) => Arc::clone(referred.script.as_ref().unwrap_or(&CLOSED)),
        }
    }
}

impl Filters {
    /// Compiles what the properties of a LocalControl ask for. A script that is there already is
    /// neither compiled nor loaded again.
    pub(super) fn compile(
        before: &Self,
        (old, new): (&[PropertyParm], &[PropertyParm]),
        has_storage: bool,
    ) -> Result<Self, Fault> {
        let one = |[here, there]: [&'static str; 2], known: &Option<Filter>| {
            let text = |parms, name| value_of(parms, ("mf", name)).filter(|t| !t.trim().is_empty());
            match (text(new, here), text(new, there)) {
                (None, None) => Ok(None),
                (Some(_), Some(_)) => Err(Fault::Conflict(format!("mf/{here} from mf/{there}"))),
                (set, None) if set == text(old, here) && known.is_some() => Ok(known.clone()),
                (Some(script), None) => {
                    let script = compile(here, &written_out(script))?;
                    Ok(Some(Filter::Here(script)))
                }
                (None, Some(path)) => refer(there, path, known, has_storage).map(Some),
            }
        };
        Ok(Self {
            incoming: one(["imf", "imfr"], &before.incoming)?,
            outgoing: one(["omf", "omfr"], &before.outgoing)?,
        })
    }

    fn all(&mut self) -> [(bool, &mut Option<Filter>); 2] {
        [(true, &mut self.incoming), (false, &mut self.outgoing)]
    }
}

fn refer(
    name: &str,
    path: &str,
    known: &Option<Filter>,
    has_storage: bool,
) -> Result<Filter, Fault> {
    if !has_storage {
        let text = format!("mf/{name}: there is no storage");
        return Err(Fault::ValueUnsupported(text));
    }
    let path = StoragePath::parse(path)
        .map_err(|error| Fault::ValueUnsupported(format!("mf/{name}: {error}")))?;
    let kept = match known {
        Some(Filter::Referred(old)) if old.path == path && !old.is_failed => Some(old.clone()),
        Some(_) | None => None,
    };
    Ok(Filter::Referred(kept.unwrap_or(Referred {
        path,
        load: None,
        script: None,
        is_failed: false,
    })))
}

fn compile(name: &str, script: &str) -> Result<Arc<Script>, Fault> {
    let script = Script::parse(script).map_err(|error| {
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

impl Core {
    /// Orders the scripts that a termination's streams refer to and that nobody has ordered yet.
    pub(super) fn load_filters(&mut self, number: u32) {
        let Some(termination) = self.terminations.get_mut(&number) else {
            return;
        };
        let streams = termination.settings.streams.iter_mut();
        let extras = streams.filter_map(|(_, stream)| stream.extras_mut());
        for (_, filter) in extras.flat_map(|extras| extras.filters.all()) {
            let Some(Filter::Referred(referred)) = filter else {
                continue;
            };
            if referred.load.is_none() {
                self.last_signal += 1;
                let id = self.last_signal;
                referred.load = Some(id);
                self.filter_loads.insert(id, number);
                let path = referred.path.clone();
                self.storage_orders
                    .push_back(storage::Order::Load { id, path });
            }
        }
    }

    /// The storage has loaded something; returns whether it was a script.
    pub(super) fn filter_loaded(
        &mut self,
        id: u64,
        content: &Result<Content, u16>,
        draft: &mut Draft,
    ) -> bool {
        let Some(number) = self.filter_loads.remove(&id) else {
            return false;
        };
        let Some(termination) = self.terminations.get(&number) else {
            return true;
        };
        let mut settings = termination.settings.clone();
        let mut faults = Vec::new();
        for (stream, state) in settings.streams.iter_mut() {
            let filters = state.extras_mut().map(|extras| extras.filters.all());
            for (is_incoming, filter) in filters.into_iter().flatten() {
                let Some(Filter::Referred(referred)) = filter else {
                    continue;
                };
                if referred.load != Some(id) {
                    continue;
                }
                match script_in(content) {
                    Ok(script) => referred.script = Some(script),
                    Err(code) => {
                        referred.is_failed = true;
                        faults.push((stream, is_incoming, code));
                    }
                }
            }
        }
        self.put_settings(number, settings, &Default::default(), draft);
        for (stream, is_incoming, code) in faults {
            let session = SessionKey {
                termination: number,
                stream,
            };
            self.tell_filter_fault(draft.now, session, is_incoming, code);
        }
        true
    }
}

/// The script in a file, or the code that says what is wrong with it.
fn script_in(content: &Result<Content, u16>) -> Result<Arc<Script>, u16> {
    let content = content.as_ref().map_err(|status| *status)?;
    let text = core::str::from_utf8(&content.body).unwrap_or("not text");
    compile("script", text).map_err(|fault| {
        tracing::info!(%fault, "a filter in the storage cannot be used");
        fault.code()
    })
}
