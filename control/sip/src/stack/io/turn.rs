//! A turn of the core: everything that is there gets some of it, and what costs least comes first.

use super::{Command, Core, Input, PENDING_EVENTS_MAX, note};
use crate::agent::Event;
use crate::limits::{COMMANDS_MAX, DATAGRAMS_A_TURN, MESSAGES_A_TURN, OVERLOAD_LOG_INTERVAL};
use clock::Instant;
use tokio::sync::mpsc;
use tracing::warn;

impl Core {
    /// Does a turn's work; when there is something to do again, at the latest.
    pub(super) async fn turn(
        &mut self,
        inputs: &mut mpsc::Receiver<Input>,
        commands: &mut mpsc::Receiver<Command>,
        events: &mpsc::Sender<Event>,
    ) -> Option<Instant> {
        while self.tasks.try_join_next().is_some() || self.streams.try_join_next().is_some() {}
        for _ in 0..COMMANDS_MAX {
            let Ok(command) = commands.try_recv() else {
                break;
            };
            self.handle_command(command);
        }
        self.drain().await;
        let beyond = events.max_capacity() - events.capacity() + self.pending.len();
        self.read_datagrams(beyond).await;
        for _ in 0..MESSAGES_A_TURN {
            if !self.takes() {
                break;
            }
            let has_worked = self.agent.work(self.now());
            match inputs.try_recv() {
                Ok(input) => self.handle_input(input),
                Err(_) if has_worked => {}
                Err(_) => break,
            }
            self.drain().await;
        }
        while !self.pending.is_empty() {
            let Ok(permit) = events.try_reserve() else {
                break;
            };
            if let Some(event) = self.pending.pop_front() {
                permit.send(event);
            }
        }
        let mut at = self.drain().await;
        let now = self.now();
        if at.is_some_and(|at| at <= now) {
            self.agent.handle_deadline(now);
            at = self.drain().await;
        }
        self.count();
        self.tell_of_refusals();
        at
    }

    /// Whether the application takes what comes of further messages.
    pub(super) fn takes(&self) -> bool {
        self.pending.len() < PENDING_EVENTS_MAX
    }

    /// Reads what is there, and sends what is refused at once.
    async fn read_datagrams(&mut self, beyond: usize) {
        for number in 0..self.datagrams.sockets.len() {
            for _ in 0..DATAGRAMS_A_TURN {
                if !self.agent.has_room_for_datagrams() {
                    return;
                }
                let now = self.now();
                let Some((flow, bytes)) = self.datagrams.receive(number) else {
                    break;
                };
                if bytes.is_empty() {
                    continue;
                }
                note(self.trace.as_ref(), false, flow.remote, bytes);
                self.agent.arrive(now, flow, bytes, beyond);
                self.drain().await;
            }
        }
    }

    /// Logs that new dialogs are refused, and why, once in a while.
    fn tell_of_refusals(&mut self) {
        let (counts, told) = (self.agent.counts(), self.told);
        if counts.shed == told.shed {
            return;
        }
        let now = self.now();
        let is_recent = |last| now.since(last) < OVERLOAD_LOG_INTERVAL;
        if self.logged.is_some_and(is_recent) {
            return;
        }
        (self.logged, self.told) = (Some(now), counts);
        warn!(
            refused = counts.shed - told.shed,
            late = counts.shed_late - told.shed_late,
            unanswered = counts.shed_unanswered - told.shed_unanswered,
            full = counts.shed_full - told.shed_full,
            again = counts.shed_again - told.shed_again,
            waiting = self.agent.waiting_count(),
            "overloaded: new dialogs get 503"
        );
    }
}
