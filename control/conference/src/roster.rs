//! Who takes part, as others may see it, and what changed since when.
//!
//! Every change raises the generation. A subscriber that knows generation *g* gets the users whose
//! last change is later, and who is gone since; where that is not known any more, the whole. Changes come one
//! by one and are found by their generation: neither costs more in a large conference than in a small one.

use crate::event::ParticipantId;
use crate::info::{Document, Endpoint, State, Status, User};
use crate::notice::News;
use std::collections::{BTreeMap, HashMap};

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
    /// The generation of its last change.
    changed: u64,
    /// When it came, if it was connected at all.
    came: Option<u64>,
    /// By the order of joining: the first one says what the user is called.
    entries: BTreeMap<ParticipantId, Entry>,
}

/// A user that is there no more.
#[derive(Clone, Debug)]
struct Gone {
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
    /// Whose endpoint each participant is.
    seats: HashMap<ParticipantId, String>,
    /// The users that are there, by their last change.
    changes: BTreeMap<u64, String>,
    /// By when they went.
    gone: BTreeMap<u64, Gone>,
    /// When they went.
    gone_at: HashMap<String, u64>,
    /// Who was gone at this generation or before is forgotten.
    forgotten: u64,
}

impl Roster {
    /// The number of changes so far.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Takes in what is said of the conference now.
    pub fn describe(&mut self, description: Description) {
        if self.description != description {
            self.description = description;
            self.described = self.next();
        }
    }

    /// Takes in how a participant stands now.
    pub fn put(&mut self, id: ParticipantId, entry: Entry) {
        let entity = entry.user.clone();
        let is_other = |before: &String| *before != entity;
        if self.seats.get(&id).is_some_and(is_other) {
            // Under another name it is somebody else.
            self.remove(id, Endpoint::clone);
        }
        let known = self.users.get_mut(&entity);
        if known.is_some_and(|user| user.entries.get(&id) == Some(&entry)) {
            return;
        }
        let at = self.next();
        if let Some(went) = self.gone_at.remove(&entity) {
            self.gone.remove(&went);
        }
        let user = self.users.entry(entity.clone()).or_insert(Present {
            changed: at,
            came: None,
            entries: BTreeMap::new(),
        });
        user.came = user.came.or(is_here(entry.endpoint.status).then_some(at));
        user.entries.insert(id, entry);
        self.changes
            .remove(&core::mem::replace(&mut user.changed, at));
        self.changes.insert(at, entity.clone());
        self.seats.insert(id, entity);
    }

    /// Takes in that a participant is not there any more; `parted` tells how its endpoint went.
    pub fn remove(&mut self, id: ParticipantId, parted: impl FnOnce(&Endpoint) -> Endpoint) {
        let Some(entity) = self.seats.remove(&id) else {
            return;
        };
        let at = self.next();
        let Some(user) = self.users.get_mut(&entity) else {
            return;
        };
        self.changes
            .remove(&core::mem::replace(&mut user.changed, at));
        let last = user.entries.remove(&id);
        if !user.entries.is_empty() {
            self.changes.insert(at, entity);
            return;
        }
        let came = user.came;
        self.users.remove(&entity);
        if let Some(entry) = last {
            let user = User {
                state: State::Deleted,
                ..user_of(
                    &entity,
                    [&Entry {
                        endpoint: parted(&entry.endpoint),
                        ..entry
                    }],
                )
            };
            self.bury(at, entity, Gone { came, user });
        }
    }

    fn bury(&mut self, went: u64, entity: String, gone: Gone) {
        self.gone.insert(went, gone);
        self.gone_at.insert(entity, went);
        if self.gone.len() > GONE_MAX
            && let Some((went, gone)) = self.gone.pop_first()
        {
            self.gone_at.remove(&gone.user.entity);
            self.forgotten = went;
        }
    }

    fn next(&mut self) -> u64 {
        self.generation += 1;
        self.generation
    }

    /// Whether a participant is in it.
    #[must_use]
    pub fn has(&self, id: ParticipantId) -> bool {
        self.seats.contains_key(&id)
    }

    /// The participants in it, in no order.
    pub fn seats(&self) -> impl Iterator<Item = ParticipantId> {
        self.seats.keys().copied()
    }

    /// Those that changed after generation `known`, in the order of their last changes.
    fn changed_after(&self, known: u64) -> impl Iterator<Item = (&String, &Present)> {
        let later = self.changes.range(known.saturating_add(1)..);
        later.filter_map(|(_, entity)| self.users.get_key_value(entity))
    }

    fn gone_after(&self, known: u64) -> impl Iterator<Item = &Gone> {
        let later = self.gone.range(known.saturating_add(1)..);
        later.map(|(_, gone)| gone)
    }

    /// The generation that is known, if what happened since is.
    fn known(&self, since: Option<u64>) -> Option<u64> {
        since.filter(|since| *since >= self.forgotten)
    }

    /// What `listener`, who knows generation `since`, is to be told: who came and went since, or
    /// where that is not known any more who is here. It is not told of itself.
    #[must_use]
    pub fn news(&self, since: Option<u64>, listener: &str) -> News {
        let known = self.known(since);
        let name = |(entity, user): (&String, &Present)| {
            (entity != listener).then(|| user_of(entity, user.entries.values()).name())
        };
        let (names, went) = match known {
            None => {
                let here = self.users.iter().filter(|(_, user)| user.came.is_some());
                (here.filter_map(name).collect(), Vec::new())
            }
            Some(known) => {
                let is_later = |came: Option<u64>| came.is_some_and(|at| at > known);
                let came = self.changed_after(known);
                let came = came.filter(|(_, user)| is_later(user.came));
                let went = self.gone_after(known);
                // Who came and went meanwhile was never there.
                let went = went.filter(|gone| gone.came.is_some() && !is_later(gone.came));
                let went = went.map(|gone| gone.user.name()).collect();
                (came.filter_map(name).collect(), went)
            }
        };
        News {
            is_first: since.is_none(),
            is_whole: known.is_none(),
            names,
            went,
        }
    }

    /// The document for a subscriber that knows generation `since`.
    #[must_use]
    pub fn document(&self, since: Option<u64>, version: u32) -> Document {
        let user = |(entity, user): (&String, &Present)| user_of(entity, user.entries.values());
        let known = self.known(since);
        let (state, users) = match known {
            None => (State::Full, self.users.iter().map(user).collect()),
            Some(known) => {
                let gone = self.gone_after(known).map(|gone| gone.user.clone());
                let changed = self.changed_after(known).map(user);
                (State::Partial, changed.chain(gone).collect())
            }
        };
        let is_described = known.is_none_or(|known| self.described > known);
        Document {
            entity: self.description.entity.clone(),
            state,
            version,
            description: is_described.then(|| self.description.clone()),
            user_count: Some(self.users.len()),
            is_locked: self.description.is_locked,
            users,
        }
    }
}

/// A user as documents have it.
fn user_of<'a>(entity: &str, entries: impl IntoIterator<Item = &'a Entry>) -> User {
    let mut user = User {
        entity: entity.to_owned(),
        state: State::Full,
        ..User::default()
    };
    for entry in entries {
        if user.endpoints.is_empty() {
            user.display.clone_from(&entry.display);
            user.nickname.clone_from(&entry.nickname);
            user.is_moderator = entry.is_moderator;
        }
        user.endpoints.push(entry.endpoint.clone());
    }
    user
}

fn is_here(status: Status) -> bool {
    match status {
        Status::Connected | Status::OnHold | Status::MutedViaFocus => true,
        Status::Pending | Status::DialingOut | Status::Alerting | Status::Disconnected => false,
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

    /// Takes in that these are there, and nobody else; who they are says the last letter of their URIs.
    fn update(roster: &mut Roster, entries: &[Entry]) -> u64 {
        let id = |entry: &Entry| {
            let last = entry.user.bytes().last();
            ParticipantId(last.map_or(0, u64::from))
        };
        let here: Vec<_> = entries.iter().map(id).collect();
        let before: Vec<_> = roster.seats().collect();
        for id in before.into_iter().filter(|id| !here.contains(id)) {
            roster.remove(id, parted);
        }
        for entry in entries {
            roster.put(id(entry), entry.clone());
        }
        roster.generation()
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
        let first = update(&mut roster, &[entry("sip:a"), entry("sip:b")]);
        assert_eq!(
            update(&mut roster, &[entry("sip:a"), entry("sip:b")]),
            first
        );
        let named = Entry {
            nickname: Some("Bee".into()),
            ..entry("sip:b")
        };
        let second = update(&mut roster, &[entry("sip:a"), named.clone()]);
        let b = ("sip:b".to_owned(), State::Full);
        assert_eq!(
            shown(&roster, Some(first)),
            (State::Partial, vec![b.clone()])
        );
        update(&mut roster, core::slice::from_ref(&named));
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
        update(&mut roster, &[named, entry("sip:a")]);
        let a = ("sip:a".to_owned(), State::Full);
        assert_eq!(shown(&roster, Some(second)), (State::Partial, vec![a]));
        roster.describe(Description {
            is_locked: true,
            ..Description::default()
        });
        let document = roster.document(Some(roster.generation()), 1);
        assert!(document.description.is_none() && document.is_locked);
    }

    #[test]
    fn news_is_who_came_and_went_and_not_what_else_changed() {
        let mut roster = Roster::default();
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
        let first = update(&mut roster, &[entry("sip:a"), entry("sip:b"), ringing]);
        check(&roster, None, true, &["sip:b"], &[]);
        check(&roster, Some(first), false, &[], &[]);
        let named = Entry {
            nickname: Some("Bee".into()),
            ..entry("sip:b")
        };
        let second = update(&mut roster, &[entry("sip:a"), named, entry("sip:c")]);
        check(&roster, Some(first), false, &["sip:c"], &[]);
        check(&roster, None, true, &["Bee <sip:b>", "sip:c"], &[]);
        // Who came and went meanwhile was never there.
        update(
            &mut roster,
            &[entry("sip:a"), entry("sip:c"), entry("sip:d")],
        );
        update(&mut roster, &[entry("sip:a"), entry("sip:c")]);
        check(&roster, Some(second), false, &[], &["Bee <sip:b>"]);
        check(&roster, Some(first), false, &["sip:c"], &["Bee <sip:b>"]);
    }

    /// Whoever takes in what it is sent knows what is so, whatever it missed between.
    #[test]
    fn documents_lead_from_any_state_to_the_present() {
        let (mut roster, mut random) = (Roster::default(), 7_u32);
        // Three subscribers, with the generation and the users that each knows.
        let mut known = [(); 3].map(|()| (None, BTreeMap::<String, User>::new()));
        for step in 0..20_000 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (id, what) = (random >> 28, random >> 20 & 3);
            let participant = ParticipantId(u64::from(id));
            match what {
                0 => roster.remove(participant, parted),
                _ => {
                    // Two participants are one user.
                    let mut entry = entry(&format!("sip:{}", id / 2));
                    entry.nickname = (what == 1).then(|| "Bee".to_owned());
                    entry.endpoint.entity = format!("sip:{id}");
                    roster.put(participant, entry);
                }
            }
            for (at, (since, users)) in known.iter_mut().enumerate() {
                if !(random >> 8).is_multiple_of(1 + 40 * u32::try_from(at).expect("few")) {
                    continue;
                }
                let document = roster.document(*since, 1);
                if document.state == State::Full {
                    users.clear();
                }
                for user in document.users {
                    match user.state {
                        State::Deleted => users.remove(&user.entity),
                        State::Full | State::Partial => users.insert(user.entity.clone(), user),
                    };
                }
                *since = Some(roster.generation());
                let whole = roster.document(None, 1).users;
                assert!(users.values().eq(&whole), "{users:?} {whole:?} {step}");
                assert_eq!(document.user_count, Some(whole.len()));
            }
        }
    }

    #[test]
    fn who_missed_too_much_gets_the_whole() {
        let mut roster = Roster::default();
        for serial in 0..=GONE_MAX + 1 {
            let user = format!("sip:{serial}");
            roster.put(ParticipantId(0), entry(&user));
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
