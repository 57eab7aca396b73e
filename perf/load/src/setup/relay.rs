//! Sessions through a relay as RFC 4976 has it: no set-up, the path says it all. One sender and one
//! recipient each.
//!
//! A sender binds the port that its URI names, because Kamailio sends back by address and port. A
//! recipient listens; the relay connects to it.

use core::net::{IpAddr, SocketAddr};
use std::net::TcpListener;

use anyhow::ensure;
use socket2::{Domain, Protocol, Socket, Type};

use super::{Keeper, Leg, Sessions, Target, plain_and_steady};
use crate::plan::Plan;
use crate::reader::own_path;

/// Checks that a relay can carry the plan out.
///
/// # Errors
///
/// Says what it does not do: anything but pairs.
pub fn check(plan: &Plan) -> anyhow::Result<()> {
    plain_and_steady(plan, "a relay")?;
    ensure!(
        plan.participants == 2 && plan.senders == 1,
        "a relay takes a message to one recipient: --participants 2 --senders 1"
    );
    ensure!(
        plan.sessions_per_connection == 1,
        "through a relay every session has a connection of its own"
    );
    Ok(())
}

/// Sessions through the relay at `relay`.
///
/// # Errors
///
/// When the plan has anything but pairs, or no port is free.
pub fn sessions(relay: SocketAddr, target: Target, plan: &Plan) -> anyhow::Result<Sessions> {
    check(plan)?;
    let ip = sip::near_addr(relay)?.ip();
    let relay_uri = format!("msrp://{relay}/relay;tcp");
    let mut legs = Vec::new();
    let mut listeners = Vec::new();
    for number in (0..plan.participant_count()).step_by(2) {
        let listener = TcpListener::bind(SocketAddr::new(ip, 0))?;
        let recipient = own_path(
            plan.transport,
            &listener.local_addr()?.to_string(),
            number + 1,
        );
        listeners.push(listener);
        let (socket, addr) = bound(ip)?;
        legs.push(Leg {
            own: own_path(plan.transport, &addr.to_string(), number),
            peer: format!("{relay_uri} {recipient}"),
            connect: Some(relay),
            socket: Some(socket.into()),
            fingerprint: None,
        });
        legs.push(Leg {
            own: recipient,
            peer: relay_uri.clone(),
            connect: None,
            socket: None,
            fingerprint: None,
        });
    }
    Ok(Sessions {
        via: "relay",
        legs,
        listeners,
        is_binding: false,
        keeper: Keeper::None,
        target,
    })
}

fn bound(ip: IpAddr) -> std::io::Result<(Socket, SocketAddr)> {
    let any = SocketAddr::new(ip, 0);
    let socket = Socket::new(Domain::for_address(any), Type::STREAM, Some(Protocol::TCP))?;
    socket.bind(&any.into())?;
    let addr = socket
        .local_addr()?
        .as_socket()
        .ok_or_else(|| std::io::Error::other("a TCP socket without address"))?;
    Ok((socket, addr))
}
