//! ServiceChange on ROOT: how it is written, and found in a request or reply.

use clock::{Duration, Instant};
use h248::ast::{
    ActionRequest, AuditDescriptor, AuditRequest, Command, CommandResult, ContextId, MId,
    ReplyBody, ServiceChange, ServiceChangeAddress, ServiceChangeMethod, ServiceChangeResult,
    TerminationId, TimeStamp, Value,
};

use crate::{Peer, Request, TransportAddr, TransportKind};

/// The port of text-encoded messages, when none is named (H.248.1 section 9.1).
pub(crate) const PORT_TEXT: u16 = 2944;

/// `Context=-{command}`.
/// Command received from an unauthorized entity: from no gateway, or no controller, of ours.
pub(crate) const UNAUTHORIZED: u16 = 504;

pub(crate) fn root_action(command: Command) -> ActionRequest {
    ActionRequest::new(ContextId::Null, [command])
}

/// `AuditValue=ROOT{Audit{}}`: the keep-alive of TS 29.333.
pub(crate) fn root_audit() -> ActionRequest {
    root_action(Command::AuditValue(AuditRequest {
        terminations: TerminationId::Root.into(),
        audit: Some(AuditDescriptor::default()),
    }))
}

/// `ServiceChange=ROOT{Services{...}}`.
pub(crate) fn root_service_change(services: ServiceChange) -> ActionRequest {
    root_action(Command::ServiceChange {
        terminations: TerminationId::Root.into(),
        services: Box::new(services),
    })
}

/// A ServiceChange with nothing optional in it.
#[must_use]
pub fn plain(method: ServiceChangeMethod, reason: &str) -> ServiceChange {
    let reason = Value {
        text: reason.into(),
        quoted: true,
    };
    ServiceChange::new(method, reason)
}

/// The ServiceChange on ROOT in the null context, if that is all of the request.
pub(crate) fn of_root(request: &Request) -> Option<&ServiceChange> {
    let [action] = request.request.actions.as_slice() else {
        return None;
    };
    let [command] = action.commands.as_slice() else {
        return None;
    };
    if request.broken.is_some() {
        return None;
    }
    if let Command::ServiceChange {
        terminations,
        services,
    } = &command.command
        && action.context == ContextId::Null
        && terminations.single() == Some(&TerminationId::Root)
    {
        return Some(services);
    }
    None
}

/// The answer to a ServiceChange on ROOT.
pub(crate) fn root_reply(result: ServiceChangeResult) -> ReplyBody {
    let result = CommandResult::ServiceChange {
        terminations: TerminationId::Root.into(),
        result,
    };
    crate::single_reply(ContextId::Null, result)
}

/// The result of the ServiceChange that a reply answers.
pub(crate) fn result_of(body: &ReplyBody) -> Option<&ServiceChangeResult> {
    let ReplyBody::Actions(actions) = body else {
        return None;
    };
    let mut commands = actions.iter().flat_map(|a| &a.commands);
    commands.find_map(|command| match &command.result {
        CommandResult::ServiceChange { result, .. } => Some(result),
        CommandResult::Add(_)
        | CommandResult::Modify(_)
        | CommandResult::Move(_)
        | CommandResult::Subtract(_)
        | CommandResult::AuditValue(_)
        | CommandResult::AuditCapability(_)
        | CommandResult::Notify { .. } => None,
    })
}

/// Where later requests go: on UDP the ServiceChangeAddress counts, on TCP the connection stays.
pub(crate) fn request_peer(peer: Peer, address: Option<&ServiceChangeAddress>) -> Peer {
    let mut moved = peer;
    if peer.transport.kind.is_reliable() {
        return peer;
    }
    match address {
        Some(ServiceChangeAddress::Port(port)) => moved.addr.set_port(*port),
        Some(ServiceChangeAddress::MId(MId::Ip { address, port })) => {
            if address.is_ipv4() == peer.addr.is_ipv4() {
                moved.addr = (*address, port.unwrap_or(PORT_TEXT)).into();
            }
        }
        Some(ServiceChangeAddress::MId(_) | ServiceChangeAddress::Value(_)) | None => {}
    }
    moved
}

/// The address an `MgcIdToTry` names by itself: only an IP address does.
pub(crate) fn address_of(mid: &MId, kind: TransportKind) -> Option<TransportAddr> {
    match mid {
        MId::Ip { address, port } => {
            let addr = (*address, port.unwrap_or(PORT_TEXT)).into();
            Some(TransportAddr::new(kind, addr))
        }
        MId::Domain { .. } | MId::Device(_) | MId::Mtp(_) => None,
    }
}

/// `now` as a TimeStamp in UTC, where `epoch` is the UNIX time of [`Instant::ZERO`]; `None` without
/// one, and past year 9999.
#[must_use]
pub fn time_stamp(now: Instant, epoch: Option<Duration>) -> Option<TimeStamp> {
    let unix = epoch?.checked_add(now.since(Instant::ZERO))?;
    let (days, seconds) = (unix.as_secs() / 86_400, unix.as_secs() % 86_400);
    let (year, month, day) = civil(days)?;
    let date = digits(u64::from(year) * 10_000 + month * 100 + day);
    let hundredths = u64::from(unix.subsec_millis() / 10);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let time = digits(((hour * 100 + minute) * 100 + second) * 100 + hundredths);
    Some(TimeStamp { date, time })
}

/// Year, month and day of a day counted from 1970-01-01 (Hinnant's civil_from_days, for days
/// after the epoch); `None` past year 9999.
fn civil(days: u64) -> Option<(u16, u64, u64)> {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let is_late = month_from_march >= 10;
    let month = if is_late {
        month_from_march - 9
    } else {
        month_from_march + 3
    };
    let year = year_of_era + era * 400 + u64::from(is_late);
    let year = u16::try_from(year).ok().filter(|y| *y <= 9_999)?;
    Some((year, month, day))
}

fn digits(mut number: u64) -> [u8; 8] {
    let mut text = [b'0'; 8];
    for place in text.iter_mut().rev() {
        *place = b'0' + u8::try_from(number % 10).unwrap_or(0);
        number /= 10;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TransportId;

    #[track_caller]
    fn check_time(unix_ms: u64, expected: &str) {
        let stamp = time_stamp(Instant::ZERO, Some(Duration::from_millis(unix_ms)));
        let stamp = stamp.expect("before year 10000");
        let text = [&stamp.date[..], b"T", &stamp.time[..]].concat();
        assert_eq!(String::from_utf8_lossy(&text), expected);
    }

    #[test]
    fn time_stamps_are_utc_with_hundredths() {
        check_time(0, "19700101T00000000");
        check_time(951_827_696_780, "20000229T12345678");
        check_time(1_785_146_400_000, "20260727T10000000");
        check_time(1_735_689_599_999, "20241231T23595999");
        check_time(253_402_300_799_000, "99991231T23595900");
    }

    #[test]
    fn no_time_is_stamped_without_a_wall_clock_or_after_year_9999() {
        assert_eq!(time_stamp(Instant::ZERO, None), None);
        let far = Duration::from_secs(253_402_300_800);
        assert_eq!(time_stamp(Instant::ZERO, Some(far)), None);
    }

    #[test]
    fn a_service_change_address_moves_requests_on_udp_only() {
        let peer = |kind, addr: &str| Peer {
            transport: TransportId { kind, index: 0 },
            addr: addr.parse().expect("address"),
        };
        let port = ServiceChangeAddress::Port(55_555);
        let mid = ServiceChangeAddress::MId(MId::Ip {
            address: "192.0.2.7".parse().expect("address"),
            port: None,
        });
        let udp = peer(TransportKind::Udp, "192.0.2.1:1");
        let moved = request_peer(udp, Some(&port));
        assert_eq!(moved, peer(TransportKind::Udp, "192.0.2.1:55555"));
        let moved = request_peer(udp, Some(&mid));
        assert_eq!(moved, peer(TransportKind::Udp, "192.0.2.7:2944"));
        let other_family = peer(TransportKind::Udp, "[::1]:1");
        assert_eq!(request_peer(other_family, Some(&mid)), other_family);
        let tcp = peer(TransportKind::Tcp, "192.0.2.1:1");
        assert_eq!(request_peer(tcp, Some(&port)), tcp);
        assert_eq!(request_peer(udp, None), udp);
    }
}
