//! Counters of the switch as H.248 statistics (packages `nt` and `msrpstat`).

use h248::ast::{AuditReply, CommandResult, Descriptor, PackageItem, Statistic};
use switch::Statistics;

use super::package::{covers, item, plain};

/// What stands in a reply until the numbers arrive.
pub(super) fn pending() -> Descriptor {
    Descriptor::Statistics(Vec::new())
}

/// Where the placeholder is.
pub(super) fn placeholder(result: &CommandResult) -> Option<usize> {
    let list: &[Descriptor] = match result {
        CommandResult::Add(amm)
        | CommandResult::Modify(amm)
        | CommandResult::Move(amm)
        | CommandResult::Subtract(amm) => &amm.descriptors,
        CommandResult::AuditValue(audit) | CommandResult::AuditCapability(audit) => match audit {
            AuditReply::Terminations(amm) => &amm.descriptors,
            AuditReply::ContextList(_) | AuditReply::ContextError(_) => &[],
        },
        CommandResult::Notify { .. } | CommandResult::ServiceChange { .. } => &[],
    };
    list.iter().position(|d| *d == pending())
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
        values: vec![plain(value.to_string())],
    })
    .collect()
}
