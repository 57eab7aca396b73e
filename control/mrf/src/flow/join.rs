//! Steps 9 to 22: from the INVITE to the TCP connection.

use anyhow::bail;
use sdp::{Description, MessageMedia, Setup};
use sip::{Method, NameAddr, Outcome, Parsed, Request, Response, Trace};
use tokio::sync::mpsc;

use super::ladder::{Ladder, Party, Step};
use super::player::{Player, Role};
use super::seed;
use super::stage::Stage;
use super::view::{self, Exchange, Verb};
use crate::participant::Caller;

/// What joining came to know.
struct Call<'a> {
    role: Role,
    ladder: &'a mut Ladder,
    trace: mpsc::Receiver<Trace>,
    path: String,
}

/// Joins the conference; `context` is that of the conference if it exists and is known.
pub(super) async fn join(
    stage: &mut Stage,
    role: Role,
    context: Option<&str>,
    ladder: &mut Ladder,
) -> anyhow::Result<Player> {
    let user = |_| role.user.to_owned();
    let mut caller = Caller::bind(&stage.target, None, user, role.session).await?;
    let Some(trace) = caller.sip().take_trace() else {
        bail!("the SIP side has no trace");
    };
    let mut call = Call {
        role,
        ladder,
        trace,
        path: caller.path(),
    };
    let outcome = caller.invite(&stage.target, Vec::new()).await?;
    let invite = call.invite(&stage.target.uri).await?;
    call.trying(&invite).await?;
    let is_accepted = (200..300).contains(&outcome.response.code);
    let mut seen = None;
    if let Some(tap) = stage.tap.as_mut().filter(|_| is_accepted) {
        let exchange = view::exchange(tap, Verb::Add).await?;
        call.add(&exchange, context);
        seen = Some(exchange);
    }
    call.accepted(&invite, &outcome, seen.as_ref())?;
    let answered = caller.accept(&outcome).await?;
    call.acked(&invite, &outcome.response).await?;
    let remote = answered.media.remote_transport_address()?;
    let peer_path = answered
        .media
        .path
        .as_ref()
        .map(|path| path.as_str().to_owned());
    let joined = answered.connect(true).await?;
    let label = format!("TCP set-up to {remote}");
    call.ladder.add(Step::new(
        role.number("22"),
        role.party,
        Party::Mrfp,
        &label,
    ));
    let place = seen.map(|seen| {
        let context = seen.replied.context.map(view::context).unwrap_or_default();
        (context, seen.replied.termination)
    });
    Ok(Player {
        role,
        joined,
        trace: call.trace,
        path: call.path,
        peer_path: peer_path.unwrap_or_default(),
        place,
    })
}

impl Call<'_> {
    /// Step 9.
    async fn invite(&mut self, uri: &str) -> anyhow::Result<Request> {
        let is_invite = |p: &Parsed| matches!(p, Parsed::Request(r) if r.method == Method::Invite);
        let (parsed, octets) = view::sip(&mut self.trace, "INVITE", true, is_invite).await?;
        let Parsed::Request(invite) = parsed else {
            bail!("the INVITE is no request");
        };
        let label = format!("INVITE {uri}");
        let mut step = self
            .step("9", self.role.party, Party::Mrfc, &label)
            .text(&octets);
        step.same("Request-URI", uri, invite.uri.as_str());
        let from = invite.headers.from();
        let from = from.as_ref().map_or("none", |from| from.uri.as_str());
        step.same("From", self.role.user, from);
        if let Some(media) = media(&mut step, &invite.body) {
            check_types(&mut step, &media);
            check_setup(&mut step, &media, Setup::Active);
        }
        self.ladder.add(step);
        Ok(invite)
    }

    /// Step 10.
    async fn trying(&mut self, invite: &Request) -> anyhow::Result<()> {
        let is_any = |p: &Parsed| matches!(p, Parsed::Response(_));
        let (parsed, octets) = view::sip(&mut self.trace, "100", false, is_any).await?;
        let Parsed::Response(trying) = parsed else {
            bail!("the 100 is no response");
        };
        let label = format!("{} {}", trying.code, trying.reason);
        let mut step = self
            .step("10", Party::Mrfc, self.role.party, &label)
            .text(&octets);
        step.same("the first response", &100, &trying.code);
        same_dialog(&mut step, invite, &trying);
        step.check("body", trying.body.is_empty(), "none", "one");
        self.ladder.add(step);
        Ok(())
    }

    /// Step 11: the MRFC has the MRFP make a termination.
    fn add(&mut self, exchange: &Exchange, context: Option<&str>) {
        let Exchange { asked, replied } = exchange;
        let mut step = self
            .step("11", Party::Mrfc, Party::Mrfp, "H.248 Add")
            .text(&asked.octets);
        let expected = context.unwrap_or("$");
        step.same("context", expected, &view::context(asked.context));
        step.same("termination", "$", &asked.termination);
        step.same(
            "a=path in Remote",
            &self.path,
            &view::path_of(&asked.remote),
        );
        let local = &asked.local;
        step.check(
            "Local leaves the address to the MRFP",
            local.contains('$'),
            "$",
            local,
        );
        self.ladder.add(step);
        let label = format!("reply: {}", replied.termination);
        let mut step = self
            .step("11", Party::Mrfp, Party::Mrfc, &label)
            .text(&replied.octets);
        let error = replied.error.as_deref().unwrap_or("none");
        step.same("error", "none", error);
        let got = replied.context.map_or("none".to_owned(), view::context);
        match context {
            Some(context) => step.same("context", context, &got),
            None => step.check("context", got.parse::<u32>().is_ok(), "a number", &got),
        }
        let is_specific =
            !replied.termination.is_empty() && !replied.termination.contains(['$', '*']);
        step.check("termination", is_specific, "a name", &replied.termination);
        let path = view::path_of(&replied.local);
        let is_uri = msrp::MsrpUri::parse(path.as_bytes()).is_ok();
        step.check("a=path in Local", is_uri, "an MSRP URI", &path);
        self.ladder.add(step);
    }

    /// Step 12.
    fn accepted(
        &mut self,
        invite: &Request,
        outcome: &Outcome,
        seen: Option<&Exchange>,
    ) -> anyhow::Result<()> {
        let ok = &outcome.response;
        let label = format!("{} {}", ok.code, ok.reason);
        let mut step = self
            .step("12", Party::Mrfc, self.role.party, &label)
            .text(&ok.to_bytes());
        step.same("status", &200, &ok.code);
        if ok.code != 200 {
            self.ladder.add(step);
            bail!("the call was refused, nothing more can be played");
        }
        same_dialog(&mut step, invite, ok);
        check_focus(&mut step, &ok.headers);
        step.check(
            "tag of To",
            !tag(ok.headers.to()).is_empty(),
            "a tag",
            "none",
        );
        if let Some(media) = media(&mut step, &ok.body) {
            check_terms(&mut step, &media, Setup::Passive);
            let path = media.path.as_ref().map_or("none", |path| path.as_str());
            if let Some(seen) = seen {
                step.same(
                    "a=path is that of the MRFP",
                    &*view::path_of(&seen.replied.local),
                    path,
                );
            }
        }
        self.ladder.add(step);
        Ok(())
    }

    /// Steps 17 to 20.
    async fn acked(&mut self, invite: &Request, ok: &Response) -> anyhow::Result<()> {
        let is_ack = |p: &Parsed| matches!(p, Parsed::Request(r) if r.method == Method::Ack);
        let (parsed, octets) = view::sip(&mut self.trace, "ACK", true, is_ack).await?;
        let Parsed::Request(ack) = parsed else {
            bail!("the ACK is no request");
        };
        let mut step = self
            .step("20", self.role.party, Party::Mrfc, "ACK")
            .text(&octets);
        let contact = ok.headers.contact();
        let contact = contact
            .as_ref()
            .map_or("none", |contact| contact.uri.as_str());
        step.same(
            "Request-URI is the Contact of the 200",
            contact,
            ack.uri.as_str(),
        );
        let number = |headers: &sip::Headers| headers.cseq().map_or(0, |(number, _)| number);
        step.same("CSeq", &number(&invite.headers), &number(&ack.headers));
        step.same("tag of To", &tag(ok.headers.to()), &tag(ack.headers.to()));
        self.ladder.add(step);
        Ok(())
    }

    fn step(&self, number: &'static str, from: Party, to: Party, label: &str) -> Step {
        Step::new(self.role.number(number), from, to, label)
    }
}

/// What makes a message that of a focus.
pub(super) fn check_focus(step: &mut Step, ok: &sip::Headers) {
    let contact = ok.get("Contact").unwrap_or("none");
    let is_focus = contact
        .split(';')
        .any(|p| p.trim().eq_ignore_ascii_case("isfocus"));
    step.check("Contact", is_focus, "isfocus among its parameters", contact);
    let events = ok.get("Allow-Events").unwrap_or("none");
    let has_package = ok.has_token("Allow-Events", "conference");
    step.check("Allow-Events", has_package, "conference", events);
    let allow = ok.get("Allow").unwrap_or("none");
    for method in seed::METHODS {
        step.check("Allow", ok.has_token("Allow", method), method, allow);
    }
    let content_type = ok.content_type().unwrap_or_default();
    step.same("Content-Type", "application/sdp", &content_type);
}

pub(super) fn same_dialog(step: &mut Step, invite: &Request, response: &Response) {
    let call_id = |headers: &sip::Headers| headers.call_id().unwrap_or("none").to_owned();
    step.same(
        "Call-ID",
        &call_id(&invite.headers),
        &call_id(&response.headers),
    );
    let cseq = |headers: &sip::Headers| match headers.cseq() {
        Some((number, method)) => format!("{number} {method}"),
        None => "none".to_owned(),
    };
    step.same("CSeq", &cseq(&invite.headers), &cseq(&response.headers));
    step.same(
        "tag of From",
        &tag(invite.headers.from()),
        &tag(response.headers.from()),
    );
}

pub(super) fn tag(address: Option<NameAddr>) -> String {
    let tag = address.as_ref().and_then(|address| address.tag());
    tag.unwrap_or_default().to_owned()
}

pub(super) fn media(step: &mut Step, body: &[u8]) -> Option<MessageMedia> {
    let media = Description::parse(body)
        .map_err(|error| error.to_string())
        .and_then(|description| description.message().map_err(|error| error.to_string()));
    match media {
        Ok(media) => {
            step.same("m= transport", "TCP/MSRP", media.transport.as_str());
            step.check("a=msrp-cema", media.has_cema, "there", "none");
            Some(media)
        }
        Err(error) => {
            step.check("SDP", false, "m=message over TCP/MSRP", error);
            None
        }
    }
}

/// What every description of the focus says.
pub(super) fn check_terms(step: &mut Step, media: &MessageMedia, expected: Setup) {
    check_types(step, media);
    let size = media
        .max_size
        .map_or("none".to_owned(), |size| size.to_string());
    step.same("a=max-size", &seed::MAX_SIZE.to_string(), &size);
    check_setup(step, media, expected);
}

fn check_types(step: &mut Step, media: &MessageMedia) {
    let types = media.accept_types.join(" ");
    step.same("a=accept-types", seed::ACCEPT_TYPES, &types);
}

fn check_setup(step: &mut Step, media: &MessageMedia, expected: Setup) {
    let got = media.setup.map_or("none", Setup::as_str);
    step.same("a=setup", expected.as_str(), got);
}
