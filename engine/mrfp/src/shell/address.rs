//! Which addresses are shown to whom.

use core::net::{IpAddr, SocketAddr};
use std::io;
use std::net::{TcpListener, UdpSocket};

use clock::Duration;
use h248::ast::MId;
use h248_endpoint::TransportAddr;

use super::StartError;
use crate::{Listener, Transport};

/// Longest time a datagram wanders through the network: LONG-TIMER exceeds T-MAX by it
/// (H.248.1 Annex D.1.2).
pub(super) const WANDER_MAX: Duration = Duration::from_secs(5);

/// What SDP shows: the address to advertise first, then the listeners of other families.
pub(super) fn advertised(
    listeners: &[Listener],
    advertise: Option<SocketAddr>,
) -> Result<Vec<Listener>, StartError> {
    let mut transports: Vec<Transport> = Vec::new();
    for one in listeners {
        if !transports.contains(&one.transport) {
            transports.push(one.transport);
        }
    }
    let mut shown = Vec::new();
    for (index, transport) in transports.into_iter().enumerate() {
        let alike = listeners.iter().filter(|l| l.transport == transport);
        let alike: Vec<_> = alike.map(|l| l.addr).collect();
        // A port can stand for one transport only: the first.
        let port = |addr: SocketAddr| if index == 0 { addr.port() } else { 0 };
        let advertise = advertise.map(|addr| SocketAddr::new(addr.ip(), port(addr)));
        let addrs = advertised_alike(&alike, advertise)?;
        shown.extend(addrs.into_iter().map(|addr| Listener { transport, addr }));
    }
    Ok(shown)
}

fn advertised_alike(
    listeners: &[SocketAddr],
    advertise: Option<SocketAddr>,
) -> Result<Vec<SocketAddr>, StartError> {
    let mut shown = Vec::new();
    if let Some(mut address) = advertise {
        let like = listeners.iter().find(|l| l.is_ipv4() == address.is_ipv4());
        if let (0, Some(listener)) = (address.port(), like.or(listeners.first())) {
            address.set_port(listener.port());
        }
        shown.push(address);
    }
    for listener in listeners {
        let is_covered = advertise.is_some_and(|a| a.is_ipv4() == listener.is_ipv4());
        if is_covered || shown.contains(listener) {
            continue;
        }
        if !listener.ip().is_unspecified() {
            shown.push(*listener);
        } else if advertise.is_none() {
            return Err(StartError::Wildcard(*listener));
        }
    }
    Ok(shown)
}

/// Gives every H.248 address a port: the gateway's name is made from the first one and must be
/// known before the sockets are opened. (Another process could take the port in between; the
/// opening then fails, and the caller tries again.)
pub(super) fn with_ports(addresses: &[TransportAddr]) -> io::Result<Vec<TransportAddr>> {
    let with_port = |address: &TransportAddr| {
        let free = |kind: &dyn Fn() -> io::Result<SocketAddr>| {
            kind().map_err(|e| io::Error::new(e.kind(), format!("{address}: {e}")))
        };
        Ok(match address {
            TransportAddr::Udp(a) if a.port() == 0 => {
                TransportAddr::Udp(free(&|| UdpSocket::bind(a)?.local_addr())?)
            }
            TransportAddr::Tcp(a) if a.port() == 0 => {
                TransportAddr::Tcp(free(&|| TcpListener::bind(a)?.local_addr())?)
            }
            TransportAddr::Sctp(a) if a.port() == 0 => {
                TransportAddr::Sctp(free(&|| UdpSocket::bind(a)?.local_addr())?)
            }
            fixed @ (TransportAddr::Udp(_) | TransportAddr::Tcp(_) | TransportAddr::Sctp(_)) => {
                *fixed
            }
        })
    };
    addresses.iter().map(with_port).collect()
}

/// Our name when none is configured: the first local address, without which there is no port. A
/// wildcard names nobody; then `reachable` stands in for it.
pub(super) fn mid_of(local: &[TransportAddr], reachable: IpAddr) -> MId {
    let first = local.first().map(|l| l.addr());
    let named = first.map(|a| a.ip()).filter(|ip| !ip.is_unspecified());
    MId::Ip {
        address: named.unwrap_or(reachable),
        port: first.map(|a| a.port()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(listeners: &[&str], advertise: Option<&str>, shown: Option<&[&str]>) {
        let listeners: Vec<Listener> = listeners.iter().map(|a| a.parse().unwrap()).collect();
        let found = advertised(&listeners, advertise.map(|a| a.parse().unwrap())).ok();
        let shown = shown.map(|s| s.iter().map(|a| a.parse().unwrap()).collect::<Vec<_>>());
        assert_eq!(found, shown);
    }

    #[test]
    fn sdp_shows_what_participants_can_reach() {
        check(&["127.0.0.1:2855"], None, Some(&["127.0.0.1:2855"]));
        check(
            &["127.0.0.1:1", "[::1]:2"],
            None,
            Some(&["127.0.0.1:1", "[::1]:2"]),
        );
        check(&["0.0.0.0:2855"], None, None);
        check(
            &["0.0.0.0:2855"],
            Some("192.0.2.1:0"),
            Some(&["192.0.2.1:2855"]),
        );
        check(
            &["0.0.0.0:1", "[::1]:2"],
            Some("192.0.2.1:9"),
            Some(&["192.0.2.1:9", "[::1]:2"]),
        );
        check(
            &["0.0.0.0:1", "tls:0.0.0.0:2", "wss:0.0.0.0:3"],
            Some("192.0.2.1:9"),
            Some(&["192.0.2.1:9", "tls:192.0.2.1:2", "wss:192.0.2.1:3"]),
        );
        check(
            &["[::]:2855"],
            Some("192.0.2.1:0"),
            Some(&["192.0.2.1:2855"]),
        );
    }

    #[test]
    fn ephemeral_h248_ports_are_settled_before_the_gateway_has_its_name() {
        let local = with_ports(&["udp:127.0.0.1:0".parse().unwrap()]).unwrap();
        let port = local[0].addr().port();
        assert_ne!(port, 0);
        let reachable: IpAddr = "192.0.2.1".parse().unwrap();
        let address = "127.0.0.1".parse().unwrap();
        assert_eq!(
            mid_of(&local, reachable),
            MId::Ip {
                address,
                port: Some(port)
            }
        );
        let wildcard = ["tcp:[::]:2944".parse().unwrap()];
        let named = MId::Ip {
            address: reachable,
            port: Some(2944),
        };
        assert_eq!(mid_of(&wildcard, reachable), named);
        assert_eq!(
            mid_of(&[], reachable),
            MId::Ip {
                address: reachable,
                port: None
            }
        );
    }
}
