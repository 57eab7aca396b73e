//! Requests to MRFPs: so many at once, the others in their turn. A conference that ends subtracts all its
//! terminations in one moment, and none of these may be lost.

use super::{ActionRequest, Controller, Focus, MId, Mrfp, Peer, Sip, Task, VecDeque, add, warn};
use crate::commands::{mid_text, subtract_all};
use crate::limits::REQUESTS_MAX;

impl Mrfp {
    pub(super) fn new(mid: MId, peer: Peer) -> Self {
        Self {
            mid,
            peer,
            is_leaving: false,
            is_clearing: false,
            outstanding: 0,
            backlog: VecDeque::new(),
        }
    }

    fn has_room(&self) -> bool {
        !self.is_clearing && self.outstanding < REQUESTS_MAX
    }

    fn next_waiting(&mut self) -> Option<(ActionRequest, Task)> {
        self.has_room().then(|| self.backlog.pop_front()).flatten()
    }
}

impl<S: Sip, H: Controller> Focus<S, H> {
    /// Asks an MRFP, in its turn; `None`: nobody is asked.
    pub(super) fn send(&mut self, mrfp: &MId, action: ActionRequest, task: Task) -> Option<()> {
        let at = self.mrfps.iter().position(|m| m.mid == *mrfp)?;
        let mrfp = &mut self.mrfps[at];
        if !mrfp.has_room() {
            mrfp.backlog.push_back((action, task));
            return Some(());
        }
        self.send_now(at, action, task).ok()
    }

    /// Gives the task back if the request cannot be sent.
    fn send_now(&mut self, at: usize, action: ActionRequest, task: Task) -> Result<(), Task> {
        let mrfp = &mut self.mrfps[at];
        match self.h248.send_request(mrfp.peer, action) {
            Ok(id) => {
                mrfp.outstanding += 1;
                self.tasks.insert(id, (task, self.now()));
                Ok(())
            }
            Err(error) => {
                warn!(mrfp = %mid_text(&mrfp.mid), %error, "H.248 request not sent");
                add(&self.counters.h248_failures, 1);
                Err(task)
            }
        }
    }

    /// Subtracts whatever an MRFP has, before it is asked for anything else: over UDP a request may arrive,
    /// or arrive again, after a later one.
    pub(super) fn clear(&mut self, mid: &MId) {
        let sent = self.send(mid, subtract_all(), Task::Clear(mid.clone()));
        if sent.is_some()
            && let Some(mrfp) = self.mrfps.iter_mut().find(|m| m.mid == *mid)
        {
            mrfp.is_clearing = true;
        }
    }

    pub(super) fn end_clearing(&mut self, mid: &MId) {
        let Some(at) = self.mrfps.iter().position(|m| m.mid == *mid) else {
            return;
        };
        // One of an association before this one may still be repeated.
        self.mrfps[at].is_clearing = self.is_clearing(mid);
        self.send_waiting(at);
    }

    /// A request is over: the next one has its turn.
    pub(super) fn send_next(&mut self, peer: Peer) {
        let Some(at) = self.mrfps.iter().position(|m| m.peer == peer) else {
            return;
        };
        let mrfp = &mut self.mrfps[at];
        mrfp.outstanding = mrfp.outstanding.saturating_sub(1);
        self.send_waiting(at);
    }

    pub(super) fn is_clearing(&self, mid: &MId) -> bool {
        let mut tasks = self.tasks.values();
        tasks.any(|(task, _)| matches!(task, Task::Clear(cleared) if cleared == mid))
    }

    fn send_waiting(&mut self, at: usize) {
        while let Some((action, task)) = self.mrfps[at].next_waiting() {
            if let Err(task) = self.send_now(at, action, task) {
                self.handle_failed(Some(task));
            }
        }
    }

    /// What waited for its turn there will not have one.
    pub(super) fn forget_mrfp(&mut self, mid: &MId) {
        let Some(at) = self.mrfps.iter().position(|m| m.mid == *mid) else {
            return;
        };
        self.audits.remove(mid);
        for (_, task) in self.mrfps.remove(at).backlog {
            self.handle_failed(Some(task));
        }
    }
}
