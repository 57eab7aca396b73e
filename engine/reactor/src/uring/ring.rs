//! The rings shared with the kernel: making them, filling one, emptying the other, tearing down.

use core::mem::ManuallyDrop;
use core::time::Duration;
use std::collections::VecDeque;
use std::io;

use io_uring::types::{CancelBuilder, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};

use super::Unavailable;
use super::buffers::{Buffers, Filling, Used};
use crate::limits::{RING_COMPLETIONS, RING_SUBMISSIONS, TEARDOWN_MAX, TURN_COMPLETIONS_MAX};
use crate::tag::Tag;

/// A completion, copied out of the queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reaped {
    pub tag: Tag,
    pub result: i32,
    /// The provided buffer it used.
    pub buffer: Option<Used>,
    /// The request stays: more completions will come.
    pub is_more: bool,
}

impl From<cqueue::Entry> for Reaped {
    fn from(entry: cqueue::Entry) -> Self {
        let is_more = cqueue::buffer_more(entry.flags());
        let slot = cqueue::buffer_select(entry.flags());
        Self {
            tag: Tag::unpack(entry.user_data()),
            result: entry.result(),
            buffer: slot.map(|slot| Used { slot, is_more }),
            is_more: cqueue::more(entry.flags()),
        }
    }
}

/// The rings, the buffers registered with them, and how many requests the kernel has.
pub(super) struct Ring {
    /// Dropped, and so closed, before `buffers`.
    uring: ManuallyDrop<IoUring>,
    buffers: Option<Buffers>,
    /// Requests that found no room in the queue, in order; a few per connection at most.
    backlog: VecDeque<squeue::Entry>,
    /// Requests whose last completion has not been reaped.
    in_flight: usize,
    /// System calls made.
    enters: u64,
}

impl Ring {
    /// # Errors
    ///
    /// What the kernel lacks or forbids.
    pub(super) fn new(filling: Filling) -> Result<Self, Unavailable> {
        let uring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all()
            .setup_cqsize(RING_COMPLETIONS)
            .build(RING_SUBMISSIONS)
            .map_err(Unavailable::Setup)?;
        super::probe::opcodes(&uring.submitter())?;
        let buffers =
            Buffers::register(&uring.submitter(), filling).map_err(Unavailable::BufferRing)?;
        Ok(Self {
            uring: ManuallyDrop::new(uring),
            buffers: Some(buffers),
            backlog: VecDeque::new(),
            in_flight: 0,
            enters: 0,
        })
    }

    pub(super) fn buffers(&mut self) -> &mut Buffers {
        self.buffers.as_mut().expect("taken by drop alone")
    }

    /// Receive slots that octets still refer to.
    pub(super) fn pinned_slot_count(&self) -> usize {
        self.buffers.as_ref().map_or(0, Buffers::pinned_count)
    }

    /// System calls made.
    pub(super) fn enter_count(&self) -> u64 {
        self.enters
    }

    /// Whether the kernel has any request.
    pub(super) fn is_busy(&self) -> bool {
        self.in_flight > 0
    }

    /// Queues a request; it starts with the next [`Self::enter`], or before if the queue is full.
    ///
    /// # Safety
    ///
    /// Whatever the entry points to must stay valid, and unchanged or untouched as the request
    /// demands, until its last completion.
    pub(super) unsafe fn push(&mut self, entry: squeue::Entry, tag: Tag) {
        let entry = entry.user_data(tag.pack());
        self.in_flight += 1;
        self.backlog.push_back(entry);
        if !self.drain_backlog() {
            // What the kernel refuses now it gets with the next enter, after completions were reaped.
            self.enters += 1;
            _ = self.uring.submit();
            self.drain_backlog();
        }
    }

    /// Moves requests to the queue; whether all found room.
    fn drain_backlog(&mut self) -> bool {
        let mut queue = self.uring.submission();
        while let Some(entry) = self.backlog.front() {
            // SAFETY: whoever called `push` promised what this `push` asks for.
            if unsafe { queue.push(entry) }.is_err() {
                return false;
            }
            self.backlog.pop_front();
        }
        true
    }

    /// Cancels the request with this tag; both complete.
    pub(super) fn cancel(&mut self, tag: Tag) {
        let entry = opcode::AsyncCancel::new(tag.pack()).build();
        // SAFETY: the entry points to nothing.
        unsafe { self.push(entry, Tag::Cancel) }
    }

    /// Submits what is queued and waits for a completion, at most `timeout`.
    pub(super) fn enter(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.drain_backlog();
        self.enters += 1;
        let wait = self.backlog.is_empty()
            && self.uring.completion().is_empty()
            && timeout != Some(Duration::ZERO);
        let outcome = if wait {
            let timespec = timeout.map(Timespec::from);
            let args = match &timespec {
                Some(timespec) => SubmitArgs::new().timespec(timespec),
                None => SubmitArgs::new(),
            };
            self.uring.submitter().submit_with_args(1, &args)
        } else {
            self.uring.submit()
        };
        match outcome {
            Err(error) if !is_transient(&error) => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Takes the next completions, at most a turn's worth.
    pub(super) fn reap(&mut self, reaped: &mut Vec<Reaped>) {
        let before = reaped.len();
        let completions = self.uring.completion().take(TURN_COMPLETIONS_MAX);
        reaped.extend(completions.map(Reaped::from));
        let last = reaped[before..].iter().filter(|one| !one.is_more).count();
        self.in_flight -= last;
    }

    /// Takes the next completion.
    pub(super) fn reap_one(&mut self) -> Option<Reaped> {
        let one = self.uring.completion().next().map(Reaped::from)?;
        self.in_flight -= usize::from(!one.is_more);
        Some(one)
    }

    /// Whether completions wait to be reaped.
    pub(super) fn has_completions(&mut self) -> bool {
        !self.uring.completion().is_empty()
    }

    /// Cancels everything and waits until the kernel has nothing left, handing each completion to
    /// `reclaim`; `false` when time ran out.
    pub(super) fn quiesce(&mut self, mut reclaim: impl FnMut(Reaped)) -> bool {
        let give_up = crate::time::now() + TEARDOWN_MAX;
        if self.is_busy() {
            let entry = opcode::AsyncCancel2::new(CancelBuilder::any()).build();
            // SAFETY: the entry points to nothing.
            unsafe { self.push(entry, Tag::Cancel) }
        }
        let mut reaped = Vec::new();
        while self.is_busy() {
            let left = give_up.since(crate::time::now());
            if left.is_zero() || self.enter(Some(left)).is_err() {
                return false;
            }
            self.reap(&mut reaped);
            reaped.drain(..).for_each(&mut reclaim);
        }
        true
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        let is_quiet = self.quiesce(|_| ());
        // SAFETY: `uring` is not used after this: `self` is being dropped.
        unsafe { ManuallyDrop::drop(&mut self.uring) }
        if !is_quiet && let Some(buffers) = self.buffers.take() {
            tracing::error!("io_uring would not let go; its receive buffers are leaked");
            buffers.leak();
        }
    }
}

impl core::fmt::Debug for Ring {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Ring")
            .field("buffers", &self.buffers)
            .field("in_flight", &self.in_flight)
            .finish_non_exhaustive()
    }
}

/// Time ran out, a signal came, or completions must be reaped first.
fn is_transient(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN)
    )
}
