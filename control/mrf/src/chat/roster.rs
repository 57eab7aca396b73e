//! Who takes part, as lines of a terminal.

use std::collections::BTreeMap;

use conference::info::{Document, State, Status, User};

use super::render;

/// What a participant was told of the others so far.
#[derive(Debug, Default)]
pub(super) struct Roster {
    /// Names by URI; none before the first document.
    here: Option<BTreeMap<String, String>>,
}

impl Roster {
    /// Takes a document of the conference event package (RFC 4575); what changed, in words.
    pub(super) fn take(&mut self, document: &Document) -> Vec<String> {
        let is_first = self.here.is_none();
        let before = self.here.take().unwrap_or_default();
        let mut now = match document.state {
            State::Partial => before.clone(),
            State::Full | State::Deleted => BTreeMap::new(),
        };
        for user in &document.users {
            if is_here(user) {
                now.insert(user.entity.clone(), name(user));
            } else {
                now.remove(&user.entity);
            }
        }
        let lines = if is_first {
            vec![here(&now)]
        } else {
            changes(&before, &now)
        };
        self.here = Some(now);
        lines
    }

    /// Who is here, in words; `None` as long as nobody told.
    pub(super) fn all(&self) -> Option<String> {
        self.here.as_ref().map(here)
    }

    /// The URI of whoever has this name, if exactly one has.
    pub(super) fn uri_of(&self, name: &str) -> Option<&str> {
        let mut named = self
            .here
            .iter()
            .flatten()
            .filter(|(_, other)| other.as_str() == name)
            .map(|(uri, _)| uri.as_str());
        let only = named.next();
        only.filter(|_| named.next().is_none())
    }
}

fn here(now: &BTreeMap<String, String>) -> String {
    let names: Vec<_> = now.values().cloned().collect();
    format!("here: {}", names.join(", "))
}

fn changes(before: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Vec<String> {
    let came = now.iter().filter_map(|(uri, name)| match before.get(uri) {
        None => Some(format!("{name} joined")),
        Some(old) if old != name => Some(format!("{old} is now {name}")),
        Some(_) => None,
    });
    let gone = before.iter().filter(|(uri, _)| !now.contains_key(*uri));
    came.chain(gone.map(|(_, name)| format!("{name} left")))
        .collect()
}

fn is_here(user: &User) -> bool {
    let is_in = |status: Status| {
        matches!(
            status,
            Status::Connected | Status::OnHold | Status::MutedViaFocus
        )
    };
    let has_one = user.endpoints.is_empty() || user.endpoints.iter().any(|e| is_in(e.status));
    user.state != State::Deleted && has_one
}

/// The nickname, the display name, or the user part of the URI.
fn name(user: &User) -> String {
    let uri = sip::Uri::parse(&user.entity).ok();
    let of_uri = uri.as_ref().and_then(|uri| uri.user());
    let name = user
        .nickname
        .as_deref()
        .or(user.display.as_deref())
        .or(of_uri)
        .unwrap_or(&user.entity);
    render::plain(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use conference::info::Endpoint;

    fn user(entity: &str, state: State, nickname: Option<&str>) -> User {
        User {
            entity: entity.to_owned(),
            state,
            nickname: nickname.map(str::to_owned),
            endpoints: vec![Endpoint {
                status: Status::Connected,
                ..Endpoint::default()
            }],
            ..User::default()
        }
    }

    #[test]
    fn a_roster_becomes_lines() {
        let mut roster = Roster::default();
        let mut check = |state: State, users: Vec<User>, expected: &[&str]| {
            let document = Document {
                state,
                users,
                ..Document::default()
            };
            assert_eq!(roster.take(&document), expected);
        };
        let (full, partial, deleted) = (State::Full, State::Partial, State::Deleted);
        let ann = user("sip:ann@x", full, None);
        check(full, vec![ann.clone()], &["here: ann"]);
        let bob = user("sip:bob@x", full, None);
        check(partial, vec![bob.clone()], &["bob joined"]);
        let named = user("sip:bob@x", full, Some("Bob \u{1b}the B."));
        check(partial, vec![named], &["bob is now Bob \u{fffd}the B."]);
        check(
            partial,
            vec![user("sip:ann@x", deleted, None)],
            &["ann left"],
        );
        check(
            full,
            vec![bob, ann],
            &["ann joined", "Bob \u{fffd}the B. is now bob"],
        );
        assert_eq!(roster.all().as_deref(), Some("here: ann, bob"));
        assert_eq!(roster.uri_of("bob"), Some("sip:bob@x"));
        assert_eq!(roster.uri_of("carol"), None);
    }

    #[test]
    fn a_name_that_two_have_is_nobodys() {
        let mut roster = Roster::default();
        assert_eq!(roster.all(), None);
        roster.take(&Document {
            state: State::Full,
            users: vec![
                user("sip:ann@x", State::Full, None),
                user("sip:ann@y", State::Full, None),
            ],
            ..Document::default()
        });
        assert_eq!(roster.uri_of("ann"), None);
    }
}
