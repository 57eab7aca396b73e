//! Who takes part, as others may see it, and what changed since when.
//!
//! Every change raises the generation. A subscriber that knows generation *g* gets the users whose
//! last change is later, and who is gone since; where that is not known any more, the whole.

use crate::info::{Document, Endpoint, State, Status, User};
use crate::notice::News;
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

/// A user that is there.
#[derive(Clone, Debug)]
struct Present {
    /// When something of it changed last.
    changed: u64,
    /// When it came, if it was connected at all.
    came: Option<u64>,
    user: User,
}

/// A user that is there no more.
#[derive(Clone, Debug)]
struct Gone {
    went: u64,
    came: Option<u64>,
    user: User,
}

/// The roster of one conference.
#[derive(Clone, Debug, Default)]
pub struct Roster {
    generation: u64,
    description: Description,
    described: u64,
    users: BTreeMap<String, Present>,
    gone: VecDeque<Gone>,
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
        for (entity, old) in left {
            match users.remove(&entity) {
                Some(new) if new == old.user => {
                    self.users.insert(entity, old);
                }
                Some(user) => {
                    is_changed = true;
                    let came = old.came.or(is_connected(&user).then_some(next));
                    let changed = next;
                    let present = Present {
                        changed,
                        came,
                        user,
                    };
                    self.users.insert(entity, present);
                }
                None => {
                    is_changed = true;
                    self.bury(next, old, &parted);
                }
            }
        }
        for (entity, user) in users {
            is_changed = true;
            self.gone.retain(|gone| gone.user.entity != entity);
            let present = Present {
                changed: next,
                came: is_connected(&user).then_some(next),
                user,
            };
            self.users.insert(entity, present);
        }
        if is_changed {
            self.generation = next;
        }
    }

    fn bury(&mut self, went: u64, old: Present, parted: impl Fn(&Endpoint) -> Endpoint) {
        let user = User {
            state: State::Deleted,
            endpoints: old.user.endpoints.iter().map(parted).collect(),
            ..old.user
        };
        let came = old.came;
        self.gone.push_back(Gone { went, came, user });
        if self.gone.len() > GONE_MAX
            && let Some(gone) = self.gone.pop_front()
        {
            self.forgotten = gone.went;
        }
    }

    /// What `listener`, who knows generation `since`, is to be told: who came and went since, or
    /// where that is not known any more who is here. It is not told of itself.
    #[must_use]
    pub fn news(&self, since: Option<u64>, listener: &str) -> News {
        let known = since.filter(|since| *since >= self.forgotten);
        let is_later = |at: Option<u64>| at.is_some_and(|at| known.is_none_or(|known| at > known));
        let others = self.users.values().filter(|p| p.user.entity != listener);
        let names = others.filter(|p| is_later(p.came));
        let names = names.map(|p| p.user.name()).collect();
        let is_missed = |gone: &&Gone| {
            let is_known = gone.came.is_some() && !is_later(gone.came);
            known.is_some() && is_known && is_later(Some(gone.went))
        };
        let went = self.gone.iter().filter(is_missed);
        News {
            is_first: since.is_none(),
            is_whole: known.is_none(),
            names,
            went: went.map(|gone| gone.user.name()).collect(),
        }
    }

    /// The document for a subscriber that knows generation `since`.
    #[must_use]
    pub fn document(&self, since: Option<u64>, version: u32) -> Document {
        let since = since.filter(|since| *since >= self.forgotten);
        let is_later = |changed: u64| since.is_none_or(|since| changed > since);
        let present = self.users.values().filter(|p| is_later(p.changed));
        let gone = self.gone.iter();
        let gone = gone.filter(|gone| since.is_some() && is_later(gone.went));
        let users = present.map(|p| &p.user).chain(gone.map(|gone| &gone.user));
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
            users: users.cloned().collect(),
        }
    }
}

fn is_connected(user: &User) -> bool {
    let is_here = |status| match status {
        Status::Connected | Status::OnHold | Status::MutedViaFocus => true,
        Status::Pending | Status::DialingOut | Status::Alerting | Status::Disconnected => false,
    };
    user.endpoints.iter().any(|one| is_here(one.status))
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
    fn news_is_who_came_and_went_and_not_what_else_changed() {
        let mut roster = Roster::default();
        let update = |roster: &mut Roster, entries: Vec<Entry>| {
            roster.update(Description::default(), entries, parted);
            roster.generation()
        };
        #[track_caller]
        fn check(
            roster: &Roster,
            since: Option<u64>,
            is_whole: bool,
            names: &[&str],
            went: &[&str],
        ) {
            let news = roster.news(since, "sip:a");
            let shown = (news.is_first, news.is_whole, news.names, news.went);
            let owned = |all: &[&str]| all.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
            assert_eq!(
                shown,
                (since.is_none(), is_whole, owned(names), owned(went))
            );
        }
        let mut ringing = entry("sip:c");
        ringing.endpoint.status = Status::Alerting;
        let first = update(&mut roster, vec![entry("sip:a"), entry("sip:b"), ringing]);
        check(&roster, None, true, &["sip:b"], &[]);
        check(&roster, Some(first), false, &[], &[]);
        let named = Entry {
            nickname: Some("Bee".into()),
            ..entry("sip:b")
        };
        let second = update(&mut roster, vec![entry("sip:a"), named, entry("sip:c")]);
        check(&roster, Some(first), false, &["sip:c"], &[]);
        check(&roster, None, true, &["Bee <sip:b>", "sip:c"], &[]);
        // Who came and went meanwhile was never there.
        update(
            &mut roster,
            vec![entry("sip:a"), entry("sip:c"), entry("sip:d")],
        );
        update(&mut roster, vec![entry("sip:a"), entry("sip:c")]);
        check(&roster, Some(second), false, &[], &["Bee <sip:b>"]);
        check(&roster, Some(first), false, &["sip:c"], &["Bee <sip:b>"]);
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
        let news = roster.news(Some(1), "sip:0");
        assert!(
            news.is_whole && !news.is_first && news.names.len() == 1,
            "{news:?}"
        );
    }
}
