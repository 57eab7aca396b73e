//! A tap between an MRFP and its MRFC: relays H.248 datagrams and keeps a copy of each.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::io;
use std::sync::Arc;

use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::limits::{DATAGRAM_BYTES_MAX, TAP_MESSAGES_MAX};

/// Who sent a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// The controller.
    Mrfc,
    /// The gateway.
    Mrfp,
}

/// A datagram that passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Passed {
    pub(super) from: Side,
    pub(super) bytes: Vec<u8>,
}

/// A running tap; it ends when dropped.
#[derive(Debug)]
pub(super) struct Tap {
    addr: SocketAddr,
    passed: mpsc::Receiver<Passed>,
    _tasks: JoinSet<()>,
}

impl Tap {
    /// Relays between whoever sends to [`Self::addr`] first and the controller at `mgc`.
    pub(super) async fn start(mgc: SocketAddr) -> io::Result<Self> {
        let front = UdpSocket::bind((IpAddr::V4(Ipv4Addr::LOCALHOST), 0)).await?;
        let back = UdpSocket::bind((IpAddr::V4(Ipv4Addr::LOCALHOST), 0)).await?;
        back.connect(mgc).await?;
        let addr = front.local_addr()?;
        let (sender, passed) = mpsc::channel(TAP_MESSAGES_MAX);
        let (front, back) = (Arc::new(front), Arc::new(back));
        let mut tasks = JoinSet::new();
        tasks.spawn(relay(front, back, sender));
        Ok(Self {
            addr,
            passed,
            _tasks: tasks,
        })
    }

    /// Where the gateway sends to.
    pub(super) const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The next datagram that passed. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Passed> {
        self.passed.recv().await
    }
}

async fn relay(front: Arc<UdpSocket>, back: Arc<UdpSocket>, passed: mpsc::Sender<Passed>) {
    let mut gateway = None;
    let mut up = vec![0; DATAGRAM_BYTES_MAX];
    let mut down = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        let (from, bytes) = tokio::select! {
            came = front.recv_from(&mut up) => match came {
                Ok((octets, addr)) => {
                    gateway = Some(addr);
                    (Side::Mrfp, up[..octets].to_vec())
                }
                Err(_) => continue,
            },
            came = back.recv(&mut down) => match came {
                Ok(octets) => (Side::Mrfc, down[..octets].to_vec()),
                // Nobody listens there any more.
                Err(_) => return,
            },
        };
        // The copy is made before the datagram goes on, so that it cannot be overtaken by what the
        // datagram causes. What does not fit any more is relayed all the same.
        let _ = passed.try_send(Passed {
            from,
            bytes: bytes.clone(),
        });
        let _ = match (from, gateway) {
            (Side::Mrfp, _) => back.send(&bytes).await,
            (Side::Mrfc, Some(gateway)) => front.send_to(&bytes, gateway).await,
            (Side::Mrfc, None) => Ok(0),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_pass_both_ways_and_are_seen() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mgc = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            let mut tap = Tap::start(mgc.local_addr().unwrap()).await.unwrap();
            let gateway = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            gateway.send_to(b"request", tap.addr()).await.unwrap();
            let mut buffer = [0; 16];
            let (octets, from) = mgc.recv_from(&mut buffer).await.unwrap();
            assert_eq!(&buffer[..octets], b"request");
            mgc.send_to(b"reply", from).await.unwrap();
            let octets = gateway.recv(&mut buffer).await.unwrap();
            assert_eq!(&buffer[..octets], b"reply");
            let seen = [tap.next().await.unwrap(), tap.next().await.unwrap()];
            assert_eq!(
                seen.map(|p| (p.from, p.bytes)),
                [
                    (Side::Mrfp, b"request".to_vec()),
                    (Side::Mrfc, b"reply".to_vec()),
                ]
            );
        });
    }
}
