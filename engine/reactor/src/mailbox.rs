//! How other threads reach a shard: a bounded queue and a waker.
//!
//! ```text
//! send:   push to a queue; if the flag was clear, set it and write to the eventfd
//! sleep:  clear the flag, look whether a queue holds anything, wait, set the flag
//! ```
//!
//! A push after that look finds the flag clear and wakes; one before it is seen. A shard that is awake
//! costs its senders no system call.
//!
//! Shipments between shards have a queue of their own, with room for all that may be on its way.

use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::{Arc, OnceLock};

use crossbeam::queue::ArrayQueue;
use switch::limits::SHIPMENTS_MAX;
use switch::{Command, ShardIndex, Shipment};

use crate::layer::Layer;
use crate::limits::MAILBOX_MAX;

/// What other threads tell a shard.
#[derive(Debug)]
pub enum Control<S> {
    /// From the gateway.
    Command(Command),
    /// A connection that another shard accepted.
    Adopt {
        /// The socket, detached.
        socket: S,
        /// The far end.
        peer: SocketAddr,
        /// What stands between the socket and the logic, in the middle of its work.
        layer: Option<Box<Layer>>,
        /// Octets read but not processed.
        octets: Vec<u8>,
    },
}

/// What came to a shard from others, because participants of one conference are on several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FreightMetrics {
    /// Messages.
    pub messages: u64,
    /// Octets, of what says what to do with them too.
    pub octets: u64,
    /// Of these, octets that it has not taken yet.
    pub queued_bytes: u64,
}

/// What shards carry to each other.
#[derive(Debug)]
pub(crate) enum Freight {
    /// For us.
    Arrived(Shipment),
    /// Ours, unpacked.
    Returned(Shipment),
}

/// A mailbox was full; the message comes back.
#[derive(Debug, thiserror::Error)]
#[error("the shard's queue of {MAILBOX_MAX} control messages is full")]
pub struct Full<S>(pub Control<S>);

#[derive(Debug)]
struct Shared<S> {
    queue: ArrayQueue<Control<S>>,
    /// There once the shard has others beside it.
    freight: OnceLock<ArrayQueue<Freight>>,
    messages: AtomicU64,
    octets: AtomicU64,
    unloaded: AtomicU64,
    /// One of `RUNNING`, `STOPPING` and `FAILING`.
    order: AtomicU8,
    /// It will look into its queues before it sleeps.
    is_awake: AtomicBool,
    /// An eventfd; absent in simulations, which look into the queues.
    waker: Option<File>,
}

impl<S> Shared<S> {
    fn wake(&self) {
        if self.is_awake.swap(true, Ordering::SeqCst) {
            return;
        }
        if let Some(mut waker) = self.waker.as_ref()
            && let Err(error) = waker.write(&1u64.to_ne_bytes())
        {
            // The counter cannot be full, as it grows by one per sleep at most.
            tracing::error!(%error, "cannot wake a shard");
        }
    }
}

/// The sending side of a [`Mailbox`].
#[derive(Debug)]
pub struct ControlSender<S>(Arc<Shared<S>>);

impl<S> Clone for ControlSender<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S> ControlSender<S> {
    /// Queues a message and wakes the shard.
    ///
    /// # Errors
    ///
    /// [`Full`] with the message when [`MAILBOX_MAX`] are queued: the shard is overloaded or gone.
    pub fn send(&self, control: Control<S>) -> Result<(), Full<S>> {
        self.0.queue.push(control).map_err(Full)?;
        self.0.wake();
        Ok(())
    }

    /// Puts a shipment into the shard's queue, without waking it. A full queue gives it back: the shard
    /// that it was for has ended, and the one in its place has not looked yet.
    pub(crate) fn carry(&self, freight: Freight) -> Result<(), Freight> {
        let Some(queue) = self.0.freight.get() else {
            return Err(freight);
        };
        if let Freight::Arrived(shipment) = &freight {
            let (messages, octets) = (shipment.message_count(), shipment.weight_bytes());
            self.0
                .messages
                .fetch_add(messages as u64, Ordering::Relaxed);
            self.0.octets.fetch_add(octets as u64, Ordering::Relaxed);
        }
        queue.push(freight)
    }

    /// What came from other shards.
    #[must_use]
    pub fn freight(&self) -> FreightMetrics {
        let octets = self.0.octets.load(Ordering::Relaxed);
        let unloaded = self.0.unloaded.load(Ordering::Relaxed);
        FreightMetrics {
            messages: self.0.messages.load(Ordering::Relaxed),
            octets,
            queued_bytes: octets.saturating_sub(unloaded),
        }
    }

    /// Wakes the shard if it sleeps.
    pub(crate) fn wake(&self) {
        self.0.wake();
    }

    /// Makes the shard return from its loop after its current turn; cannot fail.
    pub fn stop(&self) {
        self.0.order.store(STOPPING, Ordering::SeqCst);
        self.0.wake();
    }

    /// Makes the shard panic in its next turn. For tests of what becomes of the others, and of whoever
    /// has to start it anew.
    pub fn fail(&self) {
        self.0.order.store(FAILING, Ordering::SeqCst);
        self.0.wake();
    }

    /// The receiving side for another shard in the place of one that must have ended; what was queued for
    /// that one is dropped.
    #[must_use]
    pub fn renew(&self) -> Mailbox<S> {
        while self.0.queue.pop().is_some() {}
        let freight = self.0.freight.get();
        while freight.is_some_and(|queue| queue.pop().is_some()) {}
        let octets = self.0.octets.load(Ordering::Relaxed);
        self.0.unloaded.store(octets, Ordering::Relaxed);
        self.0.order.store(RUNNING, Ordering::SeqCst);
        Mailbox(Arc::clone(&self.0))
    }
}

const RUNNING: u8 = 0;
const STOPPING: u8 = 1;
const FAILING: u8 = 2;

/// The receiving side, owned by one shard.
#[derive(Debug)]
pub struct Mailbox<S>(Arc<Shared<S>>);

impl<S> Mailbox<S> {
    /// A mailbox whose backend waits on an eventfd.
    ///
    /// # Errors
    ///
    /// When the system has no descriptor left.
    pub fn new() -> io::Result<Self> {
        Ok(Self::with_waker(Some(File::from(eventfd()?))))
    }

    /// A mailbox for a backend that is polled, such as a simulation.
    #[must_use]
    pub fn without_waker() -> Self {
        Self::with_waker(None)
    }

    fn with_waker(waker: Option<File>) -> Self {
        Self(Arc::new(Shared {
            queue: ArrayQueue::new(MAILBOX_MAX),
            freight: OnceLock::new(),
            messages: AtomicU64::new(0),
            octets: AtomicU64::new(0),
            unloaded: AtomicU64::new(0),
            order: AtomicU8::new(RUNNING),
            is_awake: AtomicBool::new(true),
            waker,
        }))
    }

    /// A handle for another thread.
    #[must_use]
    pub fn sender(&self) -> ControlSender<S> {
        ControlSender(Arc::clone(&self.0))
    }

    /// A copy of the eventfd for a backend to wait on; `None` if there is none.
    ///
    /// # Errors
    ///
    /// When the system has no descriptor left.
    pub fn waker(&self) -> io::Result<Option<OwnedFd>> {
        self.0
            .waker
            .as_ref()
            .map(|file| BorrowedFd::try_clone_to_owned(&file.as_fd()))
            .transpose()
    }

    /// From here on messages wake the shard. What came before has to be looked for, with
    /// [`Self::has_news`], before it sleeps.
    pub(crate) fn doze(&self) {
        self.0.is_awake.store(false, Ordering::SeqCst);
    }

    /// The shard is awake: it will look for messages before it sleeps.
    pub(crate) fn rouse(&self) {
        self.0.is_awake.store(true, Ordering::SeqCst);
    }

    pub(crate) fn pop(&self) -> Option<Control<S>> {
        self.0.queue.pop()
    }

    pub(crate) fn has_freight(&self) -> bool {
        self.0.freight.get().is_some_and(|queue| !queue.is_empty())
    }

    pub(crate) fn unload(&self) -> Option<Freight> {
        let freight = self.0.freight.get()?.pop()?;
        if let Freight::Arrived(shipment) = &freight {
            let octets = shipment.weight_bytes() as u64;
            self.0.unloaded.fetch_add(octets, Ordering::Relaxed);
        }
        Some(freight)
    }

    /// # Panics
    ///
    /// If the shard was told to fail.
    pub(crate) fn is_stopping(&self) -> bool {
        let order = self.0.order.load(Ordering::SeqCst);
        assert_ne!(order, FAILING, "the shard was told to fail");
        order == STOPPING
    }

    pub(crate) fn has_news(&self) -> bool {
        !self.0.queue.is_empty() || self.is_stopping()
    }
}

/// The way from each shard to every other.
#[derive(Debug)]
pub struct ShardLinks<S>(Arc<[ControlSender<S>]>);

impl<S> Clone for ShardLinks<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S> ShardLinks<S> {
    /// Links to the owners of `mailboxes`, by position.
    #[must_use]
    pub fn new(mailboxes: &[Mailbox<S>]) -> Self {
        // Each of the others may have that many on their way to it, and as many of its own return.
        let room = 2 * SHIPMENTS_MAX * mailboxes.len();
        for mailbox in mailboxes.iter().filter(|_| mailboxes.len() > 1) {
            mailbox.0.freight.get_or_init(|| ArrayQueue::new(room));
        }
        Self(mailboxes.iter().map(Mailbox::sender).collect())
    }

    /// The way to one shard; `None` if there is no such shard.
    #[must_use]
    pub fn to(&self, shard: ShardIndex) -> Option<&ControlSender<S>> {
        self.0.get(usize::from(shard.0))
    }
}

fn eventfd() -> io::Result<OwnedFd> {
    // SAFETY: `eventfd` takes no pointer; any arguments are allowed.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call just returned this open descriptor and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn wakes(mailbox: &Mailbox<()>) -> u64 {
        let mut octets = [0; 8];
        let mut waker = File::from(mailbox.waker().unwrap().unwrap());
        match waker.read_exact(&mut octets) {
            Ok(()) => u64::from_ne_bytes(octets),
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                0
            }
        }
    }

    fn adopt() -> Control<()> {
        Control::Adopt {
            socket: (),
            peer: SocketAddr::from(([127, 0, 0, 1], 1)),
            layer: None,
            octets: Vec::new(),
        }
    }

    #[test]
    fn a_shard_is_woken_once_until_it_looks() {
        let mailbox = Mailbox::new().unwrap();
        let sender = mailbox.sender();
        sender.send(adopt()).unwrap();
        assert_eq!(wakes(&mailbox), 0, "it is awake");
        mailbox.doze();
        assert!(mailbox.has_news());
        sender.send(adopt()).unwrap();
        sender.send(adopt()).unwrap();
        assert_eq!(wakes(&mailbox), 1);
        mailbox.rouse();
        sender.send(adopt()).unwrap();
        assert_eq!(wakes(&mailbox), 0, "it will look");
        assert!(mailbox.pop().is_some() && mailbox.pop().is_some());
        mailbox.doze();
        sender.stop();
        assert_eq!(wakes(&mailbox), 1);
        assert!(mailbox.pop().is_some() && mailbox.pop().is_some() && mailbox.pop().is_none());
        assert!(mailbox.is_stopping());
    }

    #[test]
    fn a_mailbox_is_renewed_empty_and_wakes_again() {
        let mailbox = Mailbox::new().unwrap();
        let sender = mailbox.sender();
        mailbox.doze();
        sender.send(adopt()).unwrap();
        sender.fail();
        assert_eq!(wakes(&mailbox), 1);
        drop(mailbox);
        let renewed = sender.renew();
        assert!(!renewed.is_stopping() && renewed.pop().is_none());
        renewed.doze();
        sender.send(adopt()).unwrap();
        assert_eq!(wakes(&renewed), 1);
        assert!(renewed.pop().is_some());
    }

    #[test]
    fn a_full_mailbox_gives_the_message_back() {
        let mailbox = Mailbox::without_waker();
        let sender = mailbox.sender();
        for _ in 0..MAILBOX_MAX {
            sender.send(adopt()).unwrap();
        }
        let Err(Full(Control::Adopt { .. })) = sender.send(adopt()) else {
            panic!("it should be full");
        };
    }
}
