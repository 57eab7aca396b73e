//! Steps 23 and 24, the copy that the other participant receives, and leaving.

use anyhow::bail;
use sip::{Method, Parsed};

use super::ladder::{Ladder, Party, Step};
use super::player::{Player, Role};
use super::seed::Saying;
use super::stage::Stage;
use super::view::{self, Exchange, Frame, Verb};
use crate::msrp_client::Outgoing;

/// The first request of an active party binds the connection to its session, with a body or
/// without (RFC 4975 section 5.4).
pub(super) async fn bind(player: &mut Player, ladder: &mut Ladder) -> anyhow::Result<()> {
    player.joined.msrp.send(Outgoing::default()).await?;
    let (sent, octets) = player.frame(true).await?;
    let mut step =
        Step::new("", player.role.party, Party::Mrfp, "MSRP SEND, no body").text(&octets);
    paths(&mut step, &sent, &player.peer_path, &player.path);
    ladder.add(step);
    let (answer, octets) = player.frame(false).await?;
    ladder.add(answered(player, &sent.transaction, &answer).text(&octets));
    Ok(())
}

/// UE#1 speaks, UE#2 hears.
pub(super) async fn say(
    first: &mut Player,
    second: &mut Player,
    saying: &Saying,
    ladder: &mut Ladder,
) -> anyhow::Result<()> {
    let message = Outgoing {
        content_type: Some(saying.content_type.to_owned()),
        body: saying.text.as_bytes().to_vec(),
        message_id: Some(saying.message_id.to_owned()),
        transaction_id: Some(saying.transaction.to_owned()),
    };
    first.joined.msrp.send(message).await?;
    let (sent, octets) = first.frame(true).await?;
    let label = format!("MSRP SEND, {} octets", sent.body.len());
    let mut step = Step::new(saying.sent, first.role.party, Party::Mrfp, &label).text(&octets);
    step.same("transaction id", saying.transaction, &sent.transaction);
    paths(&mut step, &sent, &first.peer_path, &first.path);
    content(&mut step, &sent, saying);
    ladder.add(step);
    let (answer, octets) = first.frame(false).await?;
    ladder.add(answered(first, saying.transaction, &answer).text(&octets));
    hear(second, saying, ladder).await
}

/// The copy that the other one gets. One that was called may first be sent a SEND without body,
/// which binds the connection (RFC 4975 section 5.4).
async fn hear(second: &mut Player, saying: &Saying, ladder: &mut Ladder) -> anyhow::Result<()> {
    let (mut copy, mut octets) = second.frame(false).await?;
    if copy.body.is_empty() && copy.method.as_deref() == Some("SEND") {
        let label = "MSRP SEND, no body";
        let mut step = Step::new("", Party::Mrfp, second.role.party, label).text(&octets);
        paths(&mut step, &copy, &second.path, &second.peer_path);
        ladder.add(step);
        acknowledged(second, "", &copy.transaction, ladder).await?;
        (copy, octets) = second.frame(false).await?;
    }
    let label = format!("MSRP SEND, {} octets", copy.body.len());
    let mut step = Step::new(saying.heard, Party::Mrfp, second.role.party, &label).text(&octets);
    let is_new = copy.transaction != saying.transaction;
    step.check("transaction id", is_new, "a new one", &copy.transaction);
    paths(&mut step, &copy, &second.path, &second.peer_path);
    content(&mut step, &copy, saying);
    ladder.add(step);
    acknowledged(second, saying.acknowledged, &copy.transaction, ladder).await
}

/// The 200 that a hearer gives.
async fn acknowledged(
    second: &mut Player,
    number: &'static str,
    transaction: &str,
    ladder: &mut Ladder,
) -> anyhow::Result<()> {
    let (answer, octets) = second.frame(true).await?;
    let mut step = Step::new(number, second.role.party, Party::Mrfp, "MSRP 200").text(&octets);
    step.same("transaction id", transaction, &answer.transaction);
    step.check("status", answer.status == Some(200), "200", status(&answer));
    paths(&mut step, &answer, &second.peer_path, &second.path);
    ladder.add(step);
    Ok(())
}

/// BYE, and what follows from it.
pub(super) async fn leave(
    stage: &mut Stage,
    mut player: Player,
    ladder: &mut Ladder,
) -> anyhow::Result<()> {
    let role = player.role;
    player.joined.sip.bye(player.joined.dialog).await?;
    let is_bye = |p: &Parsed| matches!(p, Parsed::Request(r) if r.method == Method::Bye);
    let (_, octets) = view::sip(&mut player.trace, "BYE", true, is_bye).await?;
    ladder.add(Step::new("", role.party, Party::Mrfc, "BYE").text(&octets));
    let is_final = |p: &Parsed| {
        matches!(p, Parsed::Response(r) if r.code >= 200
        && r.headers.cseq().is_some_and(|(_, method)| method == Method::Bye))
    };
    let (parsed, octets) = view::sip(&mut player.trace, "200 to BYE", false, is_final).await?;
    let Parsed::Response(ok) = parsed else {
        bail!("the answer to BYE is no response");
    };
    let label = format!("{} {}", ok.code, ok.reason);
    let mut step = Step::new("", Party::Mrfc, role.party, &label).text(&octets);
    step.same("status", &200, &ok.code);
    ladder.add(step);
    if let Some(tap) = &mut stage.tap {
        let exchange = view::exchange(tap, Verb::Subtract).await?;
        subtracted(&exchange, player.place.as_ref(), role, ladder);
    }
    Ok(())
}

pub(super) fn subtracted(
    exchange: &Exchange,
    place: Option<&(String, String)>,
    role: Role,
    ladder: &mut Ladder,
) {
    let Exchange { asked, replied } = exchange;
    let label = format!("Subtract {}", asked.termination);
    let mut step = Step::new("", Party::Mrfc, Party::Mrfp, &label).text(&asked.octets);
    if let Some((context, termination)) = place {
        step.same("context", context, &view::context(asked.context));
        let what = format!("termination of {}", role.user);
        step.same(&what, termination, &asked.termination);
    }
    ladder.add(step);
    let label = format!("reply, {} statistics", replied.statistics);
    let mut step = Step::new("", Party::Mrfp, Party::Mrfc, &label).text(&replied.octets);
    step.same("error", "none", replied.error.as_deref().unwrap_or("none"));
    step.same("termination", &asked.termination, &replied.termination);
    let has_some = replied.statistics > 0;
    step.check("statistics", has_some, "some", replied.statistics);
    ladder.add(step);
}

/// The answer of the conference to a SEND of ours: step 24.
fn answered(player: &Player, transaction: &str, answer: &Frame) -> Step {
    let role = player.role;
    let label = format!("MSRP {}", status(answer));
    let mut step = Step::new(role.number("24"), Party::Mrfp, role.party, &label);
    step.same("transaction id", transaction, &answer.transaction);
    step.check("status", answer.status == Some(200), "200", status(answer));
    // The flow prints them as in the request; RFC 4975 section 7.2 swaps them.
    paths(&mut step, answer, &player.path, &player.peer_path);
    step
}

fn status(frame: &Frame) -> String {
    match (frame.status, &frame.method) {
        (Some(status), _) => status.to_string(),
        (None, Some(method)) => method.clone(),
        (None, None) => "nothing readable".to_owned(),
    }
}

fn paths(step: &mut Step, frame: &Frame, to: &str, from: &str) {
    step.same(
        "head",
        "no fault",
        frame.fault.as_deref().unwrap_or("no fault"),
    );
    step.same("To-Path", to, &frame.to_path);
    step.same("From-Path", from, &frame.from_path);
}

/// The content of the flow's message, whoever sends it.
fn content(step: &mut Step, frame: &Frame, saying: &Saying) {
    step.same(
        "method",
        "SEND",
        frame.method.as_deref().unwrap_or("a response"),
    );
    step.same("Message-ID", saying.message_id, &frame.message_id);
    step.same("Byte-Range", saying.byte_range, &frame.byte_range);
    step.same("Content-Type", saying.content_type, &frame.content_type);
    step.same("text", saying.text, &String::from_utf8_lossy(&frame.body));
}
