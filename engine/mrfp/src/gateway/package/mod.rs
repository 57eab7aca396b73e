//! What this gateway knows of packages: one table, and the checks and audits read from it.

mod choice;
mod statement;
mod table;

use h248::ast::{
    EventSpec, Name, NameRef, PackageItem, PackageVersion, PropertyParm, PropertyValue, Value,
};

use super::Config;
use super::fault::{Fault, written};

use self::choice::settle_parms;

pub use self::statement::packages;

pub(super) use self::choice::{Settled, settle};

pub(super) use self::table::PACKAGES;

/// One package.
pub(super) struct Package {
    pub name: &'static str,
    pub version: u16,
    /// Where it is defined.
    pub reference: &'static str,
    pub properties: &'static [Property],
    pub events: &'static [Event],
    pub signals: &'static [Signal],
    pub statistics: &'static [&'static str],
}

/// A property and where it may stand.
pub(super) struct Property {
    pub name: &'static str,
    pub place: Place,
    pub access: Access,
    /// What holds while nothing is set; empty: nothing.
    pub default: &'static str,
    pub values: Values,
}

/// Descriptors that hold properties, and what events and signals belong to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// LocalControl of a stream; an event of a termination.
    Stream,
    /// TerminationState of a termination in a context.
    Termination,
    /// ContextAttr; no package of ours has any.
    Context,
    /// ROOT and its TerminationState.
    Root,
    /// An event of a termination or of ROOT.
    Anywhere,
}

/// Who changes a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// The gateway alone.
    ReadOnly,
    /// The controller.
    ReadWrite,
}

/// Values that an item takes (H.248.1 Annex B.2: how they are written).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Values {
    /// From, to; unquoted, decimal or `0x` and hexadecimal digits.
    Integer(u64, u64),
    /// `ON` or `OFF`.
    Boolean,
    /// One of these words.
    Enumeration(&'static [&'static str]),
    /// A string of at most so many octets.
    Text(usize),
}

/// An event, with the parameters of requests and of observations.
pub(super) struct Event {
    pub name: &'static str,
    pub place: Place,
    pub parms: &'static [Item],
    pub observed: &'static [Item],
}

/// A signal.
pub(super) struct Signal {
    pub name: &'static str,
    pub kind: SignalKind,
    pub parms: &'static [Item],
}

/// A parameter.
pub(super) struct Item {
    pub name: &'static str,
    pub values: Values,
    /// What holds while nothing is set; empty: nothing.
    pub default: &'static str,
    /// It names something that we find a name for when it is left to us; whoever reads it does.
    pub is_named_by_us: bool,
}

/// What a signal makes the gateway do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignalKind {
    /// `tcpbcc/EstBNC`: open the connection.
    Establish,
    /// `tcpbcc/RelBNC`: close it.
    Release,
    /// `tlsbsc/EstBNC`: open the connection and the TLS session on it.
    EstablishTls,
    /// `tlsbsc/RelBNC`: close both.
    ReleaseTls,
    /// `mess/sm`: play a message.
    PlayMessage,
    /// `recmess/rm`: record messages.
    RecordMessages,
}

/// Events known by name elsewhere in the gateway.
pub(super) const CAUSE: (&str, &str) = ("g", "cause");
pub(super) const NETFAIL: (&str, &str) = ("nt", "netfail");
pub(super) const HEARTBEAT: (&str, &str) = ("hangterm", "thb");
pub(super) const INACTIVITY: (&str, &str) = ("it", "ito");
pub(super) const OVERLOAD: (&str, &str) = ("ocp", "mg_overload");
pub(super) const QUALITY: (&str, &str) = ("nt", "qualert");
pub(super) const MESSAGE: (&str, &str) = ("msrpstat", "imi");
pub(super) const FILTERED: (&str, &str) = ("mf", "fm");
pub(super) const FILTER_FAULT: (&str, &str) = ("mf", "fre");
pub(super) const MQUOTA: (&str, &str) = ("msrpstat", "mquota");
pub(super) const BNC_CHANGE: (&str, &str) = ("tcpbcc", "BNCChange");
pub(super) const TLS_CHANGE: (&str, &str) = ("tlsbsc", "BNCChange");
pub(super) const NICK: (&str, &str) = ("xmrf", "nick");
pub(super) const IDLE: (&str, &str) = ("xmrf", "idle");

/// The AST form of a name.
pub(super) fn item((package, item): (&str, &str)) -> PackageItem {
    PackageItem::new(package, item)
}

/// Whether `pattern`, which may have `*` on either side, covers `(package, item)`.
pub(super) fn covers(pattern: &PackageItem, (package, item): (&str, &str)) -> bool {
    let side = |pattern: NameRef<'_>, name: &str| pattern == "*" || pattern == name;
    side(pattern.package(), package) && side(pattern.item(), item)
}

/// The Packages descriptor.
pub(super) fn versions(config: &Config) -> Vec<PackageVersion> {
    let version = |p: &Package| PackageVersion {
        name: Name::new(p.name),
        version: p.version,
    };
    served(config).map(version).collect()
}

/// The packages that work here and now.
pub(super) fn served(config: &Config) -> impl Iterator<Item = &'static Package> {
    PACKAGES
        .iter()
        .filter(|p| lacks(config, p.name.into()).is_none())
}

/// What a package needs that is not configured.
fn lacks(config: &Config, package: NameRef<'_>) -> Option<&'static str> {
    let needs = [
        ("recmess", config.has_storage, "a storage"),
        ("tlsbsc", config.has_tls, "TLS"),
    ];
    let lacking = needs
        .iter()
        .find(|(name, has, _)| package == **name && !has);
    lacking.map(|(_, _, what)| *what)
}

/// Whether a package that the table has works here and now.
pub(super) fn check_served(name: &PackageItem, config: &Config) -> Result<(), Fault> {
    match lacks(config, name.package()) {
        None => Ok(()),
        Some(what) => Err(Fault::PackageUnknown(format!(
            "{} without {what}",
            name.package()
        ))),
    }
}

fn find(name: NameRef<'_>) -> Result<&'static Package, Fault> {
    PACKAGES
        .iter()
        .find(|p| name == *p.name)
        .ok_or_else(|| Fault::PackageUnknown(name.to_string()))
}

impl Values {
    /// Whether this is a value of the kind.
    fn takes(self, value: &Value) -> bool {
        match self {
            Self::Integer(from, to) => integer(value).is_some_and(|n| (from..=to).contains(&n)),
            Self::Boolean => !value.quoted && boolean(value).is_some(),
            Self::Enumeration(words) => words.iter().any(|w| value.text.eq_ignore_ascii_case(w)),
            Self::Text(octets_max) => value.text.len() <= octets_max,
        }
    }
}

/// The value, if it is a single one.
pub(super) fn one(value: &PropertyValue) -> Option<&Value> {
    match value {
        PropertyValue::Is(value) => Some(value),
        PropertyValue::AllOf(_)
        | PropertyValue::OneOf(_)
        | PropertyValue::Range(..)
        | PropertyValue::GreaterThan(_)
        | PropertyValue::LessThan(_)
        | PropertyValue::NotEqual(_) => None,
    }
}

/// A number as written; quoted it is none.
pub(super) fn integer(value: &Value) -> Option<u64> {
    let text = value.text.as_str();
    let hexadecimal = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    match hexadecimal {
        _ if value.quoted || text.starts_with('+') => None,
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// `ON` or `OFF`.
pub(super) fn boolean(value: &Value) -> Option<bool> {
    match value.text.as_str() {
        text if text.eq_ignore_ascii_case("on") => Some(true),
        text if text.eq_ignore_ascii_case("off") => Some(false),
        _ => None,
    }
}

/// What the table has of a property that may be set at `place`; `None` for an extension to be ignored.
fn settable(parm: &PropertyParm, place: Place) -> Result<Option<&'static Property>, Fault> {
    if parm.name.package().as_str().is_empty() {
        let extension = check_extension(parm.name.item());
        return extension.map(|()| None).map_err(Fault::PropertyUnsupported);
    }
    let package = find(parm.name.package())?;
    let known = package
        .properties
        .iter()
        .find(|p| parm.name.item() == *p.name)
        .ok_or_else(|| Fault::PropertyUnknown(written(&parm.name)))?;
    if known.place != place {
        return Err(Fault::PropertyMisplaced(written(&parm.name)));
    }
    match known.access {
        Access::ReadOnly => Err(Fault::ReadOnly(written(&parm.name))),
        Access::ReadWrite => Ok(Some(known)),
    }
}

/// An extension `X-...` may be ignored, `X+...` must be understood (RFC 3525 Annex A.6).
pub(super) fn check_extension(name: NameRef<'_>) -> Result<(), String> {
    let text = name.as_str();
    let is_optional = text.get(..2).is_some_and(|t| t.eq_ignore_ascii_case("x-"));
    if is_optional {
        Ok(())
    } else {
        Err(text.to_owned())
    }
}

/// The value of a property in a list, or its default; `None` if neither is there.
pub(super) fn value_of<'a>(parms: &'a [PropertyParm], name: (&str, &str)) -> Option<&'a str> {
    let set = parms.iter().find(|p| covers(&p.name, name));
    match set.and_then(|p| one(&p.value)) {
        Some(value) => Some(&value.text),
        None => known_property(name)
            .map(|p| p.default)
            .filter(|d| !d.is_empty()),
    }
}

/// As [`value_of`], for numbers.
pub(super) fn number_of(parms: &[PropertyParm], name: (&str, &str)) -> Option<u64> {
    integer(&plain(value_of(parms, name)?))
}

/// A property with one value.
pub(super) fn property(name: (&str, &str), value: Value) -> PropertyParm {
    PropertyParm {
        name: item(name),
        value: PropertyValue::Is(value),
    }
}

/// The properties that are set, and the defaults of the others here and now at `place` that have one.
pub(super) fn with_defaults(
    set: &[PropertyParm],
    place: Place,
    config: &Config,
) -> Vec<PropertyParm> {
    let defaults = served(config).flat_map(|package| {
        let here = package.properties.iter();
        let here = here.filter(|p| p.place == place && !p.default.is_empty());
        here.map(|p| property((package.name, p.name), plain(p.default)))
    });
    let is_unset = |p: &PropertyParm| set.iter().all(|s| s.name != p.name);
    set.iter()
        .cloned()
        .chain(defaults.filter(is_unset))
        .collect()
}

fn known_property((package, item): (&str, &str)) -> Option<&'static Property> {
    let package = PACKAGES.iter().find(|p| p.name == package)?;
    package.properties.iter().find(|p| p.name == item)
}

/// Whether a property exists here and now at `place`, for audits of single properties.
pub(super) fn has_property(name: &PackageItem, place: Place, config: &Config) -> bool {
    let is_wild = |name: NameRef<'_>| name == "*";
    let has_item = |package: &Package| {
        let mut properties = package.properties.iter();
        properties.any(|p| p.place == place && name.item() == *p.name)
    };
    served(config)
        .filter(|p| is_wild(name.package()) || name.package() == *p.name)
        .any(|p| is_wild(name.item()) || has_item(p))
}

/// Checks an event that is being armed at `place`, and its parameters; whether any of these was left to
/// us and is filled in now.
pub(super) fn settle_event(
    event: &mut EventSpec,
    place: Place,
    config: &Config,
) -> Result<bool, Fault> {
    let name = &event.name;
    // What stands for several events has the parameters of none.
    if name.package() == "*" {
        return settle_parms(&[], &mut event.parms, name);
    }
    let package = find(name.package())?;
    check_served(name, config)?;
    if name.item() == "*" {
        return settle_parms(&[], &mut event.parms, name);
    }
    let known = package
        .events
        .iter()
        .find(|e| name.item() == *e.name)
        .ok_or_else(|| Fault::EventUnknown(written(name)))?;
    if known.place != place && known.place != Place::Anywhere {
        return Err(Fault::EventUndetectable(written(name)));
    }
    settle_parms(known.parms, &mut event.parms, name)
}

/// Checks an event named in an audit: it must exist, be it armed or not.
pub(super) fn check_event_name(name: &PackageItem, config: &Config) -> Result<(), Fault> {
    check_name(name, config, |p| {
        p.events.iter().any(|e| name.item() == *e.name)
    })
}

/// As [`check_event_name`], for a signal.
pub(super) fn check_signal_name(name: &PackageItem, config: &Config) -> Result<(), Fault> {
    check_name(name, config, |p| {
        p.signals.iter().any(|s| name.item() == *s.name)
    })
}

/// As [`check_event_name`], for a statistic.
pub(super) fn check_statistic_name(name: &PackageItem, config: &Config) -> Result<(), Fault> {
    check_name(name, config, |p| {
        p.statistics.iter().any(|s| name.item() == **s)
    })
}

/// Checks a name, or a wildcard for several, of which an audit asks.
fn check_name(
    name: &PackageItem,
    config: &Config,
    has: impl Fn(&Package) -> bool,
) -> Result<(), Fault> {
    let mut packages =
        served(config).filter(|p| name.package() == "*" || name.package() == *p.name);
    if packages.any(|p| name.item() == "*" || has(p)) {
        Ok(())
    } else {
        Err(Fault::AuditedUnknown(written(name)))
    }
}

/// As [`settle_event`], for a signal; what it does besides.
pub(super) fn settle_signal(
    signal: &mut h248::ast::Signal,
    config: &Config,
) -> Result<(SignalKind, bool), Fault> {
    let name = &signal.name;
    let package = find(name.package())?;
    check_served(name, config)?;
    let known = package
        .signals
        .iter()
        .find(|s| name.item() == *s.name)
        .ok_or_else(|| Fault::SignalUnknown(written(name)))?;
    let is_chosen = settle_parms(known.parms, &mut signal.parms, name)?;
    Ok((known.kind, is_chosen))
}

/// Checks a statistic that is to be kept, or a wildcard for several.
pub(super) fn check_statistic(name: &PackageItem) -> Result<(), Fault> {
    if name.package() == "*" {
        return Ok(());
    }
    let package = find(name.package())?;
    if name.item() == "*" || package.statistics.iter().any(|s| name.item() == **s) {
        return Ok(());
    }
    Err(Fault::StatisticUnknown(written(name)))
}

/// `package/*` for each of these packages that has statistics.
pub(super) fn with_statistics(list: &[PackageVersion]) -> Vec<PackageItem> {
    let names = list.iter().map(|package| &package.name);
    let has = |name: &&Name| find((*name).into()).is_ok_and(|p| !p.statistics.is_empty());
    let names = names.filter(has).map(|name| name.as_str());
    names.map(|name| item((name, "*"))).collect()
}

/// An unquoted value.
pub(super) fn plain(text: impl AsRef<str>) -> Value {
    Value {
        text: text.as_ref().into(),
        quoted: false,
    }
}
