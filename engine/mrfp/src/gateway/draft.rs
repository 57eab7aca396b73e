//! A reply in the making, and what it still waits for.

use std::collections::HashMap;

use clock::Instant;
use h248::ast::{
    ActionReply, CommandReply, CommandResult, ContextId, ContextProperties, ErrorDescriptor, Few,
    PackageItem,
};
use switch::{ShardIndex, Statistics};

use super::statistics;

/// The results so far of one transaction.
#[derive(Debug)]
pub(super) struct Draft {
    pub now: Instant,
    /// Protocol version of the request, which the reply will be in.
    pub version: u8,
    pub actions: Vec<ActionReply>,
    pub slots: Vec<Slot>,
    /// Orders whose completion the reply needs.
    pub tokens: Vec<Token>,
    /// The termination that the current action added first.
    pub first_added: Option<u32>,
    /// The current action's context has precedence when there is too much to do.
    pub has_precedence: bool,
    /// Values written in an audit select what has any of them (`ORLgc`), not all.
    pub selects_any: bool,
    /// The reply of the current action that was last added to: nearly always the only one.
    last: Option<(ContextId, usize)>,
    /// Those before it, by context.
    others: HashMap<ContextId, usize>,
}

/// An order that the reply waits for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub token: u64,
    /// Who will confirm it.
    pub shard: ShardIndex,
    /// The statistics go there (index into [`Draft::slots`]).
    pub slot: Option<usize>,
    /// And there: of the stream by itself.
    pub stream_slot: Option<usize>,
    /// The statistics of a stream that ended before its termination: kept for that termination.
    pub retires: Option<u32>,
}

/// A Statistics descriptor to be filled in.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    /// Which action and which command of it.
    place: Option<(usize, usize)>,
    /// Of one stream rather than of the termination.
    stream: Option<u16>,
    /// What retired streams of these have counted is added at the end.
    pub terminations: Vec<u32>,
    /// These terminations are gone: what was retired is of no further use.
    pub is_final: bool,
    wanted: Vec<PackageItem>,
    pub total: Statistics,
}

impl Slot {
    /// A slot for the statistics `wanted` (empty = all).
    pub(super) fn new(wanted: Vec<PackageItem>) -> Self {
        Self {
            place: None,
            stream: None,
            terminations: Vec::new(),
            is_final: false,
            wanted,
            total: Statistics::default(),
        }
    }

    /// As [`Self::new`], of one stream.
    pub(super) fn of_stream(wanted: Vec<PackageItem>, stream: u16) -> Self {
        Self {
            stream: Some(stream),
            ..Self::new(wanted)
        }
    }
}

impl Draft {
    pub(super) fn new(now: Instant, version: u8) -> Self {
        Self {
            now,
            version,
            actions: Vec::new(),
            slots: Vec::new(),
            tokens: Vec::new(),
            first_added: None,
            has_precedence: false,
            selects_any: false,
            last: None,
            others: HashMap::new(),
        }
    }

    /// Results that follow belong to another action of the request.
    pub(super) fn begin_action(&mut self) {
        self.last = None;
        self.others.clear();
        self.first_added = None;
        self.selects_any = false;
    }

    /// The reply for `context` within the current action.
    pub(super) fn action(&mut self, context: ContextId) -> &mut ActionReply {
        let index = self.index_of(context);
        &mut self.actions[index]
    }

    fn index_of(&mut self, context: ContextId) -> usize {
        if let Some((last, index)) = self.last {
            if last == context {
                return index;
            }
            self.others.insert(last, index);
        }
        let known = self.others.get(&context).copied();
        let index = known.unwrap_or_else(|| {
            self.actions.push(ActionReply {
                context,
                properties: ContextProperties::default(),
                commands: Few::default(),
                error: None,
            });
            self.actions.len() - 1
        });
        self.last = Some((context, index));
        index
    }

    /// An error of a whole action.
    pub(super) fn refuse_action(&mut self, context: ContextId, error: ErrorDescriptor) {
        self.action(context).error = Some(error);
    }

    /// Adds a command's result, in which the numbers of these slots are awaited.
    pub(super) fn push(
        &mut self,
        context: ContextId,
        result: CommandResult,
        slots: impl IntoIterator<Item = usize>,
    ) {
        let action = self.index_of(context);
        let commands = &mut self.actions[action].commands;
        commands.push(CommandReply {
            optional: false,
            wildcard_response: false,
            result,
        });
        let command = commands.len() - 1;
        let place = (action, command);
        for slot in slots {
            self.slots[slot].place = Some(place);
        }
    }

    /// Reserves a slot; its number.
    pub(super) fn slot(&mut self, slot: Slot) -> usize {
        self.slots.push(slot);
        self.slots.len() - 1
    }
}

/// Puts the statistics where they belong. A place that is gone (the reply was replaced) is skipped.
pub(super) fn fill(actions: &mut [ActionReply], slots: &[Slot]) {
    for slot in slots {
        let Some((action, command)) = slot.place else {
            continue;
        };
        let reply = actions
            .get_mut(action)
            .and_then(|a| a.commands.get_mut(command));
        if let Some(reply) = reply {
            let list = statistics::listed(&slot.total, &slot.wanted);
            statistics::put(&mut reply.result, slot.stream, list);
        }
    }
}
