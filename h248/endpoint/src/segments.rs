//! Joining a reply that a version 3 peer sent in segments. We never send any.

use std::collections::BTreeMap;

use h248::ast::{ActionReply, ReplyBody, Segment, TransactionReply};

use crate::limits::REPLY_SEGMENTS_MAX;

/// Segments of one reply, as far as they came.
#[derive(Debug, Default)]
pub(crate) struct Segments {
    parts: BTreeMap<u16, Vec<ActionReply>>,
    last: Option<u16>,
}

/// What became of a reply after one more segment.
#[derive(Debug, PartialEq)]
pub(crate) enum Joined {
    /// More must come.
    Incomplete,
    /// All of it.
    Complete(ReplyBody),
    /// The segments contradict each other or are too many.
    Unusable,
}

impl Segments {
    pub(crate) fn add(&mut self, segment: Segment, reply: TransactionReply) -> Joined {
        let actions = match reply.body {
            ReplyBody::Error(_) => return Joined::Complete(reply.body),
            ReplyBody::Actions(actions) => actions,
        };
        let is_past_end = self.last.is_some_and(|last| segment.number > last);
        if segment.number == 0 || segment.number > REPLY_SEGMENTS_MAX || is_past_end {
            return Joined::Unusable;
        }
        if segment.is_last {
            let beyond = self.parts.range(segment.number + 1..).next().is_some();
            if beyond || self.last.is_some_and(|last| last != segment.number) {
                return Joined::Unusable;
            }
            self.last = Some(segment.number);
        }
        self.parts.entry(segment.number).or_insert(actions);
        if self.last.map(usize::from) != Some(self.parts.len()) {
            return Joined::Incomplete;
        }
        let parts = core::mem::take(&mut self.parts);
        Joined::Complete(ReplyBody::Actions(join(parts.into_values().flatten())))
    }
}

/// An action cut in two has the same context before and after the cut.
fn join(parts: impl Iterator<Item = ActionReply>) -> Vec<ActionReply> {
    let mut actions: Vec<ActionReply> = Vec::new();
    for part in parts {
        match actions.last_mut() {
            Some(last)
                if last.context == part.context
                    && last.error.is_none()
                    && part.properties.is_empty() =>
            {
                last.commands.extend(part.commands);
                last.error = part.error;
            }
            _ => actions.push(part),
        }
    }
    actions
}

#[cfg(test)]
mod tests {
    use super::*;
    use h248::ast::{
        CommandReply, CommandResult, ContextId, ContextProperties, TerminationId, TransactionId,
    };

    fn action(context: u32) -> ActionReply {
        let terminations = TerminationId::Root.into();
        ActionReply {
            context: ContextId::Id(context),
            properties: ContextProperties::default(),
            commands: vec![CommandReply {
                optional: false,
                wildcard_response: false,
                result: CommandResult::Notify {
                    terminations,
                    error: None,
                },
            }],
            error: None,
        }
    }

    fn part(number: u16, is_last: bool, context: u32) -> (Segment, TransactionReply) {
        let segment = Segment { number, is_last };
        let reply = TransactionReply {
            id: TransactionId(1),
            segment: Some(segment),
            immediate_ack: false,
            body: ReplyBody::Actions(vec![action(context)]),
        };
        (segment, reply)
    }

    #[track_caller]
    fn check(parts: &[(u16, bool)], expected: &str) {
        let mut segments = Segments::default();
        let mut outcome = Joined::Incomplete;
        for &(number, is_last) in parts {
            let (segment, reply) = part(number, is_last, 1);
            outcome = segments.add(segment, reply);
        }
        let word = match outcome {
            Joined::Incomplete => "incomplete",
            Joined::Complete(_) => "complete",
            Joined::Unusable => "unusable",
        };
        assert_eq!(word, expected, "{parts:?}");
    }

    #[test]
    fn segments_are_joined_in_any_order_and_once() {
        check(&[(1, true)], "complete");
        check(&[(1, false)], "incomplete");
        check(&[(1, false), (2, true)], "complete");
        check(&[(2, true), (1, false)], "complete");
        check(&[(2, true), (2, true)], "incomplete");
        check(&[(3, true), (1, false), (1, false)], "incomplete");
        check(&[(2, true), (3, false)], "unusable");
        check(&[(3, false), (2, true)], "unusable");
        check(&[(1, true), (0, false)], "unusable");
        check(&[(REPLY_SEGMENTS_MAX + 1, false)], "unusable");
        check(&[(2, true), (1, true)], "unusable");
    }

    #[test]
    fn an_action_cut_in_two_becomes_one_again() {
        let mut segments = Segments::default();
        for (number, context) in [(1, 5), (2, 5)] {
            let (segment, reply) = part(number, false, context);
            segments.add(segment, reply);
        }
        let (segment, reply) = part(3, true, 6);
        let Joined::Complete(ReplyBody::Actions(actions)) = segments.add(segment, reply) else {
            panic!("complete");
        };
        let counts: Vec<usize> = actions.iter().map(|a| a.commands.len()).collect();
        assert_eq!(counts, [2, 1]);
    }
}
