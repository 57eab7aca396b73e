//! What the kernel reads while it sends: a batch, the list of its runs, the message header.

use core::ptr::NonNull;

use switch::Batch;

use crate::limits::IOVECS_MAX;
use crate::pool::Octets;

/// A gathering send that only this thread can see.
#[derive(Debug)]
pub(super) struct Owned(Box<Send>);

/// A gathering send that the kernel may be reading. Only its completion turns it back; dropping it
/// leaks, which is right while the kernel might still read.
#[derive(Debug)]
#[must_use = "a lost `Lent` is a batch leaked"]
pub(super) struct Lent(NonNull<Send>);

#[derive(Debug)]
struct Send {
    batch: Batch<Octets>,
    /// Octets of the batch that the system has taken.
    taken: usize,
    runs: Vec<libc::iovec>,
    header: libc::msghdr,
}

impl Default for Owned {
    fn default() -> Self {
        Self(Box::new(Send {
            batch: Batch::default(),
            taken: 0,
            runs: Vec::new(),
            header: empty_header(),
        }))
    }
}

impl Owned {
    /// Takes a batch to be sent from its beginning.
    pub(super) fn load(&mut self, batch: Batch<Octets>) {
        self.0.batch = batch;
        self.0.taken = 0;
    }

    /// Notes that the system took `count` more octets; whether that was all.
    pub(super) fn advance(&mut self, count: usize) -> bool {
        self.0.taken += count;
        debug_assert!(
            self.0.taken <= self.0.batch.octet_count(),
            "more than there was"
        );
        self.0.taken >= self.0.batch.octet_count()
    }

    /// The batch back.
    pub(super) fn unload(&mut self) -> Batch<Octets> {
        core::mem::take(&mut self.0.batch)
    }

    /// Lists the next runs and lends all of it to the kernel: the header stays where it is, valid
    /// and unchanged, until [`Lent::reclaim`].
    pub(super) fn lend(mut self) -> (Lent, *const libc::msghdr) {
        self.0.list();
        let lent = NonNull::from(Box::leak(self.0));
        // SAFETY: `lent` was just leaked, so it is valid; no reference is formed here, only the
        // address of a field.
        let header = unsafe { &raw const (*lent.as_ptr()).header };
        (Lent(lent), header)
    }
}

impl Lent {
    /// Takes it back.
    ///
    /// # Safety
    ///
    /// The kernel must have completed the send it was lent for, with no more to come.
    pub(super) unsafe fn reclaim(self) -> Owned {
        // SAFETY:
        // - It came from a leaked box (`Owned::lend`), and `self` is the only one that owns it.
        // - Nobody reads it any more: the caller says so.
        Owned(unsafe { Box::from_raw(self.0.as_ptr()) })
    }
}

impl Send {
    fn list(&mut self) {
        self.runs.clear();
        let mut skip = self.taken;
        for slice in self.batch.slices() {
            if skip >= slice.len() {
                skip -= slice.len();
                continue;
            }
            if self.runs.len() == IOVECS_MAX {
                break;
            }
            let rest = &slice[skip..];
            self.runs.push(libc::iovec {
                iov_base: rest.as_ptr().cast_mut().cast(),
                iov_len: rest.len(),
            });
            skip = 0;
        }
        self.header.msg_iov = self.runs.as_mut_ptr();
        #[allow(clippy::useless_conversion, reason = "musl has another type")]
        let count = self.runs.len().try_into().expect("at most IOVECS_MAX");
        self.header.msg_iovlen = count;
    }
}

fn empty_header() -> libc::msghdr {
    // SAFETY: integers and pointers, for which zeros are a value; some systems have more than they name.
    unsafe { core::mem::zeroed() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lens(owned: &mut Owned) -> Vec<usize> {
        owned.0.list();
        owned.0.runs.iter().map(|run| run.iov_len).collect()
    }

    #[test]
    fn a_short_send_continues_where_it_stopped() {
        let shared = Octets::copied(&[7; 5000]);
        let mut batch = Batch::default();
        batch.write(|out| out.extend_from_slice(b"head"));
        batch.push(&shared, 0..5000);
        batch.write(|out| out.extend_from_slice(b"tail"));
        let mut owned = Owned::default();
        owned.load(batch);
        assert_eq!(lens(&mut owned), [4, 5000, 4]);
        assert!(!owned.advance(3));
        assert_eq!(lens(&mut owned), [1, 5000, 4]);
        assert!(!owned.advance(1 + 4999));
        assert_eq!(lens(&mut owned), [1, 4]);
        let (lent, header) = owned.lend();
        // SAFETY: `lent` is alive, nobody changes it.
        assert_eq!(unsafe { (*header).msg_iovlen }, 2);
        // SAFETY: it was not given to a kernel.
        let mut owned = unsafe { lent.reclaim() };
        assert!(owned.advance(5));
        assert_eq!(owned.unload().octet_count(), 5008);
    }

    #[test]
    fn no_more_runs_than_the_system_takes() {
        let shared = Octets::copied(&[7; 4096]);
        let mut batch = Batch::default();
        for _ in 0..IOVECS_MAX + 3 {
            batch.push(&shared, 0..4096);
        }
        let mut owned = Owned::default();
        owned.load(batch);
        assert_eq!(lens(&mut owned).len(), IOVECS_MAX);
        owned.advance(4096 * IOVECS_MAX);
        assert_eq!(lens(&mut owned).len(), 3);
    }
}
