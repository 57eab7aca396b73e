//! Who takes part, as others may see it, and what changed since when.
//!
//! Every change raises the generation. A subscriber that knows generation *g* gets the users whose
//! last change is later, and who is gone since; where that is not known any more, the whole.

use crate::info::{Document, Endpoint, State, User};
use std::collections::{BTreeMap, VecDeque};

/// Users that are gone and still known as such.
const GONE_MAX: usize = 256;

/// What is said of the conference itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// Its URI.
    pub entity: String,
    /// What it is about.
    pub subject: Option<String>,
    /// How many may take part.
    pub seats_max: usize,
    /// Whether nobody is let in.
    pub is_locked: bool,
}

/// One endpoint of one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The user's URI, as others may see it.
    pub user: String,
    /// Its name.
    pub display: Option<String>,
    /// The nickname in this conference.
    pub nickname: Option<String>,
    /// Whether it is a moderator.
    pub is_moderator: bool,
    /// The endpoint.
    pub endpoint: Endpoint,
}

/// The roster of one conference.
#[derive(Clone, Debug, Default)]
pub struct Roster {
    generation: u64,
    description: Description,
    described: u64,
    users: BTreeMap<String, (u64, User)>,
    gone: VecDeque<(u64, User)>,
    /// Who was gone at this generation or before is forgotten.
    forgotten: u64,
}

impl Roster {
    /// The number of changes so far.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Takes in who takes part now; `parted` tells how an endpoint went.
    pub fn update(
        &mut self,
        description: Description,
        entries: impl IntoIterator<Item = Entry>,
        parted: impl Fn(&Endpoint) -> Endpoint,
    ) {
        let next = self.generation + 1;
        let mut users: BTreeMap<String, User> = BTreeMap::new();
        for entry in entries {
            let user = users.entry(entry.user.clone()).or_insert_with(|| User {
                entity: entry.user,
                state: State::Full,
                display: entry.display,
                nickname: entry.nickname,
                is_moderator: entry.is_moderator,
                endpoints: Vec::new(),
            });
            user.endpoints.push(entry.endpoint);
        }
        let mut is_changed = self.description != description;
        if is_changed {
            (self.description, self.described) = (description, next);
        }
        let left = core::mem::take(&mut self.users);
        for (entity, (changed, old)) in left {
            match users.remove(&entity) {
                Some(new) if new == old => {
                    self.users.insert(entity, (changed, old));
                }
                Some(new) => {
                    is_changed = true;
                    self.users.insert(entity, (next, new));
                }
                None => {
                    is_changed = true;
                    self.bury(next, old, &parted);
                }
            }
        }
        for (entity, new) in users {
            is_changed = true;
            self.gone.retain(|(_, user)| user.entity != entity);
            self.users.insert(entity, (next, new));
        }
        if is_changed {
            self.generation = next;
        }
    }

    fn bury(&mut self, generation: u64, user: User, parted: impl Fn(&Endpoint) -> Endpoint) {
        let deleted = User {
            state: State::Deleted,
            endpoints: user.endpoints.iter().map(parted).collect(),
            ..user
        };
        self.gone.push_back((generation, deleted));
        if self.gone.len() > GONE_MAX
            && let Some((generation, _)) = self.gone.pop_front()
        {
            self.forgotten = generation;
        }
    }

    /// The document for a subscriber that knows generation `since`.
    #[must_use]
    pub fn document(&self, since: Option<u64>, version: u32) -> Document {
        let since = since.filter(|since| *since >= self.forgotten);
        let is_later = |changed: u64| since.is_none_or(|since| changed > since);
        let present = self.users.values().filter(|(at, _)| is_later(*at));
        let gone = self
            .gone
            .iter()
            .filter(|(at, _)| since.is_some() && is_later(*at));
        let users = present.chain(gone).map(|(_, user)| user.clone());
        Document {
            entity: self.description.entity.clone(),
            state: if since.is_some() {
                State::Partial
            } else {
                State::Full
            },
            version,
            description: is_later(self.described).then(|| self.description.clone()),
            user_count: Some(self.users.len()),
            users: users.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::info::{Departure, Status};

    fn entry(user: &str) -> Entry {
        Entry {
            user: user.to_owned(),
            display: None,
            nickname: None,
            is_moderator: false,
            endpoint: Endpoint {
                entity: format!("{user};gr"),
                status: Status::Connected,
                ..Endpoint::default()
            },
        }
    }

    fn parted(endpoint: &Endpoint) -> Endpoint {
        Endpoint {
            status: Status::Disconnected,
            departure: Some(Departure::Departed),
            ..endpoint.clone()
        }
    }

    /// Who is in the document, with the state of each.
    fn shown(roster: &Roster, since: Option<u64>) -> (State, Vec<(String, State)>) {
        let document = roster.document(since, 1);
        let users = document.users.iter().map(|u| (u.entity.clone(), u.state));
        (document.state, users.collect())
    }

    #[test]
    fn a_partial_document_tells_what_changed_since() {
        let mut roster = Roster::default();
        let update = |roster: &mut Roster, entries: Vec<Entry>| {
            roster.update(Description::default(), entries, parted);
            roster.generation()
        };
        let first = update(&mut roster, vec![entry("sip:a"), entry("sip:b")]);
        assert_eq!(
            update(&mut roster, vec![entry("sip:a"), entry("sip:b")]),
            first
        );
        let named = Entry {
            nickname: Some("Bee".into()),
            ..entry("sip:b")
        };
        let second = update(&mut roster, vec![entry("sip:a"), named.clone()]);
        let b = ("sip:b".to_owned(), State::Full);
        assert_eq!(
            shown(&roster, Some(first)),
            (State::Partial, vec![b.clone()])
        );
        update(&mut roster, vec![named.clone()]);
        let a_gone = ("sip:a".to_owned(), State::Deleted);
        assert_eq!(
            shown(&roster, Some(second)),
            (State::Partial, vec![a_gone.clone()])
        );
        assert_eq!(
            shown(&roster, Some(first)),
            (State::Partial, vec![b.clone(), a_gone])
        );
        assert_eq!(shown(&roster, None), (State::Full, vec![b.clone()]));
        let gone = roster.document(Some(second), 1);
        let departure = gone.users[0].endpoints[0].departure;
        assert_eq!(departure, Some(Departure::Departed));
        update(&mut roster, vec![named, entry("sip:a")]);
        let a = ("sip:a".to_owned(), State::Full);
        assert_eq!(shown(&roster, Some(second)), (State::Partial, vec![a]));
    }

    #[test]
    fn who_missed_too_much_gets_the_whole() {
        let mut roster = Roster::default();
        for serial in 0..=GONE_MAX + 1 {
            let user = format!("sip:{serial}");
            roster.update(Description::default(), [entry(&user)], parted);
        }
        assert_eq!(shown(&roster, Some(1)).0, State::Full);
        assert_eq!(
            shown(&roster, Some(roster.generation() - 1)).0,
            State::Partial
        );
    }
}
