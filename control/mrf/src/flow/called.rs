//! UE#2 of A.5.2: it is called, and the conference opens the connection.

use core::net::{IpAddr, SocketAddr};

use anyhow::{anyhow, bail};
use sdp::{MessageBuilder, Setup};
use sip::{Answer, Event, Method, Parsed, Request, SipAddr, SipClient, Trace, Transport, TxnId};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::join::{check_focus, check_terms, media, tag};
use super::ladder::{Ladder, Party, Step};
use super::player::{Player, UE2};
use super::seed;
use super::stage::Stage;
use super::view::{self, Exchange, Verb};
use crate::limits::ANSWER_WITHIN;
use crate::msrp_client::{MsrpClient, Paths};
use crate::participant::{ACCEPT_TYPES, Joined};

/// The largest message that UE#2 takes, octets, step 13.
const MAX_SIZE: u64 = 65_536;

/// A user that can be called.
#[derive(Debug)]
pub(super) struct Callee {
    sip: SipClient,
    trace: mpsc::Receiver<Trace>,
    listener: TcpListener,
    msrp: SocketAddr,
    path: String,
}

/// A termination of the conference and what it offers.
struct Place {
    context: String,
    termination: String,
    path: String,
}

impl Callee {
    /// Opens the sockets at `ip`.
    pub(super) async fn bind(transport: Transport, ip: IpAddr) -> anyhow::Result<Self> {
        let addr = SocketAddr::new(ip, 0);
        let mut sip = SipClient::bind(SipAddr { transport, addr }).await?;
        let trace = sip.take_trace();
        let listener = TcpListener::bind(addr).await?;
        let msrp = listener.local_addr()?;
        Ok(Self {
            trace: trace.ok_or_else(|| anyhow!("the SIP side has no trace"))?,
            path: format!("msrp://{msrp}/{};tcp", seed::SESSION_2),
            sip,
            listener,
            msrp,
        })
    }

    /// Where it is called.
    pub(super) fn hop(&self) -> SipAddr {
        self.sip.local()
    }

    /// The URI to call: that of the flow if the system knows the way, else one that shows it.
    pub(super) fn uri(&self, is_known: bool) -> String {
        let local = self.sip.local();
        if is_known {
            seed::USER_2.to_owned()
        } else {
            format!(
                "sip:user2_public1@{};transport={}",
                local.addr, local.transport
            )
        }
    }

    /// Steps 1 to 21.
    pub(super) async fn called(
        mut self,
        stage: &mut Stage,
        referrer: &Player,
        target: &str,
        ladder: &mut Ladder,
    ) -> anyhow::Result<Player> {
        let place = match &mut stage.tap {
            Some(tap) => {
                let exchange = view::exchange(tap, Verb::Add).await?;
                Some(added(&exchange, referrer, ladder))
            }
            None => None,
        };
        let (txn, invite, dialog) = timeout(ANSWER_WITHIN, self.next_call())
            .await
            .map_err(|_| anyhow!("the INVITE did not come"))??;
        let peer_path = self
            .invited(&invite, &stage.target.uri, target, place.as_ref(), ladder)
            .await?;
        self.trying(ladder).await?;
        self.accept(txn, ladder).await?;
        self.acked(&invite, ladder).await?;
        if let (Some(tap), Some(place)) = (&mut stage.tap, &place) {
            let exchange = view::exchange(tap, Verb::Modify).await?;
            self.configured(&exchange, place, ladder);
        }
        let msrp = self.connected(&peer_path, ladder).await?;
        Ok(Player {
            role: UE2,
            joined: Joined {
                media: sdp::Description::parse(&invite.body)?.message()?,
                sip: self.sip,
                dialog,
                msrp,
            },
            trace: self.trace,
            path: self.path,
            peer_path,
            place: place.map(|place| (place.context, place.termination)),
        })
    }

    async fn next_call(&mut self) -> anyhow::Result<(TxnId, Request, sip::DialogId)> {
        loop {
            match self.sip.next_event().await {
                Some(Event::Invite {
                    txn,
                    request,
                    dialog,
                    ..
                }) => return Ok((txn, *request, dialog)),
                Some(_) => {}
                None => bail!("the SIP side stopped"),
            }
        }
    }

    /// Step 1; the path that the conference offers.
    async fn invited(
        &mut self,
        invite: &Request,
        conference: &str,
        target: &str,
        place: Option<&Place>,
        ladder: &mut Ladder,
    ) -> anyhow::Result<String> {
        let is_invite = |p: &Parsed| matches!(p, Parsed::Request(r) if r.method == Method::Invite);
        let (_, octets) = view::sip(&mut self.trace, "INVITE", false, is_invite).await?;
        let label = "INVITE";
        let mut step = Step::new("1", Party::Mrfc, UE2.party, label).text(&octets);
        let headers = &invite.headers;
        step.same("Request-URI", target, invite.uri.as_str());
        let uri = |address: Option<sip::NameAddr>| {
            address.map_or("none".to_owned(), |a| a.uri.to_string())
        };
        step.same("From", conference, &*uri(headers.from()));
        step.same("To", target, &*uri(headers.to()));
        let field = |name: &str| headers.get(name).unwrap_or("none").to_owned();
        let asserted = format!("<{conference}>");
        step.same(
            "P-Asserted-Identity",
            &asserted,
            &field("P-Asserted-Identity"),
        );
        let vector = field("P-Charging-Vector");
        step.check(
            "P-Charging-Vector",
            vector.contains("icid-value="),
            "an icid-value",
            &vector,
        );
        step.same("Privacy", "none", &*field("Privacy"));
        step.same("Max-Forwards", "70", &*field("Max-Forwards"));
        let referred = format!("<{}>", seed::USER_1);
        step.same("Referred-By", &referred, &field("Referred-By"));
        check_focus(&mut step, headers);
        let mut path = String::new();
        if let Some(media) = media(&mut step, &invite.body) {
            check_terms(&mut step, &media, Setup::Active);
            path = media
                .path
                .as_ref()
                .map_or("none", |path| path.as_str())
                .to_owned();
            if let Some(place) = place {
                step.same("a=path is that of the MRFP", &place.path, &path);
            }
        }
        ladder.add(step);
        Ok(path)
    }

    /// Step 2.
    async fn trying(&mut self, ladder: &mut Ladder) -> anyhow::Result<()> {
        let is_trying = |p: &Parsed| matches!(p, Parsed::Response(r) if r.code == 100);
        let (_, octets) = view::sip(&mut self.trace, "100", true, is_trying).await?;
        ladder.add(Step::new("2", UE2.party, Party::Mrfc, "100 Trying").text(&octets));
        Ok(())
    }

    /// Step 16: UE#2 accepts and listens.
    async fn accept(&mut self, txn: TxnId, ladder: &mut Ladder) -> anyhow::Result<()> {
        let mut answer = MessageBuilder::new(self.msrp, self.path.clone());
        answer.origin_id = u64::from(rand::random::<u32>());
        answer.origin_version = answer.origin_id;
        answer.accept_types = ACCEPT_TYPES.map(str::to_owned).to_vec();
        answer.max_size = Some(MAX_SIZE);
        answer.has_cema = true;
        answer.setup = Some(Setup::Passive);
        let ok = Answer::new(200)
            .with("Contact", self.contact())
            .with_body("application/sdp", answer.write().into_bytes());
        self.sip.respond(txn, ok).await;
        let is_ok = |p: &Parsed| matches!(p, Parsed::Response(r) if r.code == 200);
        let (_, octets) = view::sip(&mut self.trace, "200", true, is_ok).await?;
        ladder.add(Step::new("16", UE2.party, Party::Mrfc, "200 OK").text(&octets));
        Ok(())
    }

    fn contact(&self) -> String {
        let local = self.sip.local();
        format!(
            "<sip:user2_public1@{};transport={}>",
            local.addr, local.transport
        )
    }

    /// Step 17.
    async fn acked(&mut self, invite: &Request, ladder: &mut Ladder) -> anyhow::Result<()> {
        let is_ack = |p: &Parsed| matches!(p, Parsed::Request(r) if r.method == Method::Ack);
        let (parsed, octets) = view::sip(&mut self.trace, "ACK", false, is_ack).await?;
        let Parsed::Request(ack) = parsed else {
            bail!("the ACK is no request");
        };
        let mut step = Step::new("17", Party::Mrfc, UE2.party, "ACK").text(&octets);
        let contact = self.contact();
        let uri = format!("<{}>", ack.uri);
        step.same("Request-URI is the Contact of the 200", &contact, &uri);
        let number = |headers: &sip::Headers| headers.cseq().map_or(0, |(number, _)| number);
        step.same("CSeq", &number(&invite.headers), &number(&ack.headers));
        let call_id = |headers: &sip::Headers| headers.call_id().unwrap_or("none").to_owned();
        step.same("Call-ID", &call_id(&invite.headers), &call_id(&ack.headers));
        let has_tag = !tag(ack.headers.to()).is_empty();
        step.check("tag of To", has_tag, "a tag", "none");
        // The flow prints the INVITE's branch again; RFC 3261 17.1.1.3 asks for another.
        let via = |headers: &sip::Headers| headers.get("Via").unwrap_or_default().to_owned();
        let is_new = via(&invite.headers) != via(&ack.headers);
        step.check("branch", is_new, "a new one", via(&ack.headers));
        ladder.add(step);
        Ok(())
    }

    /// Step 20: the MRFP learns where UE#2 is.
    fn configured(&self, exchange: &Exchange, place: &Place, ladder: &mut Ladder) {
        let Exchange { asked, replied } = exchange;
        let label = format!("H.248 Modify {}", asked.termination);
        let mut step = Step::new("20", Party::Mrfc, Party::Mrfp, &label).text(&asked.octets);
        step.same("context", &place.context, &view::context(asked.context));
        step.same("termination", &place.termination, &asked.termination);
        step.same(
            "a=path in Remote",
            &self.path,
            &view::path_of(&asked.remote),
        );
        let says = |line| asked.remote.lines().any(|l| l.trim() == line);
        step.check(
            "a=setup in Remote",
            says("a=setup:passive"),
            "passive",
            &asked.remote,
        );
        step.check("tcpbcc/EstBNC", asked.connects, "signalled", "not there");
        ladder.add(step);
        let mut step = Step::new("20", Party::Mrfp, Party::Mrfc, "reply").text(&replied.octets);
        step.same("error", "none", replied.error.as_deref().unwrap_or("none"));
        ladder.add(step);
    }

    /// Step 21: the MRFP connects.
    async fn connected(&self, peer_path: &str, ladder: &mut Ladder) -> anyhow::Result<MsrpClient> {
        let (stream, _) = timeout(ANSWER_WITHIN, self.listener.accept())
            .await
            .map_err(|_| anyhow!("the MRFP did not connect"))??;
        stream.set_nodelay(true)?;
        let label = format!("TCP set-up to {}", self.msrp);
        ladder.add(Step::new("21", Party::Mrfp, UE2.party, &label));
        let paths = Paths {
            local: self.path.clone(),
            remote: peer_path.to_owned(),
        };
        Ok(MsrpClient::start(stream, paths, true))
    }
}

/// The termination for UE#2 joins that of UE#1.
fn added(exchange: &Exchange, referrer: &Player, ladder: &mut Ladder) -> Place {
    let Exchange { asked, replied } = exchange;
    let mut step = Step::new("", Party::Mrfc, Party::Mrfp, "H.248 Add").text(&asked.octets);
    if let Some((context, _)) = &referrer.place {
        step.same("context", context, &view::context(asked.context));
    }
    step.same("termination", "$", &*asked.termination);
    step.same("Remote", "", &*asked.remote);
    let says = asked.local.lines().any(|l| l.trim() == "a=setup:active");
    step.check("a=setup in Local", says, "active", &asked.local);
    ladder.add(step);
    let label = format!("reply: {}", replied.termination);
    let mut step = Step::new("", Party::Mrfp, Party::Mrfc, &label).text(&replied.octets);
    step.same("error", "none", replied.error.as_deref().unwrap_or("none"));
    let path = view::path_of(&replied.local);
    let is_uri = msrp::MsrpUri::parse(path.as_bytes()).is_ok();
    step.check("a=path in Local", is_uri, "an MSRP URI", &path);
    ladder.add(step);
    Place {
        context: replied.context.map(view::context).unwrap_or_default(),
        termination: replied.termination.clone(),
        path,
    }
}
