//! A small user agent client: place a call, acknowledge, take leave; see what comes meanwhile.

use crate::addr::SipAddr;
use crate::agent::{Answer, DialogId, Event, Hop, Invite, TxnId};
use crate::limits::{EVENTS_MAX, PROVISIONALS_MAX};
use crate::message::{Method, Response};
use crate::stack::{BindError, Handle, Stack, StackConfig, TlsFiles, Trace, near_addr};
use crate::uri::UriError;
use core::net::SocketAddr;
use std::collections::VecDeque;
use tokio::sync::mpsc;

/// A call to place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Whom: Request-URI and To.
    pub uri: String,
    /// Where the requests go, whatever the URI says.
    pub via: SipAddr,
    /// Who calls: a URI.
    pub from: String,
    /// The SDP offer, or a body whose Content-Type is among the header fields; `None` for no body.
    pub sdp: Option<String>,
    /// Further header fields.
    pub headers: Vec<(String, String)>,
}

/// How an INVITE was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The dialog; it lives on only after a 2xx.
    pub dialog: DialogId,
    /// 1xx responses in order of arrival.
    pub provisionals: Vec<Response>,
    /// The final response; 408 or 503 made here if none came or nothing could be sent.
    pub response: Response,
}

/// Why a call could not be placed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// A URI of the call is none.
    #[error(transparent)]
    Uri(#[from] UriError),
    /// There is no route to the next hop.
    #[error("no route to {0}: {1}")]
    Route(SocketAddr, std::io::Error),
    /// Nothing was sent: the dialog is over, or another INVITE is under way in it.
    #[error("{0} cannot be sent in this dialog now")]
    NotSent(Method),
    /// The stack stopped.
    #[error("the SIP stack stopped")]
    Stopped,
}

/// A [`Stack`] for a client.
#[derive(Debug)]
pub struct SipClient {
    stack: Stack,
    /// The domain that next hops were found for.
    server: Option<String>,
    /// Where requests go that the next hop of their call does not take.
    further: Vec<Hop>,
    /// Events that came while another was awaited.
    events: VecDeque<Event>,
}

impl SipClient {
    /// Opens one socket; port 0 lets the system choose. Every message is kept for
    /// [`Self::take_trace`]. Servers reached by TLS must be vouched for by an authority of the
    /// system.
    ///
    /// # Errors
    ///
    /// When the address cannot be listened on.
    pub async fn bind(local: SipAddr) -> Result<Self, BindError> {
        Self::bind_with(local, TlsFiles::default(), None).await
    }

    /// The same with certificates and authorities of the caller's choice. The certificate of every
    /// next hop must name the domain `server`; `None`: its address.
    ///
    /// # Errors
    ///
    /// When the address cannot be listened on, or the files cannot be used.
    pub async fn bind_with(
        local: SipAddr,
        tls: TlsFiles,
        server: Option<String>,
    ) -> Result<Self, BindError> {
        let stack = Stack::bind(StackConfig {
            listen: vec![local],
            allow: vec![
                Method::Invite,
                Method::Ack,
                Method::Cancel,
                Method::Bye,
                Method::Prack,
                Method::Update,
                Method::Options,
                Method::Notify,
            ],
            accept: ["application/sdp", "multipart/mixed"]
                .map(str::to_owned)
                .to_vec(),
            supported: vec!["100rel".to_owned()],
            tls,
            trace: true,
            ..StackConfig::default()
        })
        .await?;
        Ok(Self {
            stack,
            server,
            further: Vec::new(),
            events: VecDeque::new(),
        })
    }

    /// Names the hops that requests outside of dialogs go to where the call's own cannot be reached, is silent or
    /// answers 503 (RFC 3263 4.3), in this order; those of other transports than ours are left out.
    pub fn fall_back_to(&mut self, hops: &[Hop]) {
        let transport = self.local().transport;
        let reached = hops.iter().filter(|hop| hop.addr.transport == transport);
        self.further = reached.cloned().collect();
    }

    /// The address bound.
    #[must_use]
    pub fn local(&self) -> SipAddr {
        self.stack.addrs()[0]
    }

    /// For commands while [`Self::next_event`] is awaited elsewhere.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        self.stack.handle()
    }

    /// The octets of every message, both ways, from binding on; once. The first 1024 messages
    /// not yet taken are kept.
    pub fn take_trace(&mut self) -> Option<mpsc::Receiver<Trace>> {
        self.stack.take_trace()
    }

    /// Sends an INVITE and awaits its final response. Send [`Self::ack`] after a 2xx.
    ///
    /// # Errors
    ///
    /// If the call cannot even be tried; refusals and timeouts are outcomes.
    pub async fn invite(&mut self, call: &Call) -> Result<Outcome, ClientError> {
        let dialog = self.start(call).await?;
        self.outcome(dialog).await
    }

    /// Sends an INVITE only; [`Self::outcome`] awaits the answer, [`Self::cancel`] cancels.
    ///
    /// # Errors
    ///
    /// As [`Self::invite`].
    pub async fn start(&mut self, call: &Call) -> Result<DialogId, ClientError> {
        self.open(Method::Invite, call).await
    }

    /// Sends a SUBSCRIBE or REFER that starts a dialog, and awaits its final response. NOTIFYs come
    /// as [`Event::Request`].
    ///
    /// # Errors
    ///
    /// As [`Self::invite`].
    pub async fn ask(
        &mut self,
        method: Method,
        call: &Call,
    ) -> Result<(DialogId, Response), ClientError> {
        let dialog = self.open(method.clone(), call).await?;
        loop {
            let response = self.response(dialog, &method).await?;
            if response.code >= 200 {
                return Ok((dialog, response));
            }
        }
    }

    async fn open(&mut self, method: Method, call: &Call) -> Result<DialogId, ClientError> {
        let near = near_addr(call.via.addr).map_err(|e| ClientError::Route(call.via.addr, e))?;
        let mut headers = call.headers.clone();
        let is_typed = headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("Content-Type"));
        if call.sdp.is_some() && !is_typed {
            headers.push(("Content-Type".to_owned(), "application/sdp".to_owned()));
        }
        let own = Hop {
            addr: call.via,
            name: self.server.clone(),
            near,
        };
        let invite = Invite {
            uri: call.uri.clone(),
            hops: core::iter::once(own).chain(self.further.clone()).collect(),
            is_proxy: true,
            from: call.from.clone(),
            headers,
            body: call.sdp.clone().unwrap_or_default().into_bytes(),
        };
        let placed = self.stack.handle().start(method, invite).await;
        Ok(placed.ok_or(ClientError::Stopped)??)
    }

    /// Awaits the final response to the INVITE of `dialog`.
    ///
    /// # Errors
    ///
    /// If the stack stopped.
    pub async fn outcome(&mut self, dialog: DialogId) -> Result<Outcome, ClientError> {
        let mut provisionals = Vec::new();
        loop {
            let response = self.response(dialog, &Method::Invite).await?;
            if response.code >= 200 {
                return Ok(Outcome {
                    dialog,
                    provisionals,
                    response,
                });
            }
            if provisionals.len() < PROVISIONALS_MAX {
                provisionals.push(response);
            }
        }
    }

    /// Acknowledges a 2xx; `sdp` answers an offer in it.
    pub async fn ack(&self, dialog: DialogId, sdp: Option<&str>) {
        let content_type = ("Content-Type".to_owned(), "application/sdp".to_owned());
        let headers = sdp.map(|_| content_type).into_iter().collect();
        let body = sdp.unwrap_or_default().as_bytes().to_vec();
        self.stack.handle().ack(dialog, headers, body).await;
    }

    /// Cancels a pending INVITE.
    pub async fn cancel(&self, dialog: DialogId) {
        self.stack.handle().cancel(dialog).await;
    }

    /// Sends BYE and awaits its answer.
    ///
    /// # Errors
    ///
    /// If there is no session in that dialog any more, or the stack stopped.
    pub async fn bye(&mut self, dialog: DialogId) -> Result<Response, ClientError> {
        if !self.stack.handle().end(dialog, Vec::new()).await {
            return Err(ClientError::NotSent(Method::Bye));
        }
        self.response(dialog, &Method::Bye).await
    }

    /// Sends another request in the dialog and awaits its final response (ACK a 2xx to INVITE).
    ///
    /// # Errors
    ///
    /// As [`Self::request_with`].
    pub async fn request(
        &mut self,
        dialog: DialogId,
        method: Method,
        sdp: Option<&str>,
    ) -> Result<Response, ClientError> {
        let mut headers = Vec::new();
        if sdp.is_some() {
            headers.push(("Content-Type".to_owned(), "application/sdp".to_owned()));
        }
        let body = sdp.unwrap_or_default().as_bytes().to_vec();
        self.request_with(dialog, method, headers, body).await
    }

    /// The same with header fields and a body of any kind.
    ///
    /// # Errors
    ///
    /// If nothing can be sent in that dialog, or the stack stopped.
    pub async fn request_with(
        &mut self,
        dialog: DialogId,
        method: Method,
        headers: Vec<(String, String)>,
        body: Vec<u8>,
    ) -> Result<Response, ClientError> {
        let handle = self.stack.handle();
        let sent = handle.request(dialog, method.clone(), headers, body).await;
        if sent.is_none() {
            return Err(ClientError::NotSent(method));
        }
        loop {
            let response = self.response(dialog, &method).await?;
            if response.code >= 200 {
                return Ok(response);
            }
        }
    }

    /// Answers a request that came as [`Event::Request`] or [`Event::Invite`].
    pub async fn respond(&self, txn: TxnId, answer: Answer) {
        self.stack.handle().respond(txn, answer).await;
    }

    /// The next thing that nobody awaited: a BYE of the peer, a request to answer. `None` when
    /// the stack stopped. Cancel-safe.
    pub async fn next_event(&mut self) -> Option<Event> {
        match self.events.pop_front() {
            Some(event) => Some(event),
            None => self.stack.next_event().await,
        }
    }

    /// Sends what is queued and closes the socket.
    pub async fn close(self) {
        self.stack.close().await;
    }

    async fn response(&mut self, id: DialogId, wanted: &Method) -> Result<Response, ClientError> {
        let is_it = |event: &Event| matches!(event, Event::Response { dialog, method, .. } if *dialog == id && method == wanted);
        if let Some(at) = self.events.iter().position(is_it)
            && let Some(Event::Response { response, .. }) = self.events.remove(at)
        {
            return Ok(*response);
        }
        loop {
            let event = self.stack.next_event().await.ok_or(ClientError::Stopped)?;
            if is_it(&event) {
                if let Event::Response { response, .. } = event {
                    return Ok(*response);
                }
            } else if self.events.len() < EVENTS_MAX {
                self.events.push_back(event);
            }
        }
    }
}
