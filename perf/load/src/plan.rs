//! What is to be generated.

use core::time::Duration;

use anyhow::ensure;
use msrp::FailureReport;
use serde::{Deserialize, Serialize};

use crate::limits::{CHURN_MAX, MESSAGE_BYTES_MAX, PARTICIPANTS_MAX, SENDERS_MAX};

/// What participants speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// MSRP on TCP.
    #[default]
    Tcp,
    /// MSRP on TLS.
    Tls,
    /// MSRP on WebSocket (RFC 7977).
    Ws,
    /// MSRP on WebSocket on TLS.
    Wss,
}

impl Transport {
    /// Whether TLS is in it.
    #[must_use]
    pub const fn is_secure(self) -> bool {
        matches!(self, Self::Tls | Self::Wss)
    }

    /// Whether WebSocket is in it.
    #[must_use]
    pub const fn is_websocket(self) -> bool {
        matches!(self, Self::Ws | Self::Wss)
    }

    /// As a listener of `mrf mrfp` has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }

    /// An MSRP URI of it.
    pub(crate) fn uri(self, address: &str, session: &str) -> String {
        let scheme = if self.is_secure() { "msrps" } else { "msrp" };
        let parameter = if self.is_websocket() { "ws" } else { "tcp" };
        format!("{scheme}://{address}/{session};{parameter}")
    }
}

/// How fast messages are sent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Rate {
    /// Messages per second of all senders together, at times that do not depend on any answer.
    Fixed(f64),
    /// As fast as they arrive, with a bounded number on their way.
    Max,
}

/// One run.
#[derive(Clone, Debug, Serialize, Deserialize)]
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
    /// Recipients that leave per second, each replaced by another at once.
    pub churn: f64,
    /// What participants speak.
    pub transport: Transport,
    /// What the messages say about reports.
    #[serde(with = "report_name")]
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
            churn: 0.0,
            transport: Transport::Tcp,
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
        ensure!(!self.duration.is_zero(), "--duration must be above 0");
        ensure!(self.messages != Some(0), "--messages must be at least 1");
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
        ensure!(
            (0.0..=CHURN_MAX).contains(&self.churn),
            "--churn must be 0 to {CHURN_MAX} a second"
        );
        if self.churn > 0.0 {
            ensure!(
                self.rate != Rate::Max,
                "--churn needs a --rate: with max nobody knows how many have to answer"
            );
            ensure!(
                self.sessions_per_connection == 1,
                "--churn needs a connection for each participant"
            );
            ensure!(
                self.recipients_only().next().is_some(),
                "--churn needs a participant that only receives"
            );
        }
        Ok(())
    }

    /// Those who only receive, by number: the ones that can come and go.
    pub(crate) fn recipients_only(&self) -> impl Iterator<Item = u32> {
        let (each, senders, readers) = (
            self.participants,
            self.senders,
            self.participants - self.stalled,
        );
        (0..self.participant_count())
            .filter(move |number| (senders..readers).contains(&(number % each)))
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

/// [`FailureReport`] by its name on the wire.
mod report_name {
    use msrp::FailureReport;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    const NAMES: [(FailureReport, &str); 3] = [
        (FailureReport::Yes, "yes"),
        (FailureReport::Partial, "partial"),
        (FailureReport::No, "no"),
    ];

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
    pub(super) fn serialize<S: Serializer>(
        report: &FailureReport,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let mut names = NAMES.iter();
        let name = names.find(|(one, _)| one == report);
        serializer.serialize_str(name.map_or("", |(_, name)| name))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<FailureReport, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut names = NAMES.iter();
        let found = names.find(|(_, name)| *name == text);
        found
            .map(|(report, _)| *report)
            .ok_or_else(|| D::Error::custom("expected yes, partial or no"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_survives_json() {
        for failure_report in [
            FailureReport::Yes,
            FailureReport::Partial,
            FailureReport::No,
        ] {
            let plan = Plan {
                failure_report,
                transport: Transport::Wss,
                rate: Rate::Fixed(2.5),
                ..Plan::default()
            };
            let text = serde_json::to_string(&plan).unwrap();
            let back: Plan = serde_json::from_str(&text).unwrap();
            assert_eq!(format!("{plan:?}"), format!("{back:?}"));
        }
    }

    #[test]
    fn those_who_only_receive_can_come_and_go() {
        let plan = Plan {
            conferences: 2,
            participants: 4,
            stalled: 1,
            churn: 1.0,
            rate: Rate::Fixed(1.0),
            ..Plan::default()
        };
        assert_eq!(plan.recipients_only().collect::<Vec<_>>(), [1, 2, 5, 6]);
        assert!(plan.check().is_ok());
        for wrong in [
            Plan {
                rate: Rate::Max,
                ..plan.clone()
            },
            Plan {
                senders: 3,
                ..plan.clone()
            },
            Plan {
                sessions_per_connection: 2,
                ..plan.clone()
            },
            Plan {
                churn: f64::NAN,
                ..plan
            },
        ] {
            assert!(wrong.check().is_err(), "{wrong:?}");
        }
    }
}
