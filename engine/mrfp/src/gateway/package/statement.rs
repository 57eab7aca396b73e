//! The packages as the conformance statement shows them (docs/H248.md).

use core::fmt::Write;

use super::{Access, Item, PACKAGES, Package, Place, Values};

/// The packages of this gateway with every item, as Markdown tables.
#[must_use]
pub fn packages() -> String {
    let mut out = String::new();
    for package in PACKAGES {
        write_package(&mut out, package).expect("writing to a string cannot fail");
    }
    out
}

fn write_package(out: &mut String, package: &Package) -> core::fmt::Result {
    let Package {
        name,
        version,
        reference,
        ..
    } = package;
    writeln!(out, "\n### {name}-{version} ({reference})\n")?;
    writeln!(out, "| item | where | values |\n|---|---|---|")?;
    for property in package.properties {
        let place = written_place(property.place);
        let access = match property.access {
            Access::ReadOnly => ", read only",
            Access::ReadWrite => "",
        };
        let default = written_default(property.default);
        let values = written_values(property.values);
        writeln!(
            out,
            "| property `{}` | {place}{access} | {values}{default} |",
            property.name
        )?;
    }
    for event in package.events {
        let place = match event.place {
            Place::Root => "Events of ROOT",
            Place::Anywhere => "Events of a termination or ROOT",
            Place::Stream | Place::Termination | Place::Context => "Events of a termination",
        };
        writeln!(
            out,
            "| event `{}` | {place} | asked with: {}; observed with: {} |",
            event.name,
            written_items(event.parms),
            written_items(event.observed)
        )?;
    }
    for signal in package.signals {
        let items = written_items(signal.parms);
        writeln!(
            out,
            "| signal `{}` | Signals of a termination | {items} |",
            signal.name
        )?;
    }
    for statistic in package.statistics {
        writeln!(
            out,
            "| statistic `{statistic}` | termination and stream | integer |"
        )?;
    }
    Ok(())
}

fn written_place(place: Place) -> &'static str {
    match place {
        Place::Stream => "LocalControl",
        Place::Termination => "TerminationState",
        Place::Context => "ContextAttr",
        Place::Root => "TerminationState of ROOT",
        Place::Anywhere => "anywhere",
    }
}

fn written_items(items: &[Item]) -> String {
    let one = |i: &Item| {
        let (values, default) = (written_values(i.values), written_default(i.default));
        format!("`{}` ({values}{default})", i.name)
    };
    let list: Vec<String> = items.iter().map(one).collect();
    if list.is_empty() {
        "nothing".to_owned()
    } else {
        list.join(", ")
    }
}

fn written_default(default: &str) -> String {
    match default {
        "" => String::new(),
        default => format!(", default `{default}`"),
    }
}

fn written_values(values: Values) -> String {
    match values {
        Values::Integer(0, u64::MAX) => "integer".to_owned(),
        Values::Integer(from, to) => format!("integer, {from} to {to}"),
        Values::Boolean => "`ON` or `OFF`".to_owned(),
        Values::Enumeration(words) => format!("`{}`", words.join("`, `")),
        Values::Text(octets_max) => format!("string of up to {octets_max} octets"),
    }
}
