//! Names and values, the leaves of the tree.

use core::fmt;

use compact_str::CompactString;

/// A name, identifier or enumeration value: compared, hashed and ordered without regard to ASCII
/// case (H.248.1 Annex B: everything outside Local/Remote is case-insensitive), printed as it came.
#[derive(Clone, Default)]
pub struct Name(CompactString);

impl Name {
    /// Wraps `text` without checking it against any production.
    #[inline]
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(CompactString::new(text))
    }

    /// The text as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Name {}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        self.0.eq_ignore_ascii_case(other)
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        self.0.eq_ignore_ascii_case(other)
    }
}

impl core::hash::Hash for Name {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        for octet in self.0.bytes() {
            state.write_u8(octet.to_ascii_lowercase());
        }
        state.write_u8(0xff);
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        let fold = |c: u8| c.to_ascii_lowercase();
        self.0.bytes().map(fold).cmp(other.0.bytes().map(fold))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

/// `package/item`; either side may be `*`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PackageItem {
    /// Package name, or `*`.
    pub package: Name,
    /// Property, event, signal or statistic name, or `*`.
    pub item: Name,
}

/// A property with its value: `pkg/prop=value`. An extension parameter has an empty package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PropertyParm {
    /// Which property.
    pub name: PackageItem,
    /// Its value or values.
    pub value: PropertyValue,
}

/// A value as written, with the quotes remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// The text without quotes.
    pub text: CompactString,
    /// Whether it was a quotedString.
    pub quoted: bool,
}

/// Forms of a property value (`parmValue`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PropertyValue {
    /// `=v`.
    Is(Value),
    /// `=[v,v]`: all of.
    AllOf(Vec<Value>),
    /// `={v,v}`: one of.
    OneOf(Vec<Value>),
    /// `=[v:v]`: from, to.
    Range(Box<[Value; 2]>),
    /// `>v`.
    GreaterThan(Value),
    /// `<v`.
    LessThan(Value),
    /// `#v`.
    NotEqual(Value),
}

/// A named parameter of an event, signal, or observed event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parm {
    /// The parameter's name.
    pub name: Name,
    /// Its value or values.
    pub value: PropertyValue,
}

/// `yyyymmddThhmmssss`: digits as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeStamp {
    /// `yyyymmdd`.
    pub date: [u8; 8],
    /// `hhmmss` and hundredths.
    pub time: [u8; 8],
}
