//! Names and values, the leaves of the tree.

use core::fmt;

use super::Text;

/// A name, identifier or enumeration value: compared, hashed and ordered without regard to ASCII
/// case (H.248.1 Annex B: everything outside Local/Remote is case-insensitive), printed as it came.
#[derive(Clone, Default)]
pub struct Name(Text);

impl Name {
    /// Wraps `text` without checking it against any production.
    #[inline(always)]
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(Text::from(text))
    }

    /// The text as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The octets of the text as written.
    #[inline]
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The text as it is kept.
    #[inline]
    pub(crate) fn text(&self) -> &Text {
        &self.0
    }
}

impl From<Text> for Name {
    #[inline(always)]
    fn from(text: Text) -> Self {
        Self(text)
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes().eq_ignore_ascii_case(other.as_bytes())
    }
}

impl Eq for Name {}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes().eq_ignore_ascii_case(other.as_bytes())
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        self.as_bytes().eq_ignore_ascii_case(other.as_bytes())
    }
}

impl core::hash::Hash for Name {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        for octet in self.as_bytes() {
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
        fn folded(name: &Name) -> impl Iterator<Item = u8> {
            name.as_bytes().iter().map(u8::to_ascii_lowercase)
        }
        folded(self).cmp(folded(other))
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

/// `package/item`; either side may be `*`. An extension has an item without a package.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct PackageItem {
    /// As on the wire: one text, since most of what a message names is one of these.
    text: Name,
    /// Octets of the package's name; 0 if there is none, and then there is no slash either.
    package: u8,
}

/// A part of a [`PackageItem`]: compared without regard to ASCII case, like a [`Name`].
#[derive(Clone, Copy)]
pub struct NameRef<'a>(&'a [u8]);

impl PackageItem {
    /// `package/item`; neither is checked.
    ///
    /// # Panics
    ///
    /// If `package` has more than 255 octets.
    #[must_use]
    pub fn new(package: &str, item: &str) -> Self {
        if package.is_empty() {
            return Self::split(Text::from(item), 0);
        }
        let octets = u8::try_from(package.len()).expect("a package's name is short");
        Self::split(Text::from([package, "/", item].concat()), octets)
    }

    /// What is written `text`, the name of its package having `package` octets.
    #[inline(always)]
    pub(crate) fn split(text: Text, package: u8) -> Self {
        Self {
            text: Name::from(text),
            package,
        }
    }

    /// Package name, `*`, or nothing.
    #[must_use]
    pub fn package(&self) -> NameRef<'_> {
        NameRef(&self.as_bytes()[..usize::from(self.package)])
    }

    /// Property, event, signal or statistic name, or `*`.
    #[must_use]
    pub fn item(&self) -> NameRef<'_> {
        let package = usize::from(self.package);
        NameRef(&self.as_bytes()[package + usize::from(package > 0)..])
    }

    /// As on the wire; an item without a package stands alone.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.text.as_str()
    }

    /// The octets of it as on the wire.
    #[inline]
    fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// It as on the wire.
    #[inline]
    pub(crate) fn text(&self) -> &Text {
        self.text.text()
    }

    /// Whether this is `package/item`, without regard to case.
    #[must_use]
    pub fn is(&self, package: &str, item: &str) -> bool {
        self.package() == package && self.item() == item
    }
}

impl<'a> NameRef<'a> {
    /// The text as written.
    #[must_use]
    pub fn as_str(self) -> &'a str {
        core::str::from_utf8(self.0).expect("a part of a text, cut at a slash")
    }
}

impl<'a> From<&'a str> for NameRef<'a> {
    fn from(text: &'a str) -> Self {
        Self(text.as_bytes())
    }
}

impl<'a> From<&'a Name> for NameRef<'a> {
    fn from(name: &'a Name) -> Self {
        Self(name.as_bytes())
    }
}

impl PartialEq<str> for NameRef<'_> {
    fn eq(&self, other: &str) -> bool {
        self.0.eq_ignore_ascii_case(other.as_bytes())
    }
}

impl PartialEq<&str> for NameRef<'_> {
    fn eq(&self, other: &&str) -> bool {
        self.0.eq_ignore_ascii_case(other.as_bytes())
    }
}

impl fmt::Display for NameRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for PackageItem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Debug for NameRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for PackageItem {
    /// As on the wire; an item without a package stands alone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A property with its value: `pkg/prop=value`. An extension parameter has an empty package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PropertyParm {
    /// Which property.
    pub name: PackageItem,
    /// Its value or values.
    pub value: PropertyValue,
}

/// A value as written, with the quotes remembered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Value {
    /// The text without quotes.
    pub text: Text,
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

impl Default for PropertyValue {
    fn default() -> Self {
        Self::Is(Value::default())
    }
}

/// A named parameter of an event, signal, or observed event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_item_knows_its_parts_in_any_case() {
        let name = PackageItem::new("Hangterm", "thb");
        assert_eq!(name, PackageItem::new("hangTERM", "THB"));
        assert_eq!(
            (name.package().as_str(), name.item().as_str()),
            ("Hangterm", "thb")
        );
        assert!(name.is("HANGTERM", "THB") && !name.is("hangterm", "t"));
        assert_eq!(name.to_string(), "Hangterm/thb");
    }

    #[test]
    fn an_extension_is_an_item_without_a_package() {
        let name = PackageItem::new("", "X-a");
        assert!(name.package() == "" && name.item() == "x-A");
        assert_eq!(name.to_string(), "X-a");
        assert_ne!(name, PackageItem::new("X", "a"));
    }
}
