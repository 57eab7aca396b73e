//! What goes in and out of the agent.

use crate::addr::{SipAddr, Transport};
use crate::digest::{Credentials, Users};
use crate::message::{Method, Request, Response};
use crate::uri::Uri;
use clock::Instant;
use core::net::SocketAddr;

/// Names a transaction while it lives, and never another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TxnId(pub(crate) u64);

/// Names a dialog while it lives, and never another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DialogId(pub(crate) u64);

/// A UDP listener and a remote address, or a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// The protocol.
    pub transport: Transport,
    /// Which UDP listener or connection; chosen by the shell, never used again for a connection.
    pub channel: u64,
    /// The near address, as the peer would see it.
    pub local: SocketAddr,
    /// The far address.
    pub remote: SocketAddr,
    /// Whether the peer belongs to the trust domain ([`crate::Trusted`]): by its address, or by
    /// what its certificate says.
    pub is_trusted: bool,
}

/// Where a message goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// Back where something came from; by UDP to `addr`, else through the connection, or, if that
    /// is gone, through a new one to `addr`. Nobody can connect to a WebSocket client.
    Flow {
        /// The listener or connection.
        flow: Flow,
        /// The address that the topmost Via gives.
        addr: SocketAddr,
    },
    /// To a next hop.
    Hop {
        /// Which.
        hop: Hop,
        /// The flow that the peer came by: while it lasts, and leads to the same address by the same
        /// transport, it serves both directions.
        reuse: Option<Flow>,
    },
}

/// A next hop: one address that a request can be sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// Where.
    pub addr: SipAddr,
    /// Whom the certificate must name (RFC 5922 7): the domain that was asked for. `None`: the
    /// address.
    pub name: Option<String>,
    /// Our address as seen from there; a wildcard listener shows itself with it.
    pub near: SocketAddr,
}

/// What is looked up to find next hops (RFC 3263 4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Domain or address; IPv6 in brackets.
    pub host: String,
    /// The port, where one is named.
    pub port: Option<u16>,
    /// The transport, where one is asked for.
    pub transport: Option<Transport>,
    /// Only what runs inside TLS will do: a `sips:` URI.
    pub is_secure: bool,
}

impl Target {
    /// What a URI leads to.
    #[must_use]
    pub fn of(uri: &Uri) -> Self {
        Self {
            host: uri.host().to_owned(),
            port: uri.port(),
            transport: Transport::asked_by(uri),
            is_secure: uri.scheme() == "sips",
        }
    }

    /// The transports that may be chosen where none is asked for, the first one by default.
    #[must_use]
    pub const fn choices(&self) -> &'static [Transport] {
        if self.is_secure {
            &[Transport::Tls]
        } else {
            &[Transport::Udp, Transport::Tcp, Transport::Tls]
        }
    }

    pub(crate) fn first_choice(&self) -> Transport {
        self.choices()[0]
    }
}

/// What the shell must now do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send octets.
    Transmit {
        /// Where.
        to: Destination,
        /// What.
        bytes: Vec<u8>,
        /// Report a failure to [`super::Agent::handle_send_failed`] with this name.
        txn: Option<TxnId>,
    },
    /// Look up where `target` leads, and give it to [`super::Agent::handle_resolved`] with this name:
    /// always, with nothing in it if nothing was found.
    Resolve {
        /// The transaction, or the ACK, that waits for it.
        txn: TxnId,
        /// What to look up.
        target: Target,
    },
    /// Tell the application.
    Event(Event),
    /// Nothing before this instant (`None`: before the next input).
    Wait(Option<Instant>),
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An INVITE that starts a dialog; 100 was sent. Answer it with
    /// [`super::Agent::respond`].
    Invite {
        /// The dialog it starts.
        dialog: DialogId,
        /// What to answer.
        txn: TxnId,
        /// The request.
        request: Box<Request>,
        /// Where it came from.
        flow: Flow,
    },
    /// A request that the application must answer: re-INVITE, UPDATE, OPTIONS and other allowed
    /// methods; PRACK only if it acknowledges what awaited it.
    Request {
        /// The dialog it belongs to.
        dialog: Option<DialogId>,
        /// Whether the request made that dialog (SUBSCRIBE, REFER). It is gone with the final
        /// response unless [`super::Agent::hold`] was called before.
        is_new: bool,
        /// What to answer.
        txn: TxnId,
        /// The request.
        request: Box<Request>,
        /// Where it came from.
        flow: Flow,
    },
    /// The ACK to the last 2xx came.
    Acked {
        /// Of this dialog.
        dialog: DialogId,
        /// The body of the ACK: the answer to an offer in the 2xx.
        body: Vec<u8>,
    },
    /// The INVITE was cancelled before its final response; 487 was sent.
    Cancelled {
        /// The dialog, gone now; or still there if a re-INVITE was cancelled.
        dialog: DialogId,
        /// Whether the dialog is gone.
        is_initial: bool,
    },
    /// No PRACK came for a reliable provisional response in 64 times T1; 504 was sent.
    PrackTimeout {
        /// The dialog, gone now; or still there if it was about a re-INVITE.
        dialog: DialogId,
        /// Whether the dialog is gone.
        is_initial: bool,
    },
    /// No ACK came for a 2xx in 64 times T1; BYE was sent and the dialog is ending.
    AckTimeout {
        /// The dialog.
        dialog: DialogId,
    },
    /// The peer ended the dialog; 200 was sent (and 487 to a pending INVITE).
    Bye {
        /// The dialog, gone now.
        dialog: DialogId,
        /// The request.
        request: Box<Request>,
    },
    /// A response to a request of ours; synthetic (408, 503) if there was none.
    Response {
        /// The dialog; gone if a BYE or the initial INVITE ended it.
        dialog: DialogId,
        /// The transaction.
        txn: TxnId,
        /// The method of our request.
        method: Method,
        /// The response.
        response: Box<Response>,
        /// Made here because nothing came or nothing could be sent.
        is_synthetic: bool,
    },
}

/// A response as the application gives it; Via, From, To, Call-ID, CSeq, Record-Route and
/// Content-Length are added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// 101 to 699.
    pub code: u16,
    /// `None` for the usual phrase.
    pub reason: Option<String>,
    /// Further header fields.
    pub headers: Vec<(String, String)>,
    /// Body; give its Content-Type in `headers`.
    pub body: Vec<u8>,
}

impl Answer {
    /// A response without body.
    #[must_use]
    pub fn new(code: u16) -> Self {
        Self {
            code,
            ..Self::default()
        }
    }

    /// Adds a header field.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// Sets the body and its type.
    #[must_use]
    pub fn with_body(self, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        let mut this = self.with("Content-Type", content_type);
        this.body = body.into();
        this
    }
}

/// A request of ours that starts a dialog: INVITE, SUBSCRIBE or REFER.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invite {
    /// Request-URI and To.
    pub uri: String,
    /// Where it is sent, whatever the URI says: to the first one that takes it (RFC 3263 4.3).
    pub hops: Vec<Hop>,
    /// The hop is an outbound proxy: later requests go there, too, unless there is a route set.
    pub is_proxy: bool,
    /// From, a URI.
    pub from: String,
    /// Further header fields (Contact is made here unless given).
    pub headers: Vec<(String, String)>,
    /// Body; give its Content-Type in `headers`.
    pub body: Vec<u8>,
}

/// What an agent is and can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentConfig {
    /// The addresses listened on.
    pub locals: Vec<SipAddr>,
    /// Methods answered otherwise than with 405.
    pub allow: Vec<Method>,
    /// Body types understood in INVITE and UPDATE, in lower case.
    pub accept: Vec<String>,
    /// Option tags understood in Require.
    pub supported: Vec<String>,
    /// Who may make dialogs from outside the trust domain; `None`: anybody.
    pub users: Option<Users>,
    /// Who we are where we are asked.
    pub credentials: Vec<Credentials>,
    /// Randomness for tags, branches and Call-IDs.
    pub seed: [u8; 32],
}

impl AgentConfig {
    /// `INVITE, ACK, …` for an Allow header.
    #[must_use]
    pub fn allow_value(&self) -> String {
        let names: Vec<_> = self.allow.iter().map(Method::as_str).collect();
        names.join(", ")
    }
}
