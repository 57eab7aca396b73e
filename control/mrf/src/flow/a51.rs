//! A.5.1: a user connects into a messaging conference. Steps 1 to 8 and 13 to 19 of the flow are
//! between the networks; what the MRFC and the MRFP see is steps 9 to 12 and 20 to 24.

use super::ladder::Ladder;
use super::player::{UE1, UE2};
use super::stage::Stage;
use super::{join, seed, talk};

/// What is played.
pub(super) const TITLE: &str = "TS 24.247 A.5.1: a user joins a messaging conference";

/// Plays the flow; deviations are in the ladder, an error means that it could not go on.
pub(super) async fn play(mut stage: Stage, ladder: &mut Ladder) -> anyhow::Result<()> {
    ladder.note("UE#2 joins first, so that somebody is there to receive");
    let mut second = join::join(&mut stage, UE2, None, ladder).await?;
    talk::bind(&mut second, ladder).await?;
    ladder.note("UE#1 joins: the flow of table A.5.1");
    let place = second.place.clone();
    let context = place.as_ref().map(|(context, _)| context.as_str());
    let mut first = join::join(&mut stage, UE1, context, ladder).await?;
    talk::say(&mut first, &mut second, &seed::A51, ladder).await?;
    ladder.note("both leave");
    talk::leave(&mut stage, first, ladder).await?;
    talk::leave(&mut stage, second, ladder).await?;
    stage.strike().await;
    Ok(())
}
