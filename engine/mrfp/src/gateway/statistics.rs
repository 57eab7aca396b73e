//! Counters of the switch as H.248 statistics (packages `nt` and `msrpstat`).

use h248::ast::{AuditReply, CommandResult, Descriptor, MediaStreams, PackageItem, Statistic};
use switch::Statistics;

use super::package::{covers, item, plain};

/// What stands in a reply until the numbers arrive.
pub(super) fn pending() -> Descriptor {
    Descriptor::Statistics(Vec::new())
}

/// Puts the counters where they are awaited: of the termination, or of one stream.
pub(super) fn put(result: &mut CommandResult, of: Option<u16>, list: Vec<Statistic>) {
    for descriptor in descriptors(result) {
        if of.is_none() && *descriptor == pending() {
            *descriptor = Descriptor::Statistics(list);
            return;
        }
        let (Some(id), Descriptor::Media(media)) = (of, descriptor) else {
            continue;
        };
        if let MediaStreams::Multiple(streams) = &mut media.streams
            && let Some(stream) = streams.iter_mut().find(|s| s.id == id)
            && let Some(awaited) = &mut stream.parms.statistics
        {
            *awaited = list;
            return;
        }
    }
}

/// The descriptors of a result.
pub(super) fn descriptors(result: &mut CommandResult) -> &mut [Descriptor] {
    match result {
        CommandResult::Add(amm)
        | CommandResult::Modify(amm)
        | CommandResult::Move(amm)
        | CommandResult::Subtract(amm) => &mut amm.descriptors,
        CommandResult::AuditValue(audit) | CommandResult::AuditCapability(audit) => match audit {
            AuditReply::Terminations(amm) => &mut amm.descriptors,
            AuditReply::ContextList(_) | AuditReply::ContextError(_) => &mut [],
        },
        CommandResult::Notify { .. } | CommandResult::ServiceChange { .. } => &mut [],
    }
}

/// Adds up; the duration is the longest.
pub(super) fn add(total: &mut Statistics, more: &Statistics) {
    total.duration = total.duration.max(more.duration);
    total.queue_percent = total.queue_percent.max(more.queue_percent);
    for (sum, part) in [
        (&mut total.octets_sent, more.octets_sent),
        (&mut total.octets_received, more.octets_received),
        (&mut total.messages_sent, more.messages_sent),
        (&mut total.messages_received, more.messages_received),
        (&mut total.volume_sent, more.volume_sent),
        (&mut total.volume_received, more.volume_received),
    ] {
        *sum = sum.saturating_add(part);
    }
}

/// The statistics `wanted` (empty = all), in the order of the packages.
pub(super) fn listed(statistics: &Statistics, wanted: &[PackageItem]) -> Vec<Statistic> {
    [
        (
            ("nt", "dur"),
            u64::try_from(statistics.duration.as_millis()).unwrap_or(u64::MAX),
        ),
        (("nt", "os"), statistics.octets_sent),
        (("nt", "or"), statistics.octets_received),
        (("msrpstat", "nms"), statistics.messages_sent),
        (("msrpstat", "nmr"), statistics.messages_received),
        (("msrpstat", "vms"), statistics.volume_sent),
        (("msrpstat", "vmr"), statistics.volume_received),
    ]
    .into_iter()
    .filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|w| covers(w, *name)))
    .map(|(name, value)| Statistic {
        name: item(name),
        values: plain(value.to_string()).into(),
    })
    .collect()
}
