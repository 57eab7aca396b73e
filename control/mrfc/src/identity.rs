//! Who a peer is: asserted by a trusted neighbour, or what it says of itself.

use sip::{Headers, NameAddr, Uri};

/// A peer as the conference knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    /// A `sip:`, `sips:` or `tel:` URI.
    pub(crate) uri: String,
    pub(crate) display: Option<String>,
    /// Others must not learn who it is (RFC 3323, RFC 3325 9.3).
    pub(crate) is_anonymous: bool,
    /// The anonymous URI that it gave itself (RFC 7701 5.2), if that is not everybody's.
    pub(crate) pseudonym: Option<String>,
    /// Further URIs that it may write into what it says: the other ones asserted, or the URI of all who are
    /// anonymous (RFC 3323 4.1.1.3).
    pub(crate) aliases: Vec<String>,
}

/// The host of URIs that name nobody (RFC 3323 4.1.1.3).
const NOWHERE: &str = "anonymous.invalid";
/// The user of the one that everybody may use, and with a number of those that the focus gives out.
const ANONYMOUS: &str = "anonymous";

/// Identities that a neighbour asserts of one peer: a SIP and a tel URI (RFC 3325 9.1).
const ASSERTED_MAX: usize = 2;

impl Identity {
    /// The first P-Asserted-Identity if the neighbour is trusted (RFC 3325 9.1), else From.
    pub(crate) fn of(headers: &Headers, is_trusted: bool) -> Self {
        let asserted = headers
            .list("P-Asserted-Identity")
            .next()
            .filter(|_| is_trusted);
        let written = asserted.or_else(|| headers.get("From")).unwrap_or_default();
        let uri_of = |written: &str| Some(NameAddr::parse(written).ok()?.uri);
        let uri = uri_of(written).map(|uri| uri.to_string());
        let is_private = |token: &str| {
            ["id", "user", "header"]
                .iter()
                .any(|p| token.trim().eq_ignore_ascii_case(p))
        };
        let is_anonymous = headers.all("Privacy").any(|v| v.split(';').any(is_private));
        let own = headers.get("From").and_then(uri_of);
        let own = own.filter(|uri| is_anonymous && uri.host().eq_ignore_ascii_case(NOWHERE));
        let pseudonym = own.as_ref().filter(|uri| {
            let user = uri.user_unescaped();
            user.is_some_and(|user| !user.to_ascii_lowercase().starts_with(ANONYMOUS))
        });
        let pseudonym = pseudonym.map(ToString::to_string);
        let is_everybodys = |uri: &Uri| uri.user_unescaped().as_deref() == Some(ANONYMOUS);
        let aliases = if is_anonymous {
            let own = own.filter(is_everybodys);
            own.map(|uri| uri.to_string()).into_iter().collect()
        } else {
            let others = headers.list("P-Asserted-Identity").filter(|_| is_trusted);
            let others = others.take(ASSERTED_MAX).skip(1).filter_map(uri_of);
            others.map(|uri| uri.to_string()).collect()
        };
        Self {
            uri: uri.unwrap_or_default(),
            display: display(written),
            is_anonymous,
            pseudonym,
            aliases,
        }
    }

    /// Forgets what it calls itself if that is what another one is called.
    pub(crate) fn differ_from(&mut self, others: impl IntoIterator<Item = (String, String)>) {
        if let Some(pseudonym) = &self.pseudonym {
            let is_taken = |(shown, uri): (String, String)| {
                is_same_user(&shown, pseudonym) && !is_same_user(&uri, &self.uri)
            };
            if others.into_iter().any(is_taken) {
                self.pseudonym = None;
            }
        }
    }

    /// The URIs that it may write into what it says, the one that others see first.
    pub(crate) fn spoken(&self, serial: u64) -> Vec<String> {
        let shown = self.shown(serial);
        let others = self.aliases.iter().filter(|alias| **alias != shown);
        let others = others.cloned().collect::<Vec<_>>();
        core::iter::once(shown).chain(others).collect()
    }

    /// The URI that others may see; `serial` tells those without a name apart.
    pub(crate) fn shown(&self, serial: u64) -> String {
        match &self.pseudonym {
            Some(pseudonym) => pseudonym.clone(),
            None if self.is_anonymous => format!("sip:{ANONYMOUS}{serial}@{NOWHERE}"),
            None => self.uri.clone(),
        }
    }
}

/// The display name of a name-addr.
fn display(written: &str) -> Option<String> {
    let name = match written.trim_start().strip_prefix('"') {
        Some(quoted) => unquoted(quoted)?,
        None => written.split_once('<')?.0.trim().to_owned(),
    };
    Some(name).filter(|name| !name.is_empty())
}

/// A quoted string from behind its first quote, without its backslashes (RFC 3261 25.1).
fn unquoted(text: &str) -> Option<String> {
    let mut name = String::new();
    let mut characters = text.chars();
    loop {
        match characters.next()? {
            '"' => return Some(name),
            '\\' => name.push(characters.next()?),
            other => name.push(other),
        }
    }
}

/// Whom a URI names: scheme, user, host and port of SIP URIs (the parameters that RFC 3261 19.1.4 looks at do
/// not change who it is); `user=phone` compares as the tel URI it stands for (TS 24.147 5.3.2.6.2), and tel URIs
/// without visual separators (RFC 3966 4).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct UserKey(String, String);

impl UserKey {
    /// `None`: this is no URI.
    pub(crate) fn of(uri: &str) -> Option<Self> {
        let (scheme, name) = key(&Uri::parse(uri).ok()?);
        Some(Self(scheme, name))
    }
}

/// Whether two URIs name the same user: what is no URI names nobody.
pub(crate) fn is_same_user(one: &str, other: &str) -> bool {
    UserKey::of(one).is_some_and(|one| UserKey::of(other) == Some(one))
}

fn key(uri: &Uri) -> (String, String) {
    let digits = |text: &str| text.replace(['-', '.', '(', ')'], "");
    let is_phone = uri
        .parameter("user")
        .is_some_and(|u| u.eq_ignore_ascii_case("phone"));
    let user = uri.user_unescaped();
    match (uri.scheme(), user) {
        ("sip" | "sips", Some(user)) if is_phone => {
            let number = user.split(';').next().unwrap_or(&user);
            ("tel".to_owned(), digits(number))
        }
        ("sip" | "sips", user) => {
            let port = uri.port().map_or(String::new(), |port| format!(":{port}"));
            let user = user.map_or(String::new(), |user| format!("{user}@"));
            ("sip".to_owned(), format!("{user}{}{port}", uri.host()))
        }
        (scheme, _) => (scheme.to_owned(), digits(uri.host())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_trusted_neighbour_asserts_who_somebody_is() {
        let fields = Headers::from_iter([
            ("From", "\"J\\\"D\" <sip:a@x>;tag=1"),
            ("P-Asserted-Identity", "\"John Doe\" <sip:b@x>, <tel:+1>"),
            ("Privacy", "none"),
        ]);
        let trusted = Identity::of(&fields, true);
        assert_eq!(
            (&*trusted.uri, trusted.display.as_deref()),
            ("sip:b@x", Some("John Doe"))
        );
        let own = Identity::of(&fields, false);
        assert_eq!(
            (&*own.uri, own.display.as_deref()),
            ("sip:a@x", Some("J\"D"))
        );
        for (written, name) in [
            ("\"Doe <x>, \\\\ \\J\" <sip:a@x>", Some("Doe <x>, \\ J")),
            ("John Doe <sip:a@x>", Some("John Doe")),
            ("\"open <sip:a@x>", None),
            ("\"\"<sip:a@x>", None),
            ("sip:a@x", None),
        ] {
            assert_eq!(display(written).as_deref(), name, "{written}");
        }
        assert_eq!(own.shown(7), "sip:a@x");
        assert_eq!(trusted.spoken(7), ["sip:b@x", "tel:+1"]);
        assert_eq!(own.spoken(7), ["sip:a@x"]);
        let hidden = Identity::of(
            &Headers::from_iter([("From", "<sip:a@x>;tag=1"), ("Privacy", "header; id")]),
            true,
        );
        assert_eq!(hidden.shown(7), "sip:anonymous7@anonymous.invalid");
        assert_eq!(hidden.spoken(7), ["sip:anonymous7@anonymous.invalid"]);
        let fields = Headers::from_iter([
            ("From", "<sip:anonymous@anonymous.invalid>;tag=1"),
            ("P-Asserted-Identity", "<sip:b@x>, <tel:+1>"),
            ("Privacy", "id"),
        ]);
        let itself = [
            "sip:anonymous7@anonymous.invalid",
            "sip:anonymous@anonymous.invalid",
        ];
        assert_eq!(Identity::of(&fields, true).spoken(7), itself);
        // Who gave itself a name of that kind is known by it.
        let fields = Headers::from_iter([
            ("From", "<sip:x7gh2@anonymous.invalid>;tag=1"),
            ("P-Asserted-Identity", "<sip:b@x>"),
            ("Privacy", "id"),
        ]);
        let own = Identity::of(&fields, true);
        assert_eq!(own.spoken(7), ["sip:x7gh2@anonymous.invalid"]);
        assert_eq!((&*own.uri, own.is_anonymous), ("sip:b@x", true));
        // Nobody takes the names that the focus gives out.
        let fields = Headers::from_iter([
            ("From", "<sip:anonymous8@anonymous.invalid>;tag=1"),
            ("Privacy", "id"),
        ]);
        let itself = Identity::of(&fields, true).spoken(7);
        assert_eq!(itself, ["sip:anonymous7@anonymous.invalid"]);
    }

    #[test]
    fn users_compare_by_who_they_are() {
        for (one, other, expected) in [
            ("sip:a@Home.net", "sips:a@home.NET;transport=tcp", true),
            ("sip:%61@x", "sip:a@x", true),
            ("sip:a@x", "sip:A@x", false),
            ("sip:a@x:5060", "sip:a@x", false),
            ("tel:+358-50-4821437", "tel:+358504821437", true),
            (
                "sip:+358504821437@home1.net;user=phone",
                "tel:+358-50-4821437",
                true,
            ),
            ("nonsense", "nonsense", false),
        ] {
            assert_eq!(is_same_user(one, other), expected, "{one} {other}");
        }
    }
}
