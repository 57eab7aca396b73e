//! Requests to MRFPs: so many at once, the others in their turn. A conference that ends subtracts all its
//! terminations in one moment, and none of these may be lost.

use super::{ActionRequest, Focus, MId, Mrfp, Peer, Task, VecDeque, add, warn};
use crate::commands::mid_text;
use crate::limits::REQUESTS_MAX;

impl Mrfp {
    pub(super) fn new(mid: MId, peer: Peer) -> Self {
        Self {
            mid,
            peer,
            is_leaving: false,
            outstanding: 0,
            backlog: VecDeque::new(),
        }
    }
}

impl Focus {
    /// Asks an MRFP, in its turn; `None`: nobody is asked.
    pub(super) fn send(&mut self, mrfp: &MId, action: ActionRequest, task: Task) -> Option<()> {
        let at = self.mrfps.iter().position(|m| m.mid == *mrfp)?;
        let mrfp = &mut self.mrfps[at];
        if mrfp.outstanding >= REQUESTS_MAX {
            mrfp.backlog.push_back((action, task));
            return Some(());
        }
        self.send_now(at, action, task).ok()
    }

    /// Gives the task back if the request cannot be sent.
    fn send_now(&mut self, at: usize, action: ActionRequest, task: Task) -> Result<(), Task> {
        let mrfp = &mut self.mrfps[at];
        match self.h248.send_request(mrfp.peer, vec![action]) {
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

    /// A request is over: the next one has its turn.
    pub(super) fn send_next(&mut self, peer: Peer) {
        let Some(at) = self.mrfps.iter().position(|m| m.peer == peer) else {
            return;
        };
        let mrfp = &mut self.mrfps[at];
        mrfp.outstanding = mrfp.outstanding.saturating_sub(1);
        let next = mrfp.backlog.pop_front();
        if let Some((action, task)) = next
            && let Err(task) = self.send_now(at, action, task)
        {
            self.handle_failed(Some(task));
        }
    }

    /// What waited for its turn there will not have one.
    pub(super) fn forget_mrfp(&mut self, mid: &MId) {
        let Some(at) = self.mrfps.iter().position(|m| m.mid == *mid) else {
            return;
        };
        for (_, task) in self.mrfps.remove(at).backlog {
            self.handle_failed(Some(task));
        }
    }
}
