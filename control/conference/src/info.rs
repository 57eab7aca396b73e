//! Documents of the conference event package (RFC 4575 5), with the nickname of RFC 6501: what they
//! hold, writing and reading them.

mod read;

use crate::roster::Description;
use quick_xml::escape::escape;

/// Media type of a document.
pub const MEDIA_TYPE: &str = "application/conference-info+xml";

/// How an element stands to the one that the reader knows (RFC 4575 4.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// It is the whole.
    #[default]
    Full,
    /// It is what changed.
    Partial,
    /// It is gone.
    Deleted,
}

/// Where an endpoint stands (RFC 4575 5.7.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the variants are the RFC's own words")]
pub enum Status {
    #[default]
    Pending,
    DialingOut,
    Alerting,
    Connected,
    OnHold,
    MutedViaFocus,
    Disconnected,
}

/// How an endpoint came (RFC 4575 5.7.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the variants are the RFC's own words")]
pub enum Joining {
    DialedIn,
    DialedOut,
}

/// How an endpoint went (RFC 4575 5.7.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the variants are the RFC's own words")]
pub enum Departure {
    Departed,
    Booted,
    Failed,
    Busy,
}

/// A document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// URI of the conference.
    pub entity: String,
    /// What the document is.
    pub state: State,
    /// Raised with every document of a subscription.
    pub version: u32,
    /// What is said of the conference itself, if that changed.
    pub description: Option<Description>,
    /// How many users take part.
    pub user_count: Option<usize>,
    /// Whether nobody is let in; told with that number, for what is told of the two replaces what was known as a
    /// whole (RFC 4575 4.6).
    pub is_locked: bool,
    /// The users that it tells of.
    pub users: Vec<User>,
}

/// A user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// Its URI.
    pub entity: String,
    /// What is told of it.
    pub state: State,
    /// Its name.
    pub display: Option<String>,
    /// Its nickname.
    pub nickname: Option<String>,
    /// Whether it is a moderator.
    pub is_moderator: bool,
    /// Its endpoints.
    pub endpoints: Vec<Endpoint>,
}

impl User {
    /// What people call it: its nickname or name, with its URI.
    #[must_use]
    pub fn name(&self) -> String {
        match self.nickname.as_ref().or(self.display.as_ref()) {
            Some(name) => format!("{name} <{}>", self.entity),
            None => self.entity.clone(),
        }
    }
}

/// An endpoint of a user, with its one media stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoint {
    /// Its Contact or GRUU.
    pub entity: String,
    /// Where it stands.
    pub status: Status,
    /// How it came.
    pub joining: Option<Joining>,
    /// When it came, seconds since 1970.
    pub joined_at: Option<u64>,
    /// Who had it called.
    pub referred_by: Option<String>,
    /// How it went.
    pub departure: Option<Departure>,
    /// `sendrecv` and its kin, as the endpoint sees it.
    pub media: Option<&'static str>,
    /// Its dialog with the focus: for itself alone, to know which of all endpoints it is.
    pub dialog: Option<DialogIds>,
}

/// What names a dialog (RFC 4575 5.7.9); the one who called wrote the from-tag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the RFC's own words")]
pub struct DialogIds {
    pub call_id: String,
    pub from_tag: String,
    pub to_tag: String,
}

const STATES: [(State, &str); 3] = [
    (State::Full, "full"),
    (State::Partial, "partial"),
    (State::Deleted, "deleted"),
];

const STATUSES: [(Status, &str); 7] = [
    (Status::Pending, "pending"),
    (Status::DialingOut, "dialing-out"),
    (Status::Alerting, "alerting"),
    (Status::Connected, "connected"),
    (Status::OnHold, "on-hold"),
    (Status::MutedViaFocus, "muted-via-focus"),
    (Status::Disconnected, "disconnected"),
];

const JOININGS: [(Joining, &str); 2] = [
    (Joining::DialedIn, "dialed-in"),
    (Joining::DialedOut, "dialed-out"),
];

const DEPARTURES: [(Departure, &str); 4] = [
    (Departure::Departed, "departed"),
    (Departure::Booted, "booted"),
    (Departure::Failed, "failed"),
    (Departure::Busy, "busy"),
];

fn word<T: PartialEq>(table: &[(T, &'static str)], value: &T) -> &'static str {
    table
        .iter()
        .find(|(v, _)| v == value)
        .map_or("", |(_, w)| w)
}

fn meaning<T: Copy>(table: &[(T, &str)], word: &str) -> Option<T> {
    let word = word.trim();
    table.iter().find(|(_, w)| *w == word).map(|(v, _)| *v)
}

/// A document being written: elements and their texts, escaped.
struct Page(String);

impl Page {
    fn open(&mut self, name: &str, attributes: &[(&str, &str)]) {
        self.0.push_str(&format!("<{name}"));
        for (key, value) in attributes {
            self.0
                .push_str(&format!(" {key}=\"{}\"", escape(clean(value))));
        }
        self.0.push('>');
    }

    fn close(&mut self, name: &str) {
        self.0.push_str(&format!("</{name}>"));
    }

    fn leaf(&mut self, name: &str, text: &str) {
        self.0
            .push_str(&format!("<{name}>{}</{name}>", escape(clean(text))));
    }
}

/// Without the characters that no XML document may hold (XML 1.0 2.2).
fn clean(text: &str) -> String {
    let is_char = |c: &char| !matches!(c, '\0'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}');
    text.chars().filter(is_char).collect()
}

impl Document {
    /// The document that says that the conference is no more.
    #[must_use]
    pub fn deleted(entity: &str, version: u32) -> Self {
        Self {
            entity: entity.to_owned(),
            state: State::Deleted,
            version,
            ..Self::default()
        }
    }

    /// The document as XML.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let mut page = Page("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned());
        let version = self.version.to_string();
        page.open(
            "conference-info",
            &[
                ("xmlns", "urn:ietf:params:xml:ns:conference-info"),
                ("xmlns:xcon", "urn:ietf:params:xml:ns:xcon-conference-info"),
                ("entity", &self.entity),
                ("state", word(&STATES, &self.state)),
                ("version", &version),
            ],
        );
        if self.state != State::Deleted {
            self.write_conference(&mut page);
            let state = match self.state {
                State::Partial => "partial",
                State::Full | State::Deleted => "full",
            };
            page.open("users", &[("state", state)]);
            self.users.iter().for_each(|user| user.write(&mut page));
            page.close("users");
        }
        page.close("conference-info");
        page.0
    }

    fn write_conference(&self, page: &mut Page) {
        if let Some(description) = &self.description {
            page.open("conference-description", &[]);
            if let Some(subject) = &description.subject {
                page.leaf("subject", subject);
            }
            page.open("conf-uris", &[]);
            page.open("entry", &[]);
            page.leaf("uri", &self.entity);
            page.leaf("purpose", "participation");
            page.close("entry");
            page.close("conf-uris");
            page.leaf("maximum-user-count", &description.seats_max.to_string());
            page.close("conference-description");
        }
        if let Some(count) = self.user_count {
            page.open("conference-state", &[]);
            page.leaf("user-count", &count.to_string());
            page.leaf("active", if count > 0 { "true" } else { "false" });
            page.leaf("locked", if self.is_locked { "true" } else { "false" });
            page.close("conference-state");
        }
    }
}

impl User {
    fn write(&self, page: &mut Page) {
        let mut attributes = vec![
            ("entity", self.entity.as_str()),
            ("state", word(&STATES, &self.state)),
        ];
        if let Some(nickname) = &self.nickname {
            attributes.push(("xcon:nickname", nickname));
        }
        page.open("user", &attributes);
        if let Some(display) = &self.display {
            page.leaf("display-text", display);
        }
        if self.is_moderator {
            page.open("roles", &[]);
            page.leaf("entry", "moderator");
            page.close("roles");
        }
        for endpoint in &self.endpoints {
            endpoint.write(page, self.state);
        }
        page.close("user");
    }
}

impl Endpoint {
    fn write(&self, page: &mut Page, state: State) {
        let state = word(&STATES, &state);
        page.open("endpoint", &[("entity", &self.entity), ("state", state)]);
        if let Some(by) = &self.referred_by {
            page.open("referred", &[]);
            page.leaf("by", by);
            page.close("referred");
        }
        page.leaf("status", word(&STATUSES, &self.status));
        if let Some(joining) = &self.joining {
            page.leaf("joining-method", word(&JOININGS, joining));
        }
        if let Some(at) = self.joined_at {
            page.open("joining-info", &[]);
            page.leaf("when", &date_time(at));
            page.close("joining-info");
        }
        if let Some(departure) = &self.departure {
            page.leaf("disconnection-method", word(&DEPARTURES, departure));
        }
        if let Some(direction) = self.media {
            page.open("media", &[("id", "1")]);
            page.leaf("type", "message");
            page.leaf("status", direction);
            page.close("media");
        }
        if let Some(dialog) = &self.dialog {
            page.open("call-info", &[]);
            page.open("sip", &[]);
            page.leaf("call-id", &dialog.call_id);
            page.leaf("from-tag", &dialog.from_tag);
            page.leaf("to-tag", &dialog.to_tag);
            page.close("sip");
            page.close("call-info");
        }
        page.close("endpoint");
    }
}

/// Seconds since 1970 as an XML dateTime in UTC.
fn date_time(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days of a year that begins in March, so that the leap day is the last one.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, year) = if month < 10 {
        (month + 3, era * 400 + year)
    } else {
        (month - 9, era * 400 + year + 1)
    };
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

#[cfg(test)]
#[path = "info/tests.rs"]
mod tests;
