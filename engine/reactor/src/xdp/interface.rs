//! The interface that shards share, and what outlives a shard: its queues.

use core::net::SocketAddr;
use core::ops::{Deref, DerefMut};
use core::time::Duration;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use ::xdp::stack::Detached;
use ::xdp::{Port, PortConfig};

use super::inbox::{Inbox, Note};
use crate::mailbox::Mailbox;
use crate::socket::Socket;

/// An interface opened for the shards of a process.
#[derive(Clone, Debug)]
pub struct XdpInterface(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// By shard.
    slots: Box<[Slot]>,
    listeners: Vec<SocketAddr>,
    inboxes: Arc<[Inbox]>,
}

/// A shard's part, where it is while no thread has it.
#[derive(Debug)]
struct Slot(Mutex<Resting>);

#[derive(Debug)]
struct Resting {
    port: Option<Port>,
    was_used: bool,
}

/// One shard's part of an interface, to be given to its thread, which takes it when it begins and gives it
/// back when it ends.
#[derive(Clone, Debug)]
pub struct XdpShard {
    interface: XdpInterface,
    index: u8,
}

/// Opens an interface for the owners of `mailboxes`.
///
/// # Errors
///
/// [`io::ErrorKind::Unsupported`] with [`crate::XdpError`] inside, which names what is missing.
pub fn open_xdp(
    interface: &str,
    listeners: &[SocketAddr],
    mailboxes: &[Mailbox<Socket>],
    busy_poll: Duration,
) -> io::Result<XdpInterface> {
    let config = PortConfig {
        interface,
        listeners,
        shards: u8::try_from(mailboxes.len()).map_err(io::Error::other)?,
        busy_poll,
    };
    let ports =
        ::xdp::open(&config).map_err(|error| io::Error::new(io::ErrorKind::Unsupported, error))?;
    let inboxes = mailboxes.iter().map(|one| Ok(Inbox::new(one.waker()?)));
    let listeners = ports.first().map(|port| port.listeners().to_vec());
    let slots = ports.into_iter().map(|port| {
        Slot(Mutex::new(Resting {
            port: Some(port),
            was_used: false,
        }))
    });
    Ok(XdpInterface(Arc::new(Shared {
        slots: slots.collect(),
        listeners: listeners.unwrap_or_default(),
        inboxes: inboxes.collect::<io::Result<_>>()?,
    })))
}

impl XdpInterface {
    /// The part of a shard, also of one that begins in the place of another.
    #[must_use]
    pub fn shard(&self, index: u8) -> XdpShard {
        let interface = self.clone();
        XdpShard { interface, index }
    }
}

impl XdpShard {
    /// Where connections are accepted.
    #[must_use]
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.interface.0.listeners
    }

    pub(super) fn index(&self) -> u8 {
        self.index
    }

    pub(super) fn inboxes(&self) -> &Arc<[Inbox]> {
        &self.interface.0.inboxes
    }

    fn slot(&self) -> &Slot {
        &self.interface.0.slots[usize::from(self.index)]
    }

    /// Takes the port out of its slot.
    pub(super) fn borrow(&self) -> io::Result<Borrowed> {
        let mut resting = self.slot().0.lock().unwrap_or_else(PoisonError::into_inner);
        let port = resting.port.take().ok_or(io::ErrorKind::ResourceBusy)?;
        Ok(Borrowed {
            port: Some(port),
            has_predecessor: core::mem::replace(&mut resting.was_used, true),
            of: self.clone(),
        })
    }
}

/// A port that goes back to its slot.
#[derive(Debug)]
pub(super) struct Borrowed {
    /// `None` while it is dropped.
    port: Option<Port>,
    has_predecessor: bool,
    of: XdpShard,
}

impl Borrowed {
    /// Whether another shard had the port before.
    pub(super) fn has_predecessor(&self) -> bool {
        self.has_predecessor
    }
}

impl Deref for Borrowed {
    type Target = Port;

    fn deref(&self) -> &Port {
        self.port.as_ref().expect("there until it is dropped")
    }
}

impl DerefMut for Borrowed {
    fn deref_mut(&mut self) -> &mut Port {
        self.port.as_mut().expect("there until it is dropped")
    }
}

impl Drop for Borrowed {
    fn drop(&mut self) {
        let slot = self.of.slot();
        slot.0.lock().unwrap_or_else(PoisonError::into_inner).port = self.port.take();
    }
}

/// A connection of the user-space TCP that no backend has. Dropping it resets it.
pub struct XdpSocket {
    conn: Option<Box<Detached>>,
    inboxes: Arc<[Inbox]>,
}

impl XdpSocket {
    pub(super) fn new(conn: Box<Detached>, inboxes: &Arc<[Inbox]>) -> Self {
        Self {
            conn: Some(conn),
            inboxes: Arc::clone(inboxes),
        }
    }

    pub(super) fn into_detached(mut self) -> Option<Box<Detached>> {
        self.conn.take()
    }
}

impl Drop for XdpSocket {
    fn drop(&mut self) {
        if let Some(conn) = self.conn.take() {
            let home = usize::from(conn.home());
            self.inboxes[home].push(Note::Unwanted(conn));
        }
    }
}

impl core::fmt::Debug for XdpSocket {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("XdpSocket").field(&self.conn).finish()
    }
}
