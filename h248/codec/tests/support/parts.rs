//! Names, numbers, values.

use h248::ast::*;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

pub(crate) fn name() -> BoxedStrategy<Name> {
    "[A-Za-z][A-Za-z0-9_]{0,8}"
        .prop_map(|text| Name::new(&text))
        .boxed()
}

/// A parameter name that no keyword begins like.
pub(crate) fn parm_name() -> BoxedStrategy<Name> {
    "[qQ][a-z0-9_]{0,6}"
        .prop_map(|text| Name::new(&text))
        .boxed()
}

pub(crate) fn termination() -> BoxedStrategy<TerminationId> {
    let named = "[a-z][a-z0-9_]{0,5}/[a-z0-9*$]{1,4}(@[a-z][a-z0-9.-]{0,6})?";
    prop_oneof![
        6 => named.prop_map(|text| TerminationId::Name(Name::new(&text))),
        1 => Just(TerminationId::Root),
        1 => Just(TerminationId::Choose),
        1 => Just(TerminationId::All),
    ]
    .boxed()
}

pub(crate) fn terminations(version: u8) -> BoxedStrategy<TerminationIds> {
    let most = if version >= 3 { 3 } else { 1 };
    vec(termination(), 1..=most)
        .prop_map(|ids| TerminationIds(ids.into()))
        .boxed()
}

pub(crate) fn package_item() -> BoxedStrategy<PackageItem> {
    let name = "[a-z][a-z0-9]{0,5}";
    prop_oneof![
        8 => (name, name).prop_map(|(package, item)| PackageItem::new(&package, &item)),
        1 => name.prop_map(|package| PackageItem::new(&package, "*")),
        1 => Just(PackageItem::new("*", "*")),
    ]
    .boxed()
}

pub(crate) fn package_version() -> BoxedStrategy<PackageVersion> {
    (name(), any::<u16>())
        .prop_map(|(name, version)| PackageVersion { name, version })
        .boxed()
}

pub(crate) fn value() -> BoxedStrategy<Value> {
    prop_oneof![
        "[A-Za-z0-9+&!_/'?@^`~*$\\\\()%|.-]{1,8}".prop_map(Value::plain),
        "[ -!#-~\t]{0,12}".prop_map(Value::quoted),
    ]
    .boxed()
}

pub(crate) fn property_value() -> BoxedStrategy<PropertyValue> {
    prop_oneof![
        4 => value().prop_map(PropertyValue::Is),
        1 => vec(value(), 1..4).prop_map(PropertyValue::AllOf),
        1 => vec(value(), 1..4).prop_map(PropertyValue::OneOf),
        1 => (value(), value()).prop_map(|(from, to)| PropertyValue::Range(Box::new([from, to]))),
        1 => value().prop_map(PropertyValue::GreaterThan),
        1 => value().prop_map(PropertyValue::LessThan),
        1 => value().prop_map(PropertyValue::NotEqual),
    ]
    .boxed()
}

pub(crate) fn properties() -> BoxedStrategy<Vec<PropertyParm>> {
    let property = (package_item(), property_value());
    vec(
        property.prop_map(|(name, value)| PropertyParm { name, value }),
        0..3,
    )
    .boxed()
}

pub(crate) fn parms() -> BoxedStrategy<Vec<Parm>> {
    let parm = (parm_name(), property_value());
    vec(parm.prop_map(|(name, value)| Parm { name, value }), 0..3).boxed()
}

pub(crate) fn time_stamp() -> BoxedStrategy<TimeStamp> {
    let digits = || proptest::array::uniform8(b'0'..=b'9');
    (digits(), digits())
        .prop_map(|(date, time)| TimeStamp { date, time })
        .boxed()
}

pub(crate) fn error() -> BoxedStrategy<ErrorDescriptor> {
    let text = option::of("[ -!#-~]{0,20}".prop_map(Into::into));
    (0..=9999u16, text)
        .prop_map(|(code, text)| ErrorDescriptor { code, text })
        .boxed()
}

pub(crate) fn mid() -> BoxedStrategy<MId> {
    let port = || option::of(any::<u16>());
    prop_oneof![
        ("[a-z0-9][a-z0-9.-]{0,20}", port()).prop_map(|(name, port)| MId::Domain {
            name: Name::new(&name),
            port
        }),
        (any::<std::net::IpAddr>(), port()).prop_map(|(address, port)| MId::Ip { address, port }),
        "[a-z][a-z0-9_/]{0,10}(@[a-z][a-z.]{0,8})?".prop_map(|text| MId::Device(Name::new(&text))),
        "[0-9A-F]{4,8}".prop_map(|digits| MId::Mtp(Name::new(&digits))),
    ]
    .boxed()
}

/// Lines of anything printable, braces and backslashes included.
pub(crate) fn octets() -> BoxedStrategy<OctetString> {
    let lines = vec("[!-~]([ -~]{0,9}[!-~])?", 0..4);
    let line_end = prop_oneof![Just("\n"), Just("\r\n"), Just("\r")];
    (lines, line_end)
        .prop_map(|(lines, line_end)| {
            let ended = lines.into_iter().map(|line| line + line_end);
            OctetString(ended.collect::<String>().into_bytes())
        })
        .boxed()
}

pub(crate) fn request_id() -> BoxedStrategy<u32> {
    prop_oneof![any::<u32>(), Just(u32::MAX)].boxed()
}

pub(crate) fn context() -> BoxedStrategy<ContextId> {
    prop_oneof![
        Just(ContextId::Null),
        Just(ContextId::Choose),
        Just(ContextId::All),
        (1..0xFFFF_FFFEu32).prop_map(ContextId::Id),
    ]
    .boxed()
}
