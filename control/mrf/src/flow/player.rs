//! Who plays in a flow.

use anyhow::{anyhow, bail};
use sip::Trace;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::ladder::Party;
use super::seed;
use super::view::{self, Frame};
use crate::limits::ANSWER_WITHIN;
use crate::msrp_client::Event;
use crate::participant::Joined;

/// Who plays a part.
#[derive(Clone, Copy, Debug)]
pub(super) struct Role {
    pub(super) party: Party,
    pub(super) user: &'static str,
    pub(super) session: &'static str,
    /// Step numbers are shown for the user of the flow only.
    pub(super) is_numbered: bool,
}

pub(super) const UE1: Role = Role {
    party: Party::Ue1,
    user: seed::USER_1,
    session: seed::SESSION_1,
    is_numbered: true,
};

pub(super) const UE2: Role = Role {
    party: Party::Ue2,
    user: seed::USER_2,
    session: seed::SESSION_2,
    is_numbered: false,
};

impl Role {
    /// The same one as an extra: its steps have no numbers.
    pub(super) const fn unnumbered(self) -> Self {
        Self {
            is_numbered: false,
            ..self
        }
    }

    pub(super) fn number(self, number: &'static str) -> &'static str {
        if self.is_numbered { number } else { "" }
    }
}

/// A participant in the conference.
#[derive(Debug)]
pub(super) struct Player {
    pub(super) role: Role,
    pub(super) joined: Joined,
    pub(super) trace: mpsc::Receiver<Trace>,
    /// Our MSRP URI, and that of the conference towards us.
    pub(super) path: String,
    pub(super) peer_path: String,
    /// Context and termination, when H.248 was seen.
    pub(super) place: Option<(String, String)>,
}

impl Player {
    /// The next frame in one direction.
    pub(super) async fn frame(&mut self, is_sent: bool) -> anyhow::Result<(Frame, Vec<u8>)> {
        let found = async {
            loop {
                match self.joined.msrp.next_event().await {
                    Some(Event::Received(octets)) if !is_sent => return Ok(octets),
                    Some(Event::Sent(octets)) if is_sent => return Ok(octets),
                    Some(Event::Closed(why)) => bail!("the MSRP connection is gone: {why}"),
                    Some(_) => {}
                    None => bail!("the MSRP connection is gone"),
                }
            }
        };
        let octets = timeout(ANSWER_WITHIN, found)
            .await
            .map_err(|_| anyhow!("an MSRP frame did not come"))??;
        Ok((view::frame(&octets), octets))
    }
}
