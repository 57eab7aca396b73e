//! The packages of this gateway and what is in them (H.248.1 Annex E, H.248.14, H.248.36, H.248.69, H.248.89).

use h248::ast::{Name, PackageItem, PackageVersion, Parm, PropertyParm, PropertyValue, Value};

use super::fault::{Fault, written};

/// One package.
struct Package {
    name: &'static str,
    version: u16,
    properties: &'static [Property],
    events: &'static [Event],
    signals: &'static [&'static str],
    statistics: &'static [&'static str],
}

/// A property and where it may stand.
#[derive(Debug)]
pub(super) struct Property {
    name: &'static str,
    place: Place,
    kind: Kind,
}

/// Descriptors that hold properties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// LocalControl of a stream.
    Stream,
    /// TerminationState of a termination in a context.
    Termination,
    /// ContextAttr; no package of ours has any.
    Context,
    /// TerminationState of ROOT.
    Root,
}

/// Values a property takes.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Cannot be set.
    ReadOnly,
    /// Unquoted decimal number.
    Integer,
    /// The only value that we can honour.
    Only(&'static str),
}

struct Event {
    name: &'static str,
    parms: &'static [&'static str],
    is_detectable: bool,
}

const fn event(name: &'static str, parms: &'static [&'static str], is_detectable: bool) -> Event {
    Event {
        name,
        parms,
        is_detectable,
    }
}

const fn property(name: &'static str, place: Place, kind: Kind) -> Property {
    Property { name, place, kind }
}

const PACKAGES: &[Package] = &[
    Package {
        name: "g",
        version: 1,
        properties: &[],
        // Our signals have no completion to tell of, so that g/sc could never fire.
        events: &[event("cause", &[], true), event("sc", &[], false)],
        signals: &[],
        statistics: &[],
    },
    Package {
        name: "root",
        version: 2,
        properties: &[
            property("maxNumberOfContexts", Place::Root, Kind::ReadOnly),
            property("maxTerminationsPerContext", Place::Root, Kind::ReadOnly),
            property("normalMGExecutionTime", Place::Root, Kind::Integer),
            property("normalMGCExecutionTime", Place::Root, Kind::Integer),
            property(
                "MGProvisionalResponseTimerValue",
                Place::Root,
                Kind::Integer,
            ),
            property(
                "MGCProvisionalResponseTimerValue",
                Place::Root,
                Kind::Integer,
            ),
            property("MGCOriginatedPendingLimit", Place::Root, Kind::Integer),
            property("MGOriginatedPendingLimit", Place::Root, Kind::Integer),
        ],
        events: &[],
        signals: &[],
        statistics: &[],
    },
    Package {
        name: "nt",
        version: 1,
        // No jitter buffer stands behind it on TCP; taken and returned, as the package asks.
        properties: &[property("jit", Place::Stream, Kind::Integer)],
        events: &[
            event("netfail", &[], true),
            event("qualert", &["th"], false),
        ],
        signals: &[],
        statistics: &["dur", "os", "or"],
    },
    Package {
        name: "it",
        version: 1,
        properties: &[],
        events: &[event("ito", &["mit"], true)],
        signals: &[],
        statistics: &[],
    },
    Package {
        name: "hangterm",
        version: 1,
        properties: &[],
        events: &[event("thb", &["timerx"], true)],
        signals: &[],
        statistics: &[],
    },
    Package {
        name: "msrpstat",
        version: 1,
        properties: &[],
        events: &[
            event("mquota", &["msq", "mrq", "msv", "mrv", "tm"], true),
            event("imi", &[], false),
        ],
        signals: &[],
        statistics: &["nms", "nmr", "vms", "vmr"],
    },
    Package {
        name: "tcpbcc",
        version: 1,
        properties: &[property("bceb", Place::Stream, Kind::Only("Unblocked"))],
        events: &[event("BNCChange", &["Type"], true)],
        signals: &["EstBNC", "RelBNC"],
        statistics: &[],
    },
];

/// Events and properties known by name elsewhere in the gateway.
pub(super) const CAUSE: (&str, &str) = ("g", "cause");
pub(super) const NETFAIL: (&str, &str) = ("nt", "netfail");
pub(super) const HEARTBEAT: (&str, &str) = ("hangterm", "thb");
pub(super) const INACTIVITY: (&str, &str) = ("it", "ito");
pub(super) const MQUOTA: (&str, &str) = ("msrpstat", "mquota");
pub(super) const BNC_CHANGE: (&str, &str) = ("tcpbcc", "BNCChange");

/// The AST form of a name.
pub(super) fn item((package, item): (&str, &str)) -> PackageItem {
    PackageItem {
        package: Name::new(package),
        item: Name::new(item),
    }
}

/// Whether `pattern`, which may have `*` on either side, covers `(package, item)`.
pub(super) fn covers(pattern: &PackageItem, (package, item): (&str, &str)) -> bool {
    let side = |pattern: &Name, name: &str| *pattern == "*" || *pattern == *name;
    side(&pattern.package, package) && side(&pattern.item, item)
}

/// The Packages descriptor.
pub(super) fn versions() -> Vec<PackageVersion> {
    PACKAGES
        .iter()
        .map(|p| PackageVersion {
            name: Name::new(p.name),
            version: p.version,
        })
        .collect()
}

fn find(name: &Name) -> Result<&'static Package, Fault> {
    PACKAGES
        .iter()
        .find(|p| *name == *p.name)
        .ok_or_else(|| Fault::PackageUnknown(name.to_string()))
}

/// Checks a property that is being set at `place`.
pub(super) fn check_property(parm: &PropertyParm, place: Place) -> Result<(), Fault> {
    if parm.name.package.as_str().is_empty() {
        return Err(Fault::ParameterUnsupported(parm.name.item.to_string()));
    }
    let package = find(&parm.name.package)?;
    let known = package
        .properties
        .iter()
        .find(|p| parm.name.item == *p.name)
        .ok_or_else(|| Fault::PropertyUnknown(written(&parm.name)))?;
    if known.place != place {
        return Err(Fault::PropertyMisplaced(written(&parm.name)));
    }
    check_value(known.kind, parm)
}

fn check_value(kind: Kind, parm: &PropertyParm) -> Result<(), Fault> {
    let PropertyValue::Is(value) = &parm.value else {
        return Err(Fault::ValueUnsupported(format!(
            "more than one for {}",
            written(&parm.name)
        )));
    };
    let is_good = match kind {
        Kind::ReadOnly => return Err(Fault::ReadOnly(written(&parm.name))),
        Kind::Integer => !value.quoted && value.text.parse::<u32>().is_ok(),
        Kind::Only(only) => value.text.eq_ignore_ascii_case(only),
    };
    if is_good {
        Ok(())
    } else {
        Err(Fault::ValueUnsupported(value.text.to_string()))
    }
}

/// Checks properties of one descriptor: each known, in place, and once.
pub(super) fn check_properties(parms: &[PropertyParm], place: Place) -> Result<(), Fault> {
    for (number, parm) in parms.iter().enumerate() {
        if parms[..number]
            .iter()
            .any(|earlier| earlier.name == parm.name)
        {
            return Err(Fault::PropertyTwice(written(&parm.name)));
        }
        check_property(parm, place)?;
    }
    Ok(())
}

/// Whether a property exists at `place`, for audits of single properties.
pub(super) fn has_property(name: &PackageItem, place: Place) -> bool {
    find(&name.package).is_ok_and(|p| {
        name.item == "*"
            || p.properties
                .iter()
                .any(|q| q.place == place && name.item == *q.name)
    })
}

/// Checks an event that is being armed, and the names of its parameters.
pub(super) fn check_event(name: &PackageItem, parms: &[Parm]) -> Result<(), Fault> {
    if name.package == "*" {
        return Ok(());
    }
    let package = find(&name.package)?;
    if name.item == "*" {
        return Ok(());
    }
    let known = package
        .events
        .iter()
        .find(|e| name.item == *e.name)
        .ok_or_else(|| Fault::EventUnknown(written(name)))?;
    if let Some(parm) = parms
        .iter()
        .find(|p| !known.parms.iter().any(|k| p.name == **k))
    {
        return Err(Fault::ParameterUnknown(format!(
            "{} of {}",
            parm.name,
            written(name)
        )));
    }
    if known.is_detectable {
        Ok(())
    } else {
        Err(Fault::EventUndetectable(written(name)))
    }
}

/// A signal that this gateway generates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignalKind {
    /// `tcpbcc/EstBNC`: open the connection.
    Establish,
    /// `tcpbcc/RelBNC`: close it.
    Release,
}

/// Checks a signal and the names of its parameters.
pub(super) fn check_signal(name: &PackageItem, parms: &[Parm]) -> Result<SignalKind, Fault> {
    let package = find(&name.package)?;
    if !package.signals.iter().any(|s| name.item == **s) {
        return Err(Fault::SignalUnknown(written(name)));
    }
    if let Some(parm) = parms.first() {
        return Err(Fault::ParameterUnknown(format!(
            "{} of {}",
            parm.name,
            written(name)
        )));
    }
    if name.item == "EstBNC" {
        Ok(SignalKind::Establish)
    } else {
        Ok(SignalKind::Release)
    }
}

/// Checks a statistic, or a wildcard for several.
pub(super) fn check_statistic(name: &PackageItem) -> Result<(), Fault> {
    if name.package == "*" {
        return Ok(());
    }
    let package = find(&name.package)?;
    if name.item == "*" || package.statistics.iter().any(|s| name.item == **s) {
        return Ok(());
    }
    Err(Fault::StatisticUnknown(written(name)))
}

/// An unquoted value.
pub(super) fn plain(text: impl AsRef<str>) -> Value {
    Value {
        text: text.as_ref().into(),
        quoted: false,
    }
}
