//! What must be true: after every turn, when all is calm, and at the end.

use super::phone::Watch;
use super::world::World;
use crate::focus::{Notified, Task};
use crate::limits::REQUESTS_MAX;
use clock::Duration;
use conference::info::Status;
use conference::{ParticipantId, SeatState};
use core::sync::atomic::Ordering;
use h248::ast::TerminationId;
use std::collections::{BTreeSet, HashMap};

/// How long a request may be without its final answer: MRFPs are given up after 10 s, and those who join a
/// conference without a context wait for one another.
const ANSWER_MAX: Duration = Duration::from_secs(150);

impl World {
    /// The tables of the focus agree with each other.
    pub(super) fn check_turn(&self) {
        let focus = &self.focus;
        assert!(focus.queue.is_empty(), "events are left");
        let mut contexts = HashMap::new();
        for (name, room) in &focus.rooms {
            for seat in room.conference.roster() {
                let leg = focus.legs.get(&seat.id).expect("every seat has its leg");
                assert_eq!(leg.conference, *name);
                assert!(!leg.is_media_over, "a seat outlived its media: {:?}", seat);
            }
            if let (Some(mrfp), Some(context)) = (&room.mrfp, room.context) {
                let other = contexts.insert((mrfp, context), name);
                assert_eq!(other, None, "two conferences in one context: {name}");
            }
        }
        for (id, leg) in &focus.legs {
            assert!(!(leg.is_sip_over && leg.is_media_over), "{id:?} is over");
            let room = focus.rooms.get(&leg.conference);
            let seat = room.and_then(|room| room.conference.participant(*id));
            assert_eq!(
                seat.is_none(),
                leg.is_media_over,
                "a leg without a conference: {id:?}"
            );
            if let Some(dialog) = leg.dialog.filter(|_| !leg.is_sip_over) {
                assert_eq!(focus.by_dialog.get(&dialog), Some(id));
            }
            if let Some(placed) = leg.placed.as_ref().filter(|_| !leg.is_media_over) {
                let key = (placed.mrfp.clone(), placed.added.termination.clone());
                let owner = focus.by_termination.get(&key);
                assert_eq!(owner, Some(id), "the name {key:?} is another's");
            }
        }
        for room in focus.rooms.values() {
            let mut departed = room.departures.keys();
            assert!(departed.all(|id| room.roster.has(*id)));
        }
        for (dialog, id) in &focus.by_dialog {
            let leg = focus.legs.get(id).expect("a dialog of nobody");
            assert_eq!(leg.dialog, Some(*dialog));
        }
        for id in focus.by_termination.values() {
            assert!(focus.legs.contains_key(id), "a termination of nobody");
        }
        self.check_told();
        for mrfp in &focus.mrfps {
            assert!(mrfp.outstanding <= REQUESTS_MAX);
        }
    }

    /// Whoever is told something has something to wait for.
    fn check_told(&self) {
        let focus = &self.focus;
        for (id, watcher) in &focus.watchers {
            assert!(
                watcher.in_flight.is_some() || watcher.wake.is_some(),
                "{id:?} waits for nothing"
            );
            assert!(focus.watched.contains_key(&watcher.conference));
        }
        for notified in focus.notifies.values() {
            match notified {
                Notified::Refer(id) => assert!(focus.refers.contains_key(id)),
                Notified::Watcher(id) => assert!(focus.watchers.contains_key(id)),
            }
        }
    }

    /// Nothing went wrong for long enough: everybody knows the same.
    pub(super) fn check_calm(&mut self) {
        for (key, (asked, answer)) in &self.asked {
            let age = self.now.since(*asked);
            assert!(answer.is_some() || age < ANSWER_MAX, "{key} has no answer");
        }
        self.check_sessions();
        self.check_media();
        for phone in &self.phones {
            for watch in &phone.watches {
                self.check_view(phone.number, phone.is_gone, watch);
            }
        }
    }

    /// Phones and focus agree on who is in.
    fn check_sessions(&self) {
        let is_in = |id: ParticipantId, conference: &str| {
            let room = self.focus.rooms.get(conference);
            let seat = room.and_then(|room| room.conference.participant(id));
            seat.is_some_and(|seat| seat.state == SeatState::Connected)
        };
        let mut ours = BTreeSet::new();
        for (id, leg) in &self.focus.legs {
            if is_in(*id, &leg.conference) {
                ours.insert(&leg.call_id);
            }
        }
        for phone in &self.phones {
            for session in phone.sessions.iter().filter(|s| !s.is_doubtful) {
                let (number, is_there) = (phone.number, ours.contains(&session.call_id));
                assert_eq!(session.is_up, is_there, "phone {number}: {session:?}");
            }
        }
    }

    /// What the MRFPs have is what the focus believes, with the modes that are in force.
    fn check_media(&self) {
        let focus = &self.focus;
        for gateway in self.gateways.iter().filter(|g| g.is_registered) {
            if !focus.mrfps.iter().any(|m| m.mid == gateway.mid) {
                continue;
            }
            for leg in focus.legs.iter().filter(|(_, leg)| !leg.is_media_over) {
                let (id, leg) = leg;
                let Some(placed) = leg.placed.as_ref().filter(|p| p.mrfp == gateway.mid) else {
                    continue;
                };
                let TerminationId::Name(name) = &placed.added.termination else {
                    continue;
                };
                let seat = focus.rooms[&leg.conference].conference.participant(*id);
                let is_connected = seat.is_some_and(|s| s.state == SeatState::Connected);
                let there = gateway.there.get(&name.to_string());
                if let Some(there) = there.filter(|_| is_connected) {
                    assert_eq!(there.context, placed.added.context, "{id:?}");
                    let mode = focus.mode(*id, leg.offer.as_ref());
                    assert_eq!(there.mode, Some(mode), "the mode of {id:?} at its MRFP");
                }
            }
        }
    }

    /// Who watches sees who is there.
    fn check_view(&self, number: usize, is_gone: bool, watch: &Watch) {
        let is_sure = !watch.is_over && !watch.is_doubtful && !is_gone;
        let mut watchers = self.focus.watchers.values();
        let known = watchers
            .find(|w| w.event == watch.event && self.focus.rooms.contains_key(&w.conference));
        let Some(known) = known.filter(|_| is_sure) else {
            return;
        };
        let room = &self.focus.rooms[&known.conference];
        let seats = room.conference.roster().filter(|seat| {
            matches!(
                seat.state,
                SeatState::Connected | SeatState::Configuring | SeatState::Dialing
            )
        });
        let expected: BTreeSet<_> = seats
            .map(|seat| self.focus.legs[&seat.id].contact.clone())
            .collect();
        let seen = watch.view.values().flatten();
        let seen = seen.filter(|(_, status)| **status != Status::Pending);
        let seen: BTreeSet<_> = seen.map(|(endpoint, _)| endpoint.clone()).collect();
        assert_eq!(
            seen, expected,
            "what phone {number} sees of {}",
            known.conference
        );
    }

    /// Everybody has left long ago.
    pub(super) fn check_end(&mut self) {
        self.check_turn();
        let focus = &self.focus;
        let left: Vec<_> = focus
            .legs
            .iter()
            .map(|(id, leg)| (id, &leg.conference, leg.cause))
            .collect();
        assert!(left.is_empty(), "legs are left: {left:?}");
        let sizes = [
            ("dialogs", focus.by_dialog.len()),
            ("users", focus.by_user.len()),
            ("terminations", focus.by_termination.len()),
            ("watchers", focus.watchers.len()),
            ("watched conferences", focus.watched.len()),
            ("REFERs", focus.refers.len()),
            ("NOTIFYs", focus.notifies.len()),
            ("audits", focus.audits.len()),
        ];
        for (what, size) in sizes {
            assert_eq!(size, 0, "{what} are left");
        }
        let is_of_one = |(task, _): &&(Task, _)| !matches!(task, Task::Audit(..) | Task::Unwatched);
        assert_eq!(focus.tasks.values().filter(is_of_one).count(), 0, "tasks");
        for (name, room) in &focus.rooms {
            assert!(room.is_provisioned, "{name} is left");
            assert!(room.conference.is_empty(), "{name} is not empty");
            assert_eq!(
                room.quiet_listeners.len(),
                0,
                "listeners of {name} are left"
            );
            assert_eq!((&room.mrfp, room.context, room.grace), (&None, None, None));
        }
        for gateway in &self.gateways {
            let left: Vec<_> = gateway.there.keys().collect();
            assert!(left.is_empty(), "{:?} has {left:?} left", gateway.mid);
        }
        let agent = self.behind.agent.borrow();
        assert_eq!(agent.dialog_count(), 0, "SIP dialogs are left");
        assert_eq!(agent.transaction_count(), 0, "SIP transactions are left");
        drop(agent);
        for (key, (_, answer)) in &self.asked {
            assert!(answer.is_some(), "{key} has no answer");
        }
        let gauge = |counter: &core::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        assert_eq!(gauge(&self.counters.participants), 0);
        assert_eq!(gauge(&self.counters.watchers), 0);
        self.check_records();
    }

    /// One record for each leg, that says how it ended.
    fn check_records(&self) {
        let mut legs = BTreeSet::new();
        for line in self.records.try_iter() {
            let record: serde_json::Value = serde_json::from_str(&line).expect("JSON");
            let leg = record["leg"].as_u64().expect("a number");
            assert!(legs.insert(leg), "two records of leg {leg}");
            assert_ne!(
                record["cause"].as_str(),
                Some(""),
                "leg {leg} ended for no cause"
            );
        }
        assert!(
            legs.into_iter().eq(1..=self.focus.next_leg),
            "a leg has no record"
        );
    }
}
