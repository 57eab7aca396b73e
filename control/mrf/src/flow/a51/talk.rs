//! Steps 23 and 24, the copy that the other participant receives, and leaving.

use anyhow::bail;
use sip::{Method, Parsed};

use super::{Player, Role};
use crate::flow::ladder::{Ladder, Party, Step};
use crate::flow::seed;
use crate::flow::stage::Stage;
use crate::flow::view::{self, Exchange, Frame, Verb};
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
    ladder: &mut Ladder,
) -> anyhow::Result<()> {
    let message = Outgoing {
        content_type: Some(seed::CONTENT_TYPE.to_owned()),
        body: seed::TEXT.as_bytes().to_vec(),
        message_id: Some(seed::MESSAGE_ID.to_owned()),
        transaction_id: Some(seed::TRANSACTION.to_owned()),
    };
    first.joined.msrp.send(message).await?;
    let (sent, octets) = first.frame(true).await?;
    let label = format!("MSRP SEND, {} octets", sent.body.len());
    let mut step = Step::new("23", first.role.party, Party::Mrfp, &label).text(&octets);
    step.same("transaction id", seed::TRANSACTION, &sent.transaction);
    paths(&mut step, &sent, &first.peer_path, &first.path);
    content(&mut step, &sent);
    ladder.add(step);
    let (answer, octets) = first.frame(false).await?;
    ladder.add(answered(first, seed::TRANSACTION, &answer).text(&octets));

    let (copy, octets) = second.frame(false).await?;
    let label = format!("MSRP SEND, {} octets", copy.body.len());
    let mut step = Step::new("", Party::Mrfp, second.role.party, &label).text(&octets);
    let is_new = copy.transaction != seed::TRANSACTION;
    step.check("transaction id", is_new, "a new one", &copy.transaction);
    paths(&mut step, &copy, &second.path, &second.peer_path);
    content(&mut step, &copy);
    ladder.add(step);
    let (answer, octets) = second.frame(true).await?;
    let mut step = Step::new("", second.role.party, Party::Mrfp, "MSRP 200").text(&octets);
    step.same("transaction id", &copy.transaction, &answer.transaction);
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

fn subtracted(
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
fn content(step: &mut Step, frame: &Frame) {
    step.same(
        "method",
        "SEND",
        frame.method.as_deref().unwrap_or("a response"),
    );
    step.same("Message-ID", seed::MESSAGE_ID, &frame.message_id);
    step.same("Byte-Range", seed::BYTE_RANGE, &frame.byte_range);
    step.same("Content-Type", seed::CONTENT_TYPE, &frame.content_type);
    step.same("text", seed::TEXT, &String::from_utf8_lossy(&frame.body));
}
