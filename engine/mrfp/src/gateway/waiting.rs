//! Replies that wait until the shards have done what they promise.

use h248::ast::ReplyBody;
use h248_endpoint::first_error;
use switch::Statistics;

use super::Gateway;
use super::draft::{self, Draft};
use super::notify::Notice;
use super::quota::Count;
use super::statistics;

/// A reply that waits for shards; without a key nobody waits for the reply.
#[derive(Debug)]
pub(super) struct Waiting<K> {
    key: Option<K>,
    body: ReplyBody,
    draft: Draft,
    /// Not a reply, but a look at counters.
    count: Option<Count>,
    /// What the request itself made happen: told after its reply.
    notices: Vec<Notice>,
    orders_open: usize,
}

impl<K: Copy> Gateway<K> {
    /// Keeps a reply until its orders are done.
    pub(super) fn await_orders(&mut self, key: Option<K>, body: ReplyBody, draft: Draft) {
        self.await_count(key, body, draft, None);
    }

    pub(super) fn await_count(
        &mut self,
        key: Option<K>,
        body: ReplyBody,
        draft: Draft,
        count: Option<Count>,
    ) {
        self.last_waiting += 1;
        let orders_open = draft.tokens.len();
        let notices = if key.is_some() {
            self.core.notices.drain(..).collect()
        } else {
            Vec::new()
        };
        for token in &draft.tokens {
            self.tokens.insert(token.token, (self.last_waiting, *token));
        }
        self.waiting.insert(
            self.last_waiting,
            Waiting {
                key,
                body,
                draft,
                count,
                notices,
                orders_open,
            },
        );
        self.release_if_done(self.last_waiting);
    }

    pub(super) fn done(&mut self, token: u64, counted: Option<Statistics>) {
        let Some((reply, token)) = self.tokens.remove(&token) else {
            return;
        };
        let counted = counted.unwrap_or_default();
        if let Some(number) = token.retires {
            self.retire(number, &counted);
        }
        let Some(waiting) = self.waiting.get_mut(&reply) else {
            return;
        };
        for slot in [token.slot, token.stream_slot].into_iter().flatten() {
            statistics::add(&mut waiting.draft.slots[slot].total, &counted);
        }
        waiting.orders_open -= 1;
        self.release_if_done(reply);
    }

    /// Keeps what a stream counted for its termination, or for the reply that tells of its end.
    fn retire(&mut self, number: u32, counted: &Statistics) {
        let is_awaited = || {
            let mut slots = self.waiting.values().flat_map(|w| &w.draft.slots);
            slots.any(|slot| slot.terminations.contains(&number))
        };
        if self.core.terminations.contains_key(&number) || is_awaited() {
            statistics::add(self.core.retired.entry(number).or_default(), counted);
        }
    }

    fn release_if_done(&mut self, reply: u64) {
        if self.waiting.get(&reply).is_none_or(|w| w.orders_open > 0) {
            return;
        }
        let Some(Waiting {
            key,
            mut body,
            mut draft,
            count,
            notices,
            ..
        }) = self.waiting.remove(&reply)
        else {
            return;
        };
        for slot in &mut draft.slots {
            for number in &slot.terminations {
                let retired = if slot.is_final {
                    self.core.retired.remove(number)
                } else {
                    self.core.retired.get(number).copied()
                };
                statistics::add(&mut slot.total, &retired.unwrap_or_default());
            }
        }
        if let ReplyBody::Actions(actions) = &mut body {
            draft::fill(actions, &draft.slots);
        }
        if let Some(count) = count {
            self.core.counted(&count, &draft);
        }
        if let Some(key) = key {
            self.release(key, body);
        }
        self.core.notices.extend(notices);
    }

    pub(super) fn release(&mut self, key: K, body: ReplyBody) {
        if let Some(error) = first_error(&body) {
            *self.metrics.errors.entry(error.code).or_default() += 1;
        }
        self.replies.push_back((key, body));
    }
}
