//! A participant of a conference: one SIP dialog and one MSRP session, step by step.

use core::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, anyhow, bail};
use sdp::{Description, MessageBuilder, MessageMedia, Setup, Transport as Media};
use sip::{
    Call, DialogId, Outcome, Resolver, Response, SipAddr, SipClient, TlsFiles, Transport, Uri,
    near_addr,
};
use tokio::net::TcpSocket;
use tokio::time::timeout;

use crate::limits::{ANSWER_WITHIN, MESSAGE_BYTES_MAX};
use crate::msrp_client::{self, Credentials, MsrpClient, Paths};
use crate::values::NextHop;

/// What a participant can read (TS 24.247 A.5.1 step 1 offers the same).
pub const ACCEPT_TYPES: [&str; 3] = ["message/cpim", "text/plain", "text/html"];

/// A conference and the way to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Request-URI and To.
    pub uri: String,
    /// Next hop.
    pub via: SipAddr,
    /// The domain that its certificate must name; `None`: the address.
    pub name: Option<String>,
    /// Those after it, for when it fails.
    pub further: Vec<sip::Hop>,
}

impl Target {
    /// Reads a SIP URI and finds the next hop: where `via` leads, or else the URI itself (RFC 3263).
    ///
    /// # Errors
    ///
    /// When the URI is none, or the host has no address.
    pub async fn resolve(uri: &str, via: Option<&NextHop>) -> anyhow::Result<Self> {
        let parsed = sip_uri(uri).map_err(anyhow::Error::msg)?;
        let target = match via {
            Some(via) => via.0.target(),
            None => {
                transport(&parsed)?;
                sip::Target::of(&parsed)
            }
        };
        let mut hops = Resolver::new(&[]).hops(&target).await.into_iter();
        let hop = hops.next();
        let hop = hop.ok_or_else(|| anyhow!("{}: no address", target.host))?;
        Ok(Self {
            uri: uri.to_owned(),
            via: hop.addr,
            name: hop.name,
            further: hops.collect(),
        })
    }
}

/// Reads what names a conference.
///
/// # Errors
///
/// What is wrong with it, and what may have been meant.
pub fn sip_uri(text: &str) -> Result<Uri, String> {
    let expected = "expected sip:NAME@HOST or sips:NAME@HOST";
    let meant = || {
        let meant = format!("sip:{text}");
        let is_it = text.contains('@') && Uri::parse(&meant).is_ok();
        if is_it {
            format!("; did you mean {meant}?")
        } else {
            String::new()
        }
    };
    let uri =
        Uri::parse(text).map_err(|error| format!("{text:?} is no SIP URI: {error}{}", meant()))?;
    if !matches!(uri.scheme(), "sip" | "sips") {
        return Err(format!("{text:?}: {expected}{}", meant()));
    }
    Ok(uri)
}

/// Refuses a transport that is not known.
fn transport(uri: &Uri) -> anyhow::Result<()> {
    match (Transport::asked_by(uri), uri.parameter("transport")) {
        (None, Some(name)) => {
            bail!("{uri}: transport {name} is not known; use udp, tcp, tls or ws")
        }
        _ => Ok(()),
    }
}

/// A participant that has not called yet.
#[derive(Debug)]
pub struct Caller {
    sip: SipClient,
    from: String,
    /// Bound, so that the offer can name its port; connects later.
    socket: TcpSocket,
    msrp: SocketAddr,
    session_id: String,
    knows_rooms: bool,
    credentials: Option<Credentials>,
}

/// A participant whose call was answered.
#[derive(Debug)]
pub struct Answered {
    /// The SIP side.
    pub sip: SipClient,
    /// The dialog.
    pub dialog: DialogId,
    /// What the conference said about MSRP.
    pub media: MessageMedia,
    socket: TcpSocket,
    paths: Paths,
    credentials: Option<Credentials>,
}

/// A participant that can talk.
#[derive(Debug)]
pub struct Joined {
    /// The SIP side.
    pub sip: SipClient,
    /// The dialog.
    pub dialog: DialogId,
    /// What the conference said about MSRP.
    pub media: MessageMedia,
    /// The MSRP side.
    pub msrp: MsrpClient,
}

impl Caller {
    /// Opens the sockets. `from` makes the caller's URI out of our address; `session_id` names the
    /// MSRP session; with TLS an authority in `tls_ca` must vouch for the target.
    ///
    /// # Errors
    ///
    /// When there is no route to `target` or no free port.
    pub async fn bind(
        target: &Target,
        tls_ca: Option<PathBuf>,
        from: impl FnOnce(SocketAddr) -> String,
        session_id: &str,
    ) -> anyhow::Result<Self> {
        let via = target.via;
        let near = near_addr(via.addr).with_context(|| format!("no route to {via}"))?;
        let local = SocketAddr::new(near.ip(), 0);
        let tls = TlsFiles {
            ca: tls_ca,
            ..TlsFiles::default()
        };
        let listener = SipAddr {
            transport: via.transport,
            addr: local,
        };
        let mut sip = SipClient::bind_with(listener, tls, target.name.clone()).await?;
        sip.fall_back_to(&target.further);
        let socket = match local {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        socket.bind(local)?;
        let msrp = socket.local_addr()?;
        Ok(Self {
            from: from(sip.local().addr),
            session_id: session_id.to_owned(),
            sip,
            socket,
            msrp,
            knows_rooms: false,
            credentials: None,
        })
    }

    /// MSRP is to be on TLS (RFC 4975 14).
    #[must_use]
    pub fn secured(self, credentials: Credentials) -> Self {
        Self {
            credentials: Some(credentials),
            ..self
        }
    }

    /// It says that it knows chat rooms, and so is told nothing about them (RFC 7701 8 and 11).
    #[must_use]
    pub fn knowing_rooms(self) -> Self {
        Self {
            knows_rooms: true,
            ..self
        }
    }

    /// Our URI.
    #[must_use]
    pub fn from(&self) -> &str {
        &self.from
    }

    /// Our MSRP URI.
    #[must_use]
    pub fn path(&self) -> String {
        let scheme = match self.credentials {
            Some(_) => "msrps",
            None => "msrp",
        };
        format!("{scheme}://{}/{};tcp", self.msrp, self.session_id)
    }

    /// The SIP side.
    pub fn sip(&mut self) -> &mut SipClient {
        &mut self.sip
    }

    /// Our offer: we open the connection.
    #[must_use]
    pub fn offer(&self) -> String {
        let mut offer = MessageBuilder::new(self.msrp, self.path());
        if let Some(credentials) = &self.credentials {
            offer.transport = Media::Tls;
            offer.fingerprint = Some(credentials.fingerprint());
        }
        // Milliseconds would do; what counts is that no two sessions share it (RFC 8866 5.2).
        offer.origin_id = u64::from(rand::random::<u32>());
        offer.origin_version = offer.origin_id;
        offer.accept_types = ACCEPT_TYPES.map(str::to_owned).to_vec();
        offer.max_size = Some(MESSAGE_BYTES_MAX as u64);
        offer.has_cema = true;
        offer.setup = Some(Setup::Active);
        let tokens = ["nickname", "private-messages"].map(str::to_owned);
        offer.chatroom = self.knows_rooms.then(|| tokens.to_vec());
        offer.write()
    }

    /// Calls the conference and waits for the final response.
    ///
    /// # Errors
    ///
    /// When the call cannot be placed; a refusal is an outcome.
    pub async fn invite(
        &mut self,
        target: &Target,
        headers: Vec<(String, String)>,
    ) -> anyhow::Result<Outcome> {
        let call = Call {
            uri: target.uri.clone(),
            via: target.via,
            from: self.from.clone(),
            sdp: Some(self.offer()),
            headers,
        };
        Ok(self.sip.invite(&call).await?)
    }

    /// Takes a 2xx: acknowledges it and reads its session description.
    ///
    /// # Errors
    ///
    /// When the description is unusable; the call is over then.
    pub async fn accept(self, outcome: &Outcome) -> anyhow::Result<Answered> {
        let local = self.path();
        let Self {
            mut sip,
            socket,
            credentials,
            ..
        } = self;
        let offered = match credentials {
            Some(_) => Media::Tls,
            None => Media::Tcp,
        };
        sip.ack(outcome.dialog, None).await;
        match read_answer(&outcome.response, offered) {
            Ok((media, remote)) => Ok(Answered {
                sip,
                dialog: outcome.dialog,
                media,
                socket,
                paths: Paths { local, remote },
                credentials,
            }),
            Err(error) => {
                sip.bye(outcome.dialog).await?;
                Err(error)
            }
        }
    }
}

/// The media of an answer to what was offered, and its path.
fn read_answer(response: &Response, offered: Media) -> anyhow::Result<(MessageMedia, String)> {
    let description = Description::parse(&response.body).context("the answer")?;
    let media = description.message().context("the answer")?;
    if media.transport != offered {
        let (offered, answered) = (offered.as_str(), media.transport.as_str());
        bail!("the conference answered {answered} to our {offered}");
    }
    let path = media.path.as_ref().map(|path| path.as_str().to_owned());
    let path = path.ok_or_else(|| anyhow!("the answer has no a=path"))?;
    Ok((media, path))
}

impl Answered {
    /// Opens the MSRP connection.
    ///
    /// # Errors
    ///
    /// When the conference wants to open it itself, or it cannot be opened.
    pub async fn connect(self, trace: bool) -> anyhow::Result<Joined> {
        if self.media.setup == Some(Setup::Active) {
            bail!("the conference answered a=setup:active to our active");
        }
        let remote = self.media.remote_transport_address()?;
        let stream = timeout(ANSWER_WITHIN, msrp_client::connect(self.socket, remote))
            .await
            .map_err(|_| anyhow!("{remote}: no answer to the TCP connection"))?
            .with_context(|| format!("MSRP connection to {remote}"))?;
        let msrp = match self.credentials {
            None => MsrpClient::start(stream, self.paths, trace),
            Some(credentials) => {
                let first = self
                    .media
                    .path
                    .as_ref()
                    .and_then(|path| path.uris().first());
                let host =
                    first.map_or_else(|| remote.ip().to_string(), |uri| uri.host.to_string());
                let secured = credentials.secure(stream, &self.media.fingerprints, &host);
                let secured = timeout(ANSWER_WITHIN, secured)
                    .await
                    .map_err(|_| anyhow!("{remote}: no answer to the TLS handshake"))?
                    .with_context(|| format!("MSRP over TLS to {remote}"))?;
                MsrpClient::start(secured, self.paths, trace)
            }
        };
        Ok(Joined {
            sip: self.sip,
            dialog: self.dialog,
            media: self.media,
            msrp,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(uri: &str, via: Option<&str>) -> anyhow::Result<Target> {
        let via = via.map(|text| text.parse::<NextHop>().unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(Target::resolve(uri, via.as_ref()))
    }

    #[track_caller]
    fn check(uri: &str, via: Option<&str>, expected: Result<&str, &str>) {
        match (resolve(uri, via), expected) {
            (Ok(target), Ok(via)) => {
                assert_eq!(target.via.to_string(), via);
                assert_eq!(target.uri, uri);
            }
            (Err(error), Err(words)) => {
                assert!(format!("{error:#}").contains(words), "{error:#}");
            }
            (got, _) => panic!("{uri}: {got:?}"),
        }
    }

    #[test]
    fn the_next_hop_comes_from_the_uri_unless_it_is_given() {
        check("sip:lobby@127.0.0.1", None, Ok("udp:127.0.0.1:5060"));
        check(
            "sip:lobby@[::1]:7000;transport=tcp",
            None,
            Ok("tcp:[::1]:7000"),
        );
        check(
            "sip:lobby@home2.net",
            Some("tcp:127.0.0.1:5070"),
            Ok("tcp:127.0.0.1:5070"),
        );
        check(
            "sip:lobby@home2.net",
            Some("sips:[::1]:5071"),
            Ok("tls:[::1]:5071"),
        );
        // Names of the system's file of hosts are known without a name server.
        check(
            "sip:lobby@home2.net",
            Some("sip:localhost:5070;transport=tcp"),
            Ok("tcp:127.0.0.1:5070"),
        );
        check("lobby", None, Err("is no SIP URI"));
        check("tel:+1", None, Err("expected sip:NAME@HOST"));
        check("sips:a@127.0.0.1", None, Ok("tls:127.0.0.1:5061"));
        check("sip:a@[::1];transport=ws", None, Ok("ws:[::1]:80"));
        check("sip:a@127.0.0.1;transport=sctp", None, Err("is not known"));
    }
}
