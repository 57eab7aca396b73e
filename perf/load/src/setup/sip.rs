//! Sessions by SIP: every participant calls its conference (TS 24.247 A.5.1).

use std::path::PathBuf;

use anyhow::{Context, bail};
use sdp::{Description, MessageBuilder, Setup};
use sip::{Answer, Call, DialogId, Event, Hop, SipAddr, SipClient, TlsFiles, near_addr};

use super::h248::sha256_of;
use super::{Keeper, Leg, Sessions, Target};
use crate::plan::{Plan, Transport};
use crate::reader::own_path;

/// What is called, and the way to it.
#[derive(Clone, Debug)]
pub struct Called {
    /// Next hop.
    pub via: SipAddr,
    /// Those after it, for when it fails (RFC 3263 4.3).
    pub further: Vec<Hop>,
    /// The domain that its certificate must name, over TLS; `None`: the address.
    pub certificate: Option<String>,
    /// Authorities (PEM) that must vouch for it; `None`: those of the system.
    pub authorities: Option<PathBuf>,
    /// `sip` or `sips`.
    pub scheme: String,
    /// Conferences are `NAME-0`, `NAME-1`, …
    pub name: String,
    /// Where they are, with a port where the URI names one.
    pub domain: String,
}

/// All callers, on one socket, or one connection.
#[derive(Debug)]
pub struct Callers {
    client: SipClient,
    /// By participant; `None` while nobody is there.
    dialogs: Vec<Option<DialogId>>,
    called: Called,
    /// What they speak beside SIP.
    transport: Transport,
    /// Of a conference.
    participants: u32,
    /// Octets of a message.
    size: u64,
}

/// What callers say they listen on; nobody connects to them.
const ADDRESS: &str = "127.0.0.1:9";

impl Callers {
    /// Calls every conference, once per participant.
    ///
    /// # Errors
    ///
    /// When a call is refused or nobody answers.
    pub async fn sessions(called: Called, target: Target, plan: &Plan) -> anyhow::Result<Sessions> {
        let via = called.via;
        let near = near_addr(via.addr).with_context(|| format!("no route to {via}"))?;
        let local = SipAddr {
            transport: via.transport,
            addr: core::net::SocketAddr::new(near.ip(), 0),
        };
        let tls = TlsFiles {
            ca: called.authorities.clone(),
            ..TlsFiles::default()
        };
        let count = plan.participant_count();
        let mut client = SipClient::bind_with(local, tls, called.certificate.clone()).await?;
        client.fall_back_to(&called.further);
        let mut callers = Self {
            client,
            dialogs: vec![None; count as usize],
            called,
            transport: plan.transport,
            participants: plan.participants,
            size: plan.size,
        };
        let mut legs = Vec::new();
        for number in 0..count {
            let leg = callers.join(number).await;
            legs.push(leg.with_context(|| format!("participant {number}"))?);
        }
        Ok(Sessions {
            via: "sip",
            legs,
            listeners: Vec::new(),
            is_binding: true,
            keeper: Keeper::Sip(Box::new(callers)),
            target,
        })
    }

    /// Calls as participant `number`.
    pub(crate) async fn join(&mut self, number: u32) -> anyhow::Result<Leg> {
        let own = own_path(self.transport, ADDRESS, number);
        let conference = number / self.participants;
        let Called {
            scheme,
            name,
            domain,
            ..
        } = &self.called;
        let uri = format!("{scheme}:{name}-{conference}@{domain}");
        let call = Call {
            uri: uri.clone(),
            via: self.called.via,
            from: format!("sip:load{number}@{}", self.client.local().addr),
            sdp: Some(offer(self.transport, number, own.clone())),
            headers: Vec::new(),
        };
        let outcome = self.client.invite(&call).await?;
        let response = &outcome.response;
        let (code, reason) = (response.code, &response.reason);
        // What the stack answers itself has no fields.
        if response.headers.count() == 0 {
            let via = self.called.via;
            bail!("{uri} cannot be reached by {via}: {code} {reason}, said here");
        }
        if !(200..300).contains(&code) {
            bail!("{uri} answered {code} {reason}");
        }
        self.client.ack(outcome.dialog, None).await;
        self.dialogs[number as usize] = Some(outcome.dialog);
        let media = Description::parse(&response.body)
            .context("the answer")?
            .message()
            .context("the answer")?;
        if let Some(most) = media.max_size.filter(|most| *most < self.size) {
            bail!("{uri} takes messages of up to {most} octets (a=max-size)");
        }
        let connect = media.remote_transport_address()?;
        let fingerprint = media.fingerprints.iter().find_map(sha256_of);
        let path = media.path.context("the answer has no a=path")?;
        Ok(Leg {
            own,
            peer: path.as_str().to_owned(),
            connect: Some(connect),
            socket: None,
            fingerprint,
        })
    }

    /// Hangs up as participant `number`.
    pub(crate) async fn leave(&mut self, number: u32) -> anyhow::Result<()> {
        if let Some(dialog) = self.dialogs[number as usize].take() {
            self.client.bye(dialog).await?;
        }
        Ok(())
    }

    /// Answers what the focus asks inside the dialogs.
    pub(crate) async fn keep(&mut self) {
        loop {
            match self.client.next_event().await {
                Some(Event::Request { txn, .. }) => {
                    self.client.respond(txn, Answer::new(200)).await;
                }
                Some(_) => {}
                None => core::future::pending().await,
            }
        }
    }

    /// Hangs up, one after the other.
    pub(crate) async fn release(mut self) -> anyhow::Result<()> {
        for dialog in core::mem::take(&mut self.dialogs).into_iter().flatten() {
            self.client.bye(dialog).await?;
        }
        self.client.close().await;
        Ok(())
    }
}

fn offer(transport: Transport, number: u32, own: String) -> String {
    let address = ADDRESS.parse().expect("an address");
    let mut offer = MessageBuilder::new(address, own);
    offer.origin_id = u64::from(number) + 1;
    offer.origin_version = offer.origin_id;
    offer.accept_types = vec!["text/plain".to_owned()];
    offer.setup = Some(Setup::Active);
    if transport.is_secure() {
        offer.transport = sdp::Transport::Tls;
    }
    offer.write()
}
