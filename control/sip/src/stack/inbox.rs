//! The queue from connections to the core, bounded in messages and in octets.

use super::io::Input;
use crate::agent::Flow;
use crate::limits::{INPUT_BYTES_MAX, INPUTS_MAX};
use crate::parse::Parsed;
use std::sync::Arc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Instant;

/// Where the tasks of connections put what they read.
#[derive(Clone, Debug)]
pub(super) struct Inbox {
    sender: mpsc::Sender<Input>,
    octets: Arc<Semaphore>,
    /// Whether the octets of messages go along, for a trace.
    keeps: bool,
}

impl Inbox {
    /// The queue and its other end.
    pub(super) fn new(keeps: bool) -> (Self, mpsc::Receiver<Input>) {
        let (sender, inputs) = mpsc::channel(INPUTS_MAX);
        let octets = Arc::new(Semaphore::new(INPUT_BYTES_MAX));
        let inbox = Self {
            sender,
            octets,
            keeps,
        };
        (inbox, inputs)
    }

    /// Hands a message to the core, once there is room; `false`: the core is gone.
    pub(super) async fn put_message(&self, flow: Flow, parsed: Parsed, bytes: Vec<u8>) -> bool {
        let received = Instant::now();
        let Some(room) = self.room(bytes.len()).await else {
            return false;
        };
        let input = Input::Message {
            flow,
            parsed: Box::new(parsed),
            bytes: if self.keeps { bytes } else { Vec::new() },
            received,
            room,
        };
        self.put(input).await
    }

    /// Hands anything else to the core, once there is room; `false`: the core is gone.
    pub(super) async fn put(&self, input: Input) -> bool {
        // Waiting for room costs a part of what the runtime grants a task at once, and a reader is to
        // empty its socket.
        match self.sender.try_send(input) {
            Err(TrySendError::Full(input)) => self.sender.send(input).await.is_ok(),
            Err(TrySendError::Closed(_)) => false,
            Ok(()) => true,
        }
    }

    async fn room(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let count = u32::try_from(bytes.min(INPUT_BYTES_MAX)).ok()?;
        match Arc::clone(&self.octets).try_acquire_many_owned(count) {
            Ok(room) => Some(room),
            // The semaphore is never closed.
            Err(_) => Arc::clone(&self.octets)
                .acquire_many_owned(count)
                .await
                .ok(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::addr::Transport;
    use tokio::sync::mpsc::error::TryRecvError;

    /// What is longer than a datagram can be, so that few of them fill the queue.
    static LONG: [u8; INPUT_BYTES_MAX / 4] = [0; INPUT_BYTES_MAX / 4];

    #[tokio::test]
    async fn what_waits_is_bounded_in_octets_too() {
        let (inbox, mut inputs) = Inbox::new(false);
        let nowhere = ([127, 0, 0, 1], 5060).into();
        let flow = Flow {
            transport: Transport::Udp,
            channel: 0,
            local: nowhere,
            remote: nowhere,
            is_trusted: false,
        };
        for _ in 0..4 {
            assert!(
                inbox
                    .put_message(flow, Parsed::Garbage, LONG.to_vec())
                    .await
            );
        }
        let mut fifth = by_hand(inbox.put_message(flow, Parsed::Garbage, vec![1]));
        assert!(fifth().is_none(), "no room");
        assert!(inputs.try_recv().is_ok());
        assert_eq!(fifth(), Some(true));
        drop(fifth);
        drop(inbox);
        for _ in 0..4 {
            assert!(inputs.try_recv().is_ok());
        }
        assert_eq!(inputs.try_recv().err(), Some(TryRecvError::Disconnected));
    }

    /// Polls a future by hand.
    fn by_hand<T>(future: impl Future<Output = T>) -> impl FnMut() -> Option<T> {
        let mut future = Box::pin(future);
        move || {
            let waker = core::task::Waker::noop();
            let mut context = core::task::Context::from_waker(waker);
            match future.as_mut().poll(&mut context) {
                core::task::Poll::Ready(value) => Some(value),
                core::task::Poll::Pending => None,
            }
        }
    }
}
