//! Replies of version 3 in segments: cutting ours, joining a peer's.
//!
//! A cut goes between command replies, and between the terminations that one lists
//! (`AuditValue=Context{a,b}`); the parts of an action bear its context each.

use std::collections::BTreeMap;

use bytes::Bytes;
use h248::ast::{
    ActionReply, AuditReply, CommandReply, CommandResult, ContextId, ContextProperties,
    ErrorDescriptor, Few, ReplyBody, Segment, TerminationId, TransactionReply,
};

use crate::limits::REPLY_SEGMENTS_MAX;

/// What a cut leaves whole.
#[derive(Clone)]
enum Piece {
    Properties(ContextProperties),
    Command(CommandReply),
    /// A further termination of the list that the command reply before is.
    Listed(CommandReply),
    Error(ErrorDescriptor),
    /// An action with nothing in it.
    Nothing,
}

/// Cuts a reply into messages of up to `bytes_max` octets, as few as this order allows; `None` if one
/// piece alone is longer, or they would be too many.
pub(crate) fn cut(
    reply: TransactionReply,
    bytes_max: usize,
    print: impl Fn(TransactionReply) -> Bytes,
) -> Option<Vec<Bytes>> {
    let ReplyBody::Actions(actions) = reply.body else {
        return None;
    };
    let pieces: Vec<(ContextId, Piece)> = actions.into_iter().flat_map(pieces).collect();
    let mut segments = Vec::new();
    let mut rest = pieces.as_slice();
    while !rest.is_empty() {
        let number = u16::try_from(segments.len() + 1).ok()?;
        if number > REPLY_SEGMENTS_MAX {
            return None;
        }
        let printed = |count: usize| {
            let is_last = count == rest.len();
            print(TransactionReply {
                id: reply.id,
                segment: Some(Segment { number, is_last }),
                immediate_ack: reply.immediate_ack && is_last,
                body: ReplyBody::Actions(assemble(&rest[..count])),
            })
        };
        let fits = |count: usize| printed(count).len() <= bytes_max;
        // The most pieces that fit: doubling, then halving, so that no piece is printed often.
        let mut least = 0;
        let mut most = 1;
        while most <= rest.len() && fits(most) {
            least = most;
            most *= 2;
        }
        most = most.min(rest.len() + 1);
        while most - least > 1 {
            let middle = usize::midpoint(least, most);
            if fits(middle) {
                least = middle;
            } else {
                most = middle;
            }
        }
        if least == 0 {
            return None;
        }
        segments.push(printed(least));
        rest = &rest[least..];
    }
    Some(segments)
}

fn pieces(action: ActionReply) -> Vec<(ContextId, Piece)> {
    let mut pieces = Vec::new();
    if !action.properties.is_empty() {
        pieces.push(Piece::Properties(action.properties));
    }
    pieces.extend(action.commands.into_iter().flat_map(of_command));
    pieces.extend(action.error.map(Piece::Error));
    if pieces.is_empty() {
        pieces.push(Piece::Nothing);
    }
    pieces.into_iter().map(|p| (action.context, p)).collect()
}

/// A list of terminations one by one, all else as it is.
fn of_command(mut command: CommandReply) -> Vec<Piece> {
    let ids = list(&mut command).map(core::mem::take).unwrap_or_default();
    if ids.is_empty() {
        return vec![Piece::Command(command)];
    }
    let ids = ids.into_iter().enumerate();
    let piece = |(at, id)| {
        let mut one = command.clone();
        if let Some(ids) = list(&mut one) {
            ids.push(id);
        }
        match at {
            0 => Piece::Command(one),
            _ => Piece::Listed(one),
        }
    };
    ids.map(piece).collect()
}

/// The terminations that a reply lists without more.
fn list(command: &mut CommandReply) -> Option<&mut Vec<TerminationId>> {
    let (CommandResult::AuditValue(reply) | CommandResult::AuditCapability(reply)) =
        &mut command.result
    else {
        return None;
    };
    match reply {
        AuditReply::ContextList(ids) => Some(ids),
        AuditReply::Terminations(_) | AuditReply::ContextError(_) => None,
    }
}

/// Actions of consecutive pieces.
fn assemble(pieces: &[(ContextId, Piece)]) -> Few<ActionReply> {
    let mut parts: Vec<ActionReply> = Vec::new();
    for (context, piece) in pieces.iter().cloned() {
        let mut action = ActionReply {
            context,
            properties: ContextProperties::default(),
            commands: Few::default(),
            error: None,
        };
        match piece {
            Piece::Properties(properties) => action.properties = properties,
            Piece::Listed(mut command) => {
                let known = parts.last_mut().and_then(|p| p.commands.last_mut());
                if let (Some(known), Some(more)) = (known.and_then(list), list(&mut command)) {
                    known.append(more);
                    continue;
                }
                action.commands.push(command);
            }
            Piece::Command(command) => action.commands.push(command),
            Piece::Error(error) => action.error = Some(error),
            Piece::Nothing => {}
        }
        parts.push(action);
    }
    join(parts.into_iter())
}

/// Segments of one reply, as far as they came.
#[derive(Debug, Default)]
pub(crate) struct Segments {
    parts: BTreeMap<u16, Few<ActionReply>>,
    last: Option<u16>,
}

/// What became of a reply after one more segment.
#[derive(Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "returned and taken apart at once, never kept"
)]
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
fn join(parts: impl Iterator<Item = ActionReply>) -> Few<ActionReply> {
    let mut actions: Few<ActionReply> = Few::default();
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
            commands: Few::One(CommandReply {
                optional: false,
                wildcard_response: false,
                result: CommandResult::Notify {
                    terminations,
                    error: None,
                },
            }),
            error: None,
        }
    }

    #[test]
    fn a_reply_cut_at_any_length_is_joined_to_what_it_was() {
        let mut actions = vec![action(1), action(2), action(3)];
        for _ in 0..20 {
            let command = actions[1].commands[0].clone();
            actions[1].commands.push(command);
        }
        actions[0].properties.priority = Some(3);
        actions[2].error = Some(crate::error(422, "broken"));
        let reply = TransactionReply {
            id: TransactionId(7),
            segment: None,
            immediate_ack: true,
            body: ReplyBody::Actions(actions.into()),
        };
        let print = |reply: TransactionReply| {
            let reply = h248::ast::Transaction::Reply(reply);
            Bytes::from(h248::print_transaction(&reply, 3, h248::Encoding::Compact))
        };
        for bytes_max in 48..400 {
            let messages = cut(reply.clone(), bytes_max, print).expect("room for a piece");
            let mut segments = Segments::default();
            let mut joined = Joined::Incomplete;
            let count = messages.len();
            for (at, octets) in messages.into_iter().enumerate() {
                assert!(octets.len() <= bytes_max);
                let text = [b"!/3 <a> ", &octets[..]].concat();
                let message = h248::parse(&text, &h248::Limits::default()).expect("readable");
                let [h248::ast::Transaction::Reply(part)] = message.transactions() else {
                    panic!("{message:?}");
                };
                assert_eq!(part.immediate_ack, at + 1 == count);
                let segment = part.segment.expect("a segment");
                joined = segments.add(segment, part.clone());
            }
            assert_eq!(joined, Joined::Complete(reply.body.clone()), "{bytes_max}");
        }
        assert_eq!(cut(reply.clone(), 20, print), None, "no piece fits");
        let error = TransactionReply {
            body: ReplyBody::Error(crate::error(500, "x")),
            ..reply
        };
        assert_eq!(cut(error, 10, print), None);
    }

    #[test]
    fn a_list_of_terminations_is_cut_between_them() {
        let listed = |numbers: core::ops::Range<u32>| {
            let ids = numbers.map(|n| TerminationId::Name(format!("msrp/{n}").into()));
            CommandReply {
                optional: false,
                wildcard_response: false,
                result: CommandResult::AuditValue(AuditReply::ContextList(ids.collect())),
            }
        };
        let mut whole = action(1);
        whole.commands = vec![listed(0..40), listed(40..45)].into();
        let reply = TransactionReply {
            id: TransactionId(7),
            segment: None,
            immediate_ack: false,
            body: ReplyBody::Actions(whole.into()),
        };
        let print = |reply: TransactionReply| {
            let reply = h248::ast::Transaction::Reply(reply);
            Bytes::from(h248::print_transaction(&reply, 3, h248::Encoding::Compact))
        };
        for bytes_max in 60..700 {
            let messages = cut(reply.clone(), bytes_max, print).expect("room for a name");
            let texts = messages.iter().map(|m| {
                assert!(m.len() <= bytes_max);
                core::str::from_utf8(m).expect("text")
            });
            let names = |text: &str| text.matches("msrp/").count();
            let lists = |text: &str| text.matches("AV=C{").count();
            let told = texts.map(|text| (names(text), lists(text)));
            let (names, lists): (Vec<_>, Vec<_>) = told.unzip();
            assert_eq!(names.iter().sum::<usize>(), 45, "{bytes_max}");
            // One list a segment, and one more where the second begins within one.
            let (count, lists) = (messages.len(), lists.iter().sum::<usize>());
            assert!(lists == count || lists == count + 1, "{lists} in {count}");
        }
        assert_eq!(cut(reply, 25, print), None, "no name fits");
    }

    fn part(number: u16, is_last: bool, context: u32) -> (Segment, TransactionReply) {
        let segment = Segment { number, is_last };
        let reply = TransactionReply {
            id: TransactionId(1),
            segment: Some(segment),
            immediate_ack: false,
            body: ReplyBody::Actions(action(context).into()),
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
