//! A.5.2: the MRFC/AS invites a user to a messaging conference, because another one asked for it by
//! REFER (TS 24.147). Steps 3 to 15 and 18 of the flow are between the networks; what the MRFC and
//! the MRFP see is steps 1, 2, 16, 17 and 20 to 23. The flow does its H.248 in step 20 only, though
//! its offer holds what the MRFP chose: the Add has to come first.

use anyhow::{anyhow, bail};
use sip::{Event, Method, Parsed, Request, Response};

use super::called::Callee;
use super::ladder::{Ladder, Party, Step};
use super::player::{Player, UE1};
use super::stage::Stage;
use super::view::{self, Exchange, Verb};
use super::{join, seed, talk};

/// What is played.
pub(super) const TITLE: &str =
    "TS 24.247 A.5.2: the MRFC/AS invites a user to a messaging conference";

/// Plays the flow; deviations are in the ladder, an error means that it could not go on.
pub(super) async fn play(
    mut stage: Stage,
    callee: Callee,
    ladder: &mut Ladder,
) -> anyhow::Result<()> {
    ladder.note("UE#1 joins, so that it can ask");
    let mut first = join::join(&mut stage, UE1.unnumbered(), None, ladder).await?;
    talk::bind(&mut first, ladder).await?;
    ladder.note("UE#1 asks that UE#2 be invited (TS 24.147): the flow of table A.5.2 follows");
    let target = callee.uri(stage.tap.is_some());
    let fields = [
        ("Refer-To", format!("<{target};method=INVITE>")),
        ("Referred-By", format!("<{}>", seed::USER_1)),
    ];
    refer(&mut first, &fields, ladder).await?;
    told(&mut first, "SIP/2.0 100 Trying", "active", ladder).await?;
    let mut second = callee.called(&mut stage, &first, &target, ladder).await?;
    told(&mut first, "SIP/2.0 200 OK", "terminated", ladder).await?;
    talk::say(&mut first, &mut second, &seed::A52, ladder).await?;
    ladder.note("UE#1 has UE#2 removed, and leaves");
    let fields = [("Refer-To", format!("<{target};method=BYE>"))];
    refer(&mut first, &fields, ladder).await?;
    removed(&mut stage, second, ladder).await?;
    told(&mut first, "SIP/2.0 100 Trying", "active", ladder).await?;
    told(&mut first, "SIP/2.0 200 OK", "terminated", ladder).await?;
    talk::leave(&mut stage, first, ladder).await?;
    stage.strike().await;
    Ok(())
}

/// UE#1 asks; the focus agrees.
async fn refer(
    player: &mut Player,
    fields: &[(&str, String)],
    ladder: &mut Ladder,
) -> anyhow::Result<()> {
    let headers = fields
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()))
        .collect();
    let dialog = player.joined.dialog;
    let sip = &mut player.joined.sip;
    sip.request_with(dialog, Method::Refer, headers, Vec::new())
        .await?;
    let is_refer = |p: &Parsed| matches!(p, Parsed::Request(r) if r.method == Method::Refer);
    let (parsed, octets) = view::sip(&mut player.trace, "REFER", true, is_refer).await?;
    let Parsed::Request(refer) = parsed else {
        bail!("the REFER is no request");
    };
    let mut step = Step::new("", player.role.party, Party::Mrfc, "REFER").text(&octets);
    for (name, value) in fields {
        step.same(
            name,
            value.as_str(),
            refer.headers.get(name).unwrap_or("none"),
        );
    }
    ladder.add(step);
    let (answer, octets) = final_response(player, &Method::Refer).await?;
    let label = format!("{} {}", answer.code, answer.reason);
    let mut step = Step::new("", Party::Mrfc, player.role.party, &label).text(&octets);
    step.same("status", &202, &answer.code);
    ladder.add(step);
    Ok(())
}

async fn final_response(
    player: &mut Player,
    method: &Method,
) -> anyhow::Result<(Response, Vec<u8>)> {
    let is_final = |p: &Parsed| {
        matches!(p, Parsed::Response(r) if r.code >= 200
            && r.headers.cseq().is_some_and(|(_, of)| of == *method))
    };
    let what = format!("the answer to {method}");
    let (parsed, octets) = view::sip(&mut player.trace, &what, false, is_final).await?;
    match parsed {
        Parsed::Response(response) => Ok((response, octets)),
        Parsed::Request(_) | Parsed::Malformed(_) | Parsed::Garbage => bail!("{what} is none"),
    }
}

/// UE#1 is told how it goes (RFC 3515).
async fn told(
    player: &mut Player,
    line: &str,
    state: &str,
    ladder: &mut Ladder,
) -> anyhow::Result<()> {
    let (notify, octets) = notified(player).await?;
    let body = String::from_utf8_lossy(&notify.body).into_owned();
    let label = format!("NOTIFY {}", body.trim_end());
    let mut step = Step::new("", Party::Mrfc, player.role.party, &label).text(&octets);
    step.same("body", line, body.trim_end());
    let event = notify.headers.get("Event").unwrap_or("none");
    step.check("Event", event.starts_with("refer"), "refer", event);
    let got = notify.headers.get("Subscription-State").unwrap_or("none");
    step.same(
        "Subscription-State",
        state,
        got.split(';').next().unwrap_or(got),
    );
    let kind = notify.headers.content_type().unwrap_or_default();
    step.same("Content-Type", "message/sipfrag", &kind);
    ladder.add(step);
    ladder.add(Step::new("", player.role.party, Party::Mrfc, "200 OK"));
    Ok(())
}

/// The next NOTIFY, answered.
async fn notified(player: &mut Player) -> anyhow::Result<(Request, Vec<u8>)> {
    loop {
        let event = player.joined.sip.next_event().await;
        match event.ok_or_else(|| anyhow!("the SIP side stopped"))? {
            Event::Request { txn, request, .. } if request.method == Method::Notify => {
                player.joined.sip.respond(txn, sip::Answer::new(200)).await;
                break;
            }
            Event::Bye { .. } => bail!("UE#1 was removed"),
            Event::Request { .. }
            | Event::Invite { .. }
            | Event::Acked { .. }
            | Event::Cancelled { .. }
            | Event::AckTimeout { .. }
            | Event::PrackTimeout { .. }
            | Event::Response { .. } => {}
        }
    }
    let is_notify = |p: &Parsed| matches!(p, Parsed::Request(r) if r.method == Method::Notify);
    let (parsed, octets) = view::sip(&mut player.trace, "NOTIFY", false, is_notify).await?;
    match parsed {
        Parsed::Request(notify) => Ok((notify, octets)),
        Parsed::Response(_) | Parsed::Malformed(_) | Parsed::Garbage => bail!("NOTIFY is none"),
    }
}

/// UE#2 gets its BYE, and its termination goes.
async fn removed(stage: &mut Stage, mut player: Player, ladder: &mut Ladder) -> anyhow::Result<()> {
    let is_bye = |p: &Parsed| matches!(p, Parsed::Request(r) if r.method == Method::Bye);
    let (parsed, octets) = view::sip(&mut player.trace, "BYE", false, is_bye).await?;
    let mut step = Step::new("", Party::Mrfc, player.role.party, "BYE").text(&octets);
    if let Parsed::Request(bye) = parsed {
        let reason = bye.headers.get("Reason").unwrap_or("none");
        step.check(
            "Reason",
            reason.contains("cause=403"),
            "SIP;cause=403",
            reason,
        );
    }
    ladder.add(step);
    ladder.add(Step::new("", player.role.party, Party::Mrfc, "200 OK"));
    if let Some(tap) = &mut stage.tap {
        let exchange: Exchange = view::exchange(tap, Verb::Subtract).await?;
        talk::subtracted(&exchange, player.place.as_ref(), player.role, ladder);
    }
    Ok(())
}
