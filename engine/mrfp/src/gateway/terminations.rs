//! Terminations come, change and go; the shards are ordered the same.

use std::collections::{BTreeMap, BTreeSet};

use clock::Instant;
use switch::{Order, SessionKey, ShardIndex};

use super::core::{Alarm, Core};
use super::draft::Draft;
use super::mirror::{self, Context, NotifyState, Settings, Termination};
use super::news::Wanted;
use super::notify;
use super::quota::Watch;
use super::signals::Runs;

impl Core {
    /// Puts a new termination into a context, which is made if it is not there.
    pub(super) fn insert(
        &mut self,
        number: u32,
        (context, shard): (u32, ShardIndex),
        settings: Settings,
        draft: &mut Draft,
    ) {
        let place = self
            .contexts
            .entry(context)
            .or_insert_with(|| Box::new(Context::new(shard)));
        place.terminations.insert(number);
        let termination = Termination {
            number,
            context,
            shard,
            settings,
            notify: NotifyState::default(),
            heartbeat: None,
            watch: Watch::default(),
            runs: Runs::new(),
        };
        self.added += 1;
        tracing::debug!(termination = %mirror::name_of(number), context, shard = shard.0, "termination added");
        self.terminations.insert(number, Box::new(termination));
        self.sync(number, &Settings::default(), &BTreeSet::new(), draft);
        self.load_filters(number);
        self.change_signals(number, &[], draft);
        self.watch(number, true, draft.now);
        self.touch(number, draft.now);
    }

    /// Replaces a termination's settings. Streams in `renewed` are told again even if unchanged:
    /// the switch then revives a lost connection.
    pub(super) fn replace(
        &mut self,
        number: u32,
        settings: Settings,
        renewed: &BTreeSet<u16>,
        draft: &mut Draft,
    ) {
        let Some(old) = self.put_settings(number, settings, renewed, draft) else {
            return;
        };
        self.load_filters(number);
        self.change_signals(number, &old.signals, draft);
        self.watch(number, false, draft.now);
        self.touch(number, draft.now);
    }

    /// Gives up the connections of streams, as they are before a change.
    pub(super) fn release(&mut self, number: u32, streams: &BTreeSet<u16>, draft: &mut Draft) {
        let Some(termination) = self.terminations.get(&number) else {
            return;
        };
        let shard = termination.shard;
        let sessions: Vec<SessionKey> = termination.sessions().collect();
        for session in sessions.into_iter().filter(|s| streams.contains(&s.stream)) {
            self.order(shard, Order::Release { session }, draft);
        }
    }

    /// The same for what is no message of the controller's. Returns what was there before.
    pub(super) fn put_settings(
        &mut self,
        number: u32,
        settings: Settings,
        renewed: &BTreeSet<u16>,
        draft: &mut Draft,
    ) -> Option<Settings> {
        let termination = self.terminations.get_mut(&number)?;
        let old = core::mem::replace(&mut termination.settings, settings);
        self.sync(number, &old, renewed, draft);
        Some(old)
    }

    /// Orders that turn `old` into what the termination is now.
    fn sync(&mut self, number: u32, old: &Settings, renewed: &BTreeSet<u16>, draft: &mut Draft) {
        let Some(termination) = self.terminations.get(&number) else {
            return;
        };
        let (shard, context) = (termination.shard, termination.context);
        let new = &termination.settings;
        let ids: BTreeSet<u16> = old.streams.ids().chain(new.streams.ids()).collect();
        let changes: Vec<_> = ids
            .into_iter()
            .map(|id| {
                let matching = self.config.matching;
                let config = |s: &Settings| {
                    let wanted = Wanted::of(&s.events, id);
                    s.streams.get(id)?.config(s.service_state, matching, wanted)
                };
                (id, config(old), config(new))
            })
            .collect();
        for (stream, before, after) in changes {
            let session = SessionKey {
                termination: number,
                stream,
            };
            match (before, after) {
                (None, None) => {}
                (None, Some(mut config)) => {
                    self.terms.share(&mut config);
                    self.reach(context, shard, draft);
                    let group = self.group(context, stream);
                    let order = Order::Install {
                        session,
                        context: group,
                        config: Box::new(config),
                    };
                    self.order(shard, order, draft);
                    self.change_load(shard, 1);
                    let others = self.span(context).iter().filter(|other| *other != shard);
                    others.for_each(|other| self.announce(session, other, draft));
                    self.cut_new_session(number, stream, draft);
                }
                (Some(_), None) => {
                    let order = Order::Remove { session };
                    self.order_others(context, shard, &order, draft);
                    self.order_for(shard, order, draft, None, Some(number));
                    self.change_load(shard, -1);
                }
                (Some(before), Some(mut config)) => {
                    if before != config || renewed.contains(&stream) {
                        self.terms.share(&mut config);
                        let order = Order::Update {
                            session,
                            config: Box::new(config),
                        };
                        self.order_others(context, shard, &order, draft);
                        self.order(shard, order, draft);
                    }
                }
            }
        }
    }

    /// Ends a termination, and its context with the last one. The statistics go to `slot`.
    /// Of streams in `of_streams` they go to a slot of their own too.
    pub(super) fn remove(
        &mut self,
        number: u32,
        slot: usize,
        of_streams: &BTreeMap<u16, usize>,
        draft: &mut Draft,
    ) {
        let Some(termination) = self.terminations.remove(&number) else {
            return;
        };
        let context = termination.context;
        self.subtracted += 1;
        tracing::debug!(termination = %mirror::name_of(number), context, "termination subtracted");
        draft.slots[slot].terminations.push(number);
        draft.slots[slot].is_final = true;
        if let Some(timer) = termination.heartbeat {
            self.timers.cancel(timer);
        }
        self.cancel_delay(number);
        self.end_watch(number, &termination.watch);
        self.end_signals(&termination);
        for (stream, state) in termination.settings.streams.iter() {
            if state.local.is_some() {
                let order = Order::Remove {
                    session: termination.session(stream),
                };
                self.order_others(context, termination.shard, &order, draft);
                self.order_for(termination.shard, order, draft, Some(slot), None);
                if let Some(token) = draft.tokens.last_mut() {
                    token.stream_slot = of_streams.get(&stream).copied();
                }
                self.change_load(termination.shard, -1);
            }
        }
        self.leave(termination.context, number);
    }

    /// Restarts the heartbeat: a message concerned the termination (H.248.36).
    pub(super) fn touch(&mut self, number: u32, now: Instant) {
        let Some(termination) = self.terminations.get_mut(&number) else {
            return;
        };
        if let Some(timer) = termination.heartbeat.take() {
            self.timers.cancel(timer);
        }
        if let Some(after) = notify::heartbeat_of(&termination.settings.events) {
            termination.heartbeat = Some(self.timers.arm(now + after, Alarm::Heartbeat(number)));
        }
    }
}
