//! A.5.1: a user connects into a messaging conference. Steps 1 to 8 and 13 to 19 of the flow are
//! between the networks; what the MRFC and the MRFP see is steps 9 to 12 and 20 to 24.

mod join;
mod talk;

use anyhow::{anyhow, bail};
use sip::Trace;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::ladder::{Ladder, Party};
use super::seed;
use super::stage::Stage;
use super::view::{self, Frame};
use crate::limits::ANSWER_WITHIN;
use crate::msrp_client::Event;
use crate::participant::Joined;

/// Who plays a part.
#[derive(Clone, Copy, Debug)]
struct Role {
    party: Party,
    user: &'static str,
    session: &'static str,
    /// Step numbers are shown for the user of the flow only.
    is_numbered: bool,
}

const UE1: Role = Role {
    party: Party::Ue1,
    user: seed::USER_1,
    session: seed::SESSION_1,
    is_numbered: true,
};

const UE2: Role = Role {
    party: Party::Ue2,
    user: seed::USER_2,
    session: seed::SESSION_2,
    is_numbered: false,
};

impl Role {
    fn number(self, number: &'static str) -> &'static str {
        if self.is_numbered { number } else { "" }
    }
}

/// A participant in the conference.
#[derive(Debug)]
struct Player {
    role: Role,
    joined: Joined,
    trace: mpsc::Receiver<Trace>,
    /// Our MSRP URI, and that of the conference towards us.
    path: String,
    peer_path: String,
    /// Context and termination, when H.248 was seen.
    place: Option<(String, String)>,
}

impl Player {
    /// The next frame in one direction.
    async fn frame(&mut self, is_sent: bool) -> anyhow::Result<(Frame, Vec<u8>)> {
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

/// Plays the flow; deviations are in the ladder, an error means that it could not go on.
pub(super) async fn play(mut stage: Stage, ladder: &mut Ladder) -> anyhow::Result<()> {
    ladder.note("UE#2 joins first, so that somebody is there to receive");
    let mut second = join::join(&mut stage, UE2, None, ladder).await?;
    talk::bind(&mut second, ladder).await?;
    ladder.note("UE#1 joins: the flow of table A.5.1");
    let place = second.place.clone();
    let context = place.as_ref().map(|(context, _)| context.as_str());
    let mut first = join::join(&mut stage, UE1, context, ladder).await?;
    talk::say(&mut first, &mut second, ladder).await?;
    ladder.note("both leave");
    talk::leave(&mut stage, first, ladder).await?;
    talk::leave(&mut stage, second, ladder).await?;
    stage.strike().await;
    Ok(())
}
