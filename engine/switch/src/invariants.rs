//! What must hold between any two inputs: the tables of a shard point at each other.

use crate::api::{ConnId, Octets};
use crate::connection::{Connection, Pace, Sharing};
use crate::context::Context;
use crate::message::{DeliveryState, Phase, index_key};
use crate::pressure::Source;
use crate::session::{Link, SessionRef};
use crate::shard::Shard;

impl<B: Octets> Shard<B> {
    /// For tests: looks at everything, which takes as long as there is state.
    ///
    /// # Panics
    ///
    /// When two tables disagree.
    pub fn assert_invariants(&self) {
        self.sessions.assert_named();
        for session in self.sessions.iter() {
            self.check_session(session);
        }
        self.check_tables();
        self.check_plays();
        let branches = self.conns.iter().filter(|c| c.id.is_branch());
        assert_eq!(branches.count(), self.branches.len(), "branches have names");
        self.check_ages();
        for connection in self.conns.iter() {
            self.check_connection(connection);
        }
        let counted = self.conns.iter().map(|c| c.tx.counted);
        assert_eq!(counted.sum::<usize>(), self.queued, "the queues add up");
        for (slot, message) in &self.messages {
            let slot = u32::try_from(slot).expect("below MESSAGES_MAX");
            assert!(message.is_consistent(), "message {slot} counts its answers");
            let sender = &self.sessions[message.sender.index as usize];
            let of_sender = match message.phase {
                Phase::Open => &sender.open,
                Phase::Complete => &sender.waiting,
            };
            assert!(of_sender.contains(&slot), "message {slot} is its sender's");
            assert!(
                !message.is_concluded_by_all(),
                "message {slot} waits for something"
            );
        }
    }

    fn check_session(&self, session: SessionRef) {
        let entry = &self.sessions[session.index as usize];
        let key = entry.key;
        let contexts = self.contexts.iter();
        let homes: Vec<_> = contexts
            .filter(|(_, c)| c.members().any(|member| member == session))
            .map(|(home, _)| *home)
            .collect();
        assert_eq!(homes, [entry.context], "{key:?} is in its context alone");
        match entry.link.get() {
            Link::Bound(conn) => {
                let connection = self.live(conn).expect("bound to a live connection");
                assert!(connection.sessions.contains(&session), "{key:?} is carried");
            }
            Link::Connecting { request, .. } => {
                assert_eq!(self.connects.get(&request), Some(&session), "{key:?}");
            }
            Link::Waiting | Link::Lost | Link::Elsewhere(_) => {}
        }
        for slot in &entry.open {
            let message = &self.messages[*slot as usize];
            assert_eq!((message.sender, message.phase), (session, Phase::Open));
        }
        for (at, slot) in entry.waiting.iter().enumerate() {
            let message = &self.messages[*slot as usize];
            assert_eq!((message.sender, message.phase), (session, Phase::Complete));
            assert_eq!(message.waits_at.map(|w| w as usize), Some(at));
        }
    }

    /// Every message stands in the list of its phase, in order.
    fn check_ages(&self) {
        let mut count = 0;
        for (ages, phase) in [
            (&self.open_ages, Phase::Open),
            (&self.complete_ages, Phase::Complete),
        ] {
            let slots: Vec<u32> = ages.iter(&self.messages).collect();
            let listed = slots.iter().map(|s| &self.messages[*s as usize]);
            assert!(listed.clone().all(|m| m.phase == phase), "{phase:?}");
            assert!(listed.is_sorted_by_key(|m| m.touched_at), "{phase:?}");
            count += slots.len();
        }
        assert_eq!(count, self.messages.len(), "all are listed");
    }

    fn check_tables(&self) {
        for (request, session) in &self.connects {
            let link = self.sessions[session.index as usize].link.get();
            let is_its = matches!(link, Link::Connecting { request: r, .. } if r == *request);
            assert!(is_its, "{request:?} is awaited");
        }
        for (origin, slot) in &self.by_origin {
            let message = &self.messages[*slot as usize];
            assert_eq!(message.origin().as_ref(), Some(origin));
        }
        for (key, slot) in &self.by_message_id {
            let message = &self.messages[*slot as usize];
            assert_eq!(index_key(message.context, message.hash), *key);
        }
        for context in self.contexts.values() {
            let seats: Vec<SessionRef> = context.members().collect();
            assert!(!seats.is_empty(), "a context lives as long as its sessions");
            self.check_reach(context);
            let is_here = |index: u32| seats.iter().any(|s| s.index == index);
            let mut cut = context.cut.iter();
            assert!(
                cut.all(|(from, to)| is_here(*from) && is_here(*to)),
                "only those who are there are cut off"
            );
        }
    }

    /// The shards that a context reaches are those that carry its doubles.
    fn check_reach(&self, context: &Context) {
        let Some(reach) = &context.reach else { return };
        let mut carried: Vec<_> = reach
            .doubles
            .iter()
            .filter_map(|double| self.sessions[double.index as usize].elsewhere())
            .collect();
        carried.sort_unstable();
        let listed = reach.shards.iter();
        let mut listed: Vec<_> = listed
            .flat_map(|(shard, count)| (0..*count).map(|_| *shard))
            .collect();
        listed.sort_unstable();
        assert_eq!(carried, listed, "shards are listed with what they carry");
    }

    fn check_connection(&self, connection: &Connection<B>) {
        let id = connection.id;
        for session in &connection.sessions {
            let link = self.sessions[session.index as usize].link.get();
            assert_eq!(link, Link::Bound(id), "carries what is bound to it");
        }
        let queued = connection.tx.queued();
        let is_counted = connection.tx.counted == queued || connection.is_dirty;
        assert!(is_counted || connection.is_closing, "{id:?} is counted");
        let is_written = !connection.tx.has_due() || connection.is_dirty;
        assert!(is_written, "{id:?} is not forgotten before the letters are");
        if connection.is_closing {
            assert!(connection.sessions.is_empty(), "{id:?} lost its sessions");
            let lingers = connection.probation.is_some();
            let is_empty = !connection.tx.has_more();
            assert!(is_empty || lingers, "{id:?} sends no more");
        }
        if let Some(open) = connection.tx.open {
            let delivery = &self.messages[open.slot as usize].deliveries[usize::from(open.ordinal)];
            assert_eq!(
                delivery.state,
                DeliveryState::Going,
                "the open copy goes on"
            );
            let link = self.sessions[delivery.session.index as usize].link.get();
            assert_eq!(link, Link::Bound(id), "the open copy is on its connection");
        }
        let held_by = self.conns.iter();
        let held_by = held_by.filter(|c| c.brake.holds.contains(&Source::Here(id)));
        let held_by = held_by.count() + self.lanes.holds_of(id);
        let throttles = match &connection.sharing {
            Sharing::Trunk(trunk) => trunk.throttle_count(),
            Sharing::Sole | Sharing::Branch(_) => 0,
        };
        let held_by = held_by + throttles;
        let brake = &connection.brake;
        assert_eq!(
            held_by + usize::from(brake.waits_for_room),
            brake.waits_for as usize,
            "{id:?} waits for its holders"
        );
        assert_eq!(
            self.waiting_for_room.contains(&id),
            brake.waits_for_room,
            "{id:?} waits for room"
        );
        let is_watched = matches!(brake.pace, Pace::Unknown | Pace::Slow);
        assert_eq!(is_watched, brake.timer.is_some(), "{id:?} is looked after");
        assert!(
            !brake.is_paused || brake.waits_for > 0,
            "{id:?} is not forgotten"
        );
    }

    fn live(&self, conn: ConnId) -> Option<&Connection<B>> {
        self.conns.get(conn).filter(|c| !c.is_closing)
    }
}
