//! What is to be generated.

use core::time::Duration;

use anyhow::ensure;
use msrp::FailureReport;

use crate::limits::{MESSAGE_BYTES_MAX, PARTICIPANTS_MAX, SENDERS_MAX};

/// How fast messages are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rate {
    /// Messages per second of all senders together, at times that do not depend on any answer.
    Fixed(f64),
    /// As fast as they arrive, with a bounded number on their way.
    Max,
}

/// One run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Conferences.
    pub conferences: u32,
    /// Participants of each, the senders included.
    pub participants: u32,
    /// Participants of each that send; everybody receives.
    pub senders: u32,
    /// Participants of each that stop reading once they have joined, the last ones.
    pub stalled: u32,
    /// Sessions that share one connection (RFC 4975 section 5.4); only recipients can.
    pub sessions_per_connection: u32,
    /// Body octets of a message.
    pub size: u64,
    /// How fast.
    pub rate: Rate,
    /// How long, after `warmup`.
    pub duration: Duration,
    /// How long before anything counts.
    pub warmup: Duration,
    /// Stop after so many messages of each sender, whatever the duration.
    pub messages: Option<u64>,
    /// What the messages say about reports.
    pub failure_report: FailureReport,
    /// The core of the generator's thread.
    pub core: Option<usize>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            conferences: 1,
            participants: 2,
            senders: 1,
            stalled: 0,
            sessions_per_connection: 1,
            size: 300,
            rate: Rate::Max,
            duration: Duration::from_secs(10),
            warmup: Duration::from_secs(1),
            messages: None,
            failure_report: FailureReport::No,
            core: None,
        }
    }
}

impl Plan {
    /// Checks that it can be carried out.
    ///
    /// # Errors
    ///
    /// Says what contradicts what.
    pub fn check(&self) -> anyhow::Result<()> {
        let all = u64::from(self.conferences) * u64::from(self.participants);
        ensure!(self.conferences > 0, "--conferences must be at least 1");
        ensure!(
            self.participants > 1,
            "--participants must be at least 2: one sends, one receives"
        );
        ensure!(
            self.senders + self.stalled <= self.participants
                && self.stalled + 1 < self.participants,
            "--senders and --stalled together must not exceed --participants, and somebody has to read"
        );
        ensure!(
            all <= PARTICIPANTS_MAX,
            "{all} participants in all; the most is {PARTICIPANTS_MAX}"
        );
        ensure!(
            u64::from(self.conferences) * u64::from(self.senders) <= SENDERS_MAX,
            "too many senders; the most is {SENDERS_MAX}"
        );
        ensure!(
            (1..=MESSAGE_BYTES_MAX).contains(&self.size),
            "--size must be 1 to {MESSAGE_BYTES_MAX}"
        );
        ensure!(
            self.sessions_per_connection > 0,
            "a connection carries at least one session"
        );
        if let Rate::Fixed(rate) = self.rate {
            ensure!(
                rate.is_finite() && rate > 0.0,
                "--rate must be above 0, or max"
            );
        }
        Ok(())
    }

    /// Senders of all conferences.
    #[must_use]
    pub fn sender_count(&self) -> u32 {
        self.conferences * self.senders
    }

    /// Participants of all conferences.
    #[must_use]
    pub fn participant_count(&self) -> u32 {
        self.conferences * self.participants
    }

    /// Who gets each message of a sender and reads it.
    #[must_use]
    pub fn recipients(&self) -> u32 {
        self.participants - 1 - self.stalled
    }
}
